//! Why a VM is where it is: everything that the stages decided about one VM, with the grounds.
//!
//! Each part is a [`Section`] made in a file of its own; what a part has nothing to say about is
//! left out. Nothing is decided here.

mod facts;
mod findings;
mod place;
mod schedule;

use schemas::ids::{VmKey, VmName};
use schemas::inventory::{Inventory, Observed, Vm};
use schemas::shown::shown;
use serde::Serialize;

use crate::pipeline::Planned;
use crate::resolve::Index;

/// The schema named in the JSON form.
pub const SCHEMA: &str = "windrow.explain/1";

/// All that is known of one VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// Which VM.
    pub vm: VmKey,
    /// Its name.
    pub name: VmName,
    /// The parts, in the order in which they are told.
    pub sections: Vec<Section>,
}

/// One part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    /// What it is about, in a word or two.
    pub title: &'static str,
    /// What there is to say, a line each.
    pub lines: Vec<String>,
}

/// What the parts look at.
pub(crate) struct Subject<'a> {
    planned: &'a Planned,
    key: &'a VmKey,
    vm: &'a Vm,
    seen: Option<&'a Observed>,
    /// Where a field of plan or site stands, as in `plan.yaml:22`.
    locate: &'a dyn Fn(&str) -> String,
}

/// Explains one VM of the inventory; nothing where the inventory does not have it.
pub fn explain(
    planned: &Planned,
    inventory: &Inventory,
    key: &VmKey,
    locate: &dyn Fn(&str) -> String,
) -> Option<Explained> {
    let index = Index::of(inventory);
    let vm = index.vm(key)?;
    let observed = index
        .source(&key.source)
        .map(|source| &source.inventory.observed);
    let subject = Subject {
        planned,
        key,
        vm,
        seen: observed.and_then(|observed| observed.get(key.id.as_str())),
        locate,
    };
    let parts = [
        ("source", place::source(&subject)),
        ("plan", place::plan(&subject)),
        ("facts", facts::lines(&subject)),
        ("schedule", schedule::lines(&subject)),
        ("findings", findings::lines(&subject)),
    ];
    Some(Explained {
        schema: SCHEMA,
        vm: key.clone(),
        name: vm.name.clone(),
        sections: parts
            .into_iter()
            .filter(|(_, lines)| !lines.is_empty())
            .map(|(title, lines)| Section { title, lines })
            .collect(),
    })
}

impl Explained {
    /// In words: the VM, then each part below its title.
    pub fn text(&self) -> String {
        let mut text = shown(&format!("{}  {}", self.name, self.vm)).into_owned();
        text.push('\n');
        for section in &self.sections {
            text.push('\n');
            text.push_str(section.title);
            text.push('\n');
            for line in &section.lines {
                crate::report::text::paragraph(&mut text, "  ", &shown(line));
            }
        }
        text
    }
}
