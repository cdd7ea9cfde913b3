//! The search on engines that block: orders are preferences, of which the first import that may
//! start is taken, decoded on the engine's own simulation.
//!
//! Every priority rule is tried; then jobs are moved in the best order, and what is better is
//! kept. Few orders can be tried, for each is a simulation of every state of every import; but on
//! this engine, with one exporter, first-that-fits leaves little to gain.

use schemas::units::Seconds;

use super::decode::{Decoded, Estate, Mode, Played};
use super::flow::Chance;
use super::order::order;
use super::{Budget, Problem, Rule, SlotTimes, Window};
use crate::graph::Dag;

/// Jobs that may be decoded in all, rules left aside: what keeps a plan of thousands of VMs within a
/// second.
const DECODED_MAX: u64 = 4_000;

/// The best that was found, the rule that it began with, and how many orders were tried.
pub(super) fn search(estate: &Estate<'_>, dag: &Dag, budget: &Budget) -> (Decoded, Rule, u64) {
    let problem = estate.problem;
    let rules = Rule::ALL.iter().map(|rule| {
        let order = order(problem, dag, *rule);
        let played = estate.play(&order, Mode::FirstThatFits);
        (score_of(problem, &played), *rule, order, played)
    });
    let best = rules.min_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let (plain, rule, mut best_order, best) = best.expect("there are rules");
    let (mut least, mut found_worth) = (plain, None);
    let jobs = problem.jobs.len();
    let affordable = DECODED_MAX / (jobs as u64).max(1);
    let budget = Budget {
        iterations: budget.iterations.min(affordable),
        ..*budget
    };
    let mut chance = Chance(budget.seed);
    let mut tried = 0;
    while jobs > 1 && tried < budget.iterations && budget.spent(tried) < 1000 {
        tried += 1;
        let mut trial = best_order.clone();
        let (from, to) = (chance.below(jobs), chance.below(jobs));
        if chance.below(2) == 0 {
            trial.swap(from, to);
        } else if from < to {
            trial[from..=to].rotate_left(1);
        } else {
            trial[to..=from].rotate_right(1);
        }
        let played = estate.play(&trial, Mode::FirstThatFits);
        let found = score_of(problem, &played);
        if found < least {
            (least, best_order) = (found, trial);
            found_worth = Some(played).filter(|_| is_worth(&found, &plain));
        }
    }
    (found_worth.unwrap_or(best).decoded(), rule, tried)
}

/// Whether an order is so much better than a rule's that it is worth losing a rule that people can
/// follow: more is placed or inside its window, less downtime, or a hundredth less of makespan.
fn is_worth(found: &Score, plain: &Score) -> bool {
    let ends = |score: &Score| score.3.0;
    (found.0, found.1, found.2) < (plain.0, plain.1, plain.2)
        || ends(found) + ends(plain) / 100 <= ends(plain)
}

/// Imports left out, windows overrun, weighted downtime, makespan: less is better.
pub(super) type Score = (usize, usize, u64, Seconds);

/// What is better is less: imports left out, windows overrun, weighted downtime, makespan. Downtime
/// counts in hundredths of what is unavoidable: a few seconds of it are no reason for an hour more.
pub(super) fn score(problem: &Problem, decoded: &Decoded) -> Score {
    let slots = decoded.slots.iter();
    let times = slots.map(|(job, slot)| (*job, slot.times, slot.window.as_ref()));
    weigh(problem, decoded.unplaced.len(), times)
}

fn score_of(problem: &Problem, played: &Played<'_>) -> Score {
    weigh(problem, played.unplaced(), played.times())
}

/// By the jobs that have a place, each with its times and its window.
pub(super) fn weigh<'a>(
    problem: &Problem,
    unplaced: usize,
    slots: impl Iterator<Item = (usize, SlotTimes, Option<&'a Window>)>,
) -> Score {
    let (mut overruns, mut down, mut ends) = (0, 0, Seconds::ZERO);
    for (job, times, window) in slots {
        overruns += usize::from(times.overrun(window) > Seconds::ZERO);
        down += times.downtime().0 * problem.jobs[job].weight;
        ends = ends.max(times.ready);
    }
    let least = problem.jobs.iter().map(|job| {
        let profile = &problem.targets[job.target].profile;
        job.estimates.downtime(profile).0 * job.weight
    });
    let hundredth = (least.sum::<u64>() / 100).max(1);
    (unplaced, overruns, down / hundredth, ends)
}
