//! What no schedule can beat, however clever: printed beside every plan, so that a reader knows how
//! much better it could be. It holds for the plan's admission policy: another policy is another
//! trade of downtime against makespan, and has another bound.

use engine::Profile;
use engine::admission::create_to_export;
use schemas::site::Admission;
use schemas::units::Seconds;

use super::{Job, Problem};
use crate::graph::Dag;

/// The earliest end that any schedule could have, and what it rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LowerBound {
    /// No schedule ends before.
    pub ends: Seconds,
    /// By the exporter of the busiest target: all exports, one after the other, with the gaps that
    /// admission leaves between them.
    pub by_exporter: Seconds,
    /// By the longest chain of dependencies.
    pub by_dependencies: Seconds,
}

/// Over all imports that fit the scratch at all.
pub(super) fn lower_bound(problem: &Problem, dag: &Dag) -> LowerBound {
    let fits = |job: &&Job| job.size.peak.0 <= problem.targets[job.target].usable;
    let jobs: Vec<&Job> = problem.jobs.iter().filter(fits).collect();
    let by_exporter = (0..problem.targets.len())
        .map(|target| {
            exporter(
                problem,
                &problem.targets[target].profile,
                jobs.iter().copied().filter(|j| j.target == target),
            )
        })
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

/// The first guest to be off, all exports with the least that admission leaves between them, and
/// the least that follows the last of them.
fn exporter<'a>(
    problem: &Problem,
    profile: &Profile,
    jobs: impl Iterator<Item = &'a Job>,
) -> Seconds {
    let (mut exports, mut leads, mut images) = (Seconds::ZERO, Sum::default(), Sum::default());
    let (mut head, mut tail) = (None, None);
    for job in jobs {
        let opens = job
            .calendar
            .and_then(|calendar| problem.calendars[calendar].first())
            .map_or(Seconds::ZERO, |window| window.from);
        let estimates = &job.estimates;
        let lead = create_to_export(profile, job.kind, estimates.shutdown.value.into()).seconds();
        exports += estimates.export.value;
        leads.add(lead);
        images.add(estimates.images.value);
        let least = |a: Option<Seconds>, b: Seconds| Some(a.map_or(b, |a| a.min(b)));
        head = least(head, opens + lead);
        tail = least(tail, estimates.images.value + estimates.boot.value);
    }
    // No import is created before the one before it is exported; and unless throughput is asked
    // for, none is exported before the images of the one before it are in.
    let gaps = match problem.admission {
        Admission::Throughput => leads.all_but_the_largest(),
        Admission::Balanced | Admission::Downtime => leads
            .all_but_the_largest()
            .max(images.all_but_the_largest()),
    };
    exports + gaps + head.unwrap_or_default() + tail.unwrap_or_default()
}

/// A sum that one of its terms may be left out of.
#[derive(Clone, Copy, Default)]
struct Sum {
    all: Seconds,
    largest: Seconds,
}

impl Sum {
    fn add(&mut self, term: Seconds) {
        self.all += term;
        self.largest = self.largest.max(term);
    }

    fn all_but_the_largest(self) -> Seconds {
        self.all.saturating_sub(self.largest)
    }
}

fn after_shutdown(job: &Job) -> Seconds {
    let estimates = &job.estimates;
    estimates.export.value + estimates.images.value + estimates.boot.value
}
