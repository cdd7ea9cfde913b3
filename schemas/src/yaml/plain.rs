//! What an unquoted scalar means, and which ones mean different things to different readers.
//!
//! Kubernetes' reader follows YAML 1.1, others 1.2, and none of them to the letter. So the only
//! unquoted scalars with a meaning of their own are those of JSON (`true`, `false`, `12`, `1.5`);
//! what any reader might take for something other than text is refused, and everything else is
//! text. Dates are text: every reader between a file and the cluster keeps them so.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value};

/// What an unquoted scalar means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plain {
    /// The same to every reader.
    Clear(Value),
    /// No value at all.
    Nothing,
    /// Something else to another reader.
    Unclear(Otherwise),
}

/// What some reader takes an unquoted scalar for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// A truth value, as `no`, `on`, `y`, `True`.
    Bool,
    /// A number, as `012`, `1_000`, `1:30`, `0x1F`, `1e3`, `.5`.
    Number,
    /// A sign of YAML's own: `=`.
    Sign,
}

/// Words that YAML 1.1 takes for truth values, in any case.
const BOOLEANS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "y", "n"];

/// Everything that some reader takes for a number; Go's leaves underscores out first.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"[0-9]+",                                         // also octal (1.1) with a leading zero
        r"0[bB][01]+",                                     // binary, 1.1
        r"0[oO][0-7]+",                                    // octal, 1.2
        r"0[xX][0-9a-fA-F]+",                              // hexadecimal
        r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", // fractions
        r"\.([iI][nN][fF]|[nN][aA][nN])",                  // infinity, not a number
        r"[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?",               // base 60, 1.1
    ];
    Regex::new(&format!("^[-+]?({})$", forms.join("|"))).expect("a constant that the tests use")
});

/// Whether [`NUMBER`] can be about a text with it: most sizes, ids and names need no closer look.
fn is_of_numbers(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || b"_+-.:xXoOiInN".contains(&byte)
}

/// What the unquoted scalar `text` means.
pub(super) fn meaning(text: &str) -> Plain {
    match sense(text) {
        Sense::Text => Plain::Clear(Value::from(text)),
        Sense::Nothing => Plain::Nothing,
        Sense::Bool(it) => Plain::Clear(Value::Bool(it)),
        Sense::Number(number) => Plain::Clear(Value::Number(number)),
        Sense::Unclear(reads_as) => Plain::Unclear(reads_as),
    }
}

/// Whether the unquoted scalar `text` is text.
pub(super) fn is_text(text: &str) -> bool {
    matches!(sense(text), Sense::Text)
}

/// [`Plain`], without the text.
enum Sense {
    Text,
    Nothing,
    Bool(bool),
    Number(Number),
    Unclear(Otherwise),
}

fn sense(text: &str) -> Sense {
    match text {
        "" | "~" => return Sense::Nothing,
        "true" => return Sense::Bool(true),
        "false" => return Sense::Bool(false),
        "=" => return Sense::Unclear(Otherwise::Sign),
        _ if text.eq_ignore_ascii_case("null") => return Sense::Nothing,
        _ if BOOLEANS.iter().any(|word| text.eq_ignore_ascii_case(word)) => {
            return Sense::Unclear(Otherwise::Bool);
        }
        _ => {}
    }
    let may_be_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.bytes().all(is_of_numbers);
    if !may_be_number || !NUMBER.is_match(&text.replace('_', "")) {
        return Sense::Text;
    }
    // JSON's own spelling of a number, without an exponent: 1.1 wants a sign in it, 1.2 does not.
    match text.parse::<Number>() {
        Ok(number) if !text.contains(['e', 'E']) => Sense::Number(number),
        _ => Sense::Unclear(Otherwise::Number),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // What JSON has is what it is everywhere; most else is text, dates and versions included.
    #[test]
    fn clear() {
        for (text, value) in [
            ("5", Value::from(5)),
            ("-7", Value::from(-7)),
            ("0", Value::from(0)),
            ("1.5", Value::from(1.5)),
            ("true", Value::from(true)),
            ("false", Value::from(false)),
        ] {
            assert_eq!(meaning(text), Plain::Clear(value));
        }
        for text in [
            "web",
            "400Gi",
            "1h30m",
            "10%",
            "2027-W06",
            "2026-12-18",
            "2026-11-28T00:00:00+01:00",
            "1.2.3",
            "10.0.0.1",
            "00:50:56:9a:01:02",
            "0b1f-22",
            "9c2e",
            "nope",
            "only",
            "-",
            "a:b",
            "0x",
            "1__a",
            "_1",
            "e3",
            "infinity",
            "https://vc.example/sdk",
            "0 22 * * 6",
            "<none>",
        ] {
            assert_eq!(meaning(text), Plain::Clear(Value::from(text)), "{text}");
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(meaning(text), Plain::Nothing, "{text}");
        }
    }

    proptest! {
        // No number is taken for text because of a letter in it.
        #[test]
        fn letters_of_numbers(
            text in "[-+]?(0[bB][01]{1,3}|0[oO][0-7]{1,3}|0[xX][0-9a-fA-F]{1,3}|[0-9]{0,3}\\.?[0-9]{0,3}([eE][-+]?[0-9]{1,3})?|\\.[iI][nN][fF]|\\.[nN][aA][nN]|[0-9]{1,3}(:[0-5]?[0-9]){1,2}(\\.[0-9]{0,2})?)"
        ) {
            prop_assert!(text.bytes().all(is_of_numbers));
            prop_assert_eq!(
                NUMBER.is_match(&text),
                !matches!(meaning(&text), Plain::Nothing | Plain::Clear(Value::String(_)))
            );
        }
    }

    // The traps: each is something else than text to at least one reader.
    #[test]
    fn unclear() {
        for text in [
            "no", "No", "NO", "on", "off", "y", "N", "yes", "True", "FALSE",
        ] {
            assert_eq!(meaning(text), Plain::Unclear(Otherwise::Bool), "{text}");
        }
        for text in [
            "012",
            "08",
            "007",
            "1_000",
            "1:30",
            "190:20:30",
            "1:30.5",
            "0o7",
            "0b11",
            "0x1F",
            "+1",
            ".5",
            "1.",
            "1e3",
            "1E-3",
            "12e03",
            "-.inf",
            ".NaN",
            "-0o17",
            "1_0.5",
            "+12:30",
            "99999999999999999999999e9",
        ] {
            assert_eq!(meaning(text), Plain::Unclear(Otherwise::Number), "{text}");
        }
        assert_eq!(meaning("="), Plain::Unclear(Otherwise::Sign));
    }
}
