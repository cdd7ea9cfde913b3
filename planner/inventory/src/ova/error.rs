//! Why OVA files could not be read, and what to do about it.

use super::archive::NotTar;
use crate::xml::XmlError;
use crate::{HttpError, Stopped};

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
    #[error("read `{url}` as an OVA, which begins with `{excerpt}`")]
    NotTar {
        /// The file.
        url: String,
        /// Its first bytes.
        excerpt: String,
        /// Where it is none.
        source: NotTar,
    },
    /// The server gives another part of the file than was asked for.
    #[error("read `{url}` from byte {from} on: the server gives another part of it")]
    OtherPart {
        /// The file.
        url: String,
        /// Where the part was to begin.
        from: u64,
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
            Self::NotTar { .. } => Some(
                "check that the address gives the archive itself, unpacked, and no page in its place"
                    .to_owned(),
            ),
            Self::NoDescriptor { .. } => Some(
                "the descriptor is the first member of an OVA, and its name ends in `.ovf`: pack it \
                 anew"
                    .to_owned(),
            ),
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
    pub(super) fn ends_all(&self) -> bool {
        match self {
            Self::Denied { .. } => true,
            Self::Http(error) => !error.is_outage(),
            _ => false,
        }
    }
}
