//! Names and files: pairs.

use schemas::inventory::TargetImport;

use super::Change;
use super::estate::{at, foreign, image, left_over, long_name, ova, rename, twins};
use crate::fixture::{machine, vsphere_vm};

pub(super) const PAIRS: &[(&str, Change, Change)] = &[
    ("N01", |f| twins(f, "erp"), |f| twins(f, "two")),
    (
        "N02",
        |f| f.target(|t| t.vms.push(machine("erp", "db", false))),
        |f| f.target(|t| t.vms.push(machine("erp", "db2", false))),
    ),
    (
        "N03",
        |f| twins(f, "two"),
        |f| {
            f.add("dc1", vsphere_vm("42-db", "", "db"))
            .plan_lines("workloads:\n- { name: all, select: [ { source: cloud1, names: [db] }, { source: dc1, names: [db] } ] }")
        },
    ),
    (
        "N04",
        |f| f.target(|t| t.imports.push(foreign("DB", "virtualMachineRunning"))),
        |f| {
            f.target(|t| {
                t.imports.push(TargetImport {
                    source_kind: "VmwareSource".to_owned(),
                    ..foreign("db", "virtualMachineRunning")
                });
            })
        },
    ),
    ("N05", |f| rename(f, "disk"), |f| rename(f, "disks")),
    (
        "N06",
        |f| at(long_name(f, 37), "v1.8.2"),
        |f| at(long_name(f, 36), "v1.8.2"),
    ),
    ("N07", |f| left_over(f, ""), |f| left_over(f, "x")),
    (
        "N08",
        |f| {
            f.target(|t| {
                t.images = vec![image("vm-import-a-b-0.img"), image("vm-import-a-b-0.img")];
            })
        },
        |f| {
            f.target(|t| {
                t.images = vec![image("vm-import-a-b-0.img"), image("vm-import-a-b-1.img")];
            })
        },
    ),
    (
        "N09",
        |f| ova(f, |vm| vm.disks[0].file = Some("disk 1.vmdk".to_owned())),
        |f| {
            ova(f, |vm| {
                vm.disks[0].file = Some("disk_1+(a).vmdk".to_owned());
            })
        },
    ),
    ("P07", |f| rename(f, "erp_app"), |f| rename(f, "ERP-App")),
];
