//! One VM of what five services know of a server. Pure: answers in, inventory out.
//!
//! Disks are the attached volumes in device order, since the engine takes that for the boot order.
//! Firmware, TPM, secure boot and buses come from the image that the engine will read: that of the
//! boot volume, or of the server if it boots from an image (which is not exported, O03).

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::{VmId, VmName};
use schemas::inventory::{
    Disk, Flavor, Gap, GuestOs, Identity, Network, Nic, OBSERVED_QUOTAS, Observed, Power, Project,
    Quota, RootDisk, Rule, RuleKind, SourceAbout, SourceInventory, SourceKind, Storage, Vm,
};
use schemas::units::Bytes;

use super::list::COMPUTE;
use super::read::Estate;
use super::wire::{self, Image, Port, Server, UserData};

/// Where an estate was read, and as whom.
pub(super) struct Origin {
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) project: Project,
    pub(super) user: String,
    pub(super) tls: &'static str,
    pub(super) identity: Option<Identity>,
    pub(super) token_seconds: Option<u64>,
    pub(super) password_expires: Option<jiff::Timestamp>,
}

/// Limits of a project that an export needs room under: our name, Cinder's for the limit, Cinder's
/// for what is used (O08).
const QUOTAS: [(&str, &str, &str); 3] = [
    ("gigabytes", "maxTotalVolumeGigabytes", "totalGigabytesUsed"),
    ("snapshots", "maxTotalSnapshots", "totalSnapshotsUsed"),
    ("volumes", "maxTotalVolumes", "totalVolumesUsed"),
];

/// The inventory of an estate. Its order depends on ids only, never on the answers' order. Uses the
/// estate up: each server and its ports are let go once they are a VM, so that a large project is not
/// held twice.
pub(super) fn inventory(origin: Origin, mut estate: Estate) -> SourceInventory {
    let observed: BTreeMap<_, _> = estate
        .servers
        .values()
        .map(|server| (server.id.clone(), observed(&estate, server)))
        .chain(used(&estate).map(|used| (used.id.clone(), used)))
        .collect();
    let rules = rules(&estate);
    let (networks, storage) = (networks(&estate), storage(&estate));
    let mut ports = ports_by_server(std::mem::take(&mut estate.ports));
    let mut vms = Vec::with_capacity(estate.servers.len());
    for (id, server) in std::mem::take(&mut estate.servers) {
        let ports = ports.remove(&id).unwrap_or_default();
        vms.push(vm(&origin.project, &estate, &server, &ports));
    }
    let counts = [
        ("vms", vms.len()),
        ("networks", networks.len()),
        ("storage", storage.len()),
        ("rules", rules.len()),
    ];
    let mut gaps = estate.gaps.clone();
    gaps.sort();
    let about = SourceAbout {
        instance: Some(origin.project.id.clone()),
        region: Some(origin.region),
        project: Some(origin.project),
        product: estate
            .versions
            .compute
            .map(|newest| format!("OpenStack Nova {newest}")),
        api: [
            ("compute", COMPUTE.to_owned()),
            ("compute flavors", estate.versions.flavors()),
            ("volume", estate.versions.volumes()),
            ("image", "2".to_owned()),
            ("network", "2.0".to_owned()),
        ]
        .map(|(service, version)| (service.to_owned(), version))
        .into(),
        user: Some(origin.user),
        identity: origin.identity,
        scope: Some(if estate.all_projects { "all" } else { "own" }.to_owned()),
        token_seconds: origin.token_seconds,
        password_expires: origin.password_expires,
        quotas: quotas(&estate),
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
        rules,
        observed,
        ..SourceInventory::new(about)
    }
}

fn vm(own: &Project, estate: &Estate, server: &Server, ports: &[Port]) -> Vm {
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
        project: Some(project(own, estate, server)),
        created: server.created.clone(),
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
        image: server.image.clone(),
        boot_image: boot_image.map(str::to_owned),
        boot_image_exists: boot_image
            .and_then(|id| estate.images.get(id))
            .map(Option::is_some),
        nics: nics(estate, server, ports, text("hw_vif_model").as_deref()),
        passthrough: passthrough(ports),
        snapshots: some(disks.iter().filter_map(|disk| disk.snapshots).sum()),
        host_group: server
            .availability_zone
            .clone()
            .filter(|zone| !zone.is_empty()),
        server_groups: groups(estate, server),
        security_groups: sorted(server.security_groups.iter().map(|group| &group.name)),
        key_pair: server.key_name.clone(),
        config_drive: server
            .config_drive
            .as_deref()
            .map(|text| text.eq_ignore_ascii_case("true")),
        user_data: match server.user_data {
            UserData::NotShown => None,
            given => Some(given == UserData::Some),
        },
        tags: sorted(server.tags.iter()),
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
            label: volume.name.clone().filter(|name| !name.is_empty()),
            controller: estate.device(server, &volume.id).map(str::to_owned),
            capacity_bytes: Bytes::from_gib(volume.size),
            backing: Some("volume".to_owned()),
            sharing: volume.multiattach.then(|| "multiattach".to_owned()),
            storage: volume.kind.clone(),
            backend: volume.host.clone(),
            zone: volume.availability_zone.clone(),
            bootable: Some(volume.bootable == "true"),
            image: volume.image_id().map(str::to_owned),
            image_properties: volume
                .image
                .iter()
                .filter(|(key, _)| key.starts_with("hw_") || key.starts_with("os_"))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            snapshots: estate.snapshot_counts.get(&volume.id).copied(),
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
    let id = server.flavor.id.clone();
    if let Some(known) = id.as_ref().and_then(|id| estate.flavors.get(id)) {
        let flavor = Flavor {
            id,
            name: Some(known.name.clone()),
            exists: true,
            ephemeral_gib: some(known.ephemeral),
            swap_mib: some(known.swap),
            public: known.public,
            disk_gib: some(known.disk),
            extra_specs: known.extra_specs.clone(),
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
        public: None,
        disk_gib: some(copy.disk),
        extra_specs: copy.extra_specs,
    };
    (copy.vcpus, copy.ram, flavor)
}

/// Nothing where it is zero.
fn some<T: Default + PartialOrd>(amount: T) -> Option<T> {
    (amount > T::default()).then_some(amount)
}

fn sorted<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let sorted: BTreeSet<&String> = texts.collect();
    sorted.into_iter().cloned().collect()
}

/// Whose the server is; our own project's name is known.
fn project(own: &Project, estate: &Estate, server: &Server) -> Project {
    if server.tenant_id == own.id {
        own.clone()
    } else {
        Project {
            id: server.tenant_id.clone(),
            name: estate.projects.get(&server.tenant_id).cloned().flatten(),
        }
    }
}

fn ports_by_server(ports: BTreeMap<String, Port>) -> BTreeMap<String, Vec<Port>> {
    let mut by_server = BTreeMap::<_, Vec<_>>::new();
    for port in ports.into_values() {
        if port.device_owner.starts_with("compute:") {
            by_server
                .entry(port.device_id.clone())
                .or_default()
                .push(port);
        }
    }
    by_server
}

/// A NIC a port, by id. A network that we may not list still has its name in the server's
/// addresses; so has a port that we may not list, and its MAC stands for its id. An address without
/// a MAC is kept without: the engine crashes on it (W08).
fn nics(estate: &Estate, server: &Server, ports: &[Port], model: Option<&str>) -> Vec<Nic> {
    let mut addresses: BTreeMap<String, OfAddresses> = BTreeMap::new();
    for (network, list) in &server.addresses {
        for address in list {
            let mac = address.mac.as_ref().map(|mac| mac.to_ascii_lowercase());
            let key = mac.clone().unwrap_or_else(|| format!("{network}/no-mac"));
            let known = addresses.entry(key).or_insert_with(|| OfAddresses {
                network,
                mac,
                fixed: BTreeSet::new(),
                floating: BTreeSet::new(),
            });
            if address.kind.as_deref() == Some("floating") {
                known.floating.insert(&address.addr);
            } else {
                known.fixed.insert(&address.addr);
            }
        }
    }
    let model = model.map(str::to_owned);
    let mut nics: Vec<Nic> = ports
        .iter()
        .map(|port| {
            let mac = port.mac_address.to_ascii_lowercase();
            let listed = estate.networks.get(&port.network_id);
            let address = addresses.remove(&mac);
            let fixed: BTreeSet<&String> = port.fixed_ips.iter().map(|ip| &ip.ip_address).collect();
            Nic {
                key: port.id.clone(),
                model: model.clone(),
                network: Some(port.network_id.clone()),
                network_name: listed
                    .map(|network| &network.name)
                    .or(address.as_ref().map(|address| address.network))
                    .cloned(),
                connected: Some(!port.fixed_ips.is_empty()),
                fixed_ips: fixed.into_iter().cloned().collect(),
                floating_ips: address.map_or_else(Vec::new, |known| known.floating()),
                vnic_type: port.vnic_type.clone().filter(|kind| kind != "normal"),
                mac: Some(mac),
                ..Nic::default()
            }
        })
        .collect();
    nics.extend(addresses.into_iter().map(|(key, known)| Nic {
        key,
        model: model.clone(),
        network_name: Some(known.network.clone()),
        connected: Some(true),
        fixed_ips: sorted(known.fixed.iter().copied()),
        floating_ips: known.floating(),
        mac: known.mac,
        ..Nic::default()
    }));
    nics.sort_by(|a, b| a.key.cmp(&b.key));
    nics
}

/// What a server's addresses say of one NIC.
struct OfAddresses<'a> {
    network: &'a String,
    mac: Option<String>,
    fixed: BTreeSet<&'a String>,
    floating: BTreeSet<&'a String>,
}

impl OfAddresses<'_> {
    fn floating(&self) -> Vec<String> {
        sorted(self.floating.iter().copied())
    }
}

/// Kinds of ports that are not plain virtual ones: `direct`, `macvtap`, ….
fn passthrough(ports: &[Port]) -> Vec<String> {
    let kinds = ports.iter().filter_map(|port| port.vnic_type.as_deref());
    let special: BTreeSet<_> = kinds.filter(|kind| *kind != "normal").collect();
    special.into_iter().map(str::to_owned).collect()
}

/// Ids of the server's groups.
fn groups(estate: &Estate, server: &Server) -> Vec<String> {
    let groups = estate.groups.values();
    groups
        .filter(|group| group.members.contains(&server.id))
        .map(|group| group.id.clone())
        .collect()
}

/// Server groups, and disks that several servers have.
fn rules(estate: &Estate) -> Vec<Rule> {
    let here = |ids: &[String]| -> Vec<VmId> {
        let here = ids.iter().filter(|id| estate.servers.contains_key(*id));
        sorted(here).into_iter().map(VmId::from).collect()
    };
    let groups = estate.groups.values().map(|group| {
        let policy = group.policy();
        Rule {
            id: format!("server-group:{}", group.id),
            kind: if policy.ends_with("anti-affinity") {
                RuleKind::AntiAffinity
            } else {
                RuleKind::Affinity
            },
            name: Some(group.name.clone()),
            members: here(&group.members),
            mandatory: Some(!policy.starts_with("soft-")),
            enabled: true,
            origin: "server-group".to_owned(),
            ..Rule::default()
        }
    });
    let shared = estate.volumes.values().filter_map(|volume| {
        let users: Vec<String> = volume
            .attachments
            .iter()
            .map(|at| at.server_id.clone())
            .collect();
        let members = here(&users);
        (members.len() > 1).then(|| Rule {
            id: format!("volume:{}", volume.id),
            kind: RuleKind::SharedDisk,
            name: Some(format!("volume:{}", volume.id)),
            members,
            enabled: true,
            origin: "disks".to_owned(),
            ..Rule::default()
        })
    });
    let mut rules: Vec<Rule> = groups.chain(shared).collect();
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    rules
}

fn quotas(estate: &Estate) -> Vec<Quota> {
    let limits = &estate.limits.limits.absolute;
    let known = QUOTAS
        .iter()
        .filter_map(|(what, limit, _)| Some((what, limits.get(*limit)?)));
    known
        .map(|(what, limit)| Quota {
            what: (*what).to_owned(),
            limit: u64::try_from(*limit).ok(),
        })
        .collect()
}

/// What is used of the limits, if they could be read.
fn used(estate: &Estate) -> Option<Observed> {
    let limits = &estate.limits.limits.absolute;
    let used: BTreeMap<String, u64> = QUOTAS
        .iter()
        .filter_map(|(what, _, used)| {
            Some(((*what).to_owned(), u64::try_from(*limits.get(*used)?).ok()?))
        })
        .collect();
    (!used.is_empty()).then(|| Observed {
        id: OBSERVED_QUOTAS.to_owned(),
        used,
        ..Observed::default()
    })
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
    let without_device = server.volumes.iter().filter(|volume| {
        estate.volumes.contains_key(&volume.id) && estate.device(server, &volume.id).is_none()
    });
    gaps.extend(without_device.map(|volume| {
        Gap {
            what: "device".to_owned(),
            object: Some(volume.id.clone()),
            reason: "Cinder lists no attachment, as while a server is shelved; the disks stand in \
                 Nova's order"
                .to_owned(),
        }
    }));
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

fn observed(estate: &Estate, server: &Server) -> Observed {
    let addresses = server.addresses.values().flatten();
    let own = addresses.filter(|address| address.kind.as_deref() != Some("floating"));
    let guest_ips: BTreeSet<_> = own.map(|address| address.addr.clone()).collect();
    Observed {
        id: server.id.clone(),
        power: Some(power(&server.status)),
        status: Some(server.status.clone()),
        guest_ips: guest_ips.into_iter().collect(),
        task_state: server.task_state.clone(),
        disk_states: server
            .volumes
            .iter()
            .filter_map(|attached| estate.volumes.get(&attached.id))
            .filter(|volume| !matches!(volume.status.as_str(), "" | "in-use"))
            .map(|volume| (volume.id.clone(), volume.status.clone()))
            .collect(),
        ..Observed::default()
    }
}

fn networks(estate: &Estate) -> Vec<Network> {
    let dhcp: BTreeSet<&str> = estate
        .ports
        .values()
        .filter(|port| {
            matches!(
                port.device_owner.as_str(),
                "network:dhcp" | "network:distributed"
            )
        })
        .map(|port| port.network_id.as_str())
        .collect();
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
            segment_type: network.provider_type.clone(),
            segment: network.segment,
            mtu: network.mtu,
            subnets: sorted(network.subnets.iter()),
            dhcp: dhcp.contains(network.id.as_str()).then_some(true),
            external: network.external,
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
