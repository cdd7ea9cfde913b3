//! The intent: what moves, in what order. Written by people, read by the planner, and understood
//! in the cluster so far as to report on it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conditions::{CommonStatus, initial_status};
use crate::facts::StatedFact;
use crate::finding::Severity;
use crate::gate::{External, Gate};
use crate::ids::{
    Namespace, ObjectName, OccurrenceId, SourceName, TargetName, VmId, VmName, WindowName,
    WorkloadName, WorkloadRef,
};
use crate::site::SiteSpec;
use crate::units::{Quantity, Span};

pub use crate::select::{AttributeMatch, OutOfScope, PowerMatch, Selector, WorkloadsFrom};

/// What moves, in what order.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "windrow.dev",
    version = "v1alpha1",
    kind = "MigrationPlan",
    plural = "migrationplans",
    shortname = "mplan",
    category = "windrow",
    namespaced,
    status = "PlanStatus",
    doc = "What moves into Harvester, and in what order: the intent, written by people",
    derive = "PartialEq",
    validation = Rule::new("size(self.metadata.name) <= 52").message("names of at most 52 characters leave room for suffixes"),
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Done","type":"integer","jsonPath":".status.counts.done"}"#,
    printcolumn = r#"{"name":"Failed","type":"integer","jsonPath":".status.counts.failed"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.site) != has(self.inlineSite)").message("exactly one of site, inlineSite"))]
#[x_kube(validation = Rule::new("(has(self.workloads) && size(self.workloads) > 0) || (has(self.workloadsFrom) && size(self.workloadsFrom) > 0)").message("at least one of workloads, workloadsFrom"))]
pub struct PlanSpec {
    /// Name of the `MigrationSite`: in a file `site.yaml` beside the plan or in a folder above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<ObjectName>,
    /// The site's block, for a pilot that is one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_site: Option<SiteSpec>,
    /// Origin of time, required as soon as there are windows: no command that writes a file reads
    /// the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub start: Option<jiff::Timestamp>,
    /// Where the machines go unless `machines` says otherwise.
    pub target: PlanTarget,
    /// Sets of VMs that belong together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub workloads: Vec<Workload>,
    /// Workloads by a tag, an attribute or the folder of VMs that no other workload selects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub workloads_from: Vec<WorkloadsFrom>,
    /// Single VMs that need something of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5000))]
    pub machines: Vec<Machine>,
    /// What must run before single VMs, beside what their workloads wait for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5000))]
    pub vm_dependencies: Vec<VmDependency>,
    /// What owners call "my system": workloads whose downtime counts as one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub services: Vec<Service>,
    /// What people pin of the waves; the rest is computed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub waves: Vec<PinnedWave>,
    /// VMs that stay where they are, on purpose: so that `windrow coverage` can tell them from
    /// forgotten ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub out_of_scope: Vec<OutOfScope>,
    /// Codes whose findings are worse, or less bad, in this plan. A blocker is never lowered: it is
    /// waived VM by VM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub severities: Vec<CodeSeverity>,
    /// Findings that are accepted, by name and with a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub waivers: Vec<Waiver>,
    /// Stop starting new work. Never set in Git, so that a button or `windrow suspend` may own it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// Status of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = initial_status()))]
pub struct PlanStatus {
    /// Generation looked at and conditions.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Machines of all its waves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<crate::wave::Counts>,
}

/// Where machines go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanTarget {
    /// A target of the site.
    pub name: TargetName,
    /// The namespace of the machines.
    pub namespace: Namespace,
}

/// A set of VMs that belong together, and what must run before them; or a step outside. Exactly one
/// of `select` and `external` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.select) != has(self.external)").message("exactly one of select, external"))]
#[x_kube(validation = Rule::new("!has(self.external) || !(has(self.exclude) || has(self.gate) || has(self.target) || has(self.shutdownTimeout) || has(self.downtimeBudget) || has(self.weight))").message("a step outside has no VMs: only name and dependsOn beside external"))]
pub struct Workload {
    /// Its name.
    pub name: WorkloadName,
    /// Which VMs: the fields of an item must all hold, and any item is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1000))]
    pub select: Vec<Selector>,
    /// A step outside instead: no VM, but dependants wait until it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// VMs that are not part of it although `select` takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub exclude: Vec<Selector>,
    /// Workloads that must all be done first: their machines run and their gates hold, or the step
    /// is done. `NAME` is one of this plan, `PLAN/NAME` one of another plan in the same namespace,
    /// `NAMESPACE/PLAN/NAME` one of a plan in another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub depends_on: Vec<WorkloadRef>,
    /// What each of its machines must show, once it runs, before those that depend on it start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Where its machines go, if not where the plan says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetOverride>,
    /// How long its guests may take to shut down, if not as long as the site says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown_timeout: Option<Span>,
    /// No machine of it should be down for longer; one that is predicted to be is a finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime_budget: Option<Span>,
    /// How much its downtime counts beside that of others, 1 to 100; absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub weight: Option<u32>,
}

/// Part of a target that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetOverride {
    /// Another target of the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TargetName>,
    /// Another namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
}

/// A single VM that needs something of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Which VM; a workload must have selected it.
    pub vm: VmRef,
    /// Where it goes, if not where its workload does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetOverride>,
    /// Room on the scratch that its import needs, if the inventory's sizes mislead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Quantity>,
    /// Facts about it that hold whatever the site's tables say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub facts: Vec<StatedFact>,
}

/// One VM of a source. Exactly one of `id` and `name` is set; a name must be unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.id) != has(self.name)").message("exactly one of id, name"))]
pub struct VmRef {
    /// The source.
    pub source: SourceName,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<VmId>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<VmName>,
}

/// What must run before a single VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmDependency {
    /// Which VM; a workload must have selected it.
    pub vm: VmRef,
    /// The VMs whose machines must run first; of this plan too.
    #[schemars(length(min = 1, max = 100))]
    pub after: Vec<VmRef>,
}

/// Workloads that an owner calls "my system": from the first of its guests that goes down until the
/// last is ready, its gate holds, and the last of its steps outside is done, the whole of it counts
/// as down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its name.
    pub name: WorkloadName,
    /// Its workloads; each is in one service at most.
    #[schemars(length(min = 1, max = 500))]
    pub workloads: Vec<WorkloadName>,
    /// From the first guest down to the last machine ready should last no longer; a prediction
    /// that does is a finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downtime_budget: Option<Span>,
    /// All of it in one occurrence of its window.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub together: bool,
    /// How much the downtime of its machines counts beside that of others, 1 to 100; absent: 1. A
    /// workload's own weight comes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub weight: Option<u32>,
    /// Who answers for it; told wherever the service is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub owner: Option<String>,
    /// Its numbers in other systems; told wherever the service is.
    #[serde(default, skip_serializing_if = "crate::site::is_default")]
    pub refs: ServiceRefs,
}

/// Numbers that other systems give a service's move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRefs {
    /// Of the change, as in `CHG0034567`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub change: Option<String>,
}

/// What people pin of a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PinnedWave {
    /// Its name, as in `pilot`.
    pub name: WorkloadName,
    /// Its workloads; each is in one wave.
    #[schemars(length(min = 1, max = 500))]
    pub workloads: Vec<WorkloadName>,
    /// The window it runs in; absent: the site's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowName>,
    /// The occurrence of that window; absent: the first that fits. Not called `on`: Kubernetes'
    /// YAML reader takes that key for `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurrence: Option<OccurrenceId>,
    /// VMs of it that go first: `NAME`, `SOURCE/NAME` or `SOURCE/ID`. The others start when all of
    /// these run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub canaries: Vec<String>,
    /// Pinned waves whose machines must all run before the first of this one starts. Without it a
    /// wave is no barrier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub after: Vec<WorkloadName>,
}

/// A finding that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiver {
    /// The finding's code, as in `W01`.
    #[schemars(length(max = 8), regex(pattern = "^[A-Z]{1,2}[0-9]{2,3}$"))]
    pub code: String,
    /// The VMs: `NAME`, `SOURCE/NAME` or `SOURCE/ID`, or globs of those.
    #[schemars(length(min = 1, max = 5000), inner(length(min = 1, max = 512)))]
    pub vms: Vec<String>,
    /// Why it is accepted.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// The last day on which it holds, judged when the plan starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::LocalDate>")]
    pub expires: Option<jiff::civil::Date>,
}

/// How bad findings of one code are in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CodeSeverity {
    /// The findings' code.
    #[schemars(length(max = 8), regex(pattern = "^[A-Z]{1,2}[0-9]{2,3}$"))]
    pub code: String,
    /// What they are to be.
    pub severity: Severity,
    /// Why.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
}
