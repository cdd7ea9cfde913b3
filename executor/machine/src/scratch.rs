//! The engine's scratch: who may hold how much of it (engine.md §3).
//!
//! Counted by the worst case of each import, never by what happens to be free: an export that runs
//! out of room fails after its guest was switched off (S01).

use std::collections::BTreeSet;

use schemas::machine::Stage;
use schemas::units::Bytes;
use schemas::upstream::{DiskInfo, condition};

use crate::ledger::{self, Entry, Ledger};
use crate::observed::{Import, Observed, Record};

/// What all imports together may hold: those of the ledger, and everybody else's.
pub(crate) fn held(ledger: &Ledger<'_>, observed: &Observed) -> Bytes {
    let files = observed.scratch_files.as_ref();
    let own = ledger.entries.values().map(|e| held_by(e, files));
    let others = observed.imports.iter();
    let others = others
        .filter(|(at, import)| !ledger.owns(at, import))
        .map(|(_, import)| held_by_foreign(import, files));
    own.chain(others).sum()
}

/// Whether a listing of the scratch would tell more than the objects do: something is over that may
/// have left files behind.
pub(crate) fn wants_listing(observed: &Observed) -> bool {
    let is_over = |import: &Import| {
        let status = &import.status;
        status.import_status.is_final()
            && (status.has(condition::POWERED_OFF) || !status.disk_import_status.is_empty())
    };
    let failed = |record: &Record| {
        let stage = record.status.as_ref().map(|status| status.stage);
        matches!(stage, Some(Stage::Failed | Stage::Held))
    };
    observed.imports.values().any(is_over) || observed.records.values().any(failed)
}

/// What somebody else's import holds, as far as it says so itself: the sizes of its exported disks,
/// until its end; afterwards those of the files that are still listed. One that is not exported yet
/// says nothing, and keeps ours from being created anyway.
fn held_by_foreign(import: &Import, files: Option<&BTreeSet<String>>) -> Bytes {
    let status = &import.status;
    let is_there = |disk: &DiskInfo| {
        if status.import_status.is_final() {
            files.is_some_and(|files| files.contains(&disk.disk_name))
        } else {
            ledger::is_exported(status)
        }
    };
    // The engine writes GiB for OpenStack, bytes for the others (`DiskInfo::disk_size`).
    let is_openstack = import.spec.source_cluster.kind == "OpenstackSource";
    let unit = if is_openstack { 1 << 30 } else { 1 };
    let disks = status.disk_import_status.iter();
    disks
        .filter(|disk| is_there(disk))
        .map(|disk| u64::try_from(disk.disk_size).unwrap_or(0))
        .map(|size| Bytes(size.saturating_mul(unit)))
        .sum()
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
    use crate::At;
    use crate::fixture::{import_at, observed, open, put_import, record};

    fn held_gib(observed: &Observed, files: Option<&[&str]>) -> u64 {
        let mut observed = observed.clone();
        observed.scratch_files = files.map(|f| f.iter().map(|f| (*f).to_owned()).collect());
        held(&Ledger::new(&observed), &observed).0 >> 30
    }

    // Somebody else's disks count while they are there, in the unit that the engine writes.
    #[test]
    fn foreign() {
        let exported = [condition::POWERED_OFF, condition::EXPORTED];
        let theirs = |vm: &str, size: i64, state: ImportState| {
            let mut picture = observed();
            put_import(&mut picture, vm, state, &exported);
            let mut import = picture.imports.remove(&import_at(vm, 1)).unwrap();
            import.machine = None;
            import.status.disk_import_status = vec![DiskInfo {
                disk_name: "theirs-0.img".to_owned(),
                disk_size: size,
                ..DiskInfo::default()
            }];
            picture.imports.insert(At::new("other", "theirs"), import);
            picture
        };
        let picture = theirs("db", 5 << 30, ImportState::DiskImagesReady);
        assert_eq!(held_gib(&picture, None), 5);
        assert!(!wants_listing(&picture));
        let picture = theirs("web", 7, ImportState::DisksExported);
        assert_eq!(held_gib(&picture, Some(&[])), 7);
        let picture = theirs("db", 5 << 30, ImportState::MigrationFailed);
        assert!(wants_listing(&picture));
        assert_eq!(held_gib(&picture, Some(&["theirs-0.img"])), 5);
        assert_eq!(held_gib(&picture, Some(&["another.img"])), 0);
        let picture = theirs("db", -1, ImportState::DiskImagesReady);
        assert_eq!(held_gib(&picture, None), 0);
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
