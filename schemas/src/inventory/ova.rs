//! What only an OVA has.

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// What an OVA's archive and descriptor say beyond the VM (A01–A10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OvaFacts {
    /// Size of the archive: A of the footprints.
    pub archive_bytes: Bytes,
    /// Digest used by the manifest (`sha1`, `sha256`, `sha512`); absent if there is none (A03).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Number of virtual systems in the descriptor (A04).
    pub virtual_systems: u32,
    /// Disks of the descriptor without a file in the archive (A05), sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blank_disks: Vec<String>,
    /// Disks that the engine does not find, each with the reason (WR033), sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfound_disks: Vec<String>,
    /// Disk files without a line in the manifest that the engine reads (A03), sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted_disks: Vec<String>,
    /// Items of the descriptor that lack what the engine takes for granted, and crashes without
    /// (A06, A07): instance id and missing field, in the descriptor's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete_items: Vec<String>,
}
