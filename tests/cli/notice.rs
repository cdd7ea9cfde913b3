//! Notices for owners, and the appointments in their calendars.

use std::fs;
use std::io::BufReader;
use std::path::Path;

use ical::IcalParser;
use ical::parser::ical::component::IcalEvent;

use crate::harness::Folder;

const SERVICES: &str = "
  services:
  - { name: erp, workloads: [db, app], owner: 'Ops; \"José\", =HYPERLINK(\"x\")', refs: { change: '<script>CHG0034567</script>' } }
  - { name: shop, workloads: [web], owner: web-team }
";

fn erp() -> Folder {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/erp");
    let plan = fs::read_to_string(root.join("plan.yaml")).expect("the example");
    let folder = Folder::copy_of(&root);
    fs::create_dir(folder.path().join(".git")).expect("the root of a repository");
    folder.file("plan.yaml", &format!("{}{SERVICES}", plan.trim_end()))
}

fn events(folder: &Folder, file: &str) -> Vec<IcalEvent> {
    let text = fs::read(folder.path().join(file)).expect("a calendar");
    let mut calendars = IcalParser::new(BufReader::new(text.as_slice()));
    let calendar = calendars
        .next()
        .expect("one")
        .expect("a calendar as RFC 5545 has it");
    assert!(calendars.next().is_none());
    calendar.events
}

fn value(event: &IcalEvent, name: &str) -> String {
    let mut properties = event.properties.iter();
    let found = properties.find(|property| property.name == name);
    found
        .and_then(|property| property.value.clone())
        .unwrap_or_default()
}

// Each service has its three files; another parser reads the same times, owner and change in them.
#[test]
fn files() {
    let folder = erp();
    let run = folder.run(&["notice", "."]);
    assert_eq!(run.code, Some(0), "{run}");
    assert_eq!(run.stderr.matches("wrote ./notices/").count(), 6, "{run}");
    let erp = events(&folder, "notices/erp.ics");
    assert_eq!(erp.len(), 1);
    assert_eq!(value(&erp[0], "UID"), "1.erp.erp.migrations@windrow.dev");
    assert_eq!(value(&erp[0], "DTSTART"), "20261128T210101Z");
    assert_eq!(value(&erp[0], "SEQUENCE"), "0");
    assert_eq!(
        value(&erp[0], "CONTACT"),
        "Ops\\; \"José\"\\, =HYPERLINK(\"x\")"
    );
    assert_eq!(
        value(&erp[0], "COMMENT"),
        "Change <script>CHG0034567</script>"
    );
    assert!(value(&erp[0], "DESCRIPTION").contains("ERP-DB-01"));
    let text = fs::read_to_string(folder.path().join("notices/erp.txt")).expect("a mail");
    insta::assert_snapshot!(text);
    let comment = fs::read_to_string(folder.path().join("notices/erp.md")).expect("a comment");
    assert!(
        comment.contains("- Change: `<script>CHG0034567</script>`\n"),
        "{comment}"
    );
    let again = folder.run(&["notice", "."]);
    assert_eq!(again.stderr.matches("unchanged").count(), 6, "{again}");
}

// What moves keeps its identity and counts on.
#[test]
fn another_night() {
    let folder = erp();
    folder.run(&["notice", "."]);
    let folder = folder.change(
        "plan.yaml",
        "occurrence: 2026-11-28",
        "occurrence: 2026-12-05",
    );
    let run = folder.run(&["notice", ".", "--service", "erp"]);
    assert_eq!(run.code, Some(0), "{run}");
    let erp = events(&folder, "notices/erp.ics");
    assert_eq!(value(&erp[0], "UID"), "1.erp.erp.migrations@windrow.dev");
    assert_eq!(value(&erp[0], "SEQUENCE"), "1");
    assert_eq!(value(&erp[0], "DTSTART"), "20261205T210101Z");
}

// A name that is wrong is told, with the nearest; a plan without services says what to write.
#[test]
fn refused() {
    let folder = erp();
    let run = folder.run(&["notice", ".", "--service", "shopp"]);
    assert_eq!(run.code, Some(2), "{run}");
    assert!(run.stderr.contains("did you mean `shop`?"), "{run}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/pilot");
    let run = Folder::copy_of(&root).run(&["notice", "."]);
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stderr.contains("the plan has no services"), "{run}");
}
