//! What lies between login and logout: the passes, and how their results become a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use schemas::ids::VmId;
use schemas::inventory::{Gap, SourceAbout, SourceInventory, SourceKind};

use super::VsphereError;
use super::cache::Cache;
use super::finder::Tree;
use super::machine::{Details, Draft, HEAVY, HEAVY_WITH_SNAPSHOTS, LIGHT};
use super::places::{self, Datacenter, Kind, Places, Spot};
use super::privileges::{self, Whose};
use super::properties::{self, Object, Query, Scope};
use super::rules::rules;
use super::session::Session;
use super::soap::Ref;
use super::tags;
use super::vcenter::Common;
use crate::Access;
use crate::shared::shared_disks;

/// Objects a page of the infrastructure and light lists: about 3 MiB.
const PAGE_LIGHT: u32 = 1000;
/// VMs a request of the heavy pass: about 4 MiB, and 10 s of a busy vCenter.
const PAGE_HEAVY: u32 = 200;
/// Requests of the heavy pass in flight; more only makes a vCenter slower for its users.
const HEAVY_IN_FLIGHT: usize = 2;

/// One pull.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// The site's datacenter.
    pub(crate) datacenter: &'a str,
    /// Whose rights to ask for, and where the cache is.
    pub(crate) access: Access<'a>,
    /// Hears how much of what has been read.
    pub(crate) told: &'a (dyn Fn(&'static str, usize) + Send + Sync),
}

/// The VMs of a datacenter, by reference.
type Drafts = BTreeMap<String, Draft>;

impl Reading<'_> {
    /// Reads the datacenter.
    pub(crate) async fn run(self, session: &Session<'_>) -> Result<SourceInventory, VsphereError> {
        let common = self.common(session).await?;
        let places = &common.places;
        let dc = self.find_datacenter(session, places)?;
        let mut drafts = self.light(session, &dc, places, &common.fields).await?;
        self.details(session, &dc, &mut drafts, places).await?;
        for (id, draft) in &mut drafts {
            if let Some(tags) = common.tags.get(id) {
                draft.vm.tags.clone_from(tags);
            }
        }
        let importer = self.privileges(session, &mut drafts).await?;
        look_up(session, &dc, places, &mut drafts);
        let mut inventory = inventory(session, dc, places, drafts);
        inventory.about.importer = importer;
        Ok(inventory)
    }

    /// What all datacenters of the vCenter have in common, if this run has not read it yet.
    async fn common(self, session: &Session<'_>) -> Result<Arc<Common>, VsphereError> {
        if let Some(common) = self.access.vcenters.and_then(|known| known.get(session)) {
            return Ok(common);
        }
        let places = self.places(session).await?;
        let fields = fields(session).await?;
        let tags = tags::read(session).await?;
        let common = Arc::new(Common::new(session, places, fields, tags));
        if let Some(known) = self.access.vcenters {
            known.keep(session, &common);
        }
        Ok(common)
    }

    async fn places(self, session: &Session<'_>) -> Result<Places, VsphereError> {
        let query = Query {
            wanted: places::WANTED,
            scope: Scope::Below(&session.service.root_folder),
            page: PAGE_LIGHT,
        };
        let told = |count| (self.told)("places", count);
        let spots = properties::list(session, &query, Spot::new, told).await?;
        Ok(spots.into_iter().flatten().collect())
    }

    fn find_datacenter(
        self,
        session: &Session<'_>,
        places: &Places,
    ) -> Result<Datacenter, VsphereError> {
        let wanted = self.datacenter.trim_matches('/');
        let mut all = places.datacenters();
        match all.iter().position(|dc| dc.path == wanted) {
            Some(at) => Ok(all.swap_remove(at)),
            None => Err(VsphereError::NoDatacenter {
                url: session.endpoint(),
                wanted: wanted.to_owned(),
                known: all.into_iter().map(|dc| dc.path).collect(),
            }),
        }
    }

    /// The light pass: all VMs of the datacenter.
    async fn light(
        self,
        session: &Session<'_>,
        dc: &Datacenter,
        places: &Places,
        fields: &BTreeMap<String, String>,
    ) -> Result<Drafts, VsphereError> {
        let query = Query {
            wanted: LIGHT,
            scope: Scope::Below(&dc.reference),
            page: PAGE_LIGHT,
        };
        let draft = |object: &Object<'_>| {
            let draft = Draft::new(object, dc, places, fields);
            if draft.is_none() && !object.is_gone() {
                let reason = object.refused.first();
                session.note("vms", reason.map_or("it has no name", |(_, kind)| *kind));
            }
            draft
        };
        let told = |count| (self.told)("virtual machines", count);
        let drafts = properties::list(session, &query, draft, told).await?;
        let drafts = drafts.into_iter().flatten();
        Ok(drafts
            .map(|draft| (draft.reference.id.clone(), draft))
            .collect())
    }

    /// The heavy pass for VMs that have changed since the last pull, and what was kept of the rest.
    async fn details(
        self,
        session: &Session<'_>,
        dc: &Datacenter,
        drafts: &mut Drafts,
        places: &Places,
    ) -> Result<(), VsphereError> {
        // A vCenter is the same under another address.
        let endpoint = session.endpoint();
        let instance = session.service.instance.as_deref().unwrap_or(&endpoint);
        let owner = [instance, session.account().user, session.version, &dc.path];
        let mut cache = Cache::open(self.access.cache, &owner);
        let mut missing = BTreeSet::new();
        for (id, draft) in drafts.iter_mut() {
            match cache.details(draft) {
                Some(details) => draft.complete(details),
                None => {
                    missing.insert(id.clone());
                }
            }
        }
        cache.forget();
        if missing.is_empty() {
            return Ok(());
        }
        self.heavy(session, drafts, &missing, places).await?;
        cache.write(drafts.values());
        Ok(())
    }

    /// Devices and files of these VMs. One that is gone by now is dropped.
    async fn heavy(
        self,
        session: &Session<'_>,
        drafts: &mut Drafts,
        wanted: &BTreeSet<String>,
        places: &Places,
    ) -> Result<(), VsphereError> {
        let ours = wanted.iter().filter_map(|id| drafts.get(id));
        let (with, without): (Vec<&Draft>, Vec<&Draft>) =
            ours.partition(|draft| draft.has_snapshots);
        let refs = |drafts: Vec<&Draft>| -> Vec<Ref> {
            drafts
                .into_iter()
                .map(|draft| draft.reference.clone())
                .collect()
        };
        let (with, without) = (refs(with), refs(without));
        let size = PAGE_HEAVY as usize;
        let batches = without
            .chunks(size)
            .map(|batch| (HEAVY, batch))
            .chain(with.chunks(size).map(|batch| (HEAVY_WITH_SNAPSHOTS, batch)));
        let read = |(wanted, refs)| async move {
            let query = Query {
                wanted,
                scope: Scope::These(refs),
                page: PAGE_HEAVY,
            };
            let details =
                |object: &Object<'_>| (!object.is_gone()).then(|| Details::new(object, places));
            properties::list(session, &query, details, |_| ()).await
        };
        let mut answers = futures::stream::iter(batches)
            .map(read)
            .buffer_unordered(HEAVY_IN_FLIGHT);
        let mut missing = wanted.clone();
        while let Some(batch) = answers.try_next().await? {
            for details in batch.into_iter().flatten() {
                if missing.remove(&details.id)
                    && let Some(draft) = drafts.get_mut(&details.id)
                {
                    draft.complete(details);
                }
            }
            (self.told)("virtual machines in detail", drafts.len() - missing.len());
        }
        drafts.retain(|id, _| !missing.contains(id));
        Ok(())
    }

    /// What the engine's account may not do; gives that account if it could be asked for.
    async fn privileges(
        self,
        session: &Session<'_>,
        drafts: &mut Drafts,
    ) -> Result<Option<String>, VsphereError> {
        let (whose, user) = match self.access.importer {
            Some(user) if user != session.account().user => (Whose::Of(user), user),
            _ => (Whose::Ours, session.account().user),
        };
        let vms: Vec<Ref> = drafts
            .values()
            .map(|draft| draft.reference.clone())
            .collect();
        let Some(missing) = privileges::missing(session, whose, &vms).await? else {
            return Ok(None);
        };
        for (id, privileges) in missing {
            if let Some(draft) = drafts.get_mut(&id) {
                draft.vm.missing_privileges = privileges;
            }
        }
        Ok(Some(user.to_owned()))
    }
}

/// Names of custom attributes by their key. Not being allowed to see them is no reason to stop.
async fn fields(session: &Session<'_>) -> Result<BTreeMap<String, String>, VsphereError> {
    let Some(manager) = &session.service.custom_fields else {
        return Ok(BTreeMap::new());
    };
    let query = Query {
        wanted: &[("CustomFieldsManager", &["field"])],
        scope: Scope::These(std::slice::from_ref(manager)),
        page: PAGE_LIGHT,
    };
    let names = |object: &Object<'_>| {
        if let Some((_, reason)) = object.refused.first() {
            session.note("attributes", reason);
        }
        let name = |field: crate::xml::Element<'_>| {
            Some((
                field.text_of("key")?.to_owned(),
                field.text_of("name")?.to_owned(),
            ))
        };
        object.list("field").filter_map(name).collect::<Vec<_>>()
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

/// Notes what the engine's own search by path gives for each VM, where that is not the VM.
fn look_up(session: &Session<'_>, dc: &Datacenter, places: &Places, drafts: &mut Drafts) {
    let mut tree = Tree::default();
    for (id, spot) in places.iter() {
        let parent = match &spot.kind {
            Kind::Folder | Kind::Datacenter(_) => spot.parent.as_deref(),
            Kind::Vapp(folder, _) => folder.as_deref().or(spot.parent.as_deref()),
            _ => None,
        };
        if let Some(parent) = parent {
            tree.add(id, &spot.name, parent, false);
        }
    }
    for (id, draft) in drafts.iter() {
        if let Some(parent) = draft.vapp.as_deref().or(draft.parent.as_deref()) {
            tree.add(id, draft.vm.name.as_str(), parent, true);
        }
    }
    let root = &session.service.root_folder.id;
    let found: BTreeMap<String, _> = drafts
        .iter()
        .filter_map(|(id, draft)| {
            let folder = draft.vm.folder.as_deref()?;
            let path = format!("/{}/vm/{folder}/{}", dc.path, draft.vm.name);
            Some((id.clone(), tree.look_up(root, &path, id)?))
        })
        .collect();
    for (id, lookup) in found {
        if let Some(draft) = drafts.get_mut(&id) {
            draft.vm.lookup = Some(lookup);
        }
    }
}

/// Puts the snapshot together.
fn inventory(
    session: &Session<'_>,
    dc: Datacenter,
    places: &Places,
    mut drafts: Drafts,
) -> SourceInventory {
    let mut gaps = session.gaps();
    tell_apart(&mut drafts, &mut gaps);
    let mut in_vapps: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, draft) in &drafts {
        if let Some(vapp) = &draft.vapp {
            in_vapps.entry(vapp).or_default().push(id);
        }
    }
    let ids = drafts
        .iter()
        .map(|(id, draft)| (id.as_str(), &draft.vm.id))
        .collect();
    let mut rules = rules(places, &ids, &in_vapps);

    let mut observed: BTreeMap<_, _> = places
        .observed()
        .map(|observed| (observed.id.clone(), observed))
        .collect();
    let mut vms = Vec::with_capacity(drafts.len());
    for draft in drafts.into_values() {
        observed.insert(draft.observed.id.clone(), draft.observed);
        vms.push(draft.vm);
    }
    vms.sort_by(|a, b| a.id.cmp(&b.id));
    rules.extend(shared_disks(&vms));
    rules.sort_by(|a, b| a.id.cmp(&b.id));

    let service = &session.service;
    let (networks, storage, hosts) = (places.networks(), places.storage(), places.hosts());
    let counts = [
        ("vms", vms.len()),
        ("networks", networks.len()),
        ("storage", storage.len()),
        ("hosts", hosts.len()),
        ("rules", rules.len()),
    ];
    let about = SourceAbout {
        instance: service
            .instance
            .clone()
            .or_else(|| places.only_host().filter(|_| !service.is_vcenter)),
        datacenter: Some(dc.path),
        product: service.product.clone(),
        api: BTreeMap::from([("vim25".to_owned(), session.version.to_owned())]),
        user: Some(session.account().user.to_owned()),
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
        rules,
        observed,
    }
}

/// Gives VMs that share an instance UUID (a copied disk folder registered by hand) ids of their
/// own: the key of everything must be one machine's.
fn tell_apart(drafts: &mut Drafts, gaps: &mut Vec<Gap>) {
    let mut count: BTreeMap<VmId, u32> = BTreeMap::new();
    for draft in drafts.values() {
        *count.entry(draft.vm.id.clone()).or_default() += 1;
    }
    for draft in drafts.values_mut() {
        if count[&draft.vm.id] == 1 {
            continue;
        }
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
