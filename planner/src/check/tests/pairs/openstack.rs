//! OpenStack: pairs.

use schemas::inventory::{Flavor, Identity, Power, RootDisk};

use super::Change;
use super::estate::{of_project, openstack_quota, os, os_seen, project};
use crate::fixture::disk;

pub(super) const PAIRS: &[(&str, Change, Change)] = &[
    (
        "O03",
        |f| os(f, |vm| vm.root_disk = Some(RootDisk::Ephemeral)),
        |f| os(f, |vm| vm.root_disk = Some(RootDisk::Volume)),
    ),
    (
        "O04",
        |f| {
            os(f, |vm| {
                vm.boot_image = Some("i".to_owned());
                vm.boot_image_exists = Some(false);
            })
        },
        |f| os(f, |vm| vm.boot_image = Some("i".to_owned())),
    ),
    (
        "O05",
        |f| os(f, |vm| vm.flavor = Some(Flavor::default())),
        |f| {
            os(f, |vm| {
                vm.flavor = Some(Flavor {
                    exists: true,
                    ..Flavor::default()
                });
            })
        },
    ),
    (
        "O06",
        |f| os(f, |vm| vm.disks = vec![disk("v", 33)]),
        |f| os(f, |vm| vm.disks = vec![disk("v", 32)]),
    ),
    (
        "O07",
        |f| {
            os_seen(f, |seen| {
                seen.disk_states = [("v".to_owned(), "error".to_owned())].into();
            })
        },
        |f| os_seen(f, |seen| seen.disk_states.clear()),
    ),
    (
        "O08",
        |f| openstack_quota(f, 99),
        |f| openstack_quota(f, 100),
    ),
    (
        "O09",
        |f| os_seen(f, |seen| seen.status = Some("RESCUE".to_owned())),
        |f| {
            os_seen(os(f, |vm| vm.locked = Some(true)), |seen| {
                seen.status = Some("SHUTOFF".to_owned());
                seen.power = Some(Power::Off);
            })
        },
    ),
    (
        "O11",
        |f| os(f, |vm| vm.disks[0].encrypted = Some(true)),
        |f| os(f, |vm| vm.disks[0].encrypted = Some(false)),
    ),
    (
        "O12",
        |f| {
            os(f, |vm| {
                vm.nics[0].floating_ips = vec!["203.0.113.9".to_owned()];
            })
        },
        |f| os(f, |vm| vm.nics[0].fixed_ips = vec!["10.0.0.9".to_owned()]),
    ),
    (
        "O13",
        |mut f| {
            let source = f.inventory.sources.get_mut("cloud1").expect("a source");
            source.about.identity = Some(Identity {
                two_domains: true,
                ..Identity::default()
            });
            f
        },
        |mut f| {
            let source = f.inventory.sources.get_mut("cloud1").expect("a source");
            source.about.identity = Some(Identity::default());
            f
        },
    ),
    (
        "WR032",
        |f| os(of_project(f), |vm| vm.project = Some(project("p2"))),
        |f| os(of_project(f), |vm| vm.project = Some(project("p1"))),
    ),
];
