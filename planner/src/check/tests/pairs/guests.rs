//! Guests, and codes of our own: pairs.

use schemas::inventory::{Power, Vm};
use schemas::machine::Stage;

use super::Change;
use super::estate::{at, engine, gap, ledger, network, networks, os, vc, vc_seen, windows};
use crate::fixture::server;

pub(super) const PAIRS: &[(&str, Change, Change)] = &[
    (
        "T01",
        |f| vc(at(f, "v1.8.1"), |vm| vm.cores_per_socket = Some(2)),
        |f| vc(at(f, "v1.8.1"), |vm| vm.cores_per_socket = Some(1)),
    ),
    (
        "T02",
        |f| vc(f, |vm| vm.memory_mib = Some(4096)),
        |f| vc(f, |vm| vm.memory_mib = None),
    ),
    (
        "T03",
        |f| vc_seen(f, |seen| seen.power = Some(Power::Off)),
        |f| vc_seen(f, |seen| seen.power = Some(Power::On)),
    ),
    (
        "T06",
        |f| vc(f, |vm| vm.tpm = Some(true)),
        |f| vc(f, |vm| vm.secure_boot = Some(true)),
    ),
    (
        "T07",
        |f| {
            vc(f, |vm| {
                vm.passthrough = vec!["VirtualPCIPassthrough".to_owned()];
            })
        },
        |f| vc(f, |vm| vm.other_devices = vec!["VirtualFloppy".to_owned()]),
    ),
    (
        "T08",
        |f| vc(f, windows),
        |f| {
            vc(f, |vm| {
                windows(vm);
                vm.nics[0].model = Some("VirtualE1000e".to_owned());
                vm.disks[0].controller = Some("ParaVirtualSCSIController".to_owned());
            })
        },
    ),
    (
        "WR002",
        |f| ledger(f, Stage::Failed),
        |f| ledger(f, Stage::Exporting),
    ),
    (
        "WR003",
        |mut f| {
            f.inventory.targets.clear();
            f
        },
        |f| f,
    ),
    ("WR005", |f| vc(f, |vm| vm.disks.clear()), |f| f),
    (
        "WR007",
        |f| {
            let mut f = ledger(f, Stage::Exporting);
            let mut other = f.site.targets[0].clone();
            other.name = "hv2".into();
            f.site.targets.push(other);
            f.plan.spec.target.name = "hv2".into();
            f
        },
        |f| ledger(f, Stage::Exporting),
    ),
    (
        "WR020",
        |f| {
            network(f, "cloud1", "db", "shared", |network| {
                network.dhcp = Some(true);
            })
        },
        |f| {
            network(f, "cloud1", "db", "shared", |network| {
                network.dhcp = Some(false);
            })
        },
    ),
    (
        "WR021",
        |f| os(f, |vm| vm.key_pair = Some("ops".to_owned())),
        |f| os(f, |vm| vm.config_drive = Some(false)),
    ),
    (
        "WR022",
        |f| {
            network(f, "cloud1", "db", "shared", |network| {
                network.mtu = Some(1501);
            })
        },
        |f| {
            network(f, "cloud1", "db", "shared", |network| {
                network.mtu = Some(1500);
            })
        },
    ),
    (
        "WR023",
        |f| vc(f, |vm| vm.bios_uuid = Some("4209".to_owned())),
        |f| f,
    ),
    (
        "WR024",
        |f| {
            network(f, "cloud1", "db", "shared", |network| {
                network.vlan = Some(31);
            })
            .target(|t| networks(t, |network| network.vlan = Some(30)))
        },
        |f| {
            network(f, "cloud1", "db", "shared", |network| {
                network.vlan = Some(30);
            })
            .target(|t| networks(t, |network| network.vlan = Some(30)))
        },
    ),
    (
        "WR025",
        |f| {
            os(f, |vm| vm.nics[0].fixed_ips = vec!["10.30.1.7".to_owned()])
                .target(|t| networks(t, |network| network.cidr = Some("10.30.0.0/24".to_owned())))
        },
        |f| {
            os(f, |vm| {
                vm.nics[0].fixed_ips = vec!["10.30.0.7".to_owned(), "fd00::7".to_owned()];
            })
            .target(|t| networks(t, |network| network.cidr = Some("10.30.0.0/24".to_owned())))
        },
    ),
    (
        "WR026",
        |f| os(f, |vm| vm.gaps = vec![gap("ports")]),
        |f| {
            f.add(
                "cloud1",
                Vm {
                    gaps: vec![gap("ports")],
                    ..server("z", "z")
                },
            )
        },
    ),
    (
        "WR029",
        |f| engine(f, |engine| engine.replicas = 0),
        |f| engine(f, |engine| engine.ready = None),
    ),
];
