//! The model of the engine against the real one: what a scenario recorded is played again in
//! `engine::Sim`.
//!
//! Imports are created at the recorded moments, and the world (sources, network, Harvester) takes the
//! recorded times, as the ledger learns them. All else is the model's own: which import the engine
//! has in hand, its polls and steps, the order of states, when an import is gone. Each import must pass
//! the same states in the same order. Times beyond a tolerance are told, and fail nothing: on a machine
//! with other work the real engine is as late as that work makes it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use engine::{Guest, ImportId, ImportSpec, Millis, Profile, Sim, What};
use schemas::inventory::SourceKind;
use schemas::units::{Bytes, Quantity};
use schemas::upstream::ImportState;
use schemas::wave::WaveSize;
use serde_json::Value;

/// What is compared of an import, in the order in which it comes about: the name, and the state or
/// condition that tells it. States that pass within milliseconds are left out: what a watch sees of
/// them is chance.
const MARKS: [(&str, &str); 9] = [
    ("created", ""),
    ("source ready", "sourceReady"),
    ("asked", "VMShutdownGuest"),
    ("off", "VMPoweredOff"),
    ("exported", "VMExported"),
    ("submitted", "diskImageSubmitted"),
    ("images in", "diskImagesReady"),
    ("machine", "virtualMachineCreated"),
    ("running", "virtualMachineRunning"),
];
const CREATED: usize = 0;
const ASKED: usize = 2;
const OFF: usize = 3;
const EXPORTED: usize = 4;
const SUBMITTED: usize = 5;
const IMAGES_IN: usize = 6;
const MACHINE: usize = 7;
const RUNNING: usize = 8;
/// Beside the marks: the object is gone.
const GONE: usize = 9;

/// How far a moment in the model may be from the recorded one. Measured: 3.6 s at most where the rig's
/// machine had little else to do, 7.5 s where ten others compiled on it (`docs/e2e.md`): the engine's
/// own steps then take longer than the profile says.
const TOLERANCE: Millis = Millis::from_seconds(10);

/// One import of a transcript.
#[derive(Clone, Debug)]
struct Import {
    name: String,
    kind: SourceKind,
    /// When each mark, and the end, was first seen.
    at: [Option<Millis>; 10],
    /// The machine was ready.
    ready: Option<Millis>,
    /// Its marks came in their order, and each once.
    plain: bool,
    last: usize,
}

impl Import {
    /// It ran through: everything that is asked of the model was recorded.
    fn through(&self) -> bool {
        let marks = self.at.iter().all(Option::is_some);
        marks && self.ready.is_some() && self.plain
    }

    /// Whether another was there at the same time.
    fn meets(&self, other: &Self) -> bool {
        let ends = |it: &Self| it.at[GONE].unwrap_or(Millis(u64::MAX));
        self.at[CREATED] <= Some(ends(other)) && other.at[CREATED] <= Some(ends(self))
    }

    fn between(&self, from: usize, to: usize) -> Millis {
        let at = |mark: usize| self.at[mark].unwrap_or_default();
        at(to).saturating_sub(at(from))
    }
}

/// Replays the transcripts of the real engine in `target/e2e/real`; true if the model has the same
/// states in the same order.
pub fn run(root: &Path, names: &[String]) -> Result<bool> {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), Into::into);
    let folder = target.join("e2e/real");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .with_context(|| format!("read `{}`", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for path in files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if !names.is_empty() && !names.iter().any(|wanted| *wanted == name) {
            continue;
        }
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("read `{}`", path.display()))?;
        let imports = read(&text).with_context(|| format!("read `{}`", path.display()))?;
        let chosen = alone(&imports);
        if chosen.is_empty() {
            say(&format!(
                "skip  {name}: none of {} imports ran through undisturbed",
                imports.len()
            ));
            skipped += 1;
            continue;
        }
        let apart = compare(&chosen);
        let wrong = apart.iter().any(|it| it.wrong.is_some());
        let late = apart.iter().any(|it| it.late.is_some());
        let rows = chosen.iter().zip(&apart);
        let rows = rows.map(|(import, it)| format!("{}:{}", import.name, it.row));
        let word = match (wrong, late) {
            (true, _) => "APART",
            (false, true) => "late ",
            (false, false) => "same ",
        };
        let most = apart.iter().max_by_key(|it| it.most);
        let most = most.map_or_else(String::new, |it| {
            format!("; at most {:.1} s apart ({})", seconds(it.most), it.mark)
        });
        say(&format!(
            "{word} {name}: {} of {} imports{most}",
            chosen.len(),
            imports.len()
        ));
        for row in rows {
            say(&format!("      {row}"));
        }
        for line in apart.iter().flat_map(|it| [&it.wrong, &it.late]).flatten() {
            say(&format!("      {line}"));
        }
        passed += usize::from(!wrong);
        failed += usize::from(wrong);
    }
    if passed + failed + skipped == 0 {
        bail!("nothing to replay: run `cargo xtask e2e` with the real engine first");
    }
    say(&format!(
        "{passed} passed, {failed} failed, {skipped} skipped"
    ));
    Ok(failed == 0)
}

#[expect(clippy::print_stdout, reason = "what it has to say")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn seconds(at: Millis) -> f64 {
    at.0 as f64 / 1000.0
}

/// The imports of a transcript, by creation.
fn read(text: &str) -> Result<Vec<Import>> {
    let mut imports: BTreeMap<String, Import> = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        let event: Value = serde_json::from_str(line).with_context(|| format!("line {number}"))?;
        let word = |field: &str| event[field].as_str().unwrap_or_default();
        let at = Duration::try_from_secs_f64(event["t"].as_f64().unwrap_or_default())?;
        let at = Millis(u64::try_from(at.as_millis())?);
        let uid = word("uid").to_owned();
        match word("what") {
            "import" => {
                let import = imports.entry(uid).or_insert_with(|| Import {
                    name: word("import").to_owned(),
                    kind: kind(word("source")),
                    at: [None; 10],
                    ready: None,
                    plain: true,
                    last: CREATED,
                });
                let state = word("state");
                let conditions = event["conditions"].as_array().into_iter().flatten();
                let told: Vec<&str> = conditions
                    .filter_map(Value::as_str)
                    .chain([state])
                    .collect();
                for (mark, (_, name)) in MARKS.iter().enumerate() {
                    if (mark == CREATED || told.contains(name)) && import.at[mark].is_none() {
                        import.at[mark] = Some(at);
                        import.plain &= import.last <= mark;
                        import.last = mark;
                    }
                }
                let known = |word: &str| {
                    matches!(word, "virtualMachineImportValid" | "disksExported")
                        || MARKS.iter().any(|(_, name)| *name == word)
                };
                import.plain &= told.iter().all(|word| known(word));
            }
            "import-gone" => {
                if let Some(import) = imports.get_mut(&uid) {
                    import.at[GONE].get_or_insert(at);
                }
            }
            "machine" if event["ready"] == true => {
                // Of its namespace, the one whose machine was made last.
                let namespace = word("machine")
                    .split('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let made = imports.values_mut().filter(|import| {
                    import.name.split('/').next() == Some(&namespace)
                        && import.at[MACHINE].is_some()
                        && import.at[RUNNING].is_none()
                });
                if let Some(import) = made.max_by_key(|import| import.at[MACHINE]) {
                    import.ready.get_or_insert(at);
                }
            }
            _ => {}
        }
    }
    let mut imports: Vec<Import> = imports.into_values().collect();
    imports.sort_by_key(|import| import.at[CREATED]);
    Ok(imports)
}

fn kind(source: &str) -> SourceKind {
    match source {
        "OvaSource" => SourceKind::Ova,
        "OpenstackSource" => SourceKind::Openstack,
        _ => SourceKind::Vmware,
    }
}

/// Those that ran through, and met none that did not.
fn alone(imports: &[Import]) -> Vec<&Import> {
    let disturbed: Vec<&Import> = imports.iter().filter(|it| !it.through()).collect();
    let plain = imports.iter().filter(|it| it.through());
    plain
        .filter(|it| !disturbed.iter().any(|other| it.meets(other)))
        .collect()
}

/// One import, in the model and recorded.
#[derive(Default)]
struct Apart {
    /// By how much the model is off at most, and where.
    most: Millis,
    mark: &'static str,
    /// What does not come about, or not in its order.
    wrong: Option<String>,
    /// What comes about at another time.
    late: Option<String>,
    /// How far off each mark is, for people.
    row: String,
}

/// While the engine's one worker exports, no other import changes state: a step that is a moment late
/// waits for the whole export of another.
fn behind_an_export(early: Millis, late: Millis, exports: &[(Millis, Millis)]) -> bool {
    let spans = exports.iter();
    let mut spans = spans.filter(|(begins, _)| *begins <= early + TOLERANCE);
    spans.any(|(begins, ends)| early <= *begins + TOLERANCE && late <= *ends + TOLERANCE)
}

fn compare(imports: &[&Import]) -> Vec<Apart> {
    let played = play(imports);
    let recorded: Vec<_> = imports.iter().map(|import| import.at).collect();
    let exports = |of: &[[Option<Millis>; 10]]| -> Vec<Option<(Millis, Millis)>> {
        of.iter()
            .map(|at| Some((at[OFF]?, at[EXPORTED]?)))
            .collect()
    };
    let exports = [exports(&played), exports(&recorded)];
    let names = MARKS.map(|(name, _)| name).into_iter().chain(["gone"]);
    let mut found = Vec::new();
    for (own, (import, model)) in imports.iter().zip(&played).enumerate() {
        let others = exports.iter().flat_map(|spans| spans.iter().enumerate());
        let others = others.filter(|(other, _)| *other != own);
        let others: Vec<_> = others.filter_map(|(_, span)| *span).collect();
        let mut it = Apart::default();
        let mut before = Millis::ZERO;
        for (mark, what) in names.clone().enumerate() {
            let recorded = import.at[mark].unwrap_or_default();
            let Some(at) = model[mark] else {
                it.wrong
                    .get_or_insert(format!("{}: {what} does not come about", import.name));
                continue;
            };
            let (early, late) = (at.min(recorded), at.max(recorded));
            let off = late.saturating_sub(early);
            let sign = if at < recorded { '-' } else { '+' };
            let _ = write!(it.row, " {what} {sign}{:.1}", seconds(off));
            if at < before {
                it.wrong
                    .get_or_insert(format!("{}: {what} comes too early", import.name));
            }
            before = at;
            if off > TOLERANCE && behind_an_export(early, late, &others) {
                it.row += " (behind an export)";
            } else if off > TOLERANCE {
                it.late.get_or_insert(format!(
                    "{}: {what} after {:.1} s, recorded {:.1} s",
                    import.name,
                    seconds(at),
                    seconds(recorded)
                ));
            } else if off > it.most {
                (it.most, it.mark) = (off, what);
            }
        }
        found.push(it);
    }
    found
}

/// When each mark comes about in the model.
fn play(imports: &[&Import]) -> Vec<[Option<Millis>; 10]> {
    let mut sim = Sim::new(Profile::vm_import());
    let mut marks = vec![[None; 10]; imports.len()];
    let mut next = 0;
    let far = Millis(u64::MAX);
    loop {
        let creation = imports.get(next).and_then(|import| import.at[CREATED]);
        let event = sim.next_event();
        let Some(now) = creation.into_iter().chain(event).min() else {
            return marks;
        };
        // A model that never comes to an end has nothing more to tell.
        let last = imports.iter().filter_map(|import| import.at[GONE]).max();
        if creation.is_none() && now > last.unwrap_or(far) + Millis::from_minutes(60) {
            return marks;
        }
        for change in sim.advance_to(now) {
            let Some(id) = change.import else { continue };
            let of = &mut marks[id.index()];
            note(of, &change.what, change.at);
            act(&mut sim, id, &change.what);
        }
        while imports
            .get(next)
            .is_some_and(|import| import.at[CREATED] <= Some(sim.now()))
        {
            let id = sim.create(spec(imports[next], next));
            marks[id.index()][CREATED] = Some(sim.now());
            next += 1;
        }
    }
}

fn note(marks: &mut [Option<Millis>; 10], what: &What, at: Millis) {
    match what {
        What::Status { state, condition } => {
            let state = state.to_string();
            let condition = condition.map(engine::sim::Condition::name);
            for (mark, (_, name)) in MARKS.iter().enumerate().skip(1) {
                if state == *name || condition == Some(name) {
                    marks[mark].get_or_insert(at);
                }
            }
        }
        What::Gone => marks[GONE] = Some(at),
        _ => {}
    }
}

/// The executor's part: it makes the engine look when a machine is ready, and deletes what is done.
fn act(sim: &mut Sim, id: ImportId, what: &What) {
    match what {
        What::MachineReady => sim.nudge(id),
        What::Status { state, .. } if *state == ImportState::VirtualMachineRunning => {
            sim.delete(id);
        }
        _ => {}
    }
}

/// The recorded import, with what the world took.
fn spec(import: &Import, position: usize) -> ImportSpec {
    let profile = Profile::vm_import();
    let asked = import.between(ASKED, OFF);
    // It went off between two looks: the middle is taken.
    let off = asked.saturating_sub(Millis(profile.power_poll.0 / 2));
    let guest = match import.kind {
        SourceKind::Ova => Guest::Off,
        SourceKind::Vmware | SourceKind::Openstack => Guest::On(engine::Timing::After(off)),
    };
    let size = Quantity(Bytes::from_mib(1));
    let size = WaveSize {
        peak: size,
        resident: size,
        transfer: size,
        disks: size,
    };
    let boot = import.ready.unwrap_or_default();
    let boot = boot.saturating_sub(import.at[MACHINE].unwrap_or_default());
    // What lies between two marks is the world's time and the engine's own steps.
    let call = profile.call(import.kind);
    let export = import.between(OFF, EXPORTED).saturating_sub(call);
    let images = import.between(SUBMITTED, IMAGES_IN);
    let images = images.saturating_sub(profile.step);
    let name = format!("import-{position}");
    let name = || name.as_str().into();
    ImportSpec {
        shutdown_timeout: asked + Millis::from_minutes(60),
        ..ImportSpec::of_size(
            (
                import.name.split('/').next().unwrap_or_default().into(),
                name(),
                name(),
            ),
            import.kind,
            &size,
            guest,
            (
                engine::Timing::After(export),
                engine::Timing::After(images),
                engine::Timing::After(boot),
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transcript of one OVA; `exported` seconds after it was created its export ends.
    fn transcript(exported: f64, order: &[usize]) -> String {
        let at = [
            0.0,
            0.1,
            0.2,
            0.3,
            exported,
            exported + 0.2,
            exported + 2.0,
            exported + 3.0,
        ];
        let at: Vec<f64> = at.into_iter().chain([exported + 5.5]).collect();
        let line = |value: Value| format!("{value}\n");
        let mut text = String::new();
        for mark in order {
            text += &line(serde_json::json!({
                "what": "import", "uid": "u", "import": "ns/i", "source": "OvaSource",
                "t": at[*mark], "state": MARKS[*mark].1, "conditions": [],
            }));
            if *mark == MACHINE {
                text += &line(serde_json::json!({
                    "what": "machine", "machine": "ns/m", "ready": true, "t": exported + 5.0,
                }));
            }
        }
        text +=
            &line(serde_json::json!({ "what": "import-gone", "uid": "u", "t": exported + 6.0 }));
        text
    }

    // What ran through is replayed and found again; what did not, or out of order, is not replayed; and
    // a time that the engine cannot have taken is found.
    #[test]
    fn found_again() {
        let all: Vec<usize> = (0..MARKS.len()).collect();
        let imports = read(&transcript(30.0, &all)).expect("a transcript");
        let apart = compare(&alone(&imports));
        assert_eq!(apart.len(), 1);
        assert_eq!(apart[0].wrong, None);

        let imports = read(&transcript(30.0, &[0, 1, 2, 3, 5, 4, 6, 7, 8])).expect("a transcript");
        assert!(alone(&imports).is_empty());
        let imports = read(&transcript(30.0, &all[..6])).expect("a transcript");
        assert!(alone(&imports).is_empty());

        let mut late = read(&transcript(30.0, &all)).expect("a transcript");
        for mark in [IMAGES_IN, MACHINE, RUNNING] {
            late[0].at[mark] = late[0].at[mark].map(|at| at + Millis::from_seconds(20));
        }
        late[0].at[SUBMITTED] = late[0].at[SUBMITTED].map(|at| at + Millis::from_seconds(20));
        let apart = compare(&alone(&late));
        assert_eq!(apart[0].wrong, None);
        let late = apart[0].late.as_ref();
        assert!(late.is_some_and(|late| late.contains("submitted")));
    }
}
