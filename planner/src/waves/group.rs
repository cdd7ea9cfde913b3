//! Which VMs are in one wave, and what its file is called.
//!
//! Pinned waves are as people wrote them; the other workloads are grouped by how many lie before
//! them. The number in front of a name comes from the plan's workloads alone, not from which VMs
//! are left: a wave that is done does not rename those after it. What is written down keeps its name
//! as long as its occurrence, and where a wave is cut into parts, machines stay in theirs if their
//! turn lets them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::{TargetName, VmKey, WindowName, WorkloadName};
use schemas::wave::{MigrationWave, WaveSpec};

use super::parts;
use crate::resolve::{Asked, ResolvedOccurrence, ResolvedPlan, ResolvedWorkload};
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
    (committed, reserved): (&[MigrationWave], &BTreeSet<String>),
    kept: impl Fn(&VmKey) -> Option<String>,
    weigh: impl Fn(&Wave) -> Weight,
) -> Vec<Wave> {
    let mut waves = Vec::new();
    let known = Known::of(plan, committed);
    for group in groups(plan) {
        for (target, mut members) in by_target(plan, &group) {
            // The parts of a wave follow each other as its imports do.
            members.sort_by_key(|key| slots.get(*key).map(|slot| slot.place));
            let suffix = if *target == plan.default_target {
                String::new()
            } else {
                format!("-{target}")
            };
            let stem = |part: usize| stem(plan, &group, &suffix, part);
            let stay = staying(plan, slots, &mut members, &kept);
            let mut taken = reserved.clone();
            for (stem, window, vms) in stay {
                let target = target.clone();
                waves.push(Wave {
                    stem,
                    target,
                    window,
                    vms,
                });
            }
            let runs: Vec<_> = by_occurrence(plan, slots, members)
                .into_iter()
                .map(|(window, vms)| {
                    let own = known.parts(stem, window.as_ref(), &taken);
                    (window, vms, own)
                })
                .collect();
            taken.extend(runs.iter().flat_map(|(.., own)| own.iter().cloned()));
            let mut part = 0;
            for (window, vms, own) in runs {
                let target = target.clone();
                let whole = Wave {
                    stem: String::new(),
                    target,
                    window,
                    vms,
                };
                let was = |vm: &VmKey| own.iter().position(|stem| known.is_in(vm, stem));
                let parts = parts::split(&whole, &weigh(&whole), own.len(), was);
                for (at, vms) in parts.into_iter().enumerate() {
                    if vms.is_empty() {
                        continue;
                    }
                    let named = own.get(at).cloned().unwrap_or_else(|| {
                        part += 1;
                        while taken.contains(&stem(part)) {
                            part += 1;
                        }
                        stem(part)
                    });
                    waves.push(Wave {
                        stem: named,
                        vms,
                        ..whole.clone()
                    });
                }
            }
        }
    }
    waves
}

/// What is written down, by stem and by VM.
struct Known<'a> {
    /// The part of an occurrence that each wave keeps.
    windows: BTreeMap<&'a str, Option<(&'a WindowName, jiff::Timestamp)>>,
    stems: BTreeMap<&'a VmKey, &'a str>,
}

impl<'a> Known<'a> {
    fn of(plan: &ResolvedPlan, committed: &'a [MigrationWave]) -> Self {
        let mut known = Self {
            windows: BTreeMap::new(),
            stems: BTreeMap::new(),
        };
        for wave in committed {
            let name = wave.metadata.name.as_deref().unwrap_or_default();
            let stem = name.strip_prefix(plan.name.as_str());
            let Some(stem) = stem.and_then(|stem| stem.strip_prefix('-')) else {
                continue;
            };
            let window = wave.spec.window.as_ref().map(|it| (&it.name, it.from));
            known.windows.insert(stem, window);
            for import in &wave.spec.imports {
                known.stems.insert(&import.vm, stem);
            }
        }
        known
    }

    /// The waves that are called as the parts of one are, in their order: those that keep `window`.
    fn parts(
        &self,
        stem: impl Fn(usize) -> String,
        window: Option<&Kept>,
        taken: &BTreeSet<String>,
    ) -> Vec<String> {
        let window = window.map(|(name, occurrence)| (name, occurrence.from));
        let part = |known: &str| {
            let number = known.rsplit_once('-').and_then(|(_, n)| n.parse().ok());
            let mut parts = [Some(1), number].into_iter().flatten();
            parts.find(|part| stem(*part) == known)
        };
        let mut parts: Vec<(usize, &str)> = self
            .windows
            .iter()
            .filter(|(known, kept)| **kept == window && !taken.contains(**known))
            .filter_map(|(known, _)| Some((part(known)?, *known)))
            .collect();
        parts.sort_unstable();
        parts.into_iter().map(|(_, stem)| stem.to_owned()).collect()
    }

    fn is_in(&self, vm: &VmKey, stem: &str) -> bool {
        self.stems.get(vm).is_some_and(|known| *known == stem)
    }
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
    let names: BTreeSet<&WorkloadName> = group.workloads.iter().map(|it| &it.name).collect();
    let mut targets: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for vm in &plan.vms {
        if names.contains(&vm.workload) {
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
    let mut open: BTreeMap<Asked<'_>, Vec<ResolvedOccurrence>> = BTreeMap::new();
    for key in members {
        let kept = slots.get(key).and_then(|slot| slot.window.as_ref());
        let window = kept.and_then(|kept| {
            let workload = plan.workload(&plan.vm(key)?.workload)?;
            let open = open
                .entry(plan.asked(workload)?)
                .or_insert_with(|| plan.occurrences(workload).unwrap_or_default());
            // A freeze may leave several parts of one occurrence.
            let occurrence = open.iter().find(|known| {
                plan.since_start(known.from) == kept.from && known.id == kept.occurrence
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
