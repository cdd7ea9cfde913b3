//! Selectors, facts, coverage and waivers, as a user works with them.

use std::path::Path;

use insta::assert_snapshot;

use crate::harness::Folder;

fn erp() -> Folder {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/erp");
    Folder::copy_of(&root)
}

// Who takes each VM and who does not; of one VM everything.
#[test]
fn show_selection() {
    assert_snapshot!(erp().run(&["plan", ".", "--show-selection"]));
    assert_snapshot!(erp().run(&["plan", ".", "--show-selection=erp-app-0[34]"]));
}

// Every VM has a standing; a forgotten one fails the command where that is asked for.
#[test]
fn coverage() {
    let folder = erp().change("plan.yaml", "  - name: web\n", "  - name: web2\n");
    assert_snapshot!(folder.run(&["coverage", "."]));
    let narrowed = erp().change(
        "plan.yaml",
        "names: [ERP-DB-01, ERP-DB-02]",
        "names: [ERP-DB-01]",
    );
    assert_snapshot!(narrowed.run(&["coverage", ".", "--fail-on-forgotten"]));
}

// Facts with their origin and age; what is required and old is found.
#[test]
fn facts() {
    let table =
        "# as_of: 2026-11-01\nhostname;virtio;owner\nerp-db-01;ready;db-team\nERP-DB-02;;db-team\n";
    let folder = erp().file("prep.csv", table).change(
        "site.yaml",
        "spec:\n",
        "spec:\n  facts: [ { file: prep.csv, key: hostname, maxAge: 90d } ]\n  require:\n  - { when: { match: \"ERP-DB-*\" }, fact: virtio, equals: ready, maxAge: 7d, severity: warning }\n",
    );
    let run = folder.run(&["explain", "ERP-DB-01", "--plan", "."]);
    assert!(
        run.stdout
            .contains("virtio = ready (prep.csv: ready, from 2026-11-01)"),
        "{run}"
    );
    assert!(run.stdout.contains("WR052"), "{run}");
    let run = folder.run(&["explain", "ERP-DB-02", "--plan", "."]);
    assert!(run.stdout.contains("WR050"), "{run}");
    let run = folder.run(&[
        "explain",
        "ERP-DB-01",
        "--plan",
        ".",
        "--as-of",
        "2026-11-05",
    ]);
    assert!(!run.stdout.contains("WR052"), "{run}");
    let missing = erp().change(
        "site.yaml",
        "spec:\n",
        "spec:\n  facts: [ { file: none.csv, key: x } ]\n",
    );
    assert_snapshot!(missing.run(&["validate", "."]));
}
