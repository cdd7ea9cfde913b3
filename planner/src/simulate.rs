//! How sure a plan's times are: the waves run many times on the engine's model, each time with
//! durations that are a little off, and what came of all the runs.
//!
//! Takes what was planned, and gives shares and quantiles. Each run is a [`replay`]: the imports in
//! their decided order, admitted by the executor's rules, each in its occurrence, or in a later one
//! where its turn comes too late. Nothing is interpolated, and the same seed gives the same numbers
//! on every machine.
//!
//! Two things are off in a run: what is assumed of a source as a whole (one draw for all of its
//! imports: a link that is slower than thought is so all night), and each import by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use schemas::ids::{PlanName, SourceName, VmKey, VmName, WorkloadName};
use schemas::inventory::Inventory;
use schemas::units::Seconds;
use serde::Serialize;

use crate::diagnostic::count;
use crate::downtime;
use crate::pipeline::Planned;
use crate::predict::uncertainties;
use crate::report::Clock;
use crate::report::text::{paragraph, table_of, whole};
use crate::schedule::{Chance, Schedule, Slot, TooLate, replay};

/// The schema named in the JSON form.
pub const SCHEMA: &str = "windrow.simulation/1";

/// Most VMs at risk that are told in words; JSON has them all.
const AT_RISK_SHOWN_MAX: usize = 10;
/// Most waves that are told in words; JSON has them all.
const WAVES_SHOWN_MAX: usize = 40;

const INFALLIBLE: &str = "a String takes everything";

/// What came of all the runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// The plan.
    pub plan: PlanName,
    /// The instant that all times count from; absent: from whenever the plan starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Timestamp>,
    /// The zone that times are shown in.
    pub time_zone: String,
    /// So many runs.
    pub runs: u32,
    /// Where chance began.
    pub seed: u64,
    /// Imports in each.
    pub vms: usize,
    /// The last machine is ready.
    pub ends: Spread,
    /// Runs in which all imports stayed in the occurrences that they are planned for.
    pub kept: u32,
    /// The waves, by number.
    pub waves: Vec<WaveRuns>,
    /// Services, or workloads where the plan has no services: how long they are down.
    pub down: Vec<DownRuns>,
    /// VMs that missed their occurrence in a run, the likeliest first.
    pub at_risk: Vec<AtRisk>,
}

/// Where values of all runs lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// As planned.
    pub planned: Seconds,
    /// One run of ten was below.
    pub p10: Seconds,
    /// Half of the runs were below.
    pub p50: Seconds,
    /// Nine runs of ten were below.
    pub p90: Seconds,
}

/// One wave in all runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveRuns {
    /// Its file's name without `.yaml`.
    pub stem: String,
    /// Its imports.
    pub vms: usize,
    /// Its last machine is ready.
    pub ends: Spread,
    /// Its window closes, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes: Option<Seconds>,
    /// Runs in which all of it started in its occurrence and was ready before that closed.
    pub kept: u32,
}

/// How long something is down, in all runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DownRuns {
    /// Its name.
    pub name: WorkloadName,
    /// Its downtime.
    pub down: Spread,
    /// It should be down no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Seconds>,
    /// Runs in which it was down no longer than that; of all, where it has no budget.
    pub kept: u32,
}

/// A VM that missed its occurrence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AtRisk {
    /// Which.
    pub vm: VmKey,
    /// Its name.
    pub name: VmName,
    /// In so many runs.
    pub runs: u32,
}

impl Spread {
    fn of(planned: Seconds, mut values: Vec<Seconds>) -> Self {
        values.sort_unstable();
        let last = values.len().saturating_sub(1);
        let quantile = |tenths: usize| values.get(last * tenths / 10).copied().unwrap_or(planned);
        Self {
            planned,
            p10: quantile(1),
            p50: quantile(5),
            p90: quantile(9),
        }
    }
}

/// Runs what was planned so many times.
pub fn simulate(planned: &Planned, inventory: &Inventory, runs: u32, seed: u64) -> Simulation {
    let (plan, decided) = (&planned.checked.plan, &planned.schedule);
    let uncertain = uncertainties(plan, &planned.problem, inventory);
    let mut sources: Vec<&SourceName> = uncertain.keys().map(|vm| &vm.source).collect();
    sources.dedup();
    let mut chance = Chance(seed);
    let mut all = Seen::new(planned);
    for _ in 0..runs {
        // One draw for each source, then one for each import, by VM: the order of lists means nothing.
        let common: BTreeMap<&SourceName, u64> = sources
            .iter()
            .map(|source| (*source, chance.next()))
            .collect();
        let factors: BTreeMap<&VmKey, u64> = uncertain
            .iter()
            .map(|(vm, off)| {
                let shared = hundredths(common[&vm.source], off.common);
                let own = hundredths(chance.next(), off.own);
                (vm, shared * own / 100)
            })
            .collect();
        let run = replay(&planned.problem, decided, TooLate::Later, |job| {
            let factor = factors.get(&job.vm).copied().unwrap_or(100);
            job.estimates.scaled(factor)
        });
        all.add(planned, &run);
    }
    all.told(planned, runs, seed)
}

/// By how much something is off, in hundredths of what is predicted, for a random number: half of all
/// are slower than predicted, one in ten by more than `spread` hundredths, none by more than three
/// times that; and as much faster, as a share. In between it is linear, so that integers are enough.
fn hundredths(random: u64, spread: u64) -> u64 {
    let drawn = random >> 48;
    let (all, tenth) = (1 << 16, (1 << 16) / 10);
    let slower = |rank: u64| {
        // `rank`: of those that are slower, 0 the least, half of all the most.
        let (half, most) = (all / 2, all / 2 - tenth);
        if rank <= most {
            100 + spread * rank / most
        } else {
            100 + spread + 2 * spread * (rank - most) / (half - most)
        }
    };
    if drawn >= all / 2 {
        slower(drawn - all / 2)
    } else {
        100 * 100 / slower(all / 2 - drawn)
    }
}

/// What is kept of the runs.
struct Seen {
    ends: Vec<Seconds>,
    kept: u32,
    waves: Vec<(Vec<Seconds>, u32)>,
    down: Vec<Vec<Seconds>>,
    missed: BTreeMap<VmKey, u32>,
}

impl Seen {
    fn new(planned: &Planned) -> Self {
        Self {
            ends: Vec::new(),
            kept: 0,
            waves: vec![(Vec::new(), 0); planned.rendered.waves.len()],
            down: vec![Vec::new(); downs(planned, &planned.schedule).len()],
            missed: BTreeMap::new(),
        }
    }

    fn add(&mut self, planned: &Planned, run: &Schedule) {
        self.ends.push(run.ends());
        let slots: BTreeMap<&VmKey, &Slot> =
            run.slots.iter().map(|slot| (&slot.vm, slot)).collect();
        let decided = planned.schedule.slots.iter();
        let missed: BTreeSet<&VmKey> = decided
            .filter(|slot| {
                slots
                    .get(&slot.vm)
                    .is_none_or(|now| now.window != slot.window)
            })
            .map(|slot| &slot.vm)
            .collect();
        self.kept += u32::from(missed.is_empty());
        for (wave, seen) in planned.rendered.waves.iter().zip(&mut self.waves) {
            let own = wave.object.spec.imports.iter();
            let own: Vec<&&Slot> = own.filter_map(|import| slots.get(&import.vm)).collect();
            let whole = own.len() == wave.object.spec.imports.len();
            seen.0.extend(own.iter().map(|slot| slot.times.ready).max());
            let kept =
                |slot: &&&Slot| !missed.contains(&slot.vm) && slot.overrun() == Seconds::ZERO;
            seen.1 += u32::from(whole && own.iter().all(kept));
        }
        for vm in missed {
            *self.missed.entry(vm.clone()).or_default() += 1;
        }
        for (seen, (_, _, down)) in self.down.iter_mut().zip(downs(planned, run)) {
            seen.push(down);
        }
    }

    fn told(self, planned: &Planned, runs: u32, seed: u64) -> Simulation {
        let (report, schedule) = (&planned.report, &planned.schedule);
        let lines = report.waves.iter().map(|line| (line.stem.as_str(), line));
        let lines: BTreeMap<&str, _> = lines.collect();
        let waves = planned.rendered.waves.iter().zip(self.waves);
        let waves = waves.filter_map(|(wave, (ends, kept))| {
            let line = lines.get(wave.stem.as_str())?;
            let first = wave.object.spec.imports.first()?;
            let window = schedule.slot(&first.vm)?.window.as_ref();
            Some(WaveRuns {
                stem: wave.stem.clone(),
                vms: line.vms,
                ends: Spread::of(line.ends, ends),
                closes: window.map(|window| window.to),
                kept,
            })
        });
        let down = downs(planned, schedule).into_iter().zip(self.down);
        let down = down.map(|((name, budget, planned), values)| {
            let inside = |down: &&Seconds| budget.is_none_or(|budget| **down <= budget);
            let kept = values.iter().filter(inside).count();
            DownRuns {
                name: name.clone(),
                kept: u32::try_from(kept).unwrap_or(u32::MAX),
                down: Spread::of(planned, values),
                budget,
            }
        });
        let mut at_risk: Vec<AtRisk> = self
            .missed
            .into_iter()
            .filter_map(|(vm, runs)| {
                let name = planned.checked.plan.vm(&vm)?.name.clone();
                Some(AtRisk { vm, name, runs })
            })
            .collect();
        at_risk.sort_by(|a, b| (b.runs, &a.vm).cmp(&(a.runs, &b.vm)));
        Simulation {
            schema: SCHEMA,
            plan: report.plan.clone(),
            origin: report.origin,
            time_zone: report.time_zone.clone(),
            runs,
            seed,
            vms: schedule.slots.len(),
            ends: Spread::of(schedule.ends(), self.ends),
            kept: self.kept,
            waves: waves.collect(),
            down: down.collect(),
            at_risk,
        }
    }
}

/// Services with their budgets and how long they are down; workloads, where there are no services.
fn downs<'a>(
    planned: &'a Planned,
    schedule: &Schedule,
) -> Vec<(&'a WorkloadName, Option<Seconds>, Seconds)> {
    let plan = &planned.checked.plan;
    if plan.services.is_empty() {
        let downs = downtime::workloads(plan, schedule);
        let all = plan.workloads.iter().zip(downs);
        return all
            .filter_map(|(it, down)| Some((&it.name, None, down?.down)))
            .collect();
    }
    let downs = downtime::services(plan, schedule);
    let all = plan.services.iter().zip(downs);
    all.filter_map(|(it, down)| Some((&it.name, it.budget.map(|b| b.0), down?.down)))
        .collect()
}

impl Simulation {
    /// In words: the end, the waves, the services, and who may miss their window.
    pub fn text(&self) -> String {
        let clock = Clock::new(self.origin, &self.time_zone);
        let moment = |at: Seconds| whole(clock.moment(at));
        let mut text = String::new();
        let headline = format!(
            "{}: {} on the engine's model, {} each, seed {}",
            self.plan,
            count(usize::try_from(self.runs).unwrap_or(usize::MAX), "run"),
            count(self.vms, "VM"),
            self.seed
        );
        paragraph(&mut text, "", &headline);
        let ends = format!(
            "done {} as planned; half of the runs are done by {}, nine of ten by {}, one of ten by {}",
            moment(self.ends.planned),
            moment(self.ends.p50),
            moment(self.ends.p90),
            moment(self.ends.p10),
        );
        text.push('\n');
        paragraph(&mut text, "  ", &ends);
        let windows = self.waves.iter().any(|wave| wave.closes.is_some());
        if windows {
            let kept = format!(
                "in {} % of the runs all VMs stay in the occurrences that they are planned for",
                self.percent(self.kept)
            );
            paragraph(&mut text, "  ", &kept);
        }
        self.waves_told(&mut text, &clock, windows);
        self.down_told(&mut text);
        self.risk_told(&mut text);
        text
    }

    fn percent(&self, runs: u32) -> u32 {
        u32::try_from(u64::from(runs) * 100 / u64::from(self.runs.max(1))).unwrap_or(100)
    }

    fn waves_told(&self, text: &mut String, clock: &Clock, windows: bool) {
        let head = [
            "wave",
            "VMs",
            "ends",
            "half by",
            "nine of ten by",
            "closes",
            "runs inside",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        for wave in self.waves.iter().take(WAVES_SHOWN_MAX) {
            let until = |at| clock.until(wave.ends.planned, at);
            rows.push([
                wave.stem.clone(),
                wave.vms.to_string(),
                clock.moment(wave.ends.planned),
                until(wave.ends.p50),
                until(wave.ends.p90),
                wave.closes.map(until).unwrap_or_default(),
                wave.closes
                    .map(|_| format!("{} %", self.percent(wave.kept)))
                    .unwrap_or_default(),
            ]);
        }
        text.push('\n');
        table_of(text, &rows, |column| column < 5 || windows);
        let more = self.waves.len().saturating_sub(WAVES_SHOWN_MAX);
        if more > 0 {
            writeln!(
                text,
                "  and {}; `-o json` has all",
                count(more, "more wave")
            )
            .expect(INFALLIBLE);
        }
    }

    fn down_told(&self, text: &mut String) {
        let budgets = self.down.iter().any(|it| it.budget.is_some());
        // Workloads without budgets are many, and nobody asked for them.
        if !budgets && self.down.len() > WAVES_SHOWN_MAX {
            return;
        }
        let head = [
            "down",
            "planned",
            "half",
            "nine of ten",
            "budget",
            "runs inside",
        ];
        let mut rows = vec![head.map(str::to_owned)];
        for it in &self.down {
            rows.push([
                it.name.to_string(),
                it.down.planned.to_string(),
                it.down.p50.to_string(),
                it.down.p90.to_string(),
                it.budget
                    .map(|budget| budget.to_string())
                    .unwrap_or_default(),
                it.budget
                    .map(|_| format!("{} %", self.percent(it.kept)))
                    .unwrap_or_default(),
            ]);
        }
        if rows.len() > 1 {
            text.push('\n');
            table_of(text, &rows, |column| column < 4 || budgets);
        }
    }

    fn risk_told(&self, text: &mut String) {
        if self.at_risk.is_empty() {
            return;
        }
        text.push_str("\nmay miss their window, and move in a later occurrence\n");
        for vm in self.at_risk.iter().take(AT_RISK_SHOWN_MAX) {
            let share = match self.percent(vm.runs) {
                0 => "fewer than 1 %".to_owned(),
                share => format!("{share} %"),
            };
            writeln!(text, "  {share:>5} of the runs  {}  {}", vm.name, vm.vm).expect(INFALLIBLE);
        }
        let more = self.at_risk.len().saturating_sub(AT_RISK_SHOWN_MAX);
        if more > 0 {
            writeln!(text, "  and {}; `-o json` has all", count(more, "more VM"))
                .expect(INFALLIBLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::plan;

    const PLAN: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: app, select: [ { source: dc1, folder: erp/app } ], dependsOn: [db] }
"#;

    fn simulated(fixture: &Fixture, runs: u32, seed: u64) -> Simulation {
        let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
        simulate(&planned, &fixture.inventory, runs, seed)
    }

    // Half are slower than predicted and half faster; one in ten by more than the spread; none by
    // more than three times that.
    #[test]
    fn draws() {
        let mut chance = Chance(7);
        let mut drawn: Vec<u64> = (0..100_000)
            .map(|_| hundredths(chance.next(), 30))
            .collect();
        drawn.sort_unstable();
        let at = |share: usize| drawn[drawn.len() * share / 1000];
        assert!((76..=78).contains(&at(100)), "{}", at(100));
        assert_eq!(at(500), 100);
        assert!((129..=131).contains(&at(900)), "{}", at(900));
        assert!(at(0) >= 52 && *drawn.last().expect("many") <= 190);
        assert!((0..1000).all(|n| hundredths(n << 54, 0) == 100));
    }

    // What is sure comes as planned, in every run.
    #[test]
    fn nothing_is_off() {
        let fixture = Fixture::new(PLAN).site_lines("assumptions: { spread: 0% }");
        let sure = simulated(&fixture, 5, 1);
        let Spread {
            planned,
            p10,
            p50,
            p90,
        } = sure.ends;
        assert_eq!([p10, p50, p90], [planned; 3]);
        assert_eq!((sure.kept, sure.at_risk), (5, Vec::new()));
    }

    // The same seed gives the same numbers; the order of the inventory changes nothing; what a wave
    // of a window that is nearly full comes to is told.
    #[test]
    fn a_tight_night() {
        let night = r#"- name: night
  every: { cron: "0 22 * * *", timeZone: Europe/Berlin, lasts: 50m }"#;
        let fixture = Fixture::new(PLAN).windows(night);
        let first = simulated(&fixture, 100, 3);
        assert_eq!(first, simulated(&fixture, 100, 3));
        assert_ne!(first, simulated(&fixture, 100, 4));
        let mut turned = Fixture::new(PLAN).windows(night);
        for source in turned.inventory.sources.values_mut() {
            source.vms.reverse();
        }
        assert_eq!(first, simulated(&turned, 100, 3));
        assert!(first.ends.p10 <= first.ends.p50 && first.ends.p50 <= first.ends.p90);
        assert!(
            first.kept < 100 && !first.at_risk.is_empty(),
            "{}",
            first.text()
        );
        let text = first.text();
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}
