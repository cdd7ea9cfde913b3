//! What reading a source gives: an inventory, of which a part may still be the text it was kept as.

use std::ops::Range;
use std::sync::Arc;

use schemas::ids::VmId;
use schemas::inventory::{Observed, SourceInventory, Vm};

/// An inventory as it was read.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// All but the VMs that are kept.
    inventory: SourceInventory,
    /// Sorted by id.
    kept: Vec<Kept>,
}

/// A VM of which nothing has changed since an earlier pull: its lines of that time.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Its id.
    pub(crate) id: VmId,
    /// What its lines are pieces of.
    pub(crate) text: Arc<String>,
    /// Its line of `vms.jsonl`.
    pub(crate) vm: Range<usize>,
    /// Its line of `observed.jsonl`.
    pub(crate) observed: Range<usize>,
}

impl Kept {
    /// Its line of `vms.jsonl`.
    pub(crate) fn vm(&self) -> &str {
        &self.text[self.vm.clone()]
    }

    /// Its line of `observed.jsonl`.
    pub(crate) fn observed(&self) -> &str {
        &self.text[self.observed.clone()]
    }
}

impl From<SourceInventory> for Pulled {
    fn from(inventory: SourceInventory) -> Self {
        let kept = Vec::new();
        Self { inventory, kept }
    }
}

impl Pulled {
    pub(crate) fn new(inventory: SourceInventory, mut kept: Vec<Kept>) -> Self {
        kept.sort_by(|a, b| a.id.cmp(&b.id));
        Self { inventory, kept }
    }

    /// What was read, without the VMs of which nothing has changed.
    pub fn part(&self) -> &SourceInventory {
        &self.inventory
    }

    /// The rest, sorted by id.
    pub(crate) fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// How many VMs the source has.
    pub fn vms(&self) -> usize {
        self.inventory.vms.len() + self.kept.len()
    }

    /// All of it. An error means that what was kept was not written by this version of the program.
    pub fn whole(self) -> Result<SourceInventory, serde_json::Error> {
        let mut inventory = self.inventory;
        for kept in &self.kept {
            let vm: Vm = serde_json::from_str(kept.vm())?;
            let observed: Observed = serde_json::from_str(kept.observed())?;
            inventory.vms.push(vm);
            inventory.observed.insert(observed.id.clone(), observed);
        }
        inventory.vms.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(inventory)
    }
}
