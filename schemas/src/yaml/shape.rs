//! Whether a value has the shape of its kind: the same schema that the API server enforces, walked
//! offline, so that all mistakes are told at once and with their places.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::path::{self, PathIndex, Position};
use super::problem::{PROBLEMS_MAX, Problem, ProblemKind};
use crate::suggest;

/// Checks `value` against the structural `schema`. Paths in `skip` have been complained of already.
pub(super) fn check(
    schema: &Value,
    value: &Value,
    text: &str,
    index: &PathIndex,
    skip: &BTreeSet<String>,
) -> Vec<Problem> {
    let mut walk = Walk {
        text,
        index,
        skip,
        problems: Vec::new(),
    };
    walk.node(schema, value, "");
    walk.problems
}

struct Walk<'a> {
    text: &'a str,
    index: &'a PathIndex,
    skip: &'a BTreeSet<String>,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    fn node(&mut self, schema: &'a Value, value: &Value, path: &str) {
        if self.skip.contains(path) {
            return;
        }
        match (schema["type"].as_str(), value) {
            (Some("object"), Value::Object(fields)) => self.object(schema, fields, path),
            (Some("array"), Value::Array(items)) => self.array(schema, items, path),
            (Some("string"), Value::String(text)) => self.string(schema, text, path),
            (Some("integer"), Value::Number(number)) if number.is_i64() => {
                let value = number.as_i64().expect("the guard says so");
                self.limits(schema, ("minimum", "maximum"), "the value", value, path);
            }
            (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            // `90` for `90s`: quotes would not help, so say what the form is.
            (Some("string"), Value::Number(number))
                if let Some(pattern) = schema["pattern"].as_str()
                    && !compiled(pattern).is_match(&number.to_string()) =>
            {
                self.form(&number.to_string(), form_of(pattern), path);
            }
            (Some(wanted), found) => self.wrong_type(wanted, found, path),
        }
    }

    fn object(&mut self, schema: &'a Value, fields: &Map<String, Value>, path: &str) {
        let properties = schema["properties"].as_object();
        let others = schema
            .get("additionalProperties")
            .filter(|schema| schema.is_object());
        for (name, value) in fields {
            let field_path = path::field(path, name);
            match properties
                .and_then(|properties| properties.get(name))
                .or(others)
            {
                Some(schema) => self.node(schema, value, &field_path),
                None if self.skip.contains(&field_path) => {}
                None => {
                    let known = known_fields(schema).map(str::to_owned).collect();
                    let kind = ProblemKind::UnknownField {
                        field: name.clone(),
                        known,
                    };
                    self.problem(&field_path, true, kind);
                }
            }
        }
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            // A misspelt one has been complained of under its wrong name.
            let misspelt = |field: &String| {
                known_fields(schema).all(|known| known != field)
                    && suggest::nearest(field, known_fields(schema)) == Some(name)
            };
            if !fields.contains_key(name) && !fields.keys().any(misspelt) {
                let field_path = path::field(path, name);
                self.problem(
                    &field_path,
                    true,
                    ProblemKind::MissingField(name.to_owned()),
                );
            }
        }
    }

    fn array(&mut self, schema: &'a Value, items: &[Value], path: &str) {
        let count = i64::try_from(items.len()).expect("a text has fewer items than bytes");
        let what = "the number of items";
        self.limits(schema, ("minItems", "maxItems"), what, count, path);
        for (i, item) in items.iter().enumerate() {
            self.node(&schema["items"], item, &path::item(path, i));
        }
    }

    fn string(&mut self, schema: &'a Value, text: &str, path: &str) {
        if let Some(allowed) = schema["enum"].as_array() {
            let allowed: Vec<String> = allowed
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            if !allowed.iter().any(|word| word == text) {
                let kind = ProblemKind::NotOneOf {
                    found: text.to_owned(),
                    allowed,
                };
                self.problem(path, false, kind);
            }
            return;
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && !compiled(pattern).is_match(text)
        {
            self.form(text, form_of(pattern), path);
            return;
        }
        if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
            self.form(text, INSTANT, path);
            return;
        }
        let length = i64::try_from(text.chars().count()).expect("a text fits in memory");
        self.limits(
            schema,
            ("minLength", "maxLength"),
            "the number of characters",
            length,
            path,
        );
    }

    fn form(&mut self, found: &str, (what, form): (&'static str, &str), path: &str) {
        let (found, form) = (found.to_owned(), form.to_owned());
        self.problem(path, false, ProblemKind::Form { found, what, form });
    }

    fn limits(
        &mut self,
        schema: &Value,
        (min, max): (&str, &str),
        what: &'static str,
        found: i64,
        path: &str,
    ) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "limits are whole numbers, though a definition holds them as floats"
        )]
        let limit = |name: &str| schema[name].as_f64().map(|limit| limit as i64);
        if let Some(limit) = limit(min).filter(|min| found < *min) {
            let kind = ProblemKind::Limit {
                what,
                found,
                bound: "least",
                limit,
            };
            self.problem(path, false, kind);
        }
        if let Some(limit) = limit(max).filter(|max| found > *max) {
            let kind = ProblemKind::Limit {
                what,
                found,
                bound: "most",
                limit,
            };
            self.problem(path, false, kind);
        }
    }

    fn wrong_type(&mut self, wanted: &str, found: &Value, path: &str) {
        let expected = match wanted {
            "object" => "a mapping",
            "array" => "a list",
            "string" => "text",
            "integer" => "a whole number",
            "boolean" => "`true` or `false`",
            _ => "something else",
        };
        let (described, quotable) = match found {
            Value::Object(_) => ("a mapping".to_owned(), None),
            Value::Array(_) => ("a list".to_owned(), None),
            Value::String(text) => (format!("the text `{text}`"), None),
            Value::Null => ("nothing".to_owned(), None),
            scalar => {
                let quotable = (wanted == "string").then(|| scalar.to_string());
                let what = if scalar.is_boolean() {
                    "the truth value"
                } else {
                    "the number"
                };
                (format!("{what} `{scalar}`"), quotable)
            }
        };
        let kind = ProblemKind::WrongType {
            expected,
            found: described,
            quotable,
        };
        self.problem(path, false, kind);
    }

    /// Notes a problem at the key of `path`, or at its value.
    fn problem(&mut self, path: &str, at_key: bool, kind: ProblemKind) {
        let kind = match self.problems.len().cmp(&PROBLEMS_MAX) {
            Ordering::Less => kind,
            Ordering::Equal => ProblemKind::TooMany(PROBLEMS_MAX),
            Ordering::Greater => return,
        };
        let span = self.index.span(path, self.text, at_key);
        let position = Position::of(self.text, span.start);
        self.problems.push(Problem {
            path: path.to_owned(),
            span,
            position,
            kind,
        });
    }
}

fn known_fields(schema: &Value) -> impl Iterator<Item = &str> {
    schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
}

/// An instant, and how it is written.
const INSTANT: (&str, &str) = (
    "an instant",
    "date, time and offset, as in `2026-11-28T22:00:00+01:00`",
);

/// Patterns of our schemas: what has that form, and how it is written.
const FORMS: [(&str, &str, &str); 15] = [
    (
        "^[0-9]{1,4}d$",
        "a number of days",
        "a whole number with `d`, as in `7d`",
    ),
    (
        "^(tag:.+|attribute:.+|folder|folder:[1-9])$",
        "what VMs can be grouped by",
        "`tag:CATEGORY`, `attribute:NAME`, `folder` or `folder:N`",
    ),
    (
        "^[-a-z0-9]*\\{key\\}[-a-z0-9]*$",
        "a name for workloads",
        "lower-case letters, digits and `-` around `{key}`, as in `app-{key}`",
    ),
    (
        "^[-a-z0-9]*(\\{key\\})?[-a-z0-9]*$",
        "a name for namespaces",
        "lower-case letters, digits, `-` and `{key}`, as in `app-{key}`",
    ),
    (
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "a name",
        "lower-case letters, digits and `-`, with a letter or digit at both ends",
    ),
    (
        "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        "an object's name",
        "lower-case letters, digits, `-` and `.`, with a letter or digit at both ends",
    ),
    (
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        "a network of a target",
        "`NAMESPACE/NAME`, as in `default/vlan10`",
    ),
    (
        "^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$",
        "an occurrence",
        "letters, digits, `-`, `_` and `.`, as in `2027-W06`",
    ),
    (
        "^sha256:[0-9a-f]{64}$",
        "a digest",
        "`sha256:` and 64 hexadecimal digits",
    ),
    ("^[^/]+/.+$", "a VM", "`SOURCE/ID`"),
    (
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        "a day",
        "year, month and day, as in `2026-12-18`",
    ),
    (
        "^[0-9]+(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)$",
        "a quantity",
        "a whole number with its unit, as in `400Gi` or `110M`",
    ),
    (
        "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
        "a duration",
        "hours, minutes and seconds, as in `1h30m` or `90s`",
    ),
    (
        "^(100|[0-9]{1,2})%$",
        "a share",
        "a whole number from 0 to 100 with `%`, as in `10%`",
    ),
    (
        "^[A-Z]{1,2}[0-9]{2,3}$",
        "the code of a finding",
        "it as in `W01`",
    ),
];

/// What has the form `pattern`, and how it is written.
fn form_of(pattern: &str) -> (&'static str, &str) {
    FORMS
        .iter()
        .find(|(known, ..)| *known == pattern)
        .map_or(("of the right form", pattern), |(_, what, form)| {
            (*what, *form)
        })
}

/// What a text of the form `pattern` may look like, from the words for it.
pub(crate) fn examples(pattern: &str) -> Vec<&'static str> {
    let known = FORMS.iter().find(|(known, ..)| *known == pattern);
    let words = known.map_or("", |(_, _, words)| words);
    in_words(words)
}

/// What an instant may look like.
pub(crate) fn examples_of_instants() -> Vec<&'static str> {
    in_words(INSTANT.1)
}

/// Whatever stands in backticks behind `as in`.
fn in_words(words: &'static str) -> Vec<&'static str> {
    let (_, examples) = words.split_once("as in ").unwrap_or_default();
    examples.split('`').skip(1).step_by(2).collect()
}

/// A pattern of our schemas, compiled at its first use.
fn compiled(pattern: &str) -> &'static Regex {
    static COMPILED: [OnceLock<Regex>; FORMS.len()] = [const { OnceLock::new() }; FORMS.len()];
    let place = FORMS.iter().position(|(known, ..)| *known == pattern);
    let place = place.expect("a test holds the list against our schemas");
    COMPILED[place].get_or_init(|| Regex::new(pattern).expect("a test compiles all of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every pattern in our schemas can be compiled, and is told in words.
    #[test]
    fn patterns_have_words() {
        fn walk(schema: &Value, found: &mut BTreeSet<String>) {
            if let Some(pattern) = schema["pattern"].as_str() {
                found.insert(pattern.to_owned());
            }
            match schema {
                Value::Object(fields) => fields.values().for_each(|field| walk(field, found)),
                Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
                _ => {}
            }
        }
        let mut found = BTreeSet::new();
        for (_, schema) in crate::crd::json_schemas() {
            walk(&schema, &mut found);
        }
        let known: BTreeSet<String> = FORMS
            .iter()
            .map(|(pattern, ..)| (*pattern).to_owned())
            .collect();
        assert_eq!(found, known);
        assert!(found.iter().all(|pattern| Regex::new(pattern).is_ok()));
        for pattern in &found {
            let regex = Regex::new(pattern).expect("just said");
            for example in examples(pattern) {
                assert!(regex.is_match(example), "{example}: {pattern}");
            }
        }
        assert_eq!(examples("^[0-9]{1,4}d$"), ["7d"]);
    }
}
