//! A plan to begin with: groups of an inventory → a commented draft.
//!
//! What is drafted is valid and can be planned as it is; what is only a proposal (a dependency that a
//! name suggests, the size of the scratch volume) says so beside it. People edit it from there.

mod groups;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use schemas::ids::VmKey;
use schemas::inventory::Inventory;

pub use groups::By;
pub use table::{CellError, Columns, Table, from_table};

/// What a draft is called, and how VMs are grouped.
#[derive(Clone, Debug)]
pub struct Options {
    /// The plan's name.
    pub name: String,
    /// The namespace of the plan's objects.
    pub namespace: String,
    /// By what VMs are grouped; absent: by what each of them has.
    pub by: Option<By>,
}

/// VMs that become one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The workload's name.
    pub name: String,
    /// Why they are together, for a comment.
    pub why: String,
    /// The VMs, sorted.
    pub members: Vec<VmKey>,
    /// Workloads that come before, each with why that is proposed; nothing where people said so.
    pub after: BTreeMap<String, Option<String>>,
    /// The wave that it is pinned to.
    pub wave: Option<String>,
    /// Its namespace, if it is not the plan's.
    pub namespace: Option<String>,
}

/// A draft of a plan for all VMs of an inventory.
pub fn draft(inventory: &Inventory, options: &Options) -> String {
    let groups = groups::of(inventory, options.by);
    text::write(inventory, &groups, options)
}

/// A draft with these groups.
pub fn draft_of(inventory: &Inventory, groups: &[Group], options: &Options) -> String {
    text::write(inventory, groups, options)
}
