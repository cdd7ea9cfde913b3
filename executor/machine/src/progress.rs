//! One record on its way: what was seen of it now, and what follows from that.
//!
//! First the record, then the deed: an import is deleted only when the record already says that it
//! may be. A record is written once for each stage, never for a detail. The create protocol
//! (docs/reference.md): (1) an attempt is opened in the record with its import's name; (2) the import is
//! created; (3) its uid is recorded at first sight, and one whose uid was recorded is never
//! created again.

use jiff::Timestamp;
use schemas::conditions::{self, Situation};
use schemas::machine::{MachineStatus, Stage, Times};
use schemas::site::Assumptions;
use schemas::upstream::{ImportState, VirtualMachineImportSpec, condition};

use crate::action::Action;
use crate::clock::Alarm;
use crate::gate;
use crate::ledger::{self, Entry};
use crate::observed::{At, Import, Observed};
use crate::probe::Probes;
use crate::stall::{self, Exports, Verdict};

/// What `advance` needs to know beside the record.
pub(crate) struct Surroundings<'a> {
    pub observed: &'a Observed,
    pub exports: &'a Exports,
    pub now: Timestamp,
    /// A stop asks for untouched imports to be taken back.
    pub withdraw: bool,
    /// The wave's rates, where it is still there with the content that the attempt was opened for.
    pub rates: Option<Assumptions>,
    /// What the import must ask for, where the wave that it was opened for is still there.
    pub expected: Option<VirtualMachineImportSpec>,
}

/// What follows from the picture for the record of `entry`: at most one write of it, or else what
/// it already allows to do.
pub(crate) fn advance(
    entry: &Entry<'_>,
    around: &Surroundings<'_>,
    probes: &mut Probes<'_>,
    alarm: &mut Alarm,
) -> Option<Action> {
    let status = match look(entry, around, alarm) {
        status if entry.stage() == Stage::Running => {
            gate::look(entry, status, around.now, probes, alarm)
        }
        status => status,
    };
    if status != entry.status {
        // The engine is woken before a machine is recorded as booting that is up already: what is
        // recorded next says it all.
        if status.stage == Stage::Booting
            && entry.status.uid.is_some()
            && let Some(nudge) = nudge(entry, around)
        {
            return Some(nudge);
        }
        return Some(record(entry, status, around.now));
    }
    let import = entry.own_import()?;
    follow_up(entry, import, around)
}

/// Most characters of a message (the record's schema): a longer one would never be written.
const MESSAGE_MAX: usize = 1024;

/// The action that writes `status` into the record of `entry`.
pub(crate) fn record(entry: &Entry<'_>, mut status: MachineStatus, now: Timestamp) -> Action {
    let gate = status.gate.as_ref();
    let is_awaited = entry.record.spec.gate.is_some() && gate.is_none_or(|g| g.holds.is_none());
    let (situation, reason) = match status.stage {
        Stage::Running if gate.is_some_and(|gate| gate.failed.is_some()) => {
            (Situation::Failed, "GateFailed")
        }
        Stage::Running if is_awaited => (Situation::Progressing, "AwaitingGate"),
        Stage::Running => (Situation::Succeeded, "Succeeded"),
        Stage::Failed => (Situation::Failed, "ImportFailed"),
        Stage::Held => (Situation::Failed, "Held"),
        Stage::Withdrawn => (Situation::Progressing, "Withdrawn"),
        _ => (Situation::Progressing, "Progressing"),
    };
    if let Some(message) = &mut status.message {
        *message = message.chars().take(MESSAGE_MAX).collect();
    }
    let stage = format!("{:?}", status.stage);
    let of_gate = status
        .gate
        .as_ref()
        .and_then(|gate| gate.message.as_deref());
    let message = status.message.as_deref().or(of_gate).unwrap_or(&stage);
    let generation = entry.record.generation;
    let before = &entry.status.common.conditions;
    status.common.conditions =
        conditions::conditions(situation, reason, message, generation, now, before);
    status.common.observed_generation = generation;
    Action::Record {
        at: entry.at.clone(),
        resource_version: entry.record.resource_version.clone(),
        status,
    }
}

/// What the record must say.
fn look(entry: &Entry<'_>, around: &Surroundings<'_>, alarm: &mut Alarm) -> MachineStatus {
    let mut status = entry.status.clone();
    if matches!(status.stage, Stage::Running | Stage::Held) {
        return status;
    }
    match (&status.uid, entry.import) {
        (Some(uid), Some(import)) if *uid == import.uid => seen(entry, import, around, alarm),
        (None, Some(import)) if entry.is_marked() => {
            let expected = around.expected.as_ref();
            if expected.is_some_and(|expected| *expected != import.spec) {
                let held = "its import asks for something else than its wave does";
                return hold(entry, status, held, around.now);
            }
            seen(entry, import, around, alarm)
        }
        // Ended or taken back: whatever is there now is not its import.
        _ if !entry.is_active() => status,
        (Some(_), _) => {
            let gone = "its import is gone, and not by us: nothing is created again. Look whether \
                        the machine runs, and switch the source on again if it does not";
            hold(entry, status, gone, around.now)
        }
        (None, Some(_)) => {
            let other = "somebody else's import has the name";
            hold(entry, status, other, around.now)
        }
        (None, None) => {
            status.attempt = entry.record.spec.attempt.number;
            match around.observed.refused.get(&entry.import_at) {
                Some(said) => refuse(entry, status, said, around.now),
                // Not created yet: admission decides.
                None => status,
            }
        }
    }
}

/// The API server will not have the import: nothing has happened to the machine, and the engine is
/// free for others.
fn refuse(entry: &Entry<'_>, status: MachineStatus, said: &str, now: Timestamp) -> MachineStatus {
    MachineStatus {
        stage: Stage::Failed,
        times: Times {
            ended: Some(now),
            ..status.times
        },
        message: Some(format!(
            "import `{}` was refused: {said}; nothing has begun and the source is as it was: mend \
             that, then `windrow retry`",
            entry.import_at
        )),
        ..status
    }
}

fn hold(entry: &Entry<'_>, status: MachineStatus, why: &str, now: Timestamp) -> MachineStatus {
    MachineStatus {
        stage: Stage::Held,
        times: Times {
            ended: Some(now),
            ..status.times
        },
        message: Some(format!("{why} (import `{}`)", entry.import_at)),
        ..status
    }
}

/// What the record must say, given that `import` is its own.
fn seen(
    entry: &Entry<'_>,
    import: &Import,
    around: &Surroundings<'_>,
    alarm: &mut Alarm,
) -> MachineStatus {
    let was = &entry.status;
    let reached = ledger::reached(&import.status);
    let is_untouched = is_untouched(import);
    match was.stage {
        // What failed stays so, until it succeeds after all.
        Stage::Failed if reached != Stage::Running => return was.clone(),
        // Taken back, unless the engine was quicker.
        Stage::Withdrawn if is_untouched => return was.clone(),
        _ => {}
    }
    let mut status = MachineStatus {
        stage: reached,
        uid: Some(import.uid.clone()),
        times: times(entry, import, reached, around),
        message: None,
        ..was.clone()
    };
    if around.withdraw && is_untouched {
        status.stage = Stage::Withdrawn;
        status.message = Some("taken back before the engine touched it".to_owned());
        return status;
    }
    let failure = match reached {
        Stage::Running => None,
        Stage::Failed => Some(stall::failure(import)),
        _ => image_failure(entry).or_else(|| {
            let Surroundings {
                rates,
                exports,
                now,
                ..
            } = around;
            let rates = rates.as_ref();
            match stall::judge(entry, import, reached, &status.times, rates, exports, *now) {
                Verdict::InTime(until) => {
                    alarm.at(until);
                    None
                }
                Verdict::Ignored { message, until } => {
                    alarm.at(until);
                    status.message = Some(message);
                    None
                }
                Verdict::Stalled(message) => Some(message),
            }
        }),
    };
    if let Some(message) = failure {
        status.stage = Stage::Failed;
        status.message = Some(message);
        status.times.ended = Some(around.now);
    }
    status
}

/// The engine has not looked at it: deleting it takes everything back.
pub(crate) fn is_untouched(import: &Import) -> bool {
    !import.touched && import.status.import_status == ImportState::New
}

/// The first image that will never come: images are created without retries, so the first failure
/// is the last (S08, measured-engine.md 6a).
fn image_failure(entry: &Entry<'_>) -> Option<String> {
    let (at, image) = entry.images.iter().find(|(_, image)| image.given_up)?;
    let said = image
        .message
        .as_deref()
        .unwrap_or("Harvester does not say why");
    Some(format!(
        "image `{at}` never arrived (S08): {said}; the source VM is switched off, and only a second \
         export helps"
    ))
}

/// The attempt's times up to now. What is recorded stays.
fn times(entry: &Entry<'_>, import: &Import, reached: Stage, around: &Surroundings<'_>) -> Times {
    let now = around.now;
    let was = &entry.status.times;
    let said = |name: &str| {
        let conditions = &import.status.import_conditions;
        let opened = entry.record.spec.attempt.opened;
        // The engine's clock may differ from ours: what cannot be is not believed.
        import.status.has(name).then(|| {
            ledger::condition_time(conditions, name)
                .filter(|at| (opened..=now).contains(at))
                .unwrap_or(now)
        })
    };
    let has_machine = matches!(reached, Stage::Booting | Stage::Running);
    let ready = entry.images.iter().filter_map(|(_, image)| image.nudged);
    let ready = ready.min().filter(|at| *at <= now).unwrap_or(now);
    let is_running = reached == Stage::Running;
    let machine = around.observed.machines.get(&machine_at(entry));
    let made = machine
        .and_then(|machine| machine.created)
        .or(import.changed.filter(|_| !is_running))
        .filter(|at| (entry.record.spec.attempt.opened..=now).contains(at))
        .unwrap_or(now);
    Times {
        created: was.created.or(Some(now)),
        shutdown: was
            .shutdown
            .or_else(|| said(condition::SHUTDOWN_GUEST))
            .or_else(|| said(condition::POWERING_OFF)),
        off: was.off.or_else(|| said(condition::POWERED_OFF)),
        exported: was
            .exported
            .or_else(|| said(condition::EXPORTED))
            .or(ledger::is_exported(&import.status).then_some(now)),
        machine: was.machine.or(has_machine.then_some(made)),
        ready: was.ready.or(is_running.then_some(ready)),
        // Of a success after a failure, the success counts.
        ended: is_running.then_some(now).or(was.ended),
    }
}

/// What the record allows to do, given that it says all there is to say.
fn follow_up(entry: &Entry<'_>, import: &Import, around: &Surroundings<'_>) -> Option<Action> {
    let delete = |resource_version: Option<&String>| {
        (!import.deleting).then(|| Action::DeleteImport {
            at: entry.import_at.clone(),
            uid: import.uid.clone(),
            resource_version: resource_version.cloned(),
        })
    };
    match entry.stage() {
        // Its scratch is freed, and its timers cannot harm another import (Q05, N04, L05).
        Stage::Running => delete(None),
        Stage::Withdrawn if is_untouched(import) => delete(Some(&import.resource_version)),
        // It must not switch the guest off at some later time, when nobody expects it any more.
        Stage::Failed if ledger::is_source_untouched(&import.status) => {
            delete(Some(&import.resource_version))
        }
        Stage::Booting | Stage::Failed if ledger::reached(&import.status) == Stage::Booting => {
            nudge(entry, around)
        }
        _ => None,
    }
}

/// Where the machine is that its import makes.
fn machine_at(entry: &Entry<'_>) -> At {
    let spec = &entry.record.spec;
    At::new(spec.namespace.clone(), spec.machine.clone())
}

/// Annotate an image as soon as the machine is ready: the engine then looks at once and not at its
/// next two-minute poll, and the import itself is not written (measured-engine.md 1b).
fn nudge(entry: &Entry<'_>, around: &Surroundings<'_>) -> Option<Action> {
    let machine = around.observed.machines.get(&machine_at(entry))?;
    if !machine.ready || entry.images.iter().any(|(_, image)| image.nudged.is_some()) {
        return None;
    }
    let (image, _) = entry.images.first()?;
    Some(Action::NudgeImage {
        at: image.clone(),
        ready: around.now,
    })
}
