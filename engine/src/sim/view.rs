//! What can be seen of an import: the status that the engine writes, and what is true in the world
//! whether the engine has noticed it or not.

use std::sync::Arc;

use schemas::upstream::{
    DiskInfo, EngineCondition, ImportState, VirtualMachineImportStatus, condition,
};

use crate::import::{Guest, ImportSpec};
use crate::time::Millis;

use super::ImportId;

/// Conditions of an import, in the order in which they are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The guest was asked to shut down; also where there is nothing to do (measured §2, §8).
    ShutdownGuest,
    /// VMware: the graceful timeout is over and the power is cut.
    PoweringOff,
    /// The engine has seen the guest off.
    PoweredOff,
    /// The disks are in the scratch.
    Exported,
    /// The export broke off.
    ExportFailed,
}

impl Condition {
    /// The engine's own name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ShutdownGuest => condition::SHUTDOWN_GUEST,
            Self::PoweringOff => condition::POWERING_OFF,
            Self::PoweredOff => condition::POWERED_OFF,
            Self::Exported => condition::EXPORTED,
            Self::ExportFailed => condition::EXPORT_FAILED,
        }
    }
}

/// How far a disk image in Harvester is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageState {
    /// It does not exist yet.
    #[default]
    Absent,
    /// It is being taken in.
    Importing,
    /// `Imported` is true.
    Imported,
    /// `RetryLimitExceeded` is true: final, because the engine asks for no retry (measured 6a).
    Failed,
}

/// One disk image in Harvester.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The name of its object.
    pub name: Option<String>,
    /// How far it is.
    pub state: ImageState,
    /// Whose disk it really holds: another import's if the file was overwritten (N03).
    pub content: Option<ImportId>,
    /// The engine has written `VirtualMachineImageReady`.
    pub(super) seen: bool,
}

/// Whether the object is there, and whether the engine has a hold on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// The worker has never had it in hand: deleting it takes effect at once.
    Untouched,
    /// The engine's finalizer is on it.
    Held,
    /// It is to be deleted, and waits for the worker.
    Deleting,
    /// It is gone.
    Gone,
}

/// When each step of an import happened, in truth (not when the status said so).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The object was created.
    pub created: Millis,
    /// The guest was off: downtime begins. From the beginning, if it was off before.
    pub off: Option<Millis>,
    /// The last export began.
    pub export_start: Option<Millis>,
    /// The export's end was written.
    pub exported: Option<Millis>,
    /// The last image was in.
    pub images_in: Option<Millis>,
    /// The machine was created.
    pub machine: Option<Millis>,
    /// The machine was ready: downtime ends.
    pub ready: Option<Millis>,
    /// `virtualMachineRunning` was written.
    pub running: Option<Millis>,
    /// Its files were removed from the scratch.
    pub released: Option<Millis>,
}

impl Times {
    /// From the guest's power-off to the machine's readiness, once both are known.
    pub fn downtime(&self) -> Option<Millis> {
        Some(self.ready?.saturating_sub(self.off?))
    }
}

/// One import as it is now.
#[derive(Clone, Debug)]
pub struct Import {
    pub(super) spec: Arc<ImportSpec>,
    pub(super) state: ImportState,
    pub(super) conditions: Vec<Condition>,
    pub(super) failure: Option<String>,
    pub(super) images: Vec<Image>,
    pub(super) times: Times,
    /// The engine has written `importedVirtualMachineName`.
    pub(super) named: bool,
    /// So many disks stand in `diskImportStatus`: only their files are ever removed.
    pub(super) listed: usize,
    pub(super) life: Life,
    /// When the engine asked the guest to shut down.
    pub(super) asked: Option<Millis>,
    /// Writes by anybody: an update with an older number is refused (409).
    pub(super) version: u64,
    /// Failures in a row, for the back-off.
    pub(super) failures: u32,
    /// Exports begun.
    pub(super) exports: u32,
    /// The fault no longer holds.
    pub(super) healed: bool,
}

impl Import {
    pub(super) fn new(spec: Arc<ImportSpec>, now: Millis) -> Self {
        let off = spec.guest == Guest::Off;
        Self {
            state: ImportState::New,
            conditions: Vec::new(),
            failure: None,
            images: vec![Image::default(); spec.disks.len()],
            times: Times {
                created: now,
                off: off.then_some(now),
                ..Times::default()
            },
            named: false,
            listed: 0,
            life: Life::Untouched,
            asked: None,
            version: 0,
            failures: 0,
            exports: 0,
            healed: false,
            spec,
        }
    }

    /// What the simulation was told of it.
    pub fn spec(&self) -> &ImportSpec {
        &self.spec
    }

    /// The literal state.
    pub fn state(&self) -> &ImportState {
        &self.state
    }

    /// Whether the condition is there.
    pub fn has(&self, condition: Condition) -> bool {
        self.conditions.contains(&condition)
    }

    /// When each step happened.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// Its images.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// Whether all its images are in.
    pub fn images_in(&self) -> bool {
        let mut images = self.images.iter();
        images.all(|image| image.state == ImageState::Imported)
    }

    /// Whether its guest is off at the source.
    pub fn guest_off(&self) -> bool {
        self.times.off.is_some()
    }

    /// Whether the object is there.
    pub fn life(&self) -> Life {
        self.life
    }

    /// Whether the object is gone from the cluster.
    pub fn is_gone(&self) -> bool {
        self.life == Life::Gone
    }

    /// How many exports the engine has begun of it: more than one is a re-export (Q06, L01).
    pub fn exports(&self) -> u32 {
        self.exports
    }

    /// The status as the engine writes it. Times are left out: they are whoever's clock who shows
    /// it.
    pub fn status(&self) -> VirtualMachineImportStatus {
        VirtualMachineImportStatus {
            import_status: self.state.clone(),
            import_conditions: self
                .conditions
                .iter()
                .map(|condition| EngineCondition {
                    message: self
                        .failure
                        .clone()
                        .filter(|_| *condition == Condition::ExportFailed),
                    ..engine_condition(condition.name())
                })
                .collect(),
            disk_import_status: self.disk_infos(),
            imported_virtual_machine_name: self.named.then(|| self.spec.machine.to_string()),
        }
    }

    fn disk_infos(&self) -> Vec<DiskInfo> {
        let info = |(disk, image): (&crate::DiskSpec, &Image)| {
            let mut conditions = Vec::new();
            if image.state > ImageState::Absent {
                conditions.push(engine_condition(condition::IMAGE_SUBMITTED));
            }
            if image.seen {
                conditions.push(engine_condition(condition::IMAGE_READY));
            }
            DiskInfo {
                disk_name: disk.file.to_string(),
                disk_size: disk.written.signed(),
                disk_local_path: Some("/tmp/vm-import-controller".to_owned()),
                virtual_machine_image: image.name.clone(),
                disk_conditions: conditions,
                bus_type: "scsi".to_owned(),
            }
        };
        let disks = self.spec.disks.iter().zip(&self.images);
        disks.take(self.listed).map(info).collect()
    }
}

fn engine_condition(name: &str) -> EngineCondition {
    EngineCondition {
        r#type: name.to_owned(),
        status: "True".to_owned(),
        ..EngineCondition::default()
    }
}
