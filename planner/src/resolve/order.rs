//! What single VMs wait for: dependencies between VMs, canaries, waves that wait for waves.
//!
//! All that makes one machine wait for another is one graph here, so that a circle through any mix
//! of them is found and named member by member.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::{VmKey, WorkloadName};
use schemas::plan::PlanSpec;

use super::index::Index;
use super::machines::one_vm;
use super::select::Claims;
use super::site::Site;
use super::{ResolvedVm, ResolvedWave, ResolvedWorkload, waivers};
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};
use crate::graph::{Cycle, Dag};

/// Fills in what VMs and waves wait for.
pub(super) fn resolve(
    spec: &PlanSpec,
    (site, index, claims): (&Site<'_>, &Index<'_>, &Claims),
    workloads: &[ResolvedWorkload],
    waves: &mut [ResolvedWave],
    vms: &mut [ResolvedVm],
    out: &mut Diagnostics,
) {
    dependencies(spec, (site, index, claims), vms, out);
    for (w, wave) in spec.waves.iter().enumerate() {
        waves[w].canaries = canaries(spec, w, index, claims, out);
        waves[w].after = after(spec, w, out);
        waves[w].workloads = workloads
            .iter()
            .filter(|workload| workload.wave == Some(w))
            .map(|workload| workload.name.clone())
            .collect();
        debug_assert_eq!(waves[w].name, wave.name, "both are in the plan's order");
    }
    let any = vms.iter().any(|vm| !vm.after.is_empty())
        || waves
            .iter()
            .any(|wave| !wave.canaries.is_empty() || !wave.after.is_empty());
    // Workloads alone have been looked at.
    if any && !out.has_errors() {
        circles(workloads, waves, vms, out);
    }
}

fn plan(path: String) -> Place {
    Place {
        file: File::Plan,
        path,
    }
}

fn dependencies(
    spec: &PlanSpec,
    (site, index, claims): (&Site<'_>, &Index<'_>, &Claims),
    vms: &mut [ResolvedVm],
    out: &mut Diagnostics,
) {
    let mut after: BTreeMap<VmKey, BTreeSet<VmKey>> = BTreeMap::new();
    let known = |vm, path: String, out: &mut Diagnostics| {
        let key = one_vm(vm, site, index, &path, out)?;
        let claimed = claims.by_vm.contains_key(&key);
        if !claimed {
            out.error(plan(path), Problem::NotSelected(key.clone()));
        }
        claimed.then_some(key)
    };
    for (i, dependency) in spec.vm_dependencies.iter().enumerate() {
        let path = format!("vmDependencies[{i}]");
        let vm = known(&dependency.vm, format!("{path}.vm"), out);
        for (n, before) in dependency.after.iter().enumerate() {
            let before = known(before, format!("{path}.after[{n}]"), out);
            if let (Some(vm), Some(before)) = (&vm, before) {
                after.entry(vm.clone()).or_default().insert(before);
            }
        }
    }
    for vm in vms {
        if let Some(before) = after.remove(&vm.key) {
            vm.after = before.into_iter().collect();
        }
    }
}

/// The VMs that go first in a pinned wave, sorted.
fn canaries(
    spec: &PlanSpec,
    w: usize,
    index: &Index<'_>,
    claims: &Claims,
    out: &mut Diagnostics,
) -> Vec<VmKey> {
    let wave = &spec.waves[w];
    let mut found = BTreeSet::new();
    for (n, text) in wave.canaries.iter().enumerate() {
        let place = plan(format!("waves[{w}].canaries[{n}]"));
        match waivers::one_vm(text, index, claims) {
            Err(problem) => out.error(place, problem),
            Ok(key) => {
                let workload = &spec.workloads[claims.by_vm[&key].workload].name;
                if wave.workloads.contains(workload) {
                    found.insert(key);
                } else {
                    let problem = Problem::CanaryElsewhere {
                        vm: text.clone(),
                        workload: workload.to_string(),
                        wave: wave.name.to_string(),
                    };
                    out.error(place, problem);
                }
            }
        }
    }
    found.into_iter().collect()
}

/// Positions of the pinned waves before one, sorted.
fn after(spec: &PlanSpec, w: usize, out: &mut Diagnostics) -> Vec<usize> {
    let mut found = BTreeSet::new();
    for (n, name) in spec.waves[w].after.iter().enumerate() {
        match spec.waves.iter().position(|wave| wave.name == *name) {
            Some(position) => {
                found.insert(position);
            }
            None => out.error(
                plan(format!("waves[{w}].after[{n}]")),
                Problem::Unknown {
                    kind: Kind::Wave,
                    name: name.to_string(),
                    within: None,
                    nearest: nearest(name.as_str(), spec.waves.iter().map(|w| w.name.as_str())),
                },
            ),
        }
    }
    found.into_iter().collect()
}

/// Refuses machines that wait for each other. The graph has a node for each VM, and one for each
/// workload, wave and set of canaries that is behind all of its VMs.
fn circles(
    workloads: &[ResolvedWorkload],
    waves: &[ResolvedWave],
    vms: &[ResolvedVm],
    out: &mut Diagnostics,
) {
    let at: BTreeMap<&VmKey, usize> = vms.iter().map(|vm| &vm.key).zip(0..).collect();
    let workload_at: BTreeMap<&WorkloadName, usize> =
        workloads.iter().map(|w| &w.name).zip(0..).collect();
    let (workload_node, wave_node) = (vms.len(), vms.len() + workloads.len());
    let canary_node = wave_node + waves.len();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); canary_node + waves.len()];
    for (w, step) in workloads
        .iter()
        .enumerate()
        .filter(|(_, w)| w.external.is_some())
    {
        let names = step.depends_on.iter();
        before[workload_node + w].extend(names.map(|name| workload_node + workload_at[name]));
    }
    for (v, vm) in vms.iter().enumerate() {
        before[v].extend(vm.after.iter().filter_map(|key| at.get(key)));
        let w = workload_at[&vm.workload];
        let workload = &workloads[w];
        let names = workload.depends_on.iter();
        before[v].extend(names.map(|name| workload_node + workload_at[name]));
        before[workload_node + w].push(v);
        let Some(wave) = workload.wave else { continue };
        before[wave_node + wave].push(v);
        before[v].extend(waves[wave].after.iter().map(|other| wave_node + other));
        if waves[wave].canaries.binary_search(&vm.key).is_ok() {
            before[canary_node + wave].push(v);
        } else if !waves[wave].canaries.is_empty() {
            before[v].push(canary_node + wave);
        }
    }
    let Err(Cycle { members }) = Dag::new(&before) else {
        return;
    };
    let name = |node: &usize| match *node {
        v if v < workload_node => vms[v].name.to_string(),
        w if w < wave_node => format!("workload {}", workloads[w - workload_node].name),
        w if w < canary_node => format!("wave {}", waves[w - wave_node].name),
        w => format!("canaries of {}", waves[w - canary_node].name),
    };
    let cycle = members.iter().chain(members.first()).map(name).collect();
    out.error(plan(String::new()), Problem::Circle { cycle });
}
