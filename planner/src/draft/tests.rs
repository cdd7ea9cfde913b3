//! Drafts of whole inventories, and of tables.

use insta::assert_snapshot;
use schemas::inventory::{Rule, RuleKind, Vm};
use schemas::plan::MigrationPlan;

use super::{By, Columns, Options, Table, draft, draft_of, from_table};
use crate::fixture::{Fixture, server, vsphere_vm};
use crate::plan;

const NOTHING: &str = "workloads: [ { name: x, select: [ { source: dc1, folder: erp/db } ] } ]\n";

fn options(by: Option<By>) -> Options {
    Options {
        name: "fleet".to_owned(),
        namespace: "migrations".to_owned(),
        by,
    }
}

/// The draft as a plan, which must be valid and take every VM that is no template.
fn planned(fixture: &Fixture, text: &str) {
    let read = schemas::yaml::read::<MigrationPlan>(text);
    let read = read.unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let site = read.value.spec.inline_site.clone().expect("inline");
    let planned = plan(&read.value, &site, &fixture.inventory)
        .unwrap_or_else(|refusal| panic!("{refusal:?}\n{text}"));
    let taken = planned.checked.plan.vms.len() + planned.checked.plan.exclusions.len();
    let all: usize = fixture
        .inventory
        .sources
        .values()
        .map(|source| source.vms.iter().filter(|vm| !vm.template).count())
        .sum();
    assert!(taken >= all, "{taken} of {all}\n{text}");
}

// The whole of a draft: folders, names that several have, an OVA; proposals say that they are.
#[test]
fn whole() {
    let fixture = Fixture::new(NOTHING);
    let text = draft(&fixture.inventory, &options(None));
    planned(&fixture, &text);
    assert_snapshot!(text);
}

// Each way of grouping gives a plan, whatever things are called.
#[test]
fn every_way() {
    let hostile = [
        "<script>",
        "{{ x }}",
        "${x}",
        "a: b # c",
        "a\nb",
        "=HYPERLINK()",
        "no",
        "ünïcödé",
        "---",
        "*",
        "'\"",
    ];
    let mut fixture = Fixture::new(NOTHING);
    for (i, name) in hostile.iter().enumerate() {
        let vm = vsphere_vm(&format!("h-{i}"), name, name);
        fixture = fixture.add(
            "dc1",
            Vm {
                tags: vec![format!("app/{name}"), "tier/db".to_owned()],
                vapp: Some((*name).to_owned()),
                ..vm
            },
        );
        fixture = fixture.add("cloud1", server(&format!("s-{i}"), name));
        fixture = fixture.add(
            "dc1",
            vsphere_vm(&format!("i-{i}"), name, &format!("{name}-2")),
        );
    }
    for by in [
        None,
        Some(By::Folder),
        Some(By::Tag),
        Some(By::Vapp),
        Some(By::Rule),
        Some(By::Name),
        Some(By::Network),
    ] {
        let text = draft(&fixture.inventory, &options(by));
        planned(&fixture, &text);
        assert_eq!(text, draft(&fixture.inventory, &options(by)));
    }
}

// Rules of the source say what belongs together and what comes first; a circle is not proposed.
#[test]
fn rules() {
    let mut fixture = Fixture::new(NOTHING);
    let source = fixture.inventory.sources.get_mut("dc1").expect("a source");
    let ids: Vec<_> = source
        .vms
        .iter()
        .filter(|vm| !vm.template)
        .map(|vm| vm.id.clone())
        .collect();
    let rule = |kind, name: &str, members: &[usize], after: &[usize]| Rule {
        id: name.to_owned(),
        kind,
        name: Some(name.to_owned()),
        members: members.iter().map(|i| ids[*i].clone()).collect(),
        after: after.iter().map(|i| ids[*i].clone()).collect(),
        enabled: true,
        origin: "cluster:c".to_owned(),
        ..Rule::default()
    };
    source.rules = vec![
        rule(RuleKind::Affinity, "keep db and app", &[0, 2], &[]),
        rule(RuleKind::Affinity, "others", &[1, 3], &[]),
        rule(RuleKind::Depends, "app after db", &[1], &[0]),
        rule(RuleKind::Depends, "and back", &[0], &[1]),
    ];
    let text = draft(&fixture.inventory, &options(None));
    planned(&fixture, &text);
    assert!(
        text.contains("kept together by the rule `keep db and app`"),
        "{text}"
    );
    assert!(
        text.contains("- keep-db-and-app  # proposal: the rule `app after db` says so"),
        "{text}"
    );
    assert!(!text.contains("and back"), "{text}");
}

fn table(text: &str) -> Table {
    let mut lines = text.lines();
    let cells = |line: &str| line.split(';').map(str::to_owned).collect::<Vec<_>>();
    Table {
        header: cells(lines.next().expect("a header")),
        rows: lines.zip(2..).map(|(line, n)| (n, cells(line))).collect(),
    }
}

// A table as people have it: any case, several waves, dependencies by name.
#[test]
fn from_a_table() {
    let fixture = Fixture::new(NOTHING);
    let table = table(
        "Server;Application;Move Group;Target Namespace;Depends on\nerp-db-01;ERP DB;Wave 1;erp;\nERP-DB-02;ERP DB;Wave 1;erp;\n\
         erp-app-01;ERP App;Wave 2;erp;ERP DB\n;;;;\nc-web1;Web;Wave 2;;erp app, ERP DB",
    );
    let columns = Columns::of(&table, &[]).expect("columns");
    let groups = from_table(&table, &columns, &fixture.inventory).expect("groups");
    let text = draft_of(&fixture.inventory, &groups, &options(None));
    let read = schemas::yaml::read::<MigrationPlan>(&text).expect("a plan");
    let site = read.value.spec.inline_site.clone().expect("inline");
    plan(&read.value, &site, &fixture.inventory).expect("it plans");
    assert_snapshot!(text);
}

// What is wrong is told by cell, all of it at once.
#[test]
fn wrong_cells() {
    let fixture = Fixture::new(NOTHING);
    let table = table(
        "VM;Application;Source;Wave;After\nERP-DB-1;db;;;\nweb;web;cloud1;;\nERP-DB-01;;;;\nERP-DB-02;db;dc9;;\n\
         erp-app-01;app;dc1;one;dbs\nerp-app-02;app;dc1;two;\nerp-app-01;app;dc1;one;",
    );
    let columns = Columns::of(&table, &[]).expect("columns");
    let errors = from_table(&table, &columns, &fixture.inventory).expect_err("mistakes");
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_snapshot!(told.join("\n"));

    let told = |said: &[(&str, &str)]| {
        let said: Vec<_> = said
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        let nothing = Table {
            header: vec!["Box".to_owned(), "Team".to_owned()],
            rows: Vec::new(),
        };
        match Columns::of(&nothing, &said) {
            Ok(_) => "fine".to_owned(),
            Err(errors) => errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
        }
    };
    assert!(told(&[]).contains("`--column vm=HEADER`"));
    assert!(told(&[("vm", "Bx")]).contains("no column `Bx`: there are `Box`, `Team`"));
    assert!(told(&[("vn", "Box")]).contains("`vn` is no field"));
    assert_eq!(told(&[("vm", "Box"), ("workload", "Team")]), "fine");
}
