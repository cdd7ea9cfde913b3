//! OpenStack: one project of one region, read through Keystone, Nova, Cinder, Glance and Neutron.
//!
//! Takes the site's entry and the engine's Secret; gives the project's servers with what the
//! engine will look at when it imports them. Only reads, apart from asking for a token and giving
//! it back. `environment` finds credentials beside the Secret's, `login` gets a token, `session` sends, `read` asks for what `list` names, `wire` has the answers'
//! types, and `join` makes one VM of what five services know of a server, without any IO.

mod environment;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod join;
mod list;
mod login;
mod read;
mod session;
#[cfg(test)]
mod tests;
mod wire;

use schemas::ids::SourceName;
use schemas::inventory::SourceInventory;
use schemas::site::OpenstackSource;

pub use self::environment::{Cloud, CloudError};
pub use self::error::OpenstackError;
use self::session::Session;
use crate::http::{Http, Trust};
use crate::{Credentials, Progress, within_limits};

/// The Secret's key for authorities, which is the engine's.
const CA_KEY: &str = "ca_cert";

/// Reads one project.
pub(crate) async fn pull(
    name: &SourceName,
    place: &OpenstackSource,
    credentials: &Credentials,
    progress: &dyn Progress,
) -> Result<SourceInventory, OpenstackError> {
    let http = Http::new(Trust::new(Some(credentials), CA_KEY), name.as_str())?;
    pull_with(http, name, place, credentials, progress).await
}

/// Logs in and gives the token back; when the password expires, where it does.
pub(crate) async fn log_in(
    name: &SourceName,
    place: &OpenstackSource,
    credentials: &Credentials,
) -> Result<Option<jiff::Timestamp>, OpenstackError> {
    let http = Http::new(Trust::new(Some(credentials), CA_KEY), name.as_str())?;
    let session = within_limits(Session::open(http, place, credentials)).await?;
    let expires = session.password_expires();
    session.close().await;
    Ok(expires)
}

async fn pull_with(
    http: Http,
    name: &SourceName,
    place: &OpenstackSource,
    credentials: &Credentials,
    progress: &dyn Progress,
) -> Result<SourceInventory, OpenstackError> {
    let session = Session::open(http, place, credentials).await?;
    let origin = join::Origin {
        endpoint: place.endpoint.clone(),
        region: place.region.clone(),
        project: session.project().clone(),
        user: session.user().to_owned(),
        tls: session.tls(),
        identity: session.identity_used(),
        token_seconds: session.token_seconds(),
        password_expires: session.password_expires(),
    };
    let estate = within_limits(Box::pin(read::estate(&session, name, progress))).await;
    session.close().await;
    Ok(join::inventory(origin, estate?))
}
