//! Which hazards were shown on the real engine: by imports made by hand, next to what the plan
//! finds. `cargo xtask e2e SCENARIO` shows them again.

use std::fmt::Write as _;

/// One hazard that was shown.
pub struct Shown {
    /// Its code.
    pub code: &'static str,
    /// The scenario that shows it.
    pub scenario: &'static str,
    /// What the engine did (v1.8.1).
    pub seen: &'static str,
    /// What was done about it, after which the finding was gone and the import succeeded; absent:
    /// the rig has no call that would mend it.
    pub mended: Option<&'static str>,
}

const fn shown(
    code: &'static str,
    scenario: &'static str,
    seen: &'static str,
    mended: Option<&'static str>,
) -> Shown {
    Shown {
        code,
        scenario,
        seen,
        mended,
    }
}

/// All of them, by code.
pub const SHOWN: &[Shown] = &[
    shown(
        "A03",
        "remedies",
        "`VMMigrationFailed` after the whole download: unsupported checksum algorithm",
        Some("packed again with SHA-256"),
    ),
    shown(
        "A05",
        "crashes",
        "the engine ends with a nil pointer, and stays up once the import is deleted",
        Some("packed again"),
    ),
    shown(
        "A06",
        "crashes",
        "the engine ends with an index out of range, and stays up once the import is deleted",
        Some("packed again"),
    ),
    shown(
        "A07",
        "crashes",
        "the engine ends with a nil pointer, and stays up once the import is deleted",
        Some("packed again"),
    ),
    shown(
        "N01",
        "remedies",
        "the second import says `virtualMachineRunning`; the only machine has the first one's disk",
        Some("another namespace under `machines`"),
    ),
    shown(
        "N02",
        "remedies",
        "stays `diskImagesReady` after the export, with nothing in its status; the log: already exists",
        Some("another namespace under `machines`"),
    ),
    shown(
        "N09",
        "remedies",
        "the image gives up, the import stays `diskImageSubmitted`",
        Some("packed again with a plain file name"),
    ),
    shown(
        "O09",
        "remedies-openstack",
        "a paused server: stays `sourceReady` without a condition; the log has Nova's 409",
        Some("the script of `windrow remedy`"),
    ),
    shown(
        "P07",
        "remedies-vsphere",
        "`virtualMachineImportInvalid`, the reason only in the log; the same from OpenStack",
        Some("the script of `windrow remedy`"),
    ),
    shown(
        "P09",
        "remedies",
        "`virtualMachineImportInvalid`, the reason only in the log",
        Some("another network in the site"),
    ),
    shown(
        "S10",
        "remedies",
        "stays `diskImagesReady`, with nothing in its status; the log: exceeded quota",
        Some("the quota raised"),
    ),
    shown(
        "T01",
        "remedies-vsphere",
        "8 CPUs at 4 cores a socket become 4 sockets of 8 cores",
        Some(
            "one core a socket by vSphere's API: the script's command is none that the simulator takes",
        ),
    ),
    shown(
        "V01",
        "remedies-vsphere",
        "`virtualMachineImportInvalid`; the log: VMware Tools is not running",
        Some("shut down from inside"),
    ),
    shown(
        "V04",
        "remedies-vsphere",
        "`virtualMachineImportInvalid`; the log: VMware Tools is not running",
        Some("the script of `windrow remedy`, then shut down"),
    ),
    shown(
        "V06",
        "remedies-vsphere",
        "`VMMigrationFailed`, after `VMPoweredOff`: the (simulated) vCenter refuses the export",
        None,
    ),
    shown(
        "V07",
        "remedies-vsphere",
        "a raw device: `VMMigrationFailed`, after `VMPoweredOff`; an independent disk: left out \
         without a word, the import succeeds",
        None,
    ),
    shown(
        "V10",
        "remedies-vsphere",
        "`virtualMachineImportInvalid`; the log: resolves to multiple vms",
        Some("the script of `windrow remedy`"),
    ),
    shown(
        "W01",
        "remedies",
        "the machine has one NIC of two, nothing says so",
        Some("a mapping for the other network"),
    ),
    shown(
        "W02",
        "remedies",
        "the machine has one NIC, on the pod network, behind masquerading",
        Some("a mapping for its network"),
    ),
    shown(
        "W06",
        "remedies-vsphere",
        "the SR-IOV NIC is left out without a word",
        None,
    ),
];

/// What a page says of it; nothing where it was not shown.
pub(super) fn paragraph(code: &str) -> String {
    let Some(shown) = SHOWN.iter().find(|shown| shown.code == code) else {
        return String::new();
    };
    let mended = shown.mended.map_or_else(String::new, |remedy| {
        format!(" Mended ({remedy}), it was imported.")
    });
    format!(
        "**Shown on the real engine.** {}.{mended} `cargo xtask e2e {}` shows it again.\n\n",
        super::table::sentence(shown.seen),
        shown.scenario
    )
}

/// The part of `docs/hazards.md` that lists them, as Markdown.
pub fn section() -> String {
    let mended = SHOWN.iter().filter(|shown| shown.mended.is_some()).count();
    let mut text = format!(
        "## Shown on the real engine\n\n\
         {} hazards that `windrow plan` finds, each with an import made by hand on vm-import-controller v1.8.1: the plan \
         finds the code, the\nengine does what the finding says. vCenter is VMware's simulator, OpenStack is real, Harvester \
         is played. {mended} of them were then mended\nas the last column says: the finding was gone after another pull, \
         and `windrow apply` imported the machine (disks compared by SHA-256,\nbut for vSphere's of 20 GiB). \
         `cargo xtask e2e SCENARIO` does all of it again.\n\n\
         | id | scenario | what was seen | mended by |\n|---|---|---|---|\n",
        SHOWN.len()
    );
    for shown in SHOWN {
        let remedy = shown
            .mended
            .unwrap_or("– (the simulator has no call for it)");
        writeln!(
            text,
            "| [{0}](findings/{0}.md) | {1} | {2} | {remedy} |",
            shown.code, shown.scenario, shown.seen
        )
        .expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each once, in order, and each with a page to say so.
    #[test]
    fn known() {
        let codes: Vec<&str> = SHOWN.iter().map(|shown| shown.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        for code in codes {
            let page = super::super::table::page(code).expect("a check");
            assert!(page.contains("**Shown on the real engine.**"), "{page}");
        }
    }
}
