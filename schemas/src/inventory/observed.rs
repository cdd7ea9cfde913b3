//! What changes by itself: a line of `observed.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::GuestOs;
use crate::units::Bytes;

/// The id of the line that says what is used of an OpenStack project's limits.
pub const OBSERVED_QUOTAS: &str = "quotas";

/// Whether a guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// Running.
    On,
    /// Switched off.
    Off,
    /// Suspended to disk.
    Suspended,
    /// Paused in memory.
    Paused,
    /// Anything else (error, rescue, unknown).
    Other,
}

/// What changes by itself: a line of `observed.jsonl`. Of a VM, a datastore or a host. Sizes are
/// rounded up to whole GiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whose observation.
    pub id: String,
    /// Power state of a VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// The source's own word for the state (`ACTIVE`, `poweredOn`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// vSphere, VM or host: connectionState, if not `connected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_state: Option<String>,
    /// vSphere: the host it runs on, a reference into `hosts.jsonl` (V12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// vSphere: the question that it waits to be answered (V05).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// vSphere: guest tools running (`guestToolsRunning`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<String>,
    /// vSphere: how good the guest tools are (`guestToolsCurrent`, `guestToolsNotInstalled`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools_version: Option<String>,
    /// What the guest says that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_os: Option<GuestOs>,
    /// What the guest calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Addresses of the guest, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guest_ips: Vec<String>,
    /// Bytes used at the source, by disk key; rounded up to whole GiB. OVA: what the descriptor
    /// says that the disk holds, as it says it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used_bytes: BTreeMap<String, Bytes>,
    /// Bytes used inside the guest; rounded up to whole GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_used_bytes: Option<Bytes>,
    /// vSphere: bytes that its files take at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_bytes: Option<Bytes>,
    /// vSphere: bytes that its thin disks may still grow by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncommitted_bytes: Option<Bytes>,
    /// vSphere: bytes of those that are there for its snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_bytes: Option<Bytes>,
    /// OpenStack: task in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_state: Option<String>,
    /// OpenStack: states of its volumes that are not simply `in-use`, by volume id (O07).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disk_states: BTreeMap<String, String>,
    /// OpenStack: what is used of each [`super::Quota`], on the line [`OBSERVED_QUOTAS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used: BTreeMap<String, u64>,
    /// vSphere, datastore: whether it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accessible: Option<bool>,
    /// vSphere, datastore or host: in maintenance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// Free bytes of a datastore; rounded up to whole GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<Bytes>,
}
