//! Where things are: folders, datacenters, clusters, hosts, networks, datastores of one vCenter.
//!
//! Takes the objects of the infrastructure view; gives paths as the engine's finder wants them and
//! the snapshot's networks, storage and hosts. Names are kept as the server stores them (`%2f`),
//! for that is what paths are compared with.

use std::collections::BTreeMap;

use schemas::inventory::{Host, Network, Observed, Storage};
use schemas::units::{Bytes, GIB};

use super::properties::{Object, Wanted};
use super::session::Ref;

/// Folders inside folders that are followed; deeper only in a loop, which no server should have.
const DEPTH_MAX: usize = 64;

/// The classes and paths of the infrastructure view.
pub(crate) const WANTED: &Wanted = &[
    ("Folder", &["name", "parent"]),
    ("StoragePod", &["name", "parent"]),
    ("Datacenter", &["name", "parent", "vmFolder"]),
    ("ComputeResource", &["name", "parent"]),
    ("ClusterComputeResource", &["name", "parent"]),
    (
        "HostSystem",
        &[
            "name",
            "parent",
            "summary.config.product.version",
            "summary.hardware.numCpuCores",
            "summary.hardware.memorySize",
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
    ("VirtualApp", &["name", "parent", "parentFolder"]),
];

/// The infrastructure, by managed object id.
#[derive(Debug, Default)]
pub(crate) struct Places {
    objects: BTreeMap<String, Object>,
}

/// A datacenter.
#[derive(Debug)]
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

impl Places {
    /// Sorts the objects of the view. Those without a name are invisible to this account.
    pub(crate) fn new(objects: Vec<Object>) -> Self {
        let named = objects
            .into_iter()
            .filter(|object| object.text("name").is_some());
        Self {
            objects: named
                .map(|object| (object.reference.id.clone(), object))
                .collect(),
        }
    }

    fn of<'a>(&'a self, classes: &'a [&str]) -> impl Iterator<Item = &'a Object> {
        self.objects
            .values()
            .filter(|object| classes.contains(&object.reference.kind.as_str()))
    }

    /// Looks an object up, if it is of one of those classes.
    fn find(&self, id: &str, classes: &[&str]) -> Option<&Object> {
        self.objects
            .get(id)
            .filter(|object| classes.contains(&object.reference.kind.as_str()))
    }

    /// The name of an object of one of those classes.
    fn name(&self, id: &str, classes: &[&str]) -> Option<String> {
        self.find(id, classes)?.text("name")
    }

    /// Joins names from `id` upwards until just below `end` or the topmost object that the account
    /// sees. Gives the path and whether `end` was met.
    fn path(&self, id: &str, end: Option<&str>) -> (String, bool) {
        let mut names = Vec::new();
        let mut at = Some(id.to_owned());
        let mut met = false;
        while let Some(object) = at.as_deref().and_then(|id| self.objects.get(id)) {
            if end == Some(object.reference.id.as_str()) {
                met = true;
                break;
            }
            if names.len() == DEPTH_MAX {
                break;
            }
            names.extend(object.text("name"));
            at = object.text("parent");
        }
        names.reverse();
        (names.join("/"), met)
    }

    /// All datacenters, by path. The root folder is not in the view and so not in their paths.
    pub(crate) fn datacenters(&self) -> Vec<Datacenter> {
        let mut all: Vec<_> = self
            .of(&["Datacenter"])
            .map(|object| Datacenter {
                reference: object.reference.clone(),
                path: self.path(&object.reference.id, None).0,
                vm_folder: object.text("vmFolder").unwrap_or_default(),
            })
            .collect();
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
            vapp: vapp.and_then(|vapp| self.name(vapp, &["VirtualApp"])),
        }
    }

    fn folder_path(&self, dc: &Datacenter, folder: &str) -> Option<String> {
        let (path, met) = self.path(folder, Some(&dc.vm_folder));
        met.then_some(path)
    }

    fn vapp_path(&self, dc: &Datacenter, vapp: &str, depth: usize) -> Option<String> {
        let object = self
            .find(vapp, &["VirtualApp"])
            .filter(|_| depth < DEPTH_MAX)?;
        let above = match object.text("parentFolder") {
            Some(folder) => self.folder_path(dc, &folder),
            None => self.vapp_path(dc, &object.text("parent")?, depth + 1),
        }?;
        let name = object.text("name")?;
        Some(if above.is_empty() {
            name
        } else {
            format!("{above}/{name}")
        })
    }

    /// The cluster of a host; a host of its own has none.
    pub(crate) fn cluster(&self, host: &str) -> Option<String> {
        let above = self.find(host, &["HostSystem"])?.text("parent")?;
        self.name(&above, &["ClusterComputeResource"])
    }

    /// A resource pool's path from its cluster or host, as in `cluster1/Resources/prod`.
    pub(crate) fn pool(&self, id: &str) -> Option<String> {
        let object = self.find(id, &["ResourcePool", "VirtualApp"])?;
        let mut top = object;
        for _ in 0..DEPTH_MAX {
            match top.text("parent").and_then(|id| self.objects.get(&id)) {
                Some(above) => top = above,
                None => break,
            }
            if top.reference.kind.ends_with("ComputeResource") {
                let above = top.text("parent");
                return Some(self.path(id, above.as_deref()).0);
            }
        }
        None
    }

    /// The name of a network by its id.
    pub(crate) fn network_name(&self, id: &str) -> Option<String> {
        self.name(
            id,
            &["Network", "DistributedVirtualPortgroup", "OpaqueNetwork"],
        )
    }

    /// The opaque network that NSX calls `id`.
    pub(crate) fn opaque_network(&self, id: &str) -> Option<String> {
        let ours = |object: &&Object| {
            object
                .get("summary")
                .and_then(|summary| summary.text_of("opaqueNetworkId"))
                == Some(id)
        };
        self.of(&["OpaqueNetwork"])
            .find(ours)
            .map(|object| object.reference.id.clone())
    }

    /// `networks.jsonl`: those of the whole vCenter, for the engine resolves names across it (W04).
    pub(crate) fn networks(&self) -> Vec<Network> {
        let kinds = [
            ("Network", "standard"),
            ("DistributedVirtualPortgroup", "dvportgroup"),
            ("OpaqueNetwork", "opaque"),
        ];
        let mut count: BTreeMap<String, u32> = BTreeMap::new();
        let mut networks = Vec::new();
        for (class, kind) in kinds {
            for object in self.of(&[class]) {
                let name = object.text("name").unwrap_or_default();
                *count.entry(name.clone()).or_default() += 1;
                let switch = object.text("config.distributedVirtualSwitch");
                networks.push(Network {
                    id: object.reference.id.clone(),
                    name,
                    kind: kind.to_owned(),
                    vlan: vlan(object),
                    switch: switch
                        .and_then(|id| self.objects.get(&id))
                        .and_then(|switch| switch.text("name")),
                    uplink: object.value("config.uplink").unwrap_or_default(),
                    ..Network::default()
                });
            }
        }
        for network in &mut networks {
            network.duplicate_name = count.get(&network.name).is_some_and(|count| *count > 1);
        }
        networks.sort_by(|a, b| a.id.cmp(&b.id));
        networks
    }

    /// `storage.jsonl`.
    pub(crate) fn storage(&self) -> Vec<Storage> {
        let storage = self.of(&["Datastore"]).map(|object| Storage {
            id: object.reference.id.clone(),
            name: object.text("name").unwrap_or_default(),
            kind: object.text("summary.type").unwrap_or_default(),
            capacity_bytes: object.value("summary.capacity").map(Bytes),
            ..Storage::default()
        });
        storage.collect()
    }

    /// What changes by itself about datastores.
    pub(crate) fn free_space(&self) -> Vec<Observed> {
        let free = self.of(&["Datastore"]).map(|object| Observed {
            id: object.reference.id.clone(),
            free_bytes: object.value("summary.freeSpace").map(whole_gib),
            ..Observed::default()
        });
        free.collect()
    }

    /// `hosts.jsonl`.
    pub(crate) fn hosts(&self) -> Vec<Host> {
        let hosts = self.of(&["HostSystem"]).map(|object| Host {
            id: object.reference.id.clone(),
            name: object.text("name").unwrap_or_default(),
            cluster: self.cluster(&object.reference.id),
            version: object.text("summary.config.product.version"),
            cores: object.value("summary.hardware.numCpuCores"),
            memory_bytes: object.value("summary.hardware.memorySize").map(Bytes),
            ..Host::default()
        });
        hosts.collect()
    }
}

/// The VLAN of a port group that has exactly one: a trunk carries a range.
fn vlan(object: &Object) -> Option<u16> {
    let vlan = object.get("config.defaultPortConfig")?.child("vlan")?;
    let is_single = vlan.class.as_deref() == Some("VmwareDistributedVirtualSwitchVlanIdSpec");
    vlan.value("vlanId").filter(|id| is_single && *id > 0)
}

/// Rounded up to whole GiB, as everything that changes by itself is.
pub(crate) fn whole_gib(bytes: u64) -> Bytes {
    Bytes(bytes.div_ceil(GIB) * GIB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    fn object(kind: &str, id: &str, values: &[(&str, &str)]) -> Object {
        let mut text = format!("<objects><obj type=\"{kind}\">{id}</obj>");
        for (name, value) in values {
            let value = format!("<propSet><name>{name}</name><val>{value}</val></propSet>");
            text.push_str(&value);
        }
        text += "</objects>";
        Object::from_node(xml::read(&text).expect("well-formed"))
    }

    fn places() -> Places {
        Places::new(vec![
            object("Folder", "g1", &[("name", "F0"), ("parent", "root")]),
            object(
                "Datacenter",
                "dc",
                &[("name", "DC0"), ("parent", "g1"), ("vmFolder", "v0")],
            ),
            object("Folder", "v0", &[("name", "vm"), ("parent", "dc")]),
            object("Folder", "v1", &[("name", "a%2fb"), ("parent", "v0")]),
            object("Folder", "v2", &[("name", "web"), ("parent", "v1")]),
            object(
                "VirtualApp",
                "a1",
                &[("name", "shop"), ("parent", "p1"), ("parentFolder", "v1")],
            ),
            object("VirtualApp", "a2", &[("name", "back"), ("parent", "a1")]),
            object(
                "ClusterComputeResource",
                "c1",
                &[("name", "cl"), ("parent", "h0")],
            ),
            object(
                "ResourcePool",
                "p1",
                &[("name", "Resources"), ("parent", "c1")],
            ),
            object("Folder", "l1", &[("name", "loop"), ("parent", "l2")]),
            object("Folder", "l2", &[("name", "loop"), ("parent", "l1")]),
        ])
    }

    /// Paths are those of the engine's finder: datacenter with its folders, VM folder without `vm`,
    /// names as stored; a VM in a vApp is found through it.
    #[test]
    fn paths_of_the_finder() {
        let places = places();
        let all = places.datacenters();
        assert_eq!(all[0].path, "F0/DC0");
        let folder = |parent, vapp| places.place(&all[0], parent, vapp).folder;
        assert_eq!(folder(Some("v0"), None).as_deref(), Some(""));
        assert_eq!(folder(Some("v2"), None).as_deref(), Some("a%2fb/web"));
        assert_eq!(folder(None, Some("a1")).as_deref(), Some("a%2fb/shop"));
        assert_eq!(folder(None, Some("a2")).as_deref(), Some("a%2fb/shop/back"));
        assert_eq!(places.pool("a2").as_deref(), Some("cl/Resources/shop/back"));
    }

    /// What the account does not see, or a server has in a loop, gives no path; it never hangs.
    #[test]
    fn unknown_places() {
        let places = places();
        let dc = &places.datacenters()[0];
        assert_eq!(places.place(dc, Some("nowhere"), None), Place::default());
        assert_eq!(places.place(dc, Some("l1"), None), Place::default());
        assert_eq!(places.place(dc, None, Some("nowhere")), Place::default());
        assert_eq!(places.pool("l1"), None);
    }
}
