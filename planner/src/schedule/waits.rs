//! What waits for what while an order is decoded: workloads, steps outside, single VMs, barriers.

use std::collections::BTreeMap;

use engine::Millis;
use schemas::ids::VmKey;

use super::Problem;
use crate::graph::Dag;

/// What the last thing was that a job waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Opener {
    /// A job that runs now.
    Job(usize),
    /// The workload of a step that has ended.
    Step(usize),
}

/// What came last: when; of those of one time, which by VM.
type Last = Option<(Millis, usize, Opener)>;

/// Counters of what is still missing, and when it came.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    fixed: std::rc::Rc<Links>,
    /// By workload: jobs that are not done.
    left: Vec<u32>,
    /// By workload: direct dependencies that are not done.
    open: Vec<u32>,
    /// By workload: what was the last of its dependencies.
    workload_opened_by: Vec<Last>,
    /// By job: VMs and barriers that it waits for beside its workload, and its stage.
    own: Vec<u32>,
    job_opened_by: Vec<Last>,
    /// By barrier: jobs that are not done.
    barrier_left: Vec<u32>,
    /// By workload and by barrier: the last of its jobs so far.
    workload_last: Vec<Last>,
    barrier_last: Vec<Last>,
    /// By job: when it had nobody left to wait for.
    pub ready_at: Vec<Millis>,
    /// By job: when it ran and its gate held.
    pub held_at: Vec<Option<Millis>>,
    /// By workload: when its step ended.
    pub steps_ended: Vec<Option<Millis>>,
}

/// What never changes.
#[derive(Debug)]
struct Links {
    /// By job: its place among all by VM.
    rank: Vec<usize>,
    /// By workload: those that depend on it.
    dependants: Vec<Vec<usize>>,
    /// By workload: its jobs.
    members: Vec<Vec<usize>>,
    /// By job: jobs that wait for it by name.
    followers: Vec<Vec<usize>>,
    /// By job: the barriers that it is in front of.
    in_front_of: Vec<Vec<usize>>,
    /// By barrier: the jobs in front, the jobs behind.
    barriers: Vec<(Vec<usize>, Vec<usize>)>,
    /// By job: the jobs that it waits for by name.
    after: Vec<Vec<usize>>,
}

impl Waits {
    pub fn new(problem: &Problem, dag: &Dag) -> Self {
        let positions: BTreeMap<&VmKey, usize> =
            problem.jobs.iter().map(|job| &job.vm).zip(0..).collect();
        let known = |vms: &[VmKey]| -> Vec<usize> {
            let mut jobs: Vec<usize> = vms
                .iter()
                .filter_map(|vm| positions.get(vm).copied())
                .collect();
            jobs.sort_unstable();
            jobs.dedup();
            jobs
        };
        let (jobs, workloads) = (problem.jobs.len(), problem.workloads.len());
        let mut rank = vec![0; jobs];
        for (place, job) in problem.by_vm().into_iter().enumerate() {
            rank[job] = place;
        }
        let mut links = Links {
            rank,
            dependants: (0..workloads)
                .map(|w| dag.dependants(w).collect())
                .collect(),
            members: vec![Vec::new(); workloads],
            followers: vec![Vec::new(); jobs],
            in_front_of: vec![Vec::new(); jobs],
            barriers: Vec::new(),
            after: problem.jobs.iter().map(|job| known(&job.after)).collect(),
        };
        let mut own = vec![0; jobs];
        for (position, job) in problem.jobs.iter().enumerate() {
            links.members[job.workload].push(position);
            own[position] += u32::from(problem.targets[job.target].profile.has_stage());
            for before in &links.after[position] {
                links.followers[*before].push(position);
                own[position] += 1;
            }
        }
        for barrier in &problem.barriers {
            let first = known(&barrier.first);
            let mut then = known(&barrier.then);
            then.retain(|job| first.binary_search(job).is_err());
            let position = links.barriers.len();
            for job in &first {
                links.in_front_of[*job].push(position);
            }
            if !first.is_empty() {
                for job in &then {
                    own[*job] += 1;
                }
            }
            links.barriers.push((first, then));
        }
        let left: Vec<u32> = links.members.iter().map(|jobs| count(jobs.len())).collect();
        let undone = |w: usize| left[w] > 0 || problem.workloads[w].step.is_some();
        let open = problem.workloads.iter().map(|workload| {
            let mut after = workload.after.clone();
            after.sort_unstable();
            after.dedup();
            count(after.into_iter().filter(|w| undone(*w)).count())
        });
        Self {
            open: open.collect(),
            workload_opened_by: vec![None; workloads],
            own,
            job_opened_by: vec![None; jobs],
            barrier_left: links
                .barriers
                .iter()
                .map(|(first, _)| count(first.len()))
                .collect(),
            ready_at: vec![Millis::ZERO; jobs],
            held_at: vec![None; jobs],
            steps_ended: vec![None; workloads],
            workload_last: vec![None; workloads],
            barrier_last: vec![None; links.barriers.len()],
            left,
            fixed: std::rc::Rc::new(links),
        }
    }

    /// Whether the job waits for nobody.
    pub fn is_ready(&self, problem: &Problem, job: usize) -> bool {
        self.own[job] == 0 && self.open[problem.jobs[job].workload] == 0
    }

    /// The stage of a job has ended; whether it waits for nobody any more.
    pub fn staged(&mut self, problem: &Problem, job: usize) -> bool {
        self.own[job] -= 1;
        self.is_ready(problem, job)
    }

    /// Workloads with steps that wait for nobody at the start.
    pub fn steps_ready(&self, problem: &Problem) -> Vec<usize> {
        let steps = (0..problem.workloads.len()).filter(|w| problem.workloads[*w].step.is_some());
        steps.filter(|w| self.open[*w] == 0).collect()
    }

    /// A job is done. Gives jobs that wait for nobody any more, and workloads whose step may begin.
    pub fn job_done(&mut self, problem: &Problem, job: usize) -> (Vec<usize>, Vec<usize>) {
        let links = std::rc::Rc::clone(&self.fixed);
        let at = self.held_at[job].unwrap_or_default();
        let by = Some((at, links.rank[job], Opener::Job(job)));
        let mut opened = (Vec::new(), Vec::new());
        let mut free = |waits: &mut Self, other: usize, by: Last| {
            waits.own[other] -= 1;
            waits.job_opened_by[other] = waits.job_opened_by[other].max(by);
            if waits.own[other] == 0 && waits.is_ready(problem, other) {
                opened.0.push(other);
            }
        };
        for other in &links.followers[job] {
            free(self, *other, by);
        }
        for barrier in &links.in_front_of[job] {
            self.barrier_left[*barrier] -= 1;
            self.barrier_last[*barrier] = self.barrier_last[*barrier].max(by);
            if self.barrier_left[*barrier] == 0 {
                for other in &links.barriers[*barrier].1 {
                    free(self, *other, self.barrier_last[*barrier]);
                }
            }
        }
        let workload = problem.jobs[job].workload;
        self.left[workload] -= 1;
        self.workload_last[workload] = self.workload_last[workload].max(by);
        if self.left[workload] == 0 && problem.workloads[workload].step.is_none() {
            let by = self.workload_last[workload];
            self.workload_done(problem, workload, by, &mut opened);
        }
        opened
    }

    /// A step outside has ended.
    pub fn step_done(&mut self, problem: &Problem, step: usize) -> (Vec<usize>, Vec<usize>) {
        let mut opened = (Vec::new(), Vec::new());
        let at = self.steps_ended[step].unwrap_or_default();
        self.workload_done(
            problem,
            step,
            Some((at, step, Opener::Step(step))),
            &mut opened,
        );
        opened
    }

    fn workload_done(
        &mut self,
        problem: &Problem,
        workload: usize,
        by: Last,
        opened: &mut (Vec<usize>, Vec<usize>),
    ) {
        let links = std::rc::Rc::clone(&self.fixed);
        for other in &links.dependants[workload] {
            self.open[*other] -= 1;
            self.workload_opened_by[*other] = self.workload_opened_by[*other].max(by);
            if self.open[*other] > 0 {
                continue;
            }
            if problem.workloads[*other].step.is_some() {
                opened.1.push(*other);
            }
            let members = links.members[*other].iter().copied();
            opened.0.extend(members.filter(|job| self.own[*job] == 0));
        }
    }

    /// What the job waited for last.
    pub fn opened_by(&self, problem: &Problem, job: usize) -> Option<Opener> {
        let workload = self.workload_opened_by[problem.jobs[job].workload];
        workload.max(self.job_opened_by[job]).map(|(.., by)| by)
    }

    /// Something that the job waits for and that has not come: another job, or a step.
    pub fn missing(&self, problem: &Problem, job: usize) -> Option<Opener> {
        let links = &self.fixed;
        let undone = |job: &&usize| self.held_at[**job].is_none();
        let by_vm = |jobs: Vec<usize>| jobs.into_iter().min_by_key(|job| &problem.jobs[*job].vm);
        let mut jobs: Vec<usize> = links.after[job].iter().filter(undone).copied().collect();
        for (first, then) in &links.barriers {
            if then.binary_search(&job).is_ok() {
                jobs.extend(first.iter().filter(undone).copied());
            }
        }
        if let Some(other) = by_vm(jobs) {
            return Some(Opener::Job(other));
        }
        // What a step waits for is behind what the job waits for.
        let mut before = problem.workloads[problem.jobs[job].workload].after.clone();
        let mut next = 0;
        while let Some(workload) = before.get(next).copied() {
            if problem.workloads[workload].step.is_some() {
                let further = problem.workloads[workload].after.iter();
                let further: Vec<usize> =
                    further.filter(|w| !before.contains(w)).copied().collect();
                before.extend(further);
            }
            next += 1;
        }
        for workload in &before {
            let jobs = links.members[*workload].iter().filter(undone).copied();
            if let Some(other) = by_vm(jobs.collect()) {
                return Some(Opener::Job(other));
            }
        }
        for workload in &before {
            if problem.workloads[*workload].step.is_some() && self.steps_ended[*workload].is_none()
            {
                return Some(Opener::Step(*workload));
            }
        }
        None
    }

    /// Whether everything has come that these jobs wait for and that is not among them.
    pub fn outside_done(&self, problem: &Problem, jobs: &[usize], workloads: &[usize]) -> bool {
        let done = |job: &usize| self.held_at[*job].is_some() || jobs.binary_search(job).is_ok();
        let links = &self.fixed;
        jobs.iter().all(|job| {
            let barriers = links.barriers.iter();
            let barriers = barriers.filter(|(_, then)| then.binary_search(job).is_ok());
            links.after[*job].iter().all(done) && barriers.flat_map(|(first, _)| first).all(done)
        }) && workloads.iter().all(|workload| {
            problem.workloads[*workload].after.iter().all(|other| {
                workloads.contains(other)
                    || (links.members[*other].iter().all(done)
                        && (problem.workloads[*other].step.is_none()
                            || self.steps_ended[*other].is_some()))
            })
        })
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("far fewer than 2³² jobs")
}
