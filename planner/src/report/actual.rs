//! What a run came to, beside what was foretold of it.
//!
//! Takes the committed forecast and what the ledgers of the targets say; machines that run are
//! compared step by step. Nothing is decided here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::forecast::{Forecast, ImportForecast, ScratchForecast};
use schemas::ids::{PlanName, TargetName, VmKey, VmName};
use schemas::inventory::{Inventory, LedgerLine};
use schemas::machine::{Stage, Times};
use schemas::units::{Bytes, Seconds};
use serde::Serialize;

use super::median;

/// What came of the waves that were foretold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Actual {
    /// The instant that all its times count from.
    pub origin: Timestamp,
    /// Machines of these waves, whether they run yet or not.
    pub machines: usize,
    /// Waves of which at least one machine runs, in the forecast's order.
    pub waves: Vec<ActualWave>,
    /// The use of the scratch that was foretold.
    #[serde(skip)]
    pub scratch: Vec<ScratchForecast>,
}

/// What came of one wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActualWave {
    /// Its file's name without `.yaml`.
    pub stem: String,
    /// Its target.
    pub target: TargetName,
    /// Its machines, whether they run yet or not.
    pub machines: usize,
    /// Those that run, as they were foretold.
    pub foretold: Came,
    /// The same, as they came.
    pub came: Came,
    /// One by one, by foretold start.
    pub vms: Vec<ActualVm>,
}

/// The machines of a wave that run, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Came {
    /// First guest off.
    pub starts: Seconds,
    /// Last machine ready.
    pub ends: Seconds,
    /// Half of them were down no longer.
    pub downtime_p50: Seconds,
    /// The longest downtime.
    pub downtime_worst: Seconds,
}

/// One machine that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActualVm {
    /// Which.
    pub vm: VmKey,
    /// Its name.
    pub name: VmName,
    /// As it was foretold.
    pub foretold: Steps,
    /// As it came.
    pub came: Steps,
    /// Provisioned bytes of its disks; nothing where the ledger does not say.
    pub disks: Bytes,
}

/// When each step came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Steps {
    /// The import was there.
    pub created: Seconds,
    /// The guest was off.
    pub off: Seconds,
    /// Its disks were copied.
    pub exported: Seconds,
    /// The machine was made: its images are in.
    pub machine: Seconds,
    /// The machine was ready.
    pub ready: Seconds,
}

impl Steps {
    /// All of them, as they follow each other.
    pub fn in_order(&self) -> [Seconds; 5] {
        [
            self.created,
            self.off,
            self.exported,
            self.machine,
            self.ready,
        ]
    }

    /// From the guest's power-off to the machine's readiness.
    pub fn downtime(&self) -> Seconds {
        self.ready.saturating_sub(self.off)
    }

    fn foretold(import: &ImportForecast) -> Self {
        Self {
            created: import.created,
            off: import.off,
            exported: import.exported,
            machine: import.machine,
            ready: import.ready,
        }
    }

    /// A step that nobody saw came with the one before it. None without a beginning or an end.
    fn came(times: &Times, origin: Timestamp) -> Option<Self> {
        let since = |at: Timestamp| {
            let seconds = at.duration_since(origin).as_secs();
            Seconds(u64::try_from(seconds).unwrap_or(0))
        };
        let created = since(times.created?);
        let ready = since(times.ready.or(times.ended)?).max(created);
        let step =
            |at: Option<Timestamp>, before: Seconds| at.map_or(before, since).clamp(before, ready);
        let off = step(times.off.or(times.shutdown), created);
        let exported = step(times.exported, off);
        Some(Self {
            created,
            off,
            exported,
            machine: step(times.machine, exported),
            ready,
        })
    }
}

impl Actual {
    /// Of a plan's committed forecast and the ledgers in `inventory`; none where nothing that was
    /// foretold runs yet.
    ///
    /// Times count from the forecast's origin. Where it has none, or the run began before it, they
    /// count as if the first machine had been created when that was foretold.
    pub fn new(plan: &PlanName, forecast: &Forecast, inventory: &Inventory) -> Option<Self> {
        let mut ran: BTreeMap<&VmKey, (&TargetName, &LedgerLine)> = BTreeMap::new();
        for (target, found) in &inventory.targets {
            let lines = found.ledger.iter();
            for line in lines.filter(|line| line.stage == Stage::Running) {
                ran.insert(&line.vm, (target, line));
            }
        }
        let imports = forecast.waves.iter().flat_map(|wave| &wave.imports);
        let (first, created) = imports
            .filter_map(|import| {
                let (_, line) = ran.get(&import.vm)?;
                Some((line.times.created?, import.created))
            })
            .min()?;
        let aligned = || first - jiff::SignedDuration::from_secs(created.signed());
        let origin = forecast.origin.filter(|origin| *origin <= first);
        let origin = origin.unwrap_or_else(aligned);
        let prefix = format!("{plan}-");
        let waves: Vec<ActualWave> = forecast
            .waves
            .iter()
            .filter_map(|wave| {
                let mut target = None;
                let vms = wave.imports.iter().filter_map(|import| {
                    let (of, line) = ran.get(&import.vm)?;
                    let came = Steps::came(&line.times, origin)?;
                    target.get_or_insert(*of);
                    Some(ActualVm {
                        vm: import.vm.clone(),
                        name: import.name.clone(),
                        foretold: Steps::foretold(import),
                        came,
                        disks: line.size.as_ref().map_or(Bytes(0), |size| size.disks.0),
                    })
                });
                let vms: Vec<ActualVm> = vms.collect();
                let name = wave.wave.as_str();
                Some(ActualWave {
                    stem: name.strip_prefix(&prefix).unwrap_or(name).to_owned(),
                    target: target?.clone(),
                    machines: wave.imports.len(),
                    foretold: Came::of(vms.iter().map(|vm| vm.foretold))?,
                    came: Came::of(vms.iter().map(|vm| vm.came))?,
                    vms,
                })
            })
            .collect();
        (!waves.is_empty()).then(|| Self {
            origin,
            machines: forecast.waves.iter().map(|wave| wave.imports.len()).sum(),
            waves,
            scratch: forecast.scratch.clone(),
        })
    }

    /// Machines that run.
    pub fn ran(&self) -> usize {
        self.waves.iter().map(|wave| wave.vms.len()).sum()
    }

    /// All machines that run, as they were foretold, and as they came.
    pub fn whole(&self) -> (Came, Came) {
        let vms = || self.waves.iter().flat_map(|wave| &wave.vms);
        let of = |steps: fn(&ActualVm) -> Steps| Came::of(vms().map(steps)).unwrap_or_default();
        (of(|vm| vm.foretold), of(|vm| vm.came))
    }

    /// In one sentence.
    pub fn headline(&self) -> String {
        let (foretold, came) = self.whole();
        let ends = match came.ends.signed() - foretold.ends.signed() {
            late if late >= 60 => format!("{} later than foretold", came.ends - foretold.ends),
            early if early <= -60 => format!("{} earlier than foretold", foretold.ends - came.ends),
            _ => "when it was foretold".to_owned(),
        };
        format!(
            "{} of {} machines run, the last one {ends}; down for {} at the median ({} foretold) and \
             {} at most ({} foretold)",
            self.ran(),
            self.machines,
            came.downtime_p50,
            foretold.downtime_p50,
            came.downtime_worst,
            foretold.downtime_worst
        )
    }
}

impl Came {
    fn of(steps: impl Iterator<Item = Steps>) -> Option<Self> {
        let steps: Vec<Steps> = steps.collect();
        let mut downs: Vec<Seconds> = steps.iter().map(Steps::downtime).collect();
        downs.sort_unstable();
        Some(Self {
            starts: steps.iter().map(|step| step.off).min()?,
            ends: steps.iter().map(|step| step.ready).max()?,
            downtime_p50: median(&downs),
            downtime_worst: *downs.last()?,
        })
    }
}
