//! The calls: every list of one project, page by page, and what lists leave out, one by one.
//!
//! Gives an [`Estate`], the answers as they came, by id. What a cloud's policy forbids becomes a
//! gap where planning can go on without it; servers and volumes are what a plan is made of, so
//! without them there is no inventory.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use schemas::ids::SourceName;
use schemas::inventory::Gap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::OpenstackError;
use super::list::{
    COMPUTE, COMPUTE_EMBEDDED_FLAVOR, Entry, FLAVORS, Found, List, NETWORKS, PORTS, Page, SERVERS,
    SNAPSHOTS, Single, VOLUME, VOLUME_TYPES, VOLUMES, found,
};
use super::session::{Service, Session};
use super::wire::{
    Flavor, FlavorRef, Image, Network, Port, Server, ServerAttachment, Snapshot, Volume, VolumeType,
};
use crate::Progress;

/// How often a list begins anew because the entry after which to go on was deleted meanwhile.
const RESTARTS_MAX: u32 = 3;
/// Requests for single objects at a time.
const SINGLES_IN_FLIGHT: usize = 2;

/// What a project holds, as its services told it.
#[derive(Debug, Default)]
pub(super) struct Estate {
    pub(super) servers: BTreeMap<String, Server>,
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    pub(super) volume_types: BTreeMap<String, VolumeType>,
    pub(super) flavors: BTreeMap<String, Flavor>,
    /// Flavors in use that are deleted, or private to another project.
    pub(super) gone_flavors: BTreeSet<String>,
    /// By server: the copy it keeps of the values of a flavor that is gone.
    pub(super) flavor_copies: BTreeMap<String, FlavorRef>,
    /// By server and volume: devices that Cinder does not know.
    pub(super) devices: BTreeMap<(String, String), String>,
    /// `None`: there is no such image (any more).
    pub(super) images: BTreeMap<String, Option<Image>>,
    pub(super) ports: BTreeMap<String, Port>,
    pub(super) networks: BTreeMap<String, Network>,
    /// Nova's newest version, where it could be asked.
    pub(super) compute_version: Option<String>,
    pub(super) gaps: Vec<Gap>,
}

impl Estate {
    /// The device that a volume is to a server, if either service knows.
    pub(super) fn device(&self, server: &str, volume: &str) -> Option<&str> {
        let attachments = self
            .volumes
            .get(volume)
            .map(|volume| volume.attachments.as_slice());
        let attachment = attachments
            .unwrap_or_default()
            .iter()
            .find(|at| at.server_id == server);
        let of_cinder = attachment.and_then(|at| at.device.as_deref());
        let key = (server.to_owned(), volume.to_owned());
        of_cinder.or_else(|| self.devices.get(&key).map(String::as_str))
    }
}

/// Reads everything.
pub(super) async fn estate(
    session: &Session,
    name: &SourceName,
    progress: &dyn Progress,
) -> Result<Estate, OpenstackError> {
    let reader = Reader {
        session,
        name,
        progress,
    };
    let (compute_version, servers, volumes, snapshots, volume_types, flavors, ports, networks) = futures::try_join!(
        reader.newest_compute_version(),
        reader.list::<Server>(&SERVERS),
        reader.list::<Volume>(&VOLUMES),
        reader.list_if_allowed::<Snapshot>(&SNAPSHOTS),
        reader.list_if_allowed::<VolumeType>(&VOLUME_TYPES),
        reader.list::<Flavor>(&FLAVORS),
        reader.list_if_allowed::<Port>(&PORTS),
        reader.list_if_allowed::<Network>(&NETWORKS),
    )?;
    let mut estate = Estate {
        servers,
        volumes,
        flavors,
        compute_version,
        ..Estate::default()
    };
    let gaps = &mut estate.gaps;
    estate.snapshots = snapshots.or_gap(gaps);
    estate.volume_types = volume_types.or_gap(gaps);
    estate.ports = ports.or_gap(gaps);
    estate.networks = networks.or_gap(gaps);

    reader.missing_volumes(&mut estate).await?;
    reader.missing_flavors(&mut estate).await?;
    reader.missing_devices(&mut estate).await?;
    reader.images(&mut estate).await?;
    Ok(estate)
}

struct Reader<'a> {
    session: &'a Session,
    name: &'a SourceName,
    progress: &'a dyn Progress,
}

impl Reader<'_> {
    /// A whole list, by id. The next page is asked for by the last id, not by the link that the
    /// service gives: such links often lead to internal addresses.
    async fn list<T: Entry>(&self, list: &List) -> Result<BTreeMap<String, T>, OpenstackError> {
        let mut entries = BTreeMap::new();
        let mut marker: Option<String> = None;
        let mut restarts = 0;
        loop {
            let mut query = list.query.to_vec();
            query.extend(marker.as_deref().map(|id| ("marker", id)));
            let page = self
                .session
                .get::<Page<T>>(list.service, list.path, &query, list.microversion)
                .await;
            let page = match page {
                Err(error)
                    if marker_is_gone(&error, marker.as_ref()) && restarts < RESTARTS_MAX =>
                {
                    (marker, restarts) = (None, restarts + 1);
                    entries.clear();
                    continue;
                }
                page => page?,
            };
            let more = page.links.iter().any(|link| link.rel == "next");
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

    /// The same for a list that planning can do without.
    async fn list_if_allowed<T: Entry>(
        &self,
        list: &List,
    ) -> Result<Found<BTreeMap<String, T>>, OpenstackError> {
        found(self.list(list).await, list.what, None)
    }

    /// Single objects by id.
    async fn singles<T: DeserializeOwned>(
        &self,
        (service, microversion): (Service, &'static str),
        (path, what): (&'static str, &'static str),
        ids: BTreeSet<String>,
    ) -> Result<BTreeMap<String, Found<T>>, OpenstackError> {
        let read = stream::iter(ids).map(|id| async move {
            let path = format!("{path}/{id}");
            let answer = self
                .session
                .get::<Single<T>>(service, &path, &[], Some(microversion));
            let object = found(answer.await.map(|single| single.object), what, Some(&id))?;
            Ok((id, object))
        });
        read.buffer_unordered(SINGLES_IN_FLIGHT).try_collect().await
    }

    /// The newest version of Nova's API, which tells the release. Asked at the endpoint itself:
    /// some clouds do not answer there, and nothing depends on it.
    async fn newest_compute_version(&self) -> Result<Option<String>, OpenstackError> {
        let answer = self
            .session
            .get::<Value>(Service::Compute, "", &[], None)
            .await;
        Ok(answer
            .ok()
            .and_then(|answer| Some(answer["version"]["version"].as_str()?.to_owned())))
    }

    /// Volumes that hang on our servers and are not in the list: another project's, or made since.
    async fn missing_volumes(&self, estate: &mut Estate) -> Result<(), OpenstackError> {
        let attached = estate.servers.values().flat_map(|server| &server.volumes);
        let missing: BTreeSet<String> = attached
            .map(|volume| volume.id.clone())
            .filter(|id| !estate.volumes.contains_key(id))
            .collect();
        let volumes = self.singles((Service::Volume, VOLUME), ("volumes", "volume"), missing);
        for (id, volume) in volumes.await? {
            match volume {
                Found::Here(volume) => drop(estate.volumes.insert(id, volume)),
                Found::Gone => {}
                Found::Hidden(gap) => estate.gaps.push(gap),
            }
        }
        Ok(())
    }

    /// Flavors that are not in the list: private ones that we may use, or gone. Of those that are
    /// gone, the servers keep a copy.
    async fn missing_flavors(&self, estate: &mut Estate) -> Result<(), OpenstackError> {
        let used = estate
            .servers
            .values()
            .filter_map(|server| server.flavor.id.clone());
        let missing: BTreeSet<_> = used.filter(|id| !estate.flavors.contains_key(id)).collect();
        let found = self.singles((Service::Compute, COMPUTE), ("flavors", "flavor"), missing);
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
        let version = (Service::Compute, COMPUTE_EMBEDDED_FLAVOR);
        let copies = self.singles::<Server>(version, ("servers", "server"), users);
        for (id, copy) in copies.await? {
            if let Found::Here(server) = copy {
                estate.flavor_copies.insert(id, server.flavor);
            }
        }
        Ok(())
    }

    /// Device names of volumes that Cinder does not list as attached: those of shelved servers.
    async fn missing_devices(&self, estate: &mut Estate) -> Result<(), OpenstackError> {
        let lacks_device = |server: &&Server| {
            server
                .volumes
                .iter()
                .any(|attached| estate.device(&server.id, &attached.id).is_none())
        };
        let servers: Vec<String> = estate
            .servers
            .values()
            .filter(lacks_device)
            .map(|server| server.id.clone())
            .collect();
        for server in servers {
            let path = format!("servers/{server}/os-volume_attachments");
            let answer = self
                .session
                .get::<Page<ServerAttachment>>(Service::Compute, &path, &[], Some(COMPUTE))
                .await;
            match found(answer, "attachments", Some(&server))? {
                Found::Here(page) => {
                    for attachment in page.entries {
                        if let Some(device) = attachment.device {
                            estate
                                .devices
                                .insert((server.clone(), attachment.volume_id), device);
                        }
                    }
                }
                Found::Gone => {}
                Found::Hidden(gap) => estate.gaps.push(gap),
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
    marker.is_some()
        && error
            .status()
            .is_some_and(|status| matches!(status, 400 | 404))
}
