//! A diff as a comment on a pull request: the first line alone must do, details are folded.
//!
//! Names come from sources that anybody may have named: each stands in a code span that its
//! characters cannot end, so that no markup, mention or link comes of it.

use std::fmt::Write as _;

use schemas::finding::Finding;
use schemas::shown::lines;

use super::text::{field, headline, summary, wave_line, workload_rows};
use super::{PlanDiff, VmDiff, VmFate};
use crate::diagnostic::count;
use crate::markdown::{CHARACTERS_MAX, about, cell, plain, span};

const INFALLIBLE: &str = "a String takes everything";

/// The diff in Markdown, with a hidden mark by which a comment is found again and replaced.
pub fn render(diff: &PlanDiff) -> String {
    let mut text = format!(
        "<!-- windrow:diff:{} -->\n**{}**\n",
        diff.plan,
        plain(&summary(diff))
    );
    for wave in &diff.waves {
        let vms: Vec<&VmDiff> = diff
            .vms
            .iter()
            .filter(|vm| vm.stands_in(&wave.name))
            .collect();
        let mut part = format!("\n- {}\n", plain(&wave_line(diff, wave)));
        for change in &wave.changes {
            writeln!(part, "  - {}", span(&field(change))).expect(INFALLIBLE);
        }
        if !vms.is_empty() {
            let title = count(vms.len(), "VM");
            writeln!(part, "\n  <details><summary>{title}</summary>\n\n  | VM | workload | change |\n  |---|---|---|").expect(INFALLIBLE);
            for vm in vms {
                writeln!(part, "  {}", row(diff, vm)).expect(INFALLIBLE);
            }
            part.push_str("\n  </details>\n");
        }
        if !fits(&text, &part) {
            text.push_str(
                "\nThere is more than a comment holds; `windrow diff` tells all of it.\n",
            );
            return lines(&text).into_owned();
        }
        text.push_str(&part);
    }
    let rows = workload_rows(diff);
    if !rows.is_empty() {
        let mut part = "\n<details><summary>Downtime by workload</summary>\n\n".to_owned();
        for row in rows {
            writeln!(part, "- {}", plain(&row)).expect(INFALLIBLE);
        }
        part.push_str("\n</details>\n");
        if fits(&text, &part) {
            text.push_str(&part);
        }
    }
    for (title, findings) in [
        ("New findings", &diff.findings),
        ("Mended findings", &diff.mended),
    ] {
        let part = found(title, findings);
        if fits(&text, &part) {
            text.push_str(&part);
        }
    }
    lines(&text).into_owned()
}

fn fits(text: &str, part: &str) -> bool {
    text.chars().count() + part.chars().count() <= CHARACTERS_MAX
}

fn found(title: &str, findings: &[Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n<details><summary>{title}: {}</summary>\n\n",
        findings.len()
    );
    for finding in findings {
        let (code, evidence) = (&finding.code, span(&finding.evidence));
        let about = about(&finding.subject);
        let waived = if finding.waived_by.is_some() {
            ", waived"
        } else {
            ""
        };
        writeln!(text, "- {code}{waived} on {about}: {evidence}").expect(INFALLIBLE);
    }
    text.push_str("\n</details>\n");
    text
}

fn row(diff: &PlanDiff, vm: &VmDiff) -> String {
    let mark = match vm.fate {
        VmFate::Added => "new",
        VmFate::Removed => "gone",
        VmFate::Moved => "moved",
        VmFate::Changed => "changed",
    };
    let mut said = vec![mark.to_owned()];
    let head = headline(diff, vm);
    if !head.is_empty() {
        said.push(cell(&head));
    }
    said.extend(vm.changes.iter().map(|change| cell(&field(change))));
    said.extend(
        vm.drift
            .iter()
            .map(|change| format!("at its source: {}", cell(&field(change)))),
    );
    said.extend(
        vm.consequences
            .iter()
            .map(|said| format!("**{}**", cell(said))),
    );
    format!(
        "| {} | {} | {} |",
        cell(vm.name.as_str()),
        cell(vm.workload.as_str()),
        said.join("<br>")
    )
}
