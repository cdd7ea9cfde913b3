//! The device list of a VM: disks, network cards and the rest.
//!
//! Takes the members of `config.hardware.device`, gives [`Disk`]s in device order, [`Nic`]s and
//! class names. A class that is not known here is kept by its name, never an error.

use std::collections::BTreeSet;

use schemas::inventory::{Disk, Nic};
use schemas::units::Bytes;

use super::places::Places;
use crate::xml::Node;

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
    pub(crate) fn new(list: &[Node], boot: Option<&str>, places: &Places) -> Self {
        let mut devices = Self::default();
        for device in list {
            let class = device.class.as_deref().unwrap_or("VirtualDevice");
            let connects = || {
                let connectable = device.child("connectable");
                connectable
                    .and_then(|c| c.value("startConnected"))
                    .unwrap_or(false)
            };
            devices.tpm |= class == "VirtualTPM";
            if class == "VirtualDisk" {
                devices.disks.push(disk(device, list, boot));
            } else if device.child("macAddress").is_some() {
                devices.nics.push(nic(device, class, places));
            }
            if PASSTHROUGH.contains(&class) {
                let backing = device
                    .child("backing")
                    .and_then(|backing| backing.class.as_deref());
                let is_vgpu = backing == Some("VirtualPCIPassthroughVmiopBackingInfo");
                devices
                    .passthrough
                    .insert(if is_vgpu { "vgpu" } else { class }.to_owned());
            } else if matches!(class, "VirtualCdrom" | "VirtualFloppy") && connects() {
                // An image or drive that is connected at power-on can make the export fail (V08).
                devices.others.insert(class.to_owned());
            } else if class != "VirtualDisk"
                && device.child("macAddress").is_none()
                && !class.ends_with("Controller")
                && !USUAL.contains(&class)
            {
                devices.others.insert(class.to_owned());
            }
        }
        devices
            .nics
            .sort_by_cached_key(|nic| (nic.key.parse::<i64>().ok(), nic.key.clone()));
        devices
    }
}

fn disk(device: &Node, list: &[Node], boot: Option<&str>) -> Disk {
    let key = device.text_of("key").unwrap_or_default().to_owned();
    let controller_key = device.text_of("controllerKey");
    let controller = list
        .iter()
        .find(|one| controller_key.is_some() && one.text_of("key") == controller_key);
    let backing = device.child("backing");
    let text = |name| {
        backing
            .and_then(|backing| backing.text_of(name))
            .map(str::to_owned)
    };
    let shared_bus = controller.and_then(|one| one.text_of("sharedBus"));
    let sharing = match (text("sharing").as_deref(), shared_bus) {
        (Some("sharingMultiWriter"), _) => Some("multi-writer".to_owned()),
        (_, Some(bus)) if bus != "noSharing" => Some(bus.to_owned()),
        _ => None,
    };
    let in_kib = || device.value::<u64>("capacityInKB").map(|kib| kib * 1024);
    Disk {
        controller: controller.and_then(|one| one.class.clone()),
        bus: controller.and_then(|one| one.value("busNumber")),
        unit: device.value("unitNumber"),
        capacity_bytes: Bytes(
            device
                .value("capacityInBytes")
                .or_else(in_kib)
                .unwrap_or_default(),
        ),
        backing: backing.map(backing_kind),
        thin: backing.and_then(|backing| backing.value("thinProvisioned")),
        mode: text("diskMode"),
        sharing,
        storage: text("datastore"),
        file: text("fileName"),
        boot: boot.filter(|boot| *boot == key).map(|_| true),
        encrypted: backing
            .and_then(|backing| backing.child("keyId"))
            .map(|_| true),
        key,
        ..Disk::default()
    }
}

/// Our short name for what a disk is stored on.
fn backing_kind(backing: &Node) -> String {
    let class = backing.class.as_deref().unwrap_or_default();
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
fn nic(device: &Node, class: &str, places: &Places) -> Nic {
    let backing = device.child("backing");
    let text = |name| {
        backing
            .and_then(|backing| backing.text_of(name))
            .map(str::to_owned)
    };
    let port_group = device
        .at(&["backing", "port"])
        .and_then(|port| port.text_of("portgroupKey"));
    let summary = device
        .child("deviceInfo")
        .and_then(|info| info.text_of("summary"));
    let seen = |id: &String| places.network_name(id).is_some();
    let network = port_group
        .map(str::to_owned)
        .or_else(|| text("network"))
        .filter(seen)
        .or_else(|| places.opaque_network(&text("opaqueNetworkId")?));
    let connectable = device.child("connectable");
    Nic {
        key: device.text_of("key").unwrap_or_default().to_owned(),
        model: Some(class.to_owned()),
        mac: device.text_of("macAddress").map(str::to_lowercase),
        network,
        network_name: port_group
            .and_then(|key| places.network_name(key))
            .or_else(|| text("deviceName"))
            .or_else(|| summary.map(str::to_owned)),
        connected: connectable.and_then(|connectable| connectable.value("startConnected")),
        ..Nic::default()
    }
}
