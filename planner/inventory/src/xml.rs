//! Trees out of XML documents, without serde and without a schema.
//!
//! Takes the text of one document and gives it as [`Node`]s, or, for long lists, member by member
//! as [`Element`]s that borrow from the text ([`read_each`]). Namespaces are resolved: `xsi:type`
//! is found whatever its prefix is called and wherever it is declared. It expands no entities but
//! XML's own five, opens nothing, and never recurses.

mod flat;

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, NamespaceResolver, ResolveResult};
use quick_xml::reader::NsReader;

pub(crate) use self::flat::{Element, leave_out, read_each, read_flat};

/// Where `xsi:type` comes from.
const XSI: Namespace<'static> = Namespace("http://www.w3.org/2001/XMLSchema-instance");

/// Elements inside elements that a document may have. A vCenter's deepest answer, a chain of 32
/// snapshots, has about 40; the limit keeps a hostile document from eating memory.
const DEPTH_MAX: usize = 256;

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed.
    #[error("read XML near byte {at}")]
    Syntax {
        /// Where the parser stood.
        at: u64,
        /// What it says.
        source: quick_xml::Error,
    },
    /// An entity that XML itself does not define.
    #[error("resolve the XML entity `&{name};`")]
    Entity {
        /// Its name.
        name: String,
    },
    /// Nested beyond `DEPTH_MAX`, or not closed at its end.
    #[error("follow XML that is cut off or nested more than {DEPTH_MAX} deep")]
    Shape,
}

/// One element, with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its name without prefix.
    pub(crate) name: String,
    /// The value's class: `xsi:type` without prefix.
    pub(crate) class: Option<String>,
    /// Other attributes, names without prefix; namespace declarations are left out.
    pub(crate) attributes: Vec<(String, String)>,
    /// Its text, if it has no elements in it.
    pub(crate) text: String,
    /// The elements in it, in order.
    pub(crate) children: Vec<Node>,
}

impl Node {
    /// The first element of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All elements of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first element of that name; empty text counts as none.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name)
            .map(|child| child.text.as_str())
            .filter(|text| !text.is_empty())
    }

    /// The text of the first element of that name as a number, or `true`, or `false`.
    pub(crate) fn value<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text_of(name)?.trim().parse().ok()
    }

    /// An attribute's value, by its name without prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What a reference stands for: a character by its number, or one of XML's own five entities.
fn resolved(entity: &BytesRef<'_>) -> Result<Cow<'static, str>, XmlError> {
    if let Ok(Some(character)) = entity.resolve_char_ref() {
        return Ok(Cow::Owned(character.to_string()));
    }
    resolve_predefined_entity(entity)
        .map(Cow::Borrowed)
        .ok_or_else(|| XmlError::Entity {
            name: entity.to_string(),
        })
}

/// Reads a whole document and gives its root element.
pub(crate) fn read(text: &str) -> Result<Node, XmlError> {
    let mut reader = NsReader::from_str(text);
    let mut open: Vec<Node> = Vec::new();
    let mut root = None;
    loop {
        let event = reader.read_event().map_err(|source| XmlError::Syntax {
            at: reader.buffer_position(),
            source,
        })?;
        let closed = match event {
            Event::Start(tag) => {
                if open.len() == DEPTH_MAX {
                    return Err(XmlError::Shape);
                }
                open.push(node(&tag, reader.resolver())?);
                None
            }
            Event::Empty(tag) => Some(node(&tag, reader.resolver())?),
            Event::End(_) => open.pop().map(|mut node| {
                if !node.children.is_empty() {
                    node.text.clear();
                }
                node
            }),
            Event::Text(part) => {
                push(&mut open, &part.xml10_content());
                None
            }
            Event::CData(part) => {
                push(&mut open, &part.xml10_content());
                None
            }
            Event::GeneralRef(entity) => {
                push(&mut open, &resolved(&entity)?);
                None
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => None,
        };
        if let Some(node) = closed {
            match open.last_mut() {
                Some(parent) => parent.children.push(node),
                None => root = Some(node),
            }
        }
    }
    root.filter(|_| open.is_empty()).ok_or(XmlError::Shape)
}

fn push(open: &mut [Node], text: &str) {
    if let Some(node) = open.last_mut().filter(|node| node.children.is_empty()) {
        node.text.push_str(text);
    }
}

/// The element that a tag opens, with its attributes sorted into class and the rest.
fn node(tag: &BytesStart<'_>, names: &NamespaceResolver) -> Result<Node, XmlError> {
    let mut node = Node {
        name: tag.local_name().as_ref().to_owned(),
        ..Node::default()
    };
    for attribute in tag.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| XmlError::Syntax {
            at: 0,
            source: error.into(),
        })?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|source| XmlError::Syntax { at: 0, source })?;
        let (space, local) = names.resolve_attribute(attribute.key);
        if local.as_ref() == "type" && space == ResolveResult::Bound(XSI) {
            let class = value.rsplit(':').next().unwrap_or_default();
            node.class = Some(class.to_owned());
        } else {
            node.attributes
                .push((local.as_ref().to_owned(), value.into_owned()));
        }
    }
    Ok(node)
}

/// Text as it stands inside an element or an attribute.
pub(crate) fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    quick_xml::escape::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prefixes are free: the simulator declares an odd one inline on each value.
    #[test]
    fn the_class_is_found_under_any_prefix() {
        let text = r#"<a><val XMLSchema-instance:type="xsd:string"
            xmlns:XMLSchema-instance="http://www.w3.org/2001/XMLSchema-instance">x</val>
            <val type="Folder" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"
            i:type="ManagedObjectReference">group-9</val></a>"#;
        let root = read(text).expect("well-formed");
        assert_eq!(root.children[0].class.as_deref(), Some("string"));
        assert_eq!(
            root.children[1].class.as_deref(),
            Some("ManagedObjectReference")
        );
        assert_eq!(root.children[1].attribute("type"), Some("Folder"));
        assert_eq!(root.children[1].text, "group-9");
    }

    /// Text comes in several events around entities.
    #[test]
    fn entities_and_cdata_are_part_of_the_text() {
        let root = read("<a>one &amp; &#34;two&#34;&#xA;<![CDATA[<three>]]></a>").expect("fine");
        assert_eq!(root.text, "one & \"two\"\n<three>");
    }

    /// What a server sends on a bad day is an error, never a panic and never half a tree.
    #[test]
    fn broken_documents_are_errors() {
        let deep = "<a>".repeat(300);
        for text in [
            "",
            "<a>",
            "<a></b>",
            "<a>&nbsp;</a>",
            "<a><b></a>",
            "plain",
            &deep,
        ] {
            assert!(read(text).is_err(), "{text:.20}");
        }
    }
}
