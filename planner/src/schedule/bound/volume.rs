//! Bounds by the scratch.

use super::Bounded;

/// Jobs by size with sums, so that each threshold costs no look at all jobs.
struct Sums {
    /// Ascending.
    sizes: Vec<u64>,
    /// Of the jobs from each place on.
    lasts: Vec<u128>,
    exports: Vec<u128>,
    rests: Vec<u128>,
    areas: Vec<u128>,
}

impl Sums {
    fn new(jobs: &[Bounded]) -> Self {
        let mut jobs: Vec<&Bounded> = jobs.iter().collect();
        jobs.sort_by_key(|job| job.size);
        let from_end = |of: &dyn Fn(&Bounded) -> u128| {
            let mut sums = vec![0; jobs.len() + 1];
            for at in (0..jobs.len()).rev() {
                sums[at] = sums[at + 1] + of(jobs[at]);
            }
            sums
        };
        Self {
            lasts: from_end(&|job| u128::from(job.lasts())),
            exports: from_end(&|job| u128::from(job.export)),
            rests: from_end(&|job| u128::from(job.images + job.boot)),
            areas: from_end(&|job| u128::from(job.size) * u128::from(job.lasts())),
            sizes: jobs.iter().map(|job| job.size).collect(),
        }
    }

    fn first_from(&self, size: u64) -> usize {
        self.sizes.partition_point(|other| *other < size)
    }

    fn first_above(&self, size: u64) -> usize {
        self.sizes.partition_point(|other| *other <= size)
    }
}

/// Sizes times durations over the scratch. For each threshold: what leaves less room than it counts
/// as the whole scratch, what is smaller counts for nothing.
pub(super) fn area(usable: u64, jobs: &[Bounded]) -> u64 {
    let sums = Sums::new(jobs);
    if usable == 0 {
        return 0;
    }
    let thresholds = sums
        .sizes
        .iter()
        .map(|size| (*size).min(usable - (*size).min(usable)));
    let mut best = 0;
    for threshold in thresholds.chain([0]) {
        let large = sums.first_above(usable - threshold);
        let some = sums.first_from(threshold).min(large);
        let part = (sums.areas[some] - sums.areas[large]).div_ceil(u128::from(usable));
        best = best.max(sums.lasts[large] + part);
    }
    u64::try_from(best).unwrap_or(u64::MAX)
}

/// What fills more than half follows each other. With one exporter: while the scratch has less room
/// than a threshold, nothing of that size is exported.
pub(super) fn exclusion(usable: u64, jobs: &[Bounded], one_exporter: bool) -> u64 {
    let sums = Sums::new(jobs);
    let mut best = sums.lasts[sums.first_above(usable / 2)];
    if one_exporter {
        for threshold in sums.sizes.iter().filter(|size| **size <= usable / 2) {
            let exports = sums.exports[sums.first_from(*threshold)];
            best = best.max(exports + sums.rests[sums.first_above(usable - threshold)]);
        }
    }
    u64::try_from(best).unwrap_or(u64::MAX)
}
