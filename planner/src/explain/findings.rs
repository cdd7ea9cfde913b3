//! What was found of a VM, and what can be done.

use schemas::finding::Subject as About;

use super::Subject;
use crate::check::table;

/// A line for each finding, one for what to do, and one for who accepted it.
pub(super) fn lines(subject: &Subject<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in &subject.planned.checked.findings {
        if !matches!(&finding.subject, About::Vm { key, .. } if key == subject.key) {
            continue;
        }
        let title = table::check(&finding.code).map_or("", |check| check.title);
        lines.push(format!(
            "{} {}: {title}: {}",
            finding.severity, finding.code, finding.evidence
        ));
        lines.push(match &finding.waived_by {
            Some(reason) => format!("waived: {reason}"),
            None => format!("to do: {}", finding.remedy),
        });
    }
    lines
}
