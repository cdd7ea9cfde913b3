//! Text that others wrote, made safe to show.

use std::borrow::Cow;

/// `text` with every character that could hide, reorder or forge what stands around it written as
/// its escape: control characters (ANSI sequences begin with one), line and paragraph separators,
/// marks that change the direction of writing, and those without any width.
///
/// What is only unusual (other scripts, emoji, backslashes) stays. The result has no line break.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hides(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal, a browser or an editor would not show the character as itself.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}'
            | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    // What could hide or reorder a line is escaped; other scripts and backslashes are not.
    #[test]
    fn hostile() {
        assert_eq!(shown("a\u{1b}[2Kb\nc\td\r"), r"a\u{1b}[2Kb\nc\td\r");
        assert_eq!(shown("gpj.\u{202e}exe\u{2066}"), r"gpj.\u{202e}exe\u{2066}");
        assert_eq!(
            shown("\u{9b}31m\u{feff}\u{e0041}\u{a0}"),
            r"\u{9b}31m\u{feff}\u{e0041}\u{a0}"
        );
        for plain in [
            "",
            "größe",
            "生産管理-01",
            "party-🎉",
            r"win\c01",
            "cafe\u{301}",
        ] {
            assert!(
                matches!(shown(plain), Cow::Borrowed(text) if text == plain),
                "{plain}"
            );
        }
    }
}
