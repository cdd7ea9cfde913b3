//! What people know of VMs and no source tells: owner, virtio drivers ready, last backup, `BitLocker`.
//!
//! The edge reads the tables that a site names; the planner joins them to VMs and judges their age.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Severity;
use crate::ids::{SourceName, VmId, VmName};
use crate::other::OtherPlan;
use crate::units::Days;

/// A CSV file with a row for each VM and a column for each fact.
///
/// The first line names the columns. A column `as_of` dates each row; a first line `# as_of: DATE`
/// dates them all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactsFile {
    /// Its path, relative to the file that says so.
    #[schemars(length(min = 1, max = 1024))]
    pub file: String,
    /// The column that says which VM: `NAME`, `SOURCE/NAME` or `SOURCE/ID`. Case does not count in
    /// names, as other tools' exports write them differently.
    #[schemars(length(min = 1, max = 255))]
    pub key: String,
    /// The one source whose VMs it knows; names and ids then stand without it. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// Facts that are older than this when the plan starts are told as old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Days>,
}

/// What must be known of VMs before they are moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// Of which VMs; absent: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// The fact.
    #[schemars(length(min = 1, max = 255))]
    pub fact: String,
    /// The value it must have; absent: any, but empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub equals: Option<String>,
    /// How old it may be when the plan starts. A fact whose value is a date is as old as that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Days>,
    /// How bad it is if that does not hold; absent: a blocker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// Which VMs a requirement is about; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct When {
    /// Those with this kind of guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<GuestFamily>,
    /// Those of this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// Those whose name this glob meets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub r#match: Option<String>,
    /// Those that bear all these tags, as in a selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 512)))]
    pub tags: Option<Vec<String>>,
}

/// Kinds of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GuestFamily {
    /// Windows.
    Windows,
    /// Linux.
    Linux,
}

/// A fact that a plan states, whatever tables say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatedFact {
    /// The fact.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 1024))]
    pub value: String,
}

/// Everything that people know, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// The tables, by the path that the site gives.
    pub tables: BTreeMap<String, FactTable>,
    /// The day on which ages and expiries are judged, where the command line gives one; else it is
    /// the day on which the plan starts.
    pub as_of: Option<Date>,
    /// The VMs of the committed waves, by source and name: what was reviewed.
    pub committed: BTreeMap<SourceName, BTreeMap<VmName, BTreeSet<VmId>>>,
    /// The other plans of the estate; only where workloads of one are waited for.
    pub plans: Vec<OtherPlan>,
    /// Where those were looked for, for people.
    pub plans_below: Option<String>,
}

/// A table of facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactTable {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with a cell for each column, in the order of the file.
    pub rows: Vec<Vec<String>>,
    /// For each row the line on which it begins, counted from 1.
    pub lines: Vec<usize>,
    /// What the line `# as_of:` says, as it is written.
    pub as_of: Option<String>,
}

impl FactTable {
    /// The position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}
