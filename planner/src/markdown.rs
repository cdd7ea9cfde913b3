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

/// A word or a sentence of somebody else within a line of ours: as it is where nothing in it means
/// anything to Markdown or to those who show it, else a code span.
pub(crate) fn words(text: &str) -> String {
    let harmless = |(at, c): (usize, char)| match c {
        // Neither an address nor the short form of a picture.
        ':' => text[at + 1..].starts_with(' '),
        ' ' | ',' | '.' | ';' | '(' | ')' | '/' | '-' | '\'' | '"' => true,
        c => c.is_alphanumeric(),
    };
    let begins = text.starts_with(|c: char| c.is_alphanumeric());
    let plain = begins && !text.ends_with(' ') && !text.contains("www.");
    if plain && text.char_indices().all(harmless) {
        text.to_owned()
    } else {
        span(text)
    }
}

/// Our own prose, in which names may stand between backticks: those become code spans that nothing in
/// them can end, and what means something to Markdown elsewhere is escaped, wherever it comes from.
pub(crate) fn plain(text: &str) -> String {
    let text = text.replace('\u{a0}', " ");
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        // One of them belongs to a name.
        return escaped(&text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for (number, part) in parts.into_iter().enumerate() {
        match (number % 2, part) {
            (0, part) => push(&mut safe, &escaped(part)),
            (_, "") => safe.push_str("\\`\\`"),
            (_, part) => push(&mut safe, &span(part)),
        }
    }
    safe
}

/// Appends what may begin with a code span; two of them never touch, or their backticks would count
/// as one fence.
fn push(text: &mut String, more: &str) {
    if text.ends_with('`') && more.starts_with('`') {
        text.push(' ');
    }
    text.push_str(more);
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '*' | '_' | '[' | ']' | '|' | '\\' | '!' | '`' | '~' => safe.extend(['\\', c]),
            // Whatever stands for them, a mention or a number of an issue is looked for in the page;
            // only code is left alone.
            '@' | '#' => push(&mut safe, &format!("`{c}`")),
            ':' if text[at..].starts_with("://") => push(&mut safe, "`:`"),
            '.' if text[..at].ends_with("www") => push(&mut safe, "`.`"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    // What people write stays as they write it; anything that could mean more is code.
    #[test]
    fn somebody_else() {
        for plain in [
            "erp-team",
            "Ops; José, \"night shift\" (24/7)",
            "CHG0034567",
            "to do: later",
        ] {
            assert_eq!(words(plain), plain);
        }
        for (text, code) in [
            ("@team", "`@team`"),
            ("a:b:", "`a:b:`"),
            ("see www.x.example", "`see www.x.example`"),
            ("<b>", "`<b>`"),
            ("", "`  `"),
            (" x", "` x`"),
            ("a`b", "``a`b``"),
        ] {
            assert_eq!(words(text), code);
        }
    }

    // Names between backticks are code as they are; elsewhere nothing is markup, mention or address.
    #[test]
    fn prose() {
        assert_eq!(
            plain("without `*` and `[`: _no_"),
            "without `*` and `[`: \\_no\\_"
        );
        assert_eq!(plain("a ` b*"), "a \\` b\\*");
        assert_eq!(plain("``x``"), "\\`\\`x\\`\\`");
        assert_eq!(plain("`a`@x #1"), "`a` `@`x `#`1");
        assert_eq!(plain("@@"), "`@` `@`");
        assert_eq!(plain("https://x"), "https`:`//x");
        assert_eq!(plain("<www.x>"), "&lt;www`.`x&gt;");
    }
}
