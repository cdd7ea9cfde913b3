//! `windrow demo`: the whole chain on a built-in estate, a built-in engine and a virtual clock.
//!
//! Nothing is staged but the world: the plan is resolved, checked and scheduled by the planner, its
//! waves are run by the executor's machine, and the engine is the simulation that the planner
//! predicts with. The same bytes each time.

mod chart;
mod estate;
mod world;

use std::fmt::Write as _;

use engine::Millis;
use executor_machine::MachineState;
use jiff::Timestamp;
use planner::schedule::{Held, Slot};
use planner::{Planned, Refusal};
use schemas::ids::VmKey;
use schemas::units::Seconds;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use chart::Axis;
use world::Run;

/// Columns that the demonstration never passes: it is to be read, and pasted.
const WIDTH_MAX: usize = 100;
/// Columns right of the charts.
const RIGHT: usize = 20;

/// Show the whole chain on a built-in estate and engine
///
/// 24 VMs of a vCenter and an OpenStack move into a Harvester cluster: they are planned, the plan is
/// explained and run, and the run is compared with applying everything at once. Needs nothing and
/// touches nothing: estate, engine and clock are built in. The estate is `plans/demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs the verb.
pub fn run(_arguments: Arguments, output: &Output) -> Result<Outcome, Failure> {
    output.data(&demonstrate(output.width().min(WIDTH_MAX)));
    Ok(Outcome::Done)
}

/// All of it.
fn demonstrate(width: usize) -> String {
    let planned = planned();
    let start = planned.checked.plan.start.unwrap_or(Timestamp::UNIX_EPOCH);
    let run = world::run(&planned, start);
    let naive = world::all_at_once(&planned);
    let mut text = String::new();
    let sections = [
        introduction(),
        plan(&planned),
        reasons(&planned, width),
        happened(&planned, &run, width),
        comparison(&planned, &run, &naive),
    ];
    for section in sections {
        text.push_str(section.trim_end());
        text.push_str("\n\n");
    }
    text.push_str(
        "next: read plans/demo/plan.yaml, change it, and see what `windrow plan plans/demo` says\n",
    );
    text
}

fn planned() -> Planned {
    let (plan, inventory) = estate::estate();
    let site = plan.spec.inline_site.clone().unwrap_or_else(|| {
        unreachable!("the demonstration's site is inline");
    });
    match planner::plan(&plan, &site, &inventory) {
        Ok(planned) => planned,
        Err(Refusal::Invalid(found)) => unreachable!("the built-in plan is valid: {found:?}"),
        Err(refusal) => unreachable!("the built-in plan can be planned: {refusal:?}"),
    }
}

fn introduction() -> String {
    "24 VMs of a vCenter (dc1) and an OpenStack (cloud1) move into a Harvester cluster (hv1).\n\
     Estate, engine and clock are built in; planner and executor are the real ones.\n"
        .to_owned()
}

fn plan(planned: &Planned) -> String {
    let locate = |_: &str| Some("plans/demo/plan.yaml".to_owned());
    format!(
        "── plan ──\n{}",
        planner::report::text::render(&planned.report, &locate)
    )
}

/// Why some start when they do: one VM for each kind of reason.
fn reasons(planned: &Planned, width: usize) -> String {
    let mut text = String::from("── why then ──\n");
    let name = |vm: &VmKey| {
        let found = planned.checked.plan.vm(vm);
        found.map_or_else(
            || vm.to_string(),
            |vm| label(vm.name.as_str(), &vm.namespace),
        )
    };
    let told = |slot: &Slot| match &slot.held {
        Held::Nothing => None,
        Held::Turn { after } => Some(format!(
            "its turn comes when the images of {} are in",
            name(after)
        )),
        Held::Dependency { on } => Some(format!("it waits for {} to run", name(on))),
        Held::Scratch { lacking, holders } => {
            let holders: Vec<String> = holders.iter().map(name).collect();
            Some(format!(
                "{lacking} of scratch are lacking while {} is there",
                holders.join(", ")
            ))
        }
        Held::Window { opens } => Some(format!("its window opens after {opens}")),
        Held::Exclusion { with } => Some(format!(
            "{} would write files of the same name (N03)",
            name(with)
        )),
        Held::Stage => Some("its disks are still copied ahead".to_owned()),
        Held::Step { step } => Some(format!("the step `{step}` has to end first")),
        Held::Host { host } => Some(format!("all slots of {host} are taken")),
        Held::Room { resource } => Some(format!("its target has no {resource} left")),
        Held::Service { service } => Some(format!(
            "`{service}` has the engine to itself, or waits for something outside"
        )),
        Held::Fixed { of } => Some(format!("it would be in the way of {}", name(of))),
        Held::Approved => Some("so it was approved".to_owned()),
    };
    let mut shown = Vec::new();
    for slot in &planned.schedule.slots {
        let kind = std::mem::discriminant(&slot.held);
        if let Some(reason) = told(slot).filter(|_| !shown.contains(&kind)) {
            shown.push(kind);
            let what = format!("not before {}: {reason}", clock(slot.times.created));
            paragraph(&mut text, &name(&slot.vm), &what, width);
        }
    }
    text
}

/// The run: chart, curve, what failed.
fn happened(planned: &Planned, run: &Run, width: usize) -> String {
    let ends = ends(run);
    let axis = Axis::new(ends, width, RIGHT);
    let mut text = format!("── run ──\n{}\n", axis.scale());
    let mut machines: Vec<_> = run.view.machines.iter().collect();
    machines.sort_by_key(|machine| {
        let id = run.imports.get(&machine.vm);
        id.map_or((true, Millis::ZERO), |id| {
            (false, run.sim.import(*id).times().created)
        })
    });
    let mut trouble = String::new();
    for machine in machines {
        let id = run.imports.get(&machine.vm);
        let times = id.map(|id| run.sim.import(*id).times());
        let word = match (&machine.state, times.and_then(engine::sim::Times::downtime)) {
            (MachineState::Done, Some(down)) => format!("down {}", down.seconds()),
            (MachineState::Failed(_), _) => "failed".to_owned(),
            (MachineState::Blocked { .. }, _) => "held back".to_owned(),
            _ => String::new(),
        };
        let ended = id.and_then(|id| run.ended(*id));
        let vm = planned.checked.plan.vm(&machine.vm);
        let name = vm.map_or_else(String::new, |vm| label(vm.name.as_str(), &vm.namespace));
        let _ = writeln!(text, "{}", axis.row(&name, times, ended, &word));
        match &machine.state {
            MachineState::Failed(message) => {
                paragraph(&mut trouble, "failed", &format!("{name}: {message}"), width);
            }
            MachineState::Blocked { name: by, .. } => {
                let what = format!("{name}: it depends on {by}, and stays up");
                paragraph(&mut trouble, "held back", &what, width);
            }
            _ => {}
        }
    }
    text.push_str(
        "              - shutting down  █ export  ░ images  · waiting  ▲ starting  ✗ failed\n",
    );
    let target = planned.checked.plan.targets.values().next();
    if let Some(target) = target {
        let curve: Vec<_> = run.curve().collect();
        text.push('\n');
        for line in axis.curve(&curve, target.usable, target.capacity) {
            let _ = writeln!(text, "{line}");
        }
    }
    text.push('\n');
    text.push_str(&trouble);
    text
}

/// All at once against Windrow, on the same engine.
fn comparison(planned: &Planned, run: &Run, naive: &Run) -> String {
    let target = planned.checked.plan.targets.values().next();
    let capacity = target.map(|target| target.capacity).unwrap_or_default();
    let scratch = |run: &Run| format!("{} of {capacity}", run.scratch_peak());
    let (mean, max) = downtime(run);
    let (naive_mean, naive_max) = downtime(naive);
    let rows = [
        ("", "all at once".to_owned(), "Windrow".to_owned()),
        ("downtime, mean", naive_mean.to_string(), mean.to_string()),
        ("downtime, longest", naive_max.to_string(), max.to_string()),
        ("scratch, most", scratch(naive), scratch(run)),
        (
            "machines with another's disk",
            naive.wrong_disks().to_string(),
            run.wrong_disks().to_string(),
        ),
        (
            "last machine ready after",
            ends(naive).seconds().to_string(),
            ends(run).seconds().to_string(),
        ),
    ];
    let mut text = String::from("── the same VMs, created all at once, and with Windrow ──\n");
    for (what, naive, ours) in rows {
        let _ = writeln!(
            text,
            "{}",
            format!("{what:28}  {naive:22}{ours}").trim_end()
        );
    }
    let _ = writeln!(
        text,
        "\nThe engine switches guests off early and exports one at a time. A scratch volume that is full\n\
         fails the export; the left column is what it would take if it never were."
    );
    text
}

/// The last machine is ready.
fn ends(run: &Run) -> Millis {
    let ready = run.imports.values().map(|id| run.sim.import(*id).times());
    ready
        .filter_map(|times| times.ready)
        .max()
        .unwrap_or_default()
}

/// Mean and longest downtime of those that are ready.
fn downtime(run: &Run) -> (Seconds, Seconds) {
    let all = run.imports.values().map(|id| run.sim.import(*id).times());
    let down: Vec<u64> = all
        .filter_map(engine::sim::Times::downtime)
        .map(|down| down.seconds().0)
        .collect();
    let mean = down.iter().sum::<u64>() / (down.len() as u64).max(1);
    (
        Seconds(mean),
        Seconds(down.iter().copied().max().unwrap_or(0)),
    )
}

/// A name on the left and, beside it, a text that is broken at `width`.
fn paragraph(out: &mut String, name: &str, text: &str, width: usize) {
    let mut line = format!("{name:11}  ");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > width {
            let _ = writeln!(out, "{line}");
            line = " ".repeat(13);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}

/// Twins are told apart by their namespaces.
fn label(name: &str, namespace: &schemas::ids::Namespace) -> String {
    match namespace.as_str().strip_prefix("erp-web-") {
        Some(number) => format!("{name} ({number})"),
        None => name.to_owned(),
    }
}

/// Hours and minutes since the start.
fn clock(at: Seconds) -> String {
    format!("{}:{:02}", at.0 / 3600, at.0 % 3600 / 60)
}

impl Run {
    /// When the import came to an end that is not its machine's readiness.
    fn ended(&self, id: engine::ImportId) -> Option<Millis> {
        let mut changes = self.changes.iter();
        let failed = changes.find(|change| {
            change.import == Some(id) && change.what == engine::What::ExportEnded { ok: false }
        });
        failed.map(|change| change.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The same bytes each time, and no line wider than asked for.
    #[test]
    fn the_same_each_time() {
        let text = demonstrate(100);
        assert_eq!(text, demonstrate(100));
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        // What the plan says has goldens of its own.
        let ours = text.find("── why then ──").expect("a section");
        insta::assert_snapshot!(&text[ours..]);
    }
}
