//! A plan that waits for workloads of another: what it knows of them, when it schedules what waits, and
//! what it refuses.

use proptest::prelude::*;
use schemas::ids::{OccurrenceId, VmKey, WorkloadRef};
use schemas::machine::Stage;
use schemas::other::OtherPlan;
use schemas::units::{Bytes, Seconds};

use crate::fixture::{Fixture, server};
use crate::schedule::{Held, check_schedule};
use crate::{Planned, Refusal, explain::explain, plan};

const INFRA: &str = r#"
start: "2026-11-27T23:55:00Z"
workloads:
- { name: ad, select: [ { source: cloud1, ids: [c-ad1, c-ad2] } ], gate: { tcp: [ { port: 389 } ], soak: 5m } }
- { name: dns, dependsOn: [ad], external: { title: switch the resolvers, estimate: 40m, done: { approval: required } } }
"#;

const ERP: &str = r#"
start: "2026-11-28T00:00:00Z"
workloads:
- { name: db, dependsOn: [infra/ad], select: [ { source: dc1, folder: erp/db } ] }
- { name: app, dependsOn: [db, infra/dns], select: [ { source: dc1, folder: erp/app } ] }
"#;

/// A plan of the estate, as its files say it.
fn other(name: &str, lines: &str, is_planned: bool) -> OtherPlan {
    let mut fixture = estate(lines);
    fixture.plan.metadata.name = Some(name.to_owned());
    other_of(&fixture, is_planned)
}

/// The estate with two directory servers.
fn estate(lines: &str) -> Fixture {
    let fixture = Fixture::new(lines).add("cloud1", server("c-ad1", "ad-1"));
    fixture.add("cloud1", server("c-ad2", "ad-2"))
}

fn other_of(fixture: &Fixture, is_planned: bool) -> OtherPlan {
    let name = fixture.plan.metadata.name.clone().expect("a name");
    let about = (
        fixture
            .plan
            .metadata
            .namespace
            .as_deref()
            .expect("one")
            .into(),
        name.as_str().into(),
        format!("plans/{name}/plan.yaml"),
    );
    let planned = is_planned.then(|| planned(fixture));
    let rendered = planned.as_ref().map(|planned| &planned.rendered);
    let waves = rendered.map_or_else(Vec::new, |rendered| {
        rendered
            .waves
            .iter()
            .map(|wave| wave.object.clone())
            .collect()
    });
    let forecast = rendered.map(|rendered| &rendered.forecast);
    OtherPlan::of(about, &fixture.plan.spec, &waves, forecast)
}

fn planned(fixture: &Fixture) -> Planned {
    plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan")
}

/// A fixture beside other plans.
fn beside(lines: &str, others: Vec<OtherPlan>) -> Fixture {
    let mut fixture = Fixture::new(lines);
    fixture.inventory.knowledge.plans = others;
    fixture.inventory.knowledge.plans_below = Some("plans".to_owned());
    fixture
}

fn erp() -> Fixture {
    beside(ERP, vec![other("infra", INFRA, true)])
}

/// When the other plan predicts `ad` to be done, on this plan's clock.
fn ad_done(fixture: &Fixture) -> Seconds {
    let plan = fixture.resolved();
    let done = plan.others[&WorkloadRef::from("infra/ad")].done;
    plan.since_start(done.expect("a prediction"))
}

fn created(planned: &Planned, id: &str) -> Seconds {
    let slot = planned.schedule.slot(&VmKey::new("dc1", id));
    slot.expect("a slot").times.created
}

// What waits for another plan starts no earlier than that plan predicts, gates and steps counted, and is
// told so by name; the wave has all that must be seen in the cluster.
#[test]
fn waits() {
    let fixture = erp();
    let planned = planned(&fixture);
    let done = ad_done(&fixture);
    // Its clock begins five minutes earlier.
    assert!(done > Seconds::ZERO && done < Seconds(7200), "{done}");
    let first = created(&planned, "42-db1").min(created(&planned, "42-db2"));
    assert!((done..done + Seconds(2)).contains(&first), "{first} {done}");
    let held = |id| {
        &planned
            .schedule
            .slot(&VmKey::new("dc1", id))
            .expect("one")
            .held
    };
    let by_ad = Held::Step {
        step: "infra/ad".into(),
    };
    assert!([held("42-db1"), held("42-db2")].contains(&&by_ad));
    let waiting = planned.rendered.forecast.others.iter();
    let waiting: Vec<String> = waiting.map(|other| other.workload.to_string()).collect();
    assert_eq!(waiting, ["infra/ad", "infra/dns"]);

    let key = if *held("42-db1") == by_ad {
        "42-db1"
    } else {
        "42-db2"
    };
    let key = VmKey::new("dc1", key);
    let told = explain(&planned, &fixture.inventory, &key, &|path| path.to_owned());
    let told: Vec<String> = told
        .expect("it is in the inventory")
        .sections
        .into_iter()
        .flat_map(|section| section.lines)
        .collect();
    insta::assert_snapshot!(told.join("\n"));

    let waves = &planned.rendered.waves;
    let spec = |stem: &str| {
        &waves
            .iter()
            .find(|w| w.stem == stem)
            .expect("a wave")
            .object
            .spec
    };
    let db = spec("010-db");
    assert_eq!(db.workloads[0].depends_on, ["infra/ad"]);
    assert_eq!(db.prerequisites[0].workload, "infra/ad");
    assert_eq!(db.prerequisites[0].machines.len(), 2);
    // The step of the other plan, and what must be done before it.
    let app = spec("020-app");
    assert_eq!(app.workloads[0].depends_on, ["db", "infra/dns"]);
    assert_eq!(app.steps[0].name, "infra/dns");
    assert_eq!(app.steps[0].depends_on, ["infra/ad"]);
    let before: Vec<String> = app
        .prerequisites
        .iter()
        .map(|p| p.workload.to_string())
        .collect();
    assert_eq!(before, ["db", "infra/ad"]);
}

// Other times of the other plan change no wave; other machines do.
#[test]
fn digests() {
    let digests = |others| {
        let planned = planned(&beside(ERP, others));
        let waves = planned.rendered.waves.into_iter();
        let digests: Vec<_> = waves.map(|wave| wave.object.spec.digest).collect();
        (digests, planned.schedule.ends())
    };
    let (before, ends) = digests(vec![other("infra", INFRA, true)]);
    let later = INFRA.replace("2026-11-27T23", "2026-11-28T09");
    let (now, later) = digests(vec![other("infra", &later, true)]);
    assert_eq!(now, before);
    assert_eq!(later - ends, Seconds(10 * 3600));
    let fewer = INFRA.replace("c-ad1, ", "");
    let (now, _) = digests(vec![other("infra", &fewer, true)]);
    assert!(now.iter().zip(&before).all(|(now, before)| now != before));
}

// What runs by the ledger is waited for no more; the wave still names it.
#[test]
fn runs_already() {
    let mut fixture = erp();
    for id in ["c-ad1", "c-ad2"] {
        let other = &fixture.inventory.knowledge.plans[0].workloads["ad"];
        let record = other.machines[&VmKey::new("cloud1", id)].record.to_string();
        fixture = fixture.ledger("project-id", "cloud1", id, &record, Stage::Running);
        let line = fixture
            .inventory
            .targets
            .get_mut("hv1")
            .expect("one")
            .ledger
            .last_mut();
        line.expect("just put there").id = format!("migrations/{record}");
    }
    let planned = planned(&fixture);
    let first = created(&planned, "42-db1").min(created(&planned, "42-db2"));
    assert_eq!(first, Seconds::ZERO);
    let db = &planned.rendered.waves[0].object.spec;
    assert_eq!(db.prerequisites[0].machines.len(), 2);
}

fn told(lines: &str, others: Vec<OtherPlan>) -> String {
    beside(lines, others).told()
}

// Each mistake is told with its place and the way out.
#[test]
fn refused() {
    let infra = || other("infra", INFRA, true);
    let mut elsewhere = infra();
    elsewhere.namespace = "network".into();
    let mut no_forecast = infra();
    for machine in no_forecast
        .workloads
        .get_mut("ad")
        .expect("it")
        .machines
        .values_mut()
    {
        machine.done = None;
    }
    let mut again = infra();
    again.path = "old/infra/plan.yaml".to_owned();
    let clockless = INFRA.replace("start: \"2026-11-27T23:55:00Z\"\n", "");
    let one = |dependency: &str| {
        ERP.replace("infra/ad", dependency)
            .replace(", infra/dns", "")
    };
    let circle = INFRA.replace("name: ad,", "name: ad, dependsOn: [erp/app],");
    let cases = [
        ("no such plan", one("intra/ad"), vec![infra()]),
        ("in another namespace", one("infra/ad"), vec![elsewhere]),
        ("no plan at all", one("infra/ad"), Vec::new()),
        ("twice", one("infra/ad"), vec![infra(), again]),
        ("no such workload", one("infra/adc"), vec![infra()]),
        ("of this plan", one("erp/app"), Vec::new()),
        (
            "not planned",
            one("infra/ad"),
            vec![other("infra", INFRA, false)],
        ),
        ("not foretold", one("infra/ad"), vec![no_forecast]),
        (
            "their clock",
            one("infra/ad"),
            vec![other("infra", &clockless, true)],
        ),
        (
            "our clock",
            one("infra/ad").replace("start: \"2026-11-28T00:00:00Z\"\n", ""),
            vec![infra()],
        ),
        ("circle", one("infra/ad"), {
            let mut infra = other("infra", INFRA, true);
            let parsed = Fixture::new(&circle).plan.spec.workloads.remove(0);
            infra.workloads.get_mut("ad").expect("it").depends_on = parsed.depends_on;
            vec![infra]
        }),
    ];
    let told = cases.map(|(what, lines, others)| format!("{what}: {}", told(&lines, others)));
    insta::assert_snapshot!(told.join("\n"));
}

// Machines on another target would never be seen: a blocker, and what waits for them falls with it.
#[test]
fn another_target() {
    let mut infra = other("infra", INFRA, true);
    for machine in infra
        .workloads
        .get_mut("ad")
        .expect("it")
        .machines
        .values_mut()
    {
        machine.cluster_uid = Some("another".to_owned());
        machine.target = "hv2".into();
    }
    let planned = planned(&beside(ERP, vec![infra]));
    let of_it = planned
        .report
        .findings
        .iter()
        .filter(|found| found.code == "WR008");
    let told: Vec<String> = of_it.map(|found| found.evidence.clone()).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(
        told[0],
        "goes to `hv1` and waits for `infra/ad`, whose machines go to `hv2`"
    );
    assert!(planned.rendered.waves.is_empty());
}

const NIGHTS: &str = "- { name: night, occurrences: [ { id: one, from: \"2026-11-28T20:00:00Z\", to: \"2026-11-29T04:00:00Z\" }, { id: two, from: \"2026-11-29T20:00:00Z\", to: \"2026-11-30T04:00:00Z\" } ] }";

/// The plan with two nights, beside one that starts then.
fn nights(starts: &str) -> Fixture {
    let infra = INFRA.replace("2026-11-27T23:55:00Z", starts);
    let mut fixture = Fixture::new(ERP).windows(NIGHTS);
    fixture.inventory.knowledge.plans = vec![other("infra", &infra, true)];
    fixture
}

// What another plan does in the first night lets this one begin in the second; what it does too late
// leaves it without a place, and both plans are named.
#[test]
fn windows() {
    let planned_at = |starts| {
        plan(
            &nights(starts).plan,
            &nights(starts).site,
            &nights(starts).inventory,
        )
    };
    let occurrences = |starts| -> Vec<OccurrenceId> {
        let planned = planned_at(starts).expect("a plan");
        let slots = planned.schedule.slots.iter();
        let mut all: Vec<_> = slots
            .filter_map(|s| Some(s.window.as_ref()?.occurrence.clone()))
            .collect();
        all.dedup();
        all
    };
    assert_eq!(occurrences("2026-11-28T08:00:00Z"), ["one"]);
    assert_eq!(occurrences("2026-11-29T03:30:00Z"), ["two"]);
    let planned = planned_at("2026-11-30T03:30:00Z").expect("a plan of nothing");
    assert!(planned.rendered.waves.is_empty());
    let of_it = planned
        .report
        .findings
        .iter()
        .filter(|found| found.code == "WR004");
    let told: Vec<String> = of_it
        .map(|f| format!("{}\n{}", f.evidence, f.remedy))
        .collect();
    insta::assert_snapshot!(told[0]);
}

// A circle that only another plan has is that plan's affair to mend, but nothing is planned on it.
#[test]
fn circle_elsewhere() {
    let mut infra = other("infra", INFRA, true);
    let dns = infra.workloads.get_mut("dns").expect("it");
    dns.depends_on = vec!["ad".into()];
    let ad = infra.workloads.get_mut("ad").expect("it");
    ad.depends_on = vec!["dns".into()];
    let fixture = beside(ERP, vec![infra]);
    let refused = plan(&fixture.plan, &fixture.site, &fixture.inventory);
    assert!(matches!(refused, Err(Refusal::Invalid(_))));
    assert!(
        fixture.told().contains("infra/ad → infra/dns → infra/ad"),
        "{}",
        fixture.told()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    // However late the other plan is and however large its machines are: the checker accepts the
    // schedule, nothing starts early, and one that starts early is not accepted.
    #[test]
    fn checker_agrees(hours in 0_i64..40, gib in 1_u64..300) {
        let starts = jiff::Timestamp::from_second(1_795_816_800 + hours * 3600).expect("an instant");
        let lines = INFRA.replace("2026-11-27T23:55:00Z", &starts.to_string());
        let mut infra = estate(&lines).vm("cloud1", "ad-1", |vm| {
            vm.disks[0].capacity_bytes = Bytes::from_gib(gib);
        });
        infra.plan.metadata.name = Some("infra".to_owned());
        let fixture = beside(ERP, vec![other_of(&infra, true)]);
        let done = ad_done(&fixture);
        let mut planned = planned(&fixture);
        prop_assert_eq!(check_schedule(&planned.problem, &planned.schedule), vec![]);
        for id in ["42-db1", "42-db2"] {
            prop_assert!(created(&planned, id) >= done);
        }
        prop_assert!(planned.schedule.ends() >= planned.schedule.bound.ends);
        if done > Seconds(1) {
            let slot = planned.schedule.slots.iter_mut().min_by_key(|slot| slot.times.created);
            slot.expect("a slot").times.created = done - Seconds(1);
            let found = check_schedule(&planned.problem, &planned.schedule);
            let early = |it: &crate::schedule::Violation| it.to_string().contains("infra/ad");
            prop_assert!(found.iter().any(early), "{:?}", found);
        }
    }
}
