//! All checks, with what people read about them: findings, `docs/findings/CODE.md`, `explain`.
//!
//! Codes are the ids of the hazard catalogue (`docs/hazards.md`), plus Windrow's own (`WR001` …).
//! The engine's facts cite its source as that catalogue does (`VM:703` is line 703 of
//! `pkg/controllers/migration/virtualmachine.go`), or say that they were measured.

use std::fmt::Write as _;

use schemas::finding::Severity;

use super::{
    Estate, Hit, capacity, disks, files, foretold, guests, identity, losses, machines, names,
    networks, nics, openstack, ova, people, queue, scratch, shown, targets, vmware, waivers,
};

/// One check.
pub struct Check {
    /// Stable: hazard's id, or one of Windrow's own.
    pub code: &'static str,
    /// How bad it is, unless a hit says otherwise.
    pub severity: Severity,
    /// What is wrong, as a phrase about a VM, source or target.
    pub title: &'static str,
    /// What is looked at.
    pub reads: &'static str,
    /// What the engine does, and how we know.
    pub why: &'static str,
    /// When it happens, as the rest of "It happens when …".
    pub when: &'static str,
    /// How to see it by hand, at the source or on the target.
    pub see: &'static str,
    /// What a person can do.
    pub remedy: &'static str,
    /// Why no waiver is taken, where none is.
    pub never_waived: Option<&'static str>,
    /// Looks for it.
    pub run: fn(&Estate<'_>) -> Vec<Hit>,
}

/// All checks, by code.
pub const CHECKS: &[&Check] = &[
    &ova::A02,
    &ova::A03,
    &ova::A04,
    &ova::A05,
    &ova::A06,
    &ova::A07,
    &ova::A08,
    &ova::A09,
    &queue::L02,
    &queue::L12,
    &names::N01,
    &names::N02,
    &files::N03,
    &files::N04,
    &files::N05,
    &files::N06,
    &files::N07,
    &files::N08,
    &files::N09,
    &disks::O03,
    &openstack::O04,
    &openstack::O05,
    &openstack::O06,
    &openstack::O07,
    &openstack::O08,
    &openstack::O09,
    &openstack::O11,
    &openstack::O12,
    &openstack::O13,
    &queue::P04,
    &names::P07,
    &networks::P09,
    &queue::Q01,
    &queue::Q02,
    &queue::Q04,
    &queue::Q05,
    &scratch::S01,
    &scratch::S02,
    &capacity::S05,
    &targets::S06,
    &capacity::S10,
    &losses::S12,
    &losses::S13,
    &capacity::S15,
    &guests::T01,
    &losses::T02,
    &guests::T03,
    &capacity::T04,
    &guests::T06,
    &guests::T07,
    &guests::T08,
    &vmware::V01,
    &vmware::V02,
    &vmware::V03,
    &vmware::V04,
    &machines::V05,
    &vmware::V06,
    &disks::V07,
    &vmware::V08,
    &vmware::V09,
    &names::V10,
    &vmware::V11,
    &vmware::V12,
    &vmware::V16,
    &guests::V17,
    &vmware::V18,
    &queue::V20,
    &networks::W01,
    &networks::W02,
    &nics::W03,
    &nics::W04,
    &nics::W05,
    &networks::W06,
    &nics::W07,
    &nics::W08,
    &nics::W09,
    &nics::W11,
    &targets::WR001,
    &machines::WR002,
    &targets::WR003,
    &WR004,
    &disks::WR005,
    &WR006,
    &machines::WR007,
    &targets::WR008,
    &identity::WR020,
    &identity::WR021,
    &identity::WR022,
    &losses::WR023,
    &identity::WR024,
    &identity::WR025,
    &identity::WR026,
    &queue::WR029,
    &vmware::WR030,
    &vmware::WR031,
    &openstack::WR032,
    &ova::WR033,
    &foretold::WR040,
    &foretold::WR041,
    &foretold::WR042,
    &people::WR050,
    &people::WR051,
    &people::WR052,
    &people::WR053,
    &people::WR054,
    &waivers::WR055,
    &waivers::WR056,
    &waivers::WR057,
];

/// Found by the schedule (`crate::pipeline`), so it looks for nothing by itself.
const WR004: Check = Check {
    code: "WR004",
    severity: Severity::Blocker,
    title: "fits no occurrence of its window",
    reads: "predicted durations, the window's occurrences from the plan's start on, the scratch",
    why: "No import starts outside of its wave's window, and this engine cannot abort a running \
          export (Q09): what cannot end inside must not begin.",
    when: "the import takes longer than the longest occurrence, or those before it fill all of \
             them",
    see: "the table of waves that `windrow plan` prints, beside the windows of the site",
    remedy: "lengthen the window, give it more occurrences, or move the VM to a wave with another \
             window",
    never_waived: Some("there is no time at which it could run"),
    run: |_| Vec::new(),
};

/// Found by the schedule too.
const WR006: Check = Check {
    code: "WR006",
    severity: Severity::Warning,
    title: "is predicted to run past the end of its window",
    reads: "the import's predicted end and its window's close",
    why: "It starts in time, but others before it keep the engine busy. A running export cannot be \
          aborted (Q09), so an overrun can only be told.",
    when: "those before it in the queue keep the engine busy for longer than the window is open",
    see: "the forecast beside the waves: `forecast.json`",
    remedy: "lengthen the window or its `lockout`, or move some VMs of the wave to another one",
    never_waived: None,
    run: |_| Vec::new(),
};

/// The check of that code.
pub fn check(code: &str) -> Option<&'static Check> {
    CHECKS.iter().copied().find(|check| check.code == code)
}

/// The page about a code, in Markdown.
pub fn page(code: &str) -> Option<String> {
    let check = check(code)?;
    let severity = match check.severity {
        Severity::Blocker => {
            "blocker: the VM stays out of the plan, and with it all that depend on it"
        }
        Severity::Warning => "warning: it is imported, and something will not be as it was",
        Severity::Info => "info: worth knowing",
    };
    let waiver = match check.never_waived {
        Some(why) => format!("Cannot be waived: {why}.\n"),
        None => format!(
            "Accepted by a waiver in the plan:\n\n```yaml\nwaivers:\n- {{ code: {code}, vms: [NAME], reason: \"why it is accepted\" }}\n```\n"
        ),
    };
    let mut page = String::new();
    writeln!(page, "# {code}: {}\n", check.title).ok()?;
    writeln!(page, "{}.\n", sentence(severity)).ok()?;
    writeln!(page, "**What happens.** {}\n", check.why).ok()?;
    page.push_str(&shown::paragraph(code));
    writeln!(page, "**When.** {}.\n", sentence(check.when)).ok()?;
    writeln!(page, "**What is read.** {}.\n", sentence(check.reads)).ok()?;
    writeln!(page, "**See it by hand.** {}.\n", sentence(check.see)).ok()?;
    writeln!(page, "**What to do.** {}.\n", sentence(check.remedy)).ok()?;
    page.push_str(&waiver);
    Some(page)
}

pub(super) fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
