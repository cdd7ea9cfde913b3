//! How bytes come out of a source, in the real engine's steps, so that times compare.

mod openstack;
mod ova;
mod vmware;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use engine::ImportSpec;
use futures::StreamExt as _;
use reqwest::{Certificate, Client, Response};
use secrecy::ExposeSecret as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::lookup::{AnySource, Origin};

/// Asks the guest to shut down, and waits until it is off.
pub(crate) async fn shut_down(origin: Origin) -> Result<()> {
    match &origin.source {
        AnySource::Vmware(spec) => vmware::shut_down(spec, &origin).await,
        AnySource::Openstack(spec) => openstack::shut_down(spec, &origin).await,
        AnySource::Ova(_) => Ok(()),
    }
}

/// Copies the disks into the scratch, under the names that `import` gives them.
pub(crate) async fn export(origin: Origin, import: &ImportSpec) -> Result<()> {
    match &origin.source {
        AnySource::Vmware(spec) => vmware::export(spec, &origin, import).await,
        AnySource::Openstack(spec) => openstack::export(spec, &origin, import).await,
        AnySource::Ova(spec) => ova::export(spec, &origin, import).await,
    }
}

/// A client that verifies only where the Secret has a CA, as the engine does (L09).
fn client(origin: &Origin, ca_key: &str) -> Result<Client> {
    let builder = Client::builder();
    let builder = match origin.credentials.get(ca_key) {
        Some(ca) => {
            builder.tls_certs_merge([Certificate::from_pem(ca.expose_secret().as_bytes())?])
        }
        None => builder.tls_danger_accept_invalid_certs(true),
    };
    builder.build().context("make an HTTP client")
}

fn secret<'a>(origin: &'a Origin, key: &str) -> &'a str {
    origin
        .credentials
        .get(key)
        .map_or("", |value| value.expose_secret())
}

/// Writes a body to a file as it comes.
async fn save(response: Response, to: &Path) -> Result<()> {
    let mut file = tokio::fs::File::create(to).await?;
    let mut pieces = response.error_for_status()?.bytes_stream();
    while let Some(piece) = pieces.next().await {
        // The engine reports Go's own words for a body that breaks off (measured §8).
        file.write_all(&piece.context("unexpected EOF")?).await?;
    }
    file.flush().await?;
    Ok(())
}

/// Turns a VMDK into a raw disk with holes.
async fn convert(vmdk: &Path, raw: &Path) -> Result<()> {
    run(Command::new("qemu-img")
        .args(["convert", "-f", "vmdk", "-O", "raw"])
        .args([vmdk, raw]))
    .await
}

async fn run(command: &mut Command) -> Result<()> {
    let done = command.output().await.context("start a helper program")?;
    if !done.status.success() {
        bail!("{}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}
