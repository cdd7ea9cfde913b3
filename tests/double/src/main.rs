//! The built-in engine behind a small kube shell: a program with the contract of
//! vm-import-controller, for scenarios where the real one is not at hand.
//!
//! It takes KUBECONFIG, brings the engine's kinds, serves `/tmp/vm-import-controller` on port 8080
//! and does on a real API server what `docs/engine.md` says of the real one: which step comes next
//! and how long the engine waits is [`engine::Sim`]'s alone; this program tells it what happens
//! outside and carries out what it asks for. Disks are really copied, from real sources.
//!
//! The parts: `kinds` (the engine's CRDs), `shell` (the loop), `objects` (what is written to the
//! API), `lookup` (an import and its source → what the simulation is told), `transfer` (how bytes
//! come out of a source), `sources` (whether a source is ready), `files` (the file server).

#![expect(
    clippy::print_stderr,
    reason = "stderr is its log, as with the real engine"
)]

mod files;
mod kinds;
mod lookup;
mod objects;
mod shell;
mod sources;
mod transfer;

use anyhow::Context as _;

/// Where raw disks lie, as with the real engine; tests give it a mount namespace of its own.
const SCRATCH: &str = "/tmp/vm-import-controller";

fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    // One thread, like the engine's one worker; look-ups and transfers are waits, not work.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run())
}

async fn run() -> anyhow::Result<()> {
    tokio::fs::create_dir_all(SCRATCH)
        .await
        .with_context(|| format!("make `{SCRATCH}`"))?;
    let client = kube::Client::try_default()
        .await
        .context("read KUBECONFIG")?;
    kinds::install(&client).await?;
    tokio::task::spawn_local(files::serve());
    tokio::task::spawn_local(sources::check_all(client.clone()));
    shell::Shell::new(client).run().await
}
