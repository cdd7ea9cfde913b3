//! Whether it all fits, before anything is scheduled: the time that imports need against the time
//! that windows give, for each target.

use std::collections::BTreeSet;

use engine::admission::create_to_export;
use schemas::ids::{OccurrenceId, TargetName, WindowName};
use schemas::site::Admission;
use schemas::units::Seconds;
use serde::Serialize;

use super::{Job, Problem};

/// Needs and means of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Feasibility {
    /// The target.
    pub target: TargetName,
    /// Time that its engine needs for the cuts that keep windows: their exports, and the least that
    /// admission leaves between them.
    pub needs: Seconds,
    /// Time of its engine in which the windows of these imports are open, as many at once as it takes.
    pub given: Seconds,
    /// Imports that keep windows.
    pub inside: usize,
    /// Of those, the ones whose guest is off: nobody would miss them at another hour.
    pub off: usize,
    /// Time that its engine needs for those that are off.
    pub needs_off: Seconds,
    /// Occurrences that any of its imports may use.
    pub occurrences: usize,
}

impl Feasibility {
    /// Hundredths of the needs that fit, at most 100. More than fits here never fits; what fits here
    /// may still fail for scratch or dependencies.
    pub fn percent(&self) -> u64 {
        let needs = self.needs.0.max(1);
        (self.given.0.saturating_mul(100) / needs).min(100)
    }

    /// How many more occurrences of the usual length would give what is lacking.
    pub fn occurrences_lacking(&self) -> u64 {
        let usual = self.given.0 / (self.occurrences as u64).max(1);
        let lacking = self.needs.saturating_sub(self.given).0;
        if usual == 0 {
            0
        } else {
            lacking.div_ceil(usual)
        }
    }
}

/// Of every target that has imports which keep windows, in the problem's order.
pub fn feasibility(problem: &Problem) -> Vec<Feasibility> {
    let targets = problem
        .targets
        .iter()
        .enumerate()
        .map(|(position, target)| {
            let inside: Vec<&Job> = problem
                .jobs
                .iter()
                .filter(|job| job.target == position && job.calendar.is_some())
                .collect();
            let off: Vec<&Job> = inside
                .iter()
                .copied()
                .filter(|job| !job.guest_runs)
                .collect();
            let calendars: BTreeSet<usize> = inside.iter().filter_map(|job| job.calendar).collect();
            let windows = calendars
                .iter()
                .flat_map(|calendar| &problem.calendars[*calendar]);
            let occurrences: BTreeSet<(&WindowName, &OccurrenceId)> = windows
                .clone()
                .map(|window| (&window.name, &window.occurrence))
                .collect();
            let open =
                windows.map(|window| (window.from, window.to.saturating_sub(window.reserve)));
            let at_once = target
                .profile
                .narrow()
                .map_or(1, |(_, most)| u64::from(most.max(1)));
            Feasibility {
                target: target.name.clone(),
                needs: engine_time(problem, &inside),
                given: Seconds(union(open.collect()).0.saturating_mul(at_once)),
                inside: inside.len(),
                off: off.len(),
                needs_off: engine_time(problem, &off),
                occurrences: occurrences.len(),
            }
        });
    targets.filter(|it| it.inside > 0).collect()
}

/// What only some may do at once (exports, on vm-import-controller), one after the other, and what
/// admission leaves between on an engine that blocks.
fn engine_time(problem: &Problem, jobs: &[&Job]) -> Seconds {
    let time = jobs.iter().map(|job| {
        let profile = &problem.targets[job.target].profile;
        let estimates = &job.estimates;
        let Some((phase, _)) = profile.narrow() else {
            return Seconds::ZERO;
        };
        let lead = create_to_export(profile, job.kind, estimates.shutdown.value.into()).seconds();
        let gap = match problem.admission {
            _ if !profile.blocks() => Seconds::ZERO,
            Admission::Throughput => lead,
            Admission::Balanced | Admission::Downtime => lead.max(estimates.images.value),
        };
        estimates.of(phase.lasts) + gap
    });
    time.sum()
}

/// The length of all spans, each moment once.
fn union(mut spans: Vec<(Seconds, Seconds)>) -> Seconds {
    spans.sort_unstable();
    let (mut length, mut until) = (Seconds::ZERO, Seconds::ZERO);
    for (from, to) in spans {
        let from = from.max(until);
        length += to.saturating_sub(from);
        until = until.max(to);
    }
    length
}
