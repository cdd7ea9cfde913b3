//! A target cluster: what planning needs to know of a Harvester, its engine and its scratch.
//!
//! Takes a client and gives a [`TargetInventory`]. Only gets and lists; no watch, no write. A kind
//! that is not installed or that the account may not read is a gap: a plan can be made with less.
//! A cluster that cannot be reached, or whose identity cannot be read, is an error. `lines` makes
//! our lines of its objects and `scratch` reads the engine's Deployment; neither does IO.

mod lines;
mod scratch;

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, Resource};
use schemas::ids::TargetName;
use schemas::inventory::{Gap, SCHEMA, TargetAbout, TargetInventory, TargetNetwork, TargetScratch};
use schemas::machine::MachineMigration;
use schemas::upstream::{ENGINE_NAME, ENGINE_NAMESPACE, VirtualMachine, VirtualMachineImport};
use serde::de::DeserializeOwned;

use crate::http::RootCause;
use crate::{Progress, Stopped, within_limits};

/// The namespace whose uid names a cluster for ever.
const IDENTITY: &str = "kube-system";
/// The definition of the engine's imports.
const IMPORT_DEFINITION: &str = "virtualmachineimports.migration.harvesterhci.io";
/// Harvester's setting with its own version.
const VERSION_SETTING: &str = "server-version";

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
        let (engine_version, scratch) = self.engine().await?;
        let definition = self.import_definition().await?;
        let setting = self.version_setting().await?;
        let classes = self.list::<StorageClass>("storage classes").await?;
        let namespaces = self.list::<Namespace>("namespaces").await?;
        let networks = self.networks().await?;
        let vms = self.list::<VirtualMachine>("virtual machines").await?;
        let imports = self.list::<VirtualMachineImport>("imports").await?;
        let records = self.list::<MachineMigration>("machine migrations").await?;
        self.gaps.sort();
        let about = TargetAbout {
            schema: SCHEMA.to_owned(),
            cluster_uid,
            harvester_version: setting.as_ref().and_then(lines::setting_value),
            engine_version,
            import_fields: definition
                .as_ref()
                .map(lines::import_fields)
                .unwrap_or_default(),
            scratch,
            storage_classes: lines::storage_classes(classes),
            networks: networks
                .into_iter()
                .map(|id| TargetNetwork {
                    id,
                    ..TargetNetwork::default()
                })
                .collect(),
            namespaces: lines::namespaces(&namespaces),
            gaps: self.gaps,
            ..TargetAbout::default()
        };
        Ok(TargetInventory {
            about,
            vms: lines::vms(&vms),
            imports: lines::imports(&imports),
            ledger: lines::ledger(&records),
            ..TargetInventory::default()
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

    async fn import_definition(&mut self) -> Result<Option<CustomResourceDefinition>, TargetError> {
        let api = Api::all(self.client.clone());
        self.get("custom resource definitions", api, IMPORT_DEFINITION)
            .await
    }

    async fn version_setting(&mut self) -> Result<Option<DynamicObject>, TargetError> {
        let resource = api_of("harvesterhci.io", "v1beta1", "Setting", "settings");
        let api = Api::all_with(self.client.clone(), &resource);
        self.get("settings", api, VERSION_SETTING).await
    }

    /// The engine's version and scratch, from its Deployment and claim.
    async fn engine(&mut self) -> Result<(Option<String>, Option<TargetScratch>), TargetError> {
        let api = Api::<Deployment>::namespaced(self.client.clone(), ENGINE_NAMESPACE);
        let Some(deployment) = self.get("deployments", api, ENGINE_NAME).await? else {
            return Ok((None, None));
        };
        let mut scratch = scratch::of_deployment(&deployment);
        if let Some(name) = &scratch.claim {
            let api =
                Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), ENGINE_NAMESPACE);
            if let Some(claim) = self.get("claims", api, name.as_str()).await? {
                scratch.capacity_bytes = scratch::of_claim(&claim);
            }
        }
        Ok((scratch::engine_version(&deployment), Some(scratch)))
    }

    /// `namespace/name` of each network that machines can be attached to.
    async fn networks(&mut self) -> Result<Vec<String>, TargetError> {
        let kind = "NetworkAttachmentDefinition";
        let plural = "network-attachment-definitions";
        let resource = api_of("k8s.cni.cncf.io", "v1", kind, plural);
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        let listed = api.list_metadata(&ListParams::default()).await;
        let listed = self
            .or_gap("networks", None, listed)?
            .map(|list| list.items);
        let mut ids: Vec<String> = listed
            .unwrap_or_default()
            .iter()
            .map(|object| lines::id(&object.metadata))
            .collect();
        ids.sort();
        self.told("networks", ids.len());
        Ok(ids)
    }

    /// All objects of a kind, or none and a gap.
    async fn list<K>(&mut self, what: &str) -> Result<Vec<K>, TargetError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let listed = Api::<K>::all(self.client.clone())
            .list(&ListParams::default())
            .await;
        let objects = self
            .or_gap(what, None, listed)?
            .map(|list| list.items)
            .unwrap_or_default();
        self.told(what, objects.len());
        Ok(objects)
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

fn api_of(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}
