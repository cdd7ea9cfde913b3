//! Runs what `windrow remedy` writes, as a person would: read, completed where it asks for a
//! decision, run.

use anyhow::{Result, ensure};

use crate::case::Case;
use crate::command::{Run, tail};

/// A command that the script leaves to a person: its first words, and what is put into it.
pub struct Complete<'c> {
    /// How the command begins.
    pub begins: &'c str,
    /// Word by word: what stands there, what is meant.
    pub with: &'c [(&'c str, &'c str)],
}

/// Writes the script for these codes, completes it, and runs it with what `with` adds.
pub fn run_remedy(
    case: &mut Case<'_>,
    tool: &str,
    codes: &[&str],
    completed: &[Complete<'_>],
    with: impl Fn(Run) -> Run,
) -> Result<()> {
    let mut arguments = vec!["remedy", "--as", tool];
    arguments.extend(codes.iter().flat_map(|code| ["--code", *code]));
    let output = case.windrow_expect(&arguments, 0)?;
    let lines: Vec<String> = output
        .stdout
        .lines()
        .map(|line| complete(line, completed))
        .collect();
    let path = case.write(&format!("remedy-{tool}.sh"), &(lines.join("\n") + "\n"))?;
    let run = with(Run::new("sh").args([&path]).folder(&case.folder));
    let output = case.run_noted(&run)?;
    ensure!(
        output.code == 0,
        "the script of `windrow remedy` ended with {}: {}",
        output.code,
        tail(&output.all(), 10)
    );
    case.note(format!(
        "the script of `windrow remedy --as {tool}` for {} has run",
        codes.join(", ")
    ));
    Ok(())
}

fn complete(line: &str, completed: &[Complete<'_>]) -> String {
    let Some(command) = line.strip_prefix("#   ") else {
        return line.to_owned();
    };
    match completed.iter().find(|c| command.starts_with(c.begins)) {
        Some(found) => (found.with.iter()).fold(command.to_owned(), |text, (from, to)| {
            text.replace(from, to)
        }),
        None => line.to_owned(),
    }
}
