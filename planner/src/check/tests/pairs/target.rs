//! The target: engine, queue, storage, room: pairs.

use schemas::inventory::{Disk, ScratchKind, TargetImport};
use schemas::units::Bytes;

use super::Change;
use super::estate::{
    engine, foreign, gap, import_like_source, longhorn, node, os, quota, source_object, vc,
};
use crate::fixture::disk;

pub(super) const PAIRS: &[(&str, Change, Change)] = &[
    (
        "L02",
        |f| f.target(|t| t.about.engine_version = Some("v1.6.1".to_owned())),
        |f| f.target(|t| t.about.engine_version = Some("v1.7.0".to_owned())),
    ),
    (
        "L12",
        |f| {
            engine(f, |engine| {
                engine.memory_limit_bytes = Some(Bytes::from_mib(4095));
            })
        },
        |f| engine(f, |_| {}),
    ),
    (
        "P04",
        |f| source_object(f, "clusterNotReady"),
        |f| source_object(f, "clusterReady"),
    ),
    (
        "P09",
        |f| {
            f.target(|t| {
                t.about
                    .networks
                    .retain(|network| network.id != "default/vlan30");
            })
        },
        |f| {
            f.target(|t| {
                t.about.networks.clear();
                t.about.gaps = vec![gap("networks")];
            })
        },
    ),
    (
        "Q01",
        |f| f.target(|t| t.imports.push(foreign("a", "sourceReady"))),
        |f| {
            f.target(|t| {
                t.imports.push(TargetImport {
                    ours: true,
                    ..foreign("a", "sourceReady")
                });
            })
        },
    ),
    // 110 MiB/s for four hours are 1546.9 GiB.
    (
        "Q02",
        |f| os(f, |vm| vm.disks = vec![disk("v", 1547)]),
        |f| os(f, |vm| vm.disks = vec![disk("v", 1546)]),
    ),
    (
        "Q04",
        |f| import_like_source(f, ""),
        |f| import_like_source(f, "-x"),
    ),
    (
        "Q05",
        |f| f.target(|t| t.imports.push(foreign("a", "VMMigrationFailed"))),
        |f| f.target(|t| t.imports.push(foreign("a", "disksExported"))),
    ),
    (
        "S01",
        |f| os(f, |vm| vm.disks = vec![disk("v", 361)]),
        |f| os(f, |vm| vm.disks = vec![disk("v", 360)]),
    ),
    (
        "S02",
        |f| f.target(|t| t.about.scratch.as_mut().expect("a scratch").kind = ScratchKind::EmptyDir),
        |f| f,
    ),
    // 90 GiB in three copies, and as much again for images.
    ("S05", |f| longhorn(f, 539), |f| longhorn(f, 540)),
    (
        "S06",
        |f| f.target(|t| t.about.storage_classes[0].parameters.clear()),
        |f| f.target(|t| t.about.storage_classes[0].provisioner = "rbd.csi.ceph.com".to_owned()),
    ),
    ("S10", |f| quota(f, 2), |f| quota(f, 3)),
    (
        "S13",
        |f| {
            vc(f, |vm| {
                vm.disks = ["a", "b"]
                    .map(|store| Disk {
                        storage: Some(store.to_owned()),
                        ..disk(store, 1)
                    })
                    .into();
            })
        },
        |f| {
            vc(f, |vm| {
                vm.disks = ["a", "b"]
                    .map(|key| Disk {
                        storage: Some("a".to_owned()),
                        ..disk(key, 1)
                    })
                    .into();
            })
        },
    ),
    (
        "S15",
        |f| {
            f.target(|t| {
                t.about.storage_classes[0].capabilities = vec!["ReadWriteOnce/Block".to_owned()];
            })
        },
        |f| {
            f.target(|t| {
                t.about.storage_classes[0].capabilities = vec!["ReadWriteMany/Block".to_owned()];
            })
        },
    ),
    (
        "T04",
        |f| node(vc(f, |vm| vm.memory_mib = Some(4097)), 4096),
        |f| node(vc(f, |vm| vm.memory_mib = Some(4096)), 4096),
    ),
    (
        "V20",
        |f| engine(f, |_| {}),
        |f| engine(f, |engine| engine.malloc_arena_max = Some("1".to_owned())),
    ),
];
