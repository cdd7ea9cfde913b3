//! What a guest is to its surroundings: its address, its network's VLAN and packet size, the
//! services that told it who it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use schemas::finding::{Severity, Subject};
use schemas::ids::{SourceName, TargetName};
use schemas::inventory::{Network, SourceKind, TargetNetwork};

use super::nics::mapped;
use super::table::Check;
use super::{Estate, Hit, Row};
use crate::diagnostic::count;

/// One line of a mapping as VMs use it: a network of a source that becomes one of a target.
struct Move<'a> {
    source: &'a SourceName,
    from: &'a Network,
    target: &'a TargetName,
    to: &'a str,
    /// What the target's snapshot says of it.
    known: Option<&'a TargetNetwork>,
    /// VMs with a NIC on it.
    vms: usize,
    /// Line of the site that says so.
    path: Option<&'a str>,
}

impl Move<'_> {
    fn hit(&self, evidence: String) -> Hit {
        let hit = Hit::on(Subject::Source(self.source.clone()), evidence);
        match self.path {
            Some(path) => hit.at(path),
            None => hit,
        }
    }
}

/// All of them, in order.
fn moves<'a>(estate: &Estate<'a>) -> Vec<Move<'a>> {
    let mut networks: BTreeMap<&SourceName, BTreeMap<&str, &Network>> = BTreeMap::new();
    for (name, source) in &estate.inventory().sources {
        let by_id = source
            .networks
            .iter()
            .map(|network| (network.id.as_str(), network));
        networks.insert(name, by_id.collect());
    }
    let mut targets: BTreeMap<&TargetName, BTreeMap<&str, &TargetNetwork>> = BTreeMap::new();
    for (name, target) in &estate.inventory().targets {
        let by_id = target
            .about
            .networks
            .iter()
            .map(|network| (network.id.as_str(), network));
        targets.insert(name, by_id.collect());
    }
    let mut moves: BTreeMap<_, Move<'a>> = BTreeMap::new();
    for row in estate.rows() {
        let mut own = BTreeSet::new();
        for (nic, resolved) in row.vm.nics.iter().zip(&row.to.nics) {
            let crate::resolve::NicFate::Mapped(network) = &resolved.fate else {
                continue;
            };
            let source = &row.to.key.source;
            let id = nic.network.as_deref().unwrap_or_default();
            let Some(from) = networks
                .get(source)
                .and_then(|known| known.get(id).copied())
            else {
                continue;
            };
            let (target, to) = (&row.to.target, network.to.as_str());
            let key = (source, from.id.as_str(), target, to);
            let new = own.insert(key);
            let entry = moves.entry(key).or_insert_with(|| Move {
                source,
                from,
                target,
                to,
                known: targets.get(target).and_then(|known| known.get(to).copied()),
                vms: 0,
                path: resolved.path.as_deref(),
            });
            entry.vms += usize::from(new);
        }
    }
    moves.into_values().collect()
}

/// Looks at each line of the mapping that is in use.
fn each_move(estate: &Estate<'_>, look: impl Fn(&Move<'_>) -> Option<String>) -> Vec<Hit> {
    let told = |it: &Move<'_>| {
        let what = look(it)?;
        let evidence = format!(
            "`{}` to `{}` on {}, {}: {what}",
            it.from.name,
            it.to,
            it.target,
            count(it.vms, "VM")
        );
        Some(it.hit(evidence))
    };
    moves(estate).iter().filter_map(told).collect()
}

/// DHCP of Neutron.
pub const WR020: Check = Check {
    code: "WR020",
    severity: Severity::Warning,
    title: "gives addresses by DHCP on a network whose VMs leave",
    reads: "which of the source's networks answer DHCP, and which VMs have a NIC on them",
    why: "Neutron's DHCP knows each port and gives it its fixed address, routes and name servers. On \
          the target nobody does, unless the network there has a DHCP server, and that gives another \
          address to the same MAC.",
    when: "VMs of an OpenStack network with DHCP are mapped to the target",
    see: "`openstack subnet list --network NETWORK --long`, column DHCP; in the guest: `ip -4 address`, \
          flag `dynamic`",
    remedy: "set the addresses in the guests before the wave, or enter MAC and address of each VM in \
             the DHCP server of the target's network",
    never_waived: None,
    run: |estate| {
        each_move(estate, |it| {
            (it.from.dhcp == Some(true)).then(|| "it answers DHCP".to_owned())
        })
    },
};

/// The metadata service.
pub const WR021: Check = Check {
    code: "WR021",
    severity: Severity::Warning,
    title: "has servers that may ask its metadata service, which stays behind",
    reads: "key pairs, user data and config drives of the servers",
    why: "cloud-init asks 169.254.169.254 or a config drive at every boot. Neither is there on the \
          target: the boot waits for minutes, and some images then fall back to a new host name, new \
          host keys or a network by DHCP.",
    when: "a server was made with a key pair, user data or a config drive, that is by cloud-init",
    see: "in the guest: `cloud-init query ds`, and `/etc/cloud/cloud.cfg.d`",
    remedy: "in the guest, before the wave: `touch /etc/cloud/cloud-init.disabled`, or set \
             `datasource_list: [ NoCloud, None ]`, and keep the network configuration as it is",
    never_waived: None,
    run: |estate| {
        let mut asking: BTreeMap<&SourceName, (usize, Vec<String>)> = BTreeMap::new();
        for row in estate
            .rows()
            .iter()
            .filter(|row| row.to.kind == SourceKind::Openstack)
        {
            let vm = row.vm;
            if vm.key_pair.is_some() || vm.user_data == Some(true) || vm.config_drive == Some(true)
            {
                let (number, names) = asking.entry(&row.to.key.source).or_default();
                *number += 1;
                if names.len() < 3 {
                    names.push(format!("`{}`", vm.name));
                }
            }
        }
        let told = |(source, (number, names)): (&SourceName, (usize, Vec<String>))| {
            let evidence = format!("{}, such as {}", count(number, "server"), names.join(", "));
            Hit::on(Subject::Source(source.clone()), evidence)
        };
        asking.into_iter().map(told).collect()
    },
};

/// The packet size that every network has where nobody said another.
const MTU_USUAL: u32 = 1500;

/// Packet sizes.
pub const WR022: Check = Check {
    code: "WR022",
    severity: Severity::Warning,
    title: "has a network with larger packets than the one its VMs go to",
    reads: "the MTU of each network in use, at the source and on the target",
    why: "A guest keeps its MTU. Where the new network carries less, small packets pass and large ones \
          are lost: logins work, and transfers hang. A guest that learned 1450 by DHCP merely stays \
          slower.",
    when: "the source's MTU is above the target's; 1500 is taken where the target does not say",
    see: "`openstack network show NETWORK -c mtu`; in the guest: `ip link`; across: `ping -M do -s 1472`",
    remedy: "raise the MTU of the target's cluster network, or lower that of the guests before the wave",
    never_waived: None,
    run: |estate| {
        each_move(estate, |it| {
            let from = it.from.mtu?;
            let said = it.known.and_then(|network| network.mtu);
            let to = said.unwrap_or(MTU_USUAL);
            let ground = if said.is_some() {
                ""
            } else {
                ", which the snapshot does not say"
            };
            (from > to).then(|| format!("packets of {from} bytes, and then {to}{ground}"))
        })
    },
};

/// VLANs.
pub const WR024: Check = Check {
    code: "WR024",
    severity: Severity::Warning,
    title: "has a network on another VLAN than the one its VMs go to",
    reads: "the VLAN of each network in use, at the source and on the target",
    why: "Guests keep their addresses. On another VLAN nobody answers them, unless both are bridged \
          somewhere: the machine is Ready, and its service is not.",
    when: "both VLANs are known and differ",
    see: "`govc dvs.portgroup.info -pg NAME SWITCH`; `kubectl get net-attach-def -n NAMESPACE NAME -o \
          yaml`, field `vlan`",
    remedy: "map it to the network of its VLAN, or make that; if the addresses change on purpose, say \
             so to the owners",
    never_waived: None,
    run: |estate| {
        each_move(estate, |it| {
            let (from, to) = (it.from.vlan?, it.known?.vlan?);
            (from != to && from != 0).then(|| format!("VLAN {from}, and then {to}"))
        })
    },
};

/// An address range, as in `10.1.0.0/24`.
fn range(cidr: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = cidr.trim().split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (length <= most).then_some((address, length))
}

/// Whether the address lies in the range; addresses of the other kind lie in none.
fn contains((network, length): (IpAddr, u8), address: IpAddr) -> bool {
    let same = |a: u128, b: u128, bits: u32| {
        let shift = bits - u32::from(length);
        a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
    };
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u32::from(a).into(), u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(u128::from(a), u128::from(b), 128),
        _ => false,
    }
}

/// Addresses that do not belong to the network.
pub const WR025: Check = Check {
    code: "WR025",
    severity: Severity::Warning,
    title: "has an address that does not belong to the network it goes to",
    reads: "the guest's addresses, and the range of each target network it is mapped to, where \
            Harvester knows one",
    why: "Guests keep their addresses. One outside of the network's range has no gateway there: the \
          machine is Ready, and nobody reaches it.",
    when: "no address of the guest lies in the range of a network that it gets",
    see: "in the guest: `ip address`; `kubectl get net-attach-def -n NAMESPACE NAME -o yaml`, annotation \
          `network.harvesterhci.io/route`",
    remedy: "map its network to the one with its range, or plan the change of address with its owner",
    never_waived: None,
    run: |estate| {
        let mut ranges: BTreeMap<(&TargetName, &str), (IpAddr, u8)> = BTreeMap::new();
        for (name, target) in &estate.inventory().targets {
            for network in &target.about.networks {
                if let Some(range) = network.cidr.as_deref().and_then(range) {
                    ranges.insert((name, network.id.as_str()), range);
                }
            }
        }
        if ranges.is_empty() {
            return Vec::new();
        }
        estate.each(|row| strange_address(row, &ranges))
    },
};

fn strange_address(
    row: &Row<'_>,
    ranges: &BTreeMap<(&TargetName, &str), (IpAddr, u8)>,
) -> Option<String> {
    mapped(row).find_map(|(nic, network)| {
        let range = *ranges.get(&(&row.to.target, network))?;
        // A port's own addresses where the source has them by port, else all that the guest says.
        let guest = || row.seen.map_or(&[][..], |seen| &seen.guest_ips);
        let texts = if nic.fixed_ips.is_empty() {
            guest()
        } else {
            &nic.fixed_ips
        };
        let same_kind = |address: &IpAddr| address.is_ipv4() == range.0.is_ipv4();
        let addresses: Vec<IpAddr> = texts
            .iter()
            .filter_map(|text| text.parse().ok())
            .filter(same_kind)
            .collect();
        let strange = !addresses.is_empty() && !addresses.iter().any(|at| contains(range, *at));
        strange.then(|| {
            let addresses: Vec<String> = addresses.iter().map(|at| format!("`{at}`")).collect();
            format!(
                "{} is not in {}/{} of `{network}`",
                addresses.join(", "),
                range.0,
                range.1
            )
        })
    })
}

/// What could not be read.
pub const WR026: Check = Check {
    code: "WR026",
    severity: Severity::Warning,
    title: "could not be read in full, so less is checked",
    reads: "the gaps that the collectors noted",
    why: "A check that lacks what it looks at says nothing: it takes nobody out for a thing that is \
          merely not known. What was not read may hold any of the hazards that depend on it.",
    when: "the account of the inventory may not see it, or the server did not answer for it",
    see: "`gaps` in `inventory/SOURCE/source.json`, in `target.json` and in the VM's own line",
    remedy: "give the account of the inventory the right to read it, and pull again",
    never_waived: None,
    run: |estate| {
        let mut hits = Vec::new();
        let told = |gaps: &[schemas::inventory::Gap]| {
            let first = gaps.first()?;
            let more = gaps.len() - 1;
            let more = if more > 0 {
                format!(", and {more} more")
            } else {
                String::new()
            };
            Some(format!("`{}`: {}{more}", first.what, first.reason))
        };
        let used: BTreeSet<&SourceName> =
            estate.rows().iter().map(|row| &row.to.key.source).collect();
        for (name, source) in &estate.inventory().sources {
            if used.contains(name)
                && let Some(what) = told(&source.about.gaps)
            {
                hits.push(Hit::on(Subject::Source(name.clone()), what));
            }
        }
        for (target, snapshot) in estate.targets() {
            if let Some(what) = snapshot.and_then(|snapshot| told(&snapshot.about.gaps)) {
                hits.push(Hit::on(Subject::Target(target.name.clone()), what));
            }
        }
        // A VM without disks has a blocker of its own (WR005), which says the same.
        hits.extend(estate.each(|row| told(&row.vm.gaps).filter(|_| !row.vm.disks.is_empty())));
        hits
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    // Ranges with every length, of both kinds; what is no range is none.
    #[test]
    fn ranges() {
        let holds = |cidr: &str, address: &str| {
            contains(
                range(cidr).expect("a range"),
                address.parse().expect("an address"),
            )
        };
        for (cidr, address) in [
            ("10.20.0.0/24", "10.20.0.255"),
            ("0.0.0.0/0", "255.255.255.255"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("fd00:20::/64", "fd00:20::14"),
            ("::/0", "::1"),
        ] {
            assert!(holds(cidr, address), "{cidr} {address}");
        }
        for (cidr, address) in [
            ("10.20.0.0/24", "10.20.1.0"),
            ("10.1.2.3/32", "10.1.2.4"),
            ("fd00:20::/64", "fd00:21::14"),
            ("0.0.0.0/0", "::1"),
        ] {
            assert!(!holds(cidr, address), "{cidr} {address}");
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "a/8", "10.0.0.0/-1"] {
            assert_eq!(range(text), None, "{text}");
        }
    }
}
