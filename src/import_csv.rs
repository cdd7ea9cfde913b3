//! `windrow import-csv`: a draft of a plan from a spreadsheet, saved as CSV. Reads files only.

use camino::Utf8PathBuf;
use planner::draft::{self, CellError, Columns, Table};

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::init::{self, DraftArguments};
use crate::output::Output;

/// Draft a plan from a spreadsheet, saved as CSV
///
/// One row for each VM; the first row names the columns. Two are needed: the VM (its name or id) and
/// its workload (the application). Others are taken where they are there: source, wave, namespace,
/// and after (workloads that come first, with commas or semicolons between). Columns are known by
/// their usual names (`Server`, `Application`, `Move Group`, …) or by `--column`. Commas, semicolons
/// and tabs all separate. What is wrong is told by cell, all of it at once.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The file
    #[arg(value_name = "FILE")]
    file: Utf8PathBuf,
    /// Which column is what, as in `vm=Server Name`: vm, workload, source, wave, namespace, after
    #[arg(long = "column", value_name = "FIELD=HEADER", value_parser = pair)]
    columns: Vec<(String, String)>,
    /// Where the snapshots are
    #[arg(long, value_name = "DIR", default_value = "inventory")]
    inventory: Utf8PathBuf,
    #[command(flatten)]
    draft: DraftArguments,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, header)) if !field.is_empty() && !header.is_empty() => {
            Ok((field.trim().to_owned(), header.trim().to_owned()))
        }
        _ => Err("write it as in `vm=Server Name`".to_owned()),
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let inventory = init::snapshots(&arguments.inventory)?;
    let bytes = std::fs::read(&arguments.file).map_err(|source| {
        Failure::misused(ReadError {
            path: arguments.file.clone(),
            source,
        })
    })?;
    let table = table(&bytes).map_err(Failure::refused)?;
    let groups = Columns::of(&table, &arguments.columns)
        .and_then(|columns| draft::from_table(&table, &columns, &inventory));
    let groups = match groups {
        Ok(groups) => groups,
        Err(errors) => return Err(wrong(arguments, &errors, output)),
    };
    let text = draft::draft_of(&inventory, &groups, &arguments.draft.options(None));
    arguments.draft.write(&text, output)
}

fn wrong(arguments: &Arguments, errors: &[CellError], output: &Output) -> Failure {
    for error in errors {
        output.complain(&format!("error: {}: {error}\n", arguments.file));
    }
    Failure::refused(CellsError(errors.len()))
        .hint("mend these cells, or say which column is what with --column")
}

/// The cells of a CSV file, whatever separates them.
fn table(bytes: &[u8]) -> Result<Table, TableError> {
    let text = decoded(bytes).ok_or(TableError::Encoding)?;
    // A line that tells Excel what separates, and is no row.
    let told = text.strip_prefix("sep=").and_then(|rest| {
        let separator = *rest.as_bytes().first()?;
        Some((separator, rest.get(1..)?.trim_start_matches(['\r', '\n'])))
    });
    let (separator, text) = told.unwrap_or_else(|| (separator(&text), &text));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .flexible(true)
        .from_reader(text.as_bytes());
    let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let header = cells(reader.headers()?);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push((line, cells(&record)));
    }
    Ok(Table { header, rows })
}

/// The text of a file that a spreadsheet wrote: UTF-8, or UTF-16 (`Unicode Text`) behind its mark.
fn decoded(bytes: &[u8]) -> Option<String> {
    let wide = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = units.iter().copied().map(of).collect();
        rest.is_empty().then(|| String::from_utf16(&units).ok())?
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        // What they put in front of UTF-8.
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        bytes => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// What is most often between the names of columns, outside of their quotes.
fn separator(text: &str) -> u8 {
    let (mut quoted, mut counts) = (false, [(b',', 0), (b';', 0), (b'\t', 0)]);
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            byte => counts
                .iter_mut()
                .filter(|(separator, _)| *separator == byte)
                .for_each(|(_, count)| *count += 1),
        }
    }
    // Of equals the first; nothing at all means one column.
    counts
        .iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map_or(b',', |(separator, _)| *separator)
}

/// Why a file is no table.
#[derive(Debug, thiserror::Error)]
enum TableError {
    /// Neither UTF-8 nor UTF-16.
    #[error("read the table: it is neither UTF-8 nor UTF-16; save it as `CSV UTF-8`")]
    Encoding,
    /// Not CSV.
    #[error("read the table")]
    Csv(#[from] csv::Error),
}

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read `{path}`")]
struct ReadError {
    path: Utf8PathBuf,
    source: std::io::Error,
}

/// Cells are wrong.
#[derive(Debug, thiserror::Error)]
#[error("import the table: {} wrong", planner::diagnostic::count(*.0, "cell"))]
struct CellsError(usize);
