//! The numbers that say in which order the imports of a wave start.
//!
//! Sparse, so that a machine which comes earlier or later takes a number between two others and
//! leaves those as they are: a change of order touches the lines of the machines that moved.

use std::collections::BTreeMap;

use schemas::ids::VmKey;

/// Between two numbers that are given for the first time: so wide that dozens of machines which are
/// put between two others find room there.
const STEP: u32 = 100;

/// Numbers for `sequence`, rising; `before` has those that its machines bore in the same wave.
///
/// As many as possible keep theirs: no other numbering changes fewer. Without any before: 100, 200,
/// 300, …
pub(super) fn numbers<'a>(
    sequence: &[&'a VmKey],
    before: &BTreeMap<&VmKey, u32>,
) -> BTreeMap<&'a VmKey, u32> {
    // Two machines can both keep their numbers if all between them find one there: if the numbers
    // differ by no less than the places do. So the most that can stay are a longest run in which
    // number less place does not fall. Places count from 1, for no number is 0.
    let spare: Vec<(usize, u32)> = (1..)
        .zip(sequence)
        .enumerate()
        .filter_map(|(at, (place, key))| Some((at, before.get(key)?.checked_sub(place)?)))
        .collect();
    let rising: Vec<u32> = spare.iter().map(|(_, spare)| *spare).collect();
    let kept = longest_rising(&rising).into_iter().map(|i| {
        let (at, _) = spare[i];
        (at, before[sequence[at]])
    });
    let numbers = fill(sequence.len(), kept);
    let numbers = numbers.unwrap_or_else(|| {
        (1..)
            .map(|place: u32| place * STEP)
            .take(sequence.len())
            .collect()
    });
    sequence.iter().copied().zip(numbers).collect()
}

/// Numbers for all places, of which some are given with room between them; nothing where they
/// would be too large.
fn fill(places: usize, kept: impl Iterator<Item = (usize, u32)>) -> Option<Vec<u32>> {
    let mut numbers = Vec::with_capacity(places);
    let mut last = 0u32;
    for (at, number) in kept {
        let missing = u64::try_from(at - numbers.len()).ok()?;
        // Spread evenly: the k-th of `missing` in what lies between.
        let between = u64::from(number - last);
        for k in 1..=missing {
            numbers.push(last + u32::try_from(between * k / (missing + 1)).ok()?);
        }
        numbers.push(number);
        last = number;
    }
    while numbers.len() < places {
        // The next multiple of the step, so that what is new looks as ever.
        last = (last / STEP).checked_add(1)?.checked_mul(STEP)?;
        numbers.push(last);
    }
    Some(numbers)
}

/// Positions of a longest subsequence of `numbers` that never falls, rising themselves.
pub(crate) fn longest_rising(numbers: &[u32]) -> Vec<usize> {
    // `ends[n]`: position of the smallest number that ends such a run of length n + 1.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] <= *number);
        previous.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut run = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(at) = next {
        run.push(at);
        next = previous[at];
    }
    run.reverse();
    run
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(number: usize) -> Vec<VmKey> {
        (0..number)
            .map(|i| VmKey::new("dc1", format!("vm-{i:04}").as_str()))
            .collect()
    }

    // The first time in steps; one that comes between two takes a number between theirs.
    #[test]
    fn between() {
        let keys = keys(5);
        let all: Vec<&VmKey> = keys.iter().collect();
        let first = numbers(&all, &BTreeMap::new());
        assert_eq!(
            first.values().copied().collect::<Vec<_>>(),
            [100, 200, 300, 400, 500]
        );
        let moved = [all[0], all[3], all[1], all[2], all[4]];
        let second = numbers(&moved, &first);
        assert_eq!(
            second.values().copied().collect::<Vec<_>>(),
            [100, 200, 300, 150, 500]
        );
        assert_eq!(numbers(&moved, &second), second);
    }

    // Where a gap is too narrow, as few of its neighbours give way as make room.
    #[test]
    fn narrow() {
        let keys = keys(34);
        let all: Vec<&VmKey> = keys.iter().collect();
        let ends = [(0, 10), (31, 20), (32, 43), (33, 50)];
        let before = ends
            .iter()
            .map(|(at, number)| (all[*at], *number))
            .collect();
        let after = numbers(&all, &before);
        assert_eq!([0, 32, 33].map(|at| after[all[at]]), [10, 43, 50]);
        let found: Vec<u32> = all.iter().map(|key| after[*key]).collect();
        assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
    }

    proptest! {
        // Numbers rise along the sequence, whatever was there, and the same again changes nothing.
        #[test]
        fn rising(order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(), seen in 0..40usize, wide in 1..30u32) {
            let keys = keys(40);
            let before: BTreeMap<&VmKey, u32> =
                keys.iter().take(seen).zip(1..).map(|(key, n): (_, u32)| (key, n * wide)).collect();
            let sequence: Vec<&VmKey> = order.iter().map(|i| &keys[*i]).collect();
            let after = numbers(&sequence, &before);
            let found: Vec<u32> = sequence.iter().map(|key| after[*key]).collect();
            prop_assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
            prop_assert_eq!(numbers(&sequence, &after), after);
        }

        // Sixty machines are put anywhere else, all at one place or each at its own: theirs are the
        // only numbers that change.
        #[test]
        fn moved(
            moves in proptest::collection::vec((0..250usize, 0..250usize), 60),
            one_place in any::<bool>(),
        ) {
            let keys = keys(250);
            let mut sequence: Vec<&VmKey> = keys.iter().collect();
            let before = numbers(&sequence, &BTreeMap::new());
            for (from, to) in &moves {
                let key = sequence.remove(*from);
                sequence.insert(if one_place { moves[0].1 } else { *to }, key);
            }
            let after = numbers(&sequence, &before);
            let changed = sequence.iter().filter(|key| after[*key] != before[*key]);
            prop_assert!(changed.count() <= 60);
        }
    }
}
