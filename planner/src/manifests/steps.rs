//! What may be created together, where only the order of steps can hold anything back.
//!
//! Our controller creates an import when the engine is about to be free for it. Manifests in static
//! order cannot: whatever is in one step is created at once, and all its guests go off. So a step
//! holds no more than fits onto the scratch volume at the same time, nothing that waits for
//! something else in it, and no two imports that would write the same files.

use std::collections::BTreeSet;

use schemas::ids::{VmKey, WorkloadRef};
use schemas::units::Bytes;
use schemas::wave::{MigrationWave, WaveImport};

/// The steps of a wave, in order, each with its imports sorted by VM.
///
/// `at_once`: most imports of one step.
pub(super) fn steps(wave: &MigrationWave, at_once: Option<usize>) -> Vec<Vec<&WaveImport>> {
    let spec = &wave.spec;
    let mut imports: Vec<&WaveImport> = spec.imports.iter().collect();
    imports.sort_by_key(|import| import.order);
    let mut steps: Vec<Vec<&WaveImport>> = Vec::new();
    let mut held = Bytes::default();
    for import in imports {
        let peak = import.size.peak.0;
        let grown = Bytes(held.0.saturating_add(peak.0));
        let before = before(wave, import);
        let waits = |other: &WaveImport| {
            let mut single = import.after.iter();
            let by_workload = before.iter().any(|name| **name == other.workload);
            by_workload || single.any(|machine| machine.vm == other.vm)
        };
        let fits = |step: &Vec<&WaveImport>| {
            grown <= spec.scratch.0
                && at_once.is_none_or(|most| step.len() < most)
                && !step
                    .iter()
                    .any(|other| waits(other) || apart(import, other))
        };
        if let Some(step) = steps.last_mut().filter(|step| fits(step)) {
            step.push(import);
            held = grown;
        } else {
            steps.push(vec![import]);
            held = peak;
        }
    }
    for step in &mut steps {
        step.sort_by(|a, b| a.vm.cmp(&b.vm));
    }
    steps
}

/// The workloads, and steps outside, that `import` must wait for.
fn before<'a>(wave: &'a MigrationWave, import: &WaveImport) -> Vec<&'a WorkloadRef> {
    let workload = wave
        .spec
        .workloads
        .iter()
        .find(|workload| workload.name == import.workload);
    let mut before: Vec<_> = workload.map_or_else(Vec::new, |w| w.depends_on.iter().collect());
    let mut next = 0;
    while let Some(name) = before.get(next) {
        // What a step outside waits for comes before all that waits for the step.
        let step = wave.spec.steps.iter().find(|step| step.name == **name);
        for name in step.map_or(&[][..], |step| &step.depends_on) {
            if !before.contains(&name) {
                before.push(name);
            }
        }
        next += 1;
    }
    before
}

/// Whether the engine would write the same files for both (N03, N04).
fn apart(import: &WaveImport, other: &WaveImport) -> bool {
    import.excludes.contains(&other.vm) || other.excludes.contains(&import.vm)
}

/// Machines that imports here wait for and that no wave before or here imports.
pub(super) fn unmet<'a>(waves: &'a [&'a MigrationWave]) -> BTreeSet<&'a VmKey> {
    let mut there: BTreeSet<&VmKey> = BTreeSet::new();
    let mut unmet = BTreeSet::new();
    for wave in waves {
        there.extend(wave.spec.imports.iter().map(|import| &import.vm));
        // What other plans move is told by their names.
        let own = wave.spec.prerequisites.iter();
        let own = own.filter(|before| before.workload.plan.is_none());
        let workloads = own.flat_map(|before| &before.machines);
        let single = wave.spec.imports.iter().flat_map(|import| &import.after);
        unmet.extend(
            workloads
                .chain(single)
                .map(|machine| &machine.vm)
                .filter(|vm| !there.contains(vm)),
        );
    }
    unmet
}
