//! What verbs that talk to the outside need: an asynchronous runtime and a log.

use std::future::Future;
use std::io;

use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::cli::Global;
use crate::failure::Failure;

/// Runs `work` to its end. Only the verbs that need a runtime start one.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::misused(RuntimeError(error)))?
        .block_on(work)
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
#[error("start threads")]
struct RuntimeError(#[source] io::Error);

/// Sends the events of all crates to stderr: warnings, and with `--verbose` what is being done.
pub fn log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => Level::ERROR,
        (_, true) => Level::DEBUG,
        _ => Level::WARN,
    };
    // The client reports every failed request on its own; we say it once, with what it was for.
    let client = if global.verbose { "debug" } else { "off" };
    let filter = EnvFilter::new(format!(
        "{level},kube_client={client},kube_runtime={client}"
    ));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
}
