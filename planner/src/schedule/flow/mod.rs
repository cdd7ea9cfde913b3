//! The search for engines that do not block: exact orders of exports, decoded tens of thousands of
//! times a second.
//!
//! Takes a problem with one target on which nothing but exporters, hosts, image slots, scratch,
//! windows and dependencies matters, and gives the order of the exports. What it takes the schedule
//! to be is what the general decoder makes of that order; a test holds them to be equal.
//!
//! The parts: `model` (plain numbers), `line` (an exact order → times), `dispatch` (starting
//! orders), `anneal` (improves one).

mod anneal;
mod dispatch;
mod line;
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use engine::Millis;
use engine::admission::create_to_export;
use engine::profile::{PhaseName, VM_IMPORT};
use schemas::ids::VmKey;
use schemas::units::Seconds;

use super::{Budget, Problem, Rule};
use anneal::Anneal;
pub(crate) use anneal::Chance;
use dispatch::{Windows, dispatch};
use line::{Line, State};
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
        let starts = self.starts()?;
        let mut search = Search {
            budget,
            tried: 0,
            best: starts[0].clone(),
        };
        let exports = self.model.jobs.iter().map(|job| u64::from(job.export));
        // Half a mean export, where there is time to cool down from that.
        let jobs = self.model.len() as u64;
        let hot = (exports.sum::<u64>() << 16) / (jobs * 2);
        let mut anneal = Anneal::new(&self.model, starts[0].order.clone(), budget.seed);
        let orders = search.expected(&mut anneal, hot / 40);
        let enough = jobs.pow(3).div_ceil(LEISURE).max(1);
        let hot = u128::from(hot) * u128::from(orders.min(enough)) / u128::from(enough);
        let hot = u64::try_from(hot).expect("no more than before");
        let temperatures: Vec<u64> =
            std::iter::successors(Some(hot), |t| Some((t * 944 / 1000).max(1)))
                .take(COOLINGS + 1)
                .collect();
        if orders / jobs < PATIENT {
            search.run(anneal, &starts[0], &temperatures, (0, 1000));
        } else {
            let mut cool = |start: &Start, seed, from: usize, times| {
                let anneal = Anneal::new(&self.model, start.order.clone(), seed);
                search.run(anneal, start, &temperatures[from..], times);
                search.best.clone()
            };
            let mut best = starts[0].clone();
            for (run, start) in (0..RUNS as u64).zip(starts.iter().cycle()) {
                let share = |run| 500 * run / RUNS as u64;
                let times = (share(run), share(run + 1));
                best = cool(start, budget.seed.wrapping_add(run), 0, times);
            }
            cool(&best, budget.seed, COOLINGS / 4, (500, 1000));
        }
        let Search { best, tried, .. } = search;
        let order = best.order.iter().map(|job| self.jobs[*job as usize]);
        Some((order.collect(), best.rule, tried))
    }

    /// The starting orders, best first; none: something can never start.
    fn starts(&self) -> Option<Vec<Start>> {
        let model = &self.model;
        let mut windows = vec![Windows::Ignored];
        if model.has_windows() {
            windows.extend(self.near.map(|near| Windows::Crossed { near }));
        }
        let mut starts = Vec::new();
        for rule in Rule::ALL {
            let priority = self.priority(rule);
            for windows in &windows {
                let Some(order) = dispatch(model, &priority, *windows) else {
                    continue;
                };
                let mut line = Line::new(model.len());
                line.decode(model, &mut State::new(model), &order);
                let makespan = line.running.iter().copied().max().unwrap_or(0);
                starts.push(Start {
                    makespan,
                    rule,
                    order,
                });
            }
        }
        starts.sort_by_key(|start| (start.makespan, start.rule));
        starts.dedup_by(|next, before| next.order == before.order);
        starts.truncate(RUNS);
        (!starts.is_empty()).then_some(starts)
    }

    /// Jobs by a rule, most urgent first; ties by VM.
    fn priority(&self, rule: Rule) -> Vec<u32> {
        let model = &self.model;
        let tails = model.tails();
        let key = |job: &u32| -> (u64, u64) {
            let it = &model.jobs[*job as usize];
            let (export, tail) = (u64::from(it.export), tails[*job as usize]);
            let rest = u64::from(it.images) + u64::from(it.boot);
            let down = |value: u64| u64::MAX - value;
            let size = u64::try_from(it.peak).unwrap_or(0);
            match rule {
                Rule::PlanOrder => (0, 0),
                Rule::LongestExport => (down(export), 0),
                Rule::ShortestExport => (export, 0),
                Rule::LongestTail => (down(export + tail), 0),
                Rule::MostDependants => (down(tail), 0),
                Rule::LongestImages => (down(rest), 0),
                Rule::LargestScratch => (down(size), 0),
                Rule::SmallestScratch => (size, 0),
                // Those that would keep others out first, then the longest ways.
                Rule::CrowdingFirst if it.peak.saturating_mul(3) > model.scratch => (0, down(size)),
                Rule::CrowdingFirst => (1, down(export + tail)),
                Rule::Johnson if export < rest => (0, export),
                Rule::Johnson => (1, down(rest)),
            }
        };
        let mut jobs: Vec<u32> = (0..).take(model.len()).collect();
        jobs.sort_by_cached_key(|job| (key(job), *job));
        jobs
    }
}

/// An order, what it comes to, and the rule that it came from.
#[derive(Clone)]
struct Start {
    makespan: u32,
    rule: Rule,
    order: Vec<u32>,
}

/// Orders that are tried between two looks at what is spent.
const LOOKS: u64 = 256;

/// Steps from the first temperature to the last, which is a fortieth of it.
const COOLINGS: usize = 64;

/// It pays to begin as hot as it ever does where there are as many orders as the cube of the jobs over
/// this: 40 for each of 1,000 jobs, 1,000 for each of 5,000. With fewer, in proportion colder: a long
/// order that was shaken up has no time to recover.
const LEISURE: u64 = 25_000;

/// Orders for each job from which on it pays to begin several times.
const PATIENT: u64 = 200;

/// How often: where windows or a tight scratch make deep valleys, one run may end in a bad one. Half of
/// the budget goes into these, the rest into the best that they found.
const RUNS: usize = 4;

/// A search, while its budget lasts.
struct Search<'a> {
    budget: &'a Budget<'a>,
    tried: u64,
    best: Start,
}

impl Search<'_> {
    /// Orders that the budget will allow in all: where time is the limit, at the pace of the first.
    fn expected(&mut self, anneal: &mut Anneal<'_>, temperature: u64) -> u64 {
        let Some(elapsed) = self.budget.elapsed else {
            return self.budget.iterations;
        };
        let before = elapsed();
        for _ in 0..LOOKS.min(self.budget.iterations) {
            anneal.step(temperature);
            self.tried += 1;
        }
        let took = u64::from(elapsed().saturating_sub(before)).max(1);
        (self.tried * 1000 / took).min(self.budget.iterations)
    }

    /// Cools down in a part of the budget, in thousandths of it.
    fn run(
        &mut self,
        mut anneal: Anneal<'_>,
        start: &Start,
        temperatures: &[u64],
        (from, to): (u64, u64),
    ) {
        let last = temperatures.len() as u64 - 1;
        while self.tried < self.budget.iterations {
            let spent = self.budget.spent(self.tried);
            if spent >= to {
                break;
            }
            let step = spent.saturating_sub(from) * last / (to - from);
            let temperature = temperatures[usize::try_from(step).expect("one of few")];
            for _ in 0..LOOKS {
                if self.tried < self.budget.iterations {
                    anneal.step(temperature);
                    self.tried += 1;
                }
            }
        }
        let (makespan, order) = anneal.best();
        if makespan < self.best.makespan {
            self.best = Start {
                makespan,
                rule: start.rule,
                order: order.to_vec(),
            };
        }
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
