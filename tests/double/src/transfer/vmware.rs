//! vSphere: all VMDKs of a lease are downloaded, then converted one after the other
//! (`pkg/source/vmware/client.go:202-366` of v1.8.1). SOAP by hand, no more than this takes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use engine::ImportSpec;
use reqwest::{Client, Url};
use schemas::upstream::VmwareSourceSpec;

use super::{client, convert, save, secret};
use crate::SCRATCH;
use crate::lookup::Origin;

/// Between two looks at a lease or at a guest's power.
const POLL: Duration = Duration::from_millis(500);

/// A session with a vCenter.
struct Center {
    http: Client,
    endpoint: Url,
    cookie: String,
    collector: String,
}

pub(super) async fn shut_down(source: &VmwareSourceSpec, origin: &Origin) -> Result<()> {
    let center = Center::log_in(source, origin).await?;
    let vm = origin
        .vm
        .r#ref
        .as_deref()
        .context("the VM has a reference")?;
    if center
        .property("VirtualMachine", vm, "runtime.powerState")
        .await?
        .contains("poweredOff")
    {
        return Ok(());
    }
    center
        .call("ShutdownGuest", "VirtualMachine", vm, "")
        .await?;
    while !center
        .property("VirtualMachine", vm, "runtime.powerState")
        .await?
        .contains("poweredOff")
    {
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

pub(super) async fn export(
    source: &VmwareSourceSpec,
    origin: &Origin,
    import: &ImportSpec,
) -> Result<()> {
    let center = Center::log_in(source, origin).await?;
    let vm = origin
        .vm
        .r#ref
        .as_deref()
        .context("the VM has a reference")?;
    let answer = center.call("ExportVm", "VirtualMachine", vm, "").await?;
    let lease = between(&answer, "<returnval", "</returnval>")
        .and_then(|value| value.split_once('>'))
        .map(|(_, lease)| lease.to_owned())
        .context("a lease")?;
    loop {
        let state = center.property("HttpNfcLease", &lease, "state").await?;
        if state.contains(">ready<") {
            break;
        } else if state.contains(">error<") {
            let error = center.property("HttpNfcLease", &lease, "error").await?;
            bail!(
                "{}",
                between(&error, "<localizedMessage>", "<").unwrap_or("lease error")
            );
        }
        tokio::time::sleep(POLL).await;
    }
    // Kept outside of the served folder, as the engine does.
    let folder = PathBuf::from(format!("/tmp/{}-{}-double", import.name, import.namespace));
    tokio::fs::create_dir_all(&folder).await?;
    let copied = center.copy(&lease, &folder, import).await;
    tokio::fs::remove_dir_all(&folder).await?;
    copied?;
    center
        .call("HttpNfcLeaseComplete", "HttpNfcLease", &lease, "")
        .await?;
    Ok(())
}

impl Center {
    async fn log_in(source: &VmwareSourceSpec, origin: &Origin) -> Result<Self> {
        let mut center = Self {
            http: client(origin, "caCert")?,
            endpoint: source.endpoint.parse()?,
            cookie: String::new(),
            collector: String::new(),
        };
        let content = center
            .call(
                "RetrieveServiceContent",
                "ServiceInstance",
                "ServiceInstance",
                "",
            )
            .await?;
        let reference = |name: &str| -> Result<String> {
            let tail = content
                .split_once(&format!("<{name} "))
                .context("service content")?
                .1;
            Ok(between(tail, ">", "<").context("a reference")?.to_owned())
        };
        center.collector = reference("propertyCollector")?;
        let manager = reference("sessionManager")?;
        let login = format!(
            "<userName>{}</userName><password>{}</password>",
            escape(secret(origin, "username")),
            escape(secret(origin, "password"))
        );
        let answer = center
            .send("Login", "SessionManager", &manager, &login)
            .await?;
        let cookie = answer
            .headers()
            .get("set-cookie")
            .context("a session's cookie")?;
        let session = cookie.to_str()?.split(';').next().unwrap_or_default();
        session.clone_into(&mut center.cookie);
        Ok(center)
    }

    async fn copy(&self, lease: &str, folder: &Path, import: &ImportSpec) -> Result<()> {
        let info = self.property("HttpNfcLease", lease, "info").await?;
        let disks: Vec<&str> = info
            .split("<deviceUrl>")
            .skip(1)
            .filter(|device| device.contains("<disk>true</disk>"))
            .filter_map(|device| between(device, "<url>", "</url>"))
            .collect();
        if disks.len() != import.disks.len() {
            bail!(
                "the lease has {} disks, the VM {}",
                disks.len(),
                import.disks.len()
            );
        }
        let host = self.endpoint.host_str().unwrap_or_default();
        let mut downloaded = Vec::new();
        for (index, url) in disks.iter().enumerate() {
            let url = url.replace("&amp;", "&").replace('*', host);
            let to = folder.join(format!("disk-{index}.vmdk"));
            let answer = self
                .http
                .get(url)
                .header("Cookie", &self.cookie)
                .send()
                .await?;
            save(answer, &to).await?;
            let progress = "<percent>50</percent>";
            self.call("HttpNfcLeaseProgress", "HttpNfcLease", lease, progress)
                .await?;
            downloaded.push(to);
        }
        for (vmdk, disk) in downloaded.iter().zip(&import.disks) {
            convert(vmdk, &Path::new(SCRATCH).join(&*disk.file)).await?;
            tokio::fs::remove_file(vmdk).await?;
        }
        Ok(())
    }

    /// A property as the answer has it, markup included.
    async fn property(&self, kind: &str, object: &str, path: &str) -> Result<String> {
        let spec = format!(
            "<specSet><propSet><type>{kind}</type><pathSet>{path}</pathSet></propSet>\
             <objectSet><obj type=\"{kind}\">{object}</obj></objectSet></specSet><options/>"
        );
        self.call(
            "RetrievePropertiesEx",
            "PropertyCollector",
            &self.collector,
            &spec,
        )
        .await
    }

    async fn call(&self, method: &str, kind: &str, this: &str, rest: &str) -> Result<String> {
        Ok(self.send(method, kind, this, rest).await?.text().await?)
    }

    async fn send(
        &self,
        method: &str,
        kind: &str,
        this: &str,
        rest: &str,
    ) -> Result<reqwest::Response> {
        let body = format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>\
             <{method} xmlns=\"urn:vim25\"><_this type=\"{kind}\">{this}</_this>{rest}</{method}>\
             </e:Body></e:Envelope>"
        );
        let answer = self
            .http
            .post(self.endpoint.clone())
            .header("SOAPAction", "urn:vim25/6.7")
            .header("Content-Type", "text/xml; charset=utf-8")
            .header("Cookie", &self.cookie)
            .body(body)
            .send()
            .await?;
        if !answer.status().is_success() {
            let text = answer.text().await?;
            let fault = between(&text, "<faultstring>", "</faultstring>").unwrap_or("SOAP fault");
            bail!("ServerFaultCode: {fault}");
        }
        Ok(answer)
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let tail = text.split_once(start)?.1;
    Some(tail.split_once(end)?.0)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
