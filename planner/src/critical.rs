//! The critical path: the chain of imports, and of steps outside between them, that decides when the
//! last machine is ready.
//!
//! It begins with the import that ends last and goes back from each to what it waited for; where one
//! waited for a window, it begins with that window's opening.

use std::collections::BTreeMap;

use schemas::ids::VmKey;
use schemas::units::Seconds;

use crate::resolve::ResolvedPlan;
use crate::schedule::{Held, Schedule, Slot, StepSlot};

/// A link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link<'s> {
    /// An import.
    Import(&'s Slot),
    /// A step outside.
    Step(&'s StepSlot),
}

impl<'s> Link<'s> {
    /// The import, if it is one.
    pub fn import(self) -> Option<&'s Slot> {
        match self {
            Self::Import(slot) => Some(slot),
            Self::Step(_) => None,
        }
    }

    /// The step outside, if it is one.
    pub fn step(self) -> Option<&'s StepSlot> {
        match self {
            Self::Import(_) => None,
            Self::Step(slot) => Some(slot),
        }
    }

    fn begins(self) -> Seconds {
        match self {
            Self::Import(slot) => slot.times.created,
            Self::Step(slot) => slot.begins,
        }
    }
}

/// The links of the chain, the first of them first. Whoever starts any of them earlier, or makes it
/// shorter, brings the end forward; nothing else does.
pub fn path<'s>(plan: &ResolvedPlan, schedule: &'s Schedule) -> Vec<Link<'s>> {
    let slots: BTreeMap<&VmKey, &Slot> = schedule.slots.iter().map(|s| (&s.vm, s)).collect();
    let last = schedule
        .slots
        .iter()
        .max_by_key(|slot| (slot.times.ready, &slot.vm));
    let mut chain: Vec<Link<'s>> = last.into_iter().map(Link::Import).collect();
    while let Some(at) = chain.last().copied()
        && let Some(before) = before(at, plan, schedule, &slots)
        // Each began before what waited for it; a step may take no time at all.
        && (before.begins() < at.begins() || (before.step().is_some() && at.import().is_some()))
    {
        chain.push(before);
    }
    chain.reverse();
    chain
}

/// What `link` waited for last.
fn before<'s>(
    link: Link<'s>,
    plan: &ResolvedPlan,
    schedule: &'s Schedule,
    slots: &BTreeMap<&VmKey, &'s Slot>,
) -> Option<Link<'s>> {
    let slot = match link {
        Link::Import(slot) => slot,
        Link::Step(step) => return before_step(step, plan, schedule),
    };
    let find = |vm: &VmKey| slots.get(vm).copied().map(Link::Import);
    match &slot.held {
        Held::Turn { after } => find(after),
        Held::Dependency { on } => find(on),
        Held::Exclusion { with } => find(with),
        Held::Step { step } => {
            let named = |it: &&StepSlot| {
                let workload = plan.workloads.get(it.workload);
                workload.is_some_and(|workload| workload.name == *step)
            };
            schedule.steps.iter().find(named).map(Link::Step)
        }
        Held::Scratch { holders, .. } => {
            let freed = holders.iter().filter_map(|vm| slots.get(vm).copied());
            let freed = freed.filter(|holder| holder.times.released <= slot.times.created);
            let last = freed.max_by_key(|holder| (holder.times.released, &holder.vm));
            last.map(Link::Import)
        }
        _ => None,
    }
}

/// What a step waited for last: a machine whose gate held last, or another step.
fn before_step<'s>(
    step: &StepSlot,
    plan: &ResolvedPlan,
    schedule: &'s Schedule,
) -> Option<Link<'s>> {
    let after = &plan.workloads.get(step.workload)?.depends_on;
    let imports = schedule.slots.iter().filter_map(|slot| {
        let vm = plan.vm(&slot.vm)?;
        let gate = plan.gate(vm).unwrap_or(Seconds::ZERO);
        let is_before = after.contains(&vm.workload);
        is_before.then_some((slot.times.running + gate, Link::Import(slot)))
    });
    let steps = schedule.steps.iter().filter_map(|it| {
        let workload = plan.workloads.get(it.workload)?;
        let is_before = after.contains(&workload.name);
        is_before.then_some((it.ends, Link::Step(it)))
    });
    let last = imports.chain(steps).max_by_key(|(done, _)| *done);
    last.map(|(_, link)| link)
}
