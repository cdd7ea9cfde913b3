//! Details of VMs from an earlier pull, so that those that have not changed need not be read again.
//!
//! One file for each server, account, API version and datacenter, in a folder outside of any
//! snapshot and of Git; only its owner can read it. A line has a VM's reference, the version its
//! details hang on, and the details as JSON, parted by tabs. It may vanish or be broken at any
//! time: then everything is read, and it is written anew.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};

use camino::{Utf8Path, Utf8PathBuf};
use schemas::inventory::{Observed, Vm};

use super::machine::{Details, Draft};

/// Changes with the meaning of what is kept.
const FORMAT: &str = "windrow.cache/1";

/// What is known from an earlier pull.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// Where it is kept; nowhere if nothing is to be kept.
    path: Option<Utf8PathBuf>,
    /// The first line: whose it is.
    title: String,
    text: String,
    /// Where each VM's line is in the text.
    lines: BTreeMap<String, std::ops::Range<usize>>,
}

impl Cache {
    /// Opens the cache of what `owner` describes, in a folder. A cache that cannot be read is empty.
    pub(crate) fn open(folder: Option<&Utf8Path>, owner: &[&str]) -> Self {
        let Some(folder) = folder else {
            return Self::default();
        };
        let title = serde_json::to_string(&(FORMAT, owner)).expect("texts serialize");
        let path = folder.join(format!(
            "vsphere-{:016x}.tsv",
            crate::http::hash(title.as_bytes())
        ));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut lines = BTreeMap::new();
        let mut at = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let range = at..at + line.len();
            at = range.end;
            match line.split_once('\t') {
                _ if number == 0 && line.trim_end() != title => {
                    break;
                }
                Some((id, _)) => {
                    lines.insert(id.to_owned(), range);
                }
                None => {}
            }
        }
        Self {
            path: Some(path),
            title,
            text,
            lines,
        }
    }

    /// The details of a VM, if they are of this version.
    pub(crate) fn details(&self, draft: &Draft) -> Option<Details> {
        let version = draft.version.as_deref()?;
        let range = self.lines.get(&draft.reference.id)?;
        let mut fields = self.text[range.clone()].trim_end().split('\t').skip(1);
        if fields.next()? != version {
            return None;
        }
        let vm: Vm = serde_json::from_str(fields.next()?).ok()?;
        let observed: Observed = serde_json::from_str(fields.next()?).ok()?;
        Some(Details::known(draft.reference.id.clone(), vm, observed))
    }

    /// Forgets what was read, to make room; what is to be kept is written with [`Cache::write`].
    pub(crate) fn forget(&mut self) {
        self.text = String::new();
        self.lines = BTreeMap::new();
    }

    /// Keeps these for the next pull. That it cannot be done is no reason to fail.
    pub(crate) fn write<'d>(&self, drafts: impl Iterator<Item = &'d Draft>) {
        let Some(path) = &self.path else {
            return;
        };
        if let Err(error) = self.try_write(path, drafts) {
            tracing::debug!(%error, %path, "the next pull reads everything again");
        }
    }

    fn try_write<'d>(
        &self,
        path: &Utf8Path,
        drafts: impl Iterator<Item = &'d Draft>,
    ) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let beside = path.with_extension(format!("{}.part", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = BufWriter::with_capacity(1 << 16, options.open(&beside)?);
        writeln!(file, "{}", self.title)?;
        for draft in drafts {
            let Some(version) = draft.version.as_deref() else {
                continue;
            };
            if !draft.is_whole() || version.contains(['\t', '\n', '\r']) {
                continue;
            }
            write!(file, "{}\t{version}\t", draft.reference.id)?;
            serde_json::to_writer(&mut file, &draft.vm)?;
            file.write_all(b"\t")?;
            serde_json::to_writer(&mut file, &draft.lasting())?;
            file.write_all(b"\n")?;
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?;
        std::fs::rename(&beside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vsphere::soap::Ref;

    fn draft(id: &str, version: &str) -> Draft {
        let mut draft = Draft::of(Ref::new("VirtualMachine", id), version);
        draft.vm.name = "web\t\"1\"\n".into();
        draft.observed.guest_ips = vec!["10.0.0.1".to_owned()];
        draft
    }

    // What is written is found again by the same owner at the same version, and by nobody else; a
    // broken or foreign file is no error.
    #[test]
    fn round_trip() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let here = Some(folder);
        let owner = ["vc", "reader"];
        let cache = Cache::open(here, &owner);
        cache.write([draft("vm-1", "a"), draft("vm-2", "b")].iter());

        let cache = Cache::open(here, &owner);
        let found = cache.details(&draft("vm-2", "b")).expect("kept");
        assert_eq!(found.vm.name.as_str(), "web\t\"1\"\n");
        assert_eq!(found.observed.guest_ips, ["10.0.0.1"]);
        assert!(cache.details(&draft("vm-2", "c")).is_none());
        assert!(cache.details(&draft("vm-3", "b")).is_none());
        let other = Cache::open(here, &["vc", "another"]);
        assert!(other.details(&draft("vm-2", "b")).is_none());

        let file = folder.read_dir_utf8().expect("there").next();
        let path = file.expect("one").expect("readable").into_path();
        let text = std::fs::read_to_string(&path).expect("text");
        std::fs::write(&path, &text[..text.len() - 20]).expect("written");
        let cut = Cache::open(here, &owner);
        assert!(cut.details(&draft("vm-1", "a")).is_some());
        assert!(cut.details(&draft("vm-2", "b")).is_none());
        std::fs::write(&path, text.replace(FORMAT, "windrow.cache/0")).expect("written");
        let older = Cache::open(here, &owner);
        assert!(older.details(&draft("vm-1", "a")).is_none());
    }
}
