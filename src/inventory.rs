//! `windrow inventory`: reads sources and targets into snapshot files, and shows what they hold
//! or what changed in them.

mod changes;
mod diff;
pub(crate) mod gaps;
pub(crate) mod pull;
mod show;
mod target;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::runtime;

pub(crate) use pull::{Reading, read};

/// Read sources and targets, or show what was read
///
/// A snapshot is a folder of text files for each source and target, meant to be kept in Git beside
/// the plan: `windrow plan` reads it and never connects to anything.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Pull(pull::Arguments),
    Show(show::Arguments),
    Diff(diff::Arguments),
}

/// Runs the verb.
pub fn run(arguments: Arguments, output: &Output) -> Result<Outcome, Failure> {
    match arguments.verb {
        Verb::Pull(arguments) => runtime::block_on(pull::run(arguments, output)),
        Verb::Show(arguments) => show::run(&arguments, output),
        Verb::Diff(arguments) => diff::run(&arguments, output),
    }
}

/// `1 VM`, `2 VMs`.
fn counted(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    }
}
