//! What a run came to, beside what was foretold of it.
//!
//! Takes the committed forecast and what the ledgers of the targets say; machines that run are
//! compared step by step. Nothing is decided here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::forecast::{Forecast, ImportForecast, ScratchForecast};
use schemas::ids::{TargetName, VmKey, VmName, WorkloadName};
use schemas::inventory::{Inventory, LedgerLine};
use schemas::machine::{Stage, Times};
use schemas::units::{Bytes, Seconds};
use serde::Serialize;

use super::median;
use crate::resolve::{ExclusionReason, ResolvedPlan, ResolvedWorkload};

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
    /// Steps outside that are over, by foretold start: something that waited for them has begun.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<ActualStep>,
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
    /// What came of its gate, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<ActualGate>,
}

/// What came of the gate of a machine that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActualGate {
    /// It was foretold to hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foretold: Option<Seconds>,
    /// It held, or counted as if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<Seconds>,
    /// It did not hold in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Seconds>,
    /// What is said of it: why it failed, or why it counts although it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl ActualGate {
    /// In a word: `held`, `accepted` (it counts, and somebody or the plan says why), `failed`,
    /// `awaited`.
    pub fn word(&self) -> &'static str {
        match (self.holds, self.failed, &self.message) {
            (Some(_), _, None) => "held",
            (Some(_), _, Some(_)) => "accepted",
            (None, Some(_), _) => "failed",
            (None, None, _) => "awaited",
        }
    }
}

/// A step outside that is over. Nobody records the moment at which it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActualStep {
    /// Its workload's name.
    pub step: WorkloadName,
    /// What was done, for people.
    pub title: String,
    /// It was foretold to begin.
    pub starts: Seconds,
    /// It was foretold to be done.
    pub ends: Seconds,
    /// All that it waited for was done; absent: it waited for nothing that the ledger knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub could_start: Option<Seconds>,
    /// The first machine that waited for it was begun: by then it was done.
    pub done_by: Seconds,
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
        let since = |at: Timestamp| since(origin, at);
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
    pub fn new(plan: &ResolvedPlan, forecast: &Forecast, inventory: &Inventory) -> Option<Self> {
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
        let prefix = format!("{}-", plan.name);
        let gated = |vm: &VmKey| {
            let gone = plan.exclusions.iter().find(|gone| gone.key == *vm)?;
            plan.workload(&gone.workload)?.gate.as_ref()
        };
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
                        gate: ActualGate::of(import, line, gated(&import.vm).is_some(), origin),
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
        let steps = Outside::new(plan, &waves).steps(forecast);
        (!waves.is_empty()).then(|| Self {
            origin,
            steps,
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

impl ActualGate {
    /// Of a machine that has one, by the forecast or by its workload.
    fn of(
        import: &ImportForecast,
        line: &LedgerLine,
        is_gated: bool,
        origin: Timestamp,
    ) -> Option<Self> {
        let seen = line.gate.clone();
        if import.gate.is_none() && seen.is_none() && !is_gated {
            return None;
        }
        let seen = seen.unwrap_or_default();
        let since = |at: Timestamp| since(origin, at);
        Some(Self {
            foretold: import.gate,
            holds: seen.holds.map(since),
            failed: seen.failed.filter(|_| seen.holds.is_none()).map(since),
            message: seen.message,
        })
    }
}

/// What machines that run say of the steps outside between them.
struct Outside<'p> {
    plan: &'p ResolvedPlan,
    ran: BTreeMap<&'p VmKey, &'p ActualVm>,
    of: BTreeMap<&'p WorkloadName, Vec<&'p VmKey>>,
}

impl<'p> Outside<'p> {
    fn new(plan: &'p ResolvedPlan, waves: &'p [ActualWave]) -> Self {
        let vms = waves.iter().flat_map(|wave| &wave.vms);
        let mut of: BTreeMap<&WorkloadName, Vec<&VmKey>> = BTreeMap::new();
        let gone = plan.exclusions.iter();
        let moved = gone.filter(|gone| matches!(gone.reason, ExclusionReason::Moved { .. }));
        let all = moved.map(|gone| (&gone.workload, &gone.key));
        for (workload, vm) in all.chain(plan.vms.iter().map(|vm| (&vm.workload, &vm.key))) {
            of.entry(workload).or_default().push(vm);
        }
        Self {
            plan,
            ran: vms.map(|vm| (&vm.vm, vm)).collect(),
            of,
        }
    }

    /// Those that are over, in the forecast's order, which is by start.
    fn steps(&self, forecast: &Forecast) -> Vec<ActualStep> {
        let over = forecast.steps.iter().filter_map(|step| {
            Some(ActualStep {
                step: step.step.clone(),
                title: step.title.clone(),
                starts: step.starts,
                ends: step.ends,
                could_start: self.could_start(&step.step),
                done_by: self.done_by(&step.step)?,
            })
        });
        over.collect()
    }

    /// When all machines that a step waits for were done, gates included; not known of those of other
    /// plans.
    fn could_start(&self, step: &WorkloadName) -> Option<Seconds> {
        let ahead = self.plan.before(self.plan.workload(step)?);
        if !ahead.others.is_empty() {
            return None;
        }
        let vms = ahead
            .sets
            .iter()
            .filter_map(|set| self.of.get(*set))
            .flatten();
        let ran = vms.filter_map(|vm| self.ran.get(vm));
        ran.map(|vm| {
            vm.gate
                .as_ref()
                .and_then(|gate| gate.holds)
                .unwrap_or(vm.came.ready)
        })
        .max()
    }

    /// When the first machine that waits for a step was begun.
    fn done_by(&self, step: &WorkloadName) -> Option<Seconds> {
        let waits = |workload: &&ResolvedWorkload| self.plan.before(workload).steps.contains(step);
        let waiting = self.plan.workloads.iter().filter(waits);
        let vms = waiting.filter_map(|it| self.of.get(&it.name)).flatten();
        vms.filter_map(|vm| Some(self.ran.get(vm)?.came.created))
            .min()
    }
}

/// How long after the origin that was; nothing before it.
fn since(origin: Timestamp, at: Timestamp) -> Seconds {
    let seconds = at.duration_since(origin).as_secs();
    Seconds(u64::try_from(seconds).unwrap_or(0))
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
