//! Whether a value has the shape of its kind: the same schema that the API server enforces, walked
//! offline, so that all mistakes are told at once and with their places.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::path::{Path, PathIndex, Position, Unnamed};
use super::problem::{PROBLEMS_MAX, Problem, ProblemKind};
use crate::suggest;

/// A structural schema, made ready to be walked: each keyword is looked up once for all files.
#[derive(Debug)]
pub struct Shape {
    kind: Option<Kind>,
    /// Sorted.
    properties: BTreeMap<String, Shape>,
    /// Of fields that are no `properties`; absent: there are none.
    others: Option<Box<Shape>>,
    required: Vec<String>,
    /// Absent: anything.
    items: Option<Box<Shape>>,
    words: Option<Vec<String>>,
    pattern: Option<String>,
    is_instant: bool,
    limits: Limits,
}

/// `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    String,
    Integer,
    Boolean,
    Other,
}

/// Of the value, of characters, of items.
#[derive(Debug, Default)]
struct Limits {
    value: (Option<i64>, Option<i64>),
    length: (Option<i64>, Option<i64>),
    items: (Option<i64>, Option<i64>),
}

impl Shape {
    /// Of a structural schema: without references, each level with its `type`.
    pub(crate) fn new(schema: &Value) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "limits are whole numbers, though a definition holds them as floats"
        )]
        let limit = |name: &str| schema[name].as_f64().map(|limit| limit as i64);
        let words = |name: &str| {
            let words = schema[name].as_array()?.iter().filter_map(Value::as_str);
            Some(words.map(str::to_owned).collect())
        };
        let child = |name: &str| schema.get(name).map(|child| Box::new(Self::new(child)));
        let properties = schema["properties"].as_object().into_iter().flatten();
        Self {
            kind: schema["type"].as_str().map(|kind| match kind {
                "object" => Kind::Object,
                "array" => Kind::Array,
                "string" => Kind::String,
                "integer" => Kind::Integer,
                "boolean" => Kind::Boolean,
                _ => Kind::Other,
            }),
            properties: properties
                .map(|(name, child)| (name.clone(), Self::new(child)))
                .collect(),
            others: schema
                .get("additionalProperties")
                .filter(|schema| schema.is_object())
                .and_then(|_| child("additionalProperties")),
            required: words("required").unwrap_or_default(),
            items: child("items"),
            words: words("enum"),
            pattern: schema["pattern"].as_str().map(str::to_owned),
            is_instant: schema["format"] == "date-time",
            limits: Limits {
                value: (limit("minimum"), limit("maximum")),
                length: (limit("minLength"), limit("maxLength")),
                items: (limit("minItems"), limit("maxItems")),
            },
        }
    }

    fn known_fields(&self) -> impl Iterator<Item = &str> {
        self.properties.keys().map(String::as_str)
    }
}

/// Checks `value` against its shape. Paths in `skip` have been complained of already.
pub(super) fn check(
    shape: &Shape,
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
    walk.node(shape, value, &String::root());
    walk.problems
}

/// Whether `value` has the shape: whether [`check`] would find nothing.
pub(super) fn holds(shape: &Shape, value: &Value) -> bool {
    let mut walk = Walk {
        text: "",
        index: &PathIndex::default(),
        skip: &BTreeSet::new(),
        problems: Vec::new(),
    };
    walk.node(shape, value, &Unnamed);
    walk.problems.is_empty()
}

struct Walk<'a> {
    text: &'a str,
    index: &'a PathIndex,
    skip: &'a BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn node(&mut self, shape: &Shape, value: &Value, path: &impl Path) {
        if self.skips(path) {
            return;
        }
        match (shape.kind, value) {
            (Some(Kind::Object), Value::Object(fields)) => self.object(shape, fields, path),
            (Some(Kind::Array), Value::Array(items)) => self.array(shape, items, path),
            (Some(Kind::String), Value::String(text)) => self.string(shape, text, path),
            (Some(Kind::Integer), Value::Number(number)) if number.is_i64() => {
                let value = number.as_i64().expect("the guard says so");
                self.limits(shape.limits.value, "the value", value, path);
            }
            (Some(Kind::Boolean), Value::Bool(_)) | (None, _) => {}
            // `90` for `90s`: quotes would not help, so say what the form is.
            (Some(Kind::String), Value::Number(number))
                if let Some(pattern) = &shape.pattern
                    && !compiled(pattern).is_match(&number.to_string()) =>
            {
                self.form(&number.to_string(), form_of(pattern), path);
            }
            (Some(wanted), found) => {
                let pattern = shape.pattern.as_deref();
                self.wrong_type(wanted, pattern, found, path);
            }
        }
    }

    fn skips(&self, path: &impl Path) -> bool {
        path.name().is_some_and(|path| self.skip.contains(path))
    }

    fn object(&mut self, shape: &Shape, fields: &Map<String, Value>, path: &impl Path) {
        let others = shape.others.as_deref();
        for (name, value) in fields {
            let field_path = path.field(name);
            match shape.properties.get(name).or(others) {
                Some(shape) => self.node(shape, value, &field_path),
                None if self.skips(&field_path) => {}
                None => {
                    let known = shape.known_fields().map(str::to_owned).collect();
                    let kind = ProblemKind::UnknownField {
                        field: name.clone(),
                        known,
                    };
                    self.problem(&field_path, true, kind);
                }
            }
        }
        for name in &shape.required {
            // A misspelt one has been complained of under its wrong name.
            let misspelt = |field: &String| {
                shape.known_fields().all(|known| known != field)
                    && suggest::nearest(field, shape.known_fields()) == Some(name)
            };
            if !fields.contains_key(name) && !fields.keys().any(misspelt) {
                let kind = ProblemKind::MissingField(name.clone());
                self.problem(&path.field(name), true, kind);
            }
        }
    }

    fn array(&mut self, shape: &Shape, items: &[Value], path: &impl Path) {
        let count = i64::try_from(items.len()).expect("a text has fewer items than bytes");
        self.limits(shape.limits.items, "the number of items", count, path);
        let Some(shape) = &shape.items else {
            return;
        };
        for (i, item) in items.iter().enumerate() {
            self.node(shape, item, &path.item(i));
        }
    }

    fn string(&mut self, shape: &Shape, text: &str, path: &impl Path) {
        if let Some(allowed) = &shape.words {
            if !allowed.iter().any(|word| word == text) {
                let kind = ProblemKind::NotOneOf {
                    found: text.to_owned(),
                    allowed: allowed.clone(),
                };
                self.problem(path, false, kind);
            }
            return;
        }
        if let Some(pattern) = &shape.pattern
            && !compiled(pattern).is_match(text)
        {
            self.form(text, form_of(pattern), path);
            return;
        }
        if shape.is_instant && text.parse::<jiff::Timestamp>().is_err() {
            self.form(text, INSTANT, path);
            return;
        }
        let length = i64::try_from(text.chars().count()).expect("a text fits in memory");
        let what = "the number of characters";
        self.limits(shape.limits.length, what, length, path);
    }

    fn form(&mut self, found: &str, (what, form): (&'static str, &str), path: &impl Path) {
        let (found, form) = (found.to_owned(), form.to_owned());
        self.problem(path, false, ProblemKind::Form { found, what, form });
    }

    fn limits(
        &mut self,
        (least, most): (Option<i64>, Option<i64>),
        what: &'static str,
        found: i64,
        path: &impl Path,
    ) {
        let mut beyond = |bound, limit| {
            let kind = ProblemKind::Limit {
                what,
                found,
                bound,
                limit,
            };
            self.problem(path, false, kind);
        };
        if let Some(limit) = least.filter(|least| found < *least) {
            beyond("least", limit);
        }
        if let Some(limit) = most.filter(|most| found > *most) {
            beyond("most", limit);
        }
    }

    fn wrong_type(&mut self, wanted: Kind, pattern: Option<&str>, found: &Value, path: &impl Path) {
        let expected = match wanted {
            Kind::Object => "a mapping",
            Kind::Array => "a list",
            Kind::String => "text",
            Kind::Integer => "a whole number",
            Kind::Boolean => "`true` or `false`",
            Kind::Other => "something else",
        };
        let (described, quotable) = match found {
            Value::Object(_) => ("a mapping".to_owned(), None),
            Value::Array(_) => ("a list".to_owned(), None),
            Value::String(text) => (format!("the text `{text}`"), None),
            Value::Null => ("nothing".to_owned(), None),
            scalar => {
                let quotable = (wanted == Kind::String).then(|| scalar.to_string());
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
            form: pattern.map(|pattern| form_of(pattern).1.to_owned()),
        };
        self.problem(path, false, kind);
    }

    /// Notes a problem at the key of `path`, or at its value.
    fn problem(&mut self, path: &impl Path, at_key: bool, kind: ProblemKind) {
        let kind = match self.problems.len().cmp(&PROBLEMS_MAX) {
            Ordering::Less => kind,
            Ordering::Equal => ProblemKind::TooMany(PROBLEMS_MAX),
            Ordering::Greater => return,
        };
        let path = path.name().unwrap_or_default();
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

/// An instant, and how it is written.
const INSTANT: (&str, &str) = (
    "an instant",
    "date, time and offset, as in `2026-11-28T22:00:00+01:00`",
);

/// Patterns of our schemas: what has that form, and how it is written.
const FORMS: [(&str, &str, &str); 16] = [
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
        crate::ids::WORKLOAD_REF,
        "a workload",
        "its name, with its plan in front where that is another one, as in `db` or `infra/ad`",
    ),
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
