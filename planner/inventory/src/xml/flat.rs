//! Elements of long lists: they borrow from the text, and memory holds one list member at a time.
//!
//! Takes the text of one document; gives each member of a list while it is read, then the rest as
//! a [`Tree`]. Members that are known word for word can be left out before ([`leave_out`]). Keeps of a document's attributes only `type` (vSphere's class of a reference) and
//! `xsi:type` (the class of a value). Same rules as `read`: no entities but XML's own, no recursion.

use std::borrow::Cow;

use memchr::memmem;
use quick_xml::events::Event;
use quick_xml::events::attributes::Attributes;
use quick_xml::reader::Reader;

use super::{DEPTH_MAX, XSI, XmlError, resolved};

/// A document, without the list members that were handed over.
#[derive(Debug, Default)]
pub(crate) struct Tree<'t> {
    /// In the document's order: an element's descendants follow it, up to its `end`.
    elements: Vec<Data<'t>>,
}

#[derive(Debug)]
struct Data<'t> {
    name: &'t str,
    class: Option<&'t str>,
    kind: Option<&'t str>,
    text: Cow<'t, str>,
    /// Where the element after its last descendant stands.
    end: usize,
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    elements: &'a [Data<'a>],
    at: usize,
}

impl Tree<'_> {
    /// The outermost element.
    pub(crate) fn root(&self) -> Element<'_> {
        Element {
            elements: &self.elements,
            at: 0,
        }
    }
}

impl<'a> Element<'a> {
    fn data(self) -> &'a Data<'a> {
        &self.elements[self.at]
    }

    /// Its name without prefix.
    pub(crate) fn name(self) -> &'a str {
        self.data().name
    }

    /// The value's class: `xsi:type` without prefix.
    pub(crate) fn class(self) -> Option<&'a str> {
        self.data().class
    }

    /// The attribute `type`: the class of what is referred to.
    pub(crate) fn kind(self) -> Option<&'a str> {
        self.data().kind
    }

    /// Its text; empty if it has elements in it.
    pub(crate) fn text(self) -> &'a str {
        let data = self.data();
        if data.end > self.at + 1 {
            ""
        } else {
            &data.text
        }
    }

    /// The elements in it, in order.
    pub(crate) fn children(self) -> impl Iterator<Item = Element<'a>> {
        let end = self.data().end;
        let mut next = self.at + 1;
        std::iter::from_fn(move || {
            let child = Element {
                elements: self.elements,
                at: next,
            };
            (next < end).then(|| {
                next = child.data().end;
                child
            })
        })
    }

    /// The first element of that name.
    pub(crate) fn child(self, name: &str) -> Option<Element<'a>> {
        self.children().find(|child| child.name() == name)
    }

    /// All elements of that name.
    pub(crate) fn all(self, name: &str) -> impl Iterator<Item = Element<'a>> {
        self.children().filter(move |child| child.name() == name)
    }

    /// The element at the end of a path of names.
    pub(crate) fn at(self, path: &[&str]) -> Option<Element<'a>> {
        path.iter()
            .try_fold(self, |element, name| element.child(name))
    }

    /// The text of the first element of that name; empty text counts as none.
    pub(crate) fn text_of(self, name: &str) -> Option<&'a str> {
        let text = self.child(name)?.text();
        (!text.is_empty()).then_some(text)
    }

    /// The text as a number, or `true`, or `false`.
    pub(crate) fn parsed<T: std::str::FromStr>(self) -> Option<T> {
        self.text().trim().parse().ok()
    }

    /// The text of the first element of that name as a number, or `true`, or `false`.
    pub(crate) fn value<T: std::str::FromStr>(self, name: &str) -> Option<T> {
        self.child(name)?.parsed()
    }
}

/// Reads a whole document.
pub(crate) fn read_flat(text: &str) -> Result<Tree<'_>, XmlError> {
    read_each(text, ("", ""), |_, _| ())
}

/// Leaves out of a document the elements `<name>…</name>` whose text, tags and all, is `known`.
///
/// Looks for tags without reading what is between them. That is right for documents whose only
/// markup is elements; of others, and of elements of that name inside one another, nothing is left
/// out.
pub(crate) fn leave_out<'t>(
    text: &'t str,
    name: &str,
    mut known: impl FnMut(&str) -> bool,
) -> Cow<'t, str> {
    let (start_tag, end_tag) = (format!("<{name}>"), format!("</{name}>"));
    let (starts, ends) = (
        memmem::Finder::new(&start_tag),
        memmem::Finder::new(&end_tag),
    );
    let bytes = text.as_bytes();
    if memmem::find(bytes, b"<!").is_some() {
        return Cow::Borrowed(text);
    }
    let mut left = String::new();
    // Up to where the text is dealt with, and from where on it is still to be kept.
    let (mut at, mut from) = (0, 0);
    while let Some(start) = starts.find(&bytes[at..]).map(|found| at + found) {
        let inside = start + start_tag.len();
        let Some(end) = ends.find(&bytes[inside..]).map(|found| inside + found) else {
            break;
        };
        at = end + end_tag.len();
        if starts.find(&bytes[inside..end]).is_none() && known(&text[start..at]) {
            left.push_str(&text[from..start]);
            from = at;
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    left.push_str(&text[from..]);
    Cow::Owned(left)
}

/// Reads a document, and gives each element `list.1` right inside an element `list.0` to `take` as
/// soon as it is closed, with its text, tags and all, instead of keeping it in the tree that is
/// returned.
pub(crate) fn read_each<'t>(
    text: &'t str,
    list: (&str, &str),
    mut take: impl FnMut(Element<'_>, &'t str),
) -> Result<Tree<'t>, XmlError> {
    // The reader skips a mark of byte order, and counts from behind it.
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    let mut builder = Builder::default();
    loop {
        let event = reader.read_event().map_err(|source| XmlError::Syntax {
            at: reader.buffer_position(),
            source,
        })?;
        // Behind the tag: what stands in it is taken from the text, which outlives the event.
        let end = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let is_closed = match event {
            Event::Start(tag) => {
                if builder.open.len() == DEPTH_MAX {
                    return Err(XmlError::Shape);
                }
                let end = end - ">".len();
                let start = end - tag.len();
                builder.open(&text[start..end], start - "<".len())?;
                false
            }
            Event::Empty(tag) => {
                let end = end - "/>".len();
                let start = end - tag.len();
                builder.open(&text[start..end], start - "<".len())?;
                true
            }
            Event::End(_) => true,
            Event::Text(part) => {
                builder.push(part.xml10_content());
                false
            }
            Event::CData(part) => {
                builder.push(part.xml10_content());
                false
            }
            Event::GeneralRef(entity) => {
                builder.push(resolved(&entity)?);
                false
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => false,
        };
        if is_closed {
            builder.close(list, |element, start| take(element, &text[start..end]));
        }
    }
    if !builder.open.is_empty() || builder.elements.is_empty() {
        return Err(XmlError::Shape);
    }
    Ok(Tree {
        elements: builder.elements,
    })
}

#[derive(Debug, Default)]
struct Builder<'t> {
    elements: Vec<Data<'t>>,
    /// Of the elements that are not closed yet: their places, and where in the text they begin.
    open: Vec<(usize, usize)>,
    /// Prefixes, whether they mean XML Schema's instance namespace, and how deep they were declared.
    prefixes: Vec<(&'t str, bool, usize)>,
}

impl<'t> Builder<'t> {
    /// Opens the element of a tag, given without its brackets, that begins at `start`.
    fn open(&mut self, tag: &'t str, start: usize) -> Result<(), XmlError> {
        let name_end = tag
            .find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(tag.len());
        let name = &tag[..name_end];
        let mut data = Data {
            name: name.rsplit(':').next().unwrap_or(name),
            class: None,
            kind: None,
            text: Cow::Borrowed(""),
            end: 0,
        };
        if name_end < tag.len() {
            self.take_attributes(tag, name_end, &mut data)?;
        }
        self.open.push((self.elements.len(), start));
        self.elements.push(data);
        Ok(())
    }

    fn take_attributes(
        &mut self,
        tag: &'t str,
        name_end: usize,
        data: &mut Data<'t>,
    ) -> Result<(), XmlError> {
        let mut typed = None;
        for attribute in Attributes::new(tag, name_end).with_checks(false) {
            let attribute = attribute.map_err(|error| XmlError::Syntax {
                at: 0,
                source: error.into(),
            })?;
            // A class is a name, in which nothing needs to be unescaped.
            let Cow::Borrowed(value) = attribute.value else {
                continue;
            };
            match attribute.key.0.split_once(':') {
                Some(("xmlns", prefix)) => {
                    self.prefixes
                        .push((prefix, value == XSI.0, self.open.len()));
                }
                Some((prefix, "type")) => typed = Some((prefix, value)),
                None if attribute.key.0 == "type" => data.kind = Some(value),
                _ => {}
            }
        }
        if let Some((prefix, value)) = typed {
            let declared = self.prefixes.iter().rev().find(|known| known.0 == prefix);
            if declared.is_some_and(|known| known.1) {
                data.class = value.rsplit(':').next();
            }
        }
        Ok(())
    }

    fn push(&mut self, text: Cow<'t, str>) {
        let Some(&(at, _)) = self.open.last() else {
            return;
        };
        // Between elements there is only layout.
        if at + 1 == self.elements.len() {
            let own = &mut self.elements[at].text;
            if own.is_empty() {
                *own = text;
            } else {
                own.to_mut().push_str(&text);
            }
        }
    }

    fn close(&mut self, list: (&str, &str), take: impl FnOnce(Element<'_>, usize)) {
        // The reader refuses an end without a beginning.
        let Some((at, start)) = self.open.pop() else {
            return;
        };
        self.elements[at].end = self.elements.len();
        while self
            .prefixes
            .last()
            .is_some_and(|prefix| prefix.2 >= self.open.len())
        {
            self.prefixes.pop();
        }
        let parent = self
            .open
            .last()
            .map(|&(parent, _)| self.elements[parent].name);
        if parent == Some(list.0) && self.elements[at].name == list.1 {
            let element = Element {
                elements: &self.elements,
                at,
            };
            take(element, start);
            self.elements.truncate(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XSI_DECLARED: &str = "http://www.w3.org/2001/XMLSchema-instance";

    // Prefixes are free: the simulator declares an odd one inline on each value, and it holds for
    // that value only.
    #[test]
    fn the_class_is_found_under_any_prefix() {
        let text = format!(
            r#"<a xmlns:s="{XSI_DECLARED}"><v odd:type="xsd:string" xmlns:odd="{XSI_DECLARED}">x</v>
            <v odd:type="y"/><v type="Folder" s:type="w:ManagedObjectReference" >g-1</v></a>"#
        );
        let tree = read_flat(&text).expect("fine");
        let found: Vec<_> = tree
            .root()
            .all("v")
            .map(|v| (v.kind(), v.class(), v.text()))
            .collect();
        assert_eq!(
            found,
            [
                (None, Some("string"), "x"),
                (None, None, ""),
                (Some("Folder"), Some("ManagedObjectReference"), "g-1"),
            ]
        );
    }

    // Text comes in several pieces around entities; layout between elements is no text.
    #[test]
    fn text_is_put_together() {
        let text = "<e:a>\n <e:b>x &amp; y&#xA;&#34;<![CDATA[<z>]]></e:b>\r\n <c/> </e:a>";
        let tree = read_flat(text).expect("fine");
        assert_eq!(tree.root().name(), "a");
        assert_eq!(tree.root().text(), "");
        assert_eq!(tree.root().text_of("b"), Some("x & y\n\"<z>"));
        assert_eq!(tree.root().text_of("c"), None);
        assert_eq!(tree.root().children().count(), 2);
    }

    // Marks of byte order move nothing, however many. Found by fuzzing.
    #[test]
    fn marks_of_byte_order() {
        for marks in ["\u{feff}", "\u{feff}\u{feff}"] {
            let mut seen = Vec::new();
            let text = format!("{marks}<v><o>1</o><p type='Folder'/></v>");
            let tree = read_each(&text, ("v", "o"), |o, text| {
                seen.push((o.name().to_owned(), text.to_owned()));
            });
            assert_eq!(seen, [("o".to_owned(), "<o>1</o>".to_owned())]);
            let tree = tree.expect("fine");
            let kind = tree.root().child("p").and_then(Element::kind);
            assert_eq!((tree.root().name(), kind), ("v", Some("Folder")));
        }
    }

    // Members of the list are handed over and not kept; what is around them is.
    #[test]
    fn long_lists_are_streamed() {
        let text =
            "<r><v><o><k>1</k></o><token>0</token><o x='1'><k>2</k></o ></v><o><k>3</k></o></r>";
        let mut seen = Vec::new();
        let tree = read_each(text, ("v", "o"), |o, text| {
            seen.push((o.text_of("k").map(str::to_owned), text));
        })
        .expect("fine");
        let expected = [("1", "<o><k>1</k></o>"), ("2", "<o x='1'><k>2</k></o >")];
        assert_eq!(seen, expected.map(|(k, text)| (Some(k.to_owned()), text)));
        let root = tree.root();
        assert_eq!(root.at(&["v", "token"]).map(Element::text), Some("0"));
        assert_eq!(root.at(&["o", "k"]).map(Element::text), Some("3"));
        assert_eq!(root.at(&["v"]).map(|v| v.children().count()), Some(1));
    }

    // What is known word for word is left out, and nothing else; where tags alone do not tell what is
    // an element, nothing is.
    #[test]
    fn known_members_are_left_out() {
        let known = |text: &str| text == "<o>1</o>";
        let out = |text: &'static str| leave_out(text, "o", known);
        assert_eq!(
            out("<v><o>1</o><t>0</t><o>2</o><o>1</o></v>"),
            "<v><t>0</t><o>2</o></v>"
        );
        for same in [
            "<v><o>2</o></v>",
            "<v><o>1</o><![CDATA[<o>1</o>]]></v>",
            "<v><!-- <o>1</o> --></v>",
            "<v><o><o>1</o></o></v>",
            "<v><o>1",
            "<v></o><o>",
            "",
        ] {
            assert_eq!(out(same), same);
        }
    }

    // What a server sends on a bad day is an error, never a panic and never half a tree.
    #[test]
    fn broken_documents_are_errors() {
        let deep = "<a>".repeat(300);
        for text in [
            "",
            "<a>",
            "<a></b>",
            "<a>&nbsp;</a>",
            "<a><b></a>",
            "<a b=></a>",
            "plain",
            "</a>",
            &deep,
        ] {
            assert!(read_flat(text).is_err(), "{text:.20}");
        }
    }
}
