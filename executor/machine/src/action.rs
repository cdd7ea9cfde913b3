//! What to do: the machine's answer, and what it has to say about the run.
//!
//! Every action is safe to repeat: the shell carries out as many as it can, looks again, and asks
//! again. An action that the cluster refuses because the picture was stale costs nothing.
//!
//! What the shell owes the machine:
//! - it is alone: it holds the target's Lease, and after taking it looks before it acts;
//! - it sees its own writes: no step on a picture older than what it wrote last;
//! - an action that fails is dropped, never kept for later: the next step says it again.

use std::collections::BTreeSet;
use std::fmt;

use schemas::ids::{Namespace, ObjectName, VmKey, VmName, WaveName, WorkloadName, WorkloadRef};
use schemas::machine::{Attempt, MachineSpec, MachineStatus, Stage};
use schemas::units::Bytes;
use schemas::upstream::VirtualMachineImportSpec;
use schemas::wave::WaveStatus;

use crate::observed::{At, Probe, SourceSpec};

/// One thing for the shell to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create a source object. `AlreadyExists`: look again.
    CreateSource {
        /// Where.
        at: At,
        /// What.
        spec: SourceSpec,
    },
    /// Create a record with its first attempt opened. `AlreadyExists`: look again.
    OpenRecord {
        /// Where.
        at: At,
        /// What is set out to do.
        spec: MachineSpec,
    },
    /// Open another attempt in a record whose last one was withdrawn.
    OpenAttempt {
        /// The record.
        at: At,
        /// The record as it was seen, as precondition.
        resource_version: String,
        /// The spec with the attempt in it.
        spec: MachineSpec,
    },
    /// POST an import, complete: it is never written again (Q06). `AlreadyExists` is success only
    /// if label, attempt and spec agree.
    CreateImport {
        /// Where.
        at: At,
        /// Its record, for the label.
        record: ObjectName,
        /// The plan, for the label.
        plan: schemas::ids::PlanName,
        /// Its attempt, for the annotation.
        attempt: u32,
        /// What.
        spec: VirtualMachineImportSpec,
    },
    /// Write a record's status. A conflict: look again.
    Record {
        /// The record.
        at: At,
        /// The record as it was seen, as precondition.
        resource_version: String,
        /// The whole of it.
        status: MachineStatus,
    },
    /// Annotate an image of an import whose machine is ready, so that the engine looks at the
    /// import now and not at its next two-minute poll (measured-engine.md 1b).
    NudgeImage {
        /// The image.
        at: At,
        /// When its machine was ready: what to annotate it with, as it comes back in
        /// [`crate::Image::nudged`] and, with `Running`, goes into the record. Saves a write.
        ready: jiff::Timestamp,
    },
    /// Delete an import, if it still is the one that was seen.
    DeleteImport {
        /// The import.
        at: At,
        /// Its uid, as precondition.
        uid: String,
        /// Its resource version, as precondition: set for a withdrawal, which is only safe while
        /// nobody has touched it.
        resource_version: Option<String>,
    },
    /// Write a wave's status.
    WaveStatus {
        /// The wave.
        at: At,
        /// The whole of it.
        status: WaveStatus,
    },
}

/// The machine's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// In the order in which they are to be carried out.
    pub actions: Vec<Action>,
    /// Ports to be tried now, beside the actions and without making them wait; what comes of it
    /// belongs into the next picture ([`crate::Observed::probes`]). One that is being tried is not
    /// tried twice.
    pub probes: BTreeSet<Probe>,
    /// Look again at this instant even if nothing changes; absent: only when something does.
    pub wake: Option<jiff::Timestamp>,
    /// How the run stands.
    pub view: RunView,
}

/// How the run stands: for progress, status and the exit code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunView {
    /// All machines of all waves, by wave and order.
    pub machines: Vec<MachineView>,
    /// Scratch bytes that our imports may hold now, by the worst case.
    pub scratch_held: Bytes,
    /// Scratch bytes that they may hold at most.
    pub scratch_usable: Bytes,
    /// What holds the whole run back, in words (stopped, a foreign import exports, …), by wave.
    pub holds: Vec<Hold>,
    /// Steps outside that something waits for, by plan and name.
    pub steps: Vec<StepView>,
    /// Nothing more will happen by itself: all are done, failed, or blocked for good.
    pub finished: bool,
}

/// A step outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// Its plan.
    pub plan: At,
    /// Its workload's name.
    pub name: WorkloadName,
    /// What is done, for people.
    pub title: String,
    /// How it stands.
    pub state: StepState,
}

/// How a step outside stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Something that it waits for is not done.
    Behind,
    /// It may be done; what is lacking for it to count as done.
    Due(String),
    /// It is done.
    Done,
}

/// What holds back a whole wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Which.
    pub wave: WaveName,
    /// Its namespace.
    pub namespace: Namespace,
    /// Why.
    pub reason: HoldReason,
}

/// Why a wave does not admit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// It needs an approval of this digest.
    AwaitingApproval {
        /// The digest.
        digest: String,
    },
    /// Its approval has expired.
    ApprovalExpired {
        /// When.
        at: jiff::Timestamp,
    },
    /// Its window is not open.
    OutsideWindow {
        /// When it opens; absent: it is over.
        opens: Option<jiff::Timestamp>,
    },
    /// A machine has failed, and by its policy that stops the wave.
    Failure {
        /// Its name.
        name: VmName,
        /// Which VM.
        of: VmKey,
    },
    /// `spec.suspend`.
    Suspended,
    /// A `windrow-stop`.
    Stopped,
    /// Its digest does not match its content: it was edited by hand.
    DigestMismatch {
        /// What its content gives.
        computed: String,
    },
    /// It is for another cluster.
    OtherCluster {
        /// That cluster's uid.
        expected: String,
    },
    /// A source is not ready.
    SourceNotReady {
        /// Which.
        source: At,
        /// Since when it is there; absent: not yet created.
        since: Option<jiff::Timestamp>,
        /// What the engine says.
        message: Option<String>,
    },
    /// A source object of that name is there and is another one.
    SourceDiffers {
        /// Which.
        source: At,
    },
}

/// One machine in the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineView {
    /// The VM.
    pub vm: VmKey,
    /// Its name, for people.
    pub name: VmName,
    /// The machine that it becomes: tells those of one name apart.
    pub machine: At,
    /// Its wave.
    pub wave: WaveName,
    /// Its workload.
    pub workload: WorkloadName,
    /// Its record.
    pub record: At,
    /// How it stands.
    pub state: MachineState,
    /// Its attempt, once there is one.
    pub attempt: Option<Attempt>,
    /// When each step of that attempt came, as its record says.
    pub times: schemas::machine::Times,
    /// When its guest went off and when it was ready again, as far as they are known.
    pub off: Option<jiff::Timestamp>,
    /// See `off`.
    pub ready: Option<jiff::Timestamp>,
}

/// How a machine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineState {
    /// Not begun; what it waits for.
    Waiting(Wait),
    /// On its way.
    Active(Stage),
    /// Running on the target, and recorded.
    Done,
    /// Failed, or held for a person; why.
    Failed(String),
    /// Will not begin by itself: one that it depends on failed.
    Blocked {
        /// Which one.
        by: VmKey,
        /// That one's name.
        name: VmName,
        /// Its plan, where that is another one.
        plan: Option<At>,
    },
}

/// A machine of another plan that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its workload, as the wave calls it.
    pub workload: WorkloadRef,
    /// Its record.
    pub record: At,
    /// How far it is; absent: nobody has begun with it.
    pub stage: Option<Stage>,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.stage {
            None => "not begun there",
            Some(Stage::Running) => "it runs, and its gate does not hold yet",
            Some(Stage::Withdrawn) => "taken back there",
            Some(_) => "on its way there",
        };
        let (record, workload) = (&self.record.name, &self.workload);
        write!(f, "`{record}` of `{workload}`, another plan: {how}")
    }
}

/// What a machine waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Its turn.
    Turn,
    /// Its wave is held back ([`RunView::holds`]).
    Wave,
    /// Machines of a workload that do not run yet.
    Dependency {
        /// The first of them.
        on: VmKey,
    },
    /// A machine that runs and whose gate does not hold yet.
    Gate {
        /// Which.
        on: VmKey,
    },
    /// A machine of another plan that does not run yet, or whose gate does not hold.
    Plan(Elsewhere),
    /// A step outside that is not done.
    Step {
        /// Its workload's name, with its plan where that is another one.
        step: WorkloadRef,
        /// What is done, for people.
        title: String,
    },
    /// Another import that would use the same files (N03).
    Exclusion {
        /// Which.
        with: VmKey,
    },
    /// Room on the scratch.
    Scratch {
        /// It needs.
        needs: Bytes,
        /// There is.
        free: Bytes,
    },
    /// Machines that its whole wave waits for: canaries, or a wave before it.
    Barrier {
        /// What it is, for people.
        name: WorkloadName,
        /// The first machine of it that does not run yet.
        on: VmKey,
    },
    /// Nothing more: too little of its window is left for it.
    TooLate {
        /// The last instant at which it could have started.
        latest: jiff::Timestamp,
    },
    /// The engine is at work on somebody else's import.
    ForeignImport {
        /// Which.
        import: At,
    },
}
