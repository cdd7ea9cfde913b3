//! What people see.

use crate::fixture::{Fixture, nic};
use crate::report::text::render;
use crate::{Refusal, plan};

const PLAN: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: app, select: [ { source: dc1, folder: erp/app } ], dependsOn: [db] }
- { name: web, select: [ { source: cloud1, ids: [c-web1, c-web2] } ] }
machines: [ { vm: { source: cloud1, id: c-web2 }, target: { namespace: web-2 } } ]
"#;

const NIGHTS: &str = r#"- name: night
  every: { cron: "0 22 * * *", timeZone: Europe/Berlin, lasts: 3h }
  lockout: 30m"#;

fn text(fixture: &Fixture) -> String {
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let text = render(&planned.report, &|path| {
        Some(format!("plan.yaml:7 ({path})"))
    });
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    text
}

// Everything fits: the first line says so.
#[test]
fn all_fits() {
    insta::assert_snapshot!(text(&Fixture::new(PLAN).windows(NIGHTS)));
}

// Blocked, behind, templates, waived: each is told with its way out.
#[test]
fn findings() {
    let waived = format!("{PLAN}waivers: [ {{ code: W06, vms: [erp-app-01], reason: tried }} ]");
    let fixture = Fixture::new(&waived)
        .vm("dc1", "ERP-DB-02", |vm| vm.nics.push(nic("4001", "dmz")))
        .vm("dc1", "erp-app-01", |vm| {
            vm.nics[0].model = Some("VirtualVmxnet3Vrdma".to_owned());
        });
    insta::assert_snapshot!(text(&fixture));
}

// A window too short for one of them: it stays out, and those that wait for it.
#[test]
fn does_not_fit() {
    let short = NIGHTS.replace("lasts: 3h", "lasts: 31m");
    let fixture = Fixture::new(PLAN)
        .windows(&short)
        .vm("dc1", "ERP-DB-01", |vm| {
            vm.disks = vec![crate::fixture::disk("2000", 150)];
        });
    insta::assert_snapshot!(text(&fixture));
}

// Where the policy refuses blockers, there is no plan.
#[test]
fn refused() {
    let mut fixture = Fixture::new(PLAN).vm("dc1", "ERP-DB-02", |vm| vm.disks.clear());
    fixture.site.policy.on_blocker = schemas::site::OnBlocker::Refuse;
    let refusal = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect_err("refused");
    let Refusal::Blocked { findings, .. } = refusal else {
        panic!("blocked")
    };
    assert!(findings.iter().any(|finding| finding.code == "WR005"));
}

// All of it runs already: nothing to do, and the reader is told why.
#[test]
fn nothing_left() {
    let only = "workloads:\n- { name: db, select: [ { source: cloud1, names: [db] } ] }";
    let fixture = Fixture::new(only).ledger(
        "project-id",
        "cloud1",
        "c-db",
        "db",
        schemas::machine::Stage::Running,
    );
    insta::assert_snapshot!(text(&fixture), @"erp: nothing to move; 1 VM moved before");
}
