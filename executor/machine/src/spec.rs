//! From a wave's words to the objects of the engine and of the ledger.
//!
//! What is made here is complete: an import is never written again after its creation (Q06).

use jiff::Timestamp;
use schemas::ids::ObjectName;
use schemas::machine::{Attempt, MachineSpec, import_name};
use schemas::site::NicModel;
use schemas::upstream::{
    NetworkMapping, OpenstackSourceSpec, OvaSourceSpec, SecretReference, SourceReference,
    VirtualMachineImportSpec, VmwareSourceSpec,
};
use schemas::wave::{WaveImport, WaveSource};

use crate::observed::{At, SourceSpec, Wave};

/// API version of the engine's kinds (vm-import-controller v1.8.1).
const ENGINE_API_VERSION: &str = "migration.harvesterhci.io/v1beta1";

impl SourceSpec {
    /// What `source`, of a wave in the place of `wave`, is for the engine; nothing where the wave
    /// names none of the three kinds (its schema does not let that through).
    pub fn of(wave: &At, source: &WaveSource) -> Option<Self> {
        let secret = || {
            source.credentials.as_ref().map(|name| SecretReference {
                name: name.to_string(),
                namespace: wave.namespace.to_string(),
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

/// The import that `import`, of the wave at `at`, asks for; nothing where the wave does not list
/// the source that it comes from.
pub fn import_spec(at: &At, wave: &Wave, import: &WaveImport) -> Option<VirtualMachineImportSpec> {
    let source = source_of(wave, import)?;
    let kind = SourceSpec::of(at, source)?.kind();
    let seconds = i32::try_from(import.shutdown_timeout.0.0).unwrap_or(i32::MAX);
    Some(VirtualMachineImportSpec {
        source_cluster: SourceReference {
            api_version: ENGINE_API_VERSION.to_owned(),
            kind: kind.to_owned(),
            name: source.name.to_string(),
            namespace: at.namespace.to_string(),
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

/// The record that is opened for `import` of the wave at `at`, with attempt `number`.
pub(crate) fn machine_spec(
    at: &At,
    wave: &Wave,
    import: &WaveImport,
    number: u32,
    now: Timestamp,
) -> MachineSpec {
    MachineSpec {
        vm: import.vm.clone(),
        instance: None,
        name: import.name.clone(),
        plan: wave.spec.plan.clone(),
        wave: at.name.as_str().into(),
        digest: wave.spec.digest.clone(),
        namespace: import.namespace.clone(),
        machine: import.machine.clone(),
        size: import.size.clone(),
        attempt: Attempt {
            number,
            import: import_name(&import.record, number),
            opened: now,
        },
    }
}

/// The source that `import` comes from.
pub(crate) fn source_of<'a>(wave: &'a Wave, import: &WaveImport) -> Option<&'a WaveSource> {
    let named = |source: &&WaveSource| source.name == import.from;
    wave.spec.sources.iter().find(named)
}

/// Where the record of `record`, of the wave at `at`, is: beside the wave.
pub(crate) fn record_at(at: &At, record: &ObjectName) -> At {
    At::new(at.namespace.clone(), record.clone())
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
