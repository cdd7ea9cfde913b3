//! OpenStack (stub).

use schemas::ids::SourceName;
use schemas::inventory::SourceInventory;
use schemas::site::OpenstackSource;

use crate::http::HttpError;
use crate::{Credentials, Progress, Stopped};

/// Why a vCenter could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenstackError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Broken off.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl OpenstackError {
    /// What the reader can do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Http(error) => error.hint(),
            Self::Stopped(_) => None,
        }
    }

    /// Whether the same command may work later.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Http(error) => error.is_outage(),
            Self::Stopped(_) => true,
        }
    }
}

/// Reads one datacenter.
pub(crate) async fn pull(
    _name: &SourceName,
    _place: &OpenstackSource,
    _credentials: &Credentials,
    _progress: &dyn Progress,
) -> Result<SourceInventory, OpenstackError> {
    Err(Stopped::Interrupted.into())
}
