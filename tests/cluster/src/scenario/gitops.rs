//! (gitops) Rendered manifests synced by the real Argo CD and the real Flux: sources first, then the
//! folders in their order, each only after the one before is done; a failed import stops the rest.
//!
//! The engine stands still meanwhile: the states of sources and imports are written by the rig, so that
//! each of them lasts as long as the question takes.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::case::Case;
use crate::command::tail;
use crate::world::World;

/// What is synced: its waves go into several namespaces, and one has several folders.
const PLAN: &str = "plans/pilot";

/// Starting the programs, and their first look at a cluster, on a busy machine.
const UP_LIMIT: Duration = Duration::from_mins(5);
/// Syncing by both tools takes three minutes.
const SYNC_LIMIT: Duration = Duration::from_mins(12);

/// Why it is left out: the rig's programs take longer to build than all else together.
pub fn skip(world: &World) -> Option<String> {
    let asked = world.script("gitops/up").args(["--is-built"]).output();
    match asked {
        Ok(output) if output.code == 0 => None,
        Ok(output) => Some(tail(output.stderr.trim(), 1)),
        Err(error) => Some(format!("{error:#}")),
    }
}

pub fn run(case: &mut Case<'_>) -> Result<()> {
    let world = case.world;
    world.engine("stop")?;
    let up = case.run_noted(&world.script("gitops/up").limit(UP_LIMIT))?;
    let synced = if up.code == 0 {
        sync(case)
    } else {
        Err(anyhow::anyhow!("{}", tail(&up.all(), 10)).context("start the tools"))
    };
    let down = world.script("gitops/down").args(["--wipe"]).text();
    synced?;
    down.context("stop the tools").map(drop)
}

fn sync(case: &mut Case<'_>) -> Result<()> {
    let world = case.world;
    let run = world
        .script("gitops/rendered")
        .args([world.windrow.as_path(), &world.root.join(PLAN)])
        .env("KUBECONFIG", world.kube.kubeconfig())
        .folder(&case.folder)
        .limit(SYNC_LIMIT);
    let output = case.run_noted(&run)?;
    let mut checks = 0;
    for line in output.stdout.lines() {
        let Some((verdict, what)) = line.split_once("  ") else {
            continue;
        };
        if matches!(verdict, "ok" | "FAIL") {
            case.expect(what.trim(), verdict == "ok", "");
            checks += 1;
        }
    }
    case.expect("both tools were asked", checks > 20, checks);
    case.expect_exit("`rendered`", &output, 0);
    Ok(())
}
