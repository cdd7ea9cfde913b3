//! `windrow coverage`: what becomes of every VM of the sources. Reads files only.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use planner::check::{self, Checked};
use planner::coverage::{self, Coverage, PlanOf, Standing};
use planner::diagnostic::{count, list};
use planner::resolve::resolve;
use schemas::inventory::Inventory;
use schemas::shown::{self, shown};

use crate::cli::InputArguments;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Inputs, LoadedPlan};
use crate::output::Output;

/// Say what becomes of every VM of the sources: planned, done, out of scope or forgotten
///
/// Takes all plans of one site. A VM is planned where a workload selects it, done where a ledger says
/// that it runs on its target, out of scope where `outOfScope` says so, and forgotten otherwise. A
/// VM that two plans want, or that one moves and another leaves, is an error.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The plans' files, or the folders of their `plan.yaml`
    #[arg(value_name = "PLAN", default_value = "plan.yaml")]
    plans: Vec<Utf8PathBuf>,
    #[command(flatten)]
    input: InputArguments,
    /// Print as a table of what needs a look, as JSON, or all VMs as CSV
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
    /// Exit with 1 where a VM is forgotten
    #[arg(long)]
    fail_on_forgotten: bool,
}

/// Forms of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people: counts, then every forgotten VM
    #[default]
    Table,
    /// For programs
    Json,
    /// For a spreadsheet: a row for each VM
    Csv,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let mut loaded: Vec<(LoadedPlan, Checked)> = Vec::new();
    let mut all = Inventory::default();
    for path in &arguments.plans {
        let Inputs {
            plan, inventory, ..
        } = load::inputs(path, &arguments.input, None)?;
        let resolved = resolve(&plan.plan.value, plan.site(), &inventory)
            .map_err(|found| Failure::diagnostics(plan.diagnostics(&found)))?;
        let checked = check::check(resolved, &inventory);
        // Plans of one site may keep their snapshots together or each its own.
        all.sources.extend(inventory.sources);
        all.targets.extend(inventory.targets);
        loaded.push((plan, checked));
    }
    let plans: Vec<PlanOf<'_>> = loaded
        .iter()
        .map(|(plan, checked)| PlanOf {
            spec: plan.spec(),
            checked,
        })
        .collect();
    let coverage = coverage::coverage(&plans, &all);
    output.data(&match arguments.output {
        Form::Table => table(&coverage),
        Form::Json => {
            let json = serde_json::to_value(&coverage).expect("it has a JSON form");
            format!("{json:#}\n")
        }
        Form::Csv => csv(&coverage),
    });
    if !coverage.twice.is_empty() {
        let error = CoverageError::Twice(coverage.twice.len());
        let hint = format!("let one plan have each: {}", list(&coverage.twice));
        return Err(Failure::refused(error).hint(hint));
    }
    let forgotten = coverage.count(Standing::Forgotten);
    if arguments.fail_on_forgotten && forgotten > 0 {
        return Err(Failure::refused(CoverageError::Forgotten(forgotten))
            .hint("select them in a plan, or list them in `outOfScope` with a reason"));
    }
    Ok(Outcome::Done)
}

/// Counts, every forgotten VM by its place, and what is out of scope by reason.
fn table(coverage: &Coverage) -> String {
    let mut text = String::new();
    let counts: Vec<String> = Standing::ALL
        .into_iter()
        .filter(|standing| *standing != Standing::Template || coverage.count(*standing) > 0)
        .map(|standing| format!("{} {}", coverage.count(standing), standing.word()))
        .collect();
    let total = count(coverage.vms.len(), "VM");
    writeln!(text, "{total}: {}", counts.join(", ")).expect(INFALLIBLE);
    for standing in [Standing::Forgotten, Standing::OutOfScope] {
        let rows: Vec<_> = coverage
            .vms
            .iter()
            .filter(|row| row.standing == standing)
            .collect();
        if rows.is_empty() {
            continue;
        }
        writeln!(text, "\n{}", standing.word()).expect(INFALLIBLE);
        let width = |cell: fn(&coverage::Row) -> String| {
            let lengths = rows.iter().map(|row| shown(&cell(row)).chars().count());
            lengths.max().unwrap_or(0)
        };
        let (names, places) = (width(|row| row.name.to_string()), width(place));
        for row in rows {
            let by = row
                .by
                .map(|by| format!(" (until {by})"))
                .unwrap_or_default();
            let name = row.name.to_string();
            let line = format!(
                "  {:<names$}  {:<places$}  {}  {}{by}",
                shown(&name),
                shown(&place(row)),
                shown(&row.vm.to_string()),
                shown(&row.detail),
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

const INFALLIBLE: &str = "a String takes everything";

fn place(row: &coverage::Row) -> String {
    row.place.clone().unwrap_or_default()
}

fn csv(coverage: &Coverage) -> String {
    let head = [
        "source", "id", "name", "place", "standing", "plans", "detail", "by",
    ];
    let rows = coverage.vms.iter().map(|row| {
        let plans: Vec<&str> = row
            .plans
            .iter()
            .map(schemas::ids::PlanName::as_str)
            .collect();
        [
            row.vm.source.to_string(),
            row.vm.id.to_string(),
            row.name.to_string(),
            place(row),
            row.standing.word().to_owned(),
            plans.join(" "),
            row.detail.clone(),
            row.by.map(|by| by.to_string()).unwrap_or_default(),
        ]
    });
    shown::csv(std::iter::once(head.map(str::to_owned)).chain(rows))
}

/// Why CI should stop.
#[derive(Debug, thiserror::Error)]
enum CoverageError {
    /// VMs that several plans want.
    #[error("cover the sources: {} spoken for twice", if *.0 == 1 { "1 VM is".to_owned() } else { format!("{} VMs are", .0) })]
    Twice(usize),
    /// VMs that no plan speaks of.
    #[error("cover the sources: {} forgotten", if *.0 == 1 { "1 VM is".to_owned() } else { format!("{} VMs are", .0) })]
    Forgotten(usize),
}
