//! Exit codes: what a command came to, and the one table that makes it a number.

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Done; nothing is left to do.
    Done,
    /// `plan --detailed-exitcode`: done, and files were or would be changed.
    Changes,
    /// `diff`, or `--check`: what is on disk is not what would be written.
    Differs,
    /// Refused: the input is not good, and nothing was changed.
    Refused,
    /// The command line is wrong, or a file cannot be read or written.
    Misused,
    /// `apply`: begun, and not all of it done.
    Unfinished,
    /// An outside system failed; the same command may work later.
    Outside,
    /// A bug of ours.
    Bug,
}

/// Commands whose codes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `plan`, where 2 means changes, as with Terraform.
    Plan,
    /// `diff`, `plan --check` and `render --check`, which compare.
    Check,
    /// All others.
    Other,
}

/// The table, as `docs/reference.md` has it. An outcome that a family cannot have stands as for others.
#[rustfmt::skip]
pub const TABLE: [(Outcome, [u8; 3]); 8] = [
    //                     Plan  Check Other
    (Outcome::Done, [0, 0, 0]),
    (Outcome::Changes, [2, 1, 2]),
    (Outcome::Differs, [1, 1, 1]),
    (Outcome::Refused, [1, 2, 1]),
    (Outcome::Misused, [1, 2, 2]),
    (Outcome::Unfinished, [4, 4, 4]),
    (Outcome::Outside, [75, 75, 75]),
    (Outcome::Bug, [70, 70, 70]),
];

impl Family {
    /// Of a command line, which need not be right: usage errors have a family too.
    pub fn of<S: AsRef<str>>(arguments: &[S]) -> Self {
        // Global options take no values, so the first other word is the verb.
        let verb = arguments
            .iter()
            .map(AsRef::as_ref)
            .find(|word| !word.starts_with('-'));
        let checks = arguments.iter().any(|word| word.as_ref() == "--check");
        match (verb, checks) {
            (Some("plan"), false) => Self::Plan,
            (Some("plan" | "render" | "fmt"), true) | (Some("diff"), _) => Self::Check,
            _ => Self::Other,
        }
    }

    /// The exit code of `outcome`.
    pub fn code(self, outcome: Outcome) -> u8 {
        let column = match self {
            Self::Plan => 0,
            Self::Check => 1,
            Self::Other => 2,
        };
        let (_, codes) = TABLE
            .iter()
            .find(|(row, _)| *row == outcome)
            .expect("the table has a row for every outcome; a test looks");
        codes[column]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The table of docs/reference.md, row by row.
    #[test]
    fn documented_codes() {
        use Outcome::{Bug, Changes, Differs, Done, Misused, Outside, Refused, Unfinished};
        for (family, outcome, code) in [
            (Family::Plan, Done, 0),
            (Family::Plan, Refused, 1),
            (Family::Plan, Misused, 1),
            (Family::Plan, Changes, 2),
            (Family::Check, Done, 0),
            (Family::Check, Differs, 1),
            (Family::Check, Refused, 2),
            (Family::Check, Misused, 2),
            (Family::Other, Done, 0),
            (Family::Other, Refused, 1),
            (Family::Other, Misused, 2),
            (Family::Other, Unfinished, 4),
            (Family::Other, Outside, 75),
            (Family::Other, Bug, 70),
        ] {
            assert_eq!(family.code(outcome), code, "{family:?} {outcome:?}");
        }
    }

    // Every outcome has its row, in the order of the type, so that no code is left to chance.
    #[test]
    fn complete() {
        assert!(TABLE.is_sorted_by_key(|(outcome, _)| *outcome));
        assert_eq!(TABLE.len(), Outcome::Bug as usize + 1);
    }

    // The family is seen even where the command line is wrong.
    #[test]
    fn families() {
        assert_eq!(Family::of(&["--quiet", "plan", "--nope"]), Family::Plan);
        assert_eq!(Family::of(&["plan", "p.yaml", "--check"]), Family::Check);
        assert_eq!(Family::of(&["render", "--check"]), Family::Check);
        assert_eq!(Family::of(&["render", "p.yaml"]), Family::Other);
        assert_eq!(Family::of(&["diff", "-o", "json"]), Family::Check);
        assert_eq!(Family::of(&["validate", "plan"]), Family::Other);
        assert_eq!(Family::of::<&str>(&[]), Family::Other);
    }
}
