//! Running programs with a deadline, in the foreground or behind us.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A program to run.
#[derive(Clone, Debug)]
pub struct Run {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, Option<OsString>)>,
    folder: Option<PathBuf>,
    input: Option<String>,
    limit: Duration,
}

/// What a program left.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; 128 + n when signal n ended it.
    pub code: i32,
    /// What it wrote.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Output {
    /// Both streams, for searching.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl Run {
    /// `program`, with no more than a minute.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
            folder: None,
            input: None,
            limit: Duration::from_mins(1),
        }
    }

    /// More arguments.
    pub fn args<I: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = I>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    /// A variable that it must not see.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.push((name.into(), None));
        self
    }

    /// Where it runs.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Its standard input; nothing otherwise.
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// It is killed after so long.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// As it would be typed.
    pub fn line(&self) -> String {
        let name = Path::new(&self.program)
            .file_name()
            .unwrap_or(&self.program);
        std::iter::once(name)
            .chain(self.arguments.iter().map(OsString::as_os_str))
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// Runs it to its end; an error only when it cannot be started or exceeds its limit.
    pub fn output(&self) -> Result<Output> {
        let began = Instant::now();
        let mut child = self
            .command()
            .stdin(if self.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start `{}`", self.line()))?;
        let writer = self
            .input
            .clone()
            .zip(child.stdin.take())
            .map(|(text, mut pipe)| {
                thread::spawn(move || {
                    // A program that does not read all of it says so by its exit code.
                    let _ = pipe.write_all(text.as_bytes());
                })
            });
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let status = wait(&mut child, began + self.limit)?;
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        let (stdout, stderr) = (finish(stdout), finish(stderr));
        let Some(status) = status else {
            bail!(
                "`{}` was killed after {} s: {}{}",
                self.line(),
                self.limit.as_secs(),
                tail(&stdout, 5),
                tail(&stderr, 10)
            );
        };
        Ok(Output {
            code: code(status),
            stdout,
            stderr,
            took: began.elapsed(),
        })
    }

    /// Runs it to its end; any exit code but 0 is an error.
    pub fn text(&self) -> Result<String> {
        let output = self.output()?;
        if output.code != 0 {
            bail!(
                "`{}` ended with {}: {}",
                self.line(),
                output.code,
                tail(&output.all(), 15)
            );
        }
        Ok(output.stdout)
    }

    /// Starts it behind us, both streams into `log`.
    pub fn background(&self, log: &Path) -> Result<Background> {
        let file = File::create(log).with_context(|| format!("create `{}`", log.display()))?;
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("share a log")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start `{}`", self.line()))?;
        Ok(Background {
            child,
            line: self.line(),
            log: log.to_owned(),
            began: Instant::now(),
        })
    }
}

/// A program behind us. Killed when dropped.
pub struct Background {
    child: Child,
    line: String,
    log: PathBuf,
    began: Instant,
}

impl Background {
    /// As it was typed.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its exit code, once it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().map(code)
    }

    /// SIGKILL, as `kill -9` does; true if it was still running.
    pub fn kill(&mut self) -> bool {
        let running = self.ended().is_none();
        let _ = self.child.kill();
        let _ = self.child.wait();
        running
    }

    /// A signal by name, as in `INT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        Run::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .text()
            .map(drop)
    }

    /// Its end, within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<Output> {
        let Some(status) = wait(&mut self.child, Instant::now() + limit)? else {
            bail!(
                "`{}` was killed after {} s: {}",
                self.line,
                limit.as_secs(),
                tail(&self.said(), 15)
            );
        };
        Ok(Output {
            code: code(status),
            stdout: self.said(),
            stderr: String::new(),
            took: self.began.elapsed(),
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `None` when the deadline came first; the program is dead then.
fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait().context("wait for a program")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn collect<R: Read + Send + 'static>(pipe: Option<R>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn finish(reader: JoinHandle<String>) -> String {
    reader.join().unwrap_or_default()
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    // A program that hangs is killed at its limit and what it said is in the error.
    #[test]
    fn a_deadline_ends_it() {
        let run = Run::new("sh")
            .args(["-c", "echo began; exec sleep 60"])
            .limit(Duration::from_millis(300));
        let error = run.output().expect_err("it hangs").to_string();
        assert!(error.contains("began"), "{error}");
        let output = Run::new("sh")
            .args(["-c", "cat; exit 3"])
            .input("in")
            .output()
            .expect("it ends");
        assert_eq!((output.code, output.stdout.as_str()), (3, "in"));
    }
}
