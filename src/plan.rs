//! `windrow plan`: decides the waves of a plan and writes them. Reads files only.

pub(crate) mod files;

use std::collections::BTreeSet;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use kube::ResourceExt as _;
use planner::resolve::selection;
use planner::{Before, Keep, Planned, Refusal};
use schemas::finding::Finding;
use schemas::ids::WaveName;
use schemas::inventory::Inventory;
use schemas::status::RunStatus;
use schemas::wave::MigrationWave;
use schemas::yaml;
use serde_json::{Value, json};

use self::files::{Change, FileChange, Files};
use crate::cli::{InputArguments, PlanArgument};
use crate::diagnostic::{self, Diagnostic};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::findings::{self, FailOn, Found};
use crate::inventory::gaps;
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
#[expect(clippy::struct_excessive_bools, reason = "options of a command line")]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    #[command(flatten)]
    input: InputArguments,
    /// Where the waves go; the forecast goes beside that folder [default: `waves` beside the plan]
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
    /// Print as a table, JSON or YAML; or what was found only, as SARIF, `JUnit` or GitHub annotations
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
    /// Refuse, and write nothing, where something is found that is as bad as this and not waived
    #[arg(long, value_name = "SEVERITY", value_enum)]
    fail_on: Option<FailOn>,
    /// Say which selector takes each VM and why others do not, and write nothing; of the VMs that a
    /// glob on `NAME`, `SOURCE/NAME` or `SOURCE/ID` means, everything
    #[arg(long, value_name = "VM", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    show_selection: Option<String>,
    /// Keep what is approved or running where it is, and place the rest around it
    #[arg(long)]
    keep: bool,
    /// How far the run is, as `windrow status -o json` said; else as the target's snapshot says
    #[arg(long, value_name = "FILE", requires = "keep")]
    status: Option<Utf8PathBuf>,
    /// Place what is still to come from this instant on [default: when `--status` was said, or the
    /// plan's start]
    #[arg(long, value_name = "INSTANT", requires = "keep")]
    from: Option<Timestamp>,
    /// Order everything as if nothing were written down; else what is written down stays near where it
    /// is, unless another plan is better by more than a hundredth
    #[arg(long, conflicts_with = "keep")]
    anew: bool,
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

/// Forms of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// For people
    #[default]
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// What was found, for code scanning (SARIF 2.1.0)
    Sarif,
    /// What was found, for CI (`JUnit`'s XML)
    Junit,
    /// What was found, as annotations of GitHub Actions
    Github,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let Inputs {
        plan: loaded,
        mut inventory,
        committed,
    } = match load::inputs(
        &arguments.plan.plan,
        &arguments.input,
        arguments.out.as_ref(),
    ) {
        Ok(inputs) => inputs,
        Err(failure) => return unreadable(failure, arguments.output, output),
    };
    if let Some(wanted) = &arguments.show_selection {
        show_selection(arguments, &loaded, &inventory, wanted, output);
        return Ok(Outcome::Done);
    }
    tell_gaps(&inventory, output);
    let committed = if arguments.anew {
        Before::default()
    } else {
        committed
    };
    let folder = target::waves_folder(&loaded, arguments.out.as_ref());
    let asked = match &arguments.status {
        Some(file) => Some(overlay(file, &mut inventory)?),
        None => None,
    };
    let keep = if arguments.keep {
        let from = arguments.from.or(asked);
        kept(&loaded, &inventory, &folder, &committed.waves)?.from(from)
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
            Form::Json => {
                let value = serde_json::to_value(&tradeoff).expect("it has a JSON form");
                output.data(&format!("{value:#}\n"));
            }
            Form::Yaml => output.exact(&yaml::write(&tradeoff)),
            _ => output.data(&tradeoff.text()),
        }
        return Ok(Outcome::Done);
    }
    let files = Files::of(&decided, &folder);
    let keep = named_waves(&loaded, &inventory)?;
    let changes = files.compare(&loaded, &keep)?;
    let warnings = loaded.diagnostics(&decided.warnings);
    let found = Found {
        plan: Some(&loaded),
        diagnostics: &warnings,
        findings: &decided.report.findings,
    };
    if arguments.fail_on.is_some_and(|on| found.fails(on)) {
        print(arguments, &found, &decided, &[], output);
        let what = findings::told(found.findings);
        return Err(Failure::refused(PlanError::Failed(what))
            .hint("nothing was written; mend or waive them, or leave out `--fail-on`"));
    }
    if !arguments.check {
        files::apply(&changes)?;
    }
    print(arguments, &found, &decided, &changes, output);
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
        for line in gaps::first(gaps, GAPS_SHOWN_MAX, "") {
            output.say(&format!("  {line}"));
        }
    }
}

/// Puts what a run said of its machines into the ledger of its target; gives when that was.
fn overlay(file: &Utf8Path, inventory: &mut Inventory) -> Result<Timestamp, Failure> {
    let text = fs::read_to_string(file).map_err(|source| {
        let file = file.to_owned();
        Failure::misused(PlanError::Unread { file, source })
    })?;
    let no_status = || {
        Failure::misused(PlanError::NoStatus(file.to_owned()))
            .hint("name a file that `windrow status PLAN -o json` wrote")
    };
    let status: RunStatus = serde_json::from_str(&text).map_err(|_| no_status())?;
    if status.schema != schemas::status::SCHEMA {
        return Err(no_status());
    }
    let at = status.at;
    let Some(target) = inventory.targets.get_mut(&status.target) else {
        let target = status.target.to_string();
        return Err(Failure::misused(PlanError::NoTarget { target })
            .hint("read that target too: windrow inventory pull"));
    };
    status.into_ledger(&mut target.ledger);
    Ok(at)
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
        let holds = |wave: &&MigrationWave| spec.is_of(&wave.name_any(), &wave.spec.digest);
        if committed.iter().any(|wave| holds(&wave)) {
            named.extend(spec.wave.clone());
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
        let wave = approval.value.spec.wave.as_ref();
        named.extend(wave.map(|wave| (wave.to_string(), "an approval")));
    }
    Ok(named)
}

/// Tells why the files could not be read, in the form that was asked for.
fn unreadable(failure: Failure, format: Form, output: &Output) -> Result<Outcome, Failure> {
    match failure.as_diagnostics() {
        Some(diagnostics) if format != Form::Table => {
            let found = Found {
                plan: None,
                diagnostics,
                findings: &[],
            };
            data(format, &found, json!({ "planned": false }), output);
            Ok(failure.outcome)
        }
        _ => Err(failure),
    }
}

/// Tells why there is no plan.
pub(crate) fn refuse(
    refusal: Refusal,
    format: Form,
    loaded: &LoadedPlan,
    output: &Output,
) -> Result<Outcome, Failure> {
    let (found, findings) = match refusal {
        Refusal::Invalid(found) => (found, Vec::new()),
        Refusal::Blocked { findings, warnings } => (warnings, findings),
        Refusal::Unsound(violations) => return Err(PlanError::unsound(violations)),
    };
    let diagnostics = loaded.diagnostics(&found);
    if format != Form::Table {
        let found = Found {
            plan: Some(loaded),
            diagnostics: &diagnostics,
            findings: &findings,
        };
        data(format, &found, json!({ "planned": false }), output);
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
    found: &Found<'_>,
    planned: &Planned,
    changes: &[FileChange],
    output: &Output,
) {
    let (Some(loaded), warnings) = (found.plan, found.diagnostics) else {
        return;
    };
    if arguments.output != Form::Table {
        let mut report = serde_json::to_value(&planned.report).expect("the report has a JSON form");
        report["planned"] = true.into();
        report["files"] = changes.iter().map(FileChange::to_json).collect();
        data(arguments.output, found, report, output);
        return;
    }
    if !warnings.is_empty() {
        output.complain(&diagnostic::render(warnings));
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

/// Prints what was found; as JSON and YAML with the rest of `report`.
fn data(format: Form, found: &Found<'_>, mut report: Value, output: &Output) {
    match format {
        Form::Sarif => return output.data(&found.sarif()),
        Form::Junit => return output.exact(&found.junit()),
        Form::Github => return output.exact(&found.github()),
        Form::Table | Form::Json | Form::Yaml => {}
    }
    report["diagnostics"] = found.diagnostics.iter().map(Diagnostic::to_json).collect();
    report["findings"] = found.json().into();
    match format {
        Form::Yaml => output.exact(&yaml::write(&report)),
        _ => output.data(&format!("{report:#}\n")),
    }
}

/// Prints which selector takes each VM.
fn show_selection(
    arguments: &Arguments,
    loaded: &LoadedPlan,
    inventory: &Inventory,
    wanted: &str,
    output: &Output,
) {
    let wanted = Some(wanted).filter(|wanted| !wanted.is_empty());
    let told = selection::selection(&loaded.plan.value, loaded.site(), inventory, wanted);
    let value = || serde_json::to_value(&told).expect("it has a JSON form");
    output.data(&match arguments.output {
        Form::Json => format!("{:#}\n", value()),
        Form::Yaml => yaml::write(&value()),
        _ => told.text(wanted.is_some(), &|path| loaded.locate(path)),
    });
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// Blockers, and the policy refuses the plan for them.
    #[error("plan: {} block{} it", planner::diagnostic::count(*.0, "finding"), if *.0 == 1 { "s" } else { "" })]
    Blocked(usize),
    /// Findings that `--fail-on` does not let pass.
    #[error("plan: there are {0}")]
    Failed(String),
    /// What a run said cannot be read.
    #[error("read `{file}`")]
    Unread {
        /// Which file.
        file: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is nothing that a run said.
    #[error("read `{0}`: it does not say how far a run is")]
    NoStatus(Utf8PathBuf),
    /// It is of a target without a snapshot.
    #[error("plan the rest of a run on `{target}`, of which there is no snapshot")]
    NoTarget {
        /// Which.
        target: String,
    },
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
