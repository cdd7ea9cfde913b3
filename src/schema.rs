//! `windrow schema`: the JSON Schema of a kind of file, for editors.

use clap::ValueEnum;
use schemas::crd;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Print the JSON Schema (draft-07) of a kind of file
///
/// Editors use it for completion and checks: name it in the file's first line, as in
/// `# yaml-language-server: $schema=plan.schema.json`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The kind of file
    kind: Kind,
}

/// Kinds of objects that are files.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// `MigrationPlan`
    Plan,
    /// `MigrationSite`
    Site,
    /// `MigrationWave`
    Wave,
    /// `WaveApproval`
    Approval,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let wanted = match arguments.kind {
        Kind::Plan => "MigrationPlan",
        Kind::Site => "MigrationSite",
        Kind::Wave => "MigrationWave",
        Kind::Approval => "WaveApproval",
    };
    let (_, schema) = crd::json_schemas()
        .into_iter()
        .find(|(kind, _)| kind == wanted)
        .expect("every kind of file has a schema");
    output.exact(&format!("{schema:#}\n"));
    Ok(Outcome::Done)
}
