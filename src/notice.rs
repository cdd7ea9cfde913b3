//! `windrow notice`: what the owners of services are told, and when it is in their calendars.

use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};
use planner::notice::{Notice, calendar, notices, words};
use schemas::suggest;

use crate::cli::{InputArguments, PlanArgument};
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::load::{self, Inputs};
use crate::output::Output;
use crate::plan;

/// Write a notice for the owner of each service, and its cut-over for their calendar
///
/// Plans anew, in memory, and writes for each service of the plan `SERVICE.md` (for its ticket),
/// `SERVICE.txt` (for a mail) and `SERVICE.ics` (for a calendar): when it is down, for how long, what
/// will be different, with owner and change. An appointment that was published keeps its identity:
/// written over the old file, a changed one replaces it in calendars, and one that is no more is
/// cancelled. Connects to nothing and sends nothing.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    plan: PlanArgument,
    #[command(flatten)]
    input: InputArguments,
    /// Only for this service; may be given several times
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Print this form and write nothing
    #[arg(long, short, value_enum)]
    output: Option<Form>,
    /// Where the files go [default: `notices` beside the plan]
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
}

/// Forms of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For a ticket
    Markdown,
    /// For a mail
    Text,
    /// For a calendar (iCalendar, RFC 5545); its lines end as no terminal's do, so it is a file only
    #[value(skip)]
    Ics,
}

impl Form {
    const ALL: [Self; 3] = [Self::Markdown, Self::Text, Self::Ics];

    fn ending(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Text => "txt",
            Self::Ics => "ics",
        }
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let Inputs {
        plan: loaded,
        inventory,
        committed,
    } = load::inputs(&arguments.plan.plan, &arguments.input, None)?;
    let planned = planner::plan_after(&loaded.plan.value, loaded.site(), &inventory, &committed);
    let planned = match planned {
        Ok(planned) => planned,
        Err(refusal) => return plan::refuse(refusal, plan::Form::Table, &loaded, output),
    };
    let all = notices(&planned);
    let known: Vec<String> = all
        .iter()
        .map(|notice| notice.service.to_string())
        .collect();
    if all.is_empty() {
        let file = &loaded.plan.file.path;
        return Err(Failure::refused(NoticeError::NoService)
            .hint(format!("name them in {file}: `services: [ {{ name: erp, workloads: [db, app], owner: erp-team }} ]`")));
    }
    if let Some(name) = arguments.services.iter().find(|name| !known.contains(name)) {
        let near = suggest::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        let failure = Failure::misused(NoticeError::Unknown { name: name.clone() });
        return Err(failure.hint(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the plan has {}", suggest::list(&known)),
        }));
    }
    let wanted = |notice: &&Notice| {
        let named = |name: &String| name == notice.service.as_str();
        arguments.services.is_empty() || arguments.services.iter().any(named)
    };
    let folder = arguments.out.clone();
    let folder = folder.unwrap_or_else(|| loaded.folder().join("notices"));
    for notice in all.iter().filter(wanted) {
        if notice.origin.is_none() && arguments.output.is_none() {
            output.say(&format!(
                "no appointment for `{}`: the plan has no `start`, so there is no date yet",
                notice.service
            ));
        }
        if let Some(form) = arguments.output {
            if let Some(text) = render(notice, form, &folder)? {
                output.data(&text);
            }
            continue;
        }
        for form in Form::ALL {
            if let Some(text) = render(notice, form, &folder)? {
                let file = file(&folder, notice, form);
                let told = if write(&file, &text)? {
                    "wrote"
                } else {
                    "unchanged"
                };
                output.say(&format!("{told} {file}"));
            }
        }
    }
    Ok(Outcome::Done)
}

fn file(folder: &Utf8Path, notice: &Notice, form: Form) -> Utf8PathBuf {
    folder.join(format!("{}.{}", notice.service, form.ending()))
}

/// The notice in that form; an appointment goes on from the one that was published.
fn render(notice: &Notice, form: Form, folder: &Utf8Path) -> Result<Option<String>, Failure> {
    Ok(match form {
        Form::Markdown => Some(words::markdown(notice)),
        Form::Text => Some(words::text(notice)),
        Form::Ics => {
            let published = read(&file(folder, notice, form))?;
            calendar::render(notice, published.as_deref())
        }
    })
}

fn read(file: &Utf8Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Failure::misused(NoticeError::Read {
            file: file.to_owned(),
            source,
        })),
    }
}

/// Writes a file unless it is so already; true if it was not.
fn write(file: &Utf8Path, text: &str) -> Result<bool, Failure> {
    let failed = |source| {
        Failure::misused(NoticeError::Write {
            file: file.to_owned(),
            source,
        })
    };
    if fs::read(file).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(false);
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(file, text).map_err(failed)?;
    Ok(true)
}

/// Why there is no notice.
#[derive(Debug, thiserror::Error)]
enum NoticeError {
    /// Nobody is to be told.
    #[error("write notices: the plan has no services")]
    NoService,
    /// There is no such service.
    #[error("find the service `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A file cannot be read.
    #[error("read `{file}`")]
    Read {
        /// Which.
        file: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("write `{file}`")]
    Write {
        /// Which.
        file: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
}
