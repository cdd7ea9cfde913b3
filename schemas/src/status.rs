//! What `windrow status -o json` says of a run, as far as planning needs it: `windrow plan --keep` reads
//! it where the target's snapshot is older than the run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{Namespace, ObjectName, TargetName, VmKey, WaveName};
use crate::inventory::LedgerLine;
use crate::machine::{Stage, Times};

/// The schema named in the answer.
pub const SCHEMA: &str = "windrow.status/1";

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// When the cluster was asked.
    pub at: Timestamp,
    /// The cluster.
    pub target: TargetName,
    /// The machines of all waves.
    pub machines: Vec<MachineLine>,
}

/// One machine of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineLine {
    /// The VM.
    pub vm: VmKey,
    /// Its wave.
    pub wave: WaveName,
    /// Its record.
    pub record: RecordAt,
    /// How far it is; absent until it is begun.
    #[serde(default)]
    pub stage: Option<Stage>,
    /// When each step came.
    #[serde(default)]
    pub times: Times,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordAt {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ObjectName,
}

impl RunStatus {
    /// Puts what it says of machines into a ledger, in the place of what that said of them.
    pub fn into_ledger(self, ledger: &mut Vec<LedgerLine>) {
        for machine in self.machines {
            let Some(stage) = machine.stage else { continue };
            let id = format!("{}/{}", machine.record.namespace, machine.record.name);
            let before = ledger.iter().position(|line| line.id == id);
            let before = before.map(|at| ledger.remove(at));
            ledger.push(LedgerLine {
                instance: before.as_ref().and_then(|line| line.instance.clone()),
                size: before.as_ref().and_then(|line| line.size.clone()),
                gate: before.and_then(|line| line.gate),
                id,
                vm: machine.vm,
                stage,
                wave: Some(machine.wave.to_string()),
                times: machine.times,
            });
        }
        ledger.sort_by(|a, b| a.id.cmp(&b.id));
    }
}
