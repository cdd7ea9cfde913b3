//! Markdown for comments on pull requests: text of others that can become no markup, mention or
//! link.

use schemas::finding::Subject;
use schemas::shown::shown;

/// Most characters: GitHub takes 65,536 in a comment.
pub(crate) const CHARACTERS_MAX: usize = 60_000;

/// What a finding is about: its name as a code span.
pub(crate) fn about(subject: &Subject) -> String {
    match subject {
        Subject::Vm { name, .. } => span(name.as_str()),
        Subject::Workload(name) | Subject::Service(name) => span(name.as_str()),
        Subject::Source(name) => span(name.as_str()),
        Subject::Target(name) => span(name.as_str()),
        Subject::Plan => "the plan".to_owned(),
    }
}

/// A code span in a cell of a table, where a bar would end the cell even within code.
pub(crate) fn cell(text: &str) -> String {
    span(text).replace('|', "\\|")
}

/// Text as a code span that nothing in it can end; characters that hide others as escapes.
pub(crate) fn span(text: &str) -> String {
    let text = text.replace('\u{a0}', " ");
    let text = shown(&text);
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    if text.starts_with('`') || text.ends_with('`') || text.is_empty() {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

/// Our own prose: only names of plans, waves, workloads and approvals are in it, which are no
/// markup, and the reference of an approval, which may be.
pub(crate) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.replace('\u{a0}', " ").chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '*' | '_' | '[' | ']' | '|' | '\\' | '@' | '#' | '!' => {
                // A backslash before `@` would be shown.
                match c {
                    '@' => safe.push_str("&#64;"),
                    c => {
                        safe.push('\\');
                        safe.push(c);
                    }
                }
            }
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
