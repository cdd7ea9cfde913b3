//! Which fields a target's `VirtualMachineImport` has.
//!
//! A live cluster says so itself: its definition's fields are in the target's snapshot. Where there
//! is none, this table does, by Harvester's release line. Read off the API types of
//! vm-import-controller's releases: v0.1.x (Harvester 1.1 and 1.2), v0.3.x (1.3), v0.4.x (1.4), then
//! v1.5.0 to v1.8.1 under Harvester's own numbers; 1.9 is its main branch of June 2026, which adds
//! nothing.

use std::fmt;
use std::str::FromStr;

use schemas::inventory::TargetAbout;

/// Fields that not every release has, each with the first line that has it.
const SINCE: [(&str, Release); 7] = [
    // In v0.3.2 already: Harvester 1.3.0 shipped an older one, so 1.4 is the first to count on.
    ("storageClass", Release(1, 4)),
    ("defaultDiskBusType", Release(1, 6)),
    ("defaultNetworkInterfaceModel", Release(1, 6)),
    ("forcePowerOff", Release(1, 6)),
    ("gracefulShutdownTimeoutSeconds", Release(1, 6)),
    ("networkInterfaceModel", Release(1, 6)),
    ("skipPreflightChecks", Release(1, 6)),
];

/// Fields that every release has.
const ALWAYS: [&str; 4] = [
    "sourceCluster",
    "virtualMachineName",
    "folder",
    "networkMapping",
];

/// The first release with OVA sources.
const OVA_SINCE: Release = Release(1, 7);

/// The oldest release that has the engine, and the newest that was looked at.
const RANGE: (Release, Release) = (Release(1, 1), Release(1, 9));

/// A line of Harvester's releases, as in 1.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(u32, u32);

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Release {
    type Err = ReleaseError;

    /// `1.8`, `v1.8.1`, `1.8.1-rc2`.
    fn from_str(text: &str) -> Result<Self, ReleaseError> {
        let number = |part: Option<&str>| part?.parse().ok();
        let bare = text.strip_prefix('v').unwrap_or(text);
        let mut parts = bare.split(['.', '-', '+']);
        let (Some(major), Some(minor)) = (number(parts.next()), number(parts.next())) else {
            return Err(ReleaseError::Form(text.to_owned()));
        };
        let release = Self(major, minor);
        if release < RANGE.0 || release > RANGE.1 {
            return Err(ReleaseError::Range(release));
        }
        Ok(release)
    }
}

/// Why a text names no release that the table knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// It is no version.
    #[error("`{0}` is no version: write it as in `1.8` or `v1.8.1`")]
    Form(String),
    /// The table has none like that.
    #[error("Harvester {0} is not in the table, which goes from {from} to {to}", from = RANGE.0, to = RANGE.1)]
    Range(Release),
}

/// What the target's engine takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    names: Vec<String>,
    ova: bool,
    /// How it is known, for people.
    pub basis: String,
}

impl Fields {
    /// By the target's snapshot: its definition's fields, or else its release.
    pub fn of_target(target: &TargetAbout) -> Option<Self> {
        let release = target
            .harvester_version
            .as_deref()
            .and_then(|text| text.parse().ok());
        if target.import_fields.is_empty() {
            return release.map(Self::of_release);
        }
        let mut names = target.import_fields.clone();
        // Within the mapping; it came together with this one.
        if names
            .iter()
            .any(|name| name == "defaultNetworkInterfaceModel")
        {
            names.push("networkInterfaceModel".to_owned());
        }
        let ova = !target.ova_source_fields.is_empty()
            || release.is_none_or(|release| release >= OVA_SINCE);
        let basis = "the definition in the target's snapshot".to_owned();
        Some(Self { names, ova, basis })
    }

    /// By the table.
    pub fn of_release(release: Release) -> Self {
        let since = SINCE
            .iter()
            .filter(|(_, first)| release >= *first)
            .map(|(name, _)| *name);
        Self {
            names: ALWAYS.into_iter().chain(since).map(str::to_owned).collect(),
            ova: release >= OVA_SINCE,
            basis: format!("the table of fields of Harvester {release}"),
        }
    }

    /// Whether `VirtualMachineImport.spec` has the field; `networkInterfaceModel` is one of its
    /// network mappings'.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Whether there is a kind `OvaSource`.
    pub fn has_ova(&self) -> bool {
        self.ova
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The table, a line for each release: what is added to what was there before.
    #[test]
    fn table() {
        let fields = |text: &str| Fields::of_release(text.parse().expect("a release"));
        let all = ALWAYS
            .iter()
            .copied()
            .chain(SINCE.iter().map(|(name, _)| *name));
        let line = |text: &str| {
            let fields = fields(text);
            let has: Vec<&str> = all.clone().filter(|name| fields.has(name)).collect();
            (
                has.len(),
                fields.has("storageClass"),
                fields.has("gracefulShutdownTimeoutSeconds"),
                fields.has_ova(),
            )
        };
        for text in ["1.1", "v1.2.2", "1.3.1"] {
            assert_eq!(line(text), (4, false, false, false), "{text}");
        }
        for text in ["1.4", "v1.5.2"] {
            assert_eq!(line(text), (5, true, false, false), "{text}");
        }
        assert_eq!(line("1.6.1"), (11, true, true, false));
        for text in ["1.7", "v1.8.1", "1.8.0-rc6", "1.9"] {
            assert_eq!(line(text), (11, true, true, true), "{text}");
        }
        for text in ["1.0", "2.0", "1.10"] {
            assert!(
                matches!(text.parse::<Release>(), Err(ReleaseError::Range(_))),
                "{text}"
            );
        }
        for text in ["", "new", "1", "v1.x"] {
            assert!(
                matches!(text.parse::<Release>(), Err(ReleaseError::Form(_))),
                "{text}"
            );
        }
    }
}
