//! Priority rules: in which order imports are offered to the engine.
//!
//! An order is only a preference: the decoder takes the first import of it that may start at all.
//! With one exporter and no windows any of them is within a few hundredths of the best; they differ
//! where scratch is tight, windows are short or chains are long.

use std::cmp::Reverse;
use std::fmt;

use schemas::units::Seconds;

use super::Problem;
use crate::graph::Dag;

/// A priority rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// As the plan lists its workloads, then by VM.
    PlanOrder,
    /// What keeps the exporter busy longest goes first.
    LongestExport,
    /// What keeps it busy shortest goes first.
    ShortestExport,
    /// What has the longest way of dependants behind it goes first.
    LongestTail,
    /// What most workloads wait for goes first.
    MostDependants,
    /// What holds the scratch longest after its export goes first.
    LongestImages,
    /// What needs most of the scratch goes first.
    LargestScratch,
    /// What needs least of it goes first.
    SmallestScratch,
    /// What needs more than a third of the scratch goes first, then the longest chains.
    CrowdingFirst,
    /// Johnson's rule for two machines: short exports before long images, long before short.
    Johnson,
}

impl Rule {
    /// All of them; the first of equals wins.
    pub const ALL: [Self; 10] = [
        Self::PlanOrder,
        Self::LongestExport,
        Self::ShortestExport,
        Self::LongestTail,
        Self::MostDependants,
        Self::LongestImages,
        Self::LargestScratch,
        Self::SmallestScratch,
        Self::CrowdingFirst,
        Self::Johnson,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PlanOrder => "the plan's order",
            Self::LongestExport => "longest export first",
            Self::ShortestExport => "shortest export first",
            Self::LongestTail => "longest chain of dependants first",
            Self::MostDependants => "most dependants first",
            Self::LongestImages => "longest image import first",
            Self::LargestScratch => "largest scratch first",
            Self::SmallestScratch => "smallest scratch first",
            Self::CrowdingFirst => "what fills the scratch first",
            Self::Johnson => "Johnson's rule",
        })
    }
}

/// Positions of all jobs, most urgent first; ties by plan order and VM.
pub(super) fn order(problem: &Problem, dag: &Dag, rule: Rule) -> Vec<usize> {
    let mut takes = vec![None; problem.workloads.len()];
    for job in &problem.jobs {
        let all: &mut Option<Seconds> = &mut takes[job.workload];
        *all = Some(all.unwrap_or_default() + job.estimates.export.value);
    }
    let tails = dag.tails(&takes);
    let dependants = dag.dependants_count();
    let urgency = |job: usize| {
        let job = &problem.jobs[job];
        let (export, images) = (job.estimates.export.value.0, job.estimates.images.value.0);
        match rule {
            Rule::PlanOrder => 0,
            Rule::LongestExport => export,
            Rule::ShortestExport => u64::MAX - export,
            Rule::LongestTail => tails[job.workload].0,
            Rule::MostDependants => dependants[job.workload] as u64,
            Rule::LargestScratch => job.size.peak.0.0,
            Rule::SmallestScratch => u64::MAX - job.size.peak.0.0,
            Rule::CrowdingFirst => {
                let crowds =
                    job.size.peak.0.0.saturating_mul(3) > problem.targets[job.target].usable.0;
                tails[job.workload].0 + u64::from(crowds) * (u64::MAX / 2)
            }
            Rule::Johnson if export < images => u64::MAX - export,
            Rule::LongestImages | Rule::Johnson => images,
        }
    };
    let mut jobs = problem.by_vm();
    // Stable: jobs of a workload stay sorted by VM.
    // What is fixed comes first at its moment, whatever else could start then.
    jobs.sort_by_key(|job| {
        let it = &problem.jobs[*job];
        let fixed = it.fixed.unwrap_or(Seconds(u64::MAX));
        (fixed, Reverse(urgency(*job)), it.workload)
    });
    jobs
}
