//! For each code of the table an estate that has what it looks for, and one that barely has not.

mod estate;
mod guests;
mod names;
mod networks;
mod openstack;
mod ova;
mod target;
mod vmware;

use schemas::inventory::Vm;
use schemas::units::{Bytes, Quantity};

use self::estate::{at, long_name, longhorn, node, openstack_quota, os, quota, rename, vc};
use super::super::{check, table};
use super::THREE;
use crate::fixture::{Fixture, disk, machine};
use crate::remedy::{REMEDIES, Tool, Wanted, script};

type Change = fn(Fixture) -> Fixture;

/// Codes that have no pair here, and where their tests are.
const ELSEWHERE: [(&str, &str); 16] = [
    ("S12", "said of every disk: a page only"),
    (
        "WR004",
        "found by the schedule: its tests and the pipeline's",
    ),
    ("WR006", "found by the schedule"),
    ("WR040", "found by the schedule"),
    ("WR041", "found by the schedule"),
    ("WR042", "found by the schedule"),
    ("WR050", "people's knowledge: above"),
    ("WR051", "people's knowledge: above"),
    ("WR052", "people's knowledge: above"),
    ("WR053", "people's knowledge: above"),
    ("WR054", "people's knowledge: above"),
    ("WR055", "waivers: above"),
    ("WR056", "waivers: above"),
    ("WR057", "waivers: above"),
    ("WR001", "needs two targets: above"),
    ("WR008", "needs another plan: resolve/others/tests.rs"),
];

fn all() -> impl Iterator<Item = (&'static str, Change, Change)> {
    [
        names::PAIRS,
        vmware::PAIRS,
        openstack::PAIRS,
        ova::PAIRS,
        networks::PAIRS,
        target::PAIRS,
        guests::PAIRS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// How often a code is among the findings, or its kind among the losses where it is one.
fn met(fixture: &Fixture, code: &str) -> usize {
    let checked = check(fixture.resolved(), &fixture.inventory);
    let found = checked
        .findings
        .iter()
        .filter(|finding| finding.code == code)
        .count();
    let lost = checked
        .losses
        .iter()
        .filter(|loss| loss.code == code)
        .count();
    let loss_only = ["T02", "S13", "WR023"].contains(&code);
    if loss_only { lost } else { found }
}

// Each check finds what it looks for, and leaves alone what barely is not it.
#[test]
fn pairs() {
    let mut wrong = Vec::new();
    for (code, has, barely_not) in all() {
        if met(&has(Fixture::new(THREE)), code) == 0 {
            wrong.push(format!("{code} does not find what it is for"));
        }
        if met(&barely_not(Fixture::new(THREE)), code) != 0 {
            wrong.push(format!("{code} finds what is not it"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// No code without such a pair, and none in two places.
#[test]
fn every_code_has_a_pair() {
    let paired: Vec<&str> = all().map(|(code, ..)| code).collect();
    let elsewhere: Vec<&str> = ELSEWHERE.iter().map(|(code, _)| *code).collect();
    for check in table::CHECKS {
        let (here, there) = (
            paired.contains(&check.code),
            elsewhere.contains(&check.code),
        );
        assert!(
            here != there,
            "{}: a pair {here}, elsewhere {there}",
            check.code
        );
    }
    for code in &paired {
        assert!(table::check(code).is_some(), "{code} is not in the table");
    }
}

// Versions decide how bad it is, and an unknown one never blocks.
#[test]
fn gated_by_version() {
    let severities = |fixture: Fixture, code: &str| {
        let checked = check(fixture.resolved(), &fixture.inventory);
        let of = checked
            .findings
            .into_iter()
            .filter(|finding| finding.code == code);
        of.map(|finding| format!("{:?}", finding.severity))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let sockets = || vc(Fixture::new(THREE), |vm| vm.cores_per_socket = Some(2));
    assert_eq!(severities(at(sockets(), "v1.6.0"), "T01"), "Warning");
    assert_eq!(severities(at(sockets(), "v1.6.1"), "T01"), "Blocker");
    assert_eq!(severities(at(sockets(), "v1.8.2"), "T01"), "Blocker");
    assert_eq!(severities(at(sockets(), "v1.9.0"), "T01"), "Warning");
    assert_eq!(severities(sockets(), "T01"), "Warning");
    let long = || long_name(Fixture::new(THREE), 40);
    assert_eq!(severities(at(long(), "v1.8.1"), "N06"), "Info");
    assert_eq!(severities(at(long(), "v1.7.3"), "N06"), "Blocker");
    assert_eq!(severities(long(), "N06"), "Warning");
}

// A name cannot hide a finding: what it would do to a terminal is shown as text.
#[test]
fn hostile_names() {
    let fixture = rename(Fixture::new(THREE), "a\u{1b}[2K\u{202e}\n");
    let checked = check(fixture.resolved(), &fixture.inventory);
    let evidence: Vec<_> = checked
        .findings
        .iter()
        .map(|finding| finding.evidence.as_str())
        .collect();
    assert!(
        evidence
            .iter()
            .any(|text| text.contains(r"\u{1b}[2K\u{202e}\n")),
        "{evidence:#?}"
    );
    assert!(
        evidence
            .iter()
            .all(|text| !text.contains(|c: char| c.is_control() || c == '\u{202e}'))
    );
}

// Sizes as no estate has them, and a VM of which nothing is known, end no plan.
#[test]
fn odd_data() {
    let huge = |vm: &mut Vm| {
        vm.disks = vec![disk("a", 1), disk("b", 1)];
        vm.disks
            .iter_mut()
            .for_each(|disk| disk.capacity_bytes = Bytes(u64::MAX));
        vm.memory_mib = Some(u64::MAX);
        vm.vcpus = Some(u32::MAX);
        vm.cores_per_socket = Some(u32::MAX);
    };
    let mut fixture = Fixture::new(THREE)
        .vm("dc1", "erp-app-01", huge)
        .vm("cloud1", "db", huge);
    fixture = node(longhorn(quota(openstack_quota(fixture, 0), 0), 0), 0);
    fixture.site.assumptions.export_bytes_per_second = Quantity(Bytes(0));
    let checked = check(fixture.resolved(), &fixture.inventory);
    assert!(checked.findings.iter().any(|finding| finding.code == "S01"));
    let bare = Fixture::new(THREE).vm("dc1", "erp-app-01", |vm| {
        *vm = Vm {
            id: vm.id.clone(),
            name: vm.name.clone(),
            ..Vm::default()
        };
    });
    assert!(check(bare.resolved(), &bare.inventory).is_blocked());
}

/// Estates for remedies where the pair's own has what its tool cannot mend, or is of another source.
const FOR_REMEDY: &[(&str, Tool, Change)] = &[
    ("N01", Tool::Govc, |f| {
        f.target(|t| t.vms.push(machine("erp", "erp-app-01", true)))
    }),
    ("N02", Tool::Govc, |f| {
        f.target(|t| t.vms.push(machine("erp", "erp-app-01", false)))
    }),
    ("O11", Tool::Openstack, |f| {
        os(f, |vm| vm.disks[0].sharing = Some("multiattach".to_owned()))
    }),
    ("P07", Tool::Openstack, |f| {
        f.vm("cloud1", "db", |vm| vm.name = "erp_db".into())
            .plan_lines("workloads:\n- { name: all, select: [ { source: cloud1, ids: [c-db] } ] }")
    }),
    ("V05", Tool::Govc, |f| {
        vc(f, |vm| vm.template = true)
            .plan_lines("workloads:\n- { name: all, select: [ { source: dc1, ids: [42-app1] } ] }")
    }),
    ("V06", Tool::Govc, |f| vc(f, |vm| vm.tpm = Some(true))),
];

// What `windrow remedy` writes for each code of its table, on the estate of the code's pair: one
// script each, which tests/cli gives to a shell to read.
#[test]
fn remedies() {
    let mut wrong = Vec::new();
    for remedy in REMEDIES {
        let (code, tool) = (remedy.code, remedy.tool);
        let other = FOR_REMEDY.iter().find(|(c, t, _)| *c == code && *t == tool);
        let has = other.map(|(.., has)| *has);
        let has = has.or_else(|| all().find(|(c, ..)| *c == code).map(|(_, has, _)| has));
        let mut fixture = has.expect("a pair")(Fixture::new(THREE));
        for vm in &mut fixture.inventory.sources.get_mut("dc1").expect("it").vms {
            vm.r#ref = Some(format!("vm-{}", vm.id));
        }
        let plan = match fixture.resolve() {
            Ok(plan) => plan,
            Err(faults) => {
                wrong.push(format!("{code} with {}: {faults:?}", tool.name()));
                continue;
            }
        };
        let checked = check(plan, &fixture.inventory);
        let wanted = Wanted {
            codes: [code.to_owned()].into(),
            ..Wanted::default()
        };
        let script = script(&checked, &fixture.inventory, tool, &wanted);
        if script.mended == 0 {
            wrong.push(format!("{code} with {}: {}", tool.name(), script.text));
            continue;
        }
        insta::with_settings!({
            snapshot_path => "../../../remedy/snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(format!("{code}-{}", tool.name()), script.text);
        });
    }
    assert!(wrong.is_empty(), "nothing is mended: {wrong:#?}");
}
