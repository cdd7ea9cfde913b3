//! The way to one target cluster, and the checks before anything is created in it.
//!
//! Takes a kubeconfig's context (or a pod's service account) and gives a client; every request
//! carries `windrow/<version>` as its user agent, so that the API server's audit log can tell our
//! writes. The checks read only; each answers with one error that says all of what is missing.

use std::collections::BTreeSet;
use std::time::Duration;

use executor_machine::At;
use http::header::{DATE, HeaderValue, USER_AGENT};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authorization::v1::{
    ResourceRule, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec,
};
use k8s_openapi::api::core::v1::{Namespace as KubeNamespace, Secret};
use kube::api::{ListParams, PostParams};
use kube::client::Body;
use kube::config::KubeConfigOptions;
use kube::{Api, Client, Config, Resource};
use schemas::approval::WaveApproval;
use schemas::ids::Namespace;
use schemas::machine::MachineMigration;
use schemas::plan::MigrationPlan;
use schemas::upstream::{
    OpenstackSource, OvaSource, VirtualMachine, VirtualMachineImage, VirtualMachineImport,
    VmwareSource,
};
use schemas::wave::MigrationWave;
use serde::de::DeserializeOwned;

use crate::error::{Cause, Error};

/// Until a connection is given up: a server that takes longer is as good as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Two clocks that differ by so much are not the same.
const CLOCK_OFF: SignedDuration = SignedDuration::from_secs(60);

/// A target cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    url: String,
}

impl Cluster {
    /// By the kubeconfig: `context`, or its current one. Reads files only; [`Self::check`] is the
    /// first to connect.
    pub async fn from_kubeconfig(context: Option<&str>) -> Result<Self, Error> {
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let config =
            Config::from_kubeconfig(&options)
                .await
                .map_err(|error| Error::Kubeconfig {
                    context: context.map(str::to_owned),
                    source: error.into(),
                })?;
        Self::new(config)
    }

    /// By the pod's service account where there is one, else by the kubeconfig.
    pub async fn infer() -> Result<Self, Error> {
        let config = Config::infer().await.map_err(|error| Error::NoCluster {
            source: kube::Error::InferConfig(error).into(),
        })?;
        Self::new(config)
    }

    fn new(mut config: Config) -> Result<Self, Error> {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.headers.push((
            USER_AGENT,
            HeaderValue::from_static(concat!("windrow/", env!("CARGO_PKG_VERSION"))),
        ));
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| Error::Client {
            url: url.clone(),
            source: Cause::from(error),
        })?;
        Ok(Self { client, url })
    }

    /// By a client that is there already.
    #[cfg(test)]
    pub(crate) fn of(client: Client) -> Self {
        let url = String::new();
        Self { client, url }
    }

    /// The client, for what is not here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The API server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the API server answers, knows us, and has every kind that a run needs.
    pub async fn check(&self) -> Result<(), Error> {
        self.check_version().await?;
        let kinds = async {
            tokio::try_join!(
                self.check_kind::<MigrationPlan>(schemas::API_VERSION),
                self.check_kind::<MigrationWave>(schemas::API_VERSION),
                self.check_kind::<WaveApproval>(schemas::API_VERSION),
                self.check_kind::<MachineMigration>(schemas::API_VERSION),
                self.check_kind::<VirtualMachineImport>(ENGINE_GROUP),
                self.check_kind::<VmwareSource>(ENGINE_GROUP),
                self.check_kind::<OpenstackSource>(ENGINE_GROUP),
                self.check_kind::<OvaSource>(ENGINE_GROUP),
                self.check_kind::<VirtualMachineImage>("harvesterhci.io/v1beta1"),
                self.check_kind::<VirtualMachine>("kubevirt.io/v1"),
            )
        };
        Box::pin(kinds).await?;
        Ok(())
    }

    async fn check_version(&self) -> Result<(), Error> {
        match self.client.apiserver_version().await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 401 => Err(Error::Unauthorized {
                url: self.url.clone(),
                source: kube::Error::Api(status).into(),
            }),
            // Somebody answers and knows us; what we may do is looked at kind by kind.
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(()),
            Err(error) => Err(Error::Unreachable {
                url: self.url.clone(),
                source: error.into(),
            }),
        }
    }

    /// Whether our clock is that of the API server, to a minute: windows, limits and times in the
    /// ledger are by ours, what they are compared with is by the cluster's. A server that does not
    /// say its time is believed; one that does not answer is somebody else's to report.
    pub(crate) async fn check_clock(&self) -> Result<(), Error> {
        let mut request = http::Request::new(Body::empty());
        *request.uri_mut() = http::Uri::from_static("/version");
        let before = Timestamp::now();
        let Ok(answer) = self.client.send(request).await else {
            return Ok(());
        };
        let after = Timestamp::now();
        let said = answer.headers().get(DATE);
        let theirs = said
            .and_then(|date| date.to_str().ok())
            .and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
        let Some(theirs) = theirs else {
            return Ok(());
        };
        // It was asked before and answered after; whichever speaks for us.
        let ahead = before.duration_since(theirs);
        let behind = theirs.duration_since(after);
        let off = ahead.max(behind);
        if off < CLOCK_OFF {
            return Ok(());
        }
        Err(Error::ClockOff {
            url: self.url.clone(),
            seconds: off.unsigned_abs().as_secs(),
            is_ahead: ahead > behind,
        })
    }

    /// A list of one object tells a kind that is missing (404) from one we may not see (403). The
    /// latter is not judged here: which namespaces we may see is up to the run's scope.
    async fn check_kind<K>(&self, group: &'static str) -> Result<(), Error>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = Api::all(self.client.clone());
        match api.list_metadata(&ListParams::default().limit(1)).await {
            // The answer for a path that nothing serves has no reason, only its code.
            Err(kube::Error::Api(status)) if status.code == 404 => Err(Error::KindMissing {
                kind: kind_of::<K>(),
                group,
            }),
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(()),
            Err(error) => Err(Error::of(
                "list",
                format!("{} objects", kind_of::<K>()),
                error,
            )),
        }
    }

    /// uid of the namespace `kube-system`: what a wave's target is pinned by.
    pub async fn uid(&self) -> Result<String, Error> {
        let api: Api<KubeNamespace> = Api::all(self.client.clone());
        let namespace = api
            .get_metadata("kube-system")
            .await
            .map_err(|error| Error::of("get", "namespace `kube-system`", error))?;
        Ok(namespace.metadata.uid.unwrap_or_default())
    }

    /// Whether all of `namespaces` are there. One we may not look at is taken as there: creating
    /// something in it will tell.
    pub async fn check_namespaces(&self, namespaces: &BTreeSet<Namespace>) -> Result<(), Error> {
        let api: Api<KubeNamespace> = Api::all(self.client.clone());
        let mut names = Vec::new();
        for namespace in namespaces {
            match api.get_metadata_opt(namespace.as_str()).await {
                Ok(None) => names.push(namespace.clone()),
                Ok(Some(_)) => {}
                Err(kube::Error::Api(status)) if status.is_forbidden() => {}
                Err(error) => {
                    return Err(Error::of("get", format!("namespace `{namespace}`"), error));
                }
            }
        }
        if names.is_empty() {
            Ok(())
        } else {
            Err(Error::NamespacesMissing { names })
        }
    }

    /// Whether all of `secrets` are there. Reads metadata only, and nothing where that is not
    /// allowed: whoever runs a migration need not be able to read passwords.
    pub async fn check_secrets(&self, secrets: &BTreeSet<At>) -> Result<(), Error> {
        let mut names = Vec::new();
        for at in secrets {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), at.namespace.as_str());
            match api.get_metadata_opt(at.name.as_str()).await {
                Ok(None) => names.push(at.clone()),
                Ok(Some(_)) => {}
                Err(kube::Error::Api(status)) if status.is_forbidden() => {}
                Err(error) => return Err(Error::of("get", format!("Secret `{at}`"), error)),
            }
        }
        if names.is_empty() {
            Ok(())
        } else {
            Err(Error::SecretsMissing { names })
        }
    }

    /// Whether we may do all that a run does where plan and ledger are, and in the machines'
    /// namespaces as far as they are the same. One question, because it counts as a write of ours;
    /// the Lease and the other namespaces answer when they are asked. An authorizer that cannot list
    /// its rules is not judged.
    pub async fn check_rights(
        &self,
        plan: &Namespace,
        machines: &BTreeSet<Namespace>,
    ) -> Result<(), Error> {
        let Some(rules) = self.rules(plan).await? else {
            return Ok(());
        };
        let imports = machines.contains(plan).then_some(RIGHTS_OF_MACHINES);
        let missing = RIGHTS_OF_PLAN
            .iter()
            .chain(imports.unwrap_or_default())
            .filter(|right| !right.allowed(&rules))
            .map(|right| format!("{} {} in `{plan}`", right.verb, right.resource));
        let rights: Vec<String> = missing.collect();
        if rights.is_empty() {
            Ok(())
        } else {
            Err(Error::RightsMissing { rights })
        }
    }

    async fn rules(&self, namespace: &Namespace) -> Result<Option<Vec<ResourceRule>>, Error> {
        let api: Api<SelfSubjectRulesReview> = Api::all(self.client.clone());
        let review = SelfSubjectRulesReview {
            spec: SelfSubjectRulesReviewSpec {
                namespace: Some(namespace.to_string()),
            },
            ..SelfSubjectRulesReview::default()
        };
        let answer = api
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| {
                Error::of(
                    "ask",
                    format!("what this account may do in `{namespace}`"),
                    error,
                )
            })?;
        Ok(answer
            .status
            .filter(|status| !status.incomplete)
            .map(|status| status.resource_rules))
    }
}

/// Group and version of the engine's kinds.
const ENGINE_GROUP: &str = "migration.harvesterhci.io/v1beta1";

pub(crate) fn kind_of<K: Resource<DynamicType = ()>>() -> &'static str {
    match K::kind(&()) {
        std::borrow::Cow::Borrowed(kind) => kind,
        std::borrow::Cow::Owned(_) => "object",
    }
}

/// Something that a run does.
struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
}

const fn right(verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right {
        verb,
        group,
        resource,
    }
}

const RIGHTS_OF_PLAN: &[Right] = &[
    right("create", "windrow.dev", "machinemigrations"),
    right("patch", "windrow.dev", "machinemigrations"),
    right("update", "windrow.dev", "machinemigrations/status"),
    right("patch", "windrow.dev", "migrationplans"),
    right("patch", "windrow.dev", "migrationwaves"),
    right("list", "windrow.dev", "migrationwaves"),
    right("list", "windrow.dev", "waveapprovals"),
    right("create", "migration.harvesterhci.io", "vmwaresources"),
    right("create", "migration.harvesterhci.io", "openstacksources"),
    right("create", "migration.harvesterhci.io", "ovasources"),
];
const RIGHTS_OF_MACHINES: &[Right] = &[
    right(
        "create",
        "migration.harvesterhci.io",
        "virtualmachineimports",
    ),
    right(
        "delete",
        "migration.harvesterhci.io",
        "virtualmachineimports",
    ),
    right("patch", "harvesterhci.io", "virtualmachineimages"),
];

impl Right {
    fn allowed(&self, rules: &[ResourceRule]) -> bool {
        let has = |list: &[String], text: &str| list.iter().any(|i| i == "*" || i == text);
        rules.iter().any(|rule| {
            has(&rule.verbs, self.verb)
                && has(rule.api_groups.as_deref().unwrap_or_default(), self.group)
                && has(rule.resources.as_deref().unwrap_or_default(), self.resource)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http::{Request, Response};
    use jiff::ToSpan as _;
    use tower_test::mock;

    use super::*;

    /// What we make of a server whose clock is `ahead` seconds ahead; absent: it does not say.
    async fn off_by(ahead: Option<i64>) -> Option<(u64, bool)> {
        let (service, server) = mock::pair::<Request<Body>, Response<Body>>();
        let cluster = Cluster::of(Client::new(service, "default"));
        let playing = async move {
            let mut server = pin!(server);
            let (_, send) = server.next_request().await.expect("a request");
            let mut answer = Response::new(Body::empty());
            if let Some(ahead) = ahead {
                let date = Timestamp::now() + ahead.seconds();
                let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                let date = HeaderValue::from_str(&date).expect("a header");
                answer.headers_mut().insert(DATE, date);
            }
            send.send_response(answer);
        };
        match tokio::join!(async move { cluster.check_clock().await }, playing).0 {
            Ok(()) => None,
            Err(Error::ClockOff {
                seconds, is_ahead, ..
            }) => Some((seconds / 60, is_ahead)),
            Err(error) => panic!("{error}"),
        }
    }

    // A clock that is off by a minute or more is told, and which way.
    #[tokio::test]
    async fn clock() {
        assert_eq!(off_by(None).await, None);
        for fine in [-50, 0, 50] {
            assert_eq!(off_by(Some(fine)).await, None);
        }
        assert_eq!(off_by(Some(150)).await, Some((2, false)));
        assert_eq!(off_by(Some(-150)).await, Some((2, true)));
    }
}
