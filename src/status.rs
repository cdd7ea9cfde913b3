//! `windrow status`: how far a plan is, as the cluster has it.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use executor::{Scope, drive::look};
use executor_machine::{MachineState, MachineView, RunView, StepState};
use jiff::Timestamp;
use schemas::ids::TargetName;
use schemas::machine::Stage;
use schemas::shown::shown;
use schemas::units::Seconds;
use serde_json::{Value, json};

use crate::cli::PlanArgument;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load;
use crate::output::Output;
use crate::progress::{hold_text, label, of_plan, stage_name, wait_text};
use crate::{runtime, target};

/// Show how far a plan is
///
/// Reads the cluster only, and needs no lease: it may be asked while `apply` or the controller
/// runs. What it says as JSON is what `windrow plan --keep --status` plans the rest from.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    /// Folder of the waves [default: `waves` beside the plan]
    #[arg(long, value_name = "DIR")]
    waves: Option<camino::Utf8PathBuf>,
    /// The target, where the waves are for several
    #[arg(long, value_name = "NAME")]
    target: Option<TargetName>,
    /// Print a table or JSON
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
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    runtime::block_on(show(arguments, output))
}

async fn show(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let plan = load::plan(&arguments.plan.plan)?;
    let folder = target::waves_folder(&plan, arguments.waves.as_ref());
    let waves = target::waves(&plan, &folder)?;
    let name = target::choose(&plan, arguments.target.as_ref(), &waves)?;
    let cluster = target::connect(&plan, &name).await?;
    cluster.check().await.map_err(target::failed)?;
    let waves = waves.iter().map(|wave| &wave.value);
    let scope = Scope::of_plan(plan.namespace(), plan.name(), waves);
    let view = look(&cluster, scope).await.map_err(target::failed)?;
    if view.machines.is_empty() {
        output.say(&format!(
            "no wave of `{}` is in the cluster yet: windrow apply {}",
            plan.name(),
            arguments.plan.plan
        ));
    }
    match arguments.output {
        Form::Table => output.data(&table(&view, output.width(), Timestamp::now())),
        Form::Json => output.data(&format!("{:#}\n", json(&name, &view, Timestamp::now()))),
    }
    Ok(Outcome::Done)
}

fn table(view: &RunView, width: usize, now: Timestamp) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(["wave", "VM", "state", "down", "note"]);
    for machine in &view.machines {
        let (state, note) = state(machine);
        let row = [
            machine.wave.to_string(),
            label(view, machine),
            state.to_owned(),
            down(machine, now).unwrap_or_default(),
            note,
        ];
        table.add_row(row.map(|cell| shown(&cell).into_owned()));
    }
    let mut text = format!("{}\n", table.trim_fmt());
    let done = view
        .machines
        .iter()
        .filter(|m| m.state == MachineState::Done)
        .count();
    writeln!(
        text,
        "\n{done} of {} running, scratch {} of {} held",
        view.machines.len(),
        view.scratch_held,
        view.scratch_usable
    )
    .expect("a String takes everything");
    for step in &view.steps {
        let how = step_text(&step.state);
        let title = shown(&step.title);
        writeln!(text, "step {}: {title}: {how}", step.name).expect("as above");
    }
    for hold in &view.holds {
        writeln!(text, "wave {}: {}", hold.wave, hold_text(hold)).expect("as above");
    }
    text
}

/// The state in one word, and what else there is to say.
fn state(machine: &MachineView) -> (&'static str, String) {
    match &machine.state {
        MachineState::Waiting(wait) => ("waiting", format!("for {}", wait_text(wait))),
        MachineState::Active(Stage::Running) => {
            ("running", "its gate does not hold yet".to_owned())
        }
        MachineState::Active(stage) => (stage_name(*stage), String::new()),
        MachineState::Done => ("running", String::new()),
        MachineState::Failed(why) => ("failed", why.clone()),
        MachineState::Blocked { by, name, plan } => {
            let plan = of_plan(plan.as_ref());
            ("held back", format!("`{name}` ({by}){plan} failed"))
        }
    }
}

/// How far it is; nothing until it is begun.
fn stage(machine: &MachineView) -> Option<Stage> {
    match machine.state {
        MachineState::Waiting(_) | MachineState::Blocked { .. } => None,
        MachineState::Active(now) => Some(now),
        MachineState::Done => Some(Stage::Running),
        // It runs, and only its gate failed.
        MachineState::Failed(_) if machine.times.ready.is_some() => Some(Stage::Running),
        MachineState::Failed(_) => Some(Stage::Failed),
    }
}

/// How a step outside stands, in words.
fn step_text(state: &StepState) -> String {
    match state {
        StepState::Behind => "not begun, what it waits for is not done".to_owned(),
        StepState::Due(why) => why.clone(),
        StepState::Done => "done".to_owned(),
    }
}

/// How long it has been down, or was.
fn down(machine: &MachineView, now: Timestamp) -> Option<String> {
    let off = machine.off?;
    let seconds = machine.ready.unwrap_or(now).duration_since(off).as_secs();
    Some(Seconds(u64::try_from(seconds).unwrap_or(0)).to_string())
}

fn json(target: &TargetName, view: &RunView, now: Timestamp) -> Value {
    let machines: Vec<Value> = view
        .machines
        .iter()
        .map(|machine| {
            let (state, note) = state(machine);
            json!({
                "vm": machine.vm,
                "name": machine.name,
                "wave": machine.wave,
                "workload": machine.workload,
                "record": { "namespace": machine.record.namespace, "name": machine.record.name },
                "state": state,
                "stage": stage(machine),
                "times": machine.times,
                "note": note,
                "attempt": machine.attempt,
                "off": machine.off,
                "ready": machine.ready,
            })
        })
        .collect();
    let holds: Vec<Value> = view
        .holds
        .iter()
        .map(|hold| json!({ "wave": hold.wave, "reason": hold_text(hold) }))
        .collect();
    let steps: Vec<Value> = view
        .steps
        .iter()
        .map(|step| {
            json!({
                "step": step.name,
                "title": step.title,
                "done": step.state == StepState::Done,
                "note": step_text(&step.state),
            })
        })
        .collect();
    json!({
        "schema": schemas::status::SCHEMA,
        "at": now,
        "target": target,
        "machines": machines,
        "steps": steps,
        "holds": holds,
        "scratch": { "heldBytes": view.scratch_held, "usableBytes": view.scratch_usable },
        "finished": view.finished,
    })
}

#[cfg(test)]
mod tests {
    use executor_machine::At;
    use schemas::machine::Times;
    use schemas::status::RunStatus;

    use super::*;

    // What is said as JSON is what `plan --keep --status` reads.
    #[test]
    fn planning_reads_it() {
        let now: Timestamp = "2026-11-23T20:01:00Z".parse().expect("an instant");
        let machine = |state| MachineView {
            vm: schemas::ids::VmKey::new("cloud1", "c-1"),
            name: "db".into(),
            machine: At::new("shop", "db"),
            wave: "pilot-010-db".into(),
            workload: "db".into(),
            record: At::new("migrations", "db-fe135449"),
            state,
            attempt: None,
            times: Times {
                off: Some(now),
                ..Times::default()
            },
            off: Some(now),
            ready: None,
        };
        let view = RunView {
            machines: vec![
                machine(MachineState::Active(Stage::Exporting)),
                machine(MachineState::Failed("it broke".to_owned())),
                machine(MachineState::Waiting(executor_machine::Wait::Turn)),
            ],
            scratch_held: schemas::units::Bytes::ZERO,
            scratch_usable: schemas::units::Bytes::ZERO,
            steps: Vec::new(),
            holds: Vec::new(),
            finished: false,
        };
        let said = json(&"hv1".into(), &view, now);
        let read: RunStatus = serde_json::from_value(said).expect("it is one");
        assert_eq!((read.at, read.target.as_str()), (now, "hv1"));
        let stages: Vec<_> = read.machines.iter().map(|machine| machine.stage).collect();
        assert_eq!(stages, [Some(Stage::Exporting), Some(Stage::Failed), None]);
        assert_eq!(read.machines[0].times.off, Some(now));
        assert_eq!(read.machines[0].record.name.as_str(), "db-fe135449");
    }
}
