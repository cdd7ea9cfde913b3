//! Gates and steps outside: what must hold, beside machines that run, before dependants start.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{PlanName, WorkloadName, WorkloadRef};
use crate::units::{Seconds, Span};

/// What each machine of a workload must show, once it runs, before those that depend on it start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// TCP ports that must all take a connection, tried from where the executor runs.
    #[schemars(length(min = 1, max = 16))]
    pub tcp: Vec<GatePort>,
    /// They must have done so for this long without a break; absent: once is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<Span>,
    /// They must answer this long after the machine runs; one that answers by then may finish its
    /// soak.
    #[serde(default = "timeout", skip_serializing_if = "is_timeout")]
    pub timeout: Span,
    /// What happens when they do not.
    #[serde(default, skip_serializing_if = "crate::site::is_default")]
    pub on_failure: GateFailure,
}

impl Gate {
    /// How long it is predicted to take until it holds, where its ports answer after `start`.
    pub fn predicted(&self, start: Seconds) -> Seconds {
        start + self.soak.map_or(Seconds::ZERO, |soak| soak.0)
    }
}

fn timeout() -> Span {
    Span::from_minutes(15)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_timeout(span: &Span) -> bool {
    *span == timeout()
}

/// A TCP port of a gate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatePort {
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// A host's name or address; absent: the machine's own address, as the target's
    /// `VirtualMachineInstance` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub address: Option<String>,
}

/// What happens when a gate does not hold in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GateFailure {
    /// What depends on the machine is held back until a person looks.
    #[default]
    Hold,
    /// It is noted, and what depends on the machine starts.
    Continue,
}

/// A step that people do, or gear: no VM, but a node of the plan's graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct External {
    /// What is done, for people.
    #[schemars(length(min = 1, max = 255))]
    pub title: String,
    /// How long it is expected to take.
    pub estimate: Span,
    /// How it is known to be done.
    pub done: StepDone,
}

/// How a step is known to be done. At least one is set; what is set must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.approval) || has(self.tcp)").message("at least one of approval, tcp"))]
pub struct StepDone {
    /// A person says so: `windrow approve --step NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<StepApproval>,
    /// TCP ports that must all take a connection, tried from where the executor runs, once all that
    /// the step waits for is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub tcp: Option<Vec<HostPort>>,
}

/// Whether a person says that a step is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StepApproval {
    /// A `WaveApproval` with the step's name must exist.
    #[default]
    Required,
}

/// A TCP port of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostPort {
    /// The host's name or address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// A step outside that imports of a wave wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaveStep {
    /// Its workload's name; `PLAN/NAME` or `NAMESPACE/PLAN/NAME` where it is of another plan.
    pub name: WorkloadRef,
    /// What is done, for people.
    #[schemars(length(min = 1, max = 255))]
    pub title: String,
    /// Workloads that must be done first: each is in `prerequisites` or another of the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub depends_on: Vec<WorkloadRef>,
    /// How it is known to be done.
    pub done: StepDone,
}

/// A step of a plan, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepRef {
    /// The plan.
    pub plan: PlanName,
    /// The workload whose `external` it is.
    pub name: WorkloadName,
}

/// How far the gate of a machine is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateStatus {
    /// It is waited for from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub since: Option<jiff::Timestamp>,
    /// All its ports answer since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub open: Option<jiff::Timestamp>,
    /// It holds since then, or counts as if it did: final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub holds: Option<jiff::Timestamp>,
    /// It did not hold in time: what depends on the machine is held back until a person says how
    /// to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub failed: Option<jiff::Timestamp>,
    /// One line for people: why it failed, or why it counts although it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}
