//! What is in which wave, under which name, with which digest.

use schemas::wave::{MigrationWave, WAVE_JSON_BYTES_MAX};

use super::{Rendered, WAVE_IMPORTS_MAX};
use crate::fixture::{Fixture, server};
use crate::plan;

const TIERS: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: app, select: [ { source: dc1, folder: erp/app } ], dependsOn: [db] }
- { name: other, select: [ { source: shelf, ids: [legacy] } ], dependsOn: [db] }
- { name: web, select: [ { source: cloud1, ids: [c-web1] } ], dependsOn: [app] }
"#;

fn rendered(fixture: &Fixture) -> Rendered {
    plan(&fixture.plan, &fixture.site, &fixture.inventory)
        .expect("a plan")
        .rendered
}

fn stems(rendered: &Rendered) -> Vec<&str> {
    rendered
        .waves
        .iter()
        .map(|wave| wave.stem.as_str())
        .collect()
}

fn wave<'a>(rendered: &'a Rendered, stem: &str) -> &'a MigrationWave {
    &rendered
        .waves
        .iter()
        .find(|wave| wave.stem == stem)
        .expect("a wave")
        .object
}

fn digests(rendered: &Rendered) -> Vec<String> {
    rendered
        .waves
        .iter()
        .map(|wave| wave.object.spec.digest.to_string())
        .collect()
}

// Without pins: one wave for each level, called after its workload if there is only one.
#[test]
fn by_level() {
    let rendered = rendered(&Fixture::new(TIERS));
    assert_eq!(stems(&rendered), ["010-db", "020-tier-2", "030-web"]);
    let tier = &wave(&rendered, "020-tier-2").spec;
    let waiting: Vec<_> = tier
        .workloads
        .iter()
        .map(|workload| workload.name.as_str())
        .collect();
    assert_eq!(waiting, ["app", "other"]);
    assert_eq!(tier.prerequisites.len(), 1);
    assert_eq!(tier.prerequisites[0].machines.len(), 2);
    let sources: Vec<_> = tier
        .sources
        .iter()
        .map(|source| source.name.as_str())
        .collect();
    assert_eq!(sources, ["dc1", "shelf-legacy"]);
    let orders: std::collections::BTreeSet<_> = tier.imports.iter().map(|i| i.order).collect();
    assert_eq!(orders, [100, 200, 300].into());
}

// Pinned ones are as they are written, the first at a level; all waves stay numbered as they were
// when an earlier one is done.
#[test]
fn pinned_and_done() {
    let pinned = format!("{TIERS}waves: [ {{ name: last, workloads: [web, other] }} ]");
    assert_eq!(
        stems(&rendered(&Fixture::new(&pinned))),
        ["010-db", "020-last", "030-app"]
    );
    let done = ["42-db1", "42-db2"]
        .into_iter()
        .fold(Fixture::new(TIERS), |fixture, id| {
            fixture.ledger(
                "vcenter-uuid",
                "dc1",
                id,
                "db",
                schemas::machine::Stage::Running,
            )
        });
    let rendered = rendered(&done);
    assert_eq!(stems(&rendered), ["020-tier-2", "030-web"]);
    let machines = &wave(&rendered, "020-tier-2").spec.prerequisites[0].machines;
    assert_eq!(
        machines.len(),
        2,
        "what runs already is still waited for, and found in the ledger"
    );
}

// Whole waves, as they are written: what a reviewer sees.
#[test]
fn as_yaml() {
    let rendered = rendered(&Fixture::new(TIERS).windows(
        "- { name: night, every: { cron: \"0 22 * * *\", timeZone: Europe/Berlin, lasts: 6h }, lockout: 30m }",
    ));
    let text: Vec<String> = rendered
        .waves
        .iter()
        .map(|wave| schemas::yaml::write_wave(&wave.object))
        .collect();
    insta::assert_snapshot!(text.join("---\n"));
}

// Planning again, or an inventory in another order, changes no byte; digests are those of the
// content.
#[test]
fn same_bytes() {
    let once = rendered(&Fixture::new(TIERS));
    let mut turned = Fixture::new(TIERS);
    turned
        .inventory
        .sources
        .values_mut()
        .for_each(|source| source.vms.reverse());
    assert_eq!(once, rendered(&turned));
    for wave in &once.waves {
        assert_eq!(wave.object.spec.digest, wave.object.spec.compute_digest());
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(32))]

    // Whatever the order in which the inventory lists its VMs: the same bytes.
    #[test]
    fn any_order(keys in proptest::collection::vec(0_u32.., 24)) {
        let estate = || (0..20).fold(Fixture::new(SHUFFLED), |fixture, n| {
            fixture.add("cloud1", server(&format!("m-{n}"), &format!("m-{}", n / 2)))
        });
        let mut shuffled = estate();
        for source in shuffled.inventory.sources.values_mut() {
            let mut vms: Vec<_> = keys.iter().cycle().zip(source.vms.drain(..)).collect();
            vms.sort_by_key(|(key, _)| **key);
            source.vms = vms.into_iter().map(|(_, vm)| vm).collect();
        }
        proptest::prop_assert_eq!(rendered(&estate()), rendered(&shuffled));
    }
}

/// Twins (which N01 blocks), twins apart, and a chain.
const SHUFFLED: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: twins, select: [ { source: cloud1, match: "m-*" } ] }
- { name: db, select: [ { source: dc1, folder: "erp/db/**" } ] }
- { name: app, select: [ { source: dc1, folder: erp/app } ], dependsOn: [db] }
machines: [ { vm: { source: cloud1, id: m-0 }, target: { namespace: apart } } ]
"#;

// A change to one workload leaves the digests of waves without it as they are.
#[test]
fn digests_are_of_a_slice() {
    let before = rendered(&Fixture::new(TIERS));
    let changed = TIERS.replace(
        "ids: [c-web1] } ]",
        "ids: [c-web1] } ], shutdownTimeout: 2h",
    );
    let after = rendered(&Fixture::new(&changed));
    let (before, after) = (digests(&before), digests(&after));
    assert_eq!(before[..2], after[..2]);
    assert_ne!(before[2], after[2]);
    let mut rate = Fixture::new(TIERS);
    rate = rate.observed("dc1", "42-db1", |seen| {
        seen.status = Some("poweredOn".to_owned());
    });
    assert_eq!(
        digests(&rendered(&rate)),
        before,
        "what changes by itself is in no digest"
    );
}

// More than a wave may hold is split, each part small enough and none lost.
#[test]
fn split() {
    let many: u32 = 600;
    let fixture = (0..many).fold(
        Fixture::new("workloads:\n- { name: all, select: [ { source: cloud1, match: \"m-*\" } ] }"),
        |fixture, n| fixture.add("cloud1", server(&format!("id-{n:04}"), &format!("m-{n}"))),
    );
    let rendered = rendered(&fixture);
    assert_eq!(stems(&rendered), ["010-all", "010-all-2", "010-all-3"]);
    let mut vms = Vec::new();
    for wave in &rendered.waves {
        let json = serde_json::to_string(&wave.object).expect("JSON");
        assert!(json.len() <= WAVE_JSON_BYTES_MAX, "{}", json.len());
        let imports = &wave.object.spec.imports;
        assert!(imports.len() <= WAVE_IMPORTS_MAX);
        assert!(imports.is_sorted_by_key(|import| import.vm.clone()));
        vms.extend(imports.iter().map(|import| import.vm.clone()));
    }
    vms.sort();
    vms.dedup();
    assert_eq!(vms.len(), 600);
}

// A long plan name leaves little room; the number keeps names apart.
#[test]
fn long_names() {
    let mut fixture = Fixture::new(TIERS);
    fixture.plan.metadata.name = Some("p".repeat(52));
    let rendered = rendered(&fixture);
    for wave in &rendered.waves {
        let name = wave.object.metadata.name.as_deref().expect("a name");
        assert!(name.len() <= 63 && !name.ends_with('-'), "{name}");
    }
    assert_eq!(stems(&rendered), ["010-db", "020-tier-2", "030-web"]);
}

const OUTSIDE: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ], gate: { tcp: [ { port: 5432 } ], soak: 5m } }
- { name: rac, dependsOn: [db], external: { title: switch over, estimate: 90m, done: { approval: required } } }
- { name: app, dependsOn: [rac], select: [ { source: dc1, folder: erp/app } ] }
services: [ { name: erp, workloads: [db, rac, app], downtimeBudget: 30m } ]
"#;

// The wave alone suffices in the cluster: it has its gates, the steps before it, and the machines
// that those wait for. What is predicted counts them all, and the service is down until its last
// gate holds.
#[test]
fn gates_and_steps() {
    let fixture = Fixture::new(OUTSIDE);
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    let rendered = &planned.rendered;
    assert_eq!(stems(rendered), ["010-db", "020-app"]);
    let gate = wave(rendered, "010-db").spec.workloads[0].gate.as_ref();
    assert_eq!(gate.map(|gate| gate.tcp[0].port), Some(5432));
    let app = &wave(rendered, "020-app").spec;
    assert_eq!(app.workloads[0].depends_on, ["rac"]);
    assert_eq!(app.steps[0].depends_on, ["db"]);
    assert_eq!(app.prerequisites[0].workload, "db");
    assert_eq!(app.prerequisites[0].machines.len(), 2);

    let forecast = &rendered.forecast;
    let db = forecast.waves[0].imports.iter();
    let gates = db.map(|import| import.gate.expect("a gate") - import.ready);
    // A minute until the port answers and five of soak, after the engine's word: that waits for the
    // export that it is at.
    let gates: Vec<u64> = gates.map(|gate| gate.0).collect();
    assert!(gates.iter().all(|gate| *gate >= 360), "{gates:?}");
    let held = forecast.waves[0]
        .imports
        .iter()
        .filter_map(|import| import.gate);
    let step = &forecast.steps[0];
    // Both are rounded down to whole seconds.
    let idle = step.starts.saturating_sub(held.max().expect("a gate"));
    assert!(idle.0 <= 1, "{idle}");
    assert_eq!(step.ends - step.starts, schemas::units::Seconds(90 * 60));
    let first = forecast.waves[1]
        .imports
        .iter()
        .map(|import| import.created);
    assert!(first.min().expect("imports") >= step.ends);

    let service = &planned.report.services[0];
    assert_eq!(service.starts, forecast.waves[0].starts);
    assert_eq!(service.downtime, service.ends - service.starts);
    assert!(service.ends >= step.ends);
    let over = planned
        .report
        .findings
        .iter()
        .filter(|found| found.code == "WR040");
    assert_eq!(over.count(), 1);
}
