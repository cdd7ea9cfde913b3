//! The table of contents of a tar archive, read from pieces of it.
//!
//! Takes bytes from any place of the archive and gives its members with their sizes and offsets.
//! Knows what OVA files need: ustar, GNU's long names and large sizes, and pax records. Bytes of
//! members are never touched: a disk in an archive may have terabytes.

use crate::pattern;

/// A tar archive is made of blocks of this many bytes.
const BLOCK: usize = 512;
/// Records of a long name or of pax headers; more than this is no archive that we want to read.
const EXTENSION_BYTES_MAX: u64 = 64 << 10;

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name, as the descriptor refers to it.
    pub(crate) name: String,
    /// Where its bytes begin.
    pub(crate) offset: u64,
    /// How many they are.
    pub(crate) size: u64,
}

impl Member {
    /// The last part of its name, which is all that the engine compares.
    fn base(&self) -> &str {
        let name = self.name.trim_end_matches('/');
        name.rsplit('/').next().unwrap_or(name)
    }

    /// Whether it is descriptor, manifest or certificate.
    pub(crate) fn is_paper(&self) -> bool {
        [".ovf", ".mf", ".cert"]
            .iter()
            .any(|end| self.base().ends_with(end))
    }
}

/// What the engine's search for a file gives: it takes a name for a pattern, and the first member
/// whose last part matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search<'a> {
    /// The file that is meant.
    Found(&'a Member),
    /// Another file.
    Other(&'a Member),
    /// None of those that were seen.
    None,
    /// It can never be found, for this reason.
    Never(&'static str),
}

/// These bytes are no header of a tar archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read a tar header at byte {at}")]
pub struct NotTar {
    /// Where they stand.
    pub at: u64,
}

/// What is known of an archive so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Members in order.
    pub(crate) members: Vec<Member>,
    /// Where the next header stands.
    pub(crate) next: u64,
    /// Whether the end was met.
    pub(crate) ended: bool,
    /// Name and size that an extension header gives to the member after it.
    name: Option<String>,
    size: Option<u64>,
}

impl Index {
    /// The first member whose last part matches.
    pub(crate) fn first(&self, pattern: &str) -> Option<&Member> {
        let fits = |member: &&Member| pattern::matches(pattern, member.base()) == Ok(true);
        self.members.iter().find(fits)
    }

    /// What the engine finds for a file of the descriptor.
    pub(crate) fn search(&self, href: &str) -> Search<'_> {
        if href.contains('/') {
            return Search::Never("a path is never found");
        }
        if pattern::matches(href, "").is_err() {
            return Search::Never("as a pattern it is malformed");
        }
        match self.first(href) {
            Some(member) if member.base() == href => Search::Found(member),
            Some(member) => Search::Other(member),
            None => Search::None,
        }
    }

    /// Takes up all headers in `bytes`, which stand at `from` in the archive.
    pub(crate) fn feed(&mut self, from: u64, bytes: &[u8]) -> Result<(), NotTar> {
        while !self.ended {
            let at = self.next;
            let Some(rest) = at
                .checked_sub(from)
                .and_then(|skip| bytes.get(usize::try_from(skip).ok()?..))
            else {
                return Ok(());
            };
            let Some(header) = rest.first_chunk::<BLOCK>() else {
                return Ok(());
            };
            if header.iter().all(|byte| *byte == 0) {
                self.ended = true;
                return Ok(());
            }
            let size = number(&header[124..136]).filter(|_| sum_is_right(header));
            let size = size.ok_or(NotTar { at })?;
            let kind = header[156];
            if matches!(kind, b'x' | b'L') {
                if size > EXTENSION_BYTES_MAX {
                    return Err(NotTar { at });
                }
                let end = BLOCK + usize::try_from(size).map_err(|_| NotTar { at })?;
                let Some(records) = rest.get(BLOCK..end) else {
                    return Ok(());
                };
                self.extend(kind, records);
                self.next = after(at, size).ok_or(NotTar { at })?;
                continue;
            }
            let name = self.name.take().unwrap_or_else(|| ustar_name(header));
            let size = self.size.take().unwrap_or(size);
            self.next = after(at, size).ok_or(NotTar { at })?;
            if matches!(kind, 0 | b'0' | b'7') {
                self.members.push(Member {
                    name,
                    offset: at + BLOCK as u64,
                    size,
                });
            }
        }
        Ok(())
    }

    /// Takes up what an extension header says of the member after it.
    fn extend(&mut self, kind: u8, records: &[u8]) {
        let text = String::from_utf8_lossy(records);
        if kind == b'L' {
            self.name = Some(text.trim_end_matches('\0').to_owned());
            return;
        }
        for line in text.lines() {
            let record = line.split_once(' ').map_or("", |(_, record)| record);
            match record.split_once('=') {
                Some(("path", path)) => self.name = Some(path.to_owned()),
                Some(("size", size)) => self.size = size.parse().ok(),
                _ => {}
            }
        }
    }
}

/// Where the header after this one stands.
fn after(at: u64, size: u64) -> Option<u64> {
    size.checked_next_multiple_of(BLOCK as u64)?
        .checked_add(at)?
        .checked_add(BLOCK as u64)
}

/// An octal number, or GNU's binary one for sizes from 8 GiB on.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((0x80, bytes)) = field.split_first() {
        // Fields are of 8 and of 12 bytes.
        let (high, low) = bytes.split_at(bytes.len().saturating_sub(8));
        let number = low
            .iter()
            .fold(0, |number, byte| (number << 8) | u64::from(*byte));
        return high.iter().all(|byte| *byte == 0).then_some(number);
    }
    let text = str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    u64::from_str_radix(if text.is_empty() { "0" } else { text }, 8).ok()
}

/// The header's own checksum: the sum of its bytes, its own field counted as blanks.
fn sum_is_right(header: &[u8; BLOCK]) -> bool {
    let bytes = header.iter().enumerate();
    let sum: u64 = bytes
        .map(|(at, byte)| {
            u64::from(if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            })
        })
        .sum();
    number(&header[148..156]) == Some(sum)
}

fn ustar_name(header: &[u8; BLOCK]) -> String {
    let text = |range: std::ops::Range<usize>| {
        let field = &header[range];
        let end = field
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).into_owned()
    };
    let (name, prefix) = (text(0..100), text(345..500));
    // Only POSIX's own format has a prefix; GNU keeps times there.
    let is_posix = header[257..263] == *b"ustar\0";
    if is_posix && !prefix.is_empty() {
        format!("{prefix}/{name}")
    } else {
        name
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A header as tar writes it.
    pub(crate) fn header(name: &str, size: &[u8], kind: u8) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..124 + size.len()].copy_from_slice(size);
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].copy_from_slice(b"        ");
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    /// A member with its bytes, filled up to whole blocks.
    pub(crate) fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut member = header(name, format!("{:011o}", bytes.len()).as_bytes(), b'0');
        member.extend_from_slice(bytes);
        member.resize(member.len().next_multiple_of(BLOCK), 0);
        member
    }

    /// Headers are found from one to the next, over bytes that are not there.
    #[test]
    fn members_are_hopped_over() {
        let mut archive = member("a.ovf", b"<x/>");
        archive.extend(header("a-disk1.vmdk", b"00000004000\0", b'0'));
        let mut index = Index::default();
        index.feed(0, &archive).expect("a tar");
        assert_eq!(
            index.members[1],
            Member {
                name: "a-disk1.vmdk".to_owned(),
                offset: 1536,
                size: 2048
            }
        );
        assert_eq!((index.next, index.ended), (3584, false));
        index.feed(3584, &[0; 1024]).expect("the end");
        assert!(index.ended);
    }

    /// Disks from 8 GiB on have a binary size or a pax record; names may be long.
    #[test]
    fn large_sizes_and_long_names() {
        let mut binary = [0; 12];
        binary[0] = 0x80;
        binary[4..].copy_from_slice(&(9u64 << 30).to_be_bytes());
        let mut index = Index::default();
        index.feed(0, &header("big", &binary, b'0')).expect("a tar");
        assert_eq!(index.members[0].size, 9 << 30);

        let records = b"20 path=longer.vmdk\n19 size=9663676416\n";
        let mut archive = header("x", format!("{:011o}", records.len()).as_bytes(), b'x');
        archive.extend_from_slice(records);
        archive.resize(1024, 0);
        archive.extend(header("short", b"00000000000\0", b'0'));
        let mut index = Index::default();
        index.feed(0, &archive).expect("a tar");
        assert_eq!(index.members[0].name, "longer.vmdk");
        assert_eq!(index.members[0].size, 9 << 30);
    }

    /// Binary numbers are read in both lengths of fields, also where none belongs: a checksum.
    #[test]
    fn binary_numbers() {
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2]), None);
        let mut sum = header("a", b"00000000000\0", b'0');
        sum[148] = 0x80;
        assert_eq!(Index::default().feed(0, &sum), Err(NotTar { at: 0 }));
    }

    /// Anything else is an error, never an endless hop.
    #[test]
    fn what_is_no_archive() {
        let page = b"<html>".repeat(200);
        assert_eq!(Index::default().feed(0, &page), Err(NotTar { at: 0 }));
        let mut wrong_sum = member("a", b"b");
        wrong_sum[0] = b'c';
        assert_eq!(Index::default().feed(0, &wrong_sum), Err(NotTar { at: 0 }));
        let mut endless = [0xff; 12];
        endless[0] = 0x80;
        endless[1..4].fill(0);
        assert!(
            Index::default()
                .feed(0, &header("a", &endless, b'0'))
                .is_err()
        );
    }
}
