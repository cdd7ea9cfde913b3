//! `windrow validate`: a plan and its site, offline and in milliseconds.

use planner::diagnostic::{Kind, Problem};
use planner::resolve::resolve;
use schemas::inventory::Inventory;
use serde_json::json;

use crate::cli::PlanArgument;
use crate::diagnostic::{self, Diagnostic, Level};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, LoadedPlan};
use crate::output::Output;

/// Check a plan and its site, offline
///
/// Reads the two files only: no inventory, no network. Unknown fields, wrong units, names that
/// nothing bears, circles of dependencies and values that YAML readers take differently are errors,
/// each with file, line, column and a hint.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    /// The day on which ages of facts and expiries are judged [default: that of the plan's `start`]
    #[arg(long, value_name = "DATE")]
    as_of: Option<jiff::civil::Date>,
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
    let answer = check(arguments);
    match (arguments.output, &answer) {
        (Form::Text, Ok((plan, warnings))) => {
            if !warnings.is_empty() {
                output.complain(&diagnostic::render(warnings));
            }
            let workloads = plan.spec().workloads.len();
            let plural = if workloads == 1 { "" } else { "s" };
            output.say(&format!(
                "plan `{}` is valid: {workloads} workload{plural}",
                plan.name()
            ));
        }
        (Form::Json, Ok((_, warnings))) => output.data(&json(true, warnings)),
        (Form::Json, Err(failure)) if let Some(found) = failure.as_diagnostics() => {
            output.data(&json(false, found));
            return Ok(failure.outcome);
        }
        (_, Err(_)) => {}
    }
    answer.map(|_| Outcome::Done)
}

/// The plan with warnings about it, if it has no errors.
fn check(arguments: &Arguments) -> Result<(LoadedPlan, Vec<Diagnostic>), Failure> {
    let mut plan = load::plan(&arguments.plan.plan)?;
    let knowledge = load::knowledge(&mut plan, arguments.as_of)?;
    let no_vms = Inventory {
        knowledge,
        ..Inventory::default()
    };
    let mut found = match resolve(&plan.plan.value, plan.site(), &no_vms) {
        Ok(resolved) => resolved.warnings,
        Err(found) => found,
    };
    found.retain(|diagnostic| !needs_inventory(&diagnostic.problem));
    let found = plan.diagnostics(&found);
    if found
        .iter()
        .any(|diagnostic| diagnostic.level == Level::Error)
    {
        return Err(Failure::diagnostics(found));
    }
    Ok((plan, found))
}

/// Whether a problem says something only where there is an inventory.
fn needs_inventory(problem: &Problem) -> bool {
    match problem {
        Problem::Unknown { kind, .. } | Problem::Duplicate { kind, .. } => {
            matches!(
                kind,
                Kind::VmName | Kind::VmId | Kind::Folder | Kind::Network
            )
        }
        Problem::SelectsNothing { .. }
        | Problem::NameRuledOut { .. }
        | Problem::ClaimedTwice { .. }
        | Problem::EmptyWorkload { .. }
        | Problem::Ambiguous { .. }
        | Problem::AmbiguousVm { .. }
        | Problem::NotSelected(_)
        | Problem::AllExcluded
        | Problem::GroupsNothing { .. }
        | Problem::Unlabelled { .. }
        | Problem::SeveralGroups { .. }
        | Problem::FactsOfUnknown { .. }
        | Problem::FactsAmbiguous { .. }
        | Problem::FactsTwice { .. }
        | Problem::MeetsNothing(_)
        | Problem::NoSnapshot(_)
        | Problem::OtherSnapshot { .. }
        | Problem::IdTwice { .. }
        | Problem::NoScratchSize { .. } => true,
        _ => false,
    }
}

fn json(valid: bool, found: &[Diagnostic]) -> String {
    let found: Vec<_> = found.iter().map(Diagnostic::to_json).collect();
    format!("{:#}\n", json!({ "valid": valid, "diagnostics": found }))
}
