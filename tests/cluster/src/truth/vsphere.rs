//! A snapshot of the simulated vCenter beside its ground truth, VM by VM and field by field.
//!
//! Takes the testbed's `ground-truth.json` and the folders that `windrow inventory pull` wrote;
//! gives a line for each field that is not what it should be. What a server does not say (a VM
//! without configuration) must be a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Field, compare, lines, list, named, or, text};

const GIB: u64 = 1 << 30;

/// What was pulled of one datacenter or several.
#[derive(Debug, Default)]
pub struct Pulled {
    /// Lines of `vms.jsonl` by reference.
    vms: BTreeMap<String, Value>,
    /// Lines of `observed.jsonl` by id.
    observed: BTreeMap<String, Value>,
    /// Names of datastores by reference.
    stores: BTreeMap<String, Value>,
}

impl Pulled {
    /// Adds the snapshot in a folder.
    pub fn add(&mut self, folder: &Path) -> Result<()> {
        for vm in lines(&folder.join("vms.jsonl"))? {
            self.vms.insert(text(&vm["ref"]), vm);
        }
        for seen in lines(&folder.join("observed.jsonl"))? {
            self.observed.insert(text(&seen["id"]), seen);
        }
        for store in lines(&folder.join("storage.jsonl"))? {
            self.stores
                .insert(text(&store["id"]), store["name"].clone());
        }
        Ok(())
    }

    /// How many fields were compared, and every one that differs from the truth.
    pub fn differences(&self, truth: &Value) -> (usize, Vec<String>) {
        let (mut count, mut found) = (0, Vec::new());
        let wanted = list(&truth["vms"]);
        let known: BTreeSet<String> = wanted.iter().map(|vm| text(&vm["moid"])).collect();
        for extra in self.vms.keys().filter(|id| !known.contains(*id)) {
            found.push(format!("{extra}: is not in the ground truth"));
        }
        for truth in wanted {
            let id = text(&truth["moid"]);
            let who = format!("{id} `{}`", text(&truth["name"]));
            let Some(vm) = self.vms.get(&id) else {
                found.push(format!("{who}: is missing"));
                continue;
            };
            let nothing = Value::Null;
            let seen = self.observed.get(&text(&vm["id"])).unwrap_or(&nothing);
            let fields = self.fields(vm, seen, truth);
            count += fields.len();
            found.extend(compare(&who, fields));
        }
        (count, found)
    }

    /// What is and what should be, by field.
    fn fields(&self, vm: &Value, seen: &Value, truth: &Value) -> Vec<Field> {
        let mut fields = place(vm, seen, truth);
        let has_config = truth["noConfig"] != true;
        fields.push((
            "whether it has gaps".to_owned(),
            json!(vm["gaps"].is_array()),
            json!(!has_config),
        ));
        if !has_config {
            return fields;
        }
        fields.extend(config(vm, truth));
        let (disks, wanted) = (list(&vm["disks"]), list(&truth["disks"]));
        fields.push((
            "number of disks".to_owned(),
            json!(disks.len()),
            json!(wanted.len()),
        ));
        for (disk, wanted) in disks.iter().zip(wanted) {
            fields.extend(self.disk(disk, seen, wanted, &truth["bootDiskKey"]));
        }
        let (nics, wanted) = (list(&vm["nics"]), list(&truth["nics"]));
        fields.push((
            "number of NICs".to_owned(),
            json!(nics.len()),
            json!(wanted.len()),
        ));
        for (at, (nic, wanted)) in nics.iter().zip(wanted).enumerate() {
            fields.extend(self::nic(at, nic, wanted));
        }
        let ips: BTreeSet<String> = wanted
            .iter()
            .flat_map(|nic| list(&nic["ips"]))
            .map(text)
            .collect();
        fields.push((
            "guest_ips".to_owned(),
            or(&seen["guest_ips"], json!([])),
            json!(ips),
        ));
        fields
    }

    fn disk(&self, disk: &Value, seen: &Value, truth: &Value, boot: &Value) -> Vec<Field> {
        let key = text(&truth["key"]);
        let used = truth["usedBytes"].as_u64().unwrap_or_default();
        let store = self.stores.get(&text(&disk["storage"]));
        let sharing = match truth["sharing"].as_str() {
            Some("sharingMultiWriter") => json!("multi-writer"),
            _ => truth["sharedBus"].clone(),
        };
        // The nearest first, where the truth begins with the base.
        let parents: Vec<&Value> = list(&truth["parentFiles"]).iter().rev().collect();
        let controller = match truth["controller"].as_str().unwrap_or_default() {
            "pvscsi" => "ParaVirtualSCSIController",
            "lsilogic" => "VirtualLsiLogicController",
            "lsilogicsas" => "VirtualLsiLogicSASController",
            "buslogic" => "VirtualBusLogicController",
            "sata" => "VirtualAHCIController",
            "nvme" => "VirtualNVMEController",
            "ide" => "VirtualIDEController",
            other => other,
        };
        let fields = [
            ("key", disk["key"].clone(), json!(key)),
            ("label", disk["label"].clone(), truth["label"].clone()),
            ("controller", disk["controller"].clone(), json!(controller)),
            ("bus", disk["bus"].clone(), truth["bus"].clone()),
            ("unit", disk["unit"].clone(), truth["unit"].clone()),
            (
                "capacity_bytes",
                disk["capacity_bytes"].clone(),
                truth["capacityBytes"].clone(),
            ),
            ("backing", disk["backing"].clone(), truth["backing"].clone()),
            (
                "thin",
                or(&disk["thin"], json!(false)),
                truth["thin"].clone(),
            ),
            ("mode", disk["mode"].clone(), truth["mode"].clone()),
            ("sharing", disk["sharing"].clone(), sharing),
            (
                "storage",
                store.cloned().unwrap_or_default(),
                truth["datastore"].clone(),
            ),
            ("file", disk["file"].clone(), truth["file"].clone()),
            ("parents", or(&disk["parents"], json!([])), json!(parents)),
            ("lun", disk["lun"].clone(), truth["lunUuid"].clone()),
            (
                "boot",
                json!(disk["boot"] == true),
                json!(truth["key"] == *boot),
            ),
            (
                "used_bytes",
                seen["used_bytes"][&key].clone(),
                json!(used.div_ceil(GIB) * GIB),
            ),
        ];
        named(&format!("disk {key}"), fields)
    }
}

/// Where a VM is, and what changes by itself.
fn place(vm: &Value, seen: &Value, truth: &Value) -> Vec<Field> {
    let uuid = text(&truth["instanceUuid"]);
    let id = if uuid.is_empty() || truth["noConfig"] == true {
        format!("moref:{}", text(&truth["moid"]))
    } else {
        uuid
    };
    let folder = match text(&vm["folder"]) {
        folder if folder.is_empty() => String::new(),
        folder => format!("{folder}/"),
    };
    let path = format!("/{}/vm/{folder}{}", text(&vm["dc"]), text(&vm["name"]));
    let power = match truth["power"].as_str() {
        Some("poweredOn") => "on",
        Some("poweredOff") => "off",
        _ => "suspended",
    };
    let mut tags: Vec<String> = list(&truth["tags"]).iter().map(text).collect();
    tags.sort();
    let fields = [
        ("id", vm["id"].clone(), json!(id)),
        ("name", vm["name"].clone(), truth["name"].clone()),
        ("dc", vm["dc"].clone(), truth["datacenter"].clone()),
        ("path", json!(path), truth["inventoryPath"].clone()),
        (
            "host_group",
            vm["host_group"].clone(),
            truth["cluster"].clone(),
        ),
        ("pool", vm["pool"].clone(), truth["pool"].clone()),
        ("vapp", vm["vapp"].clone(), truth["vapp"].clone()),
        (
            "template",
            json!(vm["template"] == true),
            truth["template"].clone(),
        ),
        ("ft", vm["ft"].clone(), truth["ft"].clone()),
        ("tags", or(&vm["tags"], json!([])), json!(tags)),
        (
            "attributes",
            or(&vm["attributes"], json!({})),
            or(&truth["attributes"], json!({})),
        ),
        ("power", seen["power"].clone(), json!(power)),
        (
            "connection_state",
            or(&seen["connection_state"], json!("connected")),
            truth["connection"].clone(),
        ),
        (
            "question",
            json!(seen["question"].is_string()),
            json!(truth["question"] == true),
        ),
    ];
    named("", fields)
}

/// The rest of a VM's own fields.
fn config(vm: &Value, truth: &Value) -> Vec<Field> {
    let hot_add: Vec<&str> = [("cpu", "cpuHotAdd"), ("memory", "memoryHotAdd")]
        .into_iter()
        .filter(|(_, key)| truth[*key] == true)
        .map(|(what, _)| what)
        .collect();
    let snapshots = list(&truth["snapshots"]).len();
    let same = [
        ("bios_uuid", "biosUuid"),
        ("description", "annotation"),
        ("hw_version", "hwVersion"),
        ("firmware", "firmware"),
        ("secure_boot", "secureBoot"),
        ("tpm", "vtpm"),
        ("encrypted", "encrypted"),
        ("vcpus", "cpus"),
        ("cores_per_socket", "coresPerSocket"),
        ("memory_mib", "memoryMb"),
        ("cbt", "changeTracking"),
        ("memory_reservation_mib", "memoryReservationMb"),
        ("cpu_reservation_mhz", "cpuReservationMhz"),
    ];
    let mut fields: Vec<_> = same
        .into_iter()
        .map(|(ours, theirs)| (ours.to_owned(), vm[ours].clone(), truth[theirs].clone()))
        .collect();
    let os = &vm["guest_os"];
    fields.extend(named(
        "",
        [
            ("guest_os.id", os["id"].clone(), truth["guestId"].clone()),
            (
                "guest_os.family",
                os["family"].clone(),
                truth["guestFamily"].clone(),
            ),
            (
                "guest_os.name",
                os["name"].clone(),
                truth["guestFullName"].clone(),
            ),
            ("hot_add", or(&vm["hot_add"], json!([])), json!(hot_add)),
            (
                "nested_hv",
                json!(vm["nested_hv"] == true),
                json!(truth["nestedHv"] == true),
            ),
            (
                "latency_sensitivity",
                or(&vm["latency_sensitivity"], json!("normal")),
                truth["latencySensitivity"].clone(),
            ),
            (
                "snapshots",
                or(&vm["snapshots"], json!(0)),
                json!(snapshots),
            ),
        ],
    ));
    fields
}

fn nic(at: usize, nic: &Value, truth: &Value) -> Vec<Field> {
    let model = match truth["type"].as_str().unwrap_or_default() {
        "Sriov" => "VirtualSriovEthernetCard".to_owned(),
        kind => format!("Virtual{kind}"),
    };
    let mut fields = vec![
        ("key", nic["key"].clone(), json!(text(&truth["key"]))),
        ("model", nic["model"].clone(), json!(model)),
        (
            "mac",
            nic["mac"].clone(),
            json!(text(&truth["mac"]).to_lowercase()),
        ),
        (
            "network",
            nic["network"].clone(),
            truth["networkRef"].clone(),
        ),
        (
            "connected",
            nic["connected"].clone(),
            truth["startConnected"].clone(),
        ),
    ];
    // An opaque network, and none, go by the card's own summary with the engine, which the truth has
    // not; and of a network that is gone only the name is left.
    let kind = truth["kind"].as_str().unwrap_or_default();
    if !matches!(kind, "opaque" | "none") {
        fields.push((
            "network_name",
            nic["network_name"].clone(),
            truth["network"].clone(),
        ));
    }
    if kind != "gone" {
        fields.push((
            "backing",
            or(&nic["backing"], json!("none")),
            truth["kind"].clone(),
        ));
    }
    named(&format!("NIC {at}"), fields)
}
