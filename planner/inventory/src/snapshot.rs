//! Snapshot files: how an inventory is kept in Git, and read again without any connection.
//!
//! `DIR/<name>/` holds `source.json` or `target.json` and one `.jsonl` file a kind, whose first
//! line names its schema. The same inventory gives the same bytes. Each file is written beside its
//! place and moved there, a file that is still right is left untouched, and `source.json` comes
//! last: whoever reads meanwhile sees old or new files, never half of one.

use std::collections::BTreeMap;
use std::io;
use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use schemas::ids::{SourceName, TargetName};
use schemas::inventory::{
    Header, Host, Inventory, LedgerLine, Network, Observed, Rule, SCHEMA, SourceInventory, Storage,
    TargetAbout, TargetClaim, TargetImage, TargetImport, TargetInventory, TargetSource, TargetVm,
    Vm,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Pulled;

const SOURCE: &str = "source.json";
const TARGET: &str = "target.json";

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file or folder.
    #[error("{action} `{path}`")]
    File {
        /// What was attempted: `read`, `write`.
        action: &'static str,
        /// Which one.
        path: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line, or the whole of a `.json` file, is not what the schema says.
    #[error("understand line {line} of `{path}`")]
    Line {
        /// The file.
        path: Utf8PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why not.
        source: serde_json::Error,
    },
    /// Written by a program that this one does not understand.
    #[error("read `{path}`: its schema is `{found}`, not `{SCHEMA}`")]
    Schema {
        /// The file.
        path: Utf8PathBuf,
        /// What its first line says.
        found: String,
    },
    /// The file holds something else than its name says.
    #[error("read `{path}`: its first line says that it holds `{found}`")]
    Kind {
        /// The file.
        path: Utf8PathBuf,
        /// What it says.
        found: String,
    },
    /// Two lines of one id.
    #[error("read `{path}`: it has two lines with the id `{id}`")]
    Duplicate {
        /// The file.
        path: Utf8PathBuf,
        /// The id.
        id: String,
    },
    /// The folder holds no snapshot at all.
    #[error("find a snapshot in `{path}`")]
    Empty {
        /// The folder.
        path: Utf8PathBuf,
    },
}

impl SnapshotError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty { path } => Some(format!(
                "`windrow inventory pull PLAN --out {path}` writes one; a snapshot is a folder \
                 with `{SOURCE}` or `{TARGET}` for each source and target"
            )),
            Self::Schema { .. }
            | Self::Kind { .. }
            | Self::Line { .. }
            | Self::Duplicate { .. } => {
                Some("pull it again with this version of windrow".to_owned())
            }
            Self::File { .. } => None,
        }
    }
}

/// Writes a source's snapshot to `dir/<name>/` and gives the files that changed.
pub fn write_source(
    dir: &Utf8Path,
    name: &SourceName,
    inventory: &SourceInventory,
) -> Result<Vec<Utf8PathBuf>, SnapshotError> {
    let vms = inventory.vms.iter().map(Row::Object);
    let observed = inventory.observed.values().map(Row::Object);
    write_files(dir, name, inventory, vms, observed)
}

/// The same of what was just read.
pub fn write_pulled(
    dir: &Utf8Path,
    name: &SourceName,
    pulled: &Pulled,
) -> Result<Vec<Utf8PathBuf>, SnapshotError> {
    let (inventory, kept) = (pulled.part(), pulled.kept());
    let vms = inventory.vms.iter();
    let vms = vms.map(|vm| (vm.id.as_str(), Row::Object(vm)));
    let kept_vms = kept
        .iter()
        .map(|kept| (kept.id.as_str(), Row::Text(kept.vm())));
    let observed = inventory.observed.iter();
    let observed = observed.map(|(id, observed)| (id.as_str(), Row::Object(observed)));
    let kept_observed = kept.iter();
    let kept_observed = kept_observed.map(|kept| (kept.id.as_str(), Row::Text(kept.observed())));
    let vms = sorted(vms.chain(kept_vms));
    let observed = sorted(observed.chain(kept_observed));
    write_files(dir, name, inventory, vms, observed)
}

fn sorted<'a, T>(
    rows: impl Iterator<Item = (&'a str, Row<'a, T>)>,
) -> impl Iterator<Item = Row<'a, T>>
where
    T: 'a,
{
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|(id, _)| *id);
    rows.into_iter().map(|(_, row)| row)
}

fn write_files<'a>(
    dir: &Utf8Path,
    name: &SourceName,
    inventory: &'a SourceInventory,
    vms: impl Iterator<Item = Row<'a, Vm>>,
    observed: impl Iterator<Item = Row<'a, Observed>>,
) -> Result<Vec<Utf8PathBuf>, SnapshotError> {
    let mut folder = Folder::create(dir.join(name.as_str()))?;
    folder.rows("vms", vms)?;
    folder.lines("networks", &inventory.networks)?;
    folder.lines("storage", &inventory.storage)?;
    folder.lines("hosts", &inventory.hosts)?;
    folder.lines("rules", &inventory.rules)?;
    folder.rows("observed", observed)?;
    folder.object(SOURCE, &inventory.about)?;
    Ok(folder.changed)
}

/// Writes a target's snapshot to `dir/<name>/` and gives the files that changed.
pub fn write_target(
    dir: &Utf8Path,
    name: &TargetName,
    inventory: &TargetInventory,
) -> Result<Vec<Utf8PathBuf>, SnapshotError> {
    let mut folder = Folder::create(dir.join(name.as_str()))?;
    folder.lines("vms", &inventory.vms)?;
    folder.lines("images", &inventory.images)?;
    folder.lines("claims", &inventory.claims)?;
    folder.lines("imports", &inventory.imports)?;
    folder.lines("sources", &inventory.sources)?;
    folder.lines("ledger", &inventory.ledger)?;
    folder.object(TARGET, &inventory.about)?;
    Ok(folder.changed)
}

/// Reads all snapshots in `dir`: each folder with a `source.json` or `target.json`.
pub fn read(dir: &Utf8Path) -> Result<Inventory, SnapshotError> {
    let failed = |source| SnapshotError::File {
        action: "read",
        path: dir.to_owned(),
        source,
    };
    let mut inventory = Inventory::default();
    for entry in dir.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (folder, name) = (entry.path(), entry.file_name());
        if folder.join(SOURCE).is_file() {
            inventory
                .sources
                .insert(SourceName::from(name), read_source(folder)?);
        }
        if folder.join(TARGET).is_file() {
            inventory
                .targets
                .insert(TargetName::from(name), read_target(folder)?);
        }
    }
    if inventory == Inventory::default() {
        return Err(SnapshotError::Empty {
            path: dir.to_owned(),
        });
    }
    Ok(inventory)
}

/// Reads the snapshot that `folder` itself is; `None` if it is none.
pub fn read_one(folder: &Utf8Path) -> Result<Option<Inventory>, SnapshotError> {
    let name = folder.file_name().unwrap_or_default();
    let mut inventory = Inventory::default();
    if folder.join(SOURCE).is_file() {
        let source = read_source(folder)?;
        inventory.sources.insert(SourceName::from(name), source);
    }
    if folder.join(TARGET).is_file() {
        let target = read_target(folder)?;
        inventory.targets.insert(TargetName::from(name), target);
    }
    Ok((inventory != Inventory::default()).then_some(inventory))
}

/// Reads what a target's snapshot in `folder` says of the cluster as a whole.
pub fn read_about(folder: &Utf8Path) -> Result<TargetAbout, SnapshotError> {
    read_object(&folder.join(TARGET))
}

fn read_source(folder: &Utf8Path) -> Result<SourceInventory, SnapshotError> {
    Ok(SourceInventory {
        about: read_object(&folder.join(SOURCE))?,
        vms: read_lines(folder, "vms", |vm: &Vm| vm.id.as_str())?,
        networks: read_lines(folder, "networks", |network: &Network| &network.id)?,
        storage: read_lines(folder, "storage", |storage: &Storage| &storage.id)?,
        hosts: read_lines(folder, "hosts", |host: &Host| &host.id)?,
        rules: read_lines(folder, "rules", |rule: &Rule| &rule.id)?,
        observed: read_lines(folder, "observed", |observed: &Observed| &observed.id)?
            .into_iter()
            .map(|observed| (observed.id.clone(), observed))
            .collect(),
    })
}

fn read_target(folder: &Utf8Path) -> Result<TargetInventory, SnapshotError> {
    Ok(TargetInventory {
        about: read_object(&folder.join(TARGET))?,
        vms: read_lines(folder, "vms", |vm: &TargetVm| &vm.id)?,
        images: read_lines(folder, "images", |image: &TargetImage| &image.id)?,
        claims: read_lines(folder, "claims", |claim: &TargetClaim| &claim.id)?,
        imports: read_lines(folder, "imports", |import: &TargetImport| &import.id)?,
        sources: read_lines(folder, "sources", |source: &TargetSource| &source.id)?,
        ledger: read_lines(folder, "ledger", |line: &LedgerLine| &line.id)?,
    })
}

/// A line to be.
enum Row<'a, T> {
    Object(&'a T),
    /// As it was written before, without the line's end.
    Text(&'a str),
}

/// A folder being written, and what changed in it.
struct Folder {
    path: Utf8PathBuf,
    changed: Vec<Utf8PathBuf>,
}

impl Folder {
    fn create(path: Utf8PathBuf) -> Result<Self, SnapshotError> {
        std::fs::create_dir_all(&path).map_err(|source| SnapshotError::File {
            action: "write",
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            path,
            changed: Vec::new(),
        })
    }

    /// `<kind>.jsonl`.
    fn lines<T: Serialize>(&mut self, kind: &str, lines: &[T]) -> Result<(), SnapshotError> {
        self.rows(kind, lines.iter().map(Row::Object))
    }

    /// The same, of which some may be written already.
    fn rows<'a, T: Serialize + 'a>(
        &mut self,
        kind: &str,
        rows: impl Iterator<Item = Row<'a, T>>,
    ) -> Result<(), SnapshotError> {
        let header = Header {
            schema: SCHEMA.to_owned(),
            kind: kind.to_owned(),
        };
        let mut bytes = Vec::new();
        line(&mut bytes, &header);
        for row in rows {
            match row {
                Row::Object(object) => line(&mut bytes, object),
                Row::Text(text) => {
                    bytes.extend_from_slice(text.as_bytes());
                    bytes.push(b'\n');
                }
            }
        }
        self.file(&format!("{kind}.jsonl"), &bytes)
    }

    /// One object, indented for people.
    fn object<T: Serialize>(&mut self, name: &str, object: &T) -> Result<(), SnapshotError> {
        let mut bytes = serde_json::to_vec_pretty(object).expect(SERIALIZES);
        bytes.push(b'\n');
        self.file(name, &bytes)
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), SnapshotError> {
        let path = self.path.join(name);
        if std::fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let beside = self.path.join(format!(".{name}.{}", std::process::id()));
        let written = std::fs::File::create(&beside)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&beside, &path));
        if let Err(source) = written {
            // Best effort: the error that matters is the one above.
            let _ = std::fs::remove_file(&beside);
            return Err(SnapshotError::File {
                action: "write",
                path,
                source,
            });
        }
        self.changed.push(path);
        Ok(())
    }
}

const SERIALIZES: &str = "snapshot types have text keys and no fallible serializer";

fn line<T: Serialize>(bytes: &mut Vec<u8>, object: &T) {
    serde_json::to_writer(&mut *bytes, object).expect(SERIALIZES);
    bytes.push(b'\n');
}

fn read_object<T: DeserializeOwned>(path: &Utf8Path) -> Result<T, SnapshotError> {
    let bytes = std::fs::read(path).map_err(|source| SnapshotError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let failed = |source: serde_json::Error| SnapshotError::Line {
        path: path.to_owned(),
        line: source.line(),
        source,
    };
    let object: serde_json::Value = serde_json::from_slice(&bytes).map_err(failed)?;
    check_schema(path, object["schema"].as_str().unwrap_or_default())?;
    // From the bytes once more: only so do errors name their line.
    serde_json::from_slice(&bytes).map_err(failed)
}

/// The lines of `<kind>.jsonl`, sorted by id. A file that is not there has none: `observed.jsonl`
/// need not be in Git, and not every source has hosts.
fn read_lines<T: DeserializeOwned>(
    folder: &Utf8Path,
    kind: &str,
    id: impl for<'a> Fn(&'a T) -> &'a str,
) -> Result<Vec<T>, SnapshotError> {
    let path = folder.join(format!("{kind}.jsonl"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(SnapshotError::File {
                action: "read",
                path,
                source,
            });
        }
    };
    let parse_failed = |line: usize| {
        let path = path.clone();
        move |source| SnapshotError::Line { path, line, source }
    };
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let (_, first) = lines.next().unwrap_or((1, ""));
    let header: Header = serde_json::from_str(first).map_err(parse_failed(1))?;
    check_schema(&path, &header.schema)?;
    if header.kind != kind {
        return Err(SnapshotError::Kind {
            path,
            found: header.kind,
        });
    }
    let mut objects = BTreeMap::new();
    for (number, line) in lines {
        let object: T = serde_json::from_str(line).map_err(parse_failed(number))?;
        let id = id(&object).to_owned();
        if objects.contains_key(&id) {
            return Err(SnapshotError::Duplicate { path, id });
        }
        objects.insert(id, object);
    }
    Ok(objects.into_values().collect())
}

fn check_schema(path: &Utf8Path, found: &str) -> Result<(), SnapshotError> {
    if found == SCHEMA {
        return Ok(());
    }
    Err(SnapshotError::Schema {
        path: path.to_owned(),
        found: found.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use schemas::inventory::{Power, SourceAbout, SourceKind};

    use super::*;

    fn inventory(power: Power) -> SourceInventory {
        let about = SourceAbout {
            instance: Some("p1".to_owned()),
            region: Some("RegionOne".to_owned()),
            user: Some("planner".to_owned()),
            ..SourceAbout::new(SourceKind::Openstack, "http://keystone.example/v3", "plain")
        };
        let vm = |id: &str| Vm {
            id: id.into(),
            name: "web \"1\"\n".into(),
            ..Vm::default()
        };
        let observed = Observed {
            id: "a".to_owned(),
            power: Some(power),
            ..Observed::default()
        };
        SourceInventory {
            vms: vec![vm("a"), vm("b")],
            observed: [("a".to_owned(), observed)].into(),
            ..SourceInventory::new(about)
        }
    }

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        (folder, path)
    }

    // What is written is read back as it was; writing it again touches nothing; a change touches
    // the file that it is in, and nothing is left beside the files.
    #[test]
    fn round_trip() {
        let (_keep, dir) = folder();
        let name = SourceName::from("cloud");
        let before = inventory(Power::On);
        assert_eq!(
            write_source(&dir, &name, &before).expect("written").len(),
            7
        );
        assert_eq!(read(&dir).expect("read").sources[&name], before);
        assert_eq!(
            write_source(&dir, &name, &before).expect("written"),
            Vec::<Utf8PathBuf>::new()
        );
        let changed = write_source(&dir, &name, &inventory(Power::Off)).expect("written");
        assert_eq!(changed, [dir.join("cloud/observed.jsonl")]);
        assert_eq!(dir.join("cloud").read_dir_utf8().expect("there").count(), 7);
    }

    // A broken file is named with its line; another schema or kind is said as such.
    #[test]
    fn broken_files() {
        let (_keep, dir) = folder();
        write_source(&dir, &"cloud".into(), &inventory(Power::On)).expect("written");
        let path = dir.join("cloud/vms.jsonl");
        let good = std::fs::read_to_string(&path).expect("read");
        let fails = |text: &str| {
            std::fs::write(&path, text).expect("written");
            read(&dir).expect_err("broken")
        };
        let cut = fails(&good[..good.len() - 3]);
        assert!(
            matches!(cut, SnapshotError::Line { line: 3, .. }),
            "{cut:?}"
        );
        let newer = fails(&good.replace("inventory/1", "inventory/2"));
        assert!(matches!(newer, SnapshotError::Schema { .. }), "{newer:?}");
        let other = fails(&good.replace("\"vms\"", "\"hosts\""));
        assert!(matches!(other, SnapshotError::Kind { .. }), "{other:?}");
        let twice = fails(&good.replace("\"id\":\"b\"", "\"id\":\"a\""));
        assert!(
            matches!(twice, SnapshotError::Duplicate { .. }),
            "{twice:?}"
        );
        assert!(matches!(fails(""), SnapshotError::Line { line: 1, .. }));
    }

    // A folder without snapshots is no empty inventory: a plan over it would move nothing.
    #[test]
    fn empty_folder() {
        let (_keep, dir) = folder();
        assert!(matches!(read(&dir), Err(SnapshotError::Empty { .. })));
        assert!(matches!(
            read(&dir.join("none")),
            Err(SnapshotError::File { .. })
        ));
    }
}
