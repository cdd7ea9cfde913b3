//! The calls: every list, page by page, and what lists leave out, one by one.
//!
//! Gives an [`Estate`], the answers as they came, by id. What a cloud's policy forbids becomes a
//! gap where planning can go on without it; servers and volumes are what a plan is made of, so
//! without them there is no inventory.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use schemas::ids::SourceName;
use schemas::inventory::{Gap, Project};
use serde::de::DeserializeOwned;

use super::error::OpenstackError;
use super::list::{
    CENSUS, COMPUTE, COMPUTE_DOWN_CELLS, COMPUTE_EMBEDDED_FLAVOR, COMPUTE_EXTRA_SPECS,
    COMPUTE_GROUP_POLICY, Entry, FLAVORS, Found, GROUPS, List, Microversion, NETWORKS, PAGE,
    PAGE_MIN, PORTS, Page, SERVERS, SNAPSHOTS, Single, VOLUME, VOLUME_TYPES, VOLUMES, found,
};
use super::session::{Service, Session};
use super::wire::{
    Counted, Flavor, FlavorRef, Image, Limits, Network, Port, Projects, Server, ServerGroup,
    Snapshot, Versions, Volume, VolumeType,
};
use crate::Progress;

/// How often a list begins anew because the entry after which to go on was deleted meanwhile.
const RESTARTS_MAX: u32 = 3;
/// How often a page whose JSON breaks off is asked for again.
const CUT_PAGES_MAX: u32 = 3;
/// Requests for single objects at a time.
const SINGLES_IN_FLIGHT: usize = 2;
/// What Nova calls the state of a server whose cell does not answer.
const UNKNOWN: &str = "UNKNOWN";

/// What the account may list, as its services told it.
#[derive(Debug, Default)]
pub(super) struct Estate {
    pub(super) servers: BTreeMap<String, Server>,
    pub(super) volumes: BTreeMap<String, Volume>,
    /// By volume.
    pub(super) snapshot_counts: BTreeMap<String, u32>,
    pub(super) volume_types: BTreeMap<String, VolumeType>,
    pub(super) groups: BTreeMap<String, ServerGroup>,
    pub(super) flavors: BTreeMap<String, Flavor>,
    /// Flavors in use that are deleted, or private to another project.
    pub(super) gone_flavors: BTreeSet<String>,
    /// By server: the copy it keeps of the values of a flavor that is gone.
    pub(super) flavor_copies: BTreeMap<String, FlavorRef>,
    /// `None`: there is no such image (any more).
    pub(super) images: BTreeMap<String, Option<Image>>,
    pub(super) ports: BTreeMap<String, Port>,
    pub(super) networks: BTreeMap<String, Network>,
    /// By id: names of the projects that the account may see.
    pub(super) projects: BTreeMap<String, Option<String>>,
    pub(super) limits: Limits,
    /// Whether the servers of all projects were listed.
    pub(super) all_projects: bool,
    pub(super) versions: ServiceVersions,
    pub(super) gaps: Vec<Gap>,
}

/// Newest microversions of the services, where they could be asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServiceVersions {
    pub(super) compute: Option<Microversion>,
    pub(super) volume: Option<Microversion>,
}

impl ServiceVersions {
    /// Whether Nova has this version; one that does not say is taken for an old one.
    fn has(self, wanted: Microversion) -> bool {
        self.compute.is_some_and(|newest| newest >= wanted)
    }

    /// The version to ask Nova for flavors in.
    pub(super) fn flavors(self) -> String {
        if self.has(COMPUTE_EXTRA_SPECS) {
            COMPUTE_EXTRA_SPECS.to_string()
        } else {
            COMPUTE.to_owned()
        }
    }

    fn groups(self) -> String {
        if self.has(COMPUTE_GROUP_POLICY) {
            COMPUTE_GROUP_POLICY.to_string()
        } else {
            COMPUTE.to_owned()
        }
    }

    /// The version to ask Cinder in.
    pub(super) fn volumes(self) -> String {
        self.volume
            .map_or(VOLUME, |newest| newest.min(VOLUME))
            .to_string()
    }
}

impl Estate {
    /// The device that a volume is to a server. Cinder lists none while a server is shelved; an
    /// administrator sees the name of the root device then, which is that of an only volume.
    pub(super) fn device<'a>(&'a self, server: &'a Server, volume: &str) -> Option<&'a str> {
        let attachments = self
            .volumes
            .get(volume)
            .map(|volume| volume.attachments.as_slice());
        let attachment = attachments
            .unwrap_or_default()
            .iter()
            .find(|at| at.server_id == server.id);
        let of_root = || {
            let only = server.volumes.len() == 1 && server.image.is_none();
            server.root_device.as_deref().filter(|_| only)
        };
        attachment
            .and_then(|at| at.device.as_deref())
            .or_else(of_root)
    }
}

/// Reads everything.
pub(super) async fn estate(
    session: &Session,
    name: &SourceName,
    progress: &dyn Progress,
) -> Result<Estate, OpenstackError> {
    let (compute, volume) = futures::try_join!(
        newest(session, Service::Compute),
        newest(session, Service::Volume)
    )?;
    let versions = ServiceVersions { compute, volume };
    let reader = Reader {
        session,
        name,
        progress,
    };
    let (flavors, groups, volume) = (versions.flavors(), versions.groups(), versions.volumes());
    let volume = Some(volume.as_str());
    let (servers, volumes, snapshots, types, flavors, groups, ports, networks, limits, projects) =
        futures::try_join!(
            reader.list_of_all::<Server>(&SERVERS, Some(COMPUTE)),
            reader.list::<Volume>(&VOLUMES, volume, true),
            reader.list_if_allowed::<Snapshot>(&SNAPSHOTS, volume),
            reader.list_if_allowed::<VolumeType>(&VOLUME_TYPES, volume),
            reader.list::<Flavor>(&FLAVORS, Some(&flavors), false),
            reader.groups(&groups),
            reader.list_if_allowed::<Port>(&PORTS, None),
            reader.list_if_allowed::<Network>(&NETWORKS, None),
            reader.limits(volume),
            reader.projects(),
        )?;
    let (servers, all_projects) = servers;
    let mut estate = Estate {
        servers,
        volumes,
        flavors,
        projects,
        all_projects,
        versions,
        ..Estate::default()
    };
    let gaps = &mut estate.gaps;
    if !all_projects {
        gaps.push(Gap {
            what: "servers of all projects".to_owned(),
            object: None,
            reason: "the account may list those of its own project only".to_owned(),
        });
    }
    if !versions.has(COMPUTE_EXTRA_SPECS) {
        gaps.push(Gap {
            what: "extra specs of flavors".to_owned(),
            object: None,
            reason: format!("compute lists them from {COMPUTE_EXTRA_SPECS} on"),
        });
    }
    for snapshot in snapshots.or_gap(gaps).into_values() {
        *estate
            .snapshot_counts
            .entry(snapshot.volume_id)
            .or_default() += 1;
    }
    estate.volume_types = types.or_gap(gaps);
    estate.groups = groups.or_gap(gaps);
    estate.ports = ports.or_gap(gaps);
    estate.networks = networks.or_gap(gaps);
    estate.limits = limits.or_gap(gaps);
    if versions.has(COMPUTE_DOWN_CELLS) {
        reader.census(&mut estate).await?;
    }
    reader.missing_flavors(&mut estate).await?;
    reader.images(&mut estate).await?;
    Ok(estate)
}

/// The newest microversion of a service, which tells the release. Asked at the endpoint itself:
/// some clouds do not answer there, and then the oldest versions that we know are used.
async fn newest(
    session: &Session,
    service: Service,
) -> Result<Option<Microversion>, OpenstackError> {
    let answer = session.root::<Versions>(service).await;
    let known = |answer: Versions| {
        let all = answer.version.into_iter().chain(answer.versions);
        all.filter_map(|version| Microversion::parse(&version.version))
            .max()
    };
    match answer {
        Ok(answer) => Ok(known(answer)),
        // A connection that failed will fail again: it is told at the first list.
        Err(error @ OpenstackError::Http(_)) => Err(error),
        Err(_) => Ok(None),
    }
}

struct Reader<'a> {
    session: &'a Session,
    name: &'a SourceName,
    progress: &'a dyn Progress,
}

impl Reader<'_> {
    /// A whole list, by id. The next page is asked for by the last id, not by the link that the
    /// service gives: such links often lead to internal addresses.
    async fn list<T: Entry>(
        &self,
        list: &List,
        microversion: Option<&str>,
        all_projects: bool,
    ) -> Result<BTreeMap<String, T>, OpenstackError> {
        let mut entries = BTreeMap::new();
        let mut marker: Option<String> = None;
        let (mut restarts, mut cut, mut limit) = (0, 0, PAGE);
        loop {
            let size = limit.to_string();
            let mut query = list.query.to_vec();
            query.extend(list.all.filter(|_| all_projects));
            if list.paged {
                query.push(("limit", &size));
            }
            query.extend(marker.as_deref().map(|id| ("marker", id)));
            let page = self
                .session
                .get::<Page<T>>(list.service, list.path, &query, microversion)
                .await;
            let page = match page {
                Err(error)
                    if marker_is_gone(&error, marker.as_ref()) && restarts < RESTARTS_MAX =>
                {
                    (marker, restarts) = (None, restarts + 1);
                    entries.clear();
                    continue;
                }
                Err(error) if list.paged && error.is_too_much() && limit > PAGE_MIN => {
                    limit = (limit / 2).max(PAGE_MIN);
                    tracing::debug!(list.what, limit, "asking for smaller pages");
                    continue;
                }
                Err(error) if error.is_cut() && cut < CUT_PAGES_MAX => {
                    cut += 1;
                    continue;
                }
                page => page?,
            };
            let more = list.paged && page.links.iter().any(|link| link.rel == "next");
            let end = page.entries.last().map(|entry| entry.id().to_owned());
            let known = entries.len();
            entries.extend(
                page.entries
                    .into_iter()
                    .map(|entry| (entry.id().to_owned(), entry)),
            );
            self.progress
                .at(self.name.as_str(), list.what, entries.len() as u64);
            match end {
                Some(end) if more && entries.len() == known => {
                    return Err(OpenstackError::Endless {
                        what: list.what,
                        marker: end,
                    });
                }
                Some(end) if more => marker = Some(end),
                _ => return Ok(entries),
            }
        }
    }

    /// The list of all projects, and `true`; where that is forbidden, of our own.
    async fn list_of_all<T: Entry>(
        &self,
        list: &List,
        microversion: Option<&str>,
    ) -> Result<(BTreeMap<String, T>, bool), OpenstackError> {
        match self.list(list, microversion, true).await {
            Err(error) if error.status() == Some(403) => {
                Ok((self.list(list, microversion, false).await?, false))
            }
            all => Ok((all?, true)),
        }
    }

    /// The same for a list that planning can do without.
    async fn list_if_allowed<T: Entry>(
        &self,
        list: &List,
        microversion: Option<&str>,
    ) -> Result<Found<BTreeMap<String, T>>, OpenstackError> {
        found(self.list(list, microversion, true).await, list.what, None)
    }

    async fn groups(
        &self,
        microversion: &str,
    ) -> Result<Found<BTreeMap<String, ServerGroup>>, OpenstackError> {
        let groups = self.list_of_all(&GROUPS, Some(microversion)).await;
        found(groups.map(|(groups, _)| groups), GROUPS.what, None)
    }

    async fn limits(&self, microversion: Option<&str>) -> Result<Found<Limits>, OpenstackError> {
        let answer = self
            .session
            .get(Service::Volume, "limits", &[], microversion)
            .await;
        found(answer, "limits", None)
    }

    /// Names of projects: of all, else of those that the account is in. Only names depend on it.
    async fn projects(&self) -> Result<BTreeMap<String, Option<String>>, OpenstackError> {
        let all = self.session.identity::<Projects>("projects").await;
        let answer = match all {
            Err(error) if error.status() == Some(403) => {
                self.session.identity::<Projects>("auth/projects").await
            }
            answer => answer,
        };
        match found(answer, "projects", None)? {
            Found::Here(list) => Ok(list
                .projects
                .into_iter()
                .map(|Project { id, name }| (id, name))
                .collect()),
            Found::Gone | Found::Hidden(_) => Ok(BTreeMap::new()),
        }
    }

    /// Servers of cells that are down: no list shows more of them than that they are there.
    async fn census(&self, estate: &mut Estate) -> Result<(), OpenstackError> {
        let version = COMPUTE_DOWN_CELLS.to_string();
        let counted = self
            .list::<Counted>(&CENSUS, Some(&version), estate.all_projects)
            .await;
        let counted = match found(counted, CENSUS.what, None)? {
            Found::Here(counted) => counted,
            Found::Gone => return Ok(()),
            Found::Hidden(gap) => {
                estate.gaps.push(gap);
                return Ok(());
            }
        };
        let down = counted
            .into_values()
            .filter(|server| server.status.as_deref() == Some(UNKNOWN));
        estate.gaps.extend(down.map(|server| Gap {
            what: "server".to_owned(),
            object: Some(server.id),
            reason: "its cell is down: Nova knows only that it exists".to_owned(),
        }));
        Ok(())
    }

    /// Single objects by id.
    async fn singles<T: DeserializeOwned>(
        &self,
        microversion: &str,
        (path, what): (&'static str, &'static str),
        ids: BTreeSet<String>,
    ) -> Result<BTreeMap<String, Found<T>>, OpenstackError> {
        let read = stream::iter(ids).map(|id| async move {
            let path = format!("{path}/{id}");
            let answer =
                self.session
                    .get::<Single<T>>(Service::Compute, &path, &[], Some(microversion));
            let object = found(answer.await.map(|single| single.object), what, Some(&id))?;
            Ok((id, object))
        });
        read.buffer_unordered(SINGLES_IN_FLIGHT).try_collect().await
    }

    /// Flavors that are not in the list: private ones that we may use, or gone. Of those that are
    /// gone, the servers keep a copy.
    async fn missing_flavors(&self, estate: &mut Estate) -> Result<(), OpenstackError> {
        let used = estate
            .servers
            .values()
            .filter_map(|server| server.flavor.id.clone());
        let missing: BTreeSet<_> = used.filter(|id| !estate.flavors.contains_key(id)).collect();
        let version = estate.versions.flavors();
        let found = self.singles(&version, ("flavors", "flavor"), missing);
        for (id, answer) in found.await? {
            match answer {
                Found::Here(flavor) => drop(estate.flavors.insert(id, flavor)),
                Found::Gone => drop(estate.gone_flavors.insert(id)),
                Found::Hidden(gap) => estate.gaps.push(gap),
            }
        }
        let has_gone = |server: &&Server| {
            server
                .flavor
                .id
                .as_ref()
                .is_some_and(|id| estate.gone_flavors.contains(id))
        };
        let users = estate
            .servers
            .values()
            .filter(has_gone)
            .map(|server| server.id.clone())
            .collect();
        let copies = self.singles::<Server>(COMPUTE_EMBEDDED_FLAVOR, ("servers", "server"), users);
        for (id, copy) in copies.await? {
            if let Found::Here(server) = copy {
                estate.flavor_copies.insert(id, server.flavor);
            }
        }
        Ok(())
    }

    /// The images that servers and volumes came from: the engine reads firmware, TPM and bus from
    /// them. By id, since lists hide hidden and foreign ones.
    async fn images(&self, estate: &mut Estate) -> Result<(), OpenstackError> {
        let attached: BTreeSet<&str> = estate
            .servers
            .values()
            .flat_map(|server| &server.volumes)
            .map(|volume| volume.id.as_str())
            .collect();
        let of_volumes = estate
            .volumes
            .values()
            .filter(|volume| attached.contains(volume.id.as_str()))
            .filter_map(|volume| volume.image_id().map(str::to_owned));
        let of_servers = estate
            .servers
            .values()
            .filter_map(|server| server.image.clone());
        let ids: BTreeSet<String> = of_servers.chain(of_volumes).collect();
        let read = stream::iter(ids).map(|id| async move {
            let path = format!("images/{id}");
            let answer = self
                .session
                .get::<Image>(Service::Image, &path, &[], None)
                .await;
            let image = found(answer, "image", Some(&id))?;
            Ok::<_, OpenstackError>((id, image))
        });
        let read: Vec<_> = read
            .buffer_unordered(SINGLES_IN_FLIGHT)
            .try_collect()
            .await?;
        for (id, image) in read {
            match image {
                Found::Here(image) => drop(estate.images.insert(id, Some(image))),
                Found::Gone => drop(estate.images.insert(id, None)),
                Found::Hidden(gap) => estate.gaps.push(gap),
            }
        }
        self.progress
            .at(self.name.as_str(), "images", estate.images.len() as u64);
        Ok(())
    }
}

fn marker_is_gone(error: &OpenstackError, marker: Option<&String>) -> bool {
    match error {
        OpenstackError::Refused {
            status: 400 | 404,
            message,
            ..
        } => marker.is_some() && message.to_ascii_lowercase().contains("marker"),
        _ => false,
    }
}
