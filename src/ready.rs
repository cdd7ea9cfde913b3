//! `windrow ready`: whether a wave may go. Reads sources and target; the core judges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::ResourceExt as _;
use planner::diff::{Committed, Current};
use planner::ready::{Check, Inputs, Read, Readiness, Reading, Role, State, hosts, ready};
use schemas::ids::SourceName;
use schemas::inventory::Inventory;
use schemas::shown::shown;
use schemas::wave::MigrationWave;

use crate::cli::InputArguments;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::findings::{property, xml};
use crate::inventory::pull;
use crate::load::{self, LoadedPlan};
use crate::output::Output;
use crate::plan::files;
use crate::{plan, runtime, target};

/// Say whether a wave may go
///
/// To be asked a day and an hour before its window opens, by a person or by a pipeline. Logs in once to
/// each source of the wave, reads it and the target anew (nothing is written, and nothing changed
/// there), logs in once with the engine's Secret where that is another one, and judges: window,
/// approval, logins and when their passwords expire, drift since the wave was made, facts such as the
/// age of backups, findings, the steps outside that it waits for, the gates of its machines, room,
/// scratch, the engine's health, imports of others, machines that failed. Each check says what was
/// read, and when.
///
/// Exit codes: 0 go, 1 no go, 2 usage or I/O.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The wave, by name or by file name
    #[arg(value_name = "WAVE")]
    wave: String,
    /// The plan's file, or the folder of its `plan.yaml`
    #[arg(long, value_name = "PLAN", default_value = "plan.yaml")]
    plan: Utf8PathBuf,
    /// Where the snapshots are that the wave was made from [default: `inventory` beside the plan]
    #[arg(long, value_name = "DIR")]
    inventory: Option<Utf8PathBuf>,
    /// Secrets from a manifest file, or from a folder `<secret>/<key>` as Kubernetes mounts it
    #[arg(long, value_name = "PATH")]
    credentials: Option<Utf8PathBuf>,
    /// Connect to nothing: judge by the snapshots
    #[arg(long)]
    offline: bool,
    /// Judge as if it were then (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Print a table or JSON; or the checks as `JUnit` or GitHub annotations
    #[arg(long, short, value_enum, default_value_t)]
    output: Form,
}

/// Forms of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For CI (`JUnit`'s XML)
    Junit,
    /// As annotations of GitHub Actions
    Github,
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let now = arguments.at.unwrap_or_else(Timestamp::now);
    let input = InputArguments {
        inventory: arguments.inventory.clone(),
        as_of: Some(now.to_zoned(TimeZone::UTC).date()),
    };
    let before = load::inputs(&arguments.plan, &input, None)?;
    let loaded = &before.plan;
    let waves = target::waves(loaded, &target::waves_folder(loaded, None))?;
    let Some(wave) = waves
        .iter()
        .find(|wave| target::is_called(wave, &arguments.wave))
    else {
        let there = target::list(waves.iter().map(|wave| wave.value.name_any()));
        return Err(Failure::misused(ReadyError::Unknown {
            name: arguments.wave.clone(),
        })
        .hint(format!("the plan has {there}")));
    };
    let mut inventory = before.inventory.clone();
    let readings = read(arguments, loaded, &wave.value, now, &mut inventory, output)?;
    let planned = planner::plan_after(
        &loaded.plan.value,
        loaded.site(),
        &inventory,
        &before.committed,
    );
    let planned = match planned {
        Ok(planned) => planned,
        Err(refusal) => return plan::refuse(refusal, plan::Form::Table, loaded, output),
    };
    let approvals = target::approvals(loaded)?;
    let approvals: Vec<_> = approvals
        .into_iter()
        .map(|approval| approval.value)
        .collect();
    let folder = target::waves_folder(loaded, None);
    let forecast = files::forecast(&folder)?;
    let diff = planner::diff::diff(
        Committed {
            waves: &before.committed.waves,
            forecast: forecast.as_ref(),
            approvals: &approvals,
            inventory: Some(&before.inventory),
        },
        Current {
            plan: &loaded.plan.value,
            site: loaded.site(),
            inventory: &inventory,
            planned: &planned,
        },
    );
    let names = look_up(arguments, &wave.value)?;
    let readiness = ready(Inputs {
        now,
        wave: &wave.value,
        approvals: &approvals,
        readings: &readings,
        inventory: &inventory,
        planned: &planned,
        diff: &diff,
        names: &names,
    });
    match arguments.output {
        Form::Table => output.data(&table(&readiness, output.width().clamp(60, 100))),
        Form::Json => {
            let json = serde_json::to_value(&readiness).expect("it has a JSON form");
            output.data(&format!("{json:#}\n"));
        }
        Form::Junit => output.exact(&junit(&readiness)),
        Form::Github => output.exact(&github(&readiness, wave.file.path.as_str())),
    }
    if readiness.go {
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Refused)
}

/// For one name: a resolver that needs longer helps no gate.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the names that gates and steps of the wave hold have an address, seen from here.
fn look_up(arguments: &Arguments, wave: &MigrationWave) -> Result<BTreeMap<String, bool>, Failure> {
    let mut names = BTreeMap::new();
    let hosts = hosts(wave);
    if arguments.offline || hosts.is_empty() {
        return Ok(names);
    }
    runtime::block_on(async {
        for host in &hosts {
            let found = tokio::net::lookup_host((host.as_str(), 0));
            let found = tokio::time::timeout(LOOK_UP_TIMEOUT, found).await;
            let is_known = match found {
                Ok(Ok(mut addresses)) => addresses.next().is_some(),
                Ok(Err(_)) | Err(_) => false,
            };
            names.insert(host.clone(), is_known);
        }
        Ok(Outcome::Done)
    })?;
    Ok(names)
}

/// Reads the wave's sources and its target, each by one login, and puts what was read in the place of
/// its snapshot; logs in to the sources with the engine's Secret, where that is another one.
fn read(
    arguments: &Arguments,
    loaded: &LoadedPlan,
    wave: &MigrationWave,
    now: Timestamp,
    inventory: &mut Inventory,
    output: &Output,
) -> Result<Vec<Reading>, Failure> {
    let sources = wave.spec.imports.iter().map(|import| &import.vm.source);
    let sources: BTreeSet<&SourceName> = sources.collect();
    let mut logins: Vec<(&str, Role)> = Vec::new();
    for name in &sources {
        logins.push((name.as_str(), Role::Source));
        if pull::engine_logs_in_otherwise(loaded, name, arguments.credentials.as_ref())? {
            logins.push((name.as_str(), Role::Engine));
        }
    }
    logins.push((wave.spec.target.name.as_str(), Role::Target));
    // Gone when it is dropped, at the end.
    let made =
        tempfile::tempdir().map_err(|source| Failure::misused(ReadyError::Folder(source)))?;
    let folder = Utf8Path::from_path(made.path());
    let folder = folder.ok_or_else(|| Failure::misused(ReadyError::FolderName))?;
    let mut readings = Vec::new();
    for (name, role) in logins {
        // The time that was given stands for now.
        let asked = || arguments.at.unwrap_or_else(Timestamp::now).max(now);
        let (read, password_expires) = if arguments.offline {
            (Read::NotAsked, None)
        } else {
            match log_in(arguments, loaded, name, role, folder, output) {
                Ok(expires) => (Read::Done, expires),
                Err(failure) => (Read::Failed(in_one_line(&failure)), None),
            }
        };
        readings.push(Reading {
            name: name.to_owned(),
            role,
            at: asked(),
            read,
            password_expires,
        });
    }
    let is_new = |reading: &Reading| reading.read == Read::Done && reading.role != Role::Engine;
    if readings.iter().any(is_new) {
        let fresh = inventory::snapshot::read(folder).map_err(Failure::misused)?;
        for reading in readings.iter_mut().filter(|r| r.role == Role::Source) {
            let mut sources = fresh.sources.iter();
            let source = sources.find(|(name, _)| name.as_str() == reading.name);
            reading.password_expires = source.and_then(|(_, source)| source.about.password_expires);
        }
        inventory.sources.extend(fresh.sources);
        inventory.targets.extend(fresh.targets);
    }
    Ok(readings)
}

/// One login. What is read goes into `folder`; when the password of the engine's Secret expires comes
/// back, where that is what logs in.
fn log_in(
    arguments: &Arguments,
    loaded: &LoadedPlan,
    name: &str,
    role: Role,
    folder: &Utf8Path,
    output: &Output,
) -> Result<Option<Timestamp>, Failure> {
    let credentials = arguments.credentials.as_ref();
    if role == Role::Engine {
        let login = pull::log_in_as_engine(loaded, name, credentials, output);
        return runtime::block_on(login);
    }
    let one = pull::Arguments::one(&loaded.plan.file.path, name, credentials, folder);
    runtime::block_on(pull::run(one, output))?;
    Ok(None)
}

/// Why it failed, without the layout of an error.
fn in_one_line(failure: &Failure) -> String {
    let text = failure.render();
    let lines = text.lines().map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("error: failed to ").unwrap_or(line);
        line.strip_prefix("because: ").unwrap_or(line).to_owned()
    });
    lines.collect::<Vec<_>>().join("; ")
}

const INFALLIBLE: &str = "a String takes everything";

fn word(state: State) -> &'static str {
    match state {
        State::Go => "go",
        State::Caution => "look",
        State::NoGo => "NO GO",
    }
}

/// What a check is called: what it asks, of whom.
fn called(check: &Check) -> String {
    let kind = match check.kind {
        "engineLogin" => "engine's login",
        "engineSecret" => "engine's Secret",
        kind => kind,
    };
    match check.subject.as_str() {
        "" => kind.to_owned(),
        subject => format!("{kind} {subject}"),
    }
}

/// A text in lines of at most so many characters, between words.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= most {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn table(readiness: &Readiness, columns: usize) -> String {
    let mut text = format!("{}\n\n", readiness.headline());
    let width = readiness
        .checks
        .iter()
        .map(|check| called(check).chars().count());
    let width = width.max().unwrap_or(0);
    for check in &readiness.checks {
        let at = check.at.strftime("%H:%M:%S");
        let read = format!("read: {}, at {at} UTC", check.read);
        let said = [
            Some(check.found.as_str()),
            Some(read.as_str()),
            check.remedy.as_deref(),
        ];
        let lines = said
            .into_iter()
            .flatten()
            .flat_map(|said| wrapped(said, columns.saturating_sub(width + 11).max(20)));
        for (number, line) in lines.enumerate() {
            let first = number == 0;
            let (word, name) = if first {
                (word(check.state), called(check))
            } else {
                ("", String::new())
            };
            writeln!(text, "  {word:<5}  {name:<width$}  {line}").expect(INFALLIBLE);
        }
    }
    text
}

fn junit(readiness: &Readiness) -> String {
    let failures = readiness
        .checks
        .iter()
        .filter(|check| check.state == State::NoGo);
    let numbers = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\"",
        readiness.checks.len(),
        failures.count()
    );
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"windrow ready\" {numbers}>\n  \
         <testsuite name=\"{}\" {numbers} timestamp=\"{}\">\n",
        xml(&readiness.wave),
        readiness.at.strftime("%Y-%m-%dT%H:%M:%S")
    );
    for check in &readiness.checks {
        let (name, said) = (xml(&called(check)), xml(&said(check)));
        let inside = match check.state {
            State::NoGo => format!("<failure message=\"{said}\" type=\"{}\"/>", check.kind),
            State::Caution | State::Go => format!("<system-out>{said}</system-out>"),
        };
        writeln!(
            text,
            "    <testcase classname=\"{}\" name=\"{name}\">{inside}</testcase>",
            check.kind
        )
        .expect(INFALLIBLE);
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn github(readiness: &Readiness, file: &str) -> String {
    let mut text = String::new();
    for check in &readiness.checks {
        let command = match check.state {
            State::Go => continue,
            State::Caution => "warning",
            State::NoGo => "error",
        };
        let title = property(&format!("{}: {}", readiness.wave, called(check)));
        let said = said(check).replace('%', "%25");
        writeln!(
            text,
            "::{command} file={},title={title}::{said}",
            property(file)
        )
        .expect(INFALLIBLE);
    }
    writeln!(
        text,
        "::notice title=windrow ready::{}",
        readiness.headline()
    )
    .expect(INFALLIBLE);
    text
}

/// What was found, of what, and what to do, in one line.
fn said(check: &Check) -> String {
    let mut text = format!("{} (read: {}, at {})", check.found, check.read, check.at);
    if let Some(remedy) = &check.remedy {
        write!(text, "; {remedy}").expect(INFALLIBLE);
    }
    shown(&text).into_owned()
}

/// Why nothing was judged.
#[derive(Debug, thiserror::Error)]
enum ReadyError {
    /// There is no such wave.
    #[error("find the wave `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// There is no room for what is read.
    #[error("make a temporary folder")]
    Folder(#[source] std::io::Error),
    /// It has a name that is no text.
    #[error("name a temporary folder")]
    FolderName,
}
