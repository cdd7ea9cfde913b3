//! What no schedule can beat, however clever: printed beside every plan, so that a reader knows how
//! much better it could be.

use schemas::units::Seconds;

use super::{Job, Problem};
use crate::graph::Dag;

/// The earliest end that any schedule could have, and what it rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LowerBound {
    /// No schedule ends before.
    pub ends: Seconds,
    /// By the exporter of the busiest target: all exports, one after the other.
    pub by_exporter: Seconds,
    /// By the longest chain of dependencies.
    pub by_dependencies: Seconds,
}

/// Over all imports that fit the scratch at all.
pub(super) fn lower_bound(problem: &Problem, dag: &Dag) -> LowerBound {
    let fits = |job: &&Job| job.size.peak.0 <= problem.targets[job.target].usable;
    let jobs: Vec<&Job> = problem.jobs.iter().filter(fits).collect();
    let by_exporter = (0..problem.targets.len())
        .map(|target| exporter(problem, jobs.iter().copied().filter(|j| j.target == target)))
        .max()
        .unwrap_or_default();
    let takes: Vec<Option<Seconds>> = (0..problem.workloads.len())
        .map(|workload| {
            let own = jobs.iter().filter(|job| job.workload == workload);
            let least = own.map(|job| job.estimates.shutdown.value + after_shutdown(job));
            least.max()
        })
        .collect();
    let by_dependencies = dag.tails(&takes).into_iter().max().unwrap_or_default();
    LowerBound {
        ends: by_exporter.max(by_dependencies),
        by_exporter,
        by_dependencies,
    }
}

/// The first guest to be off, all exports, and the least that follows the last of them.
fn exporter<'a>(problem: &Problem, jobs: impl Iterator<Item = &'a Job>) -> Seconds {
    let (mut exports, mut head, mut tail) = (Seconds::ZERO, None, None);
    for job in jobs {
        let opens = job
            .calendar
            .and_then(|calendar| problem.calendars[calendar].first())
            .map_or(Seconds::ZERO, |window| window.from);
        let export = job.estimates.export.value;
        exports += export;
        let least = |a: Option<Seconds>, b: Seconds| Some(a.map_or(b, |a| a.min(b)));
        head = least(head, opens + job.estimates.shutdown.value);
        tail = least(tail, after_shutdown(job).saturating_sub(export));
    }
    exports + head.unwrap_or_default() + tail.unwrap_or_default()
}

fn after_shutdown(job: &Job) -> Seconds {
    let estimates = &job.estimates;
    estimates.export.value + estimates.images.value + estimates.boot.value
}
