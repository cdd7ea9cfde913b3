//! Checked plan × schedule → waves: what people review and the executor obeys.
//!
//! A wave holds decisions only; predictions go into the forecast, which no digest covers. Waves
//! are no barriers: dependencies, windows and order hold imports back, not a wave's end.

mod group;
mod slice;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use schemas::forecast::{Forecast, ImportForecast, SCHEMA, ScratchForecast, WaveForecast};
use schemas::ids::{Digest, ObjectName, VmKey, WaveName, WorkloadName};
use schemas::inventory::Inventory;
use schemas::plan::PlanSpec;
use schemas::site::SiteSpec;
use schemas::units::{Bytes, Quantity, Seconds};
use schemas::wave::{
    EngineKind, MigrationWave, Prerequisite, PrerequisiteMachine, WaveImport, WaveInputs,
    WaveSource, WaveSpec, WaveTarget, WaveWindow, WaveWorkload,
};

use crate::check::Checked;
use crate::resolve::{ExclusionReason, Index, ResolvedOccurrence, ResolvedPlan, ResolvedVm};

pub use group::Wave;

/// Most imports of one wave: what a reviewer can look through, and what stays below
/// [`schemas::wave::WAVE_JSON_BYTES_MAX`] with about 800 bytes each.
pub const WAVE_IMPORTS_MAX: usize = 250;

/// Three digests and a name, which are not known yet when a wave is weighed.
const DIGESTS_BYTES: usize = 3 * 71 + 63;

/// The program that writes waves.
pub const GENERATOR: &str = concat!("windrow ", env!("CARGO_PKG_VERSION"));

/// Where the schedule put the imports: what waves need to know of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placed {
    /// By VM.
    pub imports: BTreeMap<VmKey, Placement>,
    /// The scratch of each target, by name.
    pub scratch: Vec<ScratchForecast>,
}

/// Where the schedule put one import.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// The occurrence of its window; absent where there are no windows.
    pub occurrence: Option<ResolvedOccurrence>,
    /// Its predicted times.
    pub times: ImportForecast,
}

/// Waves as files, and what is predicted of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The waves, by file stem.
    pub waves: Vec<RenderedWave>,
    /// `forecast.json`.
    pub forecast: Forecast,
}

/// One wave as a file.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedWave {
    /// Its file's name without `.yaml`, as in `020-db`.
    pub stem: String,
    /// Its object.
    pub wave: MigrationWave,
}

/// What people wrote and what there is: what the digests of a wave's inputs are made of.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The plan.
    pub plan: &'a PlanSpec,
    /// The site.
    pub site: &'a SiteSpec,
    /// The inventory.
    pub inventory: &'a Inventory,
}

/// Renders the waves of a plan.
pub fn render(checked: &Checked, placed: &Placed, inputs: Inputs<'_>) -> Rendered {
    let index = Index::of(inputs.inventory);
    let waves = group::waves(checked, placed, |wave| {
        let spec = spec(checked, placed, wave);
        group::Weight {
            frame: json_bytes(&object(checked, wave, spec.clone())) + DIGESTS_BYTES,
            spec,
        }
    });
    let mut rendered = Vec::with_capacity(waves.len());
    let mut forecasts = Vec::with_capacity(waves.len());
    for wave in &waves {
        let mut spec = spec(checked, placed, wave);
        spec.inputs = WaveInputs {
            plan: slice::plan(inputs, &checked.plan, wave),
            inventory: slice::inventory(&index, wave),
        };
        spec.digest = spec.compute_digest();
        forecasts.push(forecast(&checked.plan, placed, wave));
        rendered.push(RenderedWave {
            stem: wave.stem.clone(),
            wave: object(checked, wave, spec),
        });
    }
    Rendered {
        waves: rendered,
        forecast: Forecast {
            schema: SCHEMA.to_owned(),
            plan: checked.plan.name.clone(),
            origin: checked.plan.start,
            waves: forecasts,
            scratch: placed.scratch.clone(),
        },
    }
}

fn json_bytes<T: serde::Serialize>(value: &T) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |json| json.len())
}

fn wave_name(plan: &ResolvedPlan, wave: &Wave) -> WaveName {
    WaveName::new(format!("{}-{}", plan.name, wave.stem))
}

fn object(checked: &Checked, wave: &Wave, spec: WaveSpec) -> MigrationWave {
    let mut object = MigrationWave::new(wave_name(&checked.plan, wave).as_str(), spec);
    object.metadata.namespace = Some(checked.plan.namespace.to_string());
    object
}

/// Everything of a wave but its digests.
fn spec(checked: &Checked, placed: &Placed, wave: &Wave) -> WaveSpec {
    let plan = &checked.plan;
    let target = &plan.targets[&wave.target];
    let vms: Vec<&ResolvedVm> = wave.vms.iter().filter_map(|key| plan.vm(key)).collect();
    let sources: BTreeMap<&ObjectName, &WaveSource> =
        vms.iter().map(|vm| (&vm.source.name, &vm.source)).collect();
    let workloads = waiting(plan, &vms);
    WaveSpec {
        plan: plan.name.clone(),
        target: WaveTarget {
            name: target.name.clone(),
            cluster_uid: target.cluster_uid.clone(),
            engine: EngineKind::VmImport,
        },
        window: wave.window.as_ref().map(|(name, occurrence)| WaveWindow {
            name: name.clone(),
            occurrence: occurrence.id.clone(),
            from: occurrence.from,
            to: occurrence.to,
            last_start: occurrence.last_start,
        }),
        approval: plan.policy.approval,
        admission: plan.policy.admission,
        rates: plan.assumptions.clone(),
        scratch: Quantity(target.usable),
        sources: sources.into_values().cloned().collect(),
        prerequisites: prerequisites(plan, &workloads),
        workloads,
        imports: imports(checked, placed, &vms),
        inputs: WaveInputs {
            plan: Digest::default(),
            inventory: Digest::default(),
        },
        generator: GENERATOR.to_owned(),
        digest: Digest::default(),
        suspend: None,
    }
}

/// The workloads of these VMs that wait for others, by name.
fn waiting(plan: &ResolvedPlan, vms: &[&ResolvedVm]) -> Vec<WaveWorkload> {
    let names: BTreeSet<&WorkloadName> = vms.iter().map(|vm| &vm.workload).collect();
    names
        .into_iter()
        .filter_map(|name| plan.workload(name))
        .filter(|workload| !workload.depends_on.is_empty())
        .map(|workload| WaveWorkload {
            name: workload.name.clone(),
            depends_on: workload.depends_on.clone(),
        })
        .collect()
}

/// All machines of the workloads that these wait for: those to be moved, and those that were.
fn prerequisites(plan: &ResolvedPlan, workloads: &[WaveWorkload]) -> Vec<Prerequisite> {
    let names: BTreeSet<&WorkloadName> = workloads
        .iter()
        .flat_map(|workload| &workload.depends_on)
        .collect();
    names
        .into_iter()
        .map(|name| {
            let moving = plan
                .vms
                .iter()
                .filter(|vm| vm.workload == *name)
                .map(|vm| (vm.key.clone(), vm.record.clone()));
            let moved = plan
                .exclusions
                .iter()
                .filter(|gone| gone.workload == *name)
                .filter_map(|gone| match &gone.reason {
                    ExclusionReason::Moved { record, .. } => {
                        Some((gone.key.clone(), record.clone()))
                    }
                    _ => None,
                });
            let machines: BTreeMap<VmKey, ObjectName> = moving.chain(moved).collect();
            Prerequisite {
                workload: name.clone(),
                machines: machines
                    .into_iter()
                    .map(|(vm, record)| PrerequisiteMachine { vm, record })
                    .collect(),
            }
        })
        .collect()
}

/// The imports, sorted by VM; their order is that in which the schedule creates them.
fn imports(checked: &Checked, placed: &Placed, vms: &[&ResolvedVm]) -> Vec<WaveImport> {
    let mut by_start: Vec<&VmKey> = vms.iter().map(|vm| &vm.key).collect();
    by_start.sort_by_key(|key| placed.imports.get(*key).map(|at| at.times.created));
    let order: BTreeMap<&VmKey, u32> = by_start.into_iter().zip((1..).map(|n| n * 10)).collect();
    vms.iter()
        .map(|vm| WaveImport {
            vm: vm.key.clone(),
            order: order[&vm.key],
            name: vm.name.clone(),
            workload: vm.workload.clone(),
            record: vm.record.clone(),
            from: vm.source.name.clone(),
            find: vm.find.clone(),
            folder: vm.folder.clone(),
            namespace: vm.namespace.clone(),
            machine: vm.machine.clone(),
            storage_class: vm.storage_class.clone(),
            networks: vm.networks(),
            shutdown_timeout: vm.shutdown_timeout,
            size: vm.footprint.size(),
            excludes: checked.excludes.get(&vm.key).cloned().unwrap_or_default(),
            waived: checked.waived.get(&vm.key).cloned().unwrap_or_default(),
        })
        .collect()
}

/// What is predicted of a wave.
fn forecast(plan: &ResolvedPlan, placed: &Placed, wave: &Wave) -> WaveForecast {
    let mut imports: Vec<ImportForecast> = wave
        .vms
        .iter()
        .filter_map(|key| placed.imports.get(key))
        .map(|placement| placement.times.clone())
        .collect();
    imports.sort_by(|a, b| (a.created, &a.vm).cmp(&(b.created, &b.vm)));
    let starts = imports
        .iter()
        .map(|import| import.off)
        .min()
        .unwrap_or(Seconds::ZERO);
    let ends = imports
        .iter()
        .map(|import| import.ready)
        .max()
        .unwrap_or(Seconds::ZERO);
    WaveForecast {
        wave: wave_name(plan, wave),
        starts,
        ends,
        scratch_peak: peak(placed, wave, starts, ends),
        imports,
    }
}

/// Most scratch bytes that the wave's target holds between these times.
fn peak(placed: &Placed, wave: &Wave, starts: Seconds, ends: Seconds) -> Bytes {
    let Some(scratch) = placed
        .scratch
        .iter()
        .find(|scratch| scratch.target == wave.target)
    else {
        return Bytes::ZERO;
    };
    let before = scratch
        .curve
        .iter()
        .take_while(|step| step.at <= starts)
        .last();
    scratch
        .curve
        .iter()
        .filter(|step| step.at > starts && step.at <= ends)
        .chain(before)
        .map(|step| step.bytes)
        .max()
        .unwrap_or(Bytes::ZERO)
}
