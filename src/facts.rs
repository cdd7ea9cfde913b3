//! Tables of facts come in here: CSV files that a site names, and where each cell stands in them.
//!
//! The first line names the columns; a line `# as_of: DATE` may stand before it. Cells are separated
//! by commas, semicolons or tabs, whichever the line of columns has most of. Nothing in a cell is
//! ever executed or taken for anything but text.

use std::fs;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use schemas::facts::{FactTable, FactsFile};
use schemas::yaml::Span;

use crate::diagnostic::{Diagnostic, Level, SourceFile, Spot};

/// Most bytes of a table that is read: 50,000 VMs with 20 facts each have about a tenth of it.
const TABLE_BYTES_MAX: u64 = 64 << 20;

/// A table, and where its rows begin.
#[derive(Clone, Debug)]
pub struct LoadedTable {
    file: Arc<SourceFile>,
    /// For each row the offset of its first byte.
    starts: Vec<usize>,
    delimiter: u8,
}

impl LoadedTable {
    /// Where a cell stands.
    pub fn spot(&self, row: usize, column: usize) -> Spot {
        let text = &self.file.text;
        let start = self.starts.get(row).copied().unwrap_or_default();
        let bytes = &text.as_bytes()[start..];
        let (mut cell, mut begin, mut quoted, mut end) = (0, 0, false, bytes.len());
        for (at, byte) in bytes.iter().enumerate() {
            match *byte {
                b'"' => quoted = !quoted,
                b if b == self.delimiter && !quoted => {
                    if cell == column {
                        end = at;
                        break;
                    }
                    cell += 1;
                    begin = at + 1;
                }
                b'\n' | b'\r' if !quoted => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let span = Span {
            start: start + begin.min(end),
            end: start + end,
        };
        Spot {
            file: Arc::clone(&self.file),
            path: String::new(),
            span,
        }
    }
}

/// Reads the table that `entry` names, relative to `folder`; `named` is where it is named. What is
/// wrong with it goes into `found`.
pub fn read(
    entry: &FactsFile,
    folder: &Utf8Path,
    named: &Spot,
    found: &mut Vec<Diagnostic>,
) -> Option<(LoadedTable, FactTable)> {
    let path = folder.join(&entry.file);
    let mut fail = |kind, message, hint: Option<&str>| {
        found.push(Diagnostic {
            level: Level::Error,
            kind,
            message,
            spot: named.clone(),
            notes: Vec::new(),
            hint: hint.map(str::to_owned),
        });
    };
    let bytes = match bytes(&path) {
        Ok(bytes) => bytes,
        Err(message) => {
            fail("table-unreadable", message, None);
            return None;
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        let message = format!("`{path}` is not text in UTF-8");
        fail("table-not-utf8", message, Some("save it as \"CSV UTF-8\""));
        return None;
    };
    let file = Arc::new(SourceFile::new(path, text));
    parse(&file, found)
}

fn bytes(path: &Utf8PathBuf) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    if size.len() > TABLE_BYTES_MAX {
        let found = size.len();
        return Err(format!(
            "`{path}` has {found} bytes, more than {TABLE_BYTES_MAX}"
        ));
    }
    fs::read(path).map_err(|error| format!("`{path}` cannot be read: {error}"))
}

#[expect(clippy::too_many_lines, reason = "one table, read from top to bottom")]
fn parse(file: &Arc<SourceFile>, found: &mut Vec<Diagnostic>) -> Option<(LoadedTable, FactTable)> {
    let text = file.text.as_str();
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut skipped = text.len() - body.len();
    let mut as_of = None;
    let mut body = body;
    if let Some(comment) = body.strip_prefix('#') {
        let (line, rest) = comment.split_once('\n').unwrap_or((comment, ""));
        as_of = line
            .trim()
            .strip_prefix("as_of:")
            .map(|day| day.trim().to_owned());
        skipped += body.len() - rest.len();
        body = rest;
    }
    let head = body.lines().next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|delimiter| {
            let count = head.bytes().filter(|byte| byte == delimiter).count();
            (count, *delimiter == b',')
        })
        .unwrap_or(b',');
    let mut table = LoadedTable {
        file: Arc::clone(file),
        starts: Vec::new(),
        delimiter,
    };
    let wrong = |span: Span, kind, message: String, hint: &str| Diagnostic {
        level: Level::Error,
        kind,
        message,
        spot: Spot {
            file: Arc::clone(file),
            path: String::new(),
            span,
        },
        notes: Vec::new(),
        hint: Some(hint.to_owned()),
    };
    let before = found.len();
    if let Some(day) = as_of
        .as_ref()
        .filter(|day| planner::resolve::facts::read_day(day).is_none())
    {
        let message = format!("`{day}` is no day");
        let span = Span {
            start: 0,
            end: text.find('\n').unwrap_or(text.len()),
        };
        let hint = "write year, month and day, as in `# as_of: 2026-11-20`";
        found.push(wrong(span, "bad-day", message, hint));
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(body.as_bytes());
    let mut facts = FactTable {
        as_of,
        ..FactTable::default()
    };
    let mut record = csv::StringRecord::new();
    let (mut first, mut line_number, mut counted) = (true, 1, 0);
    while matches!(reader.read_record(&mut record), Ok(true)) {
        let at = record
            .position()
            .map_or(0, |at| usize::try_from(at.byte()).unwrap_or(usize::MAX));
        let start = skipped + after_blank_lines(body, at);
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let end = text[start..]
            .find('\n')
            .map_or(text.len(), |end| start + end);
        let line = Span { start, end };
        if first {
            first = false;
            facts.columns = cells.iter().map(|name| name.trim().to_owned()).collect();
            for (i, name) in facts.columns.iter().enumerate() {
                if facts.columns[..i].contains(name) {
                    let message = format!("two columns are called `{name}`");
                    let hint = "give one of them another name";
                    found.push(wrong(line, "duplicate", message, hint));
                }
            }
            continue;
        }
        if cells.len() != facts.columns.len() {
            let message = format!(
                "the row has {}, and the first line names {}",
                planner::diagnostic::count(cells.len(), "cell"),
                planner::diagnostic::count(facts.columns.len(), "column"),
            );
            let hint = "put quotes around a cell that has a comma or a line break in it";
            found.push(wrong(line, "row-length", message, hint));
            continue;
        }
        line_number += text[counted..start].matches('\n').count();
        counted = start;
        facts.lines.push(line_number);
        table.starts.push(start);
        facts.rows.push(cells);
    }
    if facts.columns.is_empty() {
        let hint = "write the names of the columns into its first line";
        let message = "the table is empty".to_owned();
        found.push(wrong(Span::default(), "empty", message, hint));
    }
    (found.len() == before).then_some((table, facts))
}

/// The reader gives the place before blank lines that it skips.
fn after_blank_lines(body: &str, at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    at + (rest.len() - rest.trim_start_matches(['\n', '\r']).len())
}
