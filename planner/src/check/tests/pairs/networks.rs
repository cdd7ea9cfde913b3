//! Networks and NICs: pairs.

use super::Change;
use super::estate::{mac, network, os, vc};
use crate::fixture::nic;

pub(super) const PAIRS: &[(&str, Change, Change)] = &[
    (
        "W01",
        |f| vc(f, |vm| vm.nics.push(nic("4001", "dmz"))),
        |f| vc(f, |vm| vm.nics.push(nic("4001", "backup"))),
    ),
    (
        "W02",
        |f| vc(f, |vm| vm.nics[0].network_name = Some("dmz".to_owned())),
        |f| vc(f, |vm| vm.nics.push(nic("4001", "dmz"))),
    ),
    (
        "W03",
        |mut f| {
            f.site.targets[0].networks[0].from = "DSwitch/prod".into();
            vc(f, |vm| {
                vm.nics[0].network_name = Some("DSwitch/prod".to_owned());
            })
        },
        |mut f| {
            f.site.targets[0].networks[0].from = "DSwitch/prod".into();
            let f = vc(f, |vm| {
                vm.nics[0].network_name = Some("DSwitch/prod".to_owned());
            });
            network(f, "dc1", "erp-app-01", "prod", |_| {})
        },
    ),
    (
        "W04",
        |f| {
            network(f, "dc1", "erp-app-01", "prod", |network| {
                network.duplicate_name = true;
            })
        },
        |f| network(f, "dc1", "erp-app-01", "prod", |_| {}),
    ),
    (
        "W05",
        |f| vc(f, |vm| vm.nics[0].backing = Some("opaque".to_owned())),
        |f| vc(f, |vm| vm.nics[0].backing = Some("dvportgroup".to_owned())),
    ),
    (
        "W06",
        |f| {
            vc(f, |vm| {
                vm.nics[0].model = Some("VirtualSriovEthernetCard".to_owned());
            })
        },
        |f| vc(f, |vm| vm.nics[0].model = Some("VirtualE1000e".to_owned())),
    ),
    (
        "W07",
        |f| os(f, |vm| vm.nics.push(nic("p2", "shared"))),
        |f| vc(f, |vm| vm.nics.push(nic("p2", "prod"))),
    ),
    (
        "W08",
        |f| os(f, |vm| vm.nics[0].connected = Some(false)),
        |f| os(f, |vm| vm.nics[0].connected = None),
    ),
    (
        "W09",
        |f| mac(f, "fa:16:3e:00:00:01"),
        |f| mac(f, "fa:16:3e:00:00:02"),
    ),
    (
        "W11",
        |f| vc(f, |vm| vm.nics[0].connected = Some(false)),
        |f| os(f, |vm| vm.nics[0].connected = Some(false)),
    ),
];
