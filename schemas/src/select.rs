//! Which VMs: the selectors of plans, and everything that is built on them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{SourceName, VmId, VmName, WorkloadRef};

/// Which VMs of a source. The source and at least one field; all that are given must hold.
///
/// Names, ids and tags are compared as they are; everything that is called a glob takes `*` (any
/// text), `?` (one character), `[ab]` and `{a,b}`. Case counts everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.names) || has(self.ids) || has(self.folder) || has(self.match) || has(self.tags) || has(self.attributes) || has(self.project) || has(self.power) || has(self.network) || has(self.datastore) || has(self.serverGroup) || has(self.vapp)").message("at least one field beside source"))]
pub struct Selector {
    /// The source.
    pub source: SourceName,
    /// Names; one that several VMs bear takes them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100_000))]
    pub names: Option<Vec<VmName>>,
    /// Ids. A template is taken only by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100_000))]
    pub ids: Option<Vec<VmId>>,
    /// vSphere: a glob on the folder's path; `*` within one folder's name, `**` across folders, and
    /// `erp/**` takes `erp` too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub folder: Option<String>,
    /// A glob on the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub r#match: Option<String>,
    /// Tags that it must all bear: `category/tag` or `tag`, each a glob. `tag` alone is looked for in
    /// every category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 512)))]
    pub tags: Option<Vec<String>>,
    /// Custom attributes (vSphere) or metadata (OpenStack) that it must all have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub attributes: Option<Vec<AttributeMatch>>,
    /// OpenStack: a glob on the name or id of its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub project: Option<String>,
    /// Whether it runs, as the snapshot saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<PowerMatch>,
    /// A glob on the name of a network that one of its NICs is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub network: Option<String>,
    /// A glob on the name of a datastore or volume type that one of its disks is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub datastore: Option<String>,
    /// OpenStack: a glob on the name or id of a server group that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub server_group: Option<String>,
    /// vSphere: a glob on the name of the vApp that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub vapp: Option<String>,
}

impl Selector {
    /// Whether there is a field beside the source: one with none would take everything.
    pub fn says_something(&self) -> bool {
        let nothing = Self {
            source: self.source.clone(),
            ..Self::default()
        };
        *self != nothing
    }
}

/// An attribute that a VM must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttributeMatch {
    /// Its name.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// A glob on its value; absent: any value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub value: Option<String>,
}

/// Whether a VM runs. Not `on` and `off`: YAML readers take those for truth values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PowerMatch {
    /// Switched on.
    Running,
    /// Switched off.
    Stopped,
    /// Suspended or paused.
    Suspended,
}

/// One workload for each value of a tag, an attribute or a folder: the long tail, without a stanza
/// for each application. Takes what no workload of `workloads` selects and nothing declares out of
/// scope; never a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadsFrom {
    /// The source.
    pub source: SourceName,
    /// What the VMs of a workload have in common: `tag:CATEGORY` (for OpenStack: tags of the form
    /// `CATEGORY=value`), `attribute:NAME`, `folder` (the whole path) or `folder:N` (its first N
    /// names).
    #[schemars(
        length(max = 300),
        regex(pattern = "^(tag:.+|attribute:.+|folder|folder:[1-9])$")
    )]
    pub group_by: String,
    /// vSphere: only VMs of these folders, as in a selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub folder: Option<String>,
    /// Only VMs that none of these takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub exclude: Vec<Selector>,
    /// The workloads' names; `{key}` stands for the value, made safe for DNS. Absent: `{key}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 5, max = 60),
        regex(pattern = "^[-a-z0-9]*\\{key\\}[-a-z0-9]*$")
    )]
    pub name: Option<String>,
    /// The machines' namespace, with `{key}` as in the name; absent: the plan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 68),
        regex(pattern = "^[-a-z0-9]*(\\{key\\})?[-a-z0-9]*$")
    )]
    pub namespace: Option<String>,
    /// Workloads that all of these wait for; `PLAN/NAME` or `NAMESPACE/PLAN/NAME` is one of another
    /// plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub depends_on: Vec<WorkloadRef>,
}

/// VMs that are left where they are, on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutOfScope {
    /// Which.
    #[serde(flatten)]
    pub vms: Selector,
    /// Why.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Until when that holds: a day after which it is a finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::LocalDate>")]
    pub by: Option<jiff::civil::Date>,
}
