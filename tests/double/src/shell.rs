//! The loop: tells the simulation what happens outside, and carries out what it asks for.
//!
//! Decides nothing about an import's way: the next step, polls and back-offs are the simulation's.
//! Everything is handled in one task, one thing after the other; only transfers and look-ups run
//! beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use engine::sim::{Condition, Life};
use engine::{Change, ImportId, Millis, Profile, Sim, What};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use schemas::upstream::{ImportState, VirtualMachine, VirtualMachineImage, VirtualMachineImport};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::lookup::{Lookup, Origin, look_up};
use crate::{SCRATCH, objects, transfer};

/// Between two look-ups of an import whose source is not ready, or of a name that is taken.
const AGAIN: Duration = Duration::from_secs(5);

/// Something that happened outside.
enum Event {
    Import(Box<VirtualMachineImport>),
    ImportGone(Box<VirtualMachineImport>),
    Image(Box<VirtualMachineImage>),
    Machine(Box<VirtualMachine>),
    LookedUp(Box<VirtualMachineImport>, Lookup),
    GuestOff(ImportId),
    Exported(ImportId, Result<()>),
    NameFree(ImportId),
}

/// An import that the simulation knows.
struct Known {
    object: VirtualMachineImport,
    origin: Option<Box<Origin>>,
    /// Its resource version after our last write, or when it was first seen.
    version: String,
    held: bool,
}

/// The engine's process.
pub(crate) struct Shell {
    client: Client,
    sim: Sim,
    began: Instant,
    known: BTreeMap<ImportId, Known>,
    /// uids of imports that are being looked up.
    pending: BTreeSet<String>,
    /// Names of files that imports have written here.
    files: BTreeSet<String>,
    send: mpsc::Sender<Event>,
    receive: mpsc::Receiver<Event>,
}

impl Shell {
    pub(crate) fn new(client: Client) -> Self {
        let (send, receive) = mpsc::channel(256);
        Self {
            client,
            sim: Sim::new(Profile::vm_import()),
            began: Instant::now(),
            known: BTreeMap::new(),
            pending: BTreeSet::new(),
            files: BTreeSet::new(),
            send,
            receive,
        }
    }

    pub(crate) async fn run(mut self) -> Result<()> {
        self.watch_imports();
        self.watch::<VirtualMachineImage>(|image| Event::Image(Box::new(image)));
        self.watch::<VirtualMachine>(|machine| Event::Machine(Box::new(machine)));
        loop {
            let changes = self.sim.advance_to(self.now());
            for change in changes {
                self.carry_out(change).await;
            }
            self.hold_touched().await;
            let next = match self.sim.next_event() {
                Some(at) => self.began + Duration::from_millis(at.0),
                None => Instant::now() + Duration::from_hours(1),
            };
            tokio::select! {
                event = self.receive.recv() => {
                    if let Some(event) = event {
                        self.hear(event).await;
                    }
                }
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    // ---- what happens outside ---------------------------------------------------------------

    fn watch_imports(&self) {
        let (api, send) = (
            Api::<VirtualMachineImport>::all(self.client.clone()),
            self.send.clone(),
        );
        tokio::task::spawn_local(async move {
            let events = watcher(api, watcher::Config::default()).default_backoff();
            let mut events = events.boxed();
            while let Ok(event) = events.try_next().await {
                let told = match event {
                    Some(watcher::Event::Apply(it) | watcher::Event::InitApply(it)) => {
                        Event::Import(Box::new(it))
                    }
                    Some(watcher::Event::Delete(it)) => Event::ImportGone(Box::new(it)),
                    Some(_) => continue,
                    None => break,
                };
                if send.send(told).await.is_err() {
                    break;
                }
            }
        });
    }

    fn watch<K>(&self, event: impl Fn(K) -> Event + Send + 'static)
    where
        K: kube::Resource<DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned
            + Send
            + 'static,
    {
        let (api, send) = (Api::<K>::all(self.client.clone()), self.send.clone());
        tokio::task::spawn_local(async move {
            let objects = watcher(api, watcher::Config::default())
                .default_backoff()
                .applied_objects();
            let mut objects = objects.boxed();
            while let Ok(Some(object)) = objects.try_next().await {
                if send.send(event(object)).await.is_err() {
                    break;
                }
            }
        });
    }

    async fn hear(&mut self, event: Event) {
        // What the simulation did until now comes before what is told now.
        for change in self.sim.advance_to(self.now()) {
            self.carry_out(change).await;
        }
        match event {
            Event::Import(import) => self.see(*import),
            Event::ImportGone(import) => {
                if let Some(id) = self.find(&import) {
                    self.sim.delete(id);
                }
            }
            Event::LookedUp(import, lookup) => self.take_up(*import, lookup).await,
            Event::Image(image) => self.image(&image),
            Event::Machine(machine) => self.machine(&machine),
            Event::GuestOff(id) => self.sim.guest_off(id),
            Event::Exported(id, result) => {
                let known = &self.known[&id];
                // A write by anybody since our last one costs a second export (Q06).
                let version = objects::version(&self.client, &known.object).await;
                if version.is_ok_and(|now| now.is_some_and(|now| now != known.version)) {
                    self.sim.touch(id);
                }
                self.sim
                    .export_done(id, result.map_err(|error| format!("{error:#}")));
            }
            Event::NameFree(id) => {
                self.sim.heal(id);
                self.sim.nudge(id);
            }
        }
    }

    fn find(&self, import: &VirtualMachineImport) -> Option<ImportId> {
        let uid = import.uid();
        let found = self
            .known
            .iter()
            .find(|(_, known)| known.object.uid() == uid);
        found.map(|(id, _)| *id)
    }

    fn see(&mut self, import: VirtualMachineImport) {
        let Some(id) = self.find(&import) else {
            let uid = import.uid().unwrap_or_default();
            if self.pending.insert(uid) {
                let (client, send) = (self.client.clone(), self.send.clone());
                tokio::task::spawn_local(look_up_until_known(client, import, send));
            }
            return;
        };
        let known = self.known.get_mut(&id).expect("found just now");
        let version = import.resource_version().unwrap_or_default();
        if import.metadata.deletion_timestamp.is_some() {
            self.sim.delete(id);
        } else if is_newer(&version, &known.version) {
            known.version = version;
            self.sim.touch(id);
        }
    }

    async fn take_up(&mut self, import: VirtualMachineImport, lookup: Lookup) {
        self.pending.remove(&import.uid().unwrap_or_default());
        let Lookup::Known(mut spec, origin) = lookup else {
            return;
        };
        // Look-ups take a while: the object may be gone, or somebody may have written to it.
        let Ok(Some(version)) = objects::version(&self.client, &import).await else {
            return;
        };
        let status = import.status.clone().unwrap_or_default();
        let (namespace, machine) = (spec.namespace.to_string(), spec.machine.to_string());
        let taken = objects::machine(&self.client, &namespace, &machine).await;
        let taken = taken.ok().flatten().is_some_and(|machine| {
            machine
                .labels()
                .get(schemas::upstream::LABEL_IMPORTED)
                .is_none()
        });
        if taken && spec.fault.is_none() {
            spec.fault = Some(engine::Fault::MachineRefused);
        }
        self.files
            .extend(spec.disks.iter().map(|disk| disk.file.to_string()));
        self.files
            .extend(spec.archive.iter().map(|(name, _)| name.to_string()));
        let id = match status.import_status {
            ImportState::New => self.sim.create(*spec),
            _ => self.sim.adopt(*spec, &status),
        };
        eprintln!(
            "import {namespace}/{}: machine {machine}",
            import.name_any()
        );
        let held = !import.finalizers().is_empty();
        let deleting = import.metadata.deletion_timestamp.is_some();
        self.known.insert(
            id,
            Known {
                object: import,
                origin,
                version,
                held,
            },
        );
        if deleting {
            self.sim.delete(id);
        }
        if taken {
            let (client, send) = (self.client.clone(), self.send.clone());
            tokio::task::spawn_local(async move {
                while !matches!(
                    objects::machine(&client, &namespace, &machine).await,
                    Ok(None)
                ) {
                    tokio::time::sleep(AGAIN).await;
                }
                let _ = send.send(Event::NameFree(id)).await;
            });
        }
        self.catch_up(id).await;
    }

    /// What happened outside before an import was taken up again after a restart.
    async fn catch_up(&mut self, id: ImportId) {
        let import = self.sim.import(id);
        if import.has(Condition::ShutdownGuest) && !import.guest_off() {
            self.shut_down(id);
        }
        let names: Vec<String> = self.image_names(id);
        let (namespace, machine) = (
            self.sim.import(id).spec().namespace.to_string(),
            self.sim.import(id).spec().machine.to_string(),
        );
        for name in names {
            if let Ok(Some(image)) =
                objects::image(&self.client, &self.known[&id].object, &name).await
            {
                self.image(&image);
            }
        }
        if let Ok(Some(machine)) = objects::machine(&self.client, &namespace, &machine).await {
            self.machine(&machine);
        }
    }

    fn image_names(&self, id: ImportId) -> Vec<String> {
        let images = self.sim.import(id).images().iter();
        images.filter_map(|image| image.name.clone()).collect()
    }

    /// An image that an import owns wakes the engine whenever anything writes to it.
    fn image(&mut self, image: &VirtualMachineImage) {
        let name = image.name_any();
        let conditions = image.status.iter().flat_map(|status| &status.conditions);
        let is = |kind: &str| {
            conditions
                .clone()
                .any(|c| c.r#type == kind && c.status == "True")
        };
        let owner = image
            .owner_references()
            .iter()
            .map(|owner| owner.uid.clone())
            .next();
        for id in self.sim.ids() {
            let Some(known) = self.known.get(&id) else {
                continue;
            };
            if owner != known.object.uid() || self.sim.import(id).is_gone() {
                continue;
            }
            let mut images = self.sim.import(id).images().iter();
            if let Some(disk) = images.position(|it| it.name.as_ref() == Some(&name)) {
                if is("Imported") {
                    self.sim.image_ready(id, disk);
                } else if is("RetryLimitExceeded") {
                    self.sim.image_failed(id, disk);
                }
            }
            self.sim.nudge(id);
        }
    }

    fn machine(&mut self, machine: &VirtualMachine) {
        if !machine.status.as_ref().is_some_and(|status| status.ready) {
            return;
        }
        for id in self.sim.ids() {
            let import = self.sim.import(id);
            let spec = import.spec();
            if import.times().machine.is_some()
                && Some(spec.namespace.as_str()) == machine.namespace().as_deref()
                && spec.machine.as_str() == machine.name_any()
            {
                self.sim.machine_ready(id);
            }
        }
    }

    // ---- what the simulation asks for -------------------------------------------------------

    async fn carry_out(&mut self, change: Change) {
        let Some(id) = change.import else {
            match change.what {
                What::EngineDown { reason } => {
                    eprintln!("panic: {reason}");
                    std::process::exit(2);
                }
                What::Scratch(_) => self.tidy_scratch().await,
                _ => {}
            }
            return;
        };
        if !self.known.contains_key(&id) {
            return;
        }
        let done = self.carry_out_for(id, change.what).await;
        if let Err(error) = done {
            eprintln!("import {}: {error:#}", self.known[&id].object.name_any());
        }
    }

    async fn carry_out_for(&mut self, id: ImportId, what: What) -> Result<()> {
        let object = self.known[&id].object.clone();
        match what {
            What::Status { state, .. } => {
                self.hold_touched().await;
                let status = self.sim.import(id).status();
                eprintln!("import {}: {state}", object.name_any());
                let version = objects::write_status(&self.client, &object, &status).await?;
                self.known.get_mut(&id).expect("it is known").version = version;
                if state == ImportState::VirtualMachineRunning {
                    for name in self.image_names(id) {
                        objects::disown_image(&self.client, &object, &name).await?;
                    }
                }
            }
            What::Refused => eprintln!("import {}: write refused", object.name_any()),
            What::GuestAsked => self.shut_down(id),
            What::ExportStarted => {
                // In the real engine's words, as scenarios count exports by them.
                eprintln!(
                    "level=info msg=\"Exporting source VM\" name={} namespace={}",
                    object.name_any(),
                    object.namespace().unwrap_or_default()
                );
                let spec = self.sim.import(id).spec().clone();
                let origin = self.known[&id].origin.clone();
                let send = self.send.clone();
                tokio::task::spawn_local(async move {
                    let result = match origin {
                        Some(origin) => transfer::export(*origin, &spec).await,
                        None => Err(anyhow::anyhow!("no source")),
                    };
                    let _ = send.send(Event::Exported(id, result)).await;
                });
            }
            What::ImageCreated { disk } => {
                let file = self.sim.import(id).spec().disks[disk].file.to_string();
                let name = objects::create_image(&self.client, &object, &file).await?;
                self.sim.name_image(id, disk, name);
            }
            What::MachineCreated => {
                let machine = self.sim.import(id).spec().machine.to_string();
                let disks = self.image_names(id);
                if let Some(origin) = self.known[&id].origin.clone() {
                    objects::create_machine(&self.client, &object, &machine, &disks, &origin)
                        .await?;
                }
            }
            What::Gone if self.known[&id].held => objects::let_go(&self.client, &object).await?,
            _ => {}
        }
        Ok(())
    }

    fn shut_down(&self, id: ImportId) {
        let Some(origin) = self.known.get(&id).and_then(|known| known.origin.clone()) else {
            return;
        };
        let send = self.send.clone();
        tokio::task::spawn_local(async move {
            match transfer::shut_down(*origin).await {
                Ok(()) => drop(send.send(Event::GuestOff(id)).await),
                Err(error) => eprintln!("failed to shutdown the guest OS: {error:#}"),
            }
        });
    }

    /// The first time the worker has an import in hand it puts its finalizer on it.
    async fn hold_touched(&mut self) {
        for id in self.sim.ids() {
            let life = self.sim.import(id).life();
            let Some(known) = self.known.get_mut(&id) else {
                continue;
            };
            if known.held || life != Life::Held {
                continue;
            }
            match objects::hold(&self.client, &known.object).await {
                Ok(version) => (known.held, known.version) = (true, version),
                Err(error) => eprintln!("import {}: {error:#}", known.object.name_any()),
            }
        }
    }

    /// Removes files that the simulation no longer has. Only such as imports have written.
    async fn tidy_scratch(&self) {
        for name in &self.files {
            if self.sim.scratch().file(name).is_none() {
                let _ = tokio::fs::remove_file(format!("{SCRATCH}/{name}")).await;
            }
        }
    }
}

/// Resource versions are opaque, but of one server's etcd: numbers that grow. An event that is
/// older than our last write is that write's own past.
fn is_newer(seen: &str, ours: &str) -> bool {
    match (seen.parse::<u64>(), ours.parse::<u64>()) {
        (Ok(seen), Ok(ours)) => seen > ours,
        _ => seen != ours,
    }
}

async fn look_up_until_known(
    client: Client,
    import: VirtualMachineImport,
    send: mpsc::Sender<Event>,
) {
    loop {
        match look_up(&client, &import).await {
            Ok(Lookup::NotYet) => eprintln!("source cluster not ready yet, requeuing"),
            Ok(known) => {
                let _ = send.send(Event::LookedUp(Box::new(import), known)).await;
                return;
            }
            Err(error) => eprintln!("import {}: {error:#}", import.name_any()),
        }
        tokio::time::sleep(AGAIN).await;
        if !matches!(objects::version(&client, &import).await, Ok(Some(_))) {
            return;
        }
    }
}
