use super::*;
use crate::xml;

fn object(kind: &str, id: &str, values: &[(&str, &str)]) -> (String, Spot) {
    let mut text = format!("<objects><obj type=\"{kind}\">{id}</obj>");
    for (name, value) in values {
        let value = format!("<propSet><name>{name}</name><val>{value}</val></propSet>");
        text.push_str(&value);
    }
    text += "</objects>";
    let tree = xml::read_flat(&text).expect("well-formed");
    Spot::new(&Object::from_element(tree.root(), &text)).expect("named")
}

fn places() -> Places {
    Places::from_iter([
        object("Folder", "g1", &[("name", "F0"), ("parent", "root")]),
        object(
            "Datacenter",
            "dc",
            &[("name", "DC0"), ("parent", "g1"), ("vmFolder", "v0")],
        ),
        object("Folder", "v0", &[("name", "vm"), ("parent", "dc")]),
        object("Folder", "v1", &[("name", "a%2fb"), ("parent", "v0")]),
        object("Folder", "v2", &[("name", "web"), ("parent", "v1")]),
        object(
            "VirtualApp",
            "a1",
            &[("name", "shop"), ("parent", "p1"), ("parentFolder", "v1")],
        ),
        object("VirtualApp", "a2", &[("name", "back"), ("parent", "a1")]),
        object(
            "ClusterComputeResource",
            "c1",
            &[("name", "cl"), ("parent", "h0")],
        ),
        object(
            "ResourcePool",
            "p1",
            &[("name", "Resources"), ("parent", "c1")],
        ),
        object("Folder", "l1", &[("name", "loop"), ("parent", "l2")]),
        object("Folder", "l2", &[("name", "loop"), ("parent", "l1")]),
    ])
}

// Paths are those of the engine's finder: datacenter with its folders, VM folder without `vm`,
// names as stored; a VM in a vApp is found through it.
#[test]
fn paths_of_the_finder() {
    let places = places();
    let all = places.datacenters();
    assert_eq!(all[0].path, "F0/DC0");
    let folder = |parent, vapp| places.place(&all[0], parent, vapp).folder;
    assert_eq!(folder(Some("v0"), None).as_deref(), Some(""));
    assert_eq!(folder(Some("v2"), None).as_deref(), Some("a%2fb/web"));
    assert_eq!(folder(None, Some("a1")).as_deref(), Some("a%2fb/shop"));
    assert_eq!(folder(None, Some("a2")).as_deref(), Some("a%2fb/shop/back"));
    assert_eq!(places.pool("a2").as_deref(), Some("cl/Resources/shop/back"));
}

// What the account does not see, or a server has in a loop, gives no path; it never hangs.
#[test]
fn unknown_places() {
    let places = places();
    let dc = &places.datacenters()[0];
    assert_eq!(places.place(dc, Some("nowhere"), None), Place::default());
    assert_eq!(places.place(dc, Some("l1"), None), Place::default());
    assert_eq!(places.place(dc, None, Some("nowhere")), Place::default());
    assert_eq!(places.pool("l1"), None);
}
