//! What the engine finds when it looks for a VM by its path.
//!
//! The engine joins datacenter, folder and name to one path and walks it part by part; each part is
//! a pattern (`pattern`), and a child is also taken if its own path ends with the rest of
//! the wanted one. This walks the same way over what we have read, so that a name that cannot be
//! found, or finds others, is known before anything is planned with it.

use std::collections::BTreeMap;

use schemas::inventory::Lookup;

use crate::pattern::{self, BadPattern};

/// A pattern that lists everything below.
const EVERYTHING: &str = "...";

/// What the engine walks over: folders, datacenters, vApps and VMs.
#[derive(Debug, Default)]
pub(crate) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
    by_id: BTreeMap<&'a str, usize>,
    children: BTreeMap<&'a str, BTreeMap<&'a str, Vec<usize>>>,
}

#[derive(Debug)]
struct Node<'a> {
    id: &'a str,
    name: &'a str,
    parent: &'a str,
    is_vm: bool,
}

/// Why a walk ends early.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    Pattern(BadPattern),
    ThroughVm,
}

impl From<BadPattern> for Problem {
    fn from(bad: BadPattern) -> Self {
        Self::Pattern(bad)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pattern(bad) => bad.fmt(f),
            Self::ThroughVm => f.write_str("cannot traverse type VirtualMachine"),
        }
    }
}

impl<'a> Tree<'a> {
    /// Adds something that has a name and is in something else.
    pub(crate) fn add(&mut self, id: &'a str, name: &'a str, parent: &'a str, is_vm: bool) {
        let at = self.nodes.len();
        self.nodes.push(Node {
            id,
            name,
            parent,
            is_vm,
        });
        self.by_id.insert(id, at);
        let siblings = self.children.entry(parent).or_default();
        siblings.entry(name).or_default().push(at);
    }

    /// What a search for this path finds, if that is not exactly the VM `id`. `root` is the root
    /// folder.
    pub(crate) fn look_up(&self, root: &str, path: &str, id: &str) -> Option<Lookup> {
        let parts = parts(path);
        let mut found = Vec::new();
        let result = self.walk(root, &parts, &mut found);
        let problem = result.err().map(|problem| problem.to_string());
        let is_right =
            problem.is_none() && matches!(found[..], [only] if self.nodes[only].id == id);
        (!is_right).then(|| Lookup {
            matches: u32::try_from(found.len()).unwrap_or(u32::MAX),
            problem,
        })
    }

    /// Collects the VMs that the parts lead to from what `id` names.
    fn walk(&self, id: &str, parts: &[&str], found: &mut Vec<usize>) -> Result<(), Problem> {
        let Some((&wanted, rest)) = parts.split_first() else {
            return Ok(());
        };
        let Some(children) = self.children.get(id) else {
            return Ok(());
        };
        if wanted == EVERYTHING && rest.is_empty() {
            self.collect(id, found);
            return Ok(());
        }
        if pattern::is_literal(wanted) {
            for at in children.get(wanted).into_iter().flatten() {
                self.take(*at, rest, found)?;
            }
        } else {
            for (name, list) in children {
                if pattern::matches(wanted, name)? {
                    for at in list {
                        self.take(*at, rest, found)?;
                    }
                } else if rest.is_empty() && *name == wanted {
                    // Its own path ends with what is wanted: taken as it is.
                    found.extend(list.iter().filter(|at| self.nodes[**at].is_vm));
                }
            }
        }
        self.take_by_ending(id, wanted, rest, children, found);
        Ok(())
    }

    /// Takes a child that matches: a VM at the end of the path, or what is below it before.
    fn take(&self, at: usize, rest: &[&str], found: &mut Vec<usize>) -> Result<(), Problem> {
        let node = &self.nodes[at];
        match (rest.is_empty(), node.is_vm) {
            (true, true) => found.push(at),
            (true, false) => {}
            (false, true) => return Err(Problem::ThroughVm),
            (false, false) => self.walk(node.id, rest, found)?,
        }
        Ok(())
    }

    /// Children whose own path ends with all of the wanted parts, though the first does not match
    /// them: with two parts or more, that needs folders of the same name inside one another.
    fn take_by_ending(
        &self,
        id: &str,
        wanted: &str,
        rest: &[&str],
        children: &BTreeMap<&str, Vec<usize>>,
        found: &mut Vec<usize>,
    ) {
        let Some((last, between)) = rest.split_last() else {
            return;
        };
        let Some(below) = children.get(last) else {
            return;
        };
        let is_matched = pattern::matches(wanted, last).unwrap_or(true);
        let above: Vec<&str> = std::iter::once(wanted)
            .chain(between.iter().copied())
            .collect();
        if !is_matched && self.path_ends_with(id, &above) {
            found.extend(below.iter().filter(|at| self.nodes[**at].is_vm));
        }
    }

    fn path_ends_with(&self, id: &str, names: &[&str]) -> bool {
        let mut at = id;
        names.iter().rev().all(|name| {
            let Some(node) = self.by_id.get(at).map(|at| &self.nodes[*at]) else {
                return false;
            };
            at = node.parent;
            node.name == *name
        })
    }

    /// All VMs below. Does not recurse: a server may have folders in a loop.
    fn collect(&self, id: &str, found: &mut Vec<usize>) {
        let below = self.children.get(id).into_iter().flat_map(BTreeMap::values);
        found.extend(below.flatten().filter(|at| self.nodes[**at].is_vm));
    }
}

/// The parts of a path, cleaned as the engine cleans it: `.`, `..` and empty parts are resolved.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree<'static> {
        let mut tree = Tree::default();
        tree.add("dc", "DC0", "root", false);
        tree.add("v", "vm", "dc", false);
        for (id, name, parent) in [
            ("web", "web", "v"),
            ("deep", "web", "web"),
            ("glob", "glob[ab]*", "v"),
            ("vapp", "shop", "v"),
            ("broken", "br[ken", "v"),
        ] {
            tree.add(id, name, parent, false);
        }
        for (id, name, parent) in [
            ("1", "db", "web"),
            ("2", "star*", "v"),
            ("3", "starfish", "v"),
            ("4", "app[1]", "v"),
            ("5", "app[", "v"),
            ("6", "a%2fb", "v"),
            ("7", "in-glob", "glob"),
            ("8", "in-shop", "vapp"),
            ("9", "in-broken", "broken"),
            ("10", "Db", "web"),
            ("11", "globa", "v"),
            ("12", "y", "deep"),
            ("13", "y", "web"),
            ("14", "twin", "v"),
            ("15", "twin", "v"),
            ("16", "what?", "v"),
        ] {
            tree.add(id, name, parent, true);
        }
        tree
    }

    fn found(path: &str, id: &str) -> (u32, Option<String>) {
        match tree().look_up("root", &format!("/DC0/vm/{path}"), id) {
            None => (1, None),
            Some(lookup) => (lookup.matches, lookup.problem),
        }
    }

    // What the engine's own finder answers for such paths (measured on the simulator).
    #[test]
    fn as_the_engine_finds() {
        assert_eq!(found("web/db", "1"), (1, None));
        assert_eq!(found("starfish", "3"), (1, None));
        assert_eq!(found("star*", "2"), (2, None));
        assert_eq!(found("app[1]", "4"), (1, None));
        assert_eq!(
            found("app[", "5"),
            (0, Some("syntax error in pattern".to_owned()))
        );
        assert_eq!(found("a%2fb", "6"), (1, None));
        assert_eq!(found("shop/in-shop", "8"), (1, None));
        assert_eq!(
            found("glob[ab]*/in-glob", "7"),
            (0, Some("cannot traverse type VirtualMachine".to_owned()))
        );
        assert_eq!(
            found("br[ken/in-broken", "9"),
            (0, Some("syntax error in pattern".to_owned()))
        );
        assert_eq!(found("twin", "14"), (2, None));
        assert_eq!(found("what?", "16"), (1, None));
        assert_eq!(found("web/../web//./db", "1"), (1, None));
    }

    // A VM that another one's path ends like is found in its place.
    #[test]
    fn paths_that_end_alike() {
        assert_eq!(found("web/web/y", "12"), (2, None));
        assert_eq!(found("web/y", "13"), (1, None));
    }

    // A search that ends at another VM than the one meant is as bad as one that finds none.
    #[test]
    fn another_vm() {
        let lookup = tree().look_up("root", "/DC0/vm/web/db", "10");
        assert_eq!(lookup.map(|lookup| lookup.matches), Some(1));
        assert_eq!(found("web/DB", "1"), (0, None));
        assert_eq!(found("none/at/all", "1"), (0, None));
    }
}
