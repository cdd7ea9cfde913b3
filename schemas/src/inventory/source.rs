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
    /// OpenStack: how it logged in, where the engine could not do the same (O13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// OpenStack: when the account's password expires, where Keystone lets passwords expire
    /// (`token.user.password_expires_at` of the Identity API v3). vCenter tells nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_expires: Option<jiff::Timestamp>,
    /// OpenStack: projects whose servers were asked for: `all`, or `own` where the account may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// OpenStack: seconds that a token lives here; the engine never renews its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_seconds: Option<u64>,
    /// OpenStack: the project's limits that an export needs room under (O08), sorted by `what`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<Quota>,
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
            identity: None,
            password_expires: None,
            scope: None,
            token_seconds: None,
            quotas: Vec::new(),
            counts: BTreeMap::new(),
            gaps: Vec::new(),
        }
    }
}

/// How an account logged in to OpenStack, where the engine's Secret has no words for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// By an application credential: the engine has no key for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub application_credential: bool,
    /// User and project are in different domains: the engine has one key for both.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub two_domains: bool,
    /// By a token that somebody had asked for before: the engine has no key for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub token: bool,
}

/// A limit of an OpenStack project. What is used of it stands in `observed.jsonl` on the line
/// [`super::OBSERVED_QUOTAS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quota {
    /// `volumes`, `snapshots`, `gigabytes` (of both together).
    pub what: String,
    /// How many; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
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
