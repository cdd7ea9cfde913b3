//! From a wave's words to the objects of the engine and of the ledger.
//!
//! What is made here is complete: an import is never written again after its creation (Q06).

use jiff::Timestamp;
use schemas::ids::{ObjectName, WorkloadRef};
use schemas::machine::{Attempt, MachineSpec, import_name};
use schemas::objects;
use schemas::upstream::VirtualMachineImportSpec;
use schemas::wave::{WaveImport, WaveSource};

use crate::observed::{At, Wave};

/// The import that `import`, of the wave at `at`, asks for; nothing where the wave does not list
/// the source that it comes from.
pub fn import_spec(at: &At, wave: &Wave, import: &WaveImport) -> Option<VirtualMachineImportSpec> {
    objects::import_spec(&at.namespace, &wave.spec, import)
}

/// The record that is opened for `import` of the wave at `at`, with attempt `number`.
pub(crate) fn machine_spec(
    at: &At,
    wave: &Wave,
    import: &WaveImport,
    number: u32,
    now: Timestamp,
) -> MachineSpec {
    let mut workloads = wave.spec.workloads.iter();
    let workload = workloads.find(|workload| workload.name == import.workload);
    MachineSpec {
        vm: import.vm.clone(),
        instance: None,
        name: import.name.clone(),
        plan: wave.spec.plan.clone(),
        wave: at.name.as_str().into(),
        digest: wave.spec.digest.clone(),
        namespace: import.namespace.clone(),
        machine: import.machine.clone(),
        size: import.size.clone(),
        gate: workload.and_then(|workload| workload.gate.clone()),
        attempt: Attempt {
            number,
            import: import_name(&import.record, number),
            opened: now,
        },
    }
}

/// The source that `import` comes from.
pub(crate) fn source_of<'a>(wave: &'a Wave, import: &WaveImport) -> Option<&'a WaveSource> {
    let named = |source: &&WaveSource| source.name == import.from;
    wave.spec.sources.iter().find(named)
}

/// Where the record of `record`, of the wave at `at`, is: beside the wave.
pub(crate) fn record_at(at: &At, record: &ObjectName) -> At {
    At::new(at.namespace.clone(), record.clone())
}

/// Where the record of a machine of `workload` is, as the wave at `at` calls it: beside its plan.
pub(crate) fn record_of(at: &At, workload: &WorkloadRef, record: &ObjectName) -> At {
    let namespace = workload.namespace().unwrap_or(&at.namespace);
    At::new(namespace.clone(), record.clone())
}
