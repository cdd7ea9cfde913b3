//! How a run goes, for people: plain lines with a time anywhere, live bars on a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use executor::{Notice, Observer};
use executor_machine::{At, Hold, HoldReason, MachineState, MachineView, RunView, Wait};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use schemas::machine::Stage;
use schemas::units::Seconds;

use crate::output::Output;

/// Rows of machines that are shown at once: the engine works on one, a few wait for their images.
const ROWS_MAX: usize = 8;
/// A source that is no older is being looked at; the engine needs a second or two for it.
const SOURCE_IS_NEW_SECONDS: i64 = 15;

/// Tells how a run goes.
pub struct Progress<'o> {
    output: &'o Output,
    live: Option<Live>,
    /// Something was said already.
    began: bool,
    /// What was last said of each machine, and of each wave.
    machines: BTreeMap<At, String>,
    holds: BTreeMap<String, String>,
    /// The last failure, so that it is said once.
    failure: Option<String>,
}

/// Bars on a terminal.
struct Live {
    bars: MultiProgress,
    head: ProgressBar,
    rows: BTreeMap<At, ProgressBar>,
}

impl<'o> Progress<'o> {
    /// Live if `output` may draw, else in lines. `title` heads the bars.
    pub fn new(output: &'o Output, title: &str) -> Self {
        Self {
            live: output.progress().then(|| Live::new(title)),
            output,
            began: false,
            machines: BTreeMap::new(),
            holds: BTreeMap::new(),
            failure: None,
        }
    }

    /// In lines, whatever `output` may draw.
    pub fn lines(output: &'o Output) -> Self {
        Self {
            live: None,
            ..Self::new(output, "")
        }
    }

    /// Says a line that stays.
    pub fn line(&self, now: Timestamp, text: &str) {
        let text = format!("{} {text}", now.strftime("%Y-%m-%dT%H:%M:%SZ"));
        match &self.live {
            Some(live) => live.bars.suspend(|| self.output.say(&text)),
            None => self.output.say(&text),
        }
    }

    fn say_machine(&mut self, view: &RunView, machine: &MachineView, now: Timestamp) {
        let text = match &machine.state {
            // That one waits is no news; who fell out is.
            MachineState::Waiting(_) => return,
            MachineState::Active(Stage::Running) => "runs, waits for its gate".to_owned(),
            MachineState::Active(stage) => stage_name(*stage).to_owned(),
            MachineState::Done => format!("running{}", downtime(machine)),
            MachineState::Failed(why) => format!("failed: {why}"),
            MachineState::Blocked { name, plan, .. } => {
                format!("held back: `{name}`{} failed", of_plan(plan.as_ref()))
            }
        };
        let before = self.machines.insert(machine.record.clone(), text.clone());
        if !self.began && machine.state == MachineState::Done {
            // It was so before this run.
            return;
        }
        if before.as_ref() != Some(&text) {
            self.line(now, &format!("{:<24} {text}", label(view, machine)));
        }
    }

    fn say_holds(&mut self, view: &RunView, now: Timestamp) {
        let holds: BTreeMap<String, String> = view
            .holds
            .iter()
            .filter(|hold| !is_new(hold, now))
            .map(|hold| (hold.wave.to_string(), hold_text(hold)))
            .collect();
        for (wave, text) in &holds {
            if self.holds.get(wave) != Some(text) {
                self.line(now, &format!("{wave:<24} {text}"));
            }
        }
        self.holds = holds;
    }
}

impl Observer for Progress<'_> {
    fn view(&mut self, view: &RunView, now: Timestamp) {
        for machine in &view.machines {
            self.say_machine(view, machine, now);
        }
        self.say_holds(view, now);
        self.began = true;
        if let Some(live) = &mut self.live {
            live.draw(view, now);
        }
    }

    fn notice(&mut self, notice: Notice<'_>) {
        let now = Timestamp::now();
        match notice {
            Notice::Synced | Notice::Did(_) => {}
            Notice::Failed { error, pause } => {
                let cause = std::error::Error::source(error);
                let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                let text = format!("failed to {error}{cause}");
                if self.failure.as_ref() != Some(&text) {
                    self.line(now, &format!("{text}; again in {} s", pause.as_secs()));
                    self.failure = Some(text);
                }
            }
            Notice::Blind { kind, reason } => {
                self.line(
                    now,
                    &format!("cannot follow {kind} objects, so nothing is begun: {reason}"),
                );
            }
            Notice::SeesAgain => self.line(now, "the cluster answers again"),
        }
    }
}

impl Live {
    fn new(title: &str) -> Self {
        let bars = MultiProgress::new();
        // Of length 0 it would look full.
        let head = bars.add(ProgressBar::new(1));
        head.set_style(style("{prefix}  ▕{bar:24}▏ {msg}"));
        head.set_prefix(title.to_owned());
        Self {
            bars,
            head,
            rows: BTreeMap::new(),
        }
    }

    fn draw(&mut self, view: &RunView, now: Timestamp) {
        let count = |wanted: fn(&MachineState) -> bool| {
            view.machines
                .iter()
                .filter(|machine| wanted(&machine.state))
                .count()
        };
        let done = count(|state| matches!(state, MachineState::Done));
        let failed = count(|state| matches!(state, MachineState::Failed(_)));
        self.head.set_length(view.machines.len() as u64);
        self.head.set_position(done as u64);
        let failed = if failed > 0 {
            format!(", {failed} failed")
        } else {
            String::new()
        };
        self.head.set_message(format!(
            "{done} of {} running{failed}   scratch {} of {}",
            view.machines.len(),
            view.scratch_held,
            view.scratch_usable
        ));
        self.draw_rows(view, now);
    }

    fn draw_rows(&mut self, view: &RunView, now: Timestamp) {
        let active: BTreeMap<&At, &MachineView> = view
            .machines
            .iter()
            .filter(|machine| matches!(machine.state, MachineState::Active(_)))
            .map(|machine| (&machine.record, machine))
            .take(ROWS_MAX)
            .collect();
        self.rows.retain(|at, row| {
            let keep = active.contains_key(at);
            if !keep {
                row.finish_and_clear();
            }
            keep
        });
        for (at, machine) in active {
            let MachineState::Active(stage) = &machine.state else {
                continue;
            };
            let row = self.rows.entry(at.clone()).or_insert_with(|| {
                let row = self.bars.add(ProgressBar::new_spinner());
                row.enable_steady_tick(Duration::from_secs(1));
                row
            });
            row.set_prefix(format!(
                "{:<14} {:<22}",
                stage_name(*stage),
                label(view, machine)
            ));
            match machine.off {
                // The clock of the row is the machine's downtime.
                Some(off) if machine.ready.is_none() => {
                    let down = Duration::try_from(now.duration_since(off)).unwrap_or_default();
                    row.set_style(style("  {prefix} down for {elapsed}"));
                    *row = row.clone().with_elapsed(down);
                }
                _ => row.set_style(style("  {prefix}")),
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        for row in self.rows.values() {
            row.finish_and_clear();
        }
        self.head.finish_and_clear();
    }
}

/// A VM's name; where others of the plan bear the same, the machine that it becomes.
pub fn label(view: &RunView, machine: &MachineView) -> String {
    let mut machines = view.machines.iter();
    if machines.any(|other| other.name == machine.name && other.vm != machine.vm) {
        format!("{}/{}", machine.machine.namespace, machine.machine.name)
    } else {
        machine.name.to_string()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is a constant")
        .progress_chars("█▌░")
}

/// Whether a source is only just being looked at: that is no news yet.
fn is_new(hold: &Hold, now: Timestamp) -> bool {
    match &hold.reason {
        HoldReason::SourceNotReady { since, .. } => {
            since.is_none_or(|since| now.duration_since(since).as_secs() < SOURCE_IS_NEW_SECONDS)
        }
        _ => false,
    }
}

/// A stage as people call it.
pub fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Admitted => "admitted",
        Stage::ShuttingDown => "shutting down",
        Stage::Exporting => "exporting",
        Stage::Imaging => "images",
        Stage::Booting => "booting",
        Stage::Running => "running",
        Stage::Failed => "failed",
        Stage::Withdrawn => "withdrawn",
        Stage::Held => "held",
    }
}

/// `, was down for 12 min`, where both ends are known.
fn downtime(machine: &MachineView) -> String {
    match (machine.off, machine.ready) {
        (Some(off), Some(ready)) => {
            let seconds = ready.duration_since(off).as_secs();
            format!(
                ", was down for {}",
                Seconds(u64::try_from(seconds).unwrap_or(0))
            )
        }
        _ => String::new(),
    }
}

/// ` of plan …`, where it is another one.
pub fn of_plan(plan: Option<&At>) -> String {
    plan.map(|plan| format!(" of plan `{plan}`"))
        .unwrap_or_default()
}

/// What a machine waits for, in words.
pub fn wait_text(wait: &Wait) -> String {
    match wait {
        Wait::Turn => "its turn".to_owned(),
        Wait::Wave => "its wave".to_owned(),
        Wait::Dependency { on } => format!("`{on}` to run"),
        Wait::Gate { on } => format!("the gate of `{on}`"),
        Wait::Plan(other) => other.to_string(),
        Wait::Step { step, title } => format!("the step `{step}`: {title}"),
        Wait::Barrier { name, on } => format!("`{on}` to run ({name})"),
        Wait::TooLate { latest } => {
            format!("another occurrence: its latest start was {latest}, plan again")
        }
        Wait::Exclusion { with } => format!("`{with}`, which uses the same files (N03)"),
        Wait::Scratch { needs, free } => format!("scratch: needs {needs}, {free} are free"),
        Wait::ForeignImport { import } => format!("the import `{import}`, which is not ours"),
    }
}

/// Why a wave does not begin more, in words.
pub fn hold_text(hold: &Hold) -> String {
    match &hold.reason {
        HoldReason::AwaitingApproval { digest } => {
            format!(
                "awaits approval of {}: windrow approve {}",
                short(digest),
                hold.wave
            )
        }
        HoldReason::ApprovalExpired { at } => format!("its approval expired at {at}"),
        HoldReason::OutsideWindow { opens: Some(opens) } => format!("its window opens at {opens}"),
        HoldReason::OutsideWindow { opens: None } => "its window is over".to_owned(),
        HoldReason::Failure { name, of } => format!(
            "`{name}` ({of}) failed, and nothing more starts (`onFailure`): windrow retry lets it go \
             on"
        ),
        HoldReason::Suspended => "suspended by `spec.suspend` of the wave or its plan".to_owned(),
        HoldReason::Stopped => "stopped: windrow start lets it go on".to_owned(),
        HoldReason::DigestMismatch { computed } => {
            format!("edited by hand: its content gives {}", short(computed))
        }
        HoldReason::OtherCluster { expected } => {
            format!("for another cluster, whose kube-system has the uid {expected}")
        }
        HoldReason::SourceNotReady {
            source,
            since: None,
            ..
        } => {
            format!("source `{source}` is not there yet")
        }
        HoldReason::SourceNotReady {
            source,
            since: Some(since),
            message,
        } => format!(
            "source `{source}` is not ready since {since}: {}",
            message
                .as_deref()
                .unwrap_or("unreachable, or its Secret is wrong")
        ),
        HoldReason::SourceDiffers { source } => {
            format!("source `{source}` is there with another address; rename one of the two")
        }
    }
}

/// The first digits of a digest: enough to tell two apart.
pub fn short(digest: &str) -> &str {
    digest.get(.."sha256:".len() + 8).unwrap_or(digest)
}
