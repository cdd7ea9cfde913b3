//! For each check a VM that has what it looks for, and one that barely has not.

mod pairs;

use schemas::finding::{Severity, Subject};
use schemas::inventory::{Flavor, Nic, RootDisk, ScratchKind};
use schemas::machine::Stage;
use schemas::units::{Bytes, Quantity};

use super::{Checked, check, table};
use crate::fixture::{Fixture, disk, machine, nic, server, vsphere_vm};
use crate::resolve::ExclusionReason;

/// One server, one VM of the vCenter, the OVA.
const THREE: &str = r"
workloads:
- name: all
  select:
  - { source: cloud1, names: [db] }
  - { source: dc1, names: [erp-app-01] }
  - { source: shelf, ids: [legacy] }
";

fn checked(fixture: &Fixture) -> Checked {
    check(fixture.resolved(), &fixture.inventory)
}

/// Subjects of the findings of that code, `SEVERITY subject: evidence`.
fn hits(fixture: &Fixture, code: &str) -> Vec<String> {
    checked(fixture)
        .findings
        .into_iter()
        .filter(|finding| finding.code == code)
        .map(|finding| {
            let subject = match finding.subject {
                Subject::Vm { key, .. } => key.to_string(),
                Subject::Workload(name) | Subject::Service(name) => name.to_string(),
                Subject::Source(name) => name.to_string(),
                Subject::Target(name) => name.to_string(),
                Subject::Plan => "plan".to_owned(),
            };
            format!("{:?} {subject}: {}", finding.severity, finding.evidence)
        })
        .collect()
}

fn has(fixture: &Fixture, code: &str, expected: &str) {
    let hits = hits(fixture, code);
    assert!(hits.iter().any(|hit| hit == expected), "{code}: {hits:#?}");
}

fn has_not(fixture: &Fixture, code: &str) {
    let hits = hits(fixture, code);
    assert!(hits.is_empty(), "{code}: {hits:#?}");
}

// An estate without hazards has no findings.
#[test]
fn nothing() {
    assert_eq!(checked(&Fixture::new(THREE)).findings, []);
}

// N01: twins in one namespace; not across namespaces; not beside the machine of one's own attempt.
#[test]
fn n01() {
    let twins =
        "workloads:\n- { name: web, select: [ { source: cloud1, ids: [c-web1, c-web2] } ] }";
    has(
        &Fixture::new(twins),
        "N01",
        "Blocker cloud1/c-web1: `erp/web` on hv1 would be the machine of `cloud1/c-web2` too",
    );
    let apart = format!(
        "{twins}\nmachines: [ {{ vm: {{ source: cloud1, id: c-web2 }}, target: {{ namespace: two }} }} ]"
    );
    has_not(&Fixture::new(&apart), "N01");
    let upper = Fixture::new(THREE).vm("dc1", "erp-app-01", |vm| vm.name = "DB".into());
    let upper = Fixture { plan: Fixture::new(
        "workloads:\n- { name: all, select: [ { source: cloud1, names: [db] }, { source: dc1, names: [DB] } ] }",
    ).plan, ..upper };
    assert_eq!(hits(&upper, "N01").len(), 2);

    let there = || Fixture::new(THREE).target(|target| target.vms.push(machine("erp", "db", true)));
    has(
        &there(),
        "N01",
        "Blocker cloud1/c-db: `erp/db` on hv1 is there already, imported before",
    );
    has_not(
        &there().ledger("project-id", "cloud1", "c-db", "db", Stage::Booting),
        "N01",
    );
    let elsewhere = Fixture::new(THREE).target(|t| t.vms.push(machine("other", "db", true)));
    has_not(&elsewhere, "N01");
}

// N02: a machine of that name which the engine did not make.
#[test]
fn n02() {
    let there = Fixture::new(THREE).target(|target| target.vms.push(machine("erp", "db", false)));
    has(&there, "N02", "Blocker cloud1/c-db: `erp/db` exists on hv1");
    has_not(&there, "N01");
    has_not(
        &Fixture::new(THREE).target(|t| t.vms.push(machine("erp", "db2", false))),
        "N02",
    );
}

// N03: equal names from OpenStack in two namespaces exclude each other; VMware's do not.
#[test]
fn n03() {
    let spread = r"
workloads:
- { name: web, select: [ { source: cloud1, ids: [c-web1, c-web2] } ] }
- { name: app, select: [ { source: dc1, names: [web] } ], target: { namespace: three } }
machines: [ { vm: { source: cloud1, id: c-web2 }, target: { namespace: two } } ]
";
    let fixture = Fixture::new(spread).add("dc1", vsphere_vm("42-web", "", "web"));
    has(
        &fixture,
        "N03",
        "Info cloud1/c-web1: `web-0.img` is also written for `cloud1/c-web2`",
    );
    let checked = checked(&fixture);
    assert_eq!(checked.plan.vms.len(), 3, "nothing is blocked");
    let excludes: Vec<String> = checked
        .excludes
        .iter()
        .map(|(key, others)| format!("{key} {}", others[0]))
        .collect();
    assert_eq!(
        excludes,
        ["cloud1/c-web1 cloud1/c-web2", "cloud1/c-web2 cloud1/c-web1"]
    );
}

// P07: a name that the engine does not rewrite; capitals are no fault.
#[test]
fn p07() {
    let named =
        |name: &str| {
            Fixture::new("workloads:\n- { name: all, select: [ { source: dc1, ids: [42-app1] } ] }")
                .vm("dc1", "erp-app-01", |vm| vm.name = name.into())
        };
    has(
        &named("erp_app 1"),
        "P07",
        "Blocker dc1/42-app1: `erp_app 1` has ` `, `_`",
    );
    has(&named("a."), "P07", "Blocker dc1/42-app1: `a.` has `.`");
    has_not(&named("ERP-App-1"), "P07");
}

// P09: a network or a storage class that the target does not have; not where they were not read.
#[test]
fn p09() {
    let bare = || {
        Fixture::new(THREE).target(|target| {
            target
                .about
                .networks
                .retain(|network| network.id != "default/vlan30");
            target.about.storage_classes[0].name = "other".into();
        })
    };
    has(
        &bare(),
        "P09",
        "Blocker cloud1/c-db: hv1 has no network `default/vlan30`",
    );
    has(
        &bare(),
        "P09",
        "Blocker cloud1/c-db: hv1 has no storage class `lh-v1`",
    );
    has_not(&Fixture::new(THREE), "P09");
    let mut unread = bare();
    unread.inventory.targets.clear();
    has_not(&unread, "P09");
    has(
        &unread,
        "WR003",
        "Warning hv1: nothing is known of its machines, networks, storage and ledger",
    );
}

// W01: one NIC of several is not mapped; one that is meant to be dropped is.
#[test]
fn w01() {
    let with = |network: &str| {
        let nic = nic("4001", network);
        Fixture::new(THREE).vm("dc1", "erp-app-01", |vm| {
            vm.nics.push(Nic {
                model: vm.nics[0].model.clone(),
                ..nic
            });
        })
    };
    has(
        &with("dmz"),
        "W01",
        "Blocker dc1/42-app1: 1 NIC on `dmz` would be dropped; hv1 maps nothing for it",
    );
    has_not(&with("backup"), "W01");
    has_not(&with("prod"), "W01");
    let plan = with("prod").resolved();
    let vm = plan
        .vms
        .iter()
        .find(|vm| vm.key.id == "42-app1")
        .expect("it is selected");
    assert_eq!(
        vm.networks().len(),
        1,
        "one line for two NICs on one network (P09)"
    );
}

// W02: no NIC is mapped; a warning where none was meant to be.
#[test]
fn w02() {
    let on = |network: &str| {
        Fixture::new(THREE).vm("dc1", "erp-app-01", |vm| {
            vm.nics[0].network_name = Some(network.to_owned());
        })
    };
    has(
        &on("dmz"),
        "W02",
        "Blocker dc1/42-app1: 1 NIC on `dmz` is the only kind it has; hv1 maps nothing for it",
    );
    has_not(&on("dmz"), "W01");
    has(
        &on("backup"),
        "W02",
        "Warning dc1/42-app1: all its NICs are dropped, and gets one on the pod network",
    );
    has_not(&on("prod"), "W02");
}

// W06: a class that the engine does not look at.
#[test]
fn w06() {
    let class = |class: &str| {
        Fixture::new(THREE).vm("dc1", "erp-app-01", |vm| {
            vm.nics[0].model = Some(class.to_owned());
        })
    };
    has(
        &class("VirtualSriovEthernetCard"),
        "W06",
        "Blocker dc1/42-app1: NIC of class `VirtualSriovEthernetCard`",
    );
    has_not(&class("VirtualE1000e"), "W06");
}

// V05: a template that was asked for, a host that does not answer.
#[test]
fn v05() {
    let template = "workloads:\n- { name: t, select: [ { source: dc1, ids: [42-tpl] } ] }";
    has(
        &Fixture::new(template),
        "V05",
        "Blocker dc1/42-tpl: it is a template",
    );
    let lost = Fixture::new(THREE).observed("dc1", "42-app1", |seen| {
        seen.connection_state = Some("disconnected".to_owned());
    });
    has(
        &lost,
        "V05",
        "Blocker dc1/42-app1: its connection state is `disconnected`",
    );
    has_not(
        &Fixture::new(THREE).observed("dc1", "42-app1", |_| {}),
        "V05",
    );
}

// V07: shared, independent and raw disks; a virtual raw device is exported.
#[test]
fn v07() {
    let with = |change: fn(&mut schemas::inventory::Disk)| {
        Fixture::new(THREE).vm("dc1", "erp-app-01", |vm| change(&mut vm.disks[0]))
    };
    has(
        &with(|disk| disk.sharing = Some("multi-writer".to_owned())),
        "V07",
        "Blocker dc1/42-app1: disk `2000: multi-writer`",
    );
    has(
        &with(|disk| disk.mode = Some("independent_persistent".to_owned())),
        "V07",
        "Blocker dc1/42-app1: disk `2000: independent_persistent`",
    );
    has(
        &with(|disk| disk.backing = Some("rdm-physical".to_owned())),
        "V07",
        "Blocker dc1/42-app1: disk `2000: rdm-physical`",
    );
    has_not(
        &with(|disk| {
            disk.mode = Some("persistent".to_owned());
            disk.backing = Some("rdm-virtual".to_owned());
        }),
        "V07",
    );
}

// V10: a name that the engine takes for a pattern; brackets alone do no harm.
#[test]
fn v10() {
    let named = |id: &str| {
        format!("workloads:\n- {{ name: v, select: [ {{ source: dc1, ids: [\"{id}\"] }} ] }}")
    };
    let estate = |id: &str| {
        Fixture::new(&named(id))
            .add("dc1", vsphere_vm("1", "x", "star*"))
            .add("dc1", vsphere_vm("2", "x", "starfish"))
            .add("dc1", vsphere_vm("3", "x", "lone[1]"))
    };
    has(
        &estate("1"),
        "V10",
        "Blocker dc1/1: `x/star*` finds 2 VMs: `1`, `2`",
    );
    has_not(&estate("2"), "V10");
    has_not(&estate("3"), "V10");
    let lost = Fixture::new(THREE).vm("dc1", "erp-app-01", |vm| vm.folder = None);
    has(
        &lost,
        "V10",
        "Blocker dc1/42-app1: its folder could not be read",
    );
}

// O03: a root disk that is no volume, an ephemeral disk, swap (a warning).
#[test]
fn o03() {
    let with =
        |change: fn(&mut schemas::inventory::Vm)| Fixture::new(THREE).vm("cloud1", "db", change);
    has(
        &with(|vm| vm.root_disk = Some(RootDisk::Ephemeral)),
        "O03",
        "Blocker cloud1/c-db: booted from an image; 1 of its disks are volumes",
    );
    has(
        &with(|vm| {
            vm.flavor = Some(Flavor {
                ephemeral_gib: Some(20),
                ..Flavor::default()
            });
        }),
        "O03",
        "Blocker cloud1/c-db: its flavor adds an ephemeral disk of 20 GiB",
    );
    has(
        &with(|vm| {
            vm.flavor = Some(Flavor {
                swap_mib: Some(512),
                ..Flavor::default()
            });
        }),
        "O03",
        "Warning cloud1/c-db: its flavor adds a swap disk of 512 MiB",
    );
    has_not(&with(|vm| vm.flavor = Some(Flavor::default())), "O03");
}

// S01: one byte more than is usable is too much; the plan's own figure counts.
#[test]
fn s01() {
    let sized =
        |gib: u64| Fixture::new(THREE).vm("cloud1", "db", |vm| vm.disks = vec![disk("v", gib)]);
    has_not(&sized(360), "S01");
    has(
        &sized(361),
        "S01",
        "Blocker cloud1/c-db: needs 361 GiB (provisioned sizes, an upper bound), 360 GiB of 400 GiB are usable on hv1; \
         a scratch of 402 GiB would do",
    );
    let mut given = Fixture {
        plan: Fixture::new(&format!(
            "{THREE}machines: [ {{ vm: {{ source: cloud1, name: db }}, scratch: 300Gi }} ]"
        ))
        .plan,
        ..sized(500)
    };
    has_not(&given, "S01");
    given.plan.spec.machines[0].scratch = Some(Quantity(Bytes::from_gib(361)));
    assert_eq!(hits(&given, "S01").len(), 1);
}

// S02: an emptyDir, limited or not; a claim is none.
#[test]
fn s02() {
    let empty_dir = Fixture::new(THREE).target(|target| {
        let scratch = target.about.scratch.as_mut().expect("a scratch");
        scratch.kind = ScratchKind::EmptyDir;
        scratch.capacity_bytes = None;
    });
    has(
        &empty_dir,
        "S02",
        "Warning hv1: an emptyDir without limit; 400 GiB are planned with",
    );
    has_not(&Fixture::new(THREE), "S02");
}

// S06: Longhorn without a data engine; another provisioner needs none.
#[test]
fn s06() {
    let class = |provisioner: &str| {
        Fixture::new(THREE).target(|target| {
            let class = &mut target.about.storage_classes[0];
            class.parameters.clear();
            provisioner.clone_into(&mut class.provisioner);
        })
    };
    has(
        &class("driver.longhorn.io"),
        "S06",
        "Warning hv1: storage class `lh-v1` has no `dataEngine`",
    );
    has_not(&class("rbd.csi.ceph.com"), "S06");
}

// WR001: a dependency from one target to another.
#[test]
fn wr001() {
    let mut fixture = Fixture::new(
        r"
workloads:
- { name: db, select: [ { source: cloud1, names: [db] } ], target: { name: hv2 } }
- { name: app, select: [ { source: dc1, names: [erp-app-01] } ], dependsOn: [db] }
",
    );
    let mut other = fixture.site.targets[0].clone();
    other.name = "hv2".into();
    fixture.site.targets.push(other);
    has(
        &fixture,
        "WR001",
        "Warning app: depends on `db`, which has machines on `hv2`",
    );
    fixture.plan.spec.workloads[0].target = None;
    has_not(&fixture, "WR001");
}

// WR002: an attempt that failed; one under way is none.
#[test]
fn wr002() {
    let at = |stage| Fixture::new(THREE).ledger("project-id", "cloud1", "c-db", "db", stage);
    let hits = hits(&at(Stage::Failed), "WR002");
    assert_eq!(hits.len(), 1);
    assert!(
        hits[0].contains("on hv1 failed in wave `erp-010-web`; another attempt takes "),
        "{hits:?}"
    );
    has_not(&at(Stage::Exporting), "WR002");
}

// WR005: no disk at all.
#[test]
fn wr005() {
    let none = Fixture::new(THREE).vm("dc1", "erp-app-01", |vm| vm.disks.clear());
    has(&none, "WR005", "Blocker dc1/42-app1: it has none");
    has_not(&Fixture::new(THREE), "WR005");
}

// WR007: an import that another target has begun; not one of the plan's own target.
#[test]
fn wr007() {
    let mut fixture =
        Fixture::new(THREE).ledger("project-id", "cloud1", "c-db", "db", Stage::Exporting);
    has_not(&fixture, "WR007");
    let mut other = fixture.site.targets[0].clone();
    other.name = "hv2".into();
    fixture.site.targets.push(other);
    fixture.plan.spec.target.name = "hv2".into();
    let hits = hits(&fixture, "WR007");
    assert_eq!(hits.len(), 1);
    assert!(
        hits[0].ends_with("on hv1 is Exporting; the plan says hv2"),
        "{hits:?}"
    );
}

/// `db` is blocked; `app` waits for it, `web` for `app`, `other` for nobody.
const CHAIN: &str = r"
workloads:
- { name: web, select: [ { source: cloud1, ids: [c-web1] } ], dependsOn: [app] }
- { name: app, select: [ { source: dc1, names: [erp-app-01] } ], dependsOn: [db] }
- { name: db, select: [ { source: dc1, names: [ERP-DB-01, ERP-DB-02] } ] }
- { name: other, select: [ { source: shelf, ids: [legacy] } ] }
";

fn blocked_chain(plan: &str) -> Fixture {
    Fixture::new(plan).vm("dc1", "ERP-DB-02", |vm| vm.nics.push(nic("4001", "dmz")))
}

// A blocker takes its VM out, and with it all that wait for it, at any distance.
#[test]
fn who_falls() {
    let checked = checked(&blocked_chain(CHAIN));
    let left: Vec<_> = checked
        .plan
        .vms
        .iter()
        .map(|vm| vm.key.id.as_str())
        .collect();
    assert_eq!(left, ["42-db1", "legacy"]);
    let reasons: Vec<_> = checked
        .plan
        .exclusions
        .iter()
        .map(|gone| (gone.key.id.as_str(), &gone.reason))
        .collect();
    let behind = ExclusionReason::Behind(vec![schemas::ids::VmKey::new("dc1", "42-db2")]);
    assert_eq!(
        reasons,
        [
            ("c-web1", &behind),
            ("42-app1", &behind),
            ("42-db2", &ExclusionReason::Blocked(vec!["W01".to_owned()])),
        ]
    );
}

// A waiver by code and VM keeps it in, says so, and is told when it accepts nothing.
#[test]
fn waivers() {
    let waived = format!(
        "{CHAIN}waivers:\n- {{ code: W01, vms: [ERP-DB-02, dc1/42-app1], reason: backup NIC is retired }}\n"
    );
    let checked = checked(&blocked_chain(&waived));
    assert_eq!(checked.plan.vms.len(), 5);
    let finding = checked
        .findings
        .iter()
        .find(|f| f.code == "W01")
        .expect("it is still told");
    assert_eq!(finding.waived_by.as_deref(), Some("backup NIC is retired"));
    assert!(!finding.blocks());
    let waived: Vec<_> = checked
        .waived
        .iter()
        .map(|(key, codes)| format!("{key} {codes:?}"))
        .collect();
    assert_eq!(waived, [r#"dc1/42-db2 ["W01"]"#]);
    let about: Vec<_> = told(&checked, "WR055");
    assert_eq!(
        about,
        ["Warning plan: no finding `W01` of `dc1/42-app1` at waivers[0].vms[1]"]
    );
}

/// Findings of that code, each with its place.
fn told(checked: &Checked, code: &str) -> Vec<String> {
    let line = |finding: &schemas::finding::Finding| {
        let subject = match &finding.subject {
            Subject::Vm { key, .. } => key.to_string(),
            _ => "plan".to_owned(),
        };
        let at = finding.path.as_deref().unwrap_or_default();
        format!(
            "{:?} {subject}: {} at {at}",
            finding.severity, finding.evidence
        )
    };
    let findings = checked.findings.iter();
    findings.filter(|f| f.code == code).map(line).collect()
}

// A waiver ends with its last day, and the finding counts again; a glob is told where it meets more
// VMs without the finding than with it; a plan's severity raises a code, and lowers no blocker.
#[test]
fn waivers_end_and_widths() {
    let plan = |waiver: &str| {
        format!(
            "start: \"2026-11-28T00:00:00Z\"\n{CHAIN}waivers:\n- {{ code: W01, {waiver}, reason: tried }}\n"
        )
    };
    let last = checked(&blocked_chain(&plan(
        "vms: [ERP-DB-02], expires: 2026-11-28",
    )));
    assert_eq!(told(&last, "WR056"), [""; 0]);
    assert_eq!(last.plan.vms.len(), 5);
    let over = checked(&blocked_chain(&plan(
        "vms: [ERP-DB-02], expires: 2026-11-27",
    )));
    assert_eq!(
        told(&over, "WR056"),
        [
            "Warning plan: the waiver of `W01` for 1 VM held until 2026-11-27, and 2026-11-28 is after \
          that at waivers[0]"
        ]
    );
    assert_eq!(over.plan.vms.len(), 2);
    let wide = checked(&blocked_chain(&plan("vms: [\"dc1/*\"]")));
    assert_eq!(
        told(&wide, "WR057"),
        ["Warning plan: `dc1/*` meets 3 VMs, of which 1 has `W01` at waivers[0].vms[0]"]
    );
    let narrow = checked(&blocked_chain(&plan("vms: [\"ERP-DB-*\"]")));
    assert_eq!(told(&narrow, "WR057"), [""; 0]);
    assert_eq!(narrow.plan.vms.len(), 5);

    let rule = |code: &str, severity: &str| {
        let rule =
            format!("severities:\n- {{ code: {code}, severity: {severity}, reason: ours }}\n");
        blocked_chain(&format!("{CHAIN}{rule}"))
    };
    let lowered = rule("W01", "warning");
    assert_eq!(
        lowered.told(),
        "Error plan: spec.severities[0].severity: `W01` is a blocker, and a blocker is not lowered \
         for a whole plan (waive it for the VMs that may be moved with it, by name)"
    );
}

const TABLE: &[&[&str]] = &[
    &["hostname", "virtio", "last_backup", "as_of"],
    &["erp-db-01", "ready", "2026-11-27", "2026-11-20"],
    &["ERP-DB-02", "no", "2026-11-01", "2026-11-20"],
    &["cloud1/c-db", "ready", "", "2026-10-01"],
];

/// The estate with that table and these lines of the site.
fn with_facts(plan: &str, table: &[&[&str]], require: &str) -> Fixture {
    let text =
        format!("facts: [ {{ file: prep.csv, key: hostname, maxAge: 30d }} ]\nrequire:\n{require}");
    let mut fixture = Fixture::new(plan).site_lines(&text);
    let row = |cells: &&[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
    let table = schemas::facts::FactTable {
        columns: row(&table[0]),
        rows: table[1..].iter().map(row).collect(),
        lines: (2..).take(table.len() - 1).collect(),
        as_of: None,
    };
    let tables = &mut fixture.inventory.knowledge.tables;
    tables.insert("prep.csv".to_owned(), table);
    fixture
}

const FACTS: &str = r#"
start: "2026-11-28T00:00:00Z"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db }, { source: cloud1, names: [db] } ] }
"#;

// A fact that is missing, other or old is a finding with its value and where that comes from; a
// fact that is a day is as old as that; what the plan states counts before all.
#[test]
fn requirements() {
    let require = "- { fact: virtio, equals: ready, severity: warning }\n\
                   - { fact: last_backup, maxAge: 1d }\n\
                   - { when: { os: windows }, fact: bitlocker }\n";
    let found = checked(&with_facts(FACTS, TABLE, require));
    assert_eq!(
        told(&found, "WR050"),
        ["Blocker cloud1/c-db: `last_backup` is not known at require[1]"]
    );
    assert_eq!(
        told(&found, "WR051"),
        ["Warning dc1/42-db2: `virtio` is `no` (prep.csv), not `ready` at require[0]"]
    );
    assert_eq!(
        told(&found, "WR052"),
        [
            "Blocker dc1/42-db2: `last_backup: 2026-11-01` is from 2026-11-01 (prep.csv), 27 days \
             before the start; at most 1 are allowed at require[1]",
            "Warning cloud1/c-db: `virtio: ready` is from 2026-10-01 (prep.csv), 58 days before the \
             start; at most 30 are allowed at require[0]",
        ]
    );
    let stated = format!(
        "{FACTS}machines:\n- {{ vm: {{ source: dc1, name: ERP-DB-02 }}, facts: [ {{ name: virtio, value: ready }} ] }}\n"
    );
    assert_eq!(
        told(&checked(&with_facts(&stated, TABLE, require)), "WR051"),
        [""; 0]
    );
}

// Rows that fit two VMs, a VM with two rows and a day that is none are told at their cells; rows of
// other estates' VMs in one warning.
#[test]
fn tables() {
    let table: &[&[&str]] = &[
        &["hostname", "virtio", "as_of"],
        &["web", "ready", ""],
        &["db", "ready", "yesterday"],
        &["cloud1/db", "ready", ""],
        &["elsewhere", "ready", ""],
    ];
    let fixture = with_facts(FACTS, table, "- { fact: virtio }\n");
    assert_eq!(
        fixture.told(),
        "Error facts[0]: row 1, column 1: `web` may be any of `cloud1/c-web1`, `cloud1/c-web2`, \
         `cloud1/c-web3` (write `SOURCE/NAME` or `SOURCE/ID` in its place)\n\
         Error facts[0]: row 2, column 3: `yesterday` is no day (write year, month and day, as in \
         `2026-11-20`)\n\
         Error facts[0]: row 3, column 1: `cloud1/c-db` has a row already, in line 3 (keep one of \
         the two rows)\n\
         Warning facts[0]: row 4, column 1: 1 row is of no VM of the inventory: `elsewhere`"
    );
}

// Who got a name that committed waves have is held back until somebody selects it by its id.
#[test]
fn late_twins() {
    let plan = |select: &str| {
        let plan =
            format!("workloads:\n- name: web\n  select: [ {{ source: cloud1, {select} }} ]\n");
        let mut fixture = Fixture::new(&plan);
        let names = fixture.inventory.knowledge.committed.entry("cloud1".into());
        let ids = names.or_default().entry("web".into()).or_default();
        ids.extend(["c-web1".into(), "c-web2".into()]);
        fixture
    };
    has(
        &plan("names: [web]"),
        "WR053",
        "Blocker cloud1/c-web3: `web` in the waves is `cloud1/c-web1`, `cloud1/c-web2`; this one is 1 disk, 20 GiB",
    );
    has_not(&plan("ids: [c-web1, c-web2, c-web3]"), "WR053");
    has_not(&plan("names: [db]"), "WR053");
}

// What was to be gone by a day, and is not, is told.
#[test]
fn overdue() {
    let plan = |by: &str| {
        Fixture::new(&format!(
            "start: \"2026-11-28T00:00:00Z\"\nworkloads:\n- {{ name: db, select: [ {{ source: cloud1, names: [db] }} ] }}\n\
             outOfScope:\n- {{ source: dc1, folder: erp/db, reason: retired, by: {by} }}\n"
        ))
    };
    assert_eq!(
        told(&checked(&plan("2026-11-27")), "WR054"),
        [
            "Warning plan: `dc1/42-db1`, `dc1/42-db2` still there on 2026-11-28, after 2026-11-27 at outOfScope[0]"
        ]
    );
    has_not(&plan("2026-11-28"), "WR054");
}

// The table is sorted, each code is its own, and each has a page that tells what to do.
#[test]
fn the_table() {
    let codes: Vec<_> = table::CHECKS.iter().map(|check| check.code).collect();
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(codes.len(), sorted.len());
    for check in table::CHECKS {
        let page = table::page(check.code).expect("it is in the table");
        assert!(
            page.contains("**What to do.**") && !page.contains("  "),
            "{page}"
        );
        assert!(
            !check.remedy.ends_with('.') && !check.title.ends_with('.'),
            "{}",
            check.code
        );
    }
    insta::assert_snapshot!(table::page("W01").expect("it is in the table"));
    assert_eq!(table::page("X99"), None);
}

// Findings come the worst first, then by code and VM, whatever the inventory's order.
#[test]
fn order() {
    let estate = |turned: bool| {
        let mut fixture = blocked_chain(CHAIN)
            .add("cloud1", server("c-zzz", "zzz"))
            .vm("dc1", "erp-app-01", |vm| {
                vm.nics[0].network_name = Some("backup".to_owned());
            });
        if turned {
            fixture
                .inventory
                .sources
                .values_mut()
                .for_each(|source| source.vms.reverse());
        }
        checked(&fixture)
    };
    assert_eq!(estate(false), estate(true));
    let severities: Vec<Severity> = estate(false).findings.iter().map(|f| f.severity).collect();
    assert!(severities.is_sorted());
}
