//! How long systems are down: services and workloads as their owners see them.
//!
//! A service is down from the first of its guests that goes off until the last of its machines is
//! ready and its gate holds, and the last of its steps outside that ends after that has ended. Where it moves in several occurrences of a window it works in between, and the times
//! add up.

use std::collections::BTreeMap;

use schemas::finding::{Finding, Subject};
use schemas::ids::{OccurrenceId, VmKey, WindowName, WorkloadName};
use schemas::units::Seconds;

use crate::check::{Hit, table};
use crate::resolve::{ResolvedPlan, ResolvedVm};
use crate::schedule::{Schedule, Slot};

/// How long something is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Down {
    /// Its machines that are moved.
    pub vms: usize,
    /// For so long.
    pub down: Seconds,
    /// First guest off.
    pub starts: Seconds,
    /// Last machine ready, its gate holding; last step outside done.
    pub ends: Seconds,
    /// In so many occurrences of a window.
    pub occurrences: usize,
}

/// Downtime of each service, in the plan's order; none of one that has nothing left to move.
pub fn services(plan: &ResolvedPlan, schedule: &Schedule) -> Vec<Option<Down>> {
    let slots = by_vm(schedule);
    let of = |names: &[WorkloadName]| {
        let vms = plan.vms.iter().filter(|vm| names.contains(&vm.workload));
        of_vms(plan, vms, &slots, steps(plan, schedule, names))
    };
    plan.services.iter().map(|s| of(&s.workloads)).collect()
}

/// Downtime of each workload, in the plan's order; none of one that has nothing left to move.
pub fn workloads(plan: &ResolvedPlan, schedule: &Schedule) -> Vec<Option<Down>> {
    let slots = by_vm(schedule);
    let mut members: BTreeMap<&WorkloadName, Vec<&ResolvedVm>> = BTreeMap::new();
    for vm in &plan.vms {
        members.entry(&vm.workload).or_default().push(vm);
    }
    let of = |name: &WorkloadName| {
        let own = members.get(name).map_or(&[][..], Vec::as_slice);
        of_vms(plan, own.iter().copied(), &slots, std::iter::empty())
    };
    plan.workloads.iter().map(|w| of(&w.name)).collect()
}

fn by_vm(schedule: &Schedule) -> BTreeMap<&VmKey, &Slot> {
    schedule.slots.iter().map(|slot| (&slot.vm, slot)).collect()
}

/// From when to when something is down, by the occurrence of a window.
pub(crate) type Spans<'s> =
    BTreeMap<Option<(&'s WindowName, &'s OccurrenceId)>, (Seconds, Seconds)>;

/// When the service of these workloads is down.
pub(crate) fn of_service<'s>(
    plan: &ResolvedPlan,
    schedule: &Schedule,
    slots: &BTreeMap<&VmKey, &'s Slot>,
    names: &[WorkloadName],
) -> Spans<'s> {
    let vms = plan.vms.iter().filter(|vm| names.contains(&vm.workload));
    spans(plan, vms, slots, steps(plan, schedule, names)).1
}

/// When the steps outside of these workloads are done.
fn steps<'a>(
    plan: &'a ResolvedPlan,
    schedule: &'a Schedule,
    names: &'a [WorkloadName],
) -> impl Iterator<Item = Seconds> + 'a {
    let steps = schedule.steps.iter().filter(|step| {
        let workload = plan.workloads.get(step.workload);
        workload.is_some_and(|workload| names.contains(&workload.name))
    });
    steps.map(|step| step.ends)
}

/// How many VMs there are, and when they are down.
fn spans<'a, 's>(
    plan: &ResolvedPlan,
    vms: impl Iterator<Item = &'a ResolvedVm>,
    slots: &BTreeMap<&VmKey, &'s Slot>,
    steps: impl Iterator<Item = Seconds>,
) -> (usize, Spans<'s>) {
    let mut spans: Spans<'s> = BTreeMap::new();
    let mut count = 0;
    for (vm, slot) in vms.filter_map(|vm| Some((vm, *slots.get(&vm.key)?))) {
        count += 1;
        let window = slot.window.as_ref().map(|w| (&w.name, &w.occurrence));
        let gate = plan.gate(vm).map(|gate| slot.times.running + gate);
        let (off, ready) = (slot.times.off, gate.unwrap_or(slot.times.ready));
        spans
            .entry(window)
            .and_modify(|(from, to)| (*from, *to) = ((*from).min(off), (*to).max(ready)))
            .or_insert((off, ready));
    }
    for ends in steps {
        // What ends before the first guest is off costs nobody anything.
        let begun = spans.values_mut().filter(|(off, _)| *off < ends);
        if let Some((_, ready)) = begun.max_by_key(|(off, _)| *off) {
            *ready = (*ready).max(ends);
        }
    }
    (count, spans)
}

fn of_vms<'a>(
    plan: &ResolvedPlan,
    vms: impl Iterator<Item = &'a ResolvedVm>,
    slots: &BTreeMap<&VmKey, &Slot>,
    steps: impl Iterator<Item = Seconds>,
) -> Option<Down> {
    let (count, spans) = spans(plan, vms, slots, steps);
    Some(Down {
        vms: count,
        down: spans.values().map(|(off, ready)| *ready - *off).sum(),
        starts: spans.values().map(|(off, _)| *off).min()?,
        ends: spans.values().map(|(_, ready)| *ready).max()?,
        occurrences: spans.len(),
    })
}

/// What is predicted to be down for longer than its budget: machines by their workload's, services
/// by their own.
pub(crate) fn over_budget(plan: &ResolvedPlan, schedule: &Schedule) -> Vec<Finding> {
    let check = table::check("WR040").expect("in the table");
    let mut findings = Vec::new();
    let slots = by_vm(schedule);
    for vm in &plan.vms {
        let Some(workload) = plan.workload(&vm.workload) else {
            continue;
        };
        if let Some(budget) = workload.budget
            && let Some(slot) = slots.get(&vm.key)
            && slot.times.downtime() > budget.0
        {
            let down = slot.times.downtime();
            let evidence = format!("down for {down}, its budget is {}", budget.0);
            let path = format!("workloads[{}].downtimeBudget", workload.position);
            findings.push(Hit::vm(vm, evidence).at(path).finding(check));
        }
    }
    for (service, down) in plan.services.iter().zip(services(plan, schedule)) {
        if let (Some(budget), Some(down)) = (service.budget, down)
            && down.down > budget.0
        {
            let evidence = format!("down for {}, its budget is {}", down.down, budget.0);
            let path = format!("services[{}].downtimeBudget", service.position);
            let subject = Subject::Service(service.name.clone());
            findings.push(Hit::on(subject, evidence).at(path).finding(check));
        }
    }
    findings
}
