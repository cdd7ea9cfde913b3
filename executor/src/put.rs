//! What a person's command writes into the cluster: plans, waves and approvals from files, the
//! stop, another attempt. By the manager `windrow-cli`, so that a Git tool leaves it alone.

use std::fmt::Debug;
use std::time::Duration;

use executor_machine::{At, StopMode};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::conditions::is_deleted;
use kube::runtime::wait::await_condition;
use kube::{Api, Resource, ResourceExt};
use schemas::approval::WaveApproval;
use schemas::gate::GateStatus;
use schemas::ids::Namespace;
use schemas::machine::{MachineMigration, Stage};
use schemas::plan::MigrationPlan;
use schemas::upstream::{ImportState, VirtualMachineImport};
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The next run opens another attempt.
    Ready,
    /// It has not failed: there is nothing to try again.
    NotFailed(Stage),
    /// Its machine runs; the next run looks at its gate again, or counts it as holding.
    Gate,
    /// It has no record: it was never begun.
    NoRecord,
    /// Its import has made this machine, whose disks would go with it (L04).
    HasMachine(At),
}

/// What a person says of a gate that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateWord {
    /// Look again.
    Again,
    /// Go on as if it held; why.
    Accept(String),
}

/// Makes a machine that failed ready for another attempt: deletes what is left of its import, then
/// takes the attempt back. Never touches a machine that runs; of one whose gate failed it writes
/// down what `gate` says, and when that was.
pub async fn retry(
    cluster: &Cluster,
    record: &At,
    gate: &GateWord,
    now: Timestamp,
) -> Result<Retry, Error> {
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
    let shut = object
        .status
        .as_mut()
        .and_then(|status| status.gate.as_mut());
    if stage == Stage::Running
        && let Some(shut) = shut.filter(|gate| gate.holds.is_none())
    {
        *shut = match gate {
            GateWord::Again => GateStatus {
                since: Some(now),
                ..GateStatus::default()
            },
            GateWord::Accept(why) => GateStatus {
                holds: Some(now),
                failed: None,
                message: Some(why.clone()),
                ..shut.clone()
            },
        };
        object.metadata.managed_fields = None;
        let written = replace_status(&api, &object).await;
        written.map_err(|error| Error::of("update the status of", what(), error))?;
        return Ok(Retry::Gate);
    }
    if !matches!(stage, Stage::Failed | Stage::Held) {
        return Ok(Retry::NotFailed(stage));
    }
    let import = At::new(
        object.spec.namespace.clone(),
        object.spec.attempt.import.clone(),
    );
    let uid = object.status.as_ref().and_then(|status| status.uid.clone());
    if let Some(uid) = uid {
        let imports: Api<VirtualMachineImport> = namespaced(cluster, &import);
        let there = imports.get_opt(import.name.as_str()).await;
        let there = there
            .map_err(|error| Error::of("get", format!("VirtualMachineImport `{import}`"), error))?;
        let version = there.as_ref().and_then(ResourceExt::resource_version);
        let reached = there
            .and_then(|import| import.status)
            .map(|status| status.import_status);
        if reached.is_some_and(|state| {
            matches!(
                state,
                ImportState::VirtualMachineCreated | ImportState::VirtualMachineRunning
            )
        }) {
            let machine = At::new(import.namespace, object.spec.machine);
            return Ok(Retry::HasMachine(machine));
        }
        // Only as it was seen: it may be making its machine just now.
        delete_import(cluster, &import, uid, version).await?;
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
async fn delete_import(
    cluster: &Cluster,
    at: &At,
    uid: String,
    resource_version: Option<String>,
) -> Result<(), Error> {
    let api: Api<VirtualMachineImport> = namespaced(cluster, at);
    let what = || format!("VirtualMachineImport `{at}`");
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.clone()),
            resource_version,
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

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http::{Method, Request, Response};
    use kube::Client;
    use kube::client::Body;
    use tower_test::mock;

    use super::*;

    const RECORD: &str =
        "/apis/windrow.dev/v1alpha1/namespaces/plans/machinemigrations/erp-00c0ffee";
    const IMPORT: &str =
        "/apis/migration.harvesterhci.io/v1beta1/namespaces/erp/virtualmachineimports/w00c0ffee1";

    // An import that was given up and then made its machine after all is left alone: its images,
    // and with them the machine's disks, would go with it.
    #[tokio::test]
    async fn retry_leaves_a_machine_its_disks() {
        let record = json!({
            "apiVersion": "windrow.dev/v1alpha1", "kind": "MachineMigration",
            "metadata": { "name": "erp-00c0ffee", "namespace": "plans", "resourceVersion": "8" },
            "spec": {
                "vm": "shelf/erp", "name": "erp", "plan": "erp", "wave": "erp-010",
                "digest": "sha256:0", "namespace": "erp", "machine": "erp",
                "size": { "peak": "2Gi", "resident": "1Gi", "transfer": "1Gi", "disks": "1Gi" },
                "attempt": { "number": 1, "import": "w00c0ffee1", "opened": "2026-11-28T00:00:00Z" },
            },
            "status": { "attempt": 1, "uid": "u", "stage": "Failed" },
        });
        let import = json!({
            "apiVersion": "migration.harvesterhci.io/v1beta1", "kind": "VirtualMachineImport",
            "metadata": {
                "name": "w00c0ffee1", "namespace": "erp", "uid": "u", "resourceVersion": "9",
            },
            "spec": {
                "sourceCluster": { "apiVersion": "v", "kind": "k", "name": "n", "namespace": "n" },
                "virtualMachineName": "erp",
            },
            "status": { "importStatus": "virtualMachineCreated" },
        });
        let (service, server) = mock::pair::<Request<Body>, Response<Body>>();
        let cluster = Cluster::of(Client::new(service, "default"));
        let server = async move {
            let mut server = pin!(server);
            for (path, answer) in [(RECORD, record), (IMPORT, import)] {
                let (request, send) = server.next_request().await.expect("one more request");
                assert_eq!(
                    (request.method(), request.uri().path()),
                    (&Method::GET, path)
                );
                let answer = Body::from(answer.to_string().into_bytes());
                send.send_response(Response::new(answer));
            }
        };
        let at = At::new("plans", "erp-00c0ffee");
        let (answer, ()) = tokio::join!(
            async move { retry(&cluster, &at, &GateWord::Again, Timestamp::UNIX_EPOCH).await },
            server
        );
        let machine = At::new("erp", "erp");
        assert_eq!(answer.expect("no error"), Retry::HasMachine(machine));
    }
}
