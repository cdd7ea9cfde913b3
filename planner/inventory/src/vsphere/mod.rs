//! Reads one datacenter of a vCenter, or an ESXi host, over its SOAP API (vim25).
//!
//! Takes the site's entry and a Secret (`username`, `password`, optionally `caCert`, and
//! `insecure` for us alone); gives the snapshot of that datacenter, with the networks of the whole
//! vCenter. It sends nothing but login, views, reads of properties, questions about rights, reads
//! of tags, and logout, and it logs out however the reading ends.
//!
//! The order: [`session`] logs in; the infrastructure view ([`places`]) finds the datacenter; a
//! view of its VMs gives what is cheap (light pass), and lists of 200 give devices and files of
//! those that have changed (heavy pass; [`machine`], [`devices`], [`cache`]). [`properties`] reads
//! all these lists, [`soap`] packs and unpacks. Then [`tags`], [`privileges`], [`rules`], and what
//! the engine's own search would find ([`finder`]).

mod cache;
mod devices;
mod error;
mod finder;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod govc;
mod guest;
mod layout;
mod machine;
mod places;
mod privileges;
mod properties;
mod read;
mod rules;
mod session;
mod soap;
mod tags;
#[cfg(test)]
mod tests;
mod vcenter;

use schemas::ids::SourceName;
use schemas::site::VmwareSource;
use secrecy::ExposeSecret;
use tokio::sync::watch;

pub use self::error::VsphereError;
pub use self::govc::{Govc, GovcError};
pub use self::soap::Fault;
pub use self::vcenter::Vcenters;

use self::read::Reading;
use self::session::{Account, Session};
use crate::http::{Http, Trust, parse_url, shown};
use crate::{Access, Credentials, Progress, Pulled, Stopped, reason_to_stop};

/// The engine's key for a certificate authority in a vCenter's Secret.
const CA_KEY: &str = "caCert";

/// Reads one datacenter.
pub(crate) async fn pull(
    name: &SourceName,
    place: &VmwareSource,
    credentials: &Credentials,
    access: Access<'_>,
    progress: &dyn Progress,
) -> Result<Pulled, VsphereError> {
    let trust = Trust::new(Some(credentials), CA_KEY);
    let http = Http::new(trust, name.as_str())?;
    let stop = reason_to_stop();
    pull_through(&http, name, place, credentials, access, progress, stop).await
}

/// The same through a client that is given, until `stop` comes back.
async fn pull_through(
    http: &Http,
    name: &SourceName,
    place: &VmwareSource,
    credentials: &Credentials,
    access: Access<'_>,
    progress: &dyn Progress,
    stop: impl Future<Output = Stopped>,
) -> Result<Pulled, VsphereError> {
    let reading = Reading {
        datacenter: &place.datacenter,
        access,
        told: &|what, count| progress.at(name.as_str(), what, count as u64),
    };
    logged_in(http, place, credentials, stop, async |session| {
        reading.run(session).await
    })
    .await
}

/// Logs in, and out again.
pub(crate) async fn log_in(
    name: &SourceName,
    place: &VmwareSource,
    credentials: &Credentials,
) -> Result<(), VsphereError> {
    let trust = Trust::new(Some(credentials), CA_KEY);
    let http = Http::new(trust, name.as_str())?;
    let nothing = async |_: &Session<'_>| Ok(());
    logged_in(&http, place, credentials, reason_to_stop(), nothing).await
}

/// Does `work` in a session of its own, which is ended however the work ends. Once `stop` comes back,
/// the session answers no more.
async fn logged_in<T>(
    http: &Http,
    place: &VmwareSource,
    credentials: &Credentials,
    stop: impl Future<Output = Stopped>,
    work: impl AsyncFnOnce(&Session<'_>) -> Result<T, VsphereError>,
) -> Result<T, VsphereError> {
    let url = parse_url(&place.endpoint)?;
    let key = |key| {
        credentials.get(key).ok_or_else(|| VsphereError::NoKey {
            url: shown(&url),
            key,
        })
    };
    let account = Account {
        user: key("username")?.expose_secret(),
        password: key("password")?,
    };
    let (stop_session, stopped) = watch::channel(None);
    let work = async {
        let session = Session::connect(http, url, account, stopped).await?;
        let result = match session.log_in().await {
            Ok(()) => work(&session).await,
            Err(error) => Err(error),
        };
        session.log_out().await;
        result
    };
    tokio::pin!(work);
    // The work is never dropped: told to stop, it gives up its reads, ends a login that is under
    // way, and logs out.
    tokio::select! {
        result = &mut work => return result,
        reason = stop => stop_session.send_replace(Some(reason)),
    };
    work.await
}
