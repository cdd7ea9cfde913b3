//! What resolves to what, and what is wrong where.

use std::collections::BTreeSet;

use schemas::machine::Stage;

use super::ExclusionReason;
use crate::fixture::{Fixture, server, vsphere_vm};

const WEB: &str = r"
workloads:
- name: web
  select: [ { source: cloud1, names: [web] } ]
";

fn keys(fixture: &Fixture) -> Vec<String> {
    fixture
        .resolved()
        .vms
        .iter()
        .map(|vm| vm.key.to_string())
        .collect()
}

// Three servers of one name are three VMs, each looked for by its id: O01 and O02 cannot happen.
#[test]
fn openstack_is_found_by_id() {
    let plan = Fixture::new(WEB).resolved();
    let found: Vec<_> = plan
        .vms
        .iter()
        .map(|vm| (vm.key.id.as_str(), vm.find.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("c-web1", "c-web1"),
            ("c-web2", "c-web2"),
            ("c-web3", "c-web3")
        ]
    );
    assert!(
        plan.vms
            .iter()
            .all(|vm| vm.machine == "web" && vm.folder.is_none())
    );
}

// VMware: folder and name as stored, the machine in lower case; OVA: the item's name throughout.
#[test]
fn names_by_kind() {
    let plan = Fixture::new(
        r"
workloads:
- name: db
  select: [ { source: dc1, names: [ERP-DB-01] }, { source: shelf, ids: [legacy] } ]
",
    )
    .resolved();
    let [db, legacy] = plan.vms.as_slice() else {
        panic!("two VMs")
    };
    assert_eq!(
        (db.find.as_str(), db.folder.as_deref()),
        ("ERP-DB-01", Some("erp/db"))
    );
    assert_eq!(
        (db.machine.as_str(), db.source.name.as_str()),
        ("erp-db-01", "dc1")
    );
    assert_eq!(
        (legacy.find.as_str(), legacy.machine.as_str()),
        ("legacy", "legacy")
    );
    assert_eq!(legacy.source.name, "shelf-legacy");
    assert!(
        legacy.record.as_str().starts_with("legacy-crm-"),
        "{}",
        legacy.record
    );
}

// Fields of an item are ANDed, items are ORed, and a folder's pattern takes no template.
#[test]
fn fields_and_items() {
    let both = Fixture::new(
        r#"
workloads:
- name: app
  select:
  - { source: dc1, folder: "erp/*", match: "erp-*-01" }
  - { source: cloud1, ids: [c-db] }
"#,
    );
    assert_eq!(keys(&both), ["cloud1/c-db", "dc1/42-app1"]);
    let folder = Fixture::new(
        r#"
workloads:
- name: app
  select: [ { source: dc1, folder: "erp/app" } ]
"#,
    );
    assert_eq!(keys(&folder), ["dc1/42-app1", "dc1/42-app2"]);
    let plan = folder.resolved();
    assert_eq!(plan.exclusions.len(), 1);
    assert_eq!(plan.exclusions[0].reason, ExclusionReason::Template);
    let below = Fixture::new(
        "workloads:\n- name: all\n  select: [ { source: dc1, folder: \"erp/**\" }, { source: dc1, folder: \"erp/db/**\" } ]",
    );
    assert_eq!(
        keys(&below),
        ["dc1/42-app1", "dc1/42-app2", "dc1/42-db1", "dc1/42-db2"]
    );
    let asked = Fixture::new(
        r"
workloads:
- name: app
  select: [ { source: dc1, ids: [42-tpl] } ]
",
    );
    assert_eq!(keys(&asked), ["dc1/42-tpl"]);
}

// All mistakes are told at once, each with its field and a way out.
#[test]
fn mistakes() {
    let fixture = Fixture::new(
        r#"
start: "2026-11-28T00:00:00Z"
workloads:
- name: web
  select:
  - { source: cloud1, names: [web, wbe] }
  - { source: cloud2, names: [web] }
  - { source: cloud1, folder: x }
  - { source: dc1, match: "app[" }
  dependsOn: [dbs]
- name: db
  select:
  - { source: dc1, names: [erp-db-01] }
  - { source: cloud1, ids: [c-db, c-web1] }
  - { source: dc1, folder: "epr/db/**" }
  - { source: dc1, folder: "erp/app", names: [ERP-DB-02] }
  target: { name: hv2 }
machines:
- { vm: { source: cloud1, name: web }, target: { namespace: a } }
- { vm: { source: dc1, name: erp-app-01 }, scratch: 10Gi }
- { vm: { source: cloud1, id: c-db } }
- { vm: { source: cloud1, name: db } }
waves:
- { name: pilot, workloads: [web, dbx], window: weekend }
- { name: second, workloads: [web], occurrence: 2027-W06 }
waivers:
- { code: W91, vms: [db], reason: none }
- { code: N01, vms: [web], reason: none }
- { code: W01, vms: [dc1/erp-app-01, nobody], reason: none }
"#,
    );
    insta::assert_snapshot!(fixture.told());
}

// A circle is told member by member, and only its members.
#[test]
fn cycle() {
    let fixture = Fixture::new(
        r"
workloads:
- { name: a, select: [ { source: cloud1, ids: [c-web1] } ], dependsOn: [b] }
- { name: b, select: [ { source: cloud1, ids: [c-web2] } ], dependsOn: [c] }
- { name: c, select: [ { source: cloud1, ids: [c-web3] } ], dependsOn: [b] }
",
    );
    insta::assert_snapshot!(
        fixture.told(),
        @"Error plan: spec.workloads[1].dependsOn: workloads wait for each other: b → c → b (remove one `dependsOn` of the circle)"
    );
}

// What the site says twice, or of what does not exist, is told in the site's own fields.
#[test]
fn site_mistakes() {
    let mut fixture = Fixture::new(WEB);
    let target = &mut fixture.site.targets[0];
    target.networks.push(target.networks[0].clone());
    target.networks[2].source = "cloud".into();
    target.scratch.capacity = None;
    fixture = fixture.target(|target| target.about.scratch = None);
    fixture.site.sources[2].name = "dc1".into();
    fixture.plan.spec.inline_site = Some(fixture.site.clone());
    insta::assert_snapshot!(fixture.told());
}

// A snapshot that is missing, or of another kind of source, is not planned with.
#[test]
fn snapshots() {
    let mut fixture = Fixture::new(WEB);
    let vcenter = fixture.inventory.sources["dc1"].clone();
    fixture.inventory.sources.insert("cloud1".into(), vcenter);
    insta::assert_snapshot!(fixture.told());
    fixture.inventory.sources.clear();
    insta::assert_snapshot!(fixture.told());
    let doubled = Fixture::new(WEB).add("cloud1", server("c-web1", "other"));
    insta::assert_snapshot!(doubled.told());
}

// What the ledger says runs is done, even under an older name; what failed is planned under the
// record that it has.
#[test]
fn ledger() {
    let plan = Fixture::new(WEB)
        .ledger("project-id", "cloud1", "c-web1", "Old Name", Stage::Running)
        .ledger("project-id", "cloud1", "c-web2", "old", Stage::Failed)
        .ledger("other-project", "cloud1", "c-web3", "web", Stage::Running)
        .resolved();
    assert_eq!(plan.exclusions.len(), 1);
    assert!(
        matches!(&plan.exclusions[0].reason, ExclusionReason::Moved { record, .. } if record.as_str().starts_with("old-name-"))
    );
    let [second, third] = plan.vms.as_slice() else {
        panic!("two VMs are left")
    };
    assert!(
        second.record.as_str().starts_with("old-"),
        "{}",
        second.record
    );
    assert!(
        third.record.as_str().starts_with("web-"),
        "{}",
        third.record
    );
    assert_eq!(third.ledger, None);
}

// The nearest target counts: the machine's, its workload's, the plan's, field by field.
#[test]
fn targets() {
    let mut fixture = Fixture::new(
        r"
workloads:
- name: web
  select: [ { source: cloud1, names: [web] } ]
  target: { namespace: web }
- name: db
  select: [ { source: cloud1, names: [db] } ]
machines:
- { vm: { source: cloud1, id: c-web2 }, target: { namespace: web-2 } }
- { vm: { source: cloud1, id: c-web3 }, target: { name: hv2 } }
",
    );
    let mut other = fixture.site.targets[0].clone();
    other.name = "hv2".into();
    fixture.site.targets.push(other);
    let plan = fixture.resolved();
    let places: Vec<_> = plan
        .vms
        .iter()
        .map(|vm| format!("{} {}/{}", vm.key.id, vm.target, vm.namespace))
        .collect();
    assert_eq!(
        places,
        [
            "c-db hv1/erp",
            "c-web1 hv1/web",
            "c-web2 hv1/web-2",
            "c-web3 hv2/web"
        ]
    );
}

// The order in which an inventory lists VMs changes nothing.
#[test]
fn order_of_the_inventory() {
    let fixture = Fixture::new(WEB).add("dc1", vsphere_vm("1", "", "first"));
    let mut turned = Fixture::new(WEB).add("dc1", vsphere_vm("1", "", "first"));
    for source in turned.inventory.sources.values_mut() {
        source.vms.reverse();
    }
    assert_eq!(fixture.resolved(), turned.resolved());
}

const WINDOW: &str = r#"
- name: weekend
  every: { cron: "30 2 * * 0", timeZone: Europe/Berlin, lasts: 4h }
  lockout: 30m
- name: quarter
  occurrences: [ { id: W06, from: "2027-02-13T20:00:00+01:00", to: "2027-02-14T10:00:00+01:00" } ]
"#;

// A window opens at its local time on both sides of a clock change; the time that the change
// skips, or repeats, is told and left out.
#[test]
fn clock_changes() {
    let mut fixture = Fixture::new(WEB).windows(WINDOW);
    fixture.plan.spec.start = Some("2026-10-10T00:00:00Z".parse().expect("an instant"));
    let plan = fixture.resolved();
    let opens: Vec<_> = plan.windows[0]
        .occurrences
        .iter()
        .map(|occurrence| format!("{} {}", occurrence.id, occurrence.from))
        .collect();
    assert_eq!(
        opens[..3],
        [
            "2026-10-11 2026-10-11T00:30:00Z",
            "2026-10-18 2026-10-18T00:30:00Z",
            "2026-11-01 2026-11-01T01:30:00Z",
        ]
    );
    let first = &plan.windows[0].occurrences[0];
    assert_eq!(first.last_start.to_string(), "2026-10-11T04:00:00Z");
    let told = fixture.told();
    assert!(
        told.contains("2026-10-25 02:30 in `Europe/Berlin` is repeated"),
        "{told}"
    );
    assert!(
        told.contains("2027-03-28 02:30 in `Europe/Berlin` is skipped"),
        "{told}"
    );
}

// Windows that cannot be: no start, no such zone, no such time, no time left, no such occurrence.
#[test]
fn window_mistakes() {
    let no_start = Fixture::new(WEB).windows(WINDOW);
    insta::assert_snapshot!(no_start.told());
    let mut fixture = Fixture::new(
        r"
workloads:
- name: web
  select: [ { source: cloud1, names: [web] } ]
waves:
- { name: pilot, workloads: [web], window: quarter, occurrence: W07 }
",
    )
    .windows(
        r#"
- name: weekend
  every: { cron: "0 22 * * 8", timeZone: Europe/Berln, lasts: 4h }
- name: night
  every: { cron: "0 0 22 * * 6", timeZone: UTC, lasts: 30m }
  lockout: 30m
- name: quarter
  occurrences:
  - { id: W05, from: "2027-02-06T20:00:00+01:00", to: "2027-02-06T20:00:00+01:00" }
  - { id: W06, from: "2027-02-13T20:00:00+01:00", to: "2027-02-14T10:00:00+01:00" }
"#,
    );
    fixture.plan.spec.start = Some("2027-01-01T00:00:00Z".parse().expect("an instant"));
    insta::assert_snapshot!(fixture.told());
}

// A night window in three zones: the local hour stays, the instant moves with the clock change; an
// hour that a zone skips is told, and one without clock changes has none.
#[test]
fn clock_changes_in_three_zones() {
    let opens = |zone: &str, cron: &str, start: &str| {
        let windows =
            format!("- name: night\n  every: {{ cron: \"{cron}\", timeZone: {zone}, lasts: 2h }}");
        let mut fixture = Fixture::new(WEB).windows(&windows);
        fixture.plan.spec.start = Some(start.parse().expect("an instant"));
        let plan = fixture.resolved();
        let opens: Vec<_> = plan.windows[0].occurrences[..3]
            .iter()
            .map(|occurrence| occurrence.from.to_string())
            .collect();
        (opens, fixture.told())
    };
    let (berlin, _) = opens("Europe/Berlin", "0 22 * * *", "2026-10-24T00:00:00Z");
    assert_eq!(
        berlin,
        [
            "2026-10-24T20:00:00Z",
            "2026-10-25T21:00:00Z",
            "2026-10-26T21:00:00Z"
        ]
    );
    let (new_york, told) = opens("America/New_York", "30 2 * * *", "2027-03-13T00:00:00Z");
    assert_eq!(
        new_york,
        [
            "2027-03-13T07:30:00Z",
            "2027-03-15T06:30:00Z",
            "2027-03-16T06:30:00Z"
        ]
    );
    assert!(
        told.contains("2027-03-14 02:30 in `America/New_York` is skipped"),
        "{told}"
    );
    // Half an hour only, on Lord Howe Island.
    let (lord_howe, told) = opens("Australia/Lord_Howe", "45 1 * * *", "2027-04-03T00:00:00Z");
    assert_eq!(
        lord_howe,
        [
            "2027-04-04T15:15:00Z",
            "2027-04-05T15:15:00Z",
            "2027-04-06T15:15:00Z"
        ]
    );
    assert!(told.contains("is repeated"), "{told}");
    let (kolkata, told) = opens("Asia/Kolkata", "30 2 * * *", "2027-03-27T00:00:00Z");
    assert_eq!(kolkata[0], "2027-03-27T21:00:00Z");
    assert!(!told.contains("clock change"), "{told}");
}

const FROZEN: &str = r#"
start: "2026-12-01T00:00:00Z"
workloads:
- { name: web, select: [ { source: cloud1, names: [web] } ] }
- { name: db, select: [ { source: cloud1, names: [db] } ], weight: 7 }
services:
- { name: shop, workloads: [web], owner: shop-team, weight: 3, refs: { change: CHG1 } }
"#;

// A freeze shortens what it reaches into; one of a service leaves the others alone.
#[test]
fn freezes() {
    let windows = r#"
- name: weekend
  every: { cron: "0 22 * * 6", timeZone: Europe/Berlin, lasts: 8h }
  lockout: 30m
  rollbackReserve: 90m
  maxVms: 60
"#;
    let mut fixture = Fixture::new(FROZEN).windows(windows);
    let freeze = |from: &str, to: &str, services: &[&str]| schemas::site::Freeze {
        from: from.parse().expect("a day"),
        to: to.parse().expect("a day"),
        time_zone: None,
        reason: "year end".to_owned(),
        services: services.iter().map(|name| (*name).into()).collect(),
    };
    fixture.site.freezes = vec![
        freeze("2026-12-13", "2027-01-06", &[]),
        freeze("2026-12-05", "2026-12-06", &["shop"]),
    ];
    let plan = fixture.resolved();
    let open = |name: &str| -> Vec<String> {
        let workload = plan.workload(&name.into()).expect("there is one");
        let open = plan.occurrences(workload).expect("there are windows");
        let shown = open.iter().take(3);
        shown
            .map(|o| format!("{} {} {}", o.id, o.from, o.to))
            .collect()
    };
    assert_eq!(
        open("db"),
        [
            "2026-12-05 2026-12-05T21:00:00Z 2026-12-06T05:00:00Z",
            "2026-12-12 2026-12-12T21:00:00Z 2026-12-12T23:00:00Z",
            "2027-01-09 2027-01-09T21:00:00Z 2027-01-10T05:00:00Z",
        ]
    );
    assert_eq!(open("web")[..2], open("db")[1..]);
    let weights: Vec<u64> = plan.workloads.iter().map(|w| w.weight).collect();
    assert_eq!(weights, [3, 7]);
    assert_eq!(plan.windows[0].max_vms, Some(60));
    let service = plan.service(&plan.workloads[0]).expect("in a service");
    assert_eq!(
        (service.owner.as_deref(), service.change.as_deref()),
        (Some("shop-team"), Some("CHG1"))
    );
}

// Freezes without windows, days in the wrong order, unknown zones.
#[test]
fn freeze_mistakes() {
    let mut fixture = Fixture::new(FROZEN);
    fixture.site.freezes = vec![schemas::site::Freeze {
        from: "2027-01-06".parse().expect("a day"),
        to: "2026-12-18".parse().expect("a day"),
        time_zone: Some("Europe/Berln".to_owned()),
        reason: "year end".to_owned(),
        services: Vec::new(),
    }];
    insta::assert_snapshot!(fixture.told());
}

// Services and waves that cannot be: unknown names, a workload in two services, what is to be
// together pinned apart, canaries of another wave.
#[test]
fn service_and_wave_mistakes() {
    let mut fixture = Fixture::new(
        r#"
start: "2026-12-01T00:00:00Z"
workloads:
- { name: web, select: [ { source: cloud1, names: [web] } ] }
- { name: db, select: [ { source: cloud1, names: [db] } ] }
services:
- { name: shop, workloads: [web, db, dbb], together: true }
- { name: other, workloads: [db] }
- { name: other, workloads: [web] }
waves:
- { name: one, workloads: [web], occurrence: 2026-12-05, canaries: [db, nobody] }
- { name: two, workloads: [db], occurrence: 2026-12-12, after: [oen] }
vmDependencies:
- { vm: { source: cloud1, id: c-web1 }, after: [ { source: cloud1, name: wbe }, { source: dc1, name: ERP-DB-01 } ] }
"#,
    )
    .windows(
        r#"
- name: weekend
  every: { cron: "0 22 * * 6", timeZone: Europe/Berlin, lasts: 8h }
"#,
    );
    insta::assert_snapshot!(fixture.told());
    fixture.plan.spec.services.clear();
    fixture.plan.spec.vm_dependencies.clear();
    fixture.plan.spec.waves[0].canaries.clear();
    fixture.plan.spec.waves[1].after.clear();
    assert_eq!(fixture.told(), "");
}

// Circles through VMs, workloads, canaries and waves are named member by member.
#[test]
fn circles() {
    let circle = |more: &str| {
        let plan = format!(
            "{}\n{more}",
            r"
workloads:
- { name: web, select: [ { source: cloud1, names: [web] } ], dependsOn: [db] }
- { name: db, select: [ { source: cloud1, names: [db] } ] }"
        );
        Fixture::new(&plan).told()
    };
    let told = circle(
        "vmDependencies: [ { vm: { source: cloud1, name: db }, after: [ { source: cloud1, id: c-web2 } ] } ]",
    );
    assert!(
        told.contains("machines wait for each other: db → web → workload db → db"),
        "{told}"
    );
    let told = circle(
        "waves: [ { name: a, workloads: [db], after: [b] }, { name: b, workloads: [web] } ]",
    );
    assert!(told.contains("wave b"), "{told}");
    let told = circle("waves: [ { name: a, workloads: [db, web], canaries: [cloud1/c-web1] } ]");
    assert!(told.contains("canaries of a"), "{told}");
    let good = circle(
        "vmDependencies: [ { vm: { source: cloud1, id: c-web2 }, after: [ { source: cloud1, id: c-web1 } ] } ]",
    );
    assert_eq!(good, "");
}

/// The estate, with more to select by.
fn labelled(plan: &str) -> Fixture {
    use schemas::inventory::{Power, Project, Storage};
    let mut fixture = Fixture::new(plan)
        .vm("dc1", "ERP-DB-01", |vm| {
            vm.tags = vec!["AppID/erp".to_owned(), "tier/db".to_owned()];
            vm.disks[0].storage = Some("datastore-11".to_owned());
        })
        .vm("dc1", "ERP-DB-02", |vm| {
            vm.tags = vec!["AppID/CRM 2".to_owned()];
        })
        .vm("dc1", "erp-app-01", |vm| {
            vm.attributes.insert("AppID".to_owned(), "erp".to_owned());
            vm.vapp = Some("erp-vapp".to_owned());
        })
        .vm("cloud1", "db", |vm| {
            vm.project = Some(Project {
                id: "p-1".to_owned(),
                name: Some("harbor".to_owned()),
            });
            vm.server_groups = vec!["db-apart".to_owned()];
            vm.tags = vec!["AppID=erp".to_owned()];
        })
        .observed("dc1", "42-db2", |seen| seen.power = Some(Power::Off));
    let source = fixture.inventory.sources.get_mut("dc1");
    source.expect("a source").storage.push(Storage {
        id: "datastore-11".to_owned(),
        name: "san1".to_owned(),
        ..Storage::default()
    });
    fixture
}

// Each field of a selector narrows it; all of them must hold.
#[test]
fn fields() {
    for (selector, expected) in [
        ("source: dc1, tags: [\"AppID/erp\"]", "dc1/42-db1"),
        ("source: dc1, tags: [db]", "dc1/42-db1"),
        ("source: dc1, tags: [\"AppID/*\"]", "dc1/42-db1 dc1/42-db2"),
        ("source: dc1, tags: [db, \"AppID/*\"]", "dc1/42-db1"),
        (
            "source: dc1, attributes: [ { name: AppID, value: \"er*\" } ]",
            "dc1/42-app1",
        ),
        (
            "source: dc1, attributes: [ { name: AppID } ]",
            "dc1/42-app1",
        ),
        ("source: dc1, vapp: erp-vapp", "dc1/42-app1"),
        ("source: dc1, datastore: \"san*\"", "dc1/42-db1"),
        ("source: dc1, power: stopped", "dc1/42-db2"),
        (
            "source: dc1, network: prod, folder: \"erp/app\"",
            "dc1/42-app1 dc1/42-app2",
        ),
        ("source: cloud1, project: harbor", "cloud1/c-db"),
        ("source: cloud1, project: p-1", "cloud1/c-db"),
        ("source: cloud1, serverGroup: db-apart", "cloud1/c-db"),
    ] {
        let plan = format!("workloads:\n- {{ name: a, select: [ {{ {selector} }} ] }}\n");
        assert_eq!(keys(&labelled(&plan)).join(" "), expected, "{selector}");
    }
    let told = |selector: &str| {
        labelled(&format!(
            "workloads:\n- {{ name: a, select: [ {{ {selector} }} ] }}\n"
        ))
        .told()
    };
    insta::assert_snapshot!(
        [
            told("source: dc1, tags: [\"AppID/epr\"], folder: erp/db"),
            told("source: cloud1, vapp: x, project: \"[\""),
        ]
        .join("\n")
    );
}

// `exclude` leaves VMs to others; one that leaves nothing is a mistake, one without effect a doubt.
#[test]
fn exclude() {
    let plan = |exclude: &str| {
        Fixture::new(&format!(
            "workloads:\n- name: app\n  select: [ {{ source: dc1, folder: \"erp/**\" }} ]\n  exclude: [ {{ source: dc1, {exclude} }} ]\n"
        ))
    };
    assert_eq!(
        keys(&plan("match: \"*-app-*\"")),
        ["dc1/42-db1", "dc1/42-db2"]
    );
    insta::assert_snapshot!(
        [
            plan("folder: \"erp/**\"").told(),
            plan("names: [erp-app-1]").told(),
            plan("match: nothing").told(),
        ]
        .join("\n")
    );
}

// One workload for each value; what is selected by name or out of scope is not taken again, a
// template never, and what has no value is named.
#[test]
fn workloads_from() {
    let fixture = labelled(
        r#"
workloads:
- { name: db, select: [ { source: dc1, names: [ERP-DB-01] } ] }
workloadsFrom:
- { source: dc1, groupBy: "tag:AppID", name: "app-{key}", namespace: "app-{key}", dependsOn: [db] }
- { source: cloud1, groupBy: "tag:AppID" }
outOfScope:
- { source: dc1, names: [erp-app-02], reason: retired }
"#,
    );
    let plan = fixture.resolved();
    let vms: Vec<_> = plan
        .vms
        .iter()
        .map(|vm| format!("{} {} {} {}", vm.key, vm.workload, vm.namespace, vm.path))
        .collect();
    assert_eq!(
        vms,
        [
            "cloud1/c-db erp erp workloadsFrom[1]",
            "dc1/42-db1 db erp workloads[0].select[0]",
            "dc1/42-db2 app-crm-2 app-crm-2 workloadsFrom[0]",
        ]
    );
    assert_eq!(plan.out_of_scope.len(), 1);
    insta::assert_snapshot!(fixture.told());
    let folders = labelled("workloadsFrom: [ { source: dc1, groupBy: \"folder:2\" } ]");
    let workloads: Vec<_> = folders
        .resolved()
        .workloads
        .into_iter()
        .map(|w| w.name)
        .collect();
    assert_eq!(workloads, ["erp-app", "erp-db"]);
    let wrong = labelled(
        "workloadsFrom:\n- { source: dc1, groupBy: \"attribute:AppId\", dependsOn: [bd] }\n- { source: cloud1, groupBy: folder }",
    );
    insta::assert_snapshot!(wrong.told());
}

// What two workloads want, or one wants and the plan leaves, is told with both places.
#[test]
fn both() {
    let fixture = Fixture::new(
        r#"
workloads:
- { name: db, select: [ { source: dc1, folder: "erp/db" } ] }
outOfScope:
- { source: dc1, match: "ERP-*", reason: retired }
"#,
    );
    let found = fixture.resolve().expect_err("a contradiction");
    let also = found[0]
        .problem
        .also()
        .map(|(place, what)| format!("{place}: {what}"));
    assert_eq!(found[0].place.path, "outOfScope[0]");
    assert_eq!(
        also.as_deref(),
        Some("plan: spec.workloads[0].select[0]: `db` takes them here")
    );
}

// A day is needed where there is something to judge by it.
#[test]
fn no_day() {
    let fixture = Fixture::new(
        "workloads:\n- { name: db, select: [ { source: cloud1, names: [db] } ] }\nwaivers:\n- { code: W01, vms: [db], reason: r, expires: 2026-12-01 }\n",
    );
    assert!(
        fixture
            .told()
            .starts_with("Error plan: spec.waivers[0].expires: an age or expiry")
    );
}

const OUTSIDE: &str = r#"
start: "2026-11-28T00:00:00Z"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ], gate: { tcp: [ { port: 5432 } ], soak: 5m } }
- { name: rac, dependsOn: [db], external: { title: switch over, estimate: 90m, done: { approval: required } } }
- { name: app, dependsOn: [rac], select: [ { source: dc1, folder: erp/app } ] }
"#;

// A step outside is a node of the graph: what waits for it waits for what it waits for. It is in no
// wave, and a circle through it is a circle.
#[test]
fn steps_outside() {
    let plan = Fixture::new(OUTSIDE).resolved();
    let app = plan.workload(&"app".into()).expect("app");
    assert_eq!(app.level, 2);
    let ahead = plan.before(app);
    assert_eq!(ahead.sets, BTreeSet::from([&"db".into()]));
    assert_eq!(ahead.steps, BTreeSet::from([&"rac".into()]));
    let circle = format!(
        "{OUTSIDE}vmDependencies:\n- {{ vm: {{ source: dc1, name: ERP-DB-01 }}, after: [ {{ source: dc1, name: erp-app-01 }} ] }}\nwaves: [ {{ name: pilot, workloads: [rac] }} ]"
    );
    insta::assert_snapshot!(Fixture::new(&circle).told());
    let circle = circle.replace("\nwaves: [ { name: pilot, workloads: [rac] } ]", "");
    insta::assert_snapshot!(Fixture::new(&circle).told());
}
