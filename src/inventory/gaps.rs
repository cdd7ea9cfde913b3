//! Gaps of a snapshot in words.

use std::collections::BTreeMap;

use schemas::inventory::{Gap, SourceInventory};
use schemas::shown::shown;

use super::counted;

/// VMs with one gap that are named.
const VMS_NAMED_MAX: usize = 5;

/// What could not be read, of which object, and why, in one line.
pub fn line(gap: &Gap) -> String {
    let object = gap.object.as_ref().map(|object| format!(" `{object}`"));
    let line = format!("{}{}: {}", gap.what, object.unwrap_or_default(), gap.reason);
    shown(&line).into_owned()
}

/// The first of a list behind some words, a line each, and how many more there are.
pub fn first(gaps: &[Gap], max: usize, words: &str) -> Vec<String> {
    let told = gaps.iter().take(max);
    let mut lines: Vec<String> = told.map(|gap| format!("{words}{}", line(gap))).collect();
    if gaps.len() > max {
        let more = counted(gaps.len() - max, "more gap");
        lines.push(format!("and {more}, listed in the snapshot"));
    }
    lines
}

/// Those of a source as a whole, then those of its VMs, by what is missing.
pub fn of_source(source: &SourceInventory) -> Vec<String> {
    let mut lines: Vec<String> = source.about.gaps.iter().map(line).collect();
    let mut of_vms: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for vm in &source.vms {
        for gap in &vm.gaps {
            of_vms.entry(line(gap)).or_default().push(vm.name.as_str());
        }
    }
    for (gap, vms) in of_vms {
        let named = vms.iter().take(VMS_NAMED_MAX);
        let named: Vec<String> = named.map(|name| format!("`{}`", shown(name))).collect();
        let more = match vms.len().saturating_sub(VMS_NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let count = counted(vms.len(), "VM");
        lines.push(format!("of {count}, {gap} ({}{more})", named.join(", ")));
    }
    lines
}

/// A section of a page; nothing where there are no gaps.
pub fn section(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("\nGaps\n{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use schemas::inventory::{SourceAbout, SourceKind, Vm};

    use super::*;

    fn gap(what: &str, object: Option<&str>) -> Gap {
        Gap {
            what: what.to_owned(),
            object: object.map(str::to_owned),
            reason: "NoPermission".to_owned(),
        }
    }

    // Each gap of the source once, one that many VMs have once too; nothing can hide in the words.
    #[test]
    fn in_words() {
        let vm = |name: &str| Vm {
            name: name.into(),
            gaps: vec![gap("layoutEx", None)],
            ..Vm::default()
        };
        let mut about = SourceAbout::new(SourceKind::Vmware, "", "plain");
        about.gaps = vec![gap("tags", None), gap("instanceUuid", Some("vm\u{1b}7"))];
        let source = SourceInventory {
            vms: ["a", "b", "c", "d", "e", "f", "g"].map(vm).into(),
            ..SourceInventory::new(about)
        };
        let lines = of_source(&source);
        assert_eq!(
            lines,
            [
                "tags: NoPermission",
                "instanceUuid `vm\\u{1b}7`: NoPermission",
                "of 7 VMs, layoutEx: NoPermission (`a`, `b`, `c`, `d`, `e` and 2 more)",
            ]
        );
        let first = first(&source.about.gaps, 1, "no ");
        assert_eq!(
            first,
            [
                "no tags: NoPermission",
                "and 1 more gap, listed in the snapshot"
            ]
        );
        assert!(section(&lines).starts_with("\nGaps\ntags: NoPermission\n"));
        assert_eq!(section(&[]), "");
    }
}
