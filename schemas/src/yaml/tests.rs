use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::approval::WaveApproval;
use crate::plan::MigrationPlan;
use crate::site::MigrationSite;
use crate::wave::MigrationWave;

const PLAN: &str = "\
apiVersion: windrow.dev/v1alpha1
kind: MigrationPlan
metadata: { name: erp, namespace: migrations }
spec:
  site: exit
  target: { name: hv1, namespace: erp }
  workloads:
  - name: db # the first to move
    select:
    - source: dc1
      names: [ERP-DB-01, 'ERP-DB-02']
  - name: app
    dependsOn: [db]
    shutdownTimeout: 1h30m
    select: [{ source: cloud1, match: \"web*\" }]
";

/// What the door says about [`PLAN`] with one replacement: `line:column path: text (hint)`.
fn complaints(from: &str, to: &str) -> Vec<String> {
    assert!(PLAN.contains(from), "{from}");
    said::<MigrationPlan>(&PLAN.replacen(from, to, 1))
}

fn said<T: File>(text: &str) -> Vec<String> {
    let Err(ReadError { problems }) = read::<T>(text) else {
        return Vec::new();
    };
    problems
        .iter()
        .map(|p| {
            let hint = p
                .hint()
                .map(|hint| format!(" ({hint})"))
                .unwrap_or_default();
            format!(
                "{}:{} {}: {}{hint}",
                p.position.line, p.position.column, p.path, p.kind
            )
        })
        .collect()
}

// A good plan comes in typed, and every field's place is known.
#[test]
fn reads_a_plan() {
    let document = read::<MigrationPlan>(PLAN).expect("a good plan");
    assert_eq!(document.value.spec.workloads[1].depends_on, ["db"]);
    let index = PathIndex::of(document.text);
    let place = index
        .get("spec.workloads[0].select[0].names[1]")
        .expect("it is there");
    assert_eq!(&PLAN[place.value.start..place.value.end], "'ERP-DB-02'");
    let place = index
        .get("spec.workloads[1].dependsOn")
        .expect("it is there");
    assert_eq!(&PLAN[place.head().start..place.head().end], "dependsOn");
    // What the text does not have is shown by what is around it.
    let (found, _) = index
        .nearest("spec.workloads[1].target.name")
        .expect("it has one");
    assert_eq!(found, "spec.workloads[1]");
}

// The strict subset: each construct is refused at its own place, with the way out.
#[test]
fn refuses_constructs() {
    let cases = [
        ("names: [ERP-DB-01", "names: &n [ERP-DB-01"),
        ("names: [ERP-DB-01", "names: [*n"),
        ("site: exit", "<<: { site: exit }"),
        ("site: exit", "site: !!str exit"),
        ("site: exit", "site: exit\n  site: other"),
        ("site: exit", "site:"),
        ("site: exit", "site: exit\n  1: x"),
        (
            "    select: [{ source: cloud1, match: \"web*\" }]\n",
            "    select: []\n---\nkind: X\n",
        ),
        ("apiVersion", "%YAML 1.1\n---\napiVersion"),
        ("metadata: {", "metadata: ["),
    ];
    let mut seen = String::new();
    for (from, to) in cases {
        writeln!(seen, "{}", to.replace('\n', "⏎")).expect("a String takes everything");
        for complaint in complaints(from, to) {
            writeln!(seen, "  {complaint}").expect("a String takes everything");
        }
    }
    insta::assert_snapshot!(seen);
}

// Values that do not fit: nothing is bent, and all of them are told at once.
#[test]
fn refuses_values() {
    let cases = [
        ("shutdownTimeout", "shutdownTimout"),
        ("shutdownTimeout: 1h30m", "colour: blue"),
        ("1h30m", "90"),
        ("1h30m", "90 minutes"),
        ("ERP-DB-01", "4711"),
        ("ERP-DB-01", "012"),
        ("ERP-DB-01", "no"),
        ("ERP-DB-01", "true"),
        ("ERP-DB-01", "{ name: x }"),
        ("dependsOn: [db]", "dependsOn: db"),
        ("name: hv1", "name: HV1"),
        ("name: hv1, ", ""),
        ("site: exit", "start: 2026-11-28\n  site: exit"),
        ("site: exit", "suspend: 1\n  site: exit"),
        ("site: exit", "inlineSite: { sources: [], targets: [] }"),
        ("site: exit", "{}: x"),
        ("match: \"web*\"", "macht: \"web*\""),
        (", match: \"web*\"", ""),
        ("  site: exit\n", ""),
        ("name: erp,", "nmae: erp,"),
        ("kind: MigrationPlan", "kind: MigrationSite"),
        ("kind: MigrationPlan\n", ""),
        ("v1alpha1", "v1"),
        (
            "name: db # the first to move",
            "naem: DB\n    targt: {}\n    shutdownTimeout: 5",
        ),
    ];
    let mut seen = String::new();
    for (from, to) in cases {
        writeln!(seen, "{} → {}", from.trim_end(), to.replace('\n', "⏎"))
            .expect("a String takes everything");
        for complaint in complaints(from, to) {
            writeln!(seen, "  {complaint}").expect("a String takes everything");
        }
    }
    insta::assert_snapshot!(seen);
}

// Files that are no objects at all.
#[test]
fn refuses_files() {
    for (text, expected) in [
        ("", "1:1 : the file is empty"),
        ("# nothing\n", "1:1 : the file is empty"),
        ("---\n...\n", "1:1 : the file is empty"),
        ("- a\n", "1:1 kind: the file does not say its `kind`"),
        ("5", "1:1 kind: the file does not say its `kind`"),
        ("\u{feff}", "1:1 : the file is empty"),
        ("a: \"x", "not valid YAML"),
        ("a:\n\t- b", "not valid YAML"),
    ] {
        let complaint = &said::<MigrationPlan>(text)[0];
        assert!(complaint.contains(expected), "{text:?}: {complaint}");
    }
    let deep = "[".repeat(100_000);
    assert!(said::<MigrationPlan>(&deep)[0].contains("not valid YAML"));
    let big = " ".repeat(TEXT_BYTES_MAX + 1);
    assert!(said::<MigrationPlan>(&big)[0].contains("more than"));
}

// Line ends and a byte order mark of Windows' editors change neither values nor places.
#[test]
fn windows_files() {
    let text = format!("\u{feff}{}", PLAN.replace('\n', "\r\n"));
    let document = read::<MigrationPlan>(&text).expect("a good plan");
    assert_eq!(document.value.spec.workloads[1].name, "app");
    let place = PathIndex::of(document.text)
        .get("spec.workloads[1].name")
        .expect("it is there");
    assert_eq!(
        Position::of(&text, place.value.start),
        Position {
            line: 12,
            column: 11
        }
    );
    assert_eq!(&text[place.value.start..place.value.end], "app");
}

// Somebody else's manifests may be what they like.
#[test]
fn reads_foreign_documents() {
    let text = "---\nkind: Secret\nstringData: &d { user: \"no\" }\n---\n---\nkind: Other\nd: *d\n";
    let error = documents(text).expect_err("anchors end with their document");
    assert!(error.to_string().contains("unknown anchor"), "{error}");
    let text = "---\nkind: Secret\nstringData: &d { user: x }\nagain: *d\n---\n---\nkind: Other\n";
    let kinds: Vec<Value> = documents(text)
        .expect("two documents")
        .into_iter()
        .map(|d| d["kind"].clone())
        .collect();
    assert_eq!(kinds, ["Secret", "Other"]);
    assert_eq!(
        documents("{\"kind\": \"Secret\"}")
            .expect("JSON is YAML")
            .len(),
        1
    );
}

/// Strings that some reader or writer trips over.
const NASTY: [&str; 46] = [
    "no",
    "No",
    "on",
    "y",
    "n",
    "yes",
    "off",
    "true",
    "null",
    "~",
    "",
    "012",
    "1_000",
    "1:30",
    "0o7",
    "0x1F",
    "1e3",
    ".5",
    "5",
    "-1",
    "+1",
    ".inf",
    "=",
    "<<",
    "---",
    "...",
    "- a",
    "a: b",
    "a:",
    "#a",
    "a #b",
    "'",
    "\"",
    "\\",
    "{a}",
    "[a]",
    "a, b",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
    "a\nb",
    "\ta ",
    "2026-12-18",
];

fn wave(names: &[&str]) -> MigrationWave {
    let import = |name: &str| {
        json!({
            "vm": format!("dc1/{}x", name.replace('\n', " ")), "order": 10, "name": format!("{name}x"), "workload": "db",
            "record": "db-00c0ffee", "from": "dc1", "find": format!("x{name}"), "folder": name,
            "namespace": "erp", "machine": "db", "storageClass": "harvester-lh-v1",
            "networks": [{ "from": "VM Network", "to": "default/vlan10", "model": "virtio" }],
            "shutdownTimeout": "30m",
            "size": { "peak": "12Gi", "resident": "10Gi", "transfer": "2Gi", "disks": "10Gi" },
        })
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    serde_json::from_value(json!({
        "apiVersion": API_VERSION, "kind": "MigrationWave",
        "metadata": { "name": "erp-020-db", "namespace": "migrations" },
        "spec": {
            "plan": "erp", "target": { "name": "hv1", "engine": "vmImport" },
            "approval": "required", "admission": "balanced",
            "rates": {
                "exportBytesPerSecond": "110Mi", "imageBytesPerSecond": "300Mi",
                "shutdown": "1m", "boot": "1m30s",
            },
            "scratch": "360Gi",
            "sources": [{
                "name": "dc1", "source": "dc1", "credentials": "vsphere-import",
                "vmware": { "endpoint": "https://vcenter.example/sdk", "datacenter": "DC0" },
            }],
            "workloads": [{ "name": "db", "dependsOn": ["ad"] }],
            "prerequisites": [{
                "workload": "ad", "machines": [{ "vm": "dc1/4211", "record": "ad-00000001" }],
            }],
            "imports": names.iter().map(|name| import(name)).collect::<Vec<_>>(),
            "inputs": { "plan": digest, "inventory": digest },
            "generator": "windrow 0.1.0",
            "digest": digest,
        },
    }))
    .expect("a valid wave")
}

// What a wave looks like: a line for each import.
#[test]
fn writes_waves() {
    let text = write_wave(&wave(&["ERP-DB-01", "no"]));
    insta::assert_snapshot!(text);
    let empty = write_wave(&wave(&[]));
    assert!(!empty.contains("imports"), "{empty}");
}

// What is written is read back as it was, in our door and in a lenient reader, whatever it is.
#[test]
fn nasty_strings_survive() {
    let before = wave(&NASTY);
    let text = write_wave(&before);
    let after = read::<MigrationWave>(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(after.value.spec, before.spec);
    let lenient = documents(&text).expect("YAML").remove(0);
    assert_eq!(
        lenient["spec"],
        serde_json::to_value(&before.spec).expect("JSON")
    );
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("  - {vm:"))
            .count(),
        NASTY.len()
    );
}

// No string that Kubernetes' reader would take for something else is written without quotes.
#[test]
fn nasty_strings_are_quoted() {
    for text in NASTY.into_iter().filter(|text| !is_text(text)) {
        let written = write(&json!({ "key": text, "list": [text], text: 1 }));
        let naked = format!(" {text}\n");
        assert!(
            !written.contains(&naked) && !written.starts_with(&format!("{text}:")),
            "{written}"
        );
    }
}

proptest! {
    // Any text in any place of an object comes back as it was, byte for byte the same each time.
    #[test]
    fn write_then_read(texts in prop::collection::vec("\\PC{0,12}|[-0-9:._eExXoOyYnN ]{1,8}", 1..6)) {
        let approval = |text: &str| {
            let mut approval = WaveApproval::new("a", serde_json::from_value(json!({
                "wave": "erp-020-db", "digest": format!("sha256:{}", "0".repeat(64)),
                "reference": text,
            })).expect("a valid approval"));
            approval.metadata.annotations =
                Some(texts.iter().map(|t| (t.clone(), text.to_owned())).collect());
            approval
        };
        for text in &texts {
            let before = approval(text);
            let written = write_file(&before, &["a note"]);
            prop_assert_eq!(&written, &write_file(&approval(text), &["a note"]));
            let after = read::<WaveApproval>(&written)
                .map_err(|e| TestCaseError::fail(format!("{e}\n{written}")))?;
            prop_assert_eq!(after.value, before);
        }
    }

    // Whatever text is accepted, the lenient reader understands the same by it.
    #[test]
    fn readers_agree(text in "[-a-z0-9:.,_'\"#{}\\[\\] \\n]{0,40}") {
        let parsed = parse::parse(&text);
        let value = parsed.value.filter(|_| parsed.problems.is_empty());
        prop_assert_eq!(&parse::parse_quickly(&text), &value);
        if let Some(value) = value {
            prop_assert_eq!(&documents(&text).expect("YAML")[0], &value);
        }
    }

    // Reading without places lets through what reading with them does, and nothing else.
    #[test]
    fn without_places(
        (from, gone) in (0..PLAN.len(), 0..3usize),
        new in "[-a-z0-9:., '\"#{}\\[\\]\\n]{0,3}|: no\\n|&a |\\*a|!!str |<<: |\\n  site: exit",
    ) {
        let mut text = PLAN.to_owned();
        text.replace_range(from..(from + gone).min(PLAN.len()), &new);
        let mut reader = Reader::default();
        let value = reader.typed::<MigrationPlan>(&text);
        let value = value.filter(|_| reader.problems.is_empty());
        prop_assert_eq!(quickly::<MigrationPlan>(&text), value, "{}", text);
    }

    // No text whatever makes the door panic.
    #[test]
    fn never_panics(text in "\\PC{0,60}|[-a: \\n\\t&*!|>'\"%@`#{}\\[\\],?\u{feff}]{0,40}") {
        let _ = read::<MigrationSite>(&text);
    }
}
