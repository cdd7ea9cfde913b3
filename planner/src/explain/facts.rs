//! What is known of a VM: by its source, by tables, by the plan, and which of these counts.

use std::collections::BTreeSet;

use super::Subject;
use crate::resolve::facts::{self, Fact};

/// A line for each fact.
pub(super) fn lines(subject: &Subject<'_>) -> Vec<String> {
    let plan = &subject.planned.checked.plan;
    let discovered = facts::discovered(subject.vm, subject.seen);
    let known = plan.facts.get(subject.key);
    let names: BTreeSet<&String> = discovered
        .keys()
        .chain(known.into_iter().flat_map(|known| known.keys()))
        .collect();
    let nothing = Fact::default();
    let mut lines = Vec::new();
    for name in names {
        let fact = known.and_then(|known| known.get(name)).unwrap_or(&nothing);
        let found = discovered.get(name).map(String::as_str);
        let Some(value) = fact.value(found) else {
            continue;
        };
        let mut from = Vec::new();
        if let Some(found) = found {
            from.push(format!("source: {found}"));
        }
        if let Some(tabled) = &fact.tabled {
            let day = tabled
                .as_of
                .map_or("of unknown age".to_owned(), |day| format!("from {day}"));
            from.push(format!("{}: {}, {day}", tabled.file, tabled.value));
        }
        if let Some(stated) = &fact.stated {
            from.push(format!("plan: {stated}"));
        }
        lines.push(format!("{name} = {value} ({})", from.join("; ")));
    }
    lines
}
