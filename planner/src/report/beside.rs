//! What stands beside the findings: how much room is left, and what will not survive.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::PlanReport;
use super::text::{paragraph, whole};
use crate::diagnostic::count;

/// The margin of what fits, one paragraph for each place; what does not fit is a finding.
pub(super) fn room(text: &mut String, report: &PlanReport) {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in report.capacity.iter().filter(|line| line.fits()) {
        let (needs, has) = (line.unit.show(line.needs), line.unit.show(line.has));
        let (needs, has) = (whole(needs), whole(has));
        let told = format!("{} {needs} of {has} ({}\u{a0}%)", line.what, line.percent());
        places.entry(&line.place).or_default().push(told);
    }
    if !places.is_empty() && report.vms > 0 {
        text.push('\n');
        for (place, parts) in places {
            paragraph(text, "", &format!("room on {place}: {}", parts.join("; ")));
        }
    }
}

/// Losses, one line for each kind: thousands of VMs stay a page.
pub(super) fn losses(text: &mut String, report: &PlanReport) {
    if report.losses.is_empty() || report.vms == 0 {
        return;
    }
    let head = "\nwhat will not survive; `windrow explain CODE` says why, `-o json` has each VM\n";
    text.push_str(head);
    let numbers: Vec<String> = report
        .losses
        .iter()
        .map(|loss| count(loss.vms.len(), "VM"))
        .collect();
    let width = numbers
        .iter()
        .map(|number| number.chars().count())
        .max()
        .unwrap_or(0);
    for (loss, number) in report.losses.iter().zip(&numbers) {
        let (code, title) = (loss.code, loss.title);
        writeln!(text, "  {number:>width$}  {code:<5}  {title}")
            .expect("a String takes everything");
    }
}
