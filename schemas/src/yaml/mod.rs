//! The one YAML door: every file of ours that is YAML comes in and goes out here.
//!
//! Reading is strict, because three readers see the same file (this one, Kubernetes', an editor's)
//! and must understand the same: one document; no anchors, aliases, merge keys, tags, directives or
//! repeated keys; no unquoted scalar that readers take differently ([`Otherwise`]); no unknown
//! field; no value that must be bent to fit. Mistakes are collected, each with its field path,
//! line and column, and a way out. [`read`] goes in three steps:
//!
//! 1. a strict pass over the parser's events: value, [`PathIndex`], and what is not allowed;
//! 2. the shape, by the schema that the API server enforces;
//! 3. the types themselves, and rules over several fields.
//!
//! A file without a mistake, as nearly all are, goes through the same three without a note of where
//! anything is; only when one of them is not content does the reading begin again, with places.
//!
//! Writing ([`write()`], [`write_wave`]) quotes whatever any reader would take for something other
//! than text, and gives the same bytes for the same value.
//!
//! Other people's manifests come in through [`documents`], which is as lenient as they are.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the door: the YAML crates are forbidden everywhere else"
)]

mod format;
mod line;
mod parse;
mod path;
mod plain;
mod problem;
mod shape;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde_json::Value;

pub use format::format;
pub use line::{json, scalar};
pub use path::{PathIndex, Place, Position, Span, field, item};
pub use plain::Otherwise;
pub use problem::{Problem, ProblemKind, ReadError};
pub use shape::Shape;
pub(crate) use shape::{examples, examples_of_instants};
pub use write::{write, write_file, write_wave};

use crate::API_VERSION;
use crate::file::File;

/// Most bytes of a file that is read: a plan of 5,000 machines has less than one MiB.
pub const TEXT_BYTES_MAX: usize = 8 << 20;

/// A file that was read. Where each field stands in its text: [`PathIndex::of`].
#[derive(Clone, Debug)]
pub struct Document<'t, T> {
    /// The object.
    pub value: T,
    /// The text it was read from.
    pub text: &'t str,
}

/// Reads a file of kind `T`, or says everything that is wrong with it.
pub fn read<T: File>(text: &str) -> Result<Document<'_, T>, ReadError> {
    if let Some(value) = quickly(text) {
        return Ok(Document { value, text });
    }
    let mut reader = Reader::default();
    match reader.typed(text) {
        Some(value) if reader.problems.is_empty() => Ok(Document { value, text }),
        _ => {
            let mut problems = reader.problems;
            problems.sort_by_key(|problem| problem.span);
            Err(ReadError { problems })
        }
    }
}

/// The same steps as [`Reader::typed`], none of which has anything to say.
fn quickly<T: File>(text: &str) -> Option<T> {
    let value = Some(text)
        .filter(|text| text.len() <= TEXT_BYTES_MAX)
        .and_then(parse::parse_quickly)?;
    let is_kind = said(&value, "apiVersion") == Some(API_VERSION)
        && said(&value, "kind") == Some(&T::kind(&()));
    if !is_kind || !shape::holds(T::shape(), &value) {
        return None;
    }
    let value = T::deserialize(value).ok()?;
    value.broken_rules().is_empty().then_some(value)
}

fn said<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

/// Reads the documents of somebody else's manifest: anchors and all, by the rules of YAML 1.2.
/// Empty documents are left out.
pub fn documents(text: &str) -> Result<Vec<Value>, DocumentsError> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).map_err(DocumentsError))
        .filter(|value| !matches!(value, Ok(Value::Null)))
        .collect()
}

/// Why somebody else's manifest could not be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DocumentsError(serde_yaml::Error);

/// Whether `text`, written without quotes, is text to every YAML reader.
pub fn is_text(text: &str) -> bool {
    plain::is_text(text)
}

#[derive(Default)]
struct Reader {
    index: PathIndex,
    problems: Vec<Problem>,
}

impl Reader {
    /// Goes as far as it can; the value is good only if no problem was noted.
    fn typed<T: File>(&mut self, text: &str) -> Option<T> {
        if text.len() > TEXT_BYTES_MAX {
            let kind = ProblemKind::TooBig {
                found: text.len(),
                max: TEXT_BYTES_MAX,
            };
            self.problem(text, "", kind);
            return None;
        }
        let parsed = parse::parse(text);
        (self.index, self.problems) = (parsed.index, parsed.problems);
        let value = parsed.value?;
        if !self.is_kind::<T>(text, &value) {
            return None;
        }

        let skip: BTreeSet<String> = self.problems.iter().map(|p| p.path.clone()).collect();
        self.problems
            .extend(shape::check(T::shape(), &value, text, &self.index, &skip));
        if !self.problems.is_empty() {
            return None;
        }

        let value: T = match serde_path_to_error::deserialize(value) {
            Ok(value) => value,
            Err(error) => {
                let path = path_of(error.path());
                self.problem(
                    text,
                    &path,
                    ProblemKind::Value(error.into_inner().to_string()),
                );
                return None;
            }
        };
        for broken in value.broken_rules() {
            self.problem(text, &broken.path, ProblemKind::Rule(broken.rule));
        }
        Some(value)
    }

    /// Whether the document says that it is of kind `T`. Where it says something else, its fields
    /// are not worth a look.
    fn is_kind<T: File>(&mut self, text: &str, value: &Value) -> bool {
        let found = |name: &str| said(value, name).map(str::to_owned);
        let (api_version, kind) = (found("apiVersion"), found("kind"));
        let expected = T::kind(&()).into_owned();
        let mut is_kind = true;
        if kind.as_ref() != Some(&expected) {
            self.problem(
                text,
                "kind",
                ProblemKind::WrongKind {
                    found: kind,
                    expected,
                },
            );
            is_kind = false;
        }
        if api_version.as_deref() != Some(API_VERSION) {
            let expected = API_VERSION.to_owned();
            let kind = ProblemKind::WrongApiVersion {
                found: api_version,
                expected,
            };
            self.problem(text, "apiVersion", kind);
            is_kind = false;
        }
        is_kind
    }

    /// Notes a problem with the value at `path`, or with the nearest thing around it.
    fn problem(&mut self, text: &str, path: &str, kind: ProblemKind) {
        let span = self.index.point(text, path);
        let position = Position::of(text, span.start);
        self.problems.push(Problem {
            path: path.to_owned(),
            span,
            position,
            kind,
        });
    }
}

/// A path as `serde_path_to_error` has it, in our form.
fn path_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .fold(String::new(), |path, segment| match segment {
            Segment::Seq { index } => item(&path, *index),
            Segment::Map { key } => field(&path, key),
            Segment::Enum { variant } => field(&path, variant),
            Segment::Unknown => path,
        })
}
