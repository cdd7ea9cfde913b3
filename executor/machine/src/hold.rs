//! Whether a wave may admit at all. One that may not lets what is running run on.

use jiff::Timestamp;
use schemas::approval::ApprovalSpec;
use schemas::site::{ApprovalPolicy, OnFailure};
use schemas::upstream::ENGINE_NAMESPACE;

use crate::action::HoldReason;
use crate::clock::Alarm;
use crate::observed::{At, Observed, StopMode, Wave};
use crate::standing::{Machine, Standing};

/// The first thing that holds the wave at `at` back: what can never come right first, then what a
/// person must do, then what time does.
pub(crate) fn of_wave(
    at: &At,
    wave: &Wave,
    observed: &Observed,
    now: Timestamp,
    alarm: &mut Alarm,
) -> Option<HoldReason> {
    let spec = &wave.spec;
    let computed = spec.compute_digest();
    if computed != spec.digest {
        return Some(HoldReason::DigestMismatch {
            computed: computed.to_string(),
        });
    }
    if let Some(expected) = &spec.target.cluster_uid
        && *expected != observed.cluster_uid
    {
        return Some(HoldReason::OtherCluster {
            expected: expected.clone(),
        });
    }
    if stop(at, observed).is_some() {
        return Some(HoldReason::Stopped);
    }
    if spec.suspend == Some(true) || wave.plan_suspended {
        return Some(HoldReason::Suspended);
    }
    let window = window(wave, now, alarm);
    if let Some(HoldReason::OutsideWindow { opens: None }) = window {
        return window;
    }
    approval(at, wave, observed, now, alarm).or(window)
}

/// What a `windrow-stop` in the namespace of the object at `at`, or in the engine's, asks for.
pub(crate) fn stop(at: &At, observed: &Observed) -> Option<StopMode> {
    let here = observed.stops.get(&at.namespace);
    let everywhere = observed.stops.get(ENGINE_NAMESPACE);
    here.max(everywhere).copied()
}

/// Held for good: neither time nor a person's consent changes it, only another wave, or that somebody
/// sees to what failed.
pub(crate) fn is_for_good(reason: &HoldReason) -> bool {
    matches!(
        reason,
        HoldReason::OutsideWindow { opens: None }
            | HoldReason::Failure { .. }
            | HoldReason::DigestMismatch { .. }
            | HoldReason::OtherCluster { .. }
            | HoldReason::SourceDiffers { .. }
    )
}

/// The first machine whose failure stops the wave at `at`: one of its own, or one of a wave of its plan
/// whose failures stop that.
pub(crate) fn failure(at: &At, wave: &Wave, machines: &[Machine<'_>]) -> Option<HoldReason> {
    let stops = |machine: &&Machine<'_>| {
        let own = machine.wave_at == at;
        let of_plan =
            machine.wave_at.namespace == at.namespace && machine.wave.spec.plan == wave.spec.plan;
        let reaches = match machine.wave.spec.on_failure {
            OnFailure::Isolate => false,
            OnFailure::StopWave => own,
            OnFailure::StopPlan => of_plan,
        };
        reaches && matches!(machine.standing, Standing::Failed(_))
    };
    let machine = machines.iter().find(stops)?;
    Some(HoldReason::Failure {
        name: machine.import.name.clone(),
        of: machine.import.vm.clone(),
    })
}

fn window(wave: &Wave, now: Timestamp, alarm: &mut Alarm) -> Option<HoldReason> {
    let window = wave.spec.window.as_ref()?;
    alarm.at(window.from);
    alarm.at(window.last_start.min(window.to));
    if now < window.from {
        return Some(HoldReason::OutsideWindow {
            opens: Some(window.from),
        });
    }
    let is_over = now >= window.last_start || now >= window.to;
    is_over.then_some(HoldReason::OutsideWindow { opens: None })
}

fn approval(
    at: &At,
    wave: &Wave,
    observed: &Observed,
    now: Timestamp,
    alarm: &mut Alarm,
) -> Option<HoldReason> {
    if wave.spec.approval == ApprovalPolicy::None && !observed.require_approval {
        return None;
    }
    let occurrence = wave.spec.window.as_ref().map(|window| &window.occurrence);
    let is_for_it = |approval: &ApprovalSpec| {
        approval.is_of(at.name.as_str(), &wave.spec.digest)
            && (approval.occurrence.is_none() || approval.occurrence.as_ref() == occurrence)
    };
    let approvals = observed
        .approvals
        .iter()
        .filter(|(place, approval)| place.namespace == at.namespace && is_for_it(approval));
    // The longest-lived of them counts.
    let mut latest = None;
    for (_, approval) in approvals {
        match approval.expires {
            None => return None,
            Some(expires) => latest = latest.max(Some(expires)),
        }
    }
    match latest {
        None => Some(HoldReason::AwaitingApproval {
            digest: wave.spec.digest.to_string(),
        }),
        Some(at) if at <= now => Some(HoldReason::ApprovalExpired { at }),
        Some(at) => {
            alarm.at(at);
            None
        }
    }
}
