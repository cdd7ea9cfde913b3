//! What another choice would give: makespan and downtime for each admission policy, and for more
//! or less scratch.
//!
//! Each line is a schedule of its own, made as the plan's is; nothing here is interpolated.

use std::fmt::Write as _;

use schemas::ids::TargetName;
use schemas::site::Admission;
use schemas::units::{Bytes, Seconds};
use serde::Serialize;

use crate::schedule::{Problem, schedule};

/// The schema named in the JSON form.
pub const SCHEMA: &str = "windrow.tradeoff/1";

/// Sizes of the scratch that are tried, in hundredths of what there is.
const SCRATCH_HUNDREDTHS: [u64; 4] = [50, 75, 150, 200];

const INFALLIBLE: &str = "a String takes everything";

/// What other choices would give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tradeoff {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The three policies, with the scratch as it is.
    pub policies: Vec<Choice>,
    /// Sizes of the scratch, smallest first, with the policy as it is; by target where there are
    /// several.
    pub scratch: Vec<ScratchChoices>,
}

/// Sizes of one target's scratch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScratchChoices {
    /// The target.
    pub target: TargetName,
    /// What each size would give.
    pub choices: Vec<Choice>,
}

/// What one choice gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// When the next import is created.
    pub admission: Admission,
    /// Usable scratch of the target that is varied; of all targets, where none is.
    pub usable: Bytes,
    /// Whether it is what the plan does.
    pub chosen: bool,
    /// VMs that have a place.
    pub placed: usize,
    /// VMs that have none.
    pub unplaced: usize,
    /// From the first guest off to the last machine ready.
    pub span: Seconds,
    /// The last machine is ready, from the plan's start.
    pub ends: Seconds,
    /// Mean downtime.
    pub downtime_mean: Seconds,
    /// Longest downtime.
    pub downtime_worst: Seconds,
    /// Most scratch held on any target.
    pub scratch_peak: Bytes,
}

/// Tries the other choices for a problem.
pub fn tradeoff(problem: &Problem) -> Tradeoff {
    let all: Bytes = problem.targets.iter().map(|target| target.usable).sum();
    let policies = [
        Admission::Downtime,
        Admission::Balanced,
        Admission::Throughput,
    ];
    let policies = policies.into_iter().filter_map(|admission| {
        let other = Problem {
            admission,
            ..problem.clone()
        };
        choice(&other, all, admission == problem.admission)
    });
    let scratch = problem.targets.iter().enumerate().map(|(at, target)| {
        let mut sizes: Vec<Bytes> = SCRATCH_HUNDREDTHS
            .iter()
            .map(|share| part(target.usable, *share))
            .collect();
        // What a round sum more would buy.
        sizes.push(target.usable + Bytes::from_gib(200));
        sizes.push(target.usable);
        sizes.sort();
        sizes.dedup();
        let choices = sizes.into_iter().filter_map(|usable| {
            let mut other = problem.clone();
            other.targets[at].usable = usable;
            choice(&other, usable, usable == target.usable)
        });
        ScratchChoices {
            target: target.name.clone(),
            choices: choices.collect(),
        }
    });
    Tradeoff {
        schema: SCHEMA,
        policies: policies.collect(),
        scratch: scratch.collect(),
    }
}

/// A share of a size, in whole GiB.
fn part(bytes: Bytes, hundredths: u64) -> Bytes {
    let share = u128::from(bytes.0) * u128::from(hundredths) / 100;
    let gib = u64::try_from(share >> 30).unwrap_or(u64::MAX >> 30);
    Bytes::from_gib(gib)
}

fn choice(problem: &Problem, usable: Bytes, chosen: bool) -> Option<Choice> {
    let made = schedule(problem).ok()?;
    let (downtime_mean, downtime_worst) = made.downtime();
    let starts = made.slots.iter().map(|slot| slot.times.off).min();
    let ends = made.ends();
    Some(Choice {
        admission: problem.admission,
        usable,
        chosen,
        placed: made.slots.len(),
        unplaced: made.unplaced.len(),
        span: ends.saturating_sub(starts.unwrap_or_default()),
        ends,
        downtime_mean,
        downtime_worst,
        scratch_peak: made
            .scratch
            .iter()
            .map(crate::schedule::ScratchUse::peak)
            .max()
            .unwrap_or_default(),
    })
}

impl Tradeoff {
    /// In words: a table of policies, and one of scratch sizes for each target.
    pub fn text(&self) -> String {
        let mut text = "admission, with the scratch as it is\n".to_owned();
        let policy = |choice: &Choice| {
            match choice.admission {
                Admission::Downtime => "downtime",
                Admission::Balanced => "balanced",
                Admission::Throughput => "throughput",
            }
            .to_owned()
        };
        table(&mut text, "policy", &self.policies, policy);
        for target in &self.scratch {
            writeln!(
                text,
                "\nusable scratch on {}, with the policy as it is",
                target.target
            )
            .expect(INFALLIBLE);
            table(&mut text, "scratch", &target.choices, |choice| {
                choice.usable.to_string()
            });
            let chosen = target.choices.iter().find(|choice| choice.chosen);
            if let Some(chosen) = chosen
                && target.choices.iter().all(|more| {
                    more.usable < chosen.usable
                        || (more.ends, more.placed) == (chosen.ends, chosen.placed)
                })
            {
                writeln!(
                    text,
                    "  more would buy nothing: at most {} are held",
                    chosen.scratch_peak
                )
                .expect(INFALLIBLE);
            }
        }
        text
    }
}

fn table(text: &mut String, what: &str, choices: &[Choice], name: impl Fn(&Choice) -> String) {
    let head = [
        what,
        "VMs",
        "without a place",
        "takes",
        "down, mean",
        "worst",
        "scratch peak",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for choice in choices {
        let mark = if choice.chosen { " ◀ the plan" } else { "" };
        rows.push([
            name(choice),
            choice.placed.to_string(),
            choice.unplaced.to_string(),
            choice.span.to_string(),
            choice.downtime_mean.to_string(),
            choice.downtime_worst.to_string(),
            format!("{}{mark}", choice.scratch_peak),
        ]);
    }
    let missing = choices.iter().any(|choice| choice.unplaced > 0);
    crate::report::text::table_of(text, &rows, |column| column != 2 || missing);
}
