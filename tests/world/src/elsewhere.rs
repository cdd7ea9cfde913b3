//! A machine of another plan that a workload of the fleet waits for: what its record says, and when.
//!
//! Nobody here imports it. Its record comes from outside, in its plan's namespace: it arrives running, or
//! failed or held and running later, or never does any good.

use engine::Millis;
use executor_machine::{At, Record};
use schemas::ids::{Digest, VmKey, WorkloadRef};
use schemas::machine::{Attempt, MachineSpec, MachineStatus, Stage, Times};
use schemas::units::{Bytes, Quantity};
use schemas::wave::{Prerequisite, PrerequisiteMachine, WaveSize};

use crate::fleet::HOME;
use crate::rng::Rng;

/// The other plan.
const PLAN: &str = "infra";

/// A machine of another plan.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// Its workload, as waves here call it.
    pub workload: WorkloadRef,
    /// Where its record is, once there is one.
    pub record: At,
    /// What its record says from when on, by time.
    pub story: Vec<(Millis, Stage)>,
}

impl Elsewhere {
    /// What workload `w` waits for.
    pub fn new(w: usize, rng: &mut Rng) -> Self {
        let namespace = *rng.pick(&[HOME, "network"]);
        let workload = match namespace {
            HOME => format!("{PLAN}/net{w}"),
            other => format!("{other}/{PLAN}/net{w}"),
        };
        let mut at = || Millis::from_minutes(rng.within(0, 90));
        let (first, second) = (at(), at());
        let later = first + second + Millis::from_seconds(1);
        let story = match rng.within(0, 7) {
            0..=2 => vec![(first, Stage::Running)],
            3 => vec![(first, Stage::Failed), (later, Stage::Running)],
            4 => vec![(first, Stage::Held), (later, Stage::Running)],
            5 => vec![(first, *rng.pick(&[Stage::Failed, Stage::Held]))],
            _ => Vec::new(),
        };
        Self {
            workload: workload.as_str().into(),
            record: At::new(namespace, format!("net{w}-{w:08x}")),
            story,
        }
    }

    /// When it runs; none: never.
    pub fn runs_at(&self) -> Option<Millis> {
        let mut story = self.story.iter();
        story
            .find(|(_, stage)| *stage == Stage::Running)
            .map(|(at, _)| *at)
    }

    /// As waves list it.
    pub fn listed(&self) -> Prerequisite {
        Prerequisite {
            workload: self.workload.clone(),
            machines: vec![PrerequisiteMachine {
                vm: self.vm(),
                record: self.record.name.clone(),
            }],
        }
    }

    fn vm(&self) -> VmKey {
        VmKey::new("dc9", self.record.name.as_str())
    }

    /// Its record at a moment, if there is one.
    pub fn record(&self, now: Millis, opened: jiff::Timestamp) -> Option<Record> {
        let told = self.story.iter().rev().find(|(at, _)| *at <= now);
        let (_, stage) = told?;
        let nothing = || Quantity(Bytes(0));
        let name = self.record.name.as_str();
        Some(Record {
            spec: MachineSpec {
                vm: self.vm(),
                instance: None,
                name: name.into(),
                plan: PLAN.into(),
                wave: "infra-010-net".into(),
                digest: Digest::from("sha256:infra"),
                namespace: "infra".into(),
                machine: name.into(),
                size: WaveSize {
                    peak: nothing(),
                    resident: nothing(),
                    transfer: nothing(),
                    disks: nothing(),
                },
                gate: None,
                attempt: Attempt {
                    number: 1,
                    import: schemas::machine::import_name(&self.record.name, 1),
                    opened,
                },
            },
            status: Some(MachineStatus {
                stage: *stage,
                attempt: 1,
                uid: Some(format!("uid-{name}")),
                times: Times::default(),
                message: (*stage != Stage::Running).then(|| "it broke over there".to_owned()),
                ..MachineStatus::default()
            }),
            generation: 1,
            resource_version: format!("{name}-{stage:?}"),
        })
    }
}
