//! The transcript of a scenario: everything that happened, with times, for people and for `compare`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A transcript being written; clones write to the same one.
#[derive(Clone)]
pub struct Transcript {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    began: Instant,
    events: Vec<Value>,
    lines: File,
    page: PathBuf,
}

impl Transcript {
    /// `FOLDER/NAME.jsonl` as things happen, and `FOLDER/NAME.md` at the end.
    pub fn begin(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(format!("{name}.jsonl"));
        let lines = File::create(&path).with_context(|| format!("create `{}`", path.display()))?;
        let inner = Inner {
            began: Instant::now(),
            events: Vec::new(),
            lines,
            page: folder.join(format!("{name}.md")),
        };
        Ok(Self {
            inner: Arc::new(Mutex::new(inner)),
        })
    }

    /// Something happened now. `fields` is an object.
    pub fn add(&self, what: &str, fields: Value) {
        let Ok(mut inner) = self.inner.lock() else {
            return;
        };
        let seconds = inner.began.elapsed().as_secs_f64();
        let mut event = json!({
            "t": (seconds * 1000.0).round() / 1000.0,
            "at": Timestamp::now().strftime("%FT%T%.3fZ").to_string(),
            "what": what,
        });
        if let (Value::Object(event), Value::Object(fields)) = (&mut event, fields) {
            event.extend(fields);
        }
        // The page is what counts; a full disk shows there.
        let _ = writeln!(inner.lines, "{event}");
        inner.events.push(event);
    }

    /// Seconds since its beginning.
    pub fn seconds(&self) -> f64 {
        self.inner
            .lock()
            .map(|inner| inner.began.elapsed().as_secs_f64())
            .unwrap_or_default()
    }

    /// Writes the page.
    pub fn finish(&self, title: &str) -> Result<()> {
        let Ok(inner) = self.inner.lock() else {
            return Ok(());
        };
        let page = page(title, &inner.events);
        std::fs::write(&inner.page, page)
            .with_context(|| format!("write `{}`", inner.page.display()))
    }
}

fn page(title: &str, events: &[Value]) -> String {
    let mut out = format!("# {title}\n\n");
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    for event in events {
        let t = event["t"].as_f64().unwrap_or_default();
        let _ = match event["what"].as_str().unwrap_or_default() {
            "note" => writeln!(out, "`{t:7.1}` {}  ", text(event, "text")),
            "command" => {
                let _ = writeln!(
                    out,
                    "`{t:7.1}` `{}` → exit {} ({:.1} s)",
                    text(event, "line"),
                    event["exit"],
                    event["seconds"].as_f64().unwrap_or_default()
                );
                let said = text(event, "said");
                if said.trim().is_empty() {
                    writeln!(out)
                } else {
                    writeln!(out, "\n```text\n{}\n```\n", said.trim_end())
                }
            }
            "import" => writeln!(
                out,
                "`{t:7.1}` import {} ({}) {} {}  ",
                text(event, "import"),
                text(event, "find"),
                state_name(&text(event, "state")),
                conditions(event)
            ),
            "import-gone" => writeln!(out, "`{t:7.1}` import {} is gone  ", text(event, "import")),
            "machine" => writeln!(
                out,
                "`{t:7.1}` machine {} {}  ",
                text(event, "machine"),
                if event["ready"] == json!(true) {
                    "is **ready**"
                } else {
                    "exists"
                }
            ),
            "check" => writeln!(
                out,
                "`{t:7.1}` {} {}{}  ",
                if event["ok"] == json!(true) {
                    "ok"
                } else {
                    "**FAILED**"
                },
                text(event, "text"),
                match text(event, "detail").as_str() {
                    "" => String::new(),
                    detail => format!(" ({detail})"),
                }
            ),
            "table" => writeln!(out, "\n{}", text(event, "text")),
            _ => Ok(()),
        };
    }
    out
}

/// The engine's word for a state; the first one is empty.
pub fn state_name(state: &str) -> &str {
    if state.is_empty() { "(new)" } else { state }
}

fn conditions(event: &Value) -> String {
    let names: Vec<&str> = event["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("[{}]", names.join(", "))
    }
}
