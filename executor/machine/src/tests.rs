//! What the machine answers to single pictures. Whole runs are in `tests/sim`.

mod records;

use schemas::approval::ApprovalSpec;
use schemas::machine::{Stage, Times};
use schemas::site::{Admission, ApprovalPolicy};
use schemas::units::{Seconds, Span};
use schemas::upstream::{ENGINE_NAMESPACE, ImportState, condition};
use schemas::wave::{Barrier, PrerequisiteMachine, WaveWindow};

use crate::fixture::{
    decide, import_at, key, observed, put_image, put_import, record, record_at, t, wave_at,
};
use crate::{
    Action, At, HoldReason, Image, MachineState, Observed, RunView, StopMode, TargetMachine, Wait,
    step,
};

/// The actions, without what is said of the waves.
fn deeds(observed: &Observed, now: u64) -> Vec<Action> {
    let actions = step(observed, t(now)).actions.into_iter();
    actions
        .filter(|action| !matches!(action, Action::WaveStatus { .. }))
        .collect()
}

fn state(view: &RunView, vm: &str) -> MachineState {
    let found = view.machines.iter().find(|m| m.vm == key(vm));
    found.unwrap().state.clone()
}

/// The status that is written for a VM, if one is.
fn written(actions: &[Action], vm: &str) -> Option<schemas::machine::MachineStatus> {
    actions.iter().find_map(|action| match action {
        Action::Record { at, status, .. } if *at == record_at(vm) => Some(status.clone()),
        _ => None,
    })
}

fn exporting() -> Times {
    Times {
        created: Some(t(0)),
        shutdown: Some(t(5)),
        off: Some(t(10)),
        ..Times::default()
    }
}

fn exported(at: u64) -> Times {
    Times {
        exported: Some(t(at)),
        ..exporting()
    }
}

const OFF: [&str; 2] = [condition::SHUTDOWN_GUEST, condition::POWERED_OFF];
const EXPORTED: [&str; 3] = [
    condition::SHUTDOWN_GUEST,
    condition::POWERED_OFF,
    condition::EXPORTED,
];

// The first VM's record is opened, and nothing else: the next one waits for its turn or its
// dependency.
#[test]
fn one_at_a_time() {
    let picture = observed();
    let [Action::OpenRecord { at, spec }] = &deeds(&picture, 0)[..] else {
        panic!("{:?}", deeds(&picture, 0));
    };
    assert_eq!(*at, record_at("db"));
    assert_eq!(
        At::new("erp", spec.attempt.import.clone()),
        import_at("db", 1)
    );
    let view = step(&picture, t(0)).view;
    assert_eq!(state(&view, "old"), MachineState::Waiting(Wait::Turn));
    let on = key("db");
    assert_eq!(
        state(&view, "web"),
        MachineState::Waiting(Wait::Dependency { on })
    );
    assert!(!view.finished);
}

// A barrier holds back all of its wave but those that it names, and a single dependency its machine.
#[test]
fn barriers_and_single_dependencies() {
    let of = |vm: &str| PrerequisiteMachine {
        vm: key(vm),
        record: record_at(vm).name,
    };
    let mut picture = observed();
    decide(&mut picture, 20, |wave| {
        wave.barriers = vec![Barrier {
            name: "canaries".into(),
            machines: vec![of("db")],
        }];
    });
    let view = step(&picture, t(0)).view;
    let waits = MachineState::Waiting(Wait::Barrier {
        name: "canaries".into(),
        on: key("db"),
    });
    assert_eq!(state(&view, "old"), waits);
    decide(&mut picture, 20, |wave| {
        wave.barriers[0].machines = vec![of("old")];
    });
    let view = step(&picture, t(0)).view;
    assert_eq!(state(&view, "old"), MachineState::Waiting(Wait::Turn));

    let mut picture = observed();
    decide(&mut picture, 20, |wave| {
        wave.imports[0].after = vec![of("db")];
    });
    let view = step(&picture, t(0)).view;
    let on = key("db");
    assert_eq!(
        state(&view, "old"),
        MachineState::Waiting(Wait::Dependency { on })
    );
}

// An import whose cut, at its worst, would reach into its window's reserve is not begun; one second
// before that it is.
#[test]
fn latest_start() {
    let mut picture = observed();
    let cut = engine::admission::cut_p90(
        &engine::Profile::vm_import(),
        schemas::inventory::SourceKind::Vmware,
        &picture.waves[&wave_at(10)].spec.imports[0].size,
        Seconds(600),
        &picture.waves[&wave_at(10)].spec.rates,
    );
    let window = WaveWindow {
        name: "weekend".into(),
        occurrence: "w48".into(),
        from: t(0),
        to: t(7200),
        last_start: t(7200),
        rollback_reserve: Some(Span::from_minutes(30)),
    };
    decide(&mut picture, 10, |wave| wave.window = Some(window));
    let latest = 7200 - 1800 - cut.0;
    let begins = |picture: &Observed, at: u64| matches!(&deeds(picture, at)[..], [Action::OpenRecord { at, .. }] if *at == record_at("db"));
    assert!(begins(&picture, latest));
    assert!(!begins(&picture, latest + 1));
    let step = step(&picture, t(latest + 1));
    assert_eq!(
        state(&step.view, "db"),
        MachineState::Waiting(Wait::TooLate { latest: t(latest) })
    );
}

// Sources come first, and nothing is imported from one that is not ready; the others go on.
#[test]
fn sources_first() {
    let mut picture = observed();
    picture.sources.remove(&At::new("migrations", "dc1"));
    let shelf = At::new("migrations", "shelf");
    picture.sources.get_mut(&shelf).unwrap().status = String::new();
    let actions = deeds(&picture, 0);
    assert!(
        matches!(&actions[..], [Action::CreateSource { at, .. }] if at.name == *"dc1"),
        "{actions:?}"
    );
    picture.sources.get_mut(&shelf).unwrap().status = "clusterReady".to_owned();
    let actions = deeds(&picture, 0);
    assert!(
        matches!(&actions[1], Action::OpenRecord { at, .. } if *at == record_at("old")),
        "{actions:?}"
    );
}

// A source of that name which is another one is never written to.
#[test]
fn other_source() {
    let mut picture = observed();
    let cloud = picture.sources[&At::new("migrations", "cloud1")].clone();
    picture.sources.insert(At::new("migrations", "dc1"), cloud);
    let step = step(&picture, t(0));
    assert!(matches!(
        step.view.holds[0].reason,
        HoldReason::SourceDiffers { .. }
    ));
    assert!(
        !step
            .actions
            .iter()
            .any(|a| matches!(a, Action::CreateSource { .. }))
    );
}

// A machine that runs is done, whatever wave and digest it is in now.
#[test]
fn renamed() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Running, exported(100));
    let wave = picture.waves.remove(&wave_at(10)).unwrap();
    picture
        .waves
        .insert(At::new("migrations", "erp-renamed"), wave);
    let view = step(&picture, t(500)).view;
    assert_eq!(state(&view, "db"), MachineState::Done);
}

// A machine that another plan has begun to move is not moved here.
#[test]
fn another_plan() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Running, exported(100));
    let other = picture.records.remove(&record_at("db")).unwrap();
    picture
        .records
        .insert(At::new("elsewhere", record_at("db").name), other);
    let step = step(&picture, t(500));
    let MachineState::Failed(why) = state(&step.view, "db") else {
        panic!("{:?}", step.view);
    };
    assert!(why.contains("elsewhere/db-0000000d"), "{why}");
    assert!(
        !step
            .actions
            .iter()
            .any(|a| matches!(a, Action::OpenRecord { at, .. } if at.name == record_at("db").name))
    );
}

// A machine of that name on the target, ours or not, keeps the VM from being exported for nothing.
#[test]
fn name_taken() {
    for (imported, code) in [(true, "N01"), (false, "N02")] {
        let mut picture = observed();
        let machine = TargetMachine {
            ready: false,
            imported,
            created: None,
        };
        picture.machines.insert(At::new("erp", "db"), machine);
        let MachineState::Failed(why) = state(&step(&picture, t(0)).view, "db") else {
            panic!("not failed");
        };
        assert!(why.contains(code), "{why}");
    }
}

// Two that would write the same files: the second waits until the first's import is gone.
#[test]
fn exclusions() {
    let mut picture = observed();
    decide(&mut picture, 20, |wave| {
        wave.imports[0].excludes = vec![key("db")];
    });
    record(&mut picture, "db", Stage::Running, exported(100));
    put_import(
        &mut picture,
        "db",
        ImportState::VirtualMachineRunning,
        &EXPORTED,
    );
    picture.waves.remove(&wave_at(10));
    let view = step(&picture, t(500)).view;
    let with = key("db");
    assert_eq!(
        state(&view, "old"),
        MachineState::Waiting(Wait::Exclusion { with })
    );
    assert!(!view.finished);
    picture.imports.clear();
    assert!(matches!(
        &deeds(&picture, 500)[..],
        [Action::OpenRecord { .. }]
    ));
}

// Nothing is created while somebody else's import is at the engine.
#[test]
fn foreign_import() {
    let mut picture = observed();
    put_import(&mut picture, "db", ImportState::SourceReady, &OFF);
    let mut import = picture.imports.remove(&import_at("db", 1)).unwrap();
    import.machine = None;
    let at = At::new("other", "theirs");
    picture.imports.insert(at.clone(), import);
    let step = step(&picture, t(0));
    assert_eq!(
        state(&step.view, "db"),
        MachineState::Waiting(Wait::ForeignImport { import: at })
    );
    assert!(!step.view.finished);
}

// One that stands still before its export is waited for ten minutes in which the engine was free;
// one whose guest is being shut down, for as long as it takes.
#[test]
fn foreign_import_that_stands_still() {
    let mut picture = observed();
    let at = At::new("other", "theirs");
    let put = |picture: &mut Observed, conditions: &[&str]| {
        put_import(picture, "db", ImportState::SourceReady, conditions);
        let mut import = picture.imports.remove(&import_at("db", 1)).unwrap();
        import.machine = None;
        import.changed = Some(t(0));
        picture.imports.insert(at.clone(), import);
    };
    let waits = |picture: &Observed, seconds| {
        let answer = step(picture, t(seconds));
        matches!(
            state(&answer.view, "db"),
            MachineState::Waiting(Wait::ForeignImport { .. })
        )
        .then_some(answer.wake)
    };
    put(&mut picture, &[]);
    assert_eq!(waits(&picture, 599), Some(Some(t(600))));
    assert_eq!(waits(&picture, 600), None);
    put(&mut picture, &[condition::SHUTDOWN_GUEST]);
    assert!(waits(&picture, 9000).is_some());
}

// What is held counts until the import is gone; an import that can never fit is said to.
#[test]
fn scratch() {
    let mut picture = observed();
    decide(&mut picture, 10, |wave| wave.scratch.0.0 = 49 << 30);
    decide(&mut picture, 20, |wave| wave.scratch.0.0 = 49 << 30);
    record(&mut picture, "db", Stage::Imaging, exported(100));
    put_import(&mut picture, "db", ImportState::DiskImagesReady, &EXPORTED);
    let view = step(&picture, t(110)).view;
    assert_eq!(view.scratch_held.0, 20 << 30);
    let MachineState::Waiting(Wait::Scratch { needs, free }) = state(&view, "old") else {
        panic!("{:?}", view.machines);
    };
    assert_eq!((needs.0, free.0), (30 << 30, 29 << 30));
    decide(&mut picture, 20, |wave| wave.scratch.0.0 = 29 << 30);
    let view = step(&picture, t(110)).view;
    assert!(matches!(state(&view, "old"), MachineState::Failed(why) if why.contains("S01")));
}

// Each policy has its own sign for the next import: the end of the export, images nearly in, the
// machine.
#[test]
fn policies() {
    let is_admitted = |policy, state, now| {
        let mut picture = observed();
        decide(&mut picture, 20, |wave| wave.admission = policy);
        let stage = match state {
            ImportState::SourceReady => Stage::Exporting,
            ImportState::VirtualMachineCreated => Stage::Booting,
            _ => Stage::Imaging,
        };
        let (times, conditions) = match stage {
            Stage::Exporting => (exporting(), &OFF[..]),
            _ => (exported(100), &EXPORTED[..]),
        };
        record(&mut picture, "db", stage, times);
        put_import(&mut picture, "db", state, conditions);
        put_image(&mut picture, "db", Image::default());
        let actions = deeds(&picture, now);
        actions
            .iter()
            .any(|a| matches!(a, Action::OpenRecord { .. }))
    };
    for policy in [
        Admission::Throughput,
        Admission::Balanced,
        Admission::Downtime,
    ] {
        assert!(!is_admitted(policy, ImportState::SourceReady, 99));
        assert!(is_admitted(policy, ImportState::VirtualMachineCreated, 101));
    }
    assert!(is_admitted(
        Admission::Throughput,
        ImportState::DisksExported,
        101
    ));
    assert!(!is_admitted(
        Admission::Downtime,
        ImportState::DiskImagesReady,
        101
    ));
    // 20 GiB at 300 MiB/s are in 69 s after the export.
    assert!(!is_admitted(
        Admission::Balanced,
        ImportState::DiskImageSubmitted,
        160
    ));
    assert!(is_admitted(
        Admission::Balanced,
        ImportState::DiskImageSubmitted,
        171
    ));
}

// What holds a wave back, and that it holds everything back but what is running.
#[test]
fn holds() {
    let hold = |picture: &Observed, now| {
        let step = step(picture, t(now));
        let opens =
            |a: &Action| matches!(a, Action::OpenRecord { at, .. } if *at == record_at("db"));
        assert!(!step.actions.iter().any(opens));
        step.view.holds.first().map(|hold| hold.reason.clone())
    };
    let mut picture = observed();
    picture.waves.get_mut(&wave_at(10)).unwrap().spec.imports[0].order = 5;
    assert!(matches!(
        hold(&picture, 0),
        Some(HoldReason::DigestMismatch { .. })
    ));

    let mut picture = observed();
    decide(&mut picture, 10, |wave| {
        wave.target.cluster_uid = Some("c2".to_owned());
    });
    assert!(matches!(
        hold(&picture, 0),
        Some(HoldReason::OtherCluster { .. })
    ));

    for namespace in ["migrations", ENGINE_NAMESPACE] {
        let mut picture = observed();
        picture.stops.insert(namespace.into(), StopMode::Admit);
        assert_eq!(hold(&picture, 0), Some(HoldReason::Stopped));
    }

    let mut picture = observed();
    picture.waves.get_mut(&wave_at(10)).unwrap().spec.suspend = Some(true);
    assert_eq!(hold(&picture, 0), Some(HoldReason::Suspended));

    let mut picture = observed();
    let window = WaveWindow {
        name: "weekend".into(),
        occurrence: "w48".into(),
        from: t(100),
        to: t(200),
        last_start: t(150),
        rollback_reserve: None,
    };
    decide(&mut picture, 10, |wave| wave.window = Some(window));
    let opens = Some(t(100));
    assert_eq!(
        hold(&picture, 99),
        Some(HoldReason::OutsideWindow { opens })
    );
    let opens = None;
    assert_eq!(
        hold(&picture, 150),
        Some(HoldReason::OutsideWindow { opens })
    );
    assert_eq!(step(&picture, t(99)).wake, Some(t(100)));
}

// Where approvals are required, a wave cannot say that it needs none.
#[test]
fn required() {
    let mut picture = observed();
    decide(&mut picture, 10, |wave| {
        wave.approval = ApprovalPolicy::None;
    });
    assert!(!deeds(&picture, 0).is_empty(), "it runs");
    picture.require_approval = true;
    assert_eq!(deeds(&picture, 0), []);
    let step = step(&picture, t(0));
    assert!(matches!(
        step.view.holds[0].reason,
        HoldReason::AwaitingApproval { .. }
    ));
}

// An approval holds for one digest, one occurrence, and until it expires.
#[test]
fn approvals() {
    let mut picture = observed();
    decide(&mut picture, 10, |wave| {
        wave.approval = ApprovalPolicy::Required;
    });
    let digest = picture.waves[&wave_at(10)].spec.digest.clone();
    let mut approval = ApprovalSpec {
        wave: "erp-010".into(),
        digest,
        occurrence: None,
        expires: Some(t(100)),
        reference: None,
    };
    let mut hold = |approval: &ApprovalSpec, now| {
        picture
            .approvals
            .insert(At::new("migrations", "a"), approval.clone());
        let step = step(&picture, t(now));
        step.view.holds.first().map(|hold| hold.reason.clone())
    };
    assert_eq!(hold(&approval, 99), None);
    assert_eq!(
        hold(&approval, 100),
        Some(HoldReason::ApprovalExpired { at: t(100) })
    );
    approval.occurrence = Some("w49".into());
    assert!(matches!(
        hold(&approval, 0),
        Some(HoldReason::AwaitingApproval { .. })
    ));
    approval.occurrence = None;
    approval.digest = "sha256:other".into();
    assert!(matches!(
        hold(&approval, 0),
        Some(HoldReason::AwaitingApproval { .. })
    ));
}

// A VM that was renamed at its source after it was moved is the same machine: not moved again.
#[test]
fn renamed_at_its_source() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Running, exported(100));
    let mut moved = picture.records.remove(&record_at("db")).unwrap();
    moved.spec.name = "erp db".into();
    let before = At::new("migrations", "erp-db-0000000d");
    picture.records.insert(before, moved);
    let MachineState::Failed(why) = state(&step(&picture, t(0)).view, "db") else {
        panic!("it would be imported a second time");
    };
    assert!(why.contains("migrations/erp-db-0000000d"), "{why}");
}

// All done is finished; so is a window that is over. Waiting for a person's consent is not.
#[test]
fn finished() {
    let mut picture = observed();
    for vm in ["db", "web", "old"] {
        record(&mut picture, vm, Stage::Running, exported(100));
    }
    assert!(step(&picture, t(0)).view.finished);
    picture.records.remove(&record_at("old"));
    decide(&mut picture, 20, |wave| {
        wave.approval = ApprovalPolicy::Required;
    });
    assert!(!step(&picture, t(0)).view.finished);
}

// The same picture, the same answer; and nothing to do in a picture where all is said.
#[test]
fn says_it_once() {
    let mut picture = observed();
    for vm in ["db", "web", "old"] {
        record(&mut picture, vm, Stage::Running, exported(100));
    }
    let first = step(&picture, t(0));
    assert_eq!(first, step(&picture, t(0)));
    for action in first.actions {
        let Action::WaveStatus { at, status } = action else {
            panic!("{action:?}");
        };
        picture.waves.get_mut(&at).unwrap().status = Some(status);
    }
    assert_eq!(step(&picture, t(1)).actions, []);
}
