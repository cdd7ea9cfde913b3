//! `windrow validate`: a plan and its site, offline and in milliseconds.

use planner::diagnostic::{Kind, Problem, count};
use planner::resolve::resolve;
use schemas::inventory::Inventory;
use serde_json::json;

use crate::cli::PlanArgument;
use crate::diagnostic::{self, Diagnostic, Level};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::findings::{FailOn, Found};
use crate::load::{self, LoadedPlan};
use crate::output::Output;

/// Check a plan and its site, offline
///
/// Reads the two files only, and those of other plans whose workloads are waited for: no inventory,
/// no network. Unknown fields, wrong units, names that nothing bears, circles of dependencies and
/// values that YAML readers take differently are errors, each with file, line, column and a hint.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    /// The day on which ages of facts and expiries are judged [default: that of the plan's `start`]
    #[arg(long, value_name = "DATE")]
    as_of: Option<jiff::civil::Date>,
    /// Print what was found as text, JSON, SARIF, `JUnit` or GitHub annotations
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
    /// Exit with 1 where something is found that is as bad as this
    #[arg(long, value_name = "SEVERITY", value_enum)]
    fail_on: Option<FailOn>,
}

/// Forms of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people, on stderr
    #[default]
    Text,
    /// For programs, on stdout
    Json,
    /// For code scanning (SARIF 2.1.0)
    Sarif,
    /// For CI (`JUnit`'s XML)
    Junit,
    /// Annotations of GitHub Actions
    Github,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let answer = check(arguments);
    let (plan, found, valid) = match &answer {
        Ok((plan, warnings)) => (Some(plan), warnings.as_slice(), true),
        Err(failure) => match failure.as_diagnostics() {
            Some(found) => (None, found, false),
            None => return answer.map(|_| Outcome::Done),
        },
    };
    let told = Found {
        plan,
        diagnostics: found,
        findings: &[],
    };
    let fails = valid && arguments.fail_on.is_some_and(|on| told.fails(on));
    match arguments.output {
        Form::Text => match (&answer, plan) {
            (Ok(_), Some(plan)) => {
                if !found.is_empty() {
                    output.complain(&diagnostic::render(found));
                }
                if !fails {
                    let workloads = count(plan.spec().workloads.len(), "workload");
                    output.say(&format!("plan `{}` is valid: {workloads}", plan.name()));
                }
            }
            _ => return answer.map(|_| Outcome::Done),
        },
        Form::Json => output.data(&json(valid, found)),
        Form::Sarif => output.data(&told.sarif()),
        Form::Junit => output.exact(&told.junit()),
        Form::Github => output.exact(&told.github()),
    }
    Ok(match &answer {
        Err(failure) => failure.outcome,
        Ok(_) if fails => Outcome::Refused,
        Ok(_) => Outcome::Done,
    })
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
        | Problem::StepInWave { .. }
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
        | Problem::NoScratchSize { .. }
        | Problem::NotPlanned { .. }
        | Problem::NotForetold { .. } => true,
        _ => false,
    }
}

fn json(valid: bool, found: &[Diagnostic]) -> String {
    let found: Vec<_> = found.iter().map(Diagnostic::to_json).collect();
    format!("{:#}\n", json!({ "valid": valid, "diagnostics": found }))
}
