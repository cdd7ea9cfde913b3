//! What the engine writes to the API: its finalizer and statuses, images, claims, machines.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, Resource as _, ResourceExt as _};
use schemas::upstream::{
    LABEL_IMPORTED, VirtualMachine, VirtualMachineImage, VirtualMachineImport,
    VirtualMachineImportStatus,
};
use serde_json::{Value, json};

use crate::lookup::Origin;

const FINALIZER: &str = "wrangler.cattle.io/virtualmachine-import-controller";
const LABEL_DISPLAY_NAME: &str = "harvesterhci.io/imageDisplayName";

fn imports(client: &Client, import: &VirtualMachineImport) -> Api<VirtualMachineImport> {
    Api::namespaced(client.clone(), &import.namespace().unwrap_or_default())
}

/// Puts the engine's finalizer on an import, and the null that it writes into the spec beside it,
/// so that generation 2 is normal (P08). Gives the new resource version.
pub(crate) async fn hold(client: &Client, import: &VirtualMachineImport) -> Result<String> {
    let kind = ApiResource::erase::<VirtualMachineImport>(&());
    let namespace = import.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
    let mut object = api.get(&import.name_any()).await?;
    object.finalizers_mut().push(FINALIZER.to_owned());
    object.data["spec"]["skipPreflightChecks"] = Value::Null;
    let name = object.name_any();
    let written = api.replace(&name, &PostParams::default(), &object).await?;
    Ok(written.resource_version().unwrap_or_default())
}

/// Takes the finalizer off, so that the import goes.
pub(crate) async fn let_go(client: &Client, import: &VirtualMachineImport) -> Result<()> {
    let patch = json!({ "metadata": { "finalizers": null } });
    imports(client, import)
        .patch(
            &import.name_any(),
            &PatchParams::default(),
            &Patch::Merge(&patch),
        )
        .await?;
    Ok(())
}

/// Writes an import's status. Gives the new resource version.
pub(crate) async fn write_status(
    client: &Client,
    import: &VirtualMachineImport,
    status: &VirtualMachineImportStatus,
) -> Result<String> {
    let patch = json!({ "status": status });
    let written = imports(client, import)
        .patch_status(
            &import.name_any(),
            &PatchParams::default(),
            &Patch::Merge(&patch),
        )
        .await?;
    Ok(written.resource_version().unwrap_or_default())
}

/// The import's present resource version; none if it is gone.
pub(crate) async fn version(
    client: &Client,
    import: &VirtualMachineImport,
) -> Result<Option<String>> {
    let found = imports(client, import)
        .get_metadata_opt(&import.name_any())
        .await?;
    Ok(found.map(|object| object.resource_version().unwrap_or_default()))
}

/// Creates the image of a raw file, or takes the one that has its display name: also a leftover of
/// another attempt (N07). Gives its name.
pub(crate) async fn create_image(
    client: &Client,
    import: &VirtualMachineImport,
    file: &str,
) -> Result<String> {
    let api: Api<DynamicObject> = images(client, import);
    let display = format!("vm-import-{}-{file}", import.name_any());
    let label: String = display.chars().take(63).collect();
    let params = kube::api::ListParams::default().labels(&format!("{LABEL_DISPLAY_NAME}={label}"));
    if let Some(there) = api.list(&params).await?.items.first() {
        return Ok(there.name_any());
    }
    let host = std::env::var("SVC_ADDRESS").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let class = import.spec.storage_class.as_deref().unwrap_or_default();
    let image = json!({
        "apiVersion": "harvesterhci.io/v1beta1",
        "kind": "VirtualMachineImage",
        "metadata": {
            "generateName": "image-",
            "labels": { LABEL_IMPORTED: "true", LABEL_DISPLAY_NAME: label },
            "annotations": { "harvesterhci.io/storageClassName": class },
            "ownerReferences": [{
                "apiVersion": "migration.harvesterhci.io/v1beta1",
                "kind": "VirtualMachineImport",
                "name": import.name_any(),
                "uid": import.uid(),
            }],
        },
        "spec": {
            "displayName": display,
            "sourceType": "download",
            "url": format!("http://{host}:8080/{file}"),
            "retry": 0,
            "backend": "backingimage",
            "targetStorageClassName": class,
        },
    });
    let made = api
        .create(&PostParams::default(), &serde_json::from_value(image)?)
        .await
        .context("create an image")?;
    Ok(made.name_any())
}

/// An image as it is.
pub(crate) async fn image(
    client: &Client,
    import: &VirtualMachineImport,
    name: &str,
) -> Result<Option<VirtualMachineImage>> {
    let api: Api<VirtualMachineImage> =
        Api::namespaced(client.clone(), &import.namespace().unwrap_or_default());
    Ok(api.get_opt(name).await?)
}

/// Takes the import's ownership off its images, so that they stay when it goes.
pub(crate) async fn disown_image(
    client: &Client,
    import: &VirtualMachineImport,
    name: &str,
) -> Result<()> {
    let patch = json!({ "metadata": { "ownerReferences": null } });
    images(client, import)
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(())
}

fn images(client: &Client, import: &VirtualMachineImport) -> Api<DynamicObject> {
    let kind = ApiResource::erase::<VirtualMachineImage>(&());
    Api::namespaced_with(
        client.clone(),
        &import.namespace().unwrap_or_default(),
        &kind,
    )
}

/// A machine as it is.
pub(crate) async fn machine(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<VirtualMachine>> {
    let api: Api<VirtualMachine> = Api::namespaced(client.clone(), namespace);
    Ok(api.get_opt(name).await?)
}

/// Creates claims and machine; nothing where the engine made one of that name before (N01).
pub(crate) async fn create_machine(
    client: &Client,
    import: &VirtualMachineImport,
    name: &str,
    disks: &[String],
    origin: &Origin,
) -> Result<()> {
    let namespace = import.namespace().unwrap_or_default();
    for disk in disks {
        create_claim(client, import, disk).await?;
    }
    let there = machine(client, &namespace, name).await?;
    if there.is_some_and(|machine| machine.meta().labels.as_ref().is_some_and(is_imported)) {
        return Ok(());
    }
    let kind = ApiResource::erase::<VirtualMachine>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
    let object = machine_object(import, name, disks, origin);
    api.create(&PostParams::default(), &serde_json::from_value(object)?)
        .await
        .context("create a machine")?;
    Ok(())
}

fn is_imported(labels: &std::collections::BTreeMap<String, String>) -> bool {
    labels
        .get(LABEL_IMPORTED)
        .is_some_and(|value| value == "true")
}

async fn create_claim(client: &Client, import: &VirtualMachineImport, image: &str) -> Result<()> {
    let namespace = import.namespace().unwrap_or_default();
    let found = images(client, import).get(image).await?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);
    if claims.get_opt(image).await?.is_some() || found.data["spec"]["backend"] != "backingimage" {
        return Ok(());
    }
    let size = found.data["status"]["size"].as_i64().unwrap_or_default();
    let claim = json!({
        "metadata": {
            "name": image,
            "annotations": { "harvesterhci.io/imageId": format!("{namespace}/{image}") },
        },
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "volumeMode": "Block",
            "storageClassName": found.data["status"]["storageClassName"],
            "resources": { "requests": { "storage": size.to_string() } },
        },
    });
    claims
        .create(&PostParams::default(), &serde_json::from_value(claim)?)
        .await
        .context("create a claim")?;
    Ok(())
}

/// The machine as the engine shapes it: memory in units of 10⁶ (T02), only the NICs whose network
/// is mapped, one on the pod network where none is (W01, W02).
fn machine_object(
    import: &VirtualMachineImport,
    name: &str,
    disks: &[String],
    origin: &Origin,
) -> Value {
    let mut interfaces = Vec::new();
    let mut networks = Vec::new();
    for nic in &origin.vm.nics {
        let mapped =
            import.spec.network_mapping.iter().find(|mapping| {
                nic.network_name.as_deref() == Some(mapping.source_network.as_str())
            });
        if let Some(mapping) = mapped {
            let label = format!("migrated-{}", interfaces.len());
            let model = mapping
                .network_interface_model
                .as_deref()
                .unwrap_or("virtio");
            interfaces.push(json!({
                "name": label, "bridge": {}, "macAddress": nic.mac, "model": model,
            }));
            let to = &mapping.destination_network;
            networks.push(json!({ "name": label, "multus": { "networkName": to } }));
        }
    }
    if interfaces.is_empty() {
        interfaces.push(json!({ "name": "pod-network", "masquerade": {} }));
        networks.push(json!({ "name": "pod-network", "pod": {} }));
    }
    let devices: Vec<Value> = (1..=disks.len())
        .map(|order| json!({ "name": format!("disk-{}", order - 1), "bootOrder": order, "disk": { "bus": "virtio" } }))
        .collect();
    let volumes: Vec<Value> = disks
        .iter()
        .enumerate()
        .map(|(index, claim)| json!({ "name": format!("disk-{index}"), "persistentVolumeClaim": { "claimName": claim } }))
        .collect();
    json!({
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {
            "name": name,
            "namespace": import.namespace(),
            "labels": { LABEL_IMPORTED: "true" },
        },
        "spec": {
            "runStrategy": "RerunOnFailure",
            "template": { "spec": {
                "domain": {
                    "cpu": { "cores": origin.vm.vcpus, "sockets": 1, "threads": 1 },
                    "memory": { "guest": format!("{}M", origin.vm.memory_mib.unwrap_or_default()) },
                    "devices": { "disks": devices, "interfaces": interfaces },
                },
                "networks": networks,
                "volumes": volumes,
                "evictionStrategy": "LiveMigrateIfPossible",
            }},
        },
    })
}
