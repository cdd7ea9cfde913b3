//! What was found, what is lost and how much room is left: by kind, with those that have it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemas::finding::{Severity, Subject};
use schemas::ids::VmKey;
use serde::Serialize;

use super::{Texts, safe};
use crate::check::capacity::CapacityLine;
use crate::check::table;
use crate::pipeline::Planned;

/// Findings of one code, severity and waiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Found {
    code: String,
    severity: Severity,
    title: &'static str,
    waived: Option<String>,
    remedy: String,
    items: Vec<Item>,
}

/// The VM's position, else the subject's text; evidence; place; a remedy of its own.
type Item = (
    Option<usize>,
    Option<usize>,
    usize,
    Option<usize>,
    Option<usize>,
);

/// What does not survive, of all VMs that have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Lost {
    code: &'static str,
    title: &'static str,
    /// The VM's position and what exactly.
    vms: Vec<(usize, usize)>,
}

/// What the plan needs of what is limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Room {
    place: String,
    what: String,
    needs: String,
    has: String,
    percent: u64,
    code: &'static str,
    fits: bool,
}

impl Room {
    pub(super) fn new(line: &CapacityLine) -> Self {
        Self {
            place: safe(&line.place),
            what: safe(&line.what),
            needs: line.unit.show(line.needs),
            has: line.unit.show(line.has),
            percent: line.percent(),
            code: line.code,
            fits: line.fits(),
        }
    }
}

/// By code, what is open before what is waived, the worst first, then what many have.
pub(super) fn findings(
    planned: &Planned,
    places: &BTreeMap<VmKey, usize>,
    locate: &dyn Fn(&str) -> Option<String>,
    texts: &mut Texts,
) -> Vec<Found> {
    let mut found: BTreeMap<(Option<&String>, Severity, &str), Found> = BTreeMap::new();
    for finding in &planned.report.findings {
        let vm = match &finding.subject {
            Subject::Vm { key, .. } => places.get(key).copied(),
            _ => None,
        };
        let subject = finding.subject.in_words(|name| safe(&name));
        let key = (
            finding.waived_by.as_ref(),
            finding.severity,
            finding.code.as_str(),
        );
        let all = found.entry(key).or_insert_with(|| Found {
            code: safe(&finding.code),
            severity: finding.severity,
            title: table::check(&finding.code).map_or("", |check| check.title),
            waived: finding.waived_by.as_ref().map(safe),
            remedy: safe(&finding.remedy),
            items: Vec::new(),
        });
        let subject = vm.is_none().then(|| texts.place(&subject));
        let place = finding.path.as_deref().and_then(locate);
        let own = (safe(&finding.remedy) != all.remedy).then(|| texts.place(&finding.remedy));
        let evidence = texts.place(&finding.evidence);
        let place = place.map(|place| texts.place(&place));
        all.items.push((vm, subject, evidence, place, own));
    }
    let mut found: Vec<Found> = found.into_values().collect();
    found.sort_by_key(|all| (all.waived.is_some(), all.severity, Reverse(all.items.len())));
    found
}

/// Of machines on the page.
pub(super) fn losses(
    planned: &Planned,
    places: &BTreeMap<VmKey, usize>,
    texts: &mut Texts,
) -> Vec<Lost> {
    let losses = planned.report.losses.iter();
    let losses = losses.map(|loss| Lost {
        code: loss.code,
        title: loss.title,
        vms: loss
            .vms
            .iter()
            .filter_map(|vm| Some((*places.get(&vm.vm)?, texts.place(&vm.what))))
            .collect(),
    });
    losses.filter(|loss| !loss.vms.is_empty()).collect()
}
