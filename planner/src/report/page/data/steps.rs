//! Steps outside: those that are over, as they were foretold and as they came, and those to come.

use std::collections::BTreeMap;

use schemas::ids::WorkloadName;
use schemas::units::Seconds;
use serde::Serialize;

use super::safe;
use crate::pipeline::Planned;

/// One step. On the page it is a node like a machine: its number counts on from that of the last VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outside {
    name: String,
    title: String,
    /// Position of its workload.
    workload: usize,
    starts: Seconds,
    ends: Seconds,
    /// By whose word it is done; empty of one that is over.
    said_by: String,
    /// Of one that is over: when it could begin, where that is known, and by when it was done.
    came: Option<(Option<Seconds>, Seconds)>,
}

/// All of them, by start.
pub(super) fn outside(
    planned: &Planned,
    workloads: &BTreeMap<&WorkloadName, usize>,
) -> Vec<Outside> {
    let workload = |name: &WorkloadName| workloads.get(name).copied().unwrap_or(0);
    let over = planned
        .report
        .actual
        .iter()
        .flat_map(|actual| &actual.steps);
    let over = over.map(|step| Outside {
        name: safe(&step.step),
        title: safe(&step.title),
        workload: workload(&step.step),
        starts: step.starts,
        ends: step.ends,
        said_by: String::new(),
        came: Some((step.could_start, step.done_by)),
    });
    let left = planned.report.steps.iter().map(|step| Outside {
        name: safe(&step.step),
        title: safe(&step.title),
        workload: workload(&step.step),
        starts: step.starts,
        ends: step.ends,
        said_by: safe(&step.said_by()),
        came: None,
    });
    over.chain(left).collect()
}

/// The number of the step of that name.
pub(super) fn place(steps: &[Outside], machines: usize, name: &WorkloadName) -> Option<usize> {
    let name = safe(name);
    let at = steps.iter().position(|step| step.name == name)?;
    Some(machines + at)
}
