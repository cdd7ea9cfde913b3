//! What is to be scheduled, reduced to what a scheduler needs: durations, sizes, and what must not
//! happen at the same time or in the wrong order.
//!
//! Times are seconds from the plan's start, or from whenever the plan is run where there is none.

use std::collections::BTreeMap;

use engine::Profile;
use jiff::Timestamp;
use schemas::ids::{OccurrenceId, TargetName, VmKey, VmName, WindowName, WorkloadName};
use schemas::inventory::{Power, SourceKind};
use schemas::site::{Admission, Assumptions};
use schemas::units::{Bytes, Seconds};
use schemas::wave::WaveSize;

use crate::check::Checked;
use crate::estimate::Estimates;
use crate::resolve::{ResolvedPlan, ResolvedWorkload};

/// What is to be scheduled. Positions in its lists name things; the order of `jobs` means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The engine, the same on every target.
    pub profile: Profile,
    /// When the next import is created, relative to the one before.
    pub admission: Admission,
    /// Clusters, each with an engine and a scratch of its own.
    pub targets: Vec<Target>,
    /// Lists of windows that jobs may have to keep, each by start and without overlap.
    pub calendars: Vec<Vec<Window>>,
    /// Sets of jobs that wait for each other.
    pub workloads: Vec<Workload>,
    /// The imports.
    pub jobs: Vec<Job>,
}

/// A cluster with its engine and scratch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// The scratch volume's size.
    pub capacity: Bytes,
    /// What may be used of it.
    pub usable: Bytes,
}

/// One occurrence of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The window's name.
    pub name: WindowName,
    /// Which occurrence.
    pub occurrence: OccurrenceId,
    /// Imports may start from here on.
    pub from: Seconds,
    /// They should have ended by then.
    pub to: Seconds,
    /// None may start from here on.
    pub last_start: Seconds,
}

/// Jobs that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its name.
    pub name: WorkloadName,
    /// Positions of the workloads whose machines must all run first.
    pub after: Vec<usize>,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The VM.
    pub vm: VmKey,
    /// Its name, for people.
    pub name: VmName,
    /// Its source's kind.
    pub kind: SourceKind,
    /// Position of its target.
    pub target: usize,
    /// Position of its workload.
    pub workload: usize,
    /// Position of the windows that it must keep; none: it may start at any time.
    pub calendar: Option<usize>,
    /// Whether its guest runs, and so is down from its shutdown on.
    pub guest_runs: bool,
    /// What it needs.
    pub size: WaveSize,
    /// How long its phases take.
    pub estimates: Estimates,
    /// VMs that must not be under way at the same time (N03).
    pub excludes: Vec<VmKey>,
    /// How much its downtime counts.
    pub weight: u64,
}

impl Problem {
    /// Of a plan that was checked. A VM whose power nobody saw counts as running.
    pub fn new(checked: &Checked) -> Self {
        let plan = &checked.plan;
        let targets: Vec<Target> = plan
            .targets
            .values()
            .map(|target| Target {
                name: target.name.clone(),
                capacity: target.capacity,
                usable: target.usable,
            })
            .collect();
        let mut calendars = Calendars::new(plan);
        let of_workload: Vec<Option<usize>> = plan
            .workloads
            .iter()
            .map(|workload| calendars.of(workload))
            .collect();
        let positions: BTreeMap<&WorkloadName, usize> =
            plan.workloads.iter().map(|w| &w.name).zip(0..).collect();
        let workloads = plan
            .workloads
            .iter()
            .map(|workload| Workload {
                name: workload.name.clone(),
                after: workload
                    .depends_on
                    .iter()
                    .filter_map(|name| positions.get(name).copied())
                    .collect(),
            })
            .collect();
        let jobs = plan.vms.iter().filter_map(|vm| {
            let target = targets.iter().position(|target| target.name == vm.target)?;
            let workload = *positions.get(&vm.workload)?;
            let size = vm.footprint.size();
            let guest_runs = vm.power != Some(Power::Off) && vm.kind != SourceKind::Ova;
            // A guest that takes longer has its power cut.
            let assumed = Assumptions {
                shutdown: plan.assumptions.shutdown.min(vm.shutdown_timeout),
                ..plan.assumptions.clone()
            };
            Some(Job {
                vm: vm.key.clone(),
                name: vm.name.clone(),
                kind: vm.kind,
                target,
                workload,
                calendar: of_workload[workload],
                guest_runs,
                estimates: Estimates::new(&size, guest_runs, &assumed),
                size,
                excludes: checked.excludes.get(&vm.key).cloned().unwrap_or_default(),
                weight: 1,
            })
        });
        Self {
            profile: Profile::vm_import(),
            admission: plan.policy.admission,
            jobs: jobs.collect(),
            workloads,
            targets,
            calendars: calendars.lists,
        }
    }

    /// Positions of the jobs, sorted by VM.
    pub(super) fn by_vm(&self) -> Vec<usize> {
        let mut jobs: Vec<usize> = (0..self.jobs.len()).collect();
        jobs.sort_by(|a, b| self.jobs[*a].vm.cmp(&self.jobs[*b].vm));
        jobs
    }

    /// What each workload depends on.
    pub(super) fn after(&self) -> Vec<Vec<usize>> {
        self.workloads.iter().map(|w| w.after.clone()).collect()
    }
}

/// Lists of windows, one for each combination that workloads ask for.
struct Calendars<'a> {
    plan: &'a ResolvedPlan,
    lists: Vec<Vec<Window>>,
    known: BTreeMap<(&'a WindowName, Option<&'a OccurrenceId>), usize>,
}

impl<'a> Calendars<'a> {
    fn new(plan: &'a ResolvedPlan) -> Self {
        Self {
            plan,
            lists: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    fn of(&mut self, workload: &'a ResolvedWorkload) -> Option<usize> {
        let name = workload.window.as_ref()?;
        let key = (name, workload.occurrence.as_ref());
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let origin = self.plan.start.unwrap_or(Timestamp::UNIX_EPOCH);
        let since = |instant: Timestamp| {
            let seconds = instant.as_second() - origin.as_second();
            Seconds(u64::try_from(seconds).unwrap_or(0))
        };
        let window = self.plan.window(name);
        let list = window
            .into_iter()
            .flat_map(|window| &window.occurrences)
            .filter(|occurrence| key.1.is_none_or(|id| *id == occurrence.id))
            .map(|occurrence| Window {
                name: name.clone(),
                occurrence: occurrence.id.clone(),
                from: since(occurrence.from),
                to: since(occurrence.to),
                last_start: since(occurrence.last_start),
            });
        self.lists.push(list.collect());
        self.known.insert(key, self.lists.len() - 1);
        Some(self.lists.len() - 1)
    }
}
