//! Each format by a parser that is not ours, and what no output may hold.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use quick_xml::events::Event as Xml;
use serde_json::Value;

use crate::harness::Run;

/// Marks that hide or reorder, of those that the estate has.
const MARKS: [char; 7] = [
    '\u{202e}', '\u{200b}', '\u{feff}', '\u{fffe}', '\u{ffff}', '\u{2028}', '\u{a0}',
];

/// No character that a terminal obeys or that hides another one, but for ends of lines.
pub fn visible(what: &str, text: &str) {
    let hidden = |c: &char| c.is_control() && *c != '\n' || MARKS.contains(c) && *c != '\u{a0}';
    let found = text.char_indices().find(|(_, c)| hidden(c));
    if let Some((at, c)) = found {
        let from = text[..at]
            .char_indices()
            .rev()
            .nth(60)
            .map_or(0, |(at, _)| at);
        panic!("{what} has {:?} behind {:?}", c, &text[from..at]);
    }
}

/// What is said, and no runner of a pipeline takes a line of it for a command.
pub fn harmless(run: &Run) -> String {
    for text in [&run.stdout, &run.stderr] {
        obeyed_by_nobody(&format!("{run}"), text);
    }
    run.stdout.clone()
}

/// No character that hides, no command.
pub fn obeyed_by_nobody(what: &str, text: &str) {
    visible(what, text);
    for line in text.lines() {
        assert!(!line.trim_start().starts_with("::"), "{what}: {line}");
        assert!(
            !line.contains("##[") && !line.contains("##vso["),
            "{what}: {line}"
        );
        assert!(!line.starts_with("forged"), "{what}: {line}");
    }
}

/// Every string of a JSON value, also in keys.
pub fn strings(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) => drop(found.insert(text.clone())),
            Value::Array(items) => left.extend(items),
            Value::Object(fields) => {
                found.extend(fields.keys().cloned());
                left.extend(fields.values());
            }
            _ => {}
        }
    }
    found
}

/// All texts of attributes and between tags; every character is one that XML 1.0 has.
pub fn xml(text: &str) -> Vec<String> {
    let allowed = |c: char| matches!(c, '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(text.chars().all(allowed), "{text}");
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let (mut found, mut said) = (Vec::new(), String::new());
    loop {
        let event = reader.read_event().expect("XML");
        match event {
            Xml::Start(tag) | Xml::Empty(tag) => {
                for attribute in tag.attributes() {
                    let value = attribute.expect("an attribute").value.into_owned();
                    found.push(
                        quick_xml::escape::unescape(&value)
                            .expect("entities")
                            .into_owned(),
                    );
                }
            }
            Xml::Text(text) => said.push_str(&text),
            Xml::GeneralRef(name) => {
                let name = format!("&{};", &*name);
                said.push_str(&quick_xml::escape::unescape(&name).expect("an entity"));
            }
            Xml::End(_) => found.push(std::mem::take(&mut said)),
            Xml::CData(_) | Xml::Comment(_) | Xml::PI(_) | Xml::DocType(_) => panic!("{event:?}"),
            Xml::Decl(_) => {}
            Xml::Eof => return found,
        }
    }
}

/// The cells of a CSV table; none begins a formula, and all rows are as long as the first.
pub fn csv(text: &str) -> Vec<Vec<String>> {
    visible("the table", text);
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let rows = reader
        .records()
        .map(|row| row.expect("a row as long as the first"));
    let rows: Vec<Vec<String>> = rows
        .map(|row| row.iter().map(str::to_owned).collect())
        .collect();
    for cell in rows.iter().flatten() {
        let formula = ['=', '+', '-', '@', '＝', '\t', '\r'];
        assert!(!cell.trim_start().starts_with(formula), "{cell}");
    }
    rows
}

/// What GitHub and GitLab would make of it: no HTML but our folds and marks, no link, image, mention
/// or number of an issue. Gives all texts, of which those in code are as they were written.
pub fn markdown(what: &str, text: &str) -> Vec<String> {
    obeyed_by_nobody(what, text);
    let (mut found, mut said, mut code) = (Vec::new(), String::new(), false);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => {
                let mut rest = html.to_string();
                for ours in ["<details>", "</details>", "<summary>", "</summary>", "<br>"] {
                    rest = rest.replace(ours, "");
                }
                let mark =
                    rest.trim().starts_with("<!-- windrow:") && rest.trim().ends_with(" -->");
                let inner = rest
                    .trim()
                    .trim_start_matches("<!--")
                    .trim_end_matches("-->");
                assert!(
                    mark && !inner.contains("--") || !rest.contains('<'),
                    "{what}: {html}"
                );
            }
            Event::Code(text) => found.push(text.to_string()),
            Event::Text(text) => {
                let unsafe_ = ["@", "://", "www.", "#"]
                    .iter()
                    .find(|sign| text.contains(**sign));
                assert!(code || unsafe_.is_none(), "{what}: {text}");
                said.push_str(&text);
            }
            Event::Start(
                Tag::Link { .. }
                | Tag::Image { .. }
                | Tag::BlockQuote(_)
                | Tag::Strikethrough
                | Tag::Emphasis,
            ) => {
                panic!("{what}: {event:?}")
            }
            Event::Start(Tag::CodeBlock(_)) => panic!("{what}: a block of code"),
            Event::Start(Tag::HtmlBlock) => code = false,
            Event::End(
                TagEnd::Item | TagEnd::TableCell | TagEnd::Paragraph | TagEnd::Heading(_),
            ) => {
                found.push(std::mem::take(&mut said));
            }
            _ => {}
        }
    }
    found
}
