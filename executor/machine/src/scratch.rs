//! The engine's scratch: who may hold how much of it (engine.md §3).
//!
//! Counted by the worst case of each import, never by what happens to be free: an export that runs
//! out of room fails after its guest was switched off (S01).

use std::collections::BTreeSet;

use schemas::machine::Stage;
use schemas::units::Bytes;
use schemas::upstream::condition;

use crate::ledger::{self, Entry, Ledger};

/// What all imports of the ledger together may hold.
pub(crate) fn held(ledger: &Ledger<'_>, files: Option<&BTreeSet<String>>) -> Bytes {
    let entries = ledger.entries.values();
    entries.map(|entry| held_by(entry, files)).sum()
}

/// What the import of `entry` may hold: its peak until it is exported, then what stays until the
/// object is gone. Its end is no earlier sign: the engine tidies up after `virtualMachineRunning`
/// only when its worker comes round again, and at the latest when it lets the object go.
pub(crate) fn held_by(entry: &Entry<'_>, files: Option<&BTreeSet<String>>) -> Bytes {
    let size = &entry.record.spec.size;
    let Some(import) = entry.own_import() else {
        return match entry.stage() {
            _ if entry.is_open() => size.peak.0,
            // Gone, but the engine may have left files behind (S04, L03): only a listing tells.
            Stage::Failed | Stage::Held if files.is_some_and(|f| has_files(entry, f)) => {
                size.resident.0
            }
            _ => Bytes(0),
        };
    };
    let status = &import.status;
    if !status.import_status.is_final() {
        return if ledger::is_exported(status) {
            size.resident.0
        } else {
            size.peak.0
        };
    }
    // It never came to an export: there is nothing of it.
    let began = status.has(condition::POWERED_OFF) || ledger::is_exported(status);
    if !began || files.is_some_and(|f| !has_files(entry, f)) {
        return Bytes(0);
    }
    size.resident.0
}

/// Whether one of `files` may be of this import. By the engine's naming (engine.md §6): VMware's
/// begin with import and namespace, OpenStack's and OVA's with the machine's name; what another
/// machine of a longer name holds is counted too, rather than missed.
fn has_files(entry: &Entry<'_>, files: &BTreeSet<String>) -> bool {
    let spec = &entry.record.spec;
    let by_import = format!("{}-{}-", spec.attempt.import, spec.namespace);
    let by_machine = format!("{}-", spec.machine);
    let archive = format!("{}.ova", spec.machine);
    let listed = |file: &str| {
        entry.own_import().is_some_and(|i| {
            i.status
                .disk_import_status
                .iter()
                .any(|d| d.disk_name == *file)
        })
    };
    files.iter().any(|file| {
        file.starts_with(&by_import)
            || file.starts_with(&by_machine)
            || *file == archive
            || listed(file)
    })
}

#[cfg(test)]
mod tests {
    use schemas::machine::Times;
    use schemas::upstream::ImportState;

    use super::*;
    use crate::Observed;
    use crate::fixture::{observed, open, put_import, record};

    fn held_gib(observed: &Observed, files: Option<&[&str]>) -> u64 {
        let files = files.map(|f| f.iter().map(|f| (*f).to_owned()).collect());
        held(&Ledger::new(observed), files.as_ref()).0 >> 30
    }

    // Peak until exported, then what stays, until the object is gone.
    #[test]
    fn while_it_is_under_way() {
        let mut picture = observed();
        open(&mut picture, "db");
        assert_eq!(held_gib(&picture, None), 30);
        put_import(&mut picture, "db", ImportState::New, &[]);
        assert_eq!(held_gib(&picture, None), 30);
        let exported = [condition::POWERED_OFF, condition::EXPORTED];
        put_import(&mut picture, "db", ImportState::DisksExported, &exported);
        assert_eq!(held_gib(&picture, None), 20);
        let running = ImportState::VirtualMachineRunning;
        put_import(&mut picture, "db", running, &exported);
        assert_eq!(held_gib(&picture, None), 20);
        assert_eq!(held_gib(&picture, Some(&["other-0.img"])), 0);
        record(&mut picture, "db", Stage::Running, Times::default());
        picture.imports.clear();
        assert_eq!(held_gib(&picture, None), 0);
    }

    // What failed holds its files until a listing says otherwise; what never began holds none.
    #[test]
    fn after_a_failure() {
        let mut picture = observed();
        record(&mut picture, "old", Stage::Failed, Times::default());
        let off = [condition::POWERED_OFF];
        put_import(&mut picture, "old", ImportState::MigrationFailed, &off);
        assert_eq!(held_gib(&picture, None), 20);
        assert_eq!(held_gib(&picture, Some(&[])), 0);
        for file in ["old-disk0.img", "old.ova", "w0000000f1-erp-disk-0.img"] {
            assert_eq!(held_gib(&picture, Some(&[file])), 20, "{file}");
        }
        put_import(&mut picture, "old", ImportState::Invalid, &[]);
        assert_eq!(held_gib(&picture, None), 0);
        // Deleted by hand, but its files were left (S04).
        picture.imports.clear();
        assert_eq!(held_gib(&picture, None), 0);
        assert_eq!(held_gib(&picture, Some(&["old-disk0.img"])), 20);
    }
}
