//! A checked plan → what is to be scheduled.

use std::collections::BTreeMap;

use engine::Profile;
use schemas::ids::{VmKey, WorkloadName, WorkloadRef};
use schemas::inventory::{Power, SourceKind};
use schemas::site::{Assumptions, PoweredOff};
use schemas::units::Seconds;

use super::{Barrier, Job, Problem, Room, Service, Step, Target, Window, Workload};
use crate::check::Checked;
use crate::estimate::Estimates;
use crate::resolve::{Asked, ResolvedPlan, ResolvedWave, ResolvedWorkload};

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
        let (elsewhere, nodes) = others(plan);
        let workloads = plan
            .workloads
            .iter()
            .map(|workload| Workload {
                name: workload.name.clone(),
                after: workload
                    .depends_on
                    .iter()
                    .filter_map(|name| positions.get(name).copied())
                    .chain(
                        workload
                            .others
                            .iter()
                            .filter_map(|name| elsewhere.get(name).copied()),
                    )
                    .collect(),
                step: workload.external.as_ref().map(|external| Step {
                    takes: external.estimate.0,
                    from: Seconds::ZERO,
                    calendar: None,
                    needs: Vec::new(),
                }),
            })
            .chain(nodes)
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
            // The executor's rule, to the second: it does not know which guests are off already.
            let cut_p90 = engine::admission::cut_p90(
                &targets[target].profile,
                vm.kind,
                &size,
                vm.shutdown_timeout.0,
                &plan.assumptions,
            );
            // What people pinned to an occurrence stays there.
            let at_any_time = plan.policy.powered_off == PoweredOff::AnyTime
                && vm.power == Some(Power::Off)
                && plan.workloads[workload].occurrence.is_none();
            Some(Job {
                vm: vm.key.clone(),
                name: vm.name.clone(),
                kind: vm.kind,
                target,
                workload,
                calendar: of_workload[workload].filter(|_| !at_any_time),
                guest_runs,
                host: None,
                fixed: None,
                under_way: false,
                takes: Room::default(),
                cut_p90,
                gate: plan.gate(vm).unwrap_or(Seconds::ZERO),
                after: vm.after.clone(),
                estimates,
                size,
                excludes: checked.excludes.get(&vm.key).cloned().unwrap_or_default(),
                weight: plan.workloads[workload].weight,
            })
        });
        Self {
            admission: plan.policy.admission,
            jobs: jobs.collect(),
            workloads,
            targets,
            hosts: Vec::new(),
            pools: Vec::new(),
            services: services(plan, &positions),
            barriers: barriers(plan),
            calendars: calendars.lists,
        }
    }
}

/// Workloads of other plans that are still to come: nodes behind those of this plan, each a step that
/// takes no time and begins when it is predicted to be done. With their positions.
fn others(plan: &ResolvedPlan) -> (BTreeMap<&WorkloadRef, usize>, Vec<Workload>) {
    let direct = plan.workloads.iter().flat_map(|workload| &workload.others);
    let mut direct: Vec<&WorkloadRef> = direct.collect();
    direct.sort();
    direct.dedup();
    let (mut positions, mut nodes) = (BTreeMap::new(), Vec::new());
    for name in direct {
        let Some(done) = plan.others.get(name).and_then(|other| other.done) else {
            continue;
        };
        positions.insert(name, plan.workloads.len() + nodes.len());
        nodes.push(Workload {
            name: WorkloadName::new(name.to_string()),
            after: Vec::new(),
            step: Some(Step {
                takes: Seconds::ZERO,
                from: plan.since_start(done),
                calendar: None,
                needs: Vec::new(),
            }),
        });
    }
    (positions, nodes)
}

fn services(plan: &ResolvedPlan, positions: &BTreeMap<&WorkloadName, usize>) -> Vec<Service> {
    let position = |name: &WorkloadName| positions.get(name).copied();
    let services = plan.services.iter().map(|service| Service {
        name: service.name.clone(),
        workloads: service.workloads.iter().filter_map(position).collect(),
        together: service.together,
    });
    services.collect()
}

/// Canaries go before the others of their wave, and waves before those that are after them.
fn barriers(plan: &ResolvedPlan) -> Vec<Barrier> {
    let members = |wave: &ResolvedWave| -> Vec<VmKey> {
        let own = plan.vms.iter();
        let own = own.filter(|vm| wave.workloads.contains(&vm.workload));
        own.map(|vm| vm.key.clone()).collect()
    };
    let mut barriers = Vec::new();
    for wave in &plan.waves {
        if wave.canaries.is_empty() && wave.after.is_empty() {
            continue;
        }
        let own = members(wave);
        if !wave.canaries.is_empty() {
            let is_canary = |key: &&VmKey| wave.canaries.binary_search(key).is_ok();
            let (first, then): (Vec<&VmKey>, Vec<&VmKey>) = own.iter().partition(is_canary);
            barriers.push(Barrier {
                name: WorkloadName::from("canaries"),
                first: first.into_iter().cloned().collect(),
                then: then.into_iter().cloned().collect(),
            });
        }
        for before in &wave.after {
            let before = &plan.waves[*before];
            barriers.push(Barrier {
                name: before.name.clone(),
                first: members(before),
                then: own.clone(),
            });
        }
    }
    barriers
}

/// Lists of windows, one for each combination that workloads ask for.
struct Calendars<'a> {
    plan: &'a ResolvedPlan,
    lists: Vec<Vec<Window>>,
    known: BTreeMap<Asked<'a>, usize>,
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
        let (plan, name) = (self.plan, workload.window.as_ref()?);
        let key = plan.asked(workload)?;
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let window = plan.window(name)?;
        let open = plan.occurrences(workload)?.into_iter();
        // What is over when the rest of a plan is scheduled is no occurrence any more.
        let open = open.filter(|it| plan.start.is_none_or(|start| it.to > start));
        let list = open.map(|occurrence| Window {
            name: name.clone(),
            occurrence: occurrence.id.clone(),
            from: plan.since_start(occurrence.from),
            to: plan.since_start(occurrence.to),
            last_start: plan.since_start(occurrence.last_start),
            reserve: window.rollback_reserve.map_or(Seconds::ZERO, |span| span.0),
            vms_max: window.max_vms,
        });
        self.lists.push(list.collect());
        self.known.insert(key, self.lists.len() - 1);
        Some(self.lists.len() - 1)
    }
}
