//! The approval of one wave's digest, or the word that a step outside is done. Not part of any
//! generated file, so that planning again can neither keep nor wipe it: it holds for one digest.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::gate::StepRef;
use crate::ids::{Digest, OccurrenceId, PlanName, WaveName, WorkloadName};

/// An approval of one wave's digest, or the word that a step outside is done.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "windrow.dev",
    version = "v1alpha1",
    kind = "WaveApproval",
    plural = "waveapprovals",
    shortname = "mappr",
    category = "windrow",
    namespaced,
    doc = "The approval of one wave's digest, or the word that a step outside is done",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Wave","type":"string","jsonPath":".spec.wave"}"#,
    printcolumn = r#"{"name":"Step","type":"string","jsonPath":".spec.step.name"}"#,
    printcolumn = r#"{"name":"Expires","type":"string","jsonPath":".spec.expires"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.wave) == has(self.digest) && has(self.wave) != has(self.step)").message("either wave and digest, or step"))]
pub struct ApprovalSpec {
    /// The wave's name, in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<WaveName>,
    /// Its digest at the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The step outside that is done, of a plan in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepRef>,
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

impl ApprovalSpec {
    /// Whether it approves the wave of that name as `digest` has it.
    pub fn is_of(&self, wave: &str, digest: &Digest) -> bool {
        self.wave.as_ref().is_some_and(|own| own.as_str() == wave)
            && self.digest.as_ref() == Some(digest)
    }

    /// Whether it says that this step of this plan is done.
    pub fn says_done(&self, plan: &PlanName, step: &WorkloadName) -> bool {
        let own = self.step.as_ref();
        own.is_some_and(|own| own.plan == *plan && own.name == *step)
    }
}
