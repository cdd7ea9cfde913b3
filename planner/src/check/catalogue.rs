//! Every hazard of the catalogue (`docs/hazards.md`) and where it is met: which of them a snapshot
//! can hold, and why the others are not for a plan.

use std::fmt::Write as _;

use super::table;

/// Where a hazard is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By a check on the snapshots, offline.
    Plan,
    /// It cannot happen to an import of Windrow's: what it needs is never written or never done.
    Construction,
    /// It depends on the moment: to be looked at just before a wave, with the engine's credentials.
    Preflight,
    /// It shows while an import is under way, to the executor.
    Run,
    /// It shows in the cluster or at the source afterwards, to whoever tidies up.
    Doctor,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Construction => "by construction",
            Self::Preflight => "pre-flight",
            Self::Run => "run",
            Self::Doctor => "doctor",
        }
    }
}

use Place::{Construction as C, Doctor as D, Plan as P, Preflight as F, Run as R};

/// All hazards, in the catalogue's order, with a word on those that no check of the plan meets.
pub const HAZARDS: [(&str, Place, &str); 126] = [
    ("Q01", P, ""),
    ("Q02", P, ""),
    (
        "Q03",
        R,
        "a consequence; what crashes the engine has codes of its own: A05 to A07, and O01 and P03 cannot happen",
    ),
    ("Q04", P, ""),
    ("Q05", P, ""),
    (
        "Q06",
        R,
        "who else writes imports is not in a snapshot; Windrow creates one complete and never writes it again",
    ),
    ("Q07", R, "the engine's own race; nothing announces it"),
    ("Q08", R, "a lost event; nothing announces it"),
    (
        "Q09",
        C,
        "nothing relies on aborting an export: what cannot end inside its window does not begin",
    ),
    (
        "Q10",
        R,
        "always so; the executor supplies reason and progress",
    ),
    (
        "Q11",
        C,
        "the order is kept by creating the next import only when its turn has come",
    ),
    (
        "P01",
        F,
        "transient, so that only a look at the moment can tell",
    ),
    (
        "P02",
        C,
        "the executor waits until the source object is ready",
    ),
    (
        "P03",
        C,
        "source objects are removed only once no import names them",
    ),
    ("P04", P, ""),
    (
        "P05",
        C,
        "kind and version of the source are written by Windrow",
    ),
    (
        "P06",
        C,
        "every VM is resolved to one with an id, and `skipPreflightChecks` is never written",
    ),
    ("P07", P, ""),
    (
        "P08",
        C,
        "an import is never written again; another attempt has another name",
    ),
    ("P09", P, ""),
    ("P10", C, "states are matched literally, unknown ones kept"),
    ("N01", P, ""),
    ("N02", P, ""),
    ("N03", P, ""),
    ("N04", P, ""),
    ("N05", P, ""),
    ("N06", P, ""),
    ("N07", P, ""),
    ("N08", P, ""),
    ("N09", P, ""),
    ("V01", P, ""),
    ("V02", P, ""),
    ("V03", P, ""),
    ("V04", P, ""),
    ("V05", P, ""),
    ("V06", P, ""),
    ("V07", P, ""),
    ("V08", P, ""),
    ("V09", P, ""),
    ("V10", P, ""),
    ("V11", P, ""),
    (
        "V12",
        P,
        "names the hosts; whether they can be reached, only the cluster can try",
    ),
    ("V13", R, "a broken download; nothing announces it"),
    ("V14", D, "sessions at the vCenter, counted there"),
    ("V15", F, "a wrong password shows at the first login"),
    ("V16", P, ""),
    ("V17", P, ""),
    ("V18", P, ""),
    ("V19", R, "a hanging connection; nothing announces it"),
    (
        "V20",
        P,
        "which VMDK qemu-img refuses for other reasons, only a first import of each kind tells",
    ),
    ("O01", C, "a server is always named by its id"),
    ("O02", C, "a server is always named by its id"),
    ("O03", P, ""),
    ("O04", P, ""),
    ("O05", P, ""),
    ("O06", P, ""),
    ("O07", P, ""),
    ("O08", P, ""),
    ("O09", P, ""),
    (
        "O10",
        R,
        "somebody starts the source again during its export",
    ),
    ("O11", P, ""),
    ("O12", P, ""),
    ("O13", P, ""),
    ("O14", R, "a hanging connection; nothing announces it"),
    ("O15", D, "leftovers at the source, by their names"),
    (
        "A01",
        F,
        "whether the server answers HEAD is for the engine's place in the network to try",
    ),
    ("A02", P, ""),
    ("A03", P, ""),
    ("A04", P, ""),
    ("A05", P, ""),
    ("A06", P, ""),
    ("A07", P, ""),
    ("A08", P, ""),
    ("A09", P, ""),
    ("A10", C, "each archive gets a source object of its own"),
    ("W01", P, ""),
    ("W02", P, ""),
    ("W03", P, ""),
    ("W04", P, ""),
    ("W05", P, ""),
    ("W06", P, ""),
    ("W07", P, ""),
    ("W08", P, ""),
    ("W09", P, ""),
    ("W10", C, "the mapping's form demands `namespace/name`"),
    ("W11", P, ""),
    ("W12", C, "the model is one of a closed list"),
    ("S01", P, ""),
    ("S02", P, ""),
    (
        "S03",
        D,
        "the value that was asked for is in the add-on, not in its claim",
    ),
    (
        "S04",
        D,
        "files without an import, in the listing of the scratch",
    ),
    ("S05", P, ""),
    ("S06", P, ""),
    ("S07", C, "the storage class is written out in every import"),
    ("S08", R, "a failed download; nothing announces it"),
    ("S09", R, "one failed disk is taken for a failed VM"),
    ("S10", P, ""),
    (
        "S11",
        D,
        "before an image is deleted, by whether a machine uses it",
    ),
    ("S12", P, "a page; its space is counted in the capacity"),
    ("S13", P, "among the losses"),
    ("S14", D, "a pending change of Harvester's storage network"),
    ("S15", P, ""),
    ("T01", P, ""),
    ("T02", P, "among the losses"),
    ("T03", P, ""),
    ("T04", P, ""),
    ("T05", R, "whether the guest has booted, its gate says"),
    ("T06", P, ""),
    ("T07", P, ""),
    ("T08", P, ""),
    ("T09", R, "the source changes under way"),
    ("T10", R, "somebody starts the source again afterwards"),
    ("L01", R, "a restart of the engine"),
    ("L02", P, ""),
    (
        "L03",
        C,
        "Windrow deletes an import only once its success is recorded",
    ),
    (
        "L04",
        C,
        "Windrow deletes an import only once its success is recorded",
    ),
    (
        "L05",
        C,
        "made use of: each import is deleted after its success",
    ),
    (
        "L06",
        D,
        "Secret and source must stay until the imports are gone",
    ),
    (
        "L07",
        D,
        "the order in which a Git tool prunes is not in a snapshot",
    ),
    (
        "L08",
        C,
        "one record for each machine, for ever: what runs is not imported again",
    ),
    ("L09", F, "keys of Secrets are in no snapshot"),
    ("L10", D, "a NetworkPolicy for the engine's file server"),
    (
        "L11",
        F,
        "whether the credentials still hold shows at a login",
    ),
    ("L12", P, ""),
    (
        "L13",
        R,
        "a failed import leaves its source off: that is said, and nothing is switched on by itself",
    ),
    (
        "L14",
        C,
        "source objects and Secrets stand in the plan's own namespace",
    ),
];

/// The part of `docs/hazards.md` that says so, as Markdown.
pub fn section() -> String {
    let count = |place: Place| HAZARDS.iter().filter(|(_, at, _)| *at == place).count();
    let mut text = String::from("## Where each is met\n\n");
    writeln!(
        text,
        "Of the {} hazards, {} are looked for by `windrow plan`, offline, in the snapshots of sources and targets \
         (`findings/`), and {} cannot happen to an import of Windrow's.\nThe others need a look at the moment \
         (pre-flight: {}), show while an import is under way (run: {}) or afterwards (doctor: {}): what a snapshot \
         holds says nothing of them.\n",
        HAZARDS.len(),
        count(Place::Plan),
        count(Place::Construction),
        count(Place::Preflight),
        count(Place::Run),
        count(Place::Doctor),
    )
    .expect("a String takes everything");
    text.push_str("| id | met | what is found, or why not at plan time |\n|---|---|---|\n");
    for (code, place, word) in HAZARDS {
        let check = table::check(code).filter(|_| place == Place::Plan);
        let id = check.map_or(code.to_owned(), |_| format!("[{code}](findings/{code}.md)"));
        let title = check.map_or("", |check| check.title);
        let joint = if title.is_empty() || word.is_empty() {
            ""
        } else {
            "; "
        };
        writeln!(text, "| {id} | {} | {title}{joint}{word} |", place.word())
            .expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    // The list is the catalogue's, each once; what is met at plan time has a check, what is not has
    // a reason and none.
    #[test]
    fn complete() {
        let rows = include_str!("../../../docs/hazards.md");
        let rows = rows
            .split(section().lines().next().expect("a title"))
            .next();
        let catalogue: Vec<&str> = (rows.expect("text").lines())
            .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
            .filter(|code| code.len() == 3 && code.ends_with(|c: char| c.is_ascii_digit()))
            .collect();
        let listed: Vec<&str> = HAZARDS.iter().map(|(code, ..)| *code).collect();
        assert_eq!(listed, catalogue);
        for (code, place, word) in HAZARDS {
            let checked = table::check(code).is_some();
            assert_eq!(checked, place == Place::Plan, "{code}");
            assert!(checked || !word.is_empty(), "{code} needs a reason");
        }
        let hazards: BTreeSet<&str> = listed.into_iter().collect();
        for check in table::CHECKS {
            assert!(
                hazards.contains(check.code) || check.code.starts_with("WR"),
                "{}",
                check.code
            );
        }
    }
}
