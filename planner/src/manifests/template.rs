//! The templates, and how values come into them.
//!
//! A value in a `*.yaml.j2` is written as YAML that every reader takes for the same, on one line: bare
//! or in quotes, or as JSON where it is a list or an object. In `*.md.j2` it is a
//! code span where it is somebody's text (`| span`). In `*.sh.j2` only names of objects occur, and
//! anything else is refused. An undefined value is an error.

use std::borrow::Cow;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, UndefinedBehavior, Value};

use crate::markdown;

/// The templates by name.
const TEMPLATES: [(&str, &str); 6] = [
    (
        "sources.yaml.j2",
        include_str!("../../templates/sources.yaml.j2"),
    ),
    (
        "imports.yaml.j2",
        include_str!("../../templates/imports.yaml.j2"),
    ),
    (
        "application.yaml.j2",
        include_str!("../../templates/application.yaml.j2"),
    ),
    (
        "kustomizations.yaml.j2",
        include_str!("../../templates/kustomizations.yaml.j2"),
    ),
    ("run.sh.j2", include_str!("../../templates/run.sh.j2")),
    ("README.md.j2", include_str!("../../templates/README.md.j2")),
];

/// All templates, ready to be filled.
///
/// # Panics
/// Where one is no template, which a test would have found.
pub(super) fn environment() -> Environment<'static> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .expect("the usual delimiters");
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name.split('.').nth(1) {
        Some(YAML) => AutoEscape::Custom(YAML.into()),
        Some(SHELL) => AutoEscape::Custom(SHELL.into()),
        _ => AutoEscape::None,
    });
    environment.set_formatter(|out, state, value| format(out, state.auto_escape(), value));
    environment.add_filter("span", |text: String| markdown::span(&text));
    for (name, text) in TEMPLATES {
        environment
            .add_template(name, text)
            .expect("our templates are templates");
    }
    environment
}

/// Escapes values for YAML.
const YAML: &str = "yaml";
/// Refuses what is not one word to a shell.
const SHELL: &str = "sh";

fn format(out: &mut Output<'_>, escape: &AutoEscape, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let written = match escape {
        // Ours, marked so in the template.
        _ if value.is_safe() => write!(out, "{value}"),
        AutoEscape::Custom(kind) if kind == YAML => out.write_str(&yaml(value)?),
        AutoEscape::Custom(_) => out.write_str(word(value)?),
        _ => write!(out, "{value}"),
    };
    written.map_err(Error::from)
}

/// A value as YAML on one line.
fn yaml(value: &Value) -> Result<Cow<'_, str>, Error> {
    if value.kind() == ValueKind::String {
        return Ok(schemas::yaml::scalar(value.as_str().unwrap_or_default()));
    }
    let json = serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Cow::Owned(schemas::yaml::json(&json)))
}

/// A name of an object, which a shell takes for one word.
fn word(value: &Value) -> Result<&str, Error> {
    let text = value.as_str().unwrap_or_default();
    let good = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/'));
    if good {
        Ok(text)
    } else {
        Err(Error::new(
            ErrorKind::InvalidOperation,
            "only names of objects may stand in a script",
        ))
    }
}

#[cfg(test)]
mod tests {
    use minijinja::Value;
    use proptest::prelude::{any, proptest};

    use super::{word, yaml};

    fn as_yaml(text: &str) -> String {
        yaml(&Value::from(text)).expect("a string").into_owned()
    }

    fn comes_back(text: &str) {
        let list = Value::from(vec![text.to_owned()]);
        let written = format!(
            "a:\n- name: {}\n  b: {}\n",
            as_yaml(text),
            yaml(&list).expect("a list")
        );
        assert_eq!(written.lines().count(), 3, "{written}");
        let documents = schemas::yaml::documents(&written).expect("YAML");
        assert_eq!(documents.len(), 1);
        assert_eq!(
            documents[0]["a"][0]["name"].as_str(),
            Some(text),
            "{written}"
        );
        assert_eq!(
            documents[0]["a"][0]["b"][0].as_str(),
            Some(text),
            "{written}"
        );
    }

    // Whatever a VM is called comes back as it was, on one line, as one value.
    #[test]
    fn hostile() {
        for text in [
            "<script>alert(1)</script>",
            "{{ x }}",
            "{% x %}",
            "${HOME}",
            "$(id)",
            "`id`",
            "a & b",
            "&anchor",
            "*alias",
            "!!tag",
            "a\nb: c",
            "a\r\nb",
            "\u{85}x",
            "\u{2028}x",
            "=HYPERLINK(\"http://x\")",
            "- a",
            "a: b",
            "a #b",
            "# a",
            "no",
            "on",
            "y",
            "~",
            "null",
            "true",
            "012",
            "0x1f",
            "1_000",
            "1e3",
            ".inf",
            "2026-11-22",
            "1:30",
            "",
            " ",
            " a ",
            "'",
            "\"",
            "\\",
            "\\n",
            "|",
            ">",
            "%",
            "@",
            "[",
            "]",
            "{",
            "}",
            ",",
            "?",
            "a\tb",
            "\u{1b}[2K",
            "größe",
            "生産",
            "🎉",
            "---",
            "...",
            "<<",
            "=",
            "A",
            "a-b.c/d",
            "\u{feff}a",
            "\u{7f}",
            "\u{200a}",
            "a\u{3000}",
            "\u{fffe}",
        ] {
            comes_back(text);
        }
    }

    proptest! {
        #[test]
        fn whatever(text in any::<String>()) {
            // What YAML has no way to write unescaped is escaped; nothing is lost.
            comes_back(&text);
        }
    }

    // A script takes names of objects and nothing else.
    #[test]
    fn words() {
        for good in ["erp", "w11e373b21", "010-db/1/imports.yaml"] {
            assert_eq!(word(&Value::from(good)).expect("a name"), good);
        }
        for bad in [
            "", "a b", "$(id)", "a;b", "a\nb", "`id`", "~", "*", "'", "-x y",
        ] {
            assert!(word(&Value::from(bad)).is_err(), "{bad:?}");
        }
    }
}
