//! What a source or a target holds, as snapshot files keep it: one JSON object a line.
//!
//! A snapshot of a source is a folder `<source>/` with `source.json`, and `vms.jsonl`,
//! `networks.jsonl`, `storage.jsonl`, `hosts.jsonl` (configuration) beside `observed.jsonl` (what
//! changes by itself). Lines are sorted by `id`, keys stand in the order of these structs, what is
//! not known is absent, sizes are bytes. Reading an unchanged source twice gives the same bytes in
//! every file but `observed.jsonl`. Unknown keys are kept out of the types but are no error: a
//! newer collector may know more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Namespace, ObjectName, SourceName, TargetName, VmId, VmKey, VmName};
use crate::units::Bytes;

/// The schema named in each file's first line.
pub const SCHEMA: &str = "windrow.inventory/1";

/// First line of each `.jsonl` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always [`SCHEMA`]; another major number needs a migration.
    pub schema: String,
    /// What the lines are: `vms`, `networks`, `storage`, `hosts`, `rules`, `observed`, …
    pub kind: String,
}

/// Everything a plan can look at: all sources and targets of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By the source's name in the site.
    pub sources: BTreeMap<SourceName, SourceInventory>,
    /// By the target's name in the site.
    pub targets: BTreeMap<TargetName, TargetInventory>,
}

/// One source's snapshot. All lists are sorted by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInventory {
    /// `source.json`.
    pub about: SourceAbout,
    /// `vms.jsonl`: the VMs of this source's datacenter or project only.
    pub vms: Vec<Vm>,
    /// `networks.jsonl`: those of the whole vCenter or of what the project sees (W04).
    pub networks: Vec<Network>,
    /// `storage.jsonl`.
    pub storage: Vec<Storage>,
    /// `hosts.jsonl`.
    pub hosts: Vec<Host>,
    /// `observed.jsonl`, by the id of what was observed.
    pub observed: BTreeMap<String, Observed>,
}

/// What kind of place a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A vCenter datacenter or an ESXi host.
    Vmware,
    /// An OpenStack project in a region.
    Openstack,
    /// A shelf of OVA files.
    Ova,
}

/// `source.json`: where the snapshot comes from, and what could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceAbout {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// vSphere, OpenStack or OVA.
    pub kind: SourceKind,
    /// The address that was read, without credentials.
    pub endpoint: String,
    /// vCenter's instance UUID; the OpenStack project's id; absent for OVA. Together with a VM's
    /// id it names a machine for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// vSphere: the datacenter's path, as the import's source needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// OpenStack: the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// OpenStack: the project, name and id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
    /// Product and version as the server calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// API version or microversions used, by service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub api: BTreeMap<String, String>,
    /// How the server's certificate was checked: `verified`, `ca`, `insecure`, or `plain` (HTTP).
    pub tls: String,
    /// The account that read, never its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How many of each kind the files hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// What could not be read. Incomplete is allowed, silent is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// An OpenStack project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name, where the account may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// What was to be read (`images`, `config.keyId`, …).
    pub what: String,
    /// On which object, if on one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Why not, in the server's words where it gave some.
    pub reason: String,
}

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
    /// `category/tag` (vSphere) or `tag` (OpenStack), sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Custom attributes (vSphere), metadata (OpenStack).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
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
    /// Ephemeral disk in GiB, which is not exported (O03); absent if zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_gib: Option<u64>,
    /// Swap disk in MiB, which is not exported (O03); absent if zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_mib: Option<u64>,
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

/// One disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// vSphere: device key. OpenStack: volume id. OVA: the disk's file name in the archive.
    pub key: String,
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
    /// Backing file or the disk's file in the OVA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Size of the file in the OVA archive: V of the footprints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<Bytes>,
    /// The disk the machine boots from, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<bool>,
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
    /// vSphere: connected at power-on. OpenStack: the port has a fixed IP (W08).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
}

/// What an OVA's archive and descriptor say beyond the VM (A01–A10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OvaFacts {
    /// Size of the archive: A of the footprints.
    pub archive_bytes: Bytes,
    /// Digest used by the manifest (`sha1`, `sha256`, `sha512`); absent if there is none (A03).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Number of virtual systems in the descriptor (A04).
    pub virtual_systems: u32,
    /// Disks of the descriptor without a file in the archive (A05), sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blank_disks: Vec<String>,
    /// Items of the descriptor that lack what the engine takes for granted, and crashes without
    /// (A06, A07): instance id and missing field, in the descriptor's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete_items: Vec<String>,
}

/// A network at a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Managed object reference or network id.
    pub id: String,
    /// Its name; not unique.
    pub name: String,
    /// `standard`, `dvportgroup`, `opaque`, `neutron`.
    pub kind: String,
    /// VLAN id, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// vSphere: the distributed switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
    /// An uplink port group: never offered for mapping.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uplink: bool,
    /// OpenStack: whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// OpenStack: shared between projects.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// Another network has this name (W04).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate_name: bool,
}

/// A datastore or volume type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Reference or id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `VMFS`, `NFS`, `vsan`, …; `cinder`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Size, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<Bytes>,
}

/// A hypervisor host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Reference or name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Cluster it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Hypervisor version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// CPU cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<Bytes>,
}

/// Whether a guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// Running.
    On,
    /// Switched off.
    Off,
    /// Suspended to disk.
    Suspended,
    /// Paused in memory.
    Paused,
    /// Anything else (error, rescue, unknown).
    Other,
}

/// What changes by itself: a line of `observed.jsonl`. Of a VM, or of a datastore (free space).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whose observation.
    pub id: String,
    /// Power state of a VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// The source's own word for the state (`ACTIVE`, `poweredOn`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// vSphere: connectionState, if not `connected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_state: Option<String>,
    /// vSphere: guest tools running (`guestToolsRunning`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<String>,
    /// Addresses of the guest, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guest_ips: Vec<String>,
    /// Bytes used at the source, by disk key; rounded up to whole GiB. OVA: what the descriptor
    /// says that the disk holds, as it says it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub used_bytes: BTreeMap<String, Bytes>,
    /// Bytes used inside the guest; rounded up to whole GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_used_bytes: Option<Bytes>,
    /// OpenStack: task in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_state: Option<String>,
    /// Free bytes of a datastore; rounded up to whole GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<Bytes>,
}

/// One target's snapshot: what planning needs to know of a Harvester cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetInventory {
    /// `target.json`.
    pub about: TargetAbout,
    /// `vms.jsonl`: machines that are there already.
    pub vms: Vec<TargetVm>,
    /// `imports.jsonl`: imports of any state, also other people's.
    pub imports: Vec<TargetImport>,
    /// `ledger.jsonl`: what Windrow has done, so that an offline plan knows it.
    pub ledger: Vec<LedgerLine>,
}

/// `target.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetAbout {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The cluster's identity: uid of the namespace `kube-system`.
    pub cluster_uid: String,
    /// Harvester's version, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harvester_version: Option<String>,
    /// The engine's version (its image's tag), where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// Fields of the engine's `VirtualMachineImport.spec`, sorted; empty where it is not installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub import_fields: Vec<String>,
    /// What the engine's scratch is; absent where its Deployment could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<TargetScratch>,
    /// Storage classes, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_classes: Vec<TargetStorageClass>,
    /// Networks that machines can be attached to, `namespace/name`, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Namespaces, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
    /// What could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// The engine's scratch volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetScratch {
    /// What it is made of.
    pub kind: ScratchKind,
    /// The claim's name, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ObjectName>,
    /// Size: the claim's capacity, or the emptyDir's limit; absent for an emptyDir without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<Bytes>,
}

/// What the engine's scratch is made of (S02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScratchKind {
    /// On the node's own disk: a full one evicts the engine and its neighbours.
    EmptyDir,
    /// A persistent volume claim.
    Claim,
    /// Something else is mounted at the scratch path.
    Other,
}

/// A storage class of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetStorageClass {
    /// Its name.
    pub name: ObjectName,
    /// Its provisioner.
    pub provisioner: String,
    /// Whether it is the default one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// A machine in the target cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetVm {
    /// `namespace/name`.
    pub id: String,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: ObjectName,
    /// Whether the engine made it (label `migration.harvesterhci.io/imported`; N01).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// MAC addresses of its interfaces, lower case, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<String>,
}

/// An import in the target cluster, of any state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetImport {
    /// `namespace/name`.
    pub id: String,
    /// What it imports, as written in its spec.
    pub virtual_machine_name: String,
    /// Its source's kind, as written in its spec.
    pub source_kind: String,
    /// Whether Windrow made it (label `windrow.dev/machine`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ours: bool,
    /// The literal `importStatus`; absent while empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The target machine's name, once the engine has chosen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_name: Option<String>,
}

/// A machine of the ledger, as planning needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// `namespace/name` of the `MachineMigration`.
    pub id: String,
    /// The source's instance, as in [`SourceAbout::instance`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The VM at its source.
    pub vm: VmKey,
    /// How far it is ([`crate::machine::Stage`]).
    pub stage: crate::machine::Stage,
    /// The wave that moved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<String>,
}
