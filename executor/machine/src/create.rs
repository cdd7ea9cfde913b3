//! Attempts that are open and whose import is not there: create it, or take the attempt back.
//!
//! The executor may have died between the two writes, an hour or a month ago. So everything that
//! could forbid the import is looked at again; and where something does, the attempt is taken back,
//! for an open one keeps everybody else from the engine.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::machine::{MachineStatus, Stage};
use schemas::units::Seconds;

use crate::action::Action;
use crate::admission::is_in_front;
use crate::clock::{Alarm, after};
use crate::ledger::{Entry, Ledger};
use crate::observed::{At, Observed};
use crate::progress;
use crate::spec;
use crate::standing::{self, Machine};

/// An attempt whose wave is nowhere to be seen is taken back after this long: `apply` sees the
/// waves of its own plan only, and must not disturb an executor that is just at another's.
const STRAY: Seconds = Seconds::from_minutes(1);

/// What to do about the open attempts.
pub(crate) fn actions(
    machines: &[Machine<'_>],
    is_held: impl Fn(&Machine<'_>) -> bool,
    ledger: &Ledger<'_>,
    observed: &Observed,
    now: Timestamp,
    alarm: &mut Alarm,
) -> Vec<Action> {
    let mut by_record: BTreeMap<&At, Vec<&Machine<'_>>> = BTreeMap::new();
    for machine in machines {
        by_record
            .entry(&machine.record_at)
            .or_default()
            .push(machine);
    }
    let open = ledger
        .entries
        .values()
        // One that is refused is just being recorded as failed.
        .filter(|entry| entry.is_open() && !observed.refused.contains_key(&entry.import_at));
    open.filter_map(|entry| {
        let claims = by_record.get(entry.at).map_or(&[][..], Vec::as_slice);
        if claims.is_empty() {
            let end = after(entry.record.spec.attempt.opened, STRAY);
            alarm.at(end);
            return (now >= end).then(|| take_back(entry, "no wave has it any more", now));
        }
        if is_late(entry, ledger) {
            return Some(take_back(entry, "another one is at the engine", now));
        }
        let create = claims
            .iter()
            .filter(|machine| !is_held(machine))
            .find_map(|machine| create(entry, machine, ledger, observed));
        Some(create.unwrap_or_else(|| take_back(entry, "not to be imported now", now)))
    })
    .collect()
}

/// Another machine is in front. Admission opens one attempt at a time, but the request of an executor
/// that died may arrive after its successor has chosen another one: the older attempt stands.
fn is_late(entry: &Entry<'_>, ledger: &Ledger<'_>) -> bool {
    let age = |entry: &Entry<'_>| (entry.record.spec.attempt.opened, entry.at.clone());
    let mut others = ledger.entries.values().filter(|e| e.at != entry.at);
    others.any(|other| is_in_front(other) && !(other.is_open() && age(entry) < age(other)))
}

/// The import of an open attempt, if it still is what its wave decides and nothing is in the way.
fn create(
    entry: &Entry<'_>,
    machine: &Machine<'_>,
    ledger: &Ledger<'_>,
    observed: &Observed,
) -> Option<Action> {
    let (at, wave, import) = (machine.wave_at, machine.wave, machine.import);
    let spec = &entry.record.spec;
    let is_decided = spec.digest == wave.spec.digest;
    let has_another = !ledger.imports_of(&entry.at.name).is_empty();
    if !is_decided || has_another {
        return None;
    }
    if standing::obstacle(wave, import, entry.at, ledger, observed).is_some() {
        return None;
    }
    Some(Action::CreateImport {
        at: entry.import_at.clone(),
        record: entry.at.name.clone(),
        plan: spec.plan.clone(),
        attempt: spec.attempt.number,
        spec: spec::import_spec(at, wave, import)?,
    })
}

fn take_back(entry: &Entry<'_>, why: &str, now: Timestamp) -> Action {
    let status = MachineStatus {
        stage: Stage::Withdrawn,
        message: Some(format!("taken back before its import was created: {why}")),
        ..entry.status.clone()
    };
    progress::record(entry, status, now)
}
