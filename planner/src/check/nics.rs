//! Network interfaces: which the engine takes for which, and whether the target takes their
//! addresses.

use std::collections::{BTreeMap, BTreeSet};

use schemas::finding::Severity;
use schemas::ids::{SourceName, TargetName, VmKey};
use schemas::inventory::{Nic, SourceKind, TargetInventory};
use schemas::machine::Stage;

use super::table::Check;
use super::{Estate, Hit, Row};
use crate::diagnostic::{count, list};
use crate::resolve::NicFate;

/// The NICs of a VM that the target gets, each with the network that it will be on there.
pub(super) fn mapped<'a>(row: &Row<'a>) -> impl Iterator<Item = (&'a Nic, &'a str)> + use<'a> {
    row.vm
        .nics
        .iter()
        .zip(&row.to.nics)
        .filter_map(|(nic, fate)| match &fate.fate {
            NicFate::Mapped(network) => Some((nic, network.to.as_str())),
            NicFate::Dropped | NicFate::Unmapped => None,
        })
}

/// A network's name with a slash in it.
pub const W03: Check = Check {
    code: "W03",
    severity: Severity::Blocker,
    title: "has a NIC whose network's name the engine reads as a path",
    reads: "the network of each NIC that is mapped, and the names of the source's networks",
    why: "The engine looks for what stands behind the last `/` of a mapped network among the names of \
          the source, and ends as Invalid where there is none; the mapping itself compares the whole \
          name (VW:150, SN:23; #7452).",
    when: "the engine falls back to a NIC's label, such as `DSwitch/port`, and no network bears the \
           part behind the slash",
    see: "`govc device.info -vm PATH 'ethernet-*'`, line Summary",
    remedy: "attach the NIC to a port group with a plain name at the source, and map that",
    never_waived: None,
    run: |estate| {
        let mut names: BTreeMap<&SourceName, BTreeSet<&str>> = BTreeMap::new();
        estate.hits(|row| {
            if row.to.kind != SourceKind::Vmware {
                return None;
            }
            let odd = mapped(row).find_map(|(nic, _)| {
                let name = nic.network_name.as_deref()?;
                let last = name.rsplit_once('/')?.1;
                let known = names.entry(&row.to.key.source).or_insert_with(|| {
                    row.source
                        .networks
                        .iter()
                        .map(|network| network.name.as_str())
                        .collect()
                });
                (!known.contains(last))
                    .then(|| format!("network `{name}`, and none is called `{last}`"))
            });
            Some(Hit::vm(row.to, odd?))
        })
    },
};

/// Two networks of one name.
pub const W04: Check = Check {
    code: "W04",
    severity: Severity::Warning,
    title: "has a NIC on a network whose name others bear too",
    reads: "the names of all networks of the source, and which of them the plan's VMs are on",
    why: "The engine tells networks apart by name only, over the whole vCenter or project: two of one \
          name become one on the target (VW:648-673).",
    when: "two port groups of different switches or datacenters, or two Neutron networks, share a name",
    see: "`govc find / -type n -name NAME` or `openstack network list --name NAME`",
    remedy: "rename one of them at the source; or make a source of its own for each datacenter",
    never_waived: None,
    run: |estate| {
        // Of each name that is borne twice, the networks that VMs of the plan are really on.
        let mut used: BTreeMap<(&SourceName, &str), BTreeSet<&str>> = BTreeMap::new();
        let mut doubled: BTreeMap<&SourceName, BTreeSet<&str>> = BTreeMap::new();
        for (name, source) in &estate.inventory().sources {
            let twice = source
                .networks
                .iter()
                .filter(|network| network.duplicate_name);
            doubled.insert(name, twice.map(|network| network.name.as_str()).collect());
        }
        for row in estate.rows() {
            for (nic, _) in mapped(row) {
                if let (Some(name), Some(id)) = (&nic.network_name, &nic.network)
                    && doubled[&row.to.key.source].contains(name.as_str())
                {
                    used.entry((&row.to.key.source, name))
                        .or_default()
                        .insert(id);
                }
            }
        }
        estate.hits(|row| {
            let (name, ids) = mapped(row).find_map(|(nic, _)| {
                let name = nic.network_name.as_deref()?;
                Some((name, used.get(&(&row.to.key.source, name))?))
            })?;
            Some(if ids.len() > 1 {
                let ids: Vec<_> = ids.iter().collect();
                Hit::vm(
                    row.to,
                    format!(
                        "`{name}` is the name of {}, and VMs of this plan are on all",
                        list(&ids)
                    ),
                )
            } else {
                let evidence =
                    format!("`{name}` is the name of several networks; this plan's VMs are on one");
                Hit::vm(row.to, evidence).severity(Severity::Info)
            })
        })
    },
};

/// A NIC that is plugged into nothing the engine can name.
pub const W05: Check = Check {
    code: "W05",
    severity: Severity::Warning,
    title: "has a NIC whose network the engine can only guess",
    reads: "what each NIC is plugged into, and whether the inventory knows that network",
    why: "For an NSX segment, a port without a port group or a network that the account may not see, \
          the engine takes the device's label for its network. Where that differs from the mapping \
          by one character, the NIC is dropped (VW:494-569,648-673).",
    when: "a NIC's backing is opaque, a bare port of a switch, nothing, or a network that is gone",
    see: "`govc device.info -vm PATH 'ethernet-*'`, line Summary: that text must stand in the mapping",
    remedy: "attach it to a port group that the account sees, or import one such VM first and look at \
             its interfaces",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let guessed: Vec<String> = (row.vm.nics.iter())
                .filter_map(|nic| {
                    let what = match nic.backing.as_deref() {
                        Some(kind @ ("opaque" | "dvport")) => kind,
                        _ if nic.network.is_none() && unknown(row, nic) => "no known network",
                        _ => return None,
                    };
                    let label = nic.network_name.as_deref().unwrap_or("nothing");
                    Some(format!("{} ({what}, labelled {label})", nic.key))
                })
                .collect();
            (!guessed.is_empty()).then(|| format!("NIC {}", list(&guessed)))
        })
    },
};

/// Whether the inventory has networks, and none of this NIC's name.
fn unknown(row: &Row<'_>, nic: &Nic) -> bool {
    let networks = &row.source.networks;
    let name = nic.network_name.as_deref();
    !networks.is_empty()
        && !networks
            .iter()
            .any(|known| Some(known.name.as_str()) == name)
}

/// Several NICs, in no order.
pub const W07: Check = Check {
    code: "W07",
    severity: Severity::Warning,
    title: "has several NICs, which arrive in a random order",
    reads: "the ports of the server and the names of their networks",
    why: "The engine keeps them in a Go map, so that their order on the machine is random, and tells \
          networks apart by name alone (OS:758-790). MAC addresses are kept.",
    when: "an OpenStack server has two ports or more",
    see: "`openstack port list --server ID --long`",
    remedy: "have the guest name its interfaces by MAC address (netplan `match`, udev, NetworkManager) \
             before the wave",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Openstack, |row| {
            let networks: Vec<&str> = row
                .vm
                .nics
                .iter()
                .filter_map(|nic| nic.network_name.as_deref())
                .collect();
            (row.vm.nics.len() > 1).then(|| {
                format!(
                    "{} on {}",
                    count(row.vm.nics.len(), "port"),
                    list(&networks)
                )
            })
        })
    },
};

/// A port without an address.
pub const W08: Check = Check {
    code: "W08",
    severity: Severity::Blocker,
    title: "has a port without a fixed address, which the engine does not see",
    reads: "the fixed addresses of each port",
    why: "The engine reads the server's addresses, and a port without one is not among them: its NIC \
          is dropped without a word (OS:755-773).",
    when: "a port has no fixed IP: made with `--no-fixed-ip`, or its network has no subnet",
    see: "`openstack port list --server ID -c ID -c 'Fixed IP Addresses'`",
    remedy: "give the port an address (`openstack port set --fixed-ip subnet=SUBNET PORT`), or waive \
             this and add the NIC on the target",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Openstack, |row| {
            let bare: Vec<&str> = (row.vm.nics.iter())
                .filter(|nic| nic.connected == Some(false))
                .map(|nic| nic.key.as_str())
                .collect();
            (!bare.is_empty()).then(|| format!("port {} has no address", list(&bare)))
        })
    },
};

/// MAC addresses that are there twice.
pub const W09: Check = Check {
    code: "W09",
    severity: Severity::Blocker,
    title: "has a MAC address that another machine of its network has too",
    reads: "the MAC addresses of all VMs of the plan, of the machines on the target, and the cluster \
            network of each network there",
    why: "Harvester refuses a machine with a MAC address that its cluster network has already. The \
          engine finds out after the whole export and tries again for ever, with the guest off (HV: \
          virtualmachine/validator.go:167-214).",
    when: "a test import of the same VM is still there, or somebody set an address by hand twice",
    see: "`kubectl get vm -A -o yaml | grep -i MAC`",
    remedy: "delete the test machine, or change one of the two addresses at the source",
    never_waived: None,
    run: w09,
};

/// Where a MAC address must be alone: a target's cluster network; where that is not known, the
/// network itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Cluster(&'a str),
    Network(&'a str),
}

/// Each network of a target with its segment.
fn segments(target: &TargetInventory) -> BTreeMap<&str, Segment<'_>> {
    (target.about.networks.iter())
        .map(|network| {
            let cluster = network.cluster_network.as_deref().map(Segment::Cluster);
            (
                network.id.as_str(),
                cluster.unwrap_or(Segment::Network(&network.id)),
            )
        })
        .collect()
}

fn w09(estate: &Estate<'_>) -> Vec<Hit> {
    let mut known: BTreeMap<&TargetName, BTreeMap<&str, Segment<'_>>> = BTreeMap::new();
    let mut there: BTreeMap<(&TargetName, Segment<'_>, &str), &str> = BTreeMap::new();
    for (target, snapshot) in &estate.inventory().targets {
        let segments = segments(snapshot);
        for vm in &snapshot.vms {
            for nic in &vm.nics {
                if let (Some(mac), Some(network)) = (&nic.mac, &nic.network) {
                    let segment = segments.get(network.as_str()).copied();
                    let segment = segment.unwrap_or(Segment::Network(network));
                    there.insert((target, segment, mac), &vm.id);
                }
            }
        }
        known.insert(target, segments);
    }
    let none = BTreeMap::new();
    let segment_of = |target: &TargetName, network| -> Segment<'_> {
        let segments = known.get(target).unwrap_or(&none);
        segments
            .get(network)
            .copied()
            .unwrap_or(Segment::Network(network))
    };
    let mut planned: BTreeMap<(&TargetName, Segment<'_>, &str), BTreeSet<&VmKey>> = BTreeMap::new();
    for row in estate.rows() {
        for (mac, network) in macs(row) {
            let segment = segment_of(&row.to.target, network);
            planned
                .entry((&row.to.target, segment, mac))
                .or_default()
                .insert(&row.to.key);
        }
    }
    estate.hits(|row| {
        let own = format!("{}/{}", row.to.namespace, row.to.machine);
        let under_way = row
            .to
            .ledger
            .as_ref()
            .is_some_and(|moved| moved.target == row.to.target && moved.stage != Stage::Failed);
        macs(row).find_map(|(mac, network)| {
            let place = (&row.to.target, segment_of(&row.to.target, network), mac);
            if let Some(other) = there
                .get(&place)
                .filter(|other| !(under_way && **other == own))
            {
                let evidence = format!("`{mac}` is that of `{other}` on {}", row.to.target);
                return Some(Hit::vm(row.to, evidence));
            }
            let twins: Vec<_> = planned
                .get(&place)?
                .iter()
                .filter(|key| ***key != row.to.key)
                .collect();
            (!twins.is_empty())
                .then(|| Hit::vm(row.to, format!("`{mac}` is that of {} too", list(&twins))))
        })
    })
}

/// The MAC addresses that a machine will have, each with its network.
fn macs<'a>(row: &Row<'a>) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    mapped(row).filter_map(|(nic, network)| Some((nic.mac.as_deref()?, network)))
}

/// A NIC that is not plugged in.
pub const W11: Check = Check {
    code: "W11",
    severity: Severity::Warning,
    title: "has a NIC that is disconnected at the source and will be connected",
    reads: "whether each NIC that is mapped is connected at power-on",
    why: "The engine does not look at it: on the target every interface is plugged in (VW:494-569). \
          What was kept apart on purpose is then on the network, with its old address.",
    when: "a NIC of a VMware VM has `startConnected: false`",
    see: "`govc device.info -vm PATH 'ethernet-*'`, line Connected",
    remedy: "map its network to an isolated one, drop it, or remove the NIC at the source",
    never_waived: None,
    run: |estate| {
        estate.each_of(SourceKind::Vmware, |row| {
            let idle: Vec<&str> = mapped(row)
                .filter(|(nic, _)| nic.connected == Some(false))
                .map(|(nic, _)| nic.key.as_str())
                .collect();
            (!idle.is_empty()).then(|| format!("NIC {} is not connected", list(&idle)))
        })
    },
};
