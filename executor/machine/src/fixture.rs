//! A small picture for the tests of all modules: two waves, three VMs, one of each kind of source.
//!
//! `db` comes first; `web` waits for it; `old` is an OVA in a wave of its own.

use jiff::Timestamp;
use schemas::conditions::CommonStatus;
use schemas::ids::{Digest, VmKey};
use schemas::machine::{MachineStatus, Stage, Times};
use schemas::site::{
    Admission, ApprovalPolicy, Assumptions, OnFailure, OpenstackSource, VmwareSource,
};
use schemas::units::{Bytes, Quantity, Seconds, Span};
use schemas::upstream::{EngineCondition, ImportState};
use schemas::wave::{
    EngineKind, Prerequisite, PrerequisiteMachine, WaveImport, WaveInputs, WaveOva, WaveSize,
    WaveSource, WaveSpec, WaveTarget, WaveWorkload,
};

use crate::clock::after;
use crate::spec;
use crate::{At, Image, Import, Observed, Record, SourceObject, SourceSpec, Wave};

/// Midnight, `seconds` later.
pub(crate) fn t(seconds: u64) -> Timestamp {
    let midnight = "2026-11-28T00:00:00Z".parse().unwrap();
    after(midnight, Seconds(seconds))
}

pub(crate) fn wave_at(n: u32) -> At {
    At::new("migrations", format!("erp-{n:03}"))
}

pub(crate) fn record_at(vm: &str) -> At {
    At::new("migrations", record_name(vm))
}

pub(crate) fn import_at(vm: &str, attempt: u32) -> At {
    At::new("erp", format!("w{}{attempt}", digits(vm)))
}

fn digits(vm: &str) -> &'static str {
    match vm {
        "db" => "0000000d",
        "web" => "0000000e",
        "old" => "0000000f",
        _ => "00000000",
    }
}

fn record_name(vm: &str) -> String {
    format!("{vm}-{}", digits(vm))
}

pub(crate) fn key(vm: &str) -> VmKey {
    VmKey::new(source(vm), vm)
}

fn source(vm: &str) -> &'static str {
    match vm {
        "db" => "dc1",
        "web" => "cloud1",
        _ => "shelf",
    }
}

fn import(vm: &str, order: u32, workload: &str) -> WaveImport {
    let gib = |gib| Quantity(Bytes::from_gib(gib));
    WaveImport {
        vm: key(vm),
        order,
        name: vm.into(),
        workload: workload.into(),
        record: record_name(vm).into(),
        from: source(vm).into(),
        find: vm.to_owned(),
        folder: None,
        namespace: "erp".into(),
        machine: vm.into(),
        storage_class: "fast".into(),
        networks: Vec::new(),
        shutdown_timeout: Span::from_minutes(10),
        size: WaveSize {
            peak: gib(30),
            resident: gib(20),
            transfer: gib(20),
            disks: gib(20),
        },
        after: Vec::new(),
        excludes: Vec::new(),
        waived: Vec::new(),
    }
}

fn wave(imports: Vec<WaveImport>, sources: Vec<WaveSource>) -> Wave {
    let spec = WaveSpec {
        plan: "erp".into(),
        target: WaveTarget {
            name: "hv1".into(),
            cluster_uid: None,
            engine: EngineKind::VmImport,
        },
        window: None,
        approval: ApprovalPolicy::None,
        admission: Admission::Balanced,
        on_failure: OnFailure::Isolate,
        rates: Assumptions::default(),
        scratch: Quantity(Bytes::from_gib(60)),
        sources,
        workloads: Vec::new(),
        steps: Vec::new(),
        prerequisites: Vec::new(),
        barriers: Vec::new(),
        imports,
        inputs: WaveInputs {
            plan: Digest::from("sha256:p"),
            inventory: Digest::from("sha256:i"),
        },
        generator: "test".to_owned(),
        digest: Digest::default(),
        suspend: None,
    };
    Wave {
        spec,
        generation: 1,
        status: None,
        plan_suspended: false,
    }
}

fn wave_source(name: &str) -> WaveSource {
    WaveSource {
        name: name.into(),
        source: name.into(),
        vmware: (name == "dc1").then(|| VmwareSource {
            endpoint: "https://vcenter/sdk".to_owned(),
            datacenter: "DC0".to_owned(),
        }),
        openstack: (name == "cloud1").then(|| OpenstackSource {
            endpoint: "https://keystone/v3".to_owned(),
            region: "RegionOne".to_owned(),
        }),
        ova: (name == "shelf").then(|| WaveOva {
            url: "https://files/old.ova".to_owned(),
        }),
        credentials: (name != "shelf").then(|| "secret".into()),
    }
}

/// Sources ready, nothing begun.
pub(crate) fn observed() -> Observed {
    let mut first = wave(
        vec![import("web", 20, "app"), import("db", 10, "db")],
        vec![wave_source("cloud1"), wave_source("dc1")],
    );
    first.spec.workloads = vec![WaveWorkload {
        name: "app".into(),
        depends_on: vec!["db".into()],
        gate: None,
    }];
    first.spec.prerequisites = vec![Prerequisite {
        workload: "db".into(),
        machines: vec![PrerequisiteMachine {
            vm: key("db"),
            record: record_name("db").into(),
        }],
    }];
    let second = wave(
        vec![import("old", 10, "legacy")],
        vec![wave_source("shelf")],
    );
    let mut observed = Observed {
        cluster_uid: "c1".to_owned(),
        ..Observed::default()
    };
    for (n, wave) in [(10, first), (20, second)] {
        for source in &wave.spec.sources {
            let object = SourceObject {
                spec: SourceSpec::of(&wave_at(n).namespace, source).unwrap(),
                status: "clusterReady".to_owned(),
                message: None,
                created: t(0),
            };
            let at = At::new("migrations", source.name.clone());
            observed.sources.insert(at, object);
        }
        observed.waves.insert(wave_at(n), wave);
        decide(&mut observed, n, |_| ());
    }
    observed
}

/// Changes a wave's decisions, its digest with them.
pub(crate) fn decide(observed: &mut Observed, n: u32, change: impl FnOnce(&mut WaveSpec)) {
    let wave = observed.waves.get_mut(&wave_at(n)).unwrap();
    change(&mut wave.spec);
    wave.spec.digest = wave.spec.compute_digest();
}

/// A record at `stage`; once there is anything to see, its import's uid is known.
pub(crate) fn record(observed: &mut Observed, vm: &str, stage: Stage, times: Times) {
    let (wave, n) = wave_of(observed, vm);
    let import = wave.spec.imports.iter().find(|i| i.find == vm).unwrap();
    let spec = spec::machine_spec(&wave_at(n), wave, import, 1, t(0));
    let status = MachineStatus {
        common: CommonStatus::default(),
        stage,
        attempt: 1,
        uid: Some(format!("uid-{vm}")),
        times,
        gate: None,
        message: (stage == Stage::Failed).then(|| "it broke".to_owned()),
    };
    let record = Record {
        spec,
        status: Some(status),
        generation: 1,
        resource_version: "7".to_owned(),
    };
    observed.records.insert(record_at(vm), record);
}

/// Its record without any status: an attempt is open.
pub(crate) fn open(observed: &mut Observed, vm: &str) {
    record(observed, vm, Stage::Admitted, Times::default());
    observed.records.get_mut(&record_at(vm)).unwrap().status = None;
}

/// Its import, in this state, with these conditions.
pub(crate) fn put_import(
    observed: &mut Observed,
    vm: &str,
    state: ImportState,
    conditions: &[&str],
) {
    let (wave, n) = wave_of(observed, vm);
    let import = wave.spec.imports.iter().find(|i| i.find == vm).unwrap();
    let mut import = Import {
        uid: format!("uid-{vm}"),
        resource_version: "9".to_owned(),
        machine: Some(import.record.clone()),
        attempt: Some(1),
        touched: true,
        deleting: false,
        changed: None,
        spec: spec::import_spec(&wave_at(n), wave, import).unwrap(),
        ..Import::default()
    };
    import.status.import_status = state;
    import.status.import_conditions = conditions.iter().map(|c| condition(c)).collect();
    observed.imports.insert(import_at(vm, 1), import);
}

pub(crate) fn condition(name: &str) -> EngineCondition {
    EngineCondition {
        r#type: name.to_owned(),
        status: "True".to_owned(),
        ..EngineCondition::default()
    }
}

/// The one image of its import.
pub(crate) fn put_image(observed: &mut Observed, vm: &str, image: Image) {
    let name = format!("image-{vm}");
    let import = observed.imports.get_mut(&import_at(vm, 1)).unwrap();
    import.status.disk_import_status = vec![schemas::upstream::DiskInfo {
        virtual_machine_image: Some(name.clone()),
        ..schemas::upstream::DiskInfo::default()
    }];
    observed.images.insert(At::new("erp", name), image);
}

fn wave_of<'a>(observed: &'a Observed, vm: &str) -> (&'a Wave, u32) {
    let n = if vm == "old" { 20 } else { 10 };
    (&observed.waves[&wave_at(n)], n)
}
