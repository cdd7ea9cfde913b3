//! A checked plan → what is to be scheduled.

use std::collections::BTreeMap;

use engine::Profile;
use jiff::Timestamp;
use schemas::ids::{OccurrenceId, WindowName, WorkloadName};
use schemas::inventory::{Power, SourceKind};
use schemas::site::Assumptions;
use schemas::units::Seconds;

use super::{Job, Problem, Room, Target, Window, Workload};
use crate::check::Checked;
use crate::estimate::Estimates;
use crate::resolve::{ResolvedPlan, ResolvedWorkload};

impl Problem {
    /// Of a plan that was checked. A VM whose power nobody saw counts as running.
    pub fn new(checked: &Checked) -> Self {
        let plan = &checked.plan;
        let targets: Vec<Target> = plan
            .targets
            .values()
            .map(|target| Target {
                name: target.name.clone(),
                profile: Profile::vm_import(),
                occupied: Vec::new(),
                room: None,
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
                step: None,
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
            let estimates = Estimates::new(&size, guest_runs, &assumed);
            Some(Job {
                vm: vm.key.clone(),
                name: vm.name.clone(),
                kind: vm.kind,
                target,
                workload,
                calendar: of_workload[workload],
                guest_runs,
                host: None,
                fixed: None,
                takes: Room::default(),
                cut_p90: estimates.cut(&targets[target].profile, vm.kind),
                gate: Seconds::ZERO,
                after: Vec::new(),
                estimates,
                size,
                excludes: checked.excludes.get(&vm.key).cloned().unwrap_or_default(),
                weight: 1,
            })
        });
        Self {
            admission: plan.policy.admission,
            jobs: jobs.collect(),
            workloads,
            targets,
            hosts: Vec::new(),
            services: Vec::new(),
            barriers: Vec::new(),
            calendars: calendars.lists,
        }
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
                reserve: Seconds::ZERO,
                vms_max: None,
            });
        self.lists.push(list.collect());
        self.known.insert(key, self.lists.len() - 1);
        Some(self.lists.len() - 1)
    }
}
