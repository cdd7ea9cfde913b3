//! The site, looked up by name, and what in it cannot be obeyed.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::{ObjectName, SourceName, SourceNetworkName, TargetName};
use schemas::inventory::{Inventory, ScratchKind, SourceAbout, SourceKind, TargetInventory};
use schemas::site::{NetworkMapping, OvaItem, SiteSpec, Source, Target};
use schemas::units::Bytes;
use schemas::wave::{WaveOva, WaveSource};

use super::ResolvedTarget;
use crate::diagnostic::{Diagnostics, File, Kind, Place, Problem, nearest};

/// Longest name of a source object: it is a label's value in the executor's records (63), and so
/// the shelf's name, a dash and the item's must fit.
const SOURCE_OBJECT_NAME_CHARACTERS_MAX: usize = 63;

/// A site, looked up by name.
pub(super) struct Site<'a> {
    /// As written.
    pub spec: &'a SiteSpec,
    inline: bool,
    sources: BTreeMap<&'a SourceName, (usize, &'a Source)>,
    targets: BTreeMap<&'a TargetName, (usize, &'a Target)>,
    networks: BTreeMap<(&'a TargetName, &'a SourceName, &'a SourceNetworkName), usize>,
    snapshots: &'a BTreeMap<TargetName, TargetInventory>,
}

/// Looks a site up: names that two things bear, networks mapped twice, sources that do not exist.
pub(super) fn look_up<'a>(
    spec: &'a SiteSpec,
    inline: bool,
    inventory: &'a Inventory,
    out: &mut Diagnostics,
) -> Site<'a> {
    let mut site = Site {
        spec,
        inline,
        sources: BTreeMap::new(),
        targets: BTreeMap::new(),
        networks: BTreeMap::new(),
        snapshots: &inventory.targets,
    };
    for (i, source) in spec.sources.iter().enumerate() {
        if site.sources.insert(&source.name, (i, source)).is_some() {
            site.duplicate(
                Kind::Source,
                source.name.as_str(),
                &format!("sources[{i}].name"),
                out,
            );
        }
        if let Some(snapshot) = inventory.sources.get(&source.name) {
            site.check_snapshot(i, source, &snapshot.about, out);
        }
    }
    site.check_shelves(out);
    for (i, target) in spec.targets.iter().enumerate() {
        if site.targets.insert(&target.name, (i, target)).is_some() {
            site.duplicate(
                Kind::Target,
                target.name.as_str(),
                &format!("targets[{i}].name"),
                out,
            );
        }
        for (n, line) in target.networks.iter().enumerate() {
            site.add_network(target, i, n, line, out);
        }
    }
    site
}

impl<'a> Site<'a> {
    /// The place of a field of the site.
    pub fn place(&self, path: &str) -> Place {
        if self.inline {
            Place {
                file: File::Plan,
                path: format!("inlineSite.{path}"),
            }
        } else {
            Place {
                file: File::Site,
                path: path.to_owned(),
            }
        }
    }

    /// The source of that name.
    pub fn source(&self, name: &SourceName) -> Option<&'a Source> {
        self.sources.get(name).map(|(_, source)| *source)
    }

    /// The source of that name, or an error at `place`.
    pub fn known_source(
        &self,
        name: &SourceName,
        place: Place,
        out: &mut Diagnostics,
    ) -> Option<&'a Source> {
        let source = self.source(name);
        if source.is_none() {
            let known = self.sources.keys().map(|name| name.as_str());
            out.error(place, unknown(Kind::Source, name.as_str(), known));
        }
        source
    }

    /// The target of that name.
    pub fn target(&self, name: &TargetName) -> Option<&'a Target> {
        self.targets.get(name).map(|(_, target)| *target)
    }

    /// The target of that name, or an error at `place`.
    pub fn known_target(
        &self,
        name: &TargetName,
        place: Place,
        out: &mut Diagnostics,
    ) -> Option<&'a Target> {
        let target = self.target(name);
        if target.is_none() {
            let known = self.targets.keys().map(|name| name.as_str());
            out.error(place, unknown(Kind::Target, name.as_str(), known));
        }
        target
    }

    /// The line of `target`'s mapping for a network of `source`, with its path.
    pub fn network(
        &self,
        target: &'a Target,
        source: &SourceName,
        from: &SourceNetworkName,
    ) -> Option<(&'a NetworkMapping, String)> {
        let n = *self.networks.get(&(&target.name, source, from))?;
        let (i, _) = self.targets.get(&target.name)?;
        let prefix = if self.inline { "inlineSite." } else { "" };
        Some((
            &target.networks[n],
            format!("{prefix}targets[{i}].networks[{n}]"),
        ))
    }

    fn duplicate(&self, kind: Kind, name: &str, path: &str, out: &mut Diagnostics) {
        out.error(
            self.place(path),
            Problem::Duplicate {
                kind,
                name: name.to_owned(),
            },
        );
    }

    /// Two lines for one network would leave open which counts; the engine refuses them (P09).
    fn add_network(
        &mut self,
        target: &'a Target,
        i: usize,
        n: usize,
        line: &'a NetworkMapping,
        out: &mut Diagnostics,
    ) {
        let path = format!("targets[{i}].networks[{n}]");
        self.known_source(&line.source, self.place(&format!("{path}.source")), out);
        if self
            .networks
            .insert((&target.name, &line.source, &line.from), n)
            .is_some()
        {
            out.error(
                self.place(&format!("{path}.from")),
                Problem::MappedTwice {
                    source_name: line.source.clone(),
                    from: line.from.to_string(),
                },
            );
        }
    }

    /// A snapshot of another vCenter under this source's name would be planned with wrong ids.
    fn check_snapshot(
        &self,
        i: usize,
        source: &Source,
        about: &SourceAbout,
        out: &mut Diagnostics,
    ) {
        let (expected, found) = (kind_of(source), about.kind);
        if expected.is_some_and(|kind| kind != found) {
            out.error(
                self.place(&format!("sources[{i}]")),
                Problem::OtherSnapshot {
                    source_name: source.name.clone(),
                    snapshot: word(Some(found)).to_owned(),
                    site: word(expected).to_owned(),
                },
            );
        }
    }

    /// Names of items and of the source objects made from them.
    fn check_shelves(&self, out: &mut Diagnostics) {
        let mut objects = BTreeSet::new();
        for (i, source) in self.spec.sources.iter().enumerate() {
            let Some(files) = &source.ova else { continue };
            for (n, item) in files.items.iter().enumerate() {
                let place = self.place(&format!("sources[{i}].ova.items[{n}].name"));
                let name = ova_object_name(&source.name, item);
                if name.as_str().len() > SOURCE_OBJECT_NAME_CHARACTERS_MAX {
                    let max = SOURCE_OBJECT_NAME_CHARACTERS_MAX;
                    out.error(
                        place,
                        Problem::TooLong {
                            name: name.to_string(),
                            max,
                        },
                    );
                } else if !objects.insert(name.clone()) {
                    out.error(place, Problem::SourceObjectTwice(name.to_string()));
                }
            }
        }
    }
}

/// An unknown name, looked for in a site.
pub(super) fn unknown<'n>(
    kind: Kind,
    name: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Problem {
    Problem::Unknown {
        kind,
        name: name.to_owned(),
        within: Some("the site".to_owned()),
        nearest: nearest(name, known),
    }
}

/// The kind of place that a source is.
fn kind_of(source: &Source) -> Option<SourceKind> {
    match (&source.vmware, &source.openstack, &source.ova) {
        (Some(_), ..) => Some(SourceKind::Vmware),
        (_, Some(_), _) => Some(SourceKind::Openstack),
        (.., Some(_)) => Some(SourceKind::Ova),
        (None, None, None) => None,
    }
}

fn word(kind: Option<SourceKind>) -> &'static str {
    match kind {
        Some(SourceKind::Vmware) => "VMware",
        Some(SourceKind::Openstack) => "OpenStack",
        Some(SourceKind::Ova) => "OVA",
        None => "nothing",
    }
}

fn ova_object_name(shelf: &SourceName, item: &OvaItem) -> ObjectName {
    ObjectName::new(format!("{shelf}-{}", item.name))
}

/// The source object that a VM comes from: one for a whole vCenter or project, one for each OVA.
pub(super) fn source_object(source: &Source, item: Option<&OvaItem>) -> WaveSource {
    WaveSource {
        name: item.map_or_else(
            || ObjectName::new(source.name.as_str()),
            |item| ova_object_name(&source.name, item),
        ),
        source: source.name.clone(),
        vmware: source.vmware.clone(),
        openstack: source.openstack.clone(),
        ova: item.map(|item| WaveOva {
            url: item.url.clone(),
        }),
        credentials: source.credentials.engine.clone(),
    }
}

/// The targets of that names, resolved: how much scratch each has, from the site or else from the
/// snapshot of the add-on's claim.
pub(super) fn resolve_targets(
    site: &Site<'_>,
    used: &BTreeSet<&TargetName>,
    out: &mut Diagnostics,
) -> BTreeMap<TargetName, ResolvedTarget> {
    let mut targets = BTreeMap::new();
    for name in used {
        let Some((position, target)) = site.targets.get(*name) else {
            continue;
        };
        let snapshot = site.snapshots.get(*name);
        let scratch = snapshot.and_then(|snapshot| snapshot.about.scratch.as_ref());
        let written = target.scratch.capacity.map(|quantity| quantity.0);
        let Some(capacity) = written.or_else(|| scratch.and_then(|scratch| scratch.capacity_bytes))
        else {
            let why = match (snapshot, scratch.map(|scratch| scratch.kind)) {
                (None, _) => "the site gives none and there is no snapshot of it",
                (_, None) => "its snapshot could not read the engine's Deployment",
                (_, Some(ScratchKind::EmptyDir)) => {
                    "it is an emptyDir without limit, on the node's own disk (S02)"
                }
                (_, Some(_)) => "its snapshot does not say",
            };
            out.error(
                site.place(&format!("targets[{position}]")),
                Problem::NoScratchSize {
                    target: name.to_string(),
                    why: Some(why.to_owned()),
                },
            );
            continue;
        };
        targets.insert(
            (*name).clone(),
            ResolvedTarget {
                name: (*name).clone(),
                position: *position,
                cluster_uid: snapshot.map(|snapshot| snapshot.about.cluster_uid.clone()),
                capacity,
                usable: usable(capacity, target),
                storage_class: target.storage_class.clone(),
            },
        );
    }
    targets
}

fn usable(capacity: Bytes, target: &Target) -> Bytes {
    capacity.saturating_sub(target.scratch.reserve.of(capacity))
}
