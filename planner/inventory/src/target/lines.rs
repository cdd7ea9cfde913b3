//! Lines of a target's snapshot, from the cluster's objects. Pure; every list sorted by id.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use schemas::ids::ObjectName;
use schemas::inventory::{LedgerLine, TargetImport, TargetStorageClass, TargetVm};
use schemas::machine::{LABEL_MACHINE, MachineMigration};
use schemas::upstream::{LABEL_IMPORTED, VirtualMachine, VirtualMachineImport};
use serde_json::Value;

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

fn has_label(metadata: &ObjectMeta, label: &str) -> bool {
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

/// Names of the fields in the spec of the engine's imports, which differ by release.
pub(super) fn import_fields(definition: &CustomResourceDefinition) -> Vec<String> {
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
pub(super) fn storage_classes(classes: Vec<StorageClass>) -> Vec<TargetStorageClass> {
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
            ..TargetStorageClass::default()
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
            macs: macs(&vm.spec.template),
            ..TargetVm::default()
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
    let macs: BTreeSet<_> = macs
        .map(|mac| mac.to_ascii_lowercase().replace('-', ":"))
        .collect();
    macs.into_iter().collect()
}

/// Imports, also other people's.
pub(super) fn imports(imports: &[VirtualMachineImport]) -> Vec<TargetImport> {
    let mut lines: Vec<_> = imports
        .iter()
        .map(|import| {
            let status = import.status.clone().unwrap_or_default();
            let state = status.import_status.as_str().to_owned();
            TargetImport {
                id: id(&import.metadata),
                virtual_machine_name: import.spec.virtual_machine_name.clone(),
                source_kind: import.spec.source_cluster.kind.clone(),
                ours: has_label(&import.metadata, LABEL_MACHINE),
                state: (!state.is_empty()).then_some(state),
                imported_name: status
                    .imported_virtual_machine_name
                    .filter(|name| !name.is_empty()),
                ..TargetImport::default()
            }
        })
        .collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
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
        let lines = imports(&[
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
        let interfaces =
            json!([{"macAddress": "AA-BB-CC-00-00-02"}, {"macAddress": "aa:bb:cc:00:00:01"}, {}]);
        let lines = vms(&[object(json!({
            "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
            "metadata": {"name": "db", "namespace": "erp",
                "labels": {"migration.harvesterhci.io/imported": "true"}},
            "spec": {"template": {"spec": {"domain": {"devices": {"interfaces": interfaces}}}}},
        }))]);
        assert!(lines[0].imported);
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
        let lines = storage_classes(vec![
            class("lh-1f75", json!({"backingImage": "vmi-1f75"}), "false"),
            class("harvester-longhorn", json!({}), "true"),
        ]);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].default);
    }
}
