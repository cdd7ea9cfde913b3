//! What the files of another plan say: which machines its workloads have, and when they are
//! predicted to be done. That is all that a plan needs to know of one whose workloads it waits for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::forecast::Forecast;
use crate::gate::External;
use crate::ids::{Namespace, ObjectName, PlanName, TargetName, VmKey, WorkloadName, WorkloadRef};
use crate::plan::PlanSpec;
use crate::units::Seconds;
use crate::wave::MigrationWave;

/// Another plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherPlan {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: PlanName,
    /// Its file, for people.
    pub path: String,
    /// The instant that predictions of it count from; absent: nobody said when it starts.
    pub origin: Option<Timestamp>,
    /// It has workloads by a tag or the like, whose names only its waves tell.
    pub makes_workloads: bool,
    /// Its workloads, by name.
    pub workloads: BTreeMap<WorkloadName, OtherWorkload>,
}

/// A workload of another plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherWorkload {
    /// What it waits for, as its own plan calls it.
    pub depends_on: Vec<WorkloadRef>,
    /// It is a step outside, without VMs.
    pub external: Option<External>,
    /// When that step is predicted to be done.
    pub step_ends: Option<Seconds>,
    /// Its machines, as far as waves have been decided.
    pub machines: BTreeMap<VmKey, OtherMachine>,
}

/// A machine of another plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherMachine {
    /// What the ledger calls it; in its plan's namespace.
    pub record: ObjectName,
    /// The target that it goes to.
    pub target: TargetName,
    /// That cluster, where its plan knew it.
    pub cluster_uid: Option<String>,
    /// When it is predicted to run, with its gate; absent: the forecast does not have it.
    pub done: Option<Seconds>,
}

impl OtherPlan {
    /// Of its plan's file, of the waves that were decided for it, and of what was foretold of them.
    /// A wave that was edited by hand says nothing.
    pub fn of(
        (namespace, name, path): (Namespace, PlanName, String),
        spec: &PlanSpec,
        waves: &[MigrationWave],
        forecast: Option<&Forecast>,
    ) -> Self {
        let mut workloads: BTreeMap<WorkloadName, OtherWorkload> = BTreeMap::new();
        for workload in &spec.workloads {
            let it = workloads.entry(workload.name.clone()).or_default();
            it.depends_on.clone_from(&workload.depends_on);
            it.external.clone_from(&workload.external);
        }
        let foretold: BTreeMap<&VmKey, Seconds> = forecast
            .iter()
            .flat_map(|forecast| &forecast.waves)
            .flat_map(|wave| &wave.imports)
            .map(|import| (&import.vm, import.gate.unwrap_or(import.released)))
            .collect();
        let genuine = |wave: &&MigrationWave| wave.spec.digest == wave.spec.compute_digest();
        for wave in waves.iter().filter(genuine) {
            for import in &wave.spec.imports {
                // One that `workloadsFrom` made stands in no file but here.
                let it = workloads.entry(import.workload.clone()).or_default();
                let mut known = wave.spec.workloads.iter();
                if let Some(known) = known.find(|known| known.name == import.workload) {
                    it.depends_on.clone_from(&known.depends_on);
                }
                let machine = OtherMachine {
                    record: import.record.clone(),
                    target: wave.spec.target.name.clone(),
                    cluster_uid: wave.spec.target.cluster_uid.clone(),
                    done: foretold.get(&import.vm).copied(),
                };
                it.machines.insert(import.vm.clone(), machine);
            }
        }
        for step in forecast.iter().flat_map(|forecast| &forecast.steps) {
            if let Some(it) = workloads.get_mut(&step.step) {
                it.step_ends = Some(step.ends);
            }
        }
        Self {
            namespace,
            name,
            path,
            origin: forecast.and_then(|forecast| forecast.origin),
            makes_workloads: !spec.workloads_from.is_empty(),
            workloads,
        }
    }
}
