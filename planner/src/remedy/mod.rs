//! Findings → a commented script for whoever mends the sources. Nothing here runs anything.
//!
//! What can be done about a code stands once, in `table`; this module picks what applies, quotes
//! it, and puts it into an order that a person can follow. Names from the sources stand in comments
//! or in single quotes, whatever they hold; a VM is addressed by its id, never by its name.

mod shell;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use schemas::finding::{Finding, Subject};
use schemas::ids::VmKey;
use schemas::inventory::{Inventory, Observed, SourceKind, Vm};

use crate::check::Checked;
use crate::check::table as checks;
use crate::diagnostic::count;
use crate::resolve::{Index, ResolvedPlan};

pub use table::{REMEDIES, Remedy};

/// The command that a script is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// VMware's `govc`.
    Govc,
    /// The `openstack` client.
    Openstack,
}

impl Tool {
    /// The sources that it speaks to.
    pub fn kind(self) -> SourceKind {
        match self {
            Self::Govc => SourceKind::Vmware,
            Self::Openstack => SourceKind::Openstack,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Govc => "govc",
            Self::Openstack => "openstack",
        }
    }
}

/// What a remedy looks at.
#[derive(Clone, Copy)]
pub struct Patient<'a> {
    /// The VM.
    pub key: &'a VmKey,
    /// What its source says of it.
    pub vm: &'a Vm,
    /// What was seen of it.
    pub seen: Option<&'a Observed>,
}

/// A line of a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A command, word by word.
    Run(Vec<String>),
    /// A command that a person has to complete or to decide on: it is written as a comment.
    Consider(Vec<String>),
    /// What to know or to do by hand.
    Note(String),
}

/// Which findings a script is for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Codes; empty: all.
    pub codes: BTreeSet<String>,
    /// VMs; empty: all.
    pub vms: BTreeSet<VmKey>,
}

/// A script, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The text.
    pub text: String,
    /// Findings that it has a remedy for.
    pub mended: usize,
    /// Findings of these sources that it has none for, by code.
    pub left: BTreeMap<String, usize>,
}

/// Writes the script for what was found of a plan's VMs.
pub fn script(checked: &Checked, inventory: &Inventory, tool: Tool, wanted: &Wanted) -> Script {
    let index = Index::of(inventory);
    let mut by_vm: BTreeMap<&VmKey, Vec<&Finding>> = BTreeMap::new();
    for finding in checked
        .findings
        .iter()
        .filter(|finding| finding.waived_by.is_none())
    {
        let Subject::Vm { key, .. } = &finding.subject else {
            continue;
        };
        let asked = (wanted.codes.is_empty() || wanted.codes.contains(&finding.code))
            && (wanted.vms.is_empty() || wanted.vms.contains(key));
        if asked {
            by_vm.entry(key).or_default().push(finding);
        }
    }
    let mut script = Script {
        text: head(&checked.plan, tool),
        mended: 0,
        left: BTreeMap::new(),
    };
    let mut place: Option<&String> = None;
    for (key, findings) in by_vm {
        let Some(source) = index
            .source(&key.source)
            .filter(|s| s.kind() == tool.kind())
        else {
            continue;
        };
        let Some(vm) = source.id(&key.id) else {
            continue;
        };
        // govc wants to know where names of devices and networks are looked for.
        if tool == Tool::Govc && vm.dc.is_some() && vm.dc.as_ref() != place {
            place = vm.dc.as_ref();
            let dc = shell::word(&format!("/{}", place.map_or("", String::as_str)));
            writeln!(script.text, "\nexport GOVC_DATACENTER={dc}")
                .expect("a String takes everything");
        }
        let patient = Patient {
            key,
            vm,
            seen: source.inventory.observed.get(key.id.as_str()),
        };
        one(&mut script, tool, &patient, &findings);
    }
    let (mended, text) = (script.mended, &mut script.text);
    if mended == 0 {
        text.push_str("\n# Nothing that was found can be mended with this command.\n");
    }
    for (code, number) in &script.left {
        let title = checks::check(code).map_or("", |check| check.title);
        let noun = count(*number, "VM");
        comment(text, &format!("{code}: {noun} without a command; {title}"));
    }
    script
}

/// What a reader must know before anything else.
fn head(plan: &ResolvedPlan, tool: Tool) -> String {
    let mut text = String::from("#!/bin/sh\n");
    let name = tool.name();
    for line in [
        format!("What `windrow plan` found in plan `{}`, and how it is mended with {name}.", plan.name),
        "Written by `windrow remedy`, which has run none of it. Read it, take out what you do not".to_owned(),
        "want, run the rest, then `windrow inventory pull` and `windrow plan` again.".to_owned(),
        match tool {
            Tool::Govc => "It needs GOVC_URL, GOVC_USERNAME and GOVC_PASSWORD, and a govc that finds VMs by reference (tried: 0.53).".to_owned(),
            Tool::Openstack => "It needs the OS_* variables or OS_CLOUD of the project; servers are named by id.".to_owned(),
        },
    ] {
        comment(&mut text, &line);
    }
    text.push_str("set -eu\n");
    text
}

/// The part about one VM: remedies that need it off stand together, behind a note.
fn one(script: &mut Script, tool: Tool, patient: &Patient<'_>, findings: &[&Finding]) {
    let mut part = String::new();
    let mut known: Vec<Vec<Step>> = Vec::new();
    let mut off = false;
    for finding in findings {
        let Some(remedy) = table::find(&finding.code, tool) else {
            *script.left.entry(finding.code.clone()).or_default() += 1;
            continue;
        };
        let steps = (remedy.steps)(patient);
        if steps.is_empty() {
            *script.left.entry(finding.code.clone()).or_default() += 1;
            continue;
        }
        script.mended += 1;
        let title = checks::check(&finding.code).map_or("", |check| check.title);
        comment(
            &mut part,
            &format!("{} {}: {title}", finding.severity, finding.code),
        );
        comment(&mut part, &format!("  {}", finding.evidence));
        // What mends one finding may mend another one too.
        if known.contains(&steps) {
            comment(&mut part, "  the same as above");
            continue;
        }
        known.push(steps.clone());
        if remedy.off && !off {
            off = true;
            comment(
                &mut part,
                "  It must be off for this; agree on that with its owner first.",
            );
            for step in table::shut_down(tool, patient) {
                write_step(&mut part, &step);
            }
        }
        for step in steps {
            write_step(&mut part, &step);
        }
    }
    if !part.is_empty() {
        script.text.push('\n');
        let name = &patient.vm.name;
        comment(&mut script.text, &format!("{name}  {}", patient.key));
        script.text.push_str(&part);
    }
}

fn write_step(text: &mut String, step: &Step) {
    let line = |words: &[String]| {
        words
            .iter()
            .map(|w| shell::word(w))
            .collect::<Vec<_>>()
            .join(" ")
    };
    match step {
        Step::Run(words) => writeln!(text, "{}", line(words)).expect("a String takes everything"),
        Step::Consider(words) => comment(text, &format!("  {}", line(words))),
        Step::Note(note) => comment(text, &format!("  {note}")),
    }
}

/// A line that no shell runs, whatever is in it.
fn comment(text: &mut String, line: &str) {
    writeln!(text, "# {}", shell::comment(line)).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::fixture::Fixture;

    const PLAN: &str = r"
workloads:
- name: all
  select: [ { source: cloud1, names: [db] }, { source: dc1, folder: erp/db } ]
";

    fn written(fixture: &Fixture, tool: Tool) -> Script {
        let checked = check(fixture.resolved(), &fixture.inventory);
        script(&checked, &fixture.inventory, tool, &Wanted::default())
    }

    // A name can neither end its comment nor its quotes: every line is a comment, `set -eu`, or a
    // command with words of its own.
    #[test]
    fn hostile_names() {
        let hostile = "x\nrm -rf ~ #\r'\"`$(id)`\u{1b}[2K\u{202e}";
        let fixture = Fixture::new(PLAN).vm("dc1", "ERP-DB-01", |vm| {
            vm.r#ref = Some("vm-1".to_owned());
            vm.name = hostile.into();
        });
        let script = written(&fixture, Tool::Govc);
        assert!(script.mended > 0, "{}", script.text);
        for line in script.text.lines().filter(|line| !line.is_empty()) {
            let ours = line.starts_with("# ") || line == "#!/bin/sh" || line == "set -eu";
            let place = line == "export GOVC_DATACENTER=/DC0";
            assert!(ours || place || line.starts_with("govc "), "{line}");
            assert!(!line.contains(['\u{1b}', '\u{202e}', '\r']), "{line}");
        }
    }

    // What the command cannot mend is counted, not passed over.
    #[test]
    fn what_is_left() {
        let fixture = Fixture::new(PLAN).vm("dc1", "ERP-DB-01", |vm| {
            vm.nics[0].network_name = Some("dmz".to_owned());
        });
        let script = written(&fixture, Tool::Govc);
        assert_eq!(script.left.get("W02"), Some(&1), "{}", script.text);
        assert!(
            script.text.contains("# W02: 1 VM without a command"),
            "{}",
            script.text
        );
    }

    // Each remedy stands once for each tool.
    #[test]
    fn the_table() {
        let mut known = BTreeSet::new();
        for remedy in REMEDIES {
            assert!(
                known.insert((remedy.code, remedy.tool)),
                "{} twice",
                remedy.code
            );
        }
    }
}
