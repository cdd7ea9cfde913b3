//! `windrow validate`: a plan and its site, offline and in milliseconds.

use serde_json::json;

use crate::cli::PlanArgument;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load;
use crate::output::Output;

/// Check a plan and its site, offline
///
/// Reads the two files only: no inventory, no network. Unknown fields, wrong units and values that
/// YAML readers take differently are errors, each with file, line, column and a hint.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    /// Print what was found as text or as JSON
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
}

/// Forms of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people, on stderr
    #[default]
    Text,
    /// For programs, on stdout
    Json,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let loaded = load::plan(&arguments.plan.plan);
    if arguments.output == Form::Json {
        let found = match &loaded {
            Ok(_) => &[],
            Err(failure) => match failure.as_diagnostics() {
                Some(diagnostics) => diagnostics,
                None => return Err(loaded.err().expect("matched above")),
            },
        };
        let diagnostics: Vec<_> = found.iter().map(|d| d.to_json()).collect();
        let answer = json!({ "valid": diagnostics.is_empty(), "diagnostics": diagnostics });
        output.data(&format!("{answer:#}\n"));
        return Ok(if diagnostics.is_empty() {
            Outcome::Done
        } else {
            Outcome::Refused
        });
    }
    let plan = loaded?;
    let workloads = plan.spec().workloads.len();
    let plural = if workloads == 1 { "" } else { "s" };
    output.say(&format!(
        "plan `{}` is valid: {workloads} workload{plural}",
        plan.name()
    ));
    Ok(Outcome::Done)
}
