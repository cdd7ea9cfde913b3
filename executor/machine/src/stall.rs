//! Imports that stand still (engine.md §5). The engine retries nearly everything for ever and says
//! nothing, so time alone tells.
//!
//! A clock runs from an instant that is in the picture: a time in the record, in the engine's
//! conditions, or of an image's last change. It does not count the time in which the engine's one
//! worker was at somebody else's export (engine.md §1, fact 1): those intervals are in the records
//! and in the conditions too. So nothing has to be remembered between two looks.

use jiff::Timestamp;
use schemas::machine::{Stage, Times};
use schemas::site::Assumptions;
use schemas::units::Seconds;
use schemas::upstream::{ImportState, condition};

use crate::clock::{after, between};
use crate::ledger::{self, Entry, Ledger};
use crate::observed::{At, Import, Observed};

/// Until the engine asks the guest to shut down. It takes seconds; O02 and others retry for ever.
const ADMITTED: Seconds = Seconds::from_minutes(2);
/// The same while the engine has not looked at the import at all: then not the VM is at fault but
/// the engine is down, and to fail one VM after the other would help nobody. Ends all the same,
/// for a run must end.
const IGNORED: Seconds = Seconds::from_minutes(60);
/// On top of the time that a guest has for its shutdown.
const SHUTDOWN_MARGIN: Seconds = Seconds::from_minutes(2);
/// The engine's own graceful timeout, where the import names none (V03).
const SHUTDOWN_DEFAULT: Seconds = Seconds(60);
/// An export is given up after this and four times what the plan's rate gives: rates are guesses
/// until they are measured, and a false alarm ends an `apply` in the middle of an export.
const EXPORT_MARGIN: Seconds = Seconds::from_minutes(60);
const EXPORT_FACTOR: u64 = 4;
/// From the end of the export until images exist.
const SUBMIT: Seconds = Seconds::from_minutes(2);
/// Without any change of any image.
const IMAGES_FLAT: Seconds = Seconds::from_minutes(15);
/// From the last image's arrival until the engine sees it, and until it has made the machine.
const IMAGES_IN: Seconds = Seconds::from_minutes(3);
/// From the machine's creation until it is ready, and from then until the engine sees it.
const BOOTING: Seconds = Seconds::from_minutes(10);

/// How an import stands against its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In time. It will not be at this instant, if nothing changes until then.
    InTime(Option<Timestamp>),
    /// The engine does not look at it; nothing is lost yet.
    Ignored {
        message: String,
        until: Option<Timestamp>,
    },
    /// It stands still; why that may be.
    Stalled(String),
}

/// The intervals in which the engine's worker was at an export.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exports(Vec<Export>);

#[derive(Clone, Debug)]
struct Export {
    import: At,
    from: Timestamp,
    /// Absent: it is at it now.
    to: Option<Timestamp>,
}

impl Exports {
    /// Of the ledger's attempts and of everybody else's imports.
    pub fn of(ledger: &Ledger<'_>, observed: &Observed, now: Timestamp) -> Self {
        let own = ledger.entries.values().filter_map(|entry| {
            // What is over but not recorded yet has only just ended.
            let import = entry.own_import();
            Export::of(
                &entry.import_at,
                import,
                &entry.status.times,
                now,
                Some(now),
            )
        });
        let foreign = observed
            .imports
            .iter()
            .filter(|(at, import)| !ledger.owns(at, import))
            .filter_map(|(at, import)| Export::of(at, Some(import), &Times::default(), now, None));
        Self(own.chain(foreign).collect())
    }

    /// Somebody else's import is being exported now.
    fn is_other_at_work(&self, import: &At) -> bool {
        self.0.iter().any(|e| e.to.is_none() && e.import != *import)
    }

    /// How much of the time since `since` was somebody else's than that of `import`.
    pub fn of_others(&self, import: &At, since: Timestamp, now: Timestamp) -> Seconds {
        let mut parts: Vec<_> = self
            .0
            .iter()
            .filter(|export| export.import != *import)
            .map(|export| (export.from.max(since), export.to.unwrap_or(now).min(now)))
            .filter(|(from, to)| from < to)
            .collect();
        parts.sort_unstable();
        let mut total = Seconds(0);
        let mut end = since;
        for (from, to) in parts {
            total += between(from.max(end), to);
            end = end.max(to);
        }
        total
    }
}

impl Export {
    /// The last export of `import`, by `times` or else by the engine's own. `over` is its end where
    /// neither tells; absent: it took no time.
    fn of(
        at: &At,
        import: Option<&Import>,
        times: &Times,
        now: Timestamp,
        over: Option<Timestamp>,
    ) -> Option<Self> {
        let said = |name| {
            let conditions = &import?.status.import_conditions;
            ledger::condition_time(conditions, name)
        };
        let is_exporting = import.is_some_and(|import| ledger::is_exporting(&import.status));
        let from = times
            .off
            .or_else(|| said(condition::POWERED_OFF))
            .or(is_exporting.then_some(now))?;
        let ended = times
            .exported
            .or_else(|| said(condition::EXPORTED))
            .or_else(|| said(condition::EXPORT_FAILED))
            .or(times.ended)
            .or(over);
        Some(Self {
            import: at.clone(),
            from,
            to: (!is_exporting).then(|| ended.unwrap_or(from)),
        })
    }
}

/// How `import`, the one of `entry` and now at `stage`, stands; `times` are those of its attempt
/// up to now.
pub(crate) fn judge(
    entry: &Entry<'_>,
    import: &Import,
    stage: Stage,
    times: &Times,
    rates: Option<&Assumptions>,
    exports: &Exports,
    now: Timestamp,
) -> Verdict {
    let Some(clock) = clock(entry, import, stage, times, rates) else {
        return Verdict::InTime(None);
    };
    if exports.is_other_at_work(&entry.import_at) {
        return Verdict::InTime(None);
    }
    let paused = exports.of_others(&entry.import_at, clock.since, now);
    let end = after(clock.since, clock.limit + paused);
    if now < end {
        return Verdict::InTime(Some(end));
    }
    if stage == Stage::Admitted && !import.touched {
        let end = after(clock.since, IGNORED + paused);
        if now < end {
            return Verdict::Ignored {
                message: clock.message,
                until: Some(end),
            };
        }
    }
    Verdict::Stalled(clock.message)
}

struct Clock {
    since: Timestamp,
    limit: Seconds,
    message: String,
}

impl Clock {
    fn new(since: Option<Timestamp>, limit: Seconds, message: impl Into<String>) -> Option<Self> {
        Some(Self {
            since: since?,
            limit,
            message: message.into(),
        })
    }
}

/// The clock that an import is under; none where nothing more is to come.
fn clock(
    entry: &Entry<'_>,
    import: &Import,
    stage: Stage,
    times: &Times,
    rates: Option<&Assumptions>,
) -> Option<Clock> {
    match stage {
        Stage::Admitted => admitted(entry, import, times),
        Stage::ShuttingDown => {
            let graceful = import.spec.graceful_shutdown_timeout_seconds;
            let graceful = graceful.map_or(SHUTDOWN_DEFAULT, |s| {
                Seconds(u64::try_from(s).unwrap_or_default())
            });
            let limit = graceful + SHUTDOWN_MARGIN;
            Clock::new(
                times.shutdown,
                limit,
                format!(
                    "the guest is not off {limit} after it was asked to shut down (O09, V05): look \
                     at it at the source; the import goes on by itself once it is off"
                ),
            )
        }
        Stage::Exporting => {
            // Whoever runs its wave no longer says how fast: then it takes as long as it takes.
            let rate = rates?.export_bytes_per_second.0;
            let planned = entry.record.spec.size.transfer.0.at_rate(rate);
            let limit = Seconds(planned.0.saturating_mul(EXPORT_FACTOR)) + EXPORT_MARGIN;
            Clock::new(
                times.off,
                limit,
                format!(
                    "the export has not ended after {limit}, {planned} were planned (O06, O07, \
                     V13, V19): look at the source's tasks and the engine's log"
                ),
            )
        }
        Stage::Imaging => imaging(entry, import, times),
        Stage::Booting => {
            let ready = entry.images.iter().filter_map(|(_, image)| image.nudged);
            let machine = format!(
                "{}/{}",
                entry.record.spec.namespace, entry.record.spec.machine
            );
            match ready.min() {
                Some(ready) => Clock::new(
                    Some(ready),
                    BOOTING,
                    format!(
                        "machine `{machine}` is ready, but the engine does not look: is its pod up?"
                    ),
                ),
                None => Clock::new(
                    times.machine,
                    BOOTING,
                    format!(
                        "machine `{machine}` is not ready {BOOTING} after its creation (T04, T08): \
                         look at its events; the import goes on by itself once it is ready"
                    ),
                ),
            }
        }
        Stage::Running | Stage::Failed | Stage::Withdrawn | Stage::Held => None,
    }
}

fn admitted(entry: &Entry<'_>, import: &Import, times: &Times) -> Option<Clock> {
    let source = &import.spec.source_cluster.name;
    let find = &import.spec.virtual_machine_name;
    let message = match import.status.import_status {
        _ if !import.touched => {
            format!(
                "the engine does not look at import `{}`: is its pod up?",
                entry.import_at
            )
        }
        ImportState::New => format!("source `{source}` is not ready (P04)"),
        ImportState::Valid => format!("the engine cannot log in to source `{source}` (P03)"),
        _ => format!(
            "the engine does not find or cannot stop `{find}` in source `{source}` (O02, O09, V02, \
             V10, P06): is the VM gone, renamed, locked?"
        ),
    };
    // An engine that was down has only just begun.
    let looked = import.changed.filter(|_| import.touched);
    Clock::new(times.created.max(looked), ADMITTED, message)
}

fn imaging(entry: &Entry<'_>, import: &Import, times: &Times) -> Option<Clock> {
    let namespace = &entry.record.spec.namespace;
    let changed = entry.images.iter().filter_map(|(_, i)| i.changed).max();
    match import.status.import_status {
        ImportState::DiskImageSubmitted if images_in(entry, import) => Clock::new(
            changed.max(times.exported),
            IMAGES_IN,
            "the images are in, but the engine does not see it (Q08): is its pod up?",
        ),
        ImportState::DiskImageSubmitted | ImportState::DiskImageFailed => Clock::new(
            changed.max(times.exported),
            IMAGES_FLAT,
            format!(
                "no image of it has moved for {IMAGES_FLAT} (S05, L02): look at the images in \
                 namespace `{namespace}` and at the target's storage"
            ),
        ),
        ImportState::DiskImagesReady => Clock::new(
            images_in_at(entry, import).or(changed).max(times.exported),
            IMAGES_IN,
            format!(
                "the images are in, but machine `{namespace}/{}` is refused (N02, T01, W09, O05, \
                 T09): the engine's log says why; it goes on by itself once that is mended",
                entry.record.spec.machine
            ),
        ),
        _ => Clock::new(
            times.exported,
            SUBMIT,
            format!(
                "exported, but its images are refused in namespace `{namespace}` (N06, N08, S10): \
                 the engine's log says why"
            ),
        ),
    }
}

/// All images of an import are in.
pub(crate) fn images_in(entry: &Entry<'_>, import: &Import) -> bool {
    use ImportState as S;
    let state = &import.status.import_status;
    if matches!(
        state,
        S::DiskImagesReady | S::VirtualMachineCreated | S::VirtualMachineRunning
    ) {
        return true;
    }
    let disks = import.status.disk_import_status.len();
    disks > 0 && entry.images.len() == disks && entry.images.iter().all(|(_, i)| i.imported)
}

/// When the engine says that the last of the images was in.
fn images_in_at(entry: &Entry<'_>, import: &Import) -> Option<Timestamp> {
    debug_assert_eq!(entry.import.map(|i| &i.uid), Some(&import.uid));
    let disks = import.status.disk_import_status.iter();
    disks
        .map(|disk| ledger::condition_time(&disk.disk_conditions, condition::IMAGE_READY))
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .max()
}

/// What a final failure of the engine is called.
pub(crate) fn failure(import: &Import) -> String {
    let status = &import.status;
    if status.import_status == ImportState::Invalid {
        return "refused by the engine before it did anything (P01, P02, P07, P09, W10): only its \
                log says why; check that the source still has the VM, its networks, and the \
                storage class"
            .to_owned();
    }
    let conditions = &status.import_conditions;
    let said = conditions
        .iter()
        .find(|c| c.r#type == condition::EXPORT_FAILED)
        .and_then(|c| c.message.as_deref())
        .unwrap_or("the engine does not say why");
    let hint = if said.contains("No space left") {
        " (S01: the engine's scratch is full)"
    } else if said.contains("qemu_thread_create") {
        " (V20: qemu-img had no address space left for a thread; set MALLOC_ARENA_MAX=1 for the \
         engine, then `windrow retry`)"
    } else if said.contains("Another task is already in progress") {
        " (V13: restart the engine when it is idle, then try again)"
    } else {
        ""
    };
    format!("export failed: {said}{hint}; the source VM is switched off")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Image;
    use crate::fixture::{import_at, observed, put_image, put_import, record, record_at, t};

    const EXPORTED: [&str; 3] = [
        condition::SHUTDOWN_GUEST,
        condition::POWERED_OFF,
        condition::EXPORTED,
    ];

    fn judge_db(observed: &Observed, now: u64) -> Verdict {
        let ledger = Ledger::new(observed);
        let exports = Exports::of(&ledger, observed, t(now));
        let entry = ledger.get(&record_at("db")).unwrap();
        let import = entry.own_import().unwrap();
        let stage = ledger::reached(&import.status);
        let times = entry.status.times.clone();
        let rates = Assumptions::default();
        judge(entry, import, stage, &times, Some(&rates), &exports, t(now))
    }

    fn imaging(state: ImportState) -> Observed {
        let mut picture = observed();
        let times = Times {
            created: Some(t(0)),
            off: Some(t(10)),
            exported: Some(t(100)),
            ..Times::default()
        };
        record(&mut picture, "db", Stage::Imaging, times);
        put_import(&mut picture, "db", state, &EXPORTED);
        picture
    }

    /// When its clock runs out, if nothing changes.
    fn end(observed: &Observed, now: u64) -> Option<Timestamp> {
        match judge_db(observed, now) {
            Verdict::InTime(end) => end,
            other => panic!("{other:?}"),
        }
    }

    // Each state of the image phase has its own clock, from an instant in the picture.
    #[test]
    fn clocks_of_imaging() {
        let picture = imaging(ImportState::DisksExported);
        assert_eq!(end(&picture, 110), Some(t(220)));
        let mut picture = imaging(ImportState::DiskImageSubmitted);
        assert_eq!(end(&picture, 110), Some(t(100 + 900)));
        let mut image = Image {
            changed: Some(t(500)),
            ..Image::default()
        };
        put_image(&mut picture, "db", image.clone());
        assert_eq!(end(&picture, 510), Some(t(500 + 900)));
        image.imported = true;
        put_image(&mut picture, "db", image);
        assert_eq!(end(&picture, 510), Some(t(500 + 180)));
        assert!(matches!(judge_db(&picture, 680), Verdict::Stalled(why) if why.contains("Q08")));
    }

    // While somebody else is exported no clock runs; afterwards it runs on from where it stood,
    // also before that end is recorded.
    #[test]
    fn paused() {
        let mut picture = imaging(ImportState::DisksExported);
        let mut times = Times {
            created: Some(t(105)),
            off: Some(t(110)),
            ..Times::default()
        };
        record(&mut picture, "old", Stage::Exporting, times.clone());
        put_import(
            &mut picture,
            "old",
            ImportState::SourceReady,
            &EXPORTED[..2],
        );
        assert_eq!(judge_db(&picture, 5000), Verdict::InTime(None));
        put_import(&mut picture, "old", ImportState::DisksExported, &EXPORTED);
        assert_eq!(end(&picture, 5000), Some(t(5000 + 110)));
        times.exported = Some(t(4990));
        record(&mut picture, "old", Stage::Imaging, times);
        assert_eq!(end(&picture, 5000), Some(t(4990 + 110)));
    }

    // Exports that overlap are counted once, and only as far as they lie in the interval.
    #[test]
    fn union_of_exports() {
        let export = |n: u64, from, to| Export {
            import: At::new("erp", format!("w{n}")),
            from: t(from),
            to: Some(t(to)),
        };
        let exports = Exports(vec![export(1, 0, 20), export(2, 15, 30), export(3, 40, 50)]);
        let of_others = |at, since, now| exports.of_others(&at, t(since), t(now));
        assert_eq!(of_others(import_at("db", 1), 10, 45), Seconds(25));
        assert_eq!(of_others(At::new("erp", "w2"), 10, 45), Seconds(15));
        assert_eq!(of_others(import_at("db", 1), 60, 90), Seconds(0));
    }
}
