//! "Did you mean": the nearest known name to one that is not known.

use std::fmt;

/// The name most similar to `name`, if it is similar enough to have been meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this Jaro-Winkler similarity suggestions are guesses: `web` and `app` have 0, `erp-db`
    /// and `erp-app` 0.85, a swapped or missing letter in a short name 0.92.
    const SIMILARITY_MIN: f64 = 0.8;
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&wanted, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        // Of equally similar ones the first by name, whatever their order.
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| y.cmp(x)))
        .map(|(_, candidate)| candidate)
}

/// Names as a sentence lists them: `a`, `b` and `c`.
pub fn list<T: fmt::Display>(names: &[T]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Slips, case and swapped letters are seen; other words are not.
    #[test]
    fn near_enough() {
        let known = ["workloads", "waves", "target", "site"];
        assert_eq!(nearest("worklods", known), Some("workloads"));
        assert_eq!(nearest("Target", known), Some("target"));
        assert_eq!(nearest("stie", known), Some("site"));
        assert_eq!(nearest("network", known), None);
        assert_eq!(list(&known), "`workloads`, `waves`, `target` and `site`");
    }
}
