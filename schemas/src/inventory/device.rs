//! Disks and network interfaces of a VM.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// One disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// vSphere: device key. OpenStack: volume id. OVA: the disk's file name in the archive.
    pub key: String,
    /// What people call it: `Hard disk 1` (vSphere), the volume's name (OpenStack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Controller class (vSphere) or device name (OpenStack, `/dev/vda`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// Controller's bus number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<i32>,
    /// Unit number at its controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<i32>,
    /// Provisioned size: what the target's disk will have, P of the footprints.
    pub capacity_bytes: Bytes,
    /// `flat`, `sesparse`, `rdm-virtual`, `rdm-physical`, …; `volume` for OpenStack, `vmdk` for OVA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing: Option<String>,
    /// Thin provisioned, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thin: Option<bool>,
    /// vSphere's diskMode (`persistent`, `independent_persistent`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `multi-writer`, a controller's `physicalSharing` or `virtualSharing`, `multiattach`; absent
    /// if not shared (V07, O11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<String>,
    /// Datastore or volume type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// OpenStack: the backend's host and pool, where the account may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// OpenStack: the volume's availability zone (O08).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Backing file or the disk's file in the OVA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// vSphere: files that this disk builds on, nearest first: its own snapshots' and, of a linked
    /// clone, another VM's (V09).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// vSphere: the LUN of a raw device mapping; two VMs may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lun: Option<String>,
    /// Size of the file in the OVA archive: V of the footprints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<Bytes>,
    /// The disk the machine boots from, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<bool>,
    /// OpenStack: whether Cinder takes the volume for a bootable one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootable: Option<bool>,
    /// OpenStack: the image that the volume's own metadata names (O04).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// OpenStack: the volume's copy of that image's properties (`hw_…`, `os_…`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub image_properties: BTreeMap<String, String>,
    /// OpenStack: snapshots of this volume; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<u32>,
    /// vSphere: a first class disk, which has a life beside its VM (V07).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_class: bool,
    /// Encrypted, if known (O11, V06).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
}

/// One network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// vSphere: device key. OpenStack: port id. OVA: position in the descriptor.
    pub key: String,
    /// Device class or virtual interface model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Reference into `networks.jsonl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The name by which the engine will look for a mapping: it must be equal to one (W01).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_name: Option<String>,
    /// vSphere: what it is plugged into: `standard`, `dvportgroup`, `dvport` (a port without a port
    /// group), `opaque` (W05); absent if into nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing: Option<String>,
    /// vSphere: connected at power-on. OpenStack: the port has a fixed IP (W08).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// OpenStack: addresses that Neutron gave it, sorted (W08).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed_ips: Vec<String>,
    /// OpenStack: floating addresses that lead to it, sorted; dropped by the engine (O12).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub floating_ips: Vec<String>,
    /// OpenStack: `direct`, `macvtap`, …; absent for plain virtual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnic_type: Option<String>,
}
