//! The run as a state machine: what is, and the time, in; what to do, and when to look again, out.
//!
//! Pure: reads no clock, no cluster, no file. Works by level: [`step`] decides from the picture
//! alone, so that the process around it may die anywhere.
//!
//! The map, in the order in which [`step`] goes through it:
//! - [`Observed`]: the picture; `ledger`: its records, joined with their imports and images;
//! - `probe`: which ports are asked for; `gate`: whether that of a machine that runs holds;
//!   `steps`: whether steps outside are done;
//! - `progress`: one record on its way; `stall`: whether its import stands still;
//! - `hold`: whether a wave may admit; `sources`: what imports need to be there;
//! - `standing`: how each machine of each wave stands;
//! - `admission`: which one is next, and when; `scratch`: whether there is room for it;
//! - `create`: the import of an open attempt; `spec`: what it asks for;
//! - `view` and `status`: what is said of it all; [`Step`]: the answer.

mod action;
mod admission;
mod clock;
mod create;
#[cfg(test)]
mod fixture;
mod gate;
mod hold;
mod ledger;
mod observed;
mod probe;
mod progress;
mod scratch;
mod sources;
mod spec;
mod stall;
mod standing;
mod status;
mod steps;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemas::machine::Stage;

use crate::admission::Gate;
use crate::clock::Alarm;
use crate::ledger::{Entry, Ledger};
use crate::probe::Probes;
use crate::progress::Surroundings;
use crate::sources::Sources;
use crate::stall::Exports;
use crate::standing::{Machine, Standing};
use crate::steps::Steps;

pub use action::{
    Action, Elsewhere, Hold, HoldReason, MachineState, MachineView, RunView, Step, StepState,
    StepView, Wait,
};
pub use observed::{
    At, Image, Import, Observed, Probe, Probed, Record, SourceObject, SourceSpec, StopMode,
    TargetMachine, Wave,
};
pub use spec::import_spec;

/// What to do now. The same picture at the same time gives the same answer.
pub fn step(observed: &Observed, now: Timestamp) -> Step {
    let mut alarm = Alarm::new(now);
    let ledger = Ledger::new(observed);
    let exports = Exports::of(&ledger, observed, now);
    let mut probes = Probes::new(observed, now);
    let mut actions = advance(&ledger, observed, &exports, now, (&mut probes, &mut alarm));
    actions.extend(superseded(&ledger, observed));

    let machines = standing::all(&ledger, observed);
    let mut holds = BTreeMap::new();
    let mut sources = Sources::default();
    for (at, wave) in &observed.waves {
        let hold = hold::of_wave(at, wave, observed, now, &mut alarm)
            .or_else(|| hold::failure(at, wave, &machines));
        // Before its window too: a wrong password is better known early.
        let may_create = matches!(
            hold,
            None | Some(HoldReason::OutsideWindow { opens: Some(_) })
        );
        let needed = needed_sources(at, &machines);
        sources.look(at, wave, |name| needed.contains(name), may_create, observed);
        holds.extend(hold.map(|hold| (at, hold)));
    }
    actions.extend(sources.actions());
    let mut steps = Steps::default();
    for (at, wave) in &observed.waves {
        let waiting = |machine: &Machine<'_>| machine.standing == Standing::Candidate;
        let mut own = machines.iter().filter(|machine| machine.wave_at == at);
        let is_needed = !holds.contains_key(at) && own.any(waiting);
        let known = (&ledger, observed);
        steps.look(at, wave, is_needed, known, &mut probes, &mut alarm);
    }

    let gate = Gate {
        observed,
        ledger: &ledger,
        holds: &holds,
        sources: &sources,
        steps: &steps,
        exports: &exports,
        now,
    };
    let is_held = |machine: &Machine<'_>| gate.is_held(machine) || gate.is_too_late(machine);
    actions.extend(create::actions(
        &machines, is_held, &ledger, observed, now, &mut alarm,
    ));
    let admitted = gate.admit(&machines, &mut alarm);
    actions.extend(admitted.action);

    let mut view = view::of(&machines, &admitted.waits, &gate, &mut alarm);
    view.finished &= actions.is_empty();
    for (at, wave) in &observed.waves {
        let own: Vec<_> = view
            .machines
            .iter()
            .filter(|m| m.record.namespace == at.namespace && m.wave.as_str() == at.name.as_str())
            .cloned()
            .collect();
        let of_source = sources.holds.iter().find(|((wave, _), _)| *wave == at);
        let hold = holds.get(at).or(of_source.map(|(_, reason)| reason));
        actions.extend(status::write(
            at,
            wave,
            &own,
            hold,
            now,
            view.finished,
            &mut alarm,
        ));
    }
    Step {
        actions,
        probes: probes.asked,
        wake: alarm.next(),
        view,
    }
}

/// What follows for each record, whatever wave it is in: what is running runs on and is recorded,
/// also if its wave is held, renamed or gone.
fn advance(
    ledger: &Ledger<'_>,
    observed: &Observed,
    exports: &Exports,
    now: Timestamp,
    (probes, alarm): (&mut Probes<'_>, &mut Alarm),
) -> Vec<Action> {
    let mut actions = Vec::new();
    for entry in ledger.entries.values() {
        let wave = wave_of(entry, observed);
        let around = Surroundings {
            observed,
            exports,
            now,
            withdraw: hold::stop(entry.at, observed) == Some(StopMode::Withdraw),
            rates: wave.map(|(_, wave)| wave.spec.rates.clone()),
            expected: wave.and_then(|(at, wave)| {
                let mut imports = wave.spec.imports.iter();
                let import = imports.find(|import| import.record == entry.at.name)?;
                spec::import_spec(at, wave, import)
            }),
        };
        actions.extend(progress::advance(entry, &around, probes, alarm));
    }
    actions
}

/// The wave that the attempt of `entry` was opened for, with the content that it had then.
fn wave_of<'a>(entry: &Entry<'_>, observed: &'a Observed) -> Option<(&'a At, &'a Wave)> {
    let spec = &entry.record.spec;
    let at = At::new(entry.at.namespace.clone(), spec.wave.as_str());
    let (at, wave) = observed.waves.get_key_value(&at)?;
    (wave.spec.digest == spec.digest).then_some((at, wave))
}

/// Untouched imports of earlier attempts, or of this one once more after its own was there: a
/// request of an executor that died may arrive late. They are deleted before the engine sees them;
/// one that it has seen is somebody's to look at, and keeps the next attempt from being created.
fn superseded(ledger: &Ledger<'_>, observed: &Observed) -> Vec<Action> {
    let mut actions = Vec::new();
    for entry in ledger.entries.values() {
        for at in ledger.imports_of(&entry.at.name) {
            let Some(import) = observed.imports.get(*at) else {
                continue;
            };
            let number = entry.record.spec.attempt.number;
            let is_earlier = import.attempt.is_some_and(|attempt| {
                attempt < number || attempt == number && **at == entry.import_at
            }) && entry.at.namespace
                == *import.spec.source_cluster.namespace.as_str()
                && !ledger.owns(at, import);
            if is_earlier && progress::is_untouched(import) && !import.deleting {
                actions.push(Action::DeleteImport {
                    at: (*at).clone(),
                    uid: import.uid.clone(),
                    resource_version: Some(import.resource_version.clone()),
                });
            }
        }
    }
    actions
}

/// The sources that machines of the wave still need: an import under way too, for the engine
/// panics when its source is gone (P03).
fn needed_sources<'a>(at: &At, machines: &[Machine<'a>]) -> BTreeSet<&'a schemas::ids::ObjectName> {
    machines
        .iter()
        .filter(|machine| machine.wave_at == at)
        .filter(|machine| match &machine.standing {
            Standing::Candidate => true,
            Standing::Active(stage) => *stage < Stage::Running,
            Standing::Done | Standing::Failed(_) | Standing::Blocked { .. } => false,
        })
        .map(|machine| &machine.import.from)
        .collect()
}
