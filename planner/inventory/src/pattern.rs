//! Patterns of names as the engine reads them: `*`, `?`, `[a-z]`, `[^a-z]` and `\`.
//!
//! The rules are those of Go's `path.Match`, which the engine's library uses, to the letter: what
//! it refuses as malformed is refused here, or the engine would fail on a name that we let pass.

/// A pattern that is not well-formed, in the engine's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub(crate) struct BadPattern;

/// Whether a pattern matches nothing but itself.
pub(crate) fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '\\'])
}

/// Whether a name matches. Names have no `/` in them.
pub(crate) fn matches(mut pattern: &str, mut name: &str) -> Result<bool, BadPattern> {
    'pattern: while !pattern.is_empty() {
        let (after_star, chunk, rest) = next_chunk(pattern);
        pattern = rest;
        if after_star && chunk.is_empty() {
            return Ok(true);
        }
        let is_last = pattern.is_empty();
        if let Some(left) = match_chunk(chunk, name)?.filter(|left| left.is_empty() || !is_last) {
            name = left;
            continue;
        }
        if after_star {
            let later = name.char_indices().map(|(at, c)| at + c.len_utf8());
            for at in later {
                let left = match_chunk(chunk, &name[at..])?;
                if let Some(left) = left.filter(|left| left.is_empty() || !is_last) {
                    name = left;
                    continue 'pattern;
                }
            }
        }
        // The rest is looked at, too: it may be malformed.
        while !pattern.is_empty() {
            let (_, chunk, rest) = next_chunk(pattern);
            pattern = rest;
            match_chunk(chunk, "")?;
        }
        return Ok(false);
    }
    Ok(name.is_empty())
}

/// Splits a pattern before its second star: whether there was a first one, what stands behind it,
/// and the rest.
fn next_chunk(pattern: &str) -> (bool, &str, &str) {
    let behind = pattern.trim_start_matches('*');
    let mut in_class = false;
    let mut escaped = false;
    let end = behind.char_indices().find(|(_, character)| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match character {
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '*' => return !in_class,
            _ => {}
        }
        false
    });
    let end = end.map_or(behind.len(), |(at, _)| at);
    (behind.len() < pattern.len(), &behind[..end], &behind[end..])
}

/// Matches a piece without stars at the beginning of a text and gives what is left of that. A piece
/// that does not match is read to its end all the same, since it may be malformed.
fn match_chunk<'t>(chunk: &str, text: &'t str) -> Result<Option<&'t str>, BadPattern> {
    let mut pattern = chunk.chars();
    let mut text = text.chars();
    let mut failed = false;
    while let Some(wanted) = pattern.next() {
        // Once it has failed, the text is not read on.
        let next = if failed { None } else { text.next() };
        failed |= next.is_none();
        match wanted {
            '[' => failed |= !in_class(&mut pattern, next)?,
            '?' => {}
            '\\' => {
                let literal = pattern.next().ok_or(BadPattern)?;
                failed |= next != Some(literal);
            }
            literal => failed |= next != Some(literal),
        }
    }
    Ok((!failed).then_some(text.as_str()))
}

/// Reads a class behind its bracket; whether the character is in it.
fn in_class(
    pattern: &mut std::str::Chars<'_>,
    character: Option<char>,
) -> Result<bool, BadPattern> {
    let negated = pattern.as_str().starts_with('^');
    if negated {
        pattern.next();
    }
    let mut is_in = false;
    let mut ranges = 0;
    loop {
        if ranges > 0 && pattern.as_str().starts_with(']') {
            pattern.next();
            return Ok(is_in != negated);
        }
        let low = class_member(pattern)?;
        let mut high = low;
        if pattern.as_str().starts_with('-') {
            pattern.next();
            high = class_member(pattern)?;
        }
        is_in |= character.is_some_and(|character| (low..=high).contains(&character));
        ranges += 1;
    }
}

/// One end of a range. A class that ends with it is not closed.
fn class_member(pattern: &mut std::str::Chars<'_>) -> Result<char, BadPattern> {
    let member = match pattern.next() {
        None | Some('-' | ']') => return Err(BadPattern),
        Some('\\') => pattern.next().ok_or(BadPattern)?,
        Some(member) => member,
    };
    if pattern.as_str().is_empty() {
        return Err(BadPattern);
    }
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The table of Go's own test of `path.Match`, without its cases with `/`.
    #[test]
    fn as_go_matches() {
        const YES: Result<bool, BadPattern> = Ok(true);
        const NO: Result<bool, BadPattern> = Ok(false);
        const BAD: Result<bool, BadPattern> = Err(BadPattern);
        for (pattern, name, expected) in [
            ("abc", "abc", YES),
            ("*", "abc", YES),
            ("*c", "abc", YES),
            ("a*", "a", YES),
            ("a*", "abc", YES),
            ("a*b*c*d*e*", "axbxcxdxexxx", YES),
            ("a*b?c*x", "abxbbxdbxebxczzx", YES),
            ("a*b?c*x", "abxbbxdbxebxczzy", NO),
            ("ab[c]", "abc", YES),
            ("ab[b-d]", "abc", YES),
            ("ab[e-g]", "abc", NO),
            ("ab[^c]", "abc", NO),
            ("ab[^b-d]", "abc", NO),
            ("ab[^e-g]", "abc", YES),
            ("a\\*b", "a*b", YES),
            ("a\\*b", "ab", NO),
            ("a?b", "a\u{263a}b", YES),
            ("a[^a]b", "a\u{263a}b", YES),
            ("a???b", "a\u{263a}b", NO),
            ("a[^a][^a][^a]b", "a\u{263a}b", NO),
            ("[a-\u{3b6}]*", "\u{3b1}", YES),
            ("*[a-\u{3b6}]", "A", NO),
            ("[\\]a]", "]", YES),
            ("[\\-]", "-", YES),
            ("[x\\-]", "x", YES),
            ("[x\\-]", "-", YES),
            ("[x\\-]", "z", NO),
            ("[\\-x]", "x", YES),
            ("[\\-x]", "-", YES),
            ("[\\-x]", "a", NO),
            ("[]a]", "]", BAD),
            ("[-]", "-", BAD),
            ("[x-]", "x", BAD),
            ("[x-]", "-", BAD),
            ("[x-]", "z", BAD),
            ("[-x]", "x", BAD),
            ("[-x]", "-", BAD),
            ("[-x]", "a", BAD),
            ("\\", "a", BAD),
            ("[a-b-c]", "a", BAD),
            ("[", "a", BAD),
            ("[^", "a", BAD),
            ("[^bc", "a", BAD),
            ("a[", "a", BAD),
            ("a[", "ab", BAD),
            ("a[", "x", BAD),
            ("*x", "xxx", YES),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
