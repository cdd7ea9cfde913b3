//! An archive on a server: its size, its beginning, and pieces of it.
//!
//! Asks HEAD as the engine does, then reads the papers at the archive's beginning and, from a
//! server that gives parts of files, the header of every member. No disk is ever read.

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};

use super::archive::{Index, Member, NotTar};
use super::error::OvaError;
use crate::HttpError;
use crate::http::{Http, Retry, excerpt, shown};

/// First piece of an archive: descriptors with manifest have 10 to 60 KiB.
const HEAD_BYTES: u64 = 128 << 10;
/// Most that is read of one archive when its server gives no parts: beyond, no descriptor is.
const HEAD_BYTES_MAX: usize = 8 << 20;
/// Piece that is fetched for the header of one member.
const HEADER_BYTES: u64 = 4 << 10;
/// Members of an archive that are looked at; 60 disks and some papers are a lot.
const MEMBERS_MAX: usize = 1000;

/// Tries again when the file's beginning breaks off.
const REPEATS_MAX: u32 = 2;

/// Basic authentication, if the Secret has both keys, as with the engine.
pub(super) type Login<'a> = Option<(&'a SecretString, &'a SecretString)>;

/// An archive at an address, as far as it is known.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    http: &'a Http,
    login: Login<'a>,
    url: Url,
    /// Size of the whole file.
    pub(super) total: Option<u64>,
    /// Whether the server gives parts of files.
    gives_parts: bool,
    /// The file's beginning.
    head: Vec<u8>,
    /// Its members.
    pub(super) index: Index,
}

impl<'a> Archive<'a> {
    /// Asks for the file's head as the engine does, then reads its beginning.
    pub(super) async fn open(http: &'a Http, login: Login<'a>, url: Url) -> Result<Self, OvaError> {
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
            200..=399 => {}
            _ => {
                return Err(OvaError::NoHead {
                    url: archive.shown(),
                    status,
                });
            }
        }
        archive.total = number(&answer, CONTENT_LENGTH.as_str(), |text| Some(text));
        let mut repeats = 0;
        loop {
            match archive.begin().await {
                Err(OvaError::Http(error)) if error.is_broken() && repeats < REPEATS_MAX => {
                    repeats += 1;
                    archive.head.clear();
                    archive.index = Index::default();
                }
                result => return result.map(|()| archive),
            }
        }
    }

    /// Opens the file and reads its beginning.
    async fn begin(&mut self) -> Result<(), OvaError> {
        let archive = self;
        let first = format!("bytes=0-{}", HEAD_BYTES - 1);
        let part = archive.request(Method::GET).header(RANGE, first);
        let mut answer = archive.http.open(part, Retry::Read).await?;
        // Some servers refuse to give parts, rather than give the whole.
        if matches!(answer.status().as_u16(), 400 | 416 | 501) {
            let whole = archive.request(Method::GET);
            answer = archive.http.open(whole, Retry::Read).await?;
        }
        archive.gives_parts =
            answer.status() == StatusCode::PARTIAL_CONTENT && begins_at(answer.headers(), 0);
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
        archive.read_head(&mut answer).await
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
        let last = self.index.members.last();
        last.is_some_and(|member| !member.is_paper())
    }

    /// Hops from header to header to the end, where the server gives parts.
    pub(super) async fn look_through(&mut self) -> Result<(), OvaError> {
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
    pub(super) fn cuts(&self, member: &Member) -> bool {
        self.total
            .is_some_and(|total| total < member.offset.saturating_add(member.size))
    }

    /// The first member whose last part matches.
    pub(super) fn first(&self, pattern: &str) -> Option<Member> {
        self.index.first(pattern).cloned()
    }

    /// A small member as text; `None` where the server does not give it.
    pub(super) async fn text(&self, member: &Member) -> Result<Option<String>, OvaError> {
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
            StatusCode::PARTIAL_CONTENT if begins_at(&answer.headers, from) => {
                Ok(Some(answer.body))
            }
            StatusCode::PARTIAL_CONTENT => Err(OvaError::OtherPart {
                url: self.shown(),
                from,
            }),
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

    pub(super) fn shown(&self) -> String {
        shown(&self.url)
    }

    fn not_tar(&self, source: NotTar) -> OvaError {
        OvaError::NotTar {
            url: self.shown(),
            excerpt: excerpt(&self.head),
            source,
        }
    }
}

/// Whether a part begins where it was asked to, as far as its header says.
fn begins_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers
        .get(CONTENT_RANGE)
        .and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next());
    start.is_none_or(|start| start.trim().parse() == Ok(from))
}

/// A number in a header, cut out by `pick`.
fn number(answer: &Response, name: &str, pick: impl Fn(&str) -> Option<&str>) -> Option<u64> {
    pick(answer.headers().get(name)?.to_str().ok()?)?
        .trim()
        .parse()
        .ok()
}
