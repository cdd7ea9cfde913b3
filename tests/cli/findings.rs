//! What was found, in the forms that other programs read.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Folder, Run};

/// The example plan with waived findings, and a network less in its site: blockers too.
fn erp() -> Folder {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/erp");
    Folder::copy_of(&root).change("site.yaml", "from: prod,", "from: prod-was,")
}

fn plan(folder: &Folder, form: &str) -> Run {
    folder.run(&["plan", ".", "--check", "-o", form])
}

// SARIF: a rule for each code, a result with file and line for each finding, waived ones suppressed.
#[test]
fn sarif() {
    let sarif: Value = serde_json::from_str(&plan(&erp(), "sarif").stdout).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert!(!results.is_empty());
    for result in results {
        assert!(
            rules.iter().any(|rule| rule["id"] == result["ruleId"]),
            "{result:#}"
        );
        let place = &result["locations"][0]["physicalLocation"];
        let file = place["artifactLocation"]["uri"].as_str().expect("a file");
        assert!(
            file.ends_with("plan.yaml") || file.ends_with("site.yaml"),
            "{result:#}"
        );
        assert!(
            place["region"]["startLine"].as_u64().expect("a line") > 1,
            "{result:#}"
        );
    }
    let level = |code: &str| {
        let result = results.iter().find(|result| result["ruleId"] == code);
        result.map(|result| (result["level"].clone(), result["suppressions"].is_array()))
    };
    assert_eq!(level("W02").map(|(level, _)| level), Some("error".into()));
    assert_eq!(level("V07").map(|(_, waived)| waived), Some(true));
}

// JUnit: well-formed, and its counts are those of its cases.
#[test]
fn junit() {
    use quick_xml::Reader;
    use quick_xml::events::Event;
    let text = plan(&erp(), "junit").stdout;
    let mut reader = Reader::from_str(&text);
    let (mut cases, mut failures, mut skipped) = (0, 0, 0);
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) | Event::Empty(tag) => match tag.name().as_ref() {
                "testcase" => cases += 1,
                "failure" => failures += 1,
                "skipped" => skipped += 1,
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(failures > 0 && skipped > 0, "{text}");
    let counts =
        format!("tests=\"{cases}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"");
    assert!(text.contains(&counts), "{counts}: {text}");
}

// GitHub: one line for each, with file and line; nothing ends a line early.
#[test]
fn github() {
    let text = plan(&erp(), "github").stdout;
    assert!(
        text.lines().any(|line| line.starts_with("::error file=")),
        "{text}"
    );
    assert!(
        text.lines()
            .all(|line| line.starts_with("::") && line.contains(",line=")),
        "{text}"
    );
}

// JSON has file and line; a mistake in a file comes out in every form, and not as prose.
#[test]
fn places_and_mistakes() {
    let json: Value = serde_json::from_str(&plan(&erp(), "json").stdout).expect("JSON");
    let finding = &json["findings"][0];
    assert!(
        finding["file"].is_string() && finding["line"].is_u64(),
        "{finding:#}"
    );
    let broken = erp().change("plan.yaml", "workloads:", "wrkloads:");
    for command in ["plan", "validate"] {
        for (form, expected) in [
            ("json", "\"unknown-field\""),
            ("sarif", "\"ruleId\": \"unknown-field\""),
            ("junit", "classname=\"unknown-field\""),
            ("github", "::error file="),
        ] {
            let run = broken.run(&[command, ".", "-o", form]);
            assert_eq!(run.code, Some(1), "{run}");
            assert!(run.stdout.contains(expected), "{run}");
        }
    }
}

// `--fail-on` writes nothing where something is as bad as that; waived findings do not count.
#[test]
fn fail_on() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/erp");
    let good = Folder::copy_of(&root);
    assert_eq!(
        good.run(&["plan", ".", "--fail-on", "blocker"]).code,
        Some(0)
    );
    let bad = erp();
    let before = std::fs::read_to_string(bad.path().join("forecast.json")).expect("a forecast");
    let run = bad.run(&["plan", ".", "--fail-on", "blocker"]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("nothing was written"), "{run}");
    let after = std::fs::read_to_string(bad.path().join("forecast.json")).expect("a forecast");
    assert_eq!(before, after);
}
