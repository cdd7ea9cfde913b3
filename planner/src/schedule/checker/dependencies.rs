//! Nobody is created before those that it waits for are done: workloads, steps outside, single VMs,
//! what barriers name. A gate counts.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::VmKey;
use schemas::units::Seconds;

use super::super::{Job, Problem, Schedule, Slot};
use super::{NEVER, Violation};

/// When all of something is done, and the VM that is last; never, if one has no slot.
type Done<'a> = Option<(Seconds, &'a VmKey)>;

pub(super) fn judge(
    problem: &Problem,
    schedule: &Schedule,
    pairs: &[(&Job, &Slot)],
    found: &mut Vec<Violation>,
) {
    let done: BTreeMap<&VmKey, Seconds> = pairs
        .iter()
        .map(|(job, slot)| (&job.vm, slot.times.running + job.gate))
        .collect();
    let of_vm = |vm: &VmKey| done.get(vm).copied().unwrap_or(NEVER);
    // By workload: the last of its machines; what has none is done.
    let mut last: Vec<Done> = vec![None; problem.workloads.len()];
    for job in &problem.jobs {
        let so_far = &mut last[job.workload];
        *so_far = (*so_far).max(Some((of_vm(&job.vm), &job.vm)));
    }
    let known: BTreeSet<&VmKey> = problem.jobs.iter().map(|job| &job.vm).collect();
    let steps = outside(problem, &last, schedule, found);
    for (job, slot) in pairs {
        for workload in &problem.workloads[job.workload].after {
            late(slot, last[*workload], found);
            if steps[*workload].is_some_and(|ends| ends > slot.times.created) {
                found.push(Violation::BeforeStep {
                    vm: slot.vm.clone(),
                    step: problem.workloads[*workload].name.clone(),
                });
            }
        }
        for vm in job.after.iter().filter(|vm| known.contains(vm)) {
            late(slot, Some((of_vm(vm), vm)), found);
        }
    }
    let slots: BTreeMap<&VmKey, &Slot> = pairs.iter().map(|(job, slot)| (&job.vm, *slot)).collect();
    for barrier in &problem.barriers {
        let first = barrier.first.iter().filter(|vm| known.contains(vm));
        let last = first.map(|vm| (of_vm(vm), vm)).max();
        let then = barrier.then.iter().filter(|vm| !barrier.first.contains(vm));
        for slot in then.filter_map(|vm| slots.get(vm)) {
            late(slot, last, found);
        }
    }
}

/// Told of the last one that it waits for.
fn late(slot: &Slot, last: Done, found: &mut Vec<Violation>) {
    let Some((at, on)) = last else { return };
    let (vm, on) = (slot.vm.clone(), on.clone());
    // Times are rounded down to whole seconds, a gate's end with them.
    if at == NEVER {
        found.push(Violation::WithoutDependency { vm, on });
    } else if at > slot.times.created {
        found.push(Violation::TooEarly { vm, on });
    }
}

/// When each workload's step ends, never where it has no place; none: it has no step. Each begins when
/// all before it is done, lies in its calendar, lasts as long as it takes, and what all take together
/// is there.
fn outside(
    problem: &Problem,
    last: &[Done],
    schedule: &Schedule,
    found: &mut Vec<Violation>,
) -> Vec<Option<Seconds>> {
    let steps = problem.workloads.iter().map(|it| it.step.as_ref());
    let mut ends: Vec<Option<Seconds>> = steps.map(|step| step.map(|_| NEVER)).collect();
    for slot in &schedule.steps {
        ends[slot.workload] = Some(slot.ends);
    }
    for slot in &schedule.steps {
        let workload = &problem.workloads[slot.workload];
        let mut wrong = |fault| {
            let step = workload.name.clone();
            found.push(Violation::Outside { step, fault });
        };
        let Some(step) = &workload.step else {
            wrong("is no step");
            continue;
        };
        if slot.begins + step.takes != slot.ends {
            wrong("does not last as long as it takes");
        }
        let machines = workload.after.iter().filter_map(|other| last[*other]);
        let before = machines.map(|(at, _)| at);
        let before = before.chain(workload.after.iter().filter_map(|other| ends[*other]));
        if before.chain([step.from]).any(|at| at > slot.begins) {
            wrong("begins before what it waits for is done");
        }
        let mut windows = step.calendar.iter().flat_map(|at| &problem.calendars[*at]);
        let inside = windows.any(|window| {
            let opens = window.from <= slot.begins && slot.begins < window.last_start;
            opens && slot.ends <= window.to
        });
        if step.calendar.is_some() && !inside {
            wrong("lies outside of its windows");
        }
        for (pool, it) in problem.pools.iter().enumerate() {
            let own = step.needs.get(pool).copied().unwrap_or_default();
            let lasts = slot.begins < slot.ends;
            let others = schedule.steps.iter().filter(|other| {
                let at_its_start = other.begins <= slot.begins && slot.begins < other.ends;
                // A step that takes no time takes nothing from anybody.
                lasts && at_its_start && other.workload != slot.workload
            });
            let needs = others.filter_map(|other| {
                let step = problem.workloads[other.workload].step.as_ref()?;
                step.needs.get(pool)
            });
            if own > 0 && needs.sum::<u64>() + own > it.capacity {
                wrong("takes more of a pool than others leave");
            }
        }
    }
    ends
}
