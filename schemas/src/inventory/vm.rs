//! One VM: a line of `vms.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Disk, Gap, Nic, OvaFacts, Project};
use crate::ids::{VmId, VmName};

/// One VM's configuration: a line of `vms.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// vSphere: instance UUID, else `moref:…`. OpenStack: server id. OVA: the item's name.
    pub id: VmId,
    /// vSphere's managed object reference, for joins and diagnosis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#ref: Option<String>,
    /// The name as stored, which the engine looks for.
    pub name: VmName,
    /// The decoded name, where it differs (vSphere stores `/` as `%2f`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// vSphere: path of the datacenter below the root folder (`F0/DC0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dc: Option<String>,
    /// vSphere: path of its folder below the datacenter's VM folder, empty at the top; as the
    /// engine joins it. For a VM in a vApp: the vApp's folder and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// OpenStack: whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
    /// OVA: the archive's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Notes at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A template, never a machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
    /// SMBIOS UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bios_uuid: Option<String>,
    /// Guest operating system as the source knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_os: Option<GuestOs>,
    /// Virtual hardware version or machine type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hw_version: Option<String>,
    /// Virtual CPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<u32>,
    /// vSphere: cores a socket (T01).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores_per_socket: Option<u32>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// vSphere: CPU that is set aside for it, in MHz; absent if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_reservation_mhz: Option<u64>,
    /// vSphere: CPU it may use at most, in MHz; absent if unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit_mhz: Option<u64>,
    /// vSphere: memory that is set aside for it, in MiB; absent if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_reservation_mib: Option<u64>,
    /// vSphere: memory of the host it may use at most, in MiB; absent if unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_mib: Option<u64>,
    /// vSphere: what can be added while it runs, `cpu` and `memory`, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hot_add: Vec<String>,
    /// vSphere: runs a hypervisor of its own (nested virtualization).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nested_hv: bool,
    /// vSphere: `low`, `medium`, `high`, `custom`; absent if normal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_sensitivity: Option<String>,
    /// OpenStack: its flavor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<Flavor>,
    /// `bios` or `efi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Secure boot, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_boot: Option<bool>,
    /// Has a virtual TPM, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<bool>,
    /// VM or any of its disks is encrypted, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// In device order, which the engine takes for the boot order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<Disk>,
    /// OpenStack: where the system disk is. Only volumes are exported (O03).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_disk: Option<RootDisk>,
    /// OpenStack: the image that it was made from, where it boots from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// OpenStack: volume-booted, and its boot volume's image metadata names this image (O04).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_image: Option<String>,
    /// OpenStack: whether that image is still there, if known (O04).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_image_exists: Option<bool>,
    /// Sorted by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<Nic>,
    /// Classes of devices passed through (PCI, vGPU, SR-IOV, USB), sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passthrough: Vec<String>,
    /// Classes of other devices, default ones left out, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_devices: Vec<String>,
    /// Changed block tracking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cbt: Option<bool>,
    /// Number of snapshots; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<u32>,
    /// vSphere: fault tolerance state, if configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ft: Option<String>,
    /// Cluster, availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_group: Option<String>,
    /// vSphere: resource pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// vSphere: the vApp it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vapp: Option<String>,
    /// OpenStack: ids of its server groups, sorted; the groups are in `rules.jsonl`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server_groups: Vec<String>,
    /// OpenStack: names of its security groups, sorted; dropped by the engine (O12).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// OpenStack: its SSH key pair; dropped by the engine (O12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_pair: Option<String>,
    /// OpenStack: has a config drive, which is not exported (O03).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_drive: Option<bool>,
    /// OpenStack: was given user data, if this account may see that; never the data (O12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<bool>,
    /// `category/tag` (vSphere) or `tag` (OpenStack), sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Custom attributes (vSphere), metadata (OpenStack).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// When it was made, RFC 3339; tells twins apart. vSphere: servers since 6.7 know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// vSphere: what the engine's account may not do with it and has to, sorted (V16); see
    /// [`super::SourceAbout::importer`] for whether that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_privileges: Vec<String>,
    /// vSphere: what the engine finds when it looks for `folder` and `name`, if that is not exactly
    /// this VM (V10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<Lookup>,
    /// OpenStack: locked against changes (O09).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// OVA: what its archive and descriptor say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ova: Option<OvaFacts>,
    /// What could not be read of this VM; it is kept and planned around.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// Guest operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestOs {
    /// The source's id (`windows2019srv_64Guest`, `ubuntu`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `linuxGuest`, `windowsGuest`, `linux`, `windows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Name for people (`Microsoft Windows Server 2019 (64-bit)`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What the engine's search for a VM by its path gives, where that is not exactly the VM. The engine
/// takes names as patterns (`*`, `?`, `[`, `\\`), so that a name may match others, or not itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// How many VMs match.
    pub matches: u32,
    /// Why the search fails, in the engine's words, if it is not for their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// OpenStack flavor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flavor {
    /// Its id; absent where the release hides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it still exists (O05).
    pub exists: bool,
    /// Whether every project may use it; absent if not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// System disk of servers that boot from an image, in GiB; absent if zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_gib: Option<u64>,
    /// Ephemeral disk in GiB, which is not exported (O03); absent if zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_gib: Option<u64>,
    /// Swap disk in MiB, which is not exported (O03); absent if zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_mib: Option<u64>,
    /// What it asks of the hypervisor (PCI devices, NUMA, huge pages, …); dropped by the engine
    /// (O12).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_specs: BTreeMap<String, String>,
}

/// Where an OpenStack server's system disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootDisk {
    /// A volume: exported.
    Volume,
    /// On the hypervisor, from an image: not exported.
    Ephemeral,
}
