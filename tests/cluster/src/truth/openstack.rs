//! A snapshot of the real OpenStack beside its ground truth, server by server and field by field.
//!
//! Takes the testbed's `ground-truth.json` and a folder that `windrow inventory pull` wrote. The
//! truth has ids, devices and addresses as Nova's own detail calls gave them to an administrator one
//! by one, and else what was asked for when it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Field, compare, lines, list, named, or, text};

const GIB: u64 = 1 << 30;

/// Whose eyes a snapshot was read with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// A member's, who sees one project.
    Project(&'a str),
    /// An administrator's.
    All,
}

/// What was pulled.
#[derive(Debug)]
pub struct Pulled<'t> {
    truth: &'t Value,
    scope: Scope<'t>,
    /// Lines of `vms.jsonl` by id.
    vms: BTreeMap<String, Value>,
    /// Lines of `observed.jsonl` by id.
    observed: BTreeMap<String, Value>,
    networks: Vec<Value>,
}

impl<'t> Pulled<'t> {
    /// The snapshot in a folder.
    pub fn read(folder: &Path, truth: &'t Value, scope: Scope<'t>) -> Result<Self> {
        let by_id = |file: &str| -> Result<BTreeMap<String, Value>> {
            let lines = lines(&folder.join(file))?.into_iter();
            Ok(lines.map(|line| (text(&line["id"]), line)).collect())
        };
        Ok(Self {
            truth,
            scope,
            vms: by_id("vms.jsonl")?,
            observed: by_id("observed.jsonl")?,
            networks: lines(&folder.join("networks.jsonl"))?,
        })
    }

    /// How many fields were compared, and every one that differs from the truth.
    pub fn differences(&self) -> (usize, Vec<String>) {
        let (mut count, mut found) = (0, Vec::new());
        let wanted: Vec<&Value> = list(&self.truth["servers"])
            .iter()
            .filter(|server| self.shows(server))
            .collect();
        let known: BTreeSet<String> = wanted.iter().map(|server| text(&server["id"])).collect();
        // An administrator sees what others have made beside the seed.
        if self.scope != Scope::All {
            let extra = self.vms.keys().filter(|id| !known.contains(*id));
            found.extend(extra.map(|id| format!("{id}: is not in the ground truth")));
        }
        for server in wanted {
            let id = text(&server["id"]);
            let who = format!("{id} `{}`", text(&server["name"]));
            let Some(vm) = self.vms.get(&id) else {
                found.push(format!("{who}: is missing"));
                continue;
            };
            let fields = self.fields(vm, self.observed.get(&id).unwrap_or(&Value::Null), server);
            count += fields.len();
            found.extend(compare(&who, fields));
        }
        for network in list(&self.truth["networks"])
            .iter()
            .filter(|n| self.shows_network(n))
        {
            let who = format!("network `{}`", text(&network["name"]));
            let Some(pulled) = self.networks.iter().find(|n| n["id"] == network["id"]) else {
                found.push(format!("{who}: is missing"));
                continue;
            };
            let fields = self.network(pulled, network);
            count += fields.len();
            found.extend(compare(&who, fields));
        }
        (count, found)
    }

    /// Servers that should be there.
    pub fn servers(&self) -> usize {
        let servers = list(&self.truth["servers"]).iter();
        servers.filter(|server| self.shows(server)).count()
    }

    fn shows(&self, server: &Value) -> bool {
        match self.scope {
            Scope::Project(name) => server["project"] == name,
            Scope::All => true,
        }
    }

    fn shows_network(&self, network: &Value) -> bool {
        match self.scope {
            Scope::Project(name) => network["project"] == name || network["external"] == true,
            Scope::All => true,
        }
    }

    /// What is and what should be, by field.
    fn fields(&self, vm: &Value, seen: &Value, truth: &Value) -> Vec<Field> {
        let mut fields = own(vm, seen, truth);
        fields.extend(self.flavor(vm, truth));
        fields.extend(self.image(vm, truth));
        let (disks, wanted) = (list(&vm["disks"]), list(&truth["volumes"]));
        fields.push((
            "number of disks".to_owned(),
            json!(disks.len()),
            json!(wanted.len()),
        ));
        let boot = boot_volume(truth).map(|volume| &volume["id"]);
        for (disk, wanted) in disks.iter().zip(wanted) {
            fields.extend(self.disk(disk, wanted, boot, self.hides_devices(truth)));
        }
        let gaps: Vec<&Value> = list(&vm["gaps"]).iter().map(|gap| &gap["what"]).collect();
        let hidden = if self.hides_devices(truth) {
            wanted
        } else {
            &[]
        };
        let should: Vec<&str> = hidden.iter().map(|_| "device").collect();
        fields.push(("gaps".to_owned(), json!(gaps), json!(should)));
        let nics = list(&vm["nics"]);
        let mut wanted: Vec<&Value> = list(&truth["nics"]).iter().collect();
        wanted.sort_by_key(|nic| text(&nic["port_id"]));
        fields.push((
            "number of NICs".to_owned(),
            json!(nics.len()),
            json!(wanted.len()),
        ));
        let model = self.properties(truth)["hw_vif_model"].clone();
        for (at, (nic, wanted)) in nics.iter().zip(wanted).enumerate() {
            fields.extend(self::nic(at, nic, wanted, truth, &model));
        }
        fields
    }

    /// Cinder forgets the device of a volume whose server is shelved and off its host; Nova tells it
    /// to administrators only. A member's snapshot must say so, and must not guess.
    fn hides_devices(&self, truth: &Value) -> bool {
        self.scope != Scope::All && truth["status"] == "SHELVED_OFFLOADED"
    }

    fn disk(&self, disk: &Value, truth: &Value, boot: Option<&Value>, hidden: bool) -> Vec<Field> {
        let size = truth["size_gib"].as_u64().unwrap_or_default();
        let snapshots = list(&self.truth["snapshots"])
            .iter()
            .filter(|snapshot| snapshot["volume_id"] == truth["id"])
            .count();
        let device = if hidden {
            Value::Null
        } else {
            truth["device"].clone()
        };
        let multiattach = (truth["multiattach"] == true).then_some("multiattach");
        let fields = [
            ("key", disk["key"].clone(), truth["id"].clone()),
            (
                "label",
                or(&disk["label"], json!("")),
                truth["name"].clone(),
            ),
            ("controller", disk["controller"].clone(), device),
            (
                "capacity_bytes",
                disk["capacity_bytes"].clone(),
                json!(size * GIB),
            ),
            ("backing", disk["backing"].clone(), json!("volume")),
            ("sharing", disk["sharing"].clone(), json!(multiattach)),
            (
                "bootable",
                disk["bootable"].clone(),
                truth["bootable"].clone(),
            ),
            (
                "boot",
                json!(disk["boot"] == true),
                json!(boot == Some(&truth["id"])),
            ),
            ("image", disk["image"].clone(), truth["image_id"].clone()),
            (
                "image_properties",
                or(&disk["image_properties"], json!({})),
                self.kept_properties(&truth["image_id"]),
            ),
            (
                "snapshots",
                or(&disk["snapshots"], json!(0)),
                json!(snapshots),
            ),
            ("encrypted", disk["encrypted"].clone(), json!(false)),
        ];
        named(&format!("disk {}", text(&truth["id"])), fields)
    }

    fn image_by_id(&self, id: &Value) -> Option<&Value> {
        let images = self.truth["images"].as_object()?;
        images.values().find(|image| image["id"] == *id)
    }

    fn properties(&self, truth: &Value) -> Value {
        let image = self.image_by_id(&image_read(truth));
        let gone = image.is_some_and(|image| image["deleted"] == true);
        image
            .filter(|_| !gone)
            .map_or(json!({}), |image| image["properties"].clone())
    }

    /// What a volume keeps of the properties of its image.
    fn kept_properties(&self, id: &Value) -> Value {
        let properties = self.image_by_id(id).map(|image| &image["properties"]);
        let kept = properties
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(key, _)| key.starts_with("hw_") || key.starts_with("os_"));
        json!(kept.collect::<BTreeMap<_, _>>())
    }

    fn image(&self, vm: &Value, truth: &Value) -> Vec<Field> {
        let read = image_read(truth);
        let known = self.image_by_id(&read);
        let exists = known.is_some_and(|image| image["deleted"] != true);
        let properties = self.properties(truth);
        let when_known = |value: Value| if exists { value } else { Value::Null };
        let firmware = match properties["hw_firmware_type"].as_str() {
            Some("uefi") => "efi",
            _ => "bios",
        };
        let secure = matches!(
            properties["os_secure_boot"].as_str(),
            Some("required" | "optional")
        );
        let of_volume = boot_volume(truth).map(|volume| &volume["image_id"]);
        let boot_image = of_volume.cloned().unwrap_or_default();
        let os = &vm["guest_os"];
        named(
            "",
            [
                ("image", vm["image"].clone(), truth["image_id"].clone()),
                ("boot_image", vm["boot_image"].clone(), boot_image.clone()),
                (
                    "boot_image_exists",
                    vm["boot_image_exists"].clone(),
                    json!((!boot_image.is_null()).then_some(exists)),
                ),
                (
                    "root_disk",
                    vm["root_disk"].clone(),
                    json!(if truth["boot"] == "volume" {
                        "volume"
                    } else {
                        "ephemeral"
                    }),
                ),
                (
                    "firmware",
                    vm["firmware"].clone(),
                    when_known(json!(firmware)),
                ),
                (
                    "secure_boot",
                    vm["secure_boot"].clone(),
                    when_known(json!(secure)),
                ),
                (
                    "tpm",
                    vm["tpm"].clone(),
                    when_known(json!(properties["hw_tpm_model"].is_string())),
                ),
                (
                    "hw_version",
                    vm["hw_version"].clone(),
                    properties["hw_machine_type"].clone(),
                ),
                (
                    "guest_os.id",
                    os["id"].clone(),
                    properties["os_distro"].clone(),
                ),
                (
                    "guest_os.family",
                    os["family"].clone(),
                    properties["os_type"].clone(),
                ),
            ],
        )
    }

    fn flavor(&self, vm: &Value, truth: &Value) -> Vec<Field> {
        let (is, flavor) = (&vm["flavor"], &truth["flavor"]);
        let made = &self.truth["flavors"][text(&flavor["name"])];
        let zero = || json!(0);
        named(
            "",
            [
                ("vcpus", vm["vcpus"].clone(), flavor["vcpus"].clone()),
                (
                    "memory_mib",
                    vm["memory_mib"].clone(),
                    flavor["ram_mib"].clone(),
                ),
                ("flavor.id", is["id"].clone(), made["id"].clone()),
                ("flavor.name", is["name"].clone(), flavor["name"].clone()),
                (
                    "flavor.exists",
                    is["exists"].clone(),
                    json!(truth["flavor_deleted"] != true),
                ),
                (
                    "flavor.disk_gib",
                    or(&is["disk_gib"], zero()),
                    flavor["disk_gib"].clone(),
                ),
                (
                    "flavor.ephemeral_gib",
                    or(&is["ephemeral_gib"], zero()),
                    flavor["ephemeral_gib"].clone(),
                ),
                (
                    "flavor.swap_mib",
                    or(&is["swap_mib"], zero()),
                    flavor["swap_mib"].clone(),
                ),
                (
                    "flavor.extra_specs",
                    or(&is["extra_specs"], json!({})),
                    made["extra_specs"].clone(),
                ),
            ],
        )
    }

    fn network(&self, is: &Value, truth: &Value) -> Vec<Field> {
        let mut subnets: Vec<String> = list(&truth["subnets"])
            .iter()
            .map(|subnet| text(&subnet["id"]))
            .collect();
        subnets.sort();
        let twins = list(&self.truth["networks"])
            .iter()
            .filter(|other| self.shows_network(other) && other["name"] == truth["name"])
            .count();
        let mut fields = vec![
            ("name", is["name"].clone(), truth["name"].clone()),
            ("kind", is["kind"].clone(), json!("neutron")),
            (
                "external",
                json!(is["external"] == true),
                json!(truth["external"] == true),
            ),
        ];
        if truth["external"] != true {
            fields.push(("subnets", or(&is["subnets"], json!([])), json!(subnets)));
        }
        if self.scope == Scope::All {
            // Only an administrator sees how a network is made. What others made has other names.
            fields.push(("vlan", is["vlan"].clone(), truth["vlan"].clone()));
            fields.push((
                "segment_type",
                is["segment_type"].clone(),
                truth["type"].clone(),
            ));
        }
        fields.push((
            "duplicate_name",
            json!(is["duplicate_name"] == true),
            json!(twins > 1),
        ));
        named("", fields)
    }
}

/// The first bootable volume in device order, of a server that boots from one.
fn boot_volume(truth: &Value) -> Option<&Value> {
    let mut volumes = list(&truth["volumes"]).iter();
    (truth["boot"] == "volume")
        .then(|| volumes.find(|volume| volume["bootable"] == true))
        .flatten()
}

/// The image that the engine reads firmware and buses from.
fn image_read(truth: &Value) -> Value {
    match boot_volume(truth) {
        Some(volume) => volume["image_id"].clone(),
        None => truth["image_id"].clone(),
    }
}

/// A server's own fields.
fn own(vm: &Value, seen: &Value, truth: &Value) -> Vec<Field> {
    let power = match truth["status"].as_str().unwrap_or_default() {
        "ACTIVE" => "on",
        "SHUTOFF" => "off",
        "SUSPENDED" => "suspended",
        "PAUSED" => "paused",
        _ => "other",
    };
    let mut tags: Vec<String> = list(&truth["tags"]).iter().map(text).collect();
    tags.sort();
    let addresses = list(&truth["nics"])
        .iter()
        .flat_map(|nic| list(&nic["fixed_ips"]));
    let addresses: BTreeSet<String> = addresses.map(text).collect();
    named(
        "",
        [
            ("name", vm["name"].clone(), truth["name"].clone()),
            (
                "project.id",
                vm["project"]["id"].clone(),
                truth["project_id"].clone(),
            ),
            (
                "project.name",
                vm["project"]["name"].clone(),
                truth["project"].clone(),
            ),
            (
                "description",
                vm["description"].clone(),
                truth["description"].clone(),
            ),
            ("locked", vm["locked"].clone(), truth["locked"].clone()),
            ("tags", or(&vm["tags"], json!([])), json!(tags)),
            (
                "attributes",
                or(&vm["attributes"], json!({})),
                truth["metadata"].clone(),
            ),
            ("status", seen["status"].clone(), truth["status"].clone()),
            ("power", seen["power"].clone(), json!(power)),
            (
                "guest_ips",
                or(&seen["guest_ips"], json!([])),
                json!(addresses),
            ),
        ],
    )
}

fn nic(at: usize, nic: &Value, truth: &Value, server: &Value, model: &Value) -> Vec<Field> {
    let mut fixed: Vec<String> = list(&truth["fixed_ips"]).iter().map(text).collect();
    fixed.sort();
    // Every server of the seed that has floating addresses has one card.
    let floating = or(&server["floating_ips"], json!([]));
    let fields = [
        ("key", nic["key"].clone(), truth["port_id"].clone()),
        ("mac", nic["mac"].clone(), truth["mac"].clone()),
        ("model", nic["model"].clone(), model.clone()),
        (
            "network",
            nic["network"].clone(),
            truth["network_id"].clone(),
        ),
        (
            "network_name",
            nic["network_name"].clone(),
            truth["network"].clone(),
        ),
        (
            "connected",
            nic["connected"].clone(),
            json!(!fixed.is_empty()),
        ),
        ("fixed_ips", or(&nic["fixed_ips"], json!([])), json!(fixed)),
        (
            "floating_ips",
            or(&nic["floating_ips"], json!([])),
            floating,
        ),
    ];
    named(&format!("NIC {at}"), fields)
}
