//! What is said of a wave in its status (docs/reference.md): counts, and conditions that Argo CD, Flux,
//! Fleet and kubectl read alike. Written only when it differs, and at most every five seconds, so
//! that `kubectl get -w` stays readable.

use jiff::Timestamp;
use schemas::conditions::{self, CommonStatus, Situation};
use schemas::ids::{VmName, WorkloadRef};
use schemas::units::Seconds;
use schemas::wave::{Counts, WaveStatus};

use crate::action::{Action, Elsewhere, HoldReason, MachineState, MachineView, Wait};
use crate::clock::{Alarm, after};
use crate::observed::{At, Wave};

/// Least time between two writes of one wave's status (docs/reference.md).
const EVERY: Seconds = Seconds(5);
/// Most names of failed machines in a status (its schema's limit).
const FAILED_MAX: usize = 20;

/// The write of the wave's status, if one is due. `machines` are the wave's own; `hold` is what
/// holds it back, or else one of its sources. `is_last`: nobody may look again, so it cannot wait.
pub(crate) fn write(
    at: &At,
    wave: &Wave,
    machines: &[MachineView],
    hold: Option<&HoldReason>,
    now: Timestamp,
    is_last: bool,
    alarm: &mut Alarm,
) -> Option<Action> {
    let before = wave.status.clone().unwrap_or_default();
    let counts = count(machines);
    let Said {
        situation,
        reason,
        message,
    } = say(&counts, hold, awaited(machines).as_ref());
    let old = &before.common.conditions;
    let status = WaveStatus {
        common: CommonStatus {
            observed_generation: wave.generation,
            conditions: conditions::conditions(
                situation,
                reason,
                &message,
                wave.generation,
                now,
                old,
            ),
        },
        counts: Some(counts),
        updated: before.updated,
        failed: machines
            .iter()
            .filter(|machine| matches!(machine.state, MachineState::Failed(_)))
            .take(FAILED_MAX)
            .map(|machine| machine.name.to_string())
            .collect(),
    };
    if wave.status.as_ref() == Some(&status) {
        return None;
    }
    if let Some(updated) = before.updated {
        let next = after(updated, EVERY);
        // A time to come is a clock that was set back: no reason to be silent.
        if !is_last && (updated..next).contains(&now) {
            alarm.at(next);
            return None;
        }
    }
    Some(Action::WaveStatus {
        at: at.clone(),
        status: WaveStatus {
            updated: Some(now),
            ..status
        },
    })
}

fn count(machines: &[MachineView]) -> Counts {
    let mut counts = Counts::default();
    for machine in machines {
        counts.total += 1;
        match machine.state {
            MachineState::Waiting(_) => counts.waiting += 1,
            MachineState::Active(_) => counts.active += 1,
            MachineState::Done => counts.done += 1,
            MachineState::Failed(_) => counts.failed += 1,
            MachineState::Blocked { .. } => counts.blocked += 1,
        }
    }
    counts
}

struct Said {
    situation: Situation,
    reason: &'static str,
    message: String,
}

/// What comes from outside of the plan.
enum Awaited<'a> {
    Step(&'a WorkloadRef, &'a str),
    Plan(&'a Elsewhere),
    /// A machine of another plan that failed, and its plan.
    Failed(&'a VmName, &'a At),
}

/// The step outside, or else the machine of another plan, that a machine waits for, where none of them
/// is on its way.
fn awaited(machines: &[MachineView]) -> Option<Awaited<'_>> {
    let is_active = |machine: &MachineView| matches!(machine.state, MachineState::Active(_));
    if machines.iter().any(is_active) {
        return None;
    }
    let step = machines.iter().find_map(|machine| match &machine.state {
        MachineState::Waiting(Wait::Step { step, title }) => Some(Awaited::Step(step, title)),
        _ => None,
    });
    let mut others = machines.iter();
    let mut failed = machines.iter();
    let other = || {
        others.find_map(|machine| match &machine.state {
            MachineState::Waiting(Wait::Plan(other)) => Some(Awaited::Plan(other)),
            _ => None,
        })
    };
    step.or_else(other).or_else(|| {
        failed.find_map(|machine| match &machine.state {
            MachineState::Blocked {
                name,
                plan: Some(plan),
                ..
            } => Some(Awaited::Failed(name, plan)),
            _ => None,
        })
    })
}

fn say(counts: &Counts, hold: Option<&HoldReason>, awaited: Option<&Awaited<'_>>) -> Said {
    let mut message = format!("{}/{} running", counts.done, counts.total);
    for (number, word) in [
        (counts.active, "under way"),
        (counts.failed, "failed"),
        (counts.blocked, "blocked"),
    ] {
        if number > 0 {
            message = format!("{message}, {number} {word}");
        }
    }
    let (situation, reason) = match (hold, counts) {
        (_, counts) if counts.done == counts.total => (Situation::Succeeded, "Succeeded"),
        (_, counts) if counts.active + counts.waiting == 0 => {
            if let Some(Awaited::Failed(name, plan)) = awaited {
                message = format!("{message}; `{name}` of plan `{plan}` failed");
            }
            (Situation::Failed, "ImportsFailed")
        }
        (Some(reason), counts) if counts.waiting > 0 => {
            let (situation, word, why) = held(reason);
            message = format!("{message}; {why}");
            // What is running runs on, whatever holds the others back.
            match counts.active {
                0 => (situation, word),
                _ => (Situation::Progressing, "Progressing"),
            }
        }
        // People have to do something, as with an approval; Argo CD's script knows that word.
        _ if let Some(Awaited::Step(step, title)) = awaited => {
            message = format!("{message}; awaits the step `{step}`: {title}");
            (Situation::Waiting, "AwaitingApproval")
        }
        _ if let Some(Awaited::Plan(other)) = awaited => {
            message = format!("{message}; waits for {other}");
            (Situation::Progressing, "Pending")
        }
        (_, counts) if counts.active + counts.done + counts.failed == 0 => {
            (Situation::Progressing, "Pending")
        }
        _ => (Situation::Progressing, "Progressing"),
    };
    Said {
        situation,
        reason,
        message,
    }
}

/// What a hold is called. Argo CD's script reads `Suspended`, `AwaitingApproval` and
/// `OutsideWindow` as suspended (docs/reference.md).
fn held(reason: &HoldReason) -> (Situation, &'static str, String) {
    match reason {
        HoldReason::AwaitingApproval { digest } => (
            Situation::Waiting,
            "AwaitingApproval",
            format!("awaits approval of {digest}"),
        ),
        HoldReason::ApprovalExpired { at } => (
            Situation::Waiting,
            "AwaitingApproval",
            format!("its approval has expired at {at}"),
        ),
        HoldReason::OutsideWindow { opens: Some(at) } => (
            Situation::Waiting,
            "OutsideWindow",
            format!("its window opens at {at}"),
        ),
        HoldReason::OutsideWindow { opens: None } => (
            Situation::Failed,
            "WindowOver",
            "its window is over: plan again".to_owned(),
        ),
        HoldReason::Failure { name, .. } => (
            Situation::Failed,
            "StoppedByFailure",
            format!("`{name}` failed, and nothing more starts until somebody has seen to it"),
        ),
        HoldReason::Suspended => (Situation::Waiting, "Suspended", "suspended".to_owned()),
        HoldReason::Stopped => (
            Situation::Waiting,
            "Suspended",
            "stopped by a `windrow-stop`: `windrow start` goes on".to_owned(),
        ),
        HoldReason::DigestMismatch { computed } => (
            Situation::Failed,
            "DigestMismatch",
            format!("its content has digest {computed}: it was edited by hand, plan again"),
        ),
        HoldReason::OtherCluster { expected } => (
            Situation::Waiting,
            "OtherCluster",
            format!("it is for the cluster with uid {expected}"),
        ),
        HoldReason::SourceNotReady {
            source, message, ..
        } => {
            let why = message
                .as_deref()
                .map(|m| format!(": {m}"))
                .unwrap_or_default();
            let why = format!("source `{source}` is not ready{why}");
            (Situation::Retrying, "Retrying", why)
        }
        HoldReason::SourceDiffers { source } => (
            Situation::Failed,
            "SourceDiffers",
            format!("source `{source}` is there and is another one: it is never written to"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use schemas::machine::Stage;

    use super::*;
    use crate::fixture::{key, observed, record_at, t, wave_at};

    fn machines(states: Vec<MachineState>) -> Vec<MachineView> {
        states
            .into_iter()
            .map(|state| MachineView {
                vm: key("db"),
                name: "db".into(),
                machine: At::new("apps", "db"),
                wave: "erp-010".into(),
                workload: "db".into(),
                record: record_at("db"),
                state,
                attempt: None,
                times: schemas::machine::Times::default(),
                off: None,
                ready: None,
            })
            .collect()
    }

    fn status(states: Vec<MachineState>, hold: Option<&HoldReason>) -> WaveStatus {
        let wave = &observed().waves[&wave_at(10)];
        let machines = machines(states);
        let mut alarm = Alarm::new(t(0));
        match write(&wave_at(10), wave, &machines, hold, t(0), false, &mut alarm) {
            Some(Action::WaveStatus { status, .. }) => status,
            other => panic!("{other:?}"),
        }
    }

    fn ready(status: &WaveStatus) -> (&str, &str, &str) {
        let ready = &status.common.conditions[0];
        (&ready.status, &ready.reason, &ready.message)
    }

    // The rows of docs/reference.md, each as kubectl shows it.
    #[test]
    fn rows() {
        let turn = || MachineState::Waiting(Wait::Turn);
        let failed = || MachineState::Failed("it broke".to_owned());
        let active = || MachineState::Active(Stage::Imaging);
        let row = status(vec![turn(), turn()], None);
        assert_eq!(ready(&row), ("Unknown", "Pending", "0/2 running"));
        let row = status(vec![active(), failed(), turn()], None);
        let message = "0/3 running, 1 under way, 1 failed";
        assert_eq!(ready(&row), ("Unknown", "Progressing", message));
        assert_eq!(row.failed, ["db"]);
        let row = status(vec![MachineState::Done, failed()], None);
        let message = "1/2 running, 1 failed";
        assert_eq!(ready(&row), ("False", "ImportsFailed", message));
        let row = status(vec![MachineState::Done], None);
        assert_eq!(ready(&row), ("True", "Succeeded", "1/1 running"));
        let row = status(vec![turn()], Some(&HoldReason::Suspended));
        assert_eq!(
            ready(&row),
            ("False", "Suspended", "0/1 running; suspended")
        );
        // What runs, runs on.
        let row = status(vec![active(), turn()], Some(&HoldReason::Stopped));
        assert_eq!(ready(&row).0, "Unknown");
    }

    // At most one write in five seconds, and none without a difference.
    #[test]
    fn throttled() {
        let mut wave = observed().waves[&wave_at(10)].clone();
        wave.status = Some(status(vec![MachineState::Done], None));
        let write_at = |states, now, is_last| {
            let mut alarm = Alarm::new(t(now));
            let machines = machines(states);
            let at = wave_at(10);
            let action = write(&at, &wave, &machines, None, t(now), is_last, &mut alarm);
            (action.is_some(), alarm.next())
        };
        let failed = || MachineState::Failed("it broke".to_owned());
        let done = vec![MachineState::Done];
        assert_eq!(write_at(done, 9, false), (false, None));
        assert_eq!(write_at(vec![failed()], 4, false), (false, Some(t(5))));
        assert_eq!(write_at(vec![failed()], 5, false), (true, None));
        // The last word: a run that ends now would never say it.
        assert_eq!(write_at(vec![failed()], 4, true), (true, None));
    }
}
