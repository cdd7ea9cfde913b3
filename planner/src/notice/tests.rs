//! What an owner reads, and what a calendar takes.

use super::{Notice, calendar, notices, words};
use crate::fixture::Fixture;
use crate::plan;

const PLAN: &str = r#"
start: "2026-11-23T00:00:00+01:00"
workloads:
- { name: db, select: [ { source: dc1, folder: erp/db } ] }
- { name: app, select: [ { source: dc1, folder: erp/app } ], dependsOn: [db] }
- { name: web, select: [ { source: cloud1, ids: [c-web1] } ] }
services:
- { name: erp, workloads: [db, app], owner: "erp-team; José, \"Ops\"", refs: { change: CHG0034567 } }
- { name: shop, workloads: [web] }
"#;

const NIGHTS: &str = r#"- name: night
  every: { cron: "0 22 * * *", timeZone: Europe/Berlin, lasts: 3h }
  lockout: 30m"#;

fn of(fixture: &Fixture) -> Vec<Notice> {
    let planned = plan(&fixture.plan, &fixture.site, &fixture.inventory).expect("a plan");
    notices(&planned)
}

fn erp() -> Notice {
    of(&Fixture::new(PLAN).windows(NIGHTS)).remove(0)
}

// When is my system down, for how long, and what will be different.
#[test]
fn in_words() {
    insta::assert_snapshot!(words::text(&erp()));
    insta::assert_snapshot!(words::markdown(&erp()));
}

// No line is too long, each has its end, text is escaped, and the same notice gives the same bytes.
#[test]
fn an_appointment() {
    let notice = erp();
    let text = calendar::render(&notice, None).expect("it has dates");
    assert!(text.ends_with("END:VCALENDAR\r\n"));
    for line in text.split_terminator("\r\n") {
        assert!(line.len() <= 75, "{line}");
        assert!(!line.contains(['\r', '\n']), "{line:?}");
    }
    let whole = text.replace("\r\n ", "");
    assert!(
        whole.contains("CONTACT:erp-team\\; José\\, \"Ops\"\r\n"),
        "{whole}"
    );
    assert!(whole.contains("\r\nSEQUENCE:0\r\n"), "{whole}");
    assert_eq!(calendar::render(&notice, Some(&text)), Some(text));
}

// A change counts, what is unchanged does not, and what is no more is cancelled once.
#[test]
fn published_again() {
    let mut notice = erp();
    let first = calendar::render(&notice, None).expect("it has dates");
    notice.cuts[0].ends += schemas::units::Seconds(600);
    let second = calendar::render(&notice, Some(&first)).expect("it has dates");
    assert!(second.contains("\r\nSEQUENCE:1\r\n"), "{second}");
    let uid = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("UID:"));
        line.map(str::to_owned)
    };
    assert_eq!(uid(&first), uid(&second));
    notice.cuts.clear();
    let third = calendar::render(&notice, Some(&second)).expect("it has dates");
    assert!(third.contains("STATUS:CANCELLED"), "{third}");
    assert!(third.contains("\r\nSEQUENCE:2\r\n"), "{third}");
    assert_eq!(calendar::render(&notice, Some(&third)), Some(third));
}

// Without a start there is no date, and the words say so.
#[test]
fn no_start() {
    let plan = PLAN.replace("start: \"2026-11-23T00:00:00+01:00\"\n", "");
    let notice = of(&Fixture::new(&plan)).remove(0);
    assert_eq!(calendar::render(&notice, None), None);
    assert!(words::text(&notice).contains("not fixed yet"));
}
