//! A fleet and the plan for it, from a seed: what the waves say, and what is true at the source.

use std::sync::Arc;

use engine::{DiskSpec, Fault, Guest, ImportSpec, Millis, Profile, Timing};
use jiff::Timestamp;
use schemas::approval::ApprovalSpec;
use schemas::gate::{
    Gate, GateFailure, GatePort, HostPort, StepApproval, StepDone, StepRef, WaveStep,
};
use schemas::ids::{Digest, Namespace, ObjectName, VmKey, VmName, WorkloadName, WorkloadRef};
use schemas::inventory::SourceKind;
use schemas::machine::MachineId;
use schemas::site::{
    Admission, ApprovalPolicy, Assumptions, OnFailure, OpenstackSource, VmwareSource,
};
use schemas::units::{Bytes, Quantity, Seconds, Span};
use schemas::wave::{
    Barrier, EngineKind, Prerequisite, PrerequisiteMachine, WaveImport, WaveInputs, WaveOva,
    WaveSize, WaveSource, WaveSpec, WaveTarget, WaveWindow, WaveWorkload,
};

use executor_machine::At;

use crate::elsewhere::Elsewhere;
use crate::rng::Rng;

/// Where plan, waves and records are.
pub const HOME: &str = "migrations";
/// The plan's name.
pub const PLAN: &str = "erp";
/// uid of the cluster.
pub const CLUSTER: &str = "c1";

/// One VM, as it truly is.
#[derive(Clone, Debug)]
pub struct Vm {
    /// What its wave says of it.
    pub import: WaveImport,
    /// Its workload's place: it waits for all of the workloads that `waits_for` has.
    pub workload: usize,
    /// The kind of its source.
    pub kind: SourceKind,
    /// What its guest does when asked to shut down.
    pub guest: Guest,
    /// Sizes and times of its disks.
    pub disks: Vec<(Bytes, Timing)>,
    /// OVA: the archive's size.
    pub archive: Option<Bytes>,
    /// How long its export takes.
    pub export: Timing,
    /// How long its machine takes to be ready.
    pub boot: Timing,
    /// What goes wrong.
    pub fault: Option<Fault>,
    /// From its machine's readiness until the port of its gate answers.
    pub answers_after: Millis,
    /// Somebody has put a machine of its name on the target: imported before, or not.
    pub name_taken: Option<bool>,
}

impl Vm {
    /// What the engine's simulation is to make of an import of it.
    pub fn at_engine(&self, at: &At) -> ImportSpec {
        let machine = &self.import.machine;
        let bases: Vec<String> = (0..self.disks.len()).map(|k| format!("disk{k}")).collect();
        let bases: Vec<&str> = bases.iter().map(String::as_str).collect();
        let names = engine::import::file_names(self.kind, &at.namespace, &at.name, machine, &bases);
        ImportSpec {
            namespace: at.namespace.clone(),
            name: at.name.clone(),
            machine: machine.clone(),
            kind: self.kind,
            guest: self.guest,
            shutdown_timeout: self.import.shutdown_timeout.into(),
            peak: self.import.size.peak.0,
            archive: self
                .archive
                .map(|b| (engine::import::archive_name(machine), b)),
            disks: disks(names, &self.disks),
            export: self.export,
            boot: self.boot,
            fault: self.fault.clone(),
        }
    }

    /// Nothing is wrong with it.
    pub fn is_sound(&self) -> bool {
        let is_slow = |timing: &Timing| *timing == Timing::External;
        matches!(self.fault, None | Some(Fault::ExportedTwice))
            && self.name_taken.is_none()
            && self.guest != Guest::On(Timing::External)
            && !is_slow(&self.boot)
            && !self.disks.iter().any(|(_, image)| is_slow(image))
    }
}

fn disks(names: Vec<Arc<str>>, disks: &[(Bytes, Timing)]) -> Vec<DiskSpec> {
    let disks = names.into_iter().zip(disks);
    disks
        .map(|(file, (written, image))| DiskSpec {
            file,
            written: *written,
            image: *image,
        })
        .collect()
}

/// A step outside, as it truly is.
#[derive(Clone, Debug)]
pub struct Step {
    /// What waves say of it.
    pub wave: WaveStep,
    /// It is done then, whether by a person's word or by its port.
    pub done_at: Millis,
}

/// A fleet with its plan.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The VMs.
    pub vms: Vec<Vm>,
    /// For each workload, those that it waits for.
    pub waits_for: Vec<Vec<usize>>,
    /// For each workload, the gate of its machines.
    pub gates: Vec<Option<Gate>>,
    /// For each workload, the step outside between those that it waits for and itself.
    pub steps: Vec<Option<Step>>,
    /// For each workload, the machine of another plan that it waits for.
    pub elsewhere: Vec<Option<Elsewhere>>,
    /// The waves.
    pub waves: Vec<(At, WaveSpec)>,
    /// Scratch bytes that all imports together may hold.
    pub usable: Bytes,
    /// How far a failure reaches.
    pub on_failure: OnFailure,
    /// For each wave, whether the first of its VMs that may goes before all others.
    canaries: Vec<bool>,
}

impl Fleet {
    /// The fleet of `seed`; `faults` in a hundred of its VMs have something wrong with them.
    pub fn new(seed: u64, origin: Timestamp, faults: u64) -> Self {
        let mut rng = Rng::new(seed, "fleet");
        let workloads = usize::try_from(rng.within(1, 5)).unwrap_or(1);
        let waits_for: Vec<Vec<usize>> = (0..workloads)
            .map(|w| (0..w).filter(|_| rng.percent(50)).collect())
            .collect();
        let count = rng.within(2, 14);
        let mut vms: Vec<Vm> = (0..count).map(|n| vm(seed, n, workloads, faults)).collect();
        exclude_twins(&mut vms);
        let largest = vms.iter().map(|vm| vm.import.size.peak.0).max();
        let usable = largest.unwrap_or_default() + Bytes::from_gib(rng.within(0, 60));
        let mut fleet = Self {
            vms,
            gates: vec![None; waits_for.len()],
            steps: vec![None; waits_for.len()],
            elsewhere: vec![None; waits_for.len()],
            waits_for,
            waves: Vec::new(),
            usable,
            on_failure: OnFailure::Isolate,
            canaries: (0..rng.within(1, 4)).map(|_| rng.percent(30)).collect(),
        };
        fleet.single_dependencies(&mut rng);
        fleet.gates_and_steps(&mut Rng::new(seed, "gates"));
        fleet.other_plans(&mut Rng::new(seed, "plans"));
        fleet.waves = fleet.plan(&mut rng, origin);
        fleet
    }

    /// The VM of that record.
    pub fn find(&self, record: &ObjectName) -> Option<usize> {
        self.vms.iter().position(|vm| vm.import.record == *record)
    }

    /// The VMs that `vm` waits for.
    pub fn prerequisites(&self, vm: usize) -> impl Iterator<Item = usize> {
        let own = &self.vms[vm];
        let waits_for = &self.waits_for[own.workload];
        let wave = vm / self.per_wave();
        let mut members = (wave * self.per_wave()..self.vms.len()).take(self.per_wave());
        let canary = members.find(|other| self.is_canary(wave, &self.vms[*other]));
        (0..self.vms.len()).filter(move |other| {
            let it = &self.vms[*other];
            waits_for.contains(&it.workload)
                || own.import.after.iter().any(|m| m.vm == it.import.vm)
                || canary == Some(*other) && *other != vm
        })
    }

    /// When the import of `vm`, created at `now`, may end at its worst with its window's reserve, if
    /// that is after the window.
    pub fn latest_end(&self, vm: usize, now: Timestamp) -> Option<Timestamp> {
        let it = &self.vms[vm];
        let (_, wave) = &self.waves[vm / self.per_wave()];
        let window = wave.window.as_ref()?;
        let cut = engine::admission::cut_p90(
            &Profile::vm_import(),
            it.kind,
            &it.import.size,
            it.import.shutdown_timeout.0,
            &wave.rates,
        );
        let reserve = window.rollback_reserve.map_or(Seconds::ZERO, |span| span.0);
        let end = crate::world::instant(now, (cut + reserve).into());
        (end > window.to).then_some(end)
    }

    fn per_wave(&self) -> usize {
        self.vms.len().div_ceil(self.canaries.len().max(1)).max(1)
    }

    /// Some VMs wait for single ones of an earlier workload.
    fn single_dependencies(&mut self, rng: &mut Rng) {
        for vm in 1..self.vms.len() {
            if !rng.percent(15) {
                continue;
            }
            let before = rng.within(0, vm as u64);
            let before = &self.vms[usize::try_from(before).unwrap_or(0)];
            if before.workload < self.vms[vm].workload {
                self.vms[vm].import.after = vec![listed_machine(before)];
            }
        }
    }

    /// Some workloads have a gate, and some a step outside in front of them.
    fn gates_and_steps(&mut self, rng: &mut Rng) {
        for w in 0..self.waits_for.len() {
            self.gates[w] = rng.percent(35).then(|| gate(rng));
            self.steps[w] = rng.percent(25).then(|| {
                let before = self.waits_for[w].iter();
                let depends_on = before.map(|w| workload(*w).into()).collect();
                step(w, depends_on, rng)
            });
        }
        for vm in &mut self.vms {
            // One in some is later than any gate waits.
            let most = *rng.pick(&[1, 300, 600, 600, 7200]);
            vm.answers_after = Millis::from_seconds(rng.within(0, most));
        }
        if rng.percent(20) {
            self.on_failure = *rng.pick(&[OnFailure::StopWave, OnFailure::StopPlan]);
        }
    }

    /// Some workloads wait for another plan.
    fn other_plans(&mut self, rng: &mut Rng) {
        for (w, elsewhere) in self.elsewhere.iter_mut().enumerate() {
            *elsewhere = rng.percent(15).then(|| Elsewhere::new(w, rng));
        }
    }

    fn plan(&self, rng: &mut Rng, origin: Timestamp) -> Vec<(At, WaveSpec)> {
        let admission = *rng.pick(&[
            Admission::Balanced,
            Admission::Balanced,
            Admission::Throughput,
            Admission::Downtime,
        ]);
        let rates = Assumptions {
            image_bytes_per_second: Quantity(Bytes::from_mib(rng.within(100, 600))),
            ..Assumptions::default()
        };
        let groups = self.vms.chunks(self.per_wave()).enumerate();
        groups
            .map(|(n, vms)| {
                let window = rng.percent(25).then(|| window(rng, origin));
                let approval = *rng.pick(&[ApprovalPolicy::Required, ApprovalPolicy::None]);
                let mut wave = WaveSpec {
                    plan: PLAN.into(),
                    target: WaveTarget {
                        name: "hv1".into(),
                        cluster_uid: rng.percent(50).then(|| CLUSTER.to_owned()),
                        engine: EngineKind::VmImport,
                    },
                    window,
                    approval,
                    admission,
                    on_failure: self.on_failure,
                    rates: rates.clone(),
                    scratch: Quantity(self.usable),
                    sources: sources(vms),
                    workloads: self.workloads(vms),
                    steps: self.steps_of(vms),
                    prerequisites: self.listed(vms),
                    barriers: self.barriers(n, vms),
                    imports: imports(vms),
                    inputs: WaveInputs {
                        plan: Digest::from("sha256:plan"),
                        inventory: Digest::from("sha256:inventory"),
                    },
                    generator: "world".to_owned(),
                    digest: Digest::default(),
                    suspend: None,
                };
                wave.digest = wave.compute_digest();
                (At::new(HOME, format!("{PLAN}-{:03}", (n + 1) * 10)), wave)
            })
            .collect()
    }

    fn workloads(&self, vms: &[Vm]) -> Vec<WaveWorkload> {
        let mut own: Vec<usize> = vms.iter().map(|vm| vm.workload).collect();
        own.sort_unstable();
        own.dedup();
        own.into_iter()
            .map(|w| WaveWorkload {
                name: workload(w),
                depends_on: self.depends_on(w),
                gate: self.gates[w].clone(),
            })
            .filter(|workload| !workload.depends_on.is_empty() || workload.gate.is_some())
            .collect()
    }

    fn depends_on(&self, w: usize) -> Vec<WorkloadRef> {
        let before = self.waits_for[w].iter();
        let mut names: Vec<WorkloadRef> = match &self.steps[w] {
            Some(step) => vec![step.wave.name.clone()],
            None => before.map(|w| workload(*w).into()).collect(),
        };
        let elsewhere = self.elsewhere[w].iter();
        names.extend(elsewhere.map(|other| other.workload.clone()));
        names
    }

    fn steps_of(&self, vms: &[Vm]) -> Vec<WaveStep> {
        let steps = self.steps.iter().enumerate();
        steps
            .filter(|(w, _)| vms.iter().any(|vm| vm.workload == *w))
            .filter_map(|(_, step)| Some(step.as_ref()?.wave.clone()))
            .collect()
    }

    /// Its canary, if it has one.
    fn barriers(&self, wave: usize, vms: &[Vm]) -> Vec<Barrier> {
        let canary = vms.iter().find(|vm| self.is_canary(wave, vm));
        let barrier = |vm: &Vm| Barrier {
            name: "canaries".into(),
            machines: vec![listed_machine(vm)],
        };
        canary.map(barrier).into_iter().collect()
    }

    fn is_canary(&self, wave: usize, vm: &Vm) -> bool {
        // One that waits for nobody, so that nobody can wait in a circle.
        self.canaries.get(wave) == Some(&true) && self.waits_for[vm.workload].is_empty()
    }

    fn elsewhere_of(&self, vms: &[Vm]) -> impl Iterator<Item = Prerequisite> {
        let others = self.elsewhere.iter().enumerate();
        let own = others.filter(|(w, _)| vms.iter().any(|vm| vm.workload == *w));
        own.filter_map(|(_, other)| Some(other.as_ref()?.listed()))
    }

    fn listed(&self, vms: &[Vm]) -> Vec<Prerequisite> {
        let mut needed: Vec<usize> = vms
            .iter()
            .flat_map(|vm| &self.waits_for[vm.workload])
            .copied()
            .collect();
        needed.sort_unstable();
        needed.dedup();
        let machines = |w: usize| {
            let of_it = self.vms.iter().filter(move |vm| vm.workload == w);
            of_it.map(listed_machine)
        };
        needed
            .into_iter()
            .map(|w| Prerequisite {
                workload: workload(w).into(),
                machines: machines(w).collect(),
            })
            .chain(self.elsewhere_of(vms))
            .collect()
    }
}

fn gate(rng: &mut Rng) -> Gate {
    let soak = rng.percent(50).then(|| Span(Seconds(rng.within(1, 400))));
    Gate {
        tcp: vec![GatePort {
            port: 5432,
            address: None,
        }],
        soak,
        timeout: Span::from_minutes(12),
        on_failure: *rng.pick(&[GateFailure::Hold, GateFailure::Hold, GateFailure::Continue]),
    }
}

fn step(w: usize, depends_on: Vec<WorkloadRef>, rng: &mut Rng) -> Step {
    let name = WorkloadName::new(format!("step{w}"));
    let done = match rng.within(0, 3) {
        0 => (Some(StepApproval::Required), None),
        1 => (None, Some(())),
        _ => (Some(StepApproval::Required), Some(())),
    };
    Step {
        done_at: Millis::from_seconds(rng.within(0, 40 * 60)),
        wave: WaveStep {
            title: format!("what {name} is about"),
            depends_on,
            done: StepDone {
                approval: done.0,
                tcp: done.1.map(|()| {
                    vec![HostPort {
                        host: name.to_string(),
                        port: 443,
                    }]
                }),
            },
            name: name.into(),
        },
    }
}

fn listed_machine(vm: &Vm) -> PrerequisiteMachine {
    PrerequisiteMachine {
        vm: vm.import.vm.clone(),
        record: vm.import.record.clone(),
    }
}

/// The approval of a wave.
pub fn approval(at: &At, wave: &WaveSpec) -> ApprovalSpec {
    ApprovalSpec {
        wave: Some(at.name.as_str().into()),
        digest: Some(wave.digest.clone()),
        step: None,
        occurrence: None,
        expires: None,
        reference: None,
    }
}

/// The word that a step outside is done.
pub fn step_approval(step: &WaveStep) -> (At, ApprovalSpec) {
    let approval = ApprovalSpec {
        wave: None,
        digest: None,
        step: Some(StepRef {
            plan: PLAN.into(),
            name: step.name.name.clone(),
        }),
        occurrence: None,
        expires: None,
        reference: None,
    };
    (At::new(HOME, step.name.name.as_str()), approval)
}

fn workload(w: usize) -> WorkloadName {
    WorkloadName::new(format!("tier{w}"))
}

fn window(rng: &mut Rng, origin: Timestamp) -> WaveWindow {
    let at = |minutes: u64| {
        let millis = Millis::from_minutes(minutes);
        crate::world::instant(origin, millis)
    };
    let opens = rng.within(0, 180);
    let lasts = rng.within(60, 3000);
    WaveWindow {
        name: "weekend".into(),
        occurrence: "2026-W48".into(),
        from: at(opens),
        to: at(opens + lasts),
        last_start: at(opens + lasts - 30),
        rollback_reserve: rng.percent(40).then(|| Span::from_minutes(20)),
    }
}

fn vm(seed: u64, n: u64, workloads: usize, faults: u64) -> Vm {
    // Each VM has its own chance, so one more VM changes none of the others.
    let mut rng = Rng::new(seed.wrapping_mul(1000).wrapping_add(n), "vm");
    let kind = *rng.pick(&[SourceKind::Vmware, SourceKind::Openstack, SourceKind::Ova]);
    // Every third has a twin somewhere: the same machine name in a namespace of its own.
    let is_twin = rng.percent(35);
    let (machine, namespace) = if is_twin {
        ("web".to_owned(), format!("erp-{n}"))
    } else {
        (format!("vm{n}"), "erp".to_owned())
    };
    let disks: Vec<(Bytes, Timing)> = (0..rng.within(1, 4))
        .map(|_| {
            let bytes = Bytes::from_gib(rng.within(1, 40));
            let rate = Bytes::from_mib(rng.within(80, 700));
            (bytes, Timing::from(bytes.at_rate(rate)))
        })
        .collect();
    let total: Bytes = disks.iter().map(|(bytes, _)| *bytes).sum();
    let archive = (kind == SourceKind::Ova).then_some(Bytes(total.0 / 2));
    let resident = total + archive.unwrap_or_default();
    let peak = match kind {
        SourceKind::Openstack => resident,
        SourceKind::Vmware | SourceKind::Ova => resident + Bytes::from_gib(rng.within(0, 20)),
    };
    let guest = match kind {
        SourceKind::Ova => Guest::Off,
        _ if rng.percent(15) => Guest::Off,
        _ => Guest::On(Timing::from(Seconds(rng.within(3, 90)))),
    };
    let (source, from) = match kind {
        SourceKind::Vmware => ("dc1", "dc1".to_owned()),
        SourceKind::Openstack => ("cloud1", "cloud1".to_owned()),
        SourceKind::Ova => ("shelf", format!("shelf-{n}")),
    };
    let id = format!("id{n}");
    let name = VmName::new(machine.clone());
    let record = MachineId::new(source, &id.as_str().into()).record_name(&name);
    let workload = usize::try_from(rng.within(0, workloads as u64)).unwrap_or(0);
    let mut vm = Vm {
        import: WaveImport {
            vm: VmKey::new(source, id.as_str()),
            order: u32::try_from((n + 1) * 10).unwrap_or(u32::MAX),
            name,
            workload: self::workload(workload),
            record,
            from: ObjectName::new(from),
            find: id,
            folder: None,
            namespace: Namespace::new(namespace),
            machine: ObjectName::new(machine),
            storage_class: "harvester-lh-v1".into(),
            networks: Vec::new(),
            shutdown_timeout: Span::from_minutes(3),
            size: WaveSize {
                peak: Quantity(peak),
                resident: Quantity(resident),
                transfer: Quantity(resident),
                disks: Quantity(total),
            },
            after: Vec::new(),
            excludes: Vec::new(),
            waived: Vec::new(),
        },
        workload,
        kind,
        guest,
        disks,
        archive,
        export: Timing::from(resident.at_rate(Bytes::from_mib(rng.within(40, 300)))),
        boot: Timing::from(Seconds(rng.within(20, 200))),
        fault: None,
        answers_after: Millis::ZERO,
        name_taken: None,
    };
    if rng.percent(faults) {
        spoil(&mut vm, &mut rng);
    }
    vm
}

/// Something goes wrong with it.
fn spoil(vm: &mut Vm, rng: &mut Rng) {
    match rng.within(0, 12) {
        0 => vm.fault = Some(Fault::Invalid),
        1 | 2 => vm.fault = Some(Fault::VmGone),
        3 | 4 => {
            vm.fault = Some(Fault::ExportFails {
                at: u8::try_from(rng.within(0, 100)).unwrap_or(0),
                message: "unexpected EOF".to_owned(),
            });
        }
        5 | 6 => vm.fault = Some(Fault::ImageFails { disk: 0 }),
        7 => vm.fault = Some(Fault::MachineRefused),
        8 => vm.fault = Some(Fault::ExportedTwice),
        9 => vm.fault = Some(Fault::PanicOnLookup),
        10 => vm.name_taken = Some(rng.percent(50)),
        _ => match rng.within(0, 3) {
            0 if vm.kind == SourceKind::Openstack => vm.guest = Guest::On(Timing::External),
            1 => vm.disks[0].1 = Timing::External,
            _ => vm.boot = Timing::External,
        },
    }
}

/// Those whose files would have the same names exclude each other (N03).
fn exclude_twins(vms: &mut [Vm]) {
    let all = vms.to_vec();
    for vm in vms {
        let mut excludes: Vec<VmKey> = all
            .iter()
            .filter(|other| {
                other.import.machine == vm.import.machine
                    && other.import.vm != vm.import.vm
                    && !(other.kind == SourceKind::Vmware && vm.kind == SourceKind::Vmware)
            })
            .map(|other| other.import.vm.clone())
            .collect();
        excludes.sort();
        vm.import.excludes = excludes;
    }
}

fn imports(vms: &[Vm]) -> Vec<WaveImport> {
    let mut imports: Vec<_> = vms.iter().map(|vm| vm.import.clone()).collect();
    imports.sort_by(|a, b| a.vm.cmp(&b.vm));
    imports
}

fn sources(vms: &[Vm]) -> Vec<WaveSource> {
    let mut sources: Vec<WaveSource> = Vec::new();
    for vm in vms {
        if sources.iter().any(|source| source.name == vm.import.from) {
            continue;
        }
        sources.push(WaveSource {
            name: vm.import.from.clone(),
            source: vm.import.vm.source.clone(),
            vmware: (vm.kind == SourceKind::Vmware).then(|| VmwareSource {
                endpoint: "https://vcenter/sdk".to_owned(),
                datacenter: "DC0".to_owned(),
            }),
            openstack: (vm.kind == SourceKind::Openstack).then(|| OpenstackSource {
                endpoint: "https://keystone/v3".to_owned(),
                region: "RegionOne".to_owned(),
            }),
            ova: (vm.kind == SourceKind::Ova).then(|| WaveOva {
                url: format!("https://files/{}.ova", vm.import.find),
            }),
            credentials: (vm.kind != SourceKind::Ova).then(|| "secret".into()),
        });
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}
