//! The engine as data: its polls, the time its own steps take, and the phases of an import.
//!
//! What an import holds and whether its guest is down follows from the phases; nobody types it a
//! second time. An engine with a stage before the cut, or with more pools than the exporter and
//! the scratch, is another table of phases.

use schemas::inventory::SourceKind;

use crate::time::Millis;

/// Limits and times of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Between two looks at whether a guest is off (`VM:469`, fact 6; measured §8).
    pub power_poll: Millis,
    /// Between two looks at whether a machine is ready (`HP:89-105`; measured 1a).
    pub ready_poll: Millis,
    /// Between two looks at a source that is not ready (`ErrClusterNotReady`, P04).
    pub source_poll: Millis,
    /// First delay after an error; doubles with each (`CT:38`).
    pub backoff_first: Millis,
    /// Longest delay after an error (`CT:38`).
    pub backoff_max: Millis,
    /// One reconcile that calls nobody outside (measured §2: three writes in 0.3 s).
    pub step: Millis,
    /// Login and lookup at a vCenter, on top of the step (measured §8: 0.3 to 0.8 s).
    pub call_vmware: Millis,
    /// Login and lookup at an OpenStack, on top of the step (measured §3: three guests asked to
    /// stop within 9 s).
    pub call_openstack: Millis,
    /// Reading the source's VM again, claims, machine (measured §2: 0.9 s, §8: 1.6 s).
    pub create_machine: Millis,
    /// Exports at once, on the whole cluster (fact 1: one worker).
    pub exporters: u32,
    /// Whether no other import changes state while one is exported (fact 1).
    pub blocks: bool,
    /// Images that are taken in at once, first come, first served; absent: as many as there are.
    pub image_slots: Option<u32>,
    /// Whether images that are taken in at the same time share the bandwidth, which is one pod's
    /// HTTP server and one scratch volume (fact 7).
    pub images_share: bool,
    /// After a panic, until the kubelet has started the engine again; doubles with each, up to
    /// five minutes. Absent: whoever drives the simulation restarts it.
    pub restart: Option<Millis>,
    /// What every import goes through, in this order.
    pub phases: &'static [Phase],
}

/// One phase of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Which.
    pub name: PhaseName,
    /// Whether the application is down.
    pub guest_down: bool,
    /// Whether it holds the one exporter, during which no other import changes state (fact 1).
    pub exporter: bool,
    /// What it holds of the scratch.
    pub scratch: Hold,
}

/// Phases that engines have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhaseName {
    /// The guest is asked to shut down, until it is off.
    Shutdown,
    /// The disks are copied into the scratch.
    Export,
    /// Harvester takes the disks' images in.
    Images,
    /// The machine is created and starts.
    Boot,
    /// The machine runs; the engine has yet to notice, and to free the scratch.
    Release,
}

/// What a phase holds of the scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    Nothing,
    /// The footprint's peak.
    Peak,
    /// The footprint's resident part.
    Resident,
}

/// The phases of vm-import-controller. It has no stage: the whole import is the cut.
const VM_IMPORT: &[Phase] = &[
    Phase {
        name: PhaseName::Shutdown,
        guest_down: false,
        exporter: false,
        scratch: Hold::Nothing,
    },
    Phase {
        name: PhaseName::Export,
        guest_down: true,
        exporter: true,
        scratch: Hold::Peak,
    },
    Phase {
        name: PhaseName::Images,
        guest_down: true,
        exporter: false,
        scratch: Hold::Resident,
    },
    Phase {
        name: PhaseName::Boot,
        guest_down: true,
        exporter: false,
        scratch: Hold::Resident,
    },
    Phase {
        name: PhaseName::Release,
        guest_down: false,
        exporter: false,
        scratch: Hold::Resident,
    },
];

impl Profile {
    /// Harvester's vm-import-controller, v1.8.
    pub const fn vm_import() -> Self {
        Self {
            power_poll: Millis::from_seconds(5),
            ready_poll: Millis::from_minutes(2),
            source_poll: Millis::from_seconds(5),
            backoff_first: Millis(5),
            backoff_max: Millis::from_minutes(5),
            step: Millis(100),
            call_vmware: Millis(400),
            call_openstack: Millis(1000),
            create_machine: Millis(900),
            exporters: 1,
            blocks: true,
            image_slots: None,
            images_share: true,
            restart: None,
            phases: VM_IMPORT,
        }
    }

    /// An engine that does not block and loses no time: so many exports and images at once, and
    /// nothing between the phases. What the public estates are made for.
    pub const fn ideal(exporters: u32, image_slots: u32) -> Self {
        Self {
            power_poll: Millis(1),
            ready_poll: Millis(1),
            source_poll: Millis(1),
            step: Millis::ZERO,
            call_vmware: Millis::ZERO,
            call_openstack: Millis::ZERO,
            create_machine: Millis::ZERO,
            exporters,
            blocks: false,
            image_slots: Some(image_slots),
            images_share: false,
            ..Self::vm_import()
        }
    }

    /// A reconcile that logs in at a source of `kind`. An OVA has nobody to log in to.
    pub fn call(&self, kind: SourceKind) -> Millis {
        self.step
            + match kind {
                SourceKind::Vmware => self.call_vmware,
                SourceKind::Openstack => self.call_openstack,
                SourceKind::Ova => Millis::ZERO,
            }
    }

    /// The delay before the next try after `failures` failures in a row.
    pub fn backoff(&self, failures: u32) -> Millis {
        let doublings = failures.saturating_sub(1).min(32);
        Millis(self.backoff_first.0 << doublings).min(self.backoff_max)
    }
}
