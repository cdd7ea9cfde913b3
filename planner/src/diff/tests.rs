//! What is said of changes, one kind at a time; and how much of the files a change touches.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use schemas::approval::{ApprovalSpec, WaveApproval};
use schemas::ids::{VmKey, WaveName};
use schemas::inventory::{Inventory, Vm};
use schemas::units::Bytes;
use schemas::wave::MigrationWave;
use schemas::yaml;

use super::{Committed, Current, PlanDiff, diff, markdown, text};
use crate::fixture::{Fixture, vsphere_vm};
use crate::pipeline::Planned;
use crate::{Before, plan, plan_after};

const TIERS: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: app, select: [ { source: dc1, folder: erp/app } ], dependsOn: [db] }
- { name: web, select: [ { source: cloud1, ids: [c-web1] } ], dependsOn: [app] }
"#;

fn objects(planned: &Planned) -> Vec<MigrationWave> {
    planned
        .rendered
        .waves
        .iter()
        .map(|wave| wave.object.clone())
        .collect()
}

fn planned(fixture: &Fixture, committed: &[MigrationWave]) -> Planned {
    plan_after(
        &fixture.plan,
        &fixture.site,
        &fixture.inventory,
        &Before::of(committed.to_vec()),
    )
    .expect("a plan")
}

/// What has changed from one fixture to another, with all approved and the snapshots known or not.
fn between(before: &Fixture, now: &Fixture, snapshots: bool) -> PlanDiff {
    let was = plan(&before.plan, &before.site, &before.inventory).expect("a plan");
    let waves = objects(&was);
    let approvals: Vec<WaveApproval> = waves
        .iter()
        .map(|wave| {
            let name = wave.metadata.name.clone().expect("a name");
            let spec = ApprovalSpec {
                wave: Some(WaveName::new(name.clone())),
                digest: Some(wave.spec.digest.clone()),
                step: None,
                occurrence: None,
                expires: None,
                reference: Some("CHG0034567".to_owned()),
            };
            WaveApproval::new(&name, spec)
        })
        .collect();
    let is = planned(now, &waves);
    diff(
        Committed {
            waves: &waves,
            forecast: Some(&was.rendered.forecast),
            approvals: &approvals,
            inventory: snapshots.then_some(&before.inventory),
        },
        Current {
            plan: &now.plan,
            site: &now.site,
            inventory: &now.inventory,
            planned: &is,
        },
    )
}

fn told(diff: &PlanDiff) -> String {
    text::render(diff, &|path| Some(format!("plan.yaml ({path})")))
}

// The same files: nothing is said, whatever the rest of the inventory does.
#[test]
fn equal() {
    let diff = between(&Fixture::new(TIERS), &Fixture::new(TIERS), true);
    assert!(diff.equal, "{diff:?}");
    assert_eq!(
        told(&diff),
        "erp: nothing has changed since the waves were committed\n"
    );
    let other = Fixture::new(TIERS).add("dc1", vsphere_vm("u-else", "elsewhere", "else"));
    assert!(between(&Fixture::new(TIERS), &other, true).equal);
}

fn first_db(fixture: &Fixture) -> String {
    let vms = &fixture.inventory.sources["dc1"].vms;
    let vm = vms
        .iter()
        .find(|vm| vm.folder.as_deref() == Some("erp/db"))
        .expect("one");
    vm.name.to_string()
}

// A disk has grown: what it does to the wave, the machine, the workloads, and the approval.
#[test]
fn resized() {
    let before = Fixture::new(TIERS);
    let name = first_db(&before);
    let now = Fixture::new(TIERS).vm("dc1", &name, |vm| {
        vm.disks[0].capacity_bytes = Bytes::from_gib(160);
        vm.memory_mib = Some(8192);
    });
    assert_snapshot!(told(&between(&before, &now, true)));
    assert_snapshot!(markdown::render(&between(&before, &now, true)));
}

// What the sources say, where no decision rests on it: told by name if the snapshots before are
// known, and otherwise said not to be known.
#[test]
fn drifted() {
    let before = Fixture::new(TIERS);
    let name = first_db(&before);
    let now = Fixture::new(TIERS).vm("dc1", &name, |vm| vm.tags = vec!["tier/gold".to_owned()]);
    let known = between(&before, &now, true);
    assert!(!known.equal);
    assert_snapshot!(told(&known));
    let unknown = between(&before, &now, false);
    assert!(!unknown.equal && unknown.untold);
    assert_snapshot!(told(&unknown));
}

// One comes, one goes, and one is in another workload.
#[test]
fn membership() {
    let before = Fixture::new(TIERS);
    let name = first_db(&before);
    let now = Fixture::new(TIERS)
        .vm("dc1", &name, |vm| vm.folder = Some("erp/app".to_owned()))
        .add("dc1", vsphere_vm("u-db9", "erp/db", "erp-db-09"));
    assert_snapshot!(told(&between(&before, &now, true)));
}

// It no longer fits into any occurrence of its window, and takes others with it.
#[test]
fn exceeds() {
    let windows = "- { name: night, every: { cron: \"0 22 * * *\", timeZone: UTC, lasts: 30m } }";
    let before = Fixture::new(TIERS).windows(windows);
    let name = first_db(&before);
    let now = Fixture::new(TIERS).windows(windows).vm("dc1", &name, |vm| {
        vm.disks[0].capacity_bytes = Bytes::from_gib(170);
    });
    assert_snapshot!(told(&between(&before, &now, true)));
}

// Names are text: none of these becomes markup, a link, a mention or another cell.
#[test]
fn hostile() {
    for name in [
        "<script>alert(1)</script>",
        "a`b``c",
        "| a | b |",
        "[x](http://evil)",
        "=HYPERLINK(\"x\")",
        "a\nb\r\n<!-- -->",
        "@everyone",
        "{{ x }} ${x}",
    ] {
        let before = Fixture::new(TIERS);
        let old = first_db(&before);
        let now = Fixture::new(TIERS).vm("dc1", &old, |vm| vm.tags = vec![name.to_owned()]);
        let said = markdown::render(&between(&before, &now, true));
        let row = said
            .lines()
            .find(|line| line.contains("tags"))
            .expect("a row");
        // What stands outside of code spans has no special character but our own.
        let outside: String = outside_code(row).replace("<br>", "");
        assert!(
            !outside.contains(['<', '[', '@', '=', '{', '$']),
            "{row}\n{outside}"
        );
        assert_eq!(row.replace("\\|", "").matches('|').count(), 4, "{row}");
    }
}

/// The text of a line without its code spans, as Markdown has them.
fn outside_code(line: &str) -> String {
    let mut rest = line;
    let mut outside = String::new();
    while let Some(start) = rest.find('`') {
        outside.push_str(&rest[..start]);
        let fence: String = rest[start..].chars().take_while(|c| *c == '`').collect();
        let after = &rest[start + fence.len()..];
        let mut from = 0;
        let end = loop {
            let Some(at) = after[from..].find(&fence) else {
                break None;
            };
            let at = from + at;
            let longer = after[at..].chars().take_while(|c| *c == '`').count();
            if longer == fence.len() {
                break Some(at + fence.len());
            }
            from = at + longer;
        };
        if let Some(end) = end {
            rest = &after[end..];
        } else {
            outside.push_str(&fence);
            rest = after;
        }
    }
    outside.push_str(rest);
    outside
}

/// A plan of 500 VMs in five workloads that wait for each other.
fn estate() -> Fixture {
    let workloads: Vec<String> = (0..5)
        .map(|tier| {
            let after = if tier == 0 { String::new() } else { format!(", dependsOn: [tier-{}]", tier - 1) };
            format!("- {{ name: tier-{tier}, select: [ {{ source: dc1, folder: many/t{tier} }} ]{after} }}")
        })
        .collect();
    let mut fixture = Fixture::new(&format!("workloads:\n{}\n", workloads.join("\n")));
    for i in 0..500 {
        let vm = vsphere_vm(
            &format!("many-{i:03}"),
            &format!("many/t{}", i % 5),
            &format!("many-{i:03}"),
        );
        fixture = fixture.add(
            "dc1",
            Vm {
                disks: vec![crate::fixture::disk("2000", 20 + (i * 7) % 90)],
                ..vm
            },
        );
    }
    fixture
}

/// Lines of all wave files.
fn lines(waves: &[MigrationWave]) -> BTreeSet<(String, String)> {
    let line = |wave: &MigrationWave| {
        let name = wave.metadata.name.clone().expect("a name");
        let text = yaml::write_wave(wave);
        text.lines()
            .map(|line| (name.clone(), line.to_owned()))
            .collect::<Vec<_>>()
    };
    waves.iter().flat_map(line).collect()
}

/// Lines that a review of the change shows: those that went and those that came.
fn touched(before: &[MigrationWave], now: &[MigrationWave]) -> usize {
    lines(before).symmetric_difference(&lines(now)).count()
}

// The measures of a 500-VM plan's review: one VM resized touches at most 10 lines of wave files, a
// learned rate none, and the same again none.
#[test]
fn stable_files() {
    let before = estate();
    let waves = objects(&planned(&before, &[]));
    let imports: usize = waves.iter().map(|wave| wave.spec.imports.len()).sum();
    assert_eq!(imports, 500);
    assert_eq!(touched(&waves, &objects(&planned(&before, &waves))), 0);

    for name in ["many-007", "many-250", "many-499"] {
        let now = estate().vm("dc1", name, |vm| {
            vm.disks[0].capacity_bytes = Bytes::from_gib(131);
        });
        let after = objects(&planned(&now, &waves));
        let lines = touched(&waves, &after);
        assert!((1..=10).contains(&lines), "{name}: {lines} lines");
    }

    // What changes by itself (power, addresses, bytes in use) is no part of a wave.
    let observed = (0..500).fold(estate(), |fixture, i| {
        fixture.observed("dc1", &format!("many-{i:03}"), |seen| {
            seen.guest_ips = vec![format!("192.0.2.{}", i % 250)];
        })
    });
    assert_eq!(touched(&waves, &objects(&planned(&observed, &waves))), 0);
}

// 60 VMs that come at another place touch their own lines and their waves' digests: 150 at most. What
// was planned so stays so; only what somebody edited by hand is put back.
#[test]
fn reordered() {
    let before = estate();
    let fresh = planned(&before, &[]);
    let waves = objects(&fresh);
    let mut shuffled = waves.clone();
    let mut moved: BTreeSet<VmKey> = BTreeSet::new();
    for wave in &mut shuffled {
        let last = wave
            .spec
            .imports
            .iter()
            .map(|import| import.order)
            .max()
            .expect("imports");
        for import in wave.spec.imports.iter_mut().step_by(8).take(12) {
            import.order = last + 1000 - import.order % 997;
            moved.insert(import.vm.clone());
        }
    }
    assert_eq!(moved.len(), 60);
    let mut planned_so = shuffled.clone();
    for wave in &mut planned_so {
        wave.spec.digest = wave.spec.compute_digest();
    }
    let kept = objects(&planned(&before, &planned_so));
    assert_eq!(touched(&planned_so, &kept), 0);
    let after = objects(&planned(&before, &shuffled));
    let lines = touched(&shuffled, &after);
    assert!((120..=150).contains(&lines), "{lines} lines");
    for wave in &after {
        let mut imports: Vec<_> = wave.spec.imports.iter().collect();
        imports.sort_by_key(|import| import.order);
        let places: Vec<usize> = imports
            .iter()
            .map(|import| {
                fresh
                    .schedule
                    .slots
                    .iter()
                    .find(|slot| slot.vm == import.vm)
                    .expect("a slot")
                    .place
            })
            .collect();
        assert!(
            places.is_sorted(),
            "the numbers say in which order they start"
        );
    }
}

// The order in which an inventory lists its VMs changes nothing here either.
#[test]
fn order_of_lists() {
    let before = Fixture::new(TIERS);
    let mut now = Fixture::new(TIERS);
    let reverse = |inventory: &mut Inventory| {
        inventory
            .sources
            .values_mut()
            .for_each(|source| source.vms.reverse());
    };
    reverse(&mut now.inventory);
    assert!(between(&before, &now, true).equal);
}
