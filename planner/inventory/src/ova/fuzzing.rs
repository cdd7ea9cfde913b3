//! Everything that is done with the bytes of an archive and of the papers in it, without a server.

use super::archive::Index;
use super::descriptor::{Descriptor, manifest_digests};

/// Members of an archive that are looked at, as for a real one.
const MEMBERS_MAX: usize = 1000;

/// Reads an archive from its beginning, then hops from header to header as with parts of files:
/// never back, never twice to one place.
pub(crate) fn pieces(data: &[u8]) {
    let mut index = Index::default();
    let head = &data[..data.len().min(1024)];
    if index.feed(0, head).is_err() {
        return;
    }
    while !index.ended && index.members.len() < MEMBERS_MAX {
        let at = index.next;
        let Some(piece) = usize::try_from(at).ok().and_then(|at| data.get(at..)) else {
            break;
        };
        let piece = &piece[..piece.len().min(4096)];
        if piece.is_empty() || index.feed(at, piece).is_err() || index.next == at {
            break;
        }
        assert!(index.next > at, "hops lead on");
    }
    for member in &index.members {
        assert!(member.offset >= 512, "a member has a header before it");
        let _ = index.search(&member.name);
    }
    let _ = index.first("*.ovf");
}

/// Reads a descriptor and a manifest.
pub(crate) fn papers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(found) = Descriptor::parse(&text) {
        assert!(
            found.disks.len() + found.nics.len() <= text.len(),
            "nothing from nothing"
        );
    }
    assert!(
        manifest_digests(&text).len() <= text.lines().count(),
        "a digest a line"
    );
}
