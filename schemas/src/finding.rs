//! Findings: what a check has to say about a VM, a workload, a source or a target.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{SourceName, TargetName, VmKey, VmName, WorkloadName};

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The VM must not be imported so: it would be lost, doubled or fail after it is off.
    Blocker,
    /// It will be imported, and something will not be as it was.
    Warning,
    /// Worth knowing.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blocker => "blocker",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable: the id of the hazard (`N01`, `O03`), or one of Windrow's own (`WR001`).
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// The field of the plan or site that it is about, as in `networks[2].from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What was seen, with the actual values.
    pub evidence: String,
    /// What a person can do.
    pub remedy: String,
    /// The reason of the waiver that accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived_by: Option<String>,
}

impl Finding {
    /// Whether it keeps its VM out of the plan.
    pub fn blocks(&self) -> bool {
        self.severity == Severity::Blocker && self.waived_by.is_none()
    }
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// One VM.
    Vm {
        /// Which.
        key: VmKey,
        /// Its name, for people.
        name: VmName,
    },
    /// A workload.
    Workload(WorkloadName),
    /// A service.
    Service(WorkloadName),
    /// A source.
    Source(SourceName),
    /// A target.
    Target(TargetName),
    /// The plan as a whole.
    Plan,
}

impl Subject {
    /// For people: what kind it is and its name, which `shown` makes fit for its place. A VM is its
    /// name alone.
    pub fn in_words(&self, shown: impl Fn(&str) -> String) -> String {
        let (kind, name) = match self {
            Self::Vm { name, .. } => return shown(name.as_str()),
            Self::Workload(name) => ("workload", name.as_str()),
            Self::Service(name) => ("service", name.as_str()),
            Self::Source(name) => ("source", name.as_str()),
            Self::Target(name) => ("target", name.as_str()),
            Self::Plan => return "the plan".to_owned(),
        };
        format!("{kind} {}", shown(name))
    }
}
