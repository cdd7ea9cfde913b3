//! A value on one line of YAML, for texts that are not written from a type: templates and drafts.

use std::borrow::Cow;

use super::is_text;
use crate::shown::hides;

/// A text as a scalar on one line, in a block or in a flow: bare where every reader takes it for
/// text, or else in double quotes. What is bare has nothing but ASCII letters, digits, `-`, `_`, `.`,
/// `/` and the colons of an address, and begins with a letter or `/`; so no space of any kind stands
/// at an end, and nothing looks like a number, a date or a sign of YAML's own.
pub fn scalar(text: &str) -> Cow<'_, str> {
    if is_bare(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(json(&serde_json::Value::from(text).to_string()))
    }
}

/// JSON as YAML on one line: what a YAML reader takes for a line break, for nothing, or does not take
/// at all is escaped, and so is what would hide or reorder what stands around it. All of that can only
/// stand in strings.
pub fn json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if hides(c) && c != '\n' {
            text.push_str(&escape(c));
        } else {
            text.push(c);
        }
    }
    text
}

/// A character by its number, as it stands between YAML's double quotes.
pub(super) fn escape(c: char) -> String {
    let number = u32::from(c);
    if number > 0xffff {
        format!("\\U{number:08x}")
    } else {
        format!("\\u{number:04x}")
    }
}

fn is_bare(text: &str) -> bool {
    let bytes = text.as_bytes();
    let safe = |(at, byte): (usize, &u8)| match byte {
        // As in an address: what follows it makes it no sign of YAML's.
        b':' => matches!(bytes.get(at + 1), Some(b'/' | b'0'..=b'9')),
        b'-' | b'_' | b'.' | b'/' => true,
        byte => byte.is_ascii_alphanumeric(),
    };
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && bytes.iter().enumerate().all(safe)
        && is_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Names as they are stay readable; whatever might be something else is quoted.
    #[test]
    fn bare() {
        for text in [
            "ERP-DB-01",
            "default/vlan10",
            "/DC0/vm/erp",
            "https://vc.example:5000/sdk",
            "a_b.c",
        ] {
            assert_eq!(scalar(text), text);
        }
        for (text, quoted) in [
            ("no", "\"no\""),
            ("1e3", "\"1e3\""),
            ("2026-11-22", "\"2026-11-22\""),
            ("a: b", "\"a: b\""),
            ("a:b", "\"a:b\""),
            ("a:", "\"a:\""),
            ("", "\"\""),
            ("a\nb", "\"a\\nb\""),
            ("größe", "\"größe\""),
            ("a\u{85}", "\"a\\u0085\""),
            ("\u{fffe}", "\"\\ufffe\""),
        ] {
            assert_eq!(scalar(text), quoted);
        }
    }

    // A space that is none of YAML's own is part of the value, at either end too.
    #[test]
    fn spaces() {
        for space in [
            "\u{200a}", "\u{a0}", "\u{3000}", "\t", " ", "\u{b}", "\u{1680}",
        ] {
            for text in [space.to_owned(), format!("a{space}"), format!("{space}a")] {
                let written = format!("a: {}\nb: {{ c: {} }}\n", scalar(&text), scalar(&text));
                let read = crate::yaml::documents(&written).expect("YAML");
                assert_eq!(read[0]["a"].as_str(), Some(text.as_str()), "{written}");
                assert_eq!(read[0]["b"]["c"].as_str(), Some(text.as_str()), "{written}");
            }
        }
    }
}
