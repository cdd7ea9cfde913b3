//! `source.json`: where a snapshot comes from, and what could not be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SCHEMA;

/// What kind of place a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A vCenter datacenter or an ESXi host.
    Vmware,
    /// An OpenStack project in a region.
    Openstack,
    /// A shelf of OVA files.
    Ova,
}

/// `source.json`: where the snapshot comes from, and what could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceAbout {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// vSphere, OpenStack or OVA.
    pub kind: SourceKind,
    /// The address that was read, without credentials.
    pub endpoint: String,
    /// vCenter's instance UUID; the OpenStack project's id; absent for OVA. Together with a VM's
    /// id it names a machine for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// vSphere: the datacenter's path, as the import's source needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// OpenStack: the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// OpenStack: the project, name and id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
    /// Product and version as the server calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// API version or microversions used, by service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub api: BTreeMap<String, String>,
    /// How the server's certificate was checked: `verified`, `ca`, `insecure`, or `plain` (HTTP).
    pub tls: String,
    /// The account that read, never its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// vSphere: the account of the engine, if its rights on each VM could be asked for
    /// ([`super::Vm::missing_privileges`], V16).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importer: Option<String>,
    /// How many of each kind the files hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// What could not be read. Incomplete is allowed, silent is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

impl SourceAbout {
    /// The beginning of a `source.json`; all else is not known yet. `endpoint` is without
    /// credentials; `tls` is one of the words of that field.
    pub fn new(kind: SourceKind, endpoint: impl Into<String>, tls: impl Into<String>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            kind,
            endpoint: endpoint.into(),
            instance: None,
            datacenter: None,
            region: None,
            project: None,
            product: None,
            api: BTreeMap::new(),
            tls: tls.into(),
            user: None,
            importer: None,
            counts: BTreeMap::new(),
            gaps: Vec::new(),
        }
    }
}

/// An OpenStack project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name, where the account may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// What was to be read (`images`, `config.keyId`, …).
    pub what: String,
    /// On which object, if on one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Why not, in the server's words where it gave some.
    pub reason: String,
}
