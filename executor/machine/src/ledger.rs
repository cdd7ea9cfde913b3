//! The ledger joined with what is in the cluster: each record with its import and images.
//!
//! Takes the picture and answers the questions that all other modules ask of it. Decides nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::ids::{ObjectName, VmKey};
use schemas::machine::{MachineStatus, Stage};
use schemas::upstream::{ImportState, VirtualMachineImportStatus, condition};

use crate::observed::{At, Image, Import, Observed, Record};

/// A record with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    pub at: &'a At,
    pub record: &'a Record,
    /// What was seen of the attempt under way; blank where that was of an earlier one.
    pub status: MachineStatus,
    /// Where its import is, or is to be.
    pub import_at: At,
    /// What is there, whosever it is.
    pub import: Option<&'a Import>,
    /// The images that the import speaks of, as far as they are there.
    pub images: Vec<(At, &'a Image)>,
}

impl<'a> Entry<'a> {
    fn new(at: &'a At, record: &'a Record, observed: &'a Observed) -> Self {
        let attempt = &record.spec.attempt;
        let import_at = At::new(record.spec.namespace.clone(), attempt.import.clone());
        let import = observed.imports.get(&import_at);
        let status = record
            .status
            .clone()
            .filter(|status| status.attempt == attempt.number)
            .unwrap_or_else(|| MachineStatus {
                attempt: attempt.number,
                ..MachineStatus::default()
            });
        let images = import.map_or_else(Vec::new, |import| images(&import_at, import, observed));
        Self {
            at,
            record,
            status,
            import_at,
            import,
            images,
        }
    }

    pub fn vm(&self) -> &'a VmKey {
        &self.record.spec.vm
    }

    pub fn stage(&self) -> Stage {
        self.status.stage
    }

    /// The attempt is under way: neither ended nor taken back.
    pub fn is_active(&self) -> bool {
        !self.stage().is_final() && self.stage() != Stage::Withdrawn
    }

    /// The attempt is open, and its import not there and never seen.
    pub fn is_open(&self) -> bool {
        self.stage() == Stage::Admitted && self.status.uid.is_none() && self.import.is_none()
    }

    /// The import that is there bears this record's and this attempt's mark. A mark does not say
    /// in which namespace its record is, but its source is beside it.
    pub fn is_marked(&self) -> bool {
        self.import.is_some_and(|import| {
            import.machine.as_ref() == Some(&self.at.name)
                && self.at.namespace == *import.spec.source_cluster.namespace.as_str()
                && import.attempt == Some(self.record.spec.attempt.number)
        })
    }

    /// Its import, if the one that is there is the one that was recorded, or bears our mark where
    /// none was.
    pub fn own_import(&self) -> Option<&'a Import> {
        self.import.filter(|import| match &self.status.uid {
            Some(uid) => *uid == import.uid,
            None => self.is_marked(),
        })
    }

    /// Its import is there or about to be: what must not run beside it has to wait.
    pub fn is_under_way(&self) -> bool {
        self.own_import().is_some() || self.is_open()
    }
}

/// All records.
#[derive(Clone, Debug)]
pub(crate) struct Ledger<'a> {
    pub entries: BTreeMap<&'a At, Entry<'a>>,
    by_id: BTreeMap<&'a str, Vec<&'a At>>,
    imports_by_record: BTreeMap<&'a ObjectName, Vec<&'a At>>,
}

impl<'a> Ledger<'a> {
    pub fn new(observed: &'a Observed) -> Self {
        let mut ledger = Self {
            entries: BTreeMap::new(),
            by_id: BTreeMap::new(),
            imports_by_record: BTreeMap::new(),
        };
        for (at, record) in &observed.records {
            ledger.entries.insert(at, Entry::new(at, record, observed));
            ledger.by_id.entry(id(&at.name)).or_default().push(at);
        }
        for (at, import) in &observed.imports {
            if let Some(record) = &import.machine {
                ledger.imports_by_record.entry(record).or_default().push(at);
            }
        }
        ledger
    }

    /// The record at `at`.
    pub fn get(&self, at: &At) -> Option<&Entry<'a>> {
        self.entries.get(at)
    }

    /// A record of the same machine in another place: another plan moves it, or has, or it was
    /// renamed at its source since.
    pub fn elsewhere(&self, at: &At) -> Option<&Entry<'a>> {
        let places = self.by_id.get(id(&at.name))?;
        let other = places.iter().find(|place| **place != at)?;
        self.entries.get(other)
    }

    /// Where imports are that bear the mark of a record of this name.
    pub fn imports_of(&self, record: &ObjectName) -> &[&'a At] {
        self.imports_by_record
            .get(record)
            .map_or(&[], Vec::as_slice)
    }

    /// Whether the import at `at` is one of a record's: not one that came after it, whatever mark
    /// that bears.
    pub fn owns(&self, at: &At, import: &Import) -> bool {
        import.machine.as_ref().is_some_and(|record| {
            let places = self.by_id.get(id(record)).map_or(&[][..], Vec::as_slice);
            places
                .iter()
                .filter_map(|place| self.entries.get(place))
                .filter(|entry| entry.at.name == *record && entry.import_at == *at)
                .any(|entry| entry.own_import().is_some())
        })
    }
}

/// What a record's name ends with, for ever; what comes before is the VM's name, which may change.
fn id(record: &ObjectName) -> &str {
    record.as_str().rsplit('-').next().unwrap_or_default()
}

/// The images that an import speaks of; they are in its namespace.
fn images<'a>(at: &At, import: &Import, observed: &'a Observed) -> Vec<(At, &'a Image)> {
    let disks = import.status.disk_import_status.iter();
    disks
        .filter_map(|disk| disk.virtual_machine_image.as_deref())
        .map(|name| match name.split_once('/') {
            Some((namespace, name)) => At::new(namespace, name),
            None => At::new(at.namespace.clone(), name),
        })
        .filter_map(|at| observed.images.get(&at).map(|image| (at, image)))
        .collect()
}

/// How far an import is, by its literal state and conditions (engine.md §2). Conditions are
/// cumulative, so the furthest one tells, also under a state that this program does not know.
pub(crate) fn reached(status: &VirtualMachineImportStatus) -> Stage {
    match status.import_status {
        ImportState::VirtualMachineRunning => Stage::Running,
        ImportState::Invalid | ImportState::MigrationFailed => Stage::Failed,
        ImportState::VirtualMachineCreated => Stage::Booting,
        _ if is_exported(status) => Stage::Imaging,
        _ if status.has(condition::POWERED_OFF) => Stage::Exporting,
        _ if is_shutting_down(status) => Stage::ShuttingDown,
        _ => Stage::Admitted,
    }
}

/// Its disks are copied.
pub(crate) fn is_exported(status: &VirtualMachineImportStatus) -> bool {
    status.has(condition::EXPORTED)
        || matches!(
            status.import_status,
            ImportState::DisksExported
                | ImportState::DiskImageSubmitted
                | ImportState::DiskImageFailed
                | ImportState::DiskImagesReady
                | ImportState::VirtualMachineCreated
                | ImportState::VirtualMachineRunning
        )
}

fn is_shutting_down(status: &VirtualMachineImportStatus) -> bool {
    status.has(condition::SHUTDOWN_GUEST) || status.has(condition::POWERING_OFF)
}

/// The worker is at its export: nothing else moves (engine.md §1, fact 1).
pub(crate) fn is_exporting(status: &VirtualMachineImportStatus) -> bool {
    reached(status) == Stage::Exporting
}

/// The engine has not done anything to the source: its guest was not even asked to shut down.
pub(crate) fn is_source_untouched(status: &VirtualMachineImportStatus) -> bool {
    !status.import_status.is_final() && reached(status) == Stage::Admitted
}

/// When the engine says that `name` came true, if it says so in a way that can be read.
pub(crate) fn condition_time(
    conditions: &[schemas::upstream::EngineCondition],
    name: &str,
) -> Option<Timestamp> {
    let condition = conditions
        .iter()
        .find(|c| c.r#type == name && c.status == "True")?;
    condition.last_transition_time.as_deref()?.parse().ok()
}
