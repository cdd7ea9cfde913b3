//! What has changed in each wave besides its VMs, and which approvals no longer hold.

use std::collections::{BTreeMap, BTreeSet};

use schemas::approval::WaveApproval;
use schemas::ids::{VmKey, WaveName, WorkloadRef};
use schemas::site::ApprovalPolicy;
use schemas::wave::{MigrationWave, Prerequisite};
use serde::Serialize;

use super::{FieldChange, Side, compare};

/// Fields of a wave that are told otherwise (by VM), or that are no decision.
const TOLD_ELSEWHERE: [&str; 6] = [
    "imports",
    "inputs",
    "generator",
    "digest",
    "suspend",
    // Follow from which VMs there are.
    "prerequisites",
];

/// What has changed in one wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveDiff {
    /// Its name.
    pub name: WaveName,
    /// Whether it came, went or stayed.
    pub fate: WaveFate,
    /// How many machines it moves.
    pub vms: usize,
    /// Fields of the wave as a whole.
    pub changes: Vec<FieldChange>,
    /// Machines that are in it before and now, and come at another place among each other.
    pub reordered: usize,
    /// The sources say something else of its VMs than when it was made.
    pub drifted: bool,
    /// An approval that named it as it was, and does not hold for it as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_lost: Option<ApprovalLost>,
    /// It needs an approval, and has none as it is.
    pub needs_approval: bool,
}

/// Whether a wave came, went or stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WaveFate {
    /// It is new.
    Added,
    /// It is no longer made.
    Removed,
    /// Its decisions have changed: its digest is another.
    Changed,
    /// Its decisions are the same; its sources have drifted.
    Kept,
}

/// An approval that no longer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApprovalLost {
    /// The approval's name.
    pub name: String,
    /// What it referred to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// The waves with a change, by name.
pub(super) fn diff(
    before: &Side<'_>,
    now: &Side<'_>,
    approvals: &[WaveApproval],
    done: &BTreeSet<&VmKey>,
) -> Vec<WaveDiff> {
    let names: BTreeSet<&str> = before
        .waves
        .keys()
        .chain(now.waves.keys())
        .copied()
        .collect();
    names
        .into_iter()
        .filter_map(|name| {
            let (was, is) = (before.waves.get(name), now.waves.get(name));
            let is_done = |wave: &&&MigrationWave| {
                wave.spec
                    .imports
                    .iter()
                    .all(|import| done.contains(&import.vm))
            };
            if is.is_none() && was.as_ref().is_some_and(is_done) {
                return None;
            }
            one(name, was.copied(), is.copied(), approvals)
        })
        .collect()
}

fn one(
    name: &str,
    was: Option<&MigrationWave>,
    is: Option<&MigrationWave>,
    approvals: &[WaveApproval],
) -> Option<WaveDiff> {
    let fate = match (was, is) {
        (None, Some(_)) => WaveFate::Added,
        (_, None) => WaveFate::Removed,
        (Some(was), Some(is)) if was.spec.digest != is.spec.digest => WaveFate::Changed,
        (Some(was), Some(is)) if was.spec.inputs.inventory != is.spec.inputs.inventory => {
            WaveFate::Kept
        }
        _ => return None,
    };
    let of_it = |wave: &MigrationWave| {
        let digest = wave.spec.digest.clone();
        approvals
            .iter()
            .find(move |approval| approval.spec.is_of(name, &digest))
    };
    let held = was.and_then(of_it);
    let holds = is.and_then(of_it);
    Some(WaveDiff {
        name: WaveName::new(name),
        fate,
        vms: is.or(was).map_or(0, |wave| wave.spec.imports.len()),
        changes: match (was, is) {
            (Some(was), Some(is)) => changes(was, is),
            _ => Vec::new(),
        },
        reordered: match (was, is) {
            (Some(was), Some(is)) => reordered(was, is),
            _ => 0,
        },
        drifted: matches!((was, is), (Some(was), Some(is)) if was.spec.inputs.inventory != is.spec.inputs.inventory),
        approval_lost: held
            .filter(|_| holds.is_none())
            .map(|approval| ApprovalLost {
                name: approval.metadata.name.clone().unwrap_or_default(),
                reference: approval.spec.reference.clone(),
            }),
        needs_approval: is.is_some_and(|wave| wave.spec.approval == ApprovalPolicy::Required)
            && holds.is_none(),
    })
}

fn changes(was: &MigrationWave, is: &MigrationWave) -> Vec<FieldChange> {
    let mut found = compare::fields(&was.spec, &is.spec, &TOLD_ELSEWHERE);
    found.extend(elsewhere(was, is));
    // The instants of a window follow from its occurrence.
    let moved = |found: &[FieldChange]| {
        found
            .iter()
            .any(|change| change.what == "window: occurrence")
    };
    if moved(&found) {
        let follows = [
            "window: source object",
            "window: from",
            "window: to",
            "window: last start",
        ];
        found.retain(|change| !follows.contains(&change.what.as_str()));
    }
    if found.is_empty()
        && was.spec.inputs.plan != is.spec.inputs.plan
        && was.spec.imports.iter().map(|import| &import.vm).eq(is
            .spec
            .imports
            .iter()
            .map(|import| &import.vm))
    {
        found.push(FieldChange {
            what: "what the plan or the site says of it".to_owned(),
            before: None,
            now: None,
        });
    }
    found
}

/// Machines of other plans that are waited for, where those are others than before.
fn elsewhere(was: &MigrationWave, is: &MigrationWave) -> Vec<FieldChange> {
    let of = |wave: &MigrationWave| -> BTreeMap<WorkloadRef, BTreeSet<String>> {
        let all = wave.spec.prerequisites.iter();
        let others = all.filter(|before| before.workload.plan.is_some());
        let machines = |before: &Prerequisite| {
            let records = before.machines.iter();
            records.map(|machine| machine.record.to_string()).collect()
        };
        let machines = others.map(|before| (before.workload.clone(), machines(before)));
        machines.collect()
    };
    let (was, is) = (of(was), of(is));
    let told = |names: BTreeSet<&String>| {
        let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let both = was
        .iter()
        .filter_map(|(name, before)| Some((name, before, is.get(name)?)));
    both.filter(|(_, before, now)| before != now)
        .map(|(name, before, now)| FieldChange {
            what: format!("waits in `{name}` for"),
            before: told(before.difference(now).collect()),
            now: told(now.difference(before).collect()),
        })
        .collect()
}

/// How many machines would have to be taken out of both orders for the rest to be in the same one.
fn reordered(was: &MigrationWave, is: &MigrationWave) -> usize {
    let places: BTreeMap<&VmKey, u32> = was
        .spec
        .imports
        .iter()
        .map(|import| (&import.vm, import.order))
        .collect();
    let mut imports: Vec<_> = is.spec.imports.iter().collect();
    imports.sort_by_key(|import| import.order);
    let old: Vec<u32> = imports
        .iter()
        .filter_map(|import| places.get(&import.vm).copied())
        .collect();
    old.len() - crate::waves::longest_rising(&old).len()
}
