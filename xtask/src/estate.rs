//! `cargo xtask gen estate`: a plan with an inventory of any size, ready for `windrow plan`.
//!
//! Applications of three tiers: databases and application servers in a vCenter, web servers in an
//! OpenStack cloud, some of which are all called `web`. Every object draws from a chance of its
//! own, so that one more VM changes no other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use inventory::snapshot;
use schemas::inventory::{
    Disk, Inventory, Network, Nic, Observed, Power, RootDisk, SCHEMA, ScratchKind, SourceAbout,
    SourceInventory, SourceKind, TargetAbout, TargetInventory, TargetNetwork, TargetScratch,
    TargetStorageClass, Vm,
};
use schemas::plan::MigrationPlan;
use schemas::units::Bytes;
use schemas::yaml;

/// Write a plan with an inventory of N VMs, ready for `windrow plan`
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many VMs
    #[arg(long, value_name = "N")]
    vms: u64,
    /// Where chance begins: the same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Where plan.yaml and inventory/ go
    #[arg(long, value_name = "DIR")]
    out: Utf8PathBuf,
}

/// Most applications: each has three workloads, and a plan has at most 500.
const APPLICATIONS_MAX: u64 = 160;
/// Fewest VMs of an application: two databases, four application servers, two web servers.
const APPLICATION_VMS_MIN: u64 = 8;

/// Writes the estate.
pub fn run(arguments: &Arguments) -> Result<bool> {
    write(arguments.vms, arguments.seed, &arguments.out)?;
    Ok(true)
}

/// Writes an estate of so many VMs into a folder.
#[expect(clippy::print_stderr, reason = "what it has to say")]
pub fn write(vms: u64, seed: u64, out: &Utf8Path) -> Result<()> {
    let estate = Estate::new(vms, seed);
    let folder = out.join("inventory");
    snapshot::write_source(&folder, &"dc1".into(), &estate.vcenter)?;
    snapshot::write_source(&folder, &"cloud1".into(), &estate.cloud)?;
    snapshot::write_target(&folder, &"hv1".into(), &target())?;
    let path = out.join("plan.yaml");
    fs::write(&path, &estate.plan).with_context(|| format!("write {path}"))?;
    yaml::read::<MigrationPlan>(&estate.plan).context("read what was written")?;
    eprintln!("wrote {path} and {folder}: {vms} VMs");
    Ok(())
}

pub(crate) struct Estate {
    plan: String,
    vcenter: SourceInventory,
    cloud: SourceInventory,
}

impl Estate {
    /// Of so many VMs.
    pub(crate) fn new(vms: u64, seed: u64) -> Self {
        let mut estate = Self {
            plan: PLAN.to_owned(),
            vcenter: source(SourceKind::Vmware, "vcenter-7f3a"),
            cloud: source(SourceKind::Openstack, "project-1c9e"),
        };
        estate
            .vcenter
            .networks
            .push(network("dvportgroup-1", "prod", "dvportgroup"));
        estate
            .cloud
            .networks
            .push(network("net-1", "shared", "neutron"));
        let size = vms.div_ceil(APPLICATIONS_MAX).max(APPLICATION_VMS_MIN);
        for number in 0..vms.div_ceil(size) {
            let members = number * size..vms.min((number + 1) * size);
            estate.add_application(number, members, size / 4, seed);
        }
        for source in [&mut estate.vcenter, &mut estate.cloud] {
            source.vms.sort_by(|a, b| a.id.cmp(&b.id));
        }
        estate
    }

    /// Its plan and inventory as the planner takes them.
    pub(crate) fn parts(self) -> Result<(MigrationPlan, Inventory)> {
        let plan = yaml::read::<MigrationPlan>(&self.plan).context("read what was written")?;
        let inventory = Inventory {
            sources: [("dc1".into(), self.vcenter), ("cloud1".into(), self.cloud)].into(),
            targets: [("hv1".into(), target())].into(),
            ..Inventory::default()
        };
        Ok((plan.value, inventory))
    }

    /// An application with these VMs: one quarter databases, one quarter web servers.
    fn add_application(&mut self, number: u64, members: Range<u64>, quarter: u64, seed: u64) {
        let mut tiers: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let (first, last) = (members.start, members.end - 1);
        for vm in members {
            let (tier, id) = match vm - first {
                at if at < quarter => (0, self.add_vsphere(vm, number, "db", seed)),
                at if at < 3 * quarter => (1, self.add_vsphere(vm, number, "app", seed)),
                _ => (2, self.add_server(vm, number, vm == last, seed)),
            };
            tiers.entry(tier).or_default().push(id);
        }
        for (tier, ids) in tiers {
            let select = match tier {
                0 => format!("{{ source: dc1, folder: a{number:04}/db }}"),
                1 => format!("{{ source: dc1, folder: a{number:04}/app }}"),
                _ => format!("{{ source: cloud1, ids: [{}] }}", ids.join(", ")),
            };
            let names = ["db", "app", "web"];
            let (name, before) = (names[tier], tier.checked_sub(1).map(|tier| names[tier]));
            let before = before.map(|name| format!("\n    dependsOn: [a{number:04}-{name}]"));
            write!(
                self.plan,
                "  - name: a{number:04}-{name}\n    target: {{ namespace: a{number:04} }}{}\n    \
                 select: [ {select} ]\n",
                before.unwrap_or_default()
            )
            .expect("a String takes everything");
        }
    }

    fn add_vsphere(&mut self, vm: u64, application: u64, tier: &str, seed: u64) -> String {
        let mut chance = Chance::new(seed, vm);
        let id = format!("5001{vm:04x}-{}", chance.hex());
        let nic = Nic {
            model: Some("VirtualVmxnet3".to_owned()),
            ..nic("4000", &mut chance, "prod")
        };
        let mut disks = vec![disk("2000", 20 + 10 * chance.below(5), "flat")];
        for extra in 0..chance.below(3) {
            disks.push(disk(
                &format!("{}", 2001 + extra),
                20 + 20 * chance.below(6),
                "flat",
            ));
        }
        self.vcenter.vms.push(Vm {
            id: id.as_str().into(),
            name: format!("A{application:04}-{}-{vm}", tier.to_uppercase()).into(),
            dc: Some("DC0".to_owned()),
            folder: Some(format!("a{application:04}/{tier}")),
            vcpus: Some(4),
            memory_mib: Some(8192),
            disks,
            nics: vec![nic],
            ..Vm::default()
        });
        self.vcenter
            .observed
            .insert(id.clone(), observed(&id, "poweredOn", &mut chance));
        id
    }

    fn add_server(&mut self, vm: u64, application: u64, last: bool, seed: u64) -> String {
        let mut chance = Chance::new(seed, vm);
        let id = format!("c0de{vm:04x}-{}", chance.hex());
        // Some are simply called `web`, as in every estate: they exclude each other (N03).
        let name = if last && application.is_multiple_of(2) {
            "web".to_owned()
        } else {
            format!("a{application:04}-web-{vm}")
        };
        self.cloud.vms.push(Vm {
            id: id.as_str().into(),
            name: name.into(),
            root_disk: Some(RootDisk::Volume),
            vcpus: Some(2),
            memory_mib: Some(4096),
            disks: vec![disk(
                &format!("volume-{vm}"),
                10 + 10 * chance.below(4),
                "volume",
            )],
            nics: vec![nic(&format!("port-{vm}"), &mut chance, "shared")],
            ..Vm::default()
        });
        self.cloud
            .observed
            .insert(id.clone(), observed(&id, "ACTIVE", &mut chance));
        id
    }
}

/// Everything before the workloads. Ten hours every night, because an estate of thousands of VMs
/// does not fit into weekends.
const PLAN: &str = r#"# written by `cargo xtask gen estate`
apiVersion: windrow.dev/v1alpha1
kind: MigrationPlan
metadata: { name: estate, namespace: migrations }
spec:
  start: "2027-01-04T00:00:00+01:00"
  target: { name: hv1, namespace: estate }
  inlineSite:
    sources:
    - name: dc1
      vmware: { endpoint: "https://vcenter.example/sdk", datacenter: DC0 }
      credentials: { engine: vsphere }
    - name: cloud1
      openstack: { endpoint: "https://keystone.example:5000/v3", region: RegionOne }
      credentials: { engine: devstack }
    targets:
    - name: hv1
      storageClass: harvester-lh-v1
      scratch: { capacity: 1000Gi }
      networks:
      - { source: dc1, from: prod, to: default/vlan10 }
      - { source: cloud1, from: shared, to: default/vlan30 }
    windows:
    - name: night
      every: { cron: "0 20 * * *", timeZone: Europe/Berlin, lasts: 10h }
      lockout: 30m
  workloads:
"#;

fn source(kind: SourceKind, instance: &str) -> SourceInventory {
    let about = SourceAbout {
        instance: Some(instance.to_owned()),
        ..SourceAbout::new(kind, "https://source.example", "verified")
    };
    SourceInventory::new(about)
}

fn target() -> TargetInventory {
    TargetInventory {
        about: TargetAbout {
            schema: SCHEMA.to_owned(),
            cluster_uid: "3f0c4c5e-2d0b-4a53-9d0e-7a1b3c5d7e9f".to_owned(),
            harvester_version: Some("v1.8.1".to_owned()),
            engine_version: Some("v1.8.1".to_owned()),
            scratch: Some(TargetScratch {
                kind: ScratchKind::Claim,
                claim: Some("harvester-vm-import-controller".into()),
                capacity_bytes: Some(Bytes::from_gib(1000)),
                ..TargetScratch::default()
            }),
            storage_classes: vec![TargetStorageClass {
                name: "harvester-lh-v1".into(),
                provisioner: "driver.longhorn.io".to_owned(),
                default: true,
                parameters: BTreeMap::from([("dataEngine".to_owned(), "v1".to_owned())]),
                ..TargetStorageClass::default()
            }],
            networks: ["default/vlan10", "default/vlan30"]
                .map(|id| TargetNetwork {
                    id: id.to_owned(),
                    ..TargetNetwork::default()
                })
                .into(),
            ..TargetAbout::default()
        },
        ..TargetInventory::default()
    }
}

fn network(id: &str, name: &str, kind: &str) -> Network {
    Network {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        ..Network::default()
    }
}

fn disk(key: &str, gib: u64, backing: &str) -> Disk {
    Disk {
        key: key.to_owned(),
        capacity_bytes: Bytes::from_gib(gib),
        backing: Some(backing.to_owned()),
        ..Disk::default()
    }
}

fn nic(key: &str, chance: &mut Chance, network: &str) -> Nic {
    let mac = chance.hex();
    let pairs: Vec<&str> = (0..3).map(|at| &mac[at * 2..at * 2 + 2]).collect();
    Nic {
        key: key.to_owned(),
        mac: Some(format!("00:50:56:{}", pairs.join(":"))),
        network_name: Some(network.to_owned()),
        connected: Some(true),
        ..Nic::default()
    }
}

/// One in ten is off.
fn observed(id: &str, running: &str, chance: &mut Chance) -> Observed {
    let on = chance.below(10) > 0;
    Observed {
        id: id.to_owned(),
        power: Some(if on { Power::On } else { Power::Off }),
        status: on.then(|| running.to_owned()),
        ..Observed::default()
    }
}

/// Chance of one object: `SplitMix64` (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn new(seed: u64, object: u64) -> Self {
        Self(seed.rotate_left(32) ^ object.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn hex(&mut self) -> String {
        format!("{:012x}", self.next() >> 16)
    }
}
