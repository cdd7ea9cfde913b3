//! Mistakes in files, shown with file, line, column, snippet and a way out.
//!
//! ```text
//! error: there is no field `shutdownTimout` here
//!   ┌─ plans/erp/plan.yaml:14:5
//!   │
//! 14│     shutdownTimout: 1h30m
//!   │     ^^^^^^^^^^^^^^
//! hint: did you mean `shutdownTimeout`?
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use camino::Utf8PathBuf;
use schemas::shown::shown as safe;
use schemas::yaml::{Position, Problem, Span};
use serde::Serialize;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Most columns of a line that are shown: a wave has its imports on one line each.
const SNIPPET_WIDTH_MAX: usize = 160;

/// Most mistakes of one kind in one file that people are told one by one.
const OF_A_KIND_MAX: usize = 20;

/// A mistake in a file.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Whether the file is refused for it.
    pub level: Level,
    /// A stable name of the kind of mistake, for programs.
    pub kind: &'static str,
    /// The rule, and the value that broke it.
    pub message: String,
    /// Where.
    pub spot: Spot,
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// The way out.
    pub hint: Option<String>,
}

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The file is refused.
    Error,
    /// The file is taken, and probably not meant so.
    Warning,
}

/// A text that people wrote.
#[derive(Debug)]
pub struct SourceFile {
    /// Its path, as people know it.
    pub path: Utf8PathBuf,
    /// What is in it.
    pub text: String,
    /// Where its lines begin, once somebody asked.
    lines: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// Of a path and what is there.
    pub fn new(path: Utf8PathBuf, text: String) -> Self {
        Self {
            path,
            text,
            lines: OnceLock::new(),
        }
    }

    /// Line and column of a byte, without counting all lines before it each time.
    fn position(&self, offset: usize) -> Position {
        let lines = self.lines.get_or_init(|| {
            let breaks = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(breaks).collect()
        });
        let offset = self.text.floor_char_boundary(offset);
        let line = lines.partition_point(|start| *start <= offset);
        let start = lines[line.saturating_sub(1)];
        Position {
            line,
            column: self.text[start..offset].chars().count() + 1,
        }
    }

    /// The line of that number, from 1.
    fn line(&self, number: usize) -> &str {
        let start = self.lines.get().and_then(|lines| lines.get(number - 1));
        let rest = &self.text[start.copied().unwrap_or(0)..];
        rest.lines().next().unwrap_or_default()
    }
}

/// A place in a file.
#[derive(Clone, Debug)]
pub struct Spot {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The field, as in `spec.workloads[0].name`; the document itself is the empty path.
    pub path: String,
    /// The text to point at.
    pub span: Span,
}

impl Diagnostic {
    /// A mistake that the YAML door found in `file`.
    pub fn from_problem(file: &Arc<SourceFile>, problem: &Problem) -> Self {
        Self {
            level: Level::Error,
            kind: problem.kind.name(),
            message: problem.kind.to_string(),
            spot: Spot {
                file: Arc::clone(file),
                path: problem.path.clone(),
                span: problem.span,
            },
            notes: Vec::new(),
            hint: problem.hint(),
        }
    }

    /// What programs read.
    pub fn to_json(&self) -> serde_json::Value {
        let Position { line, column } = self.spot.position();
        serde_json::json!({
            "level": self.level,
            "kind": self.kind,
            "message": self.message,
            "file": self.spot.file.path,
            "line": line,
            "column": column,
            "path": self.spot.path,
            "notes": self.notes,
            "hint": self.hint,
        })
    }
}

impl Spot {
    /// Line and column.
    pub fn position(&self) -> Position {
        self.file.position(self.span.start)
    }
}

/// What people read: all of them, with an empty line between, and how many there are.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    let mut told: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for diagnostic in diagnostics {
        let file = diagnostic.spot.file.path.as_str();
        let told = told.entry((diagnostic.kind, file)).or_default();
        *told += 1;
        if *told <= OF_A_KIND_MAX {
            render_one(diagnostic, &mut text).expect("a String takes everything");
            text.push('\n');
        }
    }
    for ((kind, file), number) in told {
        if let Some(more) = number.checked_sub(OF_A_KIND_MAX).filter(|more| *more > 0) {
            let file = safe(file);
            writeln!(
                text,
                "and {more} more of the kind `{kind}` in {file}; `-o json` lists all\n"
            )
            .expect("a String takes everything");
        }
    }
    if diagnostics.len() > 1 {
        let errors = diagnostics
            .iter()
            .filter(|d| d.level == Level::Error)
            .count();
        let warnings = diagnostics.len() - errors;
        let counts: Vec<String> = [(errors, "error"), (warnings, "warning")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
            .collect();
        text.push_str(&counts.join(", "));
        text.push('\n');
    } else {
        text.pop();
    }
    text
}

fn render_one(diagnostic: &Diagnostic, text: &mut String) -> std::fmt::Result {
    let level = match diagnostic.level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    writeln!(text, "{level}: {}", safe(&diagnostic.message))?;

    let spot = &diagnostic.spot;
    let Position { line, column } = spot.position();
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    writeln!(text, "{margin}┌─ {}:{line}:{column}", spot.file.path)?;
    let source = spot.file.line(line);
    if !source.trim().is_empty() {
        let before: String = source.chars().take(column - 1).collect();
        let marked = &spot.file.text[spot.span.start..spot.span.end];
        let marked = marked.lines().next().unwrap_or_default();
        writeln!(text, "{margin}│")?;
        writeln!(text, "{number}│ {}", shown(source))?;
        let (indent, carets) = (shown(&before).width(), shown(marked).width().max(1));
        if indent < SNIPPET_WIDTH_MAX {
            let carets = carets.min(SNIPPET_WIDTH_MAX - indent);
            writeln!(
                text,
                "{margin}│ {}{}",
                " ".repeat(indent),
                "^".repeat(carets)
            )?;
        }
    }
    for note in &diagnostic.notes {
        writeln!(text, "{margin}= {}", safe(note))?;
    }
    if let Some(hint) = &diagnostic.hint {
        writeln!(text, "hint: {}", safe(hint))?;
    }
    Ok(())
}

/// A piece of a file as a terminal may show it: tabs as one space, what hides written out, not wider
/// than [`SNIPPET_WIDTH_MAX`].
fn shown(piece: &str) -> String {
    let mut shown = String::new();
    let mut width = 0;
    // What is behind the widest line need not be looked at.
    let piece: String = piece.chars().take(SNIPPET_WIDTH_MAX + 1).collect();
    for c in safe(&piece.replace('\t', " ")).chars() {
        width += c.width().unwrap_or(0);
        if width > SNIPPET_WIDTH_MAX {
            shown.push('…');
            break;
        }
        shown.push(c);
    }
    shown
}
