//! Whether a wave may go: what must hold a day and an hour before it begins.
//!
//! Takes what was just read of the sources and the target, beside the committed wave, and the time;
//! gives one check for each thing that could stop it at night, with what was read and when. The edge
//! reads; nothing is asked for here.

mod outside;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use schemas::approval::WaveApproval;
use schemas::finding::{Finding, Severity, Subject};
use schemas::inventory::{Inventory, TargetInventory};
use schemas::machine::Stage;
use schemas::shown::shown;
use schemas::site::ApprovalPolicy;
use schemas::units::Seconds;
use schemas::wave::{MigrationWave, WaveWindow};
use serde::Serialize;

use crate::diagnostic::count;
use crate::diff::PlanDiff;
use crate::pipeline::Planned;

pub use outside::hosts;

/// The schema named in the JSON form.
pub const SCHEMA: &str = "windrow.ready/1";

const INFALLIBLE: &str = "a String takes everything";

/// Most machines that a check names.
const NAMED_MAX: usize = 5;

/// Findings about what people know of VMs: a fact that is required is missing, wrong, or too old.
const FACT_CODES: [&str; 3] = ["WR050", "WR051", "WR052"];

/// A password that expires so long after the wave, or earlier, is worth a word: seven days, in which
/// what failed is tried again.
const PASSWORD_SOON: Seconds = Seconds(7 * 24 * 3600);

/// How long a wave without a window is taken to last, where its passwords are concerned: one day.
const WAVE_WITHOUT_WINDOW: Seconds = Seconds(24 * 3600);

/// The state of an import that is over.
const IMPORT_DONE: &str = "virtualMachineRunning";

/// What is judged.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The time.
    pub now: Timestamp,
    /// The committed wave.
    pub wave: &'a MigrationWave,
    /// Approvals beside the plan.
    pub approvals: &'a [WaveApproval],
    /// The sources and the target, as they were read.
    pub readings: &'a [Reading],
    /// What they come to: those that were read, else their last snapshots.
    pub inventory: &'a Inventory,
    /// The plan made from that.
    pub planned: &'a Planned,
    /// What differs from what is committed.
    pub diff: &'a PlanDiff,
    /// Whether the [`hosts`] that gates and steps name have an address, seen from where this is asked;
    /// those that nobody looked up are absent.
    pub names: &'a BTreeMap<String, bool>,
}

/// One login to a source or target, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its name in the site.
    pub name: String,
    /// Where, and with whose Secret.
    pub role: Role,
    /// When that was.
    pub at: Timestamp,
    /// What came of it.
    pub read: Read,
    /// When the password expires, where the server says so.
    pub password_expires: Option<Timestamp>,
}

/// Where a login went, and with whose Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// To a source, to read it.
    Source,
    /// To a source with the engine's Secret, where that is another one; nothing was read.
    Engine,
    /// To the target.
    Target,
}

/// What came of reading a source or target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// It was read, by one login.
    Done,
    /// It could not be, and why.
    Failed(String),
    /// Nobody asked it.
    NotAsked,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nothing is wrong.
    Go,
    /// Worth a look; it stops nothing.
    Caution,
    /// The wave must not begin so.
    NoGo,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Stable, for programs: `window`, `approval`, `login`, …
    pub kind: &'static str,
    /// What it is about: a source, a target; nothing where it is the wave.
    pub subject: String,
    /// How it stands.
    pub state: State,
    /// What was found, in words.
    pub found: String,
    /// What was read for it.
    pub read: String,
    /// When.
    pub at: Timestamp,
    /// What a person can do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Cow<'static, str>>,
}

/// Whether a wave may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The wave.
    pub wave: String,
    /// When it was judged.
    pub at: Timestamp,
    /// Whether no check says no.
    pub go: bool,
    /// Its window opens; absent: at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
    /// All checks, in the order in which a person would ask.
    pub checks: Vec<Check>,
}

/// Judges.
pub fn ready(inputs: Inputs<'_>) -> Readiness {
    let mut checks = vec![window(&inputs), approval(&inputs)];
    for reading in inputs.readings {
        checks.push(login(&inputs, reading));
    }
    checks.extend(engines_logins(&inputs));
    checks.push(drift(&inputs));
    checks.push(facts(&inputs));
    checks.push(findings(&inputs));
    checks.extend(outside::steps(&inputs));
    checks.extend(outside::gates(&inputs));
    checks.extend(room(&inputs));
    if let Some(target) = inputs.inventory.targets.get(&inputs.wave.spec.target.name) {
        checks.push(scratch(&inputs, target));
        checks.push(engine(&inputs, target));
        checks.push(queue(&inputs, target));
        checks.push(ledger(&inputs, target));
    }
    Readiness {
        schema: SCHEMA,
        wave: name_of(inputs.wave),
        at: inputs.now,
        go: checks.iter().all(|check| check.state != State::NoGo),
        opens: inputs.wave.spec.window.as_ref().map(|window| window.from),
        checks,
    }
}

/// The wave's name; every one that was read has one.
fn name_of(wave: &MigrationWave) -> String {
    wave.metadata.name.clone().unwrap_or_default()
}

impl Readiness {
    /// In one line.
    pub fn headline(&self) -> String {
        let number = |state| self.checks.iter().filter(|c| c.state == state).count();
        let verdict = if self.go { "go" } else { "no go" };
        let when = self.opens.map_or_else(String::new, |opens| {
            match opens.duration_since(self.at).as_secs() {
                left if left > 0 => format!(", {} before its window opens", span(left)),
                _ => ", its window is open or over".to_owned(),
            }
        });
        let bad = match (number(State::NoGo), number(State::Caution)) {
            (0, 0) => format!("all {} hold", count(self.checks.len(), "check")),
            (no, caution) => format!("{no} against it, {caution} to look at"),
        };
        format!("{}: {verdict}{when}: {bad}", self.wave)
    }
}

fn span(seconds: i64) -> Seconds {
    Seconds(seconds.unsigned_abs())
}

impl Inputs<'_> {
    /// A check of what lies beside the plan.
    fn own(&self, kind: &'static str, read: &str, state: State, found: String) -> Check {
        Check {
            kind,
            subject: String::new(),
            state,
            found,
            read: read.to_owned(),
            at: self.now,
            remedy: None,
        }
    }

    /// What was read of the sources, and how.
    fn sources(&self, how: &str) -> String {
        let mut readings = self.readings.iter().filter(|r| r.role == Role::Source);
        if readings.all(|reading| reading.read == Read::Done) {
            format!("the sources, {how}")
        } else {
            format!("the last snapshots of sources that were not read, {how}")
        }
    }

    /// A check of what was read of the target.
    fn of_target(&self, kind: &'static str, state: State, found: String) -> Check {
        let name = self.wave.spec.target.name.as_str();
        let reading = self
            .readings
            .iter()
            .find(|r| r.role == Role::Target && r.name == name);
        let fresh = reading.filter(|reading| reading.read == Read::Done);
        Check {
            kind,
            subject: name.to_owned(),
            state,
            found,
            read: match fresh {
                Some(_) => "the target".to_owned(),
                None => "the target's last snapshot".to_owned(),
            },
            at: fresh.map_or(self.now, |reading| reading.at),
            remedy: None,
        }
    }

    /// Findings of the wave's machines that are not waived.
    fn open(&self) -> impl Iterator<Item = &Finding> {
        let imports = &self.wave.spec.imports;
        let findings = self.planned.report.findings.iter();
        findings.filter(move |finding| {
            let ours = |key: &schemas::ids::VmKey| imports.iter().any(|import| import.vm == *key);
            let subject = match &finding.subject {
                Subject::Vm { key, .. } => ours(key),
                _ => false,
            };
            subject && finding.waived_by.is_none()
        })
    }
}

impl Check {
    fn remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        if self.state != State::Go {
            self.remedy = Some(remedy.into());
        }
        self
    }
}

fn window(inputs: &Inputs<'_>) -> Check {
    let Some(window) = &inputs.wave.spec.window else {
        let found = "it has none, and may start at any time".to_owned();
        return inputs.own("window", "the wave", State::Go, found);
    };
    let until = |at: Timestamp| at.duration_since(inputs.now).as_secs();
    let (opens, last) = (until(window.from), until(window.last_start));
    let name = format!("{} {}", window.name, window.occurrence);
    let (state, found) = if last <= 0 {
        let over = format!("{name}: nothing starts in it any more");
        (State::NoGo, over)
    } else if opens > 0 {
        (State::Go, format!("{name} opens in {}", span(opens)))
    } else {
        (
            State::Go,
            format!("{name} is open; the last start is in {}", span(last)),
        )
    };
    inputs
        .own("window", "the wave", state, found)
        .remedy("plan again: `windrow plan` gives what is left another occurrence")
}

fn approval(inputs: &Inputs<'_>) -> Check {
    let spec = &inputs.wave.spec;
    let own = |state, found| inputs.own("approval", "the approvals beside the plan", state, found);
    if spec.approval == ApprovalPolicy::None {
        return own(State::Go, "none is needed".to_owned());
    }
    let occurrence = spec.window.as_ref().map(|window| &window.occurrence);
    let of_it: Vec<&WaveApproval> = inputs
        .approvals
        .iter()
        .filter(|approval| {
            let wave = approval.spec.wave.as_ref();
            wave.is_some_and(|wave| wave.as_str() == name_of(inputs.wave))
        })
        .collect();
    let holds = |approval: &&&WaveApproval| {
        let approval = &approval.spec;
        approval.is_of(&name_of(inputs.wave), &spec.digest)
            && approval
                .occurrence
                .as_ref()
                .is_none_or(|id| Some(id) == occurrence)
    };
    let Some(approval) = of_it.iter().find(holds) else {
        let found = match of_it.len() {
            0 => "there is none".to_owned(),
            _ => "there is one for another digest or occurrence".to_owned(),
        };
        return own(State::NoGo, found).remedy("`windrow approve` it, or ask who may");
    };
    let begins = spec
        .window
        .as_ref()
        .map_or(inputs.now, |window| window.from.max(inputs.now));
    let closes = spec.window.as_ref().map(|window| window.last_start);
    let by = approval.spec.reference.as_deref();
    let by = by.map_or_else(String::new, |by| format!(" ({})", shown(by)));
    match approval.spec.expires {
        Some(at) if at <= begins => own(
            State::NoGo,
            format!("it expires at {at}, before the start{by}"),
        )
        .remedy("`windrow approve` it again"),
        Some(at) if closes.is_some_and(|closes| at < closes) => own(
            State::Caution,
            format!("it expires at {at}, before the last start{by}"),
        )
        .remedy("`windrow approve` it again, so that all of it can start"),
        _ => own(
            State::Go,
            format!("it holds for this digest and occurrence{by}"),
        ),
    }
}

fn login(inputs: &Inputs<'_>, reading: &Reading) -> Check {
    let (kind, what, works, refused) = match reading.role {
        Role::Source => (
            "login",
            "the source",
            "login and inventory work",
            "look at address, account and password, and ask again; each call logs in once",
        ),
        Role::Engine => (
            "engineSecret",
            "the source, with the engine's Secret",
            "login works",
            "mend the engine's Secret: with it every export fails, the guest switched off; each call \
             logs in once",
        ),
        Role::Target => (
            "login",
            "the target",
            "login and inventory work",
            "look at the kubeconfig, and what its account may read",
        ),
    };
    let (state, found, read, remedy) = match &reading.read {
        Read::Done => {
            let window = inputs.wave.spec.window.as_ref();
            let (state, password) = password(inputs.now, window, reading.password_expires);
            let remedy =
                "give the account a new password, and the Secrets with it, before the wave";
            (state, format!("{works}{password}"), what, remedy)
        }
        Read::Failed(why) => (State::NoGo, shown(why).into_owned(), what, refused),
        Read::NotAsked => (
            State::Caution,
            "not asked: judged by its last snapshot".to_owned(),
            "nothing",
            "leave out `--offline` where the sources can be reached",
        ),
    };
    Check {
        kind,
        subject: reading.name.clone(),
        state,
        found,
        read: read.to_owned(),
        at: reading.at,
        remedy: None,
    }
    .remedy(remedy)
}

/// Whether a password lasts as long as the wave needs it: an import logs in again at every step.
fn password(
    now: Timestamp,
    window: Option<&WaveWindow>,
    expires: Option<Timestamp>,
) -> (State, String) {
    let Some(expires) = expires else {
        return (State::Go, String::new());
    };
    let after = |at: Timestamp, seconds: Seconds| {
        let later = jiff::SignedDuration::from_secs(i64::try_from(seconds.0).unwrap_or(i64::MAX));
        at.saturating_add(later).unwrap_or(Timestamp::MAX)
    };
    let end = window.map_or_else(|| after(now, WAVE_WITHOUT_WINDOW), |window| window.to);
    if expires > after(end, PASSWORD_SOON) {
        return (State::Go, format!("; the password lasts until {expires}"));
    }
    if expires > end {
        let left = span(expires.duration_since(end).as_secs());
        let text = format!("; the password expires at {expires}, {left} after the wave");
        return (State::Caution, text);
    }
    let before = match window {
        Some(_) => "before the window closes",
        None => "within a day",
    };
    let text = format!("; the password expires at {expires}, {before}");
    (State::NoGo, text)
}

/// What the engine says of its own logins: it looks at its source objects by itself.
fn engines_logins(inputs: &Inputs<'_>) -> Vec<Check> {
    let Some(target) = inputs.inventory.targets.get(&inputs.wave.spec.target.name) else {
        return Vec::new();
    };
    let sources = inputs.wave.spec.sources.iter();
    let sources =
        sources.filter_map(|source| {
            let namespace = inputs
                .wave
                .metadata
                .namespace
                .as_deref()
                .unwrap_or_default();
            let suffix = format!("/{namespace}/{}", source.name);
            let object = target
                .sources
                .iter()
                .find(|object| object.id.ends_with(&suffix))?;
            let (state, found) = match object.state.as_deref() {
                Some("clusterReady") => (State::Go, "it is logged in".to_owned()),
                Some(state) => (
                    State::NoGo,
                    format!("`{}` says {}", object.id, shown(state)),
                ),
                None => (State::Caution, format!("`{}` says nothing yet", object.id)),
            };
            let mut check = inputs.of_target("engineLogin", state, found);
            check.subject = source.name.to_string();
            Some(check.remedy(
                "look at the engine's Secret: its password is not the one of the inventory",
            ))
        });
    sources.collect()
}

fn drift(inputs: &Inputs<'_>) -> Check {
    let name = name_of(inputs.wave);
    let is_it = |wave: Option<&schemas::ids::WaveName>| wave.is_some_and(|w| w.as_str() == name);
    let changed: Vec<String> = inputs
        .diff
        .vms
        .iter()
        .filter(|vm| is_it(vm.wave.before.as_ref()) || is_it(vm.wave.now.as_ref()))
        .map(|vm| {
            let first = vm.drift.first().or_else(|| vm.changes.first());
            let first = first.map_or_else(String::new, |field| {
                let value = |value: &Option<String>| {
                    shown(value.as_deref().unwrap_or("nothing")).into_owned()
                };
                format!(
                    " ({} {} → {})",
                    shown(&field.what),
                    value(&field.before),
                    value(&field.now)
                )
            });
            format!("`{}`{first}", shown(vm.name.as_str()))
        })
        .collect();
    let wave = inputs
        .diff
        .waves
        .iter()
        .find(|wave| wave.name.as_str() == name);
    let read = inputs.sources("beside the snapshots of the plan");
    let (state, found) = match (wave, changed.len()) {
        (None, 0) => (
            State::Go,
            "nothing has changed since the wave was made".to_owned(),
        ),
        (_, 0) => (
            State::NoGo,
            "the wave would be made otherwise now".to_owned(),
        ),
        (_, number) => {
            let mut text = changed[..number.min(NAMED_MAX)].join(", ");
            if number > NAMED_MAX {
                write!(text, ", and {} more", number - NAMED_MAX).expect(INFALLIBLE);
            }
            (
                State::NoGo,
                format!("{} changed: {text}", count(number, "machine")),
            )
        }
    };
    inputs
        .own("drift", &read, state, found)
        .remedy("`windrow diff` says what that comes to; plan and approve again")
}

/// Backups, drivers, owners: what the site requires people to know.
fn facts(inputs: &Inputs<'_>) -> Check {
    let plan = &inputs.planned.checked.plan;
    let day = plan
        .day
        .map_or_else(String::new, |day| format!(", judged on {day}"));
    let read = format!("the site's tables of facts{day}");
    let wrong: Vec<&Finding> = inputs
        .open()
        .filter(|finding| FACT_CODES.contains(&finding.code.as_str()))
        .collect();
    let state = state_of(&wrong);
    let found = match wrong.len() {
        0 if plan.requirements.is_empty() => {
            "the site requires none, as of a backup's age".to_owned()
        }
        0 => "all that are required are there and young enough".to_owned(),
        _ => named(&wrong),
    };
    inputs
        .own("facts", &read, state, found)
        .remedy("bring the table up to date, or make the backup")
}

fn findings(inputs: &Inputs<'_>) -> Check {
    let open: Vec<&Finding> = inputs
        .open()
        .filter(|finding| !FACT_CODES.contains(&finding.code.as_str()))
        .filter(|finding| finding.severity != Severity::Info)
        .collect();
    let found = match open.len() {
        0 => "no machine of it has an open one".to_owned(),
        _ => named(&open),
    };
    inputs
        .own(
            "findings",
            &inputs.sources("by all checks"),
            state_of(&open),
            found,
        )
        .remedy("`windrow explain CODE` says what to do")
}

fn state_of(findings: &[&Finding]) -> State {
    let worst = findings.iter().map(|finding| finding.severity).min();
    match worst {
        Some(Severity::Blocker) => State::NoGo,
        Some(_) => State::Caution,
        None => State::Go,
    }
}

/// The first of them, the worst first as they come, and how many more.
fn named(findings: &[&Finding]) -> String {
    let told = findings.iter().take(NAMED_MAX).map(|finding| {
        let name = match &finding.subject {
            Subject::Vm { name, .. } => shown(name.as_str()).into_owned(),
            _ => String::new(),
        };
        format!("{} `{name}`: {}", finding.code, shown(&finding.evidence))
    });
    let mut text = told.collect::<Vec<_>>().join("; ");
    if findings.len() > NAMED_MAX {
        write!(text, "; and {} more", findings.len() - NAMED_MAX).expect(INFALLIBLE);
    }
    text
}

fn room(inputs: &Inputs<'_>) -> Vec<Check> {
    let lines = inputs.planned.report.capacity.iter();
    let lines = lines.map(|line| {
        let state = if line.fits() { State::Go } else { State::NoGo };
        let found = format!(
            "{}: {} of {} needed ({} %)",
            line.what,
            line.unit.show(line.needs),
            line.unit.show(line.has),
            line.percent()
        );
        let mut check = inputs.of_target("room", state, found);
        check.subject.clone_from(&line.place);
        check.remedy("make room, or move fewer machines")
    });
    lines.collect()
}

/// What lies in the scratch now, beside what the wave may hold there.
fn scratch(inputs: &Inputs<'_>, target: &TargetInventory) -> Check {
    let spec = &inputs.wave.spec;
    let largest = spec.imports.iter().map(|import| import.size.peak.0).max();
    let largest = largest.unwrap_or_default();
    let about = target.about.scratch.as_ref();
    let (Some(capacity), used) = (
        about.and_then(|scratch| scratch.capacity_bytes),
        about.and_then(|scratch| scratch.used_bytes),
    ) else {
        let found = "its size could not be read".to_owned();
        return inputs
            .of_target("scratch", State::Caution, found)
            .remedy("give the account the right to read the engine's claim");
    };
    let free = capacity.saturating_sub(used.unwrap_or_default());
    let state = if capacity < spec.scratch.0 || free < largest {
        State::NoGo
    } else if free < spec.scratch.0 {
        State::Caution
    } else {
        State::Go
    };
    let known = if used.is_some() {
        ""
    } else {
        " (what lies in it is not known)"
    };
    let found = format!(
        "{free} of {capacity} free{known}; the largest import holds {largest}, all together at most {}",
        spec.scratch.0
    );
    inputs
        .of_target("scratch", state, found)
        .remedy("remove what old imports left on the scratch, or wait for those under way")
}

fn engine(inputs: &Inputs<'_>, target: &TargetInventory) -> Check {
    let (state, found) = match &target.about.engine {
        None => (
            State::Caution,
            "its Deployment could not be read".to_owned(),
        ),
        Some(engine) => {
            let image = shown(&engine.image);
            match (engine.replicas, engine.ready) {
                (0, _) => (State::NoGo, format!("{image}: it is switched off")),
                (_, Some(0)) => (State::NoGo, format!("{image}: no copy is ready")),
                (_, None) => (
                    State::Caution,
                    format!("{image}: nobody says whether it is ready"),
                ),
                (all, Some(up)) => (State::Go, format!("{image}: {up} of {all} ready")),
            }
        }
    };
    inputs
        .of_target("engine", state, found)
        .remedy("look at the add-on vm-import-controller and its Pod's log")
}

/// Imports of others: they hold the engine and its scratch.
fn queue(inputs: &Inputs<'_>, target: &TargetInventory) -> Check {
    let busy = target.imports.iter().filter(|import| !import.ours);
    let busy = busy.filter(|import| import.state.as_deref() != Some(IMPORT_DONE));
    let names: Vec<String> = busy
        .map(|import| format!("`{}`", shown(&import.id)))
        .collect();
    let (state, found) = match names.len() {
        0 => (
            State::Go,
            "no import of somebody else is under way".to_owned(),
        ),
        number => {
            let listed = names[..number.min(NAMED_MAX)].join(", ");
            let many = count(number, "import");
            (State::Caution, format!("{many} of somebody else: {listed}"))
        }
    };
    inputs
        .of_target("queue", state, found)
        .remedy("ask whose they are: the engine exports one after the other")
}

/// Machines of the wave that failed or are held already.
fn ledger(inputs: &Inputs<'_>, target: &TargetInventory) -> Check {
    let stopped = target.ledger.iter().filter(|line| {
        let ours = inputs
            .wave
            .spec
            .imports
            .iter()
            .any(|import| import.vm == line.vm);
        ours && matches!(line.stage, Stage::Failed | Stage::Held)
    });
    let names: Vec<String> = stopped
        .map(|line| format!("`{}`", shown(&line.id)))
        .collect();
    let (state, found) = match names.len() {
        0 => (
            State::Go,
            "no machine of it has failed or is held".to_owned(),
        ),
        _ => (State::NoGo, format!("failed or held: {}", names.join(", "))),
    };
    inputs
        .of_target("ledger", state, found)
        .remedy("`windrow status` says why; `windrow retry` tries again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("RFC 3339")
    }

    // A password must last until the window closes, and should last for the attempts after it.
    #[test]
    fn passwords() {
        let now = at("2026-11-27T21:00:00Z");
        let window = WaveWindow {
            name: "weekend".into(),
            occurrence: "2026-11-28".into(),
            from: at("2026-11-28T21:00:00Z"),
            to: at("2026-11-29T05:00:00Z"),
            last_start: at("2026-11-29T04:30:00Z"),
            rollback_reserve: None,
        };
        for (window, expires, state, said) in [
            (Some(&window), None, State::Go, ""),
            (
                Some(&window),
                Some("2027-01-01T00:00:00Z"),
                State::Go,
                "lasts until",
            ),
            (
                Some(&window),
                Some("2026-12-01T05:00:00Z"),
                State::Caution,
                "2 d after the wave",
            ),
            (
                Some(&window),
                Some("2026-11-29T05:00:00Z"),
                State::NoGo,
                "before the window closes",
            ),
            (
                None,
                Some("2026-11-28T20:00:00Z"),
                State::NoGo,
                "within a day",
            ),
            (
                None,
                Some("2026-11-29T21:00:00Z"),
                State::Caution,
                "24 h after the wave",
            ),
        ] {
            let (is, text) = password(now, window, expires.map(at));
            assert!(
                is == state && text.contains(said),
                "{expires:?}: {is:?}{text}"
            );
        }
    }
}
