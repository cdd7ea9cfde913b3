//! Bounds by the exporters and by the image slots.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use engine::profile::PhaseName;
use schemas::site::Admission;

use super::super::{Problem, Target};
use super::Bounded;

/// The first guest to be off, all exports with the least that admission leaves between them, and
/// the least that follows the last of them.
pub(super) fn exporter(problem: &Problem, target: &Target, own: &[usize], jobs: &[Bounded]) -> u64 {
    let exports: u64 = jobs.iter().map(|job| job.export).sum();
    let head = jobs.iter().map(|job| job.head).min().unwrap_or(0);
    let tail = jobs
        .iter()
        .map(|job| job.images + job.boot)
        .min()
        .unwrap_or(0);
    let Some(at_once) = target.profile.at_once(PhaseName::Export) else {
        return 0;
    };
    if !target.profile.blocks() {
        return head + exports.div_ceil(u64::from(at_once.max(1))) + tail;
    }
    // No import is created before the one before it is exported; and unless throughput is asked
    // for, none is exported before the images of the one before it are in.
    let all_but_the_largest = |of: fn(&Bounded) -> u64| {
        let most = jobs.iter().map(of).max().unwrap_or(0);
        jobs.iter().map(of).sum::<u64>() - most
    };
    let leads = all_but_the_largest(|job| job.lead);
    let fixed = own.iter().any(|job| problem.jobs[*job].fixed.is_some());
    let gaps = match problem.admission {
        Admission::Throughput => leads,
        // What is fixed keeps to no policy.
        _ if fixed => leads,
        Admission::Balanced | Admission::Downtime => {
            leads.max(all_but_the_largest(|job| job.images))
        }
    };
    head + exports + gaps + tail
}

/// One exporter that may turn from one export to another at any time, each no earlier than its head
/// and with its tail behind it: the longest tail first (Jackson's rule), which no schedule beats.
pub(super) fn preemptive(jobs: &[Bounded]) -> u64 {
    let mut by_head: Vec<&Bounded> = jobs.iter().collect();
    by_head.sort_by_key(|job| job.head);
    let mut waiting: BinaryHeap<(u64, Reverse<u64>)> = BinaryHeap::new();
    let (mut now, mut next, mut ends) = (0, 0, 0);
    loop {
        while let Some(job) = by_head.get(next).filter(|job| job.head <= now) {
            waiting.push((job.tail, Reverse(job.export)));
            next += 1;
        }
        let coming = by_head.get(next).map(|job| job.head);
        let Some((tail, Reverse(left))) = waiting.pop() else {
            match coming {
                Some(at) => now = at,
                None => return ends,
            }
            continue;
        };
        let until = coming.map_or(now + left, |at| at.min(now + left));
        let done = until - now;
        now = until;
        if done == left {
            ends = ends.max(now + tail);
        } else {
            waiting.push((tail, Reverse(left - done)));
        }
    }
}

/// All images, as many at once as there are slots; they share one bandwidth where the profile says
/// so.
pub(super) fn images(target: &Target, jobs: &[Bounded]) -> u64 {
    let at_once = match target.profile.at_once(PhaseName::Images) {
        Some(slots) => u64::from(slots.max(1)),
        None if target.profile.shares(PhaseName::Images) => 1,
        None => return 0,
    };
    let all: u64 = jobs.iter().map(|job| job.images).sum();
    let first = jobs
        .iter()
        .map(|job| job.head + job.export)
        .min()
        .unwrap_or(0);
    let last = jobs.iter().map(|job| job.boot).min().unwrap_or(0);
    first + all.div_ceil(at_once) + last
}
