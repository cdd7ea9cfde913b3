//! Reads what sources and targets hold, and keeps it as snapshot files.
//!
//! Takes an entry of the site (a vCenter datacenter, an OpenStack project, a shelf of OVA files, a
//! Harvester cluster) and credentials; gives a [`SourceInventory`] or [`TargetInventory`], whose
//! files [`snapshot`] writes and reads. Everything here is read-only: there is no call that
//! changes, powers, snapshots or exports anything. What cannot be read is listed as a gap, never
//! left out in silence. Secrets are kept in [`secrecy`] types and reach neither logs, nor errors,
//! nor files.
//!
//! All collectors share one HTTP client (`http.rs`) with one set of rules for waiting, retrying
//! and trusting certificates.

pub mod credentials;
mod http;
mod openstack;
mod ova;
pub mod snapshot;
mod target;
mod vsphere;
mod xml;

use std::future::Future;
use std::time::Duration;

use schemas::ids::SourceName;
use schemas::inventory::{SourceInventory, TargetInventory};
use schemas::site::{Source, Target};

pub use crate::credentials::{CredentialError, CredentialSource, Credentials};
pub use crate::http::{HttpError, RootCause, Untrusted};
pub use crate::openstack::OpenstackError;
pub use crate::ova::OvaError;
pub use crate::target::TargetError;
pub use crate::vsphere::{Fault, VsphereError};
pub use crate::xml::XmlError;

/// How long reading one source may take. The largest estates measured (10,000 VMs) need less than
/// two minutes; beyond a quarter of an hour something hangs.
const PULL_TIME_MAX: Duration = Duration::from_secs(15 * 60);

/// Told how far a pull is. The command line shows it; tests count with it.
pub trait Progress: Send + Sync {
    /// So many of `what` (`servers`, `volumes`, …) of `source` have been read so far.
    fn at(&self, source: &str, what: &str, count: u64);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn at(&self, _source: &str, _what: &str, _count: u64) {}
}

/// Why a source or target could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The site names no Secret for a source that needs one, or none was given.
    #[error("read source `{source_name}`: it has no credentials")]
    NoCredentials {
        /// The source's name in the site.
        source_name: SourceName,
    },
    /// The site's entry is none of the kinds we know; its schema refuses such a one.
    #[error("read source `{source_name}`: it is none of vmware, openstack, ova")]
    NoKind {
        /// The source's name in the site.
        source_name: SourceName,
    },
    /// A vCenter or ESXi host.
    #[error("read source `{source_name}`")]
    Vmware {
        /// The source's name in the site.
        source_name: SourceName,
        /// What went wrong.
        source: VsphereError,
    },
    /// An OpenStack cloud.
    #[error("read source `{source_name}`")]
    Openstack {
        /// The source's name in the site.
        source_name: SourceName,
        /// What went wrong.
        source: OpenstackError,
    },
    /// A shelf of OVA files.
    #[error("read source `{source_name}`")]
    Ova {
        /// The source's name in the site.
        source_name: SourceName,
        /// What went wrong.
        source: OvaError,
    },
    /// A target cluster.
    #[error("read target `{target_name}`")]
    Target {
        /// The target's name in the site.
        target_name: schemas::ids::TargetName,
        /// What went wrong.
        source: TargetError,
    },
}

impl PullError {
    /// What the reader can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCredentials { .. } => Some(
                "name a Secret under `credentials.engine` or `credentials.inventory` of the source"
                    .to_owned(),
            ),
            Self::NoKind { .. } => None,
            Self::Vmware { source, .. } => source.hint(),
            Self::Openstack { source, .. } => source.hint(),
            Self::Ova { source, .. } => source.hint(),
            Self::Target { source, .. } => source.hint(),
        }
    }

    /// Whether an outside system failed, so that the same command may work later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::NoCredentials { .. } | Self::NoKind { .. } => false,
            Self::Vmware { source, .. } => source.is_outage(),
            Self::Openstack { source, .. } => source.is_outage(),
            Self::Ova { source, .. } => source.is_outage(),
            Self::Target { source, .. } => source.is_outage(),
        }
    }
}

/// Reads one source as its kind demands.
pub async fn pull_source(
    source: &Source,
    credentials: Option<&Credentials>,
    progress: &dyn Progress,
) -> Result<SourceInventory, PullError> {
    let name = &source.name;
    let needed = || {
        credentials.ok_or_else(|| PullError::NoCredentials {
            source_name: name.clone(),
        })
    };
    if let Some(place) = &source.vmware {
        vsphere::pull(name, place, needed()?, progress)
            .await
            .map_err(|source| PullError::Vmware {
                source_name: name.clone(),
                source,
            })
    } else if let Some(place) = &source.openstack {
        openstack::pull(name, place, needed()?, progress)
            .await
            .map_err(|source| PullError::Openstack {
                source_name: name.clone(),
                source,
            })
    } else if let Some(place) = &source.ova {
        ova::pull(name, place, credentials, progress)
            .await
            .map_err(|source| PullError::Ova {
                source_name: name.clone(),
                source,
            })
    } else {
        Err(PullError::NoKind {
            source_name: name.clone(),
        })
    }
}

/// Reads what planning needs to know of one target cluster.
pub async fn pull_target(
    client: kube::Client,
    target: &Target,
    progress: &dyn Progress,
) -> Result<TargetInventory, PullError> {
    target::pull(client, &target.name, progress)
        .await
        .map_err(|source| PullError::Target {
            target_name: target.name.clone(),
            source,
        })
}

/// Why a pull was broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// Ctrl-C.
    #[error("go on: interrupted")]
    Interrupted,
    /// [`PULL_TIME_MAX`] went by.
    #[error("finish within {} minutes", PULL_TIME_MAX.as_secs() / 60)]
    TookTooLong,
}

/// Runs `work` until it ends, the user interrupts it or it has taken [`PULL_TIME_MAX`]: collectors
/// wrap what lies between login and logout in it, so that a session is closed in all three cases.
pub(crate) async fn within_limits<T, E: From<Stopped>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(Stopped::Interrupted.into()),
        () = tokio::time::sleep(PULL_TIME_MAX) => Err(Stopped::TookTooLong.into()),
    }
}
