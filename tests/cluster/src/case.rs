//! One scenario while it runs: its folder, namespaces, transcript, and the checks that many share.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::audit::{LogFrom, Write, engine_conflicted_alone, exports, writes};
use crate::command::{Background, Output, Run, tail};
use crate::estate::{Ova, Project};
use crate::kube::{Kube, MACHINES, text};
use crate::scenario::Scenario;
use crate::transcript::Transcript;
use crate::watch::{Seen, Watch};
use crate::world::World;

/// Most writes to the API server that Windrow may need for a machine.
const WRITES_MAX: f64 = 10.0;
/// Lines of a command's words in the transcript.
const SAID_LINES: usize = 60;

/// One scenario while it runs.
pub struct Case<'w> {
    /// Where everything is.
    pub world: &'w World,
    /// Its folder: plan, inventory, waves.
    pub folder: PathBuf,
    /// Everything that happens.
    pub transcript: Transcript,
    /// What happens to imports and machines.
    pub watch: Watch,
    prefix: String,
    audit: LogFrom,
    engine: LogFrom,
    failures: Vec<String>,
    /// How often the scenario itself has started the engine.
    restarts: usize,
}

impl<'w> Case<'w> {
    /// Runs a scenario from making its machines to removing them; the checks that did not hold.
    pub fn run(world: &'w World, scenario: &Scenario) -> Vec<String> {
        let mut case = match Self::begin(world, scenario) {
            Ok(case) => case,
            Err(error) => return vec![format!("set up: {error:#}")],
        };
        let starts = world.engine_starts();
        if let Err(error) = (scenario.run)(&mut case) {
            case.fail(format!("{error:#}"));
        }
        let (now, wanted) = (world.engine_starts(), starts + case.restarts);
        if now != wanted {
            case.fail(format!(
                "the engine was started {} more times",
                now - wanted.min(now)
            ));
        }
        case.end(scenario);
        case.failures
    }

    fn begin(world: &'w World, scenario: &Scenario) -> Result<Self> {
        let prefix = format!("e2e-{}", scenario.name);
        let folder = world.out.join(scenario.name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("clear `{}`", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("make `{}`", folder.display()))?;
        world.engine("start")?;
        world.kube.set_knobs(&[])?;
        world
            .kube
            .remove_namespaces(&namespaces(world, &prefix)?, true)?;
        let transcript = Transcript::begin(&world.out, scenario.name)?;
        transcript.add(
            "note",
            json!({"text": format!("engine: {}; {}", world.engine, world.version()?)}),
        );
        let scratch = world.harvester().join("scratch");
        let logs = world.harvester().join("log");
        Ok(Self {
            watch: Watch::start(&world.kube, &prefix, &scratch, &transcript)?,
            audit: LogFrom::now(&logs.join("audit.log")),
            engine: LogFrom::now(&logs.join("engine.log")),
            failures: Vec::new(),
            restarts: 0,
            world,
            folder,
            transcript,
            prefix,
        })
    }

    fn end(&mut self, scenario: &Scenario) {
        let table = self.table();
        self.transcript.add("table", json!({"text": table}));
        if !self.world.keep
            && let Err(error) = self.clean(scenario)
        {
            self.fail(format!("clean up: {error:#}"));
        }
        let title = format!("{}: {}", scenario.name, scenario.title);
        if let Err(error) = self.transcript.finish(&title) {
            self.fail(format!("{error:#}"));
        }
    }

    fn clean(&self, scenario: &Scenario) -> Result<()> {
        self.world.kube.set_knobs(&[])?;
        self.world
            .kube
            .remove_namespaces(&namespaces(self.world, &self.prefix)?, false)?;
        if scenario.rigs.contains(&"openstack") {
            // The next scenario need not wait for it; the end of the run does.
            let removal = Project::removal(self.world, &self.prefix);
            self.world.later(move || removal.text().map(drop));
        }
        if let Ok(files) = std::fs::read_dir(self.world.harvester().join("ovas")) {
            for name in files
                .flatten()
                .filter_map(|f| f.file_name().into_string().ok())
            {
                if let Some(name) = name
                    .strip_suffix(".ova")
                    .filter(|n| n.starts_with(&self.prefix))
                {
                    Ova::remove(self.world, name);
                }
            }
        }
        Ova::rate(0)
    }

    /// Starts the engine after it has ended: meant to be, and so no fault.
    pub fn restart_engine(&mut self) -> Result<()> {
        self.restarts += 1;
        self.note("the engine is started again");
        self.world.engine("start").map(drop)
    }

    /// A name of this scenario's own, as in `e2e-a-db`; the first part alone for an empty suffix.
    pub fn name(&self, suffix: &str) -> String {
        if suffix.is_empty() {
            self.prefix.clone()
        } else {
            format!("{}-{suffix}", self.prefix)
        }
    }

    /// Makes namespaces of this scenario's own.
    pub fn make_namespaces(&self, suffixes: &[&str]) -> Result<()> {
        let names: Vec<String> = suffixes.iter().map(|suffix| self.name(suffix)).collect();
        self.world.kube.make_namespaces(&names)
    }

    /// Writes a file in its folder.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("make `{}`", folder.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("write `{}`", path.display()))?;
        Ok(path)
    }

    /// Something worth reading in the transcript.
    pub fn note(&self, text: impl Display) {
        self.transcript
            .add("note", json!({"text": text.to_string()}));
    }

    /// Something counted: in the transcript, and said.
    pub fn count(&self, line: impl Display) {
        let line = line.to_string();
        crate::say(&format!("      {}: {line}", self.prefix));
        self.note(line);
    }

    /// A check; one that does not hold fails the scenario, which goes on all the same.
    pub fn expect(&mut self, what: impl Display, holds: bool, detail: impl Display) {
        let (what, detail) = (what.to_string(), detail.to_string());
        self.transcript.add(
            "check",
            json!({"ok": holds, "text": what, "detail": detail}),
        );
        if !holds {
            self.failures.push(if detail.is_empty() {
                what
            } else {
                format!("{what} ({detail})")
            });
        }
    }

    /// A command has ended with `code`; its last words else.
    pub fn expect_exit(&mut self, what: impl Display, output: &Output, code: i32) {
        let holds = output.code == code;
        let detail = if holds {
            String::new()
        } else {
            format!("{}: {}", output.code, tail(&output.all(), 15))
        };
        self.expect(format!("{what} ends with {code}"), holds, detail);
    }

    /// Something went wrong that is no check.
    pub fn fail(&mut self, why: String) {
        self.transcript
            .add("check", json!({"ok": false, "text": why, "detail": ""}));
        self.failures.push(why);
    }

    /// Runs a prepared command and notes it, whatever its exit code.
    pub fn run_noted(&self, run: &Run) -> Result<Output> {
        let output = run.output()?;
        self.transcript.add(
            "command",
            json!({"line": run.line(), "exit": output.code, "seconds": output.took.as_secs_f64(),
                   "said": tail(&output.all(), SAID_LINES)}),
        );
        Ok(output)
    }

    /// `windrow ARGUMENTS` in its folder.
    pub fn windrow(&self, arguments: &[&str]) -> Result<Output> {
        self.run_noted(&self.world.windrow(&self.folder, arguments))
    }

    /// The same; any exit code but `code` fails the scenario.
    pub fn windrow_expect(&mut self, arguments: &[&str], code: i32) -> Result<Output> {
        let output = self.windrow(arguments)?;
        self.expect_exit(format!("`windrow {}`", arguments.join(" ")), &output, code);
        Ok(output)
    }

    /// `windrow ARGUMENTS` behind us, its words in `LOG` in its folder.
    pub fn windrow_background(&self, arguments: &[&str], log: &str) -> Result<Background> {
        let run = self.world.windrow(&self.folder, arguments);
        self.note(format!("`{}` begins", run.line()));
        run.background(&self.folder.join(log))
    }

    /// Waits for a command behind us and notes it.
    pub fn finish(&self, program: &mut Background, limit: Duration) -> Result<Output> {
        let output = program.wait(limit)?;
        self.transcript.add(
            "command",
            json!({"line": program.line(), "exit": output.code, "seconds": output.took.as_secs_f64(),
                   "said": tail(&output.stdout, SAID_LINES)}),
        );
        Ok(output)
    }

    /// `inventory pull` and `plan`; the folder of the waves.
    pub fn pull_and_plan(&mut self, plan: &str) -> Result<()> {
        for arguments in [
            &["inventory", "pull", plan, "--out", "inventory"][..],
            &["plan", plan],
        ] {
            let output = self.windrow(arguments)?;
            anyhow::ensure!(
                output.code == 0,
                "`windrow {}` ended with {}: {}",
                arguments.join(" "),
                output.code,
                tail(&output.all(), 20)
            );
        }
        Ok(())
    }

    /// Files of waves, sorted.
    pub fn waves(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("waves");
        let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
            .with_context(|| format!("list `{}`", folder.display()))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
            .collect();
        files.sort();
        Ok(files)
    }

    /// Writes to the API server since the scenario began.
    pub fn writes(&self) -> Result<Vec<Write>> {
        writes(&self.audit)
    }

    /// How often each import was exported since then, by the engine's log.
    pub fn exports(&self) -> Result<BTreeMap<String, usize>> {
        Ok(exports(&self.engine.read()?))
    }

    /// What the engine has logged since then.
    pub fn engine_log(&self) -> Result<String> {
        self.engine.read()
    }

    /// Each machine that is looked for in `finds` was imported exactly once: one import ever
    /// created, one export of it, and nobody of ours has written to it.
    pub fn expect_imported_once(&mut self, finds: &[&str]) -> Result<()> {
        let imports = self.watch.imports();
        let (exports, writes) = (self.exports()?, self.writes()?);
        for find in finds {
            let of: Vec<&Seen> = imports.iter().filter(|i| i.find == *find).collect();
            let exported: usize = of
                .iter()
                .map(|i| exports.get(&i.place).copied().unwrap_or(0))
                .sum();
            let names: Vec<&str> = of.iter().map(|i| i.place.as_str()).collect();
            let by_itself = match names.as_slice() {
                [place] if exported == 2 => engine_conflicted_alone(&writes, place),
                _ => false,
            };
            if by_itself {
                let line = format!(
                    "the engine exported {} twice: its own write met a conflict, nobody else's (Q07)",
                    names.join(", ")
                );
                crate::say(&format!("      {}: {line}", self.prefix));
                self.note(line);
            }
            self.expect(
                format!("`{find}` was imported once"),
                of.len() == 1 && (exported == 1 || by_itself),
                format!("imports {names:?}, {exported} exports"),
            );
        }
        let all: Vec<&Seen> = imports
            .iter()
            .filter(|i| !finds.contains(&i.find.as_str()))
            .collect();
        self.expect(
            "nothing else was imported",
            all.is_empty(),
            all.iter()
                .map(|i| i.find.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        );
        let of_imports = |w: &&Write| {
            w.is_ours()
                && w.resource.starts_with("virtualmachineimports")
                && w.namespace.starts_with(&self.prefix)
        };
        let created = writes
            .iter()
            .filter(of_imports)
            .filter(|w| w.verb == "create" && w.done())
            .count();
        let other: Vec<String> = writes
            .iter()
            .filter(of_imports)
            .filter(|w| w.verb != "create" && w.verb != "delete")
            .map(|w| format!("{} {}", w.verb, w.resource))
            .collect();
        self.expect(
            format!(
                "the audit log has {} creations of imports by windrow",
                finds.len()
            ),
            created == finds.len(),
            created,
        );
        self.expect(
            "windrow never wrote to an import",
            other.is_empty(),
            other.join(", "),
        );
        Ok(())
    }

    /// The machine `namespace/name` runs and has the disks with these digests, in their order.
    pub fn expect_machine(
        &mut self,
        namespace: &str,
        name: &str,
        digests: &[String],
    ) -> Result<()> {
        let machine = self
            .world
            .kube
            .get(MACHINES, namespace, name)?
            .unwrap_or_default();
        self.expect(
            format!("machine {namespace}/{name} runs"),
            machine.pointer("/status/ready") == Some(&json!(true)),
            text(&machine, "/status/printableStatus"),
        );
        let found = self.disks(namespace, &machine)?;
        self.expect(
            format!(
                "{namespace}/{name} has the content of the source's {}",
                plural(digests.len(), "disk")
            ),
            found == digests,
            if found == digests {
                short(&found)
            } else {
                format!("{} instead of {}", short(&found), short(digests))
            },
        );
        Ok(())
    }

    /// Digests of what Harvester fetched for each disk of a machine, found as the machine finds
    /// them: volume, claim, image.
    fn disks(&self, namespace: &str, machine: &Value) -> Result<Vec<String>> {
        let path = self.world.harvester().join("images.jsonl");
        let fetched =
            std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
        let fetched: Vec<Value> = fetched
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let mut found = Vec::new();
        let volumes = machine
            .pointer("/spec/template/spec/volumes")
            .and_then(Value::as_array);
        for volume in volumes.into_iter().flatten() {
            let claim = text(volume, "/persistentVolumeClaim/claimName");
            if claim.is_empty() {
                continue;
            }
            let claim = self
                .world
                .kube
                .get("persistentvolumeclaim", namespace, claim)?
                .unwrap_or_default();
            let image = text(&claim, "/metadata/annotations/harvesterhci.io~1imageId");
            let digest = fetched
                .iter()
                .rev()
                .find(|f| image == format!("{}/{}", text(f, "/namespace"), text(f, "/image")))
                .map_or_else(
                    || format!("nothing was fetched for image `{image}`"),
                    |f| text(f, "/sha256").to_owned(),
                );
            found.push(digest);
        }
        Ok(found)
    }

    /// Windrow wrote no more than it should for so many machines; says what it wrote. What it writes
    /// once a run (plan, waves, approvals, sources of many machines, a question about its rights) is
    /// said and not limited: shared by so few machines as here, it would tell nothing else.
    pub fn expect_writes(&mut self, machines: usize) -> Result<()> {
        let mut by_kind: BTreeMap<String, usize> = BTreeMap::new();
        let (mut own, mut run) = (0_u32, 0_u32);
        for write in self.writes()?.iter().filter(|w| w.counts()) {
            *by_kind
                .entry(format!("{} {}", write.verb, write.resource))
                .or_default() += 1;
            *(if write.is_for_machine() {
                &mut own
            } else {
                &mut run
            }) += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
        let each = |count: u32| f64::from(count) / machines.max(1) as f64;
        let kinds: Vec<String> = by_kind
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let line = format!(
            "{:.1} API writes a machine ({own} for {}), and {run} for the run: {:.1} in all",
            each(own),
            plural(machines, "machine"),
            each(own + run)
        );
        crate::say(&format!("      {}: {line}", self.prefix));
        self.expect(
            format!("windrow needs at most {WRITES_MAX} API writes a machine"),
            each(own) <= WRITES_MAX,
            format!("{line}; {}", kinds.join(", ")),
        );
        Ok(())
    }

    /// What happened to each import, in seconds.
    fn table(&self) -> String {
        let mut out = String::from(
            "| import | looks for | created | off | exported | images in | machine | ready | finished | gone | downtime |\n\
             |---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        let cell = |t: Option<f64>| t.map_or_else(|| "–".to_owned(), |t| format!("{t:.1}"));
        for import in self.watch.imports() {
            let machine = text(&import.object, "/status/importedVirtualMachineName");
            let machine = format!("{}/{machine}", import.namespace());
            let ready = self.watch.ready(&machine);
            let off = import.condition("VMPoweredOff");
            let _ = writeln!(
                out,
                "| {} | {} | {:.1} | {} | {} | {} | {} | {} | {} | {} | {} |",
                import.place,
                import.find,
                import.created,
                cell(off),
                cell(import.condition("VMExported")),
                cell(import.state("diskImagesReady")),
                cell(self.watch.machine(&machine)),
                cell(ready),
                cell(import.state("virtualMachineRunning")),
                cell(import.gone),
                cell(off.zip(ready).map(|(off, ready)| ready - off)),
            );
        }
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let peak = self.watch.scratch_peak() as f64 / f64::from(1 << 20);
        let _ = writeln!(out, "\nMost on the scratch at once: {peak:.0} MiB.");
        out
    }
}

/// Namespaces of a scenario.
fn namespaces(world: &World, prefix: &str) -> Result<Vec<String>> {
    let own = |name: &str| name == prefix || name.starts_with(&format!("{prefix}-"));
    Ok(world
        .kube
        .list("namespaces", "")?
        .iter()
        .map(|namespace| text(namespace, "/metadata/name").to_owned())
        .filter(|name| own(name))
        .collect())
}

/// `1 disk`, `2 disks`.
pub fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// The first digits of digests.
fn short(digests: &[String]) -> String {
    digests
        .iter()
        .map(|d| d.chars().take(12).collect::<String>())
        .collect::<Vec<_>>()
        .join(", ")
}

/// A kubeconfig for somebody else at the same cluster, with a token.
pub fn kubeconfig_of(kube: &Kube, token: &str) -> Result<String> {
    let view = kube
        .run(["config", "view", "--raw", "--minify", "-o", "json"])
        .text()?;
    let view: Value = serde_json::from_str(&view).context("read the kubeconfig")?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": view["clusters"],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": view["clusters"][0]["name"], "user": "it"}}],
    })
    .to_string())
}
