//! What a plan's status says of its waves. Pure.

use executor_machine::{At, HoldReason, MachineState, RunView};
use schemas::conditions::{CommonStatus, Condition, Situation, conditions};
use schemas::plan::PlanStatus;
use schemas::wave::Counts;

/// The status of the plan at `at`, by what the run says of its machines. `waves` are the names of
/// its waves in this run.
pub(crate) fn plan_status(
    view: &RunView,
    waves: &[&str],
    at: &At,
    generation: i64,
    now: jiff::Timestamp,
    before: Option<&PlanStatus>,
) -> PlanStatus {
    let ours = |wave: &str, namespace: &str| at.namespace == namespace && waves.contains(&wave);
    let mut counts = Counts::default();
    for machine in &view.machines {
        if !ours(machine.wave.as_str(), machine.record.namespace.as_str()) {
            continue;
        }
        counts.total += 1;
        match machine.state {
            MachineState::Waiting(_) => counts.waiting += 1,
            MachineState::Active(_) => counts.active += 1,
            MachineState::Done => counts.done += 1,
            MachineState::Failed(_) => counts.failed += 1,
            MachineState::Blocked { .. } => counts.blocked += 1,
        }
    }
    let held = view
        .holds
        .iter()
        .filter(|hold| ours(hold.wave.as_str(), hold.namespace.as_str()))
        .find_map(|hold| waits_for_people(&hold.reason));
    let (situation, reason) = if counts.done == counts.total {
        (Situation::Succeeded, "Succeeded")
    } else if counts.waiting + counts.active == 0 {
        (Situation::Failed, "MachinesFailed")
    } else if counts.active == 0
        && let Some(reason) = held
    {
        (Situation::Waiting, reason)
    } else if counts.failed > 0 {
        (Situation::Retrying, "ProgressingWithFailures")
    } else if counts.active + counts.done == 0 {
        (Situation::Progressing, "Pending")
    } else {
        (Situation::Progressing, "Progressing")
    };
    let known: &[Condition] = before.map_or(&[], |status| &status.common.conditions);
    PlanStatus {
        common: CommonStatus {
            observed_generation: generation,
            conditions: conditions(situation, reason, &message(&counts), generation, now, known),
        },
        counts: Some(counts),
    }
}

/// The reason word of a hold that ends only when a person or the clock says so.
fn waits_for_people(reason: &HoldReason) -> Option<&'static str> {
    match reason {
        HoldReason::AwaitingApproval { .. } | HoldReason::ApprovalExpired { .. } => {
            Some("AwaitingApproval")
        }
        HoldReason::OutsideWindow { .. } => Some("OutsideWindow"),
        HoldReason::Suspended | HoldReason::Stopped => Some("Suspended"),
        _ => None,
    }
}

fn message(counts: &Counts) -> String {
    let rest = [
        (counts.active, "on their way"),
        (counts.failed, "failed"),
        (counts.blocked, "held back by a failure"),
    ];
    let rest = rest.iter().filter(|(count, _)| *count > 0);
    std::iter::once(format!("{} of {} done", counts.done, counts.total))
        .chain(rest.map(|(count, word)| format!("{count} {word}")))
        .collect::<Vec<_>>()
        .join(", ")
}
