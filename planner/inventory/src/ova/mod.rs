//! Reads a shelf of OVA files: HEAD, then the descriptor and the table of contents of each.
//!
//! Takes the site's entry and, where the server wants one, a Secret (`username`, `password`,
//! `ca.crt`, and `insecure` for us alone); gives a VM for each file. Only the head of an archive
//! and the headers of its members are fetched, never a disk. A server that gives no parts of files
//! is read from the beginning until the first disk. A file that cannot be read is a gap and the
//! others go on; if no file can be read at all, that is an error.

mod archive;
mod descriptor;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use schemas::ids::{SourceName, VmId, VmName};
use schemas::inventory::{
    Gap, Network, Observed, OvaFacts, SCHEMA, SourceAbout, SourceInventory, SourceKind, Vm,
};
use schemas::site::{OvaItem, OvaSource};
use schemas::units::Bytes;
use secrecy::{ExposeSecret, SecretString};

pub use self::archive::NotTar;

use self::archive::{Index, Member};
use self::descriptor::{Descriptor, manifest_digests};
use crate::http::{Http, Retry, Trust, parse_url, shown};
use crate::xml::XmlError;
use crate::{Credentials, HttpError, Progress, Stopped, within_limits};

/// The engine's key for a certificate authority in an OVA's Secret.
const CA_KEY: &str = "ca.crt";
/// First piece of an archive: descriptors with manifest have 10 to 60 KiB.
const HEAD_BYTES: u64 = 128 << 10;
/// Most that is read of one archive when its server gives no parts: beyond, no descriptor is.
const HEAD_BYTES_MAX: usize = 8 << 20;
/// Piece that is fetched for the header of one member.
const HEADER_BYTES: u64 = 4 << 10;
/// Members of an archive that are looked at; 60 disks and some papers are a lot.
const MEMBERS_MAX: usize = 1000;
/// Archives read at the same time.
const IN_FLIGHT: usize = 4;

/// Why OVA files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OvaError {
    /// There was no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Broken off.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The server wants other credentials, or any.
    #[error("open `{url}`: the server answers with status {status}")]
    Denied {
        /// The file.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// HEAD fails: the engine's source would never become ready (A01).
    #[error("ask for the head of `{url}`: the server answers with status {status}")]
    NoHead {
        /// The file.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// GET fails.
    #[error("read `{url}`: the server answers with status {status}")]
    NoFile {
        /// The file.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The file is no archive.
    #[error("read `{url}` as an OVA")]
    NotTar {
        /// The file.
        url: String,
        /// Where it is none.
        source: NotTar,
    },
    /// The archive has no descriptor where one must be.
    #[error("find an OVF descriptor in `{url}`")]
    NoDescriptor {
        /// The file.
        url: String,
    },
    /// The descriptor cannot be read.
    #[error("read the descriptor `{member}` of `{url}`")]
    Descriptor {
        /// The file.
        url: String,
        /// The member.
        member: String,
        /// Why not.
        source: XmlError,
    },
}

impl OvaError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Http(error) => error.hint(),
            Self::Denied { .. } => Some(
                "give `username` and `password` in the source's Secret, and mend them first if \
                 they are there: they were tried once"
                    .to_owned(),
            ),
            Self::NoHead { status: 404, .. } => Some("check the address".to_owned()),
            Self::NoHead { .. } => Some(
                "serve the file where HEAD is answered: a pre-signed address, made for GET, is \
                 not enough"
                    .to_owned(),
            ),
            Self::NoDescriptor { .. } => {
                Some("the descriptor is the first member of an OVA: pack it anew".to_owned())
            }
            _ => None,
        }
    }

    /// Whether the same command may work later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Http(error) => error.is_outage(),
            Self::NoHead { status, .. } | Self::NoFile { status, .. } => {
                matches!(status, 429 | 500..)
            }
            _ => false,
        }
    }

    /// Whether the next file will fail in the same way, or worse: lock the account.
    fn ends_all(&self) -> bool {
        match self {
            Self::Denied { .. } => true,
            Self::Http(error) => !error.is_outage(),
            _ => false,
        }
    }
}

/// Reads all files of a shelf.
pub(crate) async fn pull(
    name: &SourceName,
    shelf: &OvaSource,
    credentials: Option<&Credentials>,
    progress: &dyn Progress,
) -> Result<SourceInventory, OvaError> {
    let http = Http::new(Trust::new(credentials, CA_KEY), name.as_str())?;
    pull_through(&http, name, shelf, credentials, progress).await
}

/// The same through a client that is given.
async fn pull_through(
    http: &Http,
    name: &SourceName,
    shelf: &OvaSource,
    credentials: Option<&Credentials>,
    progress: &dyn Progress,
) -> Result<SourceInventory, OvaError> {
    let key = |key| credentials.and_then(|credentials| credentials.get(key));
    let login = key("username").zip(key("password"));
    let mut machines = Vec::new();
    let mut failures = Vec::new();
    within_limits(async {
        let read = |item| async move { (item, machine(http, login, item).await) };
        let mut answers = futures::stream::iter(&shelf.items)
            .map(read)
            .buffer_unordered(IN_FLIGHT);
        while let Some((item, result)) = answers.next().await {
            match result {
                Ok(machine) => machines.push(machine),
                Err(error) if error.ends_all() => return Err(error),
                Err(error) => failures.push((item.name.to_string(), error)),
            }
            progress.at(
                name.as_str(),
                "archives",
                (machines.len() + failures.len()) as u64,
            );
        }
        Ok(())
    })
    .await?;

    failures.sort_by(|a, b| a.0.cmp(&b.0));
    let gaps: Vec<Gap> = failures.iter().map(gap).collect();
    match failures.into_iter().next() {
        Some((_, error)) if machines.is_empty() => Err(error),
        _ => Ok(inventory(http, login, shelf, machines, gaps)),
    }
}

/// A file that was left out, with all causes, for they are shown nowhere else.
fn gap((object, error): &(String, OvaError)) -> Gap {
    let mut reason = format!("failed to {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        cause = error.source();
    }
    Gap {
        what: "archive".to_owned(),
        object: Some(object.clone()),
        reason,
    }
}

/// Basic authentication, if the Secret has both keys, as with the engine.
type Login<'a> = Option<(&'a SecretString, &'a SecretString)>;

/// One machine as its archive describes it.
#[derive(Debug)]
struct Machine {
    vm: Vm,
    observed: Observed,
    networks: Vec<String>,
}

/// Reads one archive.
async fn machine(http: &Http, login: Login<'_>, item: &OvaItem) -> Result<Machine, OvaError> {
    let mut archive = Archive::open(http, login, parse_url(&item.url)?).await?;
    archive.look_through().await?;
    let ovf = archive
        .member("ovf")
        .ok_or_else(|| OvaError::NoDescriptor {
            url: archive.shown(),
        })?;
    let Some(text) = archive.text(&ovf).await? else {
        return Err(OvaError::NoDescriptor {
            url: archive.shown(),
        });
    };
    let descriptor = Descriptor::parse(&text).map_err(|source| OvaError::Descriptor {
        url: archive.shown(),
        member: ovf.name.clone(),
        source,
    })?;
    let digests = match archive.member("mf") {
        Some(member) => archive
            .text(&member)
            .await?
            .map(|text| manifest_digests(&text)),
        None if archive.index.ended => Some(BTreeMap::new()),
        None => None,
    };
    Ok(Machine::new(item, &archive, descriptor, digests.as_ref()))
}

impl Machine {
    fn new(
        item: &OvaItem,
        archive: &Archive<'_>,
        found: Descriptor,
        digests: Option<&BTreeMap<String, String>>,
    ) -> Self {
        let mut gaps = Vec::new();
        let mut gap = |what: &str, object: Option<&str>, reason: &str| {
            gaps.push(Gap {
                what: what.to_owned(),
                object: object.map(str::to_owned),
                reason: reason.to_owned(),
            });
        };
        if digests.is_none() {
            let reason = "it is not at the archive's head, and the server gives no parts of files";
            gap("manifest", None, reason);
        }
        if archive.total.is_none() {
            gap(
                "archive_bytes",
                None,
                "the server does not say how large the file is",
            );
        }
        let last = archive.index.members.last();
        if let Some(member) = last.filter(|member| archive.cuts(member)) {
            gap(
                "archive",
                Some(&member.name),
                "the file ends inside this member",
            );
        }
        let mut disks = found.disks;
        for disk in &mut disks {
            match archive
                .index
                .members
                .iter()
                .find(|member| member.name == disk.key)
            {
                Some(member) => disk.file_bytes = Some(Bytes(member.size)),
                None if archive.index.ended => {
                    gap("disks", Some(&disk.key), "the archive has no such member");
                }
                // The descriptor's own word is all there is.
                None => {}
            }
            if digests.is_some_and(|all| !all.is_empty() && !all.contains_key(&disk.key)) {
                gap(
                    "manifest",
                    Some(&disk.key),
                    "the manifest has no line for it",
                );
            }
        }
        gaps.sort();
        // That of the disks, which the engine checks; without any, that of whatever is listed.
        let digest = digests.and_then(|all| {
            disks
                .iter()
                .find_map(|disk| all.get(&disk.key))
                .or(all.values().next())
                .cloned()
        });
        let mut blank_disks = found.blank_disks;
        blank_disks.sort();
        let vm = Vm {
            id: VmId::new(item.name.as_str()),
            name: VmName::new(item.name.as_str()),
            // Without its query, where people keep signatures.
            url: Some(archive.shown()),
            description: found.description,
            guest_os: found.guest_os,
            hw_version: found.hw_version,
            vcpus: found.vcpus,
            memory_mib: found.memory_mib,
            firmware: found.firmware,
            secure_boot: found.secure_boot,
            tpm: found.tpm,
            disks,
            nics: found.nics,
            ova: Some(OvaFacts {
                archive_bytes: Bytes(archive.total.unwrap_or_default()),
                manifest: digest,
                virtual_systems: found.virtual_systems,
                blank_disks,
                incomplete_items: found.incomplete_items,
            }),
            gaps,
            ..Vm::default()
        };
        let observed = Observed {
            id: item.name.to_string(),
            used_bytes: found.populated,
            ..Observed::default()
        };
        Self {
            vm,
            observed,
            networks: found.networks,
        }
    }
}

/// An archive at an address, as far as it is known.
#[derive(Debug)]
struct Archive<'a> {
    http: &'a Http,
    login: Login<'a>,
    url: Url,
    /// Size of the whole file.
    total: Option<u64>,
    /// Whether the server gives parts of files.
    gives_parts: bool,
    /// The file's beginning.
    head: Vec<u8>,
    index: Index,
}

impl<'a> Archive<'a> {
    /// Asks for the file's head as the engine does, then reads its beginning.
    async fn open(http: &'a Http, login: Login<'a>, url: Url) -> Result<Self, OvaError> {
        let mut archive = Self {
            http,
            login,
            url,
            total: None,
            gives_parts: false,
            head: Vec::new(),
            index: Index::default(),
        };
        let answer = http
            .open(archive.request(Method::HEAD), Retry::Read)
            .await?;
        let status = answer.status().as_u16();
        match status {
            401 | 403 => {
                return Err(OvaError::Denied {
                    url: archive.shown(),
                    status,
                });
            }
            200..=299 => {}
            _ => {
                return Err(OvaError::NoHead {
                    url: archive.shown(),
                    status,
                });
            }
        }
        archive.total = number(&answer, CONTENT_LENGTH.as_str(), |text| Some(text));
        let first = format!("bytes=0-{}", HEAD_BYTES - 1);
        let mut answer = http
            .open(
                archive.request(Method::GET).header(RANGE, first),
                Retry::Read,
            )
            .await?;
        archive.gives_parts = answer.status() == StatusCode::PARTIAL_CONTENT;
        match answer.status().as_u16() {
            200 | 206 => {}
            status @ (401 | 403) => {
                return Err(OvaError::Denied {
                    url: archive.shown(),
                    status,
                });
            }
            status => {
                return Err(OvaError::NoFile {
                    url: archive.shown(),
                    status,
                });
            }
        }
        if archive.total.is_none() {
            archive.total = number(&answer, CONTENT_RANGE.as_str(), |text| {
                text.rsplit('/').next()
            });
        }
        archive.read_head(&mut answer).await?;
        Ok(archive)
    }

    /// Reads until the first disk begins or the part ends. What follows is not taken: the
    /// connection is closed with the answer.
    async fn read_head(&mut self, answer: &mut Response) -> Result<(), OvaError> {
        while self.head.len() < HEAD_BYTES_MAX && !self.index.ended && !self.is_past_papers() {
            let chunk = answer
                .chunk()
                .await
                .map_err(|source| HttpError::from_exchange(&self.url, self.http.trust(), source))?;
            let Some(chunk) = chunk else {
                break;
            };
            self.head.extend_from_slice(&chunk);
            self.index
                .feed(0, &self.head)
                .map_err(|source| self.not_tar(source))?;
        }
        Ok(())
    }

    /// Whether something else than descriptor, manifest and certificate has begun.
    fn is_past_papers(&self) -> bool {
        let is_paper = |member: &Member| {
            ["ovf", "mf", "cert"]
                .iter()
                .any(|end| member.has_extension(end))
        };
        self.index
            .members
            .last()
            .is_some_and(|member| !is_paper(member))
    }

    /// Hops from header to header to the end, where the server gives parts.
    async fn look_through(&mut self) -> Result<(), OvaError> {
        while self.gives_parts && !self.index.ended && self.index.members.len() < MEMBERS_MAX {
            let at = self.index.next;
            if self.total.is_some_and(|total| at >= total) {
                self.index.ended = true;
                break;
            }
            let bytes = self.part(at, HEADER_BYTES).await?.unwrap_or_default();
            if bytes.is_empty() {
                self.index.ended = true;
                break;
            }
            self.index
                .feed(at, &bytes)
                .map_err(|source| self.not_tar(source))?;
            if self.index.next == at && !self.index.ended {
                return Err(self.not_tar(NotTar { at }));
            }
        }
        Ok(())
    }

    /// Whether the file is known to end before the member does.
    fn cuts(&self, member: &Member) -> bool {
        self.total
            .is_some_and(|total| total < member.offset.saturating_add(member.size))
    }

    /// The first member with that extension.
    fn member(&self, extension: &str) -> Option<Member> {
        self.index
            .members
            .iter()
            .find(|member| member.has_extension(extension))
            .cloned()
    }

    /// A small member as text; `None` where the server does not give it.
    async fn text(&self, member: &Member) -> Result<Option<String>, OvaError> {
        let bytes = self
            .part(member.offset, member.size.min(HEAD_BYTES_MAX as u64))
            .await?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Bytes from any place: of the head, or fetched. Fewer than `size` at the file's end, none
    /// beyond it; `None` where the server does not give them.
    async fn part(&self, from: u64, size: u64) -> Result<Option<Vec<u8>>, OvaError> {
        let range = usize::try_from(from)
            .ok()
            .zip(usize::try_from(from + size).ok());
        if let Some(bytes) = range.and_then(|(from, to)| self.head.get(from..to)) {
            return Ok(Some(bytes.to_vec()));
        }
        if !self.gives_parts || size == 0 {
            return Ok((size == 0).then(Vec::new));
        }
        let range = format!("bytes={from}-{}", from + size - 1);
        let request = self.request(Method::GET).header(RANGE, range);
        let answer = self.http.send(request, Retry::Read).await?;
        match answer.status {
            StatusCode::PARTIAL_CONTENT => Ok(Some(answer.body)),
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Some(Vec::new())),
            status => Err(OvaError::NoFile {
                url: self.shown(),
                status: status.as_u16(),
            }),
        }
    }

    fn request(&self, method: Method) -> RequestBuilder {
        // A packed answer would have another length and no parts.
        let request = self
            .http
            .request(method, self.url.clone())
            .header("accept-encoding", "identity");
        match self.login {
            Some((user, password)) => {
                request.basic_auth(user.expose_secret(), Some(password.expose_secret()))
            }
            None => request,
        }
    }

    fn shown(&self) -> String {
        shown(&self.url)
    }

    fn not_tar(&self, source: NotTar) -> OvaError {
        OvaError::NotTar {
            url: self.shown(),
            source,
        }
    }
}

/// A number in a header, cut out by `pick`.
fn number(answer: &Response, name: &str, pick: impl Fn(&str) -> Option<&str>) -> Option<u64> {
    pick(answer.headers().get(name)?.to_str().ok()?)?
        .trim()
        .parse()
        .ok()
}

/// Puts the snapshot together.
fn inventory(
    http: &Http,
    login: Login<'_>,
    shelf: &OvaSource,
    mut machines: Vec<Machine>,
    gaps: Vec<Gap>,
) -> SourceInventory {
    machines.sort_by(|a, b| a.vm.id.cmp(&b.vm.id));
    let names: BTreeSet<String> = machines
        .iter()
        .flat_map(|machine| machine.networks.iter().cloned())
        .collect();
    let network = |name: String| Network {
        id: name.clone(),
        name,
        kind: "ovf".to_owned(),
        ..Network::default()
    };
    let networks: Vec<Network> = names.into_iter().map(network).collect();
    // Addresses were parsed before anything was read.
    let urls: Vec<Url> = shelf
        .items
        .iter()
        .filter_map(|item| parse_url(&item.url).ok())
        .collect();
    let list = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>().join(", ");
    let counts = [("vms", machines.len()), ("networks", networks.len())];
    let about = SourceAbout {
        schema: SCHEMA.to_owned(),
        kind: SourceKind::Ova,
        endpoint: list(
            urls.iter()
                .map(|url| url.origin().ascii_serialization())
                .collect(),
        ),
        instance: None,
        datacenter: None,
        region: None,
        project: None,
        product: None,
        api: BTreeMap::new(),
        tls: list(
            urls.iter()
                .map(|url| http.trust().mode(url).to_owned())
                .collect(),
        ),
        user: login.map(|(user, _)| user.expose_secret().to_owned()),
        counts: counts
            .map(|(kind, count)| (kind.to_owned(), count as u64))
            .into(),
        gaps,
    };
    let observed = machines
        .iter()
        .map(|machine| (machine.observed.id.clone(), machine.observed.clone()))
        .collect();
    SourceInventory {
        about,
        vms: machines.into_iter().map(|machine| machine.vm).collect(),
        networks,
        storage: Vec::new(),
        hosts: Vec::new(),
        observed,
    }
}
