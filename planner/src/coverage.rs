//! What becomes of every VM of the sources: planned, done, out of scope, or forgotten.
//!
//! Takes all plans of a site and the inventory; a VM that none of them speaks of is forgotten, and
//! one that two of them want is told too: a source is empty when nobody was overlooked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use schemas::ids::{PlanName, VmKey, VmName};
use schemas::inventory::Inventory;
use schemas::plan::PlanSpec;
use serde::Serialize;

use crate::check::Checked;
use crate::report::LeftOut;
use crate::resolve::{Index, moved};

/// The schema named in the JSON form.
pub const SCHEMA: &str = "windrow.coverage/1";

/// What becomes of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// No plan speaks of it.
    Forgotten,
    /// A plan selects it, and has not moved it yet.
    Planned,
    /// It runs on its target.
    Done,
    /// A plan says that it stays.
    OutOfScope,
    /// A template: no machine.
    Template,
}

impl Standing {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [
        Self::Forgotten,
        Self::Planned,
        Self::Done,
        Self::OutOfScope,
        Self::Template,
    ];

    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Forgotten => "forgotten",
            Self::Planned => "planned",
            Self::Done => "done",
            Self::OutOfScope => "out of scope",
            Self::Template => "template",
        }
    }
}

/// One plan of the site.
#[derive(Clone, Copy)]
pub struct PlanOf<'a> {
    /// As written.
    pub spec: &'a PlanSpec,
    /// With its findings.
    pub checked: &'a Checked,
}

/// What becomes of one VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Which.
    pub vm: VmKey,
    /// Its name.
    pub name: VmName,
    /// Its folder or project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What becomes of it.
    pub standing: Standing,
    /// The plans that speak of it, sorted; more than one is a mistake.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<PlanName>,
    /// Its workload, or why it is as it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Until when it is out of scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Date>,
}

/// What becomes of all VMs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// How many there are of each standing, by its word.
    pub counts: BTreeMap<&'static str, usize>,
    /// VMs that several plans want.
    pub twice: Vec<VmKey>,
    /// Every VM of the sources: the forgotten ones first, then by key.
    pub vms: Vec<Row>,
}

/// What one plan says of a VM: its standing there, the details, and by when.
type Said = (PlanName, Standing, String, Option<Date>);

/// Puts together what all plans of a site say.
pub fn coverage(plans: &[PlanOf<'_>], inventory: &Inventory) -> Coverage {
    let mut said: BTreeMap<VmKey, Vec<Said>> = BTreeMap::new();
    for PlanOf { spec, checked } in plans {
        let plan = &checked.plan;
        let mut say = |key: &VmKey, standing, detail, by| {
            let line = (plan.name.clone(), standing, detail, by);
            said.entry(key.clone()).or_default().push(line);
        };
        for vm in &plan.vms {
            let detail = format!("workload {}", vm.workload);
            say(&vm.key, Standing::Planned, detail, None);
        }
        for out in LeftOut::of(plan) {
            let standing = match out.kind {
                "moved" => Standing::Done,
                "template" => Standing::Template,
                _ => Standing::Planned,
            };
            let detail = match standing {
                Standing::Planned => format!("left out for now: {}", out.reason),
                _ => out.reason,
            };
            say(&out.vm, standing, detail, None);
        }
        for (key, entry) in &plan.out_of_scope {
            let entry = &spec.out_of_scope[*entry];
            say(key, Standing::OutOfScope, entry.reason.clone(), entry.by);
        }
    }
    let index = Index::of(inventory);
    let records = moved(inventory);
    let (mut rows, mut twice) = (Vec::new(), Vec::new());
    for (source, vms) in index.sources() {
        for vm in vms.vms() {
            let key = VmKey::new(source.clone(), vm.id.clone());
            let said = said.remove(&key).unwrap_or_default();
            let wanted: BTreeSet<&PlanName> = said
                .iter()
                .filter(|(_, standing, ..)| *standing == Standing::Planned)
                .map(|(plan, ..)| plan)
                .collect();
            if wanted.len() > 1 || contradict(&said) {
                twice.push(key.clone());
            }
            // What is done is done, whatever a plan says; a plan that moves it comes before one that
            // leaves it.
            let counts = [
                Standing::Done,
                Standing::Planned,
                Standing::OutOfScope,
                Standing::Template,
            ];
            let line = counts
                .iter()
                .find_map(|standing| said.iter().find(|(_, s, ..)| s == standing));
            let (standing, detail, by) = match line {
                Some((_, standing, detail, by)) => (*standing, detail.clone(), *by),
                None => match records.get(&key) {
                    Some(target) => (Standing::Done, format!("runs on {target}"), None),
                    None if vm.template => (Standing::Template, String::new(), None),
                    None => (Standing::Forgotten, String::new(), None),
                },
            };
            let plans: BTreeSet<PlanName> = said.into_iter().map(|(plan, ..)| plan).collect();
            let project = vm.project.as_ref();
            rows.push(Row {
                vm: key,
                name: vm.name.clone(),
                place: vm
                    .folder
                    .clone()
                    .or_else(|| project.map(|p| p.name.as_ref().unwrap_or(&p.id).clone())),
                standing,
                plans: plans.into_iter().collect(),
                detail,
                by,
            });
        }
    }
    rows.sort_by(|a, b| (a.standing, &a.vm).cmp(&(b.standing, &b.vm)));
    let count = |standing: Standing| rows.iter().filter(|row| row.standing == standing).count();
    Coverage {
        schema: SCHEMA,
        counts: Standing::ALL
            .into_iter()
            .map(|standing| (standing.word(), count(standing)))
            .collect(),
        twice,
        vms: rows,
    }
}

/// Whether one plan moves a VM and another one leaves it.
fn contradict(said: &[Said]) -> bool {
    let says = |wanted: Standing| said.iter().any(|(_, standing, ..)| *standing == wanted);
    says(Standing::Planned) && says(Standing::OutOfScope)
}

impl Coverage {
    /// How many have that standing.
    pub fn count(&self, standing: Standing) -> usize {
        self.counts.get(standing.word()).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::fixture::Fixture;
    use schemas::machine::Stage;

    // Every VM of the sources has exactly one standing, and nothing is counted twice.
    #[test]
    fn everything_has_a_standing() {
        let fixture = Fixture::new(
            r"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
outOfScope:
- { source: cloud1, names: [web], reason: stays in the cloud, by: 2027-03-31 }
",
        )
        .ledger("vcenter-uuid", "dc1", "42-db1", "ERP-DB-01", Stage::Running)
        .ledger(
            "vcenter-uuid",
            "dc1",
            "42-app1",
            "erp-app-01",
            Stage::Running,
        );
        let mut fixture = fixture;
        fixture.plan.spec.start = Some("2026-11-28T00:00:00Z".parse().expect("an instant"));
        let checked = check(fixture.resolved(), &fixture.inventory);
        let plan = PlanOf {
            spec: &fixture.plan.spec,
            checked: &checked,
        };
        let coverage = coverage(&[plan], &fixture.inventory);
        let lines: Vec<_> = coverage
            .vms
            .iter()
            .map(|row| format!("{} {}: {}", row.standing.word(), row.vm, row.detail))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
        assert_eq!(coverage.counts.values().sum::<usize>(), 10);
        assert!(coverage.twice.is_empty());
    }
}
