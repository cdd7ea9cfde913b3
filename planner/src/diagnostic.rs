//! What is wrong with a plan or a site, with the field that it stands in.
//!
//! A diagnostic is about what people wrote; a finding ([`schemas::finding`]) is about what they
//! want to move. The command line turns the path into file, line and column.

use std::fmt::{self, Write as _};

use schemas::ids::{SourceName, VmId, VmKey};
use schemas::inventory::SourceKind;
use serde::Serialize;

/// Something wrong with a plan or a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether there is a plan in spite of it.
    pub level: Level,
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub problem: Problem,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// There is no plan until it is mended.
    Error,
    /// There is a plan, and probably not the one that was meant.
    Warning,
}

/// A field of the plan or of the site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In which file.
    pub file: File,
    /// The field below `spec`, as in `workloads[1].select[0].names[2]`; empty for the whole.
    pub path: String,
}

/// The two files that people write for the planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum File {
    /// The `MigrationPlan`.
    Plan,
    /// The `MigrationSite`; a site that stands inline belongs to the plan's file.
    Site,
    /// A cell of a table of facts; its place's path is that of the table's entry in the site.
    Facts {
        /// The position in the table's rows.
        row: usize,
        /// The position in the row's cells.
        column: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = match self.file {
            File::Plan => "plan",
            File::Site => "site",
            File::Facts { row, column } => {
                return write!(f, "{}: row {}, column {}", self.path, row + 1, column + 1);
            }
        };
        if self.path.is_empty() {
            write!(f, "{file}: spec")
        } else {
            write!(f, "{file}: spec.{}", self.path)
        }
    }
}

/// Kinds of things that have names in plans and sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A source.
    Source,
    /// A target.
    Target,
    /// A workload.
    Workload,
    /// A window.
    Window,
    /// An occurrence of a window.
    Occurrence,
    /// A pinned wave.
    Wave,
    /// A VM, by name.
    VmName,
    /// A VM, by id.
    VmId,
    /// A folder of VMs.
    Folder,
    /// A network of a source.
    Network,
    /// A finding's code.
    Code,
    /// A time zone.
    TimeZone,
    /// A service.
    Service,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Workload => "workload",
            Self::Window => "window",
            Self::Occurrence => "occurrence",
            Self::Wave => "wave",
            Self::VmName | Self::VmId => "VM",
            Self::Folder => "folder",
            Self::Network => "network",
            Self::Code => "finding",
            Self::TimeZone => "time zone",
            Self::Service => "service",
        })
    }
}

impl Kind {
    /// `source is called`, `VM has the id`, before a name that nothing bears.
    fn borne(self) -> String {
        let verb = match self {
            Self::VmId => "has the id",
            Self::Code => "has the code",
            _ => "is called",
        };
        format!("{self} {verb}")
    }
}

/// What can be wrong. The text says the rule and the value that broke it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A name that nothing bears.
    #[error("no {} `{name}`{}", kind.borne(), among(within.as_deref()))]
    Unknown {
        /// What was to be named.
        kind: Kind,
        /// The name as written.
        name: String,
        /// Where it was looked for, if not in the same file.
        within: Option<String>,
        /// The most similar name that exists.
        nearest: Option<String>,
    },
    /// A name that two things bear.
    #[error("two {kind}s are called `{name}`")]
    Duplicate {
        /// What they are.
        kind: Kind,
        /// Their name.
        name: String,
    },
    /// The fields of a selector hold for VMs one by one, but for none together.
    #[error("the selector matches no VM of `{source_name}`{}", why.as_ref().map(|w| format!(": {w}")).unwrap_or_default())]
    SelectsNothing {
        /// The source it looks in.
        source_name: SourceName,
        /// What came nearest.
        why: Option<String>,
    },
    /// A selector's name is borne by VMs that its other fields rule out.
    #[error("`{name}` is in `{source_name}`, but the selector's other fields rule it out")]
    NameRuledOut {
        /// The source.
        source_name: SourceName,
        /// The name or id.
        name: String,
    },
    /// A pattern that cannot be read.
    #[error("`{pattern}` is no pattern: {reason}")]
    BadPattern {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A selector's field that means nothing to its source.
    #[error("`{field}` is for {} sources, and `{source_name}` is none", kind_word(*only))]
    NotOfKind {
        /// The source.
        source_name: SourceName,
        /// The field.
        field: &'static str,
        /// The kind of source that it is for.
        only: SourceKind,
    },
    /// `exclude` takes all that the selector met.
    #[error("the workload's `exclude` leaves nothing of what this selector matches")]
    AllExcluded,
    /// `workloadsFrom` has nothing to group.
    #[error("no VM of `{source_name}` that is left over has a value for `{group_by}`")]
    GroupsNothing {
        /// What to group by.
        group_by: String,
        /// The source.
        source_name: SourceName,
    },
    /// VMs without a value to be grouped by.
    #[error("{} no value for `{group_by}`, and no workload: {}", if vms.len() == 1 { "1 VM has".to_owned() } else { format!("{} VMs have", vms.len()) }, list(vms))]
    Unlabelled {
        /// What to group by.
        group_by: String,
        /// The VMs.
        vms: Vec<String>,
    },
    /// VMs with several values to be grouped by.
    #[error("{} several values for `{group_by}`: {}", if vms.len() == 1 { "1 VM has".to_owned() } else { format!("{} VMs have", vms.len()) }, list(vms))]
    SeveralGroups {
        /// What to group by.
        group_by: String,
        /// The VMs, each with two of its values.
        vms: Vec<String>,
    },
    /// A table of facts that has no such column.
    #[error("`{file}` has no column `{column}`")]
    NoColumn {
        /// The table.
        file: String,
        /// The column.
        column: String,
        /// The most similar column that exists.
        nearest: Option<String>,
    },
    /// A table's rows about VMs that no inventory has.
    #[error("{} of no VM of the inventory: {}", if keys.len() == 1 { "1 row is".to_owned() } else { format!("{} rows are", keys.len()) }, list(keys))]
    FactsOfUnknown {
        /// What the rows call them.
        keys: Vec<String>,
        /// The name most similar to the first one.
        nearest: Option<String>,
    },
    /// A row that several VMs could be meant by.
    #[error("`{key}` may be any of {}", list(vms))]
    FactsAmbiguous {
        /// What the row calls it.
        key: String,
        /// The VMs.
        vms: Vec<VmKey>,
    },
    /// A second row about a VM.
    #[error("`{vm}` has a row already, in line {first}")]
    FactsTwice {
        /// The VM.
        vm: VmKey,
        /// The first row's line.
        first: usize,
    },
    /// A cell that should hold a day.
    #[error("`{0}` is no day")]
    BadDay(String),
    /// A day is needed to judge ages and expiries.
    #[error("an age or expiry is given, but no day to judge it by")]
    NoDay,
    /// A waiver's pattern that meets no VM of the plan.
    #[error("`{0}` meets no VM that this plan selects")]
    MeetsNothing(String),
    /// A severity that would make a blocker pass.
    #[error("`{code}` is a blocker, and a blocker is not lowered for a whole plan")]
    NeverLowered {
        /// The code.
        code: String,
    },
    /// Two workloads select the same VM, or one selects what is out of scope.
    #[error("{} already {} to workload `{owner}`", list(vms), if vms.len() == 1 { "belongs" } else { "belong" })]
    ClaimedTwice {
        /// The VMs, `SOURCE/ID (name)`.
        vms: Vec<String>,
        /// Who has them.
        owner: String,
        /// By which selector, as in `workloads[1].select[0]`.
        by: String,
    },
    /// A workload whose selectors met nothing that could move.
    #[error("workload `{name}` has no VM to move: {why}")]
    EmptyWorkload {
        /// The workload.
        name: String,
        /// What was met instead.
        why: String,
    },
    /// Workloads that wait for each other.
    #[error("workloads wait for each other: {}", cycle.join(" → "))]
    Cycle {
        /// Member by member; the last one is the first one again.
        cycle: Vec<String>,
    },
    /// Another plan that is not there.
    #[error("no `plan.yaml`{} holds a plan `{plan}`", below.as_ref().map(|below| format!(" below `{below}`")).unwrap_or_default())]
    NoPlan {
        /// The plan as written.
        plan: String,
        /// Where it was looked for.
        below: Option<String>,
        /// The most similar plan that is there.
        nearest: Option<String>,
    },
    /// Another plan that is there twice.
    #[error("two files hold a plan `{plan}`: `{}` and `{}`", paths[0], paths[1])]
    PlanTwice {
        /// The plan as written.
        plan: String,
        /// The two.
        paths: [String; 2],
    },
    /// This plan, named as if it were another one.
    #[error("`{asked}` is of this plan")]
    OwnPlan {
        /// As written.
        asked: String,
        /// The workload alone.
        workload: String,
    },
    /// A workload of another plan that is in no wave.
    #[error("`{workload}` is in no wave of its plan, so nobody knows which machines it has")]
    NotPlanned {
        /// The workload as written.
        workload: String,
        /// Its plan's file.
        path: String,
    },
    /// A workload of another plan whose times nobody foretold.
    #[error("the forecast of its plan does not say when `{workload}` is done")]
    NotForetold {
        /// The workload as written.
        workload: String,
        /// Its plan's file.
        path: String,
    },
    /// Two plans without a clock in common.
    #[error("when `{workload}` is done cannot be told on this plan's clock: {}", if *theirs { format!("the forecast beside `{path}` counts from no instant") } else { "this plan has no `start`".to_owned() })]
    NoCommonClock {
        /// The workload as written.
        workload: String,
        /// Its plan's file.
        path: String,
        /// It is the other plan that lacks a start.
        theirs: bool,
    },
    /// A name that several VMs bear where one is meant.
    #[error("{} VMs of `{source_name}` are called `{name}`", ids.len())]
    Ambiguous {
        /// The source.
        source_name: SourceName,
        /// The name.
        name: String,
        /// Their ids.
        ids: Vec<VmId>,
    },
    /// A VM named as on the command line, and several are meant.
    #[error("`{text}` may be any of {}", list(vms))]
    AmbiguousVm {
        /// As written.
        text: String,
        /// What it may mean, `SOURCE/ID` each.
        vms: Vec<String>,
    },
    /// `machines` or `waivers` speaks of a VM that no workload selects.
    #[error("no workload selects `{0}`")]
    NotSelected(VmKey),
    /// Two entries of `machines` for one VM.
    #[error("`{0}` has an entry of its own already")]
    MachineTwice(VmKey),
    /// A waiver for what must not be waived.
    #[error("`{code}` cannot be waived: {why}")]
    NotWaivable {
        /// The code.
        code: String,
        /// Why not.
        why: &'static str,
    },
    /// A workload in two pinned waves.
    #[error("workload `{workload}` is in wave `{other}` already")]
    WorkloadInTwoWaves {
        /// The workload.
        workload: String,
        /// The wave that has it.
        other: String,
    },
    /// A step outside in a pinned wave.
    #[error("`{step}` is a step outside: it has no VMs that a wave could have")]
    StepInWave {
        /// The step's workload.
        step: String,
    },
    /// A workload in two services.
    #[error("workload `{workload}` is in service `{other}` already")]
    WorkloadInTwoServices {
        /// The workload.
        workload: String,
        /// The service that has it.
        other: String,
    },
    /// A service that is to stay in one occurrence, and whose workloads are pinned to two.
    #[error(
        "service `{service}` is to be moved together, but {}",
        apart(workloads, windows)
    )]
    TogetherApart {
        /// The service.
        service: String,
        /// Two of its workloads.
        workloads: [String; 2],
        /// What each is pinned to.
        windows: [String; 2],
    },
    /// A canary that is not in its wave.
    #[error("`{vm}` belongs to workload `{workload}`, which is not in wave `{wave}`")]
    CanaryElsewhere {
        /// The VM as written.
        vm: String,
        /// Its workload.
        workload: String,
        /// The wave.
        wave: String,
    },
    /// Machines that wait for each other, by VM dependencies, canaries or waves.
    #[error("machines wait for each other: {}", cycle.join(" → "))]
    Circle {
        /// Member by member; the last one is the first one again.
        cycle: Vec<String>,
    },
    /// Freezes, and no windows that they could shorten.
    #[error(
        "the site has freezes but no windows, and without windows anything may start at any time"
    )]
    FreezeWithoutWindows,
    /// A freeze that ends before it begins.
    #[error("a freeze from {from} to {to} has no day")]
    EmptyFreeze {
        /// Its first day.
        from: String,
        /// Its last day.
        to: String,
    },
    /// The site names windows, and the plan no origin of time.
    #[error("the site has change windows, so the plan needs an origin of time")]
    NoStart,
    /// A wave names a window, and there is none.
    #[error("an occurrence is given, but the site has no windows")]
    NoWindows,
    /// A cron expression that cannot be read.
    #[error("`{cron}` is no time that recurs: {reason}")]
    BadCron {
        /// As written.
        cron: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An occurrence that ends before it begins, or lasts no longer than its lockout.
    #[error("occurrence `{0}` leaves no time to start anything")]
    EmptyOccurrence(String),
    /// A local time that a clock change skips or repeats.
    #[error("{local} in `{zone}` is {} by a clock change; that occurrence is left out", if *repeated { "repeated" } else { "skipped" })]
    ClockChange {
        /// The local time.
        local: String,
        /// The zone.
        zone: String,
        /// Whether it happens twice rather than not at all.
        repeated: bool,
    },
    /// No snapshot of a source that the plan selects from.
    #[error("there is no snapshot of source `{0}`")]
    NoSnapshot(SourceName),
    /// A snapshot that is not of the source that the site names.
    #[error("the snapshot of `{source_name}` is of {snapshot}, the site says {site}")]
    OtherSnapshot {
        /// The source.
        source_name: SourceName,
        /// What the snapshot says.
        snapshot: String,
        /// What the site says.
        site: String,
    },
    /// An inventory that lists an id twice.
    #[error("the snapshot of `{source_name}` lists {count} VMs with the id `{id}`")]
    IdTwice {
        /// The source.
        source_name: SourceName,
        /// The id.
        id: VmId,
        /// How many.
        count: usize,
    },
    /// Neither site nor snapshot says how large the scratch is.
    #[error("the scratch of `{target}` has no known size{}", why.as_ref().map(|w| format!(": {w}")).unwrap_or_default())]
    NoScratchSize {
        /// The target.
        target: String,
        /// What the snapshot says of it.
        why: Option<String>,
    },
    /// Two lines of a network mapping for the same network (P09).
    #[error("`{from}` of `{source_name}` is mapped already")]
    MappedTwice {
        /// The source.
        source_name: SourceName,
        /// The network.
        from: String,
    },
    /// A name that becomes an object's name and is too long for it.
    #[error("`{name}` has {} characters, and only {max} fit", name.chars().count())]
    TooLong {
        /// The name that would result.
        name: String,
        /// Most characters.
        max: usize,
    },
    /// Two OVA items whose source objects would have one name.
    #[error("two OVA items would share the source object `{0}`")]
    SourceObjectTwice(String),
}

impl Problem {
    /// A stable word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Duplicate { .. } => "duplicate",
            Self::SelectsNothing { .. } => "selects-nothing",
            Self::NameRuledOut { .. } => "name-ruled-out",
            Self::BadPattern { .. } => "bad-pattern",
            Self::NotOfKind { .. } => "not-of-kind",
            Self::AllExcluded => "all-excluded",
            Self::GroupsNothing { .. } => "groups-nothing",
            Self::Unlabelled { .. } => "unlabelled",
            Self::SeveralGroups { .. } => "several-groups",
            Self::NoColumn { .. } => "no-column",
            Self::FactsOfUnknown { .. } => "facts-of-unknown",
            Self::FactsAmbiguous { .. } => "facts-ambiguous",
            Self::FactsTwice { .. } => "facts-twice",
            Self::BadDay(_) => "bad-day",
            Self::NoDay => "no-day",
            Self::MeetsNothing(_) => "meets-nothing",
            Self::NeverLowered { .. } => "never-lowered",
            Self::ClaimedTwice { .. } => "claimed-twice",
            Self::EmptyWorkload { .. } => "empty-workload",
            Self::Cycle { .. } => "cycle",
            Self::NoPlan { .. } => "no-plan",
            Self::PlanTwice { .. } => "plan-twice",
            Self::OwnPlan { .. } => "own-plan",
            Self::NotPlanned { .. } => "not-planned",
            Self::NotForetold { .. } => "not-foretold",
            Self::NoCommonClock { .. } => "no-common-clock",
            Self::Ambiguous { .. } | Self::AmbiguousVm { .. } => "ambiguous",
            Self::NotSelected(_) => "not-selected",
            Self::MachineTwice(_) => "machine-twice",
            Self::NotWaivable { .. } => "not-waivable",
            Self::WorkloadInTwoWaves { .. } => "workload-in-two-waves",
            Self::StepInWave { .. } => "step-in-wave",
            Self::WorkloadInTwoServices { .. } => "workload-in-two-services",
            Self::TogetherApart { .. } => "together-apart",
            Self::CanaryElsewhere { .. } => "canary-elsewhere",
            Self::Circle { .. } => "circle",
            Self::FreezeWithoutWindows => "freeze-without-windows",
            Self::EmptyFreeze { .. } => "empty-freeze",
            Self::NoStart => "no-start",
            Self::NoWindows => "no-windows",
            Self::BadCron { .. } => "bad-cron",
            Self::EmptyOccurrence(_) => "empty-occurrence",
            Self::ClockChange { .. } => "clock-change",
            Self::NoSnapshot(_) => "no-snapshot",
            Self::OtherSnapshot { .. } => "other-snapshot",
            Self::IdTwice { .. } => "id-twice",
            Self::NoScratchSize { .. } => "no-scratch-size",
            Self::MappedTwice { .. } => "mapped-twice",
            Self::TooLong { .. } => "too-long",
            Self::SourceObjectTwice(_) => "source-object-twice",
        }
    }

    /// Another place that bears on it, and what stands there.
    pub fn also(&self) -> Option<(Place, String)> {
        match self {
            Self::ClaimedTwice { owner, by, .. } => Some((
                Place {
                    file: File::Plan,
                    path: by.clone(),
                },
                format!("`{owner}` takes them here"),
            )),
            _ => None,
        }
    }

    /// What the reader can do about it, where the text does not say so by itself.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { nearest, .. } => format!("did you mean `{}`?", nearest.as_ref()?),
            Self::NoColumn { nearest, .. } | Self::FactsOfUnknown { nearest, .. } => {
                format!("did you mean `{}`?", nearest.as_ref()?)
            }
            Self::Unlabelled { .. } => {
                "label them at the source, select them in a workload, or list them in `outOfScope`"
                    .to_owned()
            }
            Self::SeveralGroups { .. } => {
                "keep one value at the source, or select them in a workload of their own".to_owned()
            }
            Self::FactsAmbiguous { .. } => {
                "write `SOURCE/NAME` or `SOURCE/ID` in its place".to_owned()
            }
            Self::FactsTwice { .. } => "keep one of the two rows".to_owned(),
            Self::BadDay(_) => "write year, month and day, as in `2026-11-20`".to_owned(),
            Self::NoDay => {
                "set the plan's `start`, or give the day with `--as-of`, as in `--as-of 2026-11-20`"
                    .to_owned()
            }
            Self::MeetsNothing(_) => "remove it, or mend the pattern".to_owned(),
            Self::NeverLowered { .. } => {
                "waive it for the VMs that may be moved with it, by name".to_owned()
            }
            Self::Duplicate { .. } => "give one of them another name".to_owned(),
            Self::NameRuledOut { .. } => {
                "the fields of one item must all hold; move it to an item of its own".to_owned()
            }
            Self::ClaimedTwice { .. } => {
                "a VM is moved once: narrow one of the two selectors".to_owned()
            }
            Self::Cycle { .. } => "remove one `dependsOn` of the circle".to_owned(),
            Self::NoPlan { .. }
            | Self::PlanTwice { .. }
            | Self::OwnPlan { .. }
            | Self::NotPlanned { .. }
            | Self::NotForetold { .. }
            | Self::NoCommonClock { .. } => return self.hint_on_plans(),
            Self::Ambiguous { ids, .. } => {
                format!("write `id:` instead of `name:`, one of {}", list(ids))
            }
            Self::AmbiguousVm { .. } => "write one of them in its place".to_owned(),
            Self::NotSelected(_) => "add it to a workload's `select` first".to_owned(),
            Self::TogetherApart { .. } => {
                "pin them to the same window and occurrence, or leave out `together`".to_owned()
            }
            Self::CanaryElsewhere { .. } => {
                "name a VM of the wave's own workloads".to_owned()
            }
            Self::Circle { .. } => {
                "remove one `after`, `dependsOn` or canary of the circle".to_owned()
            }
            Self::FreezeWithoutWindows => {
                "give the site a window, as in `every: { cron: \"0 0 * * *\", timeZone: UTC, lasts: 24h }`"
                    .to_owned()
            }
            Self::EmptyFreeze { .. } => "both days are part of it: mend one".to_owned(),
            Self::NoStart => "set `start`, as in `start: \"2026-11-28T00:00:00+01:00\"`".to_owned(),
            Self::NoWindows => "remove `occurrence`, or give the site a window".to_owned(),
            Self::BadCron { .. } => {
                "write minute, hour, day of month, month, day of week, as in `0 22 * * 6`"
                    .to_owned()
            }
            Self::EmptyOccurrence(_) => {
                "end it later than its start plus the window's `lockout`".to_owned()
            }
            Self::ClockChange { .. } => "open the window at an hour that every day has".to_owned(),
            Self::NoSnapshot(source) => {
                format!(
                    "run `windrow inventory pull PLAN --source {source}`, or name the folder with `--inventory`"
                )
            }
            Self::OtherSnapshot { .. } | Self::IdTwice { .. } => {
                "run `windrow inventory pull` again".to_owned()
            }
            Self::NoScratchSize { .. } => {
                "set `scratch.capacity` of the target, or pull its snapshot".to_owned()
            }
            Self::MappedTwice { .. } => "keep one of the two lines".to_owned(),
            Self::TooLong { .. } | Self::SourceObjectTwice(_) => {
                "shorten or change the name".to_owned()
            }
            Self::SelectsNothing { .. }
            | Self::BadPattern { .. }
            | Self::NotOfKind { .. }
            | Self::AllExcluded
            | Self::GroupsNothing { .. }
            | Self::EmptyWorkload { .. }
            | Self::MachineTwice(_)
            | Self::NotWaivable { .. }
            | Self::WorkloadInTwoWaves { .. }
            | Self::StepInWave { .. }
            | Self::WorkloadInTwoServices { .. } => return None,
        })
    }

    /// The same, where it is about another plan.
    fn hint_on_plans(&self) -> Option<String> {
        Some(match self {
            Self::NoPlan { nearest, .. } => match nearest {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "put both plans below the folder of their site, each as `plan.yaml` in a folder \
                         of its own; a plan in another namespace is written `NAMESPACE/PLAN/WORKLOAD`"
                    .to_owned(),
            },
            Self::PlanTwice { .. } => "give one of them another name or namespace".to_owned(),
            Self::OwnPlan { workload, .. } => format!("write `{workload}`"),
            Self::NotPlanned { path, .. } => format!("run `windrow plan {path}` first"),
            Self::NotForetold { path, .. } => format!(
                "run `windrow plan {path}` again; of machines that run already, `windrow inventory \
                 pull` brings the target's word"
            ),
            Self::NoCommonClock { theirs: true, path, .. } => format!(
                "give `{path}` a `start`, and run `windrow plan {path}` again"
            ),
            Self::NoCommonClock { .. } => {
                "set `start`, as in `start: \"2026-11-28T00:00:00+01:00\"`".to_owned()
            }
            _ => return None,
        })
    }
}

/// Collects diagnostics of one resolution.
#[derive(Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Notes an error.
    pub fn error(&mut self, place: Place, problem: Problem) {
        self.0.push(Diagnostic {
            level: Level::Error,
            place,
            problem,
        });
    }

    /// Notes a warning.
    pub fn warning(&mut self, place: Place, problem: Problem) {
        self.0.push(Diagnostic {
            level: Level::Warning,
            place,
            problem,
        });
    }

    /// Whether an error is among them.
    pub fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|diagnostic| diagnostic.level == Level::Error)
    }

    /// All of them, in the order in which they were noted (that of the files).
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}

/// The name most similar to `name`, if it is similar enough to have been meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    schemas::suggest::nearest(name, known).map(str::to_owned)
}

/// `` `db` is in window `a` and `app` in `b` ``.
fn apart([a, b]: &[String; 2], [in_a, in_b]: &[String; 2]) -> String {
    format!("`{a}` is in {in_a} and `{b}` in {in_b}")
}

fn kind_word(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Vmware => "VMware",
        SourceKind::Openstack => "OpenStack",
        SourceKind::Ova => "OVA",
    }
}

fn among(within: Option<&str>) -> String {
    within
        .map(|within| format!(" in {within}"))
        .unwrap_or_default()
}

/// Most names that a message lists; the rest is counted.
const LISTED_MAX: usize = 5;

/// `` `a`, `b`, and 3 more ``.
pub fn list<T: fmt::Display>(items: &[T]) -> String {
    let mut text = items
        .iter()
        .take(LISTED_MAX)
        .map(|item| format!("`{item}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if items.len() > LISTED_MAX {
        let more = items.len() - LISTED_MAX;
        write!(text, ", and {more} more").expect("a String takes everything");
    }
    text
}

/// `1 VM`, `2 VMs`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}
