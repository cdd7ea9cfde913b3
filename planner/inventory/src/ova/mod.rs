//! Stub.
use schemas::ids::SourceName;
use schemas::inventory::SourceInventory;
use schemas::site::OvaSource;

use crate::{Credentials, HttpError, Progress, Stopped};

/// Why an OVA could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OvaError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Broken off.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl OvaError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        None
    }
    /// Whether the same command may work later.
    pub fn is_outage(&self) -> bool {
        false
    }
}

pub(crate) async fn pull(
    _name: &SourceName,
    _place: &OvaSource,
    _credentials: Option<&Credentials>,
    _progress: &dyn Progress,
) -> Result<SourceInventory, OvaError> {
    std::future::pending().await
}
