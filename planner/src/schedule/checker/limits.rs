//! Nowhere is there more than there is room for: exports of an engine and of a host, images, machines
//! of a target, jobs of an occurrence; and services that must be together are.

use std::collections::BTreeMap;

use engine::profile::{Capacity, Scope};
use schemas::ids::{OccurrenceId, WindowName};
use schemas::units::Seconds;

use super::super::{Job, Problem, Resource, Room, Slot, Target};
use super::{Violation, span};

pub(super) fn judge(problem: &Problem, pairs: &[(&Job, &Slot)], found: &mut Vec<Violation>) {
    let export = |slot: &Slot| (slot.times.export_start, slot.times.exported);
    for (target, it) in problem.targets.iter().enumerate() {
        let own = || pairs.iter().filter(move |(job, _)| job.target == target);
        pools(it, &own().copied().collect::<Vec<_>>(), found);
        let mut takes = Room::default();
        for (job, _) in own() {
            takes.memory += job.takes.memory;
            takes.cpu_milli += job.takes.cpu_milli;
            takes.storage += job.takes.storage;
        }
        for (resource, taken, there) in it.room.iter().flat_map(|room| {
            [
                (Resource::Memory, takes.memory.0, room.memory.0),
                (Resource::Cpu, takes.cpu_milli, room.cpu_milli),
                (Resource::Storage, takes.storage.0, room.storage.0),
            ]
        }) {
            if taken > there {
                let target = it.name.clone();
                found.push(Violation::NoRoom { target, resource });
            }
        }
    }
    for (host, it) in problem.hosts.iter().enumerate() {
        let own = pairs.iter().filter(|(job, _)| job.host == Some(host));
        let exports = own.map(|(_, slot)| export(slot)).collect();
        at_once(exports, "exports", &it.name, u64::from(it.slots), found);
    }
    occurrences(pairs, found);
    services(problem, pairs, found);
}

/// No more of a pool of the engine is taken than there is, in any of its places.
fn pools(target: &Target, own: &[(&Job, &Slot)], found: &mut Vec<Violation>) {
    for pool in &target.profile.pools {
        let Capacity::Slots(most) = pool.capacity else {
            continue;
        };
        let mut spans: BTreeMap<Option<usize>, Vec<(Seconds, Seconds)>> = BTreeMap::new();
        for phase in target.profile.phases {
            let takes = phase.takes.iter().filter(|(name, _)| *name == pool.name);
            let takes = takes.map(|(_, takes)| *takes as usize).sum();
            for (job, slot) in own {
                let place = job.host.filter(|_| pool.of == Scope::Host);
                let span = span(&target.profile, phase.name, job, slot);
                let spans = spans.entry(place).or_default();
                spans.extend(
                    span.iter()
                        .cycle()
                        .take(if span.is_some() { takes } else { 0 }),
                );
            }
        }
        for spans in spans.into_values() {
            at_once(
                spans,
                pool.name,
                target.name.as_str(),
                u64::from(most),
                found,
            );
        }
    }
}

/// No more of these at any time; what ends when another begins is not at the same time.
fn at_once(
    spans: Vec<(Seconds, Seconds)>,
    what: &'static str,
    place: &str,
    most: u64,
    found: &mut Vec<Violation>,
) {
    let mut changes: Vec<(Seconds, bool)> = Vec::with_capacity(spans.len() * 2);
    for (from, to) in spans.into_iter().filter(|(from, to)| from < to) {
        changes.extend([(to, false), (from, true)]);
    }
    changes.sort_unstable();
    let mut count = 0;
    for (at, begins) in changes {
        if !begins {
            count -= 1;
            continue;
        }
        count += 1;
        if count > most {
            let place = place.to_owned();
            found.push(Violation::TooMany {
                what,
                place,
                at,
                count,
                most,
            });
        }
    }
}

/// No more jobs in an occurrence than it takes.
fn occurrences(pairs: &[(&Job, &Slot)], found: &mut Vec<Violation>) {
    let mut counts: BTreeMap<(&WindowName, &OccurrenceId), (u64, Option<u32>, Seconds)> =
        BTreeMap::new();
    for window in pairs.iter().filter_map(|(_, slot)| slot.window.as_ref()) {
        let key = (&window.name, &window.occurrence);
        let entry = counts
            .entry(key)
            .or_insert((0, window.vms_max, window.from));
        entry.0 += 1;
    }
    for ((name, occurrence), (count, most, at)) in counts {
        if let Some(most) = most.map(u64::from).filter(|most| count > *most) {
            found.push(Violation::TooMany {
                what: "imports",
                place: format!("{name} {occurrence}"),
                at,
                count,
                most,
            });
        }
    }
}

/// All jobs of a service that keep windows are in one occurrence, and its last gate holds before
/// that closes.
fn services(problem: &Problem, pairs: &[(&Job, &Slot)], found: &mut Vec<Violation>) {
    for service in problem.services.iter().filter(|service| service.together) {
        let own = pairs
            .iter()
            .filter(|(job, _)| job.calendar.is_some() && service.workloads.contains(&job.workload));
        let own: Vec<&(&Job, &Slot)> = own.collect();
        let windows = own.iter().filter_map(|(_, slot)| slot.window.as_ref());
        let mut keys: Vec<_> = windows.clone().map(|w| (&w.name, &w.occurrence)).collect();
        keys.sort();
        keys.dedup();
        let closes = windows
            .map(|window| window.to.saturating_sub(window.reserve))
            .max();
        let ends = own
            .iter()
            .map(|(job, slot)| slot.times.running + job.gate)
            .max();
        let late = ends.unwrap_or_default() > closes.unwrap_or(Seconds(u64::MAX));
        if keys.len() > 1 || late {
            let service = service.name.clone();
            found.push(Violation::Scattered { service });
        }
    }
}
