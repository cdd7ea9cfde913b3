//! One selector, ready to be asked about VMs, and why it does not take one.

use std::collections::BTreeSet;
use std::fmt;

use schemas::facts::GuestFamily;
use schemas::ids::{VmId, VmName};
use schemas::inventory::{Power, SourceKind, Vm};
use schemas::plan::{PowerMatch, Selector};

use super::index::SourceIndex;
use super::pattern::Pattern;
use crate::diagnostic::{Diagnostics, File, Place, Problem};

/// A selector whose patterns could be read.
pub(crate) struct Matcher<'a> {
    selector: &'a Selector,
    names: Option<BTreeSet<&'a VmName>>,
    ids: Option<BTreeSet<&'a VmId>>,
    fields: Vec<(Field<'a>, Pattern)>,
}

/// A field of a selector that is a glob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field<'a> {
    Folder,
    Match,
    Tag(&'a str),
    Attribute(&'a str),
    Project,
    Network,
    Datastore,
    ServerGroup,
    Vapp,
}

/// Why a selector does not take a VM: a field that does not hold for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Miss {
    /// The field, as it is written in the plan.
    pub field: &'static str,
    /// What the VM has instead.
    pub has: String,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.has.as_str() {
            "" => write!(f, "`{}` does not hold: it has none", self.field),
            has => write!(f, "`{}` does not hold: it has `{has}`", self.field),
        }
    }
}

impl<'a> Matcher<'a> {
    /// Of `selector`, which stands at `path`; nothing where a field cannot be read, or means nothing
    /// to a source of that kind, which is told.
    pub fn new(
        selector: &'a Selector,
        kind: SourceKind,
        path: &str,
        out: &mut Diagnostics,
    ) -> Option<Self> {
        let mut readable = true;
        let mut fail = |field: &str, problem: Problem| {
            let path = format!("{path}{field}");
            let file = File::Plan;
            out.error(Place { file, path }, problem);
            readable = false;
        };
        let foreign = [
            ("folder", selector.folder.is_some(), SourceKind::Vmware),
            ("vapp", selector.vapp.is_some(), SourceKind::Vmware),
            ("project", selector.project.is_some(), SourceKind::Openstack),
            (
                "serverGroup",
                selector.server_group.is_some(),
                SourceKind::Openstack,
            ),
        ];
        for (field, written, only) in foreign {
            if written && kind != only {
                let source_name = selector.source.clone();
                let problem = Problem::NotOfKind {
                    source_name,
                    field,
                    only,
                };
                fail(&format!(".{field}"), problem);
            }
        }
        let mut fields = Vec::new();
        let mut add = |field: Field<'a>, text: Option<&str>, at: String| {
            let Some(text) = text else { return };
            let read = match field {
                Field::Folder => Pattern::folder(text),
                _ => Pattern::name(text),
            };
            match read {
                Ok(pattern) => fields.push((field, pattern)),
                Err(reason) => {
                    let pattern = text.to_owned();
                    fail(&at, Problem::BadPattern { pattern, reason });
                }
            }
        };
        for (field, text, at) in [
            (Field::Folder, &selector.folder, ".folder"),
            (Field::Match, &selector.r#match, ".match"),
            (Field::Project, &selector.project, ".project"),
            (Field::Network, &selector.network, ".network"),
            (Field::Datastore, &selector.datastore, ".datastore"),
            (Field::ServerGroup, &selector.server_group, ".serverGroup"),
            (Field::Vapp, &selector.vapp, ".vapp"),
        ] {
            add(field, text.as_deref(), at.to_owned());
        }
        for (i, tag) in selector.tags.iter().flatten().enumerate() {
            add(Field::Tag(tag), Some(tag), format!(".tags[{i}]"));
        }
        for (i, attribute) in selector.attributes.iter().flatten().enumerate() {
            let value = attribute.value.as_deref().or(Some("*"));
            let at = format!(".attributes[{i}].value");
            add(Field::Attribute(&attribute.name), value, at);
        }
        readable.then(|| Self {
            selector,
            names: selector.names.as_ref().map(|names| names.iter().collect()),
            ids: selector.ids.as_ref().map(|ids| ids.iter().collect()),
            fields,
        })
    }

    /// The selector.
    pub fn selector(&self) -> &'a Selector {
        self.selector
    }

    /// Whether all its fields hold for a VM of `source`.
    pub fn takes(&self, vm: &Vm, source: &SourceIndex<'_>) -> bool {
        self.names
            .as_ref()
            .is_none_or(|names| names.contains(&vm.name))
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&vm.id))
            && self.others_hold(vm, source)
    }

    /// VMs of `source` among which all are that it takes: a plan may have a selector for each of
    /// thousands of folders, and must not ask each of them about every VM.
    pub fn candidates<'v>(&self, source: &SourceIndex<'v>) -> Vec<&'v Vm> {
        let folder = self.fields.iter().find(|(it, _)| *it == Field::Folder);
        match folder.map(|(_, pattern)| pattern) {
            None => source.vms().collect(),
            Some(Pattern::Literal(folder)) => {
                let vms = source.folders().get(folder.as_str());
                vms.cloned().unwrap_or_default()
            }
            Some(pattern) => source
                .folders()
                .iter()
                .filter(|(folder, _)| pattern.holds(folder))
                .flat_map(|(_, vms)| vms.iter().copied())
                .collect(),
        }
    }

    /// Whether all its fields but names and ids hold.
    pub fn others_hold(&self, vm: &Vm, source: &SourceIndex<'_>) -> bool {
        self.power_holds(vm, source)
            && self
                .fields
                .iter()
                .all(|(field, pattern)| field.any(vm, source, &mut |text| pattern.holds(text)))
    }

    /// The fields that do not hold for a VM, in the order in which a selector's fields are documented.
    pub fn misses(&self, vm: &Vm, source: &SourceIndex<'_>) -> Vec<Miss> {
        let mut misses = Vec::new();
        if self
            .names
            .as_ref()
            .is_some_and(|names| !names.contains(&vm.name))
        {
            let has = vm.name.to_string();
            misses.push(Miss {
                field: "names",
                has,
            });
        }
        if self.ids.as_ref().is_some_and(|ids| !ids.contains(&vm.id)) {
            let has = vm.id.to_string();
            misses.push(Miss { field: "ids", has });
        }
        for (field, pattern) in &self.fields {
            let mut values = BTreeSet::new();
            let holds = field.any(vm, source, &mut |text| {
                values.insert(text.to_owned());
                pattern.holds(text)
            });
            if !holds {
                let has = values.into_iter().collect::<Vec<_>>().join(", ");
                let field = field.name();
                misses.push(Miss { field, has });
            }
        }
        if !self.power_holds(vm, source) {
            let seen = power(vm, source).map_or(String::new(), |power| format!("{power:?}"));
            let has = seen.to_lowercase();
            misses.push(Miss {
                field: "power",
                has,
            });
        }
        misses
    }

    fn power_holds(&self, vm: &Vm, source: &SourceIndex<'_>) -> bool {
        let Some(wanted) = self.selector.power else {
            return true;
        };
        match power(vm, source) {
            Some(Power::On) => wanted == PowerMatch::Running,
            Some(Power::Off) => wanted == PowerMatch::Stopped,
            Some(Power::Suspended | Power::Paused) => wanted == PowerMatch::Suspended,
            Some(Power::Other) | None => false,
        }
    }
}

/// Whether a VM runs, if that was seen.
fn power(vm: &Vm, source: &SourceIndex<'_>) -> Option<Power> {
    source.inventory.observed.get(vm.id.as_str())?.power
}

impl Field<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Match => "match",
            Self::Tag(_) => "tags",
            Self::Attribute(_) => "attributes",
            Self::Project => "project",
            Self::Network => "network",
            Self::Datastore => "datastore",
            Self::ServerGroup => "serverGroup",
            Self::Vapp => "vapp",
        }
    }

    /// Whether `holds` for any of the values that a VM has for this field.
    fn any(self, vm: &Vm, source: &SourceIndex<'_>, holds: &mut dyn FnMut(&str) -> bool) -> bool {
        match self {
            Self::Folder => vm.folder.as_deref().is_some_and(holds),
            Self::Match => holds(vm.name.as_str()),
            // `tag` alone is meant in every category.
            Self::Tag(wanted) if !wanted.contains('/') => vm
                .tags
                .iter()
                .any(|tag| holds(tag.split_once('/').map_or(tag.as_str(), |(_, tag)| tag))),
            Self::Tag(_) => vm.tags.iter().any(|tag| holds(tag)),
            Self::Attribute(name) => vm.attributes.get(name).is_some_and(|value| holds(value)),
            Self::Project => vm.project.as_ref().is_some_and(|project| {
                project.name.as_deref().is_some_and(&mut *holds) || holds(&project.id)
            }),
            Self::Network => vm
                .nics
                .iter()
                .filter_map(|nic| nic.network_name.as_deref())
                .any(holds),
            Self::Datastore => vm
                .disks
                .iter()
                .filter_map(|disk| disk.storage.as_deref())
                .any(|id| holds(source.storage_name(id))),
            Self::ServerGroup => vm
                .server_groups
                .iter()
                .any(|group| source.rule_name(group).is_some_and(&mut *holds) || holds(group)),
            Self::Vapp => vm.vapp.as_deref().is_some_and(holds),
        }
    }
}

/// What kind of guest a VM has, as far as its source's words tell.
pub(crate) fn family(vm: &Vm) -> Option<GuestFamily> {
    let os = vm.guest_os.as_ref()?;
    let words = [&os.family, &os.id].into_iter().flatten();
    words
        .map(|word| word.to_lowercase())
        .find_map(|word| match word {
            word if word.contains("windows") || word.starts_with("win") => {
                Some(GuestFamily::Windows)
            }
            word if LINUXES.iter().any(|linux| word.contains(linux)) => Some(GuestFamily::Linux),
            _ => None,
        })
}

/// Parts of the words by which vSphere's guest ids and libosinfo's short ids name Linux.
const LINUXES: [&str; 18] = [
    "linux", "rhel", "centos", "debian", "ubuntu", "sles", "suse", "fedora", "photon", "alma",
    "rocky", "oracle", "coreos", "amazon", "alpine", "arch", "gentoo", "cirros",
];
