//! Target (stub).

use schemas::ids::TargetName;
use schemas::inventory::TargetInventory;

use crate::Progress;

/// Why a target cluster could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No answer.
    #[error("reach the API server")]
    Unreachable {
        /// Why not.
        source: Box<kube::Error>,
    },
}

impl TargetError {
    pub(crate) fn hint(&self) -> Option<String> {
        None
    }

    pub(crate) fn is_outage(&self) -> bool {
        true
    }
}

/// Reads one cluster.
pub(crate) async fn pull(
    client: kube::Client,
    _name: &TargetName,
    _progress: &dyn Progress,
) -> Result<TargetInventory, TargetError> {
    let source = client.apiserver_version().await.map(drop).expect_err("stub");
    Err(TargetError::Unreachable { source: Box::new(source) })
}
