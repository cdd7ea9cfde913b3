//! The command line of Windrow: one module per verb, and the only place that prints.
//!
//! [`main`] reads arguments, runs a verb and turns what it came to into an exit code. A verb takes
//! its arguments and an [`output::Output`], and gives an [`exit::Outcome`] or a
//! [`failure::Failure`]; it never prints an error and never ends the process itself.

pub mod apply;
pub mod approve;
pub mod cli;
pub mod completions;
pub mod controller;
pub mod coverage;
pub mod crd;
pub mod demo;
pub mod diagnostic;
pub mod diff;
pub mod exit;
pub mod explain;
pub mod facts;
pub mod failure;
pub mod findings;
pub mod fmt;
pub mod import_csv;
pub mod init;
pub mod interrupt;
pub mod inventory;
pub mod load;
pub mod man;
mod notice;
mod others;
pub mod output;
pub mod plan;
pub mod progress;
mod ready;
pub mod remedy;
pub mod render;
mod report;
pub mod retry;
pub mod runtime;
pub mod schema;
pub mod simulate;
pub mod start;
pub mod status;
pub mod stop;
pub mod target;
pub mod validate;

use std::env;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::exit::{Family, Outcome};
use crate::output::Output;

/// The whole program.
pub fn main() -> ExitCode {
    // Two TLS providers compile and then panic at the first connection: there is one, ring.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("this is the first act of the process");

    let arguments: Vec<String> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let family = Family::of(&arguments);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            let outcome = match answer.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Outcome::Done,
                _ => Outcome::Misused,
            };
            // A reader that goes away is no error.
            let _ = answer.print();
            return family.code(outcome).into();
        }
    };

    let output = Output::new(&cli.global);
    runtime::log(&cli.global);
    let outcome = match cli.verb.run(&output) {
        Ok(_) if output.lost() => Outcome::Misused,
        Ok(outcome) => outcome,
        Err(failure) => {
            output.complain(&failure.render());
            failure.outcome
        }
    };
    family.code(outcome).into()
}
