//! What can be wrong with a file, where, and the way out.

use super::path::{Position, Span};
use super::plain::Otherwise;
use crate::suggest;

/// Most mistakes that one pass over a file notes.
pub(super) const PROBLEMS_MAX: usize = 1000;

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Problem {
    /// The field, as in `spec.workloads[0].name`; the document itself is the empty path.
    pub path: String,
    /// The text to point at.
    pub span: Span,
    /// Its beginning.
    pub position: Position,
    /// What is wrong.
    pub kind: ProblemKind,
}

impl Problem {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        self.kind.hint()
    }
}

/// Why a file was not read: everything that is wrong with it, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", summary(problems))]
pub struct ReadError {
    /// At least one.
    pub problems: Vec<Problem>,
}

fn summary(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|p| format!("{}:{}: {}", p.position.line, p.position.column, p.kind))
        .collect();
    lines.join("\n")
}

/// What is wrong. The texts say the rule and the value that broke it; [`ProblemKind::hint`] says
/// the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// Not YAML at all; the parser's words.
    #[error("not valid YAML: {0}")]
    Syntax(String),
    /// More bytes than any plan has.
    #[error("the file has {found} bytes, more than {max}")]
    TooBig {
        /// How many.
        found: usize,
        /// How many it may have.
        max: usize,
    },
    /// More mistakes than anybody reads; finding the place of each takes time.
    #[error(
        "there are more than {0} mistakes, and the rest of the file was not looked at for more"
    )]
    TooMany(usize),
    /// Nothing but comments.
    #[error("the file is empty")]
    Empty,
    /// A second document after `---`.
    #[error("a second document begins here, and a file holds one object")]
    SecondDocument,
    /// `&name`.
    #[error("the anchor `&{0}` is not part of the YAML that Windrow reads")]
    Anchor(String),
    /// `*name`.
    #[error("the alias `{0}` is not part of the YAML that Windrow reads")]
    Alias(String),
    /// `<<:`.
    #[error("the merge key `<<` is not part of the YAML that Windrow reads")]
    MergeKey,
    /// `!tag`.
    #[error("the tag `{0}` is not part of the YAML that Windrow reads")]
    Tag(String),
    /// A key that is a list, a mapping, a number.
    #[error("a key is not text")]
    KeyNotText,
    /// A key for the second time in one mapping.
    #[error("`{key}` is given twice")]
    RepeatedKey {
        /// Which.
        key: String,
        /// Where it was given first.
        first: Position,
    },
    /// An unquoted scalar that readers take differently.
    #[error("`{text}` without quotes is {} to Kubernetes' or another YAML reader", otherwise(*.reads_as))]
    Unclear {
        /// The scalar.
        text: String,
        /// What else it may be taken for.
        reads_as: Otherwise,
    },
    /// A key or item without a value.
    #[error("there is no value")]
    NoValue,
    /// `apiVersion` of something else.
    #[error("`apiVersion` is {}, not `{expected}`", quoted_or(.found.as_deref(), "missing"))]
    WrongApiVersion {
        /// What it is.
        found: Option<String>,
        /// What it must be.
        expected: String,
    },
    /// Another kind of object.
    #[error("the file {}, and a `{expected}` is wanted", holds(.found.as_deref()))]
    WrongKind {
        /// What it is.
        found: Option<String>,
        /// What it must be.
        expected: String,
    },
    /// A field that there is not.
    #[error("there is no field `{field}` here")]
    UnknownField {
        /// Its name.
        field: String,
        /// Those that there are, sorted.
        known: Vec<String>,
    },
    /// A field that must be there.
    #[error("the field `{0}` is missing")]
    MissingField(String),
    /// A number where text is wanted, and the like.
    #[error("{found} where {expected} is wanted")]
    WrongType {
        /// What is wanted, with its article.
        expected: &'static str,
        /// What is there, with its article.
        found: String,
        /// The scalar as it is written, if quotes alone would mend it.
        quotable: Option<String>,
        /// How the text that is wanted is written, where it has a form.
        form: Option<String>,
    },
    /// A word that is not on the list.
    #[error("`{found}` is none of the words that can stand here")]
    NotOneOf {
        /// What is there.
        found: String,
        /// The list.
        allowed: Vec<String>,
    },
    /// Text of the wrong form, a wrong unit among them.
    #[error("`{found}` is not {what}")]
    Form {
        /// What is there.
        found: String,
        /// What is wanted, with its article.
        what: &'static str,
        /// How that is written.
        form: String,
    },
    /// Too long, too many, too large, or too little of it.
    #[error("{what} is {found}, and must be at {bound} {limit}")]
    Limit {
        /// Of what, as in `the number of items`.
        what: &'static str,
        /// How many.
        found: i64,
        /// `least` or `most`.
        bound: &'static str,
        /// How many may be.
        limit: i64,
    },
    /// A rule over several fields.
    #[error("the rule is: {0}")]
    Rule(&'static str),
    /// What the type itself says about the value.
    #[error("{0}")]
    Value(String),
}

fn otherwise(reads_as: Otherwise) -> &'static str {
    match reads_as {
        Otherwise::Bool => "a truth value",
        Otherwise::Number => "a number",
        Otherwise::Sign => "a sign",
    }
}

fn quoted_or(text: Option<&str>, otherwise: &str) -> String {
    text.map_or_else(|| otherwise.to_owned(), |text| format!("`{text}`"))
}

fn holds(kind: Option<&str>) -> String {
    kind.map_or_else(
        || "does not say its `kind`".to_owned(),
        |kind| format!("holds a `{kind}`"),
    )
}

impl ProblemKind {
    /// Its stable name, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "syntax",
            Self::TooBig { .. } => "too-big",
            Self::TooMany(_) => "too-many",
            Self::Empty => "empty",
            Self::SecondDocument => "second-document",
            Self::Anchor(_) => "anchor",
            Self::Alias(_) => "alias",
            Self::MergeKey => "merge-key",
            Self::Tag(_) => "tag",
            Self::KeyNotText => "key-not-text",
            Self::RepeatedKey { .. } => "repeated-key",
            Self::Unclear { .. } => "unclear",
            Self::NoValue => "no-value",
            Self::WrongApiVersion { .. } => "wrong-api-version",
            Self::WrongKind { .. } => "wrong-kind",
            Self::UnknownField { .. } => "unknown-field",
            Self::MissingField(_) => "missing-field",
            Self::WrongType { .. } => "wrong-type",
            Self::NotOneOf { .. } => "not-one-of",
            Self::Form { .. } => "form",
            Self::Limit { .. } => "limit",
            Self::Rule(_) => "rule",
            Self::Value(_) => "value",
        }
    }

    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::WrongKind {
                found: None,
                expected,
            } => format!("write `kind: {expected}`"),
            // Their texts say it already.
            Self::Syntax(_)
            | Self::TooBig { .. }
            | Self::TooMany(_)
            | Self::WrongKind { .. }
            | Self::Limit { .. }
            | Self::Rule(_)
            | Self::Value(_) => return None,
            Self::Empty => "write an object: `apiVersion`, `kind`, `metadata`, `spec`".to_owned(),
            Self::SecondDocument => "put it into a file of its own".to_owned(),
            Self::Anchor(_) | Self::Alias(_) => {
                "write the value out wherever it is used".to_owned()
            }
            Self::MergeKey => "write the fields out".to_owned(),
            Self::Tag(_) => "remove the tag; put quotes around what is text".to_owned(),
            Self::KeyNotText => "write the key as a word, in quotes if need be".to_owned(),
            Self::RepeatedKey { first, .. } => {
                format!("keep one of the two; the first is in line {}", first.line)
            }
            Self::Unclear {
                text,
                reads_as: Otherwise::Bool,
            } => {
                format!("write \"{text}\" if it is text, `true` or `false` if it is not")
            }
            Self::Unclear {
                text,
                reads_as: Otherwise::Number,
            } => {
                format!("write \"{text}\" if it is text, plain digits if it is a number")
            }
            Self::Unclear {
                text,
                reads_as: Otherwise::Sign,
            } => format!("write \"{text}\""),
            Self::NoValue => "write one, or remove the line".to_owned(),
            Self::WrongApiVersion { expected, .. } => format!("write `apiVersion: {expected}`"),
            Self::UnknownField { field, known } => {
                suggest::nearest(field, known.iter().map(String::as_str)).map_or_else(
                    || format!("there are {}", suggest::list(known)),
                    |near| format!("did you mean `{near}`?"),
                )
            }
            Self::MissingField(field) => format!("add `{field}: …`"),
            Self::Form { form, .. } => format!("write {form}"),
            Self::WrongType { quotable, form, .. } => match quotable {
                Some(text) => format!("write \"{text}\""),
                None => format!("write {}", form.as_ref()?),
            },
            Self::NotOneOf { found, allowed } => {
                suggest::nearest(found, allowed.iter().map(String::as_str)).map_or_else(
                    || format!("there are {}", suggest::list(allowed)),
                    |near| format!("did you mean `{near}`?"),
                )
            }
        })
    }
}
