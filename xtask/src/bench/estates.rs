//! `cargo xtask bench estates`: schedules estates of the public format `estate/1` and writes their
//! plans, through the same function that `windrow plan` uses.
//!
//! An estate is a problem whose engine does not block: workers, image slots, a scratch. Minutes are
//! minutes and GiB are GiB; a blackout is the time between two windows, in which nothing starts and
//! what runs goes on.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use engine::Profile;
use planner::estimate::{Basis, Estimate, Estimates};
use planner::schedule::{
    Budget, Job, Problem, Room, Schedule, SourceHost, Target, Window, Workload, check_schedule,
    schedule_within,
};
use schemas::ids::VmKey;
use schemas::inventory::SourceKind;
use schemas::site::Admission;
use schemas::units::{Bytes, Quantity, Seconds};
use schemas::wave::WaveSize;
use serde::{Deserialize, Serialize};

/// Schedule estates of the format `estate/1` and write their plans
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The estates
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Utf8PathBuf>,
    /// Orders that may be tried for each
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "seconds",
        required_unless_present = "seconds"
    )]
    iterations: Option<u64>,
    /// Seconds for each; the plans then depend on the machine
    #[arg(long, value_name = "T")]
    seconds: Option<f64>,
    /// Where chance begins
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Where the plans go, as `NAME.plan.json`
    #[arg(long, value_name = "DIR")]
    out: Utf8PathBuf,
}

#[derive(Deserialize)]
struct Estate {
    format: String,
    name: String,
    engine: EstateEngine,
    sources: Vec<EstateSource>,
    blackouts: Vec<[u64; 2]>,
    vms: Vec<EstateVm>,
}

#[derive(Deserialize)]
struct EstateEngine {
    export_workers: u32,
    import_slots: u32,
    scratch_gib: u64,
}

#[derive(Deserialize)]
struct EstateSource {
    id: String,
    slots: u32,
}

#[derive(Deserialize)]
struct EstateVm {
    id: String,
    source: usize,
    footprint_gib: u64,
    export_min: u64,
    import_min: u64,
    boot_min: u64,
    deps: Vec<usize>,
}

/// A plan, by position of the VMs, in minutes.
#[derive(Serialize)]
struct EstatePlan {
    start: Vec<u64>,
    import_start: Vec<u64>,
}

/// Schedules each, writes its plan, prints a table.
#[expect(clippy::print_stdout, reason = "the table")]
pub fn run(arguments: &Arguments) -> Result<bool> {
    fs::create_dir_all(&arguments.out).with_context(|| format!("create {}", arguments.out))?;
    println!("| estate | VMs | makespan | bound | gap % | orders | seconds |");
    println!("|---|---|---|---|---|---|---|");
    for file in &arguments.files {
        let estate = read(file)?;
        let problem = problem(&estate);
        let clock = Instant::now();
        let limit = arguments.seconds.map(Duration::from_secs_f64);
        let elapsed = || {
            let limit = limit.unwrap_or(Duration::MAX).as_micros().max(1);
            u32::try_from(clock.elapsed().as_micros() * 1000 / limit).unwrap_or(u32::MAX)
        };
        let budget = Budget {
            iterations: arguments.iterations.unwrap_or(u64::MAX),
            seed: arguments.seed,
            elapsed: limit.is_some().then_some(&elapsed),
        };
        let schedule = schedule_within(&problem, &budget).context("VMs wait for each other")?;
        let seconds = clock.elapsed().as_secs_f64();
        let violations = check_schedule(&problem, &schedule);
        ensure!(violations.is_empty(), "{}: {violations:?}", estate.name);
        ensure!(
            schedule.unplaced.is_empty(),
            "{}: {:?}",
            estate.name,
            schedule.unplaced
        );
        let path = arguments.out.join(format!("{}.plan.json", estate.name));
        let plan = serde_json::to_vec(&plan(&estate, &problem, &schedule)).context("write JSON")?;
        fs::write(&path, plan).with_context(|| format!("write {path}"))?;
        let (ends, bound) = (schedule.ends().0 / 60, schedule.bound.ends.0.div_ceil(60));
        let gap = (ends - bound) * 100_000 / bound;
        println!(
            "| {} | {} | {ends} | {bound} | {}.{:03} | {} | {seconds:.2} |",
            estate.name,
            estate.vms.len(),
            gap / 1000,
            gap % 1000,
            schedule.tried,
        );
    }
    Ok(true)
}

fn read(file: &Utf8Path) -> Result<Estate> {
    let text = fs::read(file).with_context(|| format!("read {file}"))?;
    let estate: Estate = serde_json::from_slice(&text).with_context(|| format!("read {file}"))?;
    ensure!(
        estate.format == "estate/1",
        "{file} is `{}`, not `estate/1`",
        estate.format
    );
    for vm in &estate.vms {
        let known = vm.source < estate.sources.len();
        let deps = vm.deps.iter().all(|other| *other < estate.vms.len());
        ensure!(
            known && deps,
            "{file}: `{}` names a VM or source that is not there",
            vm.id
        );
    }
    Ok(estate)
}

/// Later than any plan ends.
const NEVER: Seconds = Seconds(u64::MAX / 4);

/// The estate as what the planner schedules: every VM a workload of its own.
fn problem(estate: &Estate) -> Problem {
    let minutes = |minutes| Estimate {
        value: Seconds::from_minutes(minutes),
        basis: Basis::Assumed,
    };
    let window = |from: u64, closes: Option<u64>| Window {
        name: "open".into(),
        occurrence: format!("from-{from}").as_str().into(),
        from: Seconds::from_minutes(from),
        to: NEVER,
        last_start: closes.map_or(NEVER, Seconds::from_minutes),
        reserve: Seconds::ZERO,
        vms_max: None,
    };
    let mut calendars = Vec::new();
    if !estate.blackouts.is_empty() {
        let (mut windows, mut from) = (Vec::new(), 0);
        for [begins, ends] in &estate.blackouts {
            if *begins > from {
                windows.push(window(from, Some(*begins)));
            }
            from = *ends;
        }
        windows.push(window(from, None));
        calendars.push(windows);
    }
    let key = |position: usize| VmKey::new("estate", format!("{position:06}").as_str());
    let jobs = estate.vms.iter().enumerate().map(|(position, vm)| {
        let footprint = Quantity(Bytes::from_gib(vm.footprint_gib));
        Job {
            vm: key(position),
            name: vm.id.as_str().into(),
            kind: SourceKind::Ova,
            target: 0,
            workload: position,
            host: Some(vm.source),
            calendar: (!calendars.is_empty()).then_some(0),
            fixed: None,
            under_way: false,
            guest_runs: false,
            size: WaveSize {
                peak: footprint,
                resident: footprint,
                transfer: footprint,
                disks: footprint,
            },
            takes: Room::default(),
            estimates: Estimates {
                shutdown: minutes(0),
                export: minutes(vm.export_min),
                images: minutes(vm.import_min),
                boot: minutes(vm.boot_min),
            },
            cut_p90: Seconds::from_minutes(vm.export_min + vm.import_min + vm.boot_min),
            gate: Seconds::ZERO,
            after: Vec::new(),
            excludes: Vec::new(),
            weight: 1,
        }
    });
    let jobs = jobs.collect();
    let workload = |(position, vm): (usize, &EstateVm)| Workload {
        name: format!("w{position:06}").into(),
        after: vm.deps.clone(),
        step: None,
    };
    let scratch = Bytes::from_gib(estate.engine.scratch_gib);
    Problem {
        admission: Admission::Throughput,
        targets: vec![Target {
            name: "estate".into(),
            profile: Profile::ideal(estate.engine.export_workers, estate.engine.import_slots),
            capacity: scratch,
            usable: scratch,
            occupied: Vec::new(),
            room: None,
        }],
        pools: Vec::new(),
        hosts: estate
            .sources
            .iter()
            .map(|source| SourceHost {
                name: source.id.clone(),
                slots: source.slots,
            })
            .collect(),
        calendars,
        workloads: estate.vms.iter().enumerate().map(workload).collect(),
        services: Vec::new(),
        barriers: Vec::new(),
        jobs,
    }
}

/// The schedule in the estate's own terms.
fn plan(estate: &Estate, problem: &Problem, schedule: &Schedule) -> EstatePlan {
    let mut plan = EstatePlan {
        start: vec![0; estate.vms.len()],
        import_start: vec![0; estate.vms.len()],
    };
    let mut slots: Vec<_> = schedule.slots.iter().collect();
    slots.sort_by(|a, b| a.vm.cmp(&b.vm));
    for ((position, slot), job) in slots.into_iter().enumerate().zip(&problem.jobs) {
        let images = slot
            .times
            .images_in
            .saturating_sub(job.estimates.images.value);
        plan.start[position] = slot.times.export_start.0 / 60;
        plan.import_start[position] = images.0 / 60;
    }
    plan
}
