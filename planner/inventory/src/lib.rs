//! Reads what sources and targets hold, and keeps it as snapshot files.
//!
//! Takes an entry of the site (a vCenter datacenter, an OpenStack project, a shelf of OVA files, a
//! Harvester cluster) and credentials; gives a [`Pulled`] inventory or a [`TargetInventory`], whose
//! files [`snapshot`] writes and reads. Everything here is read-only: there is no call that
//! changes, powers, snapshots or exports anything. What cannot be read is listed as a gap, never
//! left out in silence. Secrets are kept in [`secrecy`] types and reach neither logs, nor errors,
//! nor files.
//!
//! All collectors share one HTTP client (`http.rs`) with one set of rules for waiting, retrying
//! and trusting certificates.

pub mod credentials;
#[cfg(test)]
mod fake;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod openstack;
mod ova;
mod pattern;
mod pulled;
mod shared;
pub mod snapshot;
mod target;
mod vsphere;
mod xml;

use std::future::Future;
use std::time::Duration;

use camino::Utf8Path;
use schemas::ids::{SourceName, TargetName};
use schemas::inventory::TargetInventory;
use schemas::site::{Source, Target};
use tokio::signal::unix::{SignalKind, signal};

pub use crate::credentials::{CredentialError, CredentialSource, Credentials};
pub use crate::http::{HttpError, RootCause, Untrusted};
pub use crate::openstack::{Cloud, CloudError, OpenstackError};
pub use crate::ova::{NotTar, OvaError};
pub use crate::pulled::Pulled;
pub use crate::target::TargetError;
pub use crate::vsphere::{Fault, Govc, GovcError, Vcenters, VsphereError};
pub use crate::xml::XmlError;

/// How long reading one source may take. The largest estates measured (10,000 VMs) need less than
/// two minutes; beyond a quarter of an hour something hangs.
const PULL_TIME_MAX: Duration = Duration::from_mins(15);

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

/// Which source or target could not be read, and why.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// A source.
    #[error("read source `{name}`")]
    Source {
        /// Its name in the site.
        name: SourceName,
        /// Why.
        source: Box<SourceError>,
    },
    /// A target cluster.
    #[error("read target `{name}`")]
    Target {
        /// Its name in the site.
        name: TargetName,
        /// Why.
        source: Box<TargetError>,
    },
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It needs a Secret, and none was given.
    #[error("log in: the source has no credentials")]
    NoCredentials,
    /// The site's entry is none of the kinds we know; its schema refuses such a one.
    #[error("tell its kind: it is none of vmware, openstack, ova")]
    NoKind,
    /// A vCenter or ESXi host.
    #[error(transparent)]
    Vmware(#[from] VsphereError),
    /// An OpenStack cloud.
    #[error(transparent)]
    Openstack(#[from] OpenstackError),
    /// A shelf of OVA files.
    #[error(transparent)]
    Ova(#[from] OvaError),
}

impl PullError {
    /// What the reader can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Source { source, .. } => source.hint(),
            Self::Target { source, .. } => source.hint(),
        }
    }

    /// Whether an outside system failed, so that the same command may work later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Source { source, .. } => source.is_outage(),
            Self::Target { source, .. } => source.is_outage(),
        }
    }
}

impl SourceError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCredentials => Some(
                "name a Secret under `credentials.engine` or `credentials.inventory` of the source"
                    .to_owned(),
            ),
            Self::NoKind => None,
            Self::Vmware(error) => error.hint(),
            Self::Openstack(error) => error.hint(),
            Self::Ova(error) => error.hint(),
        }
    }

    fn is_outage(&self) -> bool {
        match self {
            Self::NoCredentials | Self::NoKind => false,
            Self::Vmware(error) => error.is_outage(),
            Self::Openstack(error) => error.is_outage(),
            Self::Ova(error) => error.is_outage(),
        }
    }
}

/// What a pull may use beside the site's entry.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access<'a> {
    /// The Secret to read with.
    pub credentials: Option<&'a Credentials>,
    /// The user of the engine's Secret, where that is another one: vSphere is asked what that user
    /// may do with each VM.
    pub importer: Option<&'a str>,
    /// A folder for what makes the next pull quicker. `None`: everything is read, nothing kept.
    pub cache: Option<&'a Utf8Path>,
    /// What this run has read of vCenters, for several sources of one.
    pub vcenters: Option<&'a Vcenters>,
}

/// Reads one source as its kind demands.
pub async fn pull_source(
    source: &Source,
    access: Access<'_>,
    progress: &dyn Progress,
) -> Result<Pulled, PullError> {
    let pulled = Box::pin(pull_kind(source, access, progress)).await;
    pulled.map_err(|error| PullError::Source {
        name: source.name.clone(),
        source: Box::new(error),
    })
}

async fn pull_kind(
    source: &Source,
    access: Access<'_>,
    progress: &dyn Progress,
) -> Result<Pulled, SourceError> {
    let name = &source.name;
    let credentials = access.credentials;
    let needed = || credentials.ok_or(SourceError::NoCredentials);
    if let Some(place) = &source.vmware {
        Ok(vsphere::pull(name, place, needed()?, access, progress).await?)
    } else if let Some(place) = &source.openstack {
        Ok(openstack::pull(name, place, needed()?, progress)
            .await?
            .into())
    } else if let Some(place) = &source.ova {
        Ok(ova::pull(name, place, credentials, progress).await?.into())
    } else {
        Err(SourceError::NoKind)
    }
}

/// Logs in to a source once, and out again, with what is not its reader's Secret: whether the engine
/// will be let in. A shelf of OVA files knows no logins.
pub async fn log_in(source: &Source, credentials: &Credentials) -> Result<LoggedIn, PullError> {
    let name = &source.name;
    let logged_in = async {
        if let Some(place) = &source.vmware {
            vsphere::log_in(name, place, credentials).await?;
            Ok(LoggedIn::default())
        } else if let Some(place) = &source.openstack {
            let password_expires = openstack::log_in(name, place, credentials).await?;
            Ok(LoggedIn { password_expires })
        } else {
            Ok(LoggedIn::default())
        }
    };
    logged_in.await.map_err(|error| PullError::Source {
        name: name.clone(),
        source: Box::new(error),
    })
}

/// What a login said of its account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoggedIn {
    /// When its password expires, where the server says so.
    pub password_expires: Option<jiff::Timestamp>,
}

/// Reads what planning needs to know of one target cluster.
pub async fn pull_target(
    client: kube::Client,
    target: &Target,
    progress: &dyn Progress,
) -> Result<TargetInventory, PullError> {
    let pulled = target::pull(client, &target.name, progress).await;
    pulled.map_err(|error| PullError::Target {
        name: target.name.clone(),
        source: Box::new(error),
    })
}

/// Why a pull was broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// Ctrl-C or SIGTERM.
    #[error("finish: interrupted")]
    Interrupted,
    /// `PULL_TIME_MAX` went by.
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
        reason = reason_to_stop() => Err(reason.into()),
    }
}

/// Ctrl-C, or SIGTERM, which is how a job or a cluster ends a program.
async fn interruption() {
    // Where a handler is not to be had, the signal keeps its own effect: it ends the process.
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

/// Comes back when the user interrupts the program, or after [`PULL_TIME_MAX`].
pub(crate) async fn reason_to_stop() -> Stopped {
    tokio::select! {
        () = interruption() => Stopped::Interrupted,
        () = tokio::time::sleep(PULL_TIME_MAX) => Stopped::TookTooLong,
    }
}
