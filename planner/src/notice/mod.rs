//! What an owner is told: when is my system down, for how long, what will be different.
//!
//! Takes a plan that was made; gives one [`Notice`] for each service. [`words`] writes it for people,
//! [`calendar`] as an appointment. Nothing is decided here.

pub mod calendar;
#[cfg(test)]
mod tests;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::finding::{Severity, Subject};
use schemas::ids::{Namespace, OccurrenceId, PlanName, VmKey, WindowName, WorkloadName};
use schemas::shown::shown;
use schemas::units::Seconds;

use crate::downtime;
use crate::pipeline::Planned;
use crate::report::LeftOut;
use crate::resolve::{ResolvedPlan, ResolvedService};
use crate::schedule::Slot;

/// What the owner of one service is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The plan's namespace.
    pub namespace: Namespace,
    /// The plan.
    pub plan: PlanName,
    /// The service.
    pub service: WorkloadName,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The change's number in another system.
    pub change: Option<String>,
    /// The instant that times count from; absent: from whenever the plan starts.
    pub origin: Option<Timestamp>,
    /// The zone that times are shown in.
    pub time_zone: String,
    /// Down for so long in all cut-overs together.
    pub downtime: Seconds,
    /// It should be down no longer.
    pub budget: Option<Seconds>,
    /// When it is down, by time; none where nothing of it moves.
    pub cuts: Vec<Cut>,
    /// What people do of it, by time.
    pub steps: Vec<Step>,
    /// What will be different, and of how many machines.
    pub losses: Vec<(&'static str, usize)>,
    /// What was found and is neither waived nor for information: severity, machine and what.
    pub findings: Vec<(Severity, String, String)>,
    /// Machines that stay where they are, with the reason; those that run already are not among them.
    pub left_out: Vec<(String, String)>,
}

/// One time during which a service is down: one occurrence of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its window; absent: any time.
    pub window: Option<(WindowName, OccurrenceId)>,
    /// The window closes: nothing of it lasts longer.
    pub closes: Option<Timestamp>,
    /// First guest off.
    pub starts: Seconds,
    /// Last machine ready and its gate holding, last step outside done.
    pub ends: Seconds,
    /// Its machines by the time at which they go off.
    pub machines: Vec<Machine>,
}

/// A step outside of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done, safe to show.
    pub title: String,
    /// It may begin.
    pub starts: Seconds,
    /// It should be done.
    pub ends: Seconds,
}

/// One machine of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name, safe to show.
    pub name: String,
    /// Whether its guest runs, or nobody knows.
    pub runs: bool,
    /// The guest is off.
    pub off: Seconds,
    /// The machine is ready.
    pub ready: Seconds,
}

impl Cut {
    /// From the first guest off until the last of it is done.
    pub fn downtime(&self) -> Seconds {
        self.ends.saturating_sub(self.starts)
    }
}

impl Notice {
    /// The instant of a time; none where the plan has no origin.
    pub fn instant(&self, time: Seconds) -> Option<Timestamp> {
        Some(self.origin? + SignedDuration::from_secs(time.signed()))
    }
}

/// One notice for each service of the plan, in its order.
pub fn notices(planned: &Planned) -> Vec<Notice> {
    let plan = &planned.checked.plan;
    let slots: BTreeMap<&VmKey, &Slot> = planned
        .schedule
        .slots
        .iter()
        .map(|slot| (&slot.vm, slot))
        .collect();
    let services = plan.services.iter();
    services
        .map(|service| notice(planned, plan, service, &slots))
        .collect()
}

fn notice(
    planned: &Planned,
    plan: &ResolvedPlan,
    service: &ResolvedService,
    slots: &BTreeMap<&VmKey, &Slot>,
) -> Notice {
    let report = &planned.report;
    let own = |workload: &WorkloadName| service.workloads.contains(workload);
    let mut members: BTreeSet<&VmKey> = BTreeSet::new();
    let mut cuts: BTreeMap<Option<(&WindowName, &OccurrenceId)>, Cut> = BTreeMap::new();
    for vm in plan.vms.iter().filter(|vm| own(&vm.workload)) {
        members.insert(&vm.key);
        let Some(slot) = slots.get(&vm.key) else {
            continue;
        };
        let (off, ready) = (slot.times.off, slot.times.ready);
        let window = slot.window.as_ref().map(|w| (&w.name, &w.occurrence));
        let cut = cuts.entry(window).or_insert_with(|| Cut {
            window: window.map(|(name, id)| (name.clone(), id.clone())),
            closes: window.and_then(|(name, id)| closes(plan, name, id)),
            starts: off,
            ends: ready,
            machines: Vec::new(),
        });
        cut.starts = cut.starts.min(off);
        cut.ends = cut.ends.max(ready);
        cut.machines.push(Machine {
            name: shown(vm.name.as_str()).into_owned(),
            runs: vm.power != Some(schemas::inventory::Power::Off),
            off,
            ready,
        });
    }
    // What the plan's own report calls its downtime: gates and steps outside belong to it.
    let down = downtime::of_service(plan, &planned.schedule, slots, &service.workloads);
    for (window, cut) in &mut cuts {
        if let Some((_, ends)) = down.get(window) {
            cut.ends = *ends;
        }
    }
    let steps = report.steps.iter().filter(|step| own(&step.step));
    let steps = steps.map(|step| Step {
        title: shown(&step.title).into_owned(),
        starts: step.starts,
        ends: step.ends,
    });
    let mut cuts: Vec<Cut> = cuts.into_values().collect();
    for cut in &mut cuts {
        cut.machines
            .sort_by(|a, b| (a.off, &a.name).cmp(&(b.off, &b.name)));
    }
    cuts.sort_by_key(|cut| (cut.starts, cut.ends));
    let gone: BTreeMap<&VmKey, &WorkloadName> = plan
        .exclusions
        .iter()
        .filter(|gone| own(&gone.workload))
        .map(|gone| (&gone.key, &gone.workload))
        .collect();
    let losses = report.losses.iter().filter_map(|loss| {
        let number = loss
            .vms
            .iter()
            .filter(|vm| members.contains(&vm.vm))
            .count();
        (number > 0).then_some((loss.title, number))
    });
    let findings = report.findings.iter().filter_map(|finding| {
        let Subject::Vm { key, name } = &finding.subject else {
            return None;
        };
        let open = finding.waived_by.is_none() && finding.severity != Severity::Info;
        let ours = members.contains(key) || gone.contains_key(key);
        let what = format!("{} ({})", shown(&finding.evidence), finding.code);
        (open && ours).then(|| (finding.severity, shown(name.as_str()).into_owned(), what))
    });
    let left_out = report.left_out.iter();
    let left_out = left_out.filter(|out| gone.contains_key(&out.vm) && out.kind != "moved");
    let said = |out: &LeftOut| {
        let name = shown(out.name.as_str()).into_owned();
        (name, shown(&out.reason).into_owned())
    };
    Notice {
        namespace: plan.namespace.clone(),
        plan: plan.name.clone(),
        service: service.name.clone(),
        owner: service
            .owner
            .as_deref()
            .map(|text| shown(text).into_owned()),
        change: service
            .change
            .as_deref()
            .map(|text| shown(text).into_owned()),
        origin: report.origin,
        time_zone: report.time_zone.clone(),
        downtime: cuts.iter().map(Cut::downtime).sum(),
        budget: service.budget.map(|budget| budget.0),
        steps: steps.collect(),
        losses: losses.collect(),
        findings: findings.collect(),
        left_out: left_out.map(said).collect(),
        cuts,
    }
}

fn closes(plan: &ResolvedPlan, name: &WindowName, id: &OccurrenceId) -> Option<Timestamp> {
    let window = plan.windows.iter().find(|window| window.name == *name)?;
    let occurrence = window.occurrences.iter().find(|o| o.id == *id)?;
    Some(occurrence.to)
}
