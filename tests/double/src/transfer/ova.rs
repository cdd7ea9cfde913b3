//! OVA: the archive is downloaded and stays; each VMDK is taken out, converted and removed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::ImportSpec;
use schemas::upstream::OvaSourceSpec;
use tokio::process::Command;

use super::{client, convert, run, save};
use crate::SCRATCH;
use crate::lookup::Origin;

pub(super) async fn export(
    source: &OvaSourceSpec,
    origin: &Origin,
    import: &ImportSpec,
) -> Result<()> {
    let (archive, _) = import.archive.as_ref().context("an OVA has an archive")?;
    let archive = PathBuf::from(format!("{SCRATCH}/{archive}"));
    let response = client(origin, "ca.crt")?.get(&source.url).send().await?;
    let downloaded = save(response, &archive).await;
    if downloaded.is_err() {
        tokio::fs::remove_file(&archive).await?;
        return downloaded;
    }
    for (disk, found) in import.disks.iter().zip(&origin.vm.disks) {
        let inside = found.file.as_deref().unwrap_or(&found.key);
        run(Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .args(["-C", SCRATCH, inside]))
        .await?;
        let vmdk = Path::new(SCRATCH).join(inside);
        convert(&vmdk, &Path::new(SCRATCH).join(&*disk.file)).await?;
        tokio::fs::remove_file(&vmdk).await?;
    }
    Ok(())
}
