//! The search for engines that do not block: exact orders of exports, decoded tens of thousands of
//! times a second.
//!
//! Takes a problem with one target on which nothing but exporters, hosts, image slots, scratch,
//! windows and dependencies matters, and gives the order of the exports. What it takes the schedule
//! to be is what the general decoder makes of that order; a test holds them to be equal.
//!
//! The parts: `model` (plain numbers), `line` (an exact order → times), `dispatch` (starting
//! orders), `anneal` (improves one), `search` (how a budget is spent on that).

mod anneal;
mod dispatch;
mod line;
mod model;
mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use engine::Millis;
use engine::admission::create_to_export;
use engine::profile::{PhaseName, VM_IMPORT};
use schemas::ids::VmKey;
use schemas::units::Seconds;

use super::{Budget, Problem, Rule};
pub(crate) use anneal::Chance;
use model::{Lists, Model, NEVER, Times};

/// A problem for this search.
pub(super) struct Flow {
    model: Model,
    /// By position in the model: the job's in the problem.
    jobs: Vec<usize>,
    /// The last so much of a window in which the longest goes first, as one of the things tried.
    near: [u32; 3],
}

/// Dependencies per job, on average, beyond which the general decoder is no slower.
const EDGES_PER_JOB_MAX: usize = 64;

impl Flow {
    /// Of the problem; none, if it has anything that this search does not know.
    pub fn of(problem: &Problem) -> Option<Self> {
        let [target] = problem.targets.as_slice() else {
            return None;
        };
        let profile = &target.profile;
        let plain = !profile.blocks()
            && profile.phases == VM_IMPORT
            && !profile.shares(PhaseName::Images)
            && profile.step == Millis::ZERO
            && profile.create_machine == Millis::ZERO
            && target.occupied.is_empty()
            && target.room.is_none()
            && problem.barriers.is_empty()
            && problem.services.iter().all(|service| !service.together)
            && problem.workloads.iter().all(|it| it.step.is_none());
        let calendar = problem.jobs.first()?.calendar;
        let jobs_plain = problem.jobs.iter().all(|job| {
            let shutdown: Millis = job.estimates.shutdown.value.into();
            job.calendar == calendar
                && job.fixed.is_none()
                && job.gate == Seconds::ZERO
                && job.excludes.is_empty()
                && create_to_export(profile, job.kind, shutdown) == Millis::ZERO
        });
        let windows = calendar.map_or(&[][..], |at| &problem.calendars[at]);
        let uncounted = windows.iter().all(|window| window.vms_max.is_none());
        let exporters = profile.at_once(PhaseName::Export)?;
        if !plain || !jobs_plain || !uncounted || profile.lacks_slots() {
            return None;
        }
        let jobs = problem.by_vm();
        let (before, after) = dependencies(problem, &jobs)?;
        let unit = unit(problem, windows);
        let units = |seconds: Seconds| u32::try_from(seconds.0 / unit).unwrap_or(NEVER);
        let signed = |bytes: schemas::units::Bytes| i64::try_from(bytes.0).ok();
        let unlimited = u32::try_from(problem.hosts.len()).ok()?;
        let mut hosts: Vec<u32> = problem.hosts.iter().map(|host| host.slots).collect();
        hosts.push(u32::MAX);
        let mut times = Vec::with_capacity(jobs.len());
        for job in &jobs {
            let job = &problem.jobs[*job];
            let (peak, resident) = (signed(job.size.peak.0)?, signed(job.size.resident.0)?);
            let reserve = windows.iter().map(|window| window.reserve).max();
            let cut = job.cut_p90 + reserve.unwrap_or_default();
            times.push(Times {
                export: units(job.estimates.export.value),
                images: units(job.estimates.images.value),
                boot: units(job.estimates.boot.value),
                host: job.host.map_or(Ok(unlimited), u32::try_from).ok()?,
                cut: units(Seconds(cut.0.div_ceil(unit) * unit)),
                peak: peak.max(resident),
                resident,
            });
        }
        let far = times
            .iter()
            .map(|it| u64::from(it.export) + u64::from(it.images))
            .sum::<u64>();
        let windows: Vec<[u32; 3]> = windows
            .iter()
            .map(|window| [window.from, window.last_start.min(window.to), window.to].map(units))
            .collect();
        let last = windows.last().map_or(0, |[from, ..]| u64::from(*from));
        // Sums of times must stay below what says "never".
        if far + last >= u64::from(NEVER / 2) {
            return None;
        }
        let mean = times.iter().map(|it| u64::from(it.export)).sum::<u64>() / times.len() as u64;
        let mean = u32::try_from(mean).ok()?;
        Some(Self {
            model: Model {
                exporters: exporters as usize,
                slots: profile
                    .at_once(PhaseName::Images)
                    .map_or(jobs.len(), |slots| slots as usize),
                scratch: signed(target.usable)?,
                hosts,
                windows,
                jobs: times,
                before: Lists::new(&before),
                after: Lists::new(&after),
            },
            jobs,
            near: [0, mean, mean * 2],
        })
    }

    /// The best order found, as positions in the problem, the rule that it began with, and how many
    /// orders were decoded. None: something can never start.
    pub fn search(&self, budget: &Budget) -> Option<(Vec<usize>, Rule, u64)> {
        let (best, tried) = search::search(&self.model, &self.near, budget)?;
        let order = best.order.iter().map(|job| self.jobs[*job as usize]);
        Some((order.collect(), best.rule, tried))
    }
}

/// The greatest whole number of seconds that all times are multiples of.
fn unit(problem: &Problem, windows: &[super::Window]) -> u64 {
    let mut unit = 0;
    let mut add = |seconds: Seconds| unit = gcd(unit, seconds.0);
    for job in &problem.jobs {
        add(job.estimates.export.value);
        add(job.estimates.images.value);
        add(job.estimates.boot.value);
    }
    for window in windows {
        add(window.from);
        for end in [window.last_start, window.to] {
            // One that is later than anything is no time.
            if end.0 < u64::from(NEVER) * 60 {
                add(end);
            }
        }
    }
    unit.max(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// By position in `jobs`: those before and those after; none, if they are too many to be listed.
#[expect(clippy::type_complexity, reason = "two lists of lists, for one caller")]
fn dependencies(problem: &Problem, jobs: &[usize]) -> Option<(Vec<Vec<u32>>, Vec<Vec<u32>>)> {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); problem.workloads.len()];
    let mut positions: BTreeMap<&VmKey, u32> = BTreeMap::new();
    for (at, job) in (0..).zip(jobs) {
        let job = &problem.jobs[*job];
        members[job.workload].push(at);
        positions.insert(&job.vm, at);
    }
    let mut before: Vec<Vec<u32>> = vec![Vec::new(); jobs.len()];
    let mut after = before.clone();
    let mut edges = 0;
    for (at, job) in (0..).zip(jobs) {
        let job = &problem.jobs[*job];
        let workloads = problem.workloads[job.workload].after.iter();
        let own = &mut before[at as usize];
        own.extend(workloads.flat_map(|workload| &members[*workload]));
        own.extend(job.after.iter().filter_map(|vm| positions.get(vm)));
        own.sort_unstable();
        own.dedup();
        edges += own.len();
        if edges > jobs.len() * EDGES_PER_JOB_MAX {
            return None;
        }
        for other in &before[at as usize] {
            after[*other as usize].push(at);
        }
    }
    Some((before, after))
}
