//! `windrow plan`: decides the waves of a plan and writes them. Reads files only.

pub(crate) mod files;

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use kube::ResourceExt as _;
use planner::{Keep, Planned, Refusal};
use schemas::finding::Finding;
use schemas::ids::WaveName;
use schemas::inventory::Inventory;
use schemas::wave::MigrationWave;
use schemas::yaml;
use serde_json::{Value, json};

use self::files::{Change, FileChange, Files};
use crate::cli::{Format, InputArguments, PlanArgument};
use crate::diagnostic::{self, Diagnostic};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Inputs, LoadedPlan};
use crate::output::Output;
use crate::target;

/// Decide the waves of a plan and write them
///
/// Reads the plan, its site and the snapshots that `windrow inventory pull` wrote, and connects to
/// nothing. Prints what will happen: does it all fit, which wave runs when, how long each machine
/// is down, what was found. Writes the waves, and `forecast.json` beside their folder. The same
/// input gives the same bytes; a file that is still right is left untouched.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    #[command(flatten)]
    input: InputArguments,
    /// Where the waves go; the forecast goes beside that folder [default: `waves` beside the plan]
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
    /// Print as a table, JSON or YAML
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
    /// Keep what is approved or running where it is, and place the rest around it
    #[arg(long)]
    keep: bool,
    /// Print what other admission policies and scratch sizes would give, and write nothing
    #[arg(long, conflicts_with_all = ["check", "detailed_exitcode"])]
    tradeoff: bool,
    /// Write nothing; fail if what is on disk is not what would be written
    #[arg(long, conflicts_with = "detailed_exitcode")]
    check: bool,
    /// Exit with 2 where files were changed, and 0 where nothing was
    #[arg(long)]
    detailed_exitcode: bool,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let Inputs {
        plan: loaded,
        inventory,
        committed,
    } = load::inputs(
        &arguments.plan.plan,
        &arguments.input,
        arguments.out.as_ref(),
    )?;
    tell_gaps(&inventory, output);
    let folder = target::waves_folder(&loaded, arguments.out.as_ref());
    let keep = if arguments.keep {
        kept(&loaded, &inventory, &folder, &committed)?
    } else {
        Keep::default()
    };
    let decided = planner::plan_keeping(
        &loaded.plan.value,
        loaded.site(),
        &inventory,
        &committed,
        &keep,
    );
    let decided = match decided {
        Ok(decided) => decided,
        Err(refusal) => return refuse(refusal, arguments.output, &loaded, output),
    };
    if arguments.tradeoff {
        let tradeoff = planner::tradeoff::tradeoff(&decided.problem);
        match arguments.output {
            Format::Table => output.data(&tradeoff.text()),
            format => {
                let value = serde_json::to_value(&tradeoff).expect("it has a JSON form");
                data(format, &value, output);
            }
        }
        return Ok(Outcome::Done);
    }
    let files = Files::of(&decided, &folder);
    let keep = named_waves(&loaded, &inventory)?;
    let changes = files.compare(&loaded, &keep)?;
    if !arguments.check {
        files::apply(&changes)?;
    }
    print(arguments, &loaded, &decided, &changes, output);
    let differs = changes.iter().any(FileChange::is_change);
    Ok(
        match (differs, arguments.check, arguments.detailed_exitcode) {
            (true, true, _) => Outcome::Differs,
            (true, _, true) => Outcome::Changes,
            _ => Outcome::Done,
        },
    )
}

/// Gaps of one snapshot that are told one by one; all of them are in its files.
const GAPS_SHOWN_MAX: usize = 3;

/// Says what the snapshots lack, since the plan cannot know it.
fn tell_gaps(inventory: &Inventory, output: &Output) {
    let sources = inventory.sources.iter();
    let sources = sources.map(|(name, source)| (name.as_str(), &source.about.gaps));
    let targets = inventory.targets.iter();
    let targets = targets.map(|(name, target)| (name.as_str(), &target.about.gaps));
    for (name, gaps) in sources.chain(targets).filter(|(_, gaps)| !gaps.is_empty()) {
        let count = match gaps.len() {
            1 => "1 gap".to_owned(),
            count => format!("{count} gaps"),
        };
        output.say(&format!("the snapshot of `{name}` has {count}:"));
        for gap in gaps.iter().take(GAPS_SHOWN_MAX) {
            let object = gap.object.as_ref().map(|object| format!(" `{object}`"));
            let line = format!("{}{}: {}", gap.what, object.unwrap_or_default(), gap.reason);
            output.say(&format!("  {}", schemas::shown::shown(&line)));
        }
    }
}

/// What is approved, or begun by the ledger's word, with what was foretold of it.
fn kept(
    loaded: &LoadedPlan,
    inventory: &Inventory,
    folder: &Utf8Path,
    committed: &[MigrationWave],
) -> Result<Keep, Failure> {
    let ledger = inventory.targets.values().flat_map(|target| &target.ledger);
    let mut named: BTreeSet<WaveName> = ledger
        .filter_map(|line| Some(WaveName::new(line.wave.clone()?)))
        .collect();
    for approval in target::approvals(loaded)? {
        let spec = &approval.value.spec;
        let holds = |wave: &&MigrationWave| {
            spec.wave.as_str() == wave.name_any() && spec.digest == wave.spec.digest
        };
        if committed.iter().any(|wave| holds(&wave)) {
            named.insert(spec.wave.clone());
        }
    }
    let forecast = files::forecast(folder)?;
    Ok(Keep::new(committed, forecast.as_ref(), &named))
}

/// Waves that something speaks of, by name: a ledger of a target, or an approval.
fn named_waves(
    loaded: &LoadedPlan,
    inventory: &Inventory,
) -> Result<Vec<(String, &'static str)>, Failure> {
    let ledger = inventory.targets.values().flat_map(|target| &target.ledger);
    let mut named: Vec<_> = ledger
        .filter_map(|line| Some((line.wave.clone()?, "the ledger")))
        .collect();
    for approval in target::approvals(loaded)? {
        named.push((approval.value.spec.wave.to_string(), "an approval"));
    }
    Ok(named)
}

/// Tells why there is no plan.
pub(crate) fn refuse(
    refusal: Refusal,
    format: Format,
    loaded: &LoadedPlan,
    output: &Output,
) -> Result<Outcome, Failure> {
    let (found, findings) = match refusal {
        Refusal::Invalid(found) => (found, Vec::new()),
        Refusal::Blocked { findings, warnings } => (warnings, findings),
        Refusal::Unsound(violations) => return Err(PlanError::unsound(violations)),
    };
    let diagnostics = loaded.diagnostics(&found);
    if format != Format::Table {
        let found: Vec<Value> = diagnostics.iter().map(Diagnostic::to_json).collect();
        data(
            format,
            &json!({ "planned": false, "diagnostics": found, "findings": findings }),
            output,
        );
        return Ok(Outcome::Refused);
    }
    if findings.is_empty() {
        return Err(Failure::diagnostics(diagnostics));
    }
    if !diagnostics.is_empty() {
        output.complain(&diagnostic::render(&diagnostics));
    }
    output.complain(&in_words(&findings, loaded));
    let blockers = findings.iter().filter(|finding| finding.blocks()).count();
    Err(Failure::refused(PlanError::Blocked(blockers))
        .hint("mend or waive them, or let `policy.onBlocker: exclude` leave such VMs out"))
}

fn in_words(findings: &[Finding], loaded: &LoadedPlan) -> String {
    planner::report::text::findings(findings, &|path| Some(loaded.locate(path)))
}

fn print(
    arguments: &Arguments,
    loaded: &LoadedPlan,
    planned: &Planned,
    changes: &[FileChange],
    output: &Output,
) {
    let warnings = loaded.diagnostics(&planned.warnings);
    if arguments.output != Format::Table {
        let mut report = serde_json::to_value(&planned.report).expect("the report has a JSON form");
        report["planned"] = true.into();
        report["diagnostics"] = warnings.iter().map(Diagnostic::to_json).collect();
        report["files"] = changes.iter().map(FileChange::to_json).collect();
        data(arguments.output, &report, output);
        return;
    }
    if !warnings.is_empty() {
        output.complain(&diagnostic::render(&warnings));
    }
    output.data(&planner::report::text::render(&planned.report, &|path| {
        Some(loaded.locate(path))
    }));
    output.say("");
    for line in files::told(changes, arguments.check) {
        output.say(&line);
    }
    if !arguments.check
        && changes
            .iter()
            .any(|change| change.change == Change::Written)
    {
        output.say(&format!("next: {}", next(loaded.folder())));
    }
}

fn next(folder: &Utf8Path) -> String {
    format!("commit {folder} for review, then `windrow approve` and `windrow apply` its waves")
}

fn data(format: Format, value: &Value, output: &Output) {
    match format {
        Format::Yaml => output.data(&yaml::write(value)),
        Format::Json | Format::Table => output.data(&format!("{value:#}\n")),
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// Blockers, and the policy refuses the plan for them.
    #[error("plan: {} block{} it", planner::diagnostic::count(*.0, "finding"), if *.0 == 1 { "s" } else { "" })]
    Blocked(usize),
    /// The schedule breaks a rule.
    #[error("make a sound schedule")]
    Unsound(#[source] planner::schedule::Violation),
}

impl PlanError {
    /// A schedule that breaks rules is a bug of ours.
    pub(crate) fn unsound(violations: Vec<planner::schedule::Violation>) -> Failure {
        let first = violations
            .into_iter()
            .next()
            .expect("unsound for at least one reason");
        Failure::new(Outcome::Bug, Self::Unsound(first))
            .hint("this is a bug of Windrow: please report it with the plan and its inventory")
    }
}
