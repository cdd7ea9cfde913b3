//! The numbers that say in which order the imports of a wave start.
//!
//! Sparse, so that a machine which comes earlier or later takes a number between two others and
//! leaves those as they are: a change of order touches the lines of the machines that moved.

use std::collections::BTreeMap;

use schemas::ids::VmKey;

/// Between two numbers that are given for the first time.
const STEP: u32 = 10;

/// Numbers for `sequence`, rising; `before` has those that its machines bore in the same wave.
///
/// As many as possible keep theirs. Without any before: 10, 20, 30, …
pub(super) fn numbers<'a>(
    sequence: &[&'a VmKey],
    before: &BTreeMap<&VmKey, u32>,
) -> BTreeMap<&'a VmKey, u32> {
    let known: Vec<(usize, u32)> = sequence
        .iter()
        .enumerate()
        .filter_map(|(at, key)| before.get(key).map(|number| (at, *number)))
        .filter(|(_, number)| *number > 0)
        .collect();
    let numbers: Vec<u32> = known.iter().map(|(_, number)| *number).collect();
    let kept: Vec<(usize, u32)> = longest_rising(&numbers)
        .into_iter()
        .map(|i| known[i])
        .collect();
    fill(sequence.len(), kept).map_or_else(
        || {
            sequence
                .iter()
                .copied()
                .zip((STEP..).step_by(STEP as usize))
                .collect()
        },
        |numbers| sequence.iter().copied().zip(numbers).collect(),
    )
}

/// Numbers for all places, of which some are given. Where a gap is too narrow, its right end is
/// given up, and so on; nothing where the numbers would run out.
fn fill(places: usize, mut kept: Vec<(usize, u32)>) -> Option<Vec<u32>> {
    let mut numbers = Vec::with_capacity(places);
    let mut kept = {
        kept.reverse();
        kept
    };
    let mut last = 0u32;
    while numbers.len() < places {
        let start = numbers.len();
        match kept.last().copied() {
            Some((at, number)) => {
                let room = number.checked_sub(last)?.checked_sub(1)?;
                let missing = u32::try_from(at - start).ok()?;
                if room < missing {
                    kept.pop();
                    continue;
                }
                // Spread evenly: the k-th of `missing` in a gap of `room + 1`.
                for k in 1..=missing {
                    let share = u64::from(room + 1) * u64::from(k) / u64::from(missing + 1);
                    numbers.push(last + u32::try_from(share).ok()?);
                }
                numbers.push(number);
                last = number;
                kept.pop();
            }
            None => {
                for _ in start..places {
                    // The next multiple of the step, so that what is new looks as ever.
                    last = (last / STEP).checked_add(1)?.checked_mul(STEP)?;
                    numbers.push(last);
                }
            }
        }
    }
    Some(numbers)
}

/// Positions of a longest strictly rising subsequence of `numbers`, rising themselves.
pub(crate) fn longest_rising(numbers: &[u32]) -> Vec<usize> {
    // `ends[n]`: position of the smallest number that ends a rising run of length n + 1.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
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

    // The first time in steps of ten; one that comes between two takes a number between theirs.
    #[test]
    fn between() {
        let keys = keys(5);
        let all: Vec<&VmKey> = keys.iter().collect();
        let first = numbers(&all, &BTreeMap::new());
        assert_eq!(
            first.values().copied().collect::<Vec<_>>(),
            [10, 20, 30, 40, 50]
        );
        let moved = [all[0], all[3], all[1], all[2], all[4]];
        let second = numbers(&moved, &first);
        assert_eq!(
            second.values().copied().collect::<Vec<_>>(),
            [10, 20, 30, 15, 50]
        );
        assert_eq!(numbers(&moved, &second), second);
    }

    // Where a gap is full, its neighbour gives way, and no number is used twice.
    #[test]
    fn full() {
        let keys = keys(30);
        let all: Vec<&VmKey> = keys.iter().collect();
        let before: BTreeMap<&VmKey, u32> = [(all[0], 10), (all[29], 20)].into();
        let after = numbers(&all, &before);
        assert_eq!(after[all[0]], 10);
        let found: Vec<u32> = all.iter().map(|key| after[*key]).collect();
        assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
    }

    proptest! {
        // Numbers rise along the sequence, whatever was there; the same again changes nothing; and
        // at most so many change as machines have moved.
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
    }
}
