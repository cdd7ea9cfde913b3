//! What is: the cluster as the machine needs to see it, at one instant.
//!
//! The shell fills this from its watches (or the tests from a simulated world) and hands it to
//! [`crate::step`]. It is a picture, not a history: everything that must survive a restart is in
//! the records (`MachineMigration` objects), which are part of the picture.

use std::collections::{BTreeMap, BTreeSet};

use schemas::approval::ApprovalSpec;
use schemas::ids::{Namespace, ObjectName};
use schemas::machine::{MachineSpec, MachineStatus};
use schemas::upstream::{VirtualMachineImportSpec, VirtualMachineImportStatus};
use schemas::wave::{WaveSpec, WaveStatus};

/// Where a namespaced object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ObjectName,
}

impl At {
    /// `name` in `namespace`.
    pub fn new(namespace: impl Into<Namespace>, name: impl Into<ObjectName>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One target cluster at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// uid of its namespace `kube-system`.
    pub cluster_uid: String,
    /// Waves to be realised here, by place.
    pub waves: BTreeMap<At, Wave>,
    /// Approvals, by place.
    pub approvals: BTreeMap<At, ApprovalSpec>,
    /// The ledger, by place: records of all plans in all namespaces that could be read.
    pub records: BTreeMap<At, Record>,
    /// All imports in the cluster, foreign ones too.
    pub imports: BTreeMap<At, Import>,
    /// Images that the imports speak of.
    pub images: BTreeMap<At, Image>,
    /// KubeVirt's machines.
    pub machines: BTreeMap<At, TargetMachine>,
    /// Source objects.
    pub sources: BTreeMap<At, SourceObject>,
    /// Namespaces in which a `windrow-stop` is, with its mode.
    pub stops: BTreeMap<Namespace, StopMode>,
    /// Names of the files in the engine's scratch, where its listing could be read.
    pub scratch_files: Option<BTreeSet<String>>,
    /// Imports whose creation the API server refused for good, by place, with what it said. The
    /// shell's memory: one that has forgotten asks the API server once more.
    pub refused: BTreeMap<At, String>,
    /// What came of the ports that were tried, by port: the shell's memory, for what is written
    /// into the ledger needs none.
    pub probes: BTreeMap<Probe, Probed>,
    /// Every wave needs an approval here, also one that says it needs none: who may write a wave
    /// could otherwise do without the second pair of eyes.
    pub require_approval: bool,
}

impl Observed {
    /// Whether [`Self::scratch_files`] would tell more than the objects do: an import is over that
    /// may have left files behind.
    pub fn wants_scratch_files(&self) -> bool {
        crate::scratch::wants_listing(self)
    }
}

/// A TCP port that a gate or a step asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// Of a host, by name or address.
    Host {
        /// Which.
        host: String,
        /// The port.
        port: u16,
    },
    /// Of a machine on the target, at the address that it has there.
    Machine {
        /// Which.
        machine: At,
        /// The port.
        port: u16,
    },
}

impl std::fmt::Display for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host { host, port } => write!(f, "TCP {port} of `{host}`"),
            Self::Machine { machine, port } => write!(f, "TCP {port} of machine `{machine}`"),
        }
    }
}

/// What came of a connection that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// When it was tried.
    pub at: jiff::Timestamp,
    /// Why it failed; absent: it was taken.
    pub failure: Option<String>,
}

/// A wave as it is in the cluster, or read from a file by `apply`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// What it decides.
    pub spec: WaveSpec,
    /// `metadata.generation`; 0 for a file.
    pub generation: i64,
    /// What was last said of it.
    pub status: Option<WaveStatus>,
    /// Its plan is suspended.
    pub plan_suspended: bool,
}

/// A record of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What was set out to do.
    pub spec: MachineSpec,
    /// What was seen of it; absent just after its creation.
    pub status: Option<MachineStatus>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion`: what is written to it is only right for exactly this state.
    pub resource_version: String,
}

/// An import as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`: a withdrawal is only safe for exactly the state that was seen.
    pub resource_version: String,
    /// Record that it belongs to (label [`schemas::machine::LABEL_MACHINE`]); absent: foreign.
    pub machine: Option<ObjectName>,
    /// Attempt that it belongs to (annotation [`schemas::machine::ANNOTATION_ATTEMPT`]).
    pub attempt: Option<u32>,
    /// The engine's worker has touched it: its finalizer is there.
    pub touched: bool,
    /// Its deletion is under way.
    pub deleting: bool,
    /// When the engine last wrote to it: the latest `time` in `metadata.managedFields`.
    pub changed: Option<jiff::Timestamp>,
    /// What it asks for.
    pub spec: VirtualMachineImportSpec,
    /// What the engine says.
    pub status: VirtualMachineImportStatus,
}

/// An image as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Condition `Imported` is `True`.
    pub imported: bool,
    /// Condition `RetryLimitExceeded` is `True`: it will never come (S08).
    pub given_up: bool,
    /// In hundredths.
    pub progress: i64,
    /// What we annotated it with to wake the engine ([`crate::Action::NudgeImage`]): the instant at
    /// which its machine was ready.
    pub nudged: Option<jiff::Timestamp>,
    /// When its status last changed: the latest `time` in `metadata.managedFields`. Tells an image
    /// that is slow from one that stands still, without any memory of ours.
    pub changed: Option<jiff::Timestamp>,
    /// What it says of its failure.
    pub message: Option<String>,
}

/// A machine of the target as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetMachine {
    /// KubeVirt says it is ready.
    pub ready: bool,
    /// The engine made it (label `migration.harvesterhci.io/imported`).
    pub imported: bool,
    /// When it was created.
    pub created: Option<jiff::Timestamp>,
}

/// A source object as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceObject {
    /// Its spec is what the wave asks for.
    pub spec: SourceSpec,
    /// `clusterReady`, `clusterNotReady`, or empty.
    pub status: String,
    /// What the engine says of its failure.
    pub message: Option<String>,
    /// When it was created.
    pub created: jiff::Timestamp,
}

pub use schemas::objects::SourceSpec;

/// What a `windrow-stop` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopMode {
    /// Admit nothing more.
    Admit,
    /// And delete imports that the engine has not touched yet.
    Withdraw,
}
