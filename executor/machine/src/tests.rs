//! What the machine answers to single pictures. Whole runs are in `tests/sim`.

mod plans;
mod records;

use schemas::approval::ApprovalSpec;
use schemas::gate::{
    Gate, GateFailure, GatePort, HostPort, StepApproval, StepDone, StepRef, WaveStep,
};
use schemas::machine::{Stage, Times};
use schemas::site::{Admission, ApprovalPolicy, OnFailure};
use schemas::units::{Seconds, Span};
use schemas::upstream::{ENGINE_NAMESPACE, ImportState, condition};
use schemas::wave::{Barrier, PrerequisiteMachine, WaveWindow, WaveWorkload};

use crate::fixture::{
    decide, import_at, key, observed, put_image, put_import, record, record_at, t, wave_at,
};
use crate::{
    Action, At, HoldReason, Image, MachineState, Observed, Probe, Probed, RunView, Step, StepState,
    StopMode, TargetMachine, Wait, step,
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
        wave: Some("erp-010".into()),
        digest: Some(digest),
        step: None,
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
    approval.digest = Some("sha256:other".into());
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

/// `db` has a gate on one port, with a soak of a minute and ten minutes until it must answer; it
/// runs since second 200.
fn gated(on_failure: GateFailure) -> Observed {
    let mut picture = observed();
    decide(&mut picture, 10, |wave| {
        wave.workloads.push(WaveWorkload {
            name: "db".into(),
            depends_on: Vec::new(),
            gate: Some(Gate {
                tcp: vec![GatePort {
                    port: 5432,
                    address: None,
                }],
                soak: Some(Span::from_minutes(1)),
                timeout: Span::from_minutes(10),
                on_failure,
            }),
        });
    });
    let times = Times {
        ended: Some(t(200)),
        ..exported(100)
    };
    record(&mut picture, "db", Stage::Running, times);
    picture
}

fn probe() -> Probe {
    Probe::Machine {
        machine: At::new("erp", "db"),
        port: 5432,
    }
}

/// Its port was tried then.
fn tried(picture: &mut Observed, at: u64, answers: bool) {
    let failure = (!answers).then(|| "connection refused".to_owned());
    let probed = Probed { at: t(at), failure };
    picture.probes.insert(probe(), probed);
}

/// Writes what it says of `db` into its record, as the shell does.
fn obey(picture: &mut Observed, now: u64) -> Step {
    let step = step(picture, t(now));
    if let Some(status) = written(&step.actions, "db") {
        picture.records.get_mut(&record_at("db")).unwrap().status = Some(status);
    }
    step
}

// A port is asked for while a gate is waited for; the gate holds once it has answered for as long
// as its soak, and that is recorded, so that nobody asks again, whoever looks and whatever the port
// says later.
#[test]
fn gate_holds() {
    let mut picture = gated(GateFailure::Hold);
    let first = obey(&mut picture, 200);
    assert_eq!(first.probes, [probe()].into());
    assert_eq!(
        state(&first.view, "db"),
        MachineState::Active(Stage::Running)
    );
    let on = key("db");
    assert_eq!(
        state(&first.view, "web"),
        MachineState::Waiting(Wait::Gate { on })
    );
    tried(&mut picture, 210, true);
    let answers = obey(&mut picture, 211);
    assert!(answers.probes.is_empty(), "tried a second ago");
    assert_eq!(answers.wake, Some(t(215)));
    // A break begins the soak anew.
    tried(&mut picture, 240, false);
    obey(&mut picture, 240);
    tried(&mut picture, 250, true);
    obey(&mut picture, 250);
    tried(&mut picture, 309, true);
    let early = obey(&mut picture, 309);
    assert_eq!(
        state(&early.view, "db"),
        MachineState::Active(Stage::Running)
    );
    tried(&mut picture, 312, true);
    obey(&mut picture, 312);
    picture.probes.clear();
    let held = step(&picture, t(10_000));
    assert!(held.probes.is_empty());
    assert_eq!(state(&held.view, "db"), MachineState::Done);
    assert!(matches!(
        deeds(&picture, 10_000)[..],
        [Action::OpenRecord { .. }]
    ));
}

// One that does not answer in time keeps what waits for it back until a person says how to go on,
// or is noted and waited for no more. Nothing is judged by what was tried long ago.
#[test]
fn gate_fails() {
    let mut picture = gated(GateFailure::Hold);
    tried(&mut picture, 700, false);
    assert!(!obey(&mut picture, 799).view.finished);
    let stale = obey(&mut picture, 10_000);
    assert_eq!(stale.probes, [probe()].into());
    assert_eq!(
        state(&stale.view, "db"),
        MachineState::Active(Stage::Running)
    );
    tried(&mut picture, 10_001, false);
    obey(&mut picture, 10_001);
    let view = step(&picture, t(10_002)).view;
    let MachineState::Failed(why) = state(&view, "db") else {
        panic!("{view:?}");
    };
    assert!(
        why.contains("TCP 5432 of machine `erp/db`: connection refused"),
        "{why}"
    );
    let (by, name) = (key("db"), "db".into());
    assert_eq!(
        state(&view, "web"),
        MachineState::Blocked {
            by,
            name,
            plan: None
        }
    );

    let mut picture = gated(GateFailure::Continue);
    tried(&mut picture, 800, false);
    obey(&mut picture, 800);
    assert_eq!(
        state(&step(&picture, t(801)).view, "db"),
        MachineState::Done
    );
}

// What waits for a step outside waits for what the step waits for, then for a person's word, then
// for its port.
#[test]
fn steps_outside() {
    let mut picture = observed();
    decide(&mut picture, 10, |wave| {
        wave.workloads[0].depends_on = vec!["rac".into()];
        let tcp = HostPort {
            host: "erp-scan".to_owned(),
            port: 1521,
        };
        wave.steps = vec![WaveStep {
            name: "rac".into(),
            title: "switch over".to_owned(),
            depends_on: vec!["db".into()],
            done: StepDone {
                approval: Some(StepApproval::Required),
                tcp: Some(vec![tcp]),
            },
        }];
    });
    let waits = |picture: &Observed| match state(&step(picture, t(300)).view, "web") {
        MachineState::Waiting(wait) => wait,
        state => panic!("{state:?}"),
    };
    assert_eq!(waits(&picture), Wait::Dependency { on: key("db") });
    assert_eq!(
        step(&picture, t(300)).view.steps[0].state,
        StepState::Behind
    );
    record(&mut picture, "db", Stage::Running, exported(100));
    let for_step = Wait::Step {
        step: "rac".into(),
        title: "switch over".to_owned(),
    };
    assert_eq!(waits(&picture), for_step);
    assert!(step(&picture, t(300)).probes.is_empty());
    let word = ApprovalSpec {
        wave: None,
        digest: None,
        step: Some(StepRef {
            plan: "erp".into(),
            name: "rac".into(),
        }),
        occurrence: None,
        expires: None,
        reference: None,
    };
    picture
        .approvals
        .insert(At::new("elsewhere", "rac"), word.clone());
    assert!(step(&picture, t(300)).probes.is_empty());
    picture.approvals.insert(At::new("migrations", "rac"), word);
    let asked = Probe::Host {
        host: "erp-scan".to_owned(),
        port: 1521,
    };
    assert_eq!(step(&picture, t(300)).probes, [asked.clone()].into());
    assert_eq!(waits(&picture), for_step);
    let probed = Probed {
        at: t(299),
        failure: None,
    };
    picture.probes.insert(asked, probed);
    assert!(matches!(
        deeds(&picture, 300)[..],
        [Action::OpenRecord { .. }, ..]
    ));
    assert_eq!(step(&picture, t(300)).view.steps[0].state, StepState::Done);
}

// A failure holds back what depends on it; where its policy says so, its wave or its plan too, until
// somebody has seen to it.
#[test]
fn failure_stops() {
    let stopped = |policy: OnFailure| {
        let mut picture = observed();
        for n in [10, 20] {
            decide(&mut picture, n, |wave| wave.on_failure = policy);
        }
        decide(&mut picture, 10, |wave| wave.workloads.clear());
        record(&mut picture, "db", Stage::Failed, Times::default());
        let failed = HoldReason::Failure {
            name: "db".into(),
            of: key("db"),
        };
        let step = step(&picture, t(100));
        let holds = step.view.holds.iter();
        let held = holds.filter(|hold| hold.reason == failed);
        let held: Vec<String> = held.map(|hold| hold.wave.to_string()).collect();
        assert_eq!(step.view.finished, held.len() == 2);
        held
    };
    assert_eq!(stopped(OnFailure::Isolate), [""; 0]);
    assert_eq!(stopped(OnFailure::StopWave), ["erp-010"]);
    assert_eq!(stopped(OnFailure::StopPlan), ["erp-010", "erp-020"]);
}
