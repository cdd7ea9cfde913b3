//! Findings and mistakes in the forms that other programs read: SARIF for code scanning, `JUnit` for
//! CI, annotations for GitHub, JSON with file and line.
//!
//! The formats are small and fixed, so they are written here: quick-junit brings chrono, which no
//! crate of ours may have, and serde-sarif builds half a JSON Schema compiler.

use std::fmt::Write as _;

use planner::check::table;
use planner::diagnostic::count;
use schemas::finding::{Finding, Severity, Subject};
use schemas::shown::shown;
use schemas::yaml::Position;
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Level};
use crate::load::LoadedPlan;

/// Where pages about findings are, below which each has its code.
const PAGES: &str = "docs/findings";

/// The severity from which on a command fails, for CI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// Blockers
    Blocker,
    /// Warnings and blockers
    Warning,
}

/// What was found in a plan and of its VMs.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The plan, if it could be read.
    pub plan: Option<&'a LoadedPlan>,
    /// Mistakes in its files.
    pub diagnostics: &'a [Diagnostic],
    /// What checks had to say.
    pub findings: &'a [Finding],
}

/// One entry of any form.
struct Entry {
    code: String,
    title: String,
    severity: Severity,
    /// What it is about, in one line.
    subject: String,
    message: String,
    remedy: Option<String>,
    waived_by: Option<String>,
    file: String,
    position: Position,
}

impl Found<'_> {
    /// Whether it is bad enough for the command to fail. Mistakes in files that are taken
    /// nevertheless are warnings.
    pub fn fails(&self, on: FailOn) -> bool {
        let worst = match on {
            FailOn::Blocker => Severity::Blocker,
            FailOn::Warning => Severity::Warning,
        };
        let open = self
            .findings
            .iter()
            .filter(|finding| finding.waived_by.is_none());
        let warned = on == FailOn::Warning && !self.diagnostics.is_empty();
        warned || open.into_iter().any(|finding| finding.severity <= worst)
    }

    /// The findings as JSON, each with the file, line and column that it is about.
    pub fn json(&self) -> Vec<Value> {
        let with_place = |finding: &Finding| {
            let mut value = serde_json::to_value(finding).expect("a finding has a JSON form");
            if let (Some(plan), Some(path)) = (self.plan, &finding.path) {
                let spot = plan.spot_of(path);
                let Position { line, column } = spot.position();
                value["file"] = json!(spot.file.path);
                value["line"] = json!(line);
                value["column"] = json!(column);
            }
            value
        };
        self.findings.iter().map(with_place).collect()
    }

    /// SARIF 2.1.0 (OASIS), as code scanning takes it: a rule for each code, a result for each
    /// finding; what is waived is a suppressed result.
    pub fn sarif(&self) -> String {
        let entries = self.entries();
        let mut rules: Vec<Value> = Vec::new();
        let mut known: Vec<&str> = Vec::new();
        for entry in &entries {
            if known.contains(&entry.code.as_str()) {
                continue;
            }
            known.push(&entry.code);
            let mut rule = json!({ "id": entry.code, "shortDescription": { "text": entry.title } });
            if let Some(check) = table::check(&entry.code) {
                rule["fullDescription"] = json!({ "text": check.why });
                rule["help"] = json!({ "text": check.remedy });
                rule["helpUri"] = json!(format!("{PAGES}/{}.md", entry.code));
            }
            rules.push(rule);
        }
        let results: Vec<Value> = entries
            .iter()
            .map(|entry| {
                let level = match entry.severity {
                    Severity::Blocker => "error",
                    Severity::Warning => "warning",
                    Severity::Info => "note",
                };
                let mut result = json!({
                    "ruleId": entry.code,
                    "level": level,
                    "message": { "text": entry.text() },
                    "locations": [{
                        "physicalLocation": {
                            "artifactLocation": { "uri": uri(&entry.file) },
                            "region": {
                                "startLine": entry.position.line,
                                "startColumn": entry.position.column,
                            },
                        },
                        "logicalLocations": [{ "fullyQualifiedName": entry.subject }],
                    }],
                });
                if let Some(reason) = &entry.waived_by {
                    result["suppressions"] =
                        json!([{ "kind": "inSource", "justification": reason }]);
                }
                result
            })
            .collect();
        let sarif = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "windrow",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                } },
                "results": results,
            }],
        });
        format!("{sarif:#}\n")
    }

    /// `JUnit`'s XML: a case for each finding. Mistakes and blockers fail, waived ones are skipped, the
    /// rest passes with what was said of it.
    pub fn junit(&self) -> String {
        let entries = self.entries();
        let fails =
            |entry: &&Entry| entry.severity == Severity::Blocker && entry.waived_by.is_none();
        let failures = entries.iter().filter(fails).count();
        let skipped = entries
            .iter()
            .filter(|entry| entry.waived_by.is_some())
            .count();
        let name = self.plan.map(|plan| plan.name().to_string());
        let name = xml(name.as_deref().unwrap_or("plan"));
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let tests = entries.len().max(1);
        let numbers = format!("tests=\"{tests}\" failures=\"{failures}\"");
        let mut line = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        line(format!(
            "<testsuites name=\"windrow\" {numbers} errors=\"0\">"
        ));
        line(format!(
            "  <testsuite name=\"{name}\" {numbers} errors=\"0\" skipped=\"{skipped}\">"
        ));
        for entry in &entries {
            line(format!(
                "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\">",
                xml(&entry.code),
                xml(&entry.subject),
                xml(&entry.file),
                entry.position.line
            ));
            let said = xml(&entry.text());
            line(match &entry.waived_by {
                Some(reason) => format!("      <skipped message=\"waived: {}\"/>", xml(reason)),
                None if fails(&entry) => {
                    let title = xml(&entry.title);
                    format!("      <failure message=\"{title}\" type=\"blocker\">{said}</failure>")
                }
                None => format!("      <system-out>{}: {said}</system-out>", entry.severity),
            });
            line("    </testcase>".to_owned());
        }
        if entries.is_empty() {
            line(format!(
                "    <testcase classname=\"plan\" name=\"{name}\"/>"
            ));
        }
        line("  </testsuite>\n</testsuites>".to_owned());
        text
    }

    /// Workflow commands of GitHub Actions: an annotation in the file for each.
    pub fn github(&self) -> String {
        let mut text = String::new();
        for entry in self.entries() {
            let command = match (entry.severity, &entry.waived_by) {
                (_, Some(_)) | (Severity::Info, None) => "notice",
                (Severity::Warning, None) => "warning",
                (Severity::Blocker, None) => "error",
            };
            writeln!(
                text,
                "::{command} file={},line={},col={},title={}::{}",
                property(&entry.file),
                entry.position.line,
                entry.position.column,
                property(&format!("{}: {}", entry.code, entry.subject)),
                entry.text().replace('%', "%25")
            )
            .expect("a String takes everything");
        }
        text
    }

    /// Mistakes first, then findings, the worst first, as they are sorted.
    fn entries(&self) -> Vec<Entry> {
        let mistakes = self.diagnostics.iter().map(|diagnostic| Entry {
            code: diagnostic.kind.to_owned(),
            title: diagnostic.kind.replace('-', " "),
            severity: match diagnostic.level {
                Level::Error => Severity::Blocker,
                Level::Warning => Severity::Warning,
            },
            subject: safe(&diagnostic.spot.path),
            message: safe(&diagnostic.message),
            remedy: diagnostic.hint.as_deref().map(safe),
            waived_by: None,
            file: safe(diagnostic.spot.file.path.as_str()),
            position: diagnostic.spot.position(),
        });
        let findings = self.plan.into_iter().flat_map(|plan| {
            self.findings.iter().map(move |finding| {
                let spot = plan.spot_of(finding.path.as_deref().unwrap_or_default());
                let title = table::check(&finding.code).map_or("", |check| check.title);
                Entry {
                    code: finding.code.clone(),
                    title: title.to_owned(),
                    severity: finding.severity,
                    subject: safe(&subject(&finding.subject)),
                    message: safe(&finding.evidence),
                    remedy: Some(safe(&finding.remedy)),
                    waived_by: finding.waived_by.as_deref().map(safe),
                    file: safe(spot.file.path.as_str()),
                    position: spot.position(),
                }
            })
        });
        mistakes.chain(findings).collect()
    }
}

impl Entry {
    /// In one line: about what, what, and what to do.
    fn text(&self) -> String {
        let mut text = match self.subject.as_str() {
            "" => self.message.clone(),
            subject => format!("{subject}: {}", self.message),
        };
        if let Some(remedy) = &self.remedy {
            write!(text, " ({remedy})").expect("a String takes everything");
        }
        text
    }
}

fn safe(text: &str) -> String {
    shown(text).into_owned()
}

/// What a finding is about, for people.
pub fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Vm { key, name } => format!("{name} [{key}]"),
        other => other.in_words(str::to_owned),
    }
}

/// A relative reference: every byte that means something in a URI is written as its number.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a String takes everything");
        }
    }
    uri
}

/// Text between tags and in attributes.
pub(crate) fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A property of a workflow command.
pub(crate) fn property(text: &str) -> String {
    text.replace('%', "%25")
        .replace(':', "%3A")
        .replace(',', "%2C")
}

/// `2 blockers and 1 warning`, of what is not waived.
pub fn told(findings: &[Finding]) -> String {
    let open = |severity| {
        let same = |finding: &&Finding| finding.severity == severity && finding.waived_by.is_none();
        findings.iter().filter(same).count()
    };
    let blockers = count(open(Severity::Blocker), "blocker");
    format!(
        "{blockers} and {}",
        count(open(Severity::Warning), "warning")
    )
}
