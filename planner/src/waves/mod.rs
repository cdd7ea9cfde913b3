//! Checked plan × schedule → waves: what people review and the executor obeys.
//!
//! A wave holds decisions only; predictions go into the forecast, which no digest covers. Waves
//! are no barriers: dependencies, windows and order hold imports back, not a wave's end.

mod group;
mod order;
mod parts;
mod slice;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use schemas::forecast::{Band, Forecast, OtherForecast, SCHEMA, StepForecast};
use schemas::gate::WaveStep;
use schemas::ids::{Digest, ObjectName, VmKey, WaveName, WorkloadName, WorkloadRef};
use schemas::inventory::Inventory;
use schemas::plan::PlanSpec;
use schemas::site::SiteSpec;
use schemas::units::Quantity;
use schemas::wave::{
    Barrier, EngineKind, MigrationWave, Prerequisite, PrerequisiteMachine, WaveImport, WaveInputs,
    WaveSource, WaveSpec, WaveTarget, WaveWindow, WaveWorkload,
};

use crate::check::Checked;
use crate::keep::Keep;
use crate::resolve::{Ahead, ExclusionReason, Index, ResolvedPlan, ResolvedVm};
use crate::schedule::{Schedule, Slot, StepSlot, scratch_forecast, wave_forecast};

pub use group::Wave;
pub(crate) use order::longest_rising;
pub(crate) use slice::inventory as inventory_digest;

/// Most imports of one wave: what a reviewer can look through, and what stays below
/// [`schemas::wave::WAVE_JSON_BYTES_MAX`] with about 800 bytes each.
pub const WAVE_IMPORTS_MAX: usize = 250;

/// Three digests and a name, which are not known yet when a wave is weighed.
const DIGESTS_BYTES: usize = 3 * 71 + 63;

/// The program that writes waves.
pub const GENERATOR: &str = concat!("windrow ", env!("CARGO_PKG_VERSION"));

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
    pub object: MigrationWave,
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
    /// The waves that are written down: their machines keep their numbers as far as they can.
    pub committed: &'a [MigrationWave],
    /// What of them stays where it is.
    pub keep: &'a Keep,
}

/// Renders the waves of a plan whose schedule has a slot for every VM.
/// What is predicted of it goes into the forecast alone.
pub fn render(
    checked: &Checked,
    schedule: &Schedule,
    (predicted, band): (&Schedule, Band),
    inputs: Inputs<'_>,
) -> Rendered {
    let index = Index::of(inputs.inventory);
    let slots: BTreeMap<&VmKey, &Slot> =
        schedule.slots.iter().map(|slot| (&slot.vm, slot)).collect();
    let foreseen: BTreeMap<&VmKey, &Slot> = predicted
        .slots
        .iter()
        .map(|slot| (&slot.vm, slot))
        .collect();
    let machines = machines_of_workloads(&checked.plan);
    let made = Maker {
        checked,
        slots: &slots,
        machines: &machines,
        committed: inputs.committed,
    };
    let kept = |vm: &VmKey| inputs.keep.stem(&checked.plan, vm);
    let reserved = inputs.keep.stems(&checked.plan);
    let written = (inputs.committed, &reserved);
    let waves = group::waves(&checked.plan, &slots, written, kept, |wave| {
        let spec = made.spec(wave);
        let frame = json_bytes(&made.object(wave, spec.clone())) + DIGESTS_BYTES;
        group::Weight { frame, spec }
    });
    let mut rendered = Vec::with_capacity(waves.len());
    let mut forecasts = Vec::with_capacity(waves.len());
    for wave in waves {
        let mut spec = made.spec(&wave);
        spec.inputs = WaveInputs {
            plan: slice::plan(inputs, &checked.plan, &wave),
            inventory: slice::inventory(&index, &wave.vms),
        };
        spec.digest = spec.compute_digest();
        let done = |vm: &VmKey| checked.plan.runs(vm);
        if let Some(same) = inputs.keep.same(&made.name(&wave), &spec, done) {
            spec = same;
        }
        if let Some(scratch) = predicted.scratch.iter().find(|s| s.target == wave.target) {
            let own = wave.vms.iter().filter_map(|key| foreseen.get(key).copied());
            let mut forecast = wave_forecast(made.name(&wave), own, scratch);
            for import in &mut forecast.imports {
                let gate = checked
                    .plan
                    .vm(&import.vm)
                    .and_then(|vm| checked.plan.gate(vm));
                let runs = foreseen.get(&import.vm).map(|slot| slot.times.running);
                import.gate = gate.zip(runs).map(|(gate, runs)| runs + gate);
            }
            forecasts.push(forecast);
        }
        rendered.push(RenderedWave {
            object: made.object(&wave, spec),
            stem: wave.stem,
        });
    }
    Rendered {
        waves: rendered,
        forecast: Forecast {
            schema: SCHEMA.to_owned(),
            plan: checked.plan.name.clone(),
            origin: checked.plan.start,
            waves: forecasts,
            band: Some(band),
            steps: step_forecast(&checked.plan, predicted),
            others: other_forecast(&checked.plan),
            scratch: scratch_forecast(predicted),
        },
    }
}

fn json_bytes<T: serde::Serialize>(value: &T) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |json| json.len())
}

/// Makes waves' objects.
#[derive(Clone, Copy)]
struct Maker<'a> {
    checked: &'a Checked,
    slots: &'a BTreeMap<&'a VmKey, &'a Slot>,
    machines: &'a Machines<'a>,
    committed: &'a [MigrationWave],
}

/// By workload its machines with the names of their records: those to be moved, and those that were.
type Machines<'a> = BTreeMap<&'a WorkloadName, BTreeMap<&'a VmKey, &'a ObjectName>>;

fn machines_of_workloads(plan: &ResolvedPlan) -> Machines<'_> {
    let moving = plan.vms.iter();
    let moving = moving.map(|vm| (&vm.workload, &vm.key, &vm.record));
    let moved = plan
        .exclusions
        .iter()
        .filter_map(|gone| match &gone.reason {
            ExclusionReason::Moved { record, .. } => Some((&gone.workload, &gone.key, record)),
            _ => None,
        });
    let mut machines = Machines::new();
    for (workload, key, record) in moving.chain(moved) {
        machines.entry(workload).or_default().insert(key, record);
    }
    machines
}

impl Maker<'_> {
    fn name(self, wave: &Wave) -> WaveName {
        WaveName::new(format!("{}-{}", self.checked.plan.name, wave.stem))
    }

    fn object(self, wave: &Wave, spec: WaveSpec) -> MigrationWave {
        let mut object = MigrationWave::new(self.name(wave).as_str(), spec);
        object.metadata.namespace = Some(self.checked.plan.namespace.to_string());
        object
    }

    /// Everything of a wave but its digests.
    fn spec(self, wave: &Wave) -> WaveSpec {
        let plan = &self.checked.plan;
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
                rollback_reserve: plan.window(name).and_then(|w| w.rollback_reserve),
            }),
            approval: plan.policy.approval,
            admission: plan.policy.admission,
            on_failure: plan.policy.on_failure,
            rates: plan.assumptions.clone(),
            scratch: Quantity(target.usable),
            sources: sources.into_values().cloned().collect(),
            prerequisites: self.prerequisites(&workloads),
            steps: steps(plan, &workloads),
            workloads,
            barriers: barriers(plan, &wave.vms),
            imports: self.imports(wave, &vms),
            inputs: WaveInputs {
                plan: Digest::default(),
                inventory: Digest::default(),
            },
            generator: GENERATOR.to_owned(),
            digest: Digest::default(),
            suspend: None,
        }
    }

    /// All machines of the workloads that these wait for, by workload; of this plan, then of others.
    fn prerequisites(self, workloads: &[WaveWorkload]) -> Vec<Prerequisite> {
        let plan = &self.checked.plan;
        let ahead = ahead(plan, workloads);
        let machine = |(vm, record): (&&VmKey, &&ObjectName)| PrerequisiteMachine {
            vm: (*vm).clone(),
            record: (*record).clone(),
        };
        let of = |name: &WorkloadName| Prerequisite {
            workload: name.clone().into(),
            machines: self
                .machines
                .get(name)
                .into_iter()
                .flatten()
                .map(machine)
                .collect(),
        };
        let others = ahead.others.into_iter().filter_map(|name| {
            let other = plan.others.get(name)?;
            other.step.is_none().then(|| Prerequisite {
                workload: name.clone(),
                machines: other.machines.clone(),
            })
        });
        ahead.sets.into_iter().map(of).chain(others).collect()
    }

    /// The imports, sorted by VM; their order is that in which the schedule creates them.
    fn imports(self, wave: &Wave, vms: &[&ResolvedVm]) -> Vec<WaveImport> {
        let mut by_start: Vec<&VmKey> = vms.iter().map(|vm| &vm.key).collect();
        by_start.sort_by_key(|key| self.slots.get(*key).map(|slot| slot.place));
        let name = self.name(wave);
        let mut committed = self.committed.iter();
        let before = committed
            .find(|known| known.metadata.name.as_deref() == Some(name.as_str()))
            .map(|known| {
                known
                    .spec
                    .imports
                    .iter()
                    .map(|import| (&import.vm, import.order))
                    .collect()
            })
            .unwrap_or_default();
        let order = order::numbers(&by_start, &before);
        let import = |vm: &&ResolvedVm| WaveImport {
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
            after: machines(&self.checked.plan, vm.after.iter()),
            excludes: self
                .checked
                .excludes
                .get(&vm.key)
                .cloned()
                .unwrap_or_default(),
            waived: self
                .checked
                .waived
                .get(&vm.key)
                .cloned()
                .unwrap_or_default(),
        };
        vms.iter().map(import).collect()
    }
}

/// The workloads of these VMs that wait for others, or that others wait for by a gate, by name.
fn waiting(plan: &ResolvedPlan, vms: &[&ResolvedVm]) -> Vec<WaveWorkload> {
    let names: BTreeSet<&WorkloadName> = vms.iter().map(|vm| &vm.workload).collect();
    names
        .into_iter()
        .filter_map(|name| plan.workload(name))
        .map(|workload| WaveWorkload {
            name: workload.name.clone(),
            depends_on: workload.waits_for().collect(),
            gate: workload.gate.clone(),
        })
        .filter(|workload| !workload.depends_on.is_empty() || workload.gate.is_some())
        .collect()
}

/// What all VMs of a wave but some wait for: the canaries of the pinned wave that they are of, and
/// the machines of the waves before it.
fn barriers(plan: &ResolvedPlan, vms: &[VmKey]) -> Vec<Barrier> {
    let mut pinned = vms
        .iter()
        .filter_map(|key| plan.workload(&plan.vm(key)?.workload)?.wave);
    let Some(wave) = pinned.next().map(|position| &plan.waves[position]) else {
        return Vec::new();
    };
    let canaries = Barrier {
        name: WorkloadName::from("canaries"),
        machines: machines(plan, wave.canaries.iter()),
    };
    let before = wave.after.iter().map(|position| {
        let before = &plan.waves[*position];
        let of_it = |workload: &WorkloadName| before.workloads.contains(workload);
        let moving = plan.vms.iter().filter(|vm| of_it(&vm.workload));
        let gone = plan.exclusions.iter().filter(|gone| of_it(&gone.workload));
        let keys: BTreeSet<&VmKey> = moving
            .map(|vm| &vm.key)
            .chain(gone.map(|gone| &gone.key))
            .collect();
        Barrier {
            name: before.name.clone(),
            machines: machines(plan, keys.into_iter()),
        }
    });
    std::iter::once(canaries)
        .chain(before)
        .filter(|barrier| !barrier.machines.is_empty())
        .collect()
}

/// These VMs with the names of their records; what is neither to be moved nor was, is nobody's to
/// wait for.
fn machines<'a>(
    plan: &ResolvedPlan,
    keys: impl Iterator<Item = &'a VmKey>,
) -> Vec<PrerequisiteMachine> {
    keys.filter_map(|key| {
        Some(PrerequisiteMachine {
            vm: key.clone(),
            record: plan.record(key)?.clone(),
        })
    })
    .collect()
}

/// The steps outside that these wait for, by name: those of this plan, then those of others.
fn steps(plan: &ResolvedPlan, workloads: &[WaveWorkload]) -> Vec<WaveStep> {
    let ahead = ahead(plan, workloads);
    let step = |name: &WorkloadName| {
        let workload = plan.workload(name)?;
        let external = workload.external.as_ref()?;
        Some(WaveStep {
            name: workload.name.clone().into(),
            title: external.title.clone(),
            depends_on: workload.waits_for().collect(),
            done: external.done.clone(),
        })
    };
    let own = ahead.steps.into_iter().filter_map(step);
    let others = ahead.others.into_iter();
    let others = others.filter_map(|name| plan.others.get(name)?.step.clone());
    own.chain(others).collect()
}

/// All that these wait for.
fn ahead<'p>(plan: &'p ResolvedPlan, workloads: &[WaveWorkload]) -> Ahead<'p> {
    let mut all = Ahead::default();
    for workload in workloads.iter().filter_map(|it| plan.workload(&it.name)) {
        let ahead = plan.before(workload);
        all.sets.extend(ahead.sets);
        all.steps.extend(ahead.steps);
        all.others.extend(ahead.others);
    }
    all
}

/// Workloads of other plans as those plans predict them; one that is done already is not waited for.
fn other_forecast(plan: &ResolvedPlan) -> Vec<OtherForecast> {
    let direct = plan.workloads.iter().flat_map(|workload| &workload.others);
    let direct: BTreeSet<&WorkloadRef> = direct.collect();
    let forecast = |name: &WorkloadRef| {
        let done = plan.others.get(name)?.done?;
        Some(OtherForecast {
            workload: name.clone(),
            done: plan.since_start(done),
        })
    };
    direct.into_iter().filter_map(forecast).collect()
}

/// Steps outside as they are predicted.
fn step_forecast(plan: &ResolvedPlan, predicted: &Schedule) -> Vec<StepForecast> {
    let forecast = |slot: &StepSlot| {
        let workload = plan.workloads.get(slot.workload)?;
        Some(StepForecast {
            step: workload.name.clone(),
            title: workload.external.as_ref()?.title.clone(),
            starts: slot.begins,
            ends: slot.ends,
        })
    };
    predicted.steps.iter().filter_map(forecast).collect()
}
