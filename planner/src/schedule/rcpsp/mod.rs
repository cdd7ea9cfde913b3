//! The general core: activities with stages, precedences, shared resources and calendars, least
//! makespan (RCPSP).
//!
//! [`solve`] is a genetic search over lists of activities. A list is made into a schedule by serial
//! generation: each activity in turn starts as early as its predecessors, its calendar and the
//! resources let it. Two populations hold schedules that are packed to the left and to the right;
//! the children of one are made in the other direction of time, so that every schedule also
//! improves on the ones that it comes from, as justification does.
//!
//! After Debels & Vanhoucke (2005, 2007) and Valls, Ballestín & Quintanilla (2005).
//! [`super::schedule_within`] asks it when steps outside should begin that compete for something; the
//! benchmark `cargo xtask bench psplib` asks that function. Imports are not placed by it: an engine's
//! decoder knows more than a project can say.
//!
//! The parts: `project` (what goes in), `profile` (what is free over time), `generate` (list →
//! schedule), `genetic` (the search), `bound` (what no schedule can beat), `check` (judges a
//! schedule without knowing how it was made), `random`. Integers only; no clock: a limit of time is
//! asked of the caller.

mod bound;
mod check;
mod generate;
mod genetic;
mod profile;
mod project;
mod random;
#[cfg(test)]
mod tests;

pub use check::{Fault, check};
pub use project::{Activity, Project, Stage, Time, Unsolvable};

use genetic::Tuning;
use project::Network;

/// How long to search: until either is over.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Schedules that may be generated; each pass in either direction is one.
    pub schedules: u64,
    /// How many thousandths of a limit of time are spent; asked after each schedule. One that looks
    /// at a clock makes the result depend on the machine.
    pub elapsed: Option<&'a dyn Fn() -> u32>,
}

impl Budget<'_> {
    /// So many schedules, however long they take.
    pub const fn schedules(schedules: u64) -> Self {
        Self {
            schedules,
            elapsed: None,
        }
    }

    fn elapsed(&self) -> u32 {
        self.elapsed.map_or(0, |elapsed| elapsed())
    }
}

/// A schedule, and how good it is at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// When each activity starts, by position.
    pub start: Vec<Time>,
    /// When the last one ends.
    pub makespan: Time,
    /// The longest chain of activities.
    pub critical_path: Time,
    /// What no schedule can beat.
    pub lower_bound: Time,
    /// Schedules generated.
    pub schedules: u64,
}

/// The best schedule found within the budget, which is at least one schedule. The same input gives
/// the same schedule.
///
/// # Errors
/// If the project has no schedule.
pub fn solve(project: &Project, budget: &Budget, seed: u64) -> Result<Solution, Unsolvable> {
    solve_with(project, budget, seed, &Tuning::CHOSEN)
}

/// The longest chain of activities.
///
/// # Errors
/// If the project has no schedule.
pub fn critical_path(project: &Project) -> Result<Time, Unsolvable> {
    Ok(Network::new(project)?.critical_path())
}

fn solve_with(
    project: &Project,
    budget: &Budget,
    seed: u64,
    tuning: &Tuning,
) -> Result<Solution, Unsolvable> {
    let network = Network::new(project)?;
    let lower_bound = bound::lower_bound(project, &network);
    let found = genetic::search(project, &network, budget, lower_bound, seed, tuning)?;
    Ok(Solution {
        start: found.start,
        makespan: found.makespan,
        critical_path: network.critical_path(),
        lower_bound,
        schedules: found.schedules,
    })
}
