//! Gates: what a machine that runs must show before those that depend on it start.
//!
//! Takes a record whose machine runs and what is known of its ports; gives what the record must
//! say. What it says survives the executor: a gate that held once is never asked for again.

use jiff::Timestamp;
use schemas::gate::{Gate, GateFailure, GateStatus};
use schemas::machine::MachineStatus;
use schemas::units::Seconds;

use crate::clock::{Alarm, after};
use crate::ledger::Entry;
use crate::observed::{At, Probe};
use crate::probe::{Ports, Probes};

/// How far a machine's gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Nothing holds dependants back: it has none, it holds, or counts as if it did.
    Free,
    /// It is waited for.
    Awaited,
    /// It did not hold in time: a person must say how to go on.
    Failed,
}

/// How far the gate of `entry` is, given that its machine runs.
pub(crate) fn passage(entry: &Entry<'_>) -> Passage {
    let status = entry.status.gate.as_ref();
    match (&entry.record.spec.gate, status) {
        (None, _) => Passage::Free,
        (_, Some(status)) if status.holds.is_some() => Passage::Free,
        (_, Some(status)) if status.failed.is_some() => Passage::Failed,
        _ => Passage::Awaited,
    }
}

/// Why its gate failed.
pub(crate) fn failure(entry: &Entry<'_>) -> String {
    let status = entry.status.gate.as_ref();
    let said = status.and_then(|status| status.message.clone());
    said.unwrap_or_else(|| "its gate did not hold".to_owned())
}

/// What the record must say of its gate.
pub(crate) fn look(
    entry: &Entry<'_>,
    status: MachineStatus,
    now: Timestamp,
    probes: &mut Probes<'_>,
    alarm: &mut Alarm,
) -> MachineStatus {
    let Some(gate) = &entry.record.spec.gate else {
        return status;
    };
    if passage(entry) != Passage::Awaited {
        return status;
    }
    let was = status.gate.clone().unwrap_or_default();
    let since = was.since.or(status.times.ended).unwrap_or(now);
    let is = match probes.ports(ports(entry, gate), alarm) {
        Ports::Unknown => was.clone(),
        Ports::Open => open(gate, &was, now, alarm),
        Ports::Closed(said) => closed(gate, &was, since, now, &said, alarm),
    };
    // An empty word is none.
    if is == was {
        return status;
    }
    MachineStatus {
        gate: Some(is),
        ..status
    }
}

fn ports<'g>(entry: &Entry<'_>, gate: &'g Gate) -> impl Iterator<Item = Probe> + 'g {
    let spec = &entry.record.spec;
    let machine = At::new(spec.namespace.clone(), spec.machine.clone());
    gate.tcp.iter().map(move |tcp| match &tcp.address {
        Some(host) => Probe::Host {
            host: host.clone(),
            port: tcp.port,
        },
        None => Probe::Machine {
            machine: machine.clone(),
            port: tcp.port,
        },
    })
}

fn open(gate: &Gate, was: &GateStatus, now: Timestamp, alarm: &mut Alarm) -> GateStatus {
    let since = was.open.unwrap_or(now);
    let end = after(since, gate.soak.map_or(Seconds::ZERO, |soak| soak.0));
    alarm.at(end);
    GateStatus {
        open: Some(since),
        holds: (now >= end).then_some(now),
        ..was.clone()
    }
}

fn closed(
    gate: &Gate,
    was: &GateStatus,
    since: Timestamp,
    now: Timestamp,
    said: &str,
    alarm: &mut Alarm,
) -> GateStatus {
    let end = after(since, gate.timeout.0);
    alarm.at(end);
    let is = GateStatus {
        open: None,
        ..was.clone()
    };
    if now < end {
        return is;
    }
    let late = format!("its gate did not hold within {}: {said}", gate.timeout);
    match gate.on_failure {
        GateFailure::Hold => GateStatus {
            failed: Some(now),
            message: Some(format!(
                "it runs, but {late}; `windrow retry` tries again, `windrow retry --accept` goes on \
                 without"
            )),
            ..is
        },
        GateFailure::Continue => GateStatus {
            holds: Some(now),
            message: Some(format!("{late}; it goes on all the same, as its plan says")),
            ..is
        },
    }
}
