//! Reads a shelf of OVA files: HEAD, then the descriptor and the table of contents of each.
//!
//! Takes the site's entry and, where the server wants one, a Secret (`username`, `password`,
//! `ca.crt`, and `insecure` for us alone); gives a VM for each file. Only the head of an archive
//! and the headers of its members are fetched, never a disk. A server that gives no parts of files
//! is read from the beginning until the first disk. A file that cannot be read is a gap and the
//! others go on; if no file can be read at all, that is an error.

mod archive;
mod descriptor;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod remote;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use reqwest::Url;
use schemas::ids::{SourceName, VmId, VmName};
use schemas::inventory::{
    Disk, Gap, Network, Observed, OvaFacts, SourceAbout, SourceInventory, SourceKind, Vm,
};
use schemas::site::{OvaItem, OvaSource};
use schemas::units::Bytes;
use secrecy::ExposeSecret;

pub use self::archive::NotTar;
pub use self::error::OvaError;

use self::archive::Search;
use self::descriptor::{Descriptor, manifest_digests};
use self::remote::{Archive, Login};
use crate::http::{Http, Trust, parse_url};
use crate::{Credentials, HttpError, Progress, within_limits};

/// The engine's key for a certificate authority in an OVA's Secret.
const CA_KEY: &str = "ca.crt";
/// Archives read at the same time.
const IN_FLIGHT: usize = 4;

/// Reads all files of a shelf.
pub(crate) async fn pull(
    name: &SourceName,
    shelf: &OvaSource,
    credentials: Option<&Credentials>,
    progress: &dyn Progress,
) -> Result<SourceInventory, OvaError> {
    let http = client(credentials, name.as_str())?;
    pull_through(&http, name, shelf, credentials, progress).await
}

/// A client that trusts as the engine does: where the Secret has authorities, nobody else's. Without
/// them the engine checks nothing; we ask the system.
fn client(credentials: Option<&Credentials>, name: &str) -> Result<Http, HttpError> {
    Http::for_files(Trust::new(credentials, CA_KEY).only_given(), name)
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
        .first("*.ovf")
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
    let digests = match archive.first("*.mf") {
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
        let mut disks = found.disks;
        let mut unfound_disks = found.lost_disks;
        for disk in &mut disks {
            match archive.index.search(&disk.key) {
                Search::Found(member) => disk.file_bytes = Some(Bytes(member.size)),
                // Where it was not seen, the descriptor's own word is all there is.
                Search::None if !archive.index.ended => {}
                Search::None => {
                    unfound_disks.push(format!("{}: the archive has no such member", disk.key));
                }
                Search::Never(reason) => unfound_disks.push(format!("{}: {reason}", disk.key)),
                Search::Other(member) => {
                    let name = &member.name;
                    unfound_disks.push(format!("{}: the engine takes {name} for it", disk.key));
                }
            }
        }
        unfound_disks.sort();
        let has_line = |disk: &&Disk| digests.is_none_or(|all| all.contains_key(&disk.key));
        let unlisted = disks.iter().filter(|disk| !has_line(disk));
        let mut unlisted_disks: Vec<String> = unlisted.map(|disk| disk.key.clone()).collect();
        unlisted_disks.sort();
        let gaps = gaps(archive, digests);
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
                // At least what was seen of it, if the server does not say.
                archive_bytes: Bytes(archive.total.unwrap_or(archive.index.next)),
                manifest: digest,
                virtual_systems: found.virtual_systems,
                blank_disks,
                unfound_disks,
                unlisted_disks,
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

/// What an archive lacks, or does not let us see.
fn gaps(archive: &Archive<'_>, digests: Option<&BTreeMap<String, String>>) -> Vec<Gap> {
    let gap = |what: &str, object: Option<&str>, reason: &str| Gap {
        what: what.to_owned(),
        object: object.map(str::to_owned),
        reason: reason.to_owned(),
    };
    let mut gaps = Vec::new();
    if digests.is_none() {
        let reason = "it is not at the archive's head, and the server gives no parts of files";
        gaps.push(gap("manifest", None, reason));
    }
    if archive.total.is_none() {
        let reason = "the server does not say how large the file is";
        gaps.push(gap("archive_bytes", None, reason));
    }
    let last = archive.index.members.last();
    if let Some(member) = last.filter(|member| archive.cuts(member)) {
        let reason = "the file ends inside this member";
        gaps.push(gap("archive", Some(&member.name), reason));
    }
    gaps.sort();
    gaps
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
    let endpoint = list(
        urls.iter()
            .map(|url| url.origin().ascii_serialization())
            .collect(),
    );
    let tls = list(
        urls.iter()
            .map(|url| http.trust().mode(url).to_owned())
            .collect(),
    );
    let about = SourceAbout {
        user: login.map(|(user, _)| user.expose_secret().to_owned()),
        counts: counts
            .map(|(kind, count)| (kind.to_owned(), count as u64))
            .into(),
        gaps,
        ..SourceAbout::new(SourceKind::Ova, endpoint, tls)
    };
    let observed = machines
        .iter()
        .map(|machine| (machine.observed.id.clone(), machine.observed.clone()))
        .collect();
    SourceInventory {
        vms: machines.into_iter().map(|machine| machine.vm).collect(),
        networks,
        observed,
        ..SourceInventory::new(about)
    }
}
