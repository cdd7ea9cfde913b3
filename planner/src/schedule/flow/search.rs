//! How a budget of orders is spent: the starts, and from which of them it is annealed, how hot, how
//! often.

use super::super::{Budget, Rule};
use super::anneal::Anneal;
use super::dispatch::{Windows, dispatch};
use super::line::{Line, State};
use super::model::Model;

/// The best order found, and how many orders were decoded. None: something can never start.
pub fn search(model: &Model, near: &[u32; 3], budget: &Budget) -> Option<(Start, u64)> {
    let starts = starts(model, near)?;
    let mut search = Search {
        budget,
        tried: 0,
        best: starts[0].clone(),
    };
    let exports = model.jobs.iter().map(|job| u64::from(job.export));
    // Half a mean export, where there is time to cool down from that.
    let jobs = model.len() as u64;
    let hot = (exports.sum::<u64>() << 16) / (jobs * 2);
    let mut anneal = Anneal::new(model, starts[0].order.clone(), budget.seed);
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
            let anneal = Anneal::new(model, start.order.clone(), seed);
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
    Some((best, tried))
}

/// The starting orders, best first; none: something can never start.
pub fn starts(model: &Model, near: &[u32; 3]) -> Option<Vec<Start>> {
    let mut windows = vec![Windows::Ignored];
    if model.has_windows() {
        windows.extend(near.map(|near| Windows::Crossed { near }));
    }
    let mut starts = Vec::new();
    for rule in Rule::ALL {
        let priority = priority(model, rule);
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
fn priority(model: &Model, rule: Rule) -> Vec<u32> {
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

/// An order, what it comes to, and the rule that it came from.
#[derive(Clone)]
pub struct Start {
    /// The last job runs.
    pub makespan: u32,
    /// The rule that it began with.
    pub rule: Rule,
    /// Of jobs.
    pub order: Vec<u32>,
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
