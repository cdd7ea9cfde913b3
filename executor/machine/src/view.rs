//! How the run stands, for people and for the exit code.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::ids::VmKey;
use schemas::machine::Stage;
use schemas::units::Seconds;

use crate::action::{Elsewhere, Hold, HoldReason, MachineState, MachineView, RunView, Wait};
use crate::admission::Gate;
use crate::clock::{Alarm, after};
use crate::gate;
use crate::hold;
use crate::ledger::Entry;
use crate::observed::At;
use crate::scratch;
use crate::standing::{self, Machine, Standing};

/// A source that is not ready this long after its creation will hardly become so by itself: the
/// engine asks every few seconds (P04), so its address or its Secret is wrong.
const SOURCE_PATIENCE: Seconds = Seconds::from_minutes(10);

/// The view of all machines; `waits` by their place in the list.
pub(crate) fn of(
    machines: &[Machine<'_>],
    waits: &BTreeMap<usize, Wait>,
    gate: &Gate<'_>,
    alarm: &mut Alarm,
) -> RunView {
    let mut view = RunView {
        machines: Vec::with_capacity(machines.len()),
        scratch_held: scratch::held(gate.ledger, gate.observed),
        scratch_usable: standing::scratch_usable(gate.observed),
        holds: holds(gate),
        steps: gate.steps.views(gate.observed),
        finished: true,
    };
    for (index, machine) in machines.iter().enumerate() {
        let entry = gate.ledger.get(&machine.record_at);
        let state = match &machine.standing {
            Standing::Done => MachineState::Done,
            Standing::Active(stage) => MachineState::Active(*stage),
            Standing::Failed(message) => MachineState::Failed(message.clone()),
            Standing::Blocked { by, name, plan } => MachineState::Blocked {
                by: by.clone(),
                name: name.clone(),
                plan: plan.clone(),
            },
            Standing::Candidate => {
                MachineState::Waiting(waits.get(&index).cloned().unwrap_or(Wait::Turn))
            }
        };
        view.finished &= is_at_rest(machine, &state, gate, alarm);
        view.machines.push(MachineView {
            vm: machine.import.vm.clone(),
            name: machine.import.name.clone(),
            machine: At::new(
                machine.import.namespace.clone(),
                machine.import.machine.clone(),
            ),
            wave: machine.wave_at.name.as_str().into(),
            workload: machine.import.workload.clone(),
            record: machine.record_at.clone(),
            state,
            attempt: entry.map(|entry| entry.record.spec.attempt.clone()),
            times: entry
                .map(|entry| entry.status.times.clone())
                .unwrap_or_default(),
            off: entry.and_then(|entry| entry.status.times.off),
            ready: entry.and_then(ready),
        });
    }
    view
}

/// When its machine was ready: as recorded, or as the image that woke the engine says.
fn ready(entry: &Entry<'_>) -> Option<Timestamp> {
    let nudged = entry.images.iter().filter_map(|(_, image)| image.nudged);
    entry.status.times.ready.or(nudged.min())
}

fn holds(gate: &Gate<'_>) -> Vec<Hold> {
    let waves = gate.holds.iter().map(|(at, reason)| (*at, reason));
    let sources = gate
        .sources
        .holds
        .iter()
        .map(|((at, _), reason)| (*at, reason));
    let mut holds: Vec<_> = waves.chain(sources).collect();
    holds.sort_by_key(|(at, _)| *at);
    holds
        .into_iter()
        .map(|(at, reason)| Hold {
            wave: at.name.as_str().into(),
            namespace: at.namespace.clone(),
            reason: reason.clone(),
        })
        .collect()
}

/// Nothing more will happen to this machine by itself. What waits for another one rests as soon as
/// that one does.
fn is_at_rest(
    machine: &Machine<'_>,
    state: &MachineState,
    gate: &Gate<'_>,
    alarm: &mut Alarm,
) -> bool {
    match state {
        MachineState::Done | MachineState::Failed(_) | MachineState::Blocked { .. } => true,
        MachineState::Active(_) => false,
        MachineState::Waiting(wait) => match wait {
            Wait::Wave => is_held_at_rest(machine, gate, alarm),
            Wait::Dependency { on } | Wait::Barrier { on, .. } | Wait::Gate { on } => {
                !is_under_way(gate, on)
            }
            // Whoever drives this engine is alone: another plan's machine that is not under way, and that
            // none of the waves here imports, is begun by nobody.
            Wait::Plan(Elsewhere { record, .. }) => !gate.ledger.get(record).is_some_and(|entry| {
                let passage = gate::passage(entry);
                let is_awaited =
                    entry.stage() == Stage::Running && passage == gate::Passage::Awaited;
                is_awaited || ends_by_itself(entry)
            }),
            // Time will not come back.
            Wait::TooLate { .. } => true,
            Wait::Exclusion { with } => !is_under_way(gate, with),
            Wait::Scratch { .. } => !gate.ledger.entries.values().any(ends_by_itself),
            // Only the export of one that has failed keeps the engine for good.
            Wait::Turn => {
                let mut front = gate
                    .ledger
                    .entries
                    .values()
                    .filter(|e| crate::admission::is_in_front(e));
                front.next().is_some_and(|entry| !ends_by_itself(entry))
                    && front.all(|entry| !ends_by_itself(entry))
            }
            // Others are at it.
            Wait::Step { .. } | Wait::ForeignImport { .. } => false,
        },
    }
}

/// Its import is there and will go away without anybody's help.
fn ends_by_itself(entry: &Entry<'_>) -> bool {
    let is_deleting = entry.import.is_some_and(|import| import.deleting);
    let needs_a_person = matches!(entry.stage(), Stage::Failed | Stage::Held);
    entry.is_under_way() && (is_deleting || !needs_a_person)
}

fn is_under_way(around: &Gate<'_>, vm: &VmKey) -> bool {
    let mut entries = around.ledger.entries.values();
    entries.any(|entry| {
        let is_awaited =
            entry.stage() == Stage::Running && gate::passage(entry) == gate::Passage::Awaited;
        entry.vm() == vm && (is_awaited || ends_by_itself(entry))
    })
}

fn is_held_at_rest(machine: &Machine<'_>, gate: &Gate<'_>, alarm: &mut Alarm) -> bool {
    if let Some(reason) = gate.holds.get(machine.wave_at) {
        return hold::is_for_good(reason);
    }
    let key = (machine.wave_at, &machine.import.from);
    match gate.sources.holds.get(&key) {
        Some(HoldReason::SourceNotReady {
            since: Some(since), ..
        }) => {
            let end = after(*since, SOURCE_PATIENCE);
            alarm.at(end);
            gate.now >= end
        }
        Some(reason) => hold::is_for_good(reason),
        None => false,
    }
}
