//! How long an import takes, and on what ground.
//!
//! Takes sizes and the site's assumptions; gives a duration for each phase of the engine's profile
//! (`engine::profile`). Downtime and cut are sums over the phases, never typed a second time.

use std::fmt;

use engine::admission::changes;
use engine::profile::{Lasts, Phase, PhaseName, Profile};
use schemas::inventory::SourceKind;
use schemas::site::Assumptions;
use schemas::units::{Bytes, Seconds};
use schemas::wave::WaveSize;

use crate::learned::Rates;

/// A predicted value and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The value.
    pub value: Seconds,
    /// Its ground.
    pub basis: Basis,
}

/// What an estimate rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// A size, over a rate that the site assumes (bytes a second).
    AssumedRate(Bytes),
    /// A duration that the site assumes.
    Assumed,
    /// A size, over the median rate of so many finished imports (bytes a second).
    MeasuredRate(Bytes, usize),
    /// The median of so many finished imports.
    Measured(usize),
    /// The guest is off already, or there is none: nothing to wait for.
    NotNeeded,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AssumedRate(rate) => write!(f, "{rate}/s assumed"),
            Self::Assumed => f.write_str("assumed"),
            Self::MeasuredRate(rate, of) => write!(f, "{rate}/s measured of {of} imports"),
            Self::Measured(of) => write!(f, "measured of {of} imports"),
            Self::NotNeeded => f.write_str("nothing to wait for"),
        }
    }
}

/// Durations of one import, each as if it were alone on the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimates {
    /// From asking the guest to shut down until it is off.
    pub shutdown: Estimate,
    /// Copying its disks.
    pub export: Estimate,
    /// Taking its images in, alone.
    pub images: Estimate,
    /// From the machine's creation until it is ready.
    pub boot: Estimate,
}

impl Estimates {
    /// Of an import of that size. `guest_runs`: whether there is a guest to be shut down.
    pub fn new(size: &WaveSize, guest_runs: bool, assumed: &Assumptions) -> Self {
        let at_rate = |bytes: Bytes, rate: Bytes| Estimate {
            value: bytes.at_rate(rate),
            basis: Basis::AssumedRate(rate),
        };
        Self {
            shutdown: if guest_runs {
                Estimate {
                    value: assumed.shutdown.0,
                    basis: Basis::Assumed,
                }
            } else {
                Estimate {
                    value: Seconds::ZERO,
                    basis: Basis::NotNeeded,
                }
            },
            export: at_rate(size.transfer.0, assumed.export_bytes_per_second.0),
            images: at_rate(size.disks.0, assumed.image_bytes_per_second.0),
            boot: Estimate {
                value: assumed.boot.0,
                basis: Basis::Assumed,
            },
        }
    }

    /// The same import at measured rates.
    #[must_use]
    pub fn measured(&self, size: &WaveSize, rates: &Rates) -> Self {
        let at_rate = |bytes: Bytes, rate: Bytes| Estimate {
            value: bytes.at_rate(rate),
            basis: Basis::MeasuredRate(rate, rates.samples),
        };
        let for_long = |value: Seconds| Estimate {
            value,
            basis: Basis::Measured(rates.samples),
        };
        let nothing = self.shutdown.basis == Basis::NotNeeded || rates.shutdown == Seconds::ZERO;
        Self {
            shutdown: if nothing {
                self.shutdown
            } else {
                for_long(rates.shutdown)
            },
            export: at_rate(size.transfer.0, rates.export),
            images: at_rate(size.disks.0, rates.images),
            boot: for_long(rates.boot),
        }
    }

    /// All of it longer, or shorter, by this many hundredths of what it is.
    #[must_use]
    pub fn scaled(&self, hundredths: u64) -> Self {
        let scale = |it: Estimate| Estimate {
            value: Seconds((it.value.0 * hundredths).div_ceil(100)),
            ..it
        };
        Self {
            shutdown: scale(self.shutdown),
            export: scale(self.export),
            images: scale(self.images),
            boot: scale(self.boot),
        }
    }

    /// What a phase lasts for.
    pub fn of(&self, lasts: Lasts) -> Seconds {
        match lasts {
            Lasts::Shutdown => self.shutdown.value,
            Lasts::Transfer => self.export.value,
            Lasts::Changes(hundredths) => changes(self.export.value, hundredths),
            Lasts::Disks => self.images.value,
            Lasts::Boot => self.boot.value,
            // What the engine does after the machine is ready takes none of our time.
            Lasts::Nothing => Seconds::ZERO,
        }
    }

    /// One phase of an engine; nothing, where it has none of that name.
    pub fn phase(&self, profile: &Profile, name: PhaseName) -> Seconds {
        let phase = profile.phase(name);
        phase.map_or(Seconds::ZERO, |phase| self.of(phase.lasts))
    }

    /// How long the application is down at least: the phases in which its guest is.
    pub fn downtime(&self, profile: &Profile) -> Seconds {
        let down = |phase: &&Phase| phase.guest_down;
        let phases = profile.phases.iter().filter(down);
        phases.map(|phase| self.of(phase.lasts)).sum()
    }

    /// How long another attempt keeps the guest down after one that failed: what is done again.
    pub fn retry(&self, profile: &Profile) -> Seconds {
        let again = |phase: &&Phase| phase.guest_down && phase.repeated;
        let phases = profile.phases.iter().filter(again);
        phases.map(|phase| self.of(phase.lasts)).sum()
    }

    /// From the import's creation, or from when it is sent into its cut, until its machine is ready, on
    /// an idle engine: the engine's own steps and polls included, rounded up. This much of a window
    /// must be left.
    pub fn cut(&self, profile: &Profile, kind: SourceKind) -> Seconds {
        engine::admission::cut(profile, kind, |lasts| self.of(lasts))
    }
}

#[cfg(test)]
mod tests {
    use schemas::units::Quantity;

    use super::*;

    // 66 GiB at 110 MiB/s and 300 MiB/s; the cut adds shutdown, boot and the engine's polls.
    #[test]
    fn one_import() {
        let gib = |gib| Quantity(Bytes::from_gib(gib));
        let size = WaveSize {
            peak: gib(66),
            resident: gib(66),
            transfer: gib(66),
            disks: gib(66),
        };
        let profile = Profile::vm_import();
        let estimates = Estimates::new(&size, true, &Assumptions::default());
        assert_eq!(estimates.export.value, Seconds(615));
        assert_eq!(estimates.images.value, Seconds(226));
        assert_eq!(estimates.downtime(&profile), Seconds(615 + 226 + 90));
        let cut = estimates.cut(&profile, SourceKind::Openstack);
        assert!(cut > Seconds(60 + 615 + 226 + 90) && cut < Seconds(85 + 615 + 226 + 90));
        let off = Estimates::new(&size, false, &Assumptions::default());
        assert_eq!(off.shutdown.basis, Basis::NotNeeded);
    }
}
