//! An estate for tests: one vCenter, one cloud, one shelf, one target.

use std::collections::BTreeMap;

use schemas::ids::{SourceName, TargetName};
use schemas::inventory::{
    Disk, Inventory, LedgerLine, Nic, Observed, OvaFacts, RootDisk, SCHEMA, ScratchKind,
    SourceAbout, SourceInventory, SourceKind, TargetAbout, TargetInventory, TargetNetwork,
    TargetScratch, TargetStorageClass, TargetVm, Vm,
};
use schemas::machine::{MachineId, Stage};
use schemas::plan::MigrationPlan;
use schemas::site::{MigrationSite, SiteSpec};
use schemas::units::Bytes;

use crate::diagnostic::Diagnostic;
use crate::resolve::{ResolvedPlan, resolve};

/// Site, plan and inventory, to be changed by a test.
pub(crate) struct Fixture {
    pub site: SiteSpec,
    pub plan: MigrationPlan,
    pub inventory: Inventory,
}

const SITE: &str = r#"
apiVersion: windrow.dev/v1alpha1
kind: MigrationSite
metadata: { name: exit }
spec:
  sources:
  - { name: dc1, vmware: { endpoint: "https://vcenter.example/sdk", datacenter: DC0 }, credentials: { engine: vsphere } }
  - { name: cloud1, openstack: { endpoint: "https://keystone.example:5000/v3", region: RegionOne }, credentials: { engine: devstack } }
  - { name: shelf, ova: { items: [ { url: "https://files.example/legacy.ova", name: legacy } ] } }
  targets:
  - name: hv1
    storageClass: lh-v1
    scratch: { capacity: 400Gi }
    networks:
    - { source: dc1, from: prod, to: default/vlan10 }
    - { source: dc1, from: backup, drop: true }
    - { source: cloud1, from: shared, to: default/vlan30 }
    - { source: shelf, from: VM Network, to: default/vlan10 }
"#;

impl Fixture {
    /// The estate, with a plan of these lines below `spec`.
    pub fn new(plan: &str) -> Self {
        let indented = indented(plan);
        let text = format!(
            "apiVersion: windrow.dev/v1alpha1\nkind: MigrationPlan\nmetadata: {{ name: erp, namespace: migrations }}\nspec:\n  site: exit\n  target: {{ name: hv1, namespace: erp }}\n{indented}"
        );
        Self {
            site: schemas::yaml::read::<MigrationSite>(SITE)
                .expect("a site")
                .value
                .spec,
            plan: schemas::yaml::read(&text).expect("a plan").value,
            inventory: inventory(),
        }
    }

    /// The same estate, with another plan.
    pub fn plan_lines(self, plan: &str) -> Self {
        Self {
            plan: Self::new(plan).plan,
            ..self
        }
    }

    /// The same, with windows in the site.
    pub fn windows(mut self, windows: &str) -> Self {
        let indented = indented(windows);
        let text = format!("{SITE}  windows:\n{indented}");
        self.site = schemas::yaml::read::<MigrationSite>(&text)
            .expect("a site")
            .value
            .spec;
        self
    }

    /// The same, with these lines in the site.
    pub fn site_lines(mut self, lines: &str) -> Self {
        let text = format!("{SITE}{}", indented(lines));
        self.site = schemas::yaml::read::<MigrationSite>(&text)
            .expect("a site")
            .value
            .spec;
        self
    }

    /// Changes one VM.
    pub fn vm(mut self, source: &str, name: &str, change: impl FnOnce(&mut Vm)) -> Self {
        let source = self.inventory.sources.get_mut(source).expect("a source");
        change(
            source
                .vms
                .iter_mut()
                .find(|vm| vm.name == name)
                .expect("a VM"),
        );
        self
    }

    /// Changes what is seen of one VM.
    pub fn observed(mut self, source: &str, id: &str, change: impl FnOnce(&mut Observed)) -> Self {
        let source = self.inventory.sources.get_mut(source).expect("a source");
        change(source.observed.entry(id.to_owned()).or_default());
        self
    }

    /// Changes the target's snapshot.
    pub fn target(mut self, change: impl FnOnce(&mut TargetInventory)) -> Self {
        change(self.inventory.targets.get_mut("hv1").expect("a target"));
        self
    }

    /// Adds a VM.
    pub fn add(mut self, source: &str, vm: Vm) -> Self {
        self.inventory
            .sources
            .get_mut(source)
            .expect("a source")
            .vms
            .push(vm);
        self
    }

    /// The target's ledger says this of a VM.
    pub fn ledger(
        self,
        instance: &str,
        source: &str,
        id: &str,
        record: &str,
        stage: Stage,
    ) -> Self {
        let digits = MachineId::new(instance, &id.into()).record_name(&record.into());
        self.target(|target| {
            target.ledger.push(LedgerLine {
                id: format!("migrations/{digits}"),
                instance: Some(instance.to_owned()),
                vm: schemas::ids::VmKey::new(source, id),
                stage,
                wave: Some("erp-010-web".to_owned()),
                size: None,
                times: schemas::machine::Times::default(),
                gate: None,
            });
        })
    }

    pub fn resolve(&self) -> Result<ResolvedPlan, Vec<Diagnostic>> {
        resolve(&self.plan, &self.site, &self.inventory)
    }

    /// The resolved plan of a fixture in which nothing is wrong.
    pub fn resolved(&self) -> ResolvedPlan {
        self.resolve()
            .unwrap_or_else(|diagnostics| panic!("{}", told(&diagnostics)))
    }

    /// What is wrong, one line each: `place: text (hint)`.
    pub fn told(&self) -> String {
        match self.resolve() {
            Ok(plan) => told(&plan.warnings),
            Err(diagnostics) => told(&diagnostics),
        }
    }
}

fn indented(lines: &str) -> String {
    let lines: Vec<String> = lines.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

fn told(diagnostics: &[Diagnostic]) -> String {
    let line = |diagnostic: &Diagnostic| {
        let hint = diagnostic
            .problem
            .hint()
            .map(|hint| format!(" ({hint})"))
            .unwrap_or_default();
        let Diagnostic {
            level,
            place,
            problem,
        } = diagnostic;
        format!("{level:?} {place}: {problem}{hint}")
    };
    diagnostics.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A VM of the vCenter: one disk of 40 GiB, one NIC on `prod`.
pub(crate) fn vsphere_vm(id: &str, folder: &str, name: &str) -> Vm {
    Vm {
        id: id.into(),
        name: name.into(),
        dc: Some("DC0".to_owned()),
        folder: Some(folder.to_owned()),
        disks: vec![disk("2000", 40)],
        nics: vec![Nic {
            model: Some("VirtualVmxnet3".to_owned()),
            ..nic("4000", "prod")
        }],
        ..Vm::default()
    }
}

/// A server of the cloud: one volume of 20 GiB, one port on `shared`.
pub(crate) fn server(id: &str, name: &str) -> Vm {
    Vm {
        id: id.into(),
        name: name.into(),
        root_disk: Some(RootDisk::Volume),
        disks: vec![disk(&format!("volume-{id}"), 20)],
        nics: vec![nic(&format!("port-{id}"), "shared")],
        ..Vm::default()
    }
}

pub(crate) fn disk(key: &str, gib: u64) -> Disk {
    Disk {
        key: key.to_owned(),
        capacity_bytes: Bytes::from_gib(gib),
        ..Disk::default()
    }
}

pub(crate) fn nic(key: &str, network: &str) -> Nic {
    Nic {
        key: key.to_owned(),
        network_name: Some(network.to_owned()),
        ..Nic::default()
    }
}

fn source(kind: SourceKind, instance: Option<&str>, vms: Vec<Vm>) -> SourceInventory {
    let about = SourceAbout {
        instance: instance.map(str::to_owned),
        ..SourceAbout::new(kind, "https://source.example", "verified")
    };
    SourceInventory {
        vms,
        ..SourceInventory::new(about)
    }
}

fn inventory() -> Inventory {
    let legacy = Vm {
        id: "legacy".into(),
        name: "Legacy CRM".into(),
        url: Some("https://files.example/legacy.ova".to_owned()),
        disks: vec![disk("legacy-disk1.vmdk", 30)],
        nics: vec![nic("0", "VM Network")],
        ova: Some(OvaFacts {
            archive_bytes: Bytes::from_gib(10),
            manifest: Some("sha256".to_owned()),
            virtual_systems: 1,
            ..OvaFacts::default()
        }),
        ..Vm::default()
    };
    let vmware = vec![
        vsphere_vm("42-db1", "erp/db", "ERP-DB-01"),
        vsphere_vm("42-db2", "erp/db", "ERP-DB-02"),
        vsphere_vm("42-app1", "erp/app", "erp-app-01"),
        vsphere_vm("42-app2", "erp/app", "erp-app-02"),
        Vm {
            template: true,
            ..vsphere_vm("42-tpl", "erp/app", "erp-app-template")
        },
    ];
    let openstack = vec![
        server("c-web1", "web"),
        server("c-web2", "web"),
        server("c-web3", "web"),
        server("c-db", "db"),
    ];
    let sources: [(&str, SourceInventory); 3] = [
        (
            "dc1",
            source(SourceKind::Vmware, Some("vcenter-uuid"), vmware),
        ),
        (
            "cloud1",
            source(SourceKind::Openstack, Some("project-id"), openstack),
        ),
        ("shelf", source(SourceKind::Ova, None, vec![legacy])),
    ];
    Inventory {
        sources: sources
            .into_iter()
            .map(|(name, s)| (SourceName::from(name), s))
            .collect(),
        targets: BTreeMap::from([(TargetName::from("hv1"), target())]),
        ..Inventory::default()
    }
}

fn target() -> TargetInventory {
    TargetInventory {
        about: TargetAbout {
            schema: SCHEMA.to_owned(),
            cluster_uid: "cluster-uid".to_owned(),
            scratch: Some(TargetScratch {
                kind: ScratchKind::Claim,
                claim: Some("scratch".into()),
                capacity_bytes: Some(Bytes::from_gib(400)),
                ..TargetScratch::default()
            }),
            storage_classes: vec![TargetStorageClass {
                name: "lh-v1".into(),
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

/// A machine on the target.
pub(crate) fn machine(namespace: &str, name: &str, imported: bool) -> TargetVm {
    TargetVm {
        id: format!("{namespace}/{name}"),
        namespace: namespace.into(),
        name: name.into(),
        imported,
        ..TargetVm::default()
    }
}
