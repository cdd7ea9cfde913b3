//! One VM of what five services know of a server. Pure: answers in, inventory out.
//!
//! Disks are the attached volumes in device order, since the engine takes that for the boot order.
//! Firmware, TPM, secure boot and buses come from the image that the engine will read: that of the
//! boot volume, or of the server if it boots from an image (which is not exported, O03).

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::{VmId, VmName};
use schemas::inventory::{
    Disk, Flavor, Gap, GuestOs, Network, Nic, Observed, Power, Project, RootDisk, SourceAbout,
    SourceInventory, SourceKind, Storage, Vm,
};
use schemas::units::Bytes;

use super::list::{COMPUTE, VOLUME};
use super::read::Estate;
use super::wire::{self, Image, Port, Server};

/// Where an estate was read, and as whom.
pub(super) struct Origin {
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) project: Project,
    pub(super) user: String,
    pub(super) tls: &'static str,
}

/// The inventory of an estate. Its order depends on ids only, never on the answers' order.
pub(super) fn inventory(origin: Origin, estate: &Estate) -> SourceInventory {
    let ports = ports_by_server(estate);
    let vms: Vec<Vm> = estate
        .servers
        .values()
        .map(|server| {
            let ports = ports.get(server.id.as_str()).map_or(&[][..], Vec::as_slice);
            vm(&origin.project, estate, server, ports)
        })
        .collect();
    let observed = estate
        .servers
        .values()
        .map(|server| (server.id.clone(), observed(server)));
    let (networks, storage) = (networks(estate), storage(estate));
    let counts = [
        ("vms", vms.len()),
        ("networks", networks.len()),
        ("storage", storage.len()),
    ];
    let mut gaps = estate.gaps.clone();
    gaps.sort();
    let about = SourceAbout {
        instance: Some(origin.project.id.clone()),
        region: Some(origin.region),
        project: Some(origin.project),
        product: estate
            .compute_version
            .as_ref()
            .map(|newest| format!("OpenStack Nova {newest}")),
        api: [
            ("compute", COMPUTE),
            ("volume", VOLUME),
            ("image", "2"),
            ("network", "2.0"),
        ]
        .map(|(service, version)| (service.to_owned(), version.to_owned()))
        .into(),
        user: Some(origin.user),
        counts: counts
            .map(|(what, count)| (what.to_owned(), count as u64))
            .into(),
        gaps,
        ..SourceAbout::new(SourceKind::Openstack, origin.endpoint, origin.tls)
    };
    SourceInventory {
        vms,
        networks,
        storage,
        observed: observed.collect(),
        ..SourceInventory::new(about)
    }
}

fn vm(own: &Project, estate: &Estate, server: &Server, ports: &[&Port]) -> Vm {
    let disks = disks(estate, server);
    // An empty image means that the server boots from a volume; which one, no service tells an
    // ordinary user: the engine takes the first bootable one, and so do we.
    let root_disk = if server.image.is_some() {
        RootDisk::Ephemeral
    } else {
        RootDisk::Volume
    };
    let boot = match root_disk {
        RootDisk::Volume => disks.iter().position(|disk| is_bootable(estate, &disk.key)),
        RootDisk::Ephemeral => None,
    };
    let boot_volume = boot.and_then(|at| estate.volumes.get(&disks[at].key));
    let boot_image = boot_volume.and_then(|volume| volume.image_id());
    let image_id = server.image.as_deref().or(boot_image);
    // A deleted image still shows in the copy that the boot volume keeps of its properties.
    let image = image_id
        .and_then(|id| estate.images.get(id))
        .and_then(Clone::clone)
        .or_else(|| {
            let copy = &boot_volume?.image;
            (!copy.is_empty()).then(|| copy.iter().collect())
        });
    let text = |key| {
        image
            .as_ref()
            .and_then(|image| image.text(key))
            .map(str::to_owned)
    };
    let (vcpus, memory_mib, flavor) = flavor(estate, server);
    Vm {
        id: VmId::new(&server.id),
        name: VmName::new(&server.name),
        project: Some(project(own, server)),
        description: server.description.clone().filter(|text| !text.is_empty()),
        guest_os: guest_os(text("os_distro"), text("os_type")),
        hw_version: text("hw_machine_type"),
        vcpus,
        memory_mib,
        flavor: Some(flavor),
        firmware: image.as_ref().map(|image| firmware(image).to_owned()),
        secure_boot: image
            .as_ref()
            .map(|image| matches!(image.text("os_secure_boot"), Some("required" | "optional"))),
        tpm: image
            .as_ref()
            .map(|image| image.text("hw_tpm_model").is_some()),
        encrypted: encrypted(&disks),
        root_disk: Some(root_disk),
        boot_image: boot_image.map(str::to_owned),
        boot_image_exists: boot_image
            .and_then(|id| estate.images.get(id))
            .map(Option::is_some),
        nics: nics(estate, server, ports, text("hw_vif_model").as_deref()),
        passthrough: passthrough(ports),
        snapshots: snapshots(estate, &disks),
        host_group: server
            .availability_zone
            .clone()
            .filter(|zone| !zone.is_empty()),
        tags: server
            .tags
            .iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .cloned()
            .collect(),
        attributes: server.metadata.clone(),
        locked: server.locked,
        gaps: gaps(estate, server),
        disks: with_boot(disks, boot),
        ..Vm::default()
    }
}

/// The attached volumes in device order; those without a device last, as Nova lists them.
fn disks(estate: &Estate, server: &Server) -> Vec<Disk> {
    let mut disks: Vec<Disk> = server
        .volumes
        .iter()
        .filter_map(|attached| estate.volumes.get(&attached.id))
        .map(|volume| Disk {
            key: volume.id.clone(),
            controller: estate.device(&server.id, &volume.id).map(str::to_owned),
            capacity_bytes: Bytes::from_gib(volume.size),
            backing: Some("volume".to_owned()),
            sharing: volume.multiattach.then(|| "multiattach".to_owned()),
            storage: volume.kind.clone(),
            encrypted: volume.encrypted,
            ..Disk::default()
        })
        .collect();
    disks.sort_by(|a, b| {
        device_order(a.controller.as_deref()).cmp(&device_order(b.controller.as_deref()))
    });
    disks
}

/// Sorts `/dev/vda`, `/dev/vdb`, …, `/dev/vdz`, `/dev/vdaa`; what has no device comes last.
fn device_order(device: Option<&str>) -> (bool, usize, &str) {
    let device = device.map(|device| device.rsplit('/').next().unwrap_or(device));
    (
        device.is_none(),
        device.map_or(0, str::len),
        device.unwrap_or_default(),
    )
}

fn with_boot(mut disks: Vec<Disk>, boot: Option<usize>) -> Vec<Disk> {
    for (at, disk) in disks.iter_mut().enumerate() {
        disk.boot = Some(boot == Some(at));
    }
    disks
}

fn is_bootable(estate: &Estate, volume: &str) -> bool {
    estate
        .volumes
        .get(volume)
        .is_some_and(|volume| volume.bootable == "true")
}

/// Encrypted if any volume is; not known if that of one volume is not.
fn encrypted(disks: &[Disk]) -> Option<bool> {
    if disks.iter().any(|disk| disk.encrypted == Some(true)) {
        return Some(true);
    }
    disks
        .iter()
        .all(|disk| disk.encrypted.is_some())
        .then_some(false)
}

fn firmware(image: &Image) -> &'static str {
    if image.text("hw_firmware_type") == Some("uefi") {
        "efi"
    } else {
        "bios"
    }
}

fn guest_os(id: Option<String>, family: Option<String>) -> Option<GuestOs> {
    (id.is_some() || family.is_some()).then_some(GuestOs {
        id,
        family,
        ..GuestOs::default()
    })
}

/// CPUs and memory, and what is known of the flavor. Where it is gone, the server's copy tells.
fn flavor(estate: &Estate, server: &Server) -> (Option<u32>, Option<u64>, Flavor) {
    let some = |amount: u64| (amount > 0).then_some(amount);
    let id = server.flavor.id.clone();
    if let Some(known) = id.as_ref().and_then(|id| estate.flavors.get(id)) {
        let flavor = Flavor {
            id,
            name: Some(known.name.clone()),
            exists: true,
            ephemeral_gib: some(known.ephemeral),
            swap_mib: some(known.swap),
            ..Flavor::default()
        };
        return (Some(known.vcpus), Some(known.ram), flavor);
    }
    let exists = !id
        .as_ref()
        .is_some_and(|id| estate.gone_flavors.contains(id));
    let copy = estate
        .flavor_copies
        .get(&server.id)
        .cloned()
        .unwrap_or_default();
    let flavor = Flavor {
        id,
        name: copy.original_name,
        exists,
        ephemeral_gib: some(copy.ephemeral),
        swap_mib: some(copy.swap),
        ..Flavor::default()
    };
    (copy.vcpus, copy.ram, flavor)
}

/// Whose the server is; our own project's name is known.
fn project(own: &Project, server: &Server) -> Project {
    if server.tenant_id == own.id {
        own.clone()
    } else {
        Project {
            id: server.tenant_id.clone(),
            name: None,
        }
    }
}

fn ports_by_server(estate: &Estate) -> BTreeMap<&str, Vec<&Port>> {
    let mut by_server = BTreeMap::<_, Vec<_>>::new();
    for port in estate.ports.values() {
        if port.device_owner.starts_with("compute:") {
            by_server
                .entry(port.device_id.as_str())
                .or_default()
                .push(port);
        }
    }
    by_server
}

/// A NIC a port, by id. A network that we may not list still has its name in the server's
/// addresses; so has a port that we may not list, and its MAC stands for its id.
fn nics(estate: &Estate, server: &Server, ports: &[&Port], model: Option<&str>) -> Vec<Nic> {
    let addresses: BTreeMap<String, &String> = server
        .addresses
        .iter()
        .flat_map(|(network, list)| list.iter().map(move |address| (network, address)))
        .filter_map(|(network, address)| {
            Some((address.mac.as_ref()?.to_ascii_lowercase(), network))
        })
        .collect();
    let model = model.map(str::to_owned);
    let mut nics: Vec<Nic> = ports
        .iter()
        .map(|port| {
            let mac = port.mac_address.to_ascii_lowercase();
            let listed = estate
                .networks
                .get(&port.network_id)
                .map(|network| &network.name);
            Nic {
                key: port.id.clone(),
                model: model.clone(),
                network: Some(port.network_id.clone()),
                network_name: listed.or(addresses.get(&mac).copied()).cloned(),
                connected: Some(!port.fixed_ips.is_empty()),
                mac: Some(mac),
                ..Nic::default()
            }
        })
        .collect();
    for (mac, network) in addresses {
        if nics.iter().all(|nic| nic.mac.as_ref() != Some(&mac)) {
            nics.push(Nic {
                key: mac.clone(),
                model: model.clone(),
                network: None,
                network_name: Some(network.clone()),
                connected: Some(true),
                mac: Some(mac),
                ..Nic::default()
            });
        }
    }
    nics.sort_by(|a, b| a.key.cmp(&b.key));
    nics
}

/// Kinds of ports that are not plain virtual ones: `direct`, `macvtap`, ….
fn passthrough(ports: &[&Port]) -> Vec<String> {
    let kinds = ports.iter().filter_map(|port| port.vnic_type.as_deref());
    let special: BTreeSet<_> = kinds.filter(|kind| *kind != "normal").collect();
    special.into_iter().map(str::to_owned).collect()
}

fn snapshots(estate: &Estate, disks: &[Disk]) -> Option<u32> {
    let of_disks = estate
        .snapshots
        .values()
        .filter(|s| disks.iter().any(|disk| disk.key == s.volume_id));
    u32::try_from(of_disks.count())
        .ok()
        .filter(|count| *count > 0)
}

/// Volumes that hang on the server and could not be read: its disks are incomplete.
fn gaps(estate: &Estate, server: &Server) -> Vec<Gap> {
    let unread = server
        .volumes
        .iter()
        .filter(|volume| !estate.volumes.contains_key(&volume.id));
    let mut gaps: Vec<Gap> = unread
        .map(|volume| Gap {
            what: "volume".to_owned(),
            object: Some(volume.id.clone()),
            reason: "the block storage service does not show it to this user".to_owned(),
        })
        .collect();
    gaps.sort();
    gaps
}

/// Only `SHUTOFF` counts as off for the engine, and only `ACTIVE` can be shut down (O09).
fn power(status: &str) -> Power {
    match status {
        "ACTIVE" => Power::On,
        "SHUTOFF" => Power::Off,
        "SUSPENDED" => Power::Suspended,
        "PAUSED" => Power::Paused,
        _ => Power::Other,
    }
}

fn observed(server: &Server) -> Observed {
    let addresses = server.addresses.values().flatten();
    let own = addresses.filter(|address| address.kind.as_deref() != Some("floating"));
    let guest_ips: BTreeSet<_> = own.map(|address| address.addr.clone()).collect();
    Observed {
        id: server.id.clone(),
        power: Some(power(&server.status)),
        status: Some(server.status.clone()),
        guest_ips: guest_ips.into_iter().collect(),
        task_state: server.task_state.clone(),
        ..Observed::default()
    }
}

fn networks(estate: &Estate) -> Vec<Network> {
    let mut names = BTreeMap::<&str, u32>::new();
    for network in estate.networks.values() {
        *names.entry(&network.name).or_default() += 1;
    }
    let vlan = |network: &wire::Network| {
        let is_vlan = network.provider_type.as_deref() == Some("vlan");
        network
            .segment
            .filter(|_| is_vlan)
            .and_then(|id| u16::try_from(id).ok())
    };
    estate
        .networks
        .values()
        .map(|network| Network {
            id: network.id.clone(),
            name: network.name.clone(),
            kind: "neutron".to_owned(),
            vlan: vlan(network),
            project: network.tenant_id.clone(),
            shared: network.shared,
            duplicate_name: names[network.name.as_str()] > 1,
            ..Network::default()
        })
        .collect()
}

fn storage(estate: &Estate) -> Vec<Storage> {
    estate
        .volume_types
        .values()
        .map(|kind| Storage {
            id: kind.id.clone(),
            name: kind.name.clone(),
            kind: "cinder".to_owned(),
            capacity_bytes: None,
            ..Storage::default()
        })
        .collect()
}
