//! Steps outside: whether people or gear have done what imports wait for.
//!
//! Judged by the moment, from the picture alone: all before it is done, whoever must has said so,
//! and its ports answer. What depends on it and has begun goes on, whatever the ports say later.

use std::collections::BTreeMap;

use schemas::gate::WaveStep;
use schemas::ids::{WorkloadName, WorkloadRef};

use crate::action::{StepState, StepView};
use crate::clock::Alarm;
use crate::ledger::Ledger;
use crate::observed::{At, Observed, Wave};
use crate::probe::{Ports, Probes};
use crate::{spec, standing};

/// How the steps of all waves stand.
#[derive(Debug, Default)]
pub(crate) struct Steps<'a> {
    states: BTreeMap<(&'a At, &'a WorkloadRef), StepState>,
}

impl<'a> Steps<'a> {
    /// Judges the steps of a wave. Ports are tried only if `is_needed`.
    pub fn look(
        &mut self,
        at: &'a At,
        wave: &'a Wave,
        is_needed: bool,
        (ledger, observed): (&Ledger<'_>, &Observed),
        probes: &mut Probes<'_>,
        alarm: &mut Alarm,
    ) {
        let steps = &wave.spec.steps;
        // One that waits for another is judged after it; each round settles one at least.
        for _ in 0..steps.len() {
            for step in steps {
                let key = (at, &step.name);
                let is_settled =
                    |name| !is_step(wave, name) || self.states.contains_key(&(at, name));
                if self.states.contains_key(&key) || !step.depends_on.iter().all(is_settled) {
                    continue;
                }
                let state = if self.is_behind(at, wave, step, ledger) {
                    StepState::Behind
                } else {
                    state(at, wave, step, is_needed, observed, probes, alarm)
                };
                self.states.insert(key, state);
            }
        }
    }

    /// Something that the step waits for is not done.
    fn is_behind(&self, at: &At, wave: &Wave, step: &WaveStep, ledger: &Ledger<'_>) -> bool {
        step.depends_on.iter().any(|name| {
            if is_step(wave, name) {
                return self.state(at, name) != Some(&StepState::Done);
            }
            let listed = wave.spec.prerequisites.iter().find(|p| p.workload == *name);
            listed.is_none_or(|listed| {
                let mut machines = listed.machines.iter();
                machines.any(|machine| {
                    !standing::is_done(&spec::record_of(at, name, &machine.record), ledger)
                })
            })
        })
    }

    fn state<'s>(&'s self, at: &'s At, name: &'s WorkloadRef) -> Option<&'s StepState> {
        self.states.get(&(at, name))
    }

    /// The first of `steps` that is not done, one that is due before one that is not.
    pub fn missing<'s>(&self, at: &At, steps: &[&'s WaveStep]) -> Option<&'s WaveStep> {
        let is_due =
            |step: &&WaveStep| matches!(self.state(at, &step.name), Some(StepState::Due(_)));
        let is_open = |step: &&WaveStep| self.state(at, &step.name) != Some(&StepState::Done);
        let mut all = steps.iter().copied();
        let due = all.clone().find(is_due);
        due.or_else(|| all.find(is_open))
    }

    /// All of them, each once.
    pub fn views(&self, observed: &Observed) -> Vec<StepView> {
        let mut views: BTreeMap<(At, WorkloadName), StepView> = BTreeMap::new();
        for ((at, name), state) in &self.states {
            let Some(wave) = observed.waves.get(*at) else {
                continue;
            };
            let Some(step) = wave.spec.steps.iter().find(|step| step.name == **name) else {
                continue;
            };
            let plan = plan_of(at, wave, &step.name);
            let name = step.name.name.clone();
            let view = StepView {
                plan: plan.clone(),
                name: name.clone(),
                title: step.title.clone(),
                state: state.clone(),
            };
            views.entry((plan, name)).or_insert(view);
        }
        views.into_values().collect()
    }
}

pub(crate) fn is_step(wave: &Wave, name: &WorkloadRef) -> bool {
    wave.spec.steps.iter().any(|step| step.name == *name)
}

/// The plan of a workload, as the wave at `at` calls it.
fn plan_of(at: &At, wave: &Wave, name: &WorkloadRef) -> At {
    let namespace = name.namespace().unwrap_or(&at.namespace);
    let plan = name
        .plan
        .as_ref()
        .map_or(&wave.spec.plan, |plan| &plan.name);
    At::new(namespace.clone(), plan.as_str())
}

/// How a step stands, given that all before it is done.
fn state(
    at: &At,
    wave: &Wave,
    step: &WaveStep,
    is_needed: bool,
    observed: &Observed,
    probes: &mut Probes<'_>,
    alarm: &mut Alarm,
) -> StepState {
    let done = &step.done;
    let (plan, name) = (plan_of(at, wave, &step.name), &step.name.name);
    let mut approvals = observed.approvals.iter();
    let is_said = approvals.any(|(place, approval)| {
        place.namespace == plan.namespace && approval.says_done(&plan.name.as_str().into(), name)
    });
    if done.approval.is_some() && !is_said {
        let of_it = match &step.name.plan {
            Some(other) => format!(" for plan `{other}`"),
            None => String::new(),
        };
        return StepState::Due(format!(
            "a person must say that it is done: windrow approve --step {name}{of_it}"
        ));
    }
    let Some(tcp) = &done.tcp else {
        return StepState::Done;
    };
    if !is_needed {
        return StepState::Due("its ports have to answer".to_owned());
    }
    let ports = tcp.iter().map(|tcp| crate::Probe::Host {
        host: tcp.host.clone(),
        port: tcp.port,
    });
    match probes.ports(ports, alarm) {
        Ports::Open => StepState::Done,
        Ports::Closed(said) => StepState::Due(format!("{said}; tried every few seconds")),
        Ports::Unknown => StepState::Due("its ports are being tried".to_owned()),
    }
}
