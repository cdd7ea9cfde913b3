//! Which machine is next, and whether its moment has come.
//!
//! The engine has one worker, so at most one import is in front: created, and not yet exported.
//! When the next one may follow is the policy's affair ([`engine::admission`], the rule that the
//! schedule uses too); whether it may at all is decided here: holds, dependencies, exclusions,
//! somebody else's export, scratch. The planner chose the order; the first that may, is next.

use std::collections::{BTreeMap, BTreeSet};

use engine::admission::{Ahead, Due};
use engine::{Millis, Profile};
use jiff::Timestamp;
use schemas::inventory::SourceKind;
use schemas::machine::Stage;
use schemas::site::Assumptions;
use schemas::units::{Bytes, Seconds};
use schemas::upstream::ImportState;

use crate::action::{Action, Elsewhere, HoldReason, Wait};
use crate::clock::{Alarm, after, before, between};
use crate::ledger::{self, Entry, Ledger};
use crate::observed::{At, Import, Observed};
use crate::scratch;
use crate::sources::Sources;
use crate::spec;
use crate::stall::{self, Exports};
use crate::standing::{self, Machine, Standing};
use crate::steps::Steps;

/// From the opening of an attempt until a request of it cannot arrive any more: an API server ends
/// requests after a minute.
const SETTLING: Seconds = Seconds::from_minutes(1);
/// Somebody else's import whose guest the engine has not even asked to shut down for so long, while
/// it was free to: it stands still (P06, O02).
const FOREIGN_PATIENCE: Seconds = Seconds::from_minutes(10);
/// Below this many hundredths an image's progress says too little about its rate.
const PROGRESS_MIN: u64 = 10;

/// What admission looks at.
pub(crate) struct Gate<'a> {
    pub observed: &'a Observed,
    pub ledger: &'a Ledger<'a>,
    pub holds: &'a BTreeMap<&'a At, HoldReason>,
    pub sources: &'a Sources<'a>,
    pub steps: &'a Steps<'a>,
    pub exports: &'a Exports,
    pub now: Timestamp,
}

/// What admission answers.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    /// What each candidate waits for, by its place in the list.
    pub waits: BTreeMap<usize, Wait>,
    /// The record to open, at most one.
    pub action: Option<Action>,
}

impl Gate<'_> {
    /// Goes through the candidates in their order and admits the first that may be, if its moment
    /// has come.
    pub fn admit(&self, machines: &[Machine<'_>], alarm: &mut Alarm) -> Admitted {
        let mut answer = Admitted::default();
        let held = scratch::held(self.ledger, self.observed);
        let mut is_open = !self.ledger.entries.values().any(is_in_front);
        for (index, machine) in machines.iter().enumerate() {
            if machine.standing != Standing::Candidate {
                continue;
            }
            let wait = self.waits_for(machine, held, alarm);
            if wait.is_none() && is_open {
                // The first that may is next, also if only its moment has not come: one behind it
                // must not slip in.
                is_open = false;
                match self.due(machine) {
                    Due::Now => answer.action = Some(self.open(machine)),
                    Due::At(at) => alarm.at(timestamp(at)),
                    Due::Later => {}
                }
            }
            answer.waits.insert(index, wait.unwrap_or(Wait::Turn));
        }
        answer
    }

    /// The first thing that a candidate waits for, beside its turn.
    fn waits_for(&self, machine: &Machine<'_>, held: Bytes, alarm: &mut Alarm) -> Option<Wait> {
        if self.is_held(machine) {
            return Some(Wait::Wave);
        }
        let (at, wave, import) = (machine.wave_at, machine.wave, machine.import);
        if let Some(missing) = standing::missing(at, wave, import, self.ledger) {
            let on = missing.machine.vm.clone();
            let stage = self.ledger.get(&missing.record_at).map(Entry::stage);
            return Some(match (missing.elsewhere, stage) {
                (Some(workload), stage) => Wait::Plan(Elsewhere {
                    workload: workload.clone(),
                    record: missing.record_at,
                    stage,
                }),
                (None, Some(Stage::Running)) => Wait::Gate { on },
                (None, _) => Wait::Dependency { on },
            });
        }
        let steps = standing::steps_before(wave, import);
        if let Some(step) = self.steps.missing(at, &steps) {
            return Some(Wait::Step {
                step: step.name.clone(),
                title: step.title.clone(),
            });
        }
        if let Some((name, missing)) = standing::barrier(at, wave, import, self.ledger) {
            return Some(Wait::Barrier {
                name: name.clone(),
                on: missing.vm.clone(),
            });
        }
        if let Some(latest) = latest_start(machine) {
            // A millisecond past it, it is too late.
            alarm.at(after(latest, Seconds(1)));
            if self.now > latest {
                return Some(Wait::TooLate { latest });
            }
        }
        if self.is_settling(machine, alarm) {
            return Some(Wait::Turn);
        }
        if let Some(wait) = self.exclusion(machine).or_else(|| self.foreign(alarm)) {
            return Some(wait);
        }
        let free = wave.spec.scratch.0.saturating_sub(held);
        let needs = import.size.peak.0;
        (needs > free).then_some(Wait::Scratch { needs, free })
    }

    /// An attempt that was taken back may leave something yet: its import, or the request of an
    /// executor that died. Two attempts must never be under way together.
    fn is_settling(&self, machine: &Machine<'_>, alarm: &mut Alarm) -> bool {
        if !self.ledger.imports_of(&machine.import.record).is_empty() {
            return true;
        }
        self.ledger.get(&machine.record_at).is_some_and(|entry| {
            let end = after(entry.record.spec.attempt.opened, SETTLING);
            alarm.at(end);
            self.now < end
        })
    }

    /// Its wave is held back, or its source.
    pub fn is_held(&self, machine: &Machine<'_>) -> bool {
        let at = machine.wave_at;
        self.holds.contains_key(at) || self.sources.holds.contains_key(&(at, &machine.import.from))
    }

    /// Too little of its window is left for it.
    pub fn is_too_late(&self, machine: &Machine<'_>) -> bool {
        latest_start(machine).is_some_and(|latest| self.now > latest)
    }

    /// An import that would use the same files in the scratch and is still there (N03, N04): one
    /// that the plan names, or whichever gives its machine the same name. VMware's files are named
    /// after the import, so two of those never meet.
    fn exclusion(&self, machine: &Machine<'_>) -> Option<Wait> {
        let (wave, import) = (machine.wave, machine.import);
        let is_vmware = spec::source_of(wave, import).is_some_and(|s| s.vmware.is_some());
        let excludes: BTreeSet<_> = import.excludes.iter().collect();
        for entry in self.ledger.entries.values().filter(|e| e.is_under_way()) {
            let has_its_name = entry.record.spec.machine == import.machine;
            let both_vmware = is_vmware && entry.import.is_none_or(is_from_vmware);
            if excludes.contains(entry.vm()) || (has_its_name && !both_vmware) {
                return Some(Wait::Exclusion {
                    with: entry.vm().clone(),
                });
            }
        }
        let foreign = self.foreign_imports().find(|(_, other)| {
            let name = other.status.imported_virtual_machine_name.as_deref();
            name == Some(import.machine.as_str()) && !(is_vmware && is_from_vmware(other))
        });
        foreign.map(|(at, _)| Wait::ForeignImport { import: at.clone() })
    }

    /// Somebody else's import that is at the engine or next at it: ours would have its guest off
    /// for nothing. One that stands still before its export, with the engine free to look at it, is
    /// waited for no more: the engine retries it for ever.
    fn foreign(&self, alarm: &mut Alarm) -> Option<Wait> {
        let at_work = |at: &At, import: &Import, alarm: &mut Alarm| {
            let state = &import.status.import_status;
            if !matches!(state, ImportState::Valid | ImportState::SourceReady)
                || ledger::is_exported(&import.status)
            {
                return false;
            }
            let Some(changed) = import
                .changed
                .filter(|_| ledger::is_source_untouched(&import.status))
            else {
                return true;
            };
            let busy = self.exports.of_others(at, changed, self.now);
            let end = after(changed, FOREIGN_PATIENCE + busy);
            alarm.at(end);
            self.now < end
        };
        let mut imports = self.foreign_imports();
        let (at, _) = imports.find(|(at, import)| at_work(at, import, alarm))?;
        Some(Wait::ForeignImport { import: at.clone() })
    }

    fn foreign_imports(&self) -> impl Iterator<Item = (&At, &Import)> {
        let imports = self.observed.imports.iter();
        imports.filter(|(at, import)| !self.ledger.owns(at, import))
    }

    /// When a candidate that may be admitted is due, by its wave's policy.
    fn due(&self, machine: &Machine<'_>) -> Due {
        let spec = &machine.wave.spec;
        let now = millis(self.now);
        let profile = Profile::vm_import();
        let kind = source_kind(machine);
        let shutdown = match kind {
            SourceKind::Ova => Seconds(0),
            SourceKind::Vmware | SourceKind::Openstack => spec.rates.shutdown.0,
        };
        let lead = engine::admission::lead(&profile, kind, Millis::from_seconds(shutdown.0));
        let entries = self.ledger.entries.values();
        entries
            .map(|entry| self.ahead(entry, &spec.rates))
            .map(|ahead| engine::admission::due(spec.admission, ahead, lead, now))
            .max()
            .unwrap_or(Due::Now)
    }

    /// How far the import of `entry` is, for the one that comes after it. One that failed is waited
    /// for no more, nor one that is at its images for somebody to mend.
    fn ahead(&self, entry: &Entry<'_>, rates: &Assumptions) -> Ahead {
        match (entry.stage(), entry.own_import()) {
            // Recorded a little later.
            (Stage::Imaging, Some(import)) if ledger::reached(&import.status) == Stage::Booting => {
                Ahead::Created
            }
            (Stage::Imaging, Some(import)) => Ahead::Imaging {
                images_in: millis(self.images_in(entry, import, rates)),
            },
            (Stage::Booting, _) => Ahead::Created,
            _ => Ahead::Over,
        }
    }

    /// When the images of an exported import are in or will be: by their own progress once that
    /// says something, until then by the plan's rate.
    fn images_in(&self, entry: &Entry<'_>, import: &Import, rates: &Assumptions) -> Timestamp {
        let exported = entry.status.times.exported.unwrap_or(self.now);
        if stall::images_in(entry, import) {
            return self.now.min(exported);
        }
        let disks = import.status.disk_import_status.len().max(1) as u64;
        let progress = entry.images.iter().map(|(_, image)| {
            let so_far = u64::try_from(image.progress).unwrap_or(0).min(100);
            if image.imported { 100 } else { so_far }
        });
        let progress = progress.sum::<u64>() / disks;
        if progress < PROGRESS_MIN {
            let rate = rates.image_bytes_per_second.0;
            return after(exported, entry.record.spec.size.disks.0.at_rate(rate));
        }
        // Whole seconds are what has surely gone by; the images must not be expected too early,
        // since one that comes in late waits out a whole further export.
        let elapsed = between(exported, self.now).0 + 1;
        after(exported, Seconds((elapsed * 100).div_ceil(progress)))
    }

    /// Opens the machine's record, or the next attempt in it.
    fn open(&self, machine: &Machine<'_>) -> Action {
        let (at, wave, import) = (machine.wave_at, machine.wave, machine.import);
        match self.ledger.get(&machine.record_at) {
            None => Action::OpenRecord {
                at: machine.record_at.clone(),
                spec: spec::machine_spec(at, wave, import, 1, self.now),
            },
            Some(entry) => {
                let number = entry.record.spec.attempt.number + 1;
                Action::OpenAttempt {
                    at: machine.record_at.clone(),
                    resource_version: entry.record.resource_version.clone(),
                    spec: schemas::machine::MachineSpec {
                        instance: entry.record.spec.instance.clone(),
                        ..spec::machine_spec(at, wave, import, number, self.now)
                    },
                }
            }
        }
    }
}

/// The last instant at which an import may start so that it is predicted to end inside its window at
/// its worst, with the window's reserve after it: this engine cannot abort an export (Q09), so the
/// only way to keep a window is not to start. Absent: it has no window.
fn latest_start(machine: &Machine<'_>) -> Option<Timestamp> {
    let spec = &machine.wave.spec;
    let window = spec.window.as_ref()?;
    let reserve = window.rollback_reserve.map_or(Seconds::ZERO, |span| span.0);
    let cut = engine::admission::cut_p90(
        &Profile::vm_import(),
        source_kind(machine),
        &machine.import.size,
        machine.import.shutdown_timeout.0,
        &spec.rates,
    );
    before(window.to, cut + reserve)
}

/// Its import is created or about to be, and not exported: no other one is created. One that was
/// taken back counts until it is gone; one that failed does not, whatever becomes of it, unless the
/// worker is at its export.
pub(crate) fn is_in_front(entry: &Entry<'_>) -> bool {
    let import = entry.own_import();
    match entry.stage() {
        Stage::Admitted | Stage::ShuttingDown | Stage::Exporting => true,
        Stage::Withdrawn => import.is_some(),
        Stage::Failed => import.is_some_and(|i| ledger::is_exporting(&i.status)),
        // It goes on, but is not what its wave decided; and the next one may be no better.
        Stage::Held => import
            .is_some_and(|i| !i.status.import_status.is_final() && !ledger::is_exported(&i.status)),
        Stage::Imaging | Stage::Booting | Stage::Running => false,
    }
}

fn is_from_vmware(import: &Import) -> bool {
    import.spec.source_cluster.kind == "VmwareSource"
}

fn source_kind(machine: &Machine<'_>) -> SourceKind {
    match spec::source_of(machine.wave, machine.import) {
        Some(source) if source.vmware.is_some() => SourceKind::Vmware,
        Some(source) if source.ova.is_some() => SourceKind::Ova,
        _ => SourceKind::Openstack,
    }
}

/// The engine's model counts from zero; here that is the year 1970.
fn millis(instant: Timestamp) -> Millis {
    Millis(u64::try_from(instant.as_millisecond()).unwrap_or(0))
}

fn timestamp(millis: Millis) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(millis.0).ok()?).ok()
}
