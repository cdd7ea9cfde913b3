//! Field paths, and where in a text each field is.
//!
//! A path is written as people read it: `spec.workloads[0].name`. A key that is no plain word is
//! written `metadata.labels["example.org/tier"]`. The document itself is the empty path.

use std::collections::BTreeMap;

use super::parse;

/// A part of a text: byte offsets, the end not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The one behind the last byte.
    pub end: usize,
}

/// A place for people: both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Position {
    /// Of the byte `offset` of `text`; of its end, if that lies behind it.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

/// Where a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its key; list items and the document have none.
    pub key: Option<Span>,
    /// Its value.
    pub value: Span,
}

impl Place {
    /// What to point at when the field as a whole is meant: its key, or else its value.
    pub fn head(&self) -> Span {
        self.key.unwrap_or(self.value)
    }
}

/// Where each field of a document is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathIndex(BTreeMap<String, Place>);

impl PathIndex {
    pub(super) fn insert(&mut self, path: &str, place: Place) {
        self.0.insert(path.to_owned(), place);
    }

    /// Where each field of `text` is, which the door has read.
    pub fn of(text: &str) -> Self {
        parse::parse(text).index
    }

    /// The place of the field at `path`.
    pub fn get(&self, path: &str) -> Option<Place> {
        self.0.get(path).copied()
    }

    /// The place of the field at `path` or, where the text does not have it (a default, a missing
    /// field), of the nearest one around it, together with the path that was found.
    pub fn nearest<'p>(&self, path: &'p str) -> Option<(&'p str, Place)> {
        let mut path = path;
        loop {
            if let Some(place) = self.get(path) {
                return Some((path, place));
            }
            path = parent(path)?;
        }
    }

    /// What to point at in `text` when the field at `path` is wrong: its value if that is on one
    /// line, else its key; of a field that is not there, the head of what is around it.
    pub fn point(&self, text: &str, path: &str) -> Span {
        self.span(path, text, false)
    }

    pub(super) fn span(&self, path: &str, text: &str, at_key: bool) -> Span {
        let one_line = |span: Span| !text[span.start..span.end].trim_end().contains('\n');
        match self.nearest(path) {
            Some((found, place)) if found == path && !at_key && one_line(place.value) => {
                place.value
            }
            Some((_, place)) => place.head(),
            None => Span::default(),
        }
    }

    /// Every path with its place, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Place)> {
        self.0.iter().map(|(path, place)| (path.as_str(), *place))
    }
}

/// What a walk over a document knows of where it is: the field path, or nothing where nobody will
/// ask. Both make the same walk.
pub(super) trait Path: Sized {
    /// Whether it knows.
    const NAMED: bool;

    /// Of the document itself.
    fn root() -> Self;

    /// Of the field `key` of the mapping that is here.
    fn field(&self, key: &str) -> Self;

    /// Of the item `index` of the list that is here.
    fn item(&self, index: usize) -> Self;

    /// The path, where it is known.
    fn name(&self) -> Option<&str>;
}

impl Path for String {
    const NAMED: bool = true;

    fn root() -> Self {
        Self::new()
    }

    fn field(&self, key: &str) -> Self {
        field(self, key)
    }

    fn item(&self, index: usize) -> Self {
        item(self, index)
    }

    fn name(&self) -> Option<&str> {
        Some(self)
    }
}

/// No path.
pub(super) struct Unnamed;

impl Path for Unnamed {
    const NAMED: bool = false;

    fn root() -> Self {
        Self
    }

    fn field(&self, _: &str) -> Self {
        Self
    }

    fn item(&self, _: usize) -> Self {
        Self
    }

    fn name(&self) -> Option<&str> {
        None
    }
}

/// The path of the field `key` of the mapping at `path`.
pub fn field(path: &str, key: &str) -> String {
    let word = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    match (word, path) {
        (true, "") => key.to_owned(),
        (true, _) => format!("{path}.{key}"),
        // JSON's spelling, so that no key can look like two segments.
        (false, _) => format!("{path}[{}]", serde_json::Value::from(key)),
    }
}

/// The path of the item `index` of the list at `path`.
pub fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// The path of what a field is in; none for the document.
fn parent(path: &str) -> Option<&str> {
    let start = if path.ends_with("\"]") {
        path.rfind("[\"")
    } else if path.ends_with(']') {
        path.rfind('[')
    } else {
        path.rfind('.')
    };
    match (path, start) {
        ("", _) => None,
        (_, None) => Some(""),
        (path, Some(start)) => Some(&path[..start]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Paths can be taken apart again, whatever the keys are.
    #[test]
    fn parents() {
        let labels = field("metadata", "labels");
        for key in ["tier", "example.org/tier", "a[\"b", "x\"]", ""] {
            assert_eq!(
                parent(&field(&labels, key)),
                Some("metadata.labels"),
                "{key}"
            );
        }
        assert_eq!(parent(&item("spec.names", 12)), Some("spec.names"));
        assert_eq!(parent("spec"), Some(""));
        assert_eq!(parent(""), None);
    }

    // Lines and columns are those of an editor: from 1, in characters, not bytes.
    #[test]
    fn positions() {
        let text = "a: 1\nü: x\n";
        let at = |offset| {
            let Position { line, column } = Position::of(text, offset);
            (line, column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(text.find('x').expect("it has one")), (2, 4));
        assert_eq!(at(999), (3, 1));
    }
}
