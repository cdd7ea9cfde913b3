//! How true the double is to the real engine: the two transcripts of a scenario side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::scenario;

/// Stages of an import that are compared, each from one mark to the next.
const MARKS: &[(&str, &str)] = &[
    ("created", ""),
    ("off", "VMPoweredOff"),
    ("exported", "VMExported"),
    ("images in", "diskImagesReady"),
    ("machine", "virtualMachineCreated"),
    ("running", "virtualMachineRunning"),
];
/// A stage of an OVA of fixed rate may differ by this share or by so many seconds.
const OVA_SHARE: f64 = 0.10;
const OVA_SECONDS: f64 = 10.0;
/// A stage of an `OpenStack` or `VMware` import may differ by this share, or by the engine's 5 s poll.
const OTHER_SHARE: f64 = 0.25;
const OTHER_SECONDS: f64 = 5.0;

/// One import of a transcript.
#[derive(Default)]
struct Import {
    source: String,
    /// In order, without repeats.
    states: Vec<String>,
    /// Seconds of each mark.
    marks: BTreeMap<&'static str, f64>,
}

/// Compares the transcripts in `target/e2e/real` and `target/e2e/double`; true if all agree.
pub fn compare(root: &Path, names: &[String]) -> Result<bool> {
    let folder = crate::outside::target(root).join("e2e");
    let (mut compared, mut apart, mut missing) = (0, 0, 0);
    for scenario in scenario::choose(names)? {
        let path = |engine: &str| folder.join(engine).join(format!("{}.jsonl", scenario.name));
        if !path("real").exists() || !path("double").exists() {
            crate::say(&format!(
                "skip  {}: no transcript of both engines",
                scenario.name
            ));
            missing += 1;
            continue;
        }
        let (real, double) = (read(&path("real"))?, read(&path("double"))?);
        let lines = differences(&real, &double);
        compared += 1;
        apart += usize::from(!lines.is_empty());
        let word = if lines.is_empty() { "same" } else { "APART" };
        crate::say(&format!(
            "{word}  {}: {} imports",
            scenario.name,
            real.len()
        ));
        crate::say(&table(&real, &double));
        for line in lines {
            crate::say(&format!("      {line}"));
        }
    }
    if compared == 0 {
        bail!(
            "nothing to compare: run `cargo xtask e2e` with the real engine and with `--engine double` first"
        );
    }
    crate::say(&format!(
        "{} passed, {apart} failed, {missing} skipped",
        compared - apart
    ));
    Ok(apart == 0)
}

fn read(path: &Path) -> Result<Vec<Import>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))?;
    let mut order: Vec<String> = Vec::new();
    let mut found: BTreeMap<String, Import> = BTreeMap::new();
    for line in text.lines() {
        let event: Value =
            serde_json::from_str(line).with_context(|| format!("read `{}`", path.display()))?;
        if event["what"] != "import" {
            continue;
        }
        let uid = event["uid"].as_str().unwrap_or_default().to_owned();
        let t = event["t"].as_f64().unwrap_or_default();
        let import = found.entry(uid.clone()).or_insert_with(|| {
            order.push(uid);
            Import::default()
        });
        event["source"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut import.source);
        let state = event["state"].as_str().unwrap_or_default();
        if import.states.last().is_none_or(|last| last != state) {
            import.states.push(state.to_owned());
        }
        for (mark, word) in MARKS {
            let has = |word: &str| {
                state == word
                    || event["conditions"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .any(|c| c == word)
            };
            if word.is_empty() || has(word) {
                import.marks.entry(mark).or_insert(t);
            }
        }
    }
    Ok(order
        .into_iter()
        .filter_map(|uid| found.remove(&uid))
        .collect())
}

fn stages(import: &Import) -> Vec<(String, f64)> {
    MARKS
        .windows(2)
        .filter_map(|pair| {
            let (from, to) = (pair[0].0, pair[1].0);
            let took = import.marks.get(to)? - import.marks.get(from)?;
            Some((format!("{from} → {to}"), took))
        })
        .collect()
}

fn differences(real: &[Import], double: &[Import]) -> Vec<String> {
    let mut out = Vec::new();
    if real.len() != double.len() {
        out.push(format!(
            "{} imports with the real engine, {} with the double",
            real.len(),
            double.len()
        ));
    }
    for (index, (real, double)) in real.iter().zip(double).enumerate() {
        // The first states pass within milliseconds: what a watch sees of them is chance.
        let order = |import: &Import| {
            let fleeting = ["", "virtualMachineImportValid", "disksExported"];
            import
                .states
                .iter()
                .filter(|s| !fleeting.contains(&s.as_str()))
                .cloned()
                .collect::<Vec<_>>()
        };
        if order(real) != order(double) {
            out.push(format!(
                "import {}: states {:?}, double {:?}",
                index + 1,
                order(real),
                order(double)
            ));
        }
        let double_stages: BTreeMap<String, f64> = stages(double).into_iter().collect();
        let (share, seconds) = if real.source == "OvaSource" {
            (OVA_SHARE, OVA_SECONDS)
        } else {
            (OTHER_SHARE, OTHER_SECONDS)
        };
        for (stage, took) in stages(real) {
            let Some(other) = double_stages.get(&stage) else {
                continue;
            };
            let apart = (took - other).abs();
            if apart > seconds.max(took * share) {
                out.push(format!(
                    "import {}: {stage} took {took:.1} s, with the double {other:.1} s",
                    index + 1
                ));
            }
        }
    }
    out
}

fn table(real: &[Import], double: &[Import]) -> String {
    let mut out = String::new();
    for (index, (real, double)) in real.iter().zip(double).enumerate() {
        let double_stages: BTreeMap<String, f64> = stages(double).into_iter().collect();
        let cells: Vec<String> = stages(real)
            .into_iter()
            .map(|(stage, took)| {
                let other = double_stages
                    .get(&stage)
                    .map_or_else(|| "–".to_owned(), |t| format!("{t:.1}"));
                format!("{stage} {took:.1}|{other}")
            })
            .collect();
        let _ = writeln!(
            out,
            "      {} {}: {}",
            index + 1,
            real.source,
            cells.join(", ")
        );
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(exported: f64, states: &[&str]) -> Import {
        Import {
            source: "OvaSource".to_owned(),
            states: states.iter().map(|s| (*s).to_owned()).collect(),
            marks: BTreeMap::from([("created", 0.0), ("off", 1.0), ("exported", exported)]),
        }
    }

    // Ten per cent or ten seconds pass on an OVA; another order of states never does.
    #[test]
    fn tolerances() {
        let real = [import(201.0, &["sourceReady", "diskImageSubmitted"])];
        assert!(
            differences(
                &real,
                &[import(219.0, &["", "sourceReady", "diskImageSubmitted"])]
            )
            .is_empty()
        );
        assert_eq!(
            differences(
                &real,
                &[import(225.0, &["sourceReady", "diskImageSubmitted"])]
            )
            .len(),
            1
        );
        assert_eq!(
            differences(&real, &[import(201.0, &["sourceReady"])]).len(),
            1
        );
    }
}
