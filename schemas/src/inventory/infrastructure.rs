//! What is around the VMs: networks, storage, hosts.

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// A network at a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a line of a file: each is a fact of its own"
)]
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
    /// OpenStack: `vlan`, `vxlan`, `geneve`, `flat`, …, where the account may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_type: Option<String>,
    /// OpenStack: the segment's number in its kind, where the account may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u64>,
    /// OpenStack: largest packet in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// OpenStack: ids of its subnets, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// OpenStack: Neutron answers DHCP on it, as a port of that kind shows; absent if not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<bool>,
    /// OpenStack: leads outside; servers get floating addresses from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
    /// VLAN ids of a trunk, as in `0-4094`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// vSphere: the distributed switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
    /// vSphere: path of its datacenter; the snapshot has networks of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// An uplink port group: never offered for mapping.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uplink: bool,
    /// OpenStack: id of the project whose it is.
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
    /// vSphere: mounted by several hosts, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiple_host_access: Option<bool>,
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
    /// CPU model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    /// Clock of a core in MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_mhz: Option<u32>,
    /// CPU sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sockets: Option<u32>,
    /// CPU cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<Bytes>,
}
