//! The engine's scratch and version, as its Deployment and claim say. Pure.
//!
//! The scratch is what is mounted at `/tmp` of the engine's container. By default that is an
//! emptyDir without a limit, so on the node's own disk (S02).

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, PodSpec, Volume};
use schemas::ids::ObjectName;
use schemas::inventory::{ScratchKind, TargetEngine, TargetScratch};
use schemas::units::Bytes;

use super::quantity;

/// Where the engine keeps its files.
const MOUNT: &str = "/tmp";

/// What is mounted as scratch; the size of a claim stands in the claim.
pub(super) fn of_deployment(deployment: &Deployment) -> TargetScratch {
    let other = TargetScratch {
        kind: ScratchKind::Other,
        ..TargetScratch::default()
    };
    let Some(volume) = mounted_volume(deployment) else {
        return other;
    };
    if let Some(claim) = &volume.persistent_volume_claim {
        let claim = Some(ObjectName::new(&claim.claim_name));
        TargetScratch {
            kind: ScratchKind::Claim,
            claim,
            ..other
        }
    } else if let Some(directory) = &volume.empty_dir {
        let capacity_bytes = directory
            .size_limit
            .as_ref()
            .and_then(quantity::whole)
            .map(Bytes);
        TargetScratch {
            kind: ScratchKind::EmptyDir,
            capacity_bytes,
            ..other
        }
    } else {
        other
    }
}

/// A claim's size: what it was given, else what it asked for.
pub(super) fn of_claim(claim: &PersistentVolumeClaim) -> Option<Bytes> {
    let given = claim
        .status
        .as_ref()
        .and_then(|status| status.capacity.as_ref());
    let asked = || claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref();
    let storage = given.and_then(|sizes| sizes.get("storage"));
    quantity::whole(storage.or_else(|| asked()?.get("storage"))?).map(Bytes)
}

/// The tag of the engine's image.
pub(super) fn engine_version(deployment: &Deployment) -> Option<String> {
    let (_, container) = engine(deployment)?;
    let image = container.image.as_deref()?.split('@').next()?;
    let (_, tag) = image.rsplit_once(':')?;
    (!tag.contains('/')).then(|| tag.to_owned())
}

/// The engine's Deployment: image, copies, limits.
pub(super) fn of_engine(deployment: &Deployment) -> Option<TargetEngine> {
    let (_, container) = engine(deployment)?;
    let limits = container
        .resources
        .as_ref()
        .and_then(|resources| resources.limits.as_ref());
    let limit = |key: &str| limits.and_then(|limits| limits.get(key));
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let ready = deployment
        .status
        .as_ref()
        .map(|s| s.ready_replicas.unwrap_or(0));
    Some(TargetEngine {
        image: container.image.clone().unwrap_or_default(),
        replicas: u32::try_from(replicas.unwrap_or(1)).unwrap_or(0),
        ready: ready.and_then(|ready| u32::try_from(ready).ok()),
        cpu_limit_milli: limit("cpu").and_then(quantity::milli),
        memory_limit_bytes: limit("memory").and_then(quantity::whole).map(Bytes),
        malloc_arena_max: variable(container, "MALLOC_ARENA_MAX"),
    })
}

/// A variable of the container's environment; empty where its value is in another object.
fn variable(container: &Container, name: &str) -> Option<String> {
    let variables = container.env.as_deref().unwrap_or_default();
    // The kubelet takes the last of several.
    let found = variables.iter().rfind(|variable| variable.name == name)?;
    Some(found.value.clone().unwrap_or_default())
}

/// The name of the volume that is the scratch.
pub(super) fn volume_name(deployment: &Deployment) -> Option<String> {
    mounted_volume(deployment).map(|volume| volume.name.clone())
}

/// The engine's container: the one that has something mounted at its scratch, else the first.
fn engine(deployment: &Deployment) -> Option<(&PodSpec, &Container)> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let mounts = |container: &&Container| scratch_mount(container).is_some();
    let container = pod
        .containers
        .iter()
        .find(mounts)
        .or_else(|| pod.containers.first())?;
    Some((pod, container))
}

/// The name of the volume at the container's scratch.
fn scratch_mount(container: &Container) -> Option<&str> {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let at_tmp = mounts
        .iter()
        .find(|mount| mount.mount_path.trim_end_matches('/') == MOUNT)?;
    Some(&at_tmp.name)
}

fn mounted_volume(deployment: &Deployment) -> Option<&Volume> {
    let (pod, container) = engine(deployment)?;
    let name = scratch_mount(container)?;
    pod.volumes
        .as_deref()
        .unwrap_or_default()
        .iter()
        .find(|volume| volume.name == name)
}

#[cfg(test)]
mod tests {
    use schemas::units::GIB;
    use serde_json::{Value, json};

    use super::*;

    fn deployment(volume: &Value, image: &str) -> Deployment {
        serde_json::from_value(json!({
            "spec": { "selector": {}, "template": { "spec": {
                "containers": [
                    { "name": "sidecar", "image": "other:1" },
                    { "name": "engine", "image": image,
                      "volumeMounts": [{ "name": "storage", "mountPath": "/tmp" }] },
                ],
                "volumes": [volume],
            }}}
        }))
        .expect("a Deployment")
    }

    // The three things that can be mounted at the scratch, and a container without a mount.
    #[test]
    fn kinds_of_scratch() {
        let of = |volume: Value| of_deployment(&deployment(&volume, "engine:v1"));
        let claim = of(json!({"name": "storage", "persistentVolumeClaim": {"claimName": "c"}}));
        assert_eq!(
            (claim.kind, claim.claim),
            (ScratchKind::Claim, Some("c".into()))
        );
        let free = of(json!({"name": "storage", "emptyDir": {}}));
        assert_eq!(
            (free.kind, free.capacity_bytes),
            (ScratchKind::EmptyDir, None)
        );
        let limited = of(json!({"name": "storage", "emptyDir": {"sizeLimit": "400Gi"}}));
        assert_eq!(limited.capacity_bytes, Some(Bytes(400 * GIB)));
        let host = of(json!({"name": "storage", "hostPath": {"path": "/data"}}));
        assert_eq!(host.kind, ScratchKind::Other);
        assert_eq!(of(json!({"name": "unrelated"})).kind, ScratchKind::Other);
        assert_eq!(
            of_deployment(&Deployment::default()).kind,
            ScratchKind::Other
        );
    }

    // A claim that was given more than it asked for has what it was given.
    #[test]
    fn size_of_a_claim() {
        let mut claim = json!({"spec": {"resources": {"requests": {"storage": "200Gi"}}}});
        let size =
            |claim: &Value| of_claim(&serde_json::from_value(claim.clone()).expect("a claim"));
        assert_eq!(size(&claim), Some(Bytes(200 * GIB)));
        claim["status"] = json!({"capacity": {"storage": "210Gi"}});
        assert_eq!(size(&claim), Some(Bytes(210 * GIB)));
        assert_eq!(size(&json!({})), None);
    }

    // The engine's own variable, not its neighbour's; the last of several; one from elsewhere is set too.
    #[test]
    fn variables() {
        let of = |env: Value| {
            let mut object = json!({"spec": {"selector": {}, "template": {"spec": {"containers": [
                {"name": "engine", "image": "engine:v1", "volumeMounts": [{"name": "storage", "mountPath": "/tmp"}]},
                {"name": "sidecar", "image": "other:1", "env": [{"name": "MALLOC_ARENA_MAX", "value": "4"}]},
            ]}}}});
            object["spec"]["template"]["spec"]["containers"][0]["env"] = env;
            let deployment = serde_json::from_value(object).expect("a Deployment");
            of_engine(&deployment).expect("an engine").malloc_arena_max
        };
        let named = |value: &str| json!({"name": "MALLOC_ARENA_MAX", "value": value});
        assert_eq!(of(json!([])), None);
        assert_eq!(of(json!([named("2"), named("1")])).as_deref(), Some("1"));
        let elsewhere = json!({"configMapKeyRef": {"name": "c", "key": "k"}});
        let elsewhere = json!([{"name": "MALLOC_ARENA_MAX", "valueFrom": elsewhere}]);
        assert_eq!(of(elsewhere).as_deref(), Some(""));
    }

    // The version is the image's tag, not a registry's port and not a digest.
    #[test]
    fn versions() {
        let volume = json!({"name": "storage", "emptyDir": {}});
        let of = |image: &str| engine_version(&deployment(&volume, image));
        assert_eq!(of("rancher/engine:v1.8.1").as_deref(), Some("v1.8.1"));
        assert_eq!(
            of("registry:5000/engine:v1.8.1@sha256:0a").as_deref(),
            Some("v1.8.1")
        );
        assert_eq!(of("registry:5000/engine"), None);
    }
}
