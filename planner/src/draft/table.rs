//! A spreadsheet that people have → groups for a draft.
//!
//! Takes rows as text with the place of each; gives groups, or all that is wrong, each with its cell.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::VmKey;
use schemas::inventory::{Inventory, Vm};

use super::Group;
use super::groups::slug;
use crate::diagnostic::nearest;

/// A table: its first row names the columns.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The names of the columns.
    pub header: Vec<String>,
    /// The other rows, each with its line in the file.
    pub rows: Vec<(u64, Vec<String>)>,
}

/// What a column may be, and under which names it goes unless people say which it is.
const COLUMNS: [(&str, &[&str]); 6] = [
    (
        "vm",
        &[
            "vm",
            "vm name",
            "vmname",
            "name",
            "hostname",
            "host name",
            "server",
            "machine",
            "virtual machine",
        ],
    ),
    (
        "workload",
        &[
            "workload",
            "application",
            "app",
            "service",
            "system",
            "app name",
            "application name",
        ],
    ),
    ("source", &["source", "vcenter", "cloud", "origin"]),
    (
        "wave",
        &["wave", "batch", "move group", "movegroup", "migration wave"],
    ),
    (
        "namespace",
        &["namespace", "target namespace", "target project"],
    ),
    (
        "after",
        &[
            "after",
            "depends on",
            "dependson",
            "dependencies",
            "depends",
        ],
    ),
];

/// Where the columns are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(BTreeMap<&'static str, usize>);

/// What is wrong with a cell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", place(*.line, .column))]
pub struct CellError {
    /// The line; 0 for the table as a whole.
    pub line: u64,
    /// The column, as its header says.
    pub column: String,
    /// What is wrong, and the way out.
    pub problem: String,
}

fn place(line: u64, column: &str) -> String {
    match (line, column) {
        (0, _) => String::new(),
        (line, "") => format!("line {line}: "),
        (line, column) => format!("line {line}, column `{column}`: "),
    }
}

impl Columns {
    /// Finds the columns: by `said` (field and header), else by their usual names.
    pub fn of(table: &Table, said: &[(String, String)]) -> Result<Self, Vec<CellError>> {
        let mut errors = Vec::new();
        let whole = |problem: String| CellError {
            line: 0,
            column: String::new(),
            problem,
        };
        let mut found = BTreeMap::new();
        for (field, header) in said {
            let known = COLUMNS.iter().find(|(name, _)| name == field);
            let at = table.header.iter().position(|name| name.trim() == header);
            match (known, at) {
                (None, _) => errors.push(whole(format!(
                    "`{field}` is no field: there are {}",
                    COLUMNS.map(|(name, _)| format!("`{name}`")).join(", ")
                ))),
                (_, None) => errors.push(whole(format!(
                    "there is no column `{header}`: there are {}",
                    headers(table)
                ))),
                (Some((name, _)), Some(at)) => {
                    found.insert(*name, at);
                }
            }
        }
        for (name, usual) in COLUMNS {
            if found.contains_key(name) {
                continue;
            }
            let at = usual.iter().find_map(|usual| {
                table
                    .header
                    .iter()
                    .position(|header| header.trim().to_lowercase() == *usual)
            });
            if let Some(at) = at.filter(|at| !found.values().any(|taken| taken == at)) {
                found.insert(name, at);
            }
        }
        for name in ["vm", "workload"] {
            if errors.is_empty() && !found.contains_key(name) {
                errors.push(whole(format!(
                    "no column is the {name}: say which, as in `--column {name}=HEADER`; there are {}",
                    headers(table)
                )));
            }
        }
        if errors.is_empty() {
            Ok(Self(found))
        } else {
            Err(errors)
        }
    }

    fn cell<'t>(&self, name: &str, row: &'t [String]) -> &'t str {
        self.0
            .get(name)
            .and_then(|at| row.get(*at))
            .map_or("", |cell| cell.trim())
    }

    fn header<'t>(&self, name: &str, table: &'t Table) -> &'t str {
        self.0.get(name).map_or("", |at| table.header[*at].trim())
    }
}

fn headers(table: &Table) -> String {
    let names: Vec<String> = table
        .header
        .iter()
        .map(|name| format!("`{}`", name.trim()))
        .collect();
    names.join(", ")
}

/// The groups of a table, in the order of their first rows.
pub fn from_table(
    table: &Table,
    columns: &Columns,
    inventory: &Inventory,
) -> Result<Vec<Group>, Vec<CellError>> {
    let mut errors = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut seen: BTreeMap<VmKey, u64> = BTreeMap::new();
    let mut waits: Vec<(u64, usize, String)> = Vec::new();
    for (line, row) in &table.rows {
        if row.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let error = |name: &str, problem: String| CellError {
            line: *line,
            column: columns.header(name, table).to_owned(),
            problem,
        };
        let workload = columns.cell("workload", row);
        if workload.is_empty() {
            errors.push(error(
                "workload",
                "it is empty: every VM is in one workload".to_owned(),
            ));
            continue;
        }
        let key = match find(
            columns.cell("vm", row),
            columns.cell("source", row),
            inventory,
        ) {
            Ok(key) => key,
            Err((name, problem)) => {
                errors.push(error(name, problem));
                continue;
            }
        };
        if let Some(first) = seen.insert(key.clone(), *line) {
            errors.push(error("vm", format!("it stands in line {first} already")));
            continue;
        }
        let name = slug(workload);
        let at = groups
            .iter()
            .position(|group| group.name == name)
            .unwrap_or_else(|| {
                groups.push(Group {
                    name: name.clone(),
                    why: format!("`{}` in the table", schemas::shown::shown(workload)),
                    members: Vec::new(),
                    after: BTreeMap::new(),
                    wave: None,
                    namespace: None,
                });
                groups.len() - 1
            });
        let group = &mut groups[at];
        group.members.push(key);
        let first = group.members.len() == 1;
        for (field, slot) in [
            ("wave", &mut group.wave),
            ("namespace", &mut group.namespace),
        ] {
            let cell = columns.cell(field, row);
            let value = (!cell.is_empty()).then(|| slug(cell));
            if first {
                *slot = value;
            } else if *slot != value {
                let other = slot.as_deref().unwrap_or("none");
                errors.push(error(
                    field,
                    format!("`{workload}` has `{other}` in a line before: a workload has one"),
                ));
            }
        }
        for before in columns
            .cell("after", row)
            .split([',', ';'])
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            waits.push((*line, at, before.to_owned()));
        }
    }
    errors.extend(connect(&mut groups, waits, columns.header("after", table)));
    for group in &mut groups {
        group.members.sort();
    }
    if groups.is_empty() && errors.is_empty() {
        errors.push(CellError {
            line: 0,
            column: String::new(),
            problem: "the table has no rows".to_owned(),
        });
    }
    if errors.is_empty() {
        Ok(groups)
    } else {
        errors.sort_by_key(|error| error.line);
        Err(errors)
    }
}

/// What each group waits for, by the line, the position of the group and the name of the other.
fn connect(groups: &mut [Group], waits: Vec<(u64, usize, String)>, column: &str) -> Vec<CellError> {
    let mut errors = Vec::new();
    let known: BTreeSet<String> = groups.iter().map(|group| group.name.clone()).collect();
    for (line, at, before) in waits {
        let name = slug(&before);
        if known.contains(&name) && name != groups[at].name {
            groups[at].after.insert(name, None);
        } else if !known.contains(&name) {
            let near = nearest(&name, known.iter().map(String::as_str));
            let near = near
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            errors.push(CellError {
                line,
                column: column.to_owned(),
                problem: format!("no row has the workload `{before}`{near}"),
            });
        }
    }
    errors
}

/// The VM of that name or id, or the column that is wrong and why.
fn find(name: &str, source: &str, inventory: &Inventory) -> Result<VmKey, (&'static str, String)> {
    if name.is_empty() {
        return Err(("vm", "it is empty".to_owned()));
    }
    if !source.is_empty() && !inventory.sources.contains_key(source) {
        let names: Vec<&str> = inventory
            .sources
            .keys()
            .map(schemas::ids::SourceName::as_str)
            .collect();
        return Err((
            "source",
            format!(
                "there is no snapshot of `{source}`: there are {}",
                names.join(", ")
            ),
        ));
    }
    let all: Vec<(VmKey, &Vm)> = inventory
        .sources
        .iter()
        .filter(|(known, _)| source.is_empty() || known.as_str() == source)
        .flat_map(|(known, snapshot)| {
            snapshot
                .vms
                .iter()
                .map(move |vm| (VmKey::new(known.as_str(), vm.id.as_str()), vm))
        })
        .collect();
    let by = |takes: &dyn Fn(&Vm) -> bool| -> Vec<&VmKey> {
        all.iter()
            .filter(|(_, vm)| takes(vm))
            .map(|(key, _)| key)
            .collect()
    };
    let mut found = by(&|vm| vm.id.as_str() == name);
    if found.is_empty() {
        found = by(&|vm| vm.name.as_str() == name);
    }
    if found.is_empty() {
        // Spreadsheets are typed by people: another case is still the same machine.
        found = by(&|vm| vm.name.as_str().eq_ignore_ascii_case(name));
    }
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let near = nearest(name, all.iter().map(|(_, vm)| vm.name.as_str()));
            let near = near
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            Err(("vm", format!("no VM is called `{name}`{near}")))
        }
        several => {
            let ids: Vec<String> = several.iter().take(4).map(ToString::to_string).collect();
            Err((
                "vm",
                format!(
                    "{} VMs are called `{name}`: write the id, one of {}",
                    several.len(),
                    ids.join(", ")
                ),
            ))
        }
    }
}
