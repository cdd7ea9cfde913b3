//! What a plan comes to: for people as text, for programs as JSON.
//!
//! Takes the results of all stages and gives a [`PlanReport`], a plain struct with everything that
//! is told; `text` says it in words. Nothing is decided here.

pub mod actual;
mod beside;
pub(crate) mod clock;
pub mod csv;
pub mod markdown;
pub mod page;
pub mod steps;
#[cfg(test)]
mod tests;
pub mod text;
mod twins;

pub use actual::Actual;
pub(crate) use clock::Clock;
pub use steps::StepLine;
pub use twins::{Twin, TwinVm, Twins};

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemas::finding::{Finding, Severity, Subject};
use schemas::forecast::{Band, Forecast, ImportForecast, OtherForecast};
use schemas::gate::Gate;
use schemas::ids::{
    OccurrenceId, PlanName, SourceName, TargetName, VmKey, VmName, WindowName, WorkloadName,
};
use schemas::inventory::Inventory;
use schemas::units::{Bytes, Seconds};
use serde::Serialize;

use crate::check::Checked;
use crate::check::capacity::CapacityLine;
use crate::check::losses::Loss;
use crate::diagnostic::list;
use crate::resolve::{Exclusion, ExclusionReason, ResolvedPlan};
use crate::schedule::{Feasibility, Problem, Schedule, all_at_once};
use crate::waves::Rendered;
use crate::{critical, downtime};

/// The schema named in the JSON form.
pub const SCHEMA: &str = "windrow.plan-report/1";

/// Shares of the scratch, in hundredths, from which on a wave is called tight: above it one more
/// small VM, or a leak, makes the next import wait.
const TIGHT_HUNDREDTHS_MIN: u64 = 95;

/// What a plan comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The plan.
    pub plan: PlanName,
    /// Whether every VM that is still to be moved has a place.
    pub fits: bool,
    /// Machines that the waves move.
    pub vms: usize,
    /// Machines that run on their target already.
    pub moved: usize,
    /// Provisioned bytes of all disks that the waves move.
    pub disks: Bytes,
    /// Where they come from.
    pub sources: Vec<SourceName>,
    /// Where they go.
    pub targets: Vec<TargetName>,
    /// The instant that all times count from; absent: from whenever the plan starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Timestamp>,
    /// The zone that times are shown in.
    pub time_zone: String,
    /// What each target's engine needs for all that keeps windows, beside what those give; empty
    /// where there are no windows.
    pub windows: Vec<Feasibility>,
    /// The waves, by number.
    pub waves: Vec<WaveLine>,
    /// The services that have something to move, in the plan's order.
    pub services: Vec<ServiceLine>,
    /// Steps outside, by start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepLine>,
    /// Workloads of other plans that are waited for, as those plans predict them, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherForecast>,
    /// The workloads that have something to move, in the plan's order.
    pub workloads: Vec<WorkloadLine>,
    /// The last machine is ready.
    pub ends: Seconds,
    /// The last gate holds and the last step outside is done, where that is later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<Seconds>,
    /// Between which moments the last machine is ready.
    pub band: Band,
    /// The chain of imports that decides it, by start; steps outside on it are marked among `steps`.
    pub critical_path: Vec<VmKey>,
    /// No schedule can end before.
    pub ends_at_least: Seconds,
    /// Hundredths that are at most left to gain.
    pub gap_percent: u64,
    /// Downtime of all machines together.
    pub downtime: Downtime,
    /// The same machines, all applied at once.
    pub all_at_once: AtOnce,
    /// VMs that were selected and are not moved, by key.
    pub left_out: Vec<LeftOut>,
    /// Names that several VMs of one source bear, where the plan moves one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub twins: Vec<Twins>,
    /// Workloads whose VMs have findings, the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<WorkloadFindings>,
    /// All findings, the worst first.
    pub findings: Vec<Finding>,
    /// What the plan needs of what is limited, beside what there is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capacity: Vec<CapacityLine>,
    /// What will not survive, kind by kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// What a run came to, where one was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<Actual>,
}

/// One service in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceLine {
    /// Its name.
    pub name: WorkloadName,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The change's number in another system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Its machines.
    pub vms: usize,
    /// First guest off.
    pub starts: Seconds,
    /// Last machine ready, last gate holding, last step outside done.
    pub ends: Seconds,
    /// It is down for so long: in each occurrence from the first of these to the last.
    pub downtime: Seconds,
    /// In so many occurrences of its windows.
    pub occurrences: usize,
    /// It should be down no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Seconds>,
}

/// One workload in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadLine {
    /// Its name.
    pub name: WorkloadName,
    /// Its machines.
    pub vms: usize,
    /// First guest off.
    pub starts: Seconds,
    /// Last machine ready, its gate holding.
    pub ends: Seconds,
    /// As a service's.
    pub downtime: Seconds,
    /// What each of its machines must show before those that depend on it start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

fn service_lines(plan: &ResolvedPlan, schedule: &Schedule) -> Vec<ServiceLine> {
    let downs = downtime::services(plan, schedule);
    let services = plan.services.iter().zip(downs);
    services
        .filter_map(|(service, down)| {
            let down = down?;
            Some(ServiceLine {
                name: service.name.clone(),
                owner: service.owner.clone(),
                change: service.change.clone(),
                vms: down.vms,
                starts: down.starts,
                ends: down.ends,
                downtime: down.down,
                occurrences: down.occurrences,
                budget: service.budget.map(|budget| budget.0),
            })
        })
        .collect()
}

fn workload_lines(plan: &ResolvedPlan, schedule: &Schedule) -> Vec<WorkloadLine> {
    let downs = downtime::workloads(plan, schedule);
    let workloads = plan.workloads.iter().zip(downs);
    workloads
        .filter_map(|(workload, down)| {
            let down = down?;
            Some(WorkloadLine {
                name: workload.name.clone(),
                vms: down.vms,
                starts: down.starts,
                ends: down.ends,
                downtime: down.down,
                gate: workload.gate.clone(),
            })
        })
        .collect()
}

/// What was found of one workload's VMs, waived findings apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadFindings {
    /// Which.
    pub workload: WorkloadName,
    /// Blockers.
    pub blockers: usize,
    /// Warnings.
    pub warnings: usize,
    /// The rest.
    pub infos: usize,
}

impl WorkloadFindings {
    fn of(checked: &Checked) -> Vec<Self> {
        let plan = &checked.plan;
        let moving = plan.vms.iter().map(|vm| (&vm.key, &vm.workload));
        let gone = plan
            .exclusions
            .iter()
            .map(|gone| (&gone.key, &gone.workload));
        let workloads: BTreeMap<&VmKey, &WorkloadName> = moving.chain(gone).collect();
        let mut counts: BTreeMap<&WorkloadName, [usize; 3]> = BTreeMap::new();
        for finding in checked.findings.iter().filter(|f| f.waived_by.is_none()) {
            let workload = match &finding.subject {
                Subject::Vm { key, .. } => workloads.get(key).copied(),
                Subject::Workload(name) => Some(name),
                _ => None,
            };
            if let Some(workload) = workload {
                let severity = match finding.severity {
                    Severity::Blocker => 0,
                    Severity::Warning => 1,
                    Severity::Info => 2,
                };
                counts.entry(workload).or_default()[severity] += 1;
            }
        }
        let mut lines: Vec<Self> = counts
            .into_iter()
            .map(|(workload, [blockers, warnings, infos])| Self {
                workload: workload.clone(),
                blockers,
                warnings,
                infos,
            })
            .collect();
        lines.sort_by(|a, b| {
            (b.blockers, b.warnings, &a.workload).cmp(&(a.blockers, a.warnings, &b.workload))
        });
        lines
    }
}

/// One wave in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveLine {
    /// Its file's name without `.yaml`.
    pub stem: String,
    /// Its target.
    pub target: TargetName,
    /// Its machines.
    pub vms: usize,
    /// Its window, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowName>,
    /// Which occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurrence: Option<OccurrenceId>,
    /// First guest off.
    pub starts: Seconds,
    /// Last machine ready.
    pub ends: Seconds,
    /// Downtime of its machines.
    pub downtime: Downtime,
    /// Most scratch bytes that its target holds meanwhile.
    pub scratch_peak: Bytes,
    /// Scratch bytes that may be used.
    pub scratch_usable: Bytes,
    /// Whether hardly any scratch is left.
    pub tight: bool,
}

/// How long machines are down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Downtime {
    /// Half of them are down no longer than this.
    pub p50: Seconds,
    /// The longest.
    pub worst: Seconds,
    /// Whose that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_vm: Option<VmName>,
}

/// What `kubectl apply -f` of all imports would come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AtOnce {
    /// The last machine would be ready.
    pub ends: Seconds,
    /// Mean downtime.
    pub downtime_mean: Seconds,
    /// Longest downtime.
    pub downtime_worst: Seconds,
    /// Scratch that would be needed, on the target that would need most.
    pub scratch: Bytes,
}

/// A VM that was selected and is not moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Which.
    pub vm: VmKey,
    /// Its name.
    pub name: VmName,
    /// Why, as a word for programs: `template`, `moved`, `blocked`, `behind`, `noWindow`.
    pub kind: &'static str,
    /// Why, for people.
    pub reason: String,
}

impl PlanReport {
    /// Of all that the stages gave.
    pub fn new(
        checked: &Checked,
        problem: &Problem,
        schedule: &Schedule,
        rendered: &Rendered,
        inventory: &Inventory,
        windows: Vec<Feasibility>,
    ) -> Self {
        let plan = &checked.plan;
        let at_once = all_at_once(problem);
        let path = critical::path(plan, schedule);
        let steps = path.iter().filter_map(|link| link.step());
        let steps = steps.filter_map(|step| Some(plan.workloads.get(step.workload)?.name.clone()));
        let critical_steps: Vec<WorkloadName> = steps.collect();
        let left_out = LeftOut::of(plan);
        let times = || {
            rendered
                .forecast
                .waves
                .iter()
                .flat_map(|wave| &wave.imports)
        };
        Self {
            schema: SCHEMA,
            plan: plan.name.clone(),
            fits: left_out.iter().all(|out| !out.missed()),
            vms: plan.vms.len(),
            moved: left_out.iter().filter(|out| out.kind == "moved").count(),
            disks: plan.vms.iter().map(|vm| vm.footprint.disks).sum(),
            sources: distinct(plan.vms.iter().map(|vm| &vm.key.source)),
            targets: distinct(plan.vms.iter().map(|vm| &vm.target)),
            origin: plan.start,
            time_zone: plan
                .windows
                .iter()
                .find_map(|window| window.time_zone.clone())
                .unwrap_or_else(|| "UTC".to_owned()),
            windows,
            waves: wave_lines(checked, rendered),
            services: service_lines(plan, schedule),
            steps: steps::lines(plan, schedule, &critical_steps),
            others: rendered.forecast.others.clone(),
            workloads: workload_lines(plan, schedule),
            ends: schedule.ends(),
            done: times()
                .filter_map(|import| import.gate)
                .chain([schedule.done()])
                .max()
                .filter(|done| *done > schedule.ends()),
            band: rendered.forecast.band.unwrap_or_default(),
            critical_path: path
                .iter()
                .filter_map(|link| Some(link.import()?.vm.clone()))
                .collect(),
            ends_at_least: schedule.bound.ends,
            gap_percent: schedule.gap(),
            downtime: Downtime::of(times()),
            all_at_once: AtOnce {
                ends: at_once.ends,
                downtime_mean: at_once.mean,
                downtime_worst: at_once.max,
                scratch: at_once.scratch,
            },
            left_out,
            twins: twins::of(plan, inventory),
            found: WorkloadFindings::of(checked),
            findings: checked.findings.clone(),
            capacity: checked.capacity.clone(),
            losses: checked.losses.clone(),
            actual: None,
        }
    }

    /// The same, beside what a run came to: of the committed forecast and the ledgers of the targets.
    #[must_use]
    pub fn after_a_run(
        mut self,
        plan: &ResolvedPlan,
        forecast: &Forecast,
        inventory: &Inventory,
    ) -> Self {
        self.actual = Actual::new(plan, forecast, inventory);
        // What waited for them has begun: they are over.
        let over = self.actual.iter().flat_map(|actual| &actual.steps);
        let over: BTreeSet<&WorkloadName> = over.map(|step| &step.step).collect();
        self.steps.retain(|step| !over.contains(&step.step));
        self
    }

    /// How many findings of that severity are not waived.
    pub fn count(&self, severity: Severity) -> usize {
        let open = |finding: &&Finding| finding.severity == severity && finding.waived_by.is_none();
        self.findings.iter().filter(open).count()
    }
}

fn distinct<'a, T: Ord + Clone + 'a>(items: impl Iterator<Item = &'a T>) -> Vec<T> {
    items
        .collect::<BTreeSet<_>>()
        .into_iter()
        .cloned()
        .collect()
}

fn wave_lines(checked: &Checked, rendered: &Rendered) -> Vec<WaveLine> {
    let forecasts: BTreeMap<&str, _> = rendered
        .forecast
        .waves
        .iter()
        .map(|wave| (wave.wave.as_str(), wave))
        .collect();
    rendered
        .waves
        .iter()
        .filter_map(|wave| {
            let forecast = forecasts.get(wave.object.metadata.name.as_deref()?)?;
            let spec = &wave.object.spec;
            let usable = checked.plan.targets.get(&spec.target.name)?.usable;
            let full = u128::from(forecast.scratch_peak.0) * 100;
            Some(WaveLine {
                stem: wave.stem.clone(),
                target: spec.target.name.clone(),
                vms: spec.imports.len(),
                window: spec.window.as_ref().map(|window| window.name.clone()),
                occurrence: spec.window.as_ref().map(|window| window.occurrence.clone()),
                starts: forecast.starts,
                ends: forecast.ends,
                downtime: Downtime::of(forecast.imports.iter()),
                scratch_peak: forecast.scratch_peak,
                scratch_usable: usable,
                tight: full >= u128::from(usable.0) * u128::from(TIGHT_HUNDREDTHS_MIN),
            })
        })
        .collect()
}

/// The middle one of sorted times, the smaller of two.
fn median(sorted: &[Seconds]) -> Seconds {
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or_default()
}

impl Downtime {
    fn of<'a>(imports: impl Iterator<Item = &'a ImportForecast>) -> Self {
        let mut downtimes: Vec<(Seconds, &VmName)> = imports
            .map(|import| (import.downtime(), &import.name))
            .collect();
        downtimes.sort();
        let Some((worst, vm)) = downtimes.last() else {
            return Self::default();
        };
        Self {
            p50: downtimes[(downtimes.len() - 1) / 2].0,
            worst: *worst,
            worst_vm: Some((*vm).clone()),
        }
    }
}

impl LeftOut {
    /// All that a plan leaves out, by key.
    pub(crate) fn of(plan: &ResolvedPlan) -> Vec<Self> {
        let names: BTreeMap<&VmKey, &VmName> = plan
            .exclusions
            .iter()
            .map(|gone| (&gone.key, &gone.name))
            .collect();
        plan.exclusions
            .iter()
            .map(|gone| Self::new(gone, &names))
            .collect()
    }

    fn new(exclusion: &Exclusion, names: &BTreeMap<&VmKey, &VmName>) -> Self {
        let (kind, reason) = match &exclusion.reason {
            ExclusionReason::Template => ("template", "a template".to_owned()),
            ExclusionReason::Moved { moved: there, .. } => {
                let wave = there
                    .wave
                    .as_ref()
                    .map(|wave| format!(", moved by `{wave}`"));
                (
                    "moved",
                    format!(
                        "runs on {} already{}",
                        there.target,
                        wave.unwrap_or_default()
                    ),
                )
            }
            ExclusionReason::Blocked(codes) => {
                ("blocked", format!("blocked by {}", codes.join(", ")))
            }
            ExclusionReason::Behind(vms) => {
                let before: Vec<String> = vms
                    .iter()
                    .map(|key| {
                        names
                            .get(key)
                            .map_or_else(|| key.to_string(), ToString::to_string)
                    })
                    .collect();
                ("behind", format!("depending on {}", list(&before)))
            }
            ExclusionReason::NoWindow(window) => (
                "noWindow",
                format!("no room in any occurrence of `{window}`"),
            ),
        };
        Self {
            vm: exclusion.key.clone(),
            name: exclusion.name.clone(),
            kind,
            reason,
        }
    }

    /// Whether it should have been moved, and cannot be.
    fn missed(&self) -> bool {
        matches!(self.kind, "blocked" | "behind" | "noWindow")
    }
}
