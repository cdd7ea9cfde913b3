//! A target's snapshot: what planning needs to know of a Harvester cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Gap;
use crate::ids::{Namespace, ObjectName, VmKey};
use crate::units::Bytes;

/// One target's snapshot: what planning needs to know of a Harvester cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetInventory {
    /// `target.json`.
    pub about: TargetAbout,
    /// `vms.jsonl`: machines that are there already.
    pub vms: Vec<TargetVm>,
    /// `imports.jsonl`: imports of any state, also other people's.
    pub imports: Vec<TargetImport>,
    /// `ledger.jsonl`: what Windrow has done, so that an offline plan knows it.
    pub ledger: Vec<LedgerLine>,
}

/// `target.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetAbout {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The cluster's identity: uid of the namespace `kube-system`.
    pub cluster_uid: String,
    /// Harvester's version, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harvester_version: Option<String>,
    /// The engine's version (its image's tag), where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// Fields of the engine's `VirtualMachineImport.spec`, sorted; empty where it is not installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub import_fields: Vec<String>,
    /// What the engine's scratch is; absent where its Deployment could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<TargetScratch>,
    /// Storage classes, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_classes: Vec<TargetStorageClass>,
    /// Networks that machines can be attached to, `namespace/name`, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Namespaces, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
    /// What could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// The engine's scratch volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetScratch {
    /// What it is made of.
    pub kind: ScratchKind,
    /// The claim's name, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ObjectName>,
    /// Size: the claim's capacity, or the emptyDir's limit; absent for an emptyDir without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<Bytes>,
}

/// What the engine's scratch is made of (S02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScratchKind {
    /// On the node's own disk: a full one evicts the engine and its neighbours.
    EmptyDir,
    /// A persistent volume claim.
    Claim,
    /// Something else is mounted at the scratch path.
    Other,
}

/// A storage class of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetStorageClass {
    /// Its name.
    pub name: ObjectName,
    /// Its provisioner.
    pub provisioner: String,
    /// Whether it is the default one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// A machine in the target cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetVm {
    /// `namespace/name`.
    pub id: String,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ObjectName,
    /// Whether the engine made it (label `migration.harvesterhci.io/imported`; N01).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// MAC addresses of its interfaces, lower case, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<String>,
}

/// An import in the target cluster, of any state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetImport {
    /// `namespace/name`.
    pub id: String,
    /// What it imports, as written in its spec.
    pub virtual_machine_name: String,
    /// Its source's kind, as written in its spec.
    pub source_kind: String,
    /// Whether Windrow made it (label `windrow.dev/machine`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ours: bool,
    /// The literal `importStatus`; absent while empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The target machine's name, once the engine has chosen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_name: Option<String>,
}

/// A machine of the ledger, as planning needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// `namespace/name` of the `MachineMigration`.
    pub id: String,
    /// The source's instance, as in [`SourceAbout::instance`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The VM at its source.
    pub vm: VmKey,
    /// How far it is ([`crate::machine::Stage`]).
    pub stage: crate::machine::Stage,
    /// The wave that moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<String>,
}
