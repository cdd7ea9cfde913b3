//! How the engine finds a VM in vCenter: govmomi's finder, as far as VMs below one datacenter's
//! folder go (`govmomi`'s finder, as the engine uses it).
//!
//! The wanted path is the folder and the name, joined and cleaned lexically. It is matched
//! component by component with shell patterns, case-sensitive; a child also matches where its own
//! path ends with the literal rest of the wanted one.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::VmId;
use schemas::inventory::Vm;

/// The VMs of a datacenter, by folder.
pub(super) struct Finder<'a> {
    /// For each folder's path its VMs; folders above one that has VMs are here too, maybe without any.
    folders: BTreeMap<String, BTreeMap<&'a str, Vec<&'a VmId>>>,
}

/// What the engine finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome<'a> {
    /// One VM.
    Found(&'a VmId),
    /// None.
    Nothing,
    /// "resolves to multiple vms".
    Several(Vec<&'a VmId>),
    /// "syntax error in pattern".
    BadPattern,
    /// "cannot traverse type VirtualMachine": a pattern for a folder that a VM matches.
    ThroughVm(&'a VmId),
}

impl<'a> Finder<'a> {
    /// Of these VMs. One whose folder is not known is at no path.
    pub fn new(vms: impl Iterator<Item = &'a Vm>) -> Self {
        let mut folders: BTreeMap<String, BTreeMap<&'a str, Vec<&'a VmId>>> = BTreeMap::new();
        for vm in vms {
            let Some(folder) = &vm.folder else { continue };
            let path = components(folder);
            for depth in 0..path.len() {
                folders.entry(path[..depth].join("/")).or_default();
            }
            let siblings = folders.entry(path.join("/")).or_default();
            siblings.entry(vm.name.as_str()).or_default().push(&vm.id);
        }
        Self { folders }
    }

    /// What is found under `folder` and `name`.
    pub fn find(&self, folder: &str, name: &str) -> Outcome<'a> {
        let wanted = clean(folder, name);
        let Some((last, above)) = wanted.split_last() else {
            return Outcome::Nothing;
        };
        if wanted.iter().any(|part| is_pattern(part)) {
            return self.find_pattern(last, above);
        }
        for depth in 0..above.len() {
            if let Some(id) = self.vms_at(&above[..depth], above[depth]).first() {
                return Outcome::ThroughVm(id);
            }
        }
        outcome(self.vms_at(above, last).to_vec())
    }

    fn vms_at(&self, folder: &[&str], name: &str) -> &[&'a VmId] {
        let siblings = self.folders.get(&folder.join("/"));
        siblings
            .and_then(|siblings| siblings.get(name))
            .map_or(&[], Vec::as_slice)
    }

    fn find_pattern(&self, last: &str, above: &[&str]) -> Outcome<'a> {
        let mut found = BTreeSet::new();
        for (folder, siblings) in &self.folders {
            let folder = components(folder);
            let depth = folder.len();
            let Some(part) = above.get(depth).or((depth == above.len()).then_some(&last)) else {
                continue;
            };
            match all_match(&above[..depth], &folder) {
                Err(Malformed) => return Outcome::BadPattern,
                Ok(false) => continue,
                Ok(true) => {}
            }
            for (name, ids) in siblings {
                match component_matches(part, name) {
                    Err(Malformed) => return Outcome::BadPattern,
                    Ok(false) => {}
                    Ok(true) if depth < above.len() => return Outcome::ThroughVm(ids[0]),
                    Ok(true) => found.extend(ids),
                }
            }
        }
        outcome(found.into_iter().collect())
    }
}

fn outcome(found: Vec<&VmId>) -> Outcome<'_> {
    match found.as_slice() {
        [] => Outcome::Nothing,
        [one] => Outcome::Found(one),
        _ => Outcome::Several(found),
    }
}

fn components(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// Go's `path.Clean` of the two joined: `.` and empty parts go, `..` takes the part before it.
fn clean<'p>(folder: &'p str, name: &'p str) -> Vec<&'p str> {
    let mut cleaned = Vec::new();
    for part in components(folder).into_iter().chain(components(name)) {
        match part {
            "." => {}
            ".." => {
                cleaned.pop();
            }
            part => cleaned.push(part),
        }
    }
    cleaned
}

fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?', '[', '\\'])
}

/// A pattern that Go's `path.Match` calls malformed.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

fn all_match(patterns: &[&str], folder: &[&str]) -> Result<bool, Malformed> {
    for (pattern, name) in patterns.iter().zip(folder) {
        if !component_matches(pattern, name)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether one component matches: as a pattern, or literally (then its path ends with the rest of
/// the wanted one).
fn component_matches(pattern: &str, name: &str) -> Result<bool, Malformed> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    Ok(glob(&pattern, &name)? || pattern == name)
}

/// Go's `path.Match` on one component: `*`, `?`, `[a-z]`, `[^a]`, `\x`.
fn glob(pattern: &[char], name: &[char]) -> Result<bool, Malformed> {
    let Some((first, rest)) = pattern.split_first() else {
        return Ok(name.is_empty());
    };
    match first {
        '*' => {
            for skip in 0..=name.len() {
                if glob(rest, &name[skip..])? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        '?' => match name.split_first() {
            Some((_, left)) => glob(rest, left),
            None => well_formed(rest),
        },
        '[' => {
            let (class, after) = class(rest)?;
            match name.split_first() {
                Some((c, left)) if class.holds(*c) => glob(after, left),
                _ => well_formed(after),
            }
        }
        '\\' => {
            let (literal, after) = rest.split_first().ok_or(Malformed)?;
            next_literal(*literal, after, name)
        }
        literal => next_literal(*literal, rest, name),
    }
}

fn next_literal(literal: char, rest: &[char], name: &[char]) -> Result<bool, Malformed> {
    match name.split_first() {
        Some((c, left)) if *c == literal => glob(rest, left),
        _ => well_formed(rest),
    }
}

/// No match; but the rest of the pattern must still be one, as Go has it since 1.16.
fn well_formed(mut rest: &[char]) -> Result<bool, Malformed> {
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            '[' => class(after)?.1,
            '\\' => after.split_first().ok_or(Malformed)?.1,
            _ => after,
        };
    }
    Ok(false)
}

/// What stands between `[` and `]`.
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    fn holds(&self, c: char) -> bool {
        self.ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&c))
            != self.negated
    }
}

/// Reads a class from behind its `[`; gives it and what follows its `]`.
fn class(pattern: &[char]) -> Result<(Class, &[char]), Malformed> {
    let (negated, mut rest) = match pattern.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, pattern),
    };
    let mut ranges = Vec::new();
    loop {
        if let Some((']', after)) = rest.split_first()
            && !ranges.is_empty()
        {
            return Ok((Class { negated, ranges }, after));
        }
        let (low, after) = class_char(rest)?;
        let (high, after) = match after.split_first() {
            Some(('-', after)) => class_char(after)?,
            _ => (low, after),
        };
        ranges.push((low, high));
        rest = after;
    }
}

fn class_char(pattern: &[char]) -> Result<(char, &[char]), Malformed> {
    match pattern.split_first() {
        None | Some(('-' | ']', _)) => Err(Malformed),
        Some(('\\', rest)) => rest
            .split_first()
            .map(|(c, rest)| (*c, rest))
            .ok_or(Malformed),
        Some((c, rest)) => Ok((*c, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(id: &str, folder: &str, name: &str) -> Vm {
        Vm {
            id: id.into(),
            name: name.into(),
            folder: Some(folder.to_owned()),
            ..Vm::default()
        }
    }

    fn finds(vms: &[Vm], folder: &str, name: &str) -> String {
        format!("{:?}", Finder::new(vms.iter()).find(folder, name))
    }

    // The engine's finder, case by case.
    #[test]
    fn table() {
        let vms = [
            vm("1", "", "app1"),
            vm("2", "", "app[1]"),
            vm("3", "", "star*"),
            vm("4", "", "starfish"),
            vm("5", "", "app["),
            vm("6", "Tier1/web", "web"),
            vm("7", "Tier2/web", "web"),
            vm("8", "lone", "x[1]"),
            vm("9", "", "Tier1-vm"),
        ];
        assert_eq!(finds(&vms, "Tier1/web", "web"), r#"Found(VmId("6"))"#);
        assert_eq!(finds(&vms, "Tier1", "web"), "Nothing");
        assert_eq!(finds(&vms, "tier1/web", "web"), "Nothing");
        assert_eq!(
            finds(&vms, "", "app[1]"),
            r#"Several([VmId("1"), VmId("2")])"#
        );
        assert_eq!(finds(&vms, "lone", "x[1]"), r#"Found(VmId("8"))"#);
        assert_eq!(
            finds(&vms, "", "star*"),
            r#"Several([VmId("3"), VmId("4")])"#
        );
        assert_eq!(finds(&vms, "", "starfish"), r#"Found(VmId("4"))"#);
        assert_eq!(finds(&vms, "", "app["), "BadPattern");
        assert_eq!(finds(&vms, "Tier*", "web"), r#"ThroughVm(VmId("9"))"#);
        assert_eq!(
            finds(&vms, "Tier?/web", "web"),
            r#"Several([VmId("6"), VmId("7")])"#
        );
        assert_eq!(
            finds(&vms, "Tier1//./x/../web", "web"),
            r#"Found(VmId("6"))"#
        );
    }

    // A folder under the same name as a VM beside it cannot be walked through.
    #[test]
    fn through_a_vm() {
        let vms = [vm("1", "", "web"), vm("2", "web", "a")];
        assert_eq!(finds(&vms, "web", "a"), r#"ThroughVm(VmId("1"))"#);
        assert_eq!(finds(&vms, "", "web"), r#"Found(VmId("1"))"#);
    }

    // Patterns as Go's path.Match reads them.
    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("a*c", "abbc", Ok(true)),
            ("a*c", "abbd", Ok(false)),
            ("[^a-c]x", "dx", Ok(true)),
            ("[^a-c]x", "bx", Ok(false)),
            (r"\*", "*", Ok(true)),
            (r"\*", "a", Ok(false)),
            ("a?", "a", Ok(false)),
            ("[]a]", "]", Err(Malformed)),
            ("[a", "b", Err(Malformed)),
            ("x[", "y", Err(Malformed)),
            (r"a\", "a", Err(Malformed)),
        ] {
            let (p, n): (Vec<char>, Vec<char>) =
                (pattern.chars().collect(), name.chars().collect());
            assert_eq!(glob(&p, &n), expected, "{pattern} {name}");
        }
    }
}
