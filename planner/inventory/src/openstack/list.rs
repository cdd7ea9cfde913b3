//! The lists of a project, and the form of their answers.

use schemas::inventory::Gap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::OpenstackError;
use super::session::Service;
use super::wire::{Flavor, Network, Port, Server, Snapshot, Volume, VolumeType};

/// The version of Nova's API for servers: the first with tags. From 2.47 on the flavor's id is
/// gone, and without it no one can tell whether the flavor still exists (O05).
pub(super) const COMPUTE: &str = "2.26";
/// A version of Nova's API that shows a deleted flavor's values.
pub(super) const COMPUTE_EMBEDDED_FLAVOR: &str = "2.47";
/// A version of Cinder's API that every release since Queens has.
pub(super) const VOLUME: &str = "3.50";
/// Entries a page. Nova cuts at 1000 by default.
const PAGE: &str = "500";
/// A list of a service.
pub(super) struct List {
    pub(super) service: Service,
    pub(super) path: &'static str,
    /// What the entries are called in progress and gaps.
    pub(super) what: &'static str,
    pub(super) microversion: Option<&'static str>,
    /// Cuts the list into pages in the order of ids, where the service can.
    pub(super) query: &'static [(&'static str, &'static str)],
}

pub(super) const SERVERS: List = List {
    service: Service::Compute,
    path: "servers/detail",
    what: "servers",
    microversion: Some(COMPUTE),
    query: &[("limit", PAGE), ("sort_key", "uuid"), ("sort_dir", "asc")],
};
pub(super) const FLAVORS: List = List {
    service: Service::Compute,
    path: "flavors/detail",
    what: "flavors",
    microversion: Some(COMPUTE),
    query: &[("is_public", "None"), ("limit", PAGE)],
};
pub(super) const VOLUMES: List = List {
    service: Service::Volume,
    path: "volumes/detail",
    what: "volumes",
    microversion: Some(VOLUME),
    query: &[("limit", PAGE), ("sort", "id:asc")],
};
pub(super) const SNAPSHOTS: List = List {
    service: Service::Volume,
    path: "snapshots/detail",
    what: "snapshots",
    microversion: Some(VOLUME),
    query: &[("limit", PAGE), ("sort", "id:asc")],
};
pub(super) const VOLUME_TYPES: List = List {
    service: Service::Volume,
    path: "types",
    what: "volume types",
    microversion: Some(VOLUME),
    query: &[("limit", PAGE)],
};
pub(super) const PORTS: List = List {
    service: Service::Network,
    path: "ports",
    what: "ports",
    microversion: None,
    query: &[
        ("limit", PAGE),
        ("sort_key", "id"),
        ("sort_dir", "asc"),
        ("fields", "id"),
        ("fields", "device_id"),
        ("fields", "device_owner"),
        ("fields", "network_id"),
        ("fields", "mac_address"),
        ("fields", "fixed_ips"),
        ("fields", "binding:vnic_type"),
    ],
};
pub(super) const NETWORKS: List = List {
    service: Service::Network,
    path: "networks",
    what: "networks",
    microversion: None,
    query: &[("limit", PAGE), ("sort_key", "id"), ("sort_dir", "asc")],
};

/// An entry of a list.
pub(super) trait Entry: DeserializeOwned {
    fn id(&self) -> &str;
}

macro_rules! entries {
    ($($name:ident),*) => {
        $(impl Entry for $name {
            fn id(&self) -> &str {
                &self.id
            }
        })*
    };
}
entries!(Server, Volume, Snapshot, VolumeType, Flavor, Port, Network);

/// One page of a list, whose keys say of what.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    #[serde(
        alias = "servers",
        alias = "volumes",
        alias = "snapshots",
        alias = "volume_types",
        alias = "flavors",
        alias = "ports",
        alias = "networks",
        alias = "volumeAttachments"
    )]
    pub(super) entries: Vec<T>,
    #[serde(
        default,
        alias = "servers_links",
        alias = "volumes_links",
        alias = "snapshots_links",
        alias = "volume_type_links",
        alias = "flavors_links",
        alias = "ports_links",
        alias = "networks_links"
    )]
    pub(super) links: Vec<Link>,
}

#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) rel: String,
}

/// A single object, whose key says which.
#[derive(Deserialize)]
pub(super) struct Single<T> {
    #[serde(alias = "server", alias = "volume", alias = "flavor")]
    pub(super) object: T,
}

/// What came of asking for something that may be forbidden or gone.
pub(super) enum Found<T> {
    Here(T),
    Gone,
    /// Forbidden, or the cloud has no such service.
    Hidden(Gap),
}

impl<T: Default> Found<T> {
    /// The value, or nothing and a gap that says why.
    pub(super) fn or_gap(self, gaps: &mut Vec<Gap>) -> T {
        match self {
            Self::Here(value) => return value,
            Self::Gone => {}
            Self::Hidden(gap) => gaps.push(gap),
        }
        T::default()
    }
}

/// Sorts an answer; what is neither here, gone nor hidden stays an error.
pub(super) fn found<T>(
    answer: Result<T, OpenstackError>,
    what: &str,
    object: Option<&str>,
) -> Result<Found<T>, OpenstackError> {
    let reason = match answer {
        Ok(value) => return Ok(Found::Here(value)),
        Err(OpenstackError::Refused { status: 404, .. }) if object.is_some() => {
            return Ok(Found::Gone);
        }
        Err(OpenstackError::Refused {
            status: status @ (403 | 404),
            message,
            ..
        }) => {
            format!("the server answers {status}: {message}")
        }
        Err(OpenstackError::NoService { service, .. }) => {
            format!("the catalog has no service `{service}` in this region")
        }
        Err(error) => return Err(error),
    };
    let object = object.map(str::to_owned);
    Ok(Found::Hidden(Gap {
        what: what.to_owned(),
        object,
        reason,
    }))
}
