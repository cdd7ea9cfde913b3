//! Steps outside that compete for people or gear: when each should begin, by the general core.
//!
//! Where steps only wait for each other, each begins as soon as it may, and there is nothing to decide.
//! Where they share pools, the plan's graph becomes a project for [`rcpsp`]: steps with what they take,
//! and each workload's imports as one activity that is no shorter than the longest of them alone. The
//! decoder then begins no step earlier than the project does, and keeps the pools whatever really
//! happens. A problem of steps alone is a plain project, and its schedule is the core's: what the public
//! benchmark sets are.

use engine::admission::create_to_export;
use schemas::units::Seconds;

use super::rcpsp::{self, Activity, Project, Stage, Time, Unsolvable};
use super::{Budget, Job, Problem, Window};

/// What the core found.
pub(super) struct Found {
    /// By workload: its step should not begin before.
    pub begins: Vec<Seconds>,
    /// No schedule is done before, gates included.
    pub bound: Seconds,
    /// Schedules that were generated.
    pub tried: u64,
}

/// When steps should begin; nothing, where none of them takes anything, or one takes more than there
/// is or fits none of its windows: the decoder finds that it has no place.
pub(super) fn search(problem: &Problem, budget: &Budget) -> Option<Found> {
    let mut steps = problem.workloads.iter().filter_map(|it| it.step.as_ref());
    if !steps.any(|step| step.needs.iter().any(|needs| *needs > 0)) {
        return None;
    }
    let project = project(problem).ok()?;
    let budget_of_core = rcpsp::Budget {
        schedules: budget.iterations,
        elapsed: budget.elapsed,
    };
    let solution = rcpsp::solve(&project, &budget_of_core, budget.seed).ok()?;
    Some(Found {
        begins: solution
            .start
            .iter()
            .map(|at| Seconds(u64::from(*at)))
            .collect(),
        bound: Seconds(u64::from(solution.lower_bound)),
        tried: solution.schedules,
    })
}

/// An activity for each workload.
fn project(problem: &Problem) -> Result<Project, Unsolvable> {
    let mut made = Project {
        capacities: problem.pools.iter().map(|pool| pool.capacity).collect(),
        ..Project::default()
    };
    let mut least = vec![Seconds::ZERO; problem.workloads.len()];
    for job in &problem.jobs {
        let so_far = &mut least[job.workload];
        *so_far = (*so_far).max(alone(problem, job));
    }
    for (workload, least) in problem.workloads.iter().zip(least) {
        let mut demands = vec![0; made.capacities.len()];
        let mut activity = Activity::default();
        let mut takes = least;
        if let Some(step) = &workload.step {
            demands[..step.needs.len()].copy_from_slice(&step.needs);
            takes = step.takes;
            activity.release = time(step.from)?;
            if let Some(calendar) = step.calendar {
                let windows = problem.calendars[calendar].iter();
                let starts = windows.filter_map(|window| starts(window, takes).transpose());
                made.calendars.push(starts.collect::<Result<_, _>>()?);
                activity.calendar = Some(made.calendars.len() - 1);
            }
        }
        let duration = time(takes)?;
        activity.stages = vec![Stage { duration, demands }];
        made.activities.push(activity);
    }
    for (workload, after) in problem.workloads.iter().map(|it| &it.after).enumerate() {
        for other in after {
            made.activities[*other].successors.push(workload);
        }
    }
    Ok(made)
}

/// From its creation until its gate holds, on an idle engine.
fn alone(problem: &Problem, job: &Job) -> Seconds {
    let profile = &problem.targets[job.target].profile;
    let it = &job.estimates;
    let lead = create_to_export(profile, job.kind, it.shutdown.value.into()).seconds();
    lead + it.export.value + it.images.value + it.boot.value + job.gate
}

/// When something that takes so long may start in a window.
fn starts(window: &Window, takes: Seconds) -> Result<Option<(Time, Time)>, Unsolvable> {
    let past = (window.to + Seconds(1))
        .saturating_sub(takes)
        .min(window.last_start);
    if window.from >= past {
        return Ok(None);
    }
    Ok(Some((time(window.from)?, time(past)?)))
}

/// In the unit of projects, which is a second here.
fn time(at: Seconds) -> Result<Time, Unsolvable> {
    Time::try_from(at.0).map_err(|_| Unsolvable::TooLong)
}
