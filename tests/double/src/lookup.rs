//! From an import and its source to what the simulation is told: which VM it is, its disks, whether
//! its guest runs, and which of the engine's errors it will run into.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use engine::footprint::Footprint;
use engine::{DiskSpec, Fault, Guest, ImportSpec, Millis, Timing};
use inventory::{Access, CredentialSource, Credentials, NoProgress, Progress, pull_source};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, ResourceExt as _};
use schemas::ids::{Namespace, ObjectName, SourceName};
use schemas::inventory::{Power, SourceInventory, SourceKind, Vm};
use schemas::site;
use schemas::upstream::{
    OpenstackSource, OpenstackSourceSpec, OvaSource, OvaSourceSpec, SecretReference,
    VirtualMachineImport, VmwareSource, VmwareSourceSpec,
};

/// A source of one of the engine's three kinds.
#[derive(Clone, Debug)]
pub(crate) enum AnySource {
    Vmware(VmwareSourceSpec),
    Openstack(OpenstackSourceSpec),
    Ova(OvaSourceSpec),
}

/// Where the bytes of an import come from.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) source: AnySource,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) vm: Vm,
}

/// What the engine makes of an import when it first looks at it.
pub(crate) enum Lookup {
    /// Its source is there and not ready: look again later (P04).
    NotYet,
    /// This is what happens with it. Without an origin it never comes to an export.
    Known(Box<ImportSpec>, Option<Box<Origin>>),
}

/// Looks an import up as preflight and sanitizing do.
pub(crate) async fn look_up(client: &Client, import: &VirtualMachineImport) -> Result<Lookup> {
    let asked = &import.spec.virtual_machine_name;
    let reference = &import.spec.source_cluster;
    let source = match find_source(client, import).await? {
        Found::Missing => return Ok(refused(import, SourceKind::Ova)),
        Found::NotReady => return Ok(Lookup::NotYet),
        Found::Ready(source) => source,
    };
    let kind = source.kind();
    if !mapping_holds(client, import).await? {
        return Ok(refused(import, kind));
    }
    let held = read_source(client, &source, &reference.name, &NoProgress).await?;
    let folder = import.spec.folder.as_deref().unwrap_or_default();
    let matching: Vec<&Vm> = held
        .vms
        .iter()
        .filter(|vm| match kind {
            SourceKind::Openstack => vm.id == asked.as_str() || vm.name == asked.as_str(),
            SourceKind::Vmware => {
                vm.name == asked.as_str() && vm.folder.as_deref().unwrap_or_default() == folder
            }
            // An OVA is asked for by any name: the one item is meant.
            SourceKind::Ova => true,
        })
        .collect();
    let by_id = matching.iter().find(|vm| vm.id == asked.as_str());
    let vm = match (by_id, matching.as_slice()) {
        (Some(vm), _) | (None, [vm]) => (*vm).clone(),
        (None, none_or_several) => {
            let resembles = held
                .vms
                .iter()
                .any(|vm| vm.name.as_str().contains(asked.as_str()));
            let fault = match kind {
                SourceKind::Vmware => Fault::Invalid,
                _ if none_or_several.is_empty() && resembles => Fault::PanicOnLookup,
                _ => Fault::VmGone,
            };
            return Ok(Lookup::Known(
                Box::new(bare(import, kind, asked, fault)),
                None,
            ));
        }
    };
    let machine = match kind {
        SourceKind::Ova => asked.to_lowercase(),
        _ => vm.name.as_str().to_lowercase(),
    };
    if !is_label(&machine) {
        return Ok(refused(import, kind));
    }
    let spec = spec_of(import, kind, &vm, &held, ObjectName::new(machine));
    let credentials = Arc::new(load(client, source.secret()).await?.unwrap_or_default());
    let origin = Origin {
        source,
        credentials,
        vm,
    };
    Ok(Lookup::Known(Box::new(spec), Some(Box::new(origin))))
}

fn spec_of(
    import: &VirtualMachineImport,
    kind: SourceKind,
    vm: &Vm,
    held: &SourceInventory,
    machine: ObjectName,
) -> ImportSpec {
    let footprint = Footprint::of_vm(kind, vm);
    let (namespace, name) = place(import);
    let bases: Vec<&str> = vm
        .disks
        .iter()
        .map(|disk| disk.file.as_deref().unwrap_or(&disk.key))
        .collect();
    let files = engine::import::file_names(kind, &namespace, &name, &machine, &bases);
    let off = held
        .observed
        .get(vm.id.as_str())
        .is_some_and(|observed| observed.power == Some(Power::Off));
    let archive = vm
        .ova
        .as_ref()
        .map(|ova| (engine::import::archive_name(&machine), ova.archive_bytes));
    let timeout = import.spec.graceful_shutdown_timeout_seconds.unwrap_or(60);
    let blank = vm
        .ova
        .as_ref()
        .is_some_and(|ova| !ova.blank_disks.is_empty());
    ImportSpec {
        namespace,
        name,
        machine,
        kind,
        guest: if off || kind == SourceKind::Ova {
            Guest::Off
        } else {
            Guest::On(Timing::External)
        },
        shutdown_timeout: Millis::from_seconds(u64::try_from(timeout).unwrap_or(60)),
        peak: footprint.size().peak.0,
        archive,
        disks: vm
            .disks
            .iter()
            .zip(files)
            .map(|(disk, file)| DiskSpec {
                file,
                written: disk.capacity_bytes,
                image: Timing::External,
            })
            .collect(),
        export: Timing::External,
        boot: Timing::External,
        fault: blank.then_some(Fault::PanicAfterExport),
    }
}

/// What the simulation is told of an import that never comes to an export.
fn bare(
    import: &VirtualMachineImport,
    kind: SourceKind,
    machine: &str,
    fault: Fault,
) -> ImportSpec {
    let (namespace, name) = place(import);
    ImportSpec {
        namespace,
        name,
        machine: ObjectName::new(machine.to_lowercase()),
        kind,
        guest: Guest::Off,
        shutdown_timeout: Millis::from_seconds(60),
        peak: schemas::units::Bytes::ZERO,
        archive: None,
        disks: Vec::new(),
        export: Timing::External,
        boot: Timing::External,
        fault: Some(fault),
    }
}

fn refused(import: &VirtualMachineImport, kind: SourceKind) -> Lookup {
    let asked = &import.spec.virtual_machine_name;
    Lookup::Known(Box::new(bare(import, kind, asked, Fault::Invalid)), None)
}

fn place(import: &VirtualMachineImport) -> (Namespace, ObjectName) {
    let namespace = import.namespace().unwrap_or_default();
    (
        Namespace::new(namespace),
        ObjectName::new(import.name_any()),
    )
}

fn is_label(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.starts_with(fits)
        && name.ends_with(fits)
        && name.chars().all(|c| fits(c) || c == '-')
}

enum Found {
    Missing,
    NotReady,
    Ready(AnySource),
}

async fn find_source(client: &Client, import: &VirtualMachineImport) -> Result<Found> {
    let reference = &import.spec.source_cluster;
    let (namespace, name) = (reference.namespace.as_str(), reference.name.as_str());
    macro_rules! get {
        ($kind:ident, $arm:ident) => {
            Api::<$kind>::namespaced(client.clone(), namespace)
                .get_opt(name)
                .await?
                .map(|object| {
                    (
                        object.status.unwrap_or_default(),
                        AnySource::$arm(object.spec),
                    )
                })
        };
    }
    let found = match reference.kind.to_lowercase().as_str() {
        "vmwaresource" => get!(VmwareSource, Vmware),
        "openstacksource" => get!(OpenstackSource, Openstack),
        "ovasource" => get!(OvaSource, Ova),
        _ => None,
    };
    Ok(match found {
        None => Found::Missing,
        Some((status, source)) if status.status == "clusterReady" => Found::Ready(source),
        Some(_) => Found::NotReady,
    })
}

/// Whether storage class and networks exist and no source network is mapped twice (P09, W10).
async fn mapping_holds(client: &Client, import: &VirtualMachineImport) -> Result<bool> {
    if let Some(class) = import
        .spec
        .storage_class
        .as_deref()
        .filter(|class| !class.is_empty())
    {
        let classes: Api<StorageClass> = Api::all(client.clone());
        if classes.get_opt(class).await?.is_none() {
            return Ok(false);
        }
    }
    let kind = GroupVersionKind::gvk("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition");
    let resource = ApiResource::from_gvk_with_plural(&kind, "network-attachment-definitions");
    let mut seen = Vec::new();
    for mapping in &import.spec.network_mapping {
        if seen.contains(&&mapping.source_network) {
            return Ok(false);
        }
        seen.push(&mapping.source_network);
        let own = import.namespace().unwrap_or_default();
        let (namespace, name) = mapping
            .destination_network
            .split_once('/')
            .unwrap_or((&own, &mapping.destination_network));
        let networks: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &resource);
        if networks.get_opt(name).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl AnySource {
    pub(crate) fn kind(&self) -> SourceKind {
        match self {
            Self::Vmware(_) => SourceKind::Vmware,
            Self::Openstack(_) => SourceKind::Openstack,
            Self::Ova(_) => SourceKind::Ova,
        }
    }

    fn secret(&self) -> Option<&SecretReference> {
        match self {
            Self::Vmware(spec) => Some(&spec.credentials),
            Self::Openstack(spec) => Some(&spec.credentials),
            Self::Ova(spec) => spec.credentials.as_ref(),
        }
    }
}

/// Reads what a source holds, with the same collectors as `windrow inventory pull`.
pub(crate) async fn read_source(
    client: &Client,
    source: &AnySource,
    name: &str,
    progress: &dyn Progress,
) -> Result<SourceInventory> {
    let mut described = site::Source {
        name: SourceName::new(name),
        vmware: None,
        openstack: None,
        ova: None,
        credentials: site::SourceCredentials::default(),
    };
    match source {
        AnySource::Vmware(spec) => {
            described.vmware = Some(site::VmwareSource {
                endpoint: spec.endpoint.clone(),
                datacenter: spec.dc.clone(),
            });
        }
        AnySource::Openstack(spec) => {
            described.openstack = Some(site::OpenstackSource {
                endpoint: spec.endpoint.clone(),
                region: spec.region.clone(),
            });
        }
        AnySource::Ova(spec) => {
            described.ova = Some(site::OvaSource {
                items: vec![site::OvaItem {
                    url: spec.url.clone(),
                    name: ObjectName::new(name),
                }],
            });
        }
    }
    let credentials = load(client, source.secret()).await?;
    let access = Access {
        credentials: credentials.as_ref(),
        ..Access::default()
    };
    pull_source(&described, access, progress)
        .await
        .map_err(|error| anyhow!(error))
        .with_context(|| format!("read the source {name}"))?
        .whole()
        .with_context(|| format!("read what was kept of the source {name}"))
}

async fn load(client: &Client, secret: Option<&SecretReference>) -> Result<Option<Credentials>> {
    let Some(secret) = secret else {
        return Ok(None);
    };
    if secret.name.is_empty() {
        bail!("the source names no Secret");
    }
    let cluster = CredentialSource::Cluster(client.clone());
    let (namespace, name) = (
        Namespace::new(secret.namespace.clone()),
        ObjectName::new(secret.name.clone()),
    );
    Ok(Some(cluster.load(&namespace, &name).await?))
}
