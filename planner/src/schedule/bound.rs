//! What no schedule can beat, however clever: printed beside every plan, so that a reader knows how
//! much better it could be. It holds for the plan's admission policy: another policy is another
//! trade of downtime against makespan, and has another bound.
//!
//! The parts: the longest chain of dependencies; one exporter, with heads and tails, interrupted at
//! will (Jackson 1955, Carlier 1982); exports across windows; image slots; what the scratch can hold
//! over time (with dual feasible functions, Fekete and Schepers 2001); imports that exclude each
//! other on it.

mod machine;
mod volume;
mod windows;

use std::collections::BTreeMap;

use engine::admission::create_to_export;
use engine::profile::PhaseName;
use schemas::ids::VmKey;
use schemas::units::Seconds;

use super::{Job, Problem};
use crate::graph::Dag;

/// The earliest end that any schedule could have, and what it rests on. Each part is that of the
/// target where it is most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LowerBound {
    /// No schedule ends before: the most of the parts.
    pub ends: Seconds,
    /// All exports, one after the other on each exporter, with the gaps that admission leaves
    /// between them.
    pub by_exporter: Seconds,
    /// One exporter that may be interrupted, with what comes before and after each export.
    pub by_preemption: Seconds,
    /// All exports in the time that windows are open, and what may run on after they close.
    pub by_windows: Seconds,
    /// All images on the image slots, or on the bandwidth that they share.
    pub by_images: Seconds,
    /// Sizes times durations, against the scratch.
    pub by_scratch: Seconds,
    /// Imports of which no two fit the scratch together, or that would write the same files.
    pub by_exclusion: Seconds,
    /// By the longest chain of dependencies.
    pub by_dependencies: Seconds,
    /// Where steps outside compete for something: not all steps and machines are done before. Not part
    /// of `ends`, which is of machines.
    pub done: Seconds,
}

impl LowerBound {
    /// What it rests on, for people.
    pub fn rests_on(&self) -> &'static str {
        let parts = [
            (self.by_dependencies, "the longest chain of dependencies"),
            (self.by_exporter, "the exports, one after the other"),
            (
                self.by_preemption,
                "the exports, with what comes before and after them",
            ),
            (
                self.by_windows,
                "the exports, in the time that windows are open",
            ),
            (self.by_images, "the image imports"),
            (self.by_scratch, "the scratch, over time"),
            (
                self.by_exclusion,
                "imports that cannot be under way together",
            ),
        ];
        let most = parts.iter().find(|(ends, _)| *ends == self.ends);
        most.map_or("nothing", |(_, part)| part)
    }
}

/// One import as bounds see it. All times are the least that they can be.
#[derive(Clone, Copy, Debug)]
struct Bounded {
    /// Its export starts no earlier.
    head: u64,
    /// From creation to its export.
    lead: u64,
    export: u64,
    images: u64,
    boot: u64,
    /// From the end of its export to the end of all that waits for it.
    tail: u64,
    /// What it holds of the scratch from its export on.
    size: u64,
}

impl Bounded {
    /// From its export to its readiness.
    fn lasts(&self) -> u64 {
        self.export + self.images + self.boot
    }
}

/// Over all imports that fit the scratch at all.
pub(super) fn lower_bound(problem: &Problem, dag: &Dag) -> LowerBound {
    let (head, tail) = heads_and_tails(problem, dag);
    let mut bound = LowerBound::default();
    for (target, it) in problem.targets.iter().enumerate() {
        let own = |job: &usize| {
            let job = &problem.jobs[*job];
            let peak = job.holds(it.profile.holds_from(PhaseName::Shutdown));
            job.target == target && peak <= it.usable
        };
        let own: Vec<usize> = (0..problem.jobs.len()).filter(own).collect();
        let jobs: Vec<Bounded> = own
            .iter()
            .map(|at| {
                let job = &problem.jobs[*at];
                Bounded {
                    head: head[*at],
                    lead: lead(problem, job),
                    export: export(problem, job),
                    images: lasts(problem, job, PhaseName::Images),
                    boot: lasts(problem, job, PhaseName::Boot),
                    tail: tail[*at],
                    size: job.holds(it.profile.holds_from(PhaseName::Images)).0,
                }
            })
            .collect();
        if jobs.is_empty() {
            continue;
        }
        let most = |part: &mut Seconds, value: u64| *part = (*part).max(Seconds(value));
        let chain = jobs
            .iter()
            .map(|job| job.head + job.export + job.tail)
            .max();
        most(&mut bound.by_dependencies, chain.unwrap_or(0));
        most(
            &mut bound.by_exporter,
            machine::exporter(problem, it, &own, &jobs),
        );
        most(&mut bound.by_exclusion, twins(problem, &own, &jobs));
        let alone = it.profile.at_once(PhaseName::Export) == Some(1);
        if alone {
            most(&mut bound.by_preemption, machine::preemptive(&jobs));
        }
        most(
            &mut bound.by_windows,
            windows::across(problem, it, &own, &jobs).unwrap_or(0),
        );
        most(&mut bound.by_windows, windows::inside(problem, it, &own));
        most(&mut bound.by_images, machine::images(it, &jobs));
        most(&mut bound.by_scratch, volume::area(it.usable.0, &jobs));
        most(
            &mut bound.by_exclusion,
            volume::exclusion(it.usable.0, &jobs, alone),
        );
    }
    bound.ends = [
        bound.by_exporter,
        bound.by_preemption,
        bound.by_windows,
        bound.by_images,
        bound.by_scratch,
        bound.by_exclusion,
        bound.by_dependencies,
    ]
    .into_iter()
    .max()
    .unwrap_or_default();
    bound
}

/// More that exclude each other are not looked at: each is compared with each.
const TWINS_MAX: usize = 16;

/// Imports that would write the same files follow each other.
fn twins(problem: &Problem, own: &[usize], jobs: &[Bounded]) -> u64 {
    let places: BTreeMap<&VmKey, usize> = own
        .iter()
        .map(|at| &problem.jobs[*at].vm)
        .zip(0..)
        .collect();
    let mut best = 0;
    for (at, position) in own.iter().enumerate() {
        let job = &problem.jobs[*position];
        let others = job.excludes.iter().filter_map(|vm| places.get(vm).copied());
        let mut all: Vec<usize> = others.chain([at]).collect();
        all.sort_unstable();
        all.dedup();
        let excludes = |a: &usize, b: &usize| {
            a == b
                || problem.jobs[own[*a]]
                    .excludes
                    .contains(&problem.jobs[own[*b]].vm)
        };
        if !(2..=TWINS_MAX).contains(&all.len()) {
            continue;
        }
        if !all.iter().all(|a| all.iter().all(|b| excludes(a, b))) {
            continue;
        }
        let begins = all.iter().map(|at| jobs[*at].head - jobs[*at].lead).min();
        let last: u64 = all
            .iter()
            .map(|at| jobs[*at].lead + jobs[*at].lasts())
            .sum();
        best = best.max(begins.unwrap_or(0) + last);
    }
    best
}

/// How long a phase of the cut lasts.
fn lasts(problem: &Problem, job: &Job, phase: PhaseName) -> u64 {
    let profile = &problem.targets[job.target].profile;
    job.estimates.phase(profile, phase).0
}

fn export(problem: &Problem, job: &Job) -> u64 {
    lasts(problem, job, PhaseName::Export)
}

/// From its creation to its export, on an idle engine.
fn lead(problem: &Problem, job: &Job) -> u64 {
    let profile = &problem.targets[job.target].profile;
    let shutdown = job.estimates.shutdown.value.into();
    create_to_export(profile, job.kind, shutdown).seconds().0
}

/// For each job: when its export can start at the earliest, and how long all takes at least that
/// follows its end.
fn heads_and_tails(problem: &Problem, dag: &Dag) -> (Vec<u64>, Vec<u64>) {
    let links = Links::new(problem);
    let rest =
        |job: &Job| lasts(problem, job, PhaseName::Images) + lasts(problem, job, PhaseName::Boot);
    let mut head: Vec<u64> = vec![0; problem.jobs.len()];
    let mut done: Vec<u64> = vec![0; problem.workloads.len()];
    let ends = |head: &[u64], at: usize| {
        let job = &problem.jobs[at];
        head[at] + export(problem, job) + rest(job) + job.gate.0
    };
    // Single dependencies may lead back to a workload that was looked at: each pass is a bound.
    for _ in 0..PASSES {
        for &workload in dag.order() {
            let it = &problem.workloads[workload];
            let opens = it.after.iter().map(|other| done[*other]).max().unwrap_or(0);
            if let Some(step) = &it.step {
                done[workload] = opens.max(step.from.0) + step.takes.0;
            }
            for &at in &links.members[workload] {
                let job = &problem.jobs[at];
                let single = links.before[at]
                    .iter()
                    .map(|other| ends(&head, *other))
                    .max();
                let staged = lasts(problem, job, PhaseName::Stage);
                let created = opens.max(single.unwrap_or(0)).max(staged);
                let created = windows::first_start(problem, job, created);
                head[at] = head[at].max(created + lead(problem, job));
                done[workload] = done[workload].max(ends(&head, at));
            }
        }
    }
    let mut tail: Vec<u64> = problem.jobs.iter().map(rest).collect();
    // From a workload's opening to the end of all behind it.
    let mut behind: Vec<u64> = vec![0; problem.workloads.len()];
    for _ in 0..PASSES {
        for &workload in dag.order().iter().rev() {
            let next = dag.dependants(workload).map(|other| behind[other]).max();
            let next = next.unwrap_or(0);
            let step = problem.workloads[workload].step.as_ref();
            let mut all = step.map_or(0, |step| step.takes.0 + next);
            for &at in &links.members[workload] {
                let job = &problem.jobs[at];
                let from_start = |at: usize| {
                    let job = &problem.jobs[at];
                    lead(problem, job) + export(problem, job)
                };
                let single = links.after[at]
                    .iter()
                    .map(|other| from_start(*other) + tail[*other]);
                let follows = single.max().unwrap_or(0).max(next);
                if follows > 0 {
                    tail[at] = tail[at].max(rest(job) + job.gate.0 + follows);
                }
                all = all.max(from_start(at) + tail[at]);
            }
            behind[workload] = behind[workload].max(all);
        }
    }
    (head, tail)
}

/// How often dependencies are followed; more would only make the bound a little better.
const PASSES: usize = 2;

/// Who waits for whom by name.
struct Links {
    /// By workload.
    members: Vec<Vec<usize>>,
    /// By job.
    before: Vec<Vec<usize>>,
    /// By job.
    after: Vec<Vec<usize>>,
}

impl Links {
    fn new(problem: &Problem) -> Self {
        let positions: BTreeMap<&VmKey, usize> =
            problem.jobs.iter().map(|job| &job.vm).zip(0..).collect();
        let mut links = Self {
            members: vec![Vec::new(); problem.workloads.len()],
            before: vec![Vec::new(); problem.jobs.len()],
            after: vec![Vec::new(); problem.jobs.len()],
        };
        // By VM, for members are looked at one after the other.
        for at in problem.by_vm() {
            let job = &problem.jobs[at];
            links.members[job.workload].push(at);
            for other in job.after.iter().filter_map(|vm| positions.get(vm)) {
                links.before[at].push(*other);
                links.after[*other].push(at);
            }
        }
        links
    }
}
