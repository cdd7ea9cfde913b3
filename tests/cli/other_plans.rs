//! A plan that waits for workloads of another one in the same repository.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::harness::{Folder, Run};

const INFRA: &str = r#"apiVersion: windrow.dev/v1alpha1
kind: MigrationPlan
metadata: { name: infra, namespace: migrations }
spec:
  site: exit
  start: "2026-11-23T00:00:00+01:00"
  target: { name: hv1, namespace: erp-infra }
  workloads:
  - { name: ad, select: [ { source: dc1, folder: infra } ], gate: { tcp: [ { port: 389 } ], soak: 5m } }
  - name: dns
    dependsOn: [ad]
    external: { title: switch the resolvers, estimate: 15m, done: { approval: required } }
  waves: [ { name: ad, workloads: [ad], window: evening } ]
"#;

const SHOP: &str = r#"apiVersion: windrow.dev/v1alpha1
kind: MigrationPlan
metadata: { name: shop, namespace: migrations }
spec:
  site: exit
  start: "2026-11-23T00:00:00+01:00"
  target: { name: hv1, namespace: shop }
  workloads:
  - name: web
    dependsOn: [infra/ad, infra/dns]
    select: [ { source: cloud1, match: "erp-web-*" } ]
  waves: [ { name: web, workloads: [web], window: evening } ]
"#;

/// The estate of the ERP example with two plans, each in a folder of its own; nothing is planned yet.
fn estate() -> Folder {
    let folder = Folder::copy_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/erp"));
    fs::create_dir(folder.path().join(".git")).expect("the root of a repository");
    fs::remove_file(folder.path().join("plan.yaml")).expect("it was there");
    folder
        .file("plans/infra/plan.yaml", INFRA)
        .file("plans/shop/plan.yaml", SHOP)
}

fn plan(folder: &Folder, name: &str) -> Run {
    let path = format!("plans/{name}");
    folder.run(&["plan", &path, "--inventory", "inventory"])
}

// The other plan must be planned first, and one that is misspelt or not there is told with its line.
#[test]
fn first_the_other() {
    let folder = estate();
    assert_eq!(folder.run(&["validate", "plans/shop"]).code, Some(0));
    assert_snapshot!(plan(&folder, "shop"));
    let folder = folder.change(
        "plans/shop/plan.yaml",
        "infra/ad, infra/dns",
        "infra/adc, intra/dns, shop/web",
    );
    assert_snapshot!(folder.run(&["validate", "plans/shop"]));
    let folder = folder.change(
        "plans/shop/plan.yaml",
        "infra/adc,",
        "{ plan: infra, workload: ad },",
    );
    assert_snapshot!(folder.run(&["validate", "plans/shop"]));
}

// It is scheduled after what the other plan predicts, which is told by name, and to plan again changes
// nothing. Manifests say that they do not wait.
#[test]
fn then_this_one() {
    let folder = estate();
    assert_eq!(plan(&folder, "infra").code, Some(0));
    assert_snapshot!(plan(&folder, "shop"));
    let explained = folder.run(&[
        "explain",
        "erp-web-1",
        "--plan",
        "plans/shop",
        "--inventory",
        "inventory",
    ]);
    assert!(
        explained
            .stdout
            .contains("`infra/dns`, of another plan, is predicted to be done"),
        "{explained}"
    );
    let check = ["plan", "plans/shop", "--inventory", "inventory", "--check"];
    assert_eq!(folder.run(&check).code, Some(0));
    let render = [
        "render",
        "plans/shop",
        "--harvester",
        "1.8",
        "--for",
        "plain",
        "--out",
        "rendered",
    ];
    assert_eq!(folder.run(&render).code, Some(0), "{}", folder.run(&render));
    let readme =
        fs::read_to_string(folder.path().join("rendered/README.md")).expect("it is written");
    assert!(
        readme.contains("`infra/ad`, of other plans, are not waited for"),
        "{readme}"
    );
}

// Another machine of the other plan is another thing to wait for: its waves differ, and it is named.
#[test]
fn another_machine() {
    let folder = estate();
    assert_eq!(plan(&folder, "infra").code, Some(0));
    assert_eq!(plan(&folder, "shop").code, Some(0));
    let folder = folder.change(
        "plans/infra/plan.yaml",
        "folder: infra }",
        "names: [AD-01, erp-app-01] }",
    );
    assert_eq!(plan(&folder, "infra").code, Some(0));
    let diff = folder.run(&["diff", "plans/shop", "--inventory", "inventory"]);
    assert_eq!(diff.code, Some(1), "{diff}");
    assert!(
        diff.stdout.contains("waits in `infra/ad` for erp-app-01-"),
        "{diff}"
    );
}
