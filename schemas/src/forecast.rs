//! `forecast.json`: what the planner predicts. Outside of every digest, so that a learned rate
//! changes no wave.

use serde::{Deserialize, Serialize};

use crate::ids::{PlanName, TargetName, VmKey, VmName, WaveName, WorkloadName, WorkloadRef};
use crate::units::{Bytes, Seconds};

/// The schema named in the file.
pub const SCHEMA: &str = "windrow.forecast/1";

/// Predictions for all waves of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The plan.
    pub plan: PlanName,
    /// The instant that all times count from; absent: they count from whenever the plan starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<jiff::Timestamp>,
    /// Between which moments the last machine is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<Band>,
    /// Waves in the order of their names.
    pub waves: Vec<WaveForecast>,
    /// Steps outside, by start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepForecast>,
    /// Workloads of other plans that are waited for, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherForecast>,
    /// Scratch, by target.
    pub scratch: Vec<ScratchForecast>,
}

/// A workload of another plan that something here waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherForecast {
    /// Which.
    pub workload: WorkloadRef,
    /// When its own plan predicts it to be done, counted from this forecast's origin.
    pub done: Seconds,
}

/// Predicted times of a step outside, counted from the forecast's origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepForecast {
    /// Its workload's name.
    pub step: WorkloadName,
    /// What is done, for people.
    pub title: String,
    /// It may begin.
    pub starts: Seconds,
    /// It is done.
    pub ends: Seconds,
}

/// Between which moments it all ends, if all imports are as much faster or slower than predicted as
/// one in ten may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Band {
    /// Not before.
    pub early: Seconds,
    /// Not after, if what misses its occurrence then goes to the next that its windows give.
    pub late: Seconds,
    /// So many imports would miss the occurrence that they are planned for then.
    #[serde(default, skip_serializing_if = "crate::site::is_default")]
    pub late_missed: u64,
}

/// Predictions for one wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaveForecast {
    /// The wave.
    pub wave: WaveName,
    /// First guest off.
    pub starts: Seconds,
    /// Last machine ready.
    pub ends: Seconds,
    /// Most scratch bytes held meanwhile, by all imports on the target.
    pub scratch_peak: Bytes,
    /// Imports by start.
    pub imports: Vec<ImportForecast>,
}

/// Predicted times of one import, counted from the forecast's origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportForecast {
    /// The VM.
    pub vm: VmKey,
    /// Its name, for people.
    pub name: VmName,
    /// The import is created, and its guest asked to shut down.
    pub created: Seconds,
    /// The guest is off; downtime begins.
    pub off: Seconds,
    /// Its disks begin to be copied.
    pub export_start: Seconds,
    /// They are copied.
    pub exported: Seconds,
    /// Harvester has the images.
    pub images_in: Seconds,
    /// The machine is created.
    pub machine: Seconds,
    /// The machine is ready; downtime ends.
    pub ready: Seconds,
    /// Its gate holds, if it has one; dependants may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Seconds>,
    /// Its scratch is free again.
    pub released: Seconds,
}

impl ImportForecast {
    /// From the guest's power-off to the machine's readiness.
    pub fn downtime(&self) -> Seconds {
        self.ready.saturating_sub(self.off)
    }
}

/// Predicted use of one target's scratch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScratchForecast {
    /// The target.
    pub target: TargetName,
    /// What may be used: capacity less reserve.
    pub usable: Bytes,
    /// The volume's size.
    pub capacity: Bytes,
    /// Steps of the curve: from `at` on, `bytes` are held. Sorted by time.
    pub curve: Vec<ScratchStep>,
}

/// A step of a scratch curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScratchStep {
    /// From then on.
    pub at: Seconds,
    /// So much is held.
    pub bytes: Bytes,
}
