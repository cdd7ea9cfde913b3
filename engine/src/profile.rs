//! An engine as data: its pools, the phases that every import goes through, its polls and the time
//! that its own steps take.
//!
//! What an import holds, how long its guest is down and how much of a window it needs follow from the
//! phases; nobody types it a second time. An engine with more workers, or one that copies ahead while
//! the guest runs (a *stage*), is other pools and another table of phases: [`crate::Flow`] plays any of
//! them. vm-import-controller, whose one worker blocks, is played state by state ([`crate::Sim`]).

use schemas::inventory::SourceKind;

use crate::time::Millis;

/// One engine.
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
    /// After a panic, until the kubelet has started the engine again; doubles with each, up to
    /// five minutes. Absent: whoever drives the simulation restarts it.
    pub restart: Option<Millis>,
    /// What imports share.
    pub pools: Vec<Pool>,
    /// What every import goes through, in this order: its stage, if the engine has one, then its cut.
    pub phases: &'static [Phase],
}

/// Something that imports take of for as long as a phase lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What phases call it.
    pub name: &'static str,
    /// Whether there is one of it, or one for each place that disks come from.
    pub of: Scope,
    /// How much of it there is.
    pub capacity: Capacity,
    /// Whether no other import changes state while any of it is taken.
    pub blocks: bool,
}

/// Where there is a pool of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One for the whole engine.
    Engine,
    /// One for each host that disks are copied from.
    Host,
}

/// How much of a pool there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// So many, taken first come, first served.
    Slots(u32),
    /// A bandwidth that all who take it share.
    Shared,
}

/// One phase of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Which.
    pub name: PhaseName,
    /// Whether it runs ahead, or is part of what windows, dependencies and budgets bind.
    pub part: Part,
    /// Whether the source is off, and so the application down.
    pub guest_down: bool,
    /// Pools by name, and how much of each it takes.
    pub takes: &'static [(&'static str, u32)],
    /// What it holds of the scratch.
    pub scratch: Hold,
    /// What it lasts for.
    pub lasts: Lasts,
    /// Who begins it.
    pub by: By,
    /// Whether another attempt does it again.
    pub repeated: bool,
}

/// Parts of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Copying ahead, possibly days ahead, while the guest runs. It holds room on the target from its
    /// beginning, and no window or dependency binds it.
    Stage,
    /// What the guest is taken down for.
    Cut,
}

/// Phases that engines have, in the order in which an import goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhaseName {
    /// The disks are copied while the guest runs.
    Stage,
    /// The guest is asked to shut down, until it is off.
    Shutdown,
    /// The disks are copied, or what has changed of them since the stage.
    Export,
    /// The disks become the machine's: Harvester takes their images in, or they are converted.
    Images,
    /// The machine is created and starts.
    Boot,
    /// The machine runs; the engine has yet to notice, and to let go of what it holds.
    Release,
}

/// What a phase holds of the scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Nothing.
    Nothing,
    /// The footprint's resident part.
    Resident,
    /// The footprint's peak.
    Peak,
}

/// How long a phase lasts, by what is estimated of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// As long as the guest takes to shut down.
    Shutdown,
    /// All bytes that are to be moved, at the rate of exports.
    Transfer,
    /// So many hundredths of them: what changes while the guest runs on.
    Changes(u64),
    /// The provisioned bytes of the disks, at the rate of images.
    Disks,
    /// As long as the machine takes to be ready.
    Boot,
    /// No longer than the engine's own steps.
    Nothing,
}

/// Who begins a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The engine, as soon as it can.
    Engine,
    /// The executor, when it is time.
    Executor,
}

/// Of vm-import-controller: the one worker that copies disks.
const EXPORTER: &str = "exporters";
/// Of vm-import-controller: one pod's HTTP server and one scratch volume (fact 7).
const IMAGES: &str = "images";

/// A phase of the cut that the engine begins, with the guest off and the raw files on the scratch.
const DOWN: Phase = Phase {
    name: PhaseName::Export,
    part: Part::Cut,
    guest_down: true,
    takes: &[],
    scratch: Hold::Resident,
    lasts: Lasts::Nothing,
    by: By::Engine,
    repeated: true,
};

/// The phases of vm-import-controller. It has no stage: the whole import is the cut.
pub const VM_IMPORT: &[Phase] = &[
    Phase {
        name: PhaseName::Shutdown,
        guest_down: false,
        scratch: Hold::Nothing,
        lasts: Lasts::Shutdown,
        by: By::Executor,
        // After a failure the source stays off.
        repeated: false,
        ..DOWN
    },
    Phase {
        name: PhaseName::Export,
        takes: &[(EXPORTER, 1)],
        scratch: Hold::Peak,
        lasts: Lasts::Transfer,
        ..DOWN
    },
    Phase {
        name: PhaseName::Images,
        takes: &[(IMAGES, 1)],
        lasts: Lasts::Disks,
        ..DOWN
    },
    Phase {
        name: PhaseName::Boot,
        lasts: Lasts::Boot,
        ..DOWN
    },
    Phase {
        name: PhaseName::Release,
        guest_down: false,
        by: By::Executor,
        ..DOWN
    },
];

impl Profile {
    /// Harvester's vm-import-controller, v1.8.
    pub fn vm_import() -> Self {
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
            restart: None,
            pools: vec![
                // Fact 1: one worker, on the whole cluster; it copies inside its reconcile.
                Pool {
                    blocks: true,
                    ..slots(EXPORTER, 1)
                },
                Pool {
                    capacity: Capacity::Shared,
                    ..slots(IMAGES, 0)
                },
            ],
            phases: VM_IMPORT,
        }
    }

    /// An engine that does not block and loses no time: so many exports and images at once, and
    /// nothing between the phases. What the public estates are made for.
    pub fn ideal(exporters: u32, image_slots: u32) -> Self {
        Self {
            power_poll: Millis(1),
            ready_poll: Millis(1),
            source_poll: Millis(1),
            step: Millis::ZERO,
            call_vmware: Millis::ZERO,
            call_openstack: Millis::ZERO,
            create_machine: Millis::ZERO,
            pools: vec![slots(EXPORTER, exporters), slots(IMAGES, image_slots)],
            ..Self::vm_import()
        }
    }

    /// A pool by its name.
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// A phase by its name.
    pub fn phase(&self, name: PhaseName) -> Option<&'static Phase> {
        self.phases.iter().find(|phase| phase.name == name)
    }

    /// Whether imports copy ahead of their cut.
    pub fn has_stage(&self) -> bool {
        self.of(Part::Stage).next().is_some()
    }

    /// The phases of a part.
    pub fn of(&self, part: Part) -> impl Iterator<Item = &'static Phase> + use<> {
        self.phases.iter().filter(move |phase| phase.part == part)
    }

    /// Whether no other import changes state while one holds a certain pool (fact 1).
    pub fn blocks(&self) -> bool {
        self.pools.iter().any(|pool| pool.blocks)
    }

    /// How many imports may be in that phase at once on the whole engine; none: any number.
    pub fn at_once(&self, name: PhaseName) -> Option<u32> {
        let takes = self.phase(name)?.takes.iter();
        let limits = takes.filter_map(|(pool, takes)| match self.pool(pool)? {
            Pool {
                of: Scope::Engine,
                capacity: Capacity::Slots(slots),
                ..
            } => Some(slots / (*takes).max(1)),
            _ => None,
        });
        limits.min()
    }

    /// Whether imports that are in that phase at once share a bandwidth.
    pub fn shares(&self, name: PhaseName) -> bool {
        let takes = self.phase(name).map_or(&[][..], |phase| phase.takes);
        takes.iter().any(|(pool, _)| {
            self.pool(pool)
                .is_some_and(|pool| pool.capacity == Capacity::Shared)
        })
    }

    /// The first phase of the cut that only so many may be in at once: no more are sent into their cut
    /// than can go through it without waiting for each other while their guests are down.
    pub fn narrow(&self) -> Option<(&'static Phase, u32)> {
        self.of(Part::Cut)
            .find_map(|phase| Some((phase, self.at_once(phase.name)?)))
    }

    /// Whether some phase takes more of a pool than there is: no import ever gets through.
    pub fn lacks_slots(&self) -> bool {
        let takes = self.phases.iter().flat_map(|phase| phase.takes);
        takes.into_iter().any(|(name, takes)| {
            let pool = self.pool(name);
            pool.is_none_or(|pool| matches!(pool.capacity, Capacity::Slots(most) if most < *takes))
        })
    }

    /// The most that an import holds of the scratch from the beginning of that phase on.
    pub fn holds_from(&self, name: PhaseName) -> Hold {
        let coming = self.phases.iter().filter(|phase| phase.name >= name);
        let holds = coming.map(|phase| phase.scratch);
        holds.max().unwrap_or(Hold::Nothing)
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

    /// The engine's own steps between the end of the phase before and the beginning of this one.
    pub fn before(&self, name: PhaseName) -> Millis {
        match name {
            PhaseName::Stage | PhaseName::Shutdown | PhaseName::Export => Millis::ZERO,
            // Two writes of its status.
            PhaseName::Images => self.step * 2,
            PhaseName::Boot => self.step + self.create_machine,
            PhaseName::Release => self.step,
        }
    }

    /// The delay before the next try after `failures` failures in a row.
    pub fn backoff(&self, failures: u32) -> Millis {
        let doublings = failures.saturating_sub(1).min(32);
        Millis(self.backoff_first.0 << doublings).min(self.backoff_max)
    }
}

/// A pool of the whole engine that does not block.
const fn slots(name: &'static str, slots: u32) -> Pool {
    Pool {
        name,
        of: Scope::Engine,
        capacity: Capacity::Slots(slots),
        blocks: false,
    }
}
