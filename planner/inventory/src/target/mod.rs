//! A target cluster: what planning needs to know of a Harvester, its engine and its scratch.
//!
//! Takes a client and gives a [`TargetInventory`]. Only gets and lists; no watch, no write. A kind
//! that is not installed or that the account may not read is a gap: a plan can be made with less.
//! A cluster that cannot be reached, or whose identity cannot be read, is an error. `lines`,
//! `objects` and `cluster` make our lines of its objects, `scratch` reads the engine's Deployment;
//! none of them does IO.

mod cluster;
mod lines;
mod objects;
mod quantity;
mod scratch;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolumeClaim, Pod, ResourceQuota};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, Resource};
use schemas::ids::TargetName;
use schemas::inventory::{
    Gap, SCHEMA, TargetAbout, TargetDisk, TargetEngine, TargetInventory, TargetLonghorn,
    TargetScratch,
};
use schemas::machine::MachineMigration;
use schemas::units::Bytes;
use schemas::upstream::{ENGINE_NAME, ENGINE_NAMESPACE, VirtualMachine, VirtualMachineImport};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::RootCause;
use crate::{Progress, Stopped, within_limits};

/// The namespace whose uid names a cluster for ever.
const IDENTITY: &str = "kube-system";
/// The definition of the engine's imports.
const IMPORT_DEFINITION: &str = "virtualmachineimports.migration.harvesterhci.io";
/// The definition of the engine's OVA sources.
const OVA_DEFINITION: &str = "ovasources.migration.harvesterhci.io";
/// Harvester's setting with its own version.
const VERSION_SETTING: &str = "server-version";
/// Harvester's setting of how far it overcommits.
const OVERCOMMIT_SETTING: &str = "overcommit-config";
/// The engine's kinds of sources, with their plurals.
const SOURCE_KINDS: [(&str, &str); 3] = [
    ("OpenstackSource", "openstacksources"),
    ("OvaSource", "ovasources"),
    ("VmwareSource", "vmwaresources"),
];
/// Objects a page: a cluster may have tens of thousands of pods.
const PAGE: u32 = 500;

/// Why a target cluster could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Nobody answers, or not as an API server does.
    #[error("reach the API server")]
    Unreachable {
        /// Why.
        source: RootCause,
    },
    /// The account is not known there.
    #[error("log in to the API server: {message}")]
    Denied {
        /// The server's words.
        message: String,
    },
    /// Something without which there is no snapshot.
    #[error("read {what}: {message}")]
    Refused {
        /// What.
        what: String,
        /// The server's words.
        message: String,
        /// The status.
        code: u16,
    },
    /// The pull was broken off.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl TargetError {
    /// What the reader can do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => {
                Some("check the kubeconfig, and the `context` of the target in the site".to_owned())
            }
            Self::Denied { .. } => {
                Some("check the credentials in the kubeconfig's user for this context".to_owned())
            }
            Self::Refused { code: 403, .. } => Some(
                "give the account the right to get and list it; `deploy/` has the roles".to_owned(),
            ),
            Self::Refused { .. } | Self::Stopped(_) => None,
        }
    }

    /// Whether the same command may work later.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Stopped(_) => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
            Self::Denied { .. } => false,
        }
    }

    fn new(what: &str, error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 401 => Self::Denied {
                message: status.message.clone(),
            },
            kube::Error::Api(status) => Self::Refused {
                what: what.to_owned(),
                message: status.message.clone(),
                code: status.code,
            },
            error => Self::Unreachable {
                source: RootCause::of(&error),
            },
        }
    }
}

/// Reads one cluster.
pub(crate) async fn pull(
    client: Client,
    name: &TargetName,
    progress: &dyn Progress,
) -> Result<TargetInventory, TargetError> {
    let reader = Reader {
        client,
        name,
        progress,
        gaps: Vec::new(),
    };
    within_limits(reader.inventory()).await
}

struct Reader<'a> {
    client: Client,
    name: &'a TargetName,
    progress: &'a dyn Progress,
    gaps: Vec<Gap>,
}

impl Reader<'_> {
    async fn inventory(mut self) -> Result<TargetInventory, TargetError> {
        let cluster_uid = self.cluster_uid().await?;
        let version = self.client.apiserver_version().await;
        let kubernetes_version = self.or_gap("Kubernetes' version", None, version)?;
        let pods = self.list::<Pod>("pods").await?;
        let engine = self.engine(pods.as_deref()).await?;
        let imports_of = self.definition(IMPORT_DEFINITION).await?;
        let ova_of = self.definition(OVA_DEFINITION).await?;
        let harvester_version = self.setting(VERSION_SETTING).await?;
        let overcommit = self.setting(OVERCOMMIT_SETTING).await?;
        let overcommit = overcommit.as_deref().and_then(cluster::overcommit);
        let cdi = ("cdi.kubevirt.io", "v1beta1");
        let profiles = self
            .dynamic("storage profiles", cdi, "StorageProfile", "storageprofiles")
            .await?;
        let capabilities = cluster::capabilities(&profiles);
        let classes = self.list::<StorageClass>("storage classes").await?;
        let namespaces = self
            .list::<Namespace>("namespaces")
            .await?
            .unwrap_or_default();
        let multus = ("k8s.cni.cncf.io", "v1");
        let plural = "network-attachment-definitions";
        let networks = self
            .dynamic("networks", multus, "NetworkAttachmentDefinition", plural)
            .await?;
        let quotas = self
            .list::<ResourceQuota>("quotas")
            .await?
            .unwrap_or_default();
        let nodes = self.list::<Node>("nodes").await?.unwrap_or_default();
        let (longhorn, disks) = self.longhorn().await?;
        let about = TargetAbout {
            schema: SCHEMA.to_owned(),
            cluster_uid,
            kubernetes_version: kubernetes_version.map(|version| version.git_version),
            harvester_version,
            engine_version: engine.version,
            engine: engine.deployment,
            import_fields: imports_of
                .as_ref()
                .map(lines::spec_fields)
                .unwrap_or_default(),
            ova_source_fields: ova_of.as_ref().map(lines::spec_fields).unwrap_or_default(),
            scratch: engine.scratch,
            storage_classes: lines::storage_classes(classes.unwrap_or_default(), &capabilities),
            networks: cluster::networks(&networks),
            namespaces: lines::namespaces(&namespaces),
            quotas: cluster::quotas(&quotas),
            overcommit,
            nodes: cluster::nodes(&nodes, pods.as_deref()),
            longhorn,
            disks,
            gaps: Vec::new(),
        };
        drop(pods);
        let mut inventory = self.objects(about).await?;
        self.gaps.sort();
        inventory.about.gaps = self.gaps;
        Ok(inventory)
    }

    /// What is in the cluster already, beside what is told about it.
    async fn objects(&mut self, about: TargetAbout) -> Result<TargetInventory, TargetError> {
        let vms = self.list::<VirtualMachine>("virtual machines").await?;
        let harvester = ("harvesterhci.io", "v1beta1");
        let plural = "virtualmachineimages";
        let images = self
            .dynamic("disk images", harvester, "VirtualMachineImage", plural)
            .await?;
        let claims = self.list::<PersistentVolumeClaim>("claims").await?;
        let imports = self.list::<VirtualMachineImport>("imports").await?;
        let mut sources = Vec::new();
        for (kind, plural) in SOURCE_KINDS {
            let engine = ("migration.harvesterhci.io", "v1beta1");
            let found = self.dynamic(plural, engine, kind, plural).await?;
            sources.extend(objects::sources(kind, &found));
        }
        sources.sort_by(|a, b| a.id.cmp(&b.id));
        let records = self.list::<MachineMigration>("machine migrations").await?;
        Ok(TargetInventory {
            about,
            vms: lines::vms(&vms.unwrap_or_default()),
            images: objects::images(&images),
            claims: objects::claims(&claims.unwrap_or_default()),
            imports: objects::imports(&imports.unwrap_or_default()),
            sources,
            ledger: lines::ledger(&records.unwrap_or_default()),
        })
    }

    async fn cluster_uid(&self) -> Result<String, TargetError> {
        let what = format!("the cluster's identity (namespace `{IDENTITY}`)");
        let api = Api::<Namespace>::all(self.client.clone());
        let namespace = api
            .get(IDENTITY)
            .await
            .map_err(|error| TargetError::new(&what, error))?;
        namespace.metadata.uid.ok_or_else(|| TargetError::Refused {
            what,
            message: "it has no uid".to_owned(),
            code: 200,
        })
    }

    async fn definition(
        &mut self,
        name: &str,
    ) -> Result<Option<CustomResourceDefinition>, TargetError> {
        let api = Api::all(self.client.clone());
        self.get("custom resource definitions", api, name).await
    }

    /// The value of one of Harvester's settings.
    async fn setting(&mut self, name: &str) -> Result<Option<String>, TargetError> {
        let resource = api_of(("harvesterhci.io", "v1beta1"), "Setting", "settings");
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        let setting = self.get("settings", api, name).await?;
        Ok(setting.as_ref().and_then(lines::setting_value))
    }

    /// The engine's version and scratch, from its Deployment, claim and pod.
    async fn engine(&mut self, pods: Option<&[Pod]>) -> Result<Engine, TargetError> {
        let api = Api::<Deployment>::namespaced(self.client.clone(), ENGINE_NAMESPACE);
        let Some(deployment) = self.get("deployments", api, ENGINE_NAME).await? else {
            return Ok(Engine::default());
        };
        let mut scratch = scratch::of_deployment(&deployment);
        if let Some(name) = &scratch.claim {
            let api =
                Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), ENGINE_NAMESPACE);
            if let Some(claim) = self.get("claims", api, name.as_str()).await? {
                scratch.capacity_bytes = scratch::of_claim(&claim);
                let class = claim.spec.and_then(|spec| spec.storage_class_name);
                scratch.storage_class = class.map(schemas::ids::ObjectName::new);
            }
        }
        if let Some(volume) = scratch::volume_name(&deployment) {
            scratch.used_bytes = self.scratch_used(pods, &volume).await?;
        }
        Ok(Engine {
            version: scratch::engine_version(&deployment),
            deployment: scratch::of_engine(&deployment),
            scratch: Some(scratch),
        })
    }

    /// What lies in the scratch, as the kubelet of the engine's pod says it.
    async fn scratch_used(
        &mut self,
        pods: Option<&[Pod]>,
        volume: &str,
    ) -> Result<Option<Bytes>, TargetError> {
        let is_engine = |pod: &&Pod| {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            pod.metadata.namespace.as_deref() == Some(ENGINE_NAMESPACE)
                && name.starts_with(ENGINE_NAME)
        };
        let pod = pods.into_iter().flatten().find(is_engine);
        let place = pod.and_then(|pod| {
            let node = pod.spec.as_ref()?.node_name.as_deref()?;
            Some((node, pod.metadata.name.as_deref()?))
        });
        let Some((node, pod)) = place else {
            self.gaps.push(Gap {
                what: "use of the scratch".to_owned(),
                object: None,
                reason: "no pod of the engine is seen on a node".to_owned(),
            });
            return Ok(None);
        };
        let path = format!("/api/v1/nodes/{node}/proxy/stats/summary");
        let request = ::http::Request::get(path)
            .body(Vec::new())
            .expect("a node's name is part of a path");
        let summary = self.client.request::<Value>(request).await;
        let summary = self.or_gap("use of the scratch", Some(node), summary)?;
        Ok(summary.and_then(|summary| cluster::scratch_used(&summary, pod, volume)))
    }

    /// Longhorn's settings and disks, where it is there.
    async fn longhorn(&mut self) -> Result<(Option<TargetLonghorn>, Vec<TargetDisk>), TargetError> {
        let group = ("longhorn.io", "v1beta2");
        let settings = self
            .dynamic("Longhorn's settings", group, "Setting", "settings")
            .await?;
        let nodes = self
            .dynamic("Longhorn's disks", group, "Node", "nodes")
            .await?;
        let about = (!settings.is_empty()).then(|| cluster::longhorn(&settings));
        Ok((about, cluster::disks(&nodes)))
    }

    /// All objects of a kind that we have no type for, or none and a gap.
    async fn dynamic(
        &mut self,
        what: &str,
        group_version: (&str, &str),
        kind: &str,
        plural: &str,
    ) -> Result<Vec<DynamicObject>, TargetError> {
        let resource = api_of(group_version, kind, plural);
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        Ok(self.pages(what, api).await?.unwrap_or_default())
    }

    /// All objects of a kind; `None` and a gap where they may not be read.
    async fn list<K>(&mut self, what: &str) -> Result<Option<Vec<K>>, TargetError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        self.pages(what, Api::<K>::all(self.client.clone())).await
    }

    /// A list, page by page.
    async fn pages<K>(&mut self, what: &str, api: Api<K>) -> Result<Option<Vec<K>>, TargetError>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        let mut objects = Vec::new();
        let mut from: Option<String> = None;
        loop {
            let mut asked = ListParams::default().limit(PAGE);
            asked.continue_token = from;
            let Some(page) = self.or_gap(what, None, api.list(&asked).await)? else {
                return Ok(None);
            };
            objects.extend(page.items);
            self.told(what, objects.len());
            from = page.metadata.continue_.filter(|token| !token.is_empty());
            if from.is_none() {
                return Ok(Some(objects));
            }
        }
    }

    /// One object, or a gap.
    async fn get<K>(
        &mut self,
        what: &str,
        api: Api<K>,
        name: &str,
    ) -> Result<Option<K>, TargetError>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        self.or_gap(what, Some(name), api.get(name).await)
    }

    /// What is not installed or not allowed becomes a gap; anything else stays an error.
    fn or_gap<T>(
        &mut self,
        what: &str,
        object: Option<&str>,
        answer: kube::Result<T>,
    ) -> Result<Option<T>, TargetError> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => {
                self.gaps.push(Gap {
                    what: what.to_owned(),
                    object: object.map(str::to_owned),
                    reason: match (status.code, object) {
                        (404, None) => "its kind is not installed".to_owned(),
                        _ => status.message.trim().to_owned(),
                    },
                });
                Ok(None)
            }
            Err(error) => Err(TargetError::new(what, error)),
        }
    }

    fn told(&self, what: &str, count: usize) {
        self.progress.at(self.name.as_str(), what, count as u64);
    }
}

/// What is known of the engine.
#[derive(Default)]
struct Engine {
    version: Option<String>,
    deployment: Option<TargetEngine>,
    scratch: Option<TargetScratch>,
}

fn api_of((group, version): (&str, &str), kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}
