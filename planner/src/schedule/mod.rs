//! When each import starts.
//!
//! Takes a [`Problem`] and gives a [`Schedule`]: a slot for every import that can be placed, with
//! its predicted times and with what kept it from starting earlier, and a reason for every one that
//! cannot. An order of imports is decoded on the engine's own simulation, with the executor's rules
//! of admission, so that what is planned is what is done. Several priority rules are tried, and the
//! best schedule is taken: nothing left out, windows kept, least downtime, least makespan.
//!
//! The parts: `problem` (what goes in), `fill` (a plan → that), `feasibility` (what is needed beside what
//! windows give), `order` (priority rules), `decode` (order → slots),
//! `bound` (what no schedule can beat), `naive` (all imports at once, for comparison), `forecast`
//! (to files), `steady` (what was written down stays), `checker` (judges a schedule without knowing how it was made).

mod bound;
mod budget;
mod checker;
mod decode;
mod feasibility;
mod fill;
mod flow;
mod forecast;
mod improve;
mod lane;
mod naive;
mod order;
mod problem;
pub mod rcpsp;
mod replay;
mod rules;
mod scratch;
mod steady;
mod steps;
#[cfg(test)]
mod tests;
mod waits;

use std::fmt;

use schemas::forecast::ScratchStep;
use schemas::ids::{TargetName, VmKey, VmName, WorkloadName};
use schemas::units::{Bytes, Seconds};

use crate::graph::{Cycle, Dag};

use decode::Mode;
use flow::Flow;

pub(crate) use flow::Chance;

pub use bound::LowerBound;
pub use budget::Budget;
pub use checker::{Violation, check_schedule};
pub use feasibility::{Feasibility, feasibility};
pub use forecast::{import_forecast, scratch_forecast, wave_forecast};
pub use naive::{AllAtOnce, all_at_once};
pub use order::Rule;
pub use problem::{
    Barrier, Job, Occupied, Pool, Problem, Room, Service, SourceHost, Step, Target, Window,
    Workload,
};
pub use replay::{TooLate, replay};
pub(crate) use steady::steady;

/// When each import starts, and why not earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Imports that have a place, by creation, then by VM.
    pub slots: Vec<Slot>,
    /// Imports that have none, by VM.
    pub unplaced: Vec<Unplaced>,
    /// Steps outside that have a place, by start, then by workload.
    pub steps: Vec<StepSlot>,
    /// Scratch of each target, in the problem's order.
    pub scratch: Vec<ScratchUse>,
    /// What no schedule can beat.
    pub bound: LowerBound,
    /// The priority rule that it began with.
    pub rule: Rule,
    /// Orders that were tried beside those of the rules.
    pub tried: u64,
}

/// The place of one step outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepSlot {
    /// It begins.
    pub begins: Seconds,
    /// It ends.
    pub ends: Seconds,
    /// Position of its workload.
    pub workload: usize,
}

/// The place of one import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The VM.
    pub vm: VmKey,
    /// Its name, for people.
    pub name: VmName,
    /// Position of its target.
    pub target: usize,
    /// Its place among the imports of its target, from 0, by creation.
    pub place: usize,
    /// The window that it starts in, if it must keep one.
    pub window: Option<Window>,
    /// From when to when its disks are copied ahead, on an engine that does so.
    pub stage: Option<(Seconds, Seconds)>,
    /// Its predicted times.
    pub times: SlotTimes,
    /// What kept it from starting earlier.
    pub held: Held,
}

impl Slot {
    /// By how much it is predicted to end after its window's close.
    pub fn overrun(&self) -> Seconds {
        self.times.overrun(self.window.as_ref())
    }
}

/// Predicted times of one import, in seconds from the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotTimes {
    /// The import is created; or, where it was copied ahead, its cut begins.
    pub created: Seconds,
    /// The guest is off; downtime begins.
    pub off: Seconds,
    /// Its disks begin to be copied.
    pub export_start: Seconds,
    /// They are copied.
    pub exported: Seconds,
    /// Harvester has the images.
    pub images_in: Seconds,
    /// The machine is created.
    pub machine: Seconds,
    /// The machine is ready; downtime ends.
    pub ready: Seconds,
    /// The engine says so too; dependants may start.
    pub running: Seconds,
    /// Its scratch is free again.
    pub released: Seconds,
}

impl SlotTimes {
    /// From the guest's power-off to the machine's readiness.
    pub fn downtime(&self) -> Seconds {
        self.ready.saturating_sub(self.off)
    }

    /// By how much it ends after the close of its window, if it has one.
    fn overrun(&self, window: Option<&Window>) -> Seconds {
        let close = window.map_or(Seconds(u64::MAX), |window| window.to);
        self.ready.saturating_sub(close)
    }
}

/// What kept an import from starting earlier: the last thing that had to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing: it starts at once.
    Nothing,
    /// The engine was not due for another import; it came after this one.
    Turn {
        /// The import created before it.
        after: VmKey,
    },
    /// Its dependencies did not run yet; this was the last of them.
    Dependency {
        /// Which.
        on: VmKey,
    },
    /// It would not have fitted on the scratch beside these.
    Scratch {
        /// Room that was lacking.
        lacking: Bytes,
        /// Who held some, by VM.
        holders: Vec<VmKey>,
    },
    /// Its window was not open, or too little of it was left.
    Window {
        /// The one it waited for opens.
        opens: Seconds,
    },
    /// One that would have used the same files was under way.
    Exclusion {
        /// Which.
        with: VmKey,
    },
    /// Its disks were still copied ahead.
    Stage,
    /// A step outside had not ended.
    Step {
        /// Its workload.
        step: WorkloadName,
    },
    /// All slots of its source host were taken.
    Host {
        /// Which.
        host: String,
    },
    /// The target had no room for its machine.
    Room {
        /// What was lacking.
        resource: Resource,
    },
    /// A service had the engine to itself, or its own service waited for something outside.
    Service {
        /// Which.
        service: WorkloadName,
    },
    /// It would have been in the way of one whose creation is fixed.
    Fixed {
        /// Which.
        of: VmKey,
    },
    /// Its own creation is fixed.
    Approved,
}

/// What machines take of a target for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Memory.
    Memory,
    /// Processors.
    Cpu,
    /// Storage.
    Storage,
}

/// An import without a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// The VM.
    pub vm: VmKey,
    /// Its name, for people.
    pub name: VmName,
    /// Why.
    pub reason: UnplacedReason,
}

/// Why an import has no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnplacedReason {
    /// It alone is larger than the scratch.
    LargerThanScratch {
        /// It needs.
        needs: Bytes,
        /// There are.
        usable: Bytes,
    },
    /// Its cut is longer than any of its windows.
    WindowsTooShort {
        /// It takes.
        needs: Seconds,
        /// The longest window is open for.
        longest: Seconds,
    },
    /// Its windows are over before its turn comes.
    WindowsFull,
    /// One that it depends on has no place.
    Behind {
        /// Which.
        vm: VmKey,
    },
    /// A step outside that it depends on fits none of its windows.
    BehindStep {
        /// Its workload.
        step: WorkloadName,
    },
    /// It has a calendar, and no occurrence is left in it.
    NoWindow,
    /// The engine has no exporter for it, or its host no slot.
    NoExporter,
    /// Its target has no room left for its machine.
    TargetFull {
        /// What is lacking.
        resource: Resource,
    },
    /// Its service must be together and fits no occurrence.
    ServiceTooLong {
        /// Which service.
        service: WorkloadName,
        /// From its first creation to its last gate it takes at least.
        needs: Seconds,
        /// The longest window is open for.
        longest: Seconds,
    },
}

impl fmt::Display for UnplacedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LargerThanScratch { needs, usable } => {
                write!(f, "needs {needs} of scratch, {usable} are usable")
            }
            Self::WindowsTooShort { needs, longest } => {
                write!(
                    f,
                    "takes {needs}, and its longest occurrence lasts {longest}"
                )
            }
            Self::WindowsFull => f.write_str("its occurrences are over before its turn"),
            Self::Behind { vm } => write!(f, "waits for `{vm}`, which has no place"),
            Self::BehindStep { step } => {
                write!(
                    f,
                    "waits for the step `{step}`, which fits none of its windows"
                )
            }
            Self::NoWindow => f.write_str("no occurrence of its window is left for it"),
            Self::NoExporter => f.write_str("no exporter, or no slot of its host, is there for it"),
            Self::TargetFull { resource } => {
                write!(f, "its target has no {resource} left for its machine")
            }
            Self::ServiceTooLong {
                service,
                needs,
                longest,
            } => write!(
                f,
                "service `{service}` takes {needs} together, and its longest occurrence lasts \
                 {longest}"
            ),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Memory => "memory",
            Self::Cpu => "processors",
            Self::Storage => "storage",
        })
    }
}

/// Scratch of one target over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScratchUse {
    /// The target.
    pub target: TargetName,
    /// The volume's size.
    pub capacity: Bytes,
    /// What may be used of it.
    pub usable: Bytes,
    /// Steps of the curve, by time.
    pub curve: Vec<ScratchStep>,
}

impl ScratchUse {
    /// Most bytes held between two times, both included.
    pub fn peak_within(&self, from: Seconds, to: Seconds) -> Bytes {
        let first = self.curve.partition_point(|step| step.at <= from);
        let inside = self.curve[first.saturating_sub(1)..].iter();
        let held = inside
            .take_while(|step| step.at <= to)
            .map(|step| step.bytes);
        held.max().unwrap_or_default()
    }

    /// Most bytes ever held.
    pub fn peak(&self) -> Bytes {
        let held = self.curve.iter().map(|step| step.bytes);
        held.max().unwrap_or_default()
    }
}

impl Schedule {
    /// The slot of a VM.
    pub fn slot(&self, vm: &VmKey) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.vm == *vm)
    }

    /// The last machine is ready.
    pub fn ends(&self) -> Seconds {
        let ready = self.slots.iter().map(|slot| slot.times.ready);
        ready.max().unwrap_or_default()
    }

    /// The last machine is ready and the last step outside has ended.
    pub fn done(&self) -> Seconds {
        let steps = self.steps.iter().map(|step| step.ends);
        steps.chain([self.ends()]).max().unwrap_or_default()
    }

    /// Mean and longest downtime of the guests that run.
    pub fn downtime(&self) -> (Seconds, Seconds) {
        mean_and_max(self.slots.iter().map(|slot| slot.times.downtime()))
    }

    /// Hundredths by which it may at most be longer than the best there is.
    pub fn gap(&self) -> u64 {
        let (ends, least) = (self.ends().0, self.bound.ends.0.max(1));
        (ends.saturating_sub(least) * 100).div_ceil(least)
    }
}

/// Mean, rounded to whole seconds, and maximum.
fn mean_and_max(values: impl Iterator<Item = Seconds>) -> (Seconds, Seconds) {
    let (mut count, mut sum, mut max) = (0, 0, Seconds::ZERO);
    for value in values {
        count += 1;
        sum += value.0;
        max = max.max(value);
    }
    (Seconds((sum + count / 2) / count.max(1)), max)
}

/// The best schedule that is found within the usual budget. The order of the problem's jobs changes
/// nothing.
///
/// # Errors
/// Where workloads wait for each other; resolving a plan finds that first.
pub fn schedule(problem: &Problem) -> Result<Schedule, Cycle> {
    schedule_within(problem, &Budget::iterations(ITERATIONS, SEED))
}

/// Orders that are tried beside the priority rules, unless told otherwise.
const ITERATIONS: u64 = 20_000;

/// Where chance begins, unless told otherwise.
const SEED: u64 = 1;

/// The best schedule that is found within a budget. Where the engine blocks, of the orders that
/// `improve` tries; else of those that the search of `flow` does. Steps outside that compete for
/// something begin as the general core says.
///
/// # Errors
/// Where workloads wait for each other.
pub fn schedule_within(problem: &Problem, budget: &Budget) -> Result<Schedule, Cycle> {
    let dag = Dag::new(&problem.after())?;
    let mut bound = bound::lower_bound(problem, &dag);
    let mut estate = decode::Estate::new(problem, &dag);
    let outside = steps::search(problem, budget);
    let mut searched = 0;
    if let Some(found) = outside {
        (estate.begins, bound.done, searched) = (found.begins, found.bound, found.tried);
    }
    let found = Flow::of(problem).and_then(|flow| flow.search(budget));
    let (decoded, rule, tried) = if let Some((order, rule, tried)) = found {
        (estate.decode(&order, Mode::Exact), rule, tried)
    } else {
        improve::search(&estate, &dag, budget)
    };
    Ok(Schedule {
        slots: decoded.slots.into_iter().map(|(_, slot)| slot).collect(),
        unplaced: decoded.unplaced,
        steps: decoded.steps,
        scratch: decoded.scratch,
        bound,
        rule,
        tried: tried + searched,
    })
}
