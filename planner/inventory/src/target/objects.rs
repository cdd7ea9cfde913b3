//! What is in a cluster already: images, claims, imports and sources of the engine. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::DynamicObject;
use schemas::ids::ObjectName;
use schemas::inventory::{TargetClaim, TargetImage, TargetImport, TargetImportDisk, TargetSource};
use schemas::machine::LABEL_MACHINE;
use schemas::units::Bytes;
use schemas::upstream::VirtualMachineImport;
use serde_json::Value;

use super::lines::{has_label, id};
use super::quantity;
use crate::http::shown_text;

/// Of a claim: the image that it came from.
const ANNOTATION_IMAGE: &str = "harvesterhci.io/imageId";
/// Of a claim: it is part of making an image or a scratch of CDI, and goes by itself.
const LABEL_CDI: &str = "app";

/// Disk images.
pub(super) fn images(images: &[DynamicObject]) -> Vec<TargetImage> {
    let mut lines: Vec<TargetImage> = images
        .iter()
        .map(|image| {
            let (spec, status) = (&image.data["spec"], &image.data["status"]);
            let text = |value: &Value| {
                let text = value.as_str().filter(|text| !text.is_empty());
                text.map(str::to_owned)
            };
            let size = |value: &Value| value.as_u64().filter(|size| *size > 0).map(Bytes);
            let holds = |wanted: &str| {
                let conditions = status["conditions"].as_array().into_iter().flatten();
                let mut conditions = conditions;
                conditions.any(|condition| {
                    condition["type"].as_str() == Some(wanted)
                        && condition["status"].as_str() == Some("True")
                })
            };
            let owner = image.metadata.owner_references.iter().flatten();
            let mut owner = owner.filter(|owner| owner.kind == "VirtualMachineImport");
            TargetImage {
                id: id(&image.metadata),
                namespace: image.metadata.namespace.clone().unwrap_or_default().into(),
                display_name: text(&spec["displayName"]).unwrap_or_default(),
                backend: text(&spec["backend"]),
                storage_class: text(&spec["targetStorageClassName"])
                    .or_else(|| text(&spec["storageClassName"]))
                    .map(ObjectName::new),
                image_class: text(&status["storageClassName"]).map(ObjectName::new),
                size_bytes: size(&status["size"]),
                virtual_bytes: size(&status["virtualSize"]),
                imported: holds("Imported"),
                failed: holds("RetryLimitExceeded"),
                deleting: image.metadata.deletion_timestamp.is_some(),
                import: owner.next().map(|owner| ObjectName::new(&owner.name)),
                created: image
                    .metadata
                    .creation_timestamp
                    .as_ref()
                    .map(|time| time.0.to_string()),
                labels: image.metadata.labels.clone().unwrap_or_default(),
            }
        })
        .collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
}

/// Claims, without those that CDI makes for a moment.
pub(super) fn claims(claims: &[PersistentVolumeClaim]) -> Vec<TargetClaim> {
    let passing = |claim: &PersistentVolumeClaim| {
        let labels = claim.metadata.labels.as_ref();
        labels
            .and_then(|labels| labels.get(LABEL_CDI))
            .is_some_and(|app| app == "containerized-data-importer")
    };
    let mut lines: Vec<TargetClaim> = claims
        .iter()
        .filter(|claim| !passing(claim))
        .map(|claim| {
            let spec = claim.spec.clone().unwrap_or_default();
            let requests = spec.resources.and_then(|resources| resources.requests);
            let size = requests.and_then(|requests| quantity::whole(requests.get("storage")?));
            let access: BTreeSet<String> = spec.access_modes.into_iter().flatten().collect();
            let annotations = claim.metadata.annotations.as_ref();
            TargetClaim {
                id: id(&claim.metadata),
                namespace: claim.metadata.namespace.clone().unwrap_or_default().into(),
                name: claim.metadata.name.clone().unwrap_or_default().into(),
                storage_class: spec.storage_class_name.map(ObjectName::new),
                size_bytes: Bytes(size.unwrap_or(0)),
                mode: spec.volume_mode,
                access: access.into_iter().collect(),
                phase: claim
                    .status
                    .as_ref()
                    .and_then(|status| status.phase.clone()),
                image: annotations
                    .and_then(|all| all.get(ANNOTATION_IMAGE))
                    .cloned(),
            }
        })
        .collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
}

/// Imports, also other people's.
pub(super) fn imports(imports: &[VirtualMachineImport]) -> Vec<TargetImport> {
    let mut lines: Vec<_> = imports
        .iter()
        .map(|import| {
            let status = import.status.clone().unwrap_or_default();
            let state = status.import_status.as_str().to_owned();
            let source = &import.spec.source_cluster;
            let disks = status.disk_import_status.into_iter();
            TargetImport {
                id: id(&import.metadata),
                virtual_machine_name: import.spec.virtual_machine_name.clone(),
                source_kind: source.kind.clone(),
                source: Some(format!("{}/{}", source.namespace, source.name)),
                folder: import
                    .spec
                    .folder
                    .clone()
                    .filter(|folder| !folder.is_empty()),
                storage_class: import
                    .spec
                    .storage_class
                    .clone()
                    .filter(|class| !class.is_empty())
                    .map(ObjectName::new),
                ours: has_label(&import.metadata, LABEL_MACHINE),
                state: (!state.is_empty()).then_some(state),
                imported_name: status
                    .imported_virtual_machine_name
                    .filter(|name| !name.is_empty()),
                disks: disks
                    .map(|disk| TargetImportDisk {
                        file: disk.disk_name,
                        image: disk.virtual_machine_image.filter(|name| !name.is_empty()),
                    })
                    .collect(),
            }
        })
        .collect();
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    lines
}

/// Source objects of one kind, unsorted.
pub(super) fn sources(kind: &str, sources: &[DynamicObject]) -> Vec<TargetSource> {
    sources
        .iter()
        .map(|source| {
            let spec = &source.data["spec"];
            let address = spec["endpoint"].as_str().or_else(|| spec["url"].as_str());
            let state = source.data["status"]["status"].as_str();
            TargetSource {
                id: format!("{kind}/{}", id(&source.metadata)),
                kind: kind.to_owned(),
                endpoint: address.map(shown_text).unwrap_or_default(),
                state: state.filter(|state| !state.is_empty()).map(str::to_owned),
                http_timeout_seconds: spec["httpTimeoutSeconds"].as_i64(),
                upload_retry_count: spec["uploadImageRetryCount"].as_i64(),
                upload_retry_seconds: spec["uploadImageRetryDelay"].as_i64(),
            }
        })
        .collect()
}
