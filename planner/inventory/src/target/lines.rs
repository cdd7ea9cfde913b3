//! Lines of a target's snapshot, from the cluster's objects. Pure; every list sorted by id.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use schemas::ids::ObjectName;
use schemas::inventory::{LedgerLine, TargetNic, TargetStorageClass, TargetVm};
use schemas::machine::MachineMigration;
use schemas::units::Bytes;
use schemas::upstream::{LABEL_IMPORTED, VirtualMachine};
use serde_json::Value;

use super::quantity;

/// Marks the class that claims without one get.
const ANNOTATION_DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
/// Parameter of the class that Harvester makes for a disk image.
const PARAMETER_IMAGE: &str = "backingImage";

/// `namespace/name`.
pub(super) fn id(metadata: &ObjectMeta) -> String {
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    format!(
        "{}/{}",
        namespace.unwrap_or_default(),
        name.unwrap_or_default()
    )
}

pub(super) fn has_label(metadata: &ObjectMeta, label: &str) -> bool {
    metadata
        .labels
        .as_ref()
        .is_some_and(|labels| labels.contains_key(label))
}

/// The value of a Harvester setting, else its default.
pub(super) fn setting_value(setting: &DynamicObject) -> Option<String> {
    let text = |key| {
        setting
            .data
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    text("value").or_else(|| text("default")).map(str::to_owned)
}

/// Names of the fields in the spec of one of the engine's kinds, which differ by release.
pub(super) fn spec_fields(definition: &CustomResourceDefinition) -> Vec<String> {
    let served = definition
        .spec
        .versions
        .iter()
        .find(|version| version.served);
    let spec = served
        .and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref())
        .and_then(|root| root.properties.as_ref()?.get("spec")?.properties.as_ref());
    spec.map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default()
}

/// Storage classes, without those that Harvester makes for each disk image: they come and go with
/// the images, and no disk of ours is ever asked to be in one.
pub(super) fn storage_classes(
    classes: Vec<StorageClass>,
    capabilities: &BTreeMap<String, Vec<String>>,
) -> Vec<TargetStorageClass> {
    let is_default = |class: &StorageClass| {
        let annotations = class.metadata.annotations.as_ref();
        annotations
            .and_then(|all| all.get(ANNOTATION_DEFAULT_CLASS))
            .is_some_and(|v| v == "true")
    };
    let of_image = |class: &StorageClass| {
        let parameters = class.parameters.as_ref();
        parameters.is_some_and(|parameters| parameters.contains_key(PARAMETER_IMAGE))
    };
    let mut lines: Vec<_> = classes
        .into_iter()
        .filter(|class| !of_image(class))
        .map(|class| TargetStorageClass {
            name: ObjectName::new(class.metadata.name.clone().unwrap_or_default()),
            default: is_default(&class),
            provisioner: class.provisioner,
            parameters: class.parameters.unwrap_or_default(),
            binding_mode: class.volume_binding_mode,
            capabilities: class
                .metadata
                .name
                .and_then(|name| capabilities.get(&name).cloned())
                .unwrap_or_default(),
        })
        .collect();
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    lines
}

/// Namespaces.
pub(super) fn namespaces(namespaces: &[Namespace]) -> Vec<schemas::ids::Namespace> {
    let names = namespaces
        .iter()
        .filter_map(|namespace| namespace.metadata.name.as_deref());
    let names: BTreeSet<_> = names.map(schemas::ids::Namespace::from).collect();
    names.into_iter().collect()
}

/// Machines.
pub(super) fn vms(vms: &[VirtualMachine]) -> Vec<TargetVm> {
    let mut lines: Vec<_> = vms
        .iter()
        .map(|vm| TargetVm {
            id: id(&vm.metadata),
            namespace: vm.metadata.namespace.clone().unwrap_or_default().into(),
            name: vm.metadata.name.clone().unwrap_or_default().into(),
            imported: has_label(&vm.metadata, LABEL_IMPORTED),
            status: vm
                .status
                .as_ref()
                .and_then(|status| status.printable_status.clone()),
            vcpus: vcpus(&vm.spec.template),
            memory_bytes: memory(&vm.spec.template),
            macs: macs(&vm.spec.template),
            nics: nics(vm),
            claims: claims(&vm.spec.template),
            labels: vm.metadata.labels.clone().unwrap_or_default(),
        })
        .collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
}

/// MAC addresses that a machine's template fixes.
fn macs(template: &Value) -> Vec<String> {
    let interfaces = template
        .pointer("/spec/domain/devices/interfaces")
        .and_then(Value::as_array);
    let macs = interfaces
        .into_iter()
        .flatten()
        .filter_map(|nic| nic["macAddress"].as_str());
    let macs: BTreeSet<_> = macs.map(same_spelling).collect();
    macs.into_iter().collect()
}

/// Cores by sockets by threads, as far as the template says.
fn vcpus(template: &Value) -> Option<u32> {
    let cpu = template.pointer("/spec/domain/cpu")?;
    let number = |key: &str| u32::try_from(cpu[key].as_u64().unwrap_or(1)).ok();
    number("cores")?
        .checked_mul(number("sockets")?)?
        .checked_mul(number("threads")?)
}

/// What the guest sees; else what its pod is limited to.
fn memory(template: &Value) -> Option<Bytes> {
    let text = template
        .pointer("/spec/domain/memory/guest")
        .or_else(|| template.pointer("/spec/domain/resources/limits/memory"))?
        .as_str()?;
    quantity::whole(&Quantity(text.to_owned())).map(Bytes)
}

/// Interfaces with the networks that they are plugged into, in the template's order. A name without
/// a namespace is in the machine's own.
fn nics(vm: &VirtualMachine) -> Vec<TargetNic> {
    let list = |pointer: &str| {
        let found = vm.spec.template.pointer(pointer).and_then(Value::as_array);
        found.into_iter().flatten()
    };
    let network = |name: &str| {
        let found =
            list("/spec/networks").find(|network| network["name"].as_str() == Some(name))?;
        let multus = found["multus"]["networkName"].as_str()?;
        let own = vm.metadata.namespace.as_deref().unwrap_or_default();
        Some(if multus.contains('/') {
            multus.to_owned()
        } else {
            format!("{own}/{multus}")
        })
    };
    list("/spec/domain/devices/interfaces")
        .map(|interface| {
            let name = interface["name"].as_str().unwrap_or_default();
            TargetNic {
                name: name.to_owned(),
                mac: interface["macAddress"].as_str().map(same_spelling),
                network: network(name),
            }
        })
        .collect()
}

/// Claims of the machine's volumes, in the template's order.
fn claims(template: &Value) -> Vec<ObjectName> {
    let volumes = template.pointer("/spec/volumes").and_then(Value::as_array);
    volumes
        .into_iter()
        .flatten()
        .filter_map(|volume| {
            let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
            claim.or_else(|| volume["dataVolume"]["name"].as_str())
        })
        .map(ObjectName::from)
        .collect()
}

fn same_spelling(mac: &str) -> String {
    mac.to_ascii_lowercase().replace('-', ":")
}

/// The ledger. A record without a status has an attempt open and nothing seen of it.
pub(super) fn ledger(records: &[MachineMigration]) -> Vec<LedgerLine> {
    let mut lines: Vec<_> = records
        .iter()
        .map(|record| LedgerLine {
            id: id(&record.metadata),
            instance: record.spec.instance.clone(),
            vm: record.spec.vm.clone(),
            stage: record
                .status
                .as_ref()
                .map(|status| status.stage)
                .unwrap_or_default(),
            wave: Some(record.spec.wave.to_string()),
            size: Some(record.spec.size.clone()),
            times: record
                .status
                .as_ref()
                .filter(|status| status.stage == schemas::machine::Stage::Running)
                .map(|status| status.times.clone())
                .unwrap_or_default(),
            gate: record
                .status
                .as_ref()
                .and_then(|status| status.gate.clone())
                .filter(|gate| gate.holds.is_some() || gate.failed.is_some()),
        })
        .collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
}

#[cfg(test)]
mod tests {
    use schemas::machine::Stage;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;

    fn object<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("an object")
    }

    // A foreign import and one of ours are told apart, an empty state is absent, ids sort.
    #[test]
    fn imports_of_both_kinds() {
        let import = |name: &str, labels: Value, status: Value| {
            object(json!({
                "apiVersion": "migration.harvesterhci.io/v1beta1", "kind": "VirtualMachineImport",
                "metadata": {"name": name, "namespace": "erp", "labels": labels},
                "spec": {"virtualMachineName": "db", "sourceCluster": {
                    "apiVersion": "migration.harvesterhci.io/v1beta1", "kind": "VmwareSource",
                    "name": "dc1", "namespace": "erp",
                }},
                "status": status,
            }))
        };
        let running = json!({
            "importStatus": "virtualMachineRunning", "importedVirtualMachineName": "db",
        });
        let lines = super::super::objects::imports(&[
            import("w2", json!({"windrow.dev/machine": "db-0a1b2c3d"}), running),
            import("by-hand", json!({}), json!({})),
        ]);
        let ids: Vec<_> = lines
            .iter()
            .map(|line| (line.id.as_str(), line.ours))
            .collect();
        assert_eq!(ids, [("erp/by-hand", false), ("erp/w2", true)]);
        assert_eq!(lines[0].state, None);
        assert_eq!(lines[1].imported_name.as_deref(), Some("db"));
    }

    // MACs come in every spelling and are compared in one.
    #[test]
    fn machines() {
        let interfaces = json!([{"name": "a", "macAddress": "AA-BB-CC-00-00-02"}, {"macAddress": "aa:bb:cc:00:00:01"}, {}]);
        let networks = json!([{"name": "a", "multus": {"networkName": "lan"}}]);
        let volumes = json!([{"name": "d", "persistentVolumeClaim": {"claimName": "db-0"}}]);
        let cpu = json!({"cores": 4, "sockets": 2});
        let lines = vms(&[object(json!({
            "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
            "metadata": {"name": "db", "namespace": "erp",
                "labels": {"migration.harvesterhci.io/imported": "true"}},
            "spec": {"template": {"spec": {
                "domain": {
                    "cpu": cpu, "memory": {"guest": "2Gi"}, "devices": {"interfaces": interfaces},
                },
                "networks": networks, "volumes": volumes,
            }}},
        }))]);
        assert!(lines[0].imported);
        assert_eq!(lines[0].vcpus, Some(8));
        assert_eq!(lines[0].memory_bytes, Some(Bytes::from_gib(2)));
        assert_eq!(lines[0].claims, ["db-0"]);
        assert_eq!(lines[0].nics[0].network.as_deref(), Some("erp/lan"));
        assert_eq!(lines[0].macs, ["aa:bb:cc:00:00:01", "aa:bb:cc:00:00:02"]);
    }

    // A record that nobody has written a status to has an attempt open: it counts.
    #[test]
    fn records_without_status() {
        let lines = ledger(&[object(json!({
            "apiVersion": "windrow.dev/v1alpha1", "kind": "MachineMigration",
            "metadata": {"name": "db-0a1b2c3d", "namespace": "migrations"},
            "spec": {
                "vm": "cloud/u1", "instance": "p1", "name": "db",
                "plan": "erp", "wave": "erp-010-db", "digest": "sha256:00", "namespace": "erp",
                "machine": "db",
                "size": {"peak": "3Gi", "resident": "2Gi", "transfer": "2Gi", "disks": "2Gi"},
                "attempt": {"number": 1, "import": "w0a1b2c3d1", "opened": "2026-11-28T00:00:00Z"},
            },
        }))]);
        assert_eq!(
            (lines[0].stage, lines[0].wave.as_deref()),
            (Stage::Admitted, Some("erp-010-db"))
        );
    }

    // Classes of single images are no storage to plan with.
    #[test]
    fn classes() {
        let class = |name: &str, parameters: Value, default: &str| {
            object(json!({
                "metadata": {"name": name, "annotations": {
                    "storageclass.kubernetes.io/is-default-class": default,
                }},
                "provisioner": "driver.longhorn.io", "parameters": parameters,
            }))
        };
        let lines = storage_classes(
            vec![
                class("lh-1f75", json!({"backingImage": "vmi-1f75"}), "false"),
                class("harvester-longhorn", json!({}), "true"),
            ],
            &BTreeMap::new(),
        );
        assert_eq!(lines.len(), 1);
        assert!(lines[0].default);
    }
}
