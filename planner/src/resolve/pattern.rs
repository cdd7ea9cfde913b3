//! What a name, a folder's path or any other text must look like; case counts. Matching takes time
//! linear in the text, whatever the pattern.

use globset::{GlobBuilder, GlobMatcher};

/// What a text must look like.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Just so.
    Literal(String),
    /// A glob.
    Glob(GlobMatcher),
    /// A folder and all below it.
    Below {
        /// What is inside of the folder.
        inside: GlobMatcher,
        /// The folder.
        itself: Box<Pattern>,
    },
}

impl Pattern {
    /// Of a name: `*` takes anything.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn name(text: &str) -> Result<Self, String> {
        Self::read(text, false)
    }

    /// Of a folder's path: `*` stops at a slash, `**` does not, and `erp/**` takes `erp` too.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn folder(text: &str) -> Result<Self, String> {
        match (Self::read(text, true)?, text.strip_suffix("/**")) {
            (Self::Glob(inside), Some(itself)) => {
                let itself = Box::new(Self::read(itself, true)?);
                Ok(Self::Below { inside, itself })
            }
            (pattern, _) => Ok(pattern),
        }
    }

    /// Whether a text is more than itself.
    pub fn is_glob(text: &str) -> bool {
        text.contains(['*', '?', '[', ']', '{', '}', '\\'])
    }

    fn read(text: &str, separator: bool) -> Result<Self, String> {
        // Most are plain names, and compiling a glob takes longer than all that follows.
        if !Self::is_glob(text) {
            return Ok(Self::Literal(text.to_owned()));
        }
        GlobBuilder::new(text)
            .literal_separator(separator)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()
            .map(|glob| Self::Glob(glob.compile_matcher()))
            .map_err(|error| error.kind().to_string())
    }

    /// Whether `text` looks like this.
    pub fn holds(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Glob(glob) => glob.is_match(text),
            Self::Below { inside, itself } => inside.is_match(text) || itself.holds(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // `*` is one folder's name, `**` any number of folders; case counts.
    #[test]
    fn patterns() {
        let folder =
            |pattern: &str, folder: &str| Pattern::folder(pattern).expect("readable").holds(folder);
        assert!(folder("erp/*", "erp/app"));
        assert!(!folder("erp/*", "erp/app/old"));
        assert!(!folder("erp/*", "erp"));
        assert!(folder("erp/**", "erp/app/old"));
        assert!(folder("erp/**", "erp"));
        assert!(!folder("erp/**", "erp2"));
        assert!(folder("*/app/**", "erp/app"));
        assert!(folder("**", "") && folder("**", "erp/app"));
        assert!(folder("**/app", "erp/app"));
        assert!(!folder("ERP/*", "erp/app"));
        assert!(folder("", ""));
        assert!(Pattern::name("app[").is_err());
        assert!(Pattern::name("a*b").expect("readable").holds("a/b"));
        assert!(!Pattern::name("a.b").expect("readable").holds("a-b"));
    }
}
