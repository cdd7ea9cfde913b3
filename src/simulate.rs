//! `windrow simulate`: how sure a plan's times are. Reads files only.

use planner::simulate::simulate;
use schemas::yaml;

use crate::cli::{Format, InputArguments, PlanArgument};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Inputs};
use crate::output::Output;
use crate::plan;

/// Run a plan many times on a model of the engine, and say how sure its times are
///
/// Plans anew, in memory, and runs the imports in their order, in their windows and under the
/// executor's rules, each time with durations that are a little off: by what the site says of its
/// assumptions, or by what finished imports have taken. Says by when half of the runs are done and
/// by when nine of ten, which waves may not end in their windows, and how long services are down.
/// Writes nothing and connects to nothing; the same seed gives the same numbers.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    #[command(flatten)]
    input: InputArguments,
    /// How many runs
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// Where chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print as text, JSON or YAML
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let Inputs {
        plan: loaded,
        inventory,
        committed,
    } = load::inputs(&arguments.plan.plan, &arguments.input, None)?;
    let planned = planner::plan_after(&loaded.plan.value, loaded.site(), &inventory, &committed);
    let planned = match planned {
        Ok(planned) => planned,
        Err(refusal) => return plan::refuse(refusal, plan::Form::Table, &loaded, output),
    };
    let simulation = simulate(&planned, &inventory, arguments.runs, arguments.seed);
    match arguments.output {
        Format::Table => output.data(&simulation.text()),
        Format::Json => {
            let value = serde_json::to_value(&simulation).expect("it has a JSON form");
            output.data(&format!("{value:#}\n"));
        }
        Format::Yaml => output.exact(&yaml::write(&simulation)),
    }
    Ok(Outcome::Done)
}
