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

const SERVICES: &str = r"
services:
- { name: erp, workloads: [db, app], together: true, downtimeBudget: 20m, owner: erp-team, refs: { change: CHG0034567 } }
- { name: shop, workloads: [web], downtimeBudget: 4h }
";

// Services have a table of their own, and one that is down for longer than its budget is a finding.
#[test]
fn services() {
    let plan = format!("{PLAN}{SERVICES}");
    insta::assert_snapshot!(text(&Fixture::new(&plan).windows(NIGHTS)));
}

/// What is said of the VMs without a place, a line for each finding of the schedule.
fn no_place(fixture: &Fixture) -> String {
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let findings = planned.report.findings.iter();
    let findings = findings.filter(|finding| finding.code == "WR004");
    let mut lines: Vec<_> = findings
        .map(|finding| format!("{}\n  {}", finding.evidence, finding.remedy))
        .collect();
    lines.dedup();
    lines.join("\n")
}

// Nights that are too few for all: the first lines say how much is lacking and what would help; where
// those that are off need no window, they move at once, in a wave without one.
#[test]
fn too_few_nights() {
    const TWO: &str = r#"
- name: night
  occurrences:
  - { id: first, from: "2026-11-23T22:00:00+01:00", to: "2026-11-23T22:30:00+01:00" }
  - { id: second, from: "2026-11-24T22:00:00+01:00", to: "2026-11-24T22:24:00+01:00" }"#;
    let mut fixture = Fixture::new(PLAN).windows(TWO);
    for name in ["ERP-DB-02", "erp-app-01"] {
        let mut id = String::new();
        fixture = fixture.vm("dc1", name, |vm| {
            vm.disks = vec![crate::fixture::disk("2000", 80)];
            id = vm.id.to_string();
        });
        fixture = fixture.observed("dc1", &id, |seen| {
            seen.power = Some(schemas::inventory::Power::Off);
        });
    }
    let in_windows = text(&fixture);
    fixture.site.policy.powered_off = schemas::site::PoweredOff::AnyTime;
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let outside = planned
        .rendered
        .waves
        .iter()
        .filter(|wave| wave.object.spec.window.is_none());
    let outside: Vec<_> = outside.flat_map(|wave| &wave.object.spec.imports).collect();
    assert!(
        outside
            .iter()
            .any(|import| import.name.as_str() == "ERP-DB-02")
    );
    insta::assert_snapshot!(format!("{in_windows}\n---\n{}", text(&fixture)));
}

const ONE: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: web, select: [ { source: cloud1, ids: [c-web1] } ], dependsOn: [db] }
"#;

// What has no place says what would give it one: a window that is too short with its reserve, a
// freeze that swallows all, a dependency in a later pinned wave.
#[test]
fn what_would_make_it_fit() {
    let reserve = format!("{NIGHTS}\n  rollbackReserve: 2h55m");
    let too_short = no_place(&Fixture::new(ONE).windows(&reserve));

    let mut frozen = Fixture::new(ONE).windows(NIGHTS);
    frozen.site.freezes = vec![schemas::site::Freeze {
        from: "2026-11-01".parse().expect("a day"),
        to: "2029-01-06".parse().expect("a day"),
        time_zone: None,
        reason: "year end".to_owned(),
        services: Vec::new(),
    }];

    let pins = "waves: [ { name: late, workloads: [db], occurrence: 2026-11-28 }, \
                { name: early, workloads: [web], occurrence: 2026-11-25 } ]";
    let pinned = Fixture::new(&format!("{ONE}{pins}")).windows(NIGHTS);

    let all = [
        ("too short", too_short),
        ("frozen", no_place(&frozen)),
        ("pinned", no_place(&pinned)),
    ];
    let shown: Vec<_> = all
        .iter()
        .map(|(name, text)| format!("{name}\n{text}"))
        .collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

// Why a VM is where it is: by scratch, by what it waits for, by its window.
#[test]
fn explained() {
    let mut fixture = Fixture::new(PLAN).windows(NIGHTS);
    fixture.site.targets[0].scratch.capacity = Some("100Gi".parse().expect("a quantity"));
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let locate = |path: &str| format!("plan.yaml:7 ({path})");
    let keys = planned.checked.plan.vms.iter().map(|vm| &vm.key);
    let shown: Vec<String> = keys
        .map(|key| {
            let explained =
                crate::explain::explain(&planned, &fixture.inventory, key, &locate).expect("known");
            let section = explained.sections.iter().find(|s| s.title == "schedule");
            format!(
                "{key}\n  {}",
                section.expect("it has a place").lines.join("\n  ")
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

// Downtime costs makespan, and more scratch never hurts: the trade-off says by how much.
#[test]
fn tradeoff() {
    let fixture = Fixture::new(PLAN);
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let tradeoff = crate::tradeoff::tradeoff(&planned.problem);
    let [downtime, balanced, throughput] = &tradeoff.policies[..] else {
        panic!("three policies")
    };
    assert!(downtime.downtime_mean <= throughput.downtime_mean);
    assert!(throughput.ends <= downtime.ends);
    assert!(balanced.chosen);
    insta::assert_snapshot!(tradeoff.text());
}

// Names of any kind stay text: in the page's data, in the words for readers without a script, and
// in Markdown.
#[test]
fn hostile_names() {
    const NAMES: [&str; 6] = [
        "<script>alert(1)</script>",
        "</script><!-- {{ 7*7 }}",
        "${HOME}`id` a&b\"'",
        "two\nlines | of |",
        "=HYPERLINK(\"x\")",
        "![x](javascript:1) <b>@all</b>",
    ];
    for name in NAMES {
        let fixture = Fixture::new(PLAN).vm("dc1", "ERP-DB-02", |vm| vm.name = name.into());
        let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
        assert!(
            planned
                .report
                .left_out
                .iter()
                .any(|out| out.name.as_str() == name)
        );
        let page = super::page::render(&planned, &|_| None);
        assert_eq!(page.matches("<script").count(), 2, "its own two: {name}");
        assert_eq!(page.matches("</script").count(), 2, "its own two: {name}");
        let comment = super::markdown::render(&planned.report, &|_| None);
        let outside: String = comment.split('`').step_by(2).collect();
        assert!(
            !outside.contains("<b>") && !outside.contains("<script"),
            "{comment}"
        );
        assert!(!comment.contains("two\nlines"), "{comment}");
    }
}

// A comment says it all in its first line, and its tables hold.
#[test]
fn comment() {
    let fixture = Fixture::new(PLAN)
        .windows(NIGHTS)
        .vm("dc1", "ERP-DB-02", |vm| vm.nics.push(nic("4001", "dmz")));
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    insta::assert_snapshot!(super::markdown::render(&planned.report, &|path| {
        Some(format!("plan.yaml:7 ({path})"))
    }));
}

// After a run, what came stands beside what was foretold; a step that nobody saw came with the one
// before it, and what does not run yet is counted and not compared.
#[test]
fn after_a_run() {
    let fixture = Fixture::new(PLAN);
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let forecast = planned.rendered.forecast.clone();
    let origin = forecast.origin.expect("the plan has a start");
    let imports: Vec<_> = forecast
        .waves
        .iter()
        .flat_map(|wave| &wave.imports)
        .collect();
    let mut inventory = fixture.inventory.clone();
    let target = inventory.targets.entry("hv1".into()).or_default();
    let last = imports.len() - 1;
    for (number, import) in imports.iter().enumerate() {
        // Ten minutes late, and five minutes longer to export.
        let at = |seconds: schemas::units::Seconds, late: i64| {
            Some(origin + jiff::SignedDuration::from_secs(seconds.signed() + late))
        };
        let stage = if number == last {
            schemas::machine::Stage::Exporting
        } else {
            schemas::machine::Stage::Running
        };
        target.ledger.push(schemas::inventory::LedgerLine {
            id: format!("migrations/vm-{number:08x}"),
            instance: None,
            vm: import.vm.clone(),
            stage,
            wave: None,
            size: None,
            times: schemas::machine::Times {
                created: at(import.created, 600),
                off: at(import.off, 600),
                exported: at(import.exported, 900),
                ready: at(import.ready, 900),
                ..schemas::machine::Times::default()
            },
        });
    }
    let report = planned.report.after_a_run(&forecast, &inventory);
    let actual = report.actual.as_ref().expect("machines run");
    assert_eq!(actual.machines, imports.len());
    assert_eq!(actual.ran(), last);
    for vm in actual.waves.iter().flat_map(|wave| &wave.vms) {
        let late = schemas::units::Seconds(300);
        assert_eq!(vm.came.downtime(), vm.foretold.downtime() + late);
        assert_eq!(vm.came.machine, vm.came.exported);
    }
    let said = super::markdown::render(&report, &|_| None);
    let said = said.lines().find(|line| line.starts_with("So far: "));
    insta::assert_snapshot!(said.expect("it is said"));
    // Nothing that was foretold runs: nothing is compared.
    assert_eq!(
        super::Actual::new(&report.plan, &forecast, &fixture.inventory),
        None
    );
}
