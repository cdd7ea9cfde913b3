//! The strict pass: from text to a value, the place of every field, and what is not allowed.
//!
//! One walk over the parser's events makes all three, so that value and places cannot disagree.
//! It goes on after a mistake, so that a reader sees all of them at once; only what is no YAML
//! ends it. Nearly every file that is read has none, and nobody asks where its fields stand: so the
//! same walk can also be made without noting either ([`parse_quickly`]).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::path::{Path, PathIndex, Place, Position, Span, Unnamed};
use super::plain::{self, Plain};
use super::problem::{PROBLEMS_MAX, Problem, ProblemKind};

/// What the strict pass gives.
pub(super) struct Parsed {
    /// The document; what is not allowed stands in it as `null`. None if it is no YAML or empty.
    pub value: Option<Value>,
    /// Where each field is.
    pub index: PathIndex,
    /// What is not allowed, with the paths that are not to be looked at any further.
    pub problems: Vec<Problem>,
}

/// Walks over `text`.
pub(super) fn parse(text: &str) -> Parsed {
    let mut walk = Walk::<String>::new(text);
    let value = walk.document().ok();
    Parsed {
        value,
        index: walk.index,
        problems: walk.problems,
    }
}

/// Walks over `text` without a note of what is where; none where anything at all is not allowed.
pub(super) fn parse_quickly(text: &str) -> Option<Value> {
    let mut walk = Walk::<Unnamed>::new(text);
    walk.document().ok().filter(|_| walk.problems.is_empty())
}

/// The pass cannot go on; the reason is among the problems.
struct Stop;

struct Walk<'t, P> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    index: PathIndex,
    problems: Vec<Problem>,
    paths: PhantomData<P>,
}

impl<'t, P: Path> Walk<'t, P> {
    fn new(text: &'t str) -> Self {
        let options = granit_parser::options! {
            disallow_directives: true,
            emit_anchor_events: true,
            emit_comments: false,
            emit_unresolved_aliases: true,
        };
        Self {
            text,
            parser: Parser::new_from_str_with_options(text, options),
            index: PathIndex::default(),
            problems: Vec::new(),
            paths: PhantomData,
        }
    }

    fn document(&mut self) -> Result<Value, Stop> {
        let mut value = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::DocumentStart(..) if value.is_some() => {
                    // The marker's own span is empty where it is left out.
                    self.problem(&P::root(), span, ProblemKind::SecondDocument);
                    return Err(Stop);
                }
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => value = Some(self.node(event, span, &P::root(), None)?),
            }
        }
        let nothing = matches!(value, None | Some(Value::Null));
        if nothing {
            self.problems
                .retain(|problem| problem.kind != ProblemKind::NoValue);
            self.problem(&P::root(), Span::default(), ProblemKind::Empty);
        }
        value.filter(|_| !nothing).ok_or(Stop)
    }

    /// A scalar, list, mapping or alias, with everything in it.
    fn node(
        &mut self,
        event: Event<'t>,
        span: Span,
        path: &P,
        key: Option<Span>,
    ) -> Result<Value, Stop> {
        // Containers that are not closed yet end where they begin; mended below.
        self.insert(path, Place { key, value: span });
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), span, path)?;
                Ok(self.scalar(text, style, span, path))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), span, path)?;
                let (items, end) = self.list(path)?;
                self.close(path, key, span, end);
                Ok(Value::Array(items))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.as_deref(), span, path)?;
                let (fields, end) = self.mapping(path)?;
                self.close(path, key, span, end);
                Ok(Value::Object(fields))
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let name = self.text[span.start..span.end].to_owned();
                self.problem(path, span, ProblemKind::Alias(name));
                Ok(Value::Null)
            }
            other => unreachable!("the parser gives no {other:?} where a node is due"),
        }
    }

    fn scalar(&mut self, text: Cow<'t, str>, style: ScalarStyle, span: Span, path: &P) -> Value {
        if style != ScalarStyle::Plain {
            return Value::String(text.into_owned());
        }
        match plain::meaning(&text) {
            Plain::Clear(value) => value,
            Plain::Nothing => {
                self.problem(path, span, ProblemKind::NoValue);
                Value::Null
            }
            Plain::Unclear(reads_as) => {
                let text = text.into_owned();
                self.problem(path, span, ProblemKind::Unclear { text, reads_as });
                Value::Null
            }
        }
    }

    fn list(&mut self, path: &P) -> Result<(Vec<Value>, Span), Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, end) => return Ok((items, end)),
                (event, span) => {
                    let path = path.item(items.len());
                    items.push(self.node(event, span, &path, None)?);
                }
            }
        }
    }

    fn mapping(&mut self, path: &P) -> Result<(Map<String, Value>, Span), Stop> {
        let mut fields = Map::new();
        let mut keys: BTreeMap<String, Span> = BTreeMap::new();
        loop {
            let (event, key_span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok((fields, key_span));
            }
            let key = self.key(event, key_span, path)?;
            let field_path = path.field(&key);
            let (event, span) = self.next()?;
            let value = self.node(event, span, &field_path, Some(key_span))?;
            match fields.entry(key) {
                Entry::Vacant(place) => {
                    if P::NAMED {
                        keys.insert(place.key().clone(), key_span);
                    }
                    place.insert(value);
                }
                Entry::Occupied(_) if self.problems.len() > PROBLEMS_MAX => {
                    // Enough was noted.
                }
                Entry::Occupied(place) => {
                    let first = keys.get(place.key()).copied().unwrap_or_default();
                    let first = Position::of(self.text, first.start);
                    let key = place.key().clone();
                    let kind = ProblemKind::RepeatedKey { key, first };
                    self.problem(&field_path, key_span, kind);
                }
            }
        }
    }

    /// The text of a key; what is wrong with it is noted.
    fn key(&mut self, event: Event<'t>, span: Span, path: &P) -> Result<String, Stop> {
        let Event::Scalar(text, style, anchor, tag) = event else {
            self.node(event, span, path, None)?;
            self.problem(path, span, ProblemKind::KeyNotText);
            return Ok(self.text[span.start..span.end].to_owned());
        };
        let path = path.field(&text);
        self.refuse_properties(anchor, tag.as_deref(), span, &path)?;
        if style == ScalarStyle::Plain && (text == "<<" || !plain::is_text(&text)) {
            let kind = match plain::meaning(&text) {
                Plain::Clear(Value::String(_)) => ProblemKind::MergeKey,
                Plain::Clear(_) | Plain::Nothing => ProblemKind::KeyNotText,
                Plain::Unclear(reads_as) => ProblemKind::Unclear {
                    text: text.clone().into_owned(),
                    reads_as,
                },
            };
            self.problem(&path, span, kind);
        }
        Ok(text.into_owned())
    }

    /// Notes an anchor and a tag. The parser tells of the anchor in an event of its own.
    fn refuse_properties(
        &mut self,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
        path: &P,
    ) -> Result<(), Stop> {
        if let Some(tag) = tag {
            self.problem(path, span, ProblemKind::Tag(tag.original()));
        }
        if anchor != 0
            && let (Event::Anchor(_, name), span) = self.next()?
        {
            self.problem(path, span, ProblemKind::Anchor(name.into_owned()));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                // A tag stands before its node; point at it too.
                let start = span.tag_start().unwrap_or(span.start);
                Ok((
                    event,
                    Span {
                        start: offset(start),
                        end: offset(span.end),
                    },
                ))
            }
            Some(Err(error)) => {
                self.syntax(&error);
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax(&mut self, error: &ScanError) {
        let at = offset(*error.marker());
        let kind = ProblemKind::Syntax(error.info());
        self.problem(&P::root(), Span { start: at, end: at }, kind);
    }

    fn close(&mut self, path: &P, key: Option<Span>, start: Span, end: Span) {
        let value = Span {
            start: start.start,
            end: end.end.max(start.end),
        };
        self.insert(path, Place { key, value });
    }

    fn insert(&mut self, path: &P, place: Place) {
        if let Some(path) = path.name() {
            self.index.insert(path, place);
        }
    }

    fn problem(&mut self, path: &P, span: Span, kind: ProblemKind) {
        let kind = match self.problems.len().cmp(&PROBLEMS_MAX) {
            Ordering::Less => kind,
            Ordering::Equal => ProblemKind::TooMany(PROBLEMS_MAX),
            Ordering::Greater => return,
        };
        let position = Position::of(self.text, span.start);
        self.problems.push(Problem {
            path: path.name().unwrap_or_default().to_owned(),
            span,
            position,
            kind,
        });
    }
}

fn offset(marker: Marker) -> usize {
    marker
        .byte_offset()
        .expect("a parser over a `str` counts bytes")
}
