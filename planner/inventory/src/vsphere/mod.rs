//! Stub.
use schemas::ids::SourceName;
use schemas::inventory::SourceInventory;
use schemas::site::VmwareSource;

use crate::{Credentials, HttpError, Progress, Stopped};

/// Why a vCenter or ESXi host could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VsphereError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Broken off.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl VsphereError {
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
    _place: &VmwareSource,
    _credentials: &Credentials,
    _progress: &dyn Progress,
) -> Result<SourceInventory, VsphereError> {
    std::future::pending().await
}
