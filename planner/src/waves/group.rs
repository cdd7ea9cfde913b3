//! Which VMs are in one wave, and what its file is called.
//!
//! Pinned waves are as people wrote them; the other workloads are grouped by how many lie before
//! them. The number in front of a name comes from the plan's workloads alone, not from which VMs
//! are left: a wave that is done does not rename those after it.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::{TargetName, VmKey, WindowName, WorkloadName};
use schemas::wave::{WAVE_JSON_BYTES_MAX, WaveSpec};

use super::{WAVE_IMPORTS_MAX, json_bytes};
use crate::resolve::{ResolvedOccurrence, ResolvedPlan, ResolvedWorkload};
use crate::schedule::Slot;

/// The slots of all VMs.
type Slots<'a> = BTreeMap<&'a VmKey, &'a Slot>;

/// Longest `metadata.name` of a wave ([`schemas::ids::WaveName`]).
const WAVE_NAME_CHARACTERS_MAX: usize = 63;

/// A window's name and the one occurrence of it that a wave keeps.
pub type Kept = (WindowName, ResolvedOccurrence);

/// The VMs of one wave.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    /// Its file's name without `.yaml`.
    pub stem: String,
    /// The target it is for.
    pub target: TargetName,
    /// Its window and the occurrence; absent where there are no windows.
    pub window: Option<Kept>,
    /// Its VMs, sorted by key.
    pub vms: Vec<VmKey>,
}

/// What a wave weighs.
pub(super) struct Weight {
    /// Bytes of the whole object as JSON.
    pub frame: usize,
    /// The object's spec.
    pub spec: WaveSpec,
}

/// A group of workloads: a pinned wave, or all of one level that are in none.
struct Group<'a> {
    number: usize,
    name: String,
    workloads: Vec<&'a ResolvedWorkload>,
}

/// The waves of a plan, by number. `kept` gives the stem of the file that a VM stays in; `reserved` are
/// those that no other wave is called by. `weigh` gives the size of one as it would be written.
pub(super) fn waves(
    plan: &ResolvedPlan,
    slots: &Slots<'_>,
    (reserved, kept): (&BTreeSet<String>, impl Fn(&VmKey) -> Option<String>),
    weigh: impl Fn(&Wave) -> Weight,
) -> Vec<Wave> {
    let mut waves = Vec::new();
    for group in groups(plan) {
        for (target, mut members) in by_target(plan, &group) {
            // The parts of a wave follow each other as its imports do.
            members.sort_by_key(|key| slots.get(*key).map(|slot| slot.place));
            let suffix = if *target == plan.default_target {
                String::new()
            } else {
                format!("-{target}")
            };
            let mut part = 0;
            let stay = staying(plan, slots, &mut members, &kept);
            for (stem, window, vms) in stay {
                let target = target.clone();
                waves.push(Wave {
                    stem,
                    target,
                    window,
                    vms,
                });
            }
            for (window, vms) in by_occurrence(plan, slots, members) {
                let target = target.clone();
                let whole = Wave {
                    stem: String::new(),
                    target,
                    window,
                    vms,
                };
                for vms in split(&whole, &weigh) {
                    part += 1;
                    while reserved.contains(&stem(plan, &group, &suffix, part)) {
                        part += 1;
                    }
                    let stem = stem(plan, &group, &suffix, part);
                    waves.push(Wave {
                        stem,
                        vms,
                        ..whole.clone()
                    });
                }
            }
        }
    }
    waves
}

/// Takes out of `members` those that stay in the wave that they are in: by its stem, each with its
/// occurrence. A wave that would fall apart does not stay.
fn staying(
    plan: &ResolvedPlan,
    slots: &Slots<'_>,
    members: &mut Vec<&VmKey>,
    kept: &impl Fn(&VmKey) -> Option<String>,
) -> Vec<(String, Option<Kept>, Vec<VmKey>)> {
    let mut by_stem: BTreeMap<String, Vec<&VmKey>> = BTreeMap::new();
    for key in members.iter() {
        if let Some(stem) = kept(key) {
            by_stem.entry(stem).or_default().push(key);
        }
    }
    let mut stay = Vec::new();
    for (stem, own) in by_stem {
        if let [(window, vms)] = &by_occurrence(plan, slots, own)[..] {
            members.retain(|key| !vms.contains(key));
            let mut vms = vms.clone();
            vms.sort();
            stay.push((stem, window.clone(), vms));
        }
    }
    stay
}

/// All groups, numbered.
fn groups(plan: &ResolvedPlan) -> Vec<Group<'_>> {
    // By the lowest level in it; at one level pinned ones first, as the plan lists them.
    let mut groups: BTreeMap<(usize, bool, usize), Vec<&ResolvedWorkload>> = BTreeMap::new();
    // A step outside has no VMs, and so no wave.
    for workload in plan.workloads.iter().filter(|it| it.external.is_none()) {
        let key = match workload.wave {
            None => (workload.level, true, 0),
            Some(wave) => {
                let levels = plan
                    .workloads
                    .iter()
                    .filter(|other| other.wave == Some(wave));
                (
                    levels.map(|other| other.level).min().unwrap_or(0),
                    false,
                    wave,
                )
            }
        };
        groups.entry(key).or_default().push(workload);
    }
    groups
        .into_iter()
        .zip(1..)
        .map(|(((level, computed, wave), workloads), n)| {
            let name = match (computed, workloads.as_slice()) {
                (false, _) => plan.waves[wave].name.to_string(),
                (true, [one]) => one.name.to_string(),
                (true, _) => format!("tier-{}", level + 1),
            };
            Group {
                number: n * 10,
                name,
                workloads,
            }
        })
        .collect()
}

fn by_target<'a>(
    plan: &'a ResolvedPlan,
    group: &Group<'_>,
) -> BTreeMap<&'a TargetName, Vec<&'a VmKey>> {
    let mut targets: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for vm in &plan.vms {
        if group
            .workloads
            .iter()
            .any(|workload| workload.name == vm.workload)
        {
            targets.entry(&vm.target).or_default().push(&vm.key);
        }
    }
    targets
}

/// The VMs by the occurrence of their window, in the order of its start.
fn by_occurrence(
    plan: &ResolvedPlan,
    slots: &Slots<'_>,
    members: Vec<&VmKey>,
) -> Vec<(Option<Kept>, Vec<VmKey>)> {
    let mut runs: BTreeMap<_, (Option<Kept>, Vec<VmKey>)> = BTreeMap::new();
    let mut open: BTreeMap<&WorkloadName, Vec<ResolvedOccurrence>> = BTreeMap::new();
    for key in members {
        let kept = slots.get(key).and_then(|slot| slot.window.as_ref());
        let window = kept.and_then(|kept| {
            let workload = plan.workload(&plan.vm(key)?.workload)?;
            let open = open
                .entry(&workload.name)
                .or_insert_with(|| plan.occurrences(workload).unwrap_or_default());
            // A freeze may leave several parts of one occurrence.
            let occurrence = open.iter().find(|known| {
                known.id == kept.occurrence && plan.since_start(known.from) == kept.from
            })?;
            Some((kept.name.clone(), occurrence.clone()))
        });
        let opens = window
            .as_ref()
            .map(|(name, occurrence)| (occurrence.from, occurrence.to, name.clone()));
        runs.entry(opens)
            .or_insert_with(|| (window, Vec::new()))
            .1
            .push(key.clone());
    }
    runs.into_values().collect()
}

/// Cuts a wave into parts that may be written; each part's VMs are sorted by key.
///
/// One that names more prerequisites than fit stays too large; the API server would take it, and
/// only client-side apply would not.
fn split(wave: &Wave, weigh: &impl Fn(&Wave) -> Weight) -> Vec<Vec<VmKey>> {
    let weight = weigh(wave);
    if weight.frame <= WAVE_JSON_BYTES_MAX && wave.vms.len() <= WAVE_IMPORTS_MAX {
        let mut vms = wave.vms.clone();
        vms.sort();
        return vec![vms];
    }
    let spec = &weight.spec;
    let sources: BTreeMap<_, usize> = spec
        .sources
        .iter()
        .map(|source| (&source.name, json_bytes(source) + 1))
        .collect();
    let imports: BTreeMap<_, (usize, _)> = spec
        .imports
        .iter()
        .map(|import| (&import.vm, (json_bytes(import) + 1, &import.from)))
        .collect();
    let lists: usize =
        sources.values().sum::<usize>() + imports.values().map(|(bytes, _)| bytes).sum::<usize>();
    let frame = weight.frame.saturating_sub(lists);

    let mut parts: Vec<Vec<VmKey>> = Vec::new();
    let mut bytes = usize::MAX;
    let mut named: Vec<_> = Vec::new();
    for key in &wave.vms {
        let (import, from) = imports[key];
        // A part that begins anew names its sources again.
        let fits =
            |bytes: usize, vms: usize| bytes <= WAVE_JSON_BYTES_MAX && vms < WAVE_IMPORTS_MAX;
        let source = if named.contains(&from) {
            0
        } else {
            sources[from]
        };
        let grown = bytes.saturating_add(import + source);
        if let Some(part) = parts.last_mut().filter(|part| fits(grown, part.len())) {
            part.push(key.clone());
            bytes = grown;
        } else {
            named.clear();
            parts.push(vec![key.clone()]);
            bytes = frame + import + sources[from];
        }
        if !named.contains(&from) {
            named.push(from);
        }
    }
    for part in &mut parts {
        part.sort();
    }
    parts
}

/// `020-db`, `020-db-hv2`, `020-db-2`; shortened where plan and stem together would be too long
/// for an object's name. The number and what follows the name keep it unique.
fn stem(plan: &ResolvedPlan, group: &Group<'_>, suffix: &str, part: usize) -> String {
    let number = format!("{:03}", group.number);
    let tail = if part == 1 {
        suffix.to_owned()
    } else {
        format!("{suffix}-{part}")
    };
    let taken = plan.name.as_str().len() + 1 + number.len() + 1 + tail.len();
    let room = WAVE_NAME_CHARACTERS_MAX.saturating_sub(taken).max(1);
    let name: String = group.name.chars().take(room).collect();
    format!("{number}-{}{tail}", name.trim_end_matches('-'))
}
