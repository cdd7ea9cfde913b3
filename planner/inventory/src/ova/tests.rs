//! Archives behind a real socket, with and without parts of files.

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::archive::tests::member;
use super::*;
use crate::NoProgress;
use crate::fake::{self, Given, Leaf};

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

/// What a file server does with requests for parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parts {
    /// Gives them.
    Given,
    /// Gives the whole file.
    Ignored,
    /// Refuses with this status.
    Refused(u16),
    /// Gives another one, as its header says, from the second on.
    Other,
}

/// A file server. `status`: it answers everything with that.
#[derive(Clone, Debug)]
struct Files {
    archive: Vec<u8>,
    parts: Parts,
    status: Option<u16>,
    /// It sends everybody there.
    elsewhere: Option<String>,
}

impl Files {
    fn new(archive: Vec<u8>) -> Self {
        Self {
            archive,
            parts: Parts::Given,
            status: None,
            elsewhere: None,
        }
    }
}

impl Respond for Files {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if let Some(status) = self.status {
            return ResponseTemplate::new(status);
        }
        if let Some(elsewhere) = &self.elsewhere {
            return ResponseTemplate::new(302).insert_header("location", elsewhere.as_str());
        }
        let range = request
            .headers
            .get("range")
            .and_then(|range| range.to_str().ok());
        let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        match (range, self.parts) {
            (Some(_), Parts::Refused(status)) => ResponseTemplate::new(status),
            (Some((from, to)), Parts::Given | Parts::Other) => {
                let from: usize = from.parse().expect("a number");
                let to: usize = to.parse().expect("a number");
                let Some(rest) = self.archive.get(from..).filter(|rest| !rest.is_empty()) else {
                    return ResponseTemplate::new(416);
                };
                let part = rest[..rest.len().min(to + 1 - from)].to_vec();
                let start = if self.parts == Parts::Other && from > 0 {
                    from + 512
                } else {
                    from
                };
                let range = format!(
                    "bytes {start}-{}/{}",
                    start + part.len(),
                    self.archive.len()
                );
                ResponseTemplate::new(206)
                    .insert_header("content-range", range.as_str())
                    .set_body_bytes(part)
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

async fn pulled(files: Files) -> (Result<SourceInventory, OvaError>, usize) {
    let server = served(files).await;
    let result = pulled_from(&server.uri(), Vec::new()).await;
    let requests = server.received_requests().await.unwrap_or_default();
    (result, requests.len())
}

async fn served(files: Files) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(files).mount(&server).await;
    server
}

/// Reads the archive at that server with a user and these keys.
async fn pulled_from(
    server: &str,
    keys: Vec<(&'static str, String)>,
) -> Result<SourceInventory, OvaError> {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shelf = OvaSource {
        items: vec![OvaItem {
            url: format!("{server}/a.ova?signature=hunter2"),
            name: "erp".into(),
        }],
    };
    let user = [
        ("username", "u".to_owned()),
        ("password", "hunter2".to_owned()),
    ];
    let credentials: Credentials = user.into_iter().chain(keys).collect();
    let http = client(Some(&credentials), "test")?.impatient();
    let name = SourceName::from("shelf");
    pull_through(&http, &name, &shelf, Some(&credentials), &NoProgress).await
}

async fn vm_of(files: Files) -> Vm {
    let (result, _) = pulled(files).await;
    result.expect("read").vms.remove(0)
}

// With parts of files, everything is found wherever it is, in few requests, and no secret is in
// the snapshot.
#[tokio::test]
async fn by_parts() {
    let archive = whole();
    let (result, requests) = pulled(Files::new(archive.clone())).await;
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
    let refusals = [400, 416, 501].map(Parts::Refused);
    for parts in refusals.into_iter().chain([Parts::Ignored]) {
        let files = Files {
            parts,
            ..Files::new(whole())
        };
        let vm = vm_of(files).await;
        let sizes: Vec<_> = vm.disks.iter().map(|disk| disk.file_bytes).collect();
        assert_eq!(sizes, [Some(Bytes(DISK_BYTES as u64)), Some(Bytes(2))]);
        assert_eq!(vm.gaps.len(), 1, "{parts:?}");
        assert_eq!(vm.gaps[0].what, "manifest");
    }
}

// No manifest, a file without a line in it, a missing member, a file that is cut off: all said.
#[tokio::test]
async fn incomplete_archives() {
    let disk = vec![7; DISK_BYTES];
    let bare = archive(&[("a.ovf", OVF.as_bytes()), ("disk1.vmdk", &disk)]);
    let facts = vm_of(Files::new(bare)).await.ova.expect("an OVA");
    assert_eq!(facts.manifest, None);
    assert_eq!(
        facts.unfound_disks,
        ["disk2.vmdk: the archive has no such member"]
    );

    let short: &[u8] = b"SHA1(disk1.vmdk)= 00\nSHA1(./disk2.vmdk)= 00\n";
    let listed = archive(&[
        ("a.ovf", OVF.as_bytes()),
        ("a.mf", short),
        ("disk1.vmdk", &disk),
        ("below/disk2.vmdk", &disk),
    ]);
    let facts = vm_of(Files::new(listed)).await.ova.expect("an OVA");
    assert_eq!(facts.manifest.as_deref(), Some("sha1"));
    assert_eq!(facts.unlisted_disks, ["disk2.vmdk"]);
    assert!(
        facts.unfound_disks.is_empty(),
        "the engine looks at the last part of a name"
    );

    let mut short = whole();
    short.truncate(200_000);
    let vm = vm_of(Files::new(short)).await;
    let cut = |gap: &Gap| gap.what == "archive";
    assert!(vm.gaps.iter().any(cut), "{:?}", vm.gaps);
}

// Files that the engine's search never finds, or for which it takes another; items that it passes
// over.
#[tokio::test]
async fn disks_that_are_not_found() {
    let changed = |from: &str, to: &str| {
        let ovf = OVF.replace(from, to);
        archive(&[
            ("a.ovf", ovf.as_bytes()),
            ("disk1.vmdk", b"1"),
            ("disk2.vmdk", b"2"),
        ])
    };
    for (from, to, expected) in [
        (
            "\"disk1.vmdk",
            "\"disks/disk1.vmdk",
            "disks/disk1.vmdk: a path is never found",
        ),
        (
            "\"disk1.vmdk",
            "\"disk[1.vmdk",
            "disk[1.vmdk: as a pattern it is malformed",
        ),
        (
            "\"disk1.vmdk",
            "\"disk[12].vmdk",
            "disk[12].vmdk: the engine takes disk1.vmdk for it",
        ),
        (
            "/disk/d1",
            "/file/f1",
            "ovf:/file/f1: the descriptor has no such disk",
        ),
        (
            "fileRef=\"f1",
            "fileRef=\"f7",
            "ovf:/disk/d1: the descriptor has no file `f7`",
        ),
    ] {
        let facts = vm_of(Files::new(changed(from, to)))
            .await
            .ova
            .expect("an OVA");
        assert_eq!(facts.unfound_disks, [expected]);
    }
    let upper = archive(&[("A.OVF", OVF.as_bytes())]);
    let (result, _) = pulled(Files::new(upper)).await;
    assert!(
        matches!(result, Err(OvaError::NoDescriptor { .. })),
        "the engine looks for `*.ovf`"
    );
}

// Over TLS the authority of the Secret counts alone, as with the engine; without one the system's do.
#[tokio::test]
async fn certificates() {
    let server = served(Files::new(whole())).await;
    let front = fake::tls(*server.address(), Leaf::Good).await;
    for (given, mode) in [(Given::Authority, "ca"), (Given::Insecure, "insecure")] {
        let pulled = pulled_from(&front.url, front.keys(given, CA_KEY)).await;
        assert_eq!(pulled.expect("read").about.tls, mode);
    }
    let other = fake::tls(*server.address(), Leaf::Good).await;
    let expired = fake::tls(*server.address(), Leaf::Expired).await;
    for (url, keys, alone) in [
        (&front.url, Vec::new(), false),
        (&front.url, other.keys(Given::Authority, CA_KEY), true),
        (&expired.url, expired.keys(Given::Authority, CA_KEY), true),
    ] {
        let error = pulled_from(url, keys).await.expect_err("not trusted");
        let certificate = matches!(error, OvaError::Http(HttpError::Certificate { .. }));
        assert!(certificate, "{error:?}");
        let hint = error.hint().expect("ways out");
        assert!(hint.starts_with("there are three ways out: "), "{hint}");
        assert_eq!(hint.contains("counts alone"), alone, "{hint}");
    }
}

// A redirect is followed to another host, as the engine does, but user and password stay behind;
// none leads out of TLS.
#[tokio::test]
async fn redirects() {
    let server = served(Files::new(whole())).await;
    let there = format!(
        "http://localhost:{}/b.ova?signature=1",
        server.address().port()
    );
    let files = Files {
        elsewhere: Some(there),
        ..Files::new(Vec::new())
    };
    let first = served(files).await;
    let inventory = pulled_from(&first.uri(), Vec::new()).await.expect("read");
    assert_eq!(inventory.vms[0].disks.len(), 2);
    let to_first = first.received_requests().await.expect("recorded");
    assert!(
        to_first
            .iter()
            .all(|request| request.headers.contains_key("authorization"))
    );
    let to_second = server.received_requests().await.expect("recorded");
    assert!(!to_second.is_empty());
    assert!(
        to_second
            .iter()
            .all(|request| !request.headers.contains_key("authorization"))
    );

    let front = fake::tls(*first.address(), Leaf::Good).await;
    let error = pulled_from(&front.url, front.keys(Given::Authority, CA_KEY)).await;
    let error = error.expect_err("it would leave TLS");
    assert!(
        matches!(error, OvaError::NoFile { status: 302, .. }),
        "{error:?}"
    );
}

// A wire that is cut in the head, in the first piece and in a later one: read all the same.
#[tokio::test]
async fn a_cut_wire() {
    let server = served(Files::new(whole())).await;
    let front = fake::cut(*server.address(), &[20, 1_000, 60_000, 700]).await;
    let vm = pulled_from(&front.url, Vec::new())
        .await
        .expect("read")
        .vms
        .remove(0);
    assert_eq!((vm.disks.len(), vm.gaps.len()), (2, 0));
    let front = fake::cut(*server.address(), &[1_000; 30]).await;
    let error = pulled_from(&front.url, Vec::new())
        .await
        .expect_err("always cut");
    assert!(error.is_outage(), "{error:?}");
}

// Each way of not getting an archive has an error of its own; a refused login is tried once.
#[tokio::test]
async fn no_archive() {
    let refusing = |status| Files {
        status: Some(status),
        ..Files::new(Vec::new())
    };
    let (denied, requests) = pulled(refusing(401)).await;
    assert!(matches!(denied, Err(OvaError::Denied { status: 401, .. })));
    assert_eq!(requests, 1);
    let (refused, _) = pulled(refusing(405)).await;
    assert!(matches!(refused, Err(OvaError::NoHead { status: 405, .. })));
    let page = b"<html>\n<body>sign\x1b[2Jin</body></html>".repeat(100);
    let (page, _) = pulled(Files::new(page)).await;
    let page = page.expect_err("a page");
    assert!(matches!(page, OvaError::NotTar { .. }), "{page:?}");
    let page = page.to_string();
    assert!(
        page.contains("`<html> <body>sign\\u{1b}[2Jin</body>"),
        "{page}"
    );
    let other = Files {
        parts: Parts::Other,
        ..Files::new(whole())
    };
    let (other, _) = pulled(other).await;
    assert!(
        matches!(other, Err(OvaError::OtherPart { .. })),
        "{other:?}"
    );
    let (empty, _) = pulled(Files::new(archive(&[("readme.txt", b"hello")]))).await;
    let error = empty.expect_err("no descriptor");
    assert!(matches!(error, OvaError::NoDescriptor { .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

// Every kind of request that there is: HEAD and GET of the file itself, and of where it sends us.
#[tokio::test]
async fn only_reads() {
    let server = served(Files::new(whole())).await;
    pulled_from(&server.uri(), Vec::new()).await.expect("read");
    let requests = server.received_requests().await.expect("recorded");
    let seen: BTreeSet<String> = requests
        .iter()
        .map(|request| format!("{} {}", request.method, request.url.path()))
        .collect();
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        ["GET /a.ova", "HEAD /a.ova"]
    );
}
