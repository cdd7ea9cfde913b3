//! The engine's own kinds, which it installs itself, with the fields that v1.8.1 has.

use anyhow::{Context as _, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

/// Who writes here.
pub(crate) const MANAGER: &str = "vm-import-controller";

/// Installs the four kinds, and waits until the API server serves them.
pub(crate) async fn install(client: &kube::Client) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let text = json!({ "type": "string", "nullable": true });
    let secret = json!({
        "type": "object", "nullable": true,
        "properties": { "name": text, "namespace": text },
    });
    let import = json!({
        "sourceCluster": { "type": "object", "properties": {
            "apiVersion": text, "kind": text, "name": text, "namespace": text,
        }},
        "virtualMachineName": text,
        "folder": text,
        "networkMapping": { "type": "array", "nullable": true, "items": { "type": "object", "properties": {
            "sourceNetwork": text, "destinationNetwork": text, "networkInterfaceModel": text,
        }}},
        "defaultNetworkInterfaceModel": text,
        "storageClass": text,
        "defaultDiskBusType": text,
        "forcePowerOff": { "type": "boolean", "nullable": true },
        "gracefulShutdownTimeoutSeconds": { "type": "integer" },
        "skipPreflightChecks": { "type": "boolean", "nullable": true },
    });
    let kinds = [
        ("VirtualMachineImport", import, ".status.importStatus"),
        (
            "VmwareSource",
            json!({ "endpoint": text, "dc": text, "credentials": secret }),
            ".status.status",
        ),
        (
            "OpenstackSource",
            json!({
                "endpoint": text, "region": text, "credentials": secret,
                "uploadImageRetryCount": { "type": "integer" },
                "uploadImageRetryDelay": { "type": "integer" },
            }),
            ".status.status",
        ),
        (
            "OvaSource",
            json!({
                "url": text, "credentials": secret,
                "httpTimeoutSeconds": { "type": "integer", "nullable": true },
            }),
            ".status.status",
        ),
    ];
    for (kind, fields, status) in kinds {
        let definition = definition(kind, &fields, status);
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        let params = PatchParams::apply(MANAGER).force();
        api.patch(name, &params, &Patch::Apply(&definition))
            .await
            .with_context(|| format!("install the kind {kind}"))?;
        kube::runtime::wait::await_condition(
            api.clone(),
            name,
            kube::runtime::conditions::is_crd_established(),
        )
        .await
        .with_context(|| format!("wait for the kind {kind}"))?;
    }
    Ok(())
}

fn definition(kind: &str, fields: &Value, status: &str) -> Value {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.migration.harvesterhci.io") },
        "spec": {
            "group": "migration.harvesterhci.io",
            "scope": "Namespaced",
            "names": {
                "kind": kind, "listKind": format!("{kind}List"),
                "plural": plural, "singular": singular,
            },
            "versions": [{
                "name": "v1beta1", "served": true, "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": [
                    { "name": "Status", "type": "string", "jsonPath": status },
                ],
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": { "type": "object", "properties": fields },
                        "status": {
                            "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                        },
                    },
                }},
            }],
        },
    })
}
