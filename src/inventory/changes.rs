//! What changed between two snapshots, one by one and in words. Pure.

use std::collections::{BTreeMap, BTreeSet};

use schemas::inventory::{Inventory, Nic, Power, SourceInventory, TargetInventory, Vm};
use schemas::units::Bytes;
use serde::Serialize;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The source or target.
    pub place: String,
    /// What kind of change it is, for programs: `new`, `gone`, `renamed`, `moved`, `resized`, ….
    pub kind: &'static str,
    /// What changed: `vm`, `network`, `storage`, `host`, `rule`, `gap`, `image`, `import`, `place`.
    pub what: &'static str,
    /// Its id.
    pub id: String,
    /// Its name, if it has another than its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The change in words.
    pub text: String,
}

/// All changes from `before` to `after`, by place, then VMs before what is around them.
pub fn changes(before: &Inventory, after: &Inventory) -> Vec<Change> {
    let mut all = Vec::new();
    let names = before.sources.keys().chain(after.sources.keys());
    for name in names.collect::<BTreeSet<_>>() {
        let place = name.as_str();
        match (before.sources.get(name), after.sources.get(name)) {
            (Some(before), Some(after)) => Found::new(place, &mut all).source(before, after),
            (before, _) => Found::new(place, &mut all).place(before.is_none()),
        }
    }
    let names = before.targets.keys().chain(after.targets.keys());
    for name in names.collect::<BTreeSet<_>>() {
        let place = name.as_str();
        match (before.targets.get(name), after.targets.get(name)) {
            (Some(before), Some(after)) => Found::new(place, &mut all).target(before, after),
            (before, _) => Found::new(place, &mut all).place(before.is_none()),
        }
    }
    all
}

/// The changes of one place.
struct Found<'a> {
    place: &'a str,
    all: &'a mut Vec<Change>,
}

impl<'a> Found<'a> {
    fn new(place: &'a str, all: &'a mut Vec<Change>) -> Self {
        Self { place, all }
    }

    fn push(
        &mut self,
        what: &'static str,
        kind: &'static str,
        (id, name): (&str, &str),
        text: String,
    ) {
        self.all.push(Change {
            place: self.place.to_owned(),
            kind,
            what,
            id: id.to_owned(),
            name: (name != id).then(|| name.to_owned()),
            text,
        });
    }

    fn place(&mut self, is_new: bool) {
        let place = self.place;
        if is_new {
            self.push(
                "place",
                "new",
                (place, place),
                "read for the first time".into(),
            );
        } else {
            self.push("place", "gone", (place, place), "no longer there".into());
        }
    }

    /// What is in one list only.
    fn came_and_went<'b>(
        &mut self,
        what: &'static str,
        before: impl Iterator<Item = (&'b str, &'b str)>,
        after: impl Iterator<Item = (&'b str, &'b str)>,
    ) {
        let before: BTreeMap<&str, &str> = before.collect();
        let after: BTreeMap<&str, &str> = after.collect();
        for (id, name) in &before {
            if !after.contains_key(id) {
                self.push(what, "gone", (id, name), "gone".to_owned());
            }
        }
        for (id, name) in &after {
            match before.get(id) {
                None => self.push(what, "new", (id, name), "new".to_owned()),
                Some(was) if was != name => {
                    let text = format!("renamed from `{was}`");
                    self.push(what, "renamed", (id, name), text);
                }
                Some(_) => {}
            }
        }
    }

    fn source(&mut self, before: &SourceInventory, after: &SourceInventory) {
        let named = |vms: &'_ [Vm]| -> Vec<(String, String)> {
            let vms = vms.iter();
            vms.map(|vm| (vm.id.to_string(), vm.name.to_string()))
                .collect()
        };
        let (were, are) = (named(&before.vms), named(&after.vms));
        self.came_and_went("vm", pairs(&were), pairs(&are));
        let known: BTreeMap<_, _> = before.vms.iter().map(|vm| (&vm.id, vm)).collect();
        for vm in &after.vms {
            if let Some(was) = known.get(&vm.id) {
                self.vm(was, vm);
                let power = |of: &SourceInventory| of.observed.get(vm.id.as_str())?.power;
                if let (Some(was), Some(is)) = (power(before), power(after))
                    && was != is
                {
                    let text = format!("{}, was {}", power_word(is), power_word(was));
                    self.of_vm(vm, "power", text);
                }
            }
        }
        self.came_and_went(
            "network",
            before.networks.iter().map(|line| (&*line.id, &*line.name)),
            after.networks.iter().map(|line| (&*line.id, &*line.name)),
        );
        self.came_and_went(
            "storage",
            before.storage.iter().map(|line| (&*line.id, &*line.name)),
            after.storage.iter().map(|line| (&*line.id, &*line.name)),
        );
        self.came_and_went(
            "host",
            before.hosts.iter().map(|line| (&*line.id, &*line.name)),
            after.hosts.iter().map(|line| (&*line.id, &*line.name)),
        );
        self.came_and_went(
            "rule",
            before.rules.iter().map(|rule| (&*rule.id, &*rule.id)),
            after.rules.iter().map(|rule| (&*rule.id, &*rule.id)),
        );
        let gaps = |of: &SourceInventory| -> Vec<(String, String)> {
            let gaps = of.about.gaps.iter();
            gaps.map(|gap| {
                let object = gap.object.as_ref().map(|object| format!(" {object}"));
                let id = format!("{}{}", gap.what, object.unwrap_or_default());
                (id.clone(), id)
            })
            .collect()
        };
        let (were, are) = (gaps(before), gaps(after));
        self.came_and_went("gap", pairs(&were), pairs(&are));
    }

    fn target(&mut self, before: &TargetInventory, after: &TargetInventory) {
        self.came_and_went(
            "vm",
            before.vms.iter().map(|line| (&*line.id, &*line.id)),
            after.vms.iter().map(|line| (&*line.id, &*line.id)),
        );
        self.came_and_went(
            "image",
            before
                .images
                .iter()
                .map(|line| (&*line.id, &*line.display_name)),
            after
                .images
                .iter()
                .map(|line| (&*line.id, &*line.display_name)),
        );
        self.came_and_went(
            "import",
            before.imports.iter().map(|line| (&*line.id, &*line.id)),
            after.imports.iter().map(|line| (&*line.id, &*line.id)),
        );
        self.came_and_went(
            "network",
            before
                .about
                .networks
                .iter()
                .map(|line| (&*line.id, &*line.id)),
            after
                .about
                .networks
                .iter()
                .map(|line| (&*line.id, &*line.id)),
        );
        for (what, was, is) in [
            (
                "Harvester",
                &before.about.harvester_version,
                &after.about.harvester_version,
            ),
            (
                "the engine",
                &before.about.engine_version,
                &after.about.engine_version,
            ),
        ] {
            if was != is {
                let shown = |version: &Option<String>| {
                    version.clone().unwrap_or_else(|| "unknown".to_owned())
                };
                let text = format!("{what} is {}, was {}", shown(is), shown(was));
                let place = self.place;
                self.push("place", "version", (place, place), text);
            }
        }
    }

    fn of_vm(&mut self, vm: &Vm, kind: &'static str, text: String) {
        self.push("vm", kind, (vm.id.as_str(), vm.name.as_str()), text);
    }

    fn vm(&mut self, was: &Vm, is: &Vm) {
        let begin = self.all.len();
        if was.folder != is.folder || was.dc != is.dc {
            let place = |vm: &Vm| {
                let parts = [vm.dc.as_deref(), vm.folder.as_deref()];
                let parts: Vec<&str> = parts.into_iter().flatten().collect();
                parts.join("/")
            };
            let text = format!("moved from folder `{}` to `{}`", place(was), place(is));
            self.of_vm(is, "moved", text);
        }
        if was.host_group != is.host_group {
            let text = format!(
                "now in {}, was in {}",
                or_none(is.host_group.as_deref()),
                or_none(was.host_group.as_deref())
            );
            self.of_vm(is, "moved", text);
        }
        if was.vcpus != is.vcpus {
            let text = format!("{}, was {}", cpus(is.vcpus), cpus(was.vcpus));
            self.of_vm(is, "resized", text);
        }
        if was.memory_mib != is.memory_mib {
            let size = |mib: Option<u64>| {
                mib.map_or("unknown".to_owned(), |mib| Bytes::from_mib(mib).to_string())
            };
            let text = format!(
                "memory {}, was {}",
                size(is.memory_mib),
                size(was.memory_mib)
            );
            self.of_vm(is, "resized", text);
        }
        self.disks(was, is);
        self.nics(was, is);
        if was.tags != is.tags {
            let tags = |vm: &Vm| match vm.tags.as_slice() {
                [] => "none".to_owned(),
                tags => tags.join(", "),
            };
            self.of_vm(is, "tags", format!("tags {}, were {}", tags(is), tags(was)));
        }
        // Anything else is named by its key, so that nothing stays unsaid.
        if self.all.len() == begin && was.name == is.name && was != is {
            let fields = differing_fields(was, is);
            self.of_vm(is, "changed", format!("changed: {}", fields.join(", ")));
        }
    }

    fn disks(&mut self, was: &Vm, is: &Vm) {
        let known: BTreeMap<_, _> = was.disks.iter().map(|disk| (&disk.key, disk)).collect();
        for disk in &is.disks {
            let label = disk.label.as_deref().unwrap_or(&disk.key);
            match known.get(&disk.key) {
                None => {
                    let text = format!("new disk `{label}` of {}", disk.capacity_bytes);
                    self.of_vm(is, "newDisk", text);
                }
                Some(old) if old.capacity_bytes != disk.capacity_bytes => {
                    let (new, old) = (disk.capacity_bytes, old.capacity_bytes);
                    self.of_vm(is, "resized", format!("disk `{label}` is {new}, was {old}"));
                }
                Some(old) if old.storage != disk.storage => {
                    let text = format!(
                        "disk `{label}` moved from {} to {}",
                        or_none(old.storage.as_deref()),
                        or_none(disk.storage.as_deref())
                    );
                    self.of_vm(is, "moved", text);
                }
                Some(_) => {}
            }
        }
        let there: BTreeSet<_> = is.disks.iter().map(|disk| &disk.key).collect();
        for disk in was.disks.iter().filter(|disk| !there.contains(&disk.key)) {
            let label = disk.label.as_deref().unwrap_or(&disk.key);
            let text = format!("disk `{label}` of {} is gone", disk.capacity_bytes);
            self.of_vm(is, "goneDisk", text);
        }
        let order =
            |vm: &Vm| -> Vec<String> { vm.disks.iter().map(|disk| disk.key.clone()).collect() };
        let (before, after) = (order(was), order(is));
        let same_disks = before.iter().collect::<BTreeSet<_>>() == after.iter().collect();
        if same_disks && before != after {
            self.of_vm(is, "diskOrder", "disks in another order".to_owned());
        }
    }

    fn nics(&mut self, was: &Vm, is: &Vm) {
        let known: BTreeMap<_, _> = was.nics.iter().map(|nic| (&nic.key, nic)).collect();
        let network = |nic: &Nic| or_none(nic.network_name.as_deref());
        for nic in &is.nics {
            let mac = nic.mac.as_deref().unwrap_or(&nic.key);
            match known.get(&nic.key) {
                None => {
                    let text = format!("new NIC {mac} on {}", network(nic));
                    self.of_vm(is, "newNic", text);
                }
                Some(old) if old.mac != nic.mac => {
                    let text = format!("NIC {mac} had MAC {} before", or_none(old.mac.as_deref()));
                    self.of_vm(is, "nic", text);
                }
                Some(old) if old.network_name != nic.network_name => {
                    let text = format!("NIC {mac} is on {}, was on {}", network(nic), network(old));
                    self.of_vm(is, "nic", text);
                }
                Some(_) => {}
            }
        }
        let there: BTreeSet<_> = is.nics.iter().map(|nic| &nic.key).collect();
        for nic in was.nics.iter().filter(|nic| !there.contains(&nic.key)) {
            let mac = nic.mac.as_deref().unwrap_or(&nic.key);
            self.of_vm(
                is,
                "goneNic",
                format!("NIC {mac} on {} is gone", network(nic)),
            );
        }
    }
}

fn pairs(list: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    list.iter().map(|(id, name)| (id.as_str(), name.as_str()))
}

/// Keys of the snapshot's line whose values differ.
fn differing_fields(was: &Vm, is: &Vm) -> Vec<String> {
    let object = |vm: &Vm| match serde_json::to_value(vm) {
        Ok(serde_json::Value::Object(object)) => object,
        _ => unreachable!("a VM is written as an object"),
    };
    let (was, is) = (object(was), object(is));
    let keys: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    keys.into_iter()
        .filter(|key| was.get(*key) != is.get(*key))
        .cloned()
        .collect()
}

fn power_word(power: Power) -> &'static str {
    match power {
        Power::On => "powered on",
        Power::Off => "powered off",
        Power::Suspended => "suspended",
        Power::Paused => "paused",
        Power::Other => "in another state",
    }
}

fn cpus(count: Option<u32>) -> String {
    match count {
        None => "an unknown number of CPUs".to_owned(),
        Some(1) => "1 CPU".to_owned(),
        Some(count) => format!("{count} CPUs"),
    }
}

fn or_none(text: Option<&str>) -> String {
    text.map_or_else(|| "nothing".to_owned(), |text| format!("`{text}`"))
}

#[cfg(test)]
mod tests {
    use schemas::inventory::{Disk, Observed, SourceAbout, SourceKind};

    use super::*;

    fn snapshot(vms: Vec<Vm>, power: Power) -> Inventory {
        let observed = vms.iter().map(|vm| {
            let observed = Observed {
                id: vm.id.to_string(),
                power: Some(power),
                ..Observed::default()
            };
            (vm.id.to_string(), observed)
        });
        let about = SourceAbout::new(SourceKind::Vmware, "https://vc.example", "ca");
        let source = SourceInventory {
            observed: observed.collect(),
            vms,
            ..SourceInventory::new(about)
        };
        Inventory {
            sources: [("dc1".into(), source)].into(),
            ..Inventory::default()
        }
    }

    fn vm(id: &str, name: &str) -> Vm {
        Vm {
            id: id.into(),
            name: name.into(),
            vcpus: Some(2),
            memory_mib: Some(2048),
            folder: Some("web".to_owned()),
            disks: vec![Disk {
                key: "2000".to_owned(),
                capacity_bytes: Bytes::from_gib(10),
                ..Disk::default()
            }],
            ..Vm::default()
        }
    }

    // What an administrator does to VMs, in the administrator's words; what is not known by name
    // is named by its key; the same twice is no change.
    #[test]
    fn in_words() {
        let before = snapshot(
            vec![vm("a", "web-1"), vm("b", "old"), vm("d", "quiet")],
            Power::On,
        );
        assert_eq!(changes(&before, &before), []);
        let mut changed = vm("a", "web-01");
        changed.vcpus = Some(4);
        changed.folder = Some("front".to_owned());
        changed.disks[0].capacity_bytes = Bytes::from_gib(20);
        changed.nics.push(Nic {
            key: "4000".to_owned(),
            mac: Some("00:50:56:00:00:01".to_owned()),
            network_name: Some("lan".to_owned()),
            ..Nic::default()
        });
        let mut quiet = vm("d", "quiet");
        quiet.cbt = Some(true);
        let after = snapshot(vec![changed, vm("c", "fresh"), quiet], Power::Off);
        let found: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|change| format!("{} {}: {}", change.id, change.kind, change.text))
            .collect();
        assert_eq!(
            found,
            [
                "b gone: gone",
                "a renamed: renamed from `web-1`",
                "c new: new",
                "a moved: moved from folder `web` to `front`",
                "a resized: 4 CPUs, was 2 CPUs",
                "a resized: disk `2000` is 20 GiB, was 10 GiB",
                "a newNic: new NIC 00:50:56:00:00:01 on `lan`",
                "a power: powered off, was powered on",
                "d changed: changed: cbt",
                "d power: powered off, was powered on",
            ]
        );
    }
}
