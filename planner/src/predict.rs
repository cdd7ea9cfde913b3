//! What a schedule is predicted to come to: with what was measured where there is enough of it, and
//! between which moments it ends.

use std::collections::BTreeMap;

use schemas::finding::Finding;
use schemas::forecast::Band;
use schemas::ids::VmKey;
use schemas::inventory::Inventory;

use crate::check::{Hit, table};
use crate::learned::{Learned, Rates};
use crate::resolve::{Index, ResolvedPlan};
use crate::schedule::{Job, Problem, Schedule, Slot, TooLate, replay};

/// Predictions for a schedule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Predicted {
    /// The schedule at the best known rates: the decided one, where nothing was measured.
    pub schedule: Schedule,
    /// The problem with those rates in it.
    pub problem: Problem,
    /// Between which moments it ends.
    pub band: Band,
    /// Imports whose turn would come too late for their window.
    pub findings: Vec<Finding>,
}

/// Predicts.
pub(crate) fn predict(
    plan: &ResolvedPlan,
    problem: &Problem,
    decided: &Schedule,
    inventory: &Inventory,
) -> Predicted {
    let learned = Learned::of(inventory);
    let rates = rates(problem, &learned, inventory);
    let of = |job: &Job| {
        rates.get(&job.vm).map_or(job.estimates, |rates| {
            job.estimates.measured(&job.size, rates)
        })
    };
    let mut findings = Vec::new();
    let mut known = problem.clone();
    let mut schedule = decided.clone();
    if !rates.is_empty() {
        for job in &mut known.jobs {
            job.estimates = of(job);
        }
        schedule = replay(problem, decided, TooLate::Out, of);
        let check = table::check("WR041").expect("in the table");
        for missed in &schedule.unplaced {
            if let Some(vm) = plan.vm(&missed.vm) {
                let evidence = "its turn would come too late for its occurrence";
                findings.push(Hit::vm(vm, evidence).finding(check));
            }
        }
        for slot in &schedule.slots {
            let (overrun, Some(window)) = (slot.overrun(), &slot.window) else {
                continue;
            };
            if let Some(vm) = plan.vm(&slot.vm).filter(|_| overrun.0 > 0) {
                let (name, id) = (&window.name, &window.occurrence);
                let evidence = format!("would end {overrun} after `{name} {id}` closes");
                findings.push(Hit::vm(vm, evidence).finding(check));
            }
        }
        // What has no moment any more is told as it was decided.
        let late: Vec<_> = schedule
            .unplaced
            .drain(..)
            .map(|missed| missed.vm)
            .collect();
        let slots = decided.slots.iter().filter(|slot| late.contains(&slot.vm));
        schedule.slots.extend(slots.cloned());
        schedule
            .slots
            .sort_by(|a, b| (a.times.created, &a.vm).cmp(&(b.times.created, &b.vm)));
    }
    let spread = |job: &Job| Uncertain::of(plan, rates.get(&job.vm).copied()).common;
    let occurrences: BTreeMap<&VmKey, _> = schedule
        .slots
        .iter()
        .map(|slot| (&slot.vm, &slot.window))
        .collect();
    let in_its_own = |slot: &&Slot| occurrences.get(&slot.vm) == Some(&&slot.window);
    let ends = |late: bool| {
        let scaled = replay(&known, &schedule, TooLate::Later, |job| {
            let hundredths = if late {
                100 + spread(job)
            } else {
                100 * 100 / (100 + spread(job))
            };
            job.estimates.scaled(hundredths)
        });
        let kept = scaled.slots.iter().filter(in_its_own).count();
        (scaled.ends(), schedule.slots.len() - kept)
    };
    let ((early, _), (late, late_missed)) = (ends(false), ends(true));
    let band = Band {
        early: early.min(schedule.ends()),
        late: late.max(schedule.ends()),
        late_missed: late_missed as u64,
    };
    Predicted {
        schedule,
        problem: known,
        band,
        findings,
    }
}

/// What was measured of imports like each job, where that is enough.
fn rates<'a>(
    problem: &'a Problem,
    learned: &'a Learned,
    inventory: &Inventory,
) -> BTreeMap<&'a VmKey, &'a Rates> {
    let index = Index::of(inventory);
    // What is under way is predicted from what is left of it.
    let to_come = problem.jobs.iter().filter(|job| !job.under_way);
    let measured = to_come.filter_map(|job| {
        let rates = learned.rates(&job.vm.source, job.size.disks.0, index.vm(&job.vm))?;
        Some((&job.vm, rates))
    });
    measured.collect()
}

/// By how many hundredths durations may be longer than predicted: in one of ten cases by more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uncertain {
    /// All imports of a source together.
    pub common: u64,
    /// Each by itself.
    pub own: u64,
}

impl Uncertain {
    /// Of an import like those that were measured, if any were. A median of many is surer than one of
    /// few: its error falls with the root of their number. What is assumed may be off as a whole.
    fn of(plan: &ResolvedPlan, measured: Option<&Rates>) -> Self {
        let assumed = u64::from(plan.assumptions.spread.0);
        measured.map_or(
            Self {
                common: assumed,
                own: assumed,
            },
            |rates| Self {
                common: rates.spread / (rates.samples as u64).isqrt().max(1),
                own: rates.spread,
            },
        )
    }
}

/// How sure the durations of each job are.
pub(crate) fn uncertainties(
    plan: &ResolvedPlan,
    problem: &Problem,
    inventory: &Inventory,
) -> BTreeMap<VmKey, Uncertain> {
    let learned = Learned::of(inventory);
    let rates = rates(problem, &learned, inventory);
    let jobs = problem.jobs.iter();
    jobs.map(|job| {
        let measured = rates.get(&job.vm).copied();
        (job.vm.clone(), Uncertain::of(plan, measured))
    })
    .collect()
}
