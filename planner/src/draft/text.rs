//! The draft as a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use schemas::crd::{SCHEMA_URL, schema_file_name};
use schemas::ids::{SourceName, VmKey};
use schemas::inventory::{Inventory, SourceInventory, SourceKind, TargetInventory, Vm};
use schemas::shown::shown;
use schemas::units::{Bytes, Quantity};
use schemas::yaml::{self, scalar};

use super::{Group, Options};
use crate::diagnostic::count;

const INFALLIBLE: &str = "a String takes everything";

/// Columns after which a list goes on in the next line.
const WIDTH_MAX: usize = 100;

/// The target where no snapshot names one.
const TARGET: &str = "hv1";
/// Harvester's own storage class, where no snapshot names one.
const STORAGE_CLASS: &str = "harvester-longhorn";

/// The whole draft.
pub(super) fn write(inventory: &Inventory, groups: &[Group], options: &Options) -> String {
    let mut text = format!(
        "# yaml-language-server: $schema={SCHEMA_URL}/{}\n\
         # A draft of `windrow`, to be edited. What is only a proposal says so; `windrow plan` tells what comes of it.\n\
         apiVersion: windrow.dev/v1alpha1\nkind: MigrationPlan\nmetadata:\n  name: {}\n  namespace: {}\nspec:\n",
        schema_file_name("MigrationPlan"),
        scalar(&options.name),
        scalar(&options.namespace),
    );
    let (target, snapshot) = match inventory.targets.iter().next() {
        Some((name, snapshot)) => (name.as_str(), Some(snapshot)),
        None => (TARGET, None),
    };
    site(&mut text, inventory, target, snapshot);
    writeln!(
        text,
        "  # Where the machines go, unless a workload says otherwise.\n  target: {{ name: {}, namespace: {} }}\n  \
         # One workload for each group; what it depends on runs first. Reorder, rename, merge.\n  workloads:",
        scalar(target),
        scalar(&options.namespace)
    )
    .expect(INFALLIBLE);
    for group in groups {
        workload(&mut text, inventory, group);
    }
    waves(&mut text, groups);
    text
}

fn site(
    text: &mut String,
    inventory: &Inventory,
    target: &str,
    snapshot: Option<&TargetInventory>,
) {
    text.push_str(
        "  # The estate. Several plans share one in a file of its own: `site.yaml`, and here `site: NAME`.\n  inlineSite:\n    sources:\n",
    );
    for (name, source) in &inventory.sources {
        source_lines(text, name, source);
    }
    writeln!(text, "    targets:\n    - name: {}", scalar(target)).expect(INFALLIBLE);
    let classes = snapshot
        .map(|snapshot| snapshot.about.storage_classes.as_slice())
        .unwrap_or_default();
    let class = classes
        .iter()
        .find(|class| class.default)
        .or(classes.first());
    let (class, proposal) = match class {
        Some(class) => (class.name.as_str(), "the cluster's default"),
        None => (
            STORAGE_CLASS,
            "proposal: Harvester's own; no snapshot of the target was there",
        ),
    };
    writeln!(text, "      storageClass: {}  # {proposal}", scalar(class)).expect(INFALLIBLE);
    let known = snapshot.and_then(|snapshot| snapshot.about.scratch.as_ref()?.capacity_bytes);
    if known.is_none() {
        writeln!(
            text,
            "      scratch: {{ capacity: {} }}  # proposal: twice the largest VM; the size of the engine's volume belongs here",
            Quantity(scratch(inventory))
        )
        .expect(INFALLIBLE);
    }
    networks(text, inventory, snapshot);
    text.push_str(
        "    # Without windows, what is approved runs. With some, the plan needs a `start`:\n\
         \x20   # windows:\n    # - { name: weekend, every: { cron: \"0 22 * * 6\", timeZone: Europe/Berlin, lasts: 8h }, lockout: 30m }\n",
    );
}

fn source_lines(text: &mut String, name: &SourceName, source: &SourceInventory) {
    let about = &source.about;
    writeln!(text, "    - name: {}", scalar(name.as_str())).expect(INFALLIBLE);
    let endpoint = scalar(&about.endpoint);
    match about.kind {
        SourceKind::Vmware => {
            let datacenter = scalar(about.datacenter.as_deref().unwrap_or("ha-datacenter"));
            writeln!(
                text,
                "      vmware:\n        endpoint: {endpoint}\n        datacenter: {datacenter}"
            )
        }
        SourceKind::Openstack => {
            let region = scalar(about.region.as_deref().unwrap_or("RegionOne"));
            writeln!(
                text,
                "      openstack:\n        endpoint: {endpoint}\n        region: {region}"
            )
        }
        SourceKind::Ova => {
            text.push_str("      ova:\n        items:\n");
            for vm in &source.vms {
                let url = scalar(vm.url.as_deref().unwrap_or(&about.endpoint));
                writeln!(
                    text,
                    "        - name: {}\n          url: {url}",
                    scalar(vm.id.as_str())
                )
                .expect(INFALLIBLE);
            }
            return;
        }
    }
    .expect(INFALLIBLE);
    writeln!(
        text,
        "      credentials: {{ engine: {} }}  # proposal: the Secret's name in the target cluster",
        scalar(&format!("{name}-import"))
    )
    .expect(INFALLIBLE);
}

/// Twice the largest VM, and the reserve that no schedule uses; in whole steps of 10 GiB.
fn scratch(inventory: &Inventory) -> Bytes {
    let sizes = inventory
        .sources
        .values()
        .flat_map(|source| &source.vms)
        .map(|vm| {
            vm.disks
                .iter()
                .fold(0u64, |sum, disk| sum.saturating_add(disk.capacity_bytes.0))
        });
    let largest = sizes.max().unwrap_or(0);
    let wanted = largest.saturating_mul(2).saturating_mul(10) / 9;
    let step = Bytes::from_gib(10).0;
    Bytes(
        wanted
            .div_ceil(step)
            .max(1)
            .saturating_mul(step)
            .min(Bytes::from_gib(1 << 20).0),
    )
}

/// A line for each network that VMs are on: mapped where VLAN or name leave no doubt.
fn networks(text: &mut String, inventory: &Inventory, snapshot: Option<&TargetInventory>) {
    let there = snapshot
        .map(|snapshot| snapshot.about.networks.as_slice())
        .unwrap_or_default();
    let mut used: BTreeMap<(&SourceName, &str), (usize, BTreeSet<u16>)> = BTreeMap::new();
    for (name, source) in &inventory.sources {
        let vlans: BTreeMap<&str, u16> = source
            .networks
            .iter()
            .filter_map(|network| Some((network.id.as_str(), network.vlan?)))
            .collect();
        for nic in source
            .vms
            .iter()
            .filter(|vm| !vm.template)
            .flat_map(|vm| &vm.nics)
        {
            let Some(network) = &nic.network_name else {
                continue;
            };
            let entry = used.entry((name, network)).or_default();
            entry.0 += 1;
            entry
                .1
                .extend(nic.network.as_deref().and_then(|id| vlans.get(id)));
        }
    }
    if used.is_empty() {
        return;
    }
    let fit = |network: &str, vlans: &BTreeSet<u16>| {
        let named = there
            .iter()
            .find(|known| known.id.rsplit('/').next() == Some(network));
        let tagged = || {
            let vlan = vlans.first().filter(|_| vlans.len() == 1)?;
            let mut same = there.iter().filter(|known| known.vlan == Some(*vlan));
            same.next().filter(|_| same.next().is_none())
        };
        named.or_else(tagged).map(|known| known.id.as_str())
    };
    let lines: Vec<_> = used
        .iter()
        .map(|((source, network), (nics, vlans))| (source, network, nics, fit(network, vlans)))
        .collect();
    let indent = "      ";
    let key = if lines.iter().any(|line| line.3.is_some()) {
        "networks:"
    } else {
        "# networks:"
    };
    text.push_str(
        "      # Which network becomes which. A NIC that no line covers keeps its VM out of the plan (W01).\n",
    );
    writeln!(text, "{indent}{key}").expect(INFALLIBLE);
    for (source, network, nics, to) in lines {
        let (mark, to, why) = match to {
            Some(to) => ("", to, "proposal: the same name or VLAN"),
            None => (
                "# ",
                "default/CHOOSE",
                "choose, or `drop: true` instead of `to`",
            ),
        };
        writeln!(
            text,
            "{indent}{mark}- {{ source: {}, from: {}, to: {} }}  # {}; {why}",
            scalar(source.as_str()),
            flow(network),
            flow(to),
            count(*nics, "NIC")
        )
        .expect(INFALLIBLE);
    }
}

/// A text in a flow collection: JSON's quotes do in every reader; plain words stay plain.
fn flow(text: &str) -> String {
    let plain = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && yaml::is_text(text);
    if plain {
        return text.to_owned();
    }
    let json = serde_json::to_string(text).expect("a text has a JSON form");
    yaml::json(&json)
}

fn workload(text: &mut String, inventory: &Inventory, group: &Group) {
    let bytes = group
        .members
        .iter()
        .filter_map(|key| vm(inventory, key))
        .flat_map(|vm| &vm.disks)
        .fold(0u64, |sum, disk| sum.saturating_add(disk.capacity_bytes.0));
    writeln!(
        text,
        "  # {}, {}: {}\n  - name: {}",
        count(group.members.len(), "VM"),
        Bytes(bytes),
        group.why,
        scalar(&group.name)
    )
    .expect(INFALLIBLE);
    if let Some(namespace) = &group.namespace {
        writeln!(text, "    target: {{ namespace: {} }}", scalar(namespace)).expect(INFALLIBLE);
    }
    if !group.after.is_empty() {
        text.push_str("    dependsOn:\n");
        for (name, why) in &group.after {
            match why {
                Some(why) => writeln!(text, "    - {}  # proposal: {why}", scalar(name)),
                None => writeln!(text, "    - {}", scalar(name)),
            }
            .expect(INFALLIBLE);
        }
    }
    text.push_str("    select:\n");
    let mut by_source: BTreeMap<&SourceName, BTreeSet<&VmKey>> = BTreeMap::new();
    for key in &group.members {
        by_source.entry(&key.source).or_default().insert(key);
    }
    for (name, members) in by_source {
        select(text, inventory, name, &members);
    }
}

fn vm<'a>(inventory: &'a Inventory, key: &VmKey) -> Option<&'a Vm> {
    inventory
        .sources
        .get(&key.source)?
        .vms
        .iter()
        .find(|vm| vm.id == key.id)
}

/// The shortest selector that takes exactly these VMs: their folder, their names, or their ids.
fn select(text: &mut String, inventory: &Inventory, name: &SourceName, members: &BTreeSet<&VmKey>) {
    let Some(source) = inventory.sources.get(name) else {
        return;
    };
    let is_member = |vm: &Vm| members.iter().any(|key| key.id == vm.id);
    let vms: Vec<&Vm> = source.vms.iter().filter(|vm| !vm.template).collect();
    let ours: Vec<&&Vm> = vms.iter().filter(|vm| is_member(vm)).collect();
    writeln!(text, "    - source: {}", scalar(name.as_str())).expect(INFALLIBLE);
    let exact = |takes: &dyn Fn(&Vm) -> bool| vms.iter().all(|vm| takes(vm) == is_member(vm));
    let folder = ours
        .first()
        .and_then(|vm| vm.folder.as_deref())
        .filter(|folder| {
            let special = ['*', '?', '[', ']', '{', '}', '\\', '!'];
            !folder.is_empty() && !folder.contains(special)
        });
    if let Some(folder) = folder.filter(|_| ours.len() > 1)
        && exact(&|vm| vm.folder.as_deref() == Some(folder))
    {
        writeln!(text, "      folder: {}", scalar(folder)).expect(INFALLIBLE);
        return;
    }
    let names: BTreeSet<&str> = ours.iter().map(|vm| vm.name.as_str()).collect();
    if source.about.kind != SourceKind::Ova && exact(&|vm| names.contains(vm.name.as_str())) {
        list(text, "names", names.into_iter());
        return;
    }
    text.push_str("      ids:\n");
    for vm in ours {
        // Names are not unique here: the ids are, and the names say who it is.
        writeln!(
            text,
            "      - {}  # {}",
            scalar(vm.id.as_str()),
            shown(vm.name.as_str())
        )
        .expect(INFALLIBLE);
    }
}

/// A list of texts, in lines that are not too wide.
fn list<'a>(text: &mut String, field: &str, items: impl Iterator<Item = &'a str>) {
    let items: Vec<String> = items.map(flow).collect();
    let short = format!("      {field}: [{}]", items.join(", "));
    if short.chars().count() <= WIDTH_MAX {
        text.push_str(&short);
        text.push('\n');
        return;
    }
    writeln!(text, "      {field}:").expect(INFALLIBLE);
    for item in items {
        writeln!(text, "      - {item}").expect(INFALLIBLE);
    }
}

fn waves(text: &mut String, groups: &[Group]) {
    let mut waves: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for group in groups {
        if let Some(wave) = &group.wave {
            waves.entry(wave).or_default().push(&group.name);
        }
    }
    if waves.is_empty() {
        text.push_str(
            "  # Waves follow from what depends on what; pin those that people agreed on:\n  # waves:\n  # - { name: pilot, workloads: [NAME] }\n",
        );
        return;
    }
    text.push_str("  waves:\n");
    for (name, workloads) in waves {
        let workloads: Vec<String> = workloads.into_iter().map(flow).collect();
        writeln!(
            text,
            "  - {{ name: {}, workloads: [{}] }}",
            flow(name),
            workloads.join(", ")
        )
        .expect(INFALLIBLE);
    }
}
