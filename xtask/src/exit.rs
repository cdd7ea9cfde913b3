//! The estate of `plans/datacenter-exit`: 500 VMs of ten systems, in a vCenter and an OpenStack
//! project, and the two clusters that they go into. Made by arithmetic, so that megabytes of snapshots
//! need not be checked in; `tests/pipeline` makes the same and holds its results by their hashes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

/// The systems, in the order in which they are numbered.
const SYSTEMS: [&str; 10] = [
    "erp", "crm", "mes", "wms", "hr", "bi", "portal", "lab", "dms", "mail",
];

/// Databases, application servers (both in the vCenter) and web servers (in the cloud) of each.
const TIERS: [(&str, u64); 3] = [("db", 5), ("app", 20), ("web", 25)];

/// Bytes of a GiB.
const GIB: u64 = 1 << 30;

/// The files below `inventory/`, by path. `resized`: a VM whose first disk is that many GiB larger.
/// `ledger`: lines of the first target's ledger.
pub fn inventory(resized: Option<(&str, u64)>, ledger: &[Value]) -> BTreeMap<String, String> {
    let (mut vcenter, mut cloud) = (Source::default(), Source::default());
    for (system, s) in SYSTEMS.iter().zip(0..) {
        for (tier, count) in TIERS {
            for n in 1..=count {
                let name = format!("{system}-{tier}-{n:02}");
                let more = resized.map_or(0, |(vm, more)| if vm == name { more } else { 0 });
                if tier == "web" {
                    cloud.add(server(&name, s * 100 + n, more));
                } else {
                    let number = s * 100 + n + if tier == "db" { 50 } else { 0 };
                    vcenter.add(machine(&name, system, tier, number, more));
                }
            }
        }
    }
    let mut files = BTreeMap::new();
    vcenter.write(
        "dc1",
        &json!({ "kind": "vmware", "endpoint": "https://vcenter.example/sdk",
            "instance": "9f0e1d2c-3b4a-4958-8776-655443322110", "datacenter": "DC0",
            "product": "VMware vCenter Server 8.0.2", "tls": "ca" }),
        &[json!({ "id": "dvportgroup-10", "name": "prod", "kind": "dvportgroup", "vlan": 10 })],
        &mut files,
    );
    cloud.write(
        "cloud1",
        &json!({ "kind": "openstack", "endpoint": "https://keystone.example:5000/v3",
            "instance": "5c2f7b2e1d8f4e3caa4d6f8091234567", "region": "RegionOne",
            "product": "Nova 2.96", "tls": "verified" }),
        &[json!({ "id": "net-30", "name": "dmz", "kind": "neutron", "vlan": 30 })],
        &mut files,
    );
    target("hv1", 1, ledger, &mut files);
    target("hv2", 2, &[], &mut files);
    files
}

/// What a source has.
#[derive(Default)]
struct Source {
    vms: Vec<(Value, Value)>,
}

impl Source {
    fn add(&mut self, vm: (Value, Value)) {
        self.vms.push(vm);
    }

    fn write(
        mut self,
        name: &str,
        about: &Value,
        networks: &[Value],
        files: &mut BTreeMap<String, String>,
    ) {
        self.vms.sort_by_key(|(vm, _)| vm["id"].to_string());
        let (vms, observed): (Vec<Value>, Vec<Value>) = self.vms.into_iter().unzip();
        let mut about = about.clone();
        about["schema"] = json!("windrow.inventory/1");
        about["counts"] = json!({ "vms": vms.len(), "networks": networks.len() });
        files.insert(format!("{name}/source.json"), format!("{about:#}\n"));
        for (kind, items) in [
            ("vms", &vms[..]),
            ("observed", &observed),
            ("networks", networks),
        ] {
            files.insert(format!("{name}/{kind}.jsonl"), lines(kind, items));
        }
    }
}

fn lines(kind: &str, items: &[Value]) -> String {
    let mut text = json!({ "schema": "windrow.inventory/1", "kind": kind }).to_string();
    text.push('\n');
    for item in items {
        writeln!(text, "{item}").expect("a String takes everything");
    }
    text
}

/// Different sizes, evenly spread.
fn size(number: u64, least: u64, steps: u64, step: u64) -> u64 {
    (least + number * 7 % steps * step) * GIB
}

/// A VM of the vCenter, and what is observed of it.
fn machine(name: &str, system: &str, tier: &str, number: u64, more: u64) -> (Value, Value) {
    let id = format!("5000{number:04}-0000-4000-8000-{number:012}");
    let sizes = if tier == "db" {
        vec![40 * GIB, size(number, 100, 5, 50)]
    } else {
        vec![size(number, 40, 5, 10)]
    };
    let disks = sizes.iter().zip(0..).map(|(size, unit)| {
        let capacity = size + if unit == 0 { more * GIB } else { 0 };
        json!({
            "key": format!("{}", 2000 + unit), "controller": "ParaVirtualSCSIController",
            "bus": 0, "unit": unit, "capacity_bytes": capacity, "backing": "flat", "thin": true,
            "mode": "persistent", "storage": "datastore-1",
            "file": format!("[san1] {name}/{name}_{unit}.vmdk"),
        })
    });
    let disks: Vec<Value> = disks.collect();
    let vm = json!({
        "id": id, "ref": format!("vm-{number}"), "name": name, "dc": "DC0",
        "folder": format!("{system}/{tier}"), "bios_uuid": id.replacen("5000", "4200", 1),
        "guest_os": { "id": "rhel9_64Guest", "family": "linuxGuest" }, "hw_version": "vmx-19",
        "vcpus": 4, "cores_per_socket": 1, "memory_mib": 16384, "firmware": "bios", "disks": disks,
        "nics": [{
            "key": "4000", "model": "VirtualVmxnet3",
            "mac": format!("00:50:56:9a:{:02x}:{:02x}", number / 100, number % 100),
            "network": "dvportgroup-10", "network_name": "prod", "connected": true,
        }],
    });
    let observed =
        json!({ "id": id, "power": "on", "status": "poweredOn", "tools": "guestToolsRunning" });
    (vm, observed)
}

/// A server of the cloud, and what is observed of it.
fn server(name: &str, number: u64, more: u64) -> (Value, Value) {
    let id = format!("e0000000-0000-4000-8000-{number:012}");
    let vm = json!({
        "id": id, "name": name, "vcpus": 2, "memory_mib": 4096, "firmware": "bios",
        "flavor": { "id": "3", "name": "m1.medium", "exists": true },
        "disks": [{
            "key": format!("a0000000-0000-4000-8000-{number:012}"), "controller": "/dev/vda",
            "capacity_bytes": size(number, 20, 3, 10) + more * GIB, "backing": "volume",
            "storage": "ceph", "boot": true,
        }],
        "root_disk": "volume",
        "nics": [{
            "key": format!("b0000000-0000-4000-8000-{number:012}"),
            "mac": format!("fa:16:3e:20:{:02x}:{:02x}", number / 100, number % 100),
            "network": "net-30", "network_name": "dmz", "connected": true,
        }],
    });
    (vm, json!({ "id": id, "power": "on", "status": "ACTIVE" }))
}

/// A cluster that VMs go into.
fn target(name: &str, number: u64, ledger: &[Value], files: &mut BTreeMap<String, String>) {
    let about = json!({
        "schema": "windrow.inventory/1",
        "cluster_uid": format!("6d1f0c2e-8a4b-4f3d-9c5e-00000000000{number}"),
        "harvester_version": "v1.8.1", "engine_version": "v1.8.1",
        "import_fields": [
            "defaultDiskBusType", "defaultNetworkInterfaceModel", "folder", "forcePowerOff",
            "gracefulShutdownTimeoutSeconds", "networkMapping", "skipPreflightChecks",
            "sourceCluster", "storageClass", "virtualMachineName",
        ],
        "scratch": {
            "kind": "claim", "claim": "harvester-vm-import-controller",
            "capacity_bytes": 1024 * GIB,
        },
        "storage_classes": [{
            "name": "harvester-lh-v1", "provisioner": "driver.longhorn.io", "default": true,
            "parameters": { "dataEngine": "v1", "numberOfReplicas": "3" },
        }],
        "networks": [{ "id": "default/vlan10" }, { "id": "default/vlan30" }],
        "namespaces": ["default"],
    });
    files.insert(format!("{name}/target.json"), format!("{about:#}\n"));
    for (kind, items) in [("vms", &[][..]), ("imports", &[]), ("ledger", ledger)] {
        files.insert(format!("{name}/{kind}.jsonl"), lines(kind, items));
    }
}
