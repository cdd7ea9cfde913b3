//! Reads one datacenter of a vCenter, or an ESXi host, over its SOAP API (vim25).
//!
//! Takes the site's entry and a Secret (`username`, `password`, optionally `caCert`, and
//! `insecure` for us alone); gives the snapshot of that datacenter, with the networks of the whole
//! vCenter. It sends nothing but login, views, reads of properties and logout, and it logs out
//! however the reading ends.
//!
//! The order: [`session`] logs in; the infrastructure view ([`places`]) finds the datacenter; a
//! view of its VMs gives what is cheap (light pass), and lists of 200 give devices and files
//! (heavy pass, [`machine`] and [`devices`]). [`properties`] reads all these lists.

mod devices;
mod machine;
mod places;
mod properties;
mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use schemas::ids::{SourceName, VmId};
use schemas::inventory::{Gap, SourceAbout, SourceInventory, SourceKind};
use schemas::site::VmwareSource;
use secrecy::ExposeSecret;

pub use self::session::Fault;

use self::machine::{Draft, HEAVY, HEAVY_WITH_SNAPSHOTS, LIGHT};
use self::places::{Datacenter, Places};
use self::properties::{Object, Query, Scope};
use self::session::{Account, Ref, Session};
use crate::http::{Http, Trust, parse_url, shown};
use crate::xml::XmlError;
use crate::{Credentials, HttpError, Progress, Stopped, within_limits};

/// The engine's key for a certificate authority in a vCenter's Secret.
const CA_KEY: &str = "caCert";
/// Objects a page of the infrastructure and light lists: about 3 MiB.
const PAGE_LIGHT: u32 = 1000;
/// VMs a request of the heavy pass: about 4 MiB, and 10 s of a busy vCenter.
const PAGE_HEAVY: u32 = 200;
/// Requests of the heavy pass in flight; more only makes a vCenter slower for its users.
const HEAVY_IN_FLIGHT: usize = 2;

/// Why a vCenter or ESXi host could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VsphereError {
    /// There was no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Broken off.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The Secret lacks something.
    #[error("log in to `{url}`: the Secret has no key `{key}`")]
    NoKey {
        /// The server.
        url: String,
        /// The key.
        key: &'static str,
    },
    /// User or password is wrong. Tried once.
    #[error("log in to `{url}` as `{user}`: user name or password is wrong")]
    WrongPassword {
        /// The server.
        url: String,
        /// The user's name.
        user: String,
    },
    /// Something else than a vCenter answers there.
    #[error("find a vCenter at `{url}`: it answers with status {status} and `{excerpt}`")]
    NotSoap {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
        /// The beginning of what came.
        excerpt: String,
    },
    /// An answer is no XML.
    #[error("read the answer to `{method}`")]
    Unreadable {
        /// The method called.
        method: &'static str,
        /// What is wrong with it.
        source: XmlError,
    },
    /// An answer lacks something that cannot be done without.
    #[error("use the answer to `{method}`: it has no `{what}`")]
    Lacking {
        /// The method called.
        method: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The server refuses.
    #[error("call `{method}`: the server refuses with {fault}")]
    Fault {
        /// The method called.
        method: &'static str,
        /// Why.
        fault: Fault,
    },
    /// The site names a datacenter that is not there, or that the account does not see.
    #[error("find the datacenter `{wanted}` in `{url}`")]
    NoDatacenter {
        /// The server.
        url: String,
        /// What the site says.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
}

impl VsphereError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Http(error) => error.hint(),
            Self::NoKey { key, .. } => Some(format!("add the key `{key}` to the source's Secret")),
            Self::WrongPassword { .. } => Some(
                "mend the Secret first: it was tried once, and further tries may lock the account"
                    .to_owned(),
            ),
            Self::NotSoap { .. } => Some(
                "the address is that of the SDK, as in `https://vcenter.example/sdk`".to_owned(),
            ),
            Self::Fault { fault, .. } if fault.kind == "NoPermission" => Some(
                "give the account the role Read-only on the root folder, with propagation"
                    .to_owned(),
            ),
            Self::NoDatacenter { known, .. } if known.is_empty() => {
                Some("this account sees no datacenter at all: check its role".to_owned())
            }
            Self::NoDatacenter { known, .. } => {
                Some(format!("this account sees `{}`", known.join("`, `")))
            }
            _ => None,
        }
    }

    /// Whether the same command may work later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Http(error) => error.is_outage(),
            Self::NotSoap { status, .. } => matches!(status, 429 | 502..=504),
            Self::Fault { fault, .. } => fault.kind == "HostCommunication",
            _ => false,
        }
    }
}

/// Reads one datacenter.
pub(crate) async fn pull(
    name: &SourceName,
    place: &VmwareSource,
    credentials: &Credentials,
    progress: &dyn Progress,
) -> Result<SourceInventory, VsphereError> {
    let trust = Trust::new(Some(credentials), CA_KEY);
    pull_through(
        &Http::new(trust, name.as_str())?,
        name,
        place,
        credentials,
        progress,
    )
    .await
}

/// The same through a client that is given.
async fn pull_through(
    http: &Http,
    name: &SourceName,
    place: &VmwareSource,
    credentials: &Credentials,
    progress: &dyn Progress,
) -> Result<SourceInventory, VsphereError> {
    let url = parse_url(&place.endpoint)?;
    let key = |key| {
        credentials.get(key).ok_or_else(|| VsphereError::NoKey {
            url: shown(&url),
            key,
        })
    };
    let account = Account {
        user: key("username")?.expose_secret(),
        password: key("password")?,
    };
    let session = Session::open(http, url.clone(), account).await?;
    let told = |what: &'static str, count: usize| progress.at(name.as_str(), what, count as u64);
    let result = within_limits(read(&session, &place.datacenter, &told)).await;
    session.log_out().await;
    result
}

/// What lies between login and logout.
async fn read(
    session: &Session<'_>,
    datacenter: &str,
    told: &impl Fn(&'static str, usize),
) -> Result<SourceInventory, VsphereError> {
    let places = read_places(session, told).await?;
    let wanted = datacenter.trim_matches('/');
    let mut all = places.datacenters();
    let Some(at) = all.iter().position(|dc| dc.path == wanted) else {
        return Err(VsphereError::NoDatacenter {
            url: session.endpoint(),
            wanted: wanted.to_owned(),
            known: all.into_iter().map(|dc| dc.path).collect(),
        });
    };
    let dc = all.swap_remove(at);
    let fields = read_fields(session).await?;
    let mut drafts = read_light(session, &dc, &places, &fields, told).await?;
    read_heavy(session, &mut drafts, &places, told).await?;
    Ok(inventory(session, dc, &places, drafts))
}

async fn read_places(
    session: &Session<'_>,
    told: &impl Fn(&'static str, usize),
) -> Result<Places, VsphereError> {
    let query = Query {
        wanted: places::WANTED,
        scope: Scope::Below(&session.service.root_folder),
        page: PAGE_LIGHT,
    };
    let objects = properties::list(
        session,
        &query,
        |object| object,
        |count| told("places", count),
    )
    .await?;
    Ok(Places::new(objects))
}

/// Names of custom attributes by their key. Not being allowed to see them is no reason to stop.
async fn read_fields(session: &Session<'_>) -> Result<BTreeMap<String, String>, VsphereError> {
    let Some(manager) = &session.service.custom_fields else {
        return Ok(BTreeMap::new());
    };
    let query = Query {
        wanted: &[("CustomFieldsManager", &["field"])],
        scope: Scope::These(std::slice::from_ref(manager)),
        page: PAGE_LIGHT,
    };
    let names = |object: Object| {
        if let Some((_, reason)) = object.refused.first() {
            session.note("attributes", reason);
        }
        let fields = object.list("field").iter();
        fields
            .filter_map(|field| {
                Some((
                    field.text_of("key")?.to_owned(),
                    field.text_of("name")?.to_owned(),
                ))
            })
            .collect::<Vec<_>>()
    };
    match properties::list(session, &query, names, |_| ()).await {
        Ok(lists) => Ok(lists.into_iter().flatten().collect()),
        Err(VsphereError::Fault { fault, .. }) if fault.kind == "NoPermission" => {
            session.note("attributes", &fault.kind);
            Ok(BTreeMap::new())
        }
        Err(error) => Err(error),
    }
}

/// The light pass: all VMs of the datacenter, by reference.
async fn read_light(
    session: &Session<'_>,
    dc: &Datacenter,
    places: &Places,
    fields: &BTreeMap<String, String>,
    told: &impl Fn(&'static str, usize),
) -> Result<BTreeMap<String, Draft>, VsphereError> {
    let query = Query {
        wanted: LIGHT,
        scope: Scope::Below(&dc.reference),
        page: PAGE_LIGHT,
    };
    let draft = |object: Object| {
        let draft = Draft::new(&object, dc, places, fields);
        if draft.is_none() && !object.is_gone() {
            let reason = object
                .refused
                .first()
                .map_or("it has no name", |(_, kind)| kind);
            session.note("vms", reason);
        }
        draft
    };
    let drafts = properties::list(session, &query, draft, |count| {
        told("virtual machines", count);
    })
    .await?;
    let drafts = drafts.into_iter().flatten();
    Ok(drafts
        .map(|draft| (draft.reference.id.clone(), draft))
        .collect())
}

/// The heavy pass: devices and files. A VM that is gone by now is dropped.
async fn read_heavy(
    session: &Session<'_>,
    drafts: &mut BTreeMap<String, Draft>,
    places: &Places,
    told: &impl Fn(&'static str, usize),
) -> Result<(), VsphereError> {
    let (with, without): (Vec<&Draft>, Vec<&Draft>) =
        drafts.values().partition(|draft| draft.has_snapshots);
    let refs = |drafts: Vec<&Draft>| -> Vec<Ref> {
        drafts
            .into_iter()
            .map(|draft| draft.reference.clone())
            .collect()
    };
    let (with, without) = (refs(with), refs(without));
    let batches = without
        .chunks(PAGE_HEAVY as usize)
        .map(|batch| (HEAVY, batch))
        .chain(
            with.chunks(PAGE_HEAVY as usize)
                .map(|batch| (HEAVY_WITH_SNAPSHOTS, batch)),
        );
    let read = |(wanted, refs)| async move {
        let query = Query {
            wanted,
            scope: Scope::These(refs),
            page: PAGE_HEAVY,
        };
        properties::list(session, &query, |object| object, |_| ()).await
    };
    let mut answers = futures::stream::iter(batches)
        .map(read)
        .buffer_unordered(HEAVY_IN_FLIGHT);
    let mut seen = std::collections::BTreeSet::new();
    while let Some(objects) = answers.try_next().await? {
        for object in objects.into_iter().filter(|object| !object.is_gone()) {
            if let Some(draft) = drafts.get_mut(&object.reference.id) {
                draft.add(&object, places);
                seen.insert(object.reference.id);
            }
        }
        told("virtual machines in detail", seen.len());
    }
    drafts.retain(|id, _| seen.contains(id));
    Ok(())
}

/// Puts the snapshot together.
fn inventory(
    session: &Session<'_>,
    dc: Datacenter,
    places: &Places,
    drafts: BTreeMap<String, Draft>,
) -> SourceInventory {
    let mut gaps = session.gaps();
    let mut drafts: Vec<Draft> = drafts.into_values().collect();
    tell_apart(&mut drafts, &mut gaps);
    drafts.sort_by(|a, b| a.vm.id.cmp(&b.vm.id));

    let mut observed = BTreeMap::new();
    let mut vms = Vec::with_capacity(drafts.len());
    for draft in drafts {
        observed.insert(draft.observed.id.clone(), draft.observed);
        vms.push(draft.vm);
    }
    observed.extend(
        places
            .free_space()
            .into_iter()
            .map(|free| (free.id.clone(), free)),
    );
    let (networks, storage, hosts) = (places.networks(), places.storage(), places.hosts());
    let counts = [
        ("vms", vms.len()),
        ("networks", networks.len()),
        ("storage", storage.len()),
        ("hosts", hosts.len()),
    ];
    let about = SourceAbout {
        instance: session.service.instance.clone(),
        datacenter: Some(dc.path),
        product: session.service.product.clone(),
        api: BTreeMap::from([("vim25".to_owned(), session.version.to_owned())]),
        user: Some(session.user().to_owned()),
        counts: counts
            .map(|(kind, count)| (kind.to_owned(), count as u64))
            .into(),
        gaps,
        ..SourceAbout::new(SourceKind::Vmware, session.endpoint(), session.tls())
    };
    SourceInventory {
        about,
        vms,
        networks,
        storage,
        hosts,
        rules: Vec::new(),
        observed,
    }
}

/// Gives VMs that share an instance UUID (a copied disk folder registered by hand) ids of their
/// own: the key of everything must be one machine's.
fn tell_apart(drafts: &mut [Draft], gaps: &mut Vec<Gap>) {
    let mut count: BTreeMap<VmId, u32> = BTreeMap::new();
    for draft in drafts.iter() {
        *count.entry(draft.vm.id.clone()).or_default() += 1;
    }
    for draft in drafts.iter_mut().filter(|draft| count[&draft.vm.id] > 1) {
        gaps.push(Gap {
            what: "instanceUuid".to_owned(),
            object: Some(draft.reference.id.clone()),
            reason: format!("another VM has `{}` too", draft.vm.id),
        });
        let id = format!("moref:{}", draft.reference.id);
        draft.vm.id = VmId::new(&id);
        draft.observed.id = id;
    }
}
