//! `windrow report`: what a plan comes to, as a file for people. Reads files only.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use schemas::forecast::Forecast;

use crate::cli::{InputArguments, PlanArgument};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Inputs, LoadedPlan};
use crate::output::Output;
use crate::{plan, target};

/// Write what a plan comes to as a page, a comment or data
///
/// Plans anew, in memory, and writes the result beside the plan: `report.html`, one page that needs
/// no network (when does what move, how long is it down, how full is the scratch, what was found),
/// `report.md`, a comment for a pull request, `report.csv`, a row for each VM and each step outside, or `report.json`.
/// Connects to nothing, and changes no wave.
///
/// Once machines run, the same report shows what came beside what was foretold: pull the target's
/// inventory again, which brings its ledger; what was foretold is the committed `forecast.json`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    #[command(flatten)]
    input: InputArguments,
    /// Which form
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
    /// The forecast that a run is compared with [default: `forecast.json` beside the plan]
    #[arg(long, value_name = "FILE")]
    forecast: Option<Utf8PathBuf>,
    /// Where to [default: `report.html`, `.md`, `.csv` or `.json` beside the plan]; `-` prints it
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
}

/// Forms of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A page that needs nothing else
    #[default]
    Html,
    /// For a comment on a pull request
    Markdown,
    /// For programs
    Json,
    /// For a spreadsheet: a row for each VM
    Csv,
}

impl Form {
    fn file_name(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Markdown => "report.md",
            Self::Json => "report.json",
            Self::Csv => "report.csv",
        }
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let Inputs {
        plan: loaded,
        inventory,
        committed,
    } = load::inputs(&arguments.plan.plan, &arguments.input, None)?;
    let planned = planner::plan_after(&loaded.plan.value, loaded.site(), &inventory, &committed);
    let mut planned = match planned {
        Ok(planned) => planned,
        Err(refusal) => return plan::refuse(refusal, plan::Form::Table, &loaded, output),
    };
    if let Some(forecast) = forecast(arguments, &loaded)? {
        planned.report = planned
            .report
            .after_a_run(&planned.checked.plan, &forecast, &inventory);
    }
    let text = render(arguments.output, &planned, &|path| {
        Some(loaded.locate(path))
    });
    let file = arguments.out.clone();
    let file = file.unwrap_or_else(|| loaded.folder().join(arguments.output.file_name()));
    if file == "-" {
        match arguments.output {
            // Its policy names digests of its parts: not a byte of them may change.
            Form::Html => output.exact(&text),
            Form::Markdown | Form::Json | Form::Csv => output.data(&text),
        }
        return Ok(Outcome::Done);
    }
    write(&file, &text)?;
    output.say(&format!("wrote {file}"));
    Ok(Outcome::Done)
}

/// What was foretold: the file that was named, which must be one, else that beside the plan.
fn forecast(arguments: &Arguments, loaded: &LoadedPlan) -> Result<Option<Forecast>, Failure> {
    let Some(file) = &arguments.forecast else {
        return plan::files::forecast(&target::waves_folder(loaded, None));
    };
    let text = fs::read_to_string(file).map_err(|source| {
        Failure::misused(ReportError::Read {
            file: file.clone(),
            source,
        })
    })?;
    let forecast: Option<Forecast> = serde_json::from_str(&text).ok();
    match forecast.filter(|forecast| forecast.schema == schemas::forecast::SCHEMA) {
        Some(forecast) => Ok(Some(forecast)),
        None => Err(Failure::misused(ReportError::NoForecast(file.clone()))
            .hint("name a `forecast.json` that `windrow plan` wrote")),
    }
}

/// The report in that form.
pub fn render(
    form: Form,
    planned: &planner::Planned,
    locate: &dyn Fn(&str) -> Option<String>,
) -> String {
    match form {
        Form::Html => planner::report::page::render(planned, locate),
        Form::Markdown => planner::report::markdown::render(&planned.report, locate),
        Form::Csv => planner::report::csv::render(planned),
        Form::Json => {
            let json = serde_json::to_value(&planned.report).expect("a report has a JSON form");
            format!("{}\n", schemas::shown::json(&format!("{json:#}")))
        }
    }
}

fn write(file: &Utf8Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).map_err(|source| {
        Failure::misused(ReportError::Write {
            file: file.to_owned(),
            source,
        })
    })
}

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    /// The file cannot be read.
    #[error("read `{file}`")]
    Read {
        /// Which.
        file: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("read `{0}`: it is no forecast")]
    NoForecast(Utf8PathBuf),
    /// The file cannot be written.
    #[error("write `{file}`")]
    Write {
        /// Which.
        file: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
