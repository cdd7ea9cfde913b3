//! Writing files: quoted wherever a reader might misread, and always the same bytes.

use granit_parser::{Event, Parser};
use serde::Serialize;

use super::line::escape;
use crate::crd::{SCHEMA_URL, schema_file_name};
use crate::file::File;
use crate::shown::hides;
use crate::wave::MigrationWave;

/// `value` as YAML, without a header.
///
/// # Panics
/// Where `value` has no YAML form (a map whose keys are no scalars), which no type of ours lacks.
pub fn write<T: Serialize>(value: &T) -> String {
    // Block scalars are left out: line breaks inside one are easy to lose in a merge.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text =
        serde_saphyr::to_string_with_options(value, options).expect("our types have a YAML form");
    visible(text)
}

/// The same values, written so that no character hides, reorders or forges what a reviewer sees: a text
/// with such a character stands in double quotes, and the character as its number.
fn visible(text: String) -> String {
    let is_hidden = |c| hides(c) && c != '\n';
    if !text.contains(is_hidden) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 64);
    let mut from = 0;
    for event in Parser::new_from_str(&text) {
        let (event, span) = event.expect("what was written can be read");
        let Event::Scalar(value, ..) = event else {
            continue;
        };
        let ends = (span.start.byte_offset(), span.end.byte_offset());
        let (Some(start), Some(end)) = ends else {
            continue;
        };
        if !text[start..end].contains(is_hidden) {
            continue;
        }
        safe.push_str(&text[from..start]);
        safe.push('"');
        for c in value.chars() {
            match c {
                '"' | '\\' => safe.extend(['\\', c]),
                c if hides(c) => safe.push_str(&escape(c)),
                c => safe.push(c),
            }
        }
        safe.push('"');
        from = end;
    }
    safe.push_str(&text[from..]);
    safe
}

/// `value` as a file: first the line that tells editors its schema, then `notes` as comments, then
/// the object.
pub fn write_file<T: File>(value: &T, notes: &[&str]) -> String {
    format!("{}{}", header::<T>(notes), write(value))
}

/// A wave as `windrow plan` writes it: each source, workload, prerequisite and import on one line,
/// so that a change to one VM touches its own line only.
pub fn write_wave(wave: &MigrationWave) -> String {
    let spec = &wave.spec;
    let mut frame = wave.clone();
    frame.spec.sources.clear();
    frame.spec.workloads.clear();
    frame.spec.steps.clear();
    frame.spec.prerequisites.clear();
    frame.spec.imports.clear();
    // Only these two are written when they are empty; the others follow in the order of the type.
    let frame = write(&frame);
    let (head, rest) = split_at_line(&frame, "  sources: []\n");
    let (between, tail) = split_at_line(rest, "  imports: []\n");

    let notes = ["written by `windrow plan`; not edited by hand: plan again instead"];
    let mut text = header::<MigrationWave>(&notes);
    text.push_str(head);
    list(&mut text, "sources", &spec.sources);
    list(&mut text, "workloads", &spec.workloads);
    list(&mut text, "steps", &spec.steps);
    list(&mut text, "prerequisites", &spec.prerequisites);
    text.push_str(between);
    list(&mut text, "imports", &spec.imports);
    text.push_str(tail);
    text
}

fn header<T: File>(notes: &[&str]) -> String {
    let file = schema_file_name(&T::kind(&()));
    let mut text = format!("# yaml-language-server: $schema={SCHEMA_URL}/{file}\n");
    for note in notes {
        text.push_str("# ");
        text.push_str(note);
        text.push('\n');
    }
    text
}

fn split_at_line<'t>(text: &'t str, line: &str) -> (&'t str, &'t str) {
    text.split_once(line)
        .expect("an empty list is written in one line")
}

fn list<T: Serialize>(text: &mut String, field: &str, items: &[T]) {
    if items.is_empty() {
        return;
    }
    text.push_str("  ");
    text.push_str(field);
    text.push_str(":\n");
    for item in items {
        text.push_str("  - ");
        text.push_str(write(&serde_saphyr::FlowMap(item)).trim_end());
        text.push('\n');
    }
}
