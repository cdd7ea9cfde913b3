//! The critical path: the chain of imports that decides when the last machine is ready.
//!
//! It begins with the import that ends last and goes back from each to the one that it waited for;
//! where one waited for a window, it begins with that window's opening.

use std::collections::BTreeMap;

use schemas::ids::VmKey;

use crate::schedule::{Held, Schedule, Slot};

/// The slots of the chain, the first of them first. Whoever starts any of them earlier, or makes it
/// shorter, brings the end forward; nothing else does.
pub fn path(schedule: &Schedule) -> Vec<&Slot> {
    let slots: BTreeMap<&VmKey, &Slot> = schedule.slots.iter().map(|s| (&s.vm, s)).collect();
    let last = schedule
        .slots
        .iter()
        .max_by_key(|slot| (slot.times.ready, &slot.vm));
    let mut chain: Vec<&Slot> = last.into_iter().collect();
    while let Some(at) = chain.last()
        && let Some(before) = before(at, &slots)
        // Each was created before the one that waited for it.
        && before.times.created < at.times.created
    {
        chain.push(before);
    }
    chain.reverse();
    chain
}

/// The import that `slot` waited for last.
fn before<'a>(slot: &Slot, slots: &BTreeMap<&VmKey, &'a Slot>) -> Option<&'a Slot> {
    let find = |vm: &VmKey| slots.get(vm).copied();
    match &slot.held {
        Held::Turn { after } => find(after),
        Held::Dependency { on } => find(on),
        Held::Exclusion { with } => find(with),
        Held::Scratch { holders, .. } => {
            let freed = holders.iter().filter_map(find);
            let freed = freed.filter(|holder| holder.times.released <= slot.times.created);
            freed.max_by_key(|holder| (holder.times.released, &holder.vm))
        }
        _ => None,
    }
}
