//! A second engine: several workers, pools, and a stage that copies ahead while guests run. Nothing of
//! it is in a schema; it shows that an engine is a profile and not code.

use engine::profile::{By, Capacity, Hold, Lasts, Part, Phase, PhaseName, Pool, Scope};

use super::constraints::key;
use super::*;

const CUT: Phase = Phase {
    name: PhaseName::Export,
    part: Part::Cut,
    guest_down: true,
    takes: &[],
    scratch: Hold::Nothing,
    lasts: Lasts::Changes(5),
    by: By::Engine,
    repeated: true,
};

/// Copied ahead, two at once of one host and five in all; then, with the guest off, what has changed,
/// and a conversion, of which two are done at once. It needs no scratch.
const WARM: &[Phase] = &[
    Phase {
        name: PhaseName::Stage,
        part: Part::Stage,
        guest_down: false,
        takes: &[("copies of a host", 1), ("copies", 1)],
        lasts: Lasts::Transfer,
        by: By::Executor,
        ..CUT
    },
    Phase {
        name: PhaseName::Shutdown,
        guest_down: false,
        lasts: Lasts::Shutdown,
        by: By::Executor,
        ..CUT
    },
    CUT,
    Phase {
        name: PhaseName::Images,
        takes: &[("conversions", 1)],
        lasts: Lasts::Disks,
        ..CUT
    },
    Phase {
        name: PhaseName::Boot,
        lasts: Lasts::Boot,
        ..CUT
    },
    Phase {
        name: PhaseName::Release,
        guest_down: false,
        lasts: Lasts::Nothing,
        by: By::Executor,
        ..CUT
    },
];

fn warm() -> Profile {
    let pool = |name, of, slots| Pool {
        name,
        of,
        capacity: Capacity::Slots(slots),
        blocks: false,
    };
    Profile {
        pools: vec![
            pool("copies of a host", Scope::Host, 2),
            pool("copies", Scope::Engine, 5),
            pool("conversions", Scope::Engine, 2),
        ],
        phases: WARM,
        ..Profile::vm_import()
    }
}

/// The problem on that engine, each VM on one of two hosts.
fn warmed(mut problem: Problem) -> Problem {
    problem.hosts = ["esx-1", "esx-2"]
        .map(|name| SourceHost {
            name: name.to_owned(),
            slots: 100,
        })
        .to_vec();
    for target in &mut problem.targets {
        target.profile = warm();
    }
    for (n, job) in problem.jobs.iter_mut().enumerate() {
        job.host = Some(n % 2);
        job.cut_p90 = job.estimates.cut(&warm(), job.kind);
    }
    problem
}

/// Most that are under way at once, by counting at every beginning.
fn most_at_once(spans: &[(Seconds, Seconds)]) -> usize {
    let at = |at: Seconds| {
        spans
            .iter()
            .filter(move |(from, to)| *from <= at && at < *to)
    };
    let counts = spans.iter().map(|(from, _)| at(*from).count());
    counts.max().unwrap_or(0)
}

// Days before the window opens everything is copied; the cuts alone lie in the window, and a guest is
// down for what has changed, the conversion and the boot, not for the copy.
#[test]
fn copies_ahead() {
    let mut problem = warmed(problem(&[&[]], (0..4).map(|n| job(n, 100, 0)).collect()));
    problem.calendars = vec![vec![window(3, 4)]];
    for job in &mut problem.jobs {
        job.calendar = Some(0);
    }
    let opens = Seconds(3 * 86_400);
    let schedule = solve(&problem);
    assert_eq!(schedule.slots.len(), 4);
    for slot in &schedule.slots {
        let (from, to) = slot.stage.expect("it is copied ahead");
        let estimates = &problem.jobs[0].estimates;
        assert_eq!(to - from, estimates.export.value);
        assert!(to < Seconds(86_400) && slot.times.created >= opens);
        let changed = Seconds(estimates.export.value.0.div_ceil(20));
        let least = changed + estimates.images.value + estimates.boot.value;
        assert_eq!(estimates.downtime(&warm()), least);
        let down = slot.times.downtime();
        assert!((least..least + Seconds(20)).contains(&down), "{down}");
    }
    // On the engine that has no stage the same night takes two of them.
    for target in &mut problem.targets {
        target.profile = Profile::vm_import();
    }
    for job in &mut problem.jobs {
        job.cut_p90 = job.estimates.cut(&Profile::vm_import(), job.kind);
    }
    let cold = solve(&problem);
    assert_eq!(cold.slots.len(), 1);
    assert!(cold.slots[0].times.downtime() > Seconds(6000 + 2000));
}

// Pools: no more than two copies of one host and five in all, two conversions.
#[test]
fn pools() {
    let problem = warmed(problem(&[&[]], (0..12).map(|n| job(n, 60, 0)).collect()));
    let schedule = solve(&problem);
    let stages: Vec<(Seconds, Seconds)> = schedule.slots.iter().filter_map(|s| s.stage).collect();
    assert_eq!(stages.len(), 12);
    assert_eq!(most_at_once(&stages), 4, "two hosts, two of each");
    let conversions: Vec<(Seconds, Seconds)> = schedule
        .slots
        .iter()
        .map(|slot| (slot.times.exported, slot.times.images_in))
        .collect();
    assert_eq!(most_at_once(&conversions), 2);
    let mut wide = problem.clone();
    for (n, job) in wide.jobs.iter_mut().enumerate() {
        wide.hosts.push(SourceHost {
            name: format!("own-{n}"),
            slots: 100,
        });
        job.host = Some(n + 2);
    }
    let schedule = solve(&wide);
    let stages: Vec<(Seconds, Seconds)> = schedule.slots.iter().filter_map(|s| s.stage).collect();
    assert_eq!(most_at_once(&stages), 5);
}

// What depends on another is copied beside it, and cut over after it runs.
#[test]
fn dependencies_bind_the_cut() {
    let problem = warmed(problem(&[&[], &[0]], vec![job(0, 60, 0), job(1, 60, 1)]));
    let schedule = solve(&problem);
    let (db, app) = (slot(&schedule, 0), slot(&schedule, 1));
    assert_eq!(app.stage.map(|(from, _)| from), Some(Seconds::ZERO));
    assert!(app.times.created >= db.times.running);
    assert_eq!(app.held, Held::Dependency { on: db.vm.clone() });
    assert_eq!(db.held, Held::Stage);
}

// A copy takes room on its target from its beginning: what has none is not even begun.
#[test]
fn room_from_the_beginning() {
    let mut problem = warmed(problem(&[&[]], (0..3).map(|n| job(n, 60, 0)).collect()));
    for job in &mut problem.jobs {
        job.takes.storage = Bytes::from_gib(60);
    }
    problem.targets[0].room = Some(Room {
        memory: Bytes::from_gib(1),
        cpu_milli: 1,
        storage: Bytes::from_gib(130),
    });
    let schedule = solve(&problem);
    assert_eq!(schedule.slots.len(), 2);
    assert_eq!(
        schedule.unplaced[0].reason,
        UnplacedReason::TargetFull {
            resource: Resource::Storage
        }
    );
}

// The checker knows stages: none, one that ends too late, more at once than a pool has.
#[test]
fn checker_knows_stages() {
    let problem = warmed(problem(&[&[]], (0..6).map(|n| job(n, 60, 0)).collect()));
    let good = solve(&problem);
    let broken = |change: &dyn Fn(&mut Slot)| {
        let mut schedule = good.clone();
        schedule.slots.iter_mut().for_each(change);
        check_schedule(&problem, &schedule)
    };
    let vm = key(5);
    let never = broken(&|slot| slot.stage = slot.stage.filter(|_| slot.vm != vm));
    assert_eq!(never, [Violation::NotStaged { vm: vm.clone() }]);
    let late = broken(&|slot| {
        slot.stage = slot
            .stage
            .map(|(from, _)| (from, slot.times.created + Seconds(1)));
    });
    assert!(
        late.iter()
            .any(|v| matches!(v, Violation::Backwards { .. }))
    );
    let crowded = broken(&|slot| slot.stage = Some((Seconds::ZERO, Seconds(3600))));
    assert!(crowded.iter().any(|v| matches!(
        v,
        Violation::TooMany {
            what: "copies of a host",
            ..
        }
    )));
    let hurried = broken(&|slot| slot.stage = slot.stage.map(|(_, to)| (to, to)));
    assert!(
        hurried
            .iter()
            .any(|v| matches!(v, Violation::TooFast { phase: "stage", .. }))
    );
}

// An engine with a pool that has nothing of what a phase takes lets nobody through, and says so.
#[test]
fn empty_pool() {
    let mut problem = warmed(problem(&[&[]], vec![job(0, 10, 0)]));
    problem.targets[0].profile.pools[2].capacity = Capacity::Slots(0);
    let schedule = solve(&problem);
    assert_eq!(schedule.unplaced[0].reason, UnplacedReason::NoExporter);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    // Whatever the problem, and on either kind of engine without a blocking worker: the checker finds
    // nothing, no bound is beaten, and the order of the jobs changes nothing.
    #[test]
    fn laws_of_other_engines(problem in problems(), stage in any::<bool>(), workers in 1u32..4) {
        let mut problem = problem;
        if stage {
            problem = warmed(problem);
        } else {
            for target in &mut problem.targets {
                target.profile = Profile::ideal(workers, 2);
            }
        }
        let schedule = few(&problem).expect("no cycle");
        prop_assert_eq!(check_schedule(&problem, &schedule), []);
        prop_assert_eq!(schedule.slots.len() + schedule.unplaced.len(), problem.jobs.len());
        if schedule.unplaced.is_empty() {
            prop_assert!(schedule.bound.ends <= schedule.ends(), "{:?}", schedule.bound);
        }
        let mut turned = problem.clone();
        turned.jobs.reverse();
        prop_assert_eq!(few(&turned).expect("no cycle"), schedule);
    }
}
