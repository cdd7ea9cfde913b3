//! OVA archives: pairs.

use schemas::inventory::ScratchKind;
use schemas::units::Bytes;

use super::Change;
use super::estate::ova;

pub(super) const PAIRS: &[(&str, Change, Change)] = &[
    (
        "A02",
        |f| {
            ova(
                f.target(|t| t.about.ova_source_fields = vec!["url".to_owned()]),
                |vm| vm.ova.as_mut().expect("an OVA").archive_bytes = Bytes::from_gib(65),
            )
        },
        |f| {
            ova(
                f.target(|t| t.about.ova_source_fields = vec!["url".to_owned()]),
                |vm| vm.ova.as_mut().expect("an OVA").archive_bytes = Bytes::from_gib(64),
            )
        },
    ),
    (
        "A03",
        |f| {
            ova(f, |vm| {
                vm.ova.as_mut().expect("an OVA").manifest = Some("SHA512".to_owned());
            })
        },
        |f| {
            ova(f, |vm| {
                vm.ova.as_mut().expect("an OVA").manifest = Some("SHA1".to_owned());
            })
        },
    ),
    (
        "A04",
        |f| ova(f, |vm| vm.ova.as_mut().expect("an OVA").virtual_systems = 2),
        |f| ova(f, |vm| vm.ova.as_mut().expect("an OVA").virtual_systems = 1),
    ),
    (
        "A05",
        |f| {
            ova(f, |vm| {
                vm.ova.as_mut().expect("an OVA").blank_disks = vec!["vmdisk2".to_owned()];
            })
        },
        |f| {
            ova(f, |vm| {
                vm.ova.as_mut().expect("an OVA").blank_disks = vec![];
            })
        },
    ),
    (
        "A06",
        |f| {
            ova(f, |vm| {
                vm.ova.as_mut().expect("an OVA").incomplete_items =
                    vec!["5: Connection".to_owned()];
            })
        },
        |f| {
            ova(f, |vm| {
                vm.ova.as_mut().expect("an OVA").incomplete_items =
                    vec!["1: VirtualQuantity".to_owned()];
            })
        },
    ),
    (
        "A07",
        |f| {
            ova(f, |vm| {
                vm.ova.as_mut().expect("an OVA").incomplete_items =
                    vec!["1: VirtualQuantity".to_owned()];
            })
        },
        |f| {
            ova(f, |vm| {
                vm.ova.as_mut().expect("an OVA").incomplete_items =
                    vec!["4: HostResource".to_owned()];
            })
        },
    ),
    (
        "A08",
        |f| {
            ova(f, |vm| {
                vm.disks[0].file = Some("legacy-disk1.vmdk.gz".to_owned());
            })
        },
        |f| ova(f, |vm| vm.disks[0].file = Some("LEGACY.VMDK".to_owned())),
    ),
    (
        "A09",
        |f| f.target(|t| t.about.scratch.as_mut().expect("a scratch").kind = ScratchKind::EmptyDir),
        |f| f.target(|t| t.about.scratch.as_mut().expect("a scratch").kind = ScratchKind::Other),
    ),
    (
        "WR033",
        |f| {
            ova(f, |vm| {
                let lost = "disks/legacy.vmdk: a path is never found".to_owned();
                vm.ova.as_mut().expect("an OVA").unfound_disks = vec![lost];
            })
        },
        |f| {
            ova(f, |vm| {
                vm.ova.as_mut().expect("an OVA").unfound_disks.clear();
            })
        },
    ),
];
