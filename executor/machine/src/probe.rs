//! Ports that gates and steps ask for: what is known of them, and which are to be tried now.
//!
//! Nothing is tried here: the shell connects and puts what came of it into the picture. A port is
//! asked for only while somebody waits for it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemas::units::Seconds;

use crate::clock::{Alarm, after, between};
use crate::observed::{Observed, Probe};

/// Between two tries of one port.
const EVERY: Seconds = Seconds(5);
/// What is older says nothing any more: the executor was away, or its network.
const FRESH: Seconds = Seconds(30);

/// What is known of some ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// All took a connection lately.
    Open,
    /// One did not; which, and what was said.
    Closed(String),
    /// One was not tried lately.
    Unknown,
}

/// The ports that are asked for in one step.
pub(crate) struct Probes<'a> {
    observed: &'a Observed,
    now: Timestamp,
    /// To be tried now.
    pub asked: BTreeSet<Probe>,
}

impl<'a> Probes<'a> {
    pub fn new(observed: &'a Observed, now: Timestamp) -> Self {
        Self {
            observed,
            now,
            asked: BTreeSet::new(),
        }
    }

    /// What is known of all of `wanted`; asks for those that are due.
    pub fn ports(&mut self, wanted: impl Iterator<Item = Probe>, alarm: &mut Alarm) -> Ports {
        let (mut closed, mut unknown) = (None, false);
        for probe in wanted {
            let Some(known) = self.observed.probes.get(&probe) else {
                self.asked.insert(probe);
                unknown = true;
                continue;
            };
            let age = between(known.at, self.now);
            if age >= EVERY {
                self.asked.insert(probe.clone());
            } else {
                alarm.at(after(known.at, EVERY));
            }
            match &known.failure {
                _ if age > FRESH => unknown = true,
                Some(said) if closed.is_none() => closed = Some(format!("{probe}: {said}")),
                _ => {}
            }
        }
        match closed {
            Some(said) => Ports::Closed(said),
            None if unknown => Ports::Unknown,
            None => Ports::Open,
        }
    }
}
