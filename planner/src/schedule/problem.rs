//! What is to be scheduled, reduced to what a scheduler needs: durations, sizes, and what must not
//! happen at the same time or in the wrong order. Every constraint is data here: `fill` makes it of
//! a plan, the decoder obeys it, the checker judges by it.
//!
//! Times are seconds from the plan's start, or from whenever the plan is run where there is none.
//! Positions in lists name things, but jobs are named by their VM: the order of `jobs` means
//! nothing.

use engine::Profile;
use engine::profile::Hold;
use schemas::ids::{OccurrenceId, TargetName, VmKey, VmName, WindowName, WorkloadName};
use schemas::inventory::SourceKind;
use schemas::site::Admission;
use schemas::units::{Bytes, Seconds};
use schemas::wave::WaveSize;

use crate::estimate::Estimates;

/// What is to be scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// When the next import of a target is created, relative to the one before.
    pub admission: Admission,
    /// Clusters, each with an engine and a scratch of its own.
    pub targets: Vec<Target>,
    /// People and gear that steps outside share.
    pub pools: Vec<Pool>,
    /// Hosts that disks are copied from, with limits of their own.
    pub hosts: Vec<SourceHost>,
    /// Lists of windows that jobs may have to keep, each by start and without overlap. One list for
    /// each combination of window, pinned occurrence and freezes that is asked for.
    pub calendars: Vec<Vec<Window>>,
    /// Sets of jobs that wait for each other, and steps outside: the nodes of the plan's graph.
    pub workloads: Vec<Workload>,
    /// Sets of workloads that are cut over in one occurrence.
    pub services: Vec<Service>,
    /// What holds jobs back beside what their workloads wait for: canaries, waves with `after`.
    pub barriers: Vec<Barrier>,
    /// The imports.
    pub jobs: Vec<Job>,
}

/// A cluster with its engine and scratch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// Its engine: phases, pools, polls.
    pub profile: Profile,
    /// The scratch volume's size.
    pub capacity: Bytes,
    /// What may be used of it.
    pub usable: Bytes,
    /// What others hold of the usable scratch at the start: imports that are no jobs of this
    /// problem, leaks.
    pub occupied: Vec<Occupied>,
    /// What the machines of this problem may take of the cluster; absent: nobody knows, and it is
    /// no limit.
    pub room: Option<Room>,
}

/// Scratch that somebody else holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// So much.
    pub bytes: Bytes,
    /// It is predicted to be free from then on; absent: never.
    pub until: Option<Seconds>,
}

/// What machines take of a cluster, or may take of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Memory.
    pub memory: Bytes,
    /// Processors, in thousandths.
    pub cpu_milli: u64,
    /// Storage, copies included.
    pub storage: Bytes,
}

/// People or gear that steps outside take for as long as they last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// So much of it at once.
    pub capacity: u64,
}

/// A host that disks are copied from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceHost {
    /// Its name.
    pub name: String,
    /// Exports at once from it, over all targets. Binds only engines with several exporters, or
    /// several targets.
    pub slots: u32,
}

/// The part of an occurrence of a window in which its jobs may start. A freeze may leave several
/// parts of one occurrence: they have the same name and occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The window's name.
    pub name: WindowName,
    /// Which occurrence.
    pub occurrence: OccurrenceId,
    /// Imports may start from here on.
    pub from: Seconds,
    /// They should have ended by then: none starts whose cut (at its P90) and the reserve would
    /// reach beyond.
    pub to: Seconds,
    /// None may start from here on: the close less the lockout.
    pub last_start: Seconds,
    /// What must be left after a cut's P90 end, to roll back.
    pub reserve: Seconds,
    /// Most jobs that start in the occurrence, whatever calendar lists it.
    pub vms_max: Option<u32>,
}

/// A node of the plan's graph: jobs that belong together, or a step outside. It is *done* when all
/// its jobs run and their gates hold, or its step has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its name.
    pub name: WorkloadName,
    /// Positions of the workloads that must all be done first.
    pub after: Vec<usize>,
    /// What is done outside, for a workload without jobs; also one of another plan.
    pub step: Option<Step>,
}

/// Something that takes time and no engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// So long.
    pub takes: Seconds,
    /// It does not begin before.
    pub from: Seconds,
    /// Position of the windows that it must lie in as a whole; none: it begins as soon as it may.
    pub calendar: Option<usize>,
    /// By pool: what it takes meanwhile. What is not listed is nothing.
    pub needs: Vec<u64>,
}

/// What an owner calls "my system".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: WorkloadName,
    /// Positions of its workloads; each is in one service at most.
    pub workloads: Vec<usize>,
    /// All its jobs that keep windows start in one occurrence, and its last gate holds before that
    /// closes. It then has the engine to itself from its first import to its last.
    pub together: bool,
}

/// Jobs that must all run, with their gates, before others are created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// What it is, for people: `canaries`, or the pinned wave before.
    pub name: WorkloadName,
    /// Those that go first. One that is no job of the problem is done.
    pub first: Vec<VmKey>,
    /// Those that wait.
    pub then: Vec<VmKey>,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The VM.
    pub vm: VmKey,
    /// Its name, for people.
    pub name: VmName,
    /// Its source's kind.
    pub kind: SourceKind,
    /// Position of its target.
    pub target: usize,
    /// Position of its workload.
    pub workload: usize,
    /// Position of the host that its disks are copied from, if that has a limit.
    pub host: Option<usize>,
    /// Position of the windows that it must keep; none: it may start at any time. A pinned
    /// occurrence is a calendar of that occurrence alone.
    pub calendar: Option<usize>,
    /// Its creation, where that is no longer to be chosen: approved, or running. It is created then,
    /// or as soon after as engine and dependencies let it; what is not fixed is not put in front of
    /// it where it would be in its way.
    pub fixed: Option<Seconds>,
    /// It is under way already: its estimates are of what is left, and no admission policy holds it
    /// back.
    pub under_way: bool,
    /// Whether its guest runs, and so is down from its shutdown on.
    pub guest_runs: bool,
    /// What it needs of the scratch and the network.
    pub size: WaveSize,
    /// What its machine takes of its target, from its creation on and for ever.
    pub takes: Room,
    /// How long its phases take: the median.
    pub estimates: Estimates,
    /// From its creation until its machine is ready, on an idle engine: at most this in nine of ten
    /// cases (P90). So much of a window, and its reserve, must be left.
    pub cut_p90: Seconds,
    /// From `running` until its gate is predicted to hold.
    pub gate: Seconds,
    /// VMs whose machines must run, with their gates, before it is created, beside what its
    /// workload waits for. On an engine with a stage, this and all else here binds the cut alone.
    pub after: Vec<VmKey>,
    /// VMs that must not be under way at the same time (N03).
    pub excludes: Vec<VmKey>,
    /// How much its downtime counts.
    pub weight: u64,
}

impl Job {
    /// What it holds of the scratch.
    pub fn holds(&self, hold: Hold) -> Bytes {
        let resident = self.size.resident.0;
        match hold {
            Hold::Nothing => Bytes::ZERO,
            Hold::Resident => resident,
            Hold::Peak => self.size.peak.0.max(resident),
        }
    }
}

impl Problem {
    /// Positions of the jobs, sorted by VM.
    pub(super) fn by_vm(&self) -> Vec<usize> {
        let mut jobs: Vec<usize> = (0..self.jobs.len()).collect();
        jobs.sort_by(|a, b| self.jobs[*a].vm.cmp(&self.jobs[*b].vm));
        jobs
    }

    /// What each workload depends on.
    pub(super) fn after(&self) -> Vec<Vec<usize>> {
        self.workloads.iter().map(|w| w.after.clone()).collect()
    }
}
