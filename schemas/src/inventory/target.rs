//! What a target cluster holds: the files of `<target>/`.
//!
//! `target.json` beside `vms.jsonl`, `images.jsonl`, `claims.jsonl`, `imports.jsonl`,
//! `sources.jsonl` and `ledger.jsonl`. Unlike a source's, they have usage in them: whether things
//! fit depends on it. What moves by itself is rounded to whole GiB.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Gap;
use crate::ids::{Namespace, ObjectName, VmKey};
use crate::units::Bytes;

/// One target's snapshot: what planning needs to know of a Harvester cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetInventory {
    /// `target.json`.
    pub about: TargetAbout,
    /// `vms.jsonl`: machines that are there already.
    pub vms: Vec<TargetVm>,
    /// `images.jsonl`: disk images, also those of the engine.
    pub images: Vec<TargetImage>,
    /// `claims.jsonl`: volumes of machines.
    pub claims: Vec<TargetClaim>,
    /// `imports.jsonl`: imports of any state, also other people's.
    pub imports: Vec<TargetImport>,
    /// `sources.jsonl`: source objects of the engine, also other people's.
    pub sources: Vec<TargetSource>,
    /// `ledger.jsonl`: what Windrow has done, so that an offline plan knows it.
    pub ledger: Vec<LedgerLine>,
}

/// `target.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetAbout {
    /// Always [`super::SCHEMA`].
    pub schema: String,
    /// The cluster's identity: uid of the namespace `kube-system`.
    pub cluster_uid: String,
    /// Kubernetes' version as the API server says it (`v1.33.4+rke2r1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Harvester's version, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harvester_version: Option<String>,
    /// The engine's version (its image's tag), where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// The engine's Deployment; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<TargetEngine>,
    /// Fields of the engine's `VirtualMachineImport.spec`, sorted; empty where it is not installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub import_fields: Vec<String>,
    /// Options of the engine's `OvaSource.spec`, sorted; empty where it has no such kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ova_source_fields: Vec<String>,
    /// What the engine's scratch is; absent where its Deployment could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<TargetScratch>,
    /// Storage classes, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_classes: Vec<TargetStorageClass>,
    /// Networks that machines can be attached to, sorted by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<TargetNetwork>,
    /// Namespaces, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
    /// Quotas of namespaces, sorted by namespace and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<TargetQuota>,
    /// How far CPU, memory and storage are overcommitted (Harvester's setting).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overcommit: Option<Overcommit>,
    /// Nodes, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<TargetNode>,
    /// Longhorn's settings; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longhorn: Option<TargetLonghorn>,
    /// Longhorn's disks, sorted by id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<TargetDisk>,
    /// What could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// The engine's Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetEngine {
    /// Its image, with registry and tag.
    pub image: String,
    /// Copies that should run; the engine does nothing at zero.
    pub replicas: u32,
    /// Copies that are ready; absent where the cluster does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<u32>,
    /// CPU limit in thousandths of a core; absent: none (L12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_milli: Option<u64>,
    /// Memory limit; absent: none (L12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<Bytes>,
    /// `MALLOC_ARENA_MAX` of its environment; empty where it comes from another object, absent: not
    /// set (V20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malloc_arena_max: Option<String>,
}

/// The engine's scratch volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetScratch {
    /// What it is made of.
    pub kind: ScratchKind,
    /// The claim's name, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ObjectName>,
    /// Size: the claim's capacity, or the emptyDir's limit; absent for an emptyDir without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<Bytes>,
    /// What lies in it, rounded up to whole GiB; absent where the account may not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<Bytes>,
    /// The claim's storage class (S03).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<ObjectName>,
}

/// What the engine's scratch is made of (S02).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScratchKind {
    /// As the add-on comes. On the node's own disk: a full one evicts the engine and its neighbours.
    #[default]
    EmptyDir,
    /// A persistent volume claim.
    Claim,
    /// Something else is mounted at the scratch path.
    Other,
}

/// A storage class of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// `Immediate` or `WaitForFirstConsumer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding_mode: Option<String>,
    /// What its volumes can be, `ReadWriteMany/Block` and the like, as CDI's profile of the class
    /// says; sorted; empty where there is no profile (S15).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
}

/// A network that machines can be attached to: a `NetworkAttachmentDefinition`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetNetwork {
    /// `namespace/name`.
    pub id: String,
    /// Harvester's kind of it: `L2VlanNetwork`, `UntaggedNetwork`, `OverlayNetwork`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// VLAN id; absent where it is untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Largest packet in bytes, where it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Harvester's cluster network: within one, a MAC may exist only once (W09).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_network: Option<String>,
    /// Its addresses, as Harvester's route says, `10.1.0.0/24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// Its gateway, as Harvester's route says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Where the route comes from: `auto` (DHCP) or `manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_mode: Option<String>,
}

/// A quota of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetQuota {
    /// The namespace.
    pub namespace: Namespace,
    /// The `ResourceQuota`'s name, or the annotation that holds it.
    pub name: String,
    /// By resource, as Kubernetes names it: `limits.cpu` and the like in thousandths of a core,
    /// memory and storage in bytes, anything else counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hard: BTreeMap<String, u64>,
    /// What is used, in the same units.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used: BTreeMap<String, u64>,
}

/// How far resources are overcommitted, in hundredths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overcommit {
    /// A machine's CPU request is its CPUs times 100 by this.
    pub cpu_percent: u32,
    /// A machine's memory request is its memory times 100 by this.
    pub memory_percent: u32,
    /// What Longhorn may schedule, of its disks.
    pub storage_percent: u32,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetNode {
    /// Its name.
    pub name: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether new machines may be put on it.
    pub schedulable: bool,
    /// CPU that pods may ask for, in thousandths of a core.
    pub cpu_milli: u64,
    /// Memory that pods may ask for.
    pub memory_bytes: Bytes,
    /// CPU that its pods have asked for, in thousandths of a core; absent where pods may not be
    /// listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_reserved_milli: Option<u64>,
    /// Memory that its pods have asked for; absent where pods may not be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_reserved_bytes: Option<Bytes>,
    /// Devices of the node that pods may ask for, by resource (`nvidia.com/…`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, u64>,
}

/// Longhorn's settings, as far as they decide what fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLonghorn {
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Share of a disk that may be promised to volumes, in hundredths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_provisioning_percent: Option<u32>,
    /// Share of a disk that stays free, in hundredths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimal_available_percent: Option<u32>,
    /// Copies of a volume whose class says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_replicas: Option<u32>,
}

/// A disk of Longhorn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDisk {
    /// `node/disk`.
    pub id: String,
    /// Its node.
    pub node: String,
    /// Whether new replicas may be put on it: it allows that, and it and its node can take them.
    pub schedulable: bool,
    /// Its size.
    pub capacity_bytes: Bytes,
    /// Kept for others.
    pub reserved_bytes: Bytes,
    /// Promised to volumes.
    pub scheduled_bytes: Bytes,
    /// Free, rounded down to whole GiB.
    pub available_bytes: Bytes,
    /// Its tags, which a class may ask for, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A machine in the target cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// In one word, as KubeVirt says it (`Running`, `Stopped`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// CPUs; absent where its template does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<u32>,
    /// Memory; absent where its template does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<Bytes>,
    /// MAC addresses of its interfaces, lower case, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<String>,
    /// Its interfaces, in the order of its template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<TargetNic>,
    /// Claims of its disks, in its own namespace, in the order of its template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ObjectName>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// An interface of a machine in the target cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetNic {
    /// Its name in the template.
    pub name: String,
    /// Lower case; absent where its template leaves it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// The network, `namespace/name`; absent for the pod network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

/// A disk image of Harvester.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetImage {
    /// `namespace/name`.
    pub id: String,
    /// Its namespace.
    pub namespace: Namespace,
    /// What people see; the engine looks its images up by it (N07, N08).
    pub display_name: String,
    /// `backingimage`, `cdi`; absent where it is not written (S06, S11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The class it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<ObjectName>,
    /// The class that claims of it must name, which Harvester made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_class: Option<ObjectName>,
    /// Its size; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<Bytes>,
    /// What a machine sees of it; absent until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_bytes: Option<Bytes>,
    /// Whether it is all there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// Whether Harvester has given it up (S08).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Whether it is being deleted: such a one may still be picked (N07).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
    /// The import that it belongs to, if it does (L04).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ObjectName>,
    /// When it was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A claim of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetClaim {
    /// `namespace/name`.
    pub id: String,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ObjectName,
    /// Its storage class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<ObjectName>,
    /// What it asks for.
    pub size_bytes: Bytes,
    /// `Block` or `Filesystem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `ReadWriteOnce`, `ReadWriteMany`, …; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<String>,
    /// `Bound`, `Pending`, `Lost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The image that it came from, `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// An import in the target cluster, of any state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetImport {
    /// `namespace/name`.
    pub id: String,
    /// What it imports, as written in its spec.
    pub virtual_machine_name: String,
    /// Its source's kind, as written in its spec.
    pub source_kind: String,
    /// Its source object, `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Folder at the source, as written in its spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Storage class, as written in its spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<ObjectName>,
    /// Whether Windrow made it (label `windrow.dev/machine`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ours: bool,
    /// The literal `importStatus`; absent while empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The target machine's name, once the engine has chosen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_name: Option<String>,
    /// Its disks, once the engine knows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<TargetImportDisk>,
}

/// A disk of an import: the names it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetImportDisk {
    /// File name in the scratch (N03–N05).
    pub file: String,
    /// Its image, once submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// A source object of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSource {
    /// `kind/namespace/name`: names are unique within a kind only.
    pub id: String,
    /// `VmwareSource`, `OpenstackSource`, `OvaSource`.
    pub kind: String,
    /// Its endpoint or URL, without credentials.
    pub endpoint: String,
    /// `clusterReady`, `clusterNotReady`; absent while empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// OVA: seconds for the whole download, where it is set (A02).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_timeout_seconds: Option<i64>,
    /// OpenStack: how often it asks whether an upload is through, where it is set (O06).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_retry_count: Option<i64>,
    /// OpenStack: seconds between two such questions, where it is set (O06).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_retry_seconds: Option<i64>,
}

/// A machine of the ledger, as planning needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// `namespace/name` of the `MachineMigration`.
    pub id: String,
    /// The source's instance, as in [`super::SourceAbout::instance`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The VM at its source.
    pub vm: VmKey,
    /// How far it is ([`crate::machine::Stage`]).
    pub stage: crate::machine::Stage,
    /// The wave that moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<String>,
    /// Sizes by which it was admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<crate::wave::WaveSize>,
    /// When each step came; of a machine that runs only, since until then they change.
    #[serde(default, skip_serializing_if = "crate::site::is_default")]
    pub times: crate::machine::Times,
    /// What came of its gate, once it held or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<crate::gate::GateStatus>,
}
