//! Nobody is created before those that it waits for are done: workloads, steps outside, single VMs,
//! what barriers name. A gate counts.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::VmKey;
use schemas::units::Seconds;

use super::super::{Job, Problem, Slot};
use super::{NEVER, Violation};

/// When all of something is done, and the VM that is last; never, if one has no slot.
type Done<'a> = Option<(Seconds, &'a VmKey)>;

pub(super) fn judge(problem: &Problem, pairs: &[(&Job, &Slot)], found: &mut Vec<Violation>) {
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
    let mut steps = vec![None; problem.workloads.len()];
    for workload in 0..problem.workloads.len() {
        step_ends(problem, &last, workload, &mut steps);
    }
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

/// When a workload's step can have ended at the earliest; none: it has no step. Workloads do not
/// wait for each other in a circle.
fn step_ends(
    problem: &Problem,
    last: &[Done],
    workload: usize,
    known: &mut [Option<Seconds>],
) -> Option<Seconds> {
    let step = problem.workloads[workload].step?;
    if let Some(ends) = known[workload] {
        return Some(ends);
    }
    let mut begins = step.from;
    for other in &problem.workloads[workload].after {
        let machines = last[*other].map_or(Seconds::ZERO, |(at, _)| at);
        let outside = step_ends(problem, last, *other, known).unwrap_or_default();
        begins = begins.max(machines).max(outside);
    }
    let ends = match step.calendar {
        _ if begins == NEVER => NEVER,
        None => begins + step.takes,
        Some(calendar) => {
            let mut ends = problem.calendars[calendar].iter().filter_map(|window| {
                let start = begins.max(window.from);
                let inside = start < window.last_start && start + step.takes <= window.to;
                inside.then(|| start + step.takes)
            });
            ends.next().unwrap_or(NEVER)
        }
    };
    known[workload] = Some(ends);
    Some(ends)
}
