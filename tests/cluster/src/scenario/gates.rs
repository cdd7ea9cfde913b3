//! Gates and steps outside: a gate that holds and one that does not, a step that a person says is
//! done; what waits for them starts when it may, and not before.

use std::time::Duration;

use anyhow::{Context, Result};

use super::ova;
use crate::case::Case;
use crate::estate::Ova;

pub fn run(case: &mut Case<'_>) -> Result<()> {
    case.make_namespaces(&[""])?;
    let make = |name: &str| Ova::make(case.world, &case.name(name), "8M");
    let ovas = [make("base")?, make("mute")?, make("behind")?, make("last")?];
    let [base, mute, behind, last] = &ovas;
    // A port that answers: the one that the files come from.
    let (host, port) = host_and_port(&base.url).context("the files have no port")?;
    let head = ova::plan(case, &case.name(""), &ovas, "4Gi");
    case.write(
        "plan.yaml",
        &format!(
            "{head}  workloads:\n\
             \x20   - name: base\n      select: [ {{ source: shelf, names: [{}] }} ]\n\
             \x20     gate: {{ tcp: [ {{ port: {port}, address: {host} }} ], soak: 5s }}\n\
             \x20   - name: go\n      dependsOn: [base]\n\
             \x20     external: {{ title: say the word, estimate: 1m, done: {{ approval: required }} }}\n\
             \x20   - name: last\n      dependsOn: [go]\n      select: [ {{ source: shelf, names: [{}] }} ]\n\
             \x20   - name: mute\n      select: [ {{ source: shelf, names: [{}] }} ]\n\
             \x20     gate: {{ tcp: [ {{ port: 5432 }} ], timeout: 10s }}\n\
             \x20   - name: behind\n      dependsOn: [mute]\n      select: [ {{ source: shelf, names: [{}] }} ]\n",
            base.name, last.name, mute.name, behind.name
        ),
    )?;
    case.pull_and_plan("plan.yaml")?;
    case.windrow_expect(&["approve", "--plan", "plan.yaml", "--step", "go"], 0)?;
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "first.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(5))?;
    case.expect_exit("`windrow apply` with a gate that does not hold", &output, 4);
    let said = output.all();
    case.expect(
        "it says which gate did not hold, and how to go on",
        said.contains("its gate did not hold within 10s") && said.contains("windrow retry"),
        &said,
    );
    let status = case.windrow(&["status", "plan.yaml"])?;
    let step = status.stdout.contains("step go: say the word: done");
    case.expect("the step is done", step, &status.stdout);
    case.expect(
        "what waits for it says so",
        status.stdout.contains("held back"),
        &status.stdout,
    );
    case.expect_imported_once(&[&base.name, &mute.name, &last.name])?;

    let record = mute.name.as_str();
    case.windrow_expect(&["retry", record, "--plan", "plan.yaml", "--accept"], 0)?;
    let mut apply = case.windrow_background(&["apply", "plan.yaml", "--yes"], "second.log")?;
    let output = case.finish(&mut apply, Duration::from_mins(5))?;
    case.expect_exit("`windrow apply` once the gate is accepted", &output, 0);
    case.expect_imported_once(&[&base.name, &mute.name, &last.name, &behind.name])?;
    Ok(())
}

fn host_and_port(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url.split_once("://")?;
    rest.split('/').next()?.rsplit_once(':')
}
