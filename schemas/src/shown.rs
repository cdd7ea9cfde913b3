//! Text that others wrote, made safe to show.
//!
//! Names of VMs, notes, cells of other people's tables and words of servers may hold anything. Every
//! output (terminal, tables, SARIF, `JUnit`, annotations, JSON, CSV) shows such text through this
//! module, and adds the quoting of its own form.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every character that could hide, reorder or forge what stands around it written as
/// its escape: control characters (terminal sequences begin with one), line and paragraph separators,
/// marks that change the direction of writing, and those without any width.
///
/// What is only unusual (other scripts, emoji, backslashes) stays. The result has no line break.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hides(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Several lines of ours, in which `shown` escapes everything but their ends: the last look at text
/// before it is printed. What a CI system would take for a command to itself is escaped too:
/// `::error::x` where a line begins, `##[x]` and its like anywhere.
pub fn lines(text: &str) -> Cow<'_, str> {
    let commands = text.contains("::") || text.contains("##");
    if !commands && !text.contains(|c| c != '\n' && hides(c)) {
        return Cow::Borrowed(text);
    }
    let mut changed = false;
    let mut line = |line| {
        let safe = no_command(shown(line));
        changed |= matches!(safe, Cow::Owned(_));
        safe
    };
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(&mut line).collect();
    if changed {
        Cow::Owned(lines.join("\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A line that no runner takes for a command: GitHub's reads `::command::` after blanks, and as
/// Azure's and `TeamCity`'s do `##[command]` and `##word[command]` in the midst of it.
fn no_command(line: Cow<'_, str>) -> Cow<'_, str> {
    let begins = line.trim_start().starts_with("::");
    if !begins && !(0..line.len()).any(|at| is_marked(&line.as_bytes()[at..])) {
        return line;
    }
    let mut safe = String::with_capacity(line.len() + 16);
    let mut first = begins;
    for (at, c) in line.char_indices() {
        match c {
            ':' if first => {
                first = false;
                safe.push_str(r"\u{3a}");
            }
            '#' if is_marked(&line.as_bytes()[at..]) => safe.push_str(r"\u{23}"),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Whether a command that stands between signs begins here: `##[`, or letters between.
fn is_marked(rest: &[u8]) -> bool {
    let Some(rest) = rest.strip_prefix(b"##") else {
        return false;
    };
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic());
    rest.get(letters.count()) == Some(&b'[')
}

/// JSON in whose strings such characters are written as `\uXXXX`: the same value to every program,
/// and harmless on a terminal and in a log. (They stand in strings only, but for line ends.)
pub fn json(text: &str) -> Cow<'_, str> {
    let hides = |c: char| c != '\n' && hides(c);
    if !text.contains("##") && !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        if hides(c) || c == '#' && is_marked(&text.as_bytes()[at..]) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(safe, "\\u{unit:04x}").expect("a String takes everything");
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Rows of a CSV table, each ended by a line break.
pub fn csv<R: AsRef<[String]>>(rows: impl IntoIterator<Item = R>) -> String {
    let mut table = String::new();
    for row in rows {
        let cells: Vec<String> = row.as_ref().iter().map(|cell| csv_cell(cell)).collect();
        table.push_str(&cells.join(","));
        table.push('\n');
    }
    table
}

/// One cell of it. A spreadsheet takes one that begins with `=`, `+`, `-` or `@`, in some languages also
/// with their wide forms, for a formula; an apostrophe before it makes it text.
fn csv_cell(text: &str) -> String {
    let text = shown(text);
    let formula = text
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.into_owned()
    };
    if text.contains([',', '"', ';']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// Whether a terminal, a browser or an editor would not show the character as itself.
pub(crate) fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}'
            | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    // What could hide or reorder a line is escaped; other scripts and backslashes are not.
    #[test]
    fn hostile() {
        assert_eq!(shown("a\u{1b}[2Kb\nc\td\r"), r"a\u{1b}[2Kb\nc\td\r");
        assert_eq!(shown("gpj.\u{202e}exe\u{2066}"), r"gpj.\u{202e}exe\u{2066}");
        assert_eq!(
            shown("\u{9b}31m\u{feff}\u{e0041}\u{a0}"),
            r"\u{9b}31m\u{feff}\u{e0041}\u{a0}"
        );
        for plain in [
            "",
            "größe",
            "生産管理-01",
            "party-🎉",
            r"win\c01",
            "cafe\u{301}",
        ] {
            assert!(
                matches!(shown(plain), Cow::Borrowed(text) if text == plain),
                "{plain}"
            );
        }
    }

    // Lines stay lines; nothing else that hides is left.
    #[test]
    fn several_lines() {
        assert_eq!(lines("a\nb\rc\n"), "a\nb\\rc\n");
        assert!(matches!(lines("a\nb"), Cow::Borrowed(_)));
    }

    // What a runner of a pipeline would obey is shown; what only looks like it is left alone.
    #[test]
    fn commands() {
        assert_eq!(lines("a\n  ::error::x\n"), "a\n  \\u{3a}:error::x\n");
        assert_eq!(
            lines("- ::a ##[add-path]/x ##vso[y] ### [z] ## x[1]"),
            r"- ::a \u{23}#[add-path]/x \u{23}#vso[y] ### [z] ## x[1]"
        );
        assert!(matches!(lines("a::b\n## c\n"), Cow::Borrowed(_)));
        assert_eq!(json(r###"{"a":"##[x]"}"###), r#"{"a":"\u0023#[x]"}"#);
    }

    // The value is the same, and nothing hidden is left.
    #[test]
    fn json_keeps_its_value() {
        let value =
            serde_json::json!({ "name": "a\u{1b}\u{7f}\u{9b}\u{202e}\u{e0041}\u{ffff}##[x]b" });
        let text = format!("{value:#}");
        let safe = json(&text);
        assert!(!safe.contains(|c| c != '\n' && hides(c)));
        let read: serde_json::Value = serde_json::from_str(&safe).expect("JSON");
        assert_eq!(read, value);
    }

    // No cell begins a formula, ends its row, or leaves its column.
    #[test]
    fn cells() {
        assert_eq!(csv_cell("web"), "web");
        assert_eq!(csv_cell("=cmd()"), "'=cmd()");
        assert_eq!(csv_cell(" @SUM(A1)"), "' @SUM(A1)");
        assert_eq!(csv_cell("＝1+1"), "'＝1+1");
        assert_eq!(csv_cell("\t=1"), "\\t=1");
        assert_eq!(csv_cell("a,\"b\"\nc"), "\"a,\"\"b\"\"\\nc\"");
    }
}
