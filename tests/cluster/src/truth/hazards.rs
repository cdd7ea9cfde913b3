//! What the ground truths of the rigs say is wrong with each VM, in the codes of `docs/findings`.
//!
//! Worked out from the truths alone, by the words of the catalogue and without Windrow's own code, so
//! that the two can be held against each other. Only codes that a ground truth decides are here:
//! what depends on the target or on an assumed rate is not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::pattern::finds;
use super::{list, text};

/// What is wrong with one VM: codes, and whether each keeps it from being moved.
pub type Hazards = BTreeMap<&'static str, bool>;

/// Codes of which the truths say of every VM whether it has them.
pub const DECIDED: &[&str] = &[
    "N01", "N03", "N05", "N06", "O03", "O04", "O05", "O07", "O09", "O11", "O12", "P07", "T01",
    "T03", "T06", "T07", "T08", "V01", "V02", "V04", "V05", "V06", "V07", "V08", "V09", "V10",
    "V17", "V18", "W02", "W04", "W05", "W06", "W07", "W08", "W09", "W11", "WR005",
];

/// One VM of a ground truth.
#[derive(Clone, Debug)]
pub struct Known {
    /// As the rig knows it: a managed object's or a server's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub hazards: Hazards,
    /// The rig itself says that its export fails.
    pub export_fails: bool,
}

/// The VMs of a vCenter that a plan of all would take, and a project's servers, with what is wrong.
pub fn known(vsphere: &Value, openstack: &Value, project: &str) -> Vec<Known> {
    let vms: Vec<&Value> = list(&vsphere["vms"])
        .iter()
        .filter(|vm| vm["template"] != true)
        .collect();
    let servers: Vec<&Value> = list(&openstack["servers"])
        .iter()
        .filter(|server| server["project"] == project)
        .collect();
    let together = Together::new(vsphere, &vms, &servers);
    let of_vsphere = vms.iter().map(|vm| {
        let mut hazards = of_vm(vm, &together);
        hazards.extend(together.of_any(vm));
        (text(&vm["moid"]), *vm, hazards)
    });
    let of_openstack = servers.iter().map(|server| {
        let mut hazards = of_server(server, openstack);
        hazards.extend(together.of_any(server));
        let name = text(&server["name"]).to_lowercase();
        if together.servers[&name] > 1 {
            hazards.push(("N03", false));
        }
        (text(&server["id"]), *server, hazards)
    });
    let mut all = Vec::new();
    for (id, vm, hazards) in of_vsphere.chain(of_openstack) {
        let mut merged = Hazards::new();
        for (code, blocks) in hazards {
            *merged.entry(code).or_default() |= blocks;
        }
        all.push(Known {
            id,
            name: text(&vm["name"]),
            hazards: merged,
            export_fails: vm["export"].as_str().is_some_and(|result| result != "ok"),
        });
    }
    all
}

type Found = Vec<(&'static str, bool)>;

/// What VMs are to each other.
struct Together {
    /// How often a name is used, in lower case: a machine's name has no other.
    names: BTreeMap<String, usize>,
    /// The same of servers alone, whose files go by it.
    servers: BTreeMap<String, usize>,
    macs: BTreeMap<String, usize>,
    /// Paths of all VMs of the vCenter, templates too.
    paths: Vec<Vec<String>>,
    /// Names that several networks bear.
    networks: BTreeSet<String>,
}

impl Together {
    fn new(vsphere: &Value, vms: &[&Value], servers: &[&Value]) -> Self {
        let count = |texts: &mut dyn Iterator<Item = String>| {
            let mut counts = BTreeMap::<String, usize>::new();
            for text in texts {
                *counts.entry(text).or_default() += 1;
            }
            counts
        };
        let name = |vm: &&Value| text(&vm["name"]).to_lowercase();
        let macs = |vm: &&Value| {
            let nics = list(&vm["nics"]).iter();
            nics.map(|nic| text(&nic["mac"]).to_lowercase())
                .collect::<Vec<_>>()
        };
        let networks = count(&mut list(&vsphere["networks"]).iter().map(|n| text(&n["name"])));
        Self {
            names: count(&mut vms.iter().chain(servers).map(name)),
            servers: count(&mut servers.iter().map(name)),
            macs: count(&mut vms.iter().chain(servers).flat_map(macs)),
            paths: list(&vsphere["vms"]).iter().map(path).collect(),
            networks: networks
                .into_iter()
                .filter(|(_, uses)| *uses > 1)
                .map(|(name, _)| name)
                .collect(),
        }
    }

    /// What any VM may have.
    fn of_any(&self, vm: &Value) -> Found {
        let mut found = Found::new();
        let name = text(&vm["name"]).to_lowercase();
        if !is_label(&name) {
            found.push(("P07", true));
        }
        if self.names[&name] > 1 {
            found.push(("N01", true));
        }
        let nics = list(&vm["nics"]);
        let mac = |nic: &Value| text(&nic["mac"]).to_lowercase();
        if nics.iter().any(|nic| self.macs[&mac(nic)] > 1) {
            found.push(("W09", true));
        }
        if nics.is_empty() {
            found.push(("W02", false));
        }
        found
    }
}

/// A name that a Kubernetes object may have as its machine's (RFC 1123, a label).
fn is_label(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let (first, last) = (name.chars().next(), name.chars().last());
    name.len() <= 63
        && name.chars().all(|c| plain(c) || c == '-')
        && first.is_some_and(plain)
        && last.is_some_and(plain)
}

/// Where a VM is, as the engine's finder walks: the datacenter's parts, `vm`, folders, its name.
fn path(vm: &Value) -> Vec<String> {
    let path = text(&vm["inventoryPath"]);
    path.trim_start_matches('/')
        .split('/')
        .map(str::to_owned)
        .collect()
}

fn of_vm(vm: &Value, together: &Together) -> Found {
    let (disks, nics) = (list(&vm["disks"]), list(&vm["nics"]));
    let connected = vm["connection"] == "connected";
    let has_config = vm["noConfig"] != true;
    let any_disk = |what: &dyn Fn(&Value) -> bool| disks.iter().any(what);
    let any_nic = |what: &dyn Fn(&Value) -> bool| nics.iter().any(what);
    let starts = |value: &Value, start: &str| value.as_str().is_some_and(|t| t.starts_with(start));
    let windows = vm["guestFamily"] == "windowsGuest" && has_config;
    let nt = starts(&vm["guestId"], "winNT");
    let others = list(&vm["otherDevices"]);
    let buses: BTreeSet<&str> = disks.iter().map(target_bus).collect();
    let system_bus = disks.first().map(target_bus);
    let first_key = disks.first().map(|disk| &disk["key"]);
    let tools_down = vm["toolsRunning"] == "guestToolsNotRunning";
    let path = path(vm);
    let conditions = [
        ("T01", true, vm["coresPerSocket"].as_u64() > Some(1)),
        ("T03", false, vm["power"] == "poweredOff"),
        (
            "T06",
            false,
            vm["vtpm"] == true || windows && vm["secureBoot"] == true,
        ),
        (
            "T07",
            false,
            vm["passthrough"].is_array()
                || vm["nestedHv"] == true
                || any_nic(&|nic| nic["type"] == "Sriov"),
        ),
        ("T08", true, nt),
        (
            "T08",
            false,
            windows
                && (matches!(system_bus, Some("scsi" | "virtio"))
                    // A card that no mapping can name does not come along.
                    || any_nic(&|nic| starts(&nic["type"], "Vmxnet") && !unmapped(nic))),
        ),
        (
            "V01",
            true,
            vm["power"] == "poweredOn" && tools_down && connected && has_config,
        ),
        (
            "V02",
            false,
            vm["toolsRunning"] == "guestToolsExecutingScripts",
        ),
        ("V04", true, vm["power"] == "suspended"),
        (
            "V05",
            true,
            !connected || vm["question"] == true || vm["ft"].is_string(),
        ),
        ("V06", true, vm["vtpm"] == true || vm["encrypted"] == true),
        (
            "V07",
            true,
            any_disk(&|disk| {
                starts(&disk["mode"], "independent")
                    || disk["sharing"] != "sharingNone"
                    || disk["backing"] == "rdm-physical"
                    || disk["sharedBus"].is_string()
            }),
        ),
        (
            "V08",
            false,
            // The truth has no word for media but the case's.
            vm["case"] == "iso-connected"
                || vm["case"] == "host-cdrom"
                || others.iter().any(|class| class == "VirtualFloppy"),
        ),
        (
            "V09",
            false,
            vm["snapshots"].is_array() || any_disk(&|disk| disk["parentFiles"].is_array()),
        ),
        ("V10", true, finds(&path, &together.paths) != Some(1)),
        ("V17", false, buses.len() > 1),
        (
            "V18",
            false,
            !vm["bootDiskKey"].is_null() && Some(&vm["bootDiskKey"]) != first_key,
        ),
        ("N05", false, vm["name"] == "disk"),
        ("WR005", true, disks.is_empty()),
    ];
    let mut found = held(conditions);
    found.extend(of_nics(nics, together));
    found
}

/// A network of another manager (NSX), or none: no mapping can name them.
fn unmapped(nic: &Value) -> bool {
    nic["kind"] == "opaque" || nic["kind"] == "none"
}

fn of_nics(nics: &[Value], together: &Together) -> Found {
    let any_nic = |what: &dyn Fn(&Value) -> bool| nics.iter().any(what);
    let special = |nic: &Value| nic["type"] == "Sriov" || nic["type"] == "Vmxnet3Vrdma";
    held([
        ("W02", true, !nics.is_empty() && nics.iter().all(unmapped)),
        (
            "W04",
            false,
            any_nic(&|nic| together.networks.contains(&text(&nic["network"])) && !unmapped(nic)),
        ),
        (
            "W05",
            false,
            any_nic(&|nic| unmapped(nic) || nic["kind"] == "gone"),
        ),
        ("W06", true, any_nic(&special)),
        ("W11", false, any_nic(&|nic| nic["startConnected"] == false)),
    ])
}

/// The bus that a disk is on at the target, by its controller.
fn target_bus(disk: &Value) -> &'static str {
    match disk["controller"].as_str().unwrap_or_default() {
        "lsilogic" | "lsilogicsas" | "buslogic" => "scsi",
        "nvme" => "virtio",
        _ => "sata",
    }
}

fn of_server(server: &Value, truth: &Value) -> Found {
    let (volumes, nics) = (list(&server["volumes"]), list(&server["nics"]));
    let status = text(&server["status"]);
    let boot = volumes.iter().find(|volume| volume["bootable"] == true);
    let from_volume = server["boot"] == "volume";
    let image = match boot {
        Some(boot) if from_volume => &boot["image_id"],
        _ => &server["image_id"],
    };
    let images = truth["images"].as_object().into_iter().flatten();
    let image_of = images
        .map(|(_, image)| image)
        .find(|other| other["id"] == *image);
    let property = |key: &str| image_of.and_then(|image| image["properties"][key].as_str());
    let name = text(&server["name"]).to_lowercase();
    let fits_label = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // `vm-import-<10 characters>-<name>-0.img`, of which a label takes 63.
    let too_long = 27 + name.chars().count() > 63;
    held([
        ("O03", true, !from_volume),
        ("O04", true, from_volume && image.is_null()),
        ("O05", true, server["flavor_deleted"] == true),
        // A volume whose server is off its host is `reserved`, and no snapshot can be taken of it.
        (
            "O07",
            false,
            status == "SHELVED_OFFLOADED" && !volumes.is_empty(),
        ),
        (
            "O09",
            true,
            !matches!(status.as_str(), "ACTIVE" | "SHUTOFF") || server["locked"] == true,
        ),
        (
            "O11",
            true,
            volumes.iter().any(|volume| volume["multiattach"] == true),
        ),
        ("O12", false, !list(&server["floating_ips"]).is_empty()),
        ("T03", false, status == "SHUTOFF"),
        ("T06", false, property("hw_tpm_model").is_some()),
        (
            "T08",
            false,
            property("os_type") == Some("windows")
                || from_volume && property("hw_disk_bus").is_some_and(|bus| bus != "virtio"),
        ),
        ("W07", false, nics.len() > 1),
        (
            "W08",
            true,
            nics.iter().any(|nic| list(&nic["fixed_ips"]).is_empty()),
        ),
        ("N06", false, too_long || !name.chars().all(fits_label)),
    ])
}

fn held<const N: usize>(conditions: [(&'static str, bool, bool); N]) -> Found {
    let held = conditions.into_iter().filter(|(_, _, holds)| *holds);
    held.map(|(code, blocks, _)| (code, blocks)).collect()
}
