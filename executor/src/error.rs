//! What can go wrong between us and the target cluster, each with what was attempted, on what, and
//! what to do about it.

use std::fmt;

use executor_machine::At;
use schemas::ids::Namespace;

/// Fragments that read after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No kubeconfig, or no such context in it.
    #[error("read the kubeconfig{}", context.as_ref().map(|c| format!(", context `{c}`")).unwrap_or_default())]
    Kubeconfig {
        /// The context that was asked for; absent: the current one.
        context: Option<String>,
        /// Why.
        source: Box<kube::config::KubeconfigError>,
    },
    /// Neither a pod's service account nor a kubeconfig.
    #[error("find out how to reach the cluster")]
    NoCluster {
        /// Why.
        source: Box<kube::config::InferConfigError>,
    },
    /// A client could not be made of the kubeconfig.
    #[error("set up a client for `{url}`")]
    Client {
        /// The API server.
        url: String,
        /// Why.
        source: Cause,
    },
    /// The API server does not answer.
    #[error("reach the API server `{url}`")]
    Unreachable {
        /// The API server.
        url: String,
        /// Why.
        source: Cause,
    },
    /// The API server does not know us.
    #[error("log in to the API server `{url}`")]
    Unauthorized {
        /// The API server.
        url: String,
        /// Why.
        source: Cause,
    },
    /// A kind is not installed.
    #[error("find the kind `{kind}` of `{group}` in the cluster: not installed")]
    KindMissing {
        /// Which.
        kind: &'static str,
        /// Its group and version.
        group: &'static str,
    },
    /// One thing that is not allowed.
    #[error("{verb} {what}: no permission")]
    Forbidden {
        /// `list`, `create`, …
        verb: &'static str,
        /// Of what, and where.
        what: String,
        /// Why.
        source: Cause,
    },
    /// All that is not allowed, found before anything was created.
    #[error("run with this account: it may not {}", rights.join(", "))]
    RightsMissing {
        /// `create virtualmachineimports in erp`, …
        rights: Vec<String>,
    },
    /// Namespaces that are needed and not there.
    #[error("find {}", names_of("namespace", names))]
    NamespacesMissing {
        /// Which.
        names: Vec<Namespace>,
    },
    /// Secrets that sources name and that are not there.
    #[error("find {}", names_of("Secret", names))]
    SecretsMissing {
        /// Which.
        names: Vec<At>,
    },
    /// The engine's namespace is not there.
    #[error("find the namespace `{namespace}`: this cluster is no Harvester, or its add-on `vm-import-controller` is off")]
    NoEngine {
        /// Which.
        namespace: &'static str,
    },
    /// Somebody else drives this engine.
    #[error("take the lease `{lease}`: `{holder}` drives this engine")]
    LeaseHeld {
        /// Namespace and name of the lease.
        lease: At,
        /// Who.
        holder: String,
    },
    /// The lease was lost while we drove the engine.
    #[error("keep the lease `{lease}`: {}", holder.as_ref().map_or("it could not be renewed in time".to_owned(), |h| format!("`{h}` has it now")))]
    LeaseLost {
        /// Namespace and name of the lease.
        lease: At,
        /// Who has it now, where that is known.
        holder: Option<String>,
    },
    /// The cluster has not shown us anything new for too long.
    #[error("follow {kind} objects since {minutes} min: {reason}")]
    Blind {
        /// Of which kind.
        kind: &'static str,
        /// For how long.
        minutes: u64,
        /// What its last try gave.
        reason: String,
    },
    /// Something that was deleted does not go.
    #[error("see {what} gone within {seconds} s of its deletion")]
    StillThere {
        /// Kind and place.
        what: String,
        /// For how long it was waited for.
        seconds: u64,
    },
    /// Anything else that the API server refused or failed.
    #[error("{verb} {what}")]
    Api {
        /// `create`, `patch`, …
        verb: &'static str,
        /// Kind and place.
        what: String,
        /// Why.
        source: Cause,
    },
}

fn names_of<T: fmt::Display>(noun: &str, names: &[T]) -> String {
    let list: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    let s = if names.len() == 1 { "" } else { "s" };
    format!("the {noun}{s} {}", list.join(", "))
}

/// What a caller makes of an error: its exit code, whether trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The input, the cluster's set-up or our rights have to change first.
    Refused,
    /// How the cluster is reached is wrong: usage.
    Usage,
    /// The same may work later.
    Unavailable,
}

impl Error {
    /// What a caller makes of it.
    pub fn class(&self) -> Class {
        match self {
            Self::Kubeconfig { .. } | Self::NoCluster { .. } | Self::Client { .. } => Class::Usage,
            Self::Unreachable { .. }
            | Self::LeaseHeld { .. }
            | Self::LeaseLost { .. }
            | Self::StillThere { .. }
            | Self::Blind { .. } => Class::Unavailable,
            Self::Api { source, .. } if source.is_transient() => Class::Unavailable,
            _ => Class::Refused,
        }
    }

    /// What the reader can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Kubeconfig { .. } | Self::NoCluster { .. } => {
                "set KUBECONFIG, and look at `kubectl config get-contexts`; `targets[].context` of \
                 the site names the context"
                    .to_owned()
            }
            Self::Client { url, .. } | Self::Unreachable { url, .. } => {
                format!("try `kubectl --server {url} version` from here")
            }
            Self::Unauthorized { .. } => {
                "the kubeconfig's token or certificate may have expired: try `kubectl auth whoami`"
                    .to_owned()
            }
            Self::KindMissing { group, .. } if group.starts_with(schemas::GROUP) => {
                "install Windrow's kinds: windrow crd | kubectl apply --server-side -f -".to_owned()
            }
            Self::KindMissing { group, .. } if group.starts_with("migration.") => {
                "switch on Harvester's add-on `vm-import-controller` (Advanced, Add-ons)".to_owned()
            }
            Self::KindMissing { .. } => {
                "is the kubeconfig's context the Harvester cluster?".to_owned()
            }
            Self::Forbidden { .. } | Self::RightsMissing { .. } => {
                "`deploy/rbac` has the roles that Windrow needs; `kubectl auth can-i --list` shows \
                 what there is"
                    .to_owned()
            }
            Self::NamespacesMissing { names } => {
                let commands: Vec<String> =
                    names.iter().map(|n| format!("kubectl create namespace {n}")).collect();
                commands.join("; ")
            }
            Self::SecretsMissing { names } => {
                let first = names.first()?;
                format!(
                    "kubectl create secret generic {} --namespace {} --from-literal=…; what goes \
                     into it is in docs/credentials.md",
                    first.name, first.namespace
                )
            }
            Self::NoEngine { .. } => {
                "look at the kubeconfig's context, then at Harvester's add-ons".to_owned()
            }
            Self::LeaseHeld { lease, .. } => format!(
                "one program drives an engine at a time: wait for it, or end it; see \
                 `kubectl get lease {} --namespace {}`",
                lease.name, lease.namespace
            ),
            Self::LeaseLost { .. } | Self::Blind { .. } => {
                "imports that are under way go on; the same command resumes".to_owned()
            }
            Self::StillThere { .. } => {
                "the engine takes its finalizer away between two exports: try again after the one \
                 that is under way"
                    .to_owned()
            }
            Self::Api { .. } => return None,
        })
    }

    /// Sorts what the client says of `verb` on `what` into the errors above.
    pub(crate) fn of(verb: &'static str, what: impl Into<String>, error: kube::Error) -> Self {
        let (what, source) = (what.into(), Cause(error));
        if source.status().is_some_and(kube::core::Status::is_forbidden) {
            Self::Forbidden { verb, what, source }
        } else {
            Self::Api { verb, what, source }
        }
    }
}

/// What the client says, in one line: its own texts repeat themselves and print whole structures.
#[derive(Debug)]
pub struct Cause(kube::Error);

impl Cause {
    /// The API server's answer, if it was one.
    pub fn status(&self) -> Option<&kube::core::Status> {
        match &self.0 {
            kube::Error::Api(status) => Some(status),
            _ => None,
        }
    }

    /// Whether the same request may work later: no answer, too many requests, or the server's own
    /// trouble.
    pub fn is_transient(&self) -> bool {
        match &self.0 {
            kube::Error::Api(status) => status.code == 429 || status.code >= 500,
            kube::Error::HyperError(_)
            | kube::Error::Service(_)
            | kube::Error::ReadEvents(_)
            | kube::Error::HttpError(_) => true,
            _ => false,
        }
    }
}

impl From<kube::Error> for Cause {
    fn from(error: kube::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status() {
            return match status.message.as_str() {
                "" => write!(f, "the API server answers {} {}", status.code, status.reason),
                message => f.write_str(message),
            };
        }
        // The innermost text is the one that says what happened ("connection refused").
        let mut innermost: &dyn std::error::Error = &self.0;
        while let Some(next) = innermost.source() {
            innermost = next;
        }
        write!(f, "{innermost}")
    }
}

impl std::error::Error for Cause {}
