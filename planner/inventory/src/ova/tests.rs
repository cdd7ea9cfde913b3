//! Archives behind a real socket, with and without parts of files.

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::archive::tests::member;
use super::*;
use crate::NoProgress;

const OVF: &str = r#"<Envelope xmlns:ovf="urn:o"><References><File ovf:id="f1"
    ovf:href="disk1.vmdk" ovf:size="1"/><File ovf:id="f2" ovf:href="disk2.vmdk" ovf:size="2"/>
    </References><DiskSection><Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="1073741824"/>
    <Disk ovf:diskId="d2" ovf:fileRef="f2" ovf:capacity="1073741824"/></DiskSection><VirtualSystem>
    <VirtualHardwareSection><Item><HostResource>ovf:/disk/d1</HostResource>
    <ResourceType>17</ResourceType></Item><Item><HostResource>ovf:/disk/d2</HostResource>
    <ResourceType>17</ResourceType></Item></VirtualHardwareSection></VirtualSystem></Envelope>"#;
const MANIFEST: &[u8] = b"SHA256(a.ovf)= 00\nSHA256(disk1.vmdk)= 00\nSHA256(disk2.vmdk)= 00\n";
/// Larger than the first piece that is read, so that headers behind it have to be fetched.
const DISK_BYTES: usize = 300_000;

/// A file server. `parts`: it answers Range; `status`: it answers everything with that.
#[derive(Clone, Debug)]
struct Files {
    archive: Vec<u8>,
    parts: bool,
    status: Option<u16>,
}

impl Respond for Files {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if let Some(status) = self.status {
            return ResponseTemplate::new(status);
        }
        let range = request
            .headers
            .get("range")
            .and_then(|range| range.to_str().ok());
        let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        match range {
            Some((from, to)) if self.parts => {
                let from: usize = from.parse().expect("a number");
                let to: usize = to.parse().expect("a number");
                let Some(rest) = self.archive.get(from..).filter(|rest| !rest.is_empty()) else {
                    return ResponseTemplate::new(416);
                };
                let part = rest[..rest.len().min(to + 1 - from)].to_vec();
                ResponseTemplate::new(206).set_body_bytes(part)
            }
            _ => ResponseTemplate::new(200).set_body_bytes(self.archive.clone()),
        }
    }
}

/// An archive of these members, with the two empty blocks at its end.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive: Vec<u8> = members
        .iter()
        .flat_map(|(name, bytes)| member(name, bytes))
        .collect();
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn whole() -> Vec<u8> {
    let disk = vec![7; DISK_BYTES];
    archive(&[
        ("a.ovf", OVF.as_bytes()),
        ("disk1.vmdk", &disk),
        ("disk2.vmdk", &disk),
        ("a.mf", MANIFEST),
    ])
}

async fn pulled(
    archive: Vec<u8>,
    parts: bool,
    status: Option<u16>,
) -> (Result<SourceInventory, OvaError>, usize) {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = MockServer::start().await;
    let files = Files {
        archive,
        parts,
        status,
    };
    Mock::given(any()).respond_with(files).mount(&server).await;
    let url = format!("{}/a.ova?signature=hunter2", server.uri());
    let shelf = OvaSource {
        items: vec![OvaItem {
            url,
            name: "erp".into(),
        }],
    };
    let credentials = Credentials::from_iter([("username", "u"), ("password", "hunter2")]);
    let http = Http::new(Trust::new(None, CA_KEY), "test")
        .expect("a client")
        .impatient();
    let name = SourceName::from("shelf");
    let result = pull_through(&http, &name, &shelf, Some(&credentials), &NoProgress).await;
    let requests = server.received_requests().await.unwrap_or_default();
    (result, requests.len())
}

// With parts of files, everything is found wherever it is, in few requests, and no secret is in
// the snapshot.
#[tokio::test]
async fn by_parts() {
    let archive = whole();
    let (result, requests) = pulled(archive.clone(), true, None).await;
    let inventory = result.expect("read");
    let vm = &inventory.vms[0];
    assert_eq!(vm.id.as_str(), "erp");
    let sizes: Vec<_> = vm.disks.iter().map(|disk| disk.file_bytes).collect();
    assert_eq!(sizes, [Some(Bytes(DISK_BYTES as u64)); 2]);
    let facts = vm.ova.as_ref().expect("an OVA");
    assert_eq!(facts.manifest.as_deref(), Some("sha256"));
    assert_eq!(facts.archive_bytes, Bytes(archive.len() as u64));
    assert_eq!((vm.gaps.len(), inventory.about.gaps.len()), (0, 0));
    assert!(requests <= 6, "{requests} requests");
    assert!(!format!("{inventory:?}").contains("hunter2"));
}

// Without parts, the descriptor's sizes stand in, and what could not be seen is a gap, not a
// finding.
#[tokio::test]
async fn from_the_beginning() {
    let (result, _) = pulled(whole(), false, None).await;
    let vm = result.expect("read").vms.remove(0);
    let sizes: Vec<_> = vm.disks.iter().map(|disk| disk.file_bytes).collect();
    assert_eq!(sizes, [Some(Bytes(DISK_BYTES as u64)), Some(Bytes(2))]);
    assert_eq!(vm.gaps.len(), 1);
    assert_eq!(vm.gaps[0].what, "manifest");
}

// No manifest, a file without a line in it, a missing member, a file that is cut off: all said.
#[tokio::test]
async fn incomplete_archives() {
    let disk = vec![7; DISK_BYTES];
    let bare = archive(&[("a.ovf", OVF.as_bytes()), ("disk1.vmdk", &disk)]);
    let vm = pulled(bare, true, None)
        .await
        .0
        .expect("read")
        .vms
        .remove(0);
    assert_eq!(vm.ova.and_then(|facts| facts.manifest), None);
    assert_eq!(vm.gaps[0].object.as_deref(), Some("disk2.vmdk"));

    let short: &[u8] = b"SHA1(disk1.vmdk)= 00\n";
    let listed = archive(&[
        ("a.ovf", OVF.as_bytes()),
        ("a.mf", short),
        ("disk1.vmdk", &disk),
        ("disk2.vmdk", &disk),
    ]);
    let vm = pulled(listed, true, None)
        .await
        .0
        .expect("read")
        .vms
        .remove(0);
    assert_eq!(
        vm.ova.and_then(|facts| facts.manifest).as_deref(),
        Some("sha1")
    );
    assert_eq!(vm.gaps[0].what, "manifest");

    let mut cut = whole();
    cut.truncate(200_000);
    let vm = pulled(cut, true, None).await.0.expect("read").vms.remove(0);
    assert!(
        vm.gaps.iter().any(|gap| gap.what == "archive"),
        "{:?}",
        vm.gaps
    );
}

// Each way of not getting an archive has an error of its own; a refused login is tried once.
#[tokio::test]
async fn no_archive() {
    let (denied, requests) = pulled(Vec::new(), true, Some(401)).await;
    assert!(matches!(denied, Err(OvaError::Denied { status: 401, .. })));
    assert_eq!(requests, 1);
    let (refused, _) = pulled(Vec::new(), true, Some(405)).await;
    assert!(matches!(refused, Err(OvaError::NoHead { status: 405, .. })));
    let page = b"<html>sign in</html>".repeat(100);
    let (page, _) = pulled(page, true, None).await;
    assert!(matches!(page, Err(OvaError::NotTar { .. })));
    let (empty, _) = pulled(archive(&[("readme.txt", b"hello")]), true, None).await;
    let error = empty.expect_err("no descriptor");
    assert!(matches!(error, OvaError::NoDescriptor { .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
