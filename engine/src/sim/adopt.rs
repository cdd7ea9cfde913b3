//! Takes up an import that is somewhere on its way already: what a restarted engine finds.

use std::sync::Arc;

use schemas::upstream::{ImportState, VirtualMachineImportStatus};

use crate::import::ImportSpec;

use super::view::{Condition, ImageState, Import, Life};
use super::{ImportId, Sim};

const CONDITIONS: [Condition; 5] = [
    Condition::ShutdownGuest,
    Condition::PoweringOff,
    Condition::PoweredOff,
    Condition::Exported,
    Condition::ExportFailed,
];

impl Sim {
    /// An import as its status says. Its guest is off if the engine saw it off; images that it
    /// names are on their way until the outside world reports them; the disks of a finished export
    /// are in the scratch.
    pub fn adopt(
        &mut self,
        spec: impl Into<Arc<ImportSpec>>,
        status: &VirtualMachineImportStatus,
    ) -> ImportId {
        let id = self.create(spec);
        let now = self.now;
        let import: &mut Import = &mut self.imports[id.index()];
        import.state = status.import_status.clone();
        import.conditions = CONDITIONS
            .into_iter()
            .filter(|condition| status.has(condition.name()))
            .collect();
        if import.state != ImportState::New {
            import.life = Life::Held;
        }
        import.named = status.imported_virtual_machine_name.is_some();
        if import.has(Condition::ShutdownGuest) {
            import.asked = Some(now);
        }
        if import.has(Condition::PoweredOff) {
            import.times.off.get_or_insert(now);
        }
        if import.has(Condition::Exported) {
            import.times.exported = Some(now);
            import.exports = 1;
        }
        if matches!(
            import.state,
            ImportState::VirtualMachineCreated | ImportState::VirtualMachineRunning
        ) {
            import.times.machine = Some(now);
        }
        import.listed = status.disk_import_status.len().min(import.images.len());
        for (image, disk) in import.images.iter_mut().zip(&status.disk_import_status) {
            if let Some(name) = &disk.virtual_machine_image {
                image.name = Some(name.clone());
                image.state = ImageState::Importing;
            }
        }
        let spec = Arc::clone(&import.spec);
        let exported =
            import.has(Condition::Exported) && import.state != ImportState::VirtualMachineRunning;
        if exported {
            for (name, bytes) in super::work::own_files(&spec) {
                self.scratch.write(name, bytes, id);
            }
        }
        id
    }
}
