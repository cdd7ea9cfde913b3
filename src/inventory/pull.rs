//! `windrow inventory pull`: every source and target of a plan's site, or those that are named.
//!
//! Several at the same time, but those at one address one after the other: a server's limits are its
//! own. One that fails does not keep the others from being read. What is written is whole: a snapshot's files are replaced only once all
//! of it was read.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use executor::{Class, Cluster};
use futures::StreamExt as _;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use inventory::snapshot::{self, SnapshotError};
use inventory::{
    Access, Cloud, CloudError, CredentialError, CredentialSource, Credentials, Govc, GovcError,
    PullError, Vcenters,
};
use schemas::ids::{ObjectName, SourceName};
use schemas::inventory::Gap;
use schemas::site::{Source, Target};
use schemas::suggest;
use tokio::sync::{OnceCell, watch};

use super::{counted, gaps};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::interrupt;
use crate::load::{self, LoadedPlan};
use crate::output::Output;

/// Servers that are read at the same time. More would be this machine's limit, not theirs.
const SERVERS_IN_FLIGHT: usize = 4;
/// Gaps that are told one by one; all of them are in the snapshot.
const GAPS_SHOWN_MAX: usize = 5;

/// Read the sources and targets of a plan into snapshot files
///
/// Only reads: nothing is changed, switched or exported there. A source's Secret is read from the
/// cluster of the plan's target, unless --credentials gives it, or the environment does: `GOVC_URL`
/// is the address of that vCenter, or `OS_CLOUD`, `OS_*` or the only cloud of clouds.yaml are about
/// that Keystone and region. Pulling an unchanged source again changes no file but
/// `observed.jsonl`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The plan's file, or the folder of its `plan.yaml`
    #[arg(value_name = "PLAN", default_value = "plan.yaml")]
    plan: Utf8PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Write the snapshots here [default: `inventory` beside the plan]
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
}

impl Arguments {
    /// One source or target of a plan, anew, into a folder.
    pub(crate) fn one(
        plan: &Utf8Path,
        name: &str,
        credentials: Option<&Utf8PathBuf>,
        out: &Utf8Path,
    ) -> Self {
        Self {
            plan: plan.to_owned(),
            reading: Reading {
                names: vec![name.to_owned()],
                credentials: credentials.cloned(),
                fresh: true,
            },
            out: Some(out.to_owned()),
        }
    }
}

/// What to read, and with which Secrets.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    /// Read only this source or target; may be given several times
    #[arg(long = "source", value_name = "NAME")]
    pub names: Vec<String>,
    /// Secrets from a manifest file, or from a folder `<secret>/<key>` as Kubernetes mounts it
    #[arg(long, value_name = "PATH")]
    pub credentials: Option<Utf8PathBuf>,
    /// Read everything, also what has not changed since the last pull
    #[arg(long)]
    pub fresh: bool,
}

/// Why nothing was read, where it is neither the source's nor the cluster's fault.
#[derive(Debug, thiserror::Error)]
enum ArgumentError {
    #[error(
        "find a source or target `{name}` in the site, which has {}",
        suggest::list(known)
    )]
    Unknown { name: String, known: Vec<String> },
}

/// Runs the verb.
pub async fn run(arguments: Arguments, output: &Output) -> Result<Outcome, Failure> {
    let plan = load::plan(&arguments.plan)?;
    let out = arguments
        .out
        .unwrap_or_else(|| plan.folder().join("inventory"));
    read(&plan, &arguments.reading, &out, output).await
}

/// Reads the sources and targets of a plan into snapshots in `out`.
pub(crate) async fn read(
    plan: &LoadedPlan,
    reading: &Reading,
    out: &Utf8Path,
    output: &Output,
) -> Result<Outcome, Failure> {
    check_names(plan, &reading.names)?;
    let pull = Puller::new(plan, reading, out, output);
    let wanted =
        |name: &str| reading.names.is_empty() || reading.names.iter().any(|wanted| wanted == name);
    let site = plan.site();
    let sources = site
        .sources
        .iter()
        .filter(|source| wanted(source.name.as_str()));
    let targets = site
        .targets
        .iter()
        .filter(|target| wanted(target.name.as_str()));
    let places = sources.map(Place::Source).chain(targets.map(Place::Target));
    // By address, in the order of the site.
    let mut servers: Vec<(String, Vec<Place<'_>>)> = Vec::new();
    for place in places {
        let address = place.address();
        match servers.iter_mut().find(|(known, _)| *known == address) {
            Some((_, places)) => places.push(place),
            None => servers.push((address, vec![place])),
        }
    }
    let pull = &pull;
    let reads = futures::stream::iter(servers).map(|(_, places)| pull.server(places));
    let failures: Vec<Vec<Failure>> = reads.buffered(SERVERS_IN_FLIGHT).collect().await;
    pull.end(failures.into_iter().flatten().collect())
}

/// Whether the engine logs in to a source with another Secret than the one that reads it, or with the
/// one of the environment. Nobody is asked.
pub(crate) fn engine_logs_in_otherwise(
    plan: &LoadedPlan,
    name: &SourceName,
    credentials: Option<&Utf8PathBuf>,
) -> Result<bool, Failure> {
    let reading = Reading {
        names: Vec::new(),
        credentials: credentials.cloned(),
        fresh: true,
    };
    let Some(source) = plan.site().sources.iter().find(|s| s.name == *name) else {
        return Ok(false);
    };
    let Some(engine) = &source.credentials.engine else {
        return Ok(false);
    };
    let by_environment = from_environment(plan, &reading, source)?.is_some();
    Ok(by_environment || source.credentials.for_inventory() != Some(engine))
}

/// Logs in to a source once with the engine's Secret, and out again; when its password expires, where
/// the server says so.
pub(crate) async fn log_in_as_engine(
    plan: &LoadedPlan,
    name: &str,
    credentials: Option<&Utf8PathBuf>,
    output: &Output,
) -> Result<Option<jiff::Timestamp>, Failure> {
    let reading = Reading {
        names: vec![name.to_owned()],
        credentials: credentials.cloned(),
        fresh: true,
    };
    check_names(plan, &reading.names)?;
    let pull = Puller::new(plan, &reading, Utf8Path::new(""), output);
    let mut sources = plan.site().sources.iter();
    let source = sources.find(|source| source.name.as_str() == name);
    let Some((source, secret)) = source.and_then(|s| Some((s, s.credentials.engine.as_ref()?)))
    else {
        return Ok(None);
    };
    let loaded = pull.secret(source, secret).await?;
    let logged_in = inventory::log_in(source, &loaded).await;
    let logged_in = logged_in.map_err(|error| {
        let hint = error.hint();
        pull_failed(error, hint)
    })?;
    Ok(logged_in.password_expires)
}

/// What is read.
#[derive(Clone, Copy)]
enum Place<'a> {
    Source(&'a Source),
    Target(&'a Target),
}

impl Place<'_> {
    /// What says whether two are at one server.
    fn address(&self) -> String {
        match self {
            Self::Source(source) => {
                let vmware = source.vmware.as_ref().map(|place| &place.endpoint);
                let openstack = source.openstack.as_ref().map(|place| &place.endpoint);
                let own = || format!("source {}", source.name);
                vmware.or(openstack).map_or_else(own, |endpoint| {
                    endpoint.trim_end_matches('/').to_lowercase()
                })
            }
            Self::Target(target) => format!("target {}", target.name),
        }
    }
}

fn check_names(plan: &LoadedPlan, names: &[String]) -> Result<(), Failure> {
    let sources = plan
        .site()
        .sources
        .iter()
        .map(|source| source.name.to_string());
    let targets = plan
        .site()
        .targets
        .iter()
        .map(|target| target.name.to_string());
    let known: Vec<String> = sources.chain(targets).collect();
    let Some(name) = names.iter().find(|name| !known.contains(name)) else {
        return Ok(());
    };
    let nearest = suggest::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    let failure = Failure::misused(ArgumentError::Unknown {
        name: name.clone(),
        known,
    });
    Err(match nearest {
        Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
        None => failure,
    })
}

struct Puller<'a> {
    plan: &'a LoadedPlan,
    reading: &'a Reading,
    out: &'a Utf8Path,
    output: &'a Output,
    /// Opened when the first source needs one: a shelf of OVA files may need none.
    secrets: OnceCell<CredentialSource>,
    /// What has been read of vCenters, for several datacenters of one.
    vcenters: Vcenters,
    /// A line of the terminal for each place that is being read.
    bars: MultiProgress,
    /// Becomes true at Ctrl-C or SIGTERM: what has begun logs out, nothing else begins.
    interrupted: watch::Receiver<bool>,
}

impl<'a> Puller<'a> {
    fn new(
        plan: &'a LoadedPlan,
        reading: &'a Reading,
        out: &'a Utf8Path,
        output: &'a Output,
    ) -> Self {
        Self {
            plan,
            reading,
            out,
            output,
            secrets: OnceCell::new(),
            bars: MultiProgress::new(),
            vcenters: Vcenters::default(),
            interrupted: interrupt::watch(),
        }
    }

    /// What is at one server, one after the other.
    async fn server(&self, places: Vec<Place<'_>>) -> Vec<Failure> {
        let mut failures = Vec::new();
        for place in places {
            failures.extend(self.place(place).await.err());
        }
        failures
    }

    async fn place(&self, place: Place<'_>) -> Result<(), Failure> {
        if *self.interrupted.borrow() {
            return Ok(());
        }
        match place {
            Place::Source(source) => self.source(source).await,
            Place::Target(target) => self.target(target).await,
        }
    }

    /// A line that stays, above those that show progress.
    fn say(&self, line: &str) {
        self.bars.suspend(|| self.output.say(line));
    }

    async fn source(&self, source: &Source) -> Result<(), Failure> {
        let credentials = self.credentials(source).await?;
        let importer = self.importer(source).await;
        let cache = cache_folder().filter(|_| !self.reading.fresh);
        let access = Access {
            credentials: credentials.as_ref(),
            importer: importer.as_deref(),
            cache: cache.as_deref(),
            vcenters: Some(&self.vcenters),
        };
        let told = self.told(source.name.as_str());
        let pulled = inventory::pull_source(source, access, &told).await;
        told.end();
        let pulled = pulled.map_err(|error| {
            let hint = error.hint().map(|hint| self.name_secret(hint, source));
            pull_failed(error, hint)
        })?;
        let changed =
            snapshot::write_pulled(self.out, &source.name, &pulled).map_err(snapshot_failed)?;
        let what = [
            counted(pulled.vms(), "VM"),
            counted(pulled.part().networks.len(), "network"),
        ];
        self.summary(
            source.name.as_str(),
            &what,
            &pulled.part().about.gaps,
            changed.len(),
        );
        Ok(())
    }

    async fn target(&self, target: &Target) -> Result<(), Failure> {
        let cluster = match connect(target).await {
            // Plans can be made without a cluster; who names the target wants it.
            Err(executor::Error::NoCluster { .. }) if self.reading.names.is_empty() => {
                self.say(&format!(
                    "{}: not read, since there is no kubeconfig: name one in KUBECONFIG to plan by \
                     what the cluster has",
                    target.name
                ));
                return Ok(());
            }
            cluster => cluster.map_err(cluster_failed)?,
        };
        let told = self.told(target.name.as_str());
        let pulled = inventory::pull_target(cluster.client().clone(), target, &told).await;
        told.end();
        let pulled = pulled.map_err(|error| {
            let hint = error.hint();
            pull_failed(error, hint)
        })?;
        let changed =
            snapshot::write_target(self.out, &target.name, &pulled).map_err(snapshot_failed)?;
        let what = [
            counted(pulled.vms.len(), "VM"),
            counted(pulled.imports.len(), "import"),
        ];
        self.summary(
            target.name.as_str(),
            &what,
            &pulled.about.gaps,
            changed.len(),
        );
        Ok(())
    }

    /// The Secret of a source, if it names one.
    async fn credentials(&self, source: &Source) -> Result<Option<Credentials>, Failure> {
        let found = from_environment(self.plan, self.reading, source)?;
        if let Some(Found {
            credentials,
            who,
            way,
        }) = found
        {
            self.say(&format!("{}: logs in {who}, by {way}", source.name));
            return Ok(Some(credentials));
        }
        let Some(name) = source.credentials.for_inventory() else {
            return Ok(None);
        };
        self.secret(source, name).await.map(Some)
    }

    /// A Secret of a source, from wherever Secrets are read.
    async fn secret(&self, source: &Source, name: &ObjectName) -> Result<Credentials, Failure> {
        let secrets = self.secrets.get_or_try_init(|| self.open_secrets()).await?;
        let namespace = self.plan.namespace();
        let loaded = secrets.load(&namespace, name).await;
        let loaded = loaded.map_err(credentials_failed)?;
        let who = loaded.user().map(|user| format!(" as `{user}`"));
        self.say(&format!(
            "{}: logs in{}, by the Secret `{namespace}/{name}` of {}",
            source.name,
            who.unwrap_or_default(),
            secrets.place()
        ));
        Ok(loaded)
    }

    /// The user of the engine's Secret, where that is not the one to read with: what that user may do
    /// is part of what is read. Without it, the pull goes on.
    async fn importer(&self, source: &Source) -> Option<String> {
        let credentials = &source.credentials;
        if source.vmware.is_none() || credentials.engine == credentials.for_inventory().cloned() {
            return None;
        }
        let name = credentials.engine.as_ref()?;
        let secrets = self.secrets.get()?;
        let secret = secrets.load(&self.plan.namespace(), name).await.ok()?;
        secret.user().map(str::to_owned)
    }

    /// A hint about the source's Secret says which one that is.
    fn name_secret(&self, hint: String, source: &Source) -> String {
        match source.credentials.for_inventory() {
            Some(name) if hint.contains("Secret") => {
                format!("{hint}; the Secret is `{}/{name}`", self.plan.namespace())
            }
            _ => hint,
        }
    }

    async fn open_secrets(&self) -> Result<CredentialSource, Failure> {
        if let Some(path) = &self.reading.credentials {
            return CredentialSource::at_path(path).map_err(credentials_failed);
        }
        let home = &self.plan.spec().target.name;
        let target = self
            .plan
            .site()
            .targets
            .iter()
            .find(|target| target.name == *home);
        let target = target.or(self.plan.site().targets.first());
        let target = target.expect("the YAML door asks for at least one target");
        let cluster = connect(target).await.map_err(|error| {
            cluster_failed(error).hint(
                "give the Secrets with --credentials (a manifest, or a folder `<secret>/<key>`), or \
                 a kubeconfig of the target's cluster",
            )
        })?;
        Ok(CredentialSource::Cluster(cluster.client().clone()))
    }

    /// What was read, in a line, and what was not, in a few more.
    fn summary(&self, name: &str, what: &[String], gaps: &[Gap], changed: usize) {
        let files = match changed {
            0 => "nothing changed".to_owned(),
            changed => format!("{} written", counted(changed, "file")),
        };
        self.say(&format!("{name}: {}; {files}", what.join(", ")));
        for line in gaps::first(gaps, GAPS_SHOWN_MAX, "could not read ") {
            self.say(&format!("  {line}"));
        }
    }

    /// Shows what is read of a place, where progress is shown.
    fn told(&self, name: &str) -> Told {
        let line = self.output.progress().then(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix}: {msg}");
            let line = ProgressBar::new_spinner().with_prefix(name.to_owned());
            line.set_style(style.expect("the template is a constant"));
            let line = self.bars.add(line);
            line.enable_steady_tick(Duration::from_millis(100));
            line
        });
        Told {
            line,
            counts: Mutex::default(),
        }
    }

    /// Tells all failures; the gravest gives the exit code.
    fn end(&self, mut failures: Vec<Failure>) -> Result<Outcome, Failure> {
        failures.sort_by_key(|failure| failure.outcome);
        let Some(last) = failures.pop() else {
            return Ok(Outcome::Done);
        };
        for failure in failures {
            self.output.complain(&failure.render());
        }
        Err(last)
    }
}

/// Credentials of the environment.
struct Found {
    credentials: Credentials,
    /// Whose they are, in words.
    who: String,
    /// Where they were found, in words.
    way: String,
}

/// What the environment says, if it is about this very server and no Secret is given by hand.
fn from_environment(
    plan: &LoadedPlan,
    reading: &Reading,
    source: &Source,
) -> Result<Option<Found>, Failure> {
    if reading.credentials.is_some() {
        return Ok(None);
    }
    let variable = |name: &str| std::env::var(name).ok();
    let (credentials, who, way) = if let Some(place) = &source.vmware {
        let govc = Govc::for_server(&place.endpoint, variable).map_err(govc_failed)?;
        let Some(Govc { credentials }) = govc else {
            return Ok(None);
        };
        let user = credentials.user().unwrap_or_default().to_owned();
        (
            credentials,
            format!("`{user}`"),
            "GOVC_* of the environment".to_owned(),
        )
    } else if let Some(place) = &source.openstack {
        // The environment knows one project of a cloud; which of two it is, nobody says.
        let same = |other: &&Source| other.openstack.as_ref() == Some(place);
        if plan.site().sources.iter().filter(same).count() > 1 {
            return Ok(None);
        }
        let folder = current_folder();
        let cloud = Cloud::for_source(place, &folder, variable).map_err(cloud_failed)?;
        let Some(Cloud {
            credentials,
            who,
            way,
        }) = cloud
        else {
            return Ok(None);
        };
        (credentials, who, way)
    } else {
        return Ok(None);
    };
    Ok(Some(Found {
        credentials,
        who,
        way,
    }))
}

/// Where this user's programs keep what they can do without.
fn cache_folder() -> Option<Utf8PathBuf> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let caches = set("XDG_CACHE_HOME").map(Utf8PathBuf::from);
    let caches = caches.or_else(|| set("HOME").map(|home| Utf8PathBuf::from(home).join(".cache")));
    caches.map(|caches| caches.join("windrow"))
}

/// The folder we are in; where that is not to be had or no UTF-8, `.` is as good.
fn current_folder() -> Utf8PathBuf {
    let folder = std::env::current_dir().ok();
    let folder = folder.and_then(|folder| Utf8PathBuf::from_path_buf(folder).ok());
    folder.unwrap_or_else(|| ".".into())
}

/// The cluster of a target: by its context, or whatever this process runs in or points to.
async fn connect(target: &Target) -> Result<Cluster, executor::Error> {
    match &target.context {
        Some(context) => Cluster::from_kubeconfig(Some(context)).await,
        None => Cluster::infer().await,
    }
}

fn with_hint(failure: Failure, hint: Option<String>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn pull_failed(error: PullError, hint: Option<String>) -> Failure {
    let outcome = if error.is_outage() {
        Outcome::Outside
    } else {
        Outcome::Refused
    };
    with_hint(Failure::new(outcome, error), hint)
}

fn credentials_failed(error: CredentialError) -> Failure {
    let outcome = match error {
        CredentialError::File { .. } => Outcome::Misused,
        CredentialError::Unreachable { .. } => Outcome::Outside,
        _ => Outcome::Refused,
    };
    let hint = error.hint();
    with_hint(Failure::new(outcome, error), hint)
}

fn govc_failed(error: GovcError) -> Failure {
    Failure::misused(error).hint(
        "set GOVC_URL, GOVC_USERNAME and GOVC_PASSWORD as for govc, or unset GOVC_URL and give \
         --credentials",
    )
}

fn cloud_failed(error: CloudError) -> Failure {
    let hint = error.hint();
    Failure::misused(error).hint(hint)
}

fn snapshot_failed(error: SnapshotError) -> Failure {
    let hint = error.hint();
    with_hint(Failure::misused(error), hint)
}

fn cluster_failed(error: executor::Error) -> Failure {
    let outcome = match error.class() {
        Class::Refused => Outcome::Refused,
        Class::Usage => Outcome::Misused,
        // An inventory begins nothing.
        Class::Unavailable | Class::Unfinished => Outcome::Outside,
    };
    let hint = error.hint();
    with_hint(Failure::new(outcome, error), hint)
}

/// Counts of what is being read of one place, on one line of the terminal.
struct Told {
    line: Option<ProgressBar>,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Told {
    fn end(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

impl inventory::Progress for Told {
    fn at(&self, _source: &str, what: &str, count: u64) {
        let Some(line) = &self.line else {
            return;
        };
        let mut counts = self.counts.lock().expect("nobody panics while counting");
        counts.insert(what.to_owned(), count);
        let counts: Vec<_> = counts
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        line.set_message(counts.join(", "));
    }
}
