//! The state table of `docs/engine.md` §2: which step the engine takes next with an import.
//!
//! A pure reading of the import's status, as `OnVirtualMachineChange` does it (VM:103-205,
//! VM:391-520). What the step does is in `work.rs`.

use schemas::upstream::ImportState;

use crate::profile::Profile;
use crate::time::Millis;

use super::view::{Condition, Import, Life};

/// What one reconcile does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Clean up, and let the object go.
    Remove,
    /// Check spec, source, storage class, mapping.
    Preflight,
    /// Look the VM up and fix the machine's name.
    Sanitize,
    /// Ask the guest to shut down.
    Shutdown,
    /// See whether it is off.
    PollPower,
    /// Copy the disks. Blocks everything else.
    Export,
    /// Create one image per disk.
    SubmitImages,
    /// See whether the images are in.
    EvaluateImages,
    /// Create claims and machine.
    CreateMachine,
    /// See whether the machine is ready.
    CheckMachine,
    /// Remove the images' owner references, then the files.
    Tidy,
    /// Remove the files.
    CleanUp,
    /// Log, and nothing else.
    Nothing,
}

/// The step for an import in its present state.
pub(super) fn step(import: &Import) -> Step {
    if import.life == Life::Deleting {
        return Step::Remove;
    }
    match import.state {
        ImportState::New => Step::Preflight,
        ImportState::Valid => Step::Sanitize,
        ImportState::SourceReady => {
            let asked = import.has(Condition::ShutdownGuest) || import.has(Condition::PoweringOff);
            if !asked {
                Step::Shutdown
            } else if !import.has(Condition::PoweredOff) {
                Step::PollPower
            } else {
                Step::Export
            }
        }
        ImportState::DisksExported => Step::SubmitImages,
        ImportState::DiskImageSubmitted => Step::EvaluateImages,
        ImportState::DiskImagesReady => Step::CreateMachine,
        ImportState::VirtualMachineCreated => Step::CheckMachine,
        ImportState::VirtualMachineRunning => Step::Tidy,
        ImportState::MigrationFailed => Step::CleanUp,
        // An image's failure is never noticed (S08), so `diskImageFailed` is never reached.
        ImportState::Invalid | ImportState::DiskImageFailed | ImportState::Unknown(_) => {
            Step::Nothing
        }
    }
}

impl Step {
    /// How long the worker is busy with it; the export's own time comes on top.
    pub fn takes(self, import: &Import, profile: &Profile) -> Millis {
        match self {
            Self::Preflight | Self::Sanitize | Self::Shutdown | Self::PollPower => {
                profile.call(import.spec.kind)
            }
            Self::CreateMachine => profile.create_machine,
            Self::Export => Millis::ZERO,
            Self::Remove
            | Self::SubmitImages
            | Self::EvaluateImages
            | Self::CheckMachine
            | Self::Tidy
            | Self::CleanUp
            | Self::Nothing => profile.step,
        }
    }
}
