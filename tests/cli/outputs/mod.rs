//! Hostile names through every output: each form is read by a parser of its own, and the name arrives
//! as it is or is shown escaped; nothing runs it, obeys it, or hides behind it.

mod estate;
mod read;

use std::collections::BTreeSet;
use std::fs;
use std::io::BufReader;
use std::process::Command;

use schemas::plan::MigrationPlan;
use schemas::shown::shown;
use schemas::wave::MigrationWave;
use schemas::yaml;
use serde_json::Value;

use estate::{Estate, WORDS, long, names};
use read::{csv, harmless, markdown, strings, visible, xml};

fn json(text: &str) -> Value {
    visible("JSON", text);
    serde_json::from_str(text).expect("JSON")
}

/// The only document of a YAML text, by Kubernetes' rules and not by ours.
fn yaml_value(text: &str) -> Value {
    visible("YAML", text);
    yaml::documents(text).expect("YAML").remove(0)
}

/// Whether the text shows the name: also where it was kept from being a command to a pipeline.
fn holds(text: &str, name: &str) -> bool {
    let name = shown(name).trim().to_owned();
    let defused = name.replace("##", r"\u{23}#");
    let first = name.replacen("::", r"\u{3a}:", 1);
    [name, defused, first]
        .iter()
        .any(|name| text.contains(name))
}

/// Each name is among these texts, as it is shown.
fn all_shown<'t>(what: &str, texts: impl IntoIterator<Item = &'t String>) {
    let texts: Vec<&String> = texts.into_iter().collect();
    for name in names() {
        assert!(
            texts.iter().any(|text| holds(text, &name)),
            "{what} has no {name}"
        );
    }
}

/// Each name is among these texts, character for character.
fn all_there(what: &str, texts: &BTreeSet<String>) {
    for name in names() {
        assert!(texts.contains(&name), "{what} has no {name:?}");
    }
}

// `plan`: JSON and YAML hold the names and agree; SARIF, JUnit and GitHub's annotations show them.
#[test]
fn plan() {
    let estate = Estate::new();
    let say = |form: &str| estate.run(&["plan", ".", "-o", form]);
    assert_eq!(say("table").code, Some(0), "{}", say("table"));
    harmless(&say("table"));
    let data = json(&harmless(&say("json")));
    all_there("the JSON", &strings(&data));
    assert_eq!(yaml_value(&say("yaml").stdout), data);

    let sarif = json(&harmless(&say("sarif")));
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"]
        .as_array()
        .expect("results")
        .len();
    assert_eq!(
        results,
        data["findings"].as_array().expect("findings").len()
    );
    all_shown("the SARIF", &strings(&sarif));

    let junit = say("junit").stdout;
    visible("JUnit", &junit);
    all_shown("the JUnit", &xml(&junit));

    let annotations = say("github").stdout;
    visible("annotations", &annotations);
    assert_eq!(annotations.lines().count(), results);
    let mut messages = Vec::new();
    for line in annotations.lines() {
        let (properties, message) = line[2..].split_once("::").expect("a command");
        let (command, properties) = properties.split_once(' ').expect("its properties");
        assert!(["error", "warning", "notice"].contains(&command), "{line}");
        let keys = properties
            .split(',')
            .map(|pair| pair.split_once('=').expect("a pair").0);
        let keys: Vec<&str> = keys.collect();
        assert_eq!(keys, ["file", "line", "col", "title"], "{line}");
        messages.push(message.replace("%0A", "\n").replace("%25", "%"));
    }
    all_shown("the annotations", &messages);
}

// What has been decided is read back as it was meant, by us and by a reader of Kubernetes' kind.
#[test]
fn waves() {
    let estate = Estate::new();
    assert_eq!(estate.run(&["plan", "."]).code, Some(0));
    let (mut texts, mut words, mut files) = (BTreeSet::new(), BTreeSet::new(), 0);
    for entry in fs::read_dir(estate.folder.path().join("waves"))
        .expect("waves")
        .flatten()
    {
        let text = fs::read_to_string(entry.path()).expect("a wave");
        visible("a wave", &text);
        let wave = yaml::read::<MigrationWave>(&text).expect("a wave").value;
        let value = serde_json::to_value(&wave).expect("it has a JSON form");
        assert_eq!(yaml_value(&text), value);
        words.extend(
            wave.spec
                .imports
                .iter()
                .map(|import| import.name.to_string()),
        );
        let imports = wave.spec.imports.iter();
        texts.extend(imports.flat_map(|i| i.networks.iter().map(|n| n.from.to_string())));
        let folders = wave
            .spec
            .imports
            .iter()
            .filter_map(|import| import.folder.clone());
        texts.extend(folders.filter_map(|folder| Some(folder.strip_prefix("go/")?.to_owned())));
        files += 1;
    }
    assert!(files > 3);
    let report = json(&estate.run(&["plan", ".", "-o", "json"]).stdout);
    let moved = |name: &str| words.contains(name);
    for word in WORDS {
        assert!(moved(word), "{word}");
    }
    for (number, name) in names().iter().enumerate() {
        let left = report["leftOut"].as_array().expect("a list");
        let left = left.iter().any(|out| out["name"] == format!("mv{number}"));
        assert!(left || texts.contains(name), "{name:?} does not arrive");
    }
    let forecast = estate.read("forecast.json");
    all_there("the forecast", &strings(&json(&forecast)));
    assert_eq!(estate.run(&["plan", ".", "--check"]).code, Some(0));
}

// The report: a comment without markup of others, a table without formulas, data, and a page in which
// names are data only.
#[test]
fn report() {
    let estate = Estate::new();
    let say = |form: &str| {
        let run = estate.run(&["report", ".", "-o", form]);
        assert_eq!(run.code, Some(0), "{run}");
        let file = run
            .stderr
            .trim()
            .rsplit('/')
            .next()
            .expect("wrote a file")
            .to_owned();
        let text = estate.read(&file);
        visible(&file, &text);
        text
    };
    all_shown("the comment", &markdown("report.md", &say("markdown")));
    let rows = csv(&say("csv"));
    for column in [2, 5] {
        let cells: Vec<String> = rows.iter().map(|row| row[column].clone()).collect();
        all_shown("the table", &cells);
    }
    all_there("the data", &strings(&json(&say("json"))));
    let page = say("html");
    let (before, rest) = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .expect("its data");
    let (data, after) = rest.split_once("</script>").expect("its end");
    all_shown("the page", &strings(&json(data)));
    for part in [before, after] {
        for mark in ["<script>alert", "<img", "<!-- x", "{{ 7"] {
            let escaped = part.replace("&lt;", "");
            assert!(
                mark.starts_with('{') || !escaped.contains(mark),
                "the page has {mark}"
            );
        }
    }
    assert!(!data.contains('<'), "nothing in the data ends it");
    harmless(&estate.run(&["report", ".", "-o", "markdown", "--out", "-"]));
    harmless(&estate.run(&["report", ".", "-o", "csv", "--out", "-"]));
}

// Notices: for a ticket, for a mail, for a calendar.
#[test]
fn notice() {
    let estate = Estate::new();
    assert_eq!(estate.run(&["notice", "."]).code, Some(0));
    let mut owners = BTreeSet::new();
    for number in 0..names().len() {
        let (file, name) = (format!("notices/v{number}"), &names()[number]);
        let comment = markdown(&file, &estate.read(&format!("{file}.md")));
        assert!(
            comment.iter().any(|text| holds(text, name)),
            "{file}: {comment:?}"
        );
        let mail = estate.read(&format!("{file}.txt"));
        read::obeyed_by_nobody(&file, &mail);
        let Ok(calendar) = fs::read(estate.folder.path().join(format!("{file}.ics"))) else {
            continue;
        };
        let text = String::from_utf8(calendar.clone()).expect("UTF-8");
        visible(&file, &text.replace("\r\n", "\n"));
        let mut calendars = ical::IcalParser::new(BufReader::new(calendar.as_slice()));
        let calendar = calendars.next().expect("one").expect("a calendar");
        for event in calendar.events {
            let owner = event.properties.iter().find(|p| p.name == "CONTACT");
            let owner = owner.and_then(|p| p.value.clone()).expect("an owner");
            let plain = owner
                .replace("\\,", ",")
                .replace("\\;", ";")
                .replace("\\\\", "\\");
            owners.insert(plain);
        }
    }
    assert!(owners.len() > names().len() / 2, "{}", owners.len());
    for owner in &owners {
        // The reader takes blanks away at the ends, and colons at the beginning.
        let bare = |text: &str| text.trim_end().trim_start_matches([' ', ':']).to_owned();
        let same = |name: &str| bare(&shown(name)) == bare(owner);
        let mut names = names().into_iter();
        assert!(names.any(|name| same(&name)), "{owner}");
    }
    let all = markdown(
        "the notice of all that stays",
        &estate.read("notices/stays.md"),
    );
    all_shown("the notice", &all);
    harmless(&estate.run(&["notice", ".", "--service", "stays", "-o", "text"]));
}

// What has changed since: names of before and of after, and the words of an approval.
#[test]
fn diff() {
    let estate = Estate::new();
    assert_eq!(estate.run(&["plan", "."]).code, Some(0));
    let first = json(&estate.run(&["plan", ".", "-o", "json"]).stdout);
    let wave = first["waves"][1]["stem"]
        .as_str()
        .expect("a wave")
        .to_owned();
    // An argument has no zero in it, and does not begin as an option does.
    let said = names().into_iter().filter(|name| !name.contains('\0'));
    for name in said.step_by(5) {
        let reference = format!("--reference={name}");
        let run = estate.run(&["approve", &wave, &reference]);
        assert_eq!(run.code, Some(0), "{run}");
        let approval = estate.read(&format!("approvals/{wave}.yaml"));
        assert_eq!(yaml_value(&approval)["spec"]["reference"], name);
    }
    let before = estate.folder.path().join("before");
    copy(&estate.folder.path().join("inventory"), &before);
    estate.change(|vm| {
        if let Some(name) = vm["folder"]
            .as_str()
            .and_then(|folder| folder.strip_prefix("go/"))
        {
            vm["folder"] = format!("gone/{name}").into();
            let size = vm["disks"][0]["capacity_bytes"]
                .as_u64()
                .unwrap_or_default();
            vm["disks"][0]["capacity_bytes"] = (size + (10 << 30)).into();
        }
    });
    let say = |form: &str| {
        let run = estate.run(&["diff", ".", "--before", "before", "-o", form]);
        assert_eq!(run.code, Some(1), "{run}");
        harmless(&run)
    };
    // Most of them have moved, and the rest has no room in a comment.
    let seen = |texts: &[String]| {
        let there = |name: &&String| texts.iter().any(|text| holds(text, name));
        let (seen, all) = (names().iter().filter(there).count(), names().len());
        assert!(seen * 4 > all * 3, "{seen} of {all}");
    };
    seen(&markdown("the diff", &say("markdown")));
    // Lines are broken at blanks, and long words anywhere.
    let text: String = say("text").split_whitespace().collect();
    let told = |name: &&String| {
        let name: String = shown(name).split_whitespace().collect();
        holds(&text, &name)
    };
    let (told, all) = (names().iter().filter(told).count(), names().len());
    assert!(told * 4 > all * 3, "{told} of {all}");
    json(&say("json"));
}

// Manifests: values that another reader takes for the same texts, a README and a script without any.
#[test]
fn render() {
    let estate = Estate::new();
    assert_eq!(estate.run(&["plan", "."]).code, Some(0));
    for tool in ["argocd", "flux", "plain"] {
        let out = estate.folder.path().join(tool);
        let run = estate.run(&[
            "render",
            ".",
            "--for",
            tool,
            "--out",
            tool,
            "--path",
            "x",
            "--repo",
            "https://git.example/x.git",
        ]);
        assert_eq!(run.code, Some(0), "{run}");
        let mut texts = BTreeSet::new();
        let mut left = vec![out];
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                if entry.path().is_dir() {
                    left.push(entry.path());
                    continue;
                }
                let text = fs::read_to_string(entry.path()).expect("a file");
                visible(tool, &text);
                if entry
                    .path()
                    .extension()
                    .is_some_and(|ending| ending == "yaml")
                {
                    for document in yaml::documents(&text).expect("manifests") {
                        texts.extend(strings(&document));
                    }
                } else {
                    assert!(!text.contains("touch owned") && !text.contains("alert(1)"));
                }
            }
        }
        for word in WORDS {
            assert!(texts.contains(word), "{tool} has no {word}");
        }
        let there = names().iter().filter(|name| texts.contains(*name)).count();
        assert!(
            there > names().len() * 3 / 4,
            "{tool} has {there} of the names"
        );
    }
}

// The other words about a plan: why, what if, who is forgotten, may it go.
#[test]
fn words() {
    let estate = Estate::new();
    assert_eq!(estate.run(&["plan", "."]).code, Some(0));
    for (number, forms) in [
        (7, &["table"][..]),
        (41, &["table", "json", "yaml"]),
        (111, &["table", "yaml"]),
    ] {
        let vm = format!("dc1/50ff0000-0000-4000-8000-{number:012}");
        for &form in forms {
            let run = estate.run(&["explain", "--plan", ".", &vm, "-o", form]);
            assert_eq!(run.code, Some(0), "{run}");
            let said = if form == "table" {
                harmless(&run)
            } else {
                run.stdout
            };
            match form {
                "json" => drop(json(&said)),
                "yaml" => drop(yaml_value(&said)),
                _ => {}
            }
        }
    }
    harmless(&estate.run(&["plan", ".", "--show-selection"]));
    let all = harmless(&estate.run(&["plan", ".", "--show-selection=*"]));
    all_shown(
        "the selection",
        &all.lines().map(str::to_owned).collect::<Vec<_>>(),
    );
    harmless(&estate.run(&["coverage", "."]));
    let coverage = json(&harmless(&estate.run(&["coverage", ".", "-o", "json"])));
    all_there("the coverage", &strings(&coverage));
    let rows = csv(&estate.run(&["coverage", ".", "-o", "csv"]).stdout);
    all_shown("the coverage", rows.iter().flatten());
    harmless(&estate.run(&["simulate", ".", "--runs", "2"]));
    let simulated = json(
        &estate
            .run(&["simulate", ".", "--runs", "2", "-o", "json"])
            .stdout,
    );
    let yaml = estate
        .run(&["simulate", ".", "--runs", "2", "-o", "yaml"])
        .stdout;
    assert_eq!(yaml_value(&yaml), simulated);

    let wave = [
        "ready",
        "020-tier-1",
        "--offline",
        "--at",
        "2026-11-27T21:30:00Z",
    ];
    harmless(&estate.run(&wave));
    let form = |form: &str| estate.run(&[&wave[..], &["-o", form]].concat()).stdout;
    json(&form("json"));
    xml(&form("junit"));
    let annotations = form("github");
    assert!(
        annotations.lines().all(|line| line.starts_with("::")),
        "{annotations}"
    );

    for about in ["dc1", "cloud1", "hv1"] {
        harmless(&estate.run(&["inventory", "show", about]));
        json(&harmless(&estate.run(&[
            "inventory",
            "show",
            about,
            "-o",
            "json",
        ])));
    }
    copy(
        &estate.folder.path().join("inventory"),
        &estate.folder.path().join("before"),
    );
    estate.change(|vm| vm["folder"] = "elsewhere".into());
    let run = estate.run(&["inventory", "diff", "before", "inventory"]);
    assert!(harmless(&run).contains("elsewhere"), "{run}");
}

// What mends it is a script that runs no word of theirs.
#[test]
fn remedy() {
    let estate = Estate::new();
    let run = estate.run(&["remedy", "--plan", ".", "--as", "govc"]);
    assert_eq!(run.code, Some(0), "{run}");
    let script = harmless(&run);
    all_shown(
        "the script",
        &script.lines().map(str::to_owned).collect::<Vec<_>>(),
    );
    let bin = estate.folder.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    let tool = bin.join("govc");
    fs::write(&tool, "#!/bin/sh\nprintf '%s|' \"$@\"\necho\n").expect("a command");
    let mode = Command::new("chmod").arg("+x").arg(&tool).status();
    assert!(mode.expect("chmod").success());
    fs::write(estate.folder.path().join("mend.sh"), &script).expect("written");
    let ran = Command::new("/bin/sh")
        .arg("mend.sh")
        .current_dir(estate.folder.path())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(!estate.folder.path().join("owned").exists());
    let renamed: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("object.rename|"))
        .collect();
    assert!(renamed.len() >= names().len() - 4, "{said}");
    for line in renamed {
        let name = line
            .trim_end_matches('|')
            .rsplit('|')
            .next()
            .expect("a name");
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!name.is_empty() && name.chars().all(label), "{line}");
    }
}

// Drafts name the same machines, whatever they are called and however they are grouped.
#[test]
fn drafts() {
    let estate = Estate::new();
    for by in ["", "folder", "name", "network", "tag"] {
        let file = format!("draft-{by}.yaml");
        let mut arguments = vec!["init", "--out", &file];
        if !by.is_empty() {
            arguments.extend(["--by", by]);
        }
        let run = estate.run(&arguments);
        assert_eq!(run.code, Some(0), "{run}");
        let text = estate.read(&file);
        visible(&file, &text);
        yaml::read::<MigrationPlan>(&text).expect("a plan");
        yaml_value(&text);
        let run = estate.run(&["coverage", &file, "-o", "json"]);
        let covered = json(&harmless(&run));
        let forgotten = covered["counts"]["forgotten"].as_u64().unwrap_or(0);
        assert_eq!(forgotten, 0, "{by}: {run}");
        let again = estate.run(&["fmt", &file]);
        assert_eq!(again.code, Some(0), "{again}");
        assert_eq!(estate.read(&file), text, "{by}: laid out already");
    }

    let mut table = "VM,Application\n".to_owned();
    let wanted: BTreeSet<String> = names()
        .into_iter()
        // A spreadsheet's cell has no space at its ends, and no character that ends the text.
        .filter(|name| name.trim() == name)
        .collect();
    for name in &wanted {
        let quoted = name.replace('"', "\"\"");
        table.extend(["\"", &quoted, "\",app\n"]);
    }
    fs::write(estate.folder.path().join("move.csv"), table).expect("written");
    let run = estate.run(&["import-csv", "move.csv", "--out", "imported.yaml"]);
    assert_eq!(run.code, Some(0), "{run}");
    let text = estate.read("imported.yaml");
    visible("the draft", &text);
    let plan = yaml::read::<MigrationPlan>(&text).expect("a plan").value;
    let items = plan
        .spec
        .workloads
        .iter()
        .flat_map(|workload| &workload.select);
    let named: BTreeSet<String> = items
        .flat_map(|item| item.names.iter().flatten())
        .map(ToString::to_string)
        .collect();
    assert_eq!(named, wanted);
    assert!(estate.vms().is_superset(&named));

    let mut table = "VM,Application,Owner\n".to_owned();
    for name in names() {
        let quoted = name.replace('"', "\"\"");
        table.extend(["\"", &quoted, "\",\"", &quoted, "\",x\n"]);
    }
    fs::write(estate.folder.path().join("odd.csv"), table).expect("written");
    harmless(&estate.run(&["import-csv", "odd.csv", "--out", "-"]));
    assert_eq!(long().len(), 255);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}
