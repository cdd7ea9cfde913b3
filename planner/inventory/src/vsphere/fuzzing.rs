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
    let _ = read_each(&text, list, |element| {
        spots.extend(Spot::new(&Object::from_element(element)));
    });
    let places: Places = spots.into_iter().collect();
    let (networks, hosts) = (places.networks(), places.hosts());
    let datacenters = places.datacenters();
    let _ = read_each(&text, list, |element| {
        let object = Object::from_element(element);
        for dc in &datacenters {
            if let Some(mut draft) = Draft::new(&object, dc, &places, &BTreeMap::new()) {
                draft.complete(Details::new(&object, &places));
                assert!(!draft.vm.id.as_str().is_empty(), "every VM has an id");
            }
        }
    });
    assert!(
        networks.len() + hosts.len() <= text.len(),
        "nothing from nothing"
    );
    let _ = newest(&text);
}
