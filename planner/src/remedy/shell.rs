//! Words and comments of a POSIX shell that cannot be broken out of.

use schemas::shown::shown;

/// A word as the shell takes it for exactly this text: bare where nothing in it means anything to a
/// shell, else in single quotes, inside of which nothing does but the quote itself (POSIX XCU 2.2.2).
/// A NUL cannot be in an argument of a command, and is left out.
pub(super) fn word(text: &str) -> String {
    let text = text.replace('\0', "");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Text behind a `#`: one line, with nothing hidden.
pub(super) fn comment(text: &str) -> String {
    shown(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The quoting of POSIX, to the letter; what a real shell makes of it, tests/cli looks at.
    #[test]
    fn words() {
        assert_eq!(word("vm-1"), "vm-1");
        assert_eq!(word(""), "''");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word("$(id)`id`\n;"), "'$(id)`id`\n;'");
        assert_eq!(comment("a\nrm -rf /"), r"a\nrm -rf /");
    }
}
