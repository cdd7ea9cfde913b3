//! Steps outside as a report tells them: when they may begin and are expected to be done, what they
//! wait for, and who says that they are done.

use schemas::gate::{Gate, StepDone};
use schemas::ids::WorkloadName;
use schemas::units::Seconds;
use serde::Serialize;

use crate::resolve::ResolvedPlan;
use crate::schedule::Schedule;

/// One step outside in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepLine {
    /// Its workload's name.
    pub step: WorkloadName,
    /// What is done, for people.
    pub title: String,
    /// All before it is done: it may begin.
    pub starts: Seconds,
    /// It is expected to be done.
    pub ends: Seconds,
    /// Workloads and steps that must be done first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<WorkloadName>,
    /// How it is known to be done.
    pub done: StepDone,
    /// Whether it decides, with the critical path, when the last machine is ready.
    pub critical: bool,
}

impl StepLine {
    /// By whose word it is done: `a person`, `erp-scan:1521`, `a person and erp-scan:1521`.
    pub fn said_by(&self) -> String {
        let ports = self.done.tcp.iter().flatten();
        let ports = ports.map(|it| format!("{}:{}", it.host, it.port));
        let person = self.done.approval.map(|_| "a person".to_owned());
        let all: Vec<String> = person.into_iter().chain(ports).collect();
        all.join(" and ")
    }
}

/// Ports of a gate, in words: `5432`, or `5432 on erp-scan` where it is not the machine's own.
pub fn ports(gate: &Gate) -> String {
    let ports = gate.tcp.iter().map(|tcp| match &tcp.address {
        Some(host) => format!("{} on {host}", tcp.port),
        None => tcp.port.to_string(),
    });
    ports.collect::<Vec<_>>().join(", ")
}

/// All of a schedule, by start; `critical` names those on the critical path.
pub(super) fn lines(
    plan: &ResolvedPlan,
    schedule: &Schedule,
    critical: &[WorkloadName],
) -> Vec<StepLine> {
    let line = |slot: &crate::schedule::StepSlot| {
        let workload = plan.workloads.get(slot.workload)?;
        let external = workload.external.as_ref()?;
        Some(StepLine {
            step: workload.name.clone(),
            title: external.title.clone(),
            starts: slot.begins,
            ends: slot.ends,
            after: workload.depends_on.clone(),
            done: external.done.clone(),
            critical: critical.contains(&workload.name),
        })
    };
    schedule.steps.iter().filter_map(line).collect()
}
