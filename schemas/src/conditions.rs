//! The status contract that Argo CD, Flux, Fleet and kubectl read alike.
//!
//! | situation | Ready | Reconciling | Stalled | Succeeded |
//! |---|---|---|---|---|
//! | pending, running | Unknown | True | – | Unknown |
//! | trouble, still trying | False `Retrying` | True | – | Unknown |
//! | suspended, waiting for approval or window | False | – | – | Unknown |
//! | final failure | False | – | True | False |
//! | done | True | – | – | True |
//!
//! Never `Ready=Unknown` without `Reconciling=True` (Rancher shows an error), never Reconciling
//! and Stalled both true, never the reason `Error`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What every status begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonStatus {
    /// The generation that this status speaks of; −1 before anybody looked, so that an object
    /// nobody has seen does not count as finished in kstatus.
    #[serde(default)]
    pub observed_generation: i64,
    /// One of each type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// The default of a status nobody has written yet.
pub fn initial_status() -> serde_json::Value {
    serde_json::json!({ "observedGeneration": -1 })
}

/// A condition in Kubernetes' common form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Ready`, `Reconciling`, `Stalled`, `Succeeded`.
    #[schemars(length(max = 64))]
    pub r#type: String,
    /// `True`, `False`, `Unknown`.
    #[schemars(length(max = 16))]
    pub status: String,
    /// One CamelCase word.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// One line that a person can act on.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When `status` last changed.
    #[schemars(with = "crate::units::Rfc3339")]
    pub last_transition_time: jiff::Timestamp,
    /// The generation it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// What an object is in, of the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// Pending or running.
    Progressing,
    /// Trouble, still trying.
    Retrying,
    /// Suspended, waiting for approval or window.
    Waiting,
    /// Final failure.
    Failed,
    /// Done.
    Succeeded,
}

/// Most characters of a condition's message: the engine's own words may be longer.
const MESSAGE_MAX: usize = 1024;

/// The conditions of an object in `situation`. A condition whose status is unchanged keeps the
/// transition time of `before`.
pub fn conditions(
    situation: Situation,
    reason: &str,
    message: &str,
    generation: i64,
    now: jiff::Timestamp,
    before: &[Condition],
) -> Vec<Condition> {
    let message: String = message.chars().take(MESSAGE_MAX).collect();
    let rows: &[(&str, &str)] = match situation {
        Situation::Progressing => &[
            ("Ready", "Unknown"),
            ("Reconciling", "True"),
            ("Succeeded", "Unknown"),
        ],
        Situation::Retrying => &[
            ("Ready", "False"),
            ("Reconciling", "True"),
            ("Succeeded", "Unknown"),
        ],
        Situation::Waiting => &[("Ready", "False"), ("Succeeded", "Unknown")],
        Situation::Failed => &[
            ("Ready", "False"),
            ("Stalled", "True"),
            ("Succeeded", "False"),
        ],
        Situation::Succeeded => &[("Ready", "True"), ("Succeeded", "True")],
    };
    rows.iter()
        .map(|&(name, status)| Condition {
            r#type: name.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.clone(),
            last_transition_time: before
                .iter()
                .find(|c| c.r#type == name && c.status == status)
                .map_or(now, |c| c.last_transition_time),
            observed_generation: Some(generation),
        })
        .collect()
}
