//! OpenStack: per disk a snapshot, a volume of it, an image of that, which is downloaded; then all
//! three are deleted (`pkg/source/openstack/client.go:241-470` of v1.8.1).

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use engine::ImportSpec;
use reqwest::{Client, Method};
use schemas::upstream::OpenstackSourceSpec;
use serde_json::{Value, json};

use super::{client, save, secret};
use crate::SCRATCH;
use crate::lookup::Origin;

/// Between two looks at a snapshot or a volume.
const POLL: Duration = Duration::from_secs(1);
/// Between two looks at an image being uploaded, and how often: the engine's defaults (O06).
const UPLOAD_POLL: Duration = Duration::from_secs(10);
const UPLOAD_POLLS: usize = 30;

/// A session with one project's services.
struct Cloud {
    http: Client,
    token: String,
    compute: String,
    volume: String,
    image: String,
}

pub(super) async fn shut_down(source: &OpenstackSourceSpec, origin: &Origin) -> Result<()> {
    let cloud = Cloud::log_in(source, origin).await?;
    let server = format!("{}/servers/{}", cloud.compute, origin.vm.id);
    let status = async || -> Result<String> {
        let found = cloud.call(Method::GET, &server, None).await?;
        Ok(text(&found, "/server/status"))
    };
    if status().await? == "SHUTOFF" {
        return Ok(());
    }
    let action = format!("{server}/action");
    cloud
        .call(Method::POST, &action, Some(json!({ "os-stop": null })))
        .await?;
    while status().await? != "SHUTOFF" {
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

pub(super) async fn export(
    source: &OpenstackSourceSpec,
    origin: &Origin,
    import: &ImportSpec,
) -> Result<()> {
    let cloud = Cloud::log_in(source, origin).await?;
    for (index, (disk, found)) in import.disks.iter().zip(&origin.vm.disks).enumerate() {
        let name = format!("import-controller-{}-{index}", origin.vm.id);
        let mut made = Vec::new();
        let to = Path::new(SCRATCH).join(&*disk.file);
        let copied = cloud.copy(&found.key, &name, &to, &mut made).await;
        for url in made.iter().rev() {
            cloud.delete(url).await;
        }
        copied?;
    }
    Ok(())
}

impl Cloud {
    async fn log_in(source: &OpenstackSourceSpec, origin: &Origin) -> Result<Self> {
        let http = client(origin, "ca_cert")?;
        let domain = json!({ "name": secret(origin, "domain_name") });
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": secret(origin, "username"),
                "password": secret(origin, "password"),
                "domain": domain,
            }}},
            "scope": { "project": {
                "name": secret(origin, "project_name"), "domain": domain,
            }},
        }});
        let base = source.endpoint.trim_end_matches('/');
        let base = base.strip_suffix("/v3").unwrap_or(base);
        let url = format!("{base}/v3/auth/tokens");
        let answer = http
            .post(url)
            .json(&body)
            .send()
            .await?
            .error_for_status()?;
        let token = answer
            .headers()
            .get("x-subject-token")
            .context("no token in the answer")?
            .to_str()?
            .to_owned();
        let catalog: Value = answer.json().await?;
        let find = |kinds: &[&str]| {
            endpoint(&catalog, kinds, &source.region)
                .with_context(|| format!("no endpoint of {kinds:?} in {}", source.region))
        };
        Ok(Self {
            compute: find(&["compute"])?,
            volume: find(&["block-storage", "block-store", "volumev3"])?,
            image: find(&["image"])?,
            token,
            http,
        })
    }

    async fn copy(
        &self,
        volume: &str,
        name: &str,
        to: &Path,
        made: &mut Vec<String>,
    ) -> Result<()> {
        let snapshot = json!({ "snapshot": { "name": name, "volume_id": volume, "force": true } });
        let snapshot = self.make(&self.volume, "snapshots", snapshot, made).await?;
        let size = &snapshot["snapshot"]["size"];
        let id = text(&snapshot, "/snapshot/id");
        let copy = json!({ "volume": { "snapshot_id": id, "size": size } });
        let copy = self.make(&self.volume, "volumes", copy, made).await?;
        let action = format!(
            "{}/volumes/{}/action",
            self.volume,
            text(&copy, "/volume/id")
        );
        let upload =
            json!({ "os-volume_upload_image": { "image_name": name, "disk_format": "raw" } });
        let upload = self.call(Method::POST, &action, Some(upload)).await?;
        let image = text(&upload, "/os-volume_upload_image/image_id");
        let image = format!("{}/v2/images/{image}", self.image);
        made.push(image.clone());
        for _ in 0..UPLOAD_POLLS {
            if text(&self.call(Method::GET, &image, None).await?, "/status") == "active" {
                let content = self
                    .http
                    .get(format!("{image}/file"))
                    .header("X-Auth-Token", &self.token);
                return save(content.send().await?, to).await;
            }
            tokio::time::sleep(UPLOAD_POLL).await;
        }
        bail!("timeout waiting for status \"active\" of image {image}")
    }

    /// Creates an object, and waits until it is available.
    async fn make(
        &self,
        base: &str,
        kind: &str,
        body: Value,
        made: &mut Vec<String>,
    ) -> Result<Value> {
        let created = self
            .call(Method::POST, &format!("{base}/{kind}"), Some(body))
            .await?;
        let one = kind.trim_end_matches('s');
        let url = format!("{base}/{kind}/{}", text(&created, &format!("/{one}/id")));
        made.push(url.clone());
        loop {
            let now = self.call(Method::GET, &url, None).await?;
            match text(&now, &format!("/{one}/status")).as_str() {
                "available" => return Ok(now),
                "error" => bail!("{url} went to status error"),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    async fn call(&self, method: Method, url: &str, body: Option<Value>) -> Result<Value> {
        let mut request = self
            .http
            .request(method, url)
            .header("X-Auth-Token", &self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?.error_for_status()?.bytes().await?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// Deletes, and waits until it is gone: what is made from it goes first.
    async fn delete(&self, url: &str) {
        if let Err(error) = self.call(Method::DELETE, url, None).await {
            eprintln!("{url}: not deleted: {error:#}");
            return;
        }
        while self.call(Method::GET, url, None).await.is_ok() {
            tokio::time::sleep(POLL).await;
        }
    }
}

fn endpoint(catalog: &Value, kinds: &[&str], region: &str) -> Option<String> {
    let services = catalog.pointer("/token/catalog")?.as_array()?;
    let service = services
        .iter()
        .find(|service| kinds.iter().any(|kind| service["type"] == *kind))?;
    let found = service["endpoints"].as_array()?.iter().find(|endpoint| {
        endpoint["interface"] == "public"
            && (endpoint["region"] == *region || endpoint["region_id"] == *region)
    })?;
    Some(found["url"].as_str()?.trim_end_matches('/').to_owned())
}

fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
