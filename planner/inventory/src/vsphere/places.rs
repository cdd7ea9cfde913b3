//! Where things are: folders, datacenters, clusters, hosts, networks, datastores of one vCenter.
//!
//! Takes the objects of the infrastructure view; gives paths as the engine's finder wants them and
//! the snapshot's networks, storage and hosts. Names are kept as the server stores them (`%2f`),
//! for that is what paths are compared with.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemas::inventory::{Host, Network, Observed, Storage};
use schemas::units::{Bytes, GIB};

use super::properties::{Object, Wanted};
use super::rules::{ClusterRules, StartOrder};
use super::soap::Ref;

/// Folders inside folders that are followed; deeper only in a loop, which no server should have.
const DEPTH_MAX: usize = 64;

/// The classes and paths of the infrastructure view.
pub(crate) const WANTED: &Wanted = &[
    ("Folder", &["name", "parent"]),
    ("StoragePod", &["name", "parent"]),
    ("Datacenter", &["name", "parent", "vmFolder"]),
    ("ComputeResource", &["name", "parent"]),
    (
        "ClusterComputeResource",
        &["name", "parent", "configurationEx"],
    ),
    (
        "HostSystem",
        &[
            "name",
            "parent",
            "summary.config.product.version",
            "summary.hardware.uuid",
            "summary.hardware.cpuModel",
            "summary.hardware.cpuMhz",
            "summary.hardware.numCpuPkgs",
            "summary.hardware.numCpuCores",
            "summary.hardware.memorySize",
            "summary.runtime.connectionState",
            "summary.runtime.inMaintenanceMode",
        ],
    ),
    (
        "Datastore",
        &[
            "name",
            "parent",
            "summary.type",
            "summary.capacity",
            "summary.freeSpace",
            "summary.accessible",
            "summary.multipleHostAccess",
            "summary.maintenanceMode",
        ],
    ),
    ("Network", &["name", "parent"]),
    (
        "DistributedVirtualPortgroup",
        &[
            "name",
            "parent",
            "config.distributedVirtualSwitch",
            "config.defaultPortConfig",
            "config.uplink",
        ],
    ),
    ("OpaqueNetwork", &["name", "parent", "summary"]),
    ("DistributedVirtualSwitch", &["name", "parent"]),
    ("VmwareDistributedVirtualSwitch", &["name", "parent"]),
    ("ResourcePool", &["name", "parent"]),
    (
        "VirtualApp",
        &["name", "parent", "parentFolder", "vAppConfig.entityConfig"],
    ),
];

/// The infrastructure, by managed object id.
#[derive(Debug, Default)]
pub(crate) struct Places {
    spots: BTreeMap<String, Spot>,
}

/// One object of it.
#[derive(Debug)]
pub(crate) struct Spot {
    /// Its class.
    pub(crate) kind: Kind,
    /// As the server stores it.
    pub(crate) name: String,
    /// What it is in.
    pub(crate) parent: Option<String>,
}

/// What it is, with what only that has.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A folder of anything, or a pod of datastores.
    Folder,
    /// A datacenter, and its folder of VMs.
    Datacenter(String),
    /// A host that is in no cluster.
    Compute,
    /// A cluster and its rules.
    Cluster(ClusterRules),
    /// A hypervisor, and its hardware's UUID.
    Host(Box<(Host, Observed, Option<String>)>),
    /// A datastore.
    Datastore(Box<(Storage, Observed)>),
    /// A network, the switch that it belongs to, and what NSX calls it.
    Network(Box<(Network, Option<String>, Option<String>)>),
    /// A distributed switch.
    Switch,
    /// A resource pool.
    Pool,
    /// A vApp, the folder it is shown in, and the order in which it starts its VMs.
    Vapp(Option<String>, Vec<StartOrder>),
}

/// A datacenter.
#[derive(Debug, Default)]
pub(crate) struct Datacenter {
    /// Its reference.
    pub(crate) reference: Ref,
    /// Its path below the root folder.
    pub(crate) path: String,
    /// Its folder of VMs.
    vm_folder: String,
}

/// Where a VM is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Path of its folder or vApp below the datacenter's VM folder.
    pub(crate) folder: Option<String>,
    /// Name of its vApp.
    pub(crate) vapp: Option<String>,
}

impl Spot {
    /// Reads an object of the infrastructure view; `None` for one whose name this account does not
    /// see, and for classes that we did not ask for.
    pub(crate) fn new(object: &Object<'_>) -> Option<(String, Self)> {
        let name = object.owned("name")?;
        let kind = match object.kind {
            "Folder" | "StoragePod" => Kind::Folder,
            "Datacenter" => Kind::Datacenter(object.owned("vmFolder").unwrap_or_default()),
            "ComputeResource" => Kind::Compute,
            "ClusterComputeResource" => Kind::Cluster(ClusterRules::new(object)),
            "HostSystem" => Kind::Host(Box::new(host(object, &name))),
            "Datastore" => Kind::Datastore(Box::new(datastore(object, &name))),
            "Network" => Kind::Network(Box::new(network(object, &name, "standard"))),
            "DistributedVirtualPortgroup" => {
                Kind::Network(Box::new(network(object, &name, "dvportgroup")))
            }
            "OpaqueNetwork" => Kind::Network(Box::new(network(object, &name, "opaque"))),
            "DistributedVirtualSwitch" | "VmwareDistributedVirtualSwitch" => Kind::Switch,
            "ResourcePool" => Kind::Pool,
            "VirtualApp" => Kind::Vapp(
                object.owned("parentFolder"),
                StartOrder::list(object.list("vAppConfig.entityConfig")),
            ),
            _ => return None,
        };
        let parent = object.owned("parent");
        Some((object.id.to_owned(), Self { kind, name, parent }))
    }
}

impl FromIterator<(String, Spot)> for Places {
    fn from_iter<I: IntoIterator<Item = (String, Spot)>>(spots: I) -> Self {
        Self {
            spots: spots.into_iter().collect(),
        }
    }
}

impl Places {
    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Spot)> {
        self.spots.iter().map(|(id, spot)| (id.as_str(), spot))
    }

    /// One of them.
    pub(crate) fn find(&self, id: &str) -> Option<&Spot> {
        self.spots.get(id)
    }

    /// Everything that the place of a VM is told from, as one text; the same for the same places.
    pub(crate) fn names(&self) -> String {
        let mut text = String::new();
        for (id, spot) in self.iter() {
            let (kind, more) = match &spot.kind {
                Kind::Folder => ("folder", None),
                Kind::Datacenter(vm_folder) => ("datacenter", Some(vm_folder.as_str())),
                Kind::Compute => ("compute", None),
                Kind::Cluster(_) => ("cluster", None),
                Kind::Host(_) => ("host", None),
                Kind::Pool => ("pool", None),
                Kind::Vapp(folder, _) => ("vapp", folder.as_deref()),
                Kind::Datastore(_) | Kind::Network(_) | Kind::Switch => continue,
            };
            let (name, parent) = (&spot.name, &spot.parent);
            let _ = writeln!(text, "{kind} {id:?} {name:?} {parent:?} {more:?}");
        }
        text
    }

    /// Joins names from `id` upwards until just below `end` or the topmost object that the account
    /// sees. Gives the path and whether `end` was met.
    fn path(&self, id: &str, end: Option<&str>) -> (String, bool) {
        let mut names = Vec::new();
        let mut at = Some(id);
        while let Some((id, spot)) = at.and_then(|id| Some((id, self.find(id)?))) {
            if end == Some(id) {
                names.reverse();
                return (names.join("/"), true);
            }
            if names.len() == DEPTH_MAX {
                break;
            }
            names.push(spot.name.as_str());
            at = spot.parent.as_deref();
        }
        names.reverse();
        (names.join("/"), false)
    }

    /// All datacenters, by path. The root folder is not in the view and so not in their paths.
    pub(crate) fn datacenters(&self) -> Vec<Datacenter> {
        let datacenter = |(id, spot): (&str, &Spot)| match &spot.kind {
            Kind::Datacenter(vm_folder) => Some(Datacenter {
                reference: Ref::new("Datacenter", id),
                path: self.path(id, None).0,
                vm_folder: vm_folder.clone(),
            }),
            _ => None,
        };
        let mut all: Vec<_> = self.iter().filter_map(datacenter).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    /// Where a VM is whose parent and vApp are given. A VM in a vApp has no parent folder: its
    /// path goes through the vApp, and that through its own folder or vApp.
    pub(crate) fn place(&self, dc: &Datacenter, parent: Option<&str>, vapp: Option<&str>) -> Place {
        let folder = match (parent, vapp) {
            (_, Some(vapp)) => self.vapp_path(dc, vapp, 0),
            (Some(parent), None) => self.folder_path(dc, parent),
            (None, None) => None,
        };
        Place {
            folder,
            vapp: vapp.and_then(|id| match self.find(id)? {
                Spot {
                    kind: Kind::Vapp(..),
                    name,
                    ..
                } => Some(name.clone()),
                _ => None,
            }),
        }
    }

    fn folder_path(&self, dc: &Datacenter, folder: &str) -> Option<String> {
        let (path, met) = self.path(folder, Some(&dc.vm_folder));
        met.then_some(path)
    }

    fn vapp_path(&self, dc: &Datacenter, vapp: &str, depth: usize) -> Option<String> {
        let spot = self.find(vapp).filter(|_| depth < DEPTH_MAX)?;
        let Kind::Vapp(folder, _) = &spot.kind else {
            return None;
        };
        let above = match folder {
            Some(folder) => self.folder_path(dc, folder),
            None => self.vapp_path(dc, spot.parent.as_deref()?, depth + 1),
        }?;
        Some(if above.is_empty() {
            spot.name.clone()
        } else {
            format!("{above}/{}", spot.name)
        })
    }

    /// The cluster of a host; a host of its own has none.
    pub(crate) fn cluster(&self, host: &str) -> Option<&str> {
        match self.find(self.find(host)?.parent.as_deref()?)? {
            Spot {
                kind: Kind::Cluster(_),
                name,
                ..
            } => Some(name),
            _ => None,
        }
    }

    /// A resource pool's path from its cluster or host, as in `cluster1/Resources/prod`.
    pub(crate) fn pool(&self, id: &str) -> Option<String> {
        let mut top = self.find(id)?;
        if !matches!(top.kind, Kind::Pool | Kind::Vapp(..)) {
            return None;
        }
        for _ in 0..DEPTH_MAX {
            top = self.find(top.parent.as_deref()?)?;
            if matches!(top.kind, Kind::Compute | Kind::Cluster(_)) {
                return Some(self.path(id, top.parent.as_deref()).0);
            }
        }
        None
    }

    /// The name of a network by its id.
    pub(crate) fn network_name(&self, id: &str) -> Option<&str> {
        let spot = self.find(id)?;
        matches!(spot.kind, Kind::Network(_)).then_some(&spot.name)
    }

    /// The opaque network that NSX calls `id`.
    pub(crate) fn opaque_network(&self, id: &str) -> Option<&str> {
        let ours = |spot: &Spot| matches!(&spot.kind, Kind::Network(network) if network.2.as_deref() == Some(id));
        self.iter()
            .find(|(_, spot)| ours(spot))
            .map(|(found, _)| found)
    }

    /// The path of the datacenter that something is in.
    fn datacenter_of(&self, id: &str) -> Option<String> {
        let mut at = id;
        for _ in 0..DEPTH_MAX {
            let spot = self.find(at)?;
            if matches!(spot.kind, Kind::Datacenter(_)) {
                return Some(self.path(at, None).0);
            }
            at = spot.parent.as_deref()?;
        }
        None
    }

    /// `networks.jsonl`: those of the whole vCenter, for the engine resolves names across it (W04).
    pub(crate) fn networks(&self) -> Vec<Network> {
        let mut count: BTreeMap<String, u32> = BTreeMap::new();
        let mut networks = Vec::new();
        for (id, spot) in self.iter() {
            if let Kind::Network(network) = &spot.kind {
                let (network, switch, _) = &**network;
                *count.entry(network.name.clone()).or_default() += 1;
                let switch = switch.as_deref().and_then(|id| self.find(id));
                networks.push(Network {
                    switch: switch.map(|switch| switch.name.clone()),
                    datacenter: self.datacenter_of(id),
                    ..network.clone()
                });
            }
        }
        for network in &mut networks {
            network.duplicate_name = count.get(&network.name).is_some_and(|count| *count > 1);
        }
        networks
    }

    /// `storage.jsonl`.
    pub(crate) fn storage(&self) -> Vec<Storage> {
        let storage = self.spots.values().filter_map(|spot| match &spot.kind {
            Kind::Datastore(store) => Some(store.0.clone()),
            _ => None,
        });
        storage.collect()
    }

    /// `hosts.jsonl`.
    pub(crate) fn hosts(&self) -> Vec<Host> {
        let hosts = self.iter().filter_map(|(id, spot)| match &spot.kind {
            Kind::Host(host) => Some(Host {
                cluster: self.cluster(id).map(str::to_owned),
                ..host.0.clone()
            }),
            _ => None,
        });
        hosts.collect()
    }

    /// What changes by itself about hosts and datastores.
    pub(crate) fn observed(&self) -> impl Iterator<Item = Observed> {
        self.spots.values().filter_map(|spot| match &spot.kind {
            Kind::Datastore(store) => Some(store.1.clone()),
            Kind::Host(host) => Some(host.1.clone()),
            _ => None,
        })
    }

    /// What names an ESXi host that was read on its own: its hardware's UUID.
    pub(crate) fn only_host(&self) -> Option<String> {
        self.spots.values().find_map(|spot| match &spot.kind {
            Kind::Host(host) => host.2.clone(),
            _ => None,
        })
    }
}

fn host(object: &Object<'_>, name: &str) -> (Host, Observed, Option<String>) {
    let host = Host {
        id: object.id.to_owned(),
        name: name.to_owned(),
        cluster: None,
        version: object.owned("summary.config.product.version"),
        cpu_model: object.owned("summary.hardware.cpuModel"),
        cpu_mhz: object.value("summary.hardware.cpuMhz"),
        sockets: object.value("summary.hardware.numCpuPkgs"),
        cores: object.value("summary.hardware.numCpuCores"),
        memory_bytes: object.value("summary.hardware.memorySize").map(Bytes),
    };
    let observed = Observed {
        id: object.id.to_owned(),
        connection_state: object
            .owned("summary.runtime.connectionState")
            .filter(|state| state != "connected"),
        maintenance: object
            .value("summary.runtime.inMaintenanceMode")
            .unwrap_or_default(),
        ..Observed::default()
    };
    (host, observed, object.owned("summary.hardware.uuid"))
}

fn datastore(object: &Object<'_>, name: &str) -> (Storage, Observed) {
    let storage = Storage {
        id: object.id.to_owned(),
        name: name.to_owned(),
        kind: object.owned("summary.type").unwrap_or_default(),
        capacity_bytes: object.value("summary.capacity").map(Bytes),
        multiple_host_access: object.value("summary.multipleHostAccess"),
    };
    let observed = Observed {
        id: object.id.to_owned(),
        accessible: object.value("summary.accessible"),
        maintenance: object
            .text("summary.maintenanceMode")
            .is_some_and(|mode| mode != "normal"),
        free_bytes: object.value("summary.freeSpace").map(whole_gib),
        ..Observed::default()
    };
    (storage, observed)
}

fn network(
    object: &Object<'_>,
    name: &str,
    kind: &str,
) -> (Network, Option<String>, Option<String>) {
    let (vlan, trunk) = vlan(object);
    let network = Network {
        id: object.id.to_owned(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        vlan,
        trunk,
        uplink: object.value("config.uplink").unwrap_or_default(),
        ..Network::default()
    };
    let summary = object.get("summary");
    let nsx = summary.and_then(|summary| summary.text_of("opaqueNetworkId"));
    (
        network,
        object.owned("config.distributedVirtualSwitch"),
        nsx.map(str::to_owned),
    )
}

/// The VLAN of a port group that has exactly one, or the ranges of a trunk.
fn vlan(object: &Object<'_>) -> (Option<u16>, Option<String>) {
    let config = object.get("config.defaultPortConfig");
    let Some(vlan) = config.and_then(|config| config.child("vlan")) else {
        return (None, None);
    };
    match vlan.class() {
        Some("VmwareDistributedVirtualSwitchVlanIdSpec") => {
            (vlan.value("vlanId").filter(|id| *id > 0), None)
        }
        Some("VmwareDistributedVirtualSwitchTrunkVlanSpec") => {
            let ranges = vlan.all("vlanId").filter_map(|range| {
                let (start, end) = (range.value::<u16>("start")?, range.value::<u16>("end")?);
                Some(if start == end {
                    start.to_string()
                } else {
                    format!("{start}-{end}")
                })
            });
            (None, Some(ranges.collect::<Vec<_>>().join(",")))
        }
        _ => (None, None),
    }
}

/// Rounded up to whole GiB, as everything that changes by itself is.
pub(crate) fn whole_gib(bytes: u64) -> Bytes {
    Bytes(bytes.div_ceil(GIB) * GIB)
}
