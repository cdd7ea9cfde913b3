//! `cargo xtask bench psplib`: the general core of the scheduler on public project scheduling
//! instances (PSPLIB, Patterson), as the field reports it: mean deviation from the critical path
//! and from the best known, at a budget of generated schedules.

mod parse;
mod source;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use planner::schedule::rcpsp::{self, Project, Time};
use planner::schedule::{Budget, Pool, Problem, Step, Workload, check_schedule, schedule_within};
use schemas::site::Admission;
use schemas::units::Seconds;

/// Solve public project scheduling instances, and say how far from the best known
///
/// Instances are `.sm` files of PSPLIB (single mode) or `.rcp` files; they are not part of this
/// repository. One thread; the same seed gives the same results unless time is the limit.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// An instance, a folder of them, or a `.tar.xz` with them
    #[arg(long, value_name = "PATH")]
    instances: Utf8PathBuf,
    /// Schedules that may be generated for each instance; every pass in either direction is one
    #[arg(long, value_name = "N", required_unless_present = "seconds")]
    schedules: Option<u64>,
    /// Seconds for each instance
    #[arg(long, value_name = "T")]
    seconds: Option<f64>,
    /// Where chance begins
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Where results go, a line for each instance
    #[arg(long, value_name = "OUT")]
    csv: Option<Utf8PathBuf>,
    /// A CSV file that starts with the columns `instance,ub`: the best known makespans
    #[arg(long, value_name = "CSV")]
    best_known: Option<Utf8PathBuf>,
}

/// Solves all instances; false if a schedule breaks a rule.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let best_known = match &arguments.best_known {
        Some(path) => best_known(path)?,
        None => BTreeMap::new(),
    };
    let limit = arguments.seconds.map(Duration::try_from_secs_f64);
    let limit = limit.transpose().context("read `--seconds`")?;
    let mut csv = "instance,makespan,critical_path,lower_bound,schedules,seconds\n".to_owned();
    let mut table = Table::default();
    let mut valid = true;
    for instance in source::instances(&arguments.instances)? {
        let (name, project) = (&instance.name, &instance.project);
        let begin = Instant::now();
        let elapsed = &|| thousandths(begin.elapsed(), limit.unwrap_or_default());
        let budget = Budget {
            iterations: arguments.schedules.unwrap_or(u64::MAX),
            seed: arguments.seed,
            elapsed: limit.map(|_| elapsed as &dyn Fn() -> u32),
        };
        let problem = problem(project);
        let schedule =
            schedule_within(&problem, &budget).with_context(|| format!("schedule {name}"))?;
        let seconds = begin.elapsed().as_secs_f64();
        for violation in check_schedule(&problem, &schedule) {
            valid = false;
            say(&format!("{name}: {violation}"));
        }
        let mut start = vec![Time::MAX; project.activities.len()];
        for step in &schedule.steps {
            start[step.workload] = Time::try_from(step.begins.0)?;
        }
        for fault in rcpsp::check(project, &start) {
            valid = false;
            say(&format!("{name}: {fault}"));
        }
        let solution = Solution {
            makespan: Time::try_from(schedule.done().0)?,
            critical_path: rcpsp::critical_path(project)?,
            lower_bound: Time::try_from(schedule.bound.done.0)?,
            schedules: schedule.tried,
        };
        let Solution {
            makespan,
            critical_path,
            lower_bound,
            schedules,
        } = &solution;
        writeln!(
            csv,
            "{name},{makespan},{critical_path},{lower_bound},{schedules},{seconds:.3}"
        )?;
        table.add(&solution, best_known.get(name).copied(), seconds);
    }
    if let Some(path) = &arguments.csv {
        fs::write(path, csv).with_context(|| format!("write {path}"))?;
    }
    table.print();
    Ok(valid)
}

/// What came of one instance.
struct Solution {
    makespan: Time,
    critical_path: Time,
    lower_bound: Time,
    schedules: u64,
}

/// The project as what the planner schedules: each activity a step outside, each resource a pool.
fn problem(project: &Project) -> Problem {
    let pools = project.capacities.iter().enumerate();
    let step = |(position, activity): (usize, &rcpsp::Activity)| Workload {
        name: format!("activity-{position}").into(),
        after: Vec::new(),
        step: Some(Step {
            takes: Seconds(activity.duration().into()),
            from: Seconds(activity.release.into()),
            calendar: None,
            needs: activity
                .stages
                .first()
                .map_or_else(Vec::new, |stage| stage.demands.clone()),
        }),
    };
    let mut workloads: Vec<Workload> = project.activities.iter().enumerate().map(step).collect();
    for (position, activity) in project.activities.iter().enumerate() {
        for successor in &activity.successors {
            workloads[*successor].after.push(position);
        }
    }
    Problem {
        admission: Admission::Throughput,
        targets: Vec::new(),
        pools: pools
            .map(|(position, capacity)| Pool {
                name: format!("resource-{position}"),
                capacity: *capacity,
            })
            .collect(),
        hosts: Vec::new(),
        calendars: Vec::new(),
        workloads,
        services: Vec::new(),
        barriers: Vec::new(),
        jobs: Vec::new(),
    }
}

/// Of a limit; at most all of it.
fn thousandths(spent: Duration, limit: Duration) -> u32 {
    let share = spent.as_nanos() * 1000 / limit.as_nanos().max(1);
    u32::try_from(share).unwrap_or(u32::MAX)
}

#[expect(clippy::print_stderr, reason = "what it has to say")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Makespans by instance.
fn best_known(path: &Utf8Path) -> Result<BTreeMap<String, u32>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    if !header.starts_with("instance,ub") {
        bail!("{path} does not start with the columns `instance,ub`");
    }
    let row = |line: &str| {
        let mut fields = line.split(',');
        let (name, ub) = (fields.next()?, fields.next()?);
        Some((name.to_owned(), ub.parse().ok()?))
    };
    lines
        .zip(2..)
        .map(|(line, at)| row(line).with_context(|| format!("read {path}:{at}")))
        .collect()
}

/// Sums over all instances.
#[derive(Default)]
struct Table {
    instances: u32,
    /// Of makespan over critical path, lower bound, best known: the part above 1.
    from_path: f64,
    from_bound: f64,
    from_best: f64,
    /// Instances with a best known makespan; those that reach it, or their lower bound.
    known: u32,
    reached: u32,
    proven: u32,
    schedules: u64,
    seconds: f64,
    seconds_max: f64,
}

impl Table {
    fn add(&mut self, solution: &Solution, best: Option<u32>, seconds: f64) {
        let above = |least: u32| f64::from(solution.makespan) / f64::from(least.max(1)) - 1.0;
        self.instances += 1;
        self.from_path += above(solution.critical_path);
        self.from_bound += above(solution.lower_bound);
        self.proven += u32::from(solution.makespan <= solution.lower_bound);
        if let Some(best) = best {
            self.known += 1;
            self.from_best += above(best);
            self.reached += u32::from(solution.makespan <= best);
        }
        self.schedules += solution.schedules;
        self.seconds += seconds;
        self.seconds_max = self.seconds_max.max(seconds);
    }

    #[expect(clippy::print_stdout, reason = "its result")]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn print(&self) {
        let mean = |sum: f64, count: u32| 100.0 * sum / f64::from(count.max(1));
        println!("| measure | value |\n|---|---|");
        println!("| instances | {} |", self.instances);
        println!(
            "| mean above the critical path | {:.3} % |",
            mean(self.from_path, self.instances)
        );
        println!(
            "| mean above the lower bound | {:.3} % |",
            mean(self.from_bound, self.instances)
        );
        if self.known > 0 {
            println!(
                "| mean above the best known | {:.3} % |",
                mean(self.from_best, self.known)
            );
            println!(
                "| as good as the best known | {} of {} |",
                self.reached, self.known
            );
        }
        println!("| proven by the lower bound | {} |", self.proven);
        println!(
            "| schedules a second | {:.0} |",
            self.schedules as f64 / self.seconds
        );
        println!("| longest | {:.3} s |", self.seconds_max);
    }
}
