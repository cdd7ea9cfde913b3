//! End-to-end scenarios: the real binary against a real API server, the real import controller and
//! real sources. `cargo xtask e2e` runs them; `docs/e2e.md` says what they show.
//!
//! A run has two halves. Outside of the testbed's network (`tests/testbed/in-net`) it finds the
//! engine, builds, and brings the rigs up; inside it runs the scenarios, using `windrow` and
//! `kubectl` as a person would. Scenarios never reach into Windrow's crates: what they know of the
//! run they see in the cluster, in the API server's audit log, and in the engine's log.

mod audit;
mod case;
mod command;
mod compare;
mod engine;
mod estate;
mod inventory;
mod kube;
mod outside;
mod scenario;
mod transcript;
mod truth;
mod watch;
mod world;

use std::io::Write as _;
use std::path::PathBuf;

pub use compare::compare;
pub use engine::Engine;
pub use outside::run;
pub use scenario::names;
pub use world::run_inside;

/// What to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The repository.
    pub root: PathBuf,
    /// Names of scenarios; all when empty.
    pub scenarios: Vec<String>,
    /// The engine's program, if the caller named one.
    pub engine: Option<PathBuf>,
    /// Leave what the scenarios made, to look at it.
    pub keep: bool,
    /// Build and run Windrow in release mode.
    pub release: bool,
    /// Build nothing: the programs are there.
    pub built: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Scenarios of which every check held.
    pub passed: usize,
    /// Scenarios with a check that did not, or that could not be finished.
    pub failed: usize,
    /// Scenarios not run, each with its reason said.
    pub skipped: usize,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// A line for people. A closed pipe is no error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
    let _ = std::io::stdout().flush();
}
