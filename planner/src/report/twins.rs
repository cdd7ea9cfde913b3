//! VMs that bear one name: what a reviewer needs to tell them apart.

use std::collections::BTreeMap;
use std::fmt;

use schemas::ids::{SourceName, VmKey, VmName};
use schemas::inventory::{Inventory, Observed, Vm};
use schemas::units::Bytes;
use serde::Serialize;

use crate::diagnostic::count;
use crate::resolve::{Index, ResolvedPlan};

/// VMs of one source that bear one name, and of which at least one is to be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Twins {
    /// Their source.
    pub source: SourceName,
    /// Their name.
    pub name: VmName,
    /// Each of them, by id.
    pub vms: Vec<TwinVm>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TwinVm {
    /// Which.
    pub vm: VmKey,
    /// Whether the plan moves it.
    pub planned: bool,
    /// What tells it apart.
    #[serde(flatten)]
    pub twin: Twin,
}

/// What tells one VM from another of its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Twin {
    /// OpenStack: whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// vSphere: its folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Addresses of the guest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// OpenStack: its flavor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flavor: Option<String>,
    /// When it was made, as its source says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Disks.
    pub volumes: usize,
    /// Provisioned bytes of them.
    pub bytes: Bytes,
}

impl Twin {
    /// Of a VM and what was seen of it.
    pub fn of(vm: &Vm, seen: Option<&Observed>) -> Self {
        let project = vm.project.as_ref();
        Self {
            project: project.map(|project| project.name.as_ref().unwrap_or(&project.id).clone()),
            folder: vm.folder.clone().filter(|folder| !folder.is_empty()),
            addresses: seen.map(|seen| seen.guest_ips.clone()).unwrap_or_default(),
            flavor: vm.flavor.as_ref().and_then(|flavor| flavor.name.clone()),
            created: vm.created.clone(),
            volumes: vm.disks.len(),
            bytes: vm.disks.iter().map(|disk| disk.capacity_bytes).sum(),
        }
    }
}

impl fmt::Display for Twin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut add = |word: &str, value: Option<&String>| {
            if let Some(value) = value {
                parts.push(format!("{word}{value}"));
            }
        };
        add("project ", self.project.as_ref());
        add("folder ", self.folder.as_ref());
        add(
            "",
            Some(&self.addresses.join(", ")).filter(|all| !all.is_empty()),
        );
        add("flavor ", self.flavor.as_ref());
        add("created ", self.created.as_ref());
        parts.push(format!("{}, {}", count(self.volumes, "disk"), self.bytes));
        f.write_str(&parts.join("; "))
    }
}

/// All names that several VMs of one source bear, where the plan moves one of them.
pub(super) fn of(plan: &ResolvedPlan, inventory: &Inventory) -> Vec<Twins> {
    let index = Index::of(inventory);
    let mut names: BTreeMap<(&SourceName, &VmName), Vec<TwinVm>> = BTreeMap::new();
    for vm in &plan.vms {
        let Some(source) = index.source(&vm.key.source) else {
            continue;
        };
        let all = source.name(&vm.name);
        if all.len() > 1 {
            names.entry((&vm.key.source, &vm.name)).or_insert_with(|| {
                let twin = |one: &&Vm| {
                    let key = VmKey::new(vm.key.source.clone(), one.id.clone());
                    TwinVm {
                        planned: plan.vm(&key).is_some(),
                        vm: key,
                        twin: Twin::of(one, source.inventory.observed.get(one.id.as_str())),
                    }
                };
                all.iter().map(twin).collect()
            });
        }
    }
    names
        .into_iter()
        .map(|((source, name), vms)| Twins {
            source: source.clone(),
            name: name.clone(),
            vms,
        })
        .collect()
}
