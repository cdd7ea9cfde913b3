//! The bound by windows: what can be exported while they are open, and what may run on.

use std::collections::BTreeMap;

use engine::profile::PhaseName;
use schemas::site::Admission;
use schemas::units::Seconds;

use super::super::{Job, Problem, Target, Window};
use super::Bounded;

/// When the job can be created at the earliest, not before `at`. At `at`, if no window lets it: then
/// it has no place, and bounds nothing.
pub(super) fn first_start(problem: &Problem, job: &Job, at: u64) -> u64 {
    let Some(calendar) = job.calendar else {
        return at.max(job.fixed.map_or(0, |at| at.0));
    };
    let mut starts = problem.calendars[calendar].iter().filter_map(|window| {
        let start = window.from.0.max(at);
        let fits = start < window.last_start.0
            && Seconds(start) + job.cut_p90 + window.reserve <= window.to;
        fits.then_some(start)
    });
    starts.next().unwrap_or(at)
}

/// When all exports can have ended, plus the least that follows; none: the jobs have no windows in
/// common, or those are too few for all.
pub(super) fn across(
    problem: &Problem,
    target: &Target,
    own: &[usize],
    jobs: &[Bounded],
) -> Option<u64> {
    let calendar = problem.jobs[*own.first()?].calendar?;
    if own
        .iter()
        .any(|job| problem.jobs[*job].calendar != Some(calendar))
    {
        return None;
    }
    let windows = &problem.calendars[calendar];
    let exporters = u128::from(target.profile.at_once(PhaseName::Export)?.max(1));
    // An import is created in its window; its export begins later.
    let lead = jobs.iter().map(|job| job.lead).max()?;
    let closes = |window: &Window| window.last_start.min(window.to).0.saturating_add(lead);
    let gaps: Vec<(u64, u64)> = windows
        .windows(2)
        .map(|pair| (closes(&pair[0]), pair[1].from.0))
        .filter(|(from, to)| from < to)
        .collect();
    // How much of each export can lie in gaps at most.
    let mut crossing: Vec<u64> = jobs.iter().map(|job| job.export).collect();
    crossing.sort_unstable_by(|a, b| b.cmp(a));
    let mut last: Option<(u64, u64)> = None;
    for export in &mut crossing {
        let covered = match last {
            Some((same, covered)) if same == *export => covered,
            _ => most_in_gaps(&gaps, *export),
        };
        last = Some((*export, covered));
        *export = covered;
    }
    crossing.sort_unstable_by(|a, b| b.cmp(a));
    let tail = jobs.iter().map(|job| job.images + job.boot).min()?;
    let total = jobs.iter().map(|job| u128::from(job.export)).sum::<u128>();
    let (mut crossing, mut credit, mut gap_time) = (crossing.into_iter(), 0_u128, 0_u128);
    let mut open = 0_u128;
    for (at, window) in windows.iter().enumerate() {
        let (from, to) = (window.from.0, closes(window));
        let need = total.saturating_sub(credit.min(gap_time));
        let mut left = need.saturating_sub(open);
        let room = exporters * u128::from(to.saturating_sub(from));
        if left <= room {
            return u64::try_from(u128::from(from) + left.div_ceil(exporters))
                .ok()?
                .checked_add(tail);
        }
        open += room;
        left -= room;
        let next = windows.get(at + 1)?;
        let before = credit.min(gap_time);
        credit += (0..exporters)
            .filter_map(|_| crossing.next())
            .map(u128::from)
            .sum::<u128>();
        gap_time += exporters * u128::from(next.from.0.saturating_sub(to));
        // All may be exported before the next window opens.
        if left <= credit.min(gap_time) - before {
            return u64::try_from(u128::from(to) + left.div_ceil(exporters))
                .ok()?
                .checked_add(tail);
        }
    }
    None
}

/// On an engine that blocks: when the work of those that keep windows can have ended, for each list of
/// windows and for all together. No cut may end outside, so their exports, and the least that admission
/// leaves between them, lie inside. Nothing, if there is more of it than fits.
pub(super) fn inside(problem: &Problem, target: &Target, own: &[usize]) -> u64 {
    if !target.profile.blocks() {
        return 0;
    }
    let policy = problem.admission;
    let fixed = own.iter().any(|job| problem.jobs[*job].fixed.is_some());
    // Work by calendar: with what precedes each export, and with what follows it.
    let mut work: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for job in own.iter().map(|job| &problem.jobs[*job]) {
        let Some(calendar) = job.calendar else {
            continue;
        };
        let (lead, export) = (super::lead(problem, job), super::export(problem, job));
        let images = super::lasts(problem, job, PhaseName::Images);
        let (before, behind) = match policy {
            // What is fixed keeps to no policy.
            _ if fixed => (lead + export, 0),
            Admission::Throughput => (lead + export, 0),
            Admission::Balanced => (lead + export, export + images),
            Admission::Downtime => (lead + export + images, 0),
        };
        let sums = work.entry(calendar).or_default();
        *sums = (sums.0 + before, sums.1 + behind);
    }
    let all = work
        .values()
        .fold((0, 0), |all, it| (all.0 + it.0, all.1 + it.1));
    let everywhere = ends(problem, work.keys().copied(), all.0.max(all.1));
    let single = work.iter().map(|(calendar, (before, behind))| {
        ends(problem, std::iter::once(*calendar), *before.max(behind))
    });
    single.chain([everywhere]).flatten().max().unwrap_or(0)
}

/// When so much work is done that lies in windows alone.
fn ends(problem: &Problem, calendars: impl Iterator<Item = usize>, work: u64) -> Option<u64> {
    let windows = calendars.flat_map(|calendar| &problem.calendars[calendar]);
    let mut spans: Vec<(u64, u64)> = windows
        .map(|window| (window.from.0, window.to.saturating_sub(window.reserve).0))
        .collect();
    spans.sort_unstable();
    let (mut left, mut until) = (work, 0);
    for (from, to) in spans {
        let from = from.max(until);
        let open = to.saturating_sub(from);
        if left <= open {
            return Some(from + left);
        }
        left -= open;
        until = until.max(to);
    }
    None
}

/// The most of an export of that length that can lie outside of windows: from a close on, or up to
/// an opening.
fn most_in_gaps(gaps: &[(u64, u64)], export: u64) -> u64 {
    let inside = |at: usize, from: u64, to: u64| -> u64 {
        let near = gaps[at..].iter().take_while(|(begins, _)| *begins < to);
        near.map(|(begins, ends)| to.min(*ends).saturating_sub(from.max(*begins)))
            .sum()
    };
    let mut most = 0;
    for (at, (begins, ends)) in gaps.iter().enumerate() {
        most = most.max(inside(at, *begins, begins + export));
        let from = ends.saturating_sub(export);
        let first = gaps.partition_point(|(_, ends)| *ends <= from);
        most = most.max(inside(first, from, *ends));
        if most == export {
            break;
        }
    }
    most
}
