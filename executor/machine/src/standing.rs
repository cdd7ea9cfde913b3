//! How each machine of each wave stands, by the ledger and by what is on the target.
//!
//! The record decides, whatever wave, plan or file its machine is in now: one that runs is never
//! imported again.

use std::collections::BTreeMap;

use schemas::gate::WaveStep;
use schemas::ids::{VmKey, VmName, WorkloadName, WorkloadRef};
use schemas::machine::Stage;
use schemas::natural::natural;
use schemas::units::Bytes;
use schemas::wave::{Barrier, PrerequisiteMachine, WaveImport};

use crate::gate::{self, Passage};
use crate::ledger::{Entry, Ledger};
use crate::observed::{At, Observed, Wave};
use crate::spec;
use crate::steps;

/// One import of one wave.
#[derive(Clone, Debug)]
pub(crate) struct Machine<'a> {
    pub wave_at: &'a At,
    pub wave: &'a Wave,
    pub import: &'a WaveImport,
    pub record_at: At,
    pub standing: Standing,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Done,
    Active(Stage),
    Failed(String),
    Blocked {
        by: VmKey,
        name: VmName,
        plan: Option<At>,
    },
    /// It may be admitted, as far as it alone is concerned.
    Candidate,
}

/// All machines, by wave and order, each with its standing.
pub(crate) fn all<'a>(ledger: &Ledger<'a>, observed: &'a Observed) -> Vec<Machine<'a>> {
    let mut machines = Vec::new();
    let mut waves: Vec<_> = observed.waves.iter().collect();
    waves.sort_by_cached_key(|(at, _)| (&at.namespace, natural(at.name.as_str())));
    for (wave_at, wave) in waves {
        let mut imports: Vec<_> = wave.spec.imports.iter().collect();
        imports.sort_by(|a, b| (a.order, &a.vm).cmp(&(b.order, &b.vm)));
        machines.extend(imports.into_iter().map(|import| {
            let record_at = spec::record_at(wave_at, &import.record);
            let standing = alone(wave, import, &record_at, ledger, observed);
            Machine {
                wave_at,
                wave,
                import,
                record_at,
                standing,
            }
        }));
    }
    block(&mut machines, ledger);
    machines
}

/// How it stands, not counting those that it depends on.
fn alone(
    wave: &Wave,
    import: &WaveImport,
    record_at: &At,
    ledger: &Ledger<'_>,
    observed: &Observed,
) -> Standing {
    let entry = ledger.get(record_at);
    if let Some(standing) = entry.and_then(by_record) {
        return standing;
    }
    obstacle(wave, import, record_at, ledger, observed)
        .map_or(Standing::Candidate, Standing::Failed)
}

fn by_record(entry: &Entry<'_>) -> Option<Standing> {
    match entry.stage() {
        Stage::Running => Some(match gate::passage(entry) {
            Passage::Free => Standing::Done,
            Passage::Awaited => Standing::Active(Stage::Running),
            Passage::Failed => Standing::Failed(gate::failure(entry)),
        }),
        Stage::Failed | Stage::Held => Some(Standing::Failed(
            entry
                .status
                .message
                .clone()
                .unwrap_or_else(|| "failed".to_owned()),
        )),
        Stage::Withdrawn => None,
        stage => Some(Standing::Active(stage)),
    }
}

/// What makes it impossible to begin with this machine, until a person changes something.
pub(crate) fn obstacle(
    wave: &Wave,
    import: &WaveImport,
    record_at: &At,
    ledger: &Ledger<'_>,
    observed: &Observed,
) -> Option<String> {
    if let Some(other) = ledger.elsewhere(record_at) {
        return Some(format!(
            "plan `{}` has begun to move it or has moved it: see record `{}`",
            other.record.spec.plan, other.at
        ));
    }
    if ledger.get(record_at).is_none()
        && let Some(at) = ledger.imports_of(&import.record).first()
    {
        return Some(format!(
            "import `{at}` is of this machine, but the ledger has no record of it: was it deleted?"
        ));
    }
    let place = At::new(import.namespace.clone(), import.machine.clone());
    if let Some(machine) = observed.machines.get(&place) {
        let (by, code) = if machine.imported {
            ("that was imported before", "N01")
        } else {
            ("that is not ours", "N02")
        };
        return Some(format!("machine `{place}` {by} has its name ({code})"));
    }
    let (needs, usable) = (import.size.peak.0, wave.spec.scratch.0);
    if needs > usable {
        return Some(format!(
            "it needs {needs} of scratch, more than the {usable} there are (S01)"
        ));
    }
    waits_for(wave, import)
        .find(|(_, machines)| machines.is_none())
        .map(|(workload, _)| {
            format!("its wave does not say which machines workload `{workload}` has: plan again")
        })
}

/// The workloads that `import` waits for, by itself or by way of steps outside, each with its
/// machines as the wave lists them.
pub(crate) fn waits_for<'a>(
    wave: &'a Wave,
    import: &'a WaveImport,
) -> impl Iterator<Item = (&'a WorkloadRef, Option<&'a [PrerequisiteMachine]>)> {
    let names = before(wave, import).into_iter();
    names
        .filter(|name| !steps::is_step(wave, name))
        .map(|name| {
            let listed = wave.spec.prerequisites.iter().find(|p| p.workload == *name);
            (name, listed.map(|p| p.machines.as_slice()))
        })
}

/// The steps outside that `import` waits for.
pub(crate) fn steps_before<'a>(wave: &'a Wave, import: &'a WaveImport) -> Vec<&'a WaveStep> {
    let names = before(wave, import);
    let steps = wave.spec.steps.iter();
    steps.filter(|step| names.contains(&&step.name)).collect()
}

/// The workloads that `import` waits for, steps among them, and those that these wait for.
fn before<'a>(wave: &'a Wave, import: &'a WaveImport) -> Vec<&'a WorkloadRef> {
    let spec = &wave.spec;
    let own = spec.workloads.iter().find(|w| w.name == import.workload);
    let mut names: Vec<&WorkloadRef> = own.map_or_else(Vec::new, |w| w.depends_on.iter().collect());
    let mut next = 0;
    while let Some(name) = names.get(next) {
        let step = spec.steps.iter().find(|step| step.name == **name);
        for other in step.map_or(&[][..], |step| &step.depends_on) {
            if !names.contains(&other) {
                names.push(other);
            }
        }
        next += 1;
    }
    names
}

/// A machine that an import waits for.
#[derive(Clone, Debug)]
pub(crate) struct Awaited<'a> {
    pub machine: &'a PrerequisiteMachine,
    /// Its workload, where that is of another plan.
    pub elsewhere: Option<&'a WorkloadRef>,
    pub record_at: At,
}

/// The machines that `import` waits for by its workload.
fn awaited<'a>(
    at: &'a At,
    wave: &'a Wave,
    import: &'a WaveImport,
) -> impl Iterator<Item = Awaited<'a>> {
    waits_for(wave, import).flat_map(move |(workload, machines)| {
        let machines = machines.unwrap_or_default().iter();
        machines.map(move |machine| Awaited {
            machine,
            elsewhere: workload.plan.is_some().then_some(workload),
            record_at: spec::record_of(at, workload, &machine.record),
        })
    })
}

/// The first machine that `import` waits for and that does not run yet, or whose gate does not hold;
/// one of its own plan before one of another.
pub(crate) fn missing<'a>(
    at: &'a At,
    wave: &'a Wave,
    import: &'a WaveImport,
    ledger: &Ledger<'_>,
) -> Option<Awaited<'a>> {
    let single = import.after.iter().map(|machine| Awaited {
        machine,
        elsewhere: None,
        record_at: spec::record_at(at, &machine.record),
    });
    let all = awaited(at, wave, import).chain(single);
    let mut open = all.filter(|it| !is_done(&it.record_at, ledger));
    let mut first = open.next()?;
    if first.elsewhere.is_some() {
        first = open.find(|it| it.elsewhere.is_none()).unwrap_or(first);
    }
    Some(first)
}

/// The first machine that the whole wave of `import` waits for and that does not run yet, with the
/// barrier's name. A machine that a barrier names does not wait for it.
pub(crate) fn barrier<'a>(
    at: &At,
    wave: &'a Wave,
    import: &WaveImport,
    ledger: &Ledger<'_>,
) -> Option<(&'a WorkloadName, &'a PrerequisiteMachine)> {
    barriers(wave, import).find_map(|barrier| {
        let is_open = |m: &&PrerequisiteMachine| !is_done(&spec::record_at(at, &m.record), ledger);
        let missing = barrier.machines.iter().find(is_open)?;
        Some((&barrier.name, missing))
    })
}

fn barriers<'a>(wave: &'a Wave, import: &WaveImport) -> impl Iterator<Item = &'a Barrier> {
    let vm = import.vm.clone();
    let binds = move |barrier: &&Barrier| barrier.machines.iter().all(|m| m.vm != vm);
    wave.spec.barriers.iter().filter(binds)
}

/// The machine of the record at `at` runs, and its gate holds.
pub(crate) fn is_done(at: &At, ledger: &Ledger<'_>) -> bool {
    let entry = ledger.get(at);
    entry.is_some_and(|entry| {
        entry.stage() == Stage::Running && gate::passage(entry) == Passage::Free
    })
}

/// Marks those that wait for one that failed, however far away. Names the one that failed, not
/// those in between: that is where a person can do something.
fn block(machines: &mut [Machine<'_>], ledger: &Ledger<'_>) {
    // With the plan that it is of.
    let mut failed: BTreeMap<At, (VmKey, VmName, At)> = BTreeMap::new();
    for entry in ledger.entries.values() {
        let is_shut = entry.stage() == Stage::Running && gate::passage(entry) == Passage::Failed;
        if is_shut || matches!(entry.stage(), Stage::Failed | Stage::Held) {
            let spec = &entry.record.spec;
            let plan = At::new(entry.at.namespace.clone(), spec.plan.as_str());
            failed.insert(entry.at.clone(), (spec.vm.clone(), spec.name.clone(), plan));
        }
    }
    for machine in machines.iter() {
        if let Standing::Failed(_) = machine.standing {
            let import = machine.import;
            let who = (import.vm.clone(), import.name.clone(), plan_of(machine));
            failed.insert(machine.record_at.clone(), who);
        }
    }
    // Each round blocks the next generation of dependants, so there are no more than machines.
    loop {
        // Machines of one workload wait for the same: looked up once for each.
        let mut known = BTreeMap::new();
        let mut any = false;
        for machine in machines.iter_mut() {
            if machine.standing != Standing::Candidate {
                continue;
            }
            let (at, wave, import) = (machine.wave_at, machine.wave, machine.import);
            let culprit = known.entry((at, &import.workload)).or_insert_with(|| {
                awaited(at, wave, import).find_map(|it| failed.get(&it.record_at).cloned())
            });
            let mut single = import.after.iter();
            let mut of_wave = barriers(wave, import).flat_map(|barrier| &barrier.machines);
            let has_failed =
                |m: &PrerequisiteMachine| failed.get(&spec::record_at(at, &m.record)).cloned();
            let culprit = culprit
                .clone()
                .or_else(|| single.find_map(has_failed))
                .or_else(|| of_wave.find_map(has_failed));
            if let Some((by, name, plan)) = culprit {
                let who = (by.clone(), name.clone(), plan.clone());
                failed.insert(machine.record_at.clone(), who);
                let plan = (plan != plan_of(machine)).then_some(plan);
                machine.standing = Standing::Blocked { by, name, plan };
                any = true;
            }
        }
        if !any {
            return;
        }
    }
}

fn plan_of(machine: &Machine<'_>) -> At {
    let namespace = machine.wave_at.namespace.clone();
    At::new(namespace, machine.wave.spec.plan.as_str())
}

/// Scratch that all waves here agree on, for display: the least.
pub(crate) fn scratch_usable(observed: &Observed) -> Bytes {
    let waves = observed.waves.values();
    waves
        .map(|wave| wave.spec.scratch.0)
        .min()
        .unwrap_or_default()
}
