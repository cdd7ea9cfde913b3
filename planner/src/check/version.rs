//! Versions of Harvester and of the engine: what a hazard depends on.

use std::fmt;

/// `major.minor.patch`; what stands behind (`-rc6`, `+build`) is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Of a tag such as `v1.8.2`, `1.9.0-rc6` or `v1.7`; nothing where it is none (`main`, a digest).
    pub fn parse(tag: &str) -> Option<Self> {
        let tag = tag.trim();
        let tag = tag.strip_prefix('v').unwrap_or(tag);
        let end = tag
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(tag.len());
        // A digest or a date begins with digits too: only what ends, `-` and `+` may follow.
        if !matches!(tag[end..].chars().next(), None | Some('-' | '+')) {
            return None;
        }
        let mut parts = tag[..end].split('.');
        let mut number = || parts.next().map(|part| part.parse::<u32>().ok());
        let (major, minor) = (number()??, number()??);
        let patch = number().map_or(Some(0), |patch| patch)?;
        parts.next().is_none().then_some(Self(major, minor, patch))
    }

    /// Whether Harvester refuses an image whose display name is no label value (N06): 1.7.3, 1.8.2
    /// and whatever came after, each in its line.
    pub fn refuses_long_display_names(self) -> bool {
        match (self.0, self.1) {
            (1, 7) => self.2 >= 3,
            (1, 8) => self.2 >= 2,
            _ => self >= Self(1, 9, 0),
        }
    }

    /// Whether Harvester sets one socket as the most a machine may have, so that KubeVirt refuses
    /// the engine's sockets (T01): from 1.6.1 until 1.9.
    pub fn refuses_sockets(self) -> bool {
        self >= Self(1, 6, 1) && self < Self(1, 9, 0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Tags as releases bear them; anything else is not known rather than wrong.
    #[test]
    fn tags() {
        for (tag, version) in [
            ("v1.8.1", Version(1, 8, 1)),
            ("1.9.0-rc6", Version(1, 9, 0)),
            ("v1.7", Version(1, 7, 0)),
            ("v1.8.2+abc", Version(1, 8, 2)),
        ] {
            assert_eq!(Version::parse(tag), Some(version), "{tag}");
        }
        for tag in [
            "",
            "main",
            "main-head",
            "v1",
            "1.2.3.4",
            "v1.x",
            "sha256:12",
            "1..2",
            "99999999999.1",
        ] {
            assert_eq!(Version::parse(tag), None, "{tag}");
        }
    }

    // The gates of N06 and T01, on both sides of each.
    #[test]
    fn gates() {
        let at = |tag| Version::parse(tag).expect("a version");
        for (tag, names, sockets) in [
            ("v1.6.0", false, false),
            ("v1.6.1", false, true),
            ("v1.7.2", false, true),
            ("v1.7.3", true, true),
            ("v1.8.1", false, true),
            ("v1.8.2", true, true),
            ("v1.9.0", true, false),
            ("v2.0.0", true, false),
        ] {
            assert_eq!(at(tag).refuses_long_display_names(), names, "{tag}");
            assert_eq!(at(tag).refuses_sockets(), sockets, "{tag}");
        }
    }
}
