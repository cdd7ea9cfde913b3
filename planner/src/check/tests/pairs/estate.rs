//! What the pairs change in the fixture's estate.

use schemas::inventory::{
    Gap, GuestOs, Host, Network, Observed, Project, Quota, Storage, TargetDisk, TargetEngine,
    TargetImage, TargetImport, TargetInventory, TargetNetwork, TargetNic, TargetNode, TargetQuota,
    TargetSource, TargetVm, Vm,
};
use schemas::machine::Stage;
use schemas::units::Bytes;

use crate::fixture::{Fixture, machine};

pub(super) fn vc(f: Fixture, change: fn(&mut Vm)) -> Fixture {
    f.vm("dc1", "erp-app-01", change)
}

pub(super) fn os(f: Fixture, change: fn(&mut Vm)) -> Fixture {
    f.vm("cloud1", "db", change)
}

pub(super) fn project(id: &str) -> Project {
    Project {
        id: id.to_owned(),
        name: None,
    }
}

/// With an account of the project `p1`.
pub(super) fn of_project(mut f: Fixture) -> Fixture {
    let source = f.inventory.sources.get_mut("cloud1").expect("a source");
    source.about.project = Some(project("p1"));
    f
}

pub(super) fn ova(f: Fixture, change: fn(&mut Vm)) -> Fixture {
    f.vm("shelf", "Legacy CRM", change)
}

pub(super) fn vc_seen(f: Fixture, change: fn(&mut Observed)) -> Fixture {
    f.observed("dc1", "42-app1", change)
}

pub(super) fn os_seen(f: Fixture, change: fn(&mut Observed)) -> Fixture {
    f.observed("cloud1", "c-db", change)
}

pub(super) fn at(f: Fixture, version: &str) -> Fixture {
    f.target(|target| target.about.harvester_version = Some(version.to_owned()))
}

/// An import in the target's snapshot that is not Windrow's.
pub(super) fn foreign(name: &str, state: &str) -> TargetImport {
    TargetImport {
        id: format!("other/{name}"),
        virtual_machine_name: name.to_owned(),
        source_kind: "OpenstackSource".to_owned(),
        state: Some(state.to_owned()),
        ..TargetImport::default()
    }
}

/// The source's network of the one NIC, with this of it.
pub(super) fn network(
    f: Fixture,
    source: &str,
    vm: &str,
    name: &str,
    change: fn(&mut Network),
) -> Fixture {
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
pub(super) fn networks(target: &mut TargetInventory, change: fn(&mut TargetNetwork)) {
    target.about.networks.iter_mut().for_each(change);
}

pub(super) fn longhorn(f: Fixture, gib: u64) -> Fixture {
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

pub(super) fn node(f: Fixture, mib: u64) -> Fixture {
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

pub(super) fn quota(f: Fixture, claims: u64) -> Fixture {
    f.target(|target| {
        target.about.quotas.push(TargetQuota {
            namespace: "erp".into(),
            name: "team".to_owned(),
            hard: [("persistentvolumeclaims".to_owned(), claims)].into(),
            ..TargetQuota::default()
        });
    })
}

pub(super) fn openstack_quota(mut f: Fixture, gigabytes: u64) -> Fixture {
    let source = f.inventory.sources.get_mut("cloud1").expect("a source");
    source.about.quotas.push(Quota {
        what: "gigabytes".to_owned(),
        limit: Some(gigabytes),
    });
    let used = [("gigabytes".to_owned(), 60)].into();
    f.observed("cloud1", "quotas", |seen| seen.used = used)
}

pub(super) fn engine(f: Fixture, change: fn(&mut TargetEngine)) -> Fixture {
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

pub(super) fn store(mut f: Fixture, change: fn(&mut Observed)) -> Fixture {
    let source = f.inventory.sources.get_mut("dc1").expect("a source");
    source.storage.push(Storage {
        id: "ds-1".to_owned(),
        name: "vmfs01".to_owned(),
        ..Storage::default()
    });
    vc(f, |vm| vm.disks[0].storage = Some("ds-1".to_owned())).observed("dc1", "ds-1", change)
}

pub(super) fn host(mut f: Fixture, change: fn(&mut Observed)) -> Fixture {
    let source = f.inventory.sources.get_mut("dc1").expect("a source");
    source.hosts.push(Host {
        id: "host-1".to_owned(),
        name: "esx01.example".to_owned(),
        ..Host::default()
    });
    vc_seen(f, |seen| seen.host = Some("host-1".to_owned())).observed("dc1", "host-1", change)
}

pub(super) fn windows(vm: &mut Vm) {
    vm.guest_os = Some(GuestOs {
        family: Some("windowsGuest".to_owned()),
        ..GuestOs::default()
    });
}

pub(super) fn rename(f: Fixture, name: &str) -> Fixture {
    f.vm("dc1", "erp-app-01", |vm| vm.name = name.into())
        .plan_lines("workloads:\n- { name: all, select: [ { source: dc1, ids: [42-app1] } ] }")
}

/// The server of the cloud with a name of so many characters.
pub(super) fn long_name(f: Fixture, characters: usize) -> Fixture {
    f.vm("cloud1", "db", |vm| vm.name = "x".repeat(characters).into())
        .plan_lines("workloads:\n- { name: all, select: [ { source: cloud1, ids: [c-db] } ] }")
}

pub(super) fn twins(f: Fixture, second: &str) -> Fixture {
    f.plan_lines(&format!(
        "workloads:\n- {{ name: web, select: [ {{ source: cloud1, ids: [c-web1, c-web2] }} ] }}\n\
         machines: [ {{ vm: {{ source: cloud1, id: c-web2 }}, target: {{ namespace: {second} }} }} ]"
    ))
}

pub(super) fn image(name: &str) -> TargetImage {
    TargetImage {
        id: format!("erp/image-{}", name.len()),
        namespace: "erp".into(),
        display_name: name.to_owned(),
        ..TargetImage::default()
    }
}

/// What the server's import would be called at its first attempt.
fn import_of_db(f: &Fixture) -> String {
    let plan = f.resolved();
    let db = plan.vms.iter().find(|vm| vm.key.id == "c-db");
    schemas::machine::import_name(&db.expect("it is selected").record, 1).to_string()
}

/// An image with the name that the server's first attempt would give it, or with another stem.
pub(super) fn left_over(f: Fixture, other: &str) -> Fixture {
    let import = import_of_db(&f);
    let name = format!("vm-import-{import}{other}-db-0.img");
    f.target(|target| target.images.push(image(&name)))
}

/// A machine on the target with this MAC address, on the server's network.
pub(super) fn mac(f: Fixture, there: &str) -> Fixture {
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

pub(super) fn ledger(f: Fixture, stage: Stage) -> Fixture {
    f.ledger("project-id", "cloud1", "c-db", "db", stage)
}

pub(super) fn source_object(f: Fixture, state: &str) -> Fixture {
    f.target(|target| {
        target.sources.push(TargetSource {
            id: "OpenstackSource/migrations/cloud1".to_owned(),
            kind: "OpenstackSource".to_owned(),
            state: Some(state.to_owned()),
            ..TargetSource::default()
        });
    })
}

pub(super) fn import_like_source(f: Fixture, attempt: &str) -> Fixture {
    let import = import_of_db(&f);
    let id = format!("OvaSource/erp/{import}{attempt}");
    f.target(|target| {
        target.sources.push(TargetSource {
            id,
            ..TargetSource::default()
        });
    })
}

pub(super) fn gap(what: &str) -> Gap {
    Gap {
        what: what.to_owned(),
        object: None,
        reason: "403".to_owned(),
    }
}
