//! What will not survive: by VM, what of it stays behind although its import is sound.
//!
//! Facts as the checks read them; nothing here holds a VM back. One kind of loss is one entry with
//! the VMs that have it, so that thousands of VMs stay a page.

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::Severity;
use schemas::ids::{VmKey, VmName};
use schemas::inventory::{RuleKind, SourceKind};
use schemas::shown::shown;
use schemas::units::MIB;
use serde::Serialize;

use super::guests::bus;
use super::table::Check;
use super::{Estate, Row};
use crate::diagnostic::count;
use crate::resolve::NicFate;

/// One kind of loss, with those that have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// Stable, for programs.
    pub kind: &'static str,
    /// The page that says more.
    pub code: &'static str,
    /// What is lost, for people.
    pub title: &'static str,
    /// Whose, by key.
    pub vms: Vec<VmLoss>,
}

/// What one VM loses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VmLoss {
    /// The VM.
    pub vm: VmKey,
    /// Its name.
    pub name: VmName,
    /// What exactly.
    pub what: String,
}

/// Kind, code and title of a loss, and what a VM loses of it.
type Kind = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Row<'_>) -> Option<String>,
);

/// All kinds, in the order in which they are told: what a guest notices first.
const KINDS: &[Kind] = &[
    (
        "devices",
        "T07",
        "devices of the host and of old times",
        devices,
    ),
    (
        "networkInterfaces",
        "W01",
        "NICs that the mapping drops",
        dropped,
    ),
    ("interfaceOrder", "W07", "the order of the NICs", nic_order),
    (
        "interfaceModel",
        "T08",
        "the models of the NICs",
        nic_models,
    ),
    ("diskBus", "V17", "the buses of the disks", buses),
    ("cpuTopology", "T01", "sockets and cores", topology),
    (
        "memory",
        "T02",
        "4.6 % of the memory: MB are written for MiB",
        memory,
    ),
    (
        "firmwareVariables",
        "T06",
        "variables of the UEFI, boot entries and keys",
        nvram,
    ),
    ("tpm", "T06", "the content of the TPM", tpm),
    ("smbiosUuid", "WR023", "the SMBIOS UUID", smbios),
    ("snapshots", "V09", "snapshots", snapshots),
    (
        "storageTiers",
        "S13",
        "different storage for different disks",
        tiers,
    ),
    (
        "reservations",
        "T07",
        "reservations, limits and priorities of CPU and memory",
        reservations,
    ),
    ("tags", "T07", "tags and attributes", tags),
    (
        "groups",
        "O12",
        "server groups, security groups, key pair, zone",
        groups,
    ),
    ("floatingAddresses", "O12", "floating addresses", floating),
    (
        "flavorSpecs",
        "O12",
        "what the flavor asks of its host",
        specs,
    ),
    ("place", "T07", "resource pool and vApp", place),
];

/// What the VMs of a plan lose, kind by kind; kinds that nobody has are left out.
pub(super) fn losses(estate: &Estate<'_>) -> Vec<Loss> {
    let mut losses: Vec<Loss> = KINDS
        .iter()
        .map(|(kind, code, title, look)| {
            let lost = |row: &Row<'_>| Some(entry(row, &look(row)?));
            let vms = estate.rows().iter().filter_map(lost).collect();
            Loss {
                kind,
                code,
                title,
                vms,
            }
        })
        .collect();
    losses.push(rules(estate));
    losses.retain(|loss| !loss.vms.is_empty());
    losses
}

fn entry(row: &Row<'_>, what: &str) -> VmLoss {
    VmLoss {
        vm: row.to.key.clone(),
        name: row.to.name.clone(),
        what: shown(what).into_owned(),
    }
}

/// Texts joined; nothing where there are none.
fn joined(parts: impl IntoIterator<Item = String>) -> Option<String> {
    let parts: BTreeSet<String> = parts.into_iter().collect();
    (!parts.is_empty()).then(|| parts.into_iter().collect::<Vec<_>>().join(", "))
}

fn devices(row: &Row<'_>) -> Option<String> {
    joined(
        row.vm
            .passthrough
            .iter()
            .chain(&row.vm.other_devices)
            .cloned(),
    )
}

fn dropped(row: &Row<'_>) -> Option<String> {
    let gone = row
        .to
        .nics
        .iter()
        .filter(|nic| nic.fate == NicFate::Dropped);
    joined(gone.map(|nic| {
        nic.network
            .as_ref()
            .map_or("not named".to_owned(), ToString::to_string)
    }))
}

fn nic_order(row: &Row<'_>) -> Option<String> {
    let random = row.to.kind == SourceKind::Openstack && row.vm.nics.len() > 1;
    random.then(|| count(row.vm.nics.len(), "port"))
}

fn nic_models(row: &Row<'_>) -> Option<String> {
    let models = row
        .vm
        .nics
        .iter()
        .zip(&row.to.nics)
        .filter_map(|(nic, to)| {
            let NicFate::Mapped(network) = &to.fate else {
                return None;
            };
            let class = nic.model.as_deref()?;
            if network.model.is_none() && !class.to_ascii_lowercase().contains("vmxnet") {
                return None;
            }
            let to = network.model.map_or("virtio".to_owned(), |model| {
                format!("{model:?}").to_lowercase()
            });
            Some(format!("{class} becomes {to}"))
        });
    joined(models)
}

fn buses(row: &Row<'_>) -> Option<String> {
    let moved = row.vm.disks.iter().filter_map(|disk| {
        let (class, bus) = (disk.controller.as_deref()?, bus(row.to.kind, disk)?);
        // An AHCI disk stays one, and OpenStack's are virtio already where nobody said another.
        let same = class.to_ascii_lowercase();
        let same =
            same.contains("ahci") || same.contains(bus.word()) || same.starts_with("/dev/vd");
        (!same).then(|| format!("{class} becomes {}", bus.word()))
    });
    joined(moved)
}

fn topology(row: &Row<'_>) -> Option<String> {
    let cores = row.vm.cores_per_socket.filter(|cores| *cores > 1)?;
    Some(format!("{cores} cores a socket"))
}

fn memory(row: &Row<'_>) -> Option<String> {
    let mib = row.vm.memory_mib.filter(|mib| *mib > 0)?;
    Some(format!(
        "{mib} MiB become {} MiB",
        mib.saturating_mul(1_000_000) / MIB
    ))
}

fn nvram(row: &Row<'_>) -> Option<String> {
    (row.vm.firmware.as_deref() == Some("efi")).then(|| match row.vm.secure_boot {
        Some(true) => "UEFI with secure boot".to_owned(),
        _ => "UEFI".to_owned(),
    })
}

fn tpm(row: &Row<'_>) -> Option<String> {
    (row.vm.tpm == Some(true)).then(|| "a TPM".to_owned())
}

fn smbios(row: &Row<'_>) -> Option<String> {
    row.vm.bios_uuid.clone()
}

fn snapshots(row: &Row<'_>) -> Option<String> {
    let number = row.vm.snapshots.filter(|number| *number > 0)?;
    Some(count(number as usize, "snapshot"))
}

fn tiers(row: &Row<'_>) -> Option<String> {
    let stores: BTreeSet<&str> = row
        .vm
        .disks
        .iter()
        .filter_map(|disk| disk.storage.as_deref())
        .collect();
    if stores.len() < 2 {
        return None;
    }
    let name = |id: &str| {
        let known = row.source.storage.iter().find(|known| known.id == id);
        known.map_or(id, |known| known.name.as_str()).to_owned()
    };
    joined(stores.into_iter().map(name))
}

fn reservations(row: &Row<'_>) -> Option<String> {
    let vm = row.vm;
    let number = |what: &str, value: Option<u64>, unit: &str| {
        value
            .filter(|value| *value > 0)
            .map(|value| format!("{what} {value} {unit}"))
    };
    let parts = [
        number("CPU reserved", vm.cpu_reservation_mhz, "MHz"),
        number("CPU limit", vm.cpu_limit_mhz, "MHz"),
        number("memory reserved", vm.memory_reservation_mib, "MiB"),
        number("memory limit", vm.memory_limit_mib, "MiB"),
        vm.latency_sensitivity
            .as_ref()
            .map(|level| format!("latency sensitivity {level}")),
        (!vm.hot_add.is_empty()).then(|| format!("hot add of {}", vm.hot_add.join(" and "))),
    ];
    joined(parts.into_iter().flatten())
}

fn tags(row: &Row<'_>) -> Option<String> {
    let tags = (!row.vm.tags.is_empty()).then(|| count(row.vm.tags.len(), "tag"));
    let attributes = row.vm.attributes.len();
    let attributes = (attributes > 0).then(|| count(attributes, "attribute"));
    joined([tags, attributes].into_iter().flatten())
}

fn groups(row: &Row<'_>) -> Option<String> {
    if row.to.kind != SourceKind::Openstack {
        return None;
    }
    let vm = row.vm;
    let named = |what: &str, names: &[String]| {
        (!names.is_empty()).then(|| format!("{what} {}", names.join(" ")))
    };
    let parts = [
        named("server group", &vm.server_groups),
        named("security group", &vm.security_groups),
        vm.key_pair.as_ref().map(|key| format!("key pair {key}")),
        vm.host_group.as_ref().map(|zone| format!("zone {zone}")),
    ];
    joined(parts.into_iter().flatten())
}

fn floating(row: &Row<'_>) -> Option<String> {
    joined(
        row.vm
            .nics
            .iter()
            .flat_map(|nic| nic.floating_ips.iter().cloned()),
    )
}

fn specs(row: &Row<'_>) -> Option<String> {
    let flavor = row.vm.flavor.as_ref()?;
    joined(
        flavor
            .extra_specs
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    )
}

fn place(row: &Row<'_>) -> Option<String> {
    let pool = row.vm.pool.as_ref().map(|pool| format!("pool {pool}"));
    let vapp = row.vm.vapp.as_ref().map(|vapp| format!("vApp {vapp}"));
    joined(pool.into_iter().chain(vapp))
}

/// Rules of affinity, start order and restart: by rule at the source, by VM here.
fn rules(estate: &Estate<'_>) -> Loss {
    let mut by_vm: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (source, snapshot) in &estate.inventory().sources {
        let lasting = |kind: RuleKind| !matches!(kind, RuleKind::SharedDisk | RuleKind::Depends);
        for rule in snapshot
            .rules
            .iter()
            .filter(|rule| rule.enabled && lasting(rule.kind))
        {
            for member in &rule.members {
                let told = by_vm.entry((source.as_str(), member.as_str())).or_default();
                told.push(format!(
                    "{} ({})",
                    rule.name.as_deref().unwrap_or(&rule.id),
                    rule.origin
                ));
            }
        }
    }
    let lost = |row: &Row<'_>| {
        let key = (row.to.key.source.as_str(), row.to.key.id.as_str());
        Some(entry(row, &joined(by_vm.get(&key)?.clone())?))
    };
    Loss {
        kind: "placementRules",
        code: "T07",
        title: "rules of affinity, start order and restart",
        vms: estate.rows().iter().filter_map(lost).collect(),
    }
}

/// Found among the losses, so it looks for nothing by itself.
pub const T02: Check = Check {
    code: "T02",
    severity: Severity::Info,
    title: "gets 4.6 % less memory than it has",
    reads: "the memory of each VM; told among the report's losses",
    why: "The engine writes the number of MiB with the unit of millions of bytes: 4096 MiB become \
          4096M, which is 3906 MiB (SH:63-68; measured). A few guests then refuse to start or warn \
          (#8379).",
    when: "always",
    see: "`kubectl get vm NAME -o jsonpath='{.spec.template.spec.domain.memory.guest}'`",
    remedy: "set the machine's memory to the number with `Mi` once it is there, with a restart; plan \
             that into the window where it matters",
    never_waived: Some("it holds nothing back"),
    run: |_| Vec::new(),
};

/// Likewise.
pub const S12: Check = Check {
    code: "S12",
    severity: Severity::Info,
    title: "keeps its image for as long as the machine lives",
    reads: "nothing by itself: the capacity of the report counts images beside volumes",
    why: "With a Longhorn v1 class each disk is a layer over a backing image. The image cannot be \
          removed while the machine is there, and takes its space in each copy (#10271, #4997).",
    when: "the storage class has `dataEngine: v1`",
    see: "`kubectl -n longhorn-system get backingimages`",
    remedy: "nothing, if there is room; else clone the volume to one without a backing image later",
    never_waived: Some("it holds nothing back"),
    run: |_| Vec::new(),
};

/// Likewise.
pub const S13: Check = Check {
    code: "S13",
    severity: Severity::Info,
    title: "has disks on different storage, which all get one storage class",
    reads: "the datastore or volume type of each disk; told among the report's losses",
    why: "An import names one storage class for all its disks: fast and slow ones end up alike \
          (#8074).",
    when: "the disks of a VM are on more than one datastore or volume type",
    see: "`govc device.info -vm PATH 'disk-*'` or `openstack volume show VOLUME -c type`",
    remedy: "move single disks to another class on the target afterwards",
    never_waived: Some("it holds nothing back"),
    run: |_| Vec::new(),
};

/// Likewise.
pub const WR023: Check = Check {
    code: "WR023",
    severity: Severity::Info,
    title: "gets another SMBIOS UUID",
    reads: "the SMBIOS UUID of each VM; told among the report's losses",
    why: "The engine writes no firmware UUID, so that KubeVirt makes one of the machine's name. Licences, \
          activation, configuration management and backup agents that know the guest by it take it \
          for another one.",
    when: "always",
    see: "in the guest: `cat /sys/class/dmi/id/product_uuid`, or `wmic csproduct get uuid`",
    remedy: "tell the owners of licences and agents beforehand; where it must stay, set \
             `spec.template.spec.domain.firmware.uuid` while the machine is off",
    never_waived: Some("it holds nothing back"),
    run: |_| Vec::new(),
};
