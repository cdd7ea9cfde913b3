//! The device list of a VM: disks, network cards and the rest.
//!
//! Takes the members of `config.hardware.device`, gives [`Disk`]s in device order, [`Nic`]s and
//! class names. A class that is not known here is kept by its name, never an error.

use std::collections::BTreeSet;

use schemas::inventory::{Disk, Nic};
use schemas::units::Bytes;

use super::places::Places;
use crate::xml::Element;

/// Devices that every VM has, or that say nothing about whether it can be moved: left out.
const USUAL: &[&str] = &[
    "VirtualFloppy",
    "VirtualCdrom",
    "VirtualKeyboard",
    "VirtualPointingDevice",
    "VirtualMachineVideoCard",
    "VirtualMachineVMCIDevice",
    "VirtualTPM",
    "VirtualUSBController",
    "VirtualUSBXHCIController",
];

/// Hardware of the host that a guest uses directly.
const PASSTHROUGH: &[&str] = &[
    "VirtualPCIPassthrough",
    "VirtualSriovEthernetCard",
    "VirtualSCSIPassthrough",
    "VirtualUSB",
];

/// Files that one disk builds on that are followed; a chain has at most 32 snapshots.
const PARENTS_MAX: usize = 64;

/// What a VM's devices come to.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    /// In device order.
    pub(crate) disks: Vec<Disk>,
    /// Sorted by key.
    pub(crate) nics: Vec<Nic>,
    /// Classes of devices passed through.
    pub(crate) passthrough: BTreeSet<String>,
    /// Classes of other devices that are not usual.
    pub(crate) others: BTreeSet<String>,
    /// Whether one is a TPM.
    pub(crate) tpm: bool,
}

impl Devices {
    /// Reads the device list. `boot` is the key of the disk that the boot order names first.
    pub(crate) fn new<'a>(
        list: impl Iterator<Item = Element<'a>>,
        boot: Option<&str>,
        places: &Places,
    ) -> Self {
        let list: Vec<Element<'_>> = list.collect();
        let mut devices = Self::default();
        for device in &list {
            let class = device.class().unwrap_or("VirtualDevice");
            match class {
                "VirtualDisk" => devices.disks.push(disk(*device, &list, boot)),
                "VirtualTPM" => devices.tpm = true,
                "VirtualCdrom" | "VirtualFloppy" => {
                    // An image or drive that is connected at power-on can make the export fail (V08).
                    if starts_connected(*device) == Some(true) {
                        devices.others.insert(class.to_owned());
                    }
                }
                _ if USUAL.contains(&class) || class.ends_with("Controller") => {}
                _ => devices.add_other(*device, class, places),
            }
        }
        devices
            .nics
            .sort_by_cached_key(|nic| (nic.key.parse::<i64>().ok(), nic.key.clone()));
        devices
    }

    fn add_other(&mut self, device: Element<'_>, class: &str, places: &Places) {
        let is_nic = device.child("macAddress").is_some();
        if is_nic {
            self.nics.push(nic(device, class, places));
        }
        if PASSTHROUGH.contains(&class) {
            let backing = device.child("backing").and_then(Element::class);
            let is_vgpu = backing == Some("VirtualPCIPassthroughVmiopBackingInfo");
            let kind = if is_vgpu { "vgpu" } else { class };
            self.passthrough.insert(kind.to_owned());
        } else if !is_nic {
            self.others.insert(class.to_owned());
        }
    }
}

fn starts_connected(device: Element<'_>) -> Option<bool> {
    device.child("connectable")?.value("startConnected")
}

fn disk(device: Element<'_>, list: &[Element<'_>], boot: Option<&str>) -> Disk {
    let key = device.text_of("key").unwrap_or_default();
    let controller_key = device.text_of("controllerKey");
    let controller = controller_key.and_then(|wanted| {
        list.iter()
            .find(|one| one.text_of("key") == Some(wanted))
            .copied()
    });
    let backing = device.child("backing");
    let text = |name| backing.and_then(|backing| backing.text_of(name));
    let shared_bus = controller.and_then(|one| one.text_of("sharedBus"));
    let sharing = match (text("sharing"), shared_bus) {
        (Some("sharingMultiWriter"), _) => Some("multi-writer"),
        (_, bus) => bus.filter(|bus| *bus != "noSharing"),
    };
    let kind = backing.map(backing_kind);
    // A disk of that format has no such property: it always is.
    let thin = match kind.as_deref() {
        Some("sesparse") => Some(true),
        _ => backing.and_then(|backing| backing.value("thinProvisioned")),
    };
    let in_kib = || device.value::<u64>("capacityInKB").map(|kib| kib * 1024);
    let capacity = device.value("capacityInBytes").or_else(in_kib);
    let label = device
        .child("deviceInfo")
        .and_then(|info| info.text_of("label"));
    Disk {
        label: label.map(str::to_owned),
        controller: controller.and_then(Element::class).map(str::to_owned),
        bus: controller.and_then(|one| one.value("busNumber")),
        unit: device.value("unitNumber"),
        capacity_bytes: Bytes(capacity.unwrap_or_default()),
        thin,
        backing: kind,
        mode: text("diskMode").map(str::to_owned),
        sharing: sharing.map(str::to_owned),
        storage: text("datastore").map(str::to_owned),
        file: text("fileName").map(str::to_owned),
        parents: backing.map(parents).unwrap_or_default(),
        lun: text("lunUuid").map(str::to_owned),
        boot: boot.filter(|boot| *boot == key).map(|_| true),
        first_class: device.child("vDiskId").is_some(),
        encrypted: backing
            .and_then(|backing| backing.child("keyId"))
            .map(|_| true),
        key: key.to_owned(),
        ..Disk::default()
    }
}

/// The files that a disk builds on, nearest first.
fn parents(backing: Element<'_>) -> Vec<String> {
    let above = std::iter::successors(backing.child("parent"), |one| one.child("parent"));
    above
        .take(PARENTS_MAX)
        .filter_map(|one| one.text_of("fileName"))
        .map(str::to_owned)
        .collect()
}

/// Our short name for what a disk is stored on.
fn backing_kind(backing: Element<'_>) -> String {
    let class = backing.class().unwrap_or_default();
    match class {
        "VirtualDiskFlatVer1BackingInfo" | "VirtualDiskFlatVer2BackingInfo" => "flat",
        "VirtualDiskSparseVer1BackingInfo" | "VirtualDiskSparseVer2BackingInfo" => "sparse",
        "VirtualDiskSeSparseBackingInfo" => "sesparse",
        "VirtualDiskLocalPMemBackingInfo" => "pmem",
        "VirtualDiskRawDiskMappingVer1BackingInfo" => match backing.text_of("compatibilityMode") {
            Some("virtualMode") => "rdm-virtual",
            _ => "rdm-physical",
        },
        other => other,
    }
    .to_owned()
}

/// A network card. Its network's name is found the way the engine finds it: port group key as a
/// network's id, else the backing's device name, else the device's own summary.
fn nic(device: Element<'_>, class: &str, places: &Places) -> Nic {
    let backing = device.child("backing");
    let text = |name| backing.and_then(|backing| backing.text_of(name));
    let port_group = device
        .at(&["backing", "port"])
        .and_then(|port| port.text_of("portgroupKey"));
    let summary = device
        .child("deviceInfo")
        .and_then(|info| info.text_of("summary"));
    let network = port_group
        .or_else(|| text("network"))
        .filter(|id| places.network_name(id).is_some())
        .or_else(|| places.opaque_network(text("opaqueNetworkId")?));
    Nic {
        key: device.text_of("key").unwrap_or_default().to_owned(),
        model: Some(class.to_owned()),
        mac: device.text_of("macAddress").map(str::to_lowercase),
        network: network.map(str::to_owned),
        network_name: port_group
            .and_then(|key| places.network_name(key))
            .or_else(|| text("deviceName"))
            .or(summary)
            .map(str::to_owned),
        backing: backing.and_then(|backing| plug(backing, port_group)),
        connected: starts_connected(device),
        ..Nic::default()
    }
}

/// Our short name for what a network card is plugged into.
fn plug(backing: Element<'_>, port_group: Option<&str>) -> Option<String> {
    let kind = match backing.class()? {
        "VirtualEthernetCardNetworkBackingInfo" => "standard",
        "VirtualEthernetCardDistributedVirtualPortBackingInfo" if port_group.is_some() => {
            "dvportgroup"
        }
        "VirtualEthernetCardDistributedVirtualPortBackingInfo" => "dvport",
        "VirtualEthernetCardOpaqueNetworkBackingInfo" => "opaque",
        other => other,
    };
    Some(kind.to_owned())
}
