//! A VM as people name it on a command line or in a list: `NAME`, `SOURCE/NAME` or `SOURCE/ID`.

use std::collections::BTreeSet;

use schemas::ids::{SourceName, VmKey, VmName};

use super::index::Index;

/// All VMs that `text` may mean, by key. An id that fits leaves names of that source aside.
pub fn find(text: &str, index: &Index<'_>) -> Vec<VmKey> {
    let mut known = BTreeSet::new();
    if let Some((source, rest)) = text.split_once('/')
        && let Some(vms) = index.source(&SourceName::from(source))
    {
        let key = VmKey::new(source, rest);
        if vms.id(&key.id).is_some() {
            known.insert(key);
        } else {
            let named = vms.name(&VmName::from(rest)).iter();
            known.extend(named.map(|vm| VmKey::new(source, vm.id.clone())));
        }
    }
    for (source, vms) in index.sources() {
        let named = vms.name(&VmName::from(text)).iter();
        known.extend(named.map(|vm| VmKey::new(source.clone(), vm.id.clone())));
    }
    known.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    // A name may be several VMs', an id is one's; a source before it narrows both.
    #[test]
    fn forms() {
        let fixture =
            Fixture::new("workloads:\n- name: a\n  select: [ { source: dc1, match: \"*\" } ]");
        let index = Index::of(&fixture.inventory);
        let found = |text: &str| {
            let keys = find(text, &index)
                .iter()
                .map(VmKey::to_string)
                .collect::<Vec<_>>();
            keys.join(" ")
        };
        assert_eq!(found("web"), "cloud1/c-web1 cloud1/c-web2 cloud1/c-web3");
        assert_eq!(found("cloud1/db"), "cloud1/c-db");
        assert_eq!(found("cloud1/c-db"), "cloud1/c-db");
        assert_eq!(found("dc1/web"), "");
        assert_eq!(found("c-db"), "");
    }
}
