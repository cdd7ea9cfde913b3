//! The fast decoder against the general one, and the laws of annealing.

use engine::Profile;
use proptest::prelude::*;
use schemas::inventory::SourceKind;
use schemas::site::Admission;
use schemas::units::{Bytes, Quantity};
use schemas::wave::WaveSize;

use super::super::decode::{Estate, Mode};
use super::super::{Job, Room, SourceHost, Target, Window, Workload, check_schedule};
use super::anneal::Anneal;
use super::line::{Line, State};
use super::*;
use crate::estimate::{Basis, Estimate, Estimates};
use crate::graph::Dag;

/// Up to 40 VMs on an engine that does not block: any dependencies without a cycle, one to three
/// exporters and image slots, two hosts, tight scratch, windows or none.
#[expect(clippy::too_many_lines, reason = "every field of a problem, once")]
fn problems() -> impl Strategy<Value = Problem> {
    let job = (
        1u64..90,
        1u64..120,
        0u64..6,
        1u64..100,
        0usize..2,
        0usize..40,
        0usize..40,
    );
    (
        prop::collection::vec(job, 1..40),
        1u32..4,
        1u32..4,
        100u64..200,
        any::<bool>(),
    )
        .prop_map(|(facts, exporters, slots, usable, windows)| {
            let minutes = |minutes| Estimate {
                value: Seconds::from_minutes(minutes),
                basis: Basis::Assumed,
            };
            let far = Seconds(u64::MAX / 4);
            let window = |day: u64, last: bool| Window {
                name: "open".into(),
                occurrence: format!("day-{day}").as_str().into(),
                from: Seconds::from_minutes(day * 1440),
                to: far,
                last_start: if last {
                    far
                } else {
                    Seconds::from_minutes(day * 1440 + 600)
                },
                reserve: Seconds::ZERO,
                vms_max: None,
            };
            let mut jobs = Vec::new();
            let mut workloads = Vec::new();
            for (n, (export, images, boot, gib, host, first, second)) in
                facts.into_iter().enumerate()
            {
                let size = Quantity(Bytes::from_gib(gib));
                jobs.push(Job {
                    vm: VmKey::new("estate", format!("vm{n:03}").as_str()),
                    name: format!("vm{n}").into(),
                    kind: SourceKind::Ova,
                    target: 0,
                    workload: n,
                    host: Some(host),
                    calendar: windows.then_some(0),
                    fixed: None,
                    under_way: false,
                    guest_runs: false,
                    size: WaveSize {
                        peak: size,
                        resident: size,
                        transfer: size,
                        disks: size,
                    },
                    takes: Room::default(),
                    estimates: Estimates {
                        shutdown: minutes(0),
                        export: minutes(export),
                        images: minutes(images),
                        boot: minutes(boot),
                    },
                    cut_p90: Seconds::from_minutes(export + images + boot),
                    gate: Seconds::ZERO,
                    after: Vec::new(),
                    excludes: Vec::new(),
                    weight: 1,
                });
                // Only lower positions: no cycle.
                let mut after: Vec<usize> = [first, second]
                    .into_iter()
                    .filter(|other| *other < n)
                    .collect();
                after.sort_unstable();
                after.dedup();
                workloads.push(Workload {
                    name: format!("w{n:03}").into(),
                    after,
                    step: None,
                });
            }
            let days = 60;
            Problem {
                admission: Admission::Throughput,
                targets: vec![Target {
                    name: "hv1".into(),
                    profile: Profile::ideal(exporters, slots),
                    capacity: Bytes::from_gib(usable),
                    usable: Bytes::from_gib(usable),
                    occupied: Vec::new(),
                    room: None,
                }],
                pools: Vec::new(),
                hosts: (1..3)
                    .map(|slots| SourceHost {
                        name: format!("esx-{slots}"),
                        slots,
                    })
                    .collect(),
                calendars: vec![(0..days).map(|day| window(day, day + 1 == days)).collect()],
                workloads,
                services: Vec::new(),
                barriers: Vec::new(),
                jobs,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    // The order that the search ends with gives the same times on the general decoder, to the
    // second; the independent checker accepts them, and no bound is beaten.
    #[test]
    fn agrees(problem in problems(), seed in any::<u64>()) {
        let flow = Flow::of(&problem).expect("plain");
        let (order, ..) = flow.search(&Budget::iterations(500, seed)).expect("can start");
        let dag = Dag::new(&problem.after()).expect("no cycle");
        let decoded = Estate::new(&problem, &dag).decode(&order, Mode::Exact);
        let mut line = Line::new(flow.model.len());
        let positions: Vec<u32> = order
            .iter()
            .map(|job| flow.jobs.iter().position(|other| other == job).expect("there"))
            .map(|at| u32::try_from(at).expect("few"))
            .collect();
        prop_assert!(line.decode(&flow.model, &mut State::new(&flow.model), &positions));
        prop_assert_eq!(decoded.slots.len(), order.len());
        let unit = unit(&problem, &problem.calendars[0][..usize::from(problem.jobs[0].calendar.is_some()) * 60]);
        for (job, slot) in &decoded.slots {
            let at = flow.jobs.iter().position(|other| other == job).expect("there");
            prop_assert_eq!(u64::from(line.start[at]) * unit, slot.times.export_start.0);
            prop_assert_eq!(u64::from(line.running[at]) * unit, slot.times.running.0);
        }
        let schedule = super::super::schedule_within(&problem, &Budget::iterations(500, seed));
        let schedule = schedule.expect("no cycle");
        prop_assert_eq!(check_schedule(&problem, &schedule), []);
        prop_assert!(schedule.bound.ends <= schedule.ends(), "{:?}", schedule.bound);
    }

    // What annealing keeps from move to move is what decoding from the start gives.
    #[test]
    fn keeps_count(problem in problems(), seed in any::<u64>()) {
        let flow = Flow::of(&problem).expect("plain");
        let order = search::starts(&flow.model, &flow.near).expect("can start").remove(0).order;
        let mut anneal = Anneal::new(&flow.model, order, seed);
        for _ in 0..300 {
            anneal.step(200 << 16);
            prop_assert!(anneal.is_consistent());
        }
    }
}

// Patience is a logarithm: mean one, never negative.
#[test]
fn patience() {
    let mut chance = Chance(7);
    let sum: u64 = (0..100_000).map(|_| chance.patience()).sum();
    let mean = sum / 100_000;
    assert!((65_000..66_100).contains(&mean), "{mean}");
}
