//! The engine's way to a VM by its path, as far as the findings need it: component by component, each
//! a pattern of a shell's kind.

/// How many of `paths` the path finds; `None`: one of its parts is no pattern at all.
pub fn finds(path: &[String], paths: &[Vec<String>]) -> Option<usize> {
    let mut found = 0;
    for other in paths.iter().filter(|other| other.len() == path.len()) {
        let mut all = true;
        for (wanted, name) in path.iter().zip(other) {
            all &= wanted == name || matches(wanted, name)?;
        }
        found += usize::from(all);
    }
    // A pattern that cannot be read is an error even where nothing is beside it.
    path.iter()
        .try_for_each(|part| matches(part, "").map(drop))?;
    Some(found)
}

/// Whether a pattern with `*`, `?`, `[…]` and `\` is a name's; `None`: it ends in the middle.
fn matches(pattern: &str, name: &str) -> Option<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    well_formed(&pattern)?;
    Some(from(&pattern, &name))
}

fn well_formed(pattern: &[char]) -> Option<()> {
    let mut rest = pattern;
    while let [first, more @ ..] = rest {
        rest = match first {
            '\\' => more.get(1..)?,
            '[' => &more[class_end(more)?..],
            _ => more,
        };
    }
    Some(())
}

/// Where a class that began before ends, behind its bracket.
fn class_end(rest: &[char]) -> Option<usize> {
    let negated = usize::from(rest.first() == Some(&'^'));
    let end = rest.iter().skip(negated + 1).position(|c| *c == ']')?;
    Some(negated + 1 + end + 1)
}

fn from(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], _) => name.is_empty(),
        (['*', more @ ..], _) => (0..=name.len()).any(|at| from(more, &name[at..])),
        (['?', more @ ..], [_, rest @ ..]) => from(more, rest),
        (['\\', escaped, more @ ..], [c, rest @ ..]) => escaped == c && from(more, rest),
        (['[', more @ ..], [c, rest @ ..]) => {
            let end = class_end(more).unwrap_or(more.len());
            let class = &more[..end.saturating_sub(1)];
            let (negated, members) = match class {
                ['^', members @ ..] => (true, members),
                members => (false, members),
            };
            in_class(members, *c) != negated && from(&more[end..], rest)
        }
        ([p, more @ ..], [c, rest @ ..]) => p == c && from(more, rest),
        (_, []) => false,
    }
}

fn in_class(members: &[char], c: char) -> bool {
    match members {
        [] => false,
        [low, '-', high, more @ ..] => (*low..=*high).contains(&c) || in_class(more, c),
        [one, more @ ..] => *one == c || in_class(more, c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<Vec<String>> {
        names
            .iter()
            .map(|n| vec!["vm".to_owned(), (*n).to_owned()])
            .collect()
    }

    // A star finds its neighbours too, a class its members and itself as written, a bracket that is
    // not closed nothing at all.
    #[test]
    fn as_the_catalogue_says() {
        let all = paths(&["star*", "starfish", "app[1]", "app1", "app[", "plain"]);
        let found = |at: usize| finds(&all[at], &all);
        assert_eq!(found(0), Some(2));
        assert_eq!(found(1), Some(1));
        assert_eq!(found(2), Some(2));
        assert_eq!(found(3), Some(1));
        assert_eq!(found(4), None);
        assert_eq!(found(5), Some(1));
    }
}
