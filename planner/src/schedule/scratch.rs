//! What is held of each target's scratch over time.

use engine::profile::PhaseName;
use schemas::forecast::ScratchStep;
use schemas::units::{Bytes, Seconds};

use super::{Problem, ScratchUse, Slot};

/// The curve of each target: what others hold, the peak of each export while it lasts, and what it
/// leaves until it is released.
pub(super) fn curves(problem: &Problem, slots: &[(usize, Slot)]) -> Vec<ScratchUse> {
    let mut changes: Vec<Vec<(Seconds, i128)>> = vec![Vec::new(); problem.targets.len()];
    let signed = |bytes: Bytes| i128::from(bytes.0);
    for (target, changes) in problem.targets.iter().zip(&mut changes) {
        for occupied in &target.occupied {
            changes.push((Seconds::ZERO, signed(occupied.bytes)));
            changes.extend(occupied.until.map(|until| (until, -signed(occupied.bytes))));
        }
    }
    for (job, slot) in slots {
        let (it, times) = (&problem.jobs[*job], &slot.times);
        let profile = &problem.targets[slot.target].profile;
        let holds_from = |phase| signed(it.holds(profile.holds_from(phase)));
        let (peak, resident) = (holds_from(PhaseName::Export), holds_from(PhaseName::Images));
        changes[slot.target].extend([
            (times.export_start, peak),
            (times.exported, resident - peak),
            (times.released, -resident),
        ]);
    }
    let targets = problem.targets.iter().zip(changes);
    targets
        .map(|(target, mut changes)| {
            changes.sort_unstable_by_key(|(at, _)| *at);
            let (mut held, mut curve) = (0, Vec::<ScratchStep>::new());
            for (at, change) in changes {
                held += change;
                let bytes = Bytes(u64::try_from(held).unwrap_or(0));
                match curve.last_mut() {
                    // Of several in one second the last counts.
                    Some(last) if last.at == at => last.bytes = bytes,
                    _ => curve.push(ScratchStep { at, bytes }),
                }
            }
            curve.dedup_by(|next, before| next.bytes == before.bytes);
            ScratchUse {
                target: target.name.clone(),
                capacity: target.capacity,
                usable: target.usable,
                curve,
            }
        })
        .collect()
}
