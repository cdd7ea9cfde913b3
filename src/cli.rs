//! The command line as a whole: global options and the list of verbs.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::{
    apply, approve, completions, controller, coverage, crd, demo, diff, explain, fmt, import_csv,
    init, inventory, man, notice, plan, ready, remedy, render, report, retry, schema, simulate,
    start, status, stop, validate,
};

/// Plan and run the move of a fleet of virtual machines into Harvester
///
/// Write a plan, pull an inventory, let `windrow plan` decide the waves, review them in Git, and run
/// them with `windrow apply` or in the cluster. `windrow demo` shows all of it and needs nothing.
#[derive(Debug, Parser)]
#[command(
    name = "windrow",
    version,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 refused, 2 usage or I/O, 4 begun and not all done, 70 a bug, \
                  75 an outside system failed. `plan`: 1 for every error, 2 changes (with \
                  --detailed-exitcode). `diff` and `--check`: 0 equal, 1 differs, 2 error."
)]
pub struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Clone, Copy, Debug, Args)]
pub struct Global {
    /// Print data and errors only
    #[arg(
        long,
        short,
        global = true,
        conflicts_with = "verbose",
        display_order = 100
    )]
    pub quiet: bool,
    /// Print what is being done in more detail
    #[arg(long, short, global = true, display_order = 100)]
    pub verbose: bool,
    /// Draw no progress, even on a terminal
    #[arg(long, global = true, display_order = 100)]
    pub no_progress: bool,
}

/// Everything that Windrow does.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "each verb's help is the comment of its arguments"
)]
pub enum Verb {
    Demo(demo::Arguments),
    Init(init::Arguments),
    ImportCsv(import_csv::Arguments),
    Validate(validate::Arguments),
    Fmt(fmt::Arguments),
    Inventory(inventory::Arguments),
    Plan(plan::Arguments),
    Diff(diff::Arguments),
    Render(render::Arguments),
    Explain(explain::Arguments),
    Simulate(simulate::Arguments),
    Coverage(coverage::Arguments),
    Remedy(remedy::Arguments),
    Report(report::Arguments),
    Notice(notice::Arguments),
    Approve(approve::Arguments),
    Ready(ready::Arguments),
    Apply(apply::Arguments),
    Status(status::Arguments),
    Retry(retry::Arguments),
    Stop(stop::Arguments),
    Start(start::Arguments),
    Controller(controller::Arguments),
    Crd(crd::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

impl Verb {
    /// Does it.
    pub fn run(self, output: &Output) -> Result<Outcome, Failure> {
        match self {
            Self::Demo(arguments) => demo::run(arguments, output),
            Self::Init(arguments) => init::run(&arguments, output),
            Self::ImportCsv(arguments) => import_csv::run(&arguments, output),
            Self::Validate(arguments) => validate::run(&arguments, output),
            Self::Fmt(arguments) => fmt::run(&arguments, output),
            Self::Inventory(arguments) => inventory::run(arguments, output),
            Self::Plan(arguments) => plan::run(&arguments, output),
            Self::Diff(arguments) => diff::run(&arguments, output),
            Self::Render(arguments) => render::run(&arguments, output),
            Self::Explain(arguments) => explain::run(&arguments, output),
            Self::Simulate(arguments) => simulate::run(&arguments, output),
            Self::Coverage(arguments) => coverage::run(&arguments, output),
            Self::Remedy(arguments) => remedy::run(&arguments, output),
            Self::Report(arguments) => report::run(&arguments, output),
            Self::Notice(arguments) => notice::run(&arguments, output),
            Self::Approve(arguments) => approve::run(&arguments, output),
            Self::Ready(arguments) => ready::run(&arguments, output),
            Self::Apply(arguments) => apply::run(&arguments, output),
            Self::Status(arguments) => status::run(&arguments, output),
            Self::Retry(arguments) => retry::run(&arguments, output),
            Self::Stop(arguments) => stop::run(&arguments, output),
            Self::Start(arguments) => start::run(&arguments, output),
            Self::Controller(arguments) => controller::run(&arguments, output),
            Self::Crd(arguments) => crd::run(&arguments, output),
            Self::Schema(arguments) => schema::run(&arguments, output),
            Self::Completions(arguments) => completions::run(arguments, output),
            Self::Man(arguments) => man::run(&arguments, output),
        }
    }
}

/// Forms of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// The plan, as every verb that works on one takes it.
#[derive(Clone, Debug, Args)]
pub struct PlanArgument {
    /// The plan's file, or the folder of its `plan.yaml`
    #[arg(value_name = "PLAN", default_value = "plan.yaml")]
    pub plan: Utf8PathBuf,
}

/// What a plan is decided from besides its own files, as every verb that decides takes it.
#[derive(Clone, Debug, Default, Args)]
pub struct InputArguments {
    /// Where the snapshots are [default: `inventory` beside the plan]
    #[arg(long, value_name = "DIR")]
    pub inventory: Option<Utf8PathBuf>,
    /// The day on which ages of facts and expiries are judged [default: that of the plan's `start`]
    #[arg(long, value_name = "DATE")]
    pub as_of: Option<jiff::civil::Date>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    // The definition holds together, and there is no verb that help does not list.
    #[test]
    fn well_formed() {
        Cli::command().debug_assert();
        assert!(
            Cli::command()
                .get_subcommands()
                .all(|verb| !verb.is_hide_set())
        );
    }
}
