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
        source: Cause,
    },
    /// Neither a pod's service account nor a kubeconfig.
    #[error("find out how to reach the cluster")]
    NoCluster {
        /// Why.
        source: Cause,
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
    #[error(
        "find the namespace `{namespace}`: this cluster is no Harvester, or its add-on `vm-import-controller` is off"
    )]
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
    /// A run ended before its time, with machines begun.
    #[error("finish what was begun")]
    Midway {
        /// Why.
        source: Box<Error>,
    },
    /// Our clock and the API server's differ: windows, limits and times would be wrong.
    #[error(
        "trust this computer's clock: it is {seconds} s {} that of the API server `{url}`",
        if *is_ahead { "ahead of" } else { "behind" }
    )]
    ClockOff {
        /// The API server.
        url: String,
        /// By how much.
        seconds: u64,
        /// Ours is the later one.
        is_ahead: bool,
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
    /// Something is under way, and goes on in the cluster.
    Unfinished,
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
            Self::Midway { .. } => Class::Unfinished,
            _ => Class::Refused,
        }
    }

    /// What the API server says where it looked at a creation and will not have it as it is: trying
    /// the same again helps only once somebody has changed something.
    pub(crate) fn refused_creation(&self) -> Option<String> {
        let (Self::Forbidden { verb, source, .. } | Self::Api { verb, source, .. }) = self else {
            return None;
        };
        let refused = *verb == "create" && matches!(source.code(), Some(400 | 403 | 404 | 422));
        refused.then(|| source.to_string())
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
                let commands: Vec<String> = names
                    .iter()
                    .map(|n| format!("kubectl create namespace {n}"))
                    .collect();
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
            Self::Midway { source } => {
                return source
                    .hint()
                    .or(Some("the same command resumes".to_owned()));
            }
            Self::ClockOff { .. } => {
                "`timedatectl` shows whether this computer's clock is synchronised; the other one \
                 is the cluster's"
                    .to_owned()
            }
            Self::Api { .. } => return None,
        })
    }

    /// Sorts what the client says of `verb` on `what` into the errors above.
    pub(crate) fn of(verb: &'static str, what: impl Into<String>, error: kube::Error) -> Self {
        let (what, source) = (what.into(), Cause::from(error));
        if source.code() == Some(403) {
            Self::Forbidden { verb, what, source }
        } else {
            Self::Api { verb, what, source }
        }
    }
}

/// What somebody else's code says, in one line: the client's own texts repeat their sources and
/// print whole structures.
#[derive(Debug)]
pub struct Cause {
    text: String,
    code: Option<u16>,
    is_transient: bool,
}

impl Cause {
    /// The HTTP code of the API server's answer, if it was one.
    pub fn code(&self) -> Option<u16> {
        self.code
    }

    /// Whether the same request may work later: no answer, too many requests, or the server's own
    /// trouble.
    pub fn is_transient(&self) -> bool {
        self.is_transient
    }

    /// The innermost text is the one that says what happened ("connection refused").
    fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
        let mut innermost = error;
        while let Some(next) = innermost.source() {
            innermost = next;
        }
        innermost.to_string()
    }
}

impl From<kube::Error> for Cause {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self {
                text: match status.message.as_str() {
                    "" => format!("the API server answers {} {}", status.code, status.reason),
                    message => message.trim().to_owned(),
                },
                code: Some(status.code),
                is_transient: status.code == 429 || status.code >= 500,
            },
            error => Self {
                text: Self::innermost(&error),
                code: None,
                is_transient: matches!(
                    error,
                    kube::Error::HyperError(_)
                        | kube::Error::Service(_)
                        | kube::Error::ReadEvents(_)
                        | kube::Error::HttpError(_)
                ),
            },
        }
    }
}

impl From<kube::config::KubeconfigError> for Cause {
    fn from(error: kube::config::KubeconfigError) -> Self {
        // Its texts are whole: they have their sources' in them, and name the file or the context.
        Self {
            text: error.to_string(),
            code: None,
            is_transient: false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(
            kube::core::Status::failure(message, "Why")
                .with_code(code)
                .boxed(),
        )
    }

    // Each error knows what it comes to, and says what to do.
    #[test]
    fn classes() {
        let forbidden = Error::of("list", "ConfigMap objects", answer(403, "no"));
        assert_eq!(forbidden.class(), Class::Refused);
        assert_eq!(
            forbidden.to_string(),
            "list ConfigMap objects: no permission"
        );
        assert!(forbidden.hint().is_some());
        assert_eq!(
            Error::of("get", "x", answer(503, "etcd")).class(),
            Class::Unavailable
        );
        assert_eq!(
            Error::of("get", "x", answer(422, "bad")).class(),
            Class::Refused
        );
    }

    // A kind of ours that is missing is ours to install; the engine's is an add-on.
    #[test]
    fn missing_kinds() {
        let ours = Error::KindMissing {
            kind: "MigrationWave",
            group: schemas::API_VERSION,
        };
        assert!(ours.hint().is_some_and(|hint| hint.contains("windrow crd")));
        let group = "migration.harvesterhci.io/v1beta1";
        let theirs = Error::KindMissing {
            kind: "VirtualMachineImport",
            group,
        };
        assert!(theirs.hint().is_some_and(|hint| hint.contains("add-on")));
    }

    // Names are listed, with the right number.
    #[test]
    fn names() {
        let one = Error::NamespacesMissing {
            names: vec!["erp".into()],
        };
        assert_eq!(one.to_string(), "find the namespace `erp`");
        let two = Error::SecretsMissing {
            names: vec![At::new("a", "b"), At::new("a", "c")],
        };
        assert_eq!(two.to_string(), "find the Secrets `a/b`, `a/c`");
    }
}
