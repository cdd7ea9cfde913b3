//! `windrow inventory`: not built yet.

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Read sources and targets, or show what was read
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the verb.
pub fn run(_arguments: Arguments, _output: &Output) -> Result<Outcome, Failure> {
    Err(Failure::refused("run a verb that is not built yet"))
}
