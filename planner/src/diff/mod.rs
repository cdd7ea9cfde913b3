//! What has changed: waves that are written down × the plan as it would be made now.
//!
//! Takes the waves that are committed, with their forecast and, where they are known, the snapshots
//! that they were made from; gives a [`PlanDiff`], by wave, by workload and by VM, each change with
//! what it comes to (downtime, start, window). [`text`] says it in words, [`markdown`] for a pull
//! request. Nothing is decided here.

mod compare;
mod machines;
pub mod markdown;
#[cfg(test)]
mod tests;
pub mod text;
mod waves;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemas::approval::WaveApproval;
use schemas::finding::{Finding, Subject};
use schemas::forecast::{Forecast, ImportForecast};
use schemas::ids::{PlanName, VmKey, VmName, WorkloadName};
use schemas::inventory::Inventory;
use schemas::plan::MigrationPlan;
use schemas::site::SiteSpec;
use schemas::units::Seconds;
use schemas::wave::{MigrationWave, WaveImport};
use serde::Serialize;

use crate::pipeline::Planned;
use crate::resolve::Index;
use crate::waves::inventory_digest;
use crate::{check, resolve};

pub use machines::{VmDiff, VmFate};
pub use waves::{ApprovalLost, WaveDiff, WaveFate};

/// The schema named in the JSON form.
pub const SCHEMA: &str = "windrow.diff/1";

/// What is written down.
#[derive(Clone, Copy)]
pub struct Committed<'a> {
    /// The waves.
    pub waves: &'a [MigrationWave],
    /// Their forecast, where it could be read.
    pub forecast: Option<&'a Forecast>,
    /// Approvals of them.
    pub approvals: &'a [WaveApproval],
    /// The snapshots that they were made from, where these are known.
    pub inventory: Option<&'a Inventory>,
}

/// The plan as it would be made now, and what it would be made from.
#[derive(Clone, Copy)]
pub struct Current<'a> {
    /// The plan.
    pub plan: &'a MigrationPlan,
    /// The site.
    pub site: &'a SiteSpec,
    /// The snapshots.
    pub inventory: &'a Inventory,
    /// What they come to.
    pub planned: &'a Planned,
}

/// All that has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanDiff {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The plan.
    pub plan: PlanName,
    /// Whether nothing has.
    pub equal: bool,
    /// The instant that all times count from; absent: from whenever the plan starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Timestamp>,
    /// The zone that times are shown in.
    pub time_zone: String,
    /// When the last machine is ready.
    pub ends: Change<Seconds>,
    /// The longest downtime of a machine.
    pub worst: Change<Seconds>,
    /// Waves with a change, by name.
    pub waves: Vec<WaveDiff>,
    /// Workloads whose times have changed, in the plan's order.
    pub workloads: Vec<WorkloadDiff>,
    /// VMs with a change, by key; those that only start at another time are not among them.
    pub vms: Vec<VmDiff>,
    /// VMs that only start at another time, and by how much at most.
    pub shifted: Shifted,
    /// Findings that the sources have gained; empty where the snapshots before are not known.
    pub findings: Vec<Finding>,
    /// Findings that are mended, by code and subject.
    pub mended: Vec<Finding>,
    /// Whether the sources have changed in a way that nobody can tell, for the snapshots before
    /// are not known.
    pub untold: bool,
}

/// A value before and now; absent where there was or is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// In what is committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<T>,
    /// As it would be planned now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<T>,
}

impl<T: PartialEq> Change<T> {
    /// Whether there is one.
    pub fn is_change(&self) -> bool {
        self.before != self.now
    }
}

impl Change<Seconds> {
    /// By how much it grew, negative where it shrank; nothing where one of the two is not known.
    pub fn by(&self) -> Option<i64> {
        Some(self.now?.signed().saturating_sub(self.before?.signed()))
    }
}

/// A field of something, before and now, in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FieldChange {
    /// Which, as people call it.
    pub what: String,
    /// Absent: it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Absent: it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

/// A workload whose times have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkloadDiff {
    /// Its name.
    pub name: WorkloadName,
    /// First guest off.
    pub starts: Change<Seconds>,
    /// First guest off to last machine ready.
    pub downtime: Change<Seconds>,
    /// How many machines it moves.
    pub vms: Change<usize>,
}

/// VMs that only start at another time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shifted {
    /// How many.
    pub vms: usize,
    /// Most seconds that one starts later.
    pub later: Seconds,
    /// Most seconds that one starts earlier.
    pub earlier: Seconds,
}

impl<'a> Committed<'a> {
    /// The snapshots, if that wave was made from them: its digest of what they say of its VMs tells.
    fn snapshots_of(&self, wave: &MigrationWave) -> Option<&'a Inventory> {
        let inventory = self.inventory?;
        let vms = wave.spec.imports.iter().map(|import| &import.vm);
        let digest = inventory_digest(&Index::of(inventory), vms);
        (digest == wave.spec.inputs.inventory).then_some(inventory)
    }

    /// The snapshots, if all waves were made from them.
    fn snapshots(&self) -> Option<&'a Inventory> {
        let all = self
            .waves
            .iter()
            .all(|wave| self.snapshots_of(wave).is_some());
        self.inventory.filter(|_| all)
    }
}

/// Says what has changed.
pub fn diff(committed: Committed<'_>, current: Current<'_>) -> PlanDiff {
    let report = &current.planned.report;
    let rendered = &current.planned.rendered;
    let before = Side::of(committed.waves.iter(), committed.forecast);
    let now = Side::of(
        rendered.waves.iter().map(|wave| &wave.object),
        Some(&rendered.forecast),
    );
    let (vms, shifted) = machines::diff(&before, &now, committed, current);
    let waves = waves::diff(&before, &now, committed.approvals, &done(current));
    let (findings, mended) = findings(committed, current);
    // A wave whose inventory digest moved, and no VM of it whose change anybody could name.
    let untold = waves
        .iter()
        .filter(|wave| wave.drifted)
        .any(|wave| !vms.iter().any(|vm| vm.is_in(&wave.name) && vm.tells()));
    let workloads = workloads(&before, &now, current);
    let ends = Change {
        before: before.ends(),
        now: now.ends(),
    };
    let worst = Change {
        before: before.worst(),
        now: now.worst(),
    };
    PlanDiff {
        schema: SCHEMA,
        plan: report.plan.clone(),
        equal: waves.is_empty() && vms.is_empty() && shifted.vms == 0 && !ends.is_change(),
        origin: report.origin,
        time_zone: report.time_zone.clone(),
        ends,
        worst,
        waves,
        workloads,
        vms,
        shifted,
        findings,
        mended,
        untold,
    }
}

/// VMs that run on their target already: that they are in no wave any more is no change.
fn done(current: Current<'_>) -> BTreeSet<&VmKey> {
    let left_out = current.planned.report.left_out.iter();
    left_out
        .filter(|out| out.kind == "moved")
        .map(|out| &out.vm)
        .collect()
}

/// Waves and times of one side, to look up.
struct Side<'a> {
    waves: BTreeMap<&'a str, &'a MigrationWave>,
    imports: BTreeMap<&'a VmKey, (&'a str, &'a WaveImport)>,
    times: BTreeMap<&'a VmKey, &'a ImportForecast>,
}

impl<'a> Side<'a> {
    fn of(waves: impl Iterator<Item = &'a MigrationWave>, forecast: Option<&'a Forecast>) -> Self {
        let waves: BTreeMap<&str, &MigrationWave> = waves
            .filter_map(|wave| Some((wave.metadata.name.as_deref()?, wave)))
            .collect();
        let imports = waves
            .iter()
            .flat_map(|(name, wave)| {
                let imports = wave.spec.imports.iter();
                imports.map(move |import| (&import.vm, (*name, import)))
            })
            .collect();
        let forecasts = forecast.into_iter().flat_map(|forecast| &forecast.waves);
        Self {
            imports,
            times: forecasts
                .filter(|wave| waves.contains_key(wave.wave.as_str()))
                .flat_map(|wave| &wave.imports)
                .map(|import| (&import.vm, import))
                .collect(),
            waves,
        }
    }

    fn ends(&self) -> Option<Seconds> {
        self.times.values().map(|times| times.ready).max()
    }

    fn worst(&self) -> Option<Seconds> {
        self.times.values().map(|times| times.downtime()).max()
    }

    fn workloads(&self) -> BTreeMap<&'a WorkloadName, Totals> {
        let mut found: BTreeMap<_, Totals> = BTreeMap::new();
        for (key, (_, import)) in &self.imports {
            let totals = found.entry(&import.workload).or_default();
            totals.vms += 1;
            if let Some(times) = self.times.get(key) {
                let (off, ready) = totals.down.unwrap_or((times.off, times.ready));
                totals.down = Some((off.min(times.off), ready.max(times.ready)));
            }
        }
        found
    }
}

/// What a workload comes to.
#[derive(Clone, Copy, Default)]
struct Totals {
    /// First guest off, and last machine ready, where they are predicted.
    down: Option<(Seconds, Seconds)>,
    vms: usize,
}

fn workloads(before: &Side<'_>, now: &Side<'_>, current: Current<'_>) -> Vec<WorkloadDiff> {
    let (before, now) = (before.workloads(), now.workloads());
    let listed = current.plan.spec.workloads.iter().map(|w| &w.name);
    let known: BTreeSet<&WorkloadName> = listed.clone().collect();
    let gone = before.keys().copied().filter(|name| !known.contains(name));
    listed
        .chain(gone)
        .map(|name| {
            let (was, is) = (before.get(name), now.get(name));
            let off = |side: Option<&Totals>| Some(side?.down?.0);
            let down = |side: Option<&Totals>| {
                let (off, ready) = side?.down?;
                Some(ready.saturating_sub(off))
            };
            WorkloadDiff {
                name: name.clone(),
                starts: Change {
                    before: off(was),
                    now: off(is),
                },
                downtime: Change {
                    before: down(was),
                    now: down(is),
                },
                vms: Change {
                    before: was.map(|side| side.vms),
                    now: is.map(|side| side.vms),
                },
            }
        })
        .filter(|diff| diff.starts.is_change() || diff.downtime.is_change() || diff.vms.is_change())
        .collect()
}

/// Findings that the plan has by the snapshots now and had not by those before, and the other way
/// round.
fn findings(committed: Committed<'_>, current: Current<'_>) -> (Vec<Finding>, Vec<Finding>) {
    let before = committed.snapshots().and_then(|inventory| {
        resolve::resolve(current.plan, current.site, inventory)
            .ok()
            .map(|plan| check::check(plan, inventory))
    });
    let Some(before) = before else {
        return (Vec::new(), Vec::new());
    };
    let now = &current.planned.report.findings;
    let key = |finding: &Finding| (finding.code.clone(), finding.subject.clone());
    let (had, has): (BTreeSet<_>, BTreeSet<_>) = (
        before.findings.iter().map(key).collect(),
        now.iter().map(key).collect(),
    );
    // What the schedule adds is told with the VM that it is about.
    let scheduled = |finding: &&Finding| SCHEDULED.contains(&finding.code.as_str());
    let new = now
        .iter()
        .filter(|finding| !had.contains(&key(finding)) && !scheduled(finding));
    let old = before
        .findings
        .iter()
        .filter(|finding| !has.contains(&key(finding)) && !scheduled(finding));
    (new.cloned().collect(), old.cloned().collect())
}

/// Codes of findings that only a schedule has: no room in a window, ends after its close.
const SCHEDULED: [&str; 2] = ["WR004", "WR006"];

/// What the findings now say of a VM with this code.
fn evidence<'a>(current: Current<'a>, code: &str, vm: &VmKey) -> Option<&'a str> {
    let mut findings = current.planned.report.findings.iter();
    findings
        .find(|finding| {
            finding.code == code && matches!(&finding.subject, Subject::Vm { key, .. } if key == vm)
        })
        .map(|finding| finding.evidence.as_str())
}

/// The name of a VM, for people.
fn name_of<'a>(import: Option<&'a WaveImport>, other: Option<&'a WaveImport>) -> VmName {
    import
        .or(other)
        .map_or_else(VmName::default, |import| import.name.clone())
}
