//! Other people's objects in the target cluster, as far as Windrow reads or creates them.
//!
//! Field names are theirs, oddities included (`VirtualMachineImage` with a capital V). All types
//! ignore what they do not know: these objects belong to newer programs than ours.
//! Source: vm-import-controller v1.8.1, `pkg/apis/migration.harvesterhci.io/v1beta1`; Harvester
//! 1.8 `pkg/apis/harvesterhci.io/v1beta1`; KubeVirt `api/core/v1`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use kube::CustomResource;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Label that the engine puts on machines it made.
pub const LABEL_IMPORTED: &str = "migration.harvesterhci.io/imported";
/// Namespace of the engine.
pub const ENGINE_NAMESPACE: &str = "harvester-system";
/// Deployment, Service and claim of the engine.
pub const ENGINE_NAME: &str = "harvester-vm-import-controller";

/// One VM on its way.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "migration.harvesterhci.io",
    version = "v1beta1",
    kind = "VirtualMachineImport",
    plural = "virtualmachineimports",
    namespaced,
    schema = "disabled",
    status = "VirtualMachineImportStatus"
)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMachineImportSpec {
    /// The source object.
    pub source_cluster: SourceReference,
    /// Name or id to look for.
    pub virtual_machine_name: String,
    /// vSphere folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Which network becomes which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_mapping: Vec<NetworkMapping>,
    /// Storage class of all disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// Seconds until the guest's power is cut; the engine's default is 60 (V03).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_shutdown_timeout_seconds: Option<i32>,
}

/// Reference to a source object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceReference {
    /// `migration.harvesterhci.io/v1beta1`.
    pub api_version: String,
    /// `VmwareSource`, `OpenstackSource`, `OvaSource`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// Which network becomes which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkMapping {
    /// Network at the source.
    pub source_network: String,
    /// `namespace/name` on the target.
    pub destination_network: String,
    /// Model of the interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_interface_model: Option<String>,
}

/// What the engine says of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMachineImportStatus {
    /// How far it is.
    #[serde(default)]
    pub import_status: ImportState,
    /// Its disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disk_import_status: Vec<DiskInfo>,
    /// Cumulative.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub import_conditions: Vec<EngineCondition>,
    /// The machine's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_virtual_machine_name: Option<String>,
}

impl VirtualMachineImportStatus {
    /// Whether the condition is there and `True`.
    pub fn has(&self, condition: &str) -> bool {
        self.import_conditions
            .iter()
            .any(|c| c.r#type == condition && c.status == "True")
    }
}

/// Literal states of an import (`engine.md` §2). Three naming styles, matched as they are; what a
/// newer engine may add is kept as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImportState {
    /// Empty: not looked at, or its source is not ready.
    #[default]
    New,
    /// Preflight passed.
    Valid,
    /// Shutting down, then exporting: the conditions tell which.
    SourceReady,
    /// The disks are copied.
    DisksExported,
    /// The images are being taken in.
    DiskImageSubmitted,
    /// An image failed; practically never seen.
    DiskImageFailed,
    /// The images are in.
    DiskImagesReady,
    /// The machine exists.
    VirtualMachineCreated,
    /// The machine is ready. Final.
    VirtualMachineRunning,
    /// Refused. Final.
    Invalid,
    /// The export failed. Final.
    MigrationFailed,
    /// A state this program does not know.
    Unknown(String),
}

impl ImportState {
    /// The engine's own text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::New => "",
            Self::Valid => "virtualMachineImportValid",
            Self::SourceReady => "sourceReady",
            Self::DisksExported => "disksExported",
            Self::DiskImageSubmitted => "diskImageSubmitted",
            Self::DiskImageFailed => "diskImageFailed",
            Self::DiskImagesReady => "diskImagesReady",
            Self::VirtualMachineCreated => "virtualMachineCreated",
            Self::VirtualMachineRunning => "virtualMachineRunning",
            Self::Invalid => "virtualMachineImportInvalid",
            Self::MigrationFailed => "VMMigrationFailed",
            Self::Unknown(text) => text,
        }
    }

    /// Whether the engine does nothing more with it.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::VirtualMachineRunning | Self::Invalid | Self::MigrationFailed
        )
    }
}

impl FromStr for ImportState {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "" => Self::New,
            "virtualMachineImportValid" => Self::Valid,
            "sourceReady" => Self::SourceReady,
            "disksExported" => Self::DisksExported,
            "diskImageSubmitted" => Self::DiskImageSubmitted,
            "diskImageFailed" => Self::DiskImageFailed,
            "diskImagesReady" => Self::DiskImagesReady,
            "virtualMachineCreated" => Self::VirtualMachineCreated,
            "virtualMachineRunning" => Self::VirtualMachineRunning,
            "virtualMachineImportInvalid" => Self::Invalid,
            "VMMigrationFailed" => Self::MigrationFailed,
            other => Self::Unknown(other.to_owned()),
        })
    }
}

impl fmt::Display for ImportState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ImportState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ImportState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Ok(state) = String::deserialize(deserializer)?.parse();
        Ok(state)
    }
}

/// Conditions of an import, by the engine's names.
pub mod condition {
    /// The guest was asked to shut down.
    pub const SHUTDOWN_GUEST: &str = "VMShutdownGuest";
    /// Its power is being cut.
    pub const POWERING_OFF: &str = "VMPoweringOff";
    /// It is off.
    pub const POWERED_OFF: &str = "VMPoweredOff";
    /// Its disks are copied.
    pub const EXPORTED: &str = "VMExported";
    /// They could not be; the only condition with a message.
    pub const EXPORT_FAILED: &str = "VMExportFailed";
    /// Of a disk: its image was created.
    pub const IMAGE_SUBMITTED: &str = "VirtualMachineImageSubmitted";
    /// Of a disk: its image is in.
    pub const IMAGE_READY: &str = "VirtualMachineImageReady";
}

/// A disk of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskInfo {
    /// File name of the raw disk in the scratch.
    pub disk_name: String,
    /// Bytes (VMware, OVA) or GiB (OpenStack); for display only.
    #[serde(default)]
    pub disk_size: i64,
    /// Its folder in the scratch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_local_path: Option<String>,
    /// Its image, once submitted.
    #[serde(
        rename = "VirtualMachineImage",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub virtual_machine_image: Option<String>,
    /// Cumulative.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disk_conditions: Vec<EngineCondition>,
    /// `virtio`, `scsi`, `sata`.
    #[serde(default)]
    pub bus_type: String,
}

/// A condition as the engine writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineCondition {
    /// Its name.
    pub r#type: String,
    /// `True`, `False`, `Unknown`.
    pub status: String,
    /// When it last changed or was looked at, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// When it last changed, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A vCenter datacenter, for the engine.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "migration.harvesterhci.io",
    version = "v1beta1",
    kind = "VmwareSource",
    plural = "vmwaresources",
    namespaced,
    schema = "disabled",
    status = "SourceStatus"
)]
#[serde(rename_all = "camelCase")]
pub struct VmwareSourceSpec {
    /// The SDK's address.
    pub endpoint: String,
    /// Path of the datacenter.
    pub dc: String,
    /// Its Secret.
    pub credentials: SecretReference,
}

/// An OpenStack project in a region, for the engine.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "migration.harvesterhci.io",
    version = "v1beta1",
    kind = "OpenstackSource",
    plural = "openstacksources",
    namespaced,
    schema = "disabled",
    status = "SourceStatus"
)]
#[serde(rename_all = "camelCase")]
pub struct OpenstackSourceSpec {
    /// Keystone's address.
    pub endpoint: String,
    /// The region.
    pub region: String,
    /// Its Secret.
    pub credentials: SecretReference,
}

/// One OVA file, for the engine.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "migration.harvesterhci.io",
    version = "v1beta1",
    kind = "OvaSource",
    plural = "ovasources",
    namespaced,
    schema = "disabled",
    status = "SourceStatus"
)]
#[serde(rename_all = "camelCase")]
pub struct OvaSourceSpec {
    /// Where it is.
    pub url: String,
    /// Seconds for the whole download; zero: no limit; the engine's default is 600 (A02).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_timeout_seconds: Option<i64>,
    /// Its Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<SecretReference>,
}

/// Reference to a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretReference {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// What the engine says of a source. Never checked again once it is ready (L11).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// `clusterReady`, `clusterNotReady`, or empty: unreachable or wrong credentials.
    #[serde(default)]
    pub status: String,
    /// With a message where it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<EngineCondition>,
}

/// A disk image of Harvester.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "harvesterhci.io",
    version = "v1beta1",
    kind = "VirtualMachineImage",
    plural = "virtualmachineimages",
    namespaced,
    schema = "disabled",
    status = "VirtualMachineImageStatus"
)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMachineImageSpec {
    /// What people see.
    #[serde(default)]
    pub display_name: String,
}

/// What Harvester says of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMachineImageStatus {
    /// In hundredths.
    #[serde(default)]
    pub progress: i64,
    /// Bytes.
    #[serde(default)]
    pub size: i64,
    /// `Imported`, `RetryLimitExceeded` (final: the engine asks for no retry, S08).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<EngineCondition>,
}

/// A machine of KubeVirt, as far as we look at it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "kubevirt.io",
    version = "v1",
    kind = "VirtualMachine",
    plural = "virtualmachines",
    namespaced,
    schema = "disabled",
    status = "VirtualMachineStatus"
)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMachineSpec {
    /// The instance's template; kept as it is.
    #[serde(default)]
    pub template: serde_json::Value,
}

/// What KubeVirt says of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMachineStatus {
    /// Its pod is ready: not that the guest has booted (T05).
    #[serde(default)]
    pub ready: bool,
    /// In one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printable_status: Option<String>,
}
