//! Doing: one API request for each action of the machine.
//!
//! Takes an action and the picture it was decided on. Gives what the watches will have to show
//! before the next decision, or "look again" where the cluster is no longer what the picture says:
//! that is no error. Never writes to an import (the engine would export it a second time), and
//! never creates one without asking the ledger itself, not our copy of it, whether it is due.

use std::fmt::Debug;

use executor_machine::{Action, At, Observed, SourceSpec};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::Status;
use kube::{Api, Client, Resource, ResourceExt};
use schemas::ids::{ObjectName, PlanName};
use schemas::machine::{
    ANNOTATION_ATTEMPT, LABEL_MACHINE, LABEL_PLAN, MachineMigration, MachineSpec, MachineStatus,
    Stage,
};
use schemas::plan::{MigrationPlan, PlanStatus};
use schemas::upstream::{
    ImportState, OpenstackSource, OvaSource, VirtualMachineImage, VirtualMachineImport,
    VirtualMachineImportSpec, VmwareSource,
};
use schemas::wave::{MigrationWave, WaveStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::cluster::kind_of;
use crate::error::Error;
use crate::observe::{Kind, SourceKind, Write};
use crate::parts::{ANNOTATION_NUDGE, FIELD_MANAGER};

/// What came of an action.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done; the watches will show this.
    Done(Write),
    /// The cluster is not what the picture says: look again.
    LookAgain,
}

/// Carries out actions.
pub(crate) struct Hands {
    client: Client,
}

impl Hands {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Carries out `action`, which was decided on `seen`. `step` is all that was decided with it:
    /// an import's record may have been opened a moment ago.
    pub(crate) async fn act(
        &self,
        action: &Action,
        seen: &Observed,
        step: &[Action],
    ) -> Result<Outcome, Error> {
        match action {
            Action::CreateSource { at, spec } => self.create_source(at, spec).await,
            Action::OpenRecord { at, spec } => self.open_record(at, spec).await,
            Action::OpenAttempt {
                at,
                resource_version,
                spec,
            } => self.open_attempt(at, resource_version, spec).await,
            Action::CreateImport {
                at,
                record,
                plan,
                attempt,
                spec,
            } => {
                let Some(record) = place_of_record(record, at, seen, step) else {
                    return Ok(Outcome::LookAgain);
                };
                if !self.is_due(&record, at, *attempt).await? {
                    return Ok(Outcome::LookAgain);
                }
                self.create_import(at, &record.name, plan, *attempt, spec)
                    .await
            }
            Action::Record {
                at,
                resource_version,
                status,
            } => {
                if self.is_mistaken(at, status, seen).await? {
                    return Ok(Outcome::LookAgain);
                }
                let Some(record) = seen.records.get(at) else {
                    return Ok(Outcome::LookAgain);
                };
                let mut object = MachineMigration::new(at.name.as_str(), record.spec.clone());
                object.metadata.resource_version = Some(resource_version.clone());
                object.status = Some(status.clone());
                let answer = replace_status(&self.api(at), &object).await;
                done("update the status of", Kind::Record, at, answer)
            }
            Action::NudgeImage { at, ready } => self.nudge(at, *ready).await,
            Action::DeleteImport {
                at,
                uid,
                resource_version,
            } => {
                self.delete_import(at, uid, resource_version.as_deref(), seen)
                    .await
            }
            Action::WaveStatus { at, status } => self.wave_status(at, status).await,
        }
    }

    /// Writes a wave's status.
    pub(crate) async fn wave_status(&self, at: &At, status: &WaveStatus) -> Result<Outcome, Error> {
        put_status(&self.api::<MigrationWave>(at), Kind::Wave, at, status).await
    }

    /// Writes a plan's status.
    pub(crate) async fn plan_status(&self, at: &At, status: &PlanStatus) -> Result<Outcome, Error> {
        put_status(&self.api::<MigrationPlan>(at), Kind::Plan, at, status).await
    }

    async fn create_source(&self, at: &At, spec: &SourceSpec) -> Result<Outcome, Error> {
        let name = at.name.as_str();
        match spec.clone() {
            SourceSpec::Vmware(spec) => {
                let kind = Kind::Source(SourceKind::Vmware);
                create(&self.api(at), kind, at, VmwareSource::new(name, spec)).await
            }
            SourceSpec::Openstack(spec) => {
                let kind = Kind::Source(SourceKind::Openstack);
                create(&self.api(at), kind, at, OpenstackSource::new(name, spec)).await
            }
            SourceSpec::Ova(spec) => {
                let kind = Kind::Source(SourceKind::Ova);
                create(&self.api(at), kind, at, OvaSource::new(name, spec)).await
            }
        }
    }

    async fn open_record(&self, at: &At, spec: &MachineSpec) -> Result<Outcome, Error> {
        let mut record = MachineMigration::new(at.name.as_str(), spec.clone());
        record
            .labels_mut()
            .insert(LABEL_PLAN.to_owned(), spec.plan.to_string());
        create(&self.api(at), Kind::Record, at, record).await
    }

    async fn open_attempt(
        &self,
        at: &At,
        resource_version: &str,
        spec: &MachineSpec,
    ) -> Result<Outcome, Error> {
        let patch = json!({ "metadata": { "resourceVersion": resource_version }, "spec": spec });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..Default::default()
        };
        let api = self.api::<MachineMigration>(at);
        let answer = api
            .patch(at.name.as_str(), &params, &Patch::Merge(&patch))
            .await;
        done("patch", Kind::Record, at, answer)
    }

    /// Whether the ledger, asked now, wants this import: its attempt is open, and nobody has seen
    /// an import of it yet. A recorded uid whose object is gone is never created again.
    async fn is_due(&self, record: &At, import: &At, attempt: u32) -> Result<bool, Error> {
        let live = self
            .api::<MachineMigration>(record)
            .get_opt(record.name.as_str())
            .await
            .map_err(|error| Error::of("get", what::<MachineMigration>(record), error))?;
        Ok(live.is_some_and(|live| {
            let open = live.spec.attempt.number == attempt
                && live.spec.attempt.import == import.name
                && live.spec.namespace == import.namespace;
            let status = live.status.filter(|status| status.attempt == attempt);
            open && status.is_none_or(|s| s.uid.is_none() && s.stage == Stage::Admitted)
        }))
    }

    async fn create_import(
        &self,
        at: &At,
        record: &ObjectName,
        plan: &PlanName,
        attempt: u32,
        spec: &VirtualMachineImportSpec,
    ) -> Result<Outcome, Error> {
        let mut import = VirtualMachineImport::new(at.name.as_str(), spec.clone());
        import
            .labels_mut()
            .insert(LABEL_MACHINE.to_owned(), record.to_string());
        import
            .labels_mut()
            .insert(LABEL_PLAN.to_owned(), plan.to_string());
        import
            .annotations_mut()
            .insert(ANNOTATION_ATTEMPT.to_owned(), attempt.to_string());
        create(&self.api(at), Kind::Import, at, import).await
    }

    /// Whether `status` ends an attempt by an import that has moved on: the watch that should show
    /// it is behind. A connection may be dead for minutes before anybody notices, and a machine
    /// that slept wakes up with an old picture and a new time.
    async fn is_mistaken(
        &self,
        record: &At,
        status: &MachineStatus,
        seen: &Observed,
    ) -> Result<bool, Error> {
        let Some(spec) = seen.records.get(record).map(|record| &record.spec) else {
            return Ok(false);
        };
        let import = At::new(spec.namespace.clone(), spec.attempt.import.clone());
        if !matches!(status.stage, Stage::Held | Stage::Failed) {
            return Ok(false);
        }
        let known = seen.imports.get(&import);
        let live = self
            .api::<VirtualMachineImport>(&import)
            .get_metadata_opt(import.name.as_str())
            .await
            .map_err(|error| Error::of("get", what::<VirtualMachineImport>(&import), error))?;
        let version = live.and_then(|live| live.metadata.resource_version);
        Ok(version.as_deref() != known.map(|import| import.resource_version.as_str()))
    }

    async fn nudge(&self, at: &At, ready: jiff::Timestamp) -> Result<Outcome, Error> {
        let patch = json!({ "metadata": { "annotations": { ANNOTATION_NUDGE: ready } } });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..Default::default()
        };
        let api = self.api::<VirtualMachineImage>(at);
        let answer = api
            .patch(at.name.as_str(), &params, &Patch::Merge(&patch))
            .await;
        done("annotate", Kind::Image, at, answer)
    }

    async fn delete_import(
        &self,
        at: &At,
        uid: &str,
        resource_version: Option<&str>,
        seen: &Observed,
    ) -> Result<Outcome, Error> {
        let finished = seen.imports.get(at).is_some_and(|import| {
            import.status.import_status == ImportState::VirtualMachineRunning
        });
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: resource_version.map(str::to_owned),
            }),
            // The engine takes its images from a finished import one reconcile after it says
            // `virtualMachineRunning`. Deleted in between, the import would take them along, and
            // with them the machine's disks.
            propagation_policy: finished.then_some(PropagationPolicy::Orphan),
            ..DeleteParams::default()
        };
        let api = self.api::<VirtualMachineImport>(at);
        match api.delete(at.name.as_str(), &params).await {
            Ok(answer) => Ok(Outcome::Done(answer.either(
                |object| Write::of(Kind::Import, at, &object),
                |_| Write::gone(Kind::Import, at, uid),
            ))),
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                Ok(Outcome::Done(Write::gone(Kind::Import, at, uid)))
            }
            Err(error) => refused::<VirtualMachineImport>("delete", at, error),
        }
    }

    fn api<K>(&self, at: &At) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), at.namespace.as_str())
    }
}

/// Where the record of an import is: imports and records need not share a namespace.
fn place_of_record(
    record: &ObjectName,
    import: &At,
    seen: &Observed,
    step: &[Action],
) -> Option<At> {
    let is_it = |at: &At, spec: &MachineSpec| {
        at.name == *record
            && spec.attempt.import == import.name
            && spec.namespace == import.namespace
    };
    let opened = step.iter().filter_map(|action| match action {
        Action::OpenRecord { at, spec } | Action::OpenAttempt { at, spec, .. } => Some((at, spec)),
        _ => None,
    });
    let known = seen.records.iter().map(|(at, record)| (at, &record.spec));
    opened
        .chain(known)
        .find(|(at, spec)| is_it(at, spec))
        .map(|(at, _)| at.clone())
}

async fn create<K>(api: &Api<K>, kind: Kind, at: &At, object: K) -> Result<Outcome, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    match api.create(&post_params(), &object).await {
        // Of a create, "not found" means the namespace: looking again would not mend it.
        Err(error @ kube::Error::Api(_)) if is(&error, Status::is_not_found) => {
            Err(Error::of("create", what::<K>(at), error))
        }
        answer => done("create", kind, at, answer),
    }
}

/// Writes the whole status of a record over the one that was seen. Not by server-side apply, which
/// would keep what others wrote into it: the ledger says what its last writer says, or a machine
/// that compares would write for ever.
pub(crate) async fn replace_status(
    api: &Api<MachineMigration>,
    record: &MachineMigration,
) -> kube::Result<MachineMigration> {
    api.replace_status(&record.name_any(), &post_params(), record)
        .await
}

/// Applies a status.
async fn put_status<K>(
    api: &Api<K>,
    kind: Kind,
    at: &At,
    status: &(impl Serialize + Debug + Sync),
) -> Result<Outcome, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let patch = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": { "name": at.name, "namespace": at.namespace },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let answer = api
        .patch_status(at.name.as_str(), &params, &Patch::Apply(&patch))
        .await;
    done("patch the status of", kind, at, answer)
}

fn post_params() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}

fn done<K>(
    verb: &'static str,
    kind: Kind,
    at: &At,
    answer: Result<K, kube::Error>,
) -> Result<Outcome, Error>
where
    K: Resource<DynamicType = ()>,
{
    match answer {
        Ok(object) => Ok(Outcome::Done(Write::of(kind, at, &object))),
        Err(error) => refused::<K>(verb, at, error),
    }
}

/// Tells a cluster that has moved on from one that refuses.
fn refused<K: Resource<DynamicType = ()>>(
    verb: &'static str,
    at: &At,
    error: kube::Error,
) -> Result<Outcome, Error> {
    // Both conflicts have the code 409: "somebody wrote in between" and "already exists".
    if is(&error, |status| status.code == 409 || status.is_not_found()) {
        tracing::debug!(verb, object = %at, kind = kind_of::<K>(), %error, "look again");
        return Ok(Outcome::LookAgain);
    }
    Err(Error::of(verb, what::<K>(at), error))
}

fn is(error: &kube::Error, what: impl Fn(&Status) -> bool) -> bool {
    matches!(error, kube::Error::Api(status) if what(status))
}

fn what<K: Resource<DynamicType = ()>>(at: &At) -> String {
    format!("{} `{at}`", kind_of::<K>())
}

#[cfg(test)]
mod tests;
