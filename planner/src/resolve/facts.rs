//! What people know of VMs: tables joined to VMs, what a plan states over them, and how old it is.
//!
//! A fact is *discovered* (the source says so), *tabled* (a row of a table that the site names) or
//! *stated* (the plan's `machines` say so); the last of these that there is counts. Age is judged on
//! the day on which the plan starts, or the one that the command line gives: no clock is read.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, tz};
use schemas::facts::{FactTable, FactsFile, Requirement};
use schemas::ids::{VmKey, VmName};
use schemas::inventory::{Inventory, Observed, Power, Vm};
use schemas::plan::PlanSpec;

use super::index::Index;
use super::matcher::family;
use super::pattern::Pattern;
use super::site::Site;
use crate::diagnostic::{Diagnostics, File, Place, Problem, nearest};

/// The column that dates a row.
pub const AS_OF: &str = "as_of";

/// What people know of VMs, by VM and fact.
pub type Facts = BTreeMap<VmKey, BTreeMap<String, Fact>>;

/// One fact about one VM, from wherever it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fact {
    /// What a table says.
    pub tabled: Option<Tabled>,
    /// What the plan says.
    pub stated: Option<String>,
}

impl Fact {
    /// The value that counts: what the plan states, else what a table says, else what the source
    /// says (`discovered`).
    pub fn value<'f>(&'f self, discovered: Option<&'f str>) -> Option<&'f str> {
        let tabled = self.tabled.as_ref().map(|tabled| tabled.value.as_str());
        self.stated
            .as_deref()
            .or(tabled)
            .or(discovered)
            .filter(|value| !value.is_empty())
    }

    /// What a table says, where that is the value that counts.
    pub fn tabled_counts(&self) -> Option<&Tabled> {
        self.tabled.as_ref().filter(|_| self.stated.is_none())
    }

    /// Where the value that counts comes from, in words.
    pub fn origin(&self, discovered: bool) -> String {
        match (&self.stated, &self.tabled, discovered) {
            (Some(_), ..) => "stated in the plan".to_owned(),
            (None, Some(tabled), _) => tabled.file.clone(),
            (None, None, true) => "from the source".to_owned(),
            (None, None, false) => "unknown".to_owned(),
        }
    }
}

/// A fact of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tabled {
    /// The cell.
    pub value: String,
    /// The table, as the site names it.
    pub file: String,
    /// The position of the table in the site's `facts`.
    pub entry: usize,
    /// The position of the row in the table.
    pub row: usize,
    /// The position of the cell in the row.
    pub column: usize,
    /// The day from which it is, if that is said.
    pub as_of: Option<Date>,
    /// Days after which the site takes it for old.
    pub max_age: Option<u32>,
}

/// A requirement whose patterns could be read.
#[derive(Clone, Debug)]
pub struct ResolvedRequirement {
    /// As written.
    pub written: Requirement,
    /// Where, as in `require[2]`.
    pub path: String,
    names: Option<Pattern>,
    tags: Vec<(bool, Pattern)>,
}

impl PartialEq for ResolvedRequirement {
    fn eq(&self, other: &Self) -> bool {
        (&self.written, &self.path) == (&other.written, &other.path)
    }
}

impl ResolvedRequirement {
    /// Whether it is about that VM.
    pub fn is_about(&self, key: &VmKey, vm: &Vm) -> bool {
        let Some(when) = &self.written.when else {
            return true;
        };
        when.source
            .as_ref()
            .is_none_or(|source| *source == key.source)
            && when.os.is_none_or(|os| family(vm) == Some(os))
            && self
                .names
                .as_ref()
                .is_none_or(|names| names.holds(vm.name.as_str()))
            && self.tags.iter().all(|(whole, pattern)| {
                vm.tags.iter().any(|tag| {
                    let short = tag.split_once('/').map_or(tag.as_str(), |(_, tag)| tag);
                    pattern.holds(if *whole { tag } else { short })
                })
            })
    }
}

/// The day on which ages and expiries are judged: the one given, or that of the plan's start in the
/// zone of the site's first window that has one.
pub(super) fn day(spec: &PlanSpec, site: &Site<'_>, inventory: &Inventory) -> Option<Date> {
    let zone = || {
        let name = site
            .spec
            .windows
            .iter()
            .find_map(|window| window.every.as_ref())?;
        tz::TimeZoneDatabase::bundled().get(&name.time_zone).ok()
    };
    inventory.knowledge.as_of.or_else(|| {
        let start = spec.start?;
        Some(start.to_zoned(zone().unwrap_or(tz::TimeZone::UTC)).date())
    })
}

/// A day as people write it: `2026-11-20`, or the day of a time.
pub fn read_day(text: &str) -> Option<Date> {
    let text = text.trim();
    text.parse::<Date>()
        .ok()
        .or_else(|| Some(text.parse::<DateTime>().ok()?.date()))
        .or_else(|| {
            Some(
                text.parse::<Timestamp>()
                    .ok()?
                    .to_zoned(tz::TimeZone::UTC)
                    .date(),
            )
        })
}

/// What the source itself says of a VM, in the words of facts: attributes by their names, and what
/// every source knows.
pub fn discovered(vm: &Vm, seen: Option<&Observed>) -> BTreeMap<String, String> {
    let mut facts = vm.attributes.clone();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.entry(name.to_owned()).or_insert(value);
        }
    };
    let os = vm.guest_os.as_ref();
    let power = seen.and_then(|seen| seen.power).map(|power| match power {
        Power::On => "running",
        Power::Off => "stopped",
        Power::Suspended | Power::Paused => "suspended",
        Power::Other => "other",
    });
    add(
        "os",
        os.and_then(|os| os.id.clone().or_else(|| os.family.clone())),
    );
    add("firmware", vm.firmware.clone());
    add("power", power.map(str::to_owned));
    add("tools", seen.and_then(|seen| seen.tools.clone()));
    add("hostname", seen.and_then(|seen| seen.hostname.clone()));
    facts
}

/// Joins the site's tables to VMs, and adds what the plan states.
pub(super) fn join(
    spec: &PlanSpec,
    site: &Site<'_>,
    index: &Index<'_>,
    own: &BTreeMap<VmKey, usize>,
    inventory: &Inventory,
    out: &mut Diagnostics,
) -> Facts {
    let mut facts = Facts::new();
    for (entry, file) in site.spec.facts.iter().enumerate() {
        if let Some(source) = &file.source {
            let place = site.place(&format!("facts[{entry}].source"));
            site.known_source(source, place, out);
        }
        // A table that could not be read is told by who reads files.
        if let Some(table) = inventory.knowledge.tables.get(&file.file) {
            let names = Names::of(index, file);
            Join {
                site,
                file,
                entry,
                table,
                names: &names,
                index,
            }
            .run(&mut facts, out);
        }
    }
    for (key, entry) in own {
        for fact in &spec.machines[*entry].facts {
            let known = facts.entry(key.clone()).or_default();
            known.entry(fact.name.clone()).or_default().stated = Some(fact.value.clone());
        }
    }
    facts
}

/// VMs by name, in lower case.
struct Names<'a>(BTreeMap<String, Vec<VmKey>>, Vec<&'a VmName>);

impl<'a> Names<'a> {
    fn of(index: &Index<'a>, file: &FactsFile) -> Self {
        let (mut names, mut all) = (BTreeMap::<String, Vec<VmKey>>::new(), Vec::new());
        for (source, vms) in index.sources() {
            if file.source.as_ref().is_some_and(|only| only != source) {
                continue;
            }
            for vm in vms.vms() {
                let key = VmKey::new(source.clone(), vm.id.clone());
                names
                    .entry(vm.name.as_str().to_lowercase())
                    .or_default()
                    .push(key);
                all.push(&vm.name);
            }
        }
        Self(names, all)
    }
}

/// One table and what it is joined to.
struct Join<'j, 'a> {
    site: &'j Site<'a>,
    file: &'j FactsFile,
    entry: usize,
    table: &'j FactTable,
    names: &'j Names<'a>,
    index: &'j Index<'a>,
}

impl Join<'_, '_> {
    fn run(&self, facts: &mut Facts, out: &mut Diagnostics) {
        let Some(key) = self.column(&self.file.key, out) else {
            return;
        };
        let dated = self.table.column(AS_OF);
        let of_file = self.table.as_of.as_deref().and_then(read_day);
        let mut rows: BTreeMap<VmKey, usize> = BTreeMap::new();
        let mut unknown: Vec<(usize, String)> = Vec::new();
        for (row, cells) in self.table.rows.iter().enumerate() {
            let text = cells[key].trim();
            let vm = match self.vms(text).as_slice() {
                [] => {
                    unknown.push((row, text.to_owned()));
                    continue;
                }
                [one] => one.clone(),
                several => {
                    let (key_text, vms) = (text.to_owned(), several.to_vec());
                    let problem = Problem::FactsAmbiguous { key: key_text, vms };
                    out.error(self.cell(row, key), problem);
                    continue;
                }
            };
            if let Some(first) = rows.insert(vm.clone(), row) {
                let first = self.table.lines[first];
                out.error(self.cell(row, key), Problem::FactsTwice { vm, first });
                continue;
            }
            let as_of = match dated.map(|column| (column, cells[column].trim())) {
                None | Some((_, "")) => of_file,
                Some((column, text)) => {
                    let day = read_day(text);
                    if day.is_none() {
                        out.error(self.cell(row, column), Problem::BadDay(text.to_owned()));
                    }
                    day
                }
            };
            for (column, value) in cells.iter().enumerate() {
                if column == key || Some(column) == dated || value.trim().is_empty() {
                    continue;
                }
                let known = facts.entry(vm.clone()).or_default();
                // Where several tables know a fact, the one that the site names first counts.
                known
                    .entry(self.table.columns[column].clone())
                    .or_default()
                    .tabled
                    .get_or_insert_with(|| Tabled {
                        value: value.trim().to_owned(),
                        file: self.file.file.clone(),
                        entry: self.entry,
                        row,
                        column,
                        as_of,
                        max_age: self.file.max_age.map(|days| days.0),
                    });
            }
        }
        if let Some((row, first)) = unknown.first() {
            let known = self.names.1.iter().map(|name| name.as_str());
            let problem = Problem::FactsOfUnknown {
                nearest: nearest(first, known),
                keys: unknown.iter().map(|(_, key)| key.clone()).collect(),
            };
            // Tables of other tools know more than one estate.
            out.warning(self.cell(*row, key), problem);
        }
    }

    /// The VMs that a row may mean. Names of other tools differ in case.
    fn vms(&self, text: &str) -> Vec<VmKey> {
        if let Some(source) = &self.file.source {
            let key = VmKey::new(source.clone(), text);
            if self.index.vm(&key).is_some() {
                return vec![key];
            }
        }
        let exact = super::reference::find(text, self.index);
        let exact: Vec<VmKey> = exact
            .into_iter()
            .filter(|key| {
                self.file
                    .source
                    .as_ref()
                    .is_none_or(|only| *only == key.source)
            })
            .collect();
        if exact.is_empty() {
            return self
                .names
                .0
                .get(&text.to_lowercase())
                .cloned()
                .unwrap_or_default();
        }
        exact
    }

    fn column(&self, name: &str, out: &mut Diagnostics) -> Option<usize> {
        let column = self.table.column(name);
        if column.is_none() {
            let problem = Problem::NoColumn {
                file: self.file.file.clone(),
                column: name.to_owned(),
                nearest: nearest(name, self.table.columns.iter().map(String::as_str)),
            };
            let place = self.site.place(&format!("facts[{}].key", self.entry));
            out.error(place, problem);
        }
        column
    }

    fn cell(&self, row: usize, column: usize) -> Place {
        Place {
            file: File::Facts { row, column },
            path: format!("facts[{}]", self.entry),
        }
    }
}

/// Reads the site's requirements.
pub(super) fn requirements(site: &Site<'_>, out: &mut Diagnostics) -> Vec<ResolvedRequirement> {
    let mut read = Vec::new();
    for (i, written) in site.spec.require.iter().enumerate() {
        let path = format!("require[{i}]");
        let mut pattern = |text: &str, field: &str| {
            Pattern::name(text)
                .map_err(|reason| {
                    let place = site.place(&format!("{path}.when.{field}"));
                    let pattern = text.to_owned();
                    out.error(place, Problem::BadPattern { pattern, reason });
                })
                .ok()
        };
        let when = written.when.clone().unwrap_or_default();
        let names = when
            .r#match
            .as_deref()
            .and_then(|text| pattern(text, "match"));
        let tags = when.tags.iter().flatten().enumerate();
        let tags = tags
            .filter_map(|(n, tag)| Some((tag.contains('/'), pattern(tag, &format!("tags[{n}]"))?)))
            .collect();
        if let Some(source) = &when.source {
            let place = site.place(&format!("{path}.when.source"));
            site.known_source(source, place, out);
        }
        read.push(ResolvedRequirement {
            written: written.clone(),
            path: site.place(&path).path,
            names,
            tags,
        });
    }
    read
}

/// Ages and expiries need a day.
pub(super) fn check_day(
    spec: &PlanSpec,
    site: &Site<'_>,
    day: Option<Date>,
    out: &mut Diagnostics,
) {
    if day.is_some() {
        return;
    }
    let plan = |path: String| Place {
        file: File::Plan,
        path,
    };
    let waivers = spec
        .waivers
        .iter()
        .enumerate()
        .filter(|(_, w)| w.expires.is_some());
    let scope = spec
        .out_of_scope
        .iter()
        .enumerate()
        .filter(|(_, o)| o.by.is_some());
    let files = site
        .spec
        .facts
        .iter()
        .enumerate()
        .filter(|(_, f)| f.max_age.is_some());
    let rules = site
        .spec
        .require
        .iter()
        .enumerate()
        .filter(|(_, r)| r.max_age.is_some());
    let first = waivers
        .map(|(i, _)| plan(format!("waivers[{i}].expires")))
        .chain(scope.map(|(i, _)| plan(format!("outOfScope[{i}].by"))))
        .chain(files.map(|(i, _)| site.place(&format!("facts[{i}].maxAge"))))
        .chain(rules.map(|(i, _)| site.place(&format!("require[{i}].maxAge"))))
        .next();
    // One is enough: the way out is the same for all.
    if let Some(place) = first {
        out.error(place, Problem::NoDay);
    }
}
