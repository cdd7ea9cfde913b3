//! Follows imports, machines and the scratch of one scenario, and writes down each change.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::kube::{IMPORTS, Kube, MACHINES, place, text};
use crate::transcript::Transcript;

/// How often the scratch is measured.
const SAMPLE: Duration = Duration::from_millis(250);

/// One import as it was seen, from its first sight to its end.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// `namespace/name`.
    pub place: String,
    /// Its uid.
    pub uid: String,
    /// What it looks for.
    pub find: String,
    /// Kind of its source.
    pub source: String,
    /// Seconds of the transcript at which it was first seen.
    pub created: f64,
    /// Seconds at which it was gone.
    pub gone: Option<f64>,
    /// Each state with the seconds at which it was first seen, in order.
    pub states: Vec<(String, f64)>,
    /// Each condition likewise.
    pub conditions: Vec<(String, f64)>,
    /// The object as it was seen last.
    pub object: Value,
}

impl Seen {
    /// When it came to a state.
    pub fn state(&self, name: &str) -> Option<f64> {
        self.states
            .iter()
            .find(|(state, _)| state == name)
            .map(|(_, t)| *t)
    }

    /// When it had a condition.
    pub fn condition(&self, name: &str) -> Option<f64> {
        self.conditions
            .iter()
            .find(|(condition, _)| condition == name)
            .map(|(_, t)| *t)
    }

    /// Its last state.
    pub fn last(&self) -> &str {
        self.states.last().map_or("", |(state, _)| state)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.place.split('/').next().unwrap_or_default()
    }
}

#[derive(Default)]
struct Picture {
    /// In the order of their creation.
    imports: Vec<Seen>,
    /// Seconds at which a machine was first seen, and first ready.
    machines: BTreeMap<String, (f64, Option<f64>)>,
}

/// The followers of one scenario; they end when this is dropped.
pub struct Watch {
    picture: Arc<Mutex<Picture>>,
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    children: Vec<Arc<Mutex<Option<Child>>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Follows what is in namespaces that begin with `prefix`, and the files in `scratch`.
    pub fn start(
        kube: &Kube,
        prefix: &str,
        scratch: &Path,
        transcript: &Transcript,
    ) -> Result<Self> {
        let mut watch = Self {
            picture: Arc::default(),
            peak: Arc::default(),
            stop: Arc::default(),
            children: Vec::new(),
            threads: Vec::new(),
        };
        watch.follow(kube, IMPORTS, prefix, transcript, Picture::import)?;
        watch.follow(kube, MACHINES, prefix, transcript, Picture::machine)?;
        let (peak, stop, scratch) = (watch.peak.clone(), watch.stop.clone(), scratch.to_owned());
        watch.threads.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                peak.fetch_max(allocated(&scratch), Ordering::Relaxed);
                thread::sleep(SAMPLE);
            }
        }));
        Ok(watch)
    }

    fn follow(
        &mut self,
        kube: &Kube,
        kind: &'static str,
        prefix: &str,
        transcript: &Transcript,
        note: fn(&mut Picture, &str, &Value, &Transcript),
    ) -> Result<()> {
        let slot: Arc<Mutex<Option<Child>>> = Arc::default();
        let (kubeconfig, prefix) = (kube.kubeconfig().to_owned(), prefix.to_owned());
        let (picture, transcript, stop) =
            (self.picture.clone(), transcript.clone(), self.stop.clone());
        let start = move |kubeconfig: &PathBuf| {
            std::process::Command::new("kubectl")
                .args([
                    "get",
                    kind,
                    "-A",
                    "--watch",
                    "--output-watch-events",
                    "-o",
                    "json",
                ])
                .env("KUBECONFIG", kubeconfig)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
        };
        let mut child = start(&kubeconfig).context("start `kubectl get --watch`")?;
        let mut pipe = child.stdout.take();
        if let Ok(mut held) = slot.lock() {
            *held = Some(child);
        }
        self.children.push(slot.clone());
        self.threads.push(thread::spawn(move || {
            // A server may end a watch at any time: it is begun again, and what is known already is
            // not written down twice.
            while !stop.load(Ordering::Relaxed) {
                if let Some(pipe) = pipe.take() {
                    let events = serde_json::Deserializer::from_reader(BufReader::new(pipe));
                    for event in events.into_iter::<Value>() {
                        let Ok(event) = event else { break };
                        let object = &event["object"];
                        if !text(object, "/metadata/namespace").starts_with(&prefix) {
                            continue;
                        }
                        if let Ok(mut picture) = picture.lock() {
                            note(&mut picture, text(&event, "/type"), object, &transcript);
                        }
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_millis(500));
                if let (Ok(mut child), Ok(mut held)) = (start(&kubeconfig), slot.lock()) {
                    pipe = child.stdout.take();
                    if let Some(mut old) = held.replace(child) {
                        let _ = old.kill();
                        let _ = old.wait();
                    }
                }
            }
        }));
        Ok(())
    }

    /// All imports so far, in the order of their creation.
    pub fn imports(&self) -> Vec<Seen> {
        self.picture
            .lock()
            .map(|p| p.imports.clone())
            .unwrap_or_default()
    }

    /// When the machine `namespace/name` was first ready.
    pub fn ready(&self, machine: &str) -> Option<f64> {
        self.picture
            .lock()
            .ok()
            .and_then(|p| p.machines.get(machine).and_then(|(_, ready)| *ready))
    }

    /// When the machine `namespace/name` was first seen.
    pub fn machine(&self, machine: &str) -> Option<f64> {
        let picture = self.picture.lock().ok()?;
        picture.machines.get(machine).map(|(seen, _)| *seen)
    }

    /// Most bytes that lay in the scratch at once.
    pub fn scratch_peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for slot in &self.children {
            if let Ok(mut held) = slot.lock()
                && let Some(child) = held.as_mut()
            {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Picture {
    fn import(&mut self, event: &str, object: &Value, transcript: &Transcript) {
        let now = transcript.seconds();
        let uid = text(object, "/metadata/uid").to_owned();
        let index = self
            .imports
            .iter()
            .position(|seen| seen.uid == uid)
            .unwrap_or_else(|| {
                self.imports.push(Seen {
                    place: place(object),
                    uid: uid.clone(),
                    find: text(object, "/spec/virtualMachineName").to_owned(),
                    source: text(object, "/spec/sourceCluster/kind").to_owned(),
                    created: now,
                    ..Seen::default()
                });
                self.imports.len() - 1
            });
        let seen = &mut self.imports[index];
        if event == "DELETED" {
            if seen.gone.is_none() {
                seen.gone = Some(now);
                transcript.add("import-gone", json!({"import": seen.place, "uid": uid}));
            }
            return;
        }
        let state = text(object, "/status/importStatus").to_owned();
        let mut changed = false;
        if seen.states.last().is_none_or(|(last, _)| *last != state) {
            seen.states.push((state.clone(), now));
            changed = true;
        }
        for condition in object
            .pointer("/status/importConditions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = text(condition, "/type");
            if text(condition, "/status") == "True" && seen.condition(name).is_none() {
                seen.conditions.push((name.to_owned(), now));
                changed = true;
            }
        }
        seen.object = object.clone();
        if changed {
            let conditions: Vec<&str> = seen
                .conditions
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            transcript.add(
                "import",
                json!({"import": seen.place, "uid": uid, "find": seen.find, "source": seen.source,
                       "state": state, "conditions": conditions}),
            );
        }
    }

    fn machine(&mut self, event: &str, object: &Value, transcript: &Transcript) {
        if event == "DELETED" {
            return;
        }
        let (now, place) = (transcript.seconds(), place(object));
        let ready = object.pointer("/status/ready") == Some(&json!(true));
        let known = self.machines.contains_key(&place);
        let entry = self.machines.entry(place.clone()).or_insert((now, None));
        if ready && entry.1.is_none() {
            entry.1 = Some(now);
        } else if known {
            return;
        }
        transcript.add("machine", json!({"machine": place, "ready": ready}));
    }
}

/// Bytes that are allocated to the files below a folder. Files come and go meanwhile.
fn allocated(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => allocated(&entry.path()),
            Ok(data) => data.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
