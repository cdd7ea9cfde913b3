//! What a program costs: wall time, CPU time and memory, as the kernel counts them (`/usr/bin/time`).

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// GNU's, not the shell's own word.
const TIME: &str = "/usr/bin/time";

/// What one run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// From start to end, in seconds.
    pub wall: f64,
    /// User and system time of the program and its children, in seconds.
    pub cpu: f64,
    /// Largest resident memory, in MiB.
    pub rss: f64,
}

impl Cost {
    /// The middle of several runs, each figure for itself.
    pub fn median(runs: &[Self]) -> Self {
        let middle = |of: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = runs.iter().map(of).collect();
            figures.sort_by(f64::total_cmp);
            figures.get(figures.len() / 2).copied().unwrap_or_default()
        };
        Self {
            wall: middle(|cost| cost.wall),
            cpu: middle(|cost| cost.cpu),
            rss: middle(|cost| cost.rss),
        }
    }
}

/// Says what is missing, if anything is.
pub fn check() -> Result<()> {
    if !Path::new(TIME).is_file() {
        bail!("`{TIME}` is missing: install GNU time (Debian: `apt-get install time`)");
    }
    Ok(())
}

/// Runs a command to its end and gives what it cost; an error if it fails. Its output goes to
/// `output`.
pub fn run(command: &Command, output: &Path) -> Result<Cost> {
    run_behind(&[], command, output)
}

/// The same behind other words, as in `ip netns exec NAME`, which cost nothing here.
pub fn run_behind(words: &[String], command: &Command, output: &Path) -> Result<Cost> {
    let figures = output.with_extension("time");
    let mut timed = match words {
        [] => Command::new(TIME),
        [first, more @ ..] => {
            let mut behind = Command::new(first);
            behind.args(more).arg(TIME);
            behind
        }
    };
    timed
        .args(["-f", "%e %U %S %M", "-o"])
        .arg(&figures)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        timed.current_dir(folder);
    }
    let file = |path: &Path| {
        std::fs::File::create(path).with_context(|| format!("create `{}`", path.display()))
    };
    let errors = output.with_extension("stderr");
    let status = timed
        .stdin(Stdio::null())
        .stdout(file(output)?)
        .stderr(file(&errors)?)
        .status()
        .with_context(|| format!("start `{TIME}`"))?;
    if !status.success() {
        let said = std::fs::read_to_string(&errors).unwrap_or_default();
        bail!(
            "{} ended with {status}: {said}",
            command.get_program().display()
        );
    }
    let text = std::fs::read_to_string(&figures)
        .with_context(|| format!("read `{}`", figures.display()))?;
    parse(&text).with_context(|| format!("understand what `{TIME}` wrote: {text}"))
}

fn parse(text: &str) -> Option<Cost> {
    let mut figures = text.split_whitespace().map(str::parse::<f64>);
    let mut next = || figures.next()?.ok();
    let (wall, user, system, kib) = (next()?, next()?, next()?, next()?);
    Some(Cost {
        wall,
        cpu: user + system,
        rss: kib / 1024.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The four figures of `time`, and the median of each for itself.
    #[test]
    fn figures() {
        let cost = parse("1.50 1.00 0.25 2048\n").expect("four");
        assert_eq!((cost.wall, cost.cpu, cost.rss), (1.5, 1.25, 2.0));
        assert_eq!(parse("1.50 1.00"), None);
        let runs = [(3.0, 1.0), (1.0, 9.0), (2.0, 5.0)].map(|(wall, cpu)| Cost {
            wall,
            cpu,
            rss: 1.0,
        });
        let middle = Cost::median(&runs);
        assert_eq!((middle.wall, middle.cpu), (2.0, 5.0));
    }
}
