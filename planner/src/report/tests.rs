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
            gate: None,
        });
    }
    let report = planned.report;
    let report = report.after_a_run(&planned.checked.plan, &forecast, &inventory);
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
        super::Actual::new(&planned.checked.plan, &forecast, &fixture.inventory),
        None
    );
}

const OUTSIDE: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- name: db
  select: [ { source: dc1, folder: erp/db } ]
  gate: { tcp: [ { port: 5432 } ], soak: 5m }
- name: repoint
  dependsOn: [db]
  external: { title: repoint, estimate: 40m, done: { approval: required, tcp: [ { host: scan, port: 1521 } ] } }
- { name: app, select: [ { source: dc1, folder: erp/app } ], dependsOn: [repoint] }
services:
- { name: erp, workloads: [db, repoint] }
"#;

// A service is down until its last gate, or its last step outside; both are told, and the step is a
// link of the chain that decides the end, from the machine whose gate held last to the first that
// waited for it.
#[test]
fn gates_and_steps() {
    let fixture = Fixture::new(OUTSIDE);
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let report = &planned.report;
    let imports = || {
        let waves = planned.rendered.forecast.waves.iter();
        waves.flat_map(|wave| &wave.imports)
    };
    let gated = || imports().filter(|import| import.gate.is_some());
    let off = gated().map(|import| import.off).min().expect("guests");
    let held = gated()
        .filter_map(|import| import.gate)
        .max()
        .expect("gates");
    let [step] = report.steps.as_slice() else {
        panic!("one step: {:?}", report.steps)
    };
    // Times are whole seconds, of moments that are not.
    let second = schemas::units::Seconds(1);
    assert!(
        held <= step.starts && step.starts <= held + second,
        "{step:?}, {held}"
    );
    assert_eq!(step.ends, step.starts + schemas::units::Seconds(40 * 60));
    assert!(step.critical);
    assert_eq!(step.said_by(), "a person and scan:1521");
    assert_eq!(report.services[0].downtime, step.ends - off);
    let alone = Fixture::new(&OUTSIDE.replace("[db, repoint]", "[db]"));
    let alone = plan(&alone.plan, &alone.site, &alone.inventory).expect("a plan");
    assert_eq!(alone.report.services[0].downtime, held - off);
    let path = crate::critical::path(&planned.checked.plan, &planned.schedule);
    let at = path.iter().position(|link| link.step().is_some());
    let at = at.expect("the step is on it");
    let before = path[at - 1].import().expect("an import");
    assert!(gated().any(|import| import.vm == before.vm && import.gate == Some(held)));
    let after = path[at + 1].import().expect("an import");
    assert!(after.times.created >= step.ends);
    let table = super::csv::render(&planned);
    assert!(table.contains(",repoint,erp,,step,a person and scan:1521 says that it is done,"));
    let comment = super::markdown::render(report, &|_| None);
    assert!(
        comment.contains("| `db` | 2 | `5432` | 5 min |"),
        "{comment}"
    );
    assert!(
        comment.contains("| `repoint`, decides the end |"),
        "{comment}"
    );
}

// Where a gate or a step comes last, the plan is done later than its last machine is ready.
#[test]
fn done_after_the_last_machine() {
    let last = OUTSIDE.replace("dependsOn: [repoint] }", "dependsOn: [db] }");
    let fixture = Fixture::new(&last);
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let report = &planned.report;
    let step = report.steps.first().expect("a step");
    assert!(step.ends > report.ends && !step.critical, "{step:?}");
    assert_eq!(report.done, Some(step.ends));
    assert!(text(&fixture).contains("the last gate holds and the last step outside is done"));
}

// After a run: what came of gates is in the records, and a step that something waited for is over by
// the time at which that began; it is not told as to come.
#[test]
fn gates_and_steps_after_a_run() {
    let fixture = Fixture::new(OUTSIDE);
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let forecast = planned.rendered.forecast.clone();
    let origin = forecast.origin.expect("an origin");
    let mut ran = Fixture::new(OUTSIDE);
    let target = ran.inventory.targets.entry("hv1".into()).or_default();
    let imports = forecast.waves.iter().flat_map(|wave| &wave.imports);
    for (number, import) in imports.enumerate() {
        let at = |seconds: schemas::units::Seconds| {
            Some(origin + jiff::SignedDuration::from_secs(seconds.signed() + 600))
        };
        let gate = import.gate.map(|gate| schemas::gate::GateStatus {
            holds: at(gate),
            message: (number == 0).then(|| "accepted".to_owned()),
            ..schemas::gate::GateStatus::default()
        });
        target.ledger.push(schemas::inventory::LedgerLine {
            id: format!("migrations/vm-{number:08x}"),
            instance: None,
            vm: import.vm.clone(),
            stage: schemas::machine::Stage::Running,
            wave: None,
            size: None,
            times: schemas::machine::Times {
                created: at(import.created),
                off: at(import.off),
                ready: at(import.ready),
                ..schemas::machine::Times::default()
            },
            gate,
        });
    }
    let plan = &planned.checked.plan;
    let report = planned.report.clone();
    let report = report.after_a_run(plan, &forecast, &ran.inventory);
    let actual = report.actual.as_ref().expect("machines run");
    let late = schemas::units::Seconds(600);
    let foretold = forecast.steps.first().expect("a step");
    let [step] = actual.steps.as_slice() else {
        panic!("one step is over: {:?}", actual.steps)
    };
    let could_start = step.could_start.expect("databases run");
    let second = schemas::units::Seconds(1);
    let foretold_start = foretold.starts + late;
    assert!(
        could_start <= foretold_start && foretold_start <= could_start + second,
        "{step:?}"
    );
    assert!(step.done_by >= foretold.ends + late);
    assert!(report.steps.is_empty(), "{:?}", report.steps);
    let vms = || actual.waves.iter().flat_map(|wave| &wave.vms);
    let gates: Vec<_> = vms().filter_map(|vm| vm.gate.as_ref()).collect();
    for gate in &gates {
        assert_eq!(gate.holds, gate.foretold.map(|at| at + late));
    }
    let words: Vec<&str> = gates.iter().map(|gate| gate.word()).collect();
    assert_eq!(words.iter().filter(|word| **word == "accepted").count(), 1);
    assert!(words.contains(&"held"));
    let said = super::markdown::render(&report, &|_| None);
    assert!(
        said.contains("| gate |") && said.contains(" accepted "),
        "{said}"
    );
    assert!(said.contains("| could begin | done by |"), "{said}");
}
