//! From a wave's words to the objects of the engine: what the executor creates and what rendered
//! manifests hold is the same.
//!
//! What is made here is complete: an import is never written again after its creation (Q06).

use crate::ids::Namespace;
use crate::site::NicModel;
use crate::upstream::{
    NetworkMapping, OpenstackSourceSpec, OvaSourceSpec, SecretReference, SourceReference,
    VirtualMachineImportSpec, VmwareSourceSpec,
};
use crate::wave::{WaveImport, WaveSource, WaveSpec};

/// API version of the engine's kinds (vm-import-controller v1.8.1).
pub const ENGINE_API_VERSION: &str = "migration.harvesterhci.io/v1beta1";

/// What a source object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// vCenter.
    Vmware(VmwareSourceSpec),
    /// OpenStack.
    Openstack(OpenstackSourceSpec),
    /// OVA.
    Ova(OvaSourceSpec),
}

impl SourceSpec {
    /// What `source`, of a wave in `namespace`, is for the engine; nothing where the wave names none
    /// of the three kinds (its schema does not let that through).
    pub fn of(namespace: &Namespace, source: &WaveSource) -> Option<Self> {
        let secret = || {
            source.credentials.as_ref().map(|name| SecretReference {
                name: name.to_string(),
                namespace: namespace.to_string(),
            })
        };
        if let Some(vmware) = &source.vmware {
            return Some(Self::Vmware(VmwareSourceSpec {
                endpoint: vmware.endpoint.clone(),
                dc: vmware.datacenter.clone(),
                credentials: secret().unwrap_or_default(),
            }));
        }
        if let Some(openstack) = &source.openstack {
            return Some(Self::Openstack(OpenstackSourceSpec {
                endpoint: openstack.endpoint.clone(),
                region: openstack.region.clone(),
                credentials: secret().unwrap_or_default(),
            }));
        }
        source.ova.as_ref().map(|ova| {
            Self::Ova(OvaSourceSpec {
                url: ova.url.clone(),
                // No limit: the engine's default of 600 s includes the whole download (A02).
                http_timeout_seconds: Some(0),
                credentials: secret(),
            })
        })
    }

    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vmware(_) => "VmwareSource",
            Self::Openstack(_) => "OpenstackSource",
            Self::Ova(_) => "OvaSource",
        }
    }
}

/// The import that `import`, of a wave in `namespace`, asks for; nothing where the wave does not
/// list the source that it comes from.
pub fn import_spec(
    namespace: &Namespace,
    wave: &WaveSpec,
    import: &WaveImport,
) -> Option<VirtualMachineImportSpec> {
    let source = wave
        .sources
        .iter()
        .find(|source| source.name == import.from)?;
    let kind = SourceSpec::of(namespace, source)?.kind();
    let seconds = i32::try_from(import.shutdown_timeout.0.0).unwrap_or(i32::MAX);
    Some(VirtualMachineImportSpec {
        source_cluster: SourceReference {
            api_version: ENGINE_API_VERSION.to_owned(),
            kind: kind.to_owned(),
            name: source.name.to_string(),
            namespace: namespace.to_string(),
        },
        virtual_machine_name: import.find.clone(),
        folder: import.folder.clone(),
        network_mapping: import
            .networks
            .iter()
            .map(|network| NetworkMapping {
                source_network: network.from.to_string(),
                destination_network: network.to.to_string(),
                network_interface_model: network.model.map(|model| nic_model(model).to_owned()),
            })
            .collect(),
        storage_class: Some(import.storage_class.to_string()),
        graceful_shutdown_timeout_seconds: Some(seconds),
    })
}

/// The engine's word for an interface model (its enum, `NetworkInterfaceModel`).
fn nic_model(model: NicModel) -> &'static str {
    match model {
        NicModel::E1000 => "e1000",
        NicModel::E1000e => "e1000e",
        NicModel::Ne2kPci => "ne2k_pci",
        NicModel::Pcnet => "pcnet",
        NicModel::Rtl8139 => "rtl8139",
        NicModel::Virtio => "virtio",
    }
}
