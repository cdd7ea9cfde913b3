//! How targets fill up as machines arrive: which of them come when there is no room left, and when that is.

use std::collections::BTreeMap;

use schemas::finding::Finding;
use schemas::units::Bytes;

use crate::check::{Checked, Hit, table};
use crate::report::Clock;
use crate::schedule::{Problem, Room, Schedule};

/// Goes through the imports by creation and adds up what their machines take of their targets.
pub(crate) fn too_full(checked: &Checked, problem: &Problem, schedule: &Schedule) -> Vec<Finding> {
    let check = table::check("WR042").expect("in the table");
    let plan = &checked.plan;
    let zone = plan
        .windows
        .iter()
        .find_map(|window| window.time_zone.as_deref());
    let clock = Clock::new(plan.start, zone.unwrap_or("UTC"));
    let mut used: BTreeMap<usize, Room> = BTreeMap::new();
    let mut findings = Vec::new();
    for slot in &schedule.slots {
        let target = &problem.targets[slot.target].name;
        let (Some(room), Some(takes)) = (checked.rooms.get(target), checked.takes.get(&slot.vm))
        else {
            continue;
        };
        let used = used.entry(slot.target).or_default();
        used.memory = Bytes(used.memory.0.saturating_add(takes.memory.0));
        used.cpu_milli = used.cpu_milli.saturating_add(takes.cpu_milli);
        used.storage = Bytes(used.storage.0.saturating_add(takes.storage.0));
        let Some(lacks) = lacking(used, room) else {
            continue;
        };
        let at = clock.moment(slot.times.created);
        if let Some(vm) = plan.vm(&slot.vm) {
            let evidence = format!("{at}, {target} lacks {lacks} for its machine");
            findings.push(Hit::vm(vm, evidence).finding(check));
        }
    }
    findings
}

/// What is used beyond what there is.
fn lacking(used: &Room, room: &Room) -> Option<String> {
    if used.memory > room.memory {
        Some(format!(
            "{} of memory",
            used.memory.saturating_sub(room.memory)
        ))
    } else if used.cpu_milli > room.cpu_milli {
        let cpus = (used.cpu_milli - room.cpu_milli).div_ceil(1000);
        Some(format!("{cpus} CPUs"))
    } else if used.storage > room.storage {
        Some(format!(
            "{} of storage to promise",
            used.storage.saturating_sub(room.storage)
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use schemas::inventory::TargetNode;

    use crate::fixture::Fixture;
    use crate::plan;

    const PLAN: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: app, select: [ { source: dc1, match: "erp-app-0*" } ], dependsOn: [db] }
"#;

    // Room for all but the last: it is told, with its day; with room for all, nothing is.
    #[test]
    fn the_last_one_has_no_room() {
        let told = |room: u64| -> Vec<String> {
            let mut fixture = Fixture::new(PLAN);
            for name in ["ERP-DB-01", "ERP-DB-02", "erp-app-01", "erp-app-02"] {
                fixture = fixture.vm("dc1", name, |vm| vm.memory_mib = Some(8192));
            }
            let fixture = fixture.target(|target| {
                target.about.nodes = vec![TargetNode {
                    name: "node-1".to_owned(),
                    ready: true,
                    schedulable: true,
                    memory_bytes: schemas::units::Bytes::from_gib(room),
                    memory_reserved_bytes: Some(schemas::units::Bytes::ZERO),
                    cpu_milli: 64_000,
                    cpu_reserved_milli: Some(0),
                    ..TargetNode::default()
                }];
            });
            let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
            let findings = planned.report.findings.into_iter();
            let findings = findings.filter(|finding| finding.code == "WR042");
            findings.map(|finding| finding.evidence).collect()
        };
        assert_eq!(told(32), Vec::<String>::new());
        assert_eq!(
            told(31),
            ["Sun 22 Nov 23:28, hv1 lacks 1 GiB of memory for its machine"]
        );
    }
}
