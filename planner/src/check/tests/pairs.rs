//! For each code of the table an estate that has what it looks for, and one that barely has not.

use schemas::inventory::{
    Disk, Flavor, Gap, GuestOs, Host, Identity, Network, Observed, Power, Project, Quota, RootDisk,
    ScratchKind, Storage, TargetDisk, TargetEngine, TargetImage, TargetImport, TargetInventory,
    TargetNetwork, TargetNic, TargetNode, TargetQuota, TargetSource, TargetVm, Vm,
};
use schemas::machine::Stage;
use schemas::units::{Bytes, Quantity, Seconds, Span};

use super::super::{check, table};
use super::THREE;
use crate::fixture::{Fixture, disk, machine, nic, server, vsphere_vm};

type Change = fn(Fixture) -> Fixture;

/// Codes that have no pair here, and where their tests are.
const ELSEWHERE: [(&str, &str); 15] = [
    ("S12", "said of every disk: a page only"),
    (
        "WR004",
        "found by the schedule: its tests and the pipeline's",
    ),
    ("WR006", "found by the schedule"),
    ("WR040", "found by the schedule"),
    ("WR041", "found by the schedule"),
    ("WR042", "found by the schedule"),
    ("WR050", "people's knowledge: above"),
    ("WR051", "people's knowledge: above"),
    ("WR052", "people's knowledge: above"),
    ("WR053", "people's knowledge: above"),
    ("WR054", "people's knowledge: above"),
    ("WR055", "waivers: above"),
    ("WR056", "waivers: above"),
    ("WR057", "waivers: above"),
    ("WR001", "needs two targets: above"),
];

fn vc(f: Fixture, change: fn(&mut Vm)) -> Fixture {
    f.vm("dc1", "erp-app-01", change)
}

fn os(f: Fixture, change: fn(&mut Vm)) -> Fixture {
    f.vm("cloud1", "db", change)
}

fn project(id: &str) -> Project {
    Project {
        id: id.to_owned(),
        name: None,
    }
}

/// With an account of the project `p1`.
fn of_project(mut f: Fixture) -> Fixture {
    let source = f.inventory.sources.get_mut("cloud1").expect("a source");
    source.about.project = Some(project("p1"));
    f
}

fn ova(f: Fixture, change: fn(&mut Vm)) -> Fixture {
    f.vm("shelf", "Legacy CRM", change)
}

fn vc_seen(f: Fixture, change: fn(&mut Observed)) -> Fixture {
    f.observed("dc1", "42-app1", change)
}

fn os_seen(f: Fixture, change: fn(&mut Observed)) -> Fixture {
    f.observed("cloud1", "c-db", change)
}

fn at(f: Fixture, version: &str) -> Fixture {
    f.target(|target| target.about.harvester_version = Some(version.to_owned()))
}

/// An import in the target's snapshot that is not Windrow's.
fn foreign(name: &str, state: &str) -> TargetImport {
    TargetImport {
        id: format!("other/{name}"),
        virtual_machine_name: name.to_owned(),
        source_kind: "OpenstackSource".to_owned(),
        state: Some(state.to_owned()),
        ..TargetImport::default()
    }
}

/// The source's network of the one NIC, with this of it.
fn network(f: Fixture, source: &str, vm: &str, name: &str, change: fn(&mut Network)) -> Fixture {
    let mut network = Network {
        id: format!("net-{name}"),
        name: name.to_owned(),
        kind: "dvportgroup".to_owned(),
        ..Network::default()
    };
    change(&mut network);
    let id = network.id.clone();
    let mut f = f.vm(source, vm, |vm| vm.nics[0].network = Some(id));
    let inventory = f.inventory.sources.get_mut(source).expect("a source");
    inventory.networks.push(network);
    f
}

/// What the target says of its network `default/vlan30`, and `default/vlan10`.
fn networks(target: &mut TargetInventory, change: fn(&mut TargetNetwork)) {
    target.about.networks.iter_mut().for_each(change);
}

fn longhorn(f: Fixture, gib: u64) -> Fixture {
    f.target(|target| {
        target.about.disks.push(TargetDisk {
            id: "n1/d1".to_owned(),
            node: "n1".to_owned(),
            schedulable: true,
            capacity_bytes: Bytes::from_gib(gib),
            available_bytes: Bytes::from_gib(gib),
            ..TargetDisk::default()
        });
    })
}

fn node(f: Fixture, mib: u64) -> Fixture {
    f.target(|target| {
        target.about.nodes.push(TargetNode {
            name: "n1".to_owned(),
            ready: true,
            schedulable: true,
            cpu_milli: 64_000,
            memory_bytes: Bytes::from_mib(mib),
            ..TargetNode::default()
        });
    })
}

fn quota(f: Fixture, claims: u64) -> Fixture {
    f.target(|target| {
        target.about.quotas.push(TargetQuota {
            namespace: "erp".into(),
            name: "team".to_owned(),
            hard: [("persistentvolumeclaims".to_owned(), claims)].into(),
            ..TargetQuota::default()
        });
    })
}

fn openstack_quota(mut f: Fixture, gigabytes: u64) -> Fixture {
    let source = f.inventory.sources.get_mut("cloud1").expect("a source");
    source.about.quotas.push(Quota {
        what: "gigabytes".to_owned(),
        limit: Some(gigabytes),
    });
    let used = [("gigabytes".to_owned(), 60)].into();
    f.observed("cloud1", "quotas", |seen| seen.used = used)
}

fn engine(f: Fixture, change: fn(&mut TargetEngine)) -> Fixture {
    let mut engine = TargetEngine {
        image: "vm-import-controller:v1.8.1".to_owned(),
        replicas: 1,
        ready: Some(1),
        memory_limit_bytes: Some(Bytes::from_gib(4)),
        ..TargetEngine::default()
    };
    change(&mut engine);
    f.target(|target| target.about.engine = Some(engine))
}

fn store(mut f: Fixture, change: fn(&mut Observed)) -> Fixture {
    let source = f.inventory.sources.get_mut("dc1").expect("a source");
    source.storage.push(Storage {
        id: "ds-1".to_owned(),
        name: "vmfs01".to_owned(),
        ..Storage::default()
    });
    vc(f, |vm| vm.disks[0].storage = Some("ds-1".to_owned())).observed("dc1", "ds-1", change)
}

fn host(mut f: Fixture, change: fn(&mut Observed)) -> Fixture {
    let source = f.inventory.sources.get_mut("dc1").expect("a source");
    source.hosts.push(Host {
        id: "host-1".to_owned(),
        name: "esx01.example".to_owned(),
        ..Host::default()
    });
    vc_seen(f, |seen| seen.host = Some("host-1".to_owned())).observed("dc1", "host-1", change)
}

fn windows(vm: &mut Vm) {
    vm.guest_os = Some(GuestOs {
        family: Some("windowsGuest".to_owned()),
        ..GuestOs::default()
    });
}

fn rename(f: Fixture, name: &str) -> Fixture {
    f.vm("dc1", "erp-app-01", |vm| vm.name = name.into())
        .plan_lines("workloads:\n- { name: all, select: [ { source: dc1, ids: [42-app1] } ] }")
}

/// The server of the cloud with a name of so many characters.
fn long_name(f: Fixture, characters: usize) -> Fixture {
    f.vm("cloud1", "db", |vm| vm.name = "x".repeat(characters).into())
        .plan_lines("workloads:\n- { name: all, select: [ { source: cloud1, ids: [c-db] } ] }")
}

fn twins(f: Fixture, second: &str) -> Fixture {
    f.plan_lines(&format!(
        "workloads:\n- {{ name: web, select: [ {{ source: cloud1, ids: [c-web1, c-web2] }} ] }}\n\
         machines: [ {{ vm: {{ source: cloud1, id: c-web2 }}, target: {{ namespace: {second} }} }} ]"
    ))
}

fn image(name: &str) -> TargetImage {
    TargetImage {
        id: format!("erp/image-{}", name.len()),
        namespace: "erp".into(),
        display_name: name.to_owned(),
        ..TargetImage::default()
    }
}

/// An image with the name that the server's first attempt would give it, or with another stem.
fn left_over(f: Fixture, other: &str) -> Fixture {
    let plan = f.resolved();
    let db = plan
        .vms
        .iter()
        .find(|vm| vm.key.id == "c-db")
        .expect("it is selected");
    let import = schemas::machine::import_name(&db.record, 1);
    let name = format!("vm-import-{import}{other}-db-0.img");
    f.target(|target| target.images.push(image(&name)))
}

/// A machine on the target with this MAC address, on the server's network.
fn mac(f: Fixture, there: &str) -> Fixture {
    let there = TargetVm {
        nics: vec![TargetNic {
            name: "a".to_owned(),
            mac: Some(there.to_owned()),
            network: Some("default/vlan30".to_owned()),
        }],
        ..machine("lab", "test", false)
    };
    os(f, |vm| {
        vm.nics[0].mac = Some("fa:16:3e:00:00:01".to_owned());
    })
    .target(|target| target.vms.push(there))
}

fn ledger(f: Fixture, stage: Stage) -> Fixture {
    f.ledger("project-id", "cloud1", "c-db", "db", stage)
}

fn source_object(f: Fixture, state: &str) -> Fixture {
    f.target(|target| {
        target.sources.push(TargetSource {
            id: "OpenstackSource/migrations/cloud1".to_owned(),
            kind: "OpenstackSource".to_owned(),
            state: Some(state.to_owned()),
            ..TargetSource::default()
        });
    })
}

fn import_like_source(f: Fixture, attempt: &str) -> Fixture {
    let plan = f.resolved();
    let db = plan
        .vms
        .iter()
        .find(|vm| vm.key.id == "c-db")
        .expect("it is selected");
    let import = schemas::machine::import_name(&db.record, 1);
    let id = format!("OvaSource/erp/{import}{attempt}");
    f.target(|target| {
        target.sources.push(TargetSource {
            id,
            ..TargetSource::default()
        });
    })
}

fn gap(what: &str) -> Gap {
    Gap {
        what: what.to_owned(),
        object: None,
        reason: "403".to_owned(),
    }
}

const PAIRS: &[(&str, Change, Change)] = &[
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
        "P04",
        |f| source_object(f, "clusterNotReady"),
        |f| source_object(f, "clusterReady"),
    ),
    ("P07", |f| rename(f, "erp_app"), |f| rename(f, "ERP-App")),
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
        "T04",
        |f| node(vc(f, |vm| vm.memory_mib = Some(4097)), 4096),
        |f| node(vc(f, |vm| vm.memory_mib = Some(4096)), 4096),
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
    (
        "WR032",
        |f| os(of_project(f), |vm| vm.project = Some(project("p2"))),
        |f| os(of_project(f), |vm| vm.project = Some(project("p1"))),
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

/// How often a code is among the findings, or its kind among the losses where it is one.
fn met(fixture: &Fixture, code: &str) -> usize {
    let checked = check(fixture.resolved(), &fixture.inventory);
    let found = checked
        .findings
        .iter()
        .filter(|finding| finding.code == code)
        .count();
    let lost = checked
        .losses
        .iter()
        .filter(|loss| loss.code == code)
        .count();
    let loss_only = ["T02", "S13", "WR023"].contains(&code);
    if loss_only { lost } else { found }
}

// Each check finds what it looks for, and leaves alone what barely is not it.
#[test]
fn pairs() {
    let mut wrong = Vec::new();
    for (code, has, barely_not) in PAIRS {
        if met(&has(Fixture::new(THREE)), code) == 0 {
            wrong.push(format!("{code} does not find what it is for"));
        }
        if met(&barely_not(Fixture::new(THREE)), code) != 0 {
            wrong.push(format!("{code} finds what is not it"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// No code without such a pair, and none in two places.
#[test]
fn every_code_has_a_pair() {
    let paired: Vec<&str> = PAIRS.iter().map(|(code, ..)| *code).collect();
    let elsewhere: Vec<&str> = ELSEWHERE.iter().map(|(code, _)| *code).collect();
    for check in table::CHECKS {
        let (here, there) = (
            paired.contains(&check.code),
            elsewhere.contains(&check.code),
        );
        assert!(
            here != there,
            "{}: a pair {here}, elsewhere {there}",
            check.code
        );
    }
    for code in &paired {
        assert!(table::check(code).is_some(), "{code} is not in the table");
    }
}

// Versions decide how bad it is, and an unknown one never blocks.
#[test]
fn gated_by_version() {
    let severities = |fixture: Fixture, code: &str| {
        let checked = check(fixture.resolved(), &fixture.inventory);
        let of = checked
            .findings
            .into_iter()
            .filter(|finding| finding.code == code);
        of.map(|finding| format!("{:?}", finding.severity))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let sockets = || vc(Fixture::new(THREE), |vm| vm.cores_per_socket = Some(2));
    assert_eq!(severities(at(sockets(), "v1.6.0"), "T01"), "Warning");
    assert_eq!(severities(at(sockets(), "v1.6.1"), "T01"), "Blocker");
    assert_eq!(severities(at(sockets(), "v1.8.2"), "T01"), "Blocker");
    assert_eq!(severities(at(sockets(), "v1.9.0"), "T01"), "Warning");
    assert_eq!(severities(sockets(), "T01"), "Warning");
    let long = || long_name(Fixture::new(THREE), 40);
    assert_eq!(severities(at(long(), "v1.8.1"), "N06"), "Info");
    assert_eq!(severities(at(long(), "v1.7.3"), "N06"), "Blocker");
    assert_eq!(severities(long(), "N06"), "Warning");
}

// A name cannot hide a finding: what it would do to a terminal is shown as text.
#[test]
fn hostile_names() {
    let fixture = rename(Fixture::new(THREE), "a\u{1b}[2K\u{202e}\n");
    let checked = check(fixture.resolved(), &fixture.inventory);
    let evidence: Vec<_> = checked
        .findings
        .iter()
        .map(|finding| finding.evidence.as_str())
        .collect();
    assert!(
        evidence
            .iter()
            .any(|text| text.contains(r"\u{1b}[2K\u{202e}\n")),
        "{evidence:#?}"
    );
    assert!(
        evidence
            .iter()
            .all(|text| !text.contains(|c: char| c.is_control() || c == '\u{202e}'))
    );
}

// Sizes as no estate has them, and a VM of which nothing is known, end no plan.
#[test]
fn odd_data() {
    let huge = |vm: &mut Vm| {
        vm.disks = vec![disk("a", 1), disk("b", 1)];
        vm.disks
            .iter_mut()
            .for_each(|disk| disk.capacity_bytes = Bytes(u64::MAX));
        vm.memory_mib = Some(u64::MAX);
        vm.vcpus = Some(u32::MAX);
        vm.cores_per_socket = Some(u32::MAX);
    };
    let mut fixture = Fixture::new(THREE)
        .vm("dc1", "erp-app-01", huge)
        .vm("cloud1", "db", huge);
    fixture = node(longhorn(quota(openstack_quota(fixture, 0), 0), 0), 0);
    fixture.site.assumptions.export_bytes_per_second = Quantity(Bytes(0));
    let checked = check(fixture.resolved(), &fixture.inventory);
    assert!(checked.findings.iter().any(|finding| finding.code == "S01"));
    let bare = Fixture::new(THREE).vm("dc1", "erp-app-01", |vm| {
        *vm = Vm {
            id: vm.id.clone(),
            name: vm.name.clone(),
            ..Vm::default()
        };
    });
    assert!(check(bare.resolved(), &bare.inventory).is_blocked());
}
