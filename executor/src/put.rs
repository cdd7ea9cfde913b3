//! What a person's command writes into the cluster: plans, waves and approvals from files, the
//! stop, another attempt. By the manager `windrow-cli`, so that a Git tool leaves it alone.

use std::fmt::Debug;
use std::time::Duration;

use executor_machine::{At, StopMode};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::conditions::is_deleted;
use kube::runtime::wait::await_condition;
use kube::{Api, Resource, ResourceExt};
use schemas::approval::WaveApproval;
use schemas::ids::Namespace;
use schemas::machine::{MachineMigration, Stage};
use schemas::plan::MigrationPlan;
use schemas::upstream::VirtualMachineImport;
use schemas::wave::MigrationWave;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::act::replace_status;
use crate::cluster::{Cluster, kind_of};
use crate::error::Error;
use crate::parts::{STOP_MODE_KEY, STOP_NAME};

/// Name under which a person's command writes.
const CLI_MANAGER: &str = "windrow-cli";
/// For an import to go once its deletion is asked for: the engine's one worker may be in an export.
const GONE_TIMEOUT: Duration = Duration::from_mins(1);

/// Puts a plan, without its status.
pub async fn plan(cluster: &Cluster, plan: &MigrationPlan) -> Result<(), Error> {
    apply(cluster, plan, &plan.spec, |there| &there.spec).await
}

/// Puts a wave, without its status.
pub async fn wave(cluster: &Cluster, wave: &MigrationWave) -> Result<(), Error> {
    apply(cluster, wave, &wave.spec, |there| &there.spec).await
}

/// Puts an approval.
pub async fn approval(cluster: &Cluster, approval: &WaveApproval) -> Result<(), Error> {
    apply(cluster, approval, &approval.spec, |there| &there.spec).await
}

/// The approvals in a namespace.
pub async fn approvals(
    cluster: &Cluster,
    namespace: &Namespace,
) -> Result<Vec<WaveApproval>, Error> {
    let api: Api<WaveApproval> = Api::namespaced(cluster.client().clone(), namespace.as_str());
    let list = api.list(&kube::api::ListParams::default()).await;
    list.map(|list| list.items).map_err(|error| {
        Error::of(
            "list",
            format!("WaveApproval objects in `{namespace}`"),
            error,
        )
    })
}

/// Stops admission of what is in `namespace` (the engine's: of everything).
pub async fn stop(cluster: &Cluster, namespace: &Namespace, mode: StopMode) -> Result<(), Error> {
    let mode = match mode {
        StopMode::Admit => "admit",
        StopMode::Withdraw => "withdraw",
    };
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": STOP_NAME, "namespace": namespace },
        "data": { STOP_MODE_KEY: mode },
    });
    patch::<ConfigMap>(cluster, &At::new(namespace.clone(), STOP_NAME), &object).await
}

/// Takes the stop of `namespace` away; false where there was none.
pub async fn start(cluster: &Cluster, namespace: &Namespace) -> Result<bool, Error> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().clone(), namespace.as_str());
    match api.delete(STOP_NAME, &DeleteParams::default()).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(Error::of(
            "delete",
            format!("ConfigMap `{namespace}/{STOP_NAME}`"),
            error,
        )),
    }
}

/// What became of asking for another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The next run opens another attempt.
    Ready,
    /// It has not failed: there is nothing to try again.
    NotFailed(Stage),
    /// It has no record: it was never begun.
    NoRecord,
}

/// Makes a machine that failed ready for another attempt: deletes what is left of its import, then
/// takes the attempt back. Never touches a machine that runs.
pub async fn retry(cluster: &Cluster, record: &At) -> Result<Retry, Error> {
    let api: Api<MachineMigration> = namespaced(cluster, record);
    let what = || format!("MachineMigration `{record}`");
    let found = api.get_opt(record.name.as_str()).await;
    let Some(mut object) = found.map_err(|error| Error::of("get", what(), error))? else {
        return Ok(Retry::NoRecord);
    };
    let stage = object
        .status
        .as_ref()
        .map(|status| status.stage)
        .unwrap_or_default();
    if !matches!(stage, Stage::Failed | Stage::Held) {
        return Ok(Retry::NotFailed(stage));
    }
    let import = At::new(
        object.spec.namespace.clone(),
        object.spec.attempt.import.clone(),
    );
    let uid = object.status.as_ref().and_then(|status| status.uid.clone());
    if let Some(uid) = uid {
        delete_import(cluster, &import, uid).await?;
    }
    if let Some(status) = &mut object.status {
        status.stage = Stage::Withdrawn;
        status.message = Some("another attempt was asked for".to_owned());
    }
    object.metadata.managed_fields = None;
    let written = replace_status(&api, &object).await;
    written.map_err(|error| Error::of("update the status of", what(), error))?;
    Ok(Retry::Ready)
}

/// Deletes the import that is known by `uid`, and waits until it is gone.
async fn delete_import(cluster: &Cluster, at: &At, uid: String) -> Result<(), Error> {
    let api: Api<VirtualMachineImport> = namespaced(cluster, at);
    let what = || format!("VirtualMachineImport `{at}`");
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.clone()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(at.name.as_str(), &params).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        Err(error) => return Err(Error::of("delete", what(), error)),
    }
    let gone = await_condition(api, at.name.as_str(), is_deleted(&uid));
    match tokio::time::timeout(GONE_TIMEOUT, gone).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(Error::StillThere {
            what: what(),
            seconds: GONE_TIMEOUT.as_secs(),
        }),
    }
}

/// Applies an object of ours (name, namespace, labels, annotations and spec, never its status),
/// unless it is there as it should be: a command that is run again writes nothing.
async fn apply<K, S>(
    cluster: &Cluster,
    object: &K,
    spec: &S,
    spec_of: fn(&K) -> &S,
) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
    S: Serialize + PartialEq + Sync,
{
    let at = At::new(object.namespace().unwrap_or_default(), object.name_any());
    let there = namespaced::<K>(cluster, &at)
        .get_opt(at.name.as_str())
        .await;
    // One that this program cannot read is written over.
    if let Ok(Some(there)) = there
        && spec_of(&there) == spec
    {
        return Ok(());
    }
    let mut metadata = json!({ "name": at.name, "namespace": at.namespace });
    for (field, map) in [
        ("labels", object.labels()),
        ("annotations", object.annotations()),
    ] {
        if !map.is_empty() {
            metadata[field] = json!(map);
        }
    }
    let content = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": metadata, "spec": spec,
    });
    patch::<K>(cluster, &at, &content).await
}

async fn patch<K>(cluster: &Cluster, at: &At, content: &Value) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let params = PatchParams::apply(CLI_MANAGER).force();
    namespaced::<K>(cluster, at)
        .patch(at.name.as_str(), &params, &Patch::Apply(content))
        .await
        .map(|_| ())
        .map_err(|error| Error::of("apply", format!("{} `{at}`", kind_of::<K>()), error))
}

fn namespaced<K>(cluster: &Cluster, at: &At) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(cluster.client().clone(), at.namespace.as_str())
}
