//! Gates and steps outside of a wave: what its machines wait for beside machines, and what will be
//! tried once they run.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use schemas::gate::{Gate, GateFailure, WaveStep};
use schemas::ids::{VmKey, WorkloadName, WorkloadRef};
use schemas::inventory::TargetInventory;
use schemas::machine::Stage;
use schemas::shown::shown;
use schemas::units::Seconds;
use schemas::wave::{MigrationWave, Prerequisite};

use super::{Check, INFALLIBLE, Inputs, NAMED_MAX, State};
use crate::diagnostic::count;
use crate::report::steps::ports;

/// Hosts that the gates and steps of a wave name, sorted: whoever asks looks them up.
pub fn hosts(wave: &MigrationWave) -> BTreeSet<String> {
    let gates = wave.spec.workloads.iter().filter_map(|it| it.gate.as_ref());
    let gates = gates.flat_map(|gate| gate.tcp.iter().filter_map(|tcp| tcp.address.clone()));
    let steps = wave.spec.steps.iter().flat_map(|step| step.done.tcp.iter());
    let steps = steps.flatten().map(|tcp| tcp.host.clone());
    gates.chain(steps).collect()
}

/// One check for each step that the wave waits for, in the order of their names.
pub(super) fn steps(inputs: &Inputs<'_>) -> Vec<Check> {
    let steps = inputs.wave.spec.steps.iter();
    steps.map(|step| of_step(inputs, step)).collect()
}

fn of_step(inputs: &Inputs<'_>, step: &WaveStep) -> Check {
    let title = shown(&step.title);
    let tcp = step.done.tcp.iter().flatten();
    let tcp: Vec<String> = tcp.map(|it| format!("{}:{}", it.host, it.port)).collect();
    let answers = match tcp.len() {
        0 => String::new(),
        _ => format!("; then {} must answer", tcp.join(" and ")),
    };
    let lost = unknown_hosts(inputs, step.done.tcp.iter().flatten().map(|tcp| &tcp.host));
    let is_asked = step.done.approval.is_some();
    let (state, said) = if is_asked && is_said(inputs, step) {
        (
            State::Go,
            format!("a person has said that it is done{answers}"),
        )
    } else {
        let (late, when) = expected(inputs, step);
        let who = match (is_asked, tcp.len()) {
            (true, _) => format!("nobody has said that it is done{answers}"),
            (false, _) => format!("done when {} answers", tcp.join(" and ")),
        };
        let state = match (late, is_asked) {
            (true, _) => State::NoGo,
            (false, true) => State::Caution,
            (false, false) => State::Go,
        };
        (state, format!("{who}; {when}"))
    };
    let state = if lost.is_empty() {
        state
    } else {
        state.max(State::Caution)
    };
    let read = "the approvals beside the plan, the target's ledger, the forecast";
    let mut check = inputs.own("step", read, state, format!("{title}: {said}{lost}"));
    check.subject = step.name.to_string();
    let name = match step.name.own() {
        Some(name) => name.to_string(),
        None => format!("{} in the folder of its own plan", step.name.name),
    };
    check.remedy(match (is_asked && !is_said(inputs, step), state) {
        (true, State::NoGo) => format!(
            "give the wave a later occurrence, or have it done sooner; once it is: windrow approve \
             --step {name}"
        ),
        (true, _) => format!("once it is done: windrow approve --step {name}"),
        (false, _) => "see that its ports answer from where the executor runs".to_owned(),
    })
}

fn is_said(inputs: &Inputs<'_>, step: &WaveStep) -> bool {
    let plan = step.name.plan.as_ref().map(|plan| &plan.name);
    let plan = plan.unwrap_or(&inputs.wave.spec.plan);
    let mut approvals = inputs.approvals.iter();
    approvals.any(|approval| approval.spec.says_done(plan, &step.name.name))
}

/// Whether a step is expected after the last start of the wave's window, and when it is expected, in
/// words.
fn expected(inputs: &Inputs<'_>, step: &WaveStep) -> (bool, String) {
    let report = &inputs.planned.report;
    let origin = report.origin;
    let Some(name) = step.name.own() else {
        let mut others = report.others.iter();
        let foretold = others.find(|other| other.workload == step.name);
        return match foretold.zip(origin) {
            Some((other, origin)) => {
                let said = "its own plan expects it to be done at ".to_owned();
                judged(inputs, after(origin, other.done), said)
            }
            None => (false, "its own plan does not say when".to_owned()),
        };
    };
    let workload = inputs.planned.checked.plan.workload(name);
    let external = workload.and_then(|it| it.external.as_ref());
    let estimate = external.map_or(Seconds::ZERO, |external| external.estimate.0);
    let is_open = |name: &&WorkloadRef| !is_done(inputs, name);
    let open: Vec<&WorkloadRef> = step.depends_on.iter().filter(is_open).collect();
    let mut forecast = report.steps.iter();
    let foretold = forecast.find(|line| line.step == *name);
    let begins = match (open.is_empty(), foretold.zip(origin)) {
        (true, _) => inputs.now,
        (false, Some((line, origin))) => after(origin, line.starts).max(inputs.now),
        (false, None) => {
            return (false, format!("it waits for {}", named(&open)));
        }
    };
    let said = if open.is_empty() {
        format!("it can begin now, and takes {estimate}: done at ")
    } else {
        format!(
            "it waits for {}, begins at {} and is expected to be done at ",
            named(&open),
            minute(begins)
        )
    };
    judged(inputs, after(begins, estimate), said)
}

/// Whether that is after the last start of the wave's window, and the moment behind `said`.
fn judged(inputs: &Inputs<'_>, done: Timestamp, mut said: String) -> (bool, String) {
    said.push_str(&minute(done));
    let Some(window) = &inputs.wave.spec.window else {
        return (false, said);
    };
    let is_late = done >= window.last_start;
    if is_late {
        let last = minute(window.last_start);
        write!(said, ", after the last start at {last}").expect(INFALLIBLE);
    } else {
        let left = window.last_start.duration_since(done).as_secs();
        let left = Seconds(left.unsigned_abs());
        write!(said, ", {left} before the last start").expect(INFALLIBLE);
    }
    (is_late, said)
}

fn named(open: &[&WorkloadRef]) -> String {
    let names: Vec<String> = open.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn minute(at: Timestamp) -> String {
    at.strftime("%a %d %b %H:%M UTC").to_string()
}

fn after(from: Timestamp, seconds: Seconds) -> Timestamp {
    from + SignedDuration::from_secs(seconds.signed())
}

/// Whether all machines of a workload run and their gates hold, or somebody said that a step is done.
fn is_done(inputs: &Inputs<'_>, name: &WorkloadRef) -> bool {
    let spec = &inputs.wave.spec;
    if let Some(step) = spec.steps.iter().find(|step| step.name == *name) {
        return step.done.approval.is_some() && is_said(inputs, step);
    }
    let Some(target) = inputs.inventory.targets.get(&spec.target.name) else {
        return false;
    };
    let listed = |it: &&Prerequisite| it.workload == *name;
    let own = name.own();
    let workload = own.and_then(|own| inputs.planned.checked.plan.workload(own));
    let is_gated = workload.is_some_and(|it| it.gate.is_some());
    spec.prerequisites.iter().find(listed).is_some_and(|it| {
        let mut machines = it.machines.iter();
        machines.all(|machine| has_come(target, &machine.vm, is_gated))
    })
}

fn has_come(target: &TargetInventory, vm: &VmKey, is_gated: bool) -> bool {
    let mut lines = target.ledger.iter();
    lines.any(|line| {
        let gate = line.gate.as_ref();
        let holds = gate.map_or(!is_gated, |gate| gate.holds.is_some());
        line.vm == *vm && line.stage == Stage::Running && holds
    })
}

/// One check for each workload of the wave that has a gate.
pub(super) fn gates(inputs: &Inputs<'_>) -> Vec<Check> {
    let workloads = inputs.wave.spec.workloads.iter();
    let gated = workloads.filter_map(|it| Some((&it.name, it.gate.as_ref()?)));
    gated
        .filter_map(|(name, gate)| of_gate(inputs, name, gate))
        .collect()
}

/// What will be tried of its machines; none where it has no machine in the wave.
fn of_gate(inputs: &Inputs<'_>, name: &WorkloadName, gate: &Gate) -> Option<Check> {
    let spec = &inputs.wave.spec;
    let own: Vec<&VmKey> = spec
        .imports
        .iter()
        .filter(|import| import.workload == *name)
        .map(|import| &import.vm)
        .collect();
    let first = own.first()?;
    let lines = inputs.inventory.targets.get(&spec.target.name);
    let lines = lines.into_iter().flat_map(|target| &target.ledger);
    let failed: Vec<String> = lines
        .filter(|line| own.contains(&&line.vm))
        .filter(|line| line.gate.as_ref().is_some_and(|gate| gate.failed.is_some()))
        .filter(|line| line.gate.as_ref().is_some_and(|gate| gate.holds.is_none()))
        .map(|line| format!("`{}`", shown(&line.id)))
        .collect();
    let lost = unknown_hosts(
        inputs,
        gate.tcp.iter().filter_map(|tcp| tcp.address.as_ref()),
    );
    let whose = match own.len() {
        1 => {
            let import = spec.imports.iter().find(|import| import.vm == **first)?;
            format!("`{}`", shown(import.name.as_str()))
        }
        number => format!("each of {}", count(number, "machine")),
    };
    let mut found = format!(
        "port {} of {whose} will be tried from where the executor runs, for {} at most",
        ports(gate),
        gate.timeout.0
    );
    if let Some(soak) = gate.soak {
        write!(found, ", and must answer for {} without a break", soak.0).expect(INFALLIBLE);
    }
    found.push_str(match gate.on_failure {
        GateFailure::Hold => "; if not, what depends on it is held back",
        GateFailure::Continue => "; if not, that is noted",
    });
    if gate.tcp.iter().any(|tcp| tcp.address.is_none()) {
        found.push_str("; its own address is known only once it runs");
    }
    found.push_str(&lost);
    let state = if !failed.is_empty() {
        let listed = failed[..failed.len().min(NAMED_MAX)].join(", ");
        write!(found, "; failed already: {listed}").expect(INFALLIBLE);
        State::NoGo
    } else if lost.is_empty() {
        State::Go
    } else {
        State::Caution
    };
    let read = if gate.tcp.iter().any(|tcp| tcp.address.is_some()) {
        "the wave, the target's ledger, names looked up from here"
    } else {
        "the wave, the target's ledger"
    };
    let mut check = inputs.own("gate", read, state, found);
    check.subject = name.to_string();
    Some(check.remedy(if failed.is_empty() {
        "give the name to the resolver of the executor, or an address in the plan"
    } else {
        "`windrow retry` looks again, `windrow retry --accept` goes on without"
    }))
}

/// What is to be said of hosts that have no address, or that nobody looked up; nothing where all have
/// one.
fn unknown_hosts<'h>(inputs: &Inputs<'_>, hosts: impl Iterator<Item = &'h String>) -> String {
    let mut text = String::new();
    for host in hosts.filter(|host| host.parse::<IpAddr>().is_err()) {
        match inputs.names.get(host) {
            Some(true) => {}
            Some(false) => {
                write!(text, "; `{}` has no address, seen from here", shown(host))
                    .expect(INFALLIBLE);
            }
            None => {
                write!(text, "; nobody looked up `{}`", shown(host)).expect(INFALLIBLE);
            }
        }
    }
    text
}
