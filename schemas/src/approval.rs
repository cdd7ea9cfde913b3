//! The approval of one wave's digest. Not part of any generated file, so that planning again can
//! neither keep nor wipe it: it holds for one digest.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::ids::{Digest, OccurrenceId, WaveName};

/// An approval of one wave's digest.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "windrow.dev",
    version = "v1alpha1",
    kind = "WaveApproval",
    plural = "waveapprovals",
    shortname = "mappr",
    category = "windrow",
    namespaced,
    doc = "The approval of one wave's digest",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Wave","type":"string","jsonPath":".spec.wave"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expires"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalSpec {
    /// The wave's name, in the same namespace.
    pub wave: WaveName,
    /// Its digest at the time.
    pub digest: Digest,
    /// The occurrence it is approved for; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurrence: Option<OccurrenceId>,
    /// It holds until then; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub expires: Option<jiff::Timestamp>,
    /// A ticket or who said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reference: Option<String>,
}
