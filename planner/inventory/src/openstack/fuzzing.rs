//! Everything that is done with the bytes of answers, without a cloud.

use schemas::inventory::Project;
use serde::Deserialize;

use super::join::{Origin, inventory};
use super::list::Page;
use super::read::Estate;
use super::wire::{
    Counted, Flavor, Image, Limits, Network, Port, Server, ServerGroup, Snapshot, Versions, Volume,
    VolumeType,
};

/// All answers of a cloud in one object, by what they list.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answers {
    servers: Vec<Server>,
    volumes: Vec<Volume>,
    volume_types: Vec<VolumeType>,
    server_groups: Vec<ServerGroup>,
    flavors: Vec<Flavor>,
    images: std::collections::BTreeMap<String, Option<Image>>,
    ports: Vec<Port>,
    networks: Vec<Network>,
    limits: Option<Limits>,
}

/// Reads bytes as a page of each list, and as all answers of a cloud, which are joined.
pub(crate) fn answers(data: &[u8]) {
    // Whether they can be read at all is not the question.
    drop(serde_json::from_slice::<Page<Counted>>(data));
    drop(serde_json::from_slice::<Page<Snapshot>>(data));
    drop(serde_json::from_slice::<Page<Server>>(data));
    drop(serde_json::from_slice::<Page<Volume>>(data));
    drop(serde_json::from_slice::<Versions>(data));
    let Ok(answers) = serde_json::from_slice::<Answers>(data) else {
        return;
    };
    let named = |id: &String| id.clone();
    let estate = Estate {
        servers: answers
            .servers
            .into_iter()
            .map(|x| (named(&x.id), x))
            .collect(),
        volumes: answers
            .volumes
            .into_iter()
            .map(|x| (named(&x.id), x))
            .collect(),
        volume_types: answers
            .volume_types
            .into_iter()
            .map(|x| (named(&x.id), x))
            .collect(),
        groups: answers
            .server_groups
            .into_iter()
            .map(|x| (named(&x.id), x))
            .collect(),
        flavors: answers
            .flavors
            .into_iter()
            .map(|x| (named(&x.id), x))
            .collect(),
        images: answers.images,
        ports: answers
            .ports
            .into_iter()
            .map(|x| (named(&x.id), x))
            .collect(),
        networks: answers
            .networks
            .into_iter()
            .map(|x| (named(&x.id), x))
            .collect(),
        limits: answers.limits.unwrap_or_default(),
        ..Estate::default()
    };
    let servers = estate.servers.len();
    let origin = Origin {
        endpoint: String::new(),
        region: String::new(),
        project: Project {
            id: "p1".to_owned(),
            name: None,
        },
        user: String::new(),
        tls: "plain",
        identity: None,
        token_seconds: None,
        password_expires: None,
    };
    let inventory = inventory(origin, estate);
    assert_eq!(
        inventory.vms.len(),
        servers,
        "a VM for each server, whatever is wrong with it"
    );
}
