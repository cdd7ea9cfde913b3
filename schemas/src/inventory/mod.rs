//! What a source or a target holds, as snapshot files keep it: one JSON object a line.
//!
//! A snapshot of a source is a folder `<source>/` with `source.json`, and `vms.jsonl`,
//! `networks.jsonl`, `storage.jsonl`, `hosts.jsonl`, `rules.jsonl` (configuration) beside
//! `observed.jsonl` (what changes by itself). Lines are sorted by `id`, keys stand in the order of
//! these structs, what is not known is absent, sizes are bytes. Reading an unchanged source
//! twice gives the same bytes in every file but `observed.jsonl`. Unknown keys are kept out of the
//! types but are no error: a newer collector may know more.

mod device;
mod infrastructure;
mod observed;
mod ova;
mod rule;
mod source;
mod target;
mod vm;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::device::{Disk, Nic};
pub use self::infrastructure::{Host, Network, Storage};
pub use self::observed::{OBSERVED_QUOTAS, Observed, Power};
pub use self::ova::OvaFacts;
pub use self::rule::{Rule, RuleKind};
pub use self::source::{Gap, Identity, Project, Quota, SourceAbout, SourceKind};
pub use self::target::{
    LedgerLine, Overcommit, ScratchKind, TargetAbout, TargetClaim, TargetDisk, TargetEngine,
    TargetImage, TargetImport, TargetImportDisk, TargetInventory, TargetLonghorn, TargetNetwork,
    TargetNic, TargetNode, TargetQuota, TargetScratch, TargetSource, TargetStorageClass, TargetVm,
};
pub use self::vm::{Flavor, GuestOs, Lookup, RootDisk, Vm};

use crate::facts::Knowledge;
use crate::ids::{SourceName, TargetName};

/// The schema named in each file's first line.
pub const SCHEMA: &str = "windrow.inventory/1";

/// First line of each `.jsonl` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always [`SCHEMA`]; another major number needs a migration.
    pub schema: String,
    /// What the lines are: `vms`, `networks`, `storage`, `hosts`, `rules`, `observed`, …
    pub kind: String,
}

/// Everything a plan can look at: all sources and targets of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By the source's name in the site.
    pub sources: BTreeMap<SourceName, SourceInventory>,
    /// By the target's name in the site.
    pub targets: BTreeMap<TargetName, TargetInventory>,
    /// What people know of its VMs.
    pub knowledge: Knowledge,
}

/// One source's snapshot. All lists are sorted by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInventory {
    /// `source.json`.
    pub about: SourceAbout,
    /// `vms.jsonl`: the VMs of this source's datacenter; OpenStack: of every project that the account
    /// may list, each with its project, since the engine finds those of its own only.
    pub vms: Vec<Vm>,
    /// `networks.jsonl`: those of the whole vCenter or of what the project sees (W04).
    pub networks: Vec<Network>,
    /// `storage.jsonl`.
    pub storage: Vec<Storage>,
    /// `hosts.jsonl`.
    pub hosts: Vec<Host>,
    /// `rules.jsonl`: what ties VMs together at the source.
    pub rules: Vec<Rule>,
    /// `observed.jsonl`, by the id of what was observed.
    pub observed: BTreeMap<String, Observed>,
}

impl SourceInventory {
    /// A snapshot of a place that holds nothing.
    pub fn new(about: SourceAbout) -> Self {
        Self {
            about,
            vms: Vec::new(),
            networks: Vec::new(),
            storage: Vec::new(),
            hosts: Vec::new(),
            rules: Vec::new(),
            observed: BTreeMap::new(),
        }
    }
}
