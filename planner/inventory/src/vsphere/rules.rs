//! What ties VMs together: a cluster's rules and restart priorities, and a vApp's start order.
//!
//! Takes the configuration of clusters and vApps while it is read, as references; gives
//! [`Rule`]s about the VMs of one snapshot once their ids are known. Members that are not in the
//! snapshot are left out, and a rule without members with them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::VmId;
use schemas::inventory::{Rule, RuleKind};

use super::places::{Kind, Places};
use super::properties::Object;
use crate::xml::Element;

/// vApps inside vApps that are followed; deeper only in a loop, which no server should have.
const DEPTH_MAX: usize = 64;

/// A cluster's rules as it has them: members are references, groups are resolved.
#[derive(Debug, Default)]
pub(crate) struct ClusterRules(Vec<Raw>);

/// One of them.
#[derive(Debug, Default)]
struct Raw {
    /// Unique in its cluster.
    key: String,
    kind: RuleKind,
    name: Option<String>,
    members: Vec<String>,
    after: Vec<String>,
    hosts: Vec<String>,
    not_hosts: Vec<String>,
    priority: Option<String>,
    mandatory: Option<bool>,
    enabled: bool,
}

/// One VM or vApp in a vApp's start order.
#[derive(Debug)]
pub(crate) struct StartOrder {
    /// Its reference.
    member: String,
    order: u32,
    delay_seconds: u32,
    waits_for_guest: bool,
}

impl ClusterRules {
    /// Reads `configurationEx` of a cluster.
    pub(crate) fn new(cluster: &Object<'_>) -> Self {
        let Some(config) = cluster.get("configurationEx") else {
            return Self::default();
        };
        let groups: BTreeMap<&str, Element<'_>> = config
            .all("group")
            .filter_map(|group| Some((group.text_of("name")?, group)))
            .collect();
        let members = |name: Option<&str>, what: &str| -> Vec<String> {
            let group = name.and_then(|name| groups.get(name));
            group.map_or_else(Vec::new, |group| texts(*group, what))
        };
        let mut rules: Vec<Raw> = config
            .all("rule")
            .filter_map(|rule| placement(rule, &members))
            .collect();
        rules.extend(config.all("dasVmConfig").filter_map(priority));
        Self(rules)
    }
}

/// An affinity, anti-affinity, host or dependency rule; `None` for kinds that say nothing of VMs.
fn placement(
    rule: Element<'_>,
    members: &impl Fn(Option<&str>, &str) -> Vec<String>,
) -> Option<Raw> {
    let group = |of: &str, what| members(rule.text_of(of), what);
    let raw = match rule.class()? {
        "ClusterAffinityRuleSpec" => Raw {
            kind: RuleKind::Affinity,
            members: texts(rule, "vm"),
            ..Raw::default()
        },
        "ClusterAntiAffinityRuleSpec" => Raw {
            kind: RuleKind::AntiAffinity,
            members: texts(rule, "vm"),
            ..Raw::default()
        },
        "ClusterVmHostRuleInfo" => Raw {
            kind: RuleKind::VmHost,
            members: group("vmGroupName", "vm"),
            hosts: group("affineHostGroupName", "host"),
            not_hosts: group("antiAffineHostGroupName", "host"),
            ..Raw::default()
        },
        "ClusterDependencyRuleInfo" => Raw {
            kind: RuleKind::Depends,
            members: group("vmGroup", "vm"),
            after: group("dependsOnVmGroup", "vm"),
            ..Raw::default()
        },
        _ => return None,
    };
    let key = rule.text_of("ruleUuid").or_else(|| rule.text_of("key"))?;
    Some(Raw {
        key: key.to_owned(),
        name: rule.text_of("name").map(str::to_owned),
        mandatory: rule.value("mandatory"),
        enabled: rule.value("enabled").unwrap_or(true),
        ..raw
    })
}

/// The restart priority of one VM, where it is not its cluster's.
fn priority(config: Element<'_>) -> Option<Raw> {
    let settings = config.child("dasSettings");
    let own = settings.and_then(|settings| settings.text_of("restartPriority"));
    let priority = own.or_else(|| config.text_of("restartPriority"))?;
    let vm = config.text_of("key")?;
    (priority != "clusterRestartPriority").then(|| Raw {
        key: format!("restart-priority:{vm}"),
        kind: RuleKind::RestartPriority,
        members: vec![vm.to_owned()],
        priority: Some(priority.to_owned()),
        enabled: true,
        ..Raw::default()
    })
}

fn texts(element: Element<'_>, name: &str) -> Vec<String> {
    element.all(name).map(|one| one.text().to_owned()).collect()
}

impl StartOrder {
    /// Reads the members of `entityConfig` of a vApp; those that it does not start are left out.
    pub(crate) fn list<'a>(entities: impl Iterator<Item = Element<'a>>) -> Vec<Self> {
        let starts = |entity: &Element<'_>| entity.text_of("startAction") != Some("none");
        let order = |entity: Element<'_>| {
            Some(Self {
                member: entity.text_of("key")?.to_owned(),
                order: entity.value("startOrder")?,
                delay_seconds: entity.value("startDelay").unwrap_or_default(),
                waits_for_guest: entity.value("waitingForGuest").unwrap_or_default(),
            })
        };
        entities.filter(starts).filter_map(order).collect()
    }
}

/// All rules about the VMs of a snapshot: `vms` are their ids by reference, `in_vapps` the
/// references of the VMs right in each vApp.
pub(crate) fn rules(
    places: &Places,
    vms: &BTreeMap<&str, &VmId>,
    in_vapps: &BTreeMap<&str, Vec<&str>>,
) -> Vec<Rule> {
    let ids = |references: &mut dyn Iterator<Item = &str>| -> Vec<VmId> {
        let ids: BTreeSet<&VmId> = references
            .filter_map(|reference| vms.get(reference).copied())
            .collect();
        ids.into_iter().cloned().collect()
    };
    let of_list = |list: &[String]| ids(&mut list.iter().map(String::as_str));
    let mut rules = Vec::new();
    for (id, spot) in places.iter() {
        match &spot.kind {
            Kind::Cluster(ClusterRules(list)) => {
                rules.extend(list.iter().map(|raw| Rule {
                    id: format!("{id}:{}", raw.key),
                    kind: raw.kind,
                    name: raw.name.clone(),
                    members: of_list(&raw.members),
                    after: of_list(&raw.after),
                    hosts: sorted(&raw.hosts),
                    not_hosts: sorted(&raw.not_hosts),
                    priority: raw.priority.clone(),
                    mandatory: raw.mandatory,
                    enabled: raw.enabled,
                    origin: format!("cluster:{}", spot.name),
                    ..Rule::default()
                }));
            }
            Kind::Vapp(_, entities) => {
                let started = |entity: &StartOrder| {
                    let mut members = BTreeSet::new();
                    collect_vms(places, in_vapps, &entity.member, 0, &mut members);
                    ids(&mut members.into_iter())
                };
                rules.extend(start_order(id, &spot.name, entities, started));
            }
            _ => {}
        }
    }
    rules.retain(|rule| !rule.members.is_empty());
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    rules
}

/// One rule for each step of a vApp's start order.
fn start_order(
    vapp: &str,
    name: &str,
    entities: &[StartOrder],
    started: impl Fn(&StartOrder) -> Vec<VmId>,
) -> Vec<Rule> {
    let mut steps: BTreeMap<u32, Rule> = BTreeMap::new();
    for entity in entities {
        let step = steps.entry(entity.order).or_insert_with(|| Rule {
            id: format!("{vapp}:start-order:{}", entity.order),
            kind: RuleKind::StartOrder,
            name: Some(name.to_owned()),
            order: Some(entity.order),
            enabled: true,
            origin: format!("vapp:{name}"),
            ..Rule::default()
        });
        step.members.extend(started(entity));
        step.delay_seconds = step
            .delay_seconds
            .max(Some(entity.delay_seconds).filter(|delay| *delay > 0));
        step.waits_for_guest |= entity.waits_for_guest;
    }
    let mut before: Vec<VmId> = Vec::new();
    let mut rules = Vec::new();
    for mut step in steps.into_values() {
        step.members.sort();
        step.members.dedup();
        if !step.members.is_empty() {
            step.after = std::mem::replace(&mut before, step.members.clone());
            rules.push(step);
        }
    }
    rules
}

/// A VM itself, or all VMs in a vApp and in the vApps in it.
fn collect_vms<'a>(
    places: &'a Places,
    in_vapps: &BTreeMap<&'a str, Vec<&'a str>>,
    id: &'a str,
    depth: usize,
    found: &mut BTreeSet<&'a str>,
) {
    let is_vapp = |spot: &super::places::Spot| matches!(spot.kind, Kind::Vapp(..));
    if !places.find(id).is_some_and(is_vapp) {
        found.insert(id);
        return;
    }
    found.extend(in_vapps.get(id).into_iter().flatten());
    if depth < DEPTH_MAX {
        let below = places
            .iter()
            .filter(|(_, spot)| is_vapp(spot) && spot.parent.as_deref() == Some(id));
        for (inner, _) in below {
            collect_vms(places, in_vapps, inner, depth + 1, found);
        }
    }
}

fn sorted(list: &[String]) -> Vec<String> {
    let set: BTreeSet<&String> = list.iter().collect();
    set.into_iter().cloned().collect()
}
