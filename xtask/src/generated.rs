//! `cargo xtask gen`: the files that are made from the code, checked in so that people and tools
//! can read them without building.
//!
//! - `deploy/crds/*.yaml`: the custom resource definitions;
//! - `schemas/json/*.schema.json`: JSON Schemas for editors;
//! - `docs/findings/*.md`: a page for each code that `windrow plan` reports; the end of
//!   `docs/hazards.md`: where each hazard is met;
//! - `clippy.toml` in every crate's folder (see [`crate::clippy`]).

#![expect(clippy::print_stderr, reason = "what it has to say")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, Result};
use planner::check::table::{self, CHECKS};
use planner::check::{catalogue, shown};
use schemas::crd;

use crate::clippy;

/// Write the generated files: CRDs, JSON Schemas, pages of findings, each crate's clippy.toml
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write nothing; fail if a file is not what would be written
    #[arg(long)]
    pub check: bool,
}

/// Folders whose files of these endings are all generated: others there are stale.
const OWNED: [(&str, &str); 3] = [
    ("deploy/crds", ".yaml"),
    ("schemas/json", ".schema.json"),
    (FINDINGS, ".md"),
];

/// Where the pages of findings are.
const FINDINGS: &str = "docs/findings";

/// Writes or checks; false if something is stale.
pub fn run(root: &Path, arguments: &Arguments) -> Result<bool> {
    let wanted = files();
    let mut stale = Vec::new();
    for (path, text) in &wanted {
        let full = root.join(path);
        match fs::read_to_string(&full) {
            Ok(found) if found == *text => continue,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("read {}", full.display())),
        }
        stale.push(path.clone());
        if !arguments.check {
            let folder = full.parent().context("a file is in a folder")?;
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(&full, text))
                .with_context(|| format!("write {}", full.display()))?;
        }
    }
    for path in left_over(root, &wanted)? {
        if !arguments.check {
            fs::remove_file(root.join(&path))?;
        }
        stale.push(path);
    }
    for path in &stale {
        let what = if arguments.check { "stale" } else { "wrote" };
        eprintln!("{what} {}", path.display());
    }
    if arguments.check && !stale.is_empty() {
        eprintln!("run `cargo xtask gen`");
    }
    Ok(!arguments.check || stale.is_empty())
}

/// Every generated file, by its path from the root.
fn files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for crd in crd::all() {
        let path = Path::new("deploy/crds").join(format!("{}.yaml", crd.spec.names.plural));
        files.insert(path, crd::manifests([&crd]));
    }
    for (kind, schema) in crd::json_schemas() {
        let path = Path::new("schemas/json").join(crd::schema_file_name(&kind));
        files.insert(path, format!("{schema:#}\n"));
    }
    for check in CHECKS {
        let page = table::page(check.code).expect("every check of the table has a page");
        files.insert(Path::new(FINDINGS).join(format!("{}.md", check.code)), page);
    }
    files.insert(Path::new(FINDINGS).join("README.md"), findings_index());
    files.insert(PathBuf::from("docs/hazards.md"), hazards());
    for (folder, text) in clippy::files() {
        files.insert(Path::new(folder).join("clippy.toml"), text);
    }
    files
}

/// The catalogue of hazards as it was written, and behind it which were shown and where each is met.
fn hazards() -> String {
    let shown = shown::section();
    let title = shown.lines().next().expect("it has a title");
    let written = include_str!("../../docs/hazards.md");
    let written = written.split(title).next().unwrap_or(written);
    format!(
        "{}\n\n{shown}\n{}",
        written.trim_end(),
        catalogue::section()
    )
}

/// All findings, a line each.
fn findings_index() -> String {
    let mut page = String::from(
        "# Findings\n\nWhat `windrow plan` finds before a guest is switched off, by code. The engine's hazards have \
         the ids of\n`../hazards.md`, our own begin with `WR`.\n\n| code | a VM, source or target that |\n|---|---|\n",
    );
    for check in CHECKS {
        let (code, title) = (check.code, check.title);
        writeln!(page, "| [{code}]({code}.md) | {title} |").expect("writing to a string");
    }
    page
}

/// Files in the owned folders that are no longer generated.
fn left_over(root: &Path, wanted: &BTreeMap<PathBuf, String>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for (folder, ending) in OWNED {
        let entries = match fs::read_dir(root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("read {folder}")),
        };
        for entry in entries {
            let path = Path::new(folder).join(entry?.file_name());
            let owned = path.to_str().is_some_and(|path| path.ends_with(ending));
            if owned && !wanted.contains_key(&path) {
                found.push(path);
            }
        }
    }
    Ok(found)
}
