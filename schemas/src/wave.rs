//! Waves: the planner's decisions, pinned and reviewable; what the executor obeys.
//!
//! A wave says "this VM, this storage class, this place in the order", never "pick one". It alone
//! suffices in the cluster: sources, policy, rates and prerequisites are in it. Predictions are
//! not: those are in [`crate::forecast`]. Waves are no barriers: dependencies, windows and order
//! hold things back.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::{CommonStatus, initial_status};
use crate::gate::{Gate, WaveStep};
use crate::ids::{
    Digest, Namespace, ObjectName, OccurrenceId, PlanName, SourceName, SourceNetworkName,
    TargetName, TargetNetworkName, VmKey, VmName, WindowName, WorkloadName, WorkloadRef,
};
use crate::site::{Admission, ApprovalPolicy, Assumptions, NicModel, OnFailure};
use crate::units::{Quantity, Span};

/// Most bytes that a wave may have as JSON: client-side apply keeps a copy in an annotation of at
/// most 256 KiB, and metadata needs room too.
pub const WAVE_JSON_BYTES_MAX: usize = 200 << 10;

/// Virtual machines cut over together, resolved and pinned.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "windrow.dev",
    version = "v1alpha1",
    kind = "MigrationWave",
    plural = "migrationwaves",
    shortname = "mwave",
    category = "windrow",
    namespaced,
    status = "WaveStatus",
    doc = "Virtual machines cut over together: decisions, pinned and reviewed; written by `windrow plan`",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Done","type":"integer","jsonPath":".status.counts.done"}"#,
    printcolumn = r#"{"name":"Failed","type":"integer","jsonPath":".status.counts.failed"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Suspended","type":"boolean","jsonPath":".spec.suspend","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
pub struct WaveSpec {
    /// The plan it was made from, in the same namespace.
    pub plan: PlanName,
    /// The cluster it is for.
    pub target: WaveTarget,
    /// When imports may start; absent: at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WaveWindow>,
    /// Whether it needs an approval of its digest.
    pub approval: ApprovalPolicy,
    /// When the next import is created, relative to the one before.
    pub admission: Admission,
    /// How far a machine of it that fails keeps others from starting.
    #[serde(default, skip_serializing_if = "crate::site::is_default")]
    pub on_failure: OnFailure,
    /// Rates to predict the moment at which the next import is due.
    pub rates: Assumptions,
    /// Scratch bytes that all imports on this target together may hold.
    pub scratch: Quantity,
    /// Source objects that its imports need, sorted by name.
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "atomic"))]
    pub sources: Vec<WaveSource>,
    /// What its workloads wait for, and their gates, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), extend("x-kubernetes-list-type" = "atomic"))]
    pub workloads: Vec<WaveWorkload>,
    /// The steps outside that its workloads wait for, and those that these wait for, sorted by
    /// name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<WaveStep>,
    /// The machines of every workload that one here waits for, wherever they are imported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), extend("x-kubernetes-list-type" = "atomic"))]
    pub prerequisites: Vec<Prerequisite>,
    /// What all of its imports wait for, but those that it names: canaries, and waves before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 101), extend("x-kubernetes-list-type" = "atomic"))]
    pub barriers: Vec<Barrier>,
    /// The imports, sorted by VM.
    #[schemars(length(max = 250), extend("x-kubernetes-list-type" = "atomic"))]
    pub imports: Vec<WaveImport>,
    /// What it was made from.
    pub inputs: WaveInputs,
    /// The program that wrote it; not part of the digest.
    #[schemars(length(max = 64))]
    pub generator: String,
    /// Of everything here but itself, `generator`, `suspend` and `inputs.inventory`.
    pub digest: Digest,
    /// Stop starting new work. Never set in Git, so that a button or `windrow suspend` may own it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// The cluster that a wave is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveTarget {
    /// Its name in the site.
    pub name: TargetName,
    /// uid of its namespace `kube-system`, so that one Git tree may be synced to several clusters;
    /// absent where planning had no snapshot of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_uid: Option<String>,
    /// The engine that imports.
    pub engine: EngineKind,
}

/// Engines that Windrow drives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EngineKind {
    /// Harvester's vm-import-controller.
    #[default]
    VmImport,
}

/// One occurrence of a window. No import starts outside of it, nor in its lockout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveWindow {
    /// The window's name in the site.
    pub name: WindowName,
    /// Which occurrence.
    pub occurrence: OccurrenceId,
    /// It opens.
    #[schemars(with = "crate::units::Rfc3339")]
    pub from: jiff::Timestamp,
    /// It closes.
    #[schemars(with = "crate::units::Rfc3339")]
    pub to: jiff::Timestamp,
    /// No import starts at or after this instant (the close less the lockout).
    #[schemars(with = "crate::units::Rfc3339")]
    pub last_start: jiff::Timestamp,
    /// What must be left of it after an import is predicted to have ended, at its worst; absent:
    /// nothing. None starts that would leave less, nor one that would not end inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_reserve: Option<Span>,
}

/// A source object in the target cluster. Exactly one of `vmware`, `openstack`, `ova` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.vmware), has(self.openstack), has(self.ova)].filter(x, x).size() == 1").message("exactly one of vmware, openstack, ova"))]
pub struct WaveSource {
    /// The object's name; its namespace is the wave's.
    pub name: ObjectName,
    /// The source's name in the site.
    pub source: SourceName,
    /// A vCenter datacenter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmware: Option<crate::site::VmwareSource>,
    /// An OpenStack project in a region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openstack: Option<crate::site::OpenstackSource>,
    /// One OVA file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ova: Option<WaveOva>,
    /// The Secret that the engine uses, in the wave's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<ObjectName>,
}

/// One OVA file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveOva {
    /// Where it is.
    #[schemars(length(max = 2048))]
    pub url: String,
}

/// What a workload of the wave waits for, and what is waited for of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveWorkload {
    /// Its name.
    pub name: WorkloadName,
    /// Workloads that must all be done first; each is listed in `prerequisites` or in `steps`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub depends_on: Vec<WorkloadRef>,
    /// What its machines must show before those that depend on them start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

/// The machines of a workload that others wait for. All of them, so that a wave which is not in
/// the cluster yet cannot be mistaken for one that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prerequisite {
    /// Its name; `PLAN/NAME` or `NAMESPACE/PLAN/NAME` where it is of another plan, whose records are
    /// in that plan's namespace.
    pub workload: WorkloadRef,
    /// Its machines, sorted.
    #[schemars(length(max = 5000))]
    pub machines: Vec<PrerequisiteMachine>,
}

/// Machines that must all run before any other import of the wave starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Barrier {
    /// What it is, for people: `canaries`, or the pinned wave before.
    pub name: WorkloadName,
    /// Its machines, sorted.
    #[schemars(length(max = 5000))]
    pub machines: Vec<PrerequisiteMachine>,
}

/// One machine that others wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrerequisiteMachine {
    /// Which VM.
    pub vm: VmKey,
    /// Its record's name ([`crate::machine::MachineId::record_name`]).
    pub record: ObjectName,
}

/// One import: what becomes a `VirtualMachineImport`, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveImport {
    /// The VM.
    pub vm: VmKey,
    /// Its place: lower ones first, wherever they may start at all; sparse.
    pub order: u32,
    /// Its name at the source, for people; twins bear the same.
    pub name: VmName,
    /// Its workload.
    pub workload: WorkloadName,
    /// What the ledger calls it ([`crate::machine::MachineId::record_name`]).
    pub record: ObjectName,
    /// The source object it comes from, of `sources`.
    pub from: ObjectName,
    /// What the engine is to look for: OpenStack's server id, vSphere's VM name, an OVA's machine
    /// name. Never a name that could be ambiguous.
    #[schemars(length(min = 1, max = 255))]
    pub find: String,
    /// vSphere: the folder to look in, below the datacenter's VM folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub folder: Option<String>,
    /// The machine's namespace on the target, and the import's.
    pub namespace: Namespace,
    /// The name that the machine will have there: the engine lower-cases the source's.
    pub machine: ObjectName,
    /// Its disks' storage class.
    pub storage_class: ObjectName,
    /// NICs by network, in the order of their source networks' names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub networks: Vec<WaveNetwork>,
    /// How long its guest may take to shut down before the engine cuts its power.
    pub shutdown_timeout: Span,
    /// Sizes by which the executor admits it.
    pub size: WaveSize,
    /// Single machines that must run first, beside what its workload waits for. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub after: Vec<PrerequisiteMachine>,
    /// VMs that must not be under way at the same time: the engine would write the same files
    /// (N03, N04). Sorted; symmetric over all waves of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub excludes: Vec<VmKey>,
    /// Codes of findings that were waived for it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 8)))]
    pub waived: Vec<String>,
}

/// A network of an import.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveNetwork {
    /// By the name that the engine compares.
    pub from: SourceNetworkName,
    /// `namespace/name` on the target.
    pub to: TargetNetworkName,
    /// Interface model; absent: what the engine detects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<NicModel>,
}

/// Sizes of one import, as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveSize {
    /// Most scratch bytes while it is exported.
    pub peak: Quantity,
    /// Scratch bytes from then until its machine runs.
    pub resident: Quantity,
    /// Bytes that its export moves.
    pub transfer: Quantity,
    /// Provisioned bytes of its disks: what the image phase reads.
    pub disks: Quantity,
}

/// What a wave was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveInputs {
    /// Digest of the slice of the plan.
    pub plan: Digest,
    /// Digest of what the inventory says of its VMs; for `diff` only, not part of the wave's
    /// digest.
    pub inventory: Digest,
}

/// Status of a wave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = initial_status()))]
pub struct WaveStatus {
    /// Generation looked at and conditions.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Its machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// When this was written; the next one comes at least five seconds later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub updated: Option<jiff::Timestamp>,
    /// Names of at most 20 machines that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 20),
        inner(length(max = 255)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub failed: Vec<String>,
}

/// Machines, by how far they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All of them.
    pub total: u32,
    /// Neither begun nor held back.
    pub waiting: u32,
    /// On their way.
    pub active: u32,
    /// Running on the target, and recorded.
    pub done: u32,
    /// Failed, or held for a person.
    pub failed: u32,
    /// Held back by one that failed.
    pub blocked: u32,
}
