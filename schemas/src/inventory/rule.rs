//! What ties VMs together at their source: a line of `rules.jsonl`.

use serde::{Deserialize, Serialize};

use crate::ids::VmId;

/// What a rule asks for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum RuleKind {
    /// Its members run on one host.
    #[default]
    Affinity,
    /// Each of its members runs on a host of its own.
    AntiAffinity,
    /// Its members run on some hosts, or stay off some.
    VmHost,
    /// Its members start after others, when the source restarts them.
    Depends,
    /// Its members start after others, when their vApp is started.
    StartOrder,
    /// How important its members are when a host fails.
    RestartPriority,
    /// Its members share a disk.
    SharedDisk,
}

/// A rule: a line of `rules.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Made of where it comes from and its key there: the same from pull to pull.
    pub id: String,
    /// What it asks for.
    #[serde(rename = "type")]
    pub kind: RuleKind,
    /// What people call it. Shared disks: what is shared (a file, `lun:…`, `volume:…`, `bus:…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The VMs that it is about, those of this snapshot only, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<VmId>,
    /// Depends and start order: those that come directly before, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<VmId>,
    /// Start order: the step, from 1 for what starts first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    /// Start order: seconds to wait before the next step, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<u32>,
    /// Start order: the next step may begin as soon as the guests say they are up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits_for_guest: bool,
    /// VM to host: where the members run, references into `hosts.jsonl`, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// VM to host: where the members must not run, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_hosts: Vec<String>,
    /// Restart priority: `disabled`, `lowest`, `low`, `medium`, `high`, `highest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// Whether the source breaks it rather than not run a VM; absent where that means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandatory: Option<bool>,
    /// Whether it is in force.
    pub enabled: bool,
    /// Where it comes from: `cluster:NAME`, `vapp:NAME`, `server-group`, `disks` (found by Windrow).
    pub origin: String,
}
