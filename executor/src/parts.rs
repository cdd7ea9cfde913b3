//! From Kubernetes objects to the parts of a picture. Pure.

use executor_machine::{Image, Import, Record, SourceObject, SourceSpec, StopMode, TargetMachine};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{Resource, ResourceExt};
use schemas::approval::{ApprovalSpec, WaveApproval};
use schemas::ids::ObjectName;
use schemas::machine::{ANNOTATION_ATTEMPT, LABEL_MACHINE, MachineMigration};
use schemas::plan::{MigrationPlan, PlanStatus};
use schemas::upstream::{
    EngineCondition, LABEL_IMPORTED, OpenstackSource, OvaSource, SourceStatus, VirtualMachine,
    VirtualMachineImage, VirtualMachineImport, VmwareSource,
};
use schemas::wave::{MigrationWave, WaveSpec, WaveStatus};

/// Name under which we write in the API server's book of fields.
pub(crate) const FIELD_MANAGER: &str = "windrow-executor";
/// Finalizer that the engine puts on an import when its worker first meets it.
pub(crate) const ENGINE_FINALIZER: &str = "wrangler.cattle.io/virtualmachine-import-controller";
/// Annotation that wakes the engine by way of an image.
pub(crate) const ANNOTATION_NUDGE: &str = "windrow.dev/nudged";
/// Name of the `ConfigMap` whose existence stops admission.
pub const STOP_NAME: &str = "windrow-stop";
/// Its key for the mode.
pub const STOP_MODE_KEY: &str = "mode";

/// A wave, without what its plan says.
#[derive(Clone, Debug)]
pub(crate) struct WavePart {
    pub spec: WaveSpec,
    pub generation: i64,
    pub status: Option<WaveStatus>,
}

/// What a run needs of a plan.
#[derive(Clone, Debug)]
pub(crate) struct PlanPart {
    pub suspended: bool,
    pub generation: i64,
    pub status: Option<PlanStatus>,
}

pub(crate) fn wave(object: MigrationWave) -> WavePart {
    WavePart {
        generation: object.metadata.generation.unwrap_or_default(),
        spec: object.spec,
        status: object.status,
    }
}

pub(crate) fn plan(object: MigrationPlan) -> PlanPart {
    PlanPart {
        suspended: object.spec.suspend == Some(true),
        generation: object.metadata.generation.unwrap_or_default(),
        status: object.status,
    }
}

pub(crate) fn approval(object: WaveApproval) -> ApprovalSpec {
    object.spec
}

pub(crate) fn record(object: MachineMigration) -> Record {
    // The schema's default gives every record a status at once; attempts are counted from 1, so
    // one that speaks of attempt 0 was written by nobody.
    Record {
        generation: object.metadata.generation.unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        status: object.status.filter(|status| status.attempt > 0),
        spec: object.spec,
    }
}

pub(crate) fn import(object: VirtualMachineImport) -> Import {
    Import {
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        machine: object.labels().get(LABEL_MACHINE).map(ObjectName::new),
        attempt: object
            .annotations()
            .get(ANNOTATION_ATTEMPT)
            .and_then(|n| n.parse().ok()),
        touched: object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == ENGINE_FINALIZER),
        deleting: object.meta().deletion_timestamp.is_some(),
        changed: others_last_write(object.managed_fields()),
        spec: object.spec,
        status: object.status.unwrap_or_default(),
    }
}

pub(crate) fn image(object: VirtualMachineImage) -> Image {
    let nudged = object
        .annotations()
        .get(ANNOTATION_NUDGE)
        .and_then(|text| text.parse().ok());
    let changed = others_last_write(object.managed_fields());
    let status = object.status.unwrap_or_default();
    let holds = |name| {
        status
            .conditions
            .iter()
            .any(|c| c.r#type == name && c.status == "True")
    };
    Image {
        imported: holds("Imported"),
        given_up: holds("RetryLimitExceeded"),
        progress: status.progress,
        nudged,
        changed,
        message: message(&status.conditions),
    }
}

pub(crate) fn machine(object: VirtualMachine) -> TargetMachine {
    let imported = object.labels().contains_key(LABEL_IMPORTED);
    let created = object.creation_timestamp().map(|time| time.0);
    TargetMachine {
        ready: object.status.is_some_and(|status| status.ready),
        imported,
        created,
    }
}

pub(crate) fn vmware(object: VmwareSource) -> SourceObject {
    let created = created(&object);
    source(SourceSpec::Vmware(object.spec), object.status, created)
}

pub(crate) fn openstack(object: OpenstackSource) -> SourceObject {
    let created = created(&object);
    source(SourceSpec::Openstack(object.spec), object.status, created)
}

pub(crate) fn ova(object: OvaSource) -> SourceObject {
    let created = created(&object);
    source(SourceSpec::Ova(object.spec), object.status, created)
}

pub(crate) fn stop(object: ConfigMap) -> StopMode {
    // Its existence stops; made by hand it may well be empty.
    match object
        .data
        .and_then(|mut data| data.remove(STOP_MODE_KEY))
        .as_deref()
    {
        Some("withdraw") => StopMode::Withdraw,
        _ => StopMode::Admit,
    }
}

fn source(
    spec: SourceSpec,
    status: Option<SourceStatus>,
    created: jiff::Timestamp,
) -> SourceObject {
    let status = status.unwrap_or_default();
    SourceObject {
        spec,
        message: message(&status.conditions),
        status: status.status,
        created,
    }
}

/// When somebody other than us last wrote an object.
fn others_last_write(fields: &[ManagedFieldsEntry]) -> Option<jiff::Timestamp> {
    let others = fields
        .iter()
        .filter(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER));
    others
        .filter_map(|entry| entry.time.as_ref())
        .map(|time| time.0)
        .max()
}

fn created<K: Resource>(object: &K) -> jiff::Timestamp {
    object
        .meta()
        .creation_timestamp
        .as_ref()
        .map(|time| time.0)
        .unwrap_or_default()
}

/// The first text that a condition gives: the engine and Harvester write one only on failure.
fn message(conditions: &[EngineCondition]) -> Option<String> {
    conditions
        .iter()
        .find_map(|c| c.message.clone().filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn object<K: DeserializeOwned>(metadata: &Value, spec: &Value, status: &Value) -> K {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "X", "metadata": metadata, "spec": spec, "status": status,
        }))
        .expect("an object")
    }

    // An import of ours, as the engine leaves it after its first look: with its finalizer and with
    // a field of its own in the spec.
    #[test]
    fn imports() {
        let seen = import(object(
            &json!({
                "name": "w00c0ffee1", "namespace": "erp", "uid": "u", "resourceVersion": "7",
                "labels": { "windrow.dev/machine": "erp-00c0ffee" },
                "annotations": { "windrow.dev/attempt": "2" },
                "finalizers": [ENGINE_FINALIZER],
            }),
            &json!({
                "virtualMachineName": "erp", "skipPreflightChecks": null,
                "sourceCluster": { "apiVersion": "v", "kind": "OvaSource", "name": "s", "namespace": "n" },
            }),
            &json!({ "importStatus": "sourceReady" }),
        ));
        assert_eq!(seen.machine, Some("erp-00c0ffee".into()));
        assert_eq!(
            (seen.attempt, seen.touched, seen.deleting),
            (Some(2), true, false)
        );
        assert_eq!(seen.status.import_status.as_str(), "sourceReady");
    }

    // Somebody else's import, without any status yet.
    #[test]
    fn foreign_imports() {
        let seen = import(object(
            &json!({ "name": "theirs", "namespace": "erp", "deletionTimestamp": "2026-11-22T10:00:00Z" }),
            &json!({
                "virtualMachineName": "x",
                "sourceCluster": { "apiVersion": "v", "kind": "OvaSource", "name": "s", "namespace": "n" },
            }),
            &Value::Null,
        ));
        assert_eq!(
            (seen.machine, seen.attempt, seen.touched),
            (None, None, false)
        );
        assert!(seen.deleting);
    }

    // A download that failed is final (S08), and its reason is kept.
    #[test]
    fn images() {
        let seen = image(object(
            &json!({
                "name": "i", "namespace": "erp",
                "annotations": { ANNOTATION_NUDGE: "2026-11-22T10:00:09Z" },
                "managedFields": [
                    { "manager": "harvester", "time": "2026-11-22T10:00:00Z" },
                    { "manager": FIELD_MANAGER, "time": "2026-11-22T10:00:09Z" },
                ],
            }),
            &json!({}),
            &json!({ "progress": 42, "conditions": [
                { "type": "Initialized", "status": "True" },
                { "type": "RetryLimitExceeded", "status": "True", "message": "404 Not Found" },
                { "type": "Imported", "status": "False", "reason": "Importing" },
            ] }),
        ));
        let expected = Image {
            imported: false,
            given_up: true,
            progress: 42,
            nudged: Some("2026-11-22T10:00:09Z".parse().expect("a time")),
            changed: Some("2026-11-22T10:00:00Z".parse().expect("a time")),
            message: Some("404 Not Found".to_owned()),
        };
        assert_eq!(seen, expected);
    }

    // The ConfigMap stops by being there; only a spelt-out mode withdraws.
    #[test]
    fn stops() {
        let with =
            |data: Value| stop(serde_json::from_value(json!({ "data": data })).expect("one"));
        assert_eq!(with(Value::Null), StopMode::Admit);
        assert_eq!(with(json!({ "mode": "typo" })), StopMode::Admit);
        assert_eq!(with(json!({ "mode": "withdraw" })), StopMode::Withdraw);
    }
}
