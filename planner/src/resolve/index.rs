//! Every source's VMs, by id and by name, in an order of its own: what an inventory lists first
//! changes nothing.

use std::collections::BTreeMap;

use schemas::ids::{SourceName, VmId, VmKey, VmName};
use schemas::inventory::{Inventory, SourceInventory, SourceKind, Vm};

use crate::diagnostic::{Diagnostics, File, Place, Problem};

/// The VMs of all sources, to look up.
#[derive(Debug)]
pub struct Index<'a> {
    sources: BTreeMap<&'a SourceName, SourceIndex<'a>>,
}

/// The VMs of one source, to look up.
#[derive(Debug)]
pub struct SourceIndex<'a> {
    /// The snapshot.
    pub inventory: &'a SourceInventory,
    by_id: BTreeMap<&'a VmId, &'a Vm>,
    by_name: BTreeMap<&'a VmName, Vec<&'a Vm>>,
    by_folder: BTreeMap<&'a str, Vec<&'a Vm>>,
    storage_names: BTreeMap<&'a str, &'a str>,
    rule_names: BTreeMap<&'a str, &'a str>,
}

impl<'a> Index<'a> {
    /// Of `inventory`.
    pub fn of(inventory: &'a Inventory) -> Self {
        let sources = inventory.sources.iter();
        Self {
            sources: sources
                .map(|(name, source)| (name, SourceIndex::new(source)))
                .collect(),
        }
    }

    /// The VMs of that source, if there is a snapshot of it.
    pub fn source(&self, name: &SourceName) -> Option<&SourceIndex<'a>> {
        self.sources.get(name)
    }

    /// All sources with a snapshot, by name.
    pub fn sources(&self) -> impl Iterator<Item = (&'a SourceName, &SourceIndex<'a>)> {
        self.sources.iter().map(|(name, index)| (*name, index))
    }

    /// The VM of that key.
    pub fn vm(&self, key: &VmKey) -> Option<&'a Vm> {
        self.source(&key.source)?.id(&key.id)
    }
}

impl<'a> SourceIndex<'a> {
    fn new(inventory: &'a SourceInventory) -> Self {
        let by_id: BTreeMap<_, _> = inventory.vms.iter().map(|vm| (&vm.id, vm)).collect();
        let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut by_folder: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for vm in by_id.values() {
            by_name.entry(&vm.name).or_default().push(*vm);
            if let Some(folder) = vm.folder.as_deref() {
                by_folder.entry(folder).or_default().push(*vm);
            }
        }
        let storage = inventory.storage.iter();
        Self {
            inventory,
            by_id,
            by_name,
            by_folder,
            rule_names: inventory
                .rules
                .iter()
                .filter_map(|rule| Some((rule.id.as_str(), rule.name.as_deref()?)))
                .collect(),
            storage_names: storage
                .map(|place| (place.id.as_str(), place.name.as_str()))
                .collect(),
        }
    }

    /// The name of a datastore or volume type; its id where the snapshot has no name for it.
    pub fn storage_name<'n>(&'n self, id: &'n str) -> &'n str {
        self.storage_names.get(id).copied().unwrap_or(id)
    }

    /// The name of a server group or another rule, if it has one.
    pub fn rule_name(&self, id: &str) -> Option<&'a str> {
        self.rule_names.get(id).copied()
    }

    /// What kind of place it is.
    pub fn kind(&self) -> SourceKind {
        self.inventory.about.kind
    }

    /// The VM of that id.
    pub fn id(&self, id: &VmId) -> Option<&'a Vm> {
        self.by_id.get(id).copied()
    }

    /// The VMs of that name, by id.
    pub fn name(&self, name: &VmName) -> &[&'a Vm] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The folders that have VMs, by path, each with those that are in it and not below it.
    pub fn folders(&self) -> &BTreeMap<&'a str, Vec<&'a Vm>> {
        &self.by_folder
    }

    /// All its VMs, by id.
    pub fn vms(&self) -> impl Iterator<Item = &'a Vm> {
        self.by_id.values().copied()
    }

    /// All names that its VMs bear, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.by_name.keys().map(|name| name.as_str())
    }
}

/// An id that a source lists twice (vSphere's clones may share one) is an error: nothing could tell
/// the two apart.
pub(super) fn check(inventory: &Inventory, out: &mut Diagnostics) {
    for (name, source) in &inventory.sources {
        let mut counts: BTreeMap<&VmId, usize> = BTreeMap::new();
        for vm in &source.vms {
            *counts.entry(&vm.id).or_default() += 1;
        }
        for (id, count) in counts.into_iter().filter(|(_, count)| *count > 1) {
            out.error(
                Place {
                    file: File::Plan,
                    path: String::new(),
                },
                Problem::IdTwice {
                    source_name: name.clone(),
                    id: id.clone(),
                    count,
                },
            );
        }
    }
}
