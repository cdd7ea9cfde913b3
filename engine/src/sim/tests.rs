//! The simulation against what was measured and against the tables of `docs/engine.md`.

#![expect(
    clippy::cast_precision_loss,
    reason = "figures are compared with tables in hours"
)]

use schemas::inventory::SourceKind;
use schemas::site::Admission;
use schemas::units::{Bytes, GIB};
use schemas::upstream::{ImportState, condition};

use super::*;
use crate::admission::{Ahead, Due, create_to_export, due, lead};
use crate::import::{DiskSpec, Fault, Guest, archive_name, file_names};
use crate::profile::Capacity;

const MINUTE: Millis = Millis::from_minutes(1);

/// An import with one disk of 100 GiB as in `docs/engine.md` §4: 30 s shutdown, 30 min export,
/// 10 min image, 60 s boot.
fn import(n: usize) -> ImportSpec {
    ImportSpec {
        namespace: "default".into(),
        name: format!("w{n:03}").into(),
        machine: format!("vm{n}").into(),
        kind: SourceKind::Openstack,
        guest: Guest::On(Timing::After(Millis::from_seconds(30))),
        shutdown_timeout: MINUTE,
        peak: Bytes::from_gib(100),
        archive: None,
        disks: vec![DiskSpec {
            file: format!("vm{n}-0.img").into(),
            written: Bytes::from_gib(100),
            image: Timing::After(Millis::from_minutes(10)),
        }],
        export: Timing::After(Millis::from_minutes(30)),
        boot: Timing::After(MINUTE),
        fault: None,
    }
}

/// The engine of that page: images do not share bandwidth.
fn profile() -> Profile {
    let mut profile = Profile::vm_import();
    profile.pools[1].capacity = Capacity::Slots(u32::MAX);
    profile
}

/// An OVA as in measured §2: 34 MB archive at 4 MB/s, one disk of 64 MiB, half of it filled.
fn a01() -> ImportSpec {
    let machine = ObjectName::from("a01");
    ImportSpec {
        kind: SourceKind::Ova,
        guest: Guest::Off,
        peak: Bytes::from_mib(32 + 32 + 33),
        archive: Some((archive_name(&machine), Bytes::from_mib(32))),
        disks: vec![DiskSpec {
            file: "a01-disk0.img".into(),
            written: Bytes::from_mib(32),
            image: Timing::After(Millis(200)),
        }],
        export: Timing::After(Millis(9_800)),
        boot: Timing::After(Millis::from_seconds(2)),
        machine,
        ..import(1)
    }
}

/// Runs on until nothing happens any more.
fn run(sim: &mut Sim) -> Vec<Change> {
    let mut changes = Vec::new();
    while let Some(at) = sim.next_event() {
        changes.extend(sim.advance_to(at));
        assert!(sim.now() < Millis::from_minutes(60 * 1000), "never ends");
    }
    changes
}

/// When the import's status became `state`.
fn reached(changes: &[Change], id: ImportId, state: &ImportState) -> Option<Millis> {
    let hit = changes.iter().find(|change| {
        change.import == Some(id)
            && matches!(&change.what, What::Status { state: s, .. } if s == state)
    });
    hit.map(|change| change.at)
}

/// Highest scratch bytes.
fn peak(changes: &[Change]) -> Bytes {
    let held = changes.iter().filter_map(|change| match change.what {
        What::Scratch(bytes) => Some(bytes),
        _ => None,
    });
    held.max().unwrap_or_default()
}

/// Hours of the last `virtualMachineRunning`, GiB of scratch, mean and longest downtime in hours.
fn figures(sim: &Sim, changes: &[Change]) -> (f64, u64, f64, f64) {
    let hours = |ms: u64| ms as f64 / 3_600_000.0;
    let times = |id| sim.import(id).times();
    let down: Vec<u64> = sim
        .ids()
        .map(|id| times(id).downtime().expect("all are ready").0)
        .collect();
    let last = sim
        .ids()
        .filter_map(|id| times(id).running)
        .max()
        .expect("all run");
    (
        hours(last.0),
        peak(changes).0 / GIB,
        hours(down.iter().sum::<u64>()) / down.len() as f64,
        hours(down.iter().copied().max().expect("some")),
    )
}

/// Creates `count` imports, each when `admit` says so of the one before.
fn one_after_the_other(
    count: usize,
    admit: impl Fn(&Import, Millis) -> bool,
) -> (Sim, Vec<Change>) {
    let mut sim = Sim::new(profile());
    let mut last = sim.create(import(0));
    let (mut created, mut changes) = (1, Vec::new());
    while let Some(at) = sim.next_event() {
        changes.extend(sim.advance_to(at));
        if created < count && admit(sim.import(last), sim.now()) {
            last = sim.create(import(created));
            created += 1;
        }
    }
    (sim, changes)
}

fn close(what: &str, got: f64, expected: f64) {
    // Two polls of two minutes, and the table's own rounding.
    assert!(
        (got - expected).abs() <= 0.07,
        "{what}: {got:.3}, the table says {expected}"
    );
}

// engine.md §4, apply all, N = 10 and 50: everybody waits for the whole batch.
#[test]
fn table_apply_all() {
    for (count, makespan, gib, longest) in [(10, 5.23, 1000, 5.20), (50, 25.30, 5000, 25.23)] {
        let mut sim = Sim::new(profile());
        for n in 0..count {
            sim.create(import(n));
        }
        let changes = run(&mut sim);
        let (end, held, mean, max) = figures(&sim, &changes);
        close("makespan", end, makespan);
        close("longest downtime", max, longest);
        assert_eq!(held, gib);
        if count == 10 {
            close("mean downtime", mean, 5.12);
        }
    }
}

// engine.md §4, window 1: the next one after `virtualMachineRunning`.
#[test]
fn table_window_one() {
    let (sim, changes) = one_after_the_other(10, |before, _| before.times().running.is_some());
    let (end, held, mean, max) = figures(&sim, &changes);
    close("makespan", end, 7.11);
    close("mean downtime", mean, 0.69);
    close("longest downtime", max, 0.69);
    assert_eq!(held, 100);
}

// engine.md §4, just in time: the next one when the export ends; one more export of downtime.
#[test]
fn table_just_in_time() {
    for (count, makespan, mean) in [(10, 5.31, 1.00), (50, 25.75, 1.03)] {
        let admit = |before: &Import, _| before.has(Condition::Exported);
        let (sim, changes) = one_after_the_other(count, admit);
        let (end, held, average, max) = figures(&sim, &changes);
        // 50 gaps between exports of up to five seconds each.
        assert!((end - makespan).abs() < 0.15, "{end}");
        close("mean downtime", average, mean);
        close("longest downtime", max, 1.04);
        assert_eq!(held, 300);
    }
}

// engine.md §4: the next one when the machine exists; least downtime.
#[test]
fn table_after_machine_created() {
    let (sim, changes) = one_after_the_other(10, |before, _| before.times().machine.is_some());
    let (end, held, mean, _) = figures(&sim, &changes);
    close("makespan", end, 6.81);
    close("mean downtime", mean, 0.69);
    assert_eq!(held, 200);
}

// Balanced costs no downtime against `downtime` and less makespan (measured-admission, reading 4).
#[test]
fn balanced_lies_between() {
    let shutdown = Millis::from_seconds(30);
    let lead = lead(&profile(), SourceKind::Openstack, shutdown);
    let policy = |policy: Admission| {
        let mut sim = Sim::new(profile());
        let mut last = sim.create(import(0));
        let (mut created, mut changes) = (1, Vec::new());
        while let Some(mut at) = sim.next_event() {
            let before = sim.import(last);
            let ahead = match before.times().exported {
                _ if before.times().machine.is_some() => Ahead::Created,
                Some(exported) => Ahead::Imaging {
                    images_in: exported + Millis::from_minutes(10),
                },
                None => Ahead::Exporting,
            };
            match due(policy, ahead, lead, sim.now()) {
                Due::Now if created < 10 => {
                    last = sim.create(import(created));
                    created += 1;
                }
                Due::At(due) if created < 10 => at = at.min(due),
                _ => {}
            }
            changes.extend(sim.advance_to(at));
        }
        figures(&sim, &changes)
    };
    let (downtime, balanced) = (policy(Admission::Downtime), policy(Admission::Balanced));
    let throughput = policy(Admission::Throughput);
    assert!(throughput.0 < balanced.0 && balanced.0 < downtime.0);
    close("mean downtime", balanced.2, downtime.2);
    assert!(balanced.2 < throughput.2 * 0.75);
}

// `create_to_export` is what an idle engine takes, whatever the guest and the source.
#[test]
fn create_to_export_is_exact() {
    for kind in [SourceKind::Vmware, SourceKind::Openstack, SourceKind::Ova] {
        for shutdown in [0, 1, 4_999, 5_000, 5_101, 8_000, 30_000, 59_000] {
            let mut sim = Sim::new(profile());
            let id = sim.create(ImportSpec {
                kind,
                guest: Guest::On(Timing::After(Millis(shutdown))),
                ..import(1)
            });
            run(&mut sim);
            assert_eq!(
                sim.import(id).times().export_start,
                Some(create_to_export(&profile(), kind, Millis(shutdown))),
                "{kind:?} {shutdown}"
            );
        }
    }
}

// measured §2, literal: one OVA import, its states and conditions with their times.
#[test]
fn timeline_of_an_ova() {
    let mut sim = Sim::new(profile());
    let id = sim.create(a01());
    let changes = run(&mut sim);
    let at = |state| reached(&changes, id, &state).expect("reached").0;
    let measured = [
        (at(ImportState::Valid), 0),
        (at(ImportState::SourceReady), 300),
        (at(ImportState::DisksExported), 10_300),
        (at(ImportState::DiskImageSubmitted), 10_400),
        (at(ImportState::DiskImagesReady), 10_600),
        (at(ImportState::VirtualMachineCreated), 11_500),
        // The poll begins right after the machine was created (1a: +120.2 s).
        (at(ImportState::VirtualMachineRunning), 11_500 + 120_200),
    ];
    for (got, expected) in measured {
        assert!(got.abs_diff(expected) <= 300, "{got} for {expected}");
    }
    let status = sim.import(id).status();
    for name in [
        condition::SHUTDOWN_GUEST,
        condition::POWERED_OFF,
        condition::EXPORTED,
    ] {
        assert!(status.has(name), "{name}");
    }
    assert_eq!(status.imported_virtual_machine_name.as_deref(), Some("a01"));
    assert_eq!(status.disk_import_status[0].disk_name, "a01-disk0.img");
    assert_eq!(sim.scratch().held(), Bytes::ZERO);
}

// measured 1b: a nudge by the image, once the machine is ready, saves the two minutes, and does
// nothing before that.
#[test]
fn nudge() {
    let mut sim = Sim::new(profile());
    let id = sim.create(a01());
    sim.advance_to(Millis(12_000));
    sim.nudge(id);
    sim.advance_to(Millis(13_000));
    assert_eq!(*sim.import(id).state(), ImportState::VirtualMachineCreated);
    sim.advance_to(Millis(15_000));
    sim.nudge(id);
    sim.advance_to(Millis(15_500));
    assert_eq!(*sim.import(id).state(), ImportState::VirtualMachineRunning);
    assert_eq!(sim.scratch().held(), Bytes::ZERO);
}

// measured 2: of three OVAs created within 0.9 s the first exports and the others stay untouched;
// w3's image is made only after w4's export.
#[test]
fn three_ovas() {
    let mut sim = Sim::new(profile());
    let mut ids = Vec::new();
    for n in 0..3 {
        sim.advance_to(Millis(450 * n));
        let machine = ObjectName::from(format!("a{n}"));
        ids.push(sim.create(ImportSpec {
            archive: Some((archive_name(&machine), Bytes::from_mib(32))),
            disks: vec![DiskSpec {
                file: format!("a{n}-disk0.img").into(),
                ..a01().disks[0].clone()
            }],
            machine,
            ..a01()
        }));
    }
    let mut changes = sim.advance_to(Millis(10_000));
    assert_eq!(*sim.import(ids[1]).state(), ImportState::New);
    assert_eq!(*sim.import(ids[2]).state(), ImportState::New);
    assert!(sim.import(ids[2]).status().import_conditions.is_empty());
    changes.extend(run(&mut sim));
    let submitted = reached(&changes, ids[1], &ImportState::DiskImageSubmitted);
    assert!(submitted > sim.import(ids[2]).times().exported);
    // Three times A + U (measured §6), with the third's peak before that.
    assert!(peak(&changes) >= Bytes::from_mib(3 * 64));
}

// measured §3: four OpenStack servers at once; the first is ready only after the last export.
#[test]
fn four_at_once() {
    let mut sim = Sim::new(profile());
    for n in 0..4 {
        sim.create(ImportSpec {
            export: Timing::After(Millis::from_seconds(62)),
            guest: Guest::On(Timing::After(Millis::from_seconds(3))),
            disks: vec![DiskSpec {
                image: Timing::After(Millis::from_seconds(3)),
                ..import(n).disks[0].clone()
            }],
            boot: Timing::After(Millis::from_seconds(2)),
            ..import(n)
        });
    }
    run(&mut sim);
    let last_exported = sim
        .ids()
        .filter_map(|id| sim.import(id).times().exported)
        .max();
    for id in sim.ids() {
        assert!(sim.import(id).times().ready > last_exported);
        let exports = sim.import(id).times().downtime().expect("ready").0 as f64 / 62_000.0;
        assert!((3.5..=4.5).contains(&exports), "{exports}, measured 4.0");
    }
}

// measured 3: a write to the import during its export costs a second one, and no trace is left in
// the status; a write to its image or to another import costs nothing.
#[test]
fn write_during_export() {
    let mut sim = Sim::new(profile());
    let (a, b) = (sim.create(import(1)), sim.create(import(2)));
    sim.advance_to(MINUTE);
    assert_eq!(sim.exporting(), Some(a));
    sim.nudge(a);
    sim.touch(b);
    sim.touch(a);
    let changes = run(&mut sim);
    let refused: Vec<_> = changes.iter().filter(|c| c.what == What::Refused).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!((sim.import(a).exports(), sim.import(b).exports()), (2, 1));
    assert_eq!(*sim.import(a).state(), ImportState::VirtualMachineRunning);
}

// measured §5: gone at once if the worker never had it; after another's export if it had; after
// its own export, with its raw leaking.
#[test]
fn deletion() {
    let mut sim = Sim::new(profile());
    let a = sim.create(ImportSpec {
        export: Timing::After(Millis::from_minutes(5)),
        ..a01()
    });
    sim.advance_to(Millis::from_seconds(20));
    let b = sim.create(import(2));
    sim.advance_to(Millis::from_seconds(21));
    sim.delete(b);
    assert!(sim.import(b).is_gone());
    sim.delete(a);
    sim.advance_to(Millis::from_minutes(4));
    assert!(!sim.import(a).is_gone());
    run(&mut sim);
    assert!(sim.import(a).is_gone());
    let left: Vec<_> = sim.scratch().files().map(|(name, _)| name).collect();
    assert_eq!(
        left,
        ["a01-disk0.img"],
        "the archive is removed, the raw leaks"
    );
    assert!(
        sim.import(a)
            .images()
            .iter()
            .all(|image| image.state == ImageState::Absent)
    );
}

#[test]
fn deletion_behind_another_export() {
    // One with a finalizer waits for the end of whatever is exported (measured §5: 12.8 s).
    let mut sim = Sim::new(profile());
    let a = sim.create(a01());
    sim.advance_to(Millis::from_seconds(12));
    assert_eq!(*sim.import(a).state(), ImportState::VirtualMachineCreated);
    let b = sim.create(import(2));
    sim.advance_to(Millis::from_minutes(1));
    assert_eq!(sim.exporting(), Some(b));
    sim.delete(a);
    sim.advance_to(Millis::from_minutes(30));
    assert!(!sim.import(a).is_gone());
    sim.advance_to(Millis::from_minutes(31));
    assert!(sim.import(a).is_gone());
}

// measured §4: a killed export starts from zero, over the same file; images that were being fetched
// break off for good (L02).
#[test]
fn kill_and_restart() {
    let mut sim = Sim::new(profile());
    let (a, b) = (sim.create(import(1)), sim.create(import(2)));
    // a is exported and stays in line while b is: no image of a exists yet.
    sim.advance_to(Millis::from_minutes(45));
    assert_eq!(sim.exporting(), Some(b));
    sim.kill();
    let b_left = sim.scratch().file("vm2-0.img").expect("stays").bytes;
    assert!(b_left > Bytes::from_gib(40) && b_left < Bytes::from_gib(50));
    sim.advance_to(Millis::from_minutes(45));
    assert_eq!(sim.advance_to(Millis::from_minutes(50)), []);
    sim.restart();
    sim.advance_to(Millis::from_minutes(51));
    assert_eq!(sim.exporting(), Some(b));
    assert_eq!(sim.import(b).exports(), 2);
    run(&mut sim);
    assert_eq!(*sim.import(a).state(), ImportState::VirtualMachineRunning);
    assert_eq!(*sim.import(b).state(), ImportState::VirtualMachineRunning);
    assert_eq!(sim.import(a).exports(), 1);

    let mut sim = Sim::new(profile());
    let c = sim.create(import(3));
    sim.advance_to(Millis::from_minutes(35));
    sim.kill();
    sim.restart();
    run(&mut sim);
    assert!(sim.import(c).images()[0].state == ImageState::Failed);
    assert_eq!(*sim.import(c).state(), ImportState::DiskImageSubmitted);
}

// The states that do not move by themselves, each with its trace or the lack of one.
#[test]
fn faults() {
    let end = |fault: Fault| {
        let mut sim = Sim::new(profile());
        let id = sim.create(ImportSpec {
            fault: Some(fault),
            ..a01()
        });
        sim.advance_to(Millis::from_minutes(60));
        (sim.import(id).status(), sim.scratch().held())
    };
    let (status, _) = end(Fault::SourceNotReady);
    assert_eq!(status.import_status, ImportState::New);
    let (status, _) = end(Fault::Invalid);
    assert_eq!(status.import_status, ImportState::Invalid);
    let (status, _) = end(Fault::VmGone);
    assert_eq!(status.import_status, ImportState::SourceReady);
    assert!(status.import_conditions.is_empty());
    let (status, held) = end(Fault::ExportFails {
        at: 80,
        message: "unexpected EOF".to_owned(),
    });
    assert_eq!(status.import_status, ImportState::MigrationFailed);
    assert_eq!(
        status.import_conditions[2].message.as_deref(),
        Some("unexpected EOF")
    );
    assert!(held > Bytes::ZERO, "the partial raw stays (measured §9)");
    let (status, held) = end(Fault::ImageFails { disk: 0 });
    assert_eq!(status.import_status, ImportState::DiskImageSubmitted);
    assert_eq!(held, Bytes::from_mib(64));
    let (status, _) = end(Fault::MachineRefused);
    assert_eq!(status.import_status, ImportState::DiskImagesReady);
    let (status, _) = end(Fault::ExportedTwice);
    assert_eq!(status.import_status, ImportState::VirtualMachineRunning);
}

// measured 12 and 7a: what is mended goes on by itself.
#[test]
fn healed() {
    for fault in [Fault::SourceNotReady, Fault::MachineRefused] {
        let mut sim = Sim::new(profile());
        let id = sim.create(ImportSpec {
            fault: Some(fault),
            ..a01()
        });
        sim.advance_to(MINUTE);
        sim.heal(id);
        run(&mut sim);
        assert_eq!(*sim.import(id).state(), ImportState::VirtualMachineRunning);
    }
}

// measured §4: a poison import kills the engine after every start, until it is deleted; then one
// more start is enough.
#[test]
fn poison() {
    let mut sim = Sim::new(Profile {
        restart: Some(Millis::from_seconds(10)),
        ..profile()
    });
    let poison = sim.create(ImportSpec {
        fault: Some(Fault::PanicOnLookup),
        ..import(1)
    });
    let other = sim.create(import(2));
    let changes = sim.advance_to(Millis::from_minutes(10));
    let downs = changes
        .iter()
        .filter(|c| matches!(c.what, What::EngineDown { .. }));
    assert!(downs.count() >= 4);
    sim.delete(poison);
    run(&mut sim);
    assert!(sim.import(poison).is_gone());
    assert_eq!(
        *sim.import(other).state(),
        ImportState::VirtualMachineRunning
    );
}

// N03 and N04: twins in two namespaces write the same file. Both at once: one machine gets the
// other's disk. The first's clean-up takes the second's file: its image is never in.
#[test]
fn twins() {
    let twin = |namespace: &str, n: usize| ImportSpec {
        namespace: namespace.into(),
        machine: "web".into(),
        disks: vec![DiskSpec {
            file: "web-0.img".into(),
            ..import(n).disks[0].clone()
        }],
        ..import(n)
    };
    let mut sim = Sim::new(profile());
    let (a, b) = (sim.create(twin("one", 1)), sim.create(twin("two", 2)));
    run(&mut sim);
    assert_eq!(sim.import(a).images()[0].content, Some(b), "wrong disk");
    assert_eq!(sim.import(b).images()[0].content, Some(b));

    // a is finished and its two-minute timer still pending when b has just been exported.
    let mut sim = Sim::new(profile());
    let a = sim.create(twin("one", 1));
    let ready = loop {
        let at = sim.next_event().expect("goes on");
        sim.advance_to(at);
        if let Some(ready) = sim.import(a).times().ready {
            break ready;
        }
    };
    sim.nudge(a);
    sim.advance_to(ready + Millis::from_seconds(1));
    assert!(sim.import(a).times().running.is_some());
    let b = sim.create(ImportSpec {
        guest: Guest::Off,
        export: Timing::After(Millis::from_minutes(2)),
        ..twin("two", 2)
    });
    run(&mut sim);
    assert!(sim.import(b).images()[0].state == ImageState::Failed);
}

// A guest that does not stop: VMware's power is cut after the timeout; OpenStack waits for ever.
#[test]
fn stubborn_guest() {
    for (kind, off) in [(SourceKind::Vmware, true), (SourceKind::Openstack, false)] {
        let mut sim = Sim::new(profile());
        let id = sim.create(ImportSpec {
            kind,
            guest: Guest::On(Timing::External),
            ..import(1)
        });
        sim.advance_to(Millis::from_seconds(90));
        assert_eq!(sim.import(id).guest_off(), off);
        assert_eq!(sim.import(id).has(Condition::PoweringOff), off);
    }
}

// Everything left to the outside world: the engine goes on when it is told, not before.
#[test]
fn external() {
    let mut sim = Sim::new(profile());
    let id = sim.create(ImportSpec {
        guest: Guest::On(Timing::External),
        export: Timing::External,
        boot: Timing::External,
        disks: vec![DiskSpec {
            image: Timing::External,
            ..import(1).disks[0].clone()
        }],
        ..import(1)
    });
    let asked = |changes: &[Change], what: What| changes.iter().any(|c| c.what == what);
    assert!(asked(&sim.advance_to(MINUTE), What::GuestAsked));
    sim.guest_off(id);
    assert!(asked(&sim.advance_to(MINUTE * 2), What::ExportStarted));
    sim.export_done(id, Ok(()));
    assert!(asked(
        &sim.advance_to(MINUTE * 3),
        What::ImageCreated { disk: 0 }
    ));
    sim.image_ready(id, 0);
    assert!(asked(&sim.advance_to(MINUTE * 4), What::MachineCreated));
    sim.machine_ready(id);
    sim.nudge(id);
    sim.advance_to(MINUTE * 5);
    assert_eq!(*sim.import(id).state(), ImportState::VirtualMachineRunning);

    let broken = sim.create(ImportSpec {
        guest: Guest::Off,
        export: Timing::External,
        ..import(2)
    });
    sim.advance_to(MINUTE * 6);
    sim.export_done(broken, Err("connection reset".to_owned()));
    sim.advance_to(MINUTE * 7);
    assert_eq!(*sim.import(broken).state(), ImportState::MigrationFailed);
}

// What the file server lists while an archive is downloaded grows (measured 14).
#[test]
fn listing_grows() {
    let mut sim = Sim::new(profile());
    sim.create(a01());
    sim.advance_to(Millis(3_000));
    let early = sim.listing();
    sim.advance_to(Millis(5_000));
    let later = sim.listing();
    let size = |files: &[(String, Bytes)]| {
        let file = files.iter().find(|(name, _)| name == "a01.ova");
        file.map_or(Bytes::ZERO, |(_, bytes)| *bytes)
    };
    assert!(Bytes::ZERO < size(&early) && size(&early) < size(&later));
}

// The names of files are the engine's (measured §2, §4, §8).
#[test]
fn names() {
    let names = |kind, import: &str, machine: &str, base: &str| {
        file_names(kind, &"ev".into(), &import.into(), &machine.into(), &[base])[0].to_string()
    };
    assert_eq!(
        names(SourceKind::Vmware, "v1", "web", ""),
        "v1-ev-disk-0.img"
    );
    assert_eq!(names(SourceKind::Openstack, "w1", "twin", ""), "twin-0.img");
    assert_eq!(
        names(SourceKind::Ova, "w1", "a01", "disk0.vmdk"),
        "a01-disk0.img"
    );
}
