//! A schedule that stays near the one that was written down.
//!
//! Searching anew finds another order for the least change: one disk that has grown may make another
//! rule the best, and every wave would be another one. So what is found anew is weighed against the
//! imports in their old turns, each in its old occurrence. The old one is left only for one that
//! places more, keeps more windows, or is better by more than a hundredth.
//!
//! Planning again without a change gives the same: the imports in the order of their creation, each
//! in its occurrence, are decoded to the same schedule.
//!
//! A schedule that is new leaves a little of each occurrence unused, where that costs no more than a
//! hundredth: disks grow between a plan and its night, and one that has grown then still fits, with
//! all behind it, into the wave that was approved.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use schemas::ids::VmKey;
use schemas::units::Seconds;

use super::decode::{ANY_WINDOW, Decoded, Estate, Mode};
use super::improve::{Score, score, weigh};
use super::{Problem, Schedule, Slot, UnplacedReason};
use crate::before::Place;
use crate::graph::Dag;

/// How often imports that find no room in their old occurrence are given another one, before all is
/// planned anew.
const ROUNDS_MAX: usize = 8;

/// `fresh`, or what is near to what was before where that is as good.
///
/// `since_start` tells an instant in the problem's seconds.
pub(crate) fn steady(
    problem: &Problem,
    fresh: Schedule,
    before: &BTreeMap<VmKey, Place>,
    since_start: impl Fn(jiff::Timestamp) -> Seconds,
) -> Schedule {
    // An engine that does not block is searched for exact orders, which are decoded otherwise.
    if !problem.targets.iter().all(|target| target.profile.blocks()) {
        return fresh;
    }
    let known = problem.jobs.iter().filter_map(|job| {
        let place = before.get(&job.vm)?;
        let same = place.workload == problem.workloads[job.workload].name;
        same.then(|| (job.vm.clone(), place.clone()))
    });
    let before: BTreeMap<VmKey, Place> = known.collect();
    let kept = (!before.is_empty()).then(|| near(problem, &fresh, &before, since_start));
    match kept.flatten() {
        Some(kept) if is_same(&kept, &fresh) => fresh,
        Some(kept) if !is_worth(scored(problem, &fresh), score(problem, &kept)) => {
            scheduled(kept, &fresh)
        }
        _ => loosened(problem, fresh),
    }
}

fn is_same(decoded: &Decoded, schedule: &Schedule) -> bool {
    let there = schedule.slots.iter().map(|slot| (&slot.vm, slot.times));
    let slots = decoded.slots.iter();
    slots.map(|(_, slot)| (&slot.vm, slot.times)).eq(there)
}

/// What was decoded, beside what else is known of `fresh`.
fn scheduled(decoded: Decoded, fresh: &Schedule) -> Schedule {
    Schedule {
        slots: decoded.slots.into_iter().map(|(_, slot)| slot).collect(),
        unplaced: decoded.unplaced,
        steps: decoded.steps,
        scratch: decoded.scratch,
        bound: fresh.bound,
        rule: fresh.rule,
        tried: fresh.tried,
    }
}

fn scored(problem: &Problem, schedule: &Schedule) -> Score {
    let positions: BTreeMap<&VmKey, usize> =
        problem.jobs.iter().map(|job| &job.vm).zip(0..).collect();
    let slots = schedule.slots.iter();
    let times = slots.map(|slot| (positions[&slot.vm], slot.times, slot.window.as_ref()));
    weigh(problem, schedule.unplaced.len(), times)
}

/// What is left unused of an occurrence, in thousandths of it; tried one after the other.
const LOOSE_THOUSANDTHS: [u64; 3] = [20, 15, 10];

/// And at most: a disk that grows by 50 GiB takes some ten minutes more.
const LOOSE_MAX: Seconds = Seconds(15 * 60);

/// The schedule's order with a little of each occurrence left unused, unless that is worse.
fn loosened(problem: &Problem, fresh: Schedule) -> Schedule {
    if problem.calendars.is_empty() {
        return fresh;
    }
    let turns = turns(problem, &fresh, &BTreeMap::new());
    let mut order: Vec<usize> = (0..problem.jobs.len()).collect();
    order.sort_by_key(|job| (turns[*job], &problem.jobs[*job].vm));
    let best = scored(problem, &fresh);
    for thousandths in LOOSE_THOUSANDTHS {
        let decoded = loose(problem, &fresh, &order, thousandths);
        if decoded.as_ref().is_some_and(|it| is_same(it, &fresh)) {
            break;
        }
        if let Some(decoded) = decoded.filter(|it| !is_worth(best, score(problem, it))) {
            return scheduled(decoded, &fresh);
        }
    }
    fresh
}

/// The order, with so much of each occurrence left unused.
fn loose(
    problem: &Problem,
    fresh: &Schedule,
    order: &[usize],
    thousandths: u64,
) -> Option<Decoded> {
    let dag = Dag::new(&problem.after()).ok()?;
    let mut loose = problem.clone();
    for window in loose.calendars.iter_mut().flatten() {
        let lasts = window.to.saturating_sub(window.from);
        let unused = Seconds(lasts.0 * thousandths / 1000).min(LOOSE_MAX);
        window.reserve += unused;
        window.last_start = window.last_start.saturating_sub(unused);
    }
    let within = vec![ANY_WINDOW; loose.jobs.len()];
    let mut decoded = estate(&loose, &dag, fresh, within).decode(order, Mode::FirstThatFits);
    for (job, slot) in &mut decoded.slots {
        if let (Some(window), Some(calendar)) = (&mut slot.window, problem.jobs[*job].calendar) {
            let mut windows = loose.calendars[calendar].iter();
            let at = windows.position(|known| known.from == window.from && known == window);
            let at = at.expect("it starts in a window of its calendar");
            *window = problem.calendars[calendar][at].clone();
        }
    }
    Some(decoded)
}

/// Steps outside begin when they do in `fresh`.
fn estate<'a>(
    problem: &'a Problem,
    dag: &Dag,
    fresh: &Schedule,
    within: Vec<Range<usize>>,
) -> Estate<'a> {
    let mut estate = Estate::within(problem, dag, within);
    if !fresh.steps.is_empty() {
        estate.begins = vec![Seconds::ZERO; problem.workloads.len()];
        for step in &fresh.steps {
            estate.begins[step.workload] = step.begins;
        }
    }
    estate
}

/// Whether what was found anew is so much better than what stays near that it is worth new waves:
/// more is placed or inside its window, or more than a hundredth less of downtime, or of makespan.
fn is_worth(found: Score, kept: Score) -> bool {
    if (found.0, found.1) != (kept.0, kept.1) {
        return (found.0, found.1) < (kept.0, kept.1);
    }
    // Downtime is in hundredths already, and rounded.
    if found.2.abs_diff(kept.2) > 1 {
        return found.2 < kept.2;
    }
    found.3 + Seconds(kept.3.0 / 100) < kept.3
}

/// The imports in their old turns and occurrences. What is new comes behind the one that it follows
/// in `fresh`; what has no room any more comes where there is some, behind all others.
fn near(
    problem: &Problem,
    fresh: &Schedule,
    before: &BTreeMap<VmKey, Place>,
    since_start: impl Fn(jiff::Timestamp) -> Seconds,
) -> Option<Decoded> {
    let dag = Dag::new(&problem.after()).ok()?;
    let before = &swapped(problem, &dag, before);
    let mut turns = turns(problem, fresh, before);
    let mut free: BTreeSet<usize> = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        let mut order: Vec<usize> = (0..problem.jobs.len()).collect();
        order.sort_by_key(|job| (free.contains(job), turns[*job], &problem.jobs[*job].vm));
        let mut within = vec![ANY_WINDOW; problem.jobs.len()];
        for (position, job) in problem.jobs.iter().enumerate() {
            let place = before.get(&job.vm).filter(|_| !free.contains(&position));
            let (Some(calendar), Some((name, occurrence, from))) =
                (job.calendar, place.and_then(|place| place.window.as_ref()))
            else {
                continue;
            };
            let from = since_start(*from);
            let is_it = |w: &super::Window| {
                w.from == from && w.name == *name && w.occurrence == *occurrence
            };
            // An occurrence that is no more keeps nothing.
            if let Some(at) = problem.calendars[calendar].iter().position(is_it) {
                within[position] = at..at + 1;
            }
        }
        let estate = estate(problem, &dag, fresh, within.clone());
        let decoded = estate.decode(&order, Mode::FirstThatFits);
        let stuck: BTreeSet<&VmKey> = decoded
            .unplaced
            .iter()
            .filter(|out| !matches!(out.reason, UnplacedReason::Behind { .. }))
            .map(|out| &out.vm)
            .collect();
        let free_before = free.len();
        for (position, job) in problem.jobs.iter().enumerate() {
            if stuck.contains(&job.vm) && within[position] != ANY_WINDOW {
                free.insert(position);
                turns[position] = (usize::MAX, turns[position].0);
            }
        }
        if free.len() == free_before {
            return Some(decoded);
        }
    }
    None
}

/// The old places, where workloads that came in another order than they must now have changed places
/// among each other: the turns and occurrences that they had together, in the order that they need.
fn swapped(
    problem: &Problem,
    dag: &Dag,
    before: &BTreeMap<VmKey, Place>,
) -> BTreeMap<VmKey, Place> {
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; problem.workloads.len()];
    for job in &problem.jobs {
        if let Some(place) = before.get(&job.vm) {
            let span = &mut spans[job.workload];
            let (first, last) = span.unwrap_or((place.turn, place.turn));
            *span = Some((first.min(place.turn), last.max(place.turn)));
        }
    }
    // By workload: the lowest of those that it has changed places with.
    let mut with: Vec<usize> = (0..spans.len()).collect();
    for (workload, it) in problem.workloads.iter().enumerate() {
        for other in &it.after {
            if let (Some((first, _)), Some((_, last))) = (spans[workload], spans[*other])
                && last > first
            {
                let (a, b) = (
                    with[workload].min(with[*other]),
                    with[workload].max(with[*other]),
                );
                with.iter_mut()
                    .filter(|of| **of == b)
                    .for_each(|of| *of = a);
            }
        }
    }
    let mut ranks = vec![0; spans.len()];
    for (rank, workload) in dag.order().iter().enumerate() {
        ranks[*workload] = rank;
    }
    let mut groups: BTreeMap<usize, Vec<(usize, &VmKey, &Place)>> = BTreeMap::new();
    for job in &problem.jobs {
        if let Some(place) = before.get(&job.vm) {
            let group = groups.entry(with[job.workload]).or_default();
            group.push((ranks[job.workload], &job.vm, place));
        }
    }
    let mut places = before.clone();
    for group in groups.values_mut() {
        group.sort_by_key(|(rank, _, place)| (*rank, place.turn));
        if group.is_sorted_by_key(|(.., place)| place.turn) {
            continue;
        }
        let mut free: Vec<&Place> = group.iter().map(|(.., place)| *place).collect();
        free.sort_by_key(|place| place.turn);
        for ((_, vm, _), place) in group.iter().zip(free) {
            places.insert((*vm).clone(), place.clone());
        }
    }
    places
}

/// By job: its old turn; for one that is new, that of the one that it follows in `fresh`, and how
/// many are new between.
fn turns(
    problem: &Problem,
    fresh: &Schedule,
    before: &BTreeMap<VmKey, Place>,
) -> Vec<(usize, usize)> {
    let mut found: BTreeMap<&VmKey, (usize, usize)> = BTreeMap::new();
    let mut last = (0, 0);
    let mut slots: Vec<&Slot> = fresh.slots.iter().collect();
    slots.sort_by_key(|slot| (slot.target, slot.place));
    for slot in slots {
        last = before
            .get(&slot.vm)
            .map_or((last.0, last.1 + 1), |place| (place.turn, 0));
        found.insert(&slot.vm, last);
    }
    let known = |vm: &VmKey| before.get(vm).map(|place| (place.turn, 0));
    problem
        .jobs
        .iter()
        .map(|job| {
            let turn = found.get(&job.vm).copied().or_else(|| known(&job.vm));
            turn.unwrap_or((usize::MAX, 0))
        })
        .collect()
}
