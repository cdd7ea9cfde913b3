//! What has changed of each VM: in its wave's decisions, at its source, and what it comes to.

use std::collections::BTreeSet;

use schemas::ids::{VmKey, VmName, WaveName, WorkloadName};
use schemas::inventory::{Inventory, Power};
use schemas::units::Seconds;
use schemas::wave::WaveImport;
use serde::Serialize;

use super::{Change, Committed, Current, FieldChange, Shifted, Side, compare, evidence, name_of};
use crate::resolve::Index;

/// Fields of an import that are told otherwise.
const TOLD_ELSEWHERE: [&str; 5] = ["vm", "order", "name", "workload", "size.resident"];

/// What has changed of one VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VmDiff {
    /// Which.
    pub vm: VmKey,
    /// Its name.
    pub name: VmName,
    /// Its workload, now or before.
    pub workload: WorkloadName,
    /// Whether it came, went or stayed.
    pub fate: VmFate,
    /// Its wave.
    pub wave: Change<WaveName>,
    /// What its wave says of it.
    pub changes: Vec<FieldChange>,
    /// What its source says of it; empty where the snapshots before are not known.
    pub drift: Vec<FieldChange>,
    /// First second off, counted from the origin.
    pub starts: Change<Seconds>,
    /// From power-off to ready.
    pub downtime: Change<Seconds>,
    /// What that comes to, and why it is not moved, in words.
    pub consequences: Vec<String>,
}

/// Whether a VM came, went or stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VmFate {
    /// No wave had it.
    Added,
    /// No wave has it any more.
    Removed,
    /// It is in another wave.
    Moved,
    /// It is in the same wave, and something is different.
    Changed,
}

impl VmDiff {
    /// Whether it is or was in that wave.
    pub(super) fn is_in(&self, wave: &WaveName) -> bool {
        self.wave.before.as_ref() == Some(wave) || self.wave.now.as_ref() == Some(wave)
    }

    /// Whether it is told with that wave: the one that it is in, or was in last.
    pub(super) fn stands_in(&self, wave: &WaveName) -> bool {
        self.wave.now.as_ref().or(self.wave.before.as_ref()) == Some(wave)
    }

    /// Whether it explains why its wave's inventory is another.
    pub(super) fn tells(&self) -> bool {
        !self.drift.is_empty() || self.fate != VmFate::Changed || !self.changes.is_empty()
    }
}

/// The VMs with a change, by key, and a count of those that only start at another time.
pub(super) fn diff(
    before: &Side<'_>,
    now: &Side<'_>,
    committed: Committed<'_>,
    current: Current<'_>,
) -> (Vec<VmDiff>, Shifted) {
    let mut shifted = Shifted::default();
    let keys: BTreeSet<&VmKey> = before
        .imports
        .keys()
        .chain(now.imports.keys())
        .copied()
        .collect();
    let facts = Facts::of(committed, current.inventory);
    let done = super::done(current);
    let diffs = keys
        .into_iter()
        .filter(|key| now.imports.contains_key(key) || !done.contains(key))
        .filter_map(|key| {
            let diff = one(key, before, now, current, &facts);
            if diff.fate == VmFate::Changed && diff.changes.is_empty() && diff.drift.is_empty() {
                match diff.starts.by() {
                    None | Some(0) => {}
                    Some(by) => shifted.add(by),
                }
                return None;
            }
            Some(diff)
        })
        .collect();
    (diffs, shifted)
}

impl Shifted {
    fn add(&mut self, by: i64) {
        let seconds = Seconds(by.unsigned_abs());
        self.vms += 1;
        if by > 0 {
            self.later = self.later.max(seconds);
        } else {
            self.earlier = self.earlier.max(seconds);
        }
    }
}

fn one(
    key: &VmKey,
    before: &Side<'_>,
    now: &Side<'_>,
    current: Current<'_>,
    facts: &Facts<'_>,
) -> VmDiff {
    let (was, is) = (before.imports.get(key), now.imports.get(key));
    let (old, new): (Option<&WaveImport>, Option<&WaveImport>) = (
        was.map(|(_, import)| *import),
        is.map(|(_, import)| *import),
    );
    let wave = Change {
        before: was.map(|(name, _)| WaveName::new(*name)),
        now: is.map(|(name, _)| WaveName::new(*name)),
    };
    let fate = match (&wave.before, &wave.now) {
        (None, _) => VmFate::Added,
        (_, None) => VmFate::Removed,
        (Some(was), Some(is)) if was != is => VmFate::Moved,
        _ => VmFate::Changed,
    };
    let mut changes = match (old, new) {
        (Some(old), Some(new)) => compare::fields(old, new, &TOLD_ELSEWHERE),
        _ => Vec::new(),
    };
    for (what, was, is) in [
        (
            "name",
            old.map(|import| import.name.as_str()),
            new.map(|import| import.name.as_str()),
        ),
        (
            "workload",
            old.map(|import| import.workload.as_str()),
            new.map(|import| import.workload.as_str()),
        ),
    ] {
        if let (Some(was), Some(is)) = (was, is)
            && was != is
        {
            changes.push(FieldChange {
                what: what.to_owned(),
                before: Some(was.to_owned()),
                now: Some(is.to_owned()),
            });
        }
    }
    let (early, late) = (before.times.get(key), now.times.get(key));
    let mut diff = VmDiff {
        vm: key.clone(),
        name: name_of(new, old),
        workload: new
            .or(old)
            .map_or_else(WorkloadName::default, |import| import.workload.clone()),
        fate,
        wave,
        changes,
        drift: facts.drift(key),
        starts: Change {
            before: early.map(|times| times.off),
            now: late.map(|times| times.off),
        },
        downtime: Change {
            before: early.map(|times| times.downtime()),
            now: late.map(|times| times.downtime()),
        },
        consequences: Vec::new(),
    };
    diff.consequences = consequences(&diff, before, current);
    diff
}

fn consequences(diff: &VmDiff, before: &Side<'_>, current: Current<'_>) -> Vec<String> {
    let mut told = Vec::new();
    if diff.fate == VmFate::Removed {
        let mut left_out = current.planned.report.left_out.iter();
        told.push(match left_out.find(|out| out.vm == diff.vm) {
            Some(out) => match evidence(current, "WR004", &diff.vm) {
                Some(evidence) => format!("no longer moved: {} ({evidence})", out.reason),
                None => format!("no longer moved: {}", out.reason),
            },
            None if current_has(current.inventory, &diff.vm) => {
                "no longer moved: no workload selects it".to_owned()
            }
            None => "no longer moved: it is gone from its source".to_owned(),
        });
        return told;
    }
    if let Some(by) = diff.downtime.by().filter(|by| *by != 0) {
        told.push(format!("{} of downtime", signed(by)));
    }
    if let Some(evidence) = evidence(current, "WR006", &diff.vm)
        && !overran(before, &diff.vm, current)
    {
        told.push(format!("now exceeds the window: {evidence}"));
    }
    told
}

fn current_has(inventory: &Inventory, key: &VmKey) -> bool {
    Index::of(inventory).vm(key).is_some()
}

/// Whether the VM was predicted to end after its window's close before, too.
fn overran(before: &Side<'_>, key: &VmKey, current: Current<'_>) -> bool {
    let Some(((wave, _), times)) = before.imports.get(key).zip(before.times.get(key)) else {
        return false;
    };
    let close = before
        .waves
        .get(wave)
        .and_then(|wave| wave.spec.window.as_ref());
    let origin = current.planned.report.origin;
    match (close, origin) {
        (Some(window), Some(origin)) => {
            window.to.as_second().saturating_sub(origin.as_second()) < times.ready.signed()
        }
        _ => false,
    }
}

/// `+38 min`, `−5 min`.
pub(super) fn signed(by: i64) -> String {
    let sign = if by < 0 { '−' } else { '+' };
    format!("{sign}{}", Seconds(by.unsigned_abs()))
}

/// What the snapshots before and now say of VMs.
struct Facts<'a> {
    before: Option<(Index<'a>, &'a Inventory)>,
    now: (Index<'a>, &'a Inventory),
    /// VMs of waves that were made from the snapshots before.
    known: BTreeSet<&'a VmKey>,
}

impl<'a> Facts<'a> {
    fn of(committed: Committed<'a>, now: &'a Inventory) -> Self {
        let waves = committed.waves.iter();
        Self {
            before: committed
                .inventory
                .map(|inventory| (Index::of(inventory), inventory)),
            now: (Index::of(now), now),
            known: waves
                .filter(|wave| committed.snapshots_of(wave).is_some())
                .flat_map(|wave| &wave.spec.imports)
                .map(|import| &import.vm)
                .collect(),
        }
    }

    /// What its source says of a VM, before and now.
    fn drift(&self, key: &VmKey) -> Vec<FieldChange> {
        let Some((index, inventory)) = &self.before else {
            return Vec::new();
        };
        if !self.known.contains(key) {
            return Vec::new();
        }
        let (Some(was), Some(is)) = (index.vm(key), self.now.0.vm(key)) else {
            return Vec::new();
        };
        let mut drift = compare::fields(was, is, &["id"]);
        let (was, is) = (power(inventory, key), power(self.now.1, key));
        if was != is && was.is_some() && is.is_some() {
            drift.push(FieldChange {
                what: "power".to_owned(),
                before: was.map(told),
                now: is.map(told),
            });
        }
        drift
    }
}

fn power(inventory: &Inventory, key: &VmKey) -> Option<Power> {
    inventory
        .sources
        .get(&key.source)?
        .observed
        .get(key.id.as_str())?
        .power
}

fn told(power: Power) -> String {
    match power {
        Power::On => "on",
        Power::Off => "off",
        Power::Suspended => "suspended",
        Power::Paused => "paused",
        Power::Other => "in another state",
    }
    .to_owned()
}
