//! What a wave was made from, as digests: of the slice of the plan that bears on it, and of what
//! the inventory says of its VMs. A change elsewhere in the plan leaves them as they are.

use std::collections::BTreeSet;

use schemas::digest;
use schemas::ids::{Digest, PlanName, TargetName, VmKey, WorkloadName};
use schemas::inventory::Vm;
use schemas::plan::{
    Machine, PinnedWave, PlanSpec, PlanTarget, Service, VmDependency, Waiver, Workload,
};
use schemas::site::{Assumptions, Freeze, NetworkMapping, Policy, Source, Target, Window};
use serde::Serialize;

use super::{Inputs, Wave};
use crate::resolve::{Index, ResolvedPlan};

/// The part of plan and site that bears on one wave.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanSlice<'a> {
    plan: &'a PlanName,
    start: Option<jiff::Timestamp>,
    target: &'a PlanTarget,
    workloads: Vec<&'a Workload>,
    machines: Vec<&'a Machine>,
    waves: Vec<&'a PinnedWave>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vm_dependencies: Vec<&'a VmDependency>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    services: Vec<&'a Service>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    freezes: Vec<&'a Freeze>,
    waivers: Vec<&'a Waiver>,
    sources: Vec<&'a Source>,
    site_target: Option<SiteTarget<'a>>,
    windows: Vec<&'a Window>,
    policy: &'a Policy,
    assumptions: &'a Assumptions,
}

/// A target of the site, with the networks of the wave's sources only.
#[derive(Serialize)]
struct SiteTarget<'a> {
    name: &'a TargetName,
    target: Target,
    networks: Vec<&'a NetworkMapping>,
}

/// The digest of the slice of the plan.
pub(super) fn plan(inputs: Inputs<'_>, plan: &ResolvedPlan, wave: &Wave) -> Digest {
    let (spec, site) = (inputs.plan, inputs.site);
    let keys: BTreeSet<&VmKey> = wave.vms.iter().collect();
    let vms: Vec<_> = wave.vms.iter().filter_map(|key| plan.vm(key)).collect();
    let workloads: BTreeSet<_> = vms.iter().map(|vm| &vm.workload).collect();
    let entries: BTreeSet<usize> = vms.iter().filter_map(|vm| vm.entry).collect();
    let sources: BTreeSet<_> = vms.iter().map(|vm| &vm.key.source).collect();
    let waivers = plan
        .waivers
        .iter()
        .filter(|waiver| waiver.vms().any(|key| keys.contains(key)))
        .map(|waiver| &spec.waivers[waiver.position]);
    digest::of(&PlanSlice {
        plan: &plan.name,
        start: spec.start,
        target: &spec.target,
        workloads: written(spec, plan, &workloads),
        machines: entries.into_iter().map(|i| &spec.machines[i]).collect(),
        waves: spec
            .waves
            .iter()
            .filter(|pin| pin.workloads.iter().any(|name| workloads.contains(name)))
            .collect(),
        vm_dependencies: spec
            .vm_dependencies
            .iter()
            .filter(|dependency| {
                let mut own = vms.iter().filter(|vm| !vm.after.is_empty());
                own.any(|vm| {
                    dependency.vm.source == vm.key.source
                        && (dependency.vm.id.as_ref() == Some(&vm.key.id)
                            || dependency.vm.name.as_ref() == Some(&vm.name))
                })
            })
            .collect(),
        services: spec
            .services
            .iter()
            .filter(|service| {
                service
                    .workloads
                    .iter()
                    .any(|name| workloads.contains(name))
            })
            .collect(),
        freezes: if wave.window.is_some() {
            site.freezes.iter().collect()
        } else {
            Vec::new()
        },
        waivers: waivers.collect(),
        sources: site
            .sources
            .iter()
            .filter(|source| sources.contains(&source.name))
            .collect(),
        site_target: site
            .targets
            .iter()
            .find(|target| target.name == wave.target)
            .map(|target| SiteTarget {
                name: &target.name,
                networks: target
                    .networks
                    .iter()
                    .filter(|line| sources.contains(&line.source))
                    .collect(),
                target: Target {
                    networks: Vec::new(),
                    ..target.clone()
                },
            }),
        windows: site
            .windows
            .iter()
            .filter(|window| {
                wave.window
                    .as_ref()
                    .is_some_and(|(name, _)| *name == window.name)
            })
            .collect(),
        policy: &site.policy,
        assumptions: &site.assumptions,
    })
}

/// These workloads as the plan has them, in its order; then those that it has others made of.
fn written<'a>(
    spec: &'a PlanSpec,
    plan: &'a ResolvedPlan,
    names: &BTreeSet<&WorkloadName>,
) -> Vec<&'a Workload> {
    let found = names.iter().filter_map(|name| plan.workload(name));
    let positions: BTreeSet<usize> = found.map(|workload| workload.position).collect();
    let at = |position: usize| match position.checked_sub(spec.workloads.len()) {
        Some(made) => &plan.generated[made].workload,
        None => &spec.workloads[position],
    };
    positions.into_iter().map(at).collect()
}

/// The digest of what the inventory says of the wave's VMs, without what changes by itself.
pub(crate) fn inventory<'k>(index: &Index<'_>, vms: impl IntoIterator<Item = &'k VmKey>) -> Digest {
    let vms: Vec<&Vm> = vms.into_iter().filter_map(|key| index.vm(key)).collect();
    digest::of(&vms)
}
