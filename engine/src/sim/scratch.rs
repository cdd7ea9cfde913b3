//! The engine's scratch directory: files by name, whatever namespace they are for.
//!
//! Two imports whose files have equal names write the same file (N03), and the clean-up of one
//! removes the other's (N04). While an import is exported it counts with its footprint's peak;
//! after that with its files.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::units::Bytes;

use super::ImportId;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Bytes that it takes.
    pub bytes: Bytes,
    /// Whose disk is in it: not always the import that reads it.
    pub content: ImportId,
}

/// The files, and what the export under way takes beside them.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    files: BTreeMap<Arc<str>, File>,
    /// Sum of `files`.
    stored: Bytes,
    /// Of the export under way: the footprint's peak.
    working: Bytes,
}

impl Scratch {
    /// All bytes that are taken now.
    pub fn held(&self) -> Bytes {
        self.stored + self.working
    }

    /// The finished files, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(name, file)| (&**name, file))
    }

    /// The file of that name.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.get(name)
    }

    /// An export begins: its files are truncated and then grow, up to `peak` bytes in all.
    pub(super) fn begin<'a>(
        &mut self,
        names: impl Iterator<Item = &'a Arc<str>>,
        content: ImportId,
        peak: Bytes,
    ) {
        for name in names {
            self.write(name, Bytes::ZERO, content);
        }
        self.working = peak;
    }

    /// The export is over, well or not; what it wrote is told by [`Self::write`].
    pub(super) fn end(&mut self) {
        self.working = Bytes::ZERO;
    }

    /// Creates or overwrites a file.
    pub(super) fn write(&mut self, name: &Arc<str>, bytes: Bytes, content: ImportId) {
        let file = File { bytes, content };
        if let Some(before) = self.files.insert(Arc::clone(name), file) {
            self.stored -= before.bytes;
        }
        self.stored += bytes;
    }

    /// Removes a file, whoever wrote it. One that is not there is no error (SH:113-128).
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(file) = self.files.remove(name) {
            self.stored -= file.bytes;
        }
    }
}
