//! Simulated worlds for the executor's machine: the scenario tests of `tests/sim`, and `cargo xtask
//! sim`.
//!
//! A seed gives a fleet with its waves ([`fleet`]), a cluster with the engine of the crate
//! [`engine`] ([`world`]), and an executor that looks, acts and dies while people interfere
//! ([`mod@run`]). Laws are asserted at each step and at the end:
//!
//! - no VM is exported by more than one import, or imported again once one has touched its source;
//! - the scratch never holds more than is usable, by the bytes that the engine really takes;
//! - at most one import is in front of the engine's one worker;
//! - nothing is imported before what it depends on runs and its gate holds, nor before the step
//!   outside is done that it waits for, nor before another plan's machine runs, nor beside what it excludes, nor under a
//!   name that is taken; what runs has its own disks;
//! - no import is deleted under way; no record of a running machine is written again;
//! - whatever can run does, what cannot has a reason; the run ends, and knows that it has;
//! - a VM that nobody disturbs costs at most ten writes.
//!
//! That imports are never written after their creation needs no law: no action could.

pub mod elsewhere;
pub mod fleet;
pub mod rng;
pub mod run;
pub mod world;

pub use run::{Mood, Report, run};

/// Moods of the seeds, in turn: most are stormy.
const MOODS: [Mood; 4] = [Mood::Stormy, Mood::Stormy, Mood::Faulty, Mood::Calm];

/// The mood of a seed.
pub fn mood(seed: u64) -> Mood {
    MOODS[usize::try_from(seed % 4).unwrap_or(0)]
}

/// Runs the seeds from `first` on; gives those that broke a law, with their reports.
pub fn run_seeds(first: u64, count: u64) -> Vec<(u64, Report)> {
    (first..first + count)
        .map(|seed| (seed, run(seed, mood(seed))))
        .filter(|(_, report)| report.broken.is_some())
        .collect()
}
