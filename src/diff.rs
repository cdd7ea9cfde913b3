//! `windrow diff`: what has changed since the waves were committed, and whether their sources have
//! drifted. Reads files only.

mod base;

use camino::Utf8PathBuf;
use planner::diff::{Committed, Current, PlanDiff};
use schemas::forecast::Forecast;
use schemas::inventory::Inventory;

use self::base::Base;
use crate::cli::{InputArguments, PlanArgument};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Inputs, LoadedPlan};
use crate::output::Output;
use crate::plan;

/// Say what has changed since the waves were committed
///
/// Plans anew, in memory, and compares that with the waves that are written: which VMs came, went,
/// changed or have another wave; what that does to downtime, start and window, by VM and by
/// workload; which approvals no longer hold; and what the sources say of these VMs that they did not
/// say when the waves were made. Connects to nothing.
///
/// What the sources said before is taken from Git: the snapshots beside the plan in the last commit
/// that changed its waves. `--before` names a folder instead, `--base` compares with everything as
/// it is in another commit, as in a pull request: `windrow diff --base origin/main -o markdown`.
///
/// Exit codes: 0 nothing has changed, 1 something has, 2 an error.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    #[command(flatten)]
    input: InputArguments,
    /// Where the waves are; the forecast is beside that folder [default: `waves` beside the plan]
    #[arg(long, value_name = "DIR")]
    waves: Option<Utf8PathBuf>,
    /// Where the snapshots are that the waves were made from
    #[arg(long, value_name = "DIR", conflicts_with = "base")]
    before: Option<Utf8PathBuf>,
    /// Compare with the waves, forecast, approvals and snapshots of that commit
    #[arg(long, value_name = "REF", conflicts_with = "waves")]
    base: Option<String>,
    /// Print as text, as JSON, or as Markdown for a comment on a pull request
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
}

/// Forms of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people at a terminal
    #[default]
    Text,
    /// For programs
    Json,
    /// For a comment
    Markdown,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let Inputs {
        plan: loaded,
        inventory,
        committed: there,
    } = load::inputs(
        &arguments.plan.plan,
        &arguments.input,
        arguments.waves.as_ref(),
    )?;
    let base = Base::read(arguments, &loaded)?;
    let planned = planner::plan_after(&loaded.plan.value, loaded.site(), &inventory, &there);
    let planned = match planned {
        Ok(planned) => planned,
        Err(refusal) => {
            return plan::refuse(refusal, plan::Form::Table, &loaded, output);
        }
    };
    let diff = planner::diff::diff(
        Committed {
            waves: &base.waves,
            forecast: base.forecast.as_ref(),
            approvals: &base.approvals,
            inventory: base.inventory.as_ref(),
        },
        Current {
            plan: &loaded.plan.value,
            site: loaded.site(),
            inventory: &inventory,
            planned: &planned,
        },
    );
    print(&diff, arguments.output, &loaded, output);
    Ok(if diff.equal {
        Outcome::Done
    } else {
        Outcome::Differs
    })
}

fn print(diff: &PlanDiff, form: Form, loaded: &LoadedPlan, output: &Output) {
    match form {
        Form::Text => output.data(&planner::diff::text::render(diff, &|path| {
            Some(loaded.locate(path))
        })),
        Form::Markdown => output.data(&planner::diff::markdown::render(diff)),
        Form::Json => {
            let json = serde_json::to_value(diff).expect("a diff has a JSON form");
            output.data(&format!("{json:#}\n"));
        }
    }
}

/// The forecast in a file, if it is there and is one.
fn forecast(path: &camino::Utf8Path) -> Option<Forecast> {
    let text = std::fs::read_to_string(path).ok()?;
    let forecast: Forecast = serde_json::from_str(&text).ok()?;
    (forecast.schema == schemas::forecast::SCHEMA).then_some(forecast)
}

/// The snapshots in a folder, if they can be read.
fn inventory(folder: &camino::Utf8Path) -> Option<Inventory> {
    inventory::snapshot::read(folder).ok()
}
