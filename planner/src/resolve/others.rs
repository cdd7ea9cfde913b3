//! Workloads of other plans that something here waits for: which machines they have, and when their own
//! plans predict them to be done.
//!
//! Takes what the other plans' files say ([`schemas::other`]). What cannot be known from them (no such
//! plan, not planned yet, no common clock) is an error with the way out, never a guess.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemas::gate::WaveStep;
use schemas::ids::{Namespace, PlanName, PlanRef, TargetName, WorkloadName, WorkloadRef};
use schemas::inventory::Inventory;
use schemas::machine::Stage;
use schemas::other::{OtherPlan, OtherWorkload};
use schemas::plan::PlanSpec;
use schemas::units::Seconds;
use schemas::wave::PrerequisiteMachine;

use super::ResolvedWorkload;
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};
use crate::graph::{Cycle, Dag};

/// A workload of another plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedOther {
    /// Its name, as this plan calls it.
    pub name: WorkloadRef,
    /// All its machines, sorted; none of a step outside.
    pub machines: Vec<PrerequisiteMachine>,
    /// The targets that those go to, each with its cluster where that is known.
    pub targets: BTreeSet<(TargetName, Option<String>)>,
    /// It is a step outside.
    pub step: Option<WaveStep>,
    /// When it is predicted to be done; none: by the ledger, all of it runs already.
    pub done: Option<Timestamp>,
}

/// Who asks: a plan by namespace and name.
type Own<'a> = (&'a Namespace, &'a PlanName);

/// Resolves what workloads wait for in other plans, and fills in their `others`.
pub(super) fn resolve(
    spec: &PlanSpec,
    written: usize,
    own: Own<'_>,
    inventory: &Inventory,
    workloads: &mut [ResolvedWorkload],
    out: &mut Diagnostics,
) -> BTreeMap<WorkloadRef, ResolvedOther> {
    let look = Look {
        own,
        inventory,
        runs: running(inventory),
        start: spec.start,
    };
    let mut found = BTreeMap::new();
    // One entry of `workloadsFrom` may make hundreds that ask for the same.
    let mut told: BTreeSet<&WorkloadRef> = BTreeSet::new();
    for (i, workload) in spec.workloads.iter().enumerate() {
        let mut others = BTreeSet::new();
        for (n, asked) in workload.depends_on.iter().enumerate() {
            if asked.plan.is_none() {
                continue;
            }
            match look.resolve(asked, &mut found) {
                Ok(name) => {
                    others.insert(name);
                }
                Err(problem) => {
                    if i < written || told.insert(asked) {
                        out.error(plan(i, n), problem);
                    }
                }
            }
        }
        workloads[i].others = others.into_iter().collect();
    }
    if let Err(cycle) = look.circle(workloads) {
        let first = |workload: &ResolvedWorkload| !workload.others.is_empty();
        let i = workloads.iter().position(first).unwrap_or(0);
        let asked = spec.workloads[i].depends_on.iter();
        let n = asked.take_while(|asked| asked.plan.is_none()).count();
        out.error(plan(i, n), Problem::Cycle { cycle });
    }
    found
}

fn plan(i: usize, n: usize) -> Place {
    Place {
        file: File::Plan,
        path: format!("workloads[{i}].dependsOn[{n}]"),
    }
}

/// `NAMESPACE/NAME` of the records of machines that run, in any target's ledger.
fn running(inventory: &Inventory) -> BTreeSet<&str> {
    let targets = inventory.targets.values();
    let lines = targets.flat_map(|target| &target.ledger);
    let runs = lines.filter(|line| line.stage == Stage::Running);
    runs.map(|line| line.id.as_str()).collect()
}

struct Look<'a> {
    own: Own<'a>,
    inventory: &'a Inventory,
    runs: BTreeSet<&'a str>,
    start: Option<Timestamp>,
}

impl<'a> Look<'a> {
    /// What `asked`, in the words of the plan `by`, is called here.
    fn called(&self, asked: &WorkloadRef, by: Own<'_>) -> WorkloadRef {
        let (namespace, name) = match &asked.plan {
            None => by,
            Some(plan) => (plan.namespace.as_ref().unwrap_or(by.0), &plan.name),
        };
        let plan = ((namespace, name) != self.own).then(|| PlanRef {
            namespace: (namespace != self.own.0).then(|| namespace.clone()),
            name: name.clone(),
        });
        WorkloadRef {
            plan,
            name: asked.name.clone(),
        }
    }

    /// The plan that is called so here.
    fn plan(&self, name: &PlanRef) -> Result<&'a OtherPlan, Problem> {
        let namespace = name.namespace.as_ref().unwrap_or(self.own.0);
        let plans = &self.inventory.knowledge.plans;
        let is_it = |plan: &&OtherPlan| plan.name == name.name && plan.namespace == *namespace;
        let mut of_name = plans.iter().filter(is_it);
        match (of_name.next(), of_name.next()) {
            (Some(one), None) => Ok(one),
            (Some(one), Some(two)) => Err(Problem::PlanTwice {
                plan: name.to_string(),
                paths: [one.path.clone(), two.path.clone()],
            }),
            (None, _) => {
                let called = |plan: &OtherPlan| PlanRef {
                    namespace: (plan.namespace != *self.own.0).then(|| plan.namespace.clone()),
                    name: plan.name.clone(),
                };
                let mut known: Vec<String> = plans.iter().map(|p| called(p).to_string()).collect();
                known.sort();
                // The right name in another namespace is what was most likely meant.
                let elsewhere = plans.iter().find(|plan| plan.name == name.name);
                let nearest = elsewhere.map(|plan| called(plan).to_string());
                let nearest = nearest
                    .or_else(|| nearest_of(&name.to_string(), &known))
                    .filter(|nearest| *nearest != name.to_string());
                Err(Problem::NoPlan {
                    plan: name.to_string(),
                    below: self.inventory.knowledge.plans_below.clone(),
                    nearest,
                })
            }
        }
    }

    /// Looks up a workload of another plan, and what the step that it is waits for.
    fn resolve(
        &self,
        asked: &WorkloadRef,
        found: &mut BTreeMap<WorkloadRef, ResolvedOther>,
    ) -> Result<WorkloadRef, Problem> {
        let name = self.called(asked, self.own);
        let Some(plan) = &name.plan else {
            return Err(Problem::OwnPlan {
                asked: asked.to_string(),
                workload: name.name.to_string(),
            });
        };
        let mut open = vec![(name.clone(), plan.clone())];
        while let Some((name, plan)) = open.pop() {
            if found.contains_key(&name) {
                continue;
            }
            let other = self.other(&name, self.plan(&plan)?)?;
            for before in other.step.iter().flat_map(|step| &step.depends_on) {
                open.extend(before.plan.clone().map(|plan| (before.clone(), plan)));
            }
            found.insert(name, other);
        }
        Ok(name)
    }

    fn other(&self, name: &WorkloadRef, plan: &OtherPlan) -> Result<ResolvedOther, Problem> {
        let Some(workload) = plan.workloads.get(&name.name) else {
            if plan.makes_workloads {
                return Err(Problem::NotPlanned {
                    workload: name.to_string(),
                    path: plan.path.clone(),
                });
            }
            let known = plan.workloads.keys().map(WorkloadName::as_str);
            return Err(Problem::Unknown {
                kind: Kind::Workload,
                name: name.name.to_string(),
                within: Some(format!("plan `{}` ({})", plan.name, plan.path)),
                nearest: nearest(name.name.as_str(), known),
            });
        };
        let by = (&plan.namespace, &plan.name);
        let step = workload.external.as_ref().map(|external| WaveStep {
            name: name.clone(),
            title: external.title.clone(),
            depends_on: workload
                .depends_on
                .iter()
                .map(|before| self.called(before, by))
                .collect(),
            done: external.done.clone(),
        });
        let machines = workload.machines.iter();
        Ok(ResolvedOther {
            name: name.clone(),
            machines: machines
                .clone()
                .map(|(vm, machine)| PrerequisiteMachine {
                    vm: vm.clone(),
                    record: machine.record.clone(),
                })
                .collect(),
            targets: machines
                .map(|(_, machine)| (machine.target.clone(), machine.cluster_uid.clone()))
                .collect(),
            done: self.done(name, plan, workload)?,
            step,
        })
    }

    /// When a workload is predicted to be done.
    fn done(
        &self,
        name: &WorkloadRef,
        plan: &OtherPlan,
        workload: &OtherWorkload,
    ) -> Result<Option<Timestamp>, Problem> {
        let (name, path) = (name.to_string(), plan.path.clone());
        let mut last: Option<Seconds> = None;
        let mut take = |done: Option<Seconds>| match done {
            Some(done) => {
                last = last.max(Some(done));
                Ok(())
            }
            None => Err(Problem::NotForetold {
                workload: name.clone(),
                path: path.clone(),
            }),
        };
        if workload.external.is_some() {
            take(workload.step_ends)?;
        } else if workload.machines.is_empty() {
            return Err(Problem::NotPlanned {
                workload: name,
                path,
            });
        }
        for machine in workload.machines.values() {
            let id = format!("{}/{}", plan.namespace, machine.record);
            if !self.runs.contains(id.as_str()) {
                take(machine.done)?;
            }
        }
        let Some(last) = last else { return Ok(None) };
        let (Some(origin), Some(_)) = (plan.origin, self.start) else {
            return Err(Problem::NoCommonClock {
                workload: name,
                path,
                theirs: plan.origin.is_none(),
            });
        };
        let seconds = i64::try_from(last.0).unwrap_or(i64::MAX);
        let moment = origin.checked_add(SignedDuration::from_secs(seconds));
        Ok(Some(moment.unwrap_or(Timestamp::MAX)))
    }

    /// Workloads that wait for each other by way of other plans.
    ///
    /// # Errors
    /// Their names, the last one the first one again.
    fn circle(&self, workloads: &[ResolvedWorkload]) -> Result<(), Vec<String>> {
        let mut names: Vec<WorkloadRef> = Vec::new();
        let mut at: BTreeMap<WorkloadRef, usize> = BTreeMap::new();
        let mut before: Vec<Vec<usize>> = Vec::new();
        if workloads.iter().all(|workload| workload.others.is_empty()) {
            return Ok(());
        }
        for workload in workloads {
            at.insert(workload.name.clone().into(), names.len());
            names.push(workload.name.clone().into());
        }
        let mut next = 0;
        while next < names.len() {
            let name = names[next].clone();
            let asked: Vec<WorkloadRef> = match (&name.plan, workloads.get(next)) {
                (None, Some(own)) => {
                    let inside = own.depends_on.iter().cloned().map(WorkloadRef::from);
                    inside.chain(own.others.iter().cloned()).collect()
                }
                (Some(plan), _) => {
                    let plan = self.plan(plan).ok();
                    let workload =
                        plan.and_then(|plan| Some((plan, plan.workloads.get(&name.name)?)));
                    workload.map_or_else(Vec::new, |(plan, workload)| {
                        let by = (&plan.namespace, &plan.name);
                        let asked = workload.depends_on.iter();
                        asked.map(|asked| self.called(asked, by)).collect()
                    })
                }
                (None, None) => Vec::new(),
            };
            let positions = asked.into_iter().map(|asked| {
                *at.entry(asked.clone()).or_insert_with(|| {
                    names.push(asked);
                    names.len() - 1
                })
            });
            let positions = positions.collect();
            before.push(positions);
            next += 1;
        }
        Dag::new(&before).map_or_else(
            |Cycle { members }| {
                let members = members.iter().chain(members.first());
                let all: Vec<String> = members.map(|at| names[*at].to_string()).collect();
                // One inside this plan is told already.
                if all.iter().any(|name| name.contains('/')) {
                    Err(all)
                } else {
                    Ok(())
                }
            },
            |_| Ok(()),
        )
    }
}

fn nearest_of(name: &str, known: &[String]) -> Option<String> {
    nearest(name, known.iter().map(String::as_str))
}
