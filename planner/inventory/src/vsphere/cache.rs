//! VMs from an earlier pull, so that what has not changed need not be read again.
//!
//! One file for each server, account, API version and datacenter, in a folder outside of any
//! snapshot and of Git; only its owner can read it. The first line says whose it is, the second what
//! the VMs' names of places and networks came from, the last is a digest of the lines between. Those
//! are a VM each, of which everything was read, with its fields parted by tabs: reference, digest of
//! what the light pass said, version that the details hang on, folder, vApp, what others look at,
//! what came from elsewhere, and its lines in the snapshot. It may vanish or be broken at any time:
//! then everything is read, and it is written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use schemas::ids::VmId;
use schemas::inventory::{Observed, Vm};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::machine::{Details, Draft, Extras};
use crate::pulled::Kept;
use crate::shared::disks_of;

/// Changes with the meaning of what is kept.
const FORMAT: &str = "windrow.cache/3";

/// Half of a SHA-256: tells texts apart that a server wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest(u128);

impl Digest {
    /// That of a text.
    pub(crate) fn of(text: &str) -> Self {
        Self::end(Sha256::new_with_prefix(text.as_bytes()))
    }

    fn end(hasher: Sha256) -> Self {
        let whole = hasher.finalize();
        let half = whole.first_chunk().expect("32 bytes");
        Self(u128::from_be_bytes(*half))
    }

    fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a VM's own properties only refer to, and a snapshot has in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    /// A digest of the places and attributes that the light pass is read with.
    pub(crate) places: String,
    /// Names of networks by reference, which the heavy pass is read with.
    pub(crate) networks: BTreeMap<String, String>,
}

impl Surroundings {
    /// Networks that came, went or were renamed.
    fn networks_since(&self, before: &Self) -> BTreeSet<String> {
        let differs = |(id, name): &(&String, &String), others: &BTreeMap<String, String>| {
            others.get(*id) != Some(*name)
        };
        let now = self.networks.iter();
        let then = before.networks.iter();
        now.filter(|one| differs(one, &before.networks))
            .chain(then.filter(|one| differs(one, &self.networks)))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

/// What is known from an earlier pull.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// Where it is kept; nowhere if nothing is to be kept.
    path: Option<Utf8PathBuf>,
    /// The first two lines: whose it is, and where.
    title: String,
    text: Arc<String>,
    /// Where the VMs' lines are in the text.
    lines: Range<usize>,
    /// Each of them by what the light pass said, where that is still said of the same places.
    by_light: BTreeMap<Digest, Range<usize>>,
    /// Networks that are not what they were.
    networks_changed: BTreeSet<String>,
}

/// A VM of the datacenter.
#[derive(Debug)]
pub(crate) enum Machine {
    /// One that was read, at least in part.
    Read(Box<Draft>),
    /// One of which nothing has changed.
    Known(Box<Known>),
}

impl Machine {
    /// It, if it was read.
    pub(crate) fn draft(&self) -> Option<&Draft> {
        match self {
            Self::Read(draft) => Some(draft),
            Self::Known(_) => None,
        }
    }

    /// Its id in the snapshot.
    pub(crate) fn id(&self) -> &VmId {
        match self {
            Self::Read(draft) => &draft.vm.id,
            Self::Known(known) => &known.outline.id,
        }
    }

    /// Its name as the server stores it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Read(draft) => draft.vm.name.as_str(),
            Self::Known(known) => &known.outline.name,
        }
    }

    /// The path of its folder or vApp below the datacenter's VM folder.
    pub(crate) fn folder(&self) -> Option<&str> {
        match self {
            Self::Read(draft) => draft.vm.folder.as_deref(),
            Self::Known(known) => known.outline.folder.as_deref(),
        }
    }

    /// The folder or vApp that it is right in.
    pub(crate) fn parent(&self) -> Option<&str> {
        match self {
            Self::Read(draft) => draft.parent.as_deref(),
            Self::Known(known) => known.parent.as_deref(),
        }
    }

    /// The vApp that it is in.
    pub(crate) fn vapp(&self) -> Option<&str> {
        match self {
            Self::Read(draft) => draft.vapp.as_deref(),
            Self::Known(known) => known.vapp.as_deref(),
        }
    }

    /// See [`disks_of`].
    pub(crate) fn disks(&self) -> Vec<String> {
        match self {
            Self::Read(draft) => disks_of(&draft.vm),
            Self::Known(known) => known.outline.disks.clone(),
        }
    }
}

/// A VM as the cache has it.
#[derive(Debug)]
pub(crate) struct Known {
    text: Arc<String>,
    /// Its line, with the line's end, and some of its fields.
    line: Range<usize>,
    extras: Range<usize>,
    vm: Range<usize>,
    observed: Range<usize>,
    /// What others look at.
    pub(crate) outline: Outline,
    parent: Option<String>,
    vapp: Option<String>,
}

/// What is looked at of a VM to tell something of others.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outline {
    pub(crate) id: VmId,
    pub(crate) name: String,
    pub(crate) folder: Option<String>,
    /// See [`disks_of`].
    pub(crate) disks: Vec<String>,
}

impl Outline {
    fn of(vm: &Vm) -> Self {
        Self {
            id: vm.id.clone(),
            name: vm.name.to_string(),
            folder: vm.folder.clone(),
            disks: disks_of(vm),
        }
    }
}

impl Cache {
    /// Opens the cache of what `owner` describes, in a folder. A cache that cannot be read is empty.
    pub(crate) fn open(
        folder: Option<&Utf8Path>,
        owner: &[&str],
        surroundings: &Surroundings,
    ) -> Self {
        let Some(folder) = folder else {
            return Self::default();
        };
        let whose = serde_json::to_string(&(FORMAT, owner)).expect("texts serialize");
        let path = folder.join(format!(
            "vsphere-{:016x}.tsv",
            crate::http::hash(whose.as_bytes())
        ));
        let here = serde_json::to_string(surroundings).expect("texts serialize");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut cache = Self {
            path: Some(path),
            title: format!("{whose}\n{here}\n"),
            ..Self::default()
        };
        // What cannot be understood is as good as nothing.
        let _ = cache.read(text, &whose, surroundings);
        cache
    }

    fn read(&mut self, text: String, whose: &str, surroundings: &Surroundings) -> Option<()> {
        let (first, rest) = text.split_once('\n')?;
        let (second, rest) = rest.split_once('\n')?;
        let there: Surroundings = serde_json::from_str(second).ok()?;
        let begin = text.len() - rest.len();
        let (_, last) = rest.strip_suffix('\n')?.rsplit_once('\n')?;
        let end = text.len() - last.len() - "\n".len();
        if first != whose || Digest::parse(last)? != Digest::of(&text[begin..end]) {
            return None;
        }
        self.networks_changed = surroundings.networks_since(&there);
        self.lines = begin..end;
        self.text = Arc::new(text);
        if *surroundings == there {
            let lights = lines(&self.text, &self.lines).filter_map(|line| {
                let mut fields = self.text[line.clone()].split('\t').skip(1);
                Some((Digest::parse(fields.next()?)?, line))
            });
            self.by_light = lights.collect();
        }
        Some(())
    }

    /// The VM of which a light pass has said just this, word for word: nothing of it has changed.
    pub(crate) fn unchanged(&self, light: &str) -> Option<(String, Box<Known>)> {
        if self.by_light.is_empty() {
            return None;
        }
        let line = self.by_light.get(&Digest::of(light))?.clone();
        let fields = Line::parse(&self.text[line.clone()])?;
        let place = |field: &str| {
            let at = field.as_ptr().addr() - self.text.as_ptr().addr();
            at..at + field.len()
        };
        let known = Known {
            extras: place(fields.extras),
            vm: place(fields.vm),
            observed: place(fields.observed),
            outline: serde_json::from_str(fields.outline).ok()?,
            parent: fields.parent.map(str::to_owned),
            vapp: fields.vapp.map(str::to_owned),
            text: self.text.clone(),
            line,
        };
        Some((fields.id.to_owned(), Box::new(known)))
    }

    /// The details of those of some VMs that have the version they were read of, by reference.
    pub(crate) fn details<'d>(&self, drafts: impl Iterator<Item = &'d Draft>) -> Vec<Details> {
        let mut lines: Option<BTreeMap<&str, Line<'_>>> = None;
        let mut found = Vec::new();
        for draft in drafts {
            let lines = lines.get_or_insert_with(|| self.by_reference());
            let line = lines.get(draft.reference.id.as_str());
            let line = line.filter(|line| Some(line.version) == draft.version.as_deref());
            found.extend(line.and_then(|line| self.details_of(line)));
        }
        found
    }

    fn by_reference(&self) -> BTreeMap<&str, Line<'_>> {
        let lines = lines(&self.text, &self.lines);
        let lines = lines.filter_map(|line| Line::parse(&self.text[line]));
        lines.map(|line| (line.id, line)).collect()
    }

    fn details_of(&self, line: &Line<'_>) -> Option<Details> {
        let (vm, observed) = line.vm()?;
        let changed = &self.networks_changed;
        let is_elsewhere = |network: &Option<String>| {
            let known = network.as_ref();
            known.is_none_or(|network| changed.contains(network))
        };
        if !changed.is_empty() && vm.nics.iter().any(|nic| is_elsewhere(&nic.network)) {
            return None;
        }
        Some(Details::known(line.id.to_owned(), vm, observed))
    }

    /// Forgets what was read, to make room where none of it is used any more.
    pub(crate) fn forget(&mut self) {
        self.text = Arc::default();
        self.lines = 0..0;
        self.by_light = BTreeMap::new();
    }

    /// Keeps these for the next pull, if that has anything new. That it cannot be done is no reason
    /// to fail.
    pub(crate) fn write(&self, machines: &BTreeMap<String, Machine>) {
        let Some(path) = &self.path else {
            return;
        };
        let is_new = |machine: &Machine| match machine {
            Machine::Read(draft) => is_worth_keeping(draft),
            Machine::Known(_) => false,
        };
        if !machines.values().any(is_new) {
            return;
        }
        if let Err(error) = self.try_write(path, machines.values()) {
            tracing::debug!(%error, %path, "the next pull reads everything again");
        }
    }

    fn try_write<'m>(
        &self,
        path: &Utf8Path,
        machines: impl Iterator<Item = &'m Machine>,
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
        file.write_all(self.title.as_bytes())?;
        let (mut digest, mut line) = (Sha256::new(), Vec::new());
        for machine in machines {
            line.clear();
            match machine {
                Machine::Read(draft) if is_worth_keeping(draft) => write_line(&mut line, draft)?,
                Machine::Read(_) => {}
                Machine::Known(known) => line.extend(known.text[known.line.clone()].bytes()),
            }
            digest.update(&line);
            file.write_all(&line)?;
        }
        writeln!(file, "{}", Digest::end(digest))?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?;
        std::fs::rename(&beside, path)
    }
}

impl Known {
    /// Whether it was kept with these.
    pub(crate) fn has(&self, extras: &Extras<'_>, text: &mut Vec<u8>) -> bool {
        text.clear();
        let is_written = serde_json::to_writer(&mut *text, extras).is_ok();
        is_written && self.text[self.extras.clone()].as_bytes() == text.as_slice()
    }

    /// All of it, to be changed; `None` if it is not what this version of the program writes.
    pub(crate) fn draft(&self) -> Option<Draft> {
        let line = Line::parse(&self.text[self.line.clone()])?;
        let (vm, observed) = line.vm()?;
        Some(Draft {
            version: Some(line.version.to_owned()),
            light: Digest::parse(line.light),
            parent: self.parent.clone(),
            vapp: self.vapp.clone(),
            ..Draft::kept(line.id, vm, observed)
        })
    }

    /// Its lines in the snapshot.
    pub(crate) fn into_kept(self) -> Kept {
        Kept {
            id: self.outline.id,
            text: self.text,
            vm: self.vm,
            observed: self.observed,
        }
    }
}

/// The lines in a part of a text.
fn lines(text: &str, part: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut at = part.start;
    text[part.clone()].split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        start..at
    })
}

/// A VM's line.
struct Line<'t> {
    id: &'t str,
    light: &'t str,
    version: &'t str,
    parent: Option<&'t str>,
    vapp: Option<&'t str>,
    outline: &'t str,
    extras: &'t str,
    vm: &'t str,
    observed: &'t str,
}

impl<'t> Line<'t> {
    fn parse(line: &'t str) -> Option<Self> {
        let mut fields = line.trim_end_matches('\n').split('\t');
        let mut field = || fields.next();
        let some = |text: &'t str| Some(text).filter(|text| !text.is_empty());
        Some(Self {
            id: field()?,
            light: field()?,
            version: field()?,
            parent: some(field()?),
            vapp: some(field()?),
            outline: field()?,
            extras: field()?,
            vm: field()?,
            observed: field()?,
        })
    }

    /// What is known of the VM.
    fn vm(&self) -> Option<(Vm, Observed)> {
        let vm = serde_json::from_str(self.vm).ok()?;
        Some((vm, serde_json::from_str(self.observed).ok()?))
    }
}

/// The first fields of a VM's line.
fn references(draft: &Draft) -> [&str; 4] {
    [
        &draft.reference.id,
        draft.version.as_deref().unwrap_or_default(),
        draft.parent.as_deref().unwrap_or_default(),
        draft.vapp.as_deref().unwrap_or_default(),
    ]
}

/// Whether everything of it was read, and a line can hold it.
fn is_worth_keeping(draft: &Draft) -> bool {
    let is_plain = |text: &str| !text.contains(['\t', '\n', '\r']);
    draft.is_whole && draft.version.is_some() && references(draft).into_iter().all(is_plain)
}

fn write_line(line: &mut Vec<u8>, draft: &Draft) -> io::Result<()> {
    let [id, version, parent, vapp] = references(draft);
    let light = draft.light.map(|light| light.to_string());
    let light = light.unwrap_or_default();
    write!(line, "{id}\t{light}\t{version}\t{parent}\t{vapp}\t")?;
    serde_json::to_writer(&mut *line, &Outline::of(&draft.vm))?;
    line.push(b'\t');
    serde_json::to_writer(&mut *line, &Extras::of(&draft.vm))?;
    line.push(b'\t');
    serde_json::to_writer(&mut *line, &draft.vm)?;
    line.push(b'\t');
    serde_json::to_writer(&mut *line, &draft.observed)?;
    line.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use schemas::inventory::Nic;

    use super::*;

    const OWNER: [&str; 2] = ["vc", "reader"];

    fn draft(id: &str, version: &str) -> Draft {
        let vm = Vm {
            name: "web\t\"1\"\n".into(),
            nics: vec![Nic {
                network: Some("network-1".to_owned()),
                ..Nic::default()
            }],
            tags: vec!["team/a".to_owned()],
            ..Vm::default()
        };
        let observed = Observed {
            guest_ips: vec!["10.0.0.1".to_owned()],
            ..Observed::default()
        };
        Draft {
            version: Some(version.to_owned()),
            light: Some(Digest::of(&format!("<{id}>"))),
            parent: Some("group-v1".to_owned()),
            ..Draft::kept(id, vm, observed)
        }
    }

    fn machines<const N: usize>(drafts: [Draft; N]) -> BTreeMap<String, Machine> {
        let machine = |draft: Draft| {
            let id = draft.reference.id.clone();
            (id, Machine::Read(Box::new(draft)))
        };
        drafts.map(machine).into()
    }

    fn surroundings(places: &str, network: &str) -> Surroundings {
        Surroundings {
            places: places.to_owned(),
            networks: [("network-1".to_owned(), network.to_owned())].into(),
        }
    }

    fn has_details(cache: &Cache, draft: &Draft) -> bool {
        cache.details([draft].into_iter()).len() == 1
    }

    // What is written is found again by the same owner at the same version, and by nobody else; a
    // broken or foreign file is no error.
    #[test]
    fn round_trip() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let here = Some(folder);
        let around = surroundings("p", "lan");
        let cache = Cache::open(here, &OWNER, &around);
        cache.write(&machines([draft("vm-1", "a"), draft("vm-2", "b")]));

        let cache = Cache::open(here, &OWNER, &around);
        let found = cache.details([&draft("vm-2", "b")].into_iter()).remove(0);
        assert_eq!(found.vm.name.as_str(), "web\t\"1\"\n");
        assert_eq!(found.observed.guest_ips, ["10.0.0.1"]);
        assert!(!has_details(&cache, &draft("vm-2", "c")));
        assert!(!has_details(&cache, &draft("vm-3", "b")));
        assert!(cache.unchanged("<vm-2 >").is_none());
        let (id, known) = cache.unchanged("<vm-2>").expect("kept");
        let again = known.draft().expect("of this version");
        let expected = draft("vm-2", "b");
        assert_eq!(
            (id.as_str(), format!("{again:?}")),
            ("vm-2", format!("{expected:?}"))
        );
        let (extras, none) = (Extras::of(&expected.vm), Extras::default());
        let mut text = Vec::new();
        assert!(known.has(&extras, &mut text) && !known.has(&none, &mut text));
        let kept = known.into_kept();
        assert_eq!(
            kept.vm(),
            serde_json::to_string(&expected.vm).expect("JSON")
        );
        let observed = serde_json::to_string(&expected.observed).expect("JSON");
        assert_eq!(kept.observed(), observed);
        let other = Cache::open(here, &["vc", "another"], &around);
        assert!(!has_details(&other, &expected));

        let file = folder.read_dir_utf8().expect("there").next();
        let path = file.expect("one").expect("readable").into_path();
        let text = std::fs::read_to_string(&path).expect("text");
        for broken in [
            text[..text.len() - 20].to_owned(),
            text.replacen("10.0.0.1", "10.0.0.2", 1),
            text.replace(FORMAT, "windrow.cache/0"),
            String::new(),
        ] {
            std::fs::write(&path, &broken).expect("written");
            let cache = Cache::open(here, &OWNER, &around);
            assert!(!has_details(&cache, &draft("vm-1", "a")), "{broken}");
            assert!(cache.unchanged("<vm-1>").is_none(), "{broken}");
        }
    }

    // A VM that says the same is another one where a folder was renamed, and its details are where
    // its network was.
    #[test]
    fn names_of_others() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let here = Utf8Path::from_path(folder.path());
        let open = |places, network| Cache::open(here, &OWNER, &surroundings(places, network));
        open("p", "lan").write(&machines([draft("vm-1", "a")]));
        for (places, network, is_unchanged, is_detailed) in [
            ("p", "lan", true, true),
            ("q", "lan", false, true),
            ("p", "wan", false, false),
        ] {
            let cache = open(places, network);
            assert_eq!(cache.unchanged("<vm-1>").is_some(), is_unchanged);
            assert_eq!(has_details(&cache, &draft("vm-1", "a")), is_detailed);
        }
    }

    // A file in which nothing would be new is not written again; one that is has what was known, too.
    #[test]
    fn nothing_new() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let here = Utf8Path::from_path(folder.path());
        let open = || Cache::open(here, &OWNER, &surroundings("p", "lan"));
        open().write(&machines([draft("vm-1", "a")]));
        let known = || {
            let (id, known) = open().unchanged("<vm-1>").expect("kept");
            (id, Machine::Known(known))
        };
        let mut all = BTreeMap::from([known()]);
        let file = folder.path().read_dir().expect("there").next();
        let path = file.expect("one").expect("readable").path();
        let mut options = OpenOptions::new();
        let mut file = options.append(true).open(&path).expect("there");
        let cache = open();
        file.write_all(b"trailing").expect("written");
        cache.write(&all);
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(text.ends_with("trailing"));
        all.extend(machines([draft("vm-2", "b")]));
        cache.write(&all);
        let cache = open();
        assert!(cache.unchanged("<vm-1>").is_some() && cache.unchanged("<vm-2>").is_some());
    }
}
