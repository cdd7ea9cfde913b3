//! The ledger: one `MachineMigration` for each machine, for ever; written by the executor.
//!
//! Owned by nobody and without a finalizer, so that no renamed file and no deleted plan can take
//! it away: what it records must never be imported a second time. `spec` is what the executor set
//! out to do (an attempt is opened there before its import is created), `status` what it saw.

use std::fmt::Write as _;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::conditions::{CommonStatus, initial_status};
use crate::gate::{Gate, GateStatus};
use crate::ids::{Digest, Namespace, ObjectName, PlanName, VmId, VmKey, VmName, WaveName};
use crate::wave::WaveSize;

/// Label on every import that Windrow creates: the name of its machine's record.
pub const LABEL_MACHINE: &str = "windrow.dev/machine";
/// Label on imports and records: the plan's name.
pub const LABEL_PLAN: &str = "windrow.dev/plan";
/// Annotation on every import that Windrow creates: the number of the attempt.
pub const ANNOTATION_ATTEMPT: &str = "windrow.dev/attempt";

/// One machine on its way: the ledger.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "windrow.dev",
    version = "v1alpha1",
    kind = "MachineMigration",
    plural = "machinemigrations",
    shortname = "mmig",
    category = "windrow",
    namespaced,
    status = "MachineStatus",
    doc = "One machine on its way into Harvester: the record that keeps it from being imported twice",
    derive = "PartialEq",
    printcolumn = r#"{"name":"VM","type":"string","jsonPath":".spec.name"}"#,
    printcolumn = r#"{"name":"Stage","type":"string","jsonPath":".status.stage"}"#,
    printcolumn = r#"{"name":"Wave","type":"string","jsonPath":".spec.wave"}"#,
    printcolumn = r#"{"name":"Import","type":"string","jsonPath":".spec.attempt.import"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct MachineSpec {
    /// The VM at its source.
    pub vm: VmKey,
    /// The source's instance, where it has one; with the VM's id it names the machine for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub instance: Option<String>,
    /// The VM's name, for people.
    pub name: VmName,
    /// The plan that moves it.
    pub plan: PlanName,
    /// The wave that moves it.
    pub wave: WaveName,
    /// The wave's digest when the attempt was opened.
    pub digest: Digest,
    /// Namespace of the machine and the import.
    pub namespace: Namespace,
    /// The machine's name on the target.
    pub machine: ObjectName,
    /// Sizes by which it was admitted: its import holds scratch even where its wave is gone.
    pub size: WaveSize,
    /// What it must show, once it runs, before those that depend on it start: as its wave said when
    /// the attempt was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The attempt under way, or the last one.
    pub attempt: Attempt,
}

/// One attempt to import a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// The import's name: never used for another attempt (N07).
    pub import: ObjectName,
    /// When it was opened.
    #[schemars(with = "crate::units::Rfc3339")]
    pub opened: jiff::Timestamp,
}

/// How far a machine is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Stage {
    /// An attempt is open; its import is about to be created, or was and has not done anything.
    #[default]
    Admitted,
    /// The guest is being shut down.
    ShuttingDown,
    /// The guest is off; the engine copies its disks.
    Exporting,
    /// Copied; Harvester takes the images in.
    Imaging,
    /// The machine exists and is starting.
    Booting,
    /// The machine runs, and its import is finished. Final: it is never imported again.
    Running,
    /// The attempt failed. Nothing more happens until a person says so.
    Failed,
    /// The attempt was taken back before the engine touched anything, or a person asked for another
    /// one: the next may be opened.
    Withdrawn,
    /// Something happened that a person must look at (its import is gone, a foreign one has its
    /// name).
    Held,
}

impl Stage {
    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Running | Self::Failed | Self::Held)
    }
}

/// What the executor saw of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = initial_status()))]
pub struct MachineStatus {
    /// Generation looked at and conditions.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// How far it is.
    #[serde(default)]
    pub stage: Stage,
    /// The attempt that `uid` and `times` speak of.
    #[serde(default)]
    pub attempt: u32,
    /// uid of the attempt's import, from first sight on. One that is gone is never created again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// When each step was first seen.
    #[serde(default)]
    pub times: Times,
    /// How far its gate is, once it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,
    /// One line for people: why it failed or is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// When each step of an attempt came: by the engine's own word where its conditions carry a time,
/// else when the executor first saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// The import was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub created: Option<jiff::Timestamp>,
    /// The engine asked the guest to shut down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub shutdown: Option<jiff::Timestamp>,
    // Not written `off`: that is a boolean to YAML 1.1.
    /// The guest was off; downtime begins.
    #[serde(
        rename = "poweredOff",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub off: Option<jiff::Timestamp>,
    /// The disks were copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub exported: Option<jiff::Timestamp>,
    /// The machine was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub machine: Option<jiff::Timestamp>,
    /// The machine was ready; downtime ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub ready: Option<jiff::Timestamp>,
    /// The attempt ended, well or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::units::Rfc3339>")]
    pub ended: Option<jiff::Timestamp>,
}

/// What names a machine for ever, whatever plan or wave it is in: eight hex digits of the SHA-256
/// of its source's instance and its id there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineId(String);

impl MachineId {
    /// Of the VM `id` in the source that calls itself `instance` (an OVA: its URL).
    pub fn new(instance: &str, id: &VmId) -> Self {
        let mut hash = Sha256::new();
        hash.update(instance.as_bytes());
        hash.update([0]);
        hash.update(id.as_str().as_bytes());
        let mut digits = String::new();
        for byte in &hash.finalize()[..4] {
            write!(digits, "{byte:02x}").expect("a String takes everything");
        }
        Self(digits)
    }

    /// The name of its `MachineMigration`: a slug of the VM's name (at most 40 characters) and the
    /// eight digits.
    pub fn record_name(&self, name: &VmName) -> ObjectName {
        let mut slug = String::new();
        for c in name.as_str().chars().flat_map(char::to_lowercase) {
            match c {
                'a'..='z' | '0'..='9' => slug.push(c),
                _ if slug.ends_with('-') || slug.is_empty() => {}
                _ => slug.push('-'),
            }
            if slug.len() == 40 {
                break;
            }
        }
        match slug.trim_end_matches('-') {
            "" => ObjectName::new(format!("vm-{}", self.0)),
            slug => ObjectName::new(format!("{slug}-{}", self.0)),
        }
    }
}

/// The name of a machine's import at attempt `number`: `w`, the eight digits of its record and the
/// attempt. Short, because the engine builds 63-character names with it, and new for each attempt,
/// because the engine reuses what it finds under an old one (N06, N07).
pub fn import_name(record: &ObjectName, number: u32) -> ObjectName {
    let digits = record.as_str().rsplit('-').next().unwrap_or_default();
    ObjectName::new(format!("w{digits}{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // A record's name is a valid object name whatever the VM is called, and tells twins apart.
    #[test]
    fn record_names() {
        let id = |vm: &str| MachineId::new("cloud", &VmId::from(vm));
        let name = id("1").record_name(&VmName::from("ERP_DB.01 (alt)"));
        assert!(name.as_str().starts_with("erp-db-01-alt-"), "{name}");
        assert_ne!(name, id("2").record_name(&VmName::from("ERP_DB.01 (alt)")));
        assert!(
            id("3")
                .record_name(&VmName::from("сервер"))
                .as_str()
                .starts_with("vm-")
        );
        let long = id("4").record_name(&VmName::from("x".repeat(255)));
        assert_eq!(long.as_str().len(), 49);
        assert_eq!(import_name(&long, 2).as_str().len(), 10);
    }
}
