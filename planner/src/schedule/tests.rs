//! The scheduler's laws, and what it does in the cases that matter.

mod constraints;
mod stage;

use engine::Profile;
use proptest::prelude::*;
use schemas::inventory::SourceKind;
use schemas::site::{Admission, Assumptions};
use schemas::units::{Quantity, Span};
use schemas::wave::WaveSize;

use super::*;
use crate::estimate::Estimates;

/// A job of `gib` provisioned GiB in workload `workload`; 1 GiB a minute for the export, three a
/// minute for the images.
fn job(n: usize, gib: u64, workload: usize) -> Job {
    let kind = [SourceKind::Openstack, SourceKind::Vmware][n % 2];
    let gib_of = |gib| Quantity(Bytes::from_gib(gib));
    let peak = if kind == SourceKind::Vmware {
        gib * 2
    } else {
        gib
    };
    let size = WaveSize {
        peak: gib_of(peak),
        resident: gib_of(gib),
        transfer: gib_of(gib),
        disks: gib_of(gib),
    };
    let assumed = Assumptions {
        export_bytes_per_second: Quantity(Bytes((1 << 30) / 60)),
        image_bytes_per_second: Quantity(Bytes((1 << 30) / 20)),
        shutdown: Span(Seconds(30)),
        boot: Span(Seconds(60)),
        ..Assumptions::default()
    };
    let estimates = Estimates::new(&size, true, &assumed);
    Job {
        host: None,
        fixed: None,
        under_way: false,
        takes: Room::default(),
        cut_p90: estimates.cut(&Profile::vm_import(), kind),
        gate: Seconds::ZERO,
        after: Vec::new(),
        vm: VmKey::new("cloud", format!("vm{n:04}").as_str()),
        name: format!("VM{n}").into(),
        kind,
        target: 0,
        workload,
        calendar: None,
        guest_runs: true,
        estimates,
        size,
        excludes: Vec::new(),
        weight: 1,
    }
}

/// One target of 200 GiB, workloads that wait for each other as given.
fn problem(after: &[&[usize]], jobs: Vec<Job>) -> Problem {
    let workload = |(n, after): (usize, &&[usize])| Workload {
        name: format!("w{n}").into(),
        after: after.to_vec(),
        step: None,
    };
    Problem {
        admission: Admission::Balanced,
        pools: Vec::new(),
        hosts: Vec::new(),
        services: Vec::new(),
        barriers: Vec::new(),
        targets: vec![Target {
            name: "hv1".into(),
            profile: Profile::vm_import(),
            occupied: Vec::new(),
            room: None,
            capacity: Bytes::from_gib(220),
            usable: Bytes::from_gib(200),
        }],
        calendars: Vec::new(),
        workloads: after.iter().enumerate().map(workload).collect(),
        jobs,
    }
}

fn window(day: u64, hours: u64) -> Window {
    let from = Seconds(day * 86_400);
    Window {
        name: "night".into(),
        occurrence: format!("day-{day}").as_str().into(),
        from,
        to: from + Seconds(hours * 3600),
        last_start: from + Seconds(hours * 3600 - 1800),
        reserve: Seconds::ZERO,
        vms_max: None,
    }
}

/// Within a budget that is small enough for hundreds of cases.
fn few(problem: &Problem) -> Result<Schedule, Cycle> {
    schedule_within(problem, &Budget::iterations(5, 1))
}

fn solve(problem: &Problem) -> Schedule {
    let schedule = few(problem).expect("no cycle");
    assert_eq!(check_schedule(problem, &schedule), []);
    schedule
}

/// One VM's slot, by number.
fn slot(schedule: &Schedule, n: usize) -> &Slot {
    let vm = VmKey::new("cloud", format!("vm{n:04}").as_str());
    schedule.slot(&vm).expect("has a place")
}

// Nothing stands in the way of the first; the second waits for its turn; balanced admission leaves
// no one waiting out another's export.
#[test]
fn two_in_a_row() {
    let problem = problem(&[&[]], vec![job(0, 60, 0), job(1, 60, 0)]);
    let schedule = solve(&problem);
    let (first, second) = (&schedule.slots[0], &schedule.slots[1]);
    assert_eq!(first.held, Held::Nothing);
    assert_eq!(
        second.held,
        Held::Turn {
            after: first.vm.clone()
        }
    );
    assert!(second.times.export_start >= first.times.images_in);
    assert!(second.times.created < first.times.images_in);
    let own = Seconds(3600 + 1200 + 60);
    for slot in &schedule.slots {
        assert!(slot.times.downtime() >= own);
        assert!(
            slot.times.downtime() < own + Seconds(30),
            "{:?}",
            slot.times
        );
    }
}

// The three policies, as engine.md §4 has them: throughput ends first, downtime is least down.
#[test]
fn policies() {
    let mut problem = problem(&[&[]], (0..10).map(|n| job(2 * n, 40, 0)).collect());
    let mut run = |admission| {
        problem.admission = admission;
        let schedule = solve(&problem);
        (schedule.ends(), schedule.downtime().0)
    };
    let (throughput, balanced, downtime) = (
        run(Admission::Throughput),
        run(Admission::Balanced),
        run(Admission::Downtime),
    );
    assert!(throughput.0 < balanced.0 && balanced.0 < downtime.0);
    assert!(balanced.1 < throughput.1 && balanced.1 <= downtime.1 + Seconds(5));
    let naive = all_at_once(&problem);
    assert!(naive.mean > Seconds(throughput.1.0 * 3));
    assert_eq!(naive.scratch, Bytes::from_gib(400));
}

// A dependant is not created before the whole workload before it runs, and the slot says which VM
// was the last.
#[test]
fn dependencies() {
    let problem = problem(
        &[&[1], &[]],
        vec![job(0, 10, 0), job(1, 20, 1), job(2, 30, 1)],
    );
    let schedule = solve(&problem);
    let app = slot(&schedule, 0);
    let db = [slot(&schedule, 1), slot(&schedule, 2)];
    let last = db.iter().max_by_key(|slot| slot.times.running);
    let last = last.expect("two of them");
    assert!(app.times.created >= last.times.running);
    assert_eq!(
        app.held,
        Held::Dependency {
            on: last.vm.clone()
        }
    );
}

// Tight scratch: the second waits until the first has released, and the slot says for how much.
#[test]
fn scratch() {
    let mut problem = problem(&[&[]], vec![job(0, 150, 0), job(2, 100, 0)]);
    problem.admission = Admission::Throughput;
    let schedule = solve(&problem);
    let (first, second) = (&schedule.slots[0], &schedule.slots[1]);
    assert!(second.times.created >= first.times.released);
    assert_eq!(
        second.held,
        Held::Scratch {
            lacking: Bytes::from_gib(50),
            holders: vec![first.vm.clone()],
        }
    );
    assert!(schedule.scratch[0].peak() <= Bytes::from_gib(200));
}

// Windows: what does not fit tonight waits for the next night; what fits no night is said.
#[test]
fn windows() {
    let mut problem = problem(&[&[]], (0..6).map(|n| job(2 * n, 90, 0)).collect());
    problem.calendars = vec![vec![window(1, 4), window(2, 4), window(3, 4)]];
    for job in &mut problem.jobs {
        job.calendar = Some(0);
    }
    problem.jobs[5] = Job {
        calendar: Some(0),
        ..job(10, 200, 0)
    };
    let schedule = solve(&problem);
    for slot in &schedule.slots {
        assert_eq!(slot.overrun(), Seconds::ZERO);
    }
    assert_eq!(schedule.slots.len(), 3, "one a night, at 2 h 2 min each");
    let reasons: Vec<_> = schedule.unplaced.iter().map(|u| &u.reason).collect();
    assert!(matches!(
        reasons[..],
        [
            UnplacedReason::WindowsFull,
            UnplacedReason::WindowsFull,
            UnplacedReason::WindowsTooShort { .. }
        ]
    ));
    assert_eq!(
        schedule.slots[1].held,
        Held::Window {
            opens: Seconds(2 * 86_400)
        }
    );
}

// What has no place takes those with it that depend on it, and says so.
#[test]
fn unplaced() {
    let problem = problem(&[&[], &[0]], vec![job(0, 300, 0), job(2, 10, 1)]);
    let schedule = solve(&problem);
    assert_eq!(
        schedule.unplaced[0].reason,
        UnplacedReason::LargerThanScratch {
            needs: Bytes::from_gib(300),
            usable: Bytes::from_gib(200)
        }
    );
    assert_eq!(
        schedule.unplaced[1].reason,
        UnplacedReason::Behind {
            vm: schedule.unplaced[0].vm.clone()
        }
    );
}

// Twins (N03) are never under way together: the second waits until the first is gone.
#[test]
fn exclusion() {
    let mut problem = problem(&[&[]], vec![job(0, 10, 0), job(2, 10, 0), job(4, 90, 0)]);
    problem.admission = Admission::Throughput;
    let keys: Vec<VmKey> = problem.jobs.iter().map(|job| job.vm.clone()).collect();
    problem.jobs[0].excludes = vec![keys[1].clone()];
    problem.jobs[1].excludes = vec![keys[0].clone()];
    let schedule = solve(&problem);
    let (a, b) = (slot(&schedule, 0), slot(&schedule, 2));
    assert!(a.times.released <= b.times.created || b.times.released <= a.times.created);
}

// Two targets work side by side, and a dependency across them holds.
#[test]
fn two_targets() {
    let mut problem = problem(
        &[&[], &[0]],
        vec![job(0, 60, 0), job(2, 60, 0), job(4, 30, 1)],
    );
    problem.targets.push(Target {
        name: "hv2".into(),
        ..problem.targets[0].clone()
    });
    problem.jobs[1].target = 1;
    problem.jobs[2].target = 1;
    let schedule = solve(&problem);
    assert_eq!(slot(&schedule, 0).times.created, Seconds::ZERO);
    assert_eq!(slot(&schedule, 2).times.created, Seconds::ZERO);
    let before = slot(&schedule, 0)
        .times
        .running
        .max(slot(&schedule, 2).times.running);
    assert!(slot(&schedule, 4).times.created >= before);
}

// Workloads that wait for each other are refused, with their positions.
#[test]
fn cycle() {
    let problem = problem(&[&[1], &[0]], vec![job(0, 10, 0), job(2, 10, 1)]);
    let refused = schedule(&problem).expect_err("a cycle");
    assert_eq!(refused.members, [0, 1]);
}

// The checker finds what is broken by hand: it is no copy of the decoder.
#[test]
fn checker_finds() {
    let problem = problem(
        &[&[1], &[]],
        vec![job(0, 150, 0), job(2, 150, 1), job(4, 10, 1)],
    );
    let good = solve(&problem);
    let broken = |change: &dyn Fn(&mut Schedule)| {
        let mut schedule = good.clone();
        change(&mut schedule);
        check_schedule(&problem, &schedule)
    };
    let missing = broken(&|s| {
        s.slots.pop();
    });
    assert!(matches!(missing[..], [Violation::NotPlacedOnce { .. }]));
    let overlapping = broken(&|s| {
        let shift = |t: &mut Seconds| *t = t.saturating_sub(Seconds(12_000));
        let times = &mut s.slots[2].times;
        for t in [
            &mut times.created,
            &mut times.off,
            &mut times.export_start,
            &mut times.exported,
            &mut times.images_in,
            &mut times.machine,
            &mut times.ready,
            &mut times.running,
            &mut times.released,
        ] {
            shift(t);
        }
    });
    let has = |wanted: fn(&Violation) -> bool| overlapping.iter().any(wanted);
    assert!(
        has(|v| matches!(
            v,
            Violation::TooMany {
                what: "exporters",
                ..
            }
        )),
        "{overlapping:?}"
    );
    assert!(has(|v| matches!(v, Violation::TooEarly { .. })));
    let fast = broken(&|s| s.slots[0].times.exported = s.slots[0].times.export_start);
    assert!(fast.iter().any(|v| matches!(
        v,
        Violation::TooFast {
            phase: "export",
            ..
        }
    )));
}

/// Problems of up to 30 imports: some too large, some with windows, some twins, any dependencies
/// that have no cycle, one or two targets.
fn problems() -> impl Strategy<Value = Problem> {
    let job_facts = (1u64..120, 0usize..5, 0usize..2, any::<bool>(), 0usize..3);
    (
        prop::collection::vec(job_facts, 1..30),
        prop::collection::vec(prop::collection::vec(0usize..5, 0..3), 5),
        0usize..3,
        any::<bool>(),
        100u64..300,
    )
        .prop_map(|(facts, after, policy, windows, usable)| {
            let mut jobs: Vec<Job> = Vec::new();
            for (n, (gib, workload, target, guest_runs, twin)) in facts.into_iter().enumerate() {
                let mut job = Job {
                    target,
                    guest_runs,
                    calendar: (windows && n % 3 > 0).then_some(0),
                    ..job(n, gib, workload)
                };
                if !guest_runs {
                    job.estimates.shutdown.value = Seconds::ZERO;
                }
                if let Some(other) = jobs.len().checked_sub(1).filter(|_| twin == 0) {
                    jobs[other].excludes.push(job.vm.clone());
                    job.excludes.push(jobs[other].vm.clone());
                }
                jobs.push(job);
            }
            // Only lower positions: no cycle.
            let after: Vec<Vec<usize>> = after
                .into_iter()
                .enumerate()
                .map(|(n, after)| after.into_iter().filter(|other| *other < n).collect())
                .collect();
            let after: Vec<&[usize]> = after.iter().map(Vec::as_slice).collect();
            let mut problem = problem(&after, jobs);
            problem.targets[0].usable = Bytes::from_gib(usable);
            problem.targets.push(Target {
                name: "hv2".into(),
                ..problem.targets[0].clone()
            });
            problem.admission = [
                Admission::Downtime,
                Admission::Balanced,
                Admission::Throughput,
            ][policy];
            problem.calendars = vec![(1..15).map(|day| window(day, 6)).collect()];
            problem
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    // Whatever the problem: the independent checker finds nothing, no bound is beaten, and neither
    // asking twice nor another order of the jobs changes anything.
    #[test]
    fn laws(problem in problems(), seed in any::<u64>()) {
        let schedule = few(&problem).expect("no cycle");
        prop_assert_eq!(check_schedule(&problem, &schedule), []);
        if schedule.unplaced.is_empty() {
            prop_assert!(schedule.bound.ends <= schedule.ends());
        }
        let mut shuffled = problem.clone();
        let mut state = seed | 1;
        for n in (1..shuffled.jobs.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = usize::try_from(state >> 33).expect("31 bits") % (n + 1);
            shuffled.jobs.swap(n, other);
        }
        prop_assert_eq!(few(&shuffled).expect("no cycle"), schedule);
    }

    // What is held by the simulation is never more than what may be used.
    #[test]
    fn scratch_holds(problem in problems()) {
        let schedule = few(&problem).expect("no cycle");
        for scratch in &schedule.scratch {
            prop_assert!(scratch.peak() <= scratch.usable);
        }
    }
}
