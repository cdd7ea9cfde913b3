//! Everything that is done with the bytes of an answer, without a server.

use std::collections::BTreeMap;

use super::machine::{Details, Draft};
use super::places::{Places, Spot};
use super::properties::Object;
use super::soap::newest;
use crate::xml::read_each;

/// Reads an answer as a list of places, of VMs and of their details, and as a list of versions.
pub(crate) fn answer(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut spots = Vec::new();
    let list = ("returnval", "objects");
    // Whether it can be read at all is not the question.
    let _ = read_each(&text, list, |element, text| {
        spots.extend(Spot::new(&Object::from_element(element, text)));
    });
    let places: Places = spots.into_iter().collect();
    let (networks, hosts) = (places.networks(), places.hosts());
    let datacenter = places.datacenters().pop().unwrap_or_default();
    let _ = read_each(&text, list, |element, text| {
        let object = Object::from_element(element, text);
        let details = Details::new(&object, &places);
        if let Some(mut draft) = Draft::new(&object, &datacenter, &places, &BTreeMap::new()) {
            draft.complete(details);
            assert!(!draft.vm.id.as_str().is_empty(), "every VM has an id");
        }
    });
    assert!(
        networks.len() + hosts.len() <= text.len(),
        "nothing from nothing"
    );
    let _ = newest(&text);
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    /// Changed answers a seed; some seconds in all.
    const ROUNDS: u32 = 150;

    fn next(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state >> 33).expect("31 bits")
    }

    /// One change: a byte, a piece cut out, doubled, or taken from elsewhere, or the end cut off.
    fn change(bytes: &mut Vec<u8>, state: &mut u64) {
        if bytes.is_empty() {
            return;
        }
        let at = next(state) % bytes.len();
        let end = (at + 1 + next(state) % 64).min(bytes.len());
        match next(state) % 5 {
            0 => bytes[at] = u8::try_from(next(state) % 256).expect("a byte"),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                let to = next(state) % bytes.len();
                bytes.splice(to..to, piece);
            }
            3 => bytes.truncate(at),
            _ => bytes[at] ^= 1 << (next(state) % 8),
        }
    }

    // A short run of what the fuzzer does for long: the answers that it begins with, changed again
    // and again, are read or refused, never more.
    #[test]
    fn changed_answers_are_read_or_refused() {
        let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/soap");
        let mut seeds = 0;
        for entry in folder.read_dir_utf8().expect("the corpus is there") {
            let path = entry.expect("readable").into_path();
            let answer = std::fs::read(&path).expect("readable");
            super::answer(&answer);
            let mut state = 0x9e37_79b9_7f4a_7c15 ^ (answer.len() as u64);
            for _ in 0..ROUNDS {
                let mut changed = answer.clone();
                for _ in 0..=next(&mut state) % 8 {
                    change(&mut changed, &mut state);
                }
                super::answer(&changed);
            }
            seeds += 1;
        }
        assert!(seeds > 10, "the corpus has {seeds} answers");
    }
}
