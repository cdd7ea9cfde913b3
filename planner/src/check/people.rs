//! What people know, must know, and have agreed to.

use std::collections::BTreeMap;

use schemas::finding::{Severity, Subject};
use schemas::inventory::SourceKind;

use super::table::Check;
use super::{Estate, Hit, Row};
use crate::diagnostic::list;
use crate::report::Twin;
use crate::resolve::ResolvedRequirement;
use crate::resolve::facts::{self, Fact};

/// A fact that must be known, and is not.
pub const WR050: Check = Check {
    code: "WR050",
    severity: Severity::Blocker,
    title: "lacks a fact that the site requires",
    reads: "the site's `require`, its tables of facts, what the source knows, the plan's `machines`",
    why: "The site's owner wants this to be known before a VM is moved: no source can tell whether a \
          guest has the drivers to boot, or whether there is a backup.",
    when: "no table, no attribute at the source and no entry of `machines` gives the fact a value",
    see: "`windrow explain VM` shows each fact of it, and where it comes from",
    remedy: "find out, and write it into the table, or state it in the plan's `machines`",
    never_waived: None,
    run: |estate| required(estate, Broken::Missing),
};

/// A fact that is not as it must be.
pub const WR051: Check = Check {
    code: "WR051",
    severity: Severity::Blocker,
    title: "has a fact that is not as the site requires",
    reads: "the site's `require`, its tables of facts, what the source knows, the plan's `machines`",
    why: "The site's owner allows a VM to be moved only with this value.",
    when: "the fact has another value than `equals` says",
    see: "`windrow explain VM` shows each fact of it, and where it comes from",
    remedy: "prepare the VM, then mend the table; or state it in the plan's `machines`",
    never_waived: None,
    run: |estate| required(estate, Broken::Other),
};

/// A fact that was true some time ago.
pub const WR052: Check = Check {
    code: "WR052",
    severity: Severity::Blocker,
    title: "has a fact that is too old, or of unknown age",
    reads: "the day of the fact's row or table, or the fact itself where it is a day; `maxAge`; the \
            day on which the plan starts (or `--as-of`)",
    why: "What was so weeks before a move need not be so any more: a backup, a driver, an owner.",
    when: "the fact is older than `maxAge` on the day on which the plan starts, or nothing says how \
           old it is",
    see: "`windrow explain VM` shows each fact of it with its day",
    remedy: "look again, and write the new day into the table (column `as_of`, or its first line)",
    never_waived: None,
    run: |estate| required(estate, Broken::Old),
};

/// A twin that nobody has reviewed.
pub const WR053: Check = Check {
    code: "WR053",
    severity: Severity::Blocker,
    title: "bears the name of a VM in the committed waves, and is not in them",
    reads: "names and ids of the waves on disk, and the VMs that selectors by name or pattern meet",
    why: "A selector by name takes every VM that bears it. One that got the name after the waves were \
          reviewed would be moved without anybody having agreed to it.",
    when: "the waves hold a VM of that name and source, but not this one, and it is not selected by \
           its id",
    see: "compare the ids in `waves/` with those that `windrow inventory show` lists",
    remedy: "select it by its `ids` if it is meant, exclude it if it is not, or waive this for it",
    never_waived: None,
    run: twins,
};

/// What was to be over by now.
pub const WR054: Check = Check {
    code: "WR054",
    severity: Severity::Warning,
    title: "is out of scope until a day that is over",
    reads: "`by` of each entry of `outOfScope`, the VMs that it still meets, the day on which the \
            plan starts (or `--as-of`)",
    why: "It was to be gone by then, and the source still has it: somebody has to say what becomes of \
          it, or the source cannot be emptied.",
    when: "`by` lies before the day on which the plan starts, and the entry still meets a VM",
    see: "`windrow coverage` lists VMs that are out of scope, with reason and day",
    remedy: "remove it at the source, plan its move, or agree on a later day",
    never_waived: Some("it is about the plan, not about a VM that moves"),
    run: overdue,
};

/// In which way a requirement does not hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Missing,
    Other,
    Old,
}

fn required(estate: &Estate<'_>, wanted: Broken) -> Vec<Hit> {
    let mut hits = Vec::new();
    for row in estate.rows() {
        for requirement in &estate.plan.requirements {
            if !requirement.is_about(&row.to.key, row.vm) {
                continue;
            }
            let Some((broken, evidence)) = broken(estate, row, requirement) else {
                continue;
            };
            if broken == wanted {
                let severity = requirement.written.severity.unwrap_or(Severity::Blocker);
                let hit = Hit::vm(row.to, evidence).at(requirement.path.clone());
                hits.push(hit.severity(severity));
            }
        }
    }
    hits
}

/// How a requirement does not hold for a VM, if it does not.
fn broken(
    estate: &Estate<'_>,
    row: &Row<'_>,
    requirement: &ResolvedRequirement,
) -> Option<(Broken, String)> {
    let written = &requirement.written;
    let name = &written.fact;
    let known = estate
        .plan
        .facts
        .get(&row.to.key)
        .and_then(|facts| facts.get(name));
    let discovered = facts::discovered(row.vm, row.seen).remove(name);
    let nothing = Fact::default();
    let fact = known.unwrap_or(&nothing);
    let Some(value) = fact.value(discovered.as_deref()) else {
        return Some((Broken::Missing, format!("`{name}` is not known")));
    };
    let value = value.to_owned();
    if let Some(equals) = written.equals.as_ref().filter(|equals| **equals != value) {
        let from = fact.origin(discovered.is_some());
        let evidence = format!("`{name}` is `{value}` ({from}), not `{equals}`");
        return Some((Broken::Other, evidence));
    }
    let max_age = written
        .max_age
        .map(|days| days.0)
        .or_else(|| fact.tabled_counts().and_then(|tabled| tabled.max_age))?;
    // A value that is a day is as old as that; what the plan states, or the source, is of now.
    let as_of = match (facts::read_day(&value), fact.tabled_counts()) {
        (Some(day), _) if written.max_age.is_some() => Some(day),
        (_, Some(tabled)) => tabled.as_of,
        (_, None) => return None,
    };
    let from = fact.origin(discovered.is_some());
    let Some(as_of) = as_of else {
        let evidence = format!("nothing says from when `{name}: {value}` is ({from})");
        return Some((Broken::Old, evidence));
    };
    let age = days_between(as_of, estate.plan.day?);
    (age > i64::from(max_age)).then(|| {
        let evidence = format!(
            "`{name}: {value}` is from {as_of} ({from}), {age} days before the start; at most \
             {max_age} are allowed"
        );
        (Broken::Old, evidence)
    })
}

fn days_between(from: jiff::civil::Date, to: jiff::civil::Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}

fn twins(estate: &Estate<'_>) -> Vec<Hit> {
    let committed = &estate.inventory().knowledge.committed;
    estate.hits(|row| {
        let ids = committed.get(&row.to.key.source)?.get(&row.to.name)?;
        // vSphere's names are unique within a folder only, and a folder is part of what is looked for.
        if row.to.by_id || ids.contains(&row.to.key.id) || row.to.kind == SourceKind::Ova {
            return None;
        }
        let others: Vec<String> = ids
            .iter()
            .map(|id| format!("{}/{id}", row.to.key.source))
            .collect();
        let twin = Twin::of(row.vm, row.seen);
        let evidence = format!(
            "`{}` in the waves is {}; this one is {twin}",
            row.to.name,
            list(&others)
        );
        Some(Hit::vm(row.to, evidence))
    })
}

fn overdue(estate: &Estate<'_>) -> Vec<Hit> {
    let mut by_entry: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (key, entry) in &estate.plan.out_of_scope {
        by_entry.entry(*entry).or_default().push(key.to_string());
    }
    let mut hits = Vec::new();
    for (entry, vms) in by_entry {
        let (Some(by), Some(day)) = (estate.plan.scope_ends.get(&entry), estate.plan.day) else {
            continue;
        };
        if *by < day {
            let evidence = format!("{} still there on {day}, after {by}", list(&vms));
            hits.push(Hit::on(Subject::Plan, evidence).at(format!("outOfScope[{entry}]")));
        }
    }
    hits
}
