//! What can go wrong between us and an OpenStack cloud.

use crate::Stopped;
use crate::http::HttpError;

/// Why an OpenStack project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenstackError {
    /// There was no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The pull was broken off.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The Secret lacks something.
    #[error("log in: the Secret has no key `{key}`")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// Keystone does not take these credentials.
    #[error(
        "log in at `{url}` as `{user}` of domain `{domain}` in project `{project}`: \
         Keystone refuses (401)"
    )]
    Denied {
        /// Where.
        url: String,
        /// The user's name.
        user: String,
        /// The domain of user and project.
        domain: String,
        /// The project's name.
        project: String,
    },
    /// Something else than Keystone answers at the endpoint.
    #[error(
        "log in at `{url}`: what answers there (status {status}) is not Keystone; it begins with \
         `{excerpt}`"
    )]
    NotKeystone {
        /// Where.
        url: String,
        /// The answer's status.
        status: u16,
        /// Its first bytes.
        excerpt: String,
    },
    /// Keystone does not take this application credential.
    #[error(
        "log in at `{url}` with the application credential `{credential}`: Keystone refuses (401)"
    )]
    CredentialDenied {
        /// Where.
        url: String,
        /// Its id or name.
        credential: String,
    },
    /// Keystone does not take this token.
    #[error("log in at `{url}` in project `{project}` with a token: Keystone refuses (401)")]
    TokenDenied {
        /// Where.
        url: String,
        /// The project's name or id.
        project: String,
    },
    /// The catalog does not know the region.
    #[error(
        "find the region `{region}` in the cloud's catalog, which has {}",
        list(known)
    )]
    NoRegion {
        /// As the site names it.
        region: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// The catalog has no such service in the region.
    #[error("find the service `{service}` in region `{region}` of the cloud's catalog")]
    NoService {
        /// Its type.
        service: &'static str,
        /// The region.
        region: String,
    },
    /// A service refused.
    #[error("read `{url}`: the server answers {status}: {message}")]
    Refused {
        /// What was read.
        url: String,
        /// The status.
        status: u16,
        /// The server's words.
        message: String,
    },
    /// An answer is not what the service's documentation promises.
    #[error("understand the answer of `{url}`, which begins with `{excerpt}`")]
    NotJson {
        /// What was read.
        url: String,
        /// Its first bytes.
        excerpt: String,
        /// What the reader stumbled over.
        source: serde_json::Error,
    },
    /// The pages of a list never end.
    #[error("read all {what}: the pages of the list repeat themselves after `{marker}`")]
    Endless {
        /// What was listed.
        what: &'static str,
        /// The id after which it went round.
        marker: String,
    },
}

impl OpenstackError {
    /// The status of a refusal.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether a smaller page may be what the service can make: it gave up, or was cut off.
    pub(super) fn is_too_much(&self) -> bool {
        match self {
            Self::Http(error) => error.is_broken(),
            // 503 is a service that is down, whatever it is asked for.
            Self::Refused { status, .. } => *status >= 500 && *status != 503,
            _ => false,
        }
    }

    /// Whether an answer breaks off in the middle.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::NotJson { source, .. } if source.is_eof())
    }

    /// What the reader can do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Http(error) => error.hint(),
            Self::MissingKey { .. } => Some(
                "the engine's Secret has `username`, `password`, `project_name`, `domain_name` \
                 and, for a private authority, `ca_cert`"
                    .to_owned(),
            ),
            Self::Denied { .. } => Some(
                "check `username`, `password`, `project_name` and `domain_name` in the Secret; the \
                 domain is that of the user and of the project"
                    .to_owned(),
            ),
            Self::CredentialDenied { .. } => Some(
                "check its id and secret; it may have expired, or its user may have left the project"
                    .to_owned(),
            ),
            Self::TokenDenied { .. } => Some(
                "it has probably expired: `openstack token issue` gives a new one".to_owned(),
            ),
            Self::NoRegion { .. } => {
                Some("set `openstack.region` of the source to one of these".to_owned())
            }
            Self::NotKeystone { .. } => Some(
                "check that the endpoint is Keystone's, as in `https://HOST:5000/v3`".to_owned(),
            ),
            Self::NotJson { source, .. } if source.is_eof() => {
                Some("the answer was cut short: pull again".to_owned())
            }
            Self::NotJson { .. } => Some(
                "check that no login page or proxy answers in the service's place".to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether the same command may work later.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Http(error) => error.is_outage(),
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::NotJson { source, .. } => source.is_eof(),
            Self::Stopped(_) | Self::Endless { .. } => true,
            _ => false,
        }
    }
}

/// `a`, `b` and `c`, quoted.
fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}
