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

#[cfg(test)]
mod tests {
    use executor_machine::{Hold, MachineView, Wait};

    use super::*;

    fn machine(state: MachineState) -> MachineView {
        MachineView {
            vm: "shelf/erp".parse().expect("a key"),
            name: "erp".into(),
            machine: At::new("apps", "erp"),
            wave: "erp-010".into(),
            workload: "db".into(),
            record: At::new("plans", "erp-00c0ffee"),
            state,
            attempt: None,
            times: schemas::machine::Times::default(),
            off: None,
            ready: None,
        }
    }

    fn ready(states: Vec<MachineState>, holds: Vec<HoldReason>) -> (String, String) {
        let hold = |reason| Hold {
            wave: "erp-010".into(),
            namespace: "plans".into(),
            reason,
        };
        let view = RunView {
            machines: states.into_iter().map(machine).collect(),
            holds: holds.into_iter().map(hold).collect(),
            ..RunView::default()
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let written = plan_status(&view, &["erp-010"], &At::new("plans", "erp"), 3, now, None);
        assert_eq!(written.common.observed_generation, 3);
        let ready = written
            .common
            .conditions
            .iter()
            .find(|c| c.r#type == "Ready");
        let ready = ready.expect("every situation has Ready");
        (
            format!("{} {}", ready.status, ready.reason),
            ready.message.clone(),
        )
    }

    // The rows of docs/reference.md, from what machines and waves say.
    #[test]
    fn situations() {
        use MachineState::{Active, Blocked, Done, Failed, Waiting};
        let waiting = || Waiting(Wait::Turn);
        let active = || Active(schemas::machine::Stage::Exporting);
        let failed = || Failed("gone".to_owned());
        let blocked = || Blocked {
            by: "shelf/x".parse().expect("a key"),
            name: "x".into(),
            plan: None,
        };
        for (states, holds, expected) in [
            (vec![Done, Done], vec![], "True Succeeded"),
            (vec![waiting()], vec![], "Unknown Pending"),
            (
                vec![Done, active()],
                vec![HoldReason::Stopped],
                "Unknown Progressing",
            ),
            (
                vec![Done, waiting()],
                vec![HoldReason::Stopped],
                "False Suspended",
            ),
            (
                vec![waiting(), failed()],
                vec![],
                "False ProgressingWithFailures",
            ),
            (
                vec![Done, failed(), blocked()],
                vec![],
                "False MachinesFailed",
            ),
        ] {
            assert_eq!(ready(states, holds).0, expected);
        }
    }

    // One line that a person can act on, with the figures that matter.
    #[test]
    fn messages() {
        let states = vec![MachineState::Done, MachineState::Failed("gone".to_owned())];
        assert_eq!(ready(states, vec![]).1, "1 of 2 done, 1 failed");
    }
}
