//! What a cluster has room for: nodes, quotas, Longhorn, networks, classes' abilities. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod, ResourceQuota};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::DynamicObject;
use schemas::inventory::{
    Overcommit, TargetDisk, TargetLonghorn, TargetNetwork, TargetNode, TargetQuota,
};
use schemas::units::{Bytes, GIB};
use serde_json::Value;

use super::lines::id;
use super::quantity;

/// Labels and annotation of Harvester's networks.
const NETWORK: &str = "network.harvesterhci.io";

/// Nodes with what their pods have asked for; `None`: pods may not be listed.
pub(super) fn nodes(nodes: &[Node], pods: Option<&[Pod]>) -> Vec<TargetNode> {
    let mut reserved: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for pod in pods.into_iter().flatten() {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) else {
            continue;
        };
        if matches!(phase, Some("Succeeded" | "Failed")) {
            continue;
        }
        let (cpu, memory) = requests(pod);
        let sum = reserved.entry(node).or_default();
        *sum = (sum.0 + cpu, sum.1 + memory);
    }
    let mut lines: Vec<TargetNode> = nodes
        .iter()
        .map(|node| {
            let name = node.metadata.name.clone().unwrap_or_default();
            let status = node.status.clone().unwrap_or_default();
            let room = status.allocatable.unwrap_or_default();
            let (cpu, memory) = reserved.get(name.as_str()).copied().unwrap_or_default();
            let ready = status.conditions.iter().flatten();
            TargetNode {
                ready: ready
                    .into_iter()
                    .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
                schedulable: !node
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.unschedulable)
                    .unwrap_or(false),
                cpu_milli: room.get("cpu").and_then(quantity::milli).unwrap_or(0),
                memory_bytes: Bytes(room.get("memory").and_then(quantity::whole).unwrap_or(0)),
                cpu_reserved_milli: pods.map(|_| cpu),
                memory_reserved_bytes: pods.map(|_| Bytes(memory)),
                devices: devices(&room),
                name,
            }
        })
        .collect();
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    lines
}

/// What a pod has asked for: the sum of its containers, or what one that runs before them needs if
/// that is more, and its overhead. See "Resource management for pods" in Kubernetes' documentation.
fn requests(pod: &Pod) -> (u64, u64) {
    let Some(spec) = &pod.spec else {
        return (0, 0);
    };
    let of = |container: &k8s_openapi::api::core::v1::Container| {
        let requests = container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.clone())
            .unwrap_or_default();
        (
            requests.get("cpu").and_then(quantity::milli).unwrap_or(0),
            requests
                .get("memory")
                .and_then(quantity::whole)
                .unwrap_or(0),
        )
    };
    let sum = |a: (u64, u64), b: (u64, u64)| (a.0 + b.0, a.1 + b.1);
    let (mut running, mut peak) = ((0, 0), (0, 0));
    for container in spec.init_containers.iter().flatten() {
        let asked = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            running = sum(running, asked);
            peak = (peak.0.max(running.0), peak.1.max(running.1));
        } else {
            let with = sum(running, asked);
            peak = (peak.0.max(with.0), peak.1.max(with.1));
        }
    }
    let all = spec.containers.iter().map(of).fold(running, sum);
    let overhead = spec.overhead.clone().unwrap_or_default();
    (
        all.0.max(peak.0) + overhead.get("cpu").and_then(quantity::milli).unwrap_or(0),
        all.1.max(peak.1)
            + overhead
                .get("memory")
                .and_then(quantity::whole)
                .unwrap_or(0),
    )
}

/// What else a node offers by name: GPUs and other devices.
fn devices(room: &BTreeMap<String, Quantity>) -> BTreeMap<String, u64> {
    let own = |name: &str| name.contains('/') && !name.starts_with("devices.kubevirt.io/");
    room.iter()
        .filter(|(name, _)| own(name))
        .filter_map(|(name, amount)| Some((name.clone(), quantity::whole(amount)?)))
        .filter(|(_, amount)| *amount > 0)
        .collect()
}

/// Quotas of Kubernetes.
pub(super) fn quotas(quotas: &[ResourceQuota]) -> Vec<TargetQuota> {
    let amounts = |amounts: Option<&BTreeMap<String, Quantity>>| -> BTreeMap<String, u64> {
        amounts
            .into_iter()
            .flatten()
            .filter_map(|(name, amount)| Some((name.clone(), amount_of(name, amount)?)))
            .collect()
    };
    let mut lines: Vec<TargetQuota> = quotas
        .iter()
        .map(|quota| {
            let status = quota.status.as_ref();
            let spec = quota.spec.as_ref();
            TargetQuota {
                namespace: quota.metadata.namespace.clone().unwrap_or_default().into(),
                name: quota.metadata.name.clone().unwrap_or_default(),
                hard: amounts(spec.and_then(|spec| spec.hard.as_ref())),
                used: amounts(status.and_then(|status| status.used.as_ref())),
            }
        })
        .collect();
    lines.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    lines
}

/// CPU in thousandths, anything else whole.
fn amount_of(name: &str, amount: &Quantity) -> Option<u64> {
    if name.rsplit('.').next() == Some("cpu") {
        quantity::milli(amount)
    } else {
        quantity::whole(amount)
    }
}

/// Harvester's setting `overcommit-config`: `{"cpu":1600,"memory":150,"storage":200}`.
pub(super) fn overcommit(text: &str) -> Option<Overcommit> {
    let value: Value = serde_json::from_str(text).ok()?;
    let percent = |key: &str| u32::try_from(value[key].as_u64()?).ok();
    Some(Overcommit {
        cpu_percent: percent("cpu")?,
        memory_percent: percent("memory")?,
        storage_percent: percent("storage")?,
    })
}

/// Longhorn's settings, which are texts.
pub(super) fn longhorn(settings: &[DynamicObject]) -> TargetLonghorn {
    let text = |name: &str| {
        let setting = settings
            .iter()
            .find(|setting| setting.metadata.name.as_deref() == Some(name))?;
        setting.data["value"].as_str()
    };
    // Since 1.10 a number may differ by engine: `{"v1":"3","v2":"3"}`.
    let number = |name: &str| {
        let text = text(name)?;
        let of_v1 = serde_json::from_str::<Value>(text).ok();
        let of_v1 = of_v1.as_ref().and_then(|value| value["v1"].as_str());
        of_v1.unwrap_or(text).parse().ok()
    };
    TargetLonghorn {
        version: text("current-longhorn-version").map(str::to_owned),
        over_provisioning_percent: number("storage-over-provisioning-percentage"),
        minimal_available_percent: number("storage-minimal-available-percentage"),
        default_replicas: number("default-replica-count"),
    }
}

/// Longhorn's disks, from its nodes: the spec says what may be, the status what is.
pub(super) fn disks(nodes: &[DynamicObject]) -> Vec<TargetDisk> {
    let mut lines = Vec::new();
    for node in nodes {
        let name = node.metadata.name.clone().unwrap_or_default();
        let (spec, status) = (&node.data["spec"], &node.data["status"]);
        let node_takes = spec["allowScheduling"].as_bool().unwrap_or(true)
            && condition(&status["conditions"], "Ready")
            && condition(&status["conditions"], "Schedulable");
        for (key, disk) in spec["disks"].as_object().into_iter().flatten() {
            let now = &status["diskStatus"][key];
            let bytes = |value: &Value| Bytes(value.as_u64().unwrap_or(0));
            let takes = disk["allowScheduling"].as_bool().unwrap_or(true)
                && !disk["evictionRequested"].as_bool().unwrap_or(false)
                && condition(&now["conditions"], "Schedulable");
            let tags = disk["tags"].as_array().into_iter().flatten();
            let tags: BTreeSet<&str> = tags.filter_map(Value::as_str).collect();
            lines.push(TargetDisk {
                id: format!("{name}/{key}"),
                node: name.clone(),
                schedulable: node_takes && takes,
                capacity_bytes: bytes(&now["storageMaximum"]),
                reserved_bytes: bytes(&disk["storageReserved"]),
                scheduled_bytes: bytes(&now["storageScheduled"]),
                available_bytes: Bytes(bytes(&now["storageAvailable"]).0 / GIB * GIB),
                tags: tags.into_iter().map(str::to_owned).collect(),
            });
        }
    }
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
}

/// Whether a condition holds; one that is not told does.
fn condition(conditions: &Value, wanted: &str) -> bool {
    let found = conditions
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"].as_str() == Some(wanted));
    found.is_none_or(|condition| condition["status"].as_str() == Some("True"))
}

/// Networks that machines can be attached to.
pub(super) fn networks(definitions: &[DynamicObject]) -> Vec<TargetNetwork> {
    let mut lines: Vec<TargetNetwork> = definitions
        .iter()
        .map(|definition| {
            let label = |key: &str| {
                let labels = definition.metadata.labels.as_ref()?;
                labels.get(&format!("{NETWORK}/{key}")).cloned()
            };
            let config = definition.data["spec"]["config"]
                .as_str()
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
                .unwrap_or_default();
            let annotations = definition.metadata.annotations.as_ref();
            let route = annotations
                .and_then(|all| all.get(&format!("{NETWORK}/route")))
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
                .unwrap_or_default();
            let of_route = |key: &str| {
                let text = route[key].as_str().filter(|text| !text.is_empty());
                text.map(str::to_owned)
            };
            let vlan = config["vlan"]
                .as_u64()
                .and_then(|id| u16::try_from(id).ok());
            TargetNetwork {
                id: id(&definition.metadata),
                kind: label("type"),
                vlan: vlan
                    .or_else(|| label("vlan-id")?.parse().ok())
                    .filter(|id| *id > 0),
                mtu: config["mtu"]
                    .as_u64()
                    .and_then(|mtu| u32::try_from(mtu).ok())
                    .filter(|mtu| *mtu > 0),
                cluster_network: label("clusternetwork"),
                cidr: of_route("cidr"),
                gateway: of_route("gateway"),
                route_mode: of_route("mode"),
            }
        })
        .collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
}

/// By class: what CDI's profiles say that its volumes can be.
pub(super) fn capabilities(profiles: &[DynamicObject]) -> BTreeMap<String, Vec<String>> {
    profiles
        .iter()
        .map(|profile| {
            let sets = profile.data["status"]["claimPropertySets"].as_array();
            let mut all = BTreeSet::new();
            for set in sets.into_iter().flatten() {
                let mode = set["volumeMode"].as_str().unwrap_or("Filesystem");
                let access = set["accessModes"].as_array().into_iter().flatten();
                all.extend(
                    access
                        .filter_map(Value::as_str)
                        .map(|access| format!("{access}/{mode}")),
                );
            }
            let name = profile.metadata.name.clone().unwrap_or_default();
            (name, all.into_iter().collect())
        })
        .collect()
}

/// Bytes that lie in the engine's scratch, as its node's kubelet tells of its pod's volume.
pub(super) fn scratch_used(summary: &Value, pod: &str, volume: &str) -> Option<Bytes> {
    let pods = summary["pods"].as_array()?;
    let found = pods
        .iter()
        .find(|known| known["podRef"]["name"].as_str() == Some(pod))?;
    let volumes = found["volume"].as_array()?;
    let volume = volumes
        .iter()
        .find(|known| known["name"].as_str() == Some(volume))?;
    Some(Bytes(volume["usedBytes"].as_u64()?.div_ceil(GIB) * GIB))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;

    fn object<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("an object")
    }

    // A node's room is what its pods leave of it: finished ones ask for nothing, one that runs
    // before the others counts if it asks for more; without a list of pods nothing is said.
    #[test]
    fn room_of_nodes() {
        let node: Node = object(json!({
            "metadata": {"name": "n1"}, "spec": {"unschedulable": true},
            "status": {
                "allocatable": {"cpu": "7910m", "memory": "30Gi", "pods": "110",
                    "nvidia.com/gpu": "2", "devices.kubevirt.io/kvm": "1k"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }));
        let pod = |phase: &str| -> Pod {
            object(json!({
                "metadata": {"name": "p"}, "status": {"phase": phase},
                "spec": {"nodeName": "n1", "overhead": {"memory": "64Mi"},
                    "containers": [
                        {"name": "a", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
                        {"name": "b", "resources": {"requests": {"cpu": "500m"}}},
                    ],
                    "initContainers": [
                        {"name": "i", "resources": {"requests": {"cpu": "2"}}},
                    ]},
            }))
        };
        let lines = nodes(
            std::slice::from_ref(&node),
            Some(&[pod("Running"), pod("Succeeded")]),
        );
        let line = &lines[0];
        assert!(line.ready && !line.schedulable);
        assert_eq!(
            (line.cpu_milli, line.cpu_reserved_milli),
            (7910, Some(2000))
        );
        assert_eq!(line.memory_reserved_bytes, Some(Bytes(1088 << 20)));
        assert_eq!(line.devices, [("nvidia.com/gpu".to_owned(), 2)].into());
        assert_eq!(nodes(&[node], None)[0].cpu_reserved_milli, None);
    }

    // Longhorn's texts are numbers, in both their forms; a disk takes replicas only if it, its node
    // and their conditions allow that.
    #[test]
    fn storage() {
        let setting = |name: &str, value: &str| -> DynamicObject {
            object(json!({"metadata": {"name": name}, "value": value}))
        };
        let about = longhorn(&[
            setting("default-replica-count", r#"{"v1":"3","v2":"2"}"#),
            setting("storage-over-provisioning-percentage", "200"),
        ]);
        assert_eq!(about.default_replicas, Some(3));
        assert_eq!(about.over_provisioning_percent, Some(200));
        assert_eq!(about.minimal_available_percent, None);
        let node: DynamicObject = object(json!({
            "metadata": {"name": "n1"},
            "spec": {"allowScheduling": true, "disks": {
                "a": {"allowScheduling": true, "storageReserved": 1024, "tags": ["ssd"]},
                "b": {"allowScheduling": false},
            }},
            "status": {"diskStatus": {"a": {
                "storageMaximum": 10 * GIB, "storageScheduled": GIB,
                "storageAvailable": 3 * GIB + 5,
                "conditions": [{"type": "Schedulable", "status": "True"}],
            }}},
        }));
        let lines = disks(&[node]);
        assert_eq!(lines[0].available_bytes, Bytes(3 * GIB));
        assert_eq!((lines[0].schedulable, lines[1].schedulable), (true, false));
    }

    // A network's VLAN stands in its configuration, its addresses in Harvester's route.
    #[test]
    fn networks_of_harvester() {
        let network: DynamicObject = object(json!({
            "metadata": {"name": "lan", "namespace": "default",
                "labels": {"network.harvesterhci.io/type": "L2VlanNetwork",
                    "network.harvesterhci.io/clusternetwork": "mgmt"},
                "annotations": {"network.harvesterhci.io/route":
                    r#"{"mode":"manual","cidr":"10.1.0.0/24","gateway":"10.1.0.1"}"#}},
            "spec": {"config": r#"{"type":"bridge","bridge":"mgmt-br","vlan":10,"mtu":9000}"#},
        }));
        let lines = networks(&[network]);
        assert_eq!((lines[0].vlan, lines[0].mtu), (Some(10), Some(9000)));
        assert_eq!(lines[0].cidr.as_deref(), Some("10.1.0.0/24"));
        assert_eq!(lines[0].cluster_network.as_deref(), Some("mgmt"));
    }

    // A quota counts CPU in thousandths and all else whole.
    #[test]
    fn quotas_of_namespaces() {
        let quota: ResourceQuota = object(json!({
            "metadata": {"name": "q", "namespace": "erp"},
            "spec": {"hard": {"limits.cpu": "8", "requests.storage": "1Ti", "pods": "20"}},
            "status": {"used": {"limits.cpu": "1500m"}},
        }));
        let line = &quotas(&[quota])[0];
        assert_eq!(line.hard["limits.cpu"], 8000);
        assert_eq!(line.hard["requests.storage"], 1 << 40);
        assert_eq!(line.used["limits.cpu"], 1500);
    }
}
