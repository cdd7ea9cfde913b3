//! A schedule once more, with other durations: what was decided stays decided, and only the moments
//! move, as they would when it is run.

use std::collections::BTreeMap;

use schemas::ids::VmKey;

use super::decode::{ANY_WINDOW, Estate, Mode};
use super::{Job, Problem, Schedule, Slot, Window};
use crate::estimate::Estimates;
use crate::graph::Dag;

/// Where an import goes whose turn comes too late for its occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLate {
    /// Nowhere: it has no slot.
    Out,
    /// To a later occurrence of its windows, if there is one.
    Later,
}

/// Runs the imports of `schedule` in their order, each in its own occurrence, with the durations
/// that `estimates` gives.
pub fn replay(
    problem: &Problem,
    schedule: &Schedule,
    too_late: TooLate,
    estimates: impl Fn(&Job) -> Estimates,
) -> Schedule {
    let slots: BTreeMap<&VmKey, &Slot> = schedule.slots.iter().map(|s| (&s.vm, s)).collect();
    let mut other = problem.clone();
    let mut within = vec![ANY_WINDOW; problem.jobs.len()];
    for (job, within) in other.jobs.iter_mut().zip(&mut within) {
        job.estimates = estimates(job);
        job.fixed = None;
        let kept = slots.get(&job.vm).and_then(|slot| slot.window.as_ref());
        if let (Some(calendar), Some(kept)) = (job.calendar, kept) {
            let mut windows = problem.calendars[calendar].iter();
            let is_it = |window: &Window| window.from == kept.from && window == kept;
            if let Some(at) = windows.position(is_it) {
                *within = match too_late {
                    TooLate::Out => at..at + 1,
                    TooLate::Later => at..usize::MAX,
                };
            }
        }
    }
    let mut order: Vec<usize> = (0..other.jobs.len())
        .filter(|job| slots.contains_key(&other.jobs[*job].vm))
        .collect();
    order.sort_by_key(|job| {
        let slot = slots[&other.jobs[*job].vm];
        (slot.times.created, slot.place)
    });
    let Ok(dag) = Dag::new(&other.after()) else {
        return schedule.clone();
    };
    let decoded = Estate::within(&other, &dag, within).decode(&order, Mode::FirstThatFits);
    Schedule {
        slots: decoded.slots.into_iter().map(|(_, slot)| slot).collect(),
        unplaced: decoded.unplaced,
        steps: decoded.steps,
        scratch: decoded.scratch,
        ..schedule.clone()
    }
}
