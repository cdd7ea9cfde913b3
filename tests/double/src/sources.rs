//! Whether a source is ready: asked until it is, and never again, as the real engine does (L11).

use std::time::Duration;

use inventory::NoProgress;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt as _};
use schemas::upstream::{OpenstackSource, OvaSource, SourceStatus, VmwareSource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::lookup::{AnySource, read_source};

/// Between two looks at sources that are not ready.
const EVERY: Duration = Duration::from_secs(2);

/// Looks after all sources until the process ends.
pub(crate) async fn check_all(client: Client) {
    loop {
        check::<VmwareSource>(
            &client,
            |s| s.status.as_ref(),
            |s| AnySource::Vmware(s.spec),
        )
        .await;
        check::<OpenstackSource>(
            &client,
            |s| s.status.as_ref(),
            |s| AnySource::Openstack(s.spec),
        )
        .await;
        check::<OvaSource>(&client, |s| s.status.as_ref(), |s| AnySource::Ova(s.spec)).await;
        tokio::time::sleep(EVERY).await;
    }
}

async fn check<K>(
    client: &Client,
    status: impl Fn(&K) -> Option<&SourceStatus>,
    any: impl Fn(K) -> AnySource,
) where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug,
{
    let Ok(found) = Api::<K>::all(client.clone())
        .list(&ListParams::default())
        .await
    else {
        return;
    };
    for object in found {
        if status(&object).is_some_and(|status| status.status == "clusterReady") {
            continue;
        }
        let namespace = object.namespace().unwrap_or_default();
        let (name, kind) = (object.name_any(), K::kind(&()));
        let read = read_source(client, &any(object), &name, &NoProgress).await;
        let (word, condition, message) = match &read {
            Ok(_) => ("clusterReady", "ClusterReady", String::new()),
            // Unreachable or wrong credentials leave the word out; both are in the condition.
            Err(error) => ("", "ClusterError", format!("{error:#}")),
        };
        eprintln!("{kind} {namespace}/{name}: {word}{message}");
        let api: Api<K> = Api::namespaced(client.clone(), &namespace);
        let status = json!({ "status": {
            "status": word,
            "conditions": [{ "type": condition, "status": "True", "message": message }],
        }});
        let written = api
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
            .await;
        if let Err(error) = written {
            eprintln!("{kind} {namespace}/{name}: status not written: {error}");
        }
    }
}
