//! `windrow demo`: not built yet.

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Show the whole chain on a built-in estate and engine
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the verb.
pub fn run(_arguments: Arguments, _output: &Output) -> Result<Outcome, Failure> {
    Err(Failure::refused("run a verb that is not built yet"))
}
