//! The machines: one list for each property, so that 5,000 of them stay small.

use std::collections::BTreeMap;

use schemas::ids::{SourceName, VmKey, WorkloadName};
use schemas::inventory::Power;
use schemas::units::Seconds;
use serde::Serialize;

use super::{Texts, Wave, safe};
use crate::pipeline::Planned;
use crate::report::Actual;
use crate::report::actual::Came;
use crate::resolve::Exclusion;

/// One list for each property; all of the same length, by wave and start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Vms {
    /// Its id at its source.
    id: Vec<String>,
    name: Vec<String>,
    /// Position of its namespace's text; none where it is not known any more.
    namespace: Vec<Option<usize>>,
    /// Its name there; empty where that is its own in lower case.
    machine: Vec<String>,
    wave: Vec<usize>,
    source: Vec<usize>,
    workload: Vec<usize>,
    disks: Vec<u64>,
    /// 1 where its guest runs, or where nobody knows.
    runs: Vec<u8>,
    created: Vec<Seconds>,
    /// Each of these counts from the one before it.
    off: Vec<Seconds>,
    exported: Vec<Seconds>,
    images_in: Vec<Seconds>,
    ready: Vec<Seconds>,
    /// Its gate holds so long after `ready`; 0 where it has none. Empty where none has.
    gate: Vec<Seconds>,
    /// Counts from `created`.
    released: Vec<Seconds>,
    /// Positions of single VMs that run first, beside what the workload waits for.
    after: Vec<Vec<usize>>,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Ran {
    headline: String,
    /// Position of a VM, and when it was created, off, exported, made and ready.
    vms: Vec<(usize, [Seconds; 5])>,
    /// Position of a VM that has a gate, when that held or failed, and which of these, in a word.
    gates: Vec<(usize, Option<Seconds>, &'static str)>,
    /// Position of a wave, how many of its machines run, of how many; foretold and came.
    waves: Vec<(usize, usize, usize, Came, Came)>,
}

/// The lists of VMs, and where each stands in them.
pub(super) struct Placed {
    pub(super) lists: Vms,
    pub(super) places: BTreeMap<VmKey, usize>,
}

impl Vms {
    pub(super) fn placed(
        planned: &Planned,
        workloads: &BTreeMap<&WorkloadName, usize>,
        sources: &[SourceName],
        waves: &[Wave],
        texts: &mut Texts,
    ) -> Placed {
        let plan = &planned.checked.plan;
        let mut vms = Self::default();
        let mut places: BTreeMap<VmKey, usize> = BTreeMap::new();
        vms.ran(planned, workloads, sources, waves, &mut places);
        let mut after = vec![&[][..]; vms.id.len()];
        let prefix = format!("{}-", plan.name);
        for wave in &planned.rendered.forecast.waves {
            let stem = stem(wave.wave.as_str(), &prefix);
            let number = position(waves, stem);
            for import in &wave.imports {
                let Some(vm) = plan.vm(&import.vm) else {
                    continue;
                };
                places.insert(vm.key.clone(), vms.id.len());
                after.push(vm.after.as_slice());
                let name = safe(&vm.name);
                let machine = safe(&vm.machine);
                vms.namespace.push(Some(texts.place(&vm.namespace)));
                vms.machine
                    .push(if name.is_ascii() && machine == name.to_lowercase() {
                        String::new()
                    } else {
                        machine
                    });
                vms.id.push(safe(&vm.key.id));
                vms.name.push(name);
                vms.wave.push(number);
                vms.source.push(of_source(sources, &vm.key.source));
                vms.workload
                    .push(workloads.get(&vm.workload).copied().unwrap_or(0));
                vms.disks.push(vm.footprint.disks.0);
                vms.runs.push(u8::from(vm.power != Some(Power::Off)));
                let steps = [
                    import.created,
                    import.off,
                    import.exported,
                    import.images_in,
                    import.ready,
                ];
                vms.times(steps, import.gate, import.released);
            }
        }
        if vms.gate.iter().all(|gate| *gate == Seconds::ZERO) {
            vms.gate.clear();
        }
        vms.after = after
            .into_iter()
            .map(|keys| {
                keys.iter()
                    .filter_map(|key| places.get(key).copied())
                    .collect()
            })
            .collect();
        Placed { lists: vms, places }
    }

    /// Machines that run already, as they were foretold.
    fn ran(
        &mut self,
        planned: &Planned,
        workloads: &BTreeMap<&WorkloadName, usize>,
        sources: &[SourceName],
        waves: &[Wave],
        places: &mut BTreeMap<VmKey, usize>,
    ) {
        let plan = &planned.checked.plan;
        let gone: BTreeMap<&VmKey, &Exclusion> =
            plan.exclusions.iter().map(|vm| (&vm.key, vm)).collect();
        let Some(actual) = &planned.report.actual else {
            return;
        };
        for wave in &actual.waves {
            for vm in &wave.vms {
                // Not selected any more: it is no longer the plan's.
                let Some(gone) = gone.get(&vm.vm) else {
                    continue;
                };
                places.insert(vm.vm.clone(), self.id.len());
                self.id.push(safe(&vm.vm.id));
                self.name.push(safe(&vm.name));
                self.namespace.push(None);
                self.machine.push(String::new());
                self.wave.push(position(waves, &wave.stem));
                self.source.push(of_source(sources, &vm.vm.source));
                self.workload
                    .push(workloads.get(&gone.workload).copied().unwrap_or(0));
                self.disks.push(vm.disks.0);
                self.runs.push(1);
                let gate = vm.gate.as_ref().and_then(|gate| gate.foretold);
                self.times(vm.foretold.in_order(), gate, vm.foretold.ready);
            }
        }
    }

    fn times(
        &mut self,
        [created, off, exported, images_in, ready]: [Seconds; 5],
        gate: Option<Seconds>,
        released: Seconds,
    ) {
        self.created.push(created);
        self.off.push(off.saturating_sub(created));
        self.exported.push(exported.saturating_sub(off));
        self.images_in.push(images_in.saturating_sub(exported));
        self.ready.push(ready.saturating_sub(images_in));
        self.gate.push(gate.unwrap_or(ready).saturating_sub(ready));
        self.released.push(released.saturating_sub(created));
    }
}

impl Ran {
    pub(super) fn new(actual: &Actual, places: &BTreeMap<VmKey, usize>, waves: &[Wave]) -> Self {
        let vms = || actual.waves.iter().flat_map(|wave| &wave.vms);
        Self {
            headline: actual.headline(),
            gates: vms()
                .filter_map(|vm| {
                    let (place, gate) = (*places.get(&vm.vm)?, vm.gate.as_ref()?);
                    Some((place, gate.holds.or(gate.failed), gate.word()))
                })
                .collect(),
            vms: vms()
                .filter_map(|vm| Some((*places.get(&vm.vm)?, vm.came.in_order())))
                .collect(),
            waves: actual
                .waves
                .iter()
                .map(|wave| {
                    let place = position(waves, &wave.stem);
                    (
                        place,
                        wave.vms.len(),
                        wave.machines,
                        wave.foretold,
                        wave.came,
                    )
                })
                .collect(),
        }
    }
}

/// A wave's name without the plan's.
fn stem<'n>(name: &'n str, prefix: &str) -> &'n str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn position(waves: &[Wave], stem: &str) -> usize {
    let stem = safe(&stem);
    waves.iter().position(|wave| wave.stem == stem).unwrap_or(0)
}

fn of_source(sources: &[SourceName], name: &SourceName) -> usize {
    sources.binary_search(name).unwrap_or(0)
}
