//! `windrow completions`: what a shell completes.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Print what a shell completes
///
/// As in `windrow completions bash > /etc/bash_completion.d/windrow`, or
/// `source <(windrow completions zsh)`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Runs the verb.
pub fn run(arguments: Arguments, output: &Output) -> Result<Outcome, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "windrow", &mut text);
    output.exact(&String::from_utf8_lossy(&text));
    Ok(Outcome::Done)
}
