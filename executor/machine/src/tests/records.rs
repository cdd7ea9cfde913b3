//! One record on its way: the create protocol, what is recorded, and what follows.

use schemas::machine::{Stage, Times};
use schemas::upstream::{ImportState, condition};

use super::{EXPORTED, OFF, deeds, exported, exporting, state, written};
use crate::fixture::{
    decide, import_at, key, observed, open, put_image, put_import, record, record_at, t, wave_at,
};
use crate::{Action, At, Image, MachineState, Observed, StopMode, TargetMachine, Wait, step};

// An open attempt becomes an import, as often as it takes; at first sight its uid is recorded.
#[test]
fn create_protocol() {
    let mut picture = observed();
    open(&mut picture, "db");
    for now in [0, 100_000] {
        let actions = deeds(&picture, now);
        let [Action::CreateImport { at, attempt: 1, .. }] = &actions[..] else {
            panic!("{actions:?}");
        };
        assert_eq!(*at, import_at("db", 1));
    }
    put_import(&mut picture, "db", ImportState::New, &[]);
    let status = written(&deeds(&picture, 1), "db").unwrap();
    assert_eq!(status.uid.as_deref(), Some("uid-db"));
    assert_eq!(status.stage, Stage::Admitted);
    assert_eq!(status.times.created, Some(t(1)));
}

// An attempt that is open while its wave is held or decides something else is taken back: it would
// keep everybody from the engine. A stray one is, after a while.
#[test]
fn open_attempts_taken_back() {
    let mut held = observed();
    open(&mut held, "db");
    held.stops.insert("migrations".into(), StopMode::Admit);
    assert_eq!(
        written(&deeds(&held, 1), "db").unwrap().stage,
        Stage::Withdrawn
    );

    let mut replanned = observed();
    open(&mut replanned, "db");
    decide(&mut replanned, 10, |wave| {
        wave.imports[1].machine = "db2".into();
    });
    assert_eq!(
        written(&deeds(&replanned, 1), "db").unwrap().stage,
        Stage::Withdrawn
    );

    let mut stray = observed();
    open(&mut stray, "db");
    stray.waves.remove(&wave_at(10));
    assert_eq!(written(&deeds(&stray, 59), "db"), None);
    assert_eq!(step(&stray, t(59)).wake, Some(t(60)));
    assert_eq!(
        written(&deeds(&stray, 60), "db").unwrap().stage,
        Stage::Withdrawn
    );
}

// Of two open attempts, of which one came late, the older becomes an import; once that is there, the
// other is taken back too.
#[test]
fn late_attempt() {
    let mut picture = observed();
    open(&mut picture, "db");
    open(&mut picture, "old");
    let late = picture.records.get_mut(&record_at("old")).unwrap();
    late.spec.attempt.opened = t(1);
    let actions = deeds(&picture, 2);
    assert!(
        matches!(&actions[0], Action::CreateImport { at, .. } if *at == import_at("db", 1)),
        "{actions:?}"
    );
    assert_eq!(written(&actions, "old").unwrap().stage, Stage::Withdrawn);
    put_import(&mut picture, "db", ImportState::New, &[]);
    assert_eq!(
        written(&deeds(&picture, 2), "old").unwrap().stage,
        Stage::Withdrawn
    );
}

// What was recorded and is gone is never created again, whoever deleted it.
#[test]
fn gone() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Imaging, exported(100));
    let status = written(&deeds(&picture, 200), "db").unwrap();
    assert_eq!(status.stage, Stage::Held);
    assert!(status.message.unwrap().contains("is gone"));
    record(&mut picture, "db", Stage::Running, exported(100));
    let actions = deeds(&picture, 200);
    assert!(written(&actions, "db").is_none(), "{actions:?}");
}

// Somebody else's import under our name, or ours with another content, is left alone.
#[test]
fn conflict() {
    let mut foreign = observed();
    open(&mut foreign, "db");
    put_import(&mut foreign, "db", ImportState::New, &[]);
    let mut changed = foreign.clone();
    foreign
        .imports
        .get_mut(&import_at("db", 1))
        .unwrap()
        .machine = None;
    let import = changed.imports.get_mut(&import_at("db", 1)).unwrap();
    import.spec.virtual_machine_name = "another".to_owned();
    for picture in [foreign, changed] {
        let actions = deeds(&picture, 1);
        assert_eq!(written(&actions, "db").unwrap().stage, Stage::Held);
        assert_eq!(actions.len(), 1, "{actions:?}");
    }
}

// Recorded as running first, deleted then, and never before.
#[test]
fn running() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Booting, exported(100));
    put_import(
        &mut picture,
        "db",
        ImportState::VirtualMachineRunning,
        &EXPORTED,
    );
    let actions = deeds(&picture, 300);
    let status = written(&actions, "db").unwrap();
    assert_eq!(
        (status.stage, status.times.ready),
        (Stage::Running, Some(t(300)))
    );
    assert!(
        !actions
            .iter()
            .any(|a| matches!(a, Action::DeleteImport { .. }))
    );

    record(&mut picture, "db", Stage::Running, exported(100));
    let actions = deeds(&picture, 300);
    assert!(matches!(
        &actions[0],
        Action::DeleteImport { uid, resource_version: None, .. } if uid == "uid-db"
    ));
}

// The engine is woken by one image, once; what it is annotated with is when the machine was ready.
#[test]
fn nudge() {
    let mut picture = observed();
    let times = Times {
        machine: Some(t(200)),
        ..exported(100)
    };
    record(&mut picture, "db", Stage::Booting, times);
    put_import(
        &mut picture,
        "db",
        ImportState::VirtualMachineCreated,
        &EXPORTED,
    );
    put_image(&mut picture, "db", Image::default());
    let count = |picture: &Observed| {
        let actions = deeds(picture, 300).into_iter();
        actions
            .filter(|a| matches!(a, Action::NudgeImage { .. }))
            .count()
    };
    assert_eq!(count(&picture), 0);
    let machine = TargetMachine {
        ready: true,
        imported: true,
        created: None,
    };
    picture.machines.insert(At::new("erp", "db"), machine);
    assert_eq!(count(&picture), 1);
    let nudged = Some(t(299));
    put_image(
        &mut picture,
        "db",
        Image {
            nudged,
            ..Image::default()
        },
    );
    assert_eq!(count(&picture), 0);
    put_import(
        &mut picture,
        "db",
        ImportState::VirtualMachineRunning,
        &EXPORTED,
    );
    put_image(
        &mut picture,
        "db",
        Image {
            nudged,
            ..Image::default()
        },
    );
    assert_eq!(
        written(&deeds(&picture, 400), "db").unwrap().times.ready,
        nudged
    );
}

// A source that is never touched within two minutes: failed, said why, and then deleted, so that
// it cannot switch the guest off when nobody expects it.
#[test]
fn source_vm_gone() {
    let mut picture = observed();
    let times = Times {
        created: Some(t(0)),
        ..Times::default()
    };
    record(&mut picture, "db", Stage::Admitted, times.clone());
    put_import(&mut picture, "db", ImportState::SourceReady, &[]);
    assert_eq!(written(&deeds(&picture, 119), "db"), None);
    assert_eq!(step(&picture, t(119)).wake, Some(t(120)));
    let status = written(&deeds(&picture, 120), "db").unwrap();
    assert_eq!(status.stage, Stage::Failed);
    assert!(status.message.unwrap().contains("O02"));
    record(&mut picture, "db", Stage::Failed, times);
    let actions = deeds(&picture, 121);
    assert!(matches!(
        &actions[0],
        Action::DeleteImport { resource_version: Some(version), .. } if version == "9"
    ));
    // Those that depend on it are blocked, the others go on.
    let view = step(&picture, t(121)).view;
    let (by, name) = (key("db"), "db".into());
    assert_eq!(
        state(&view, "web"),
        MachineState::Blocked {
            by,
            name,
            plan: None
        }
    );
    assert_eq!(state(&view, "old"), MachineState::Waiting(Wait::Turn));
}

// An engine that looks at nothing fails no VM: that is said, and waited for.
#[test]
fn engine_down() {
    let mut picture = observed();
    let times = Times {
        created: Some(t(0)),
        ..Times::default()
    };
    record(&mut picture, "db", Stage::Admitted, times);
    put_import(&mut picture, "db", ImportState::New, &[]);
    picture
        .imports
        .get_mut(&import_at("db", 1))
        .unwrap()
        .touched = false;
    let status = written(&deeds(&picture, 120), "db").unwrap();
    assert_eq!(status.stage, Stage::Admitted);
    assert!(status.message.unwrap().contains("is its pod up?"));
}

// The first image that fails is final.
#[test]
fn image_failed() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Imaging, exported(100));
    put_import(
        &mut picture,
        "db",
        ImportState::DiskImageSubmitted,
        &EXPORTED,
    );
    put_image(
        &mut picture,
        "db",
        Image {
            given_up: true,
            ..Image::default()
        },
    );
    let status = written(&deeds(&picture, 101), "db").unwrap();
    assert_eq!(status.stage, Stage::Failed);
    assert!(status.message.unwrap().contains("S08"));
}

// The engine's own words about a failed export are passed on, with what is known of them.
#[test]
fn export_failed() {
    let cases = [
        ("No space left on device", "S01"),
        (
            "qemu_thread_create: Resource temporarily unavailable",
            "V20",
        ),
        ("Another task is already in progress.", "V13"),
    ];
    for (said, code) in cases {
        let mut picture = observed();
        record(&mut picture, "db", Stage::Exporting, exporting());
        put_import(&mut picture, "db", ImportState::MigrationFailed, &OFF);
        let import = picture.imports.get_mut(&import_at("db", 1)).unwrap();
        import
            .status
            .import_conditions
            .push(schemas::upstream::EngineCondition {
                message: Some(said.to_owned()),
                ..crate::fixture::condition(condition::EXPORT_FAILED)
            });
        let status = written(&deeds(&picture, 101), "db").unwrap();
        let message = status.message.unwrap();
        assert!(
            message.contains(said) && message.contains(code),
            "{message}"
        );
    }
}

// What failed by its clock and succeeds after all, has succeeded.
#[test]
fn late_success() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Failed, exported(100));
    put_import(
        &mut picture,
        "db",
        ImportState::VirtualMachineRunning,
        &EXPORTED,
    );
    let status = written(&deeds(&picture, 5000), "db").unwrap();
    assert_eq!((status.stage, status.message), (Stage::Running, None));
}

// Withdraw: recorded first, deleted then, only while it is untouched; a new attempt later.
#[test]
fn withdraw() {
    let mut picture = observed();
    let times = Times {
        created: Some(t(0)),
        ..Times::default()
    };
    record(&mut picture, "db", Stage::Admitted, times.clone());
    put_import(&mut picture, "db", ImportState::New, &[]);
    picture
        .stops
        .insert("migrations".into(), StopMode::Withdraw);
    assert_eq!(
        written(&deeds(&picture, 1), "db"),
        None,
        "the engine has it in hand"
    );
    picture
        .imports
        .get_mut(&import_at("db", 1))
        .unwrap()
        .touched = false;
    assert_eq!(
        written(&deeds(&picture, 1), "db").unwrap().stage,
        Stage::Withdrawn
    );
    record(&mut picture, "db", Stage::Withdrawn, times);
    assert!(matches!(
        &deeds(&picture, 2)[..],
        [Action::DeleteImport {
            resource_version: Some(_),
            ..
        }]
    ));
    picture.imports.clear();
    picture.stops.clear();
    let actions = deeds(&picture, 59);
    assert!(
        !actions
            .iter()
            .any(|a| matches!(a, Action::OpenAttempt { .. })),
        "a request of the first attempt may still be on its way"
    );
    let actions = deeds(&picture, 60);
    let Some(Action::OpenAttempt { spec, .. }) = actions.first() else {
        panic!("{actions:?}");
    };
    assert_eq!((spec.attempt.number, spec.attempt.opened), (2, t(60)));
}

// A late request of an earlier attempt is deleted before the engine sees it.
#[test]
fn superseded() {
    let mut picture = observed();
    open(&mut picture, "db");
    let record = picture.records.get_mut(&record_at("db")).unwrap();
    record.spec.attempt.number = 2;
    record.spec.attempt.import = import_at("db", 2).name;
    put_import(&mut picture, "db", ImportState::New, &[]);
    picture
        .imports
        .get_mut(&import_at("db", 1))
        .unwrap()
        .touched = false;
    let actions = deeds(&picture, 1);
    assert!(
        actions
            .iter()
            .any(|a| matches!(a, Action::DeleteImport { at, .. } if *at == import_at("db", 1))),
        "{actions:?}"
    );
    assert!(
        !actions
            .iter()
            .any(|a| matches!(a, Action::CreateImport { .. }))
    );
}

// A request that arrives when its import is long over and gone makes another one of the same name.
// It goes before the engine sees it; if the engine was quicker, the others keep out of its way.
#[test]
fn arrived_late() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Running, exported(100));
    put_import(&mut picture, "db", ImportState::New, &[]);
    let import = picture.imports.get_mut(&import_at("db", 1)).unwrap();
    import.uid = "another".to_owned();
    import.touched = false;
    let actions = deeds(&picture, 200);
    assert!(
        actions
            .iter()
            .any(|a| matches!(a, Action::DeleteImport { uid, resource_version: Some(_), .. } if uid == "another")),
        "{actions:?}"
    );
    put_import(&mut picture, "db", ImportState::SourceReady, &OFF);
    let import = picture.imports.get_mut(&import_at("db", 1)).unwrap();
    import.uid = "another".to_owned();
    assert_eq!(deeds(&picture, 200), []);
    assert!(matches!(
        state(&step(&picture, t(200)).view, "web"),
        MachineState::Waiting(Wait::ForeignImport { .. })
    ));
}

// An import that is not what its wave decided is held for a person, and goes on meanwhile: no other
// guest goes down before it is exported. Else one field that the engine's older CRD drops would
// bring down all of them, one second after the other.
#[test]
fn held_on_its_way() {
    let mut picture = observed();
    open(&mut picture, "db");
    put_import(&mut picture, "db", ImportState::SourceReady, &OFF[..1]);
    let import = picture.imports.get_mut(&import_at("db", 1)).unwrap();
    import.spec.graceful_shutdown_timeout_seconds = None;
    let status = written(&deeds(&picture, 1), "db").unwrap();
    assert_eq!(status.stage, Stage::Held);
    picture.records.get_mut(&record_at("db")).unwrap().status = Some(status);
    assert_eq!(deeds(&picture, 2), []);
    assert!(step(&picture, t(2)).view.finished);
}

// The engine's own words may be longer than a record takes: one that is refused is never written,
// and its import would be in front for ever.
#[test]
fn long_messages() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Exporting, exporting());
    put_import(&mut picture, "db", ImportState::MigrationFailed, &OFF);
    let import = picture.imports.get_mut(&import_at("db", 1)).unwrap();
    let conditions = &mut import.status.import_conditions;
    conditions.push(crate::fixture::condition(condition::EXPORT_FAILED));
    conditions.last_mut().unwrap().message = Some("é".repeat(5000));
    let status = written(&deeds(&picture, 20), "db").unwrap();
    let ready = &status.common.conditions[0].message;
    for message in [ready, &status.message.unwrap()] {
        assert_eq!(message.chars().count(), 1024);
    }
}

// An import that the API server will not have fails its own machine and nobody else's: the engine
// is free for the next one at once.
#[test]
fn refused() {
    let mut picture = observed();
    open(&mut picture, "db");
    let said = "namespaces \"erp\" not found".to_owned();
    picture.refused.insert(import_at("db", 1), said.clone());
    let actions = deeds(&picture, 1);
    assert_eq!(actions.len(), 1, "{actions:?}");
    let status = written(&actions, "db").unwrap();
    assert_eq!((status.stage, status.uid.clone()), (Stage::Failed, None));
    let why = status.message.clone().unwrap();
    assert!(why.contains(&said) && why.contains("retry"), "{why}");

    let record = picture.records.get_mut(&record_at("db")).unwrap();
    record.status = Some(status);
    let actions = deeds(&picture, 2);
    assert!(
        matches!(&actions[..], [Action::OpenRecord { at, .. }] if *at == record_at("old")),
        "{actions:?}"
    );
}

// A machine that is up when it is first seen wakes the engine before it is recorded as booting;
// when it was made is known afterwards. An import's uid is recorded before anything else.
#[test]
fn nudged_before_booting_is_recorded() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Imaging, exported(100));
    put_import(
        &mut picture,
        "db",
        ImportState::VirtualMachineCreated,
        &EXPORTED,
    );
    put_image(&mut picture, "db", Image::default());
    let machine = TargetMachine {
        ready: true,
        imported: true,
        created: Some(t(200)),
    };
    picture.machines.insert(At::new("erp", "db"), machine);
    let actions = deeds(&picture, 230);
    assert!(
        matches!(&actions[..], [Action::NudgeImage { .. }, ..]),
        "{actions:?}"
    );
    let mut unseen = picture.clone();
    let known = unseen.records.get_mut(&record_at("db")).unwrap();
    known.status = None;
    assert!(written(&deeds(&unseen, 230), "db").unwrap().uid.is_some());

    let nudged = Image {
        nudged: Some(t(230)),
        ..Image::default()
    };
    put_image(&mut picture, "db", nudged);
    let booting = written(&deeds(&picture, 231), "db").unwrap();
    assert_eq!(booting.stage, Stage::Booting);
    put_import(
        &mut picture,
        "db",
        ImportState::VirtualMachineRunning,
        &EXPORTED,
    );
    let status = written(&deeds(&picture, 240), "db").unwrap();
    assert_eq!(status.stage, Stage::Running);
    assert_eq!(status.times.machine, Some(t(200)));
}

// Nobody says any more how fast an export is to be: it takes as long as it takes.
#[test]
fn export_without_its_wave() {
    let mut picture = observed();
    record(&mut picture, "db", Stage::Exporting, exporting());
    put_import(&mut picture, "db", ImportState::SourceReady, &OFF);
    let late = 10_000_000;
    assert_eq!(
        written(&deeds(&picture, late), "db").unwrap().stage,
        Stage::Failed
    );
    decide(&mut picture, 10, |wave| {
        wave.rates.export_bytes_per_second.0.0 /= 2;
    });
    assert_eq!(written(&deeds(&picture, late), "db"), None);
    picture.waves.remove(&wave_at(10));
    assert_eq!(written(&deeds(&picture, late), "db"), None);
}
