//! What can go wrong with a vCenter, and the way out.

use super::soap::Fault;
use crate::xml::XmlError;
use crate::{HttpError, Stopped};

/// Why a vCenter or ESXi host could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VsphereError {
    /// There was no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Broken off.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The Secret lacks something.
    #[error("log in to `{url}`: the Secret has no key `{key}`")]
    NoKey {
        /// The server.
        url: String,
        /// The key.
        key: &'static str,
    },
    /// User or password is wrong. Tried once.
    #[error("log in to `{url}` as `{user}`: user name or password is wrong")]
    WrongPassword {
        /// The server.
        url: String,
        /// The user's name.
        user: String,
    },
    /// Something else than a vCenter answers there.
    #[error("find a vCenter at `{url}`: it answers with status {status} and `{excerpt}`")]
    NotSoap {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
        /// The beginning of what came.
        excerpt: String,
    },
    /// An answer is no XML.
    #[error("read the answer to `{method}`")]
    Unreadable {
        /// The method called.
        method: &'static str,
        /// What is wrong with it.
        source: XmlError,
    },
    /// An answer lacks something that cannot be done without.
    #[error("use the answer to `{method}`: it has no `{what}`")]
    Lacking {
        /// The method called.
        method: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The server refuses.
    #[error("call `{method}`: the server refuses with {fault}")]
    Fault {
        /// The method called.
        method: &'static str,
        /// Why.
        fault: Fault,
    },
    /// The site names a datacenter that is not there, or that the account does not see.
    #[error("find the datacenter `{wanted}` in `{url}`")]
    NoDatacenter {
        /// The server.
        url: String,
        /// What the site says.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// What was kept of an earlier pull cannot be read.
    #[error("use what an earlier pull has kept: this version of windrow writes something else")]
    Cache,
}

impl VsphereError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Http(error) => error.hint(),
            Self::NoKey { key, .. } => Some(format!("add the key `{key}` to the source's Secret")),
            Self::WrongPassword { .. } => Some(
                "mend the Secret first: it was tried once, and further tries may lock the account"
                    .to_owned(),
            ),
            Self::NotSoap { .. } => Some(
                "the address is that of the SDK, as in `https://vcenter.example/sdk`".to_owned(),
            ),
            Self::Fault { fault, .. } if fault.kind == "NoPermission" => Some(
                "give the account the role Read-only on the root folder, with propagation"
                    .to_owned(),
            ),
            Self::NoDatacenter { known, .. } if known.is_empty() => {
                Some("this account sees no datacenter at all: check its role".to_owned())
            }
            Self::NoDatacenter { known, .. } => {
                Some(format!("this account sees `{}`", known.join("`, `")))
            }
            Self::Cache => Some(
                "read everything with --fresh, or remove `windrow` in the folder of caches \
                 (`$XDG_CACHE_HOME`, else `~/.cache`)"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether the same command may work later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Http(error) => error.is_outage(),
            Self::NotSoap { status, .. } => matches!(status, 429 | 502..=504),
            Self::Fault { fault, .. } => fault.kind == "HostCommunication",
            _ => false,
        }
    }
}
