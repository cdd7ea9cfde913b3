//! What finished imports teach: rates and durations by source, size and kind of disk.
//!
//! Takes the records of machines that run, from the targets' snapshots, and gives medians with
//! their spread. These change predictions only: waves are decided by the site's assumptions, so
//! that a measurement changes no file that was approved.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemas::ids::SourceName;
use schemas::inventory::{Inventory, LedgerLine, Vm};
use schemas::machine::Stage;
use schemas::units::{Bytes, Seconds};

use crate::resolve::Index;

/// Fewer finished imports than this say too little of those like them.
pub const SAMPLES_MIN: usize = 5;

/// What imports of one kind have taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// So many finished imports.
    pub samples: usize,
    /// Bytes a second that the engine exported: the median.
    pub export: Bytes,
    /// Bytes a second at which Harvester took disk images in, others beside them: the median.
    pub images: Bytes,
    /// From asking a guest to shut down until it was off: the median.
    pub shutdown: Seconds,
    /// From the machine's creation until it was ready: the median.
    pub boot: Seconds,
    /// By how many hundredths the slowest of ten took longer from off to ready than the median
    /// rates say.
    pub spread: u64,
}

/// Kinds of imports, from the finest to all of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    source: SourceName,
    size: Option<Size>,
    disks: Option<Disks>,
}

/// Provisioned bytes of all disks together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Size {
    /// Below 50 GiB: dominated by what does not depend on size.
    Small,
    /// Below 500 GiB.
    Medium,
    Large,
}

/// How the source stores the disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Disks {
    Thin,
    Thick,
    Mixed,
}

/// One finished import.
#[derive(Clone, Copy, Debug)]
struct Sample {
    export: Bytes,
    images: Bytes,
    shutdown: Option<Seconds>,
    boot: Seconds,
    transfer: Bytes,
    disks: Bytes,
    down: Seconds,
}

/// All that was learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    rates: BTreeMap<Kind, Rates>,
}

impl Learned {
    /// Of the ledgers in the targets' snapshots.
    pub fn of(inventory: &Inventory) -> Self {
        let index = Index::of(inventory);
        let mut samples: BTreeMap<Kind, Vec<Sample>> = BTreeMap::new();
        for line in inventory.targets.values().flat_map(|target| &target.ledger) {
            let Some(sample) = sample(line) else { continue };
            for kind in kinds(&line.vm.source, sample.disks, index.vm(&line.vm)) {
                samples.entry(kind).or_default().push(sample);
            }
        }
        let enough = samples
            .into_iter()
            .filter(|(_, samples)| samples.len() >= SAMPLES_MIN);
        Self {
            rates: enough.map(|(kind, own)| (kind, rates(&own))).collect(),
        }
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }

    /// What is known of imports like that of `vm`, with disks of so many bytes: of the finest kind
    /// of which enough have finished.
    pub fn rates(&self, source: &SourceName, disks: Bytes, vm: Option<&Vm>) -> Option<&Rates> {
        let kinds = kinds(source, disks, vm);
        kinds.iter().find_map(|kind| self.rates.get(kind))
    }
}

/// The kinds that an import is of, the finest first.
fn kinds(source: &SourceName, disks: Bytes, vm: Option<&Vm>) -> Vec<Kind> {
    let size = match disks {
        small if small < Bytes::from_gib(50) => Size::Small,
        medium if medium < Bytes::from_gib(500) => Size::Medium,
        _ => Size::Large,
    };
    let kind = |size, disks| Kind {
        source: source.clone(),
        size,
        disks,
    };
    let stored = vm.and_then(stored);
    let finest = stored.map(|stored| kind(Some(size), Some(stored)));
    let rest = [kind(Some(size), None), kind(None, None)];
    finest.into_iter().chain(rest).collect()
}

/// How a VM's disks are stored, where its source says so of all of them.
fn stored(vm: &Vm) -> Option<Disks> {
    let thin: Option<Vec<bool>> = vm.disks.iter().map(|disk| disk.thin).collect();
    let thin = thin.filter(|thin| !thin.is_empty())?;
    Some(match thin.iter().filter(|thin| **thin).count() {
        0 => Disks::Thick,
        n if n == thin.len() => Disks::Thin,
        _ => Disks::Mixed,
    })
}

/// What a record teaches; nothing where it does not run, or its times cannot be.
fn sample(line: &LedgerLine) -> Option<Sample> {
    let size = line
        .size
        .as_ref()
        .filter(|_| line.stage == Stage::Running)?;
    let times = &line.times;
    let span = |from: Option<Timestamp>, to: Option<Timestamp>| {
        let seconds = to?.duration_since(from?).as_secs();
        u64::try_from(seconds).ok().filter(|s| *s > 0).map(Seconds)
    };
    let export = span(times.off, times.exported)?;
    let images = span(times.exported, times.machine)?;
    Some(Sample {
        export: Bytes(size.transfer.0.0 / export.0),
        images: Bytes(size.disks.0.0 / images.0),
        shutdown: span(times.shutdown, times.off),
        boot: span(times.machine, times.ready)?,
        transfer: size.transfer.0,
        disks: size.disks.0,
        down: span(times.off, times.ready)?,
    })
}

fn rates(samples: &[Sample]) -> Rates {
    let (export, images) = (
        median(samples.iter().map(|s| s.export)),
        median(samples.iter().map(|s| s.images)),
    );
    let boot = median(samples.iter().map(|s| s.boot));
    // By how much each took longer than the medians say; the ninth of ten counts.
    let mut over: Vec<u64> = samples
        .iter()
        .map(|s| {
            let said = s.transfer.at_rate(export) + s.disks.at_rate(images) + boot;
            (s.down.saturating_sub(said).0 * 100).div_ceil(said.0.max(1))
        })
        .collect();
    over.sort_unstable();
    Rates {
        samples: samples.len(),
        export,
        images,
        shutdown: median(samples.iter().filter_map(|s| s.shutdown)),
        boot,
        spread: over[(over.len() * 9).div_ceil(10) - 1],
    }
}

fn median<T: Ord + Copy + Default>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use schemas::machine::Times;
    use schemas::units::Quantity;
    use schemas::wave::WaveSize;

    use super::*;
    use crate::fixture::Fixture;
    use crate::{Planned, plan};

    const PLAN: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: web, select: [ { source: cloud1, ids: [c-web1] } ] }
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
"#;

    const NIGHT: &str = r#"- name: night
  occurrences: [ { id: one, from: "2026-11-23T22:00:00+01:00", to: "2026-11-23T22:50:00+01:00" } ]"#;

    /// A machine of `cloud1` that was moved: 20 GiB, exported in so many seconds.
    fn moved(n: u64, export: u64) -> LedgerLine {
        let at = |seconds: u64| {
            let start: Timestamp = "2026-11-20T00:00:00Z".parse().expect("an instant");
            let since = jiff::SignedDuration::from_secs(Seconds(seconds).signed());
            Some(start.checked_add(since).expect("an instant"))
        };
        let gib = Quantity(Bytes::from_gib(20));
        LedgerLine {
            id: format!("migrations/gone-{n}"),
            instance: None,
            vm: schemas::ids::VmKey::new("cloud1", format!("gone-{n}").as_str()),
            stage: Stage::Running,
            wave: Some("old-010-web".to_owned()),
            size: Some(WaveSize {
                peak: gib,
                resident: gib,
                transfer: gib,
                disks: gib,
            }),
            times: Times {
                created: at(0),
                shutdown: at(1),
                off: at(21),
                exported: at(21 + export),
                machine: at(21 + export + 100),
                ready: at(21 + export + 160),
                ended: at(21 + export + 170),
            },
            gate: None,
        }
    }

    fn planned(lines: &[LedgerLine]) -> Planned {
        let fixture = Fixture::new(PLAN)
            .windows(NIGHT)
            .target(|target| target.ledger.extend(lines.iter().cloned()));
        plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan")
    }

    // Four imports teach nothing, five do: median and spread; only those of the same source.
    #[test]
    fn medians() {
        let of = |n: u64| {
            let lines: Vec<_> = (0..n).map(|n| moved(n, 200 + n * 100)).collect();
            let fixture = Fixture::new(PLAN).target(|target| target.ledger.extend(lines));
            Learned::of(&fixture.inventory)
        };
        assert!(of(4).is_empty());
        let learned = of(5);
        let rates = learned
            .rates(&"cloud1".into(), Bytes::from_gib(900), None)
            .expect("five are enough");
        assert_eq!(rates.samples, 5);
        assert_eq!(rates.export, Bytes(Bytes::from_gib(20).0 / 400));
        assert_eq!((rates.shutdown, rates.boot), (Seconds(20), Seconds(60)));
        // 600 s for 400 at the median, of 560 in all.
        assert_eq!(rates.spread, 36);
        assert_eq!(learned.rates(&"dc1".into(), Bytes::ZERO, None), None);
    }

    // A record whose times cannot be teaches nothing.
    #[test]
    fn impossible_times() {
        let mut line = moved(1, 100);
        line.times.exported = line.times.off;
        assert!(sample(&line).is_none());
        line = moved(1, 100);
        line.stage = Stage::Failed;
        assert!(sample(&line).is_none());
    }

    // What was measured moves the forecast and no wave; what would miss its window then is told.
    #[test]
    fn waves_stay() {
        let before = planned(&[]);
        let lines: Vec<_> = (0..6).map(|n| moved(n, 2400)).collect();
        let after = planned(&lines);
        assert_eq!(before.rendered.waves, after.rendered.waves);
        assert_ne!(before.rendered.forecast, after.rendered.forecast);
        let basis = after
            .problem
            .jobs
            .iter()
            .map(|job| job.estimates.export.basis);
        let measured = basis.filter(|basis| basis.to_string().contains("measured of 6 imports"));
        assert_eq!(measured.count(), 1);
        let codes: Vec<_> = after
            .report
            .findings
            .iter()
            .map(|f| f.code.as_str())
            .collect();
        assert!(codes.contains(&"WR041"), "{codes:?}");
        assert!(after.report.band.early < after.report.band.late);
    }
}
