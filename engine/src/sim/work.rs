//! The one worker: takes an import from the queue, is busy for a while, then writes what came of
//! it.
//!
//! What it knows of the import is what stood there when it began; its write is refused (409) if
//! somebody else wrote meanwhile. The refusal is silent: the import is looked at again from its old
//! state, and a write during an export costs a second one (Q06; measured 3).

use std::sync::Arc;

use schemas::ids::ObjectName;
use schemas::inventory::SourceKind;
use schemas::units::Bytes;
use schemas::upstream::ImportState;

use crate::import::{Fault, Guest, ImportSpec, Timing};
use crate::time::Millis;

use super::table::{Step, step};
use super::view::{Condition, ImageState, Life};
use super::{ImportId, Sim, Timer, What};

/// What the worker is busy with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub import: ImportId,
    pub step: Step,
    pub since: Millis,
    /// The import's version as the worker read it.
    version: u64,
    /// Tells its timer from those of work that was broken off.
    pub ticket: u64,
}

/// What came of a step.
enum Outcome {
    /// A status to be written.
    Write {
        state: ImportState,
        condition: Option<Condition>,
    },
    /// Look again after so long.
    Again(Millis),
    /// An error: look again after a back-off, with no trace in the status (fact 3).
    Error,
    /// Nothing more to do.
    Done,
    /// The object is let go.
    Gone,
    /// The process dies (fact 4).
    Panic(&'static str),
}

impl Outcome {
    fn to(state: ImportState) -> Self {
        Self::Write {
            state,
            condition: None,
        }
    }

    /// Stays `sourceReady`, one condition further.
    fn condition(condition: Condition) -> Self {
        Self::Write {
            state: ImportState::SourceReady,
            condition: Some(condition),
        }
    }
}

impl Sim {
    /// An idle worker takes the next import, if there is one.
    pub(super) fn dispatch(&mut self) -> bool {
        if !self.up || self.work.is_some() {
            return false;
        }
        let Some(id) = self.queue.take() else {
            return false;
        };
        let now = self.now;
        let import = &mut self.imports[id.index()];
        if import.is_gone() {
            self.queue.done();
            return true;
        }
        import.life = import.life.max(Life::Held);
        let step = step(import);
        let version = import.version;
        let takes = step.takes(import, &self.profile);
        self.tickets += 1;
        self.work = Some(Work {
            import: id,
            step,
            since: now,
            version,
            ticket: self.tickets,
        });
        let takes = match step {
            Step::Export => self.begin_export(id),
            _ => Some(takes),
        };
        if let Some(takes) = takes {
            self.set(now + takes, Timer::WorkDone(self.tickets));
        }
        true
    }

    /// The worker is through with what it had in hand.
    pub(super) fn finish_work(&mut self, work: Work) {
        self.work = None;
        let id = work.import;
        match self.outcome(work) {
            Outcome::Write { state, condition } => {
                if self.imports[id.index()].version == work.version {
                    self.write(id, state, condition);
                } else {
                    self.note(id, What::Refused);
                    self.retry(id);
                }
            }
            Outcome::Again(after) => {
                self.imports[id.index()].failures = 0;
                self.set(self.now + after, Timer::Enqueue(id, self.incarnation));
            }
            Outcome::Error => self.retry(id),
            Outcome::Done => self.imports[id.index()].failures = 0,
            Outcome::Gone => self.let_go(id),
            Outcome::Panic(reason) => {
                self.crash(reason);
                return;
            }
        }
        self.queue.done();
    }

    /// What the step does to the world, and what the engine makes of it.
    fn outcome(&mut self, work: Work) -> Outcome {
        let id = work.import;
        let import = &self.imports[id.index()];
        let fault = import.spec.fault.clone().filter(|_| !import.healed);
        match work.step {
            Step::Remove => {
                self.clean_up(id);
                Outcome::Gone
            }
            Step::Preflight => match fault {
                Some(Fault::SourceNotReady) => {
                    let poll = self.now + self.profile.source_poll;
                    self.set(poll, Timer::Enqueue(id, self.incarnation));
                    Outcome::Error
                }
                Some(Fault::Invalid) => Outcome::to(ImportState::Invalid),
                _ => Outcome::to(ImportState::Valid),
            },
            Step::Sanitize => match fault {
                Some(Fault::PanicOnLookup) => Outcome::Panic("index out of range"),
                _ => Outcome::to(ImportState::SourceReady),
            },
            Step::Shutdown if fault == Some(Fault::VmGone) => Outcome::Error,
            Step::Shutdown => {
                self.ask_guest(id);
                Outcome::condition(Condition::ShutdownGuest)
            }
            Step::PollPower => self.poll_power(id),
            Step::Export => self.end_export(id, fault.as_ref()),
            Step::SubmitImages => {
                self.submit_images(id);
                Outcome::to(ImportState::DiskImageSubmitted)
            }
            Step::EvaluateImages => {
                let import = &mut self.imports[id.index()];
                for image in &mut import.images {
                    image.seen = image.state == ImageState::Imported;
                }
                if import.images_in() {
                    Outcome::to(ImportState::DiskImagesReady)
                } else {
                    Outcome::Done
                }
            }
            Step::CreateMachine if fault == Some(Fault::MachineRefused) => Outcome::Error,
            Step::CreateMachine => {
                self.create_machine(id);
                Outcome::to(ImportState::VirtualMachineCreated)
            }
            Step::CheckMachine if self.imports[id.index()].times.ready.is_some() => {
                Outcome::to(ImportState::VirtualMachineRunning)
            }
            Step::CheckMachine => Outcome::Again(self.profile.ready_poll),
            Step::Tidy | Step::CleanUp => {
                self.clean_up(id);
                Outcome::Done
            }
            Step::Nothing => Outcome::Done,
        }
    }

    /// Writes a status; the write is an event like any other, so the import goes to the tail.
    fn write(&mut self, id: ImportId, state: ImportState, condition: Option<Condition>) {
        let now = self.now;
        let import = &mut self.imports[id.index()];
        import.version += 1;
        import.failures = 0;
        import.conditions.extend(condition);
        match state {
            ImportState::SourceReady => import.named = true,
            ImportState::DisksExported => {
                import.listed = import.spec.disks.len();
                import.times.exported = Some(now);
            }
            ImportState::VirtualMachineRunning => import.times.running = Some(now),
            _ => {}
        }
        import.state = state.clone();
        self.note(id, What::Status { state, condition });
        self.queue.add(id);
    }

    fn retry(&mut self, id: ImportId) {
        let import = &mut self.imports[id.index()];
        import.failures += 1;
        let after = self.profile.backoff(import.failures);
        self.set(self.now + after, Timer::Enqueue(id, self.incarnation));
    }

    fn ask_guest(&mut self, id: ImportId) {
        let now = self.now;
        let import = &mut self.imports[id.index()];
        if import.asked.is_none() {
            import.asked = Some(now);
            if let (Guest::On(timing), false) = (import.spec.guest, import.guest_off()) {
                self.note(id, What::GuestAsked);
                if let Timing::After(shutdown) = timing {
                    self.set(now + shutdown, Timer::GuestOff(id));
                }
            }
        }
    }

    /// VM:430-469. Only VMware's guests have their power cut; Nova does that by itself.
    fn poll_power(&mut self, id: ImportId) -> Outcome {
        let import = &self.imports[id.index()];
        if import.guest_off() {
            return Outcome::condition(Condition::PoweredOff);
        }
        let waited = import.asked.map(|asked| self.now.saturating_sub(asked));
        if import.spec.kind == SourceKind::Vmware
            && !import.has(Condition::PoweringOff)
            && waited > Some(import.spec.shutdown_timeout)
        {
            self.guest_off(id);
            return Outcome::condition(Condition::PoweringOff);
        }
        Outcome::Again(self.profile.power_poll)
    }

    /// Begins the export; gives how long it takes, if that is known.
    fn begin_export(&mut self, id: ImportId) -> Option<Millis> {
        let now = self.now;
        let import = &mut self.imports[id.index()];
        import.exports += 1;
        import.times.export_start = Some(now);
        let spec = Arc::clone(&import.spec);
        self.scratch
            .begin(own_files(&spec).map(|(name, _)| name), id, spec.peak);
        // Whoever is just reading a file of that name gets the newcomer's disk (N03).
        self.note(id, What::ExportStarted);
        match (spec.export, &spec.fault) {
            (Timing::After(all), Some(Fault::ExportFails { at, .. })) => {
                Some(Millis(all.0 * u64::from(*at) / 100))
            }
            (Timing::After(all), _) => Some(all),
            (Timing::External, _) => None,
        }
    }

    fn end_export(&mut self, id: ImportId, fault: Option<&Fault>) -> Outcome {
        let spec = Arc::clone(&self.imports[id.index()].spec);
        let broken = self.export_error.take().map(|message| (0, message));
        let failed = match fault {
            Some(Fault::ExportFails { at, message }) => Some((*at, message.clone())),
            _ => broken,
        };
        self.scratch.end();
        if let Some((at, message)) = failed {
            self.leave_partial(id, u64::from(at), false);
            self.note(id, What::ExportEnded { ok: false });
            self.imports[id.index()].failure = Some(message);
            return Outcome::Write {
                state: ImportState::MigrationFailed,
                condition: Some(Condition::ExportFailed),
            };
        }
        for (name, bytes) in own_files(&spec) {
            self.scratch.write(name, bytes, id);
        }
        self.note(id, What::ExportEnded { ok: true });
        match fault {
            Some(Fault::PanicAfterExport) => return Outcome::Panic("nil pointer dereference"),
            // A write by nobody: only the version moves.
            Some(Fault::ExportedTwice) if self.imports[id.index()].exports == 1 => {
                self.imports[id.index()].version += 1;
            }
            _ => {}
        }
        Outcome::Write {
            state: ImportState::DisksExported,
            condition: Some(Condition::Exported),
        }
    }

    /// What an export leaves in the scratch that broke off after `share` hundredths. VMware's
    /// download directory is removed on failure (measured §8) but not when the process is killed
    /// (S04); of the others only what is complete is listed, and so removed (measured §9, §4).
    pub(super) fn leave_partial(&mut self, id: ImportId, share: u64, killed: bool) {
        let spec = Arc::clone(&self.imports[id.index()].spec);
        if spec.kind == SourceKind::Vmware {
            for (name, _) in own_files(&spec) {
                self.scratch.remove(name);
            }
            if killed {
                let left = Bytes(spec.resident().0 * share / 100);
                self.scratch.write(&download_directory(&spec), left, id);
            }
            return;
        }
        let mut listed = 0;
        for (name, bytes, whole) in partial(&spec, share) {
            self.scratch.write(name, bytes, id);
            listed += usize::from(whole);
        }
        let archive = usize::from(spec.archive.is_some());
        if !killed {
            self.imports[id.index()].listed = listed.saturating_sub(archive);
        }
    }

    fn submit_images(&mut self, id: ImportId) {
        let now = self.now;
        let spec = Arc::clone(&self.imports[id.index()].spec);
        for (disk, file) in spec.disks.iter().enumerate() {
            let content = self.scratch.file(&file.file).map(|file| file.content);
            let image = &mut self.imports[id.index()].images[disk];
            image.state = ImageState::Importing;
            image.content = content;
            image
                .name
                .get_or_insert_with(|| format!("image-{}-{disk}", id.index()));
            self.note(id, What::ImageCreated { disk });
            if content.is_none() || spec.fault == Some(Fault::ImageFails { disk }) {
                // HTTP 404, or Harvester broke it off: final either way (S08, N04).
                self.image_failed(id, disk);
            } else if let Timing::After(alone) = file.image {
                self.images.begin(now, id, disk, alone);
                self.set_image_timer();
            }
        }
    }

    fn create_machine(&mut self, id: ImportId) {
        let now = self.now;
        let import = &mut self.imports[id.index()];
        if import.times.machine.is_none() {
            import.times.machine = Some(now);
            let boot = import.spec.boot;
            self.note(id, What::MachineCreated);
            if let Timing::After(boot) = boot {
                self.set(now + boot, Timer::MachineReady(id));
            }
        }
    }

    /// Removes the archive and every raw that `diskImportStatus` lists, by name: also where
    /// another import has just written one of that name (N04).
    fn clean_up(&mut self, id: ImportId) {
        let now = self.now;
        let import = &mut self.imports[id.index()];
        let listed = import.listed;
        if import.times.released.is_none() {
            import.times.released = Some(now);
            self.note(id, What::Released);
        }
        let spec = Arc::clone(&self.imports[id.index()].spec);
        if let Some((archive, _)) = &spec.archive {
            self.scratch.remove(archive);
        }
        for disk in &spec.disks[..listed] {
            self.scratch.remove(&disk.file);
        }
    }
}

/// The files of an import, the archive first.
pub(super) fn own_files(spec: &ImportSpec) -> impl Iterator<Item = (&Arc<str>, Bytes)> {
    let archive = spec.archive.iter().map(|(name, bytes)| (name, *bytes));
    archive.chain(spec.disks.iter().map(|disk| (&disk.file, disk.written)))
}

/// Its files when `share` hundredths of it are written, one after the other; and whether each is
/// whole.
pub(super) fn partial(
    spec: &ImportSpec,
    share: u64,
) -> impl Iterator<Item = (&Arc<str>, Bytes, bool)> {
    let mut left = Bytes(spec.resident().0 / 100 * share.min(100));
    own_files(spec).map_while(move |(name, bytes)| {
        if left == Bytes::ZERO {
            return None;
        }
        let written = bytes.min(left);
        left -= written;
        Some((name, written, written == bytes))
    })
}

/// VMware: where the VMDKs are downloaded to; not below the directory that :8080 lists.
fn download_directory(spec: &ImportSpec) -> Arc<str> {
    let name: &ObjectName = &spec.name;
    format!("/tmp/{name}-{}-0/", spec.namespace).into()
}
