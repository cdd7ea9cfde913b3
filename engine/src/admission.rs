//! When the next import is due, given the one before: the three policies of `docs/engine.md` §4.
//!
//! What decides everything is the gap between two exports (measured-admission, reading 2): an
//! import whose images are not in when the next export begins waits that export out, because the
//! worker is blocked. Schedule and executor use the same rule, so that what is planned is what is
//! done.

use schemas::inventory::SourceKind;
use schemas::site::{Admission, Assumptions};
use schemas::units::Seconds;
use schemas::wave::WaveSize;

use crate::profile::{Lasts, Part, Profile};
use crate::time::Millis;

/// Room between the moment at which images are predicted to be in and the look that finds the next
/// guest off (measured-admission, reading 4: "about 1 s of reserve").
pub const RESERVE: Millis = Millis::from_seconds(1);

/// How far the import before is: the one created last on this engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Its disks are not copied yet.
    Exporting,
    /// They are; its images are in, or predicted to be, at this time.
    Imaging {
        /// When.
        images_in: Millis,
    },
    /// Its machine exists.
    Created,
    /// It has ended, well or not, or waits for something that the engine will not do by itself.
    Over,
}

/// When to create the next import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// At once.
    Now,
    /// At this time, if nothing happens before.
    At(Millis),
    /// Not before something happens.
    Later,
}

/// When the next import is due, whose guest the engine will find off `lead` after its creation
/// ([`lead`]).
pub fn due(policy: Admission, ahead: Ahead, lead: Millis, now: Millis) -> Due {
    match (policy, ahead) {
        (_, Ahead::Created | Ahead::Over) | (Admission::Throughput, Ahead::Imaging { .. }) => {
            Due::Now
        }
        (_, Ahead::Exporting) | (Admission::Downtime, Ahead::Imaging { .. }) => Due::Later,
        (Admission::Balanced, Ahead::Imaging { images_in }) => {
            let at = (images_in + RESERVE).saturating_sub(lead);
            if at <= now { Due::Now } else { Due::At(at) }
        }
    }
}

/// From an import's creation until the engine, idle otherwise, begins its export. `shutdown` is the
/// guest's own time, zero if it is off already.
///
/// Four reconciles that call the source (preflight, sanitizing, shutdown, a look at the power);
/// then a look every poll until the guest is off. So an 8-second guest takes 11 to 15 s
/// (measured-admission, reading 3).
pub fn create_to_export(profile: &Profile, kind: SourceKind, shutdown: Millis) -> Millis {
    let call = profile.call(kind);
    let poll = profile.power_poll + call;
    let polls = shutdown.saturating_sub(call).0.div_ceil(poll.0);
    call * 4 + poll * polls
}

/// From an import's creation until the look at its power that finds the guest off. Images that come
/// in after this look has begun are too late: they are evaluated before the export, but the machine
/// is made after it, because the engine's queue puts the export first.
pub fn lead(profile: &Profile, kind: SourceKind, shutdown: Millis) -> Millis {
    create_to_export(profile, kind, shutdown).saturating_sub(profile.call(kind))
}

/// From an import's creation, or from when it is sent into its cut, until its machine is ready, on an
/// idle engine: the guest's shutdown as the engine sees it, and what follows it in the cut, with the
/// engine's own steps between. Rounded up: a plan must not promise what the last second breaks.
pub fn cut(profile: &Profile, kind: SourceKind, lasts: impl Fn(Lasts) -> Seconds) -> Seconds {
    let until_export = create_to_export(profile, kind, lasts(Lasts::Shutdown).into());
    // After the export: two status writes, the images' evaluation, the machine's creation.
    let steps = profile.step * 3 + profile.create_machine;
    let engine = until_export + steps + Millis(999);
    let phases = profile.of(Part::Cut).map(|phase| phase.lasts);
    let rest: Seconds = phases
        .filter(|phase| *phase != Lasts::Shutdown)
        .map(lasts)
        .sum();
    engine.seconds() + rest
}

/// The longest that a cut of this size takes in nine of ten cases (P90), by the rates that a wave
/// is planned with: what must be left of a window when it starts. Planner and executor keep windows
/// by this one rule.
pub fn cut_p90(
    profile: &Profile,
    kind: SourceKind,
    size: &WaveSize,
    shutdown_timeout: Seconds,
    rates: &Assumptions,
) -> Seconds {
    let shutdown = match kind {
        SourceKind::Ova => Seconds::ZERO,
        // A guest that takes longer has its power cut.
        SourceKind::Vmware | SourceKind::Openstack => rates.shutdown.0.min(shutdown_timeout),
    };
    let transfer = size.transfer.0.at_rate(rates.export_bytes_per_second.0);
    rates.spread.longer(cut(profile, kind, |lasts| match lasts {
        Lasts::Shutdown => shutdown,
        Lasts::Transfer => transfer,
        Lasts::Changes(hundredths) => changes(transfer, hundredths),
        Lasts::Disks => size.disks.0.at_rate(rates.image_bytes_per_second.0),
        Lasts::Boot => rates.boot.0,
        Lasts::Nothing => Seconds::ZERO,
    }))
}

/// How long so many hundredths of a transfer take, rounded up.
pub fn changes(transfer: Seconds, hundredths: u64) -> Seconds {
    Seconds((transfer.0 * hundredths).div_ceil(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::from_seconds(100);

    // Each policy waits for its own sign of the import before.
    #[test]
    fn policies() {
        let imaging = Ahead::Imaging {
            images_in: Millis::from_seconds(700),
        };
        let lead = Millis::from_seconds(30);
        let due = |policy, ahead| due(policy, ahead, lead, NOW);
        for policy in [
            Admission::Downtime,
            Admission::Balanced,
            Admission::Throughput,
        ] {
            assert_eq!(due(policy, Ahead::Exporting), Due::Later);
            assert_eq!(due(policy, Ahead::Created), Due::Now);
            assert_eq!(due(policy, Ahead::Over), Due::Now);
        }
        assert_eq!(due(Admission::Throughput, imaging), Due::Now);
        assert_eq!(due(Admission::Downtime, imaging), Due::Later);
        assert_eq!(
            due(Admission::Balanced, imaging),
            Due::At(Millis::from_seconds(671))
        );
    }

    // Balanced never waits for a time that is past.
    #[test]
    fn balanced_with_short_images() {
        let ahead = Ahead::Imaging {
            images_in: Millis::from_seconds(105),
        };
        let lead = Millis::from_seconds(30);
        assert_eq!(due(Admission::Balanced, ahead, lead, NOW), Due::Now);
    }

    // The engine took 10.8 to 15.2 s with guests of 8 s at a vCenter (measured-admission).
    #[test]
    fn eight_second_guest() {
        let lead = create_to_export(
            &Profile::vm_import(),
            SourceKind::Vmware,
            Millis::from_seconds(8),
        );
        assert!((Millis(10_800)..=Millis(15_200)).contains(&lead), "{lead}");
    }
}
