//! The lists of a project, and the form of their answers.

use schemas::inventory::Gap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::OpenstackError;
use super::session::Service;
use super::wire::{
    Counted, Flavor, Network, Port, Server, ServerGroup, Snapshot, Volume, VolumeType,
};

/// The version of Nova's API for servers: the first with tags. From 2.47 on the flavor's id is
/// gone, and without it no one can tell whether the flavor still exists (O05).
pub(super) const COMPUTE: &str = "2.26";
/// A version of Nova's API that shows a deleted flavor's values.
pub(super) const COMPUTE_EMBEDDED_FLAVOR: &str = "2.47";
/// The first version of Nova's API that lists flavors with their extra specs (Rocky).
pub(super) const COMPUTE_EXTRA_SPECS: Microversion = Microversion(2, 61);
/// The first version in which a server group has one policy, not a list (Rocky).
pub(super) const COMPUTE_GROUP_POLICY: Microversion = Microversion(2, 64);
/// The first version that lists servers of cells which are down (Stein).
pub(super) const COMPUTE_DOWN_CELLS: Microversion = Microversion(2, 69);
/// The newest version of Cinder's API that we know; Queens has no newer one.
pub(super) const VOLUME: Microversion = Microversion(3, 50);
/// Entries a page. Nova cuts at 1000 by default.
pub(super) const PAGE: u32 = 500;
/// A page that a service cannot make is asked for in halves, down to this.
pub(super) const PAGE_MIN: u32 = 50;

/// A microversion, `2.26`; they compare as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Microversion(pub(super) u32, pub(super) u32);

impl Microversion {
    /// Reads `2.26`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl std::fmt::Display for Microversion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A list of a service.
pub(super) struct List {
    pub(super) service: Service,
    pub(super) path: &'static str,
    /// What the entries are called in progress and gaps.
    pub(super) what: &'static str,
    /// Whether an administrator may have the list of all projects by asking for it.
    pub(super) all: Option<(&'static str, &'static str)>,
    /// Whether the list comes in pages, each asked for by the last id of the one before.
    pub(super) paged: bool,
    /// Puts the list into the order of ids, where the service can.
    pub(super) query: &'static [(&'static str, &'static str)],
}

pub(super) const SERVERS: List = List {
    service: Service::Compute,
    path: "servers/detail",
    what: "servers",
    all: Some(("all_tenants", "1")),
    paged: true,
    query: &[("sort_key", "uuid"), ("sort_dir", "asc")],
};
pub(super) const FLAVORS: List = List {
    service: Service::Compute,
    path: "flavors/detail",
    what: "flavors",
    all: None,
    paged: true,
    query: &[("is_public", "None")],
};
pub(super) const VOLUMES: List = List {
    service: Service::Volume,
    path: "volumes/detail",
    what: "volumes",
    all: Some(("all_tenants", "1")),
    paged: true,
    query: &[("sort", "id:asc")],
};
pub(super) const SNAPSHOTS: List = List {
    service: Service::Volume,
    path: "snapshots/detail",
    what: "snapshots",
    all: Some(("all_tenants", "1")),
    paged: true,
    query: &[("sort", "id:asc")],
};
pub(super) const VOLUME_TYPES: List = List {
    service: Service::Volume,
    path: "types",
    what: "volume types",
    all: None,
    paged: true,
    query: &[("is_public", "None")],
};
pub(super) const PORTS: List = List {
    service: Service::Network,
    path: "ports",
    what: "ports",
    all: None,
    paged: true,
    query: &[
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
    all: None,
    paged: true,
    query: &[("sort_key", "id"), ("sort_dir", "asc")],
};

/// Ids and, of servers in cells that are down, states. Sorted or paged, Nova leaves those out.
pub(super) const CENSUS: List = List {
    service: Service::Compute,
    path: "servers",
    what: "census",
    all: Some(("all_tenants", "1")),
    paged: false,
    query: &[],
};

pub(super) const GROUPS: List = List {
    service: Service::Compute,
    path: "os-server-groups",
    what: "server groups",
    all: Some(("all_projects", "1")),
    paged: false,
    query: &[],
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
entries!(
    Server,
    Volume,
    Snapshot,
    VolumeType,
    Flavor,
    Port,
    Network,
    Counted,
    ServerGroup
);

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
        alias = "server_groups"
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
