//! vSphere: power, devices, disks, hosts and stores: pairs.

use schemas::inventory::{Disk, Power};
use schemas::units::{Seconds, Span};

use super::Change;
use super::estate::{host, os_seen, rename, store, vc, vc_seen, windows};
use crate::fixture::{disk, vsphere_vm};

pub(super) const PAIRS: &[(&str, Change, Change)] = &[
    (
        "V01",
        |f| {
            vc_seen(f, |seen| {
                seen.power = Some(Power::On);
                seen.tools = Some("guestToolsNotRunning".to_owned());
            })
        },
        |f| {
            vc_seen(f, |seen| {
                seen.power = Some(Power::Off);
                seen.tools = Some("guestToolsNotRunning".to_owned());
            })
        },
    ),
    (
        "V02",
        |f| {
            vc_seen(f, |seen| {
                seen.power = Some(Power::On);
                seen.tools = Some("guestToolsExecutingScripts".to_owned());
            })
        },
        |f| {
            vc_seen(f, |seen| {
                seen.power = Some(Power::On);
                seen.tools = Some("guestToolsRunning".to_owned());
            })
        },
    ),
    (
        "V03",
        |mut f| {
            f.site.policy.shutdown_timeout = Span(Seconds(599));
            vc_seen(vc(f, windows), |seen| seen.power = Some(Power::On))
        },
        |mut f| {
            f.site.policy.shutdown_timeout = Span(Seconds(600));
            vc_seen(vc(f, windows), |seen| seen.power = Some(Power::On))
        },
    ),
    (
        "V04",
        |f| vc_seen(f, |seen| seen.power = Some(Power::Suspended)),
        |f| os_seen(f, |seen| seen.power = Some(Power::Suspended)),
    ),
    (
        "V05",
        |f| {
            vc_seen(f, |seen| {
                seen.question = Some("msg.uuid.altered".to_owned());
            })
        },
        |f| vc_seen(f, |_| {}),
    ),
    (
        "V06",
        |f| vc(f, |vm| vm.disks[0].encrypted = Some(true)),
        |f| vc(f, |vm| vm.secure_boot = Some(true)),
    ),
    (
        "V07",
        |f| {
            vc(f, |vm| {
                vm.disks[0].mode = Some("independent_persistent".to_owned());
            })
        },
        |f| vc(f, |vm| vm.disks[0].backing = Some("rdm-virtual".to_owned())),
    ),
    (
        "V08",
        |f| vc(f, |vm| vm.other_devices = vec!["VirtualCdrom".to_owned()]),
        |f| {
            vc(f, |vm| {
                vm.other_devices = vec!["VirtualSerialPort".to_owned()];
            })
        },
    ),
    (
        "V09",
        |f| vc(f, |vm| vm.snapshots = Some(1)),
        |f| vc(f, |vm| vm.snapshots = Some(0)),
    ),
    (
        "V10",
        |f| {
            rename(
                f.add("dc1", vsphere_vm("9", "erp/app", "starfish")),
                "star*",
            )
        },
        |f| rename(f.add("dc1", vsphere_vm("9", "erp", "starfish")), "star*"),
    ),
    (
        "V11",
        |f| vc(f, |vm| vm.dc = Some("Europe/DC0".to_owned())),
        |f| vc(f, |vm| vm.dc = Some("/DC0".to_owned())),
    ),
    ("V12", |f| host(f, |_| {}), |f| vc_seen(f, |_| {})),
    (
        "V16",
        |f| {
            vc(f, |vm| {
                vm.missing_privileges = vec!["VApp.Export".to_owned()];
            })
        },
        |f| vc(f, |vm| vm.missing_privileges = vec![]),
    ),
    (
        "V17",
        |f| {
            vc(f, |vm| {
                vm.disks = ["ParaVirtualSCSIController", "VirtualLsiLogicController"]
                    .map(|class| Disk {
                        controller: Some(class.to_owned()),
                        ..disk(class, 1)
                    })
                    .into();
            })
        },
        |f| {
            vc(f, |vm| {
                vm.disks = ["ParaVirtualSCSIController", "VirtualAHCIController"]
                    .map(|class| Disk {
                        controller: Some(class.to_owned()),
                        ..disk(class, 1)
                    })
                    .into();
            })
        },
    ),
    (
        "V18",
        |f| {
            vc(f, |vm| {
                vm.disks = vec![
                    disk("1", 1),
                    Disk {
                        boot: Some(true),
                        ..disk("2", 1)
                    },
                ];
            })
        },
        |f| {
            vc(f, |vm| {
                vm.disks = vec![
                    Disk {
                        boot: Some(true),
                        ..disk("1", 1)
                    },
                    disk("2", 1),
                ];
            })
        },
    ),
    (
        "WR030",
        |f| store(f, |seen| seen.accessible = Some(false)),
        |f| store(f, |seen| seen.accessible = Some(true)),
    ),
    (
        "WR031",
        |f| host(f, |seen| seen.maintenance = true),
        |f| host(f, |seen| seen.maintenance = false),
    ),
];
