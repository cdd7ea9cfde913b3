//! The estate that many plans share: sources, targets, networks, windows, policy.
//!
//! Written by the platform team, as a `MigrationSite` object or inline in a plan. A struct with
//! optional members of which exactly one is set stands for "one of several", so that an inner
//! mistake keeps its line and path.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::{CommonStatus, initial_status};
use crate::facts::{FactsFile, Requirement};
use crate::ids::{
    Namespace, ObjectName, OccurrenceId, SourceName, SourceNetworkName, TargetName,
    TargetNetworkName, WindowName, WorkloadName,
};
use crate::units::{Percent, Quantity, Span};

/// The estate: sources, targets, networks, windows and policy, shared by many plans.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "windrow.dev",
    version = "v1alpha1",
    kind = "MigrationSite",
    plural = "migrationsites",
    shortname = "msite",
    category = "windrow",
    namespaced,
    status = "SiteStatus",
    doc = "The estate that many migration plans share: sources, targets, networks, windows, policy",
    derive = "PartialEq",
    validation = Rule::new("size(self.metadata.name) <= 52").message("names of at most 52 characters leave room for suffixes"),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SiteSpec {
    /// Where virtual machines come from.
    #[schemars(length(min = 1, max = 64))]
    pub sources: Vec<Source>,
    /// Harvester clusters they go to, each with an engine and a scratch volume of its own.
    #[schemars(length(min = 1, max = 32))]
    pub targets: Vec<Target>,
    /// Change windows. Without any, what is approved runs at any time; with some, every wave has
    /// one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub windows: Vec<Window>,
    /// Days on which nothing is cut over, whatever window is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 400))]
    pub freezes: Vec<Freeze>,
    /// Tables of what people know of VMs: owner, virtio drivers, last backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub facts: Vec<FactsFile>,
    /// What must be known of VMs before they are moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub require: Vec<Requirement>,
    /// How waves are run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// Rates and durations to plan with until they are measured.
    #[serde(default, skip_serializing_if = "is_default")]
    pub assumptions: Assumptions,
}

/// True for a value that need not be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Status of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = initial_status()))]
pub struct SiteStatus {
    /// Generation looked at and conditions.
    #[serde(flatten)]
    pub common: CommonStatus,
}

/// A place that virtual machines come from. Exactly one of `vmware`, `openstack`, `ova` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.vmware), has(self.openstack), has(self.ova)].filter(x, x).size() == 1").message("exactly one of vmware, openstack, ova"))]
pub struct Source {
    /// Its name in plans, findings and snapshots, and that of its object in the target cluster.
    pub name: SourceName,
    /// A vCenter datacenter or an ESXi host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vmware: Option<VmwareSource>,
    /// An OpenStack project in a region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openstack: Option<OpenstackSource>,
    /// OVA files at URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ova: Option<OvaSource>,
    /// Secrets in the plan's namespace. Never passwords: those are not part of any file in Git.
    #[serde(default, skip_serializing_if = "is_default")]
    pub credentials: SourceCredentials,
}

/// A vCenter datacenter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmwareSource {
    /// The SDK's address, as in `https://vcenter.example/sdk`.
    #[schemars(length(min = 1, max = 2048))]
    pub endpoint: String,
    /// Path of the datacenter below the root folder, as in `DC0` or `Europe/DC0`.
    #[schemars(length(min = 1, max = 1024))]
    pub datacenter: String,
}

/// An OpenStack project in a region; which project, the credentials say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenstackSource {
    /// Keystone's address, as in `https://keystone.example:5000/v3`.
    #[schemars(length(min = 1, max = 2048))]
    pub endpoint: String,
    /// The region, as the catalog names it.
    #[schemars(length(min = 1, max = 255))]
    pub region: String,
}

/// A shelf of OVA files; each becomes a source object of its own in the target cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OvaSource {
    /// The files.
    #[schemars(length(min = 1, max = 1000))]
    pub items: Vec<OvaItem>,
}

/// One OVA file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OvaItem {
    /// Where it is; the server must answer HEAD (A01).
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// The machine's name, in plans and on the target: with this engine an OVA is the one kind of
    /// source whose machine may be named freely.
    pub name: ObjectName,
}

/// Secrets of a source, by what they are used for; in the plan's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceCredentials {
    /// Used by the engine for the import, and named in the source object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<ObjectName>,
    /// Used by `inventory pull`; absent: the engine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<ObjectName>,
}

impl SourceCredentials {
    /// The Secret that `inventory pull` uses.
    pub fn for_inventory(&self) -> Option<&ObjectName> {
        self.inventory.as_ref().or(self.engine.as_ref())
    }
}

/// A Harvester cluster with its engine and scratch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its name in plans and snapshots, and what `controller --target` takes.
    pub name: TargetName,
    /// Context of the command line's kubeconfig; absent: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub context: Option<String>,
    /// Storage class of every disk, written out in every import (S06, S07).
    pub storage_class: ObjectName,
    /// The engine's scratch volume.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scratch: Scratch,
    /// Which network of a source becomes which network here. Total by default: a NIC that nothing
    /// maps is a blocker (W01).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub networks: Vec<NetworkMapping>,
}

/// The engine's scratch volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scratch {
    /// Its size; absent: what the target's snapshot says of the add-on's claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Quantity>,
    /// Share of it that no schedule uses.
    #[serde(default = "Scratch::default_reserve")]
    #[schemars(default = "Scratch::default_reserve")]
    pub reserve: Percent,
}

impl Scratch {
    fn default_reserve() -> Percent {
        Percent(10)
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            capacity: None,
            reserve: Self::default_reserve(),
        }
    }
}

/// One line of a network mapping. Exactly one of `to` and `drop: true` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.to) != (has(self.drop) && self.drop)").message("exactly one of to, drop: true"))]
pub struct NetworkMapping {
    /// The source.
    pub source: SourceName,
    /// Its network, by the name that the engine compares: the port group's, never the switch's.
    pub from: SourceNetworkName,
    /// The network here, `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<TargetNetworkName>,
    /// NICs on it are meant to be left behind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop: bool,
    /// Interface model on the target; absent: what the engine detects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<NicModel>,
}

/// Models of network interfaces that the engine knows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[expect(
    missing_docs,
    reason = "the names are the engine's own, see `virtualmachines.go`"
)]
pub enum NicModel {
    #[serde(rename = "e1000")]
    E1000,
    #[serde(rename = "e1000e")]
    E1000e,
    #[serde(rename = "ne2k_pci")]
    Ne2kPci,
    #[serde(rename = "pcnet")]
    Pcnet,
    #[serde(rename = "rtl8139")]
    Rtl8139,
    #[serde(rename = "virtio")]
    Virtio,
}

/// A change window. Exactly one of `every` and `occurrences` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.every) != has(self.occurrences)").message("exactly one of every, occurrences"))]
pub struct Window {
    /// Its name.
    pub name: WindowName,
    /// Recurring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Recurrence>,
    /// Given one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 400))]
    pub occurrences: Option<Vec<Occurrence>>,
    /// No import starts in the last so many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lockout: Option<Span>,
    /// What must be left of it after an import is predicted to have ended, at its worst (P90): the
    /// time in which a failed cut can be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_reserve: Option<Span>,
    /// Most machines in one occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_vms: Option<u32>,
}

/// Days on which nothing is cut over. An occurrence that reaches into them is shortened to what
/// lies outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// Its first day, from midnight on.
    #[schemars(with = "crate::units::LocalDate")]
    pub from: jiff::civil::Date,
    /// Its last day, to the end of it.
    #[schemars(with = "crate::units::LocalDate")]
    pub to: jiff::civil::Date,
    /// Whose days they are: an IANA name; absent: that of each window, or UTC for windows that are
    /// given one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// Why.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// The services of a plan that are frozen; empty: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub services: Vec<WorkloadName>,
}

/// When a recurring window opens, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recurrence {
    /// Five fields: minute, hour, day of month, month, day of week.
    #[schemars(length(min = 9, max = 100))]
    pub cron: String,
    /// IANA name, as in `Europe/Berlin`.
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// How long it stays open.
    pub lasts: Span,
}

/// One occurrence of a window: half-open, `from` included, `to` not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Occurrence {
    /// What approvals and pinned waves call it.
    pub id: OccurrenceId,
    /// It opens.
    #[schemars(with = "crate::units::Rfc3339")]
    pub from: jiff::Timestamp,
    /// It closes.
    #[schemars(with = "crate::units::Rfc3339")]
    pub to: jiff::Timestamp,
}

/// How waves are run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// When the next import is created, relative to the one before.
    pub admission: Admission,
    /// How long a guest may take to shut down before the engine cuts its power (V03).
    pub shutdown_timeout: Span,
    /// Whether a wave runs only once it is approved.
    pub approval: ApprovalPolicy,
    /// What a blocker does.
    pub on_blocker: OnBlocker,
    /// When machines move whose guest is off when the plan is made.
    #[serde(skip_serializing_if = "is_default")]
    pub powered_off: PoweredOff,
    /// How far a machine that fails, or is held for a person, keeps others from starting.
    #[serde(skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            admission: Admission::Balanced,
            shutdown_timeout: Span::from_minutes(30),
            approval: ApprovalPolicy::Required,
            on_blocker: OnBlocker::Exclude,
            powered_off: PoweredOff::InWindow,
            on_failure: OnFailure::Isolate,
        }
    }
}

/// How far a failure reaches. What is under way goes on in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// What depends on the machine is held back, and nothing else.
    #[default]
    Isolate,
    /// Its wave starts nothing more until a person has seen to it.
    StopWave,
    /// No wave of its plan does.
    StopPlan,
}

/// When the next import is created: the trade of downtime against makespan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Admission {
    /// When the machine of the one before is created: least downtime.
    Downtime,
    /// So that its guest is off when the images of the one before are in.
    #[default]
    Balanced,
    /// When the export of the one before has ended: least makespan.
    Throughput,
}

/// Whether a wave needs an approval of its digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ApprovalPolicy {
    /// A `WaveApproval` of its digest must exist and hold.
    #[default]
    Required,
    /// What is in the cluster runs.
    None,
}

/// What a blocker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnBlocker {
    /// The VM stays out, and those that depend on it.
    #[default]
    Exclude,
    /// There is no plan until it is mended or waived.
    Refuse,
}

/// When machines move whose guest is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PoweredOff {
    /// In the windows of their workload, as all others.
    #[default]
    InWindow,
    /// At any hour, in waves without a window: nobody misses them. One that somebody switches on
    /// after it was planned is shut down all the same.
    AnyTime,
}

/// Rates and durations to plan with until they are measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Assumptions {
    /// Bytes a second that the engine exports.
    pub export_bytes_per_second: Quantity,
    /// Bytes a second at which Harvester takes disk images in.
    pub image_bytes_per_second: Quantity,
    /// From asking a guest to shut down until it is off.
    pub shutdown: Span,
    /// From the machine's creation until it is ready.
    pub boot: Span,
    /// From a machine's readiness until the ports of its gate answer.
    #[serde(skip_serializing_if = "is_a_minute")]
    pub service_start: Span,
    /// By how much one import in ten is expected to take longer than the rates say (P90 over
    /// median): windows are kept with it, and bands are as wide.
    pub spread: Percent,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            export_bytes_per_second: Quantity(crate::units::Bytes::from_mib(110)),
            image_bytes_per_second: Quantity(crate::units::Bytes::from_mib(300)),
            shutdown: Span(crate::units::Seconds(60)),
            boot: Span(crate::units::Seconds(90)),
            service_start: Span::from_minutes(1),
            spread: Percent(20),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_a_minute(span: &Span) -> bool {
    *span == Span::from_minutes(1)
}

/// The namespace that a source's and a plan's objects fall into when their file names none.
pub fn default_namespace() -> Namespace {
    Namespace::from("default")
}
