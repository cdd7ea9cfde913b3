//! What lies between login and logout: the passes, and how their results become a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use schemas::ids::VmId;
use schemas::inventory::{Lookup, SourceAbout, SourceInventory, SourceKind};

use super::VsphereError;
use super::cache::{Cache, Machine};
use super::finder::Tree;
use super::machine::{Details, Draft, Extras, HEAVY, HEAVY_WITH_SNAPSHOTS, LIGHT};
use super::places::{self, Datacenter, Kind, Places, Spot};
use super::privileges::{self, Whose};
use super::properties::{self, Object, Query, Scope};
use super::rules::rules;
use super::session::Session;
use super::soap::Ref;
use super::tags;
use super::vcenter::Common;
use crate::shared::shared_disks;
use crate::{Access, Pulled};

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
type Machines = BTreeMap<String, Machine>;

impl Reading<'_> {
    /// Reads the datacenter.
    pub(crate) async fn run(self, session: &Session<'_>) -> Result<Pulled, VsphereError> {
        let common = self.common(session).await?;
        let places = &common.places;
        let dc = self.find_datacenter(session, places)?;
        let unknown = session.unknown();
        let mut cache = self.cache(session, &dc, &common);
        let mut machines = self.light(session, &dc, &common, &cache).await?;
        self.details(session, &mut cache, &mut machines, places)
            .await?;
        let (importer, missing) = self.privileges(session, &machines).await?;
        let lookups = look_up(session, &dc, places, &machines);
        let twice = twice(&machines);
        let mut text = Vec::new();
        for (id, machine) in &mut machines {
            let extras = Extras {
                tags: common.tags.get(id).map_or(&[], Vec::as_slice),
                missing_privileges: missing.get(id).map_or(&[], Vec::as_slice),
                lookup: lookups.get(id),
            };
            if let Machine::Known(known) = machine {
                if known.has(&extras, &mut text) && !twice.contains(&known.outline.id) {
                    continue;
                }
                let draft = known.draft().ok_or(VsphereError::Cache)?;
                *machine = Machine::Read(Box::new(draft));
            }
            if let Machine::Read(draft) = machine {
                extras.apply(&mut draft.vm);
                if twice.contains(&draft.vm.id) {
                    session.note_of("instanceUuid", id, &also(&draft.vm.id));
                    draft.be_called_by_reference();
                }
            }
        }
        // Were a property left out since, it would be missing for good.
        if session.unknown() == unknown {
            cache.write(&machines);
        }
        cache.forget();
        Ok(pulled(session, dc, places, machines, importer))
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
        common: &Common,
        cache: &Cache,
    ) -> Result<Machines, VsphereError> {
        let query = Query {
            wanted: LIGHT,
            scope: Scope::Below(&dc.reference),
            page: PAGE_LIGHT,
        };
        let draft = |object: &Object<'_>| {
            let draft = Draft::new(object, dc, &common.places, &common.fields);
            if draft.is_none() && !object.is_gone() {
                let reason = object.refused.first();
                session.note("vms", reason.map_or("it has no name", |(_, kind)| *kind));
            }
            let draft = Box::new(draft?);
            Some((draft.reference.id.clone(), Machine::Read(draft)))
        };
        let known = Some(|text: &str| {
            let (id, known) = cache.unchanged(text)?;
            Some(Some((id, Machine::Known(known))))
        });
        let told = |count| (self.told)("virtual machines", count);
        let machines = properties::list_but(session, &query, known, draft, told).await?;
        Ok(machines.into_iter().flatten().collect())
    }

    /// What an earlier pull has kept.
    fn cache(self, session: &Session<'_>, dc: &Datacenter, common: &Common) -> Cache {
        // A vCenter is the same under another address.
        let endpoint = session.endpoint();
        let instance = session.service.instance.as_deref().unwrap_or(&endpoint);
        // Whoever asks for less knows less.
        let unknown = Vec::from_iter(session.unknown()).join(" ");
        let (user, version) = (session.account().user, session.version);
        let owner = [instance, user, version, &dc.path, &unknown];
        Cache::open(self.access.cache, &owner, &common.surroundings)
    }

    /// The heavy pass for VMs that have changed since the last pull, and what was kept of the rest.
    async fn details(
        self,
        session: &Session<'_>,
        cache: &mut Cache,
        machines: &mut Machines,
        places: &Places,
    ) -> Result<(), VsphereError> {
        let read = machines.values().filter_map(Machine::draft);
        let found = cache.details(read);
        let mut missing: BTreeMap<String, bool> = machines
            .iter()
            .filter_map(|(id, machine)| Some((id.clone(), machine.draft()?.has_snapshots)))
            .collect();
        for details in found {
            missing.remove(&details.id);
            complete(machines, details);
        }
        if missing.len() == machines.len() {
            cache.forget();
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.heavy(session, machines, missing, places).await
    }

    /// Devices and files of VMs, told whether they have snapshots. One that is gone by now is
    /// dropped.
    async fn heavy(
        self,
        session: &Session<'_>,
        machines: &mut Machines,
        mut missing: BTreeMap<String, bool>,
        places: &Places,
    ) -> Result<(), VsphereError> {
        let refs = |has_snapshots: bool| -> Vec<Ref> {
            let ours = missing.iter().filter(|(_, has)| **has == has_snapshots);
            ours.map(|(id, _)| Ref::new("VirtualMachine", id)).collect()
        };
        let (with, without) = (refs(true), refs(false));
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
        while let Some(batch) = answers.try_next().await? {
            for details in batch.into_iter().flatten() {
                if missing.remove(&details.id).is_some() {
                    complete(machines, details);
                }
            }
            let count = machines.len() - missing.len();
            (self.told)("virtual machines in detail", count);
        }
        machines.retain(|id, _| !missing.contains_key(id));
        Ok(())
    }

    /// The engine's account, if it could be asked for, and what it may not do, by reference.
    async fn privileges(
        self,
        session: &Session<'_>,
        machines: &Machines,
    ) -> Result<(Option<String>, BTreeMap<String, Vec<String>>), VsphereError> {
        let (whose, user) = match self.access.importer {
            Some(user) if user != session.account().user => (Whose::Of(user), user),
            _ => (Whose::Ours, session.account().user),
        };
        let vms: Vec<&str> = machines.keys().map(String::as_str).collect();
        let missing = privileges::missing(session, whose, &vms).await?;
        let user = missing.is_some().then(|| user.to_owned());
        Ok((user, missing.unwrap_or_default()))
    }
}

/// Puts details under what the light pass says of a VM.
fn complete(machines: &mut Machines, details: Details) {
    if let Some(Machine::Read(draft)) = machines.get_mut(&details.id) {
        draft.complete(details);
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

/// What the engine's own search by path gives for each VM, where that is not the VM.
fn look_up(
    session: &Session<'_>,
    dc: &Datacenter,
    places: &Places,
    machines: &Machines,
) -> BTreeMap<String, Lookup> {
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
    for (id, machine) in machines {
        if let Some(parent) = machine.vapp().or(machine.parent()) {
            tree.add(id, machine.name(), parent, true);
        }
    }
    let root = &session.service.root_folder.id;
    let found = machines.iter().filter_map(|(id, machine)| {
        let path = format!("/{}/vm/{}/{}", dc.path, machine.folder()?, machine.name());
        Some((id.clone(), tree.look_up(root, &path, id)?))
    });
    found.collect()
}

/// Ids that several VMs have (a copied disk folder registered by hand). They get ids of their own:
/// the key of everything must be one machine's.
fn twice(machines: &Machines) -> BTreeSet<VmId> {
    let mut ids: Vec<&VmId> = machines.values().map(Machine::id).collect();
    ids.sort_unstable();
    let pairs = ids.windows(2).filter(|pair| pair[0] == pair[1]);
    pairs.map(|pair| pair[0].clone()).collect()
}

fn also(id: &VmId) -> String {
    format!("another VM has `{id}` too")
}

/// Puts what was read together.
fn pulled(
    session: &Session<'_>,
    dc: Datacenter,
    places: &Places,
    machines: Machines,
    importer: Option<String>,
) -> Pulled {
    let mut in_vapps: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, machine) in &machines {
        if let Some(vapp) = machine.vapp() {
            in_vapps.entry(vapp).or_default().push(id);
        }
    }
    let ids = machines
        .iter()
        .map(|(id, machine)| (id.as_str(), machine.id()))
        .collect();
    let mut rules = rules(places, &ids, &in_vapps);
    let disks = machines.values();
    rules.extend(shared_disks(disks.map(|one| (one.id(), one.disks()))));
    rules.sort_by(|a, b| a.id.cmp(&b.id));

    let mut observed: BTreeMap<_, _> = places
        .observed()
        .map(|observed| (observed.id.clone(), observed))
        .collect();
    let vms_in_all = machines.len();
    let (mut drafts, mut kept) = (Vec::new(), Vec::new());
    for machine in machines.into_values() {
        match machine {
            Machine::Read(draft) => drafts.push(draft),
            Machine::Known(known) => kept.push(known.into_kept()),
        }
    }
    drafts.sort_by(|a, b| a.vm.id.cmp(&b.vm.id));
    let mut vms = Vec::with_capacity(drafts.len());
    for draft in drafts {
        observed.insert(draft.observed.id.clone(), draft.observed);
        vms.push(draft.vm);
    }

    let service = &session.service;
    let (networks, storage, hosts) = (places.networks(), places.storage(), places.hosts());
    let counts = [
        ("vms", vms_in_all),
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
        importer,
        counts: counts
            .map(|(kind, count)| (kind.to_owned(), count as u64))
            .into(),
        gaps: session.gaps(),
        ..SourceAbout::new(SourceKind::Vmware, session.endpoint(), session.tls())
    };
    let inventory = SourceInventory {
        about,
        vms,
        networks,
        storage,
        hosts,
        rules,
        observed,
    };
    Pulled::new(inventory, kept)
}
