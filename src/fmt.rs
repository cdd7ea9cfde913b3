//! `windrow fmt`: one layout for files that people write.

use std::fs;
use std::io;

use camino::Utf8PathBuf;
use schemas::crd::{SCHEMA_URL, schema_file_name};
use schemas::yaml;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Lay out plans and sites in one way
///
/// Indentation, line ends and blank lines; the line that tells editors the schema. Comments, words and
/// the order of keys stay, and so does the meaning: a file that could not be laid out without changing
/// it is left alone. The second time changes nothing.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The files
    #[arg(value_name = "FILE", default_value = "plan.yaml")]
    files: Vec<Utf8PathBuf>,
    /// Write nothing; fail if a file would be changed
    #[arg(long)]
    check: bool,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let mut differs = false;
    for path in &arguments.files {
        let failed = |source| {
            Failure::misused(FileError {
                path: path.clone(),
                source,
            })
        };
        let text = fs::read_to_string(path).map_err(failed)?;
        let kind = yaml::documents(&text).ok().and_then(|documents| {
            let kind = documents.first()?.get("kind")?.as_str()?;
            ["MigrationPlan", "MigrationSite"]
                .into_iter()
                .find(|known| *known == kind)
        });
        let Some(kind) = kind else {
            return Err(Failure::refused(NoKind(path.clone()))
                .hint("`windrow validate` says what is wrong; waves and approvals are generated"));
        };
        let formatted = yaml::format(&text, &format!("{SCHEMA_URL}/{}", schema_file_name(kind)));
        if formatted == text {
            continue;
        }
        differs = true;
        if arguments.check {
            output.say(&format!("would change {path}"));
        } else {
            fs::write(path, formatted).map_err(failed)?;
            output.say(&format!("changed {path}"));
        }
    }
    Ok(if differs && arguments.check {
        Outcome::Differs
    } else {
        Outcome::Done
    })
}

/// A file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("lay out `{path}`")]
struct FileError {
    path: Utf8PathBuf,
    source: io::Error,
}

/// Not a file that people write.
#[derive(Debug, thiserror::Error)]
#[error("lay out `{0}`: it is neither a plan nor a site")]
struct NoKind(Utf8PathBuf);
