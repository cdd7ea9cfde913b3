//! A fake OpenStack over a real socket, for what real ones do on a bad day only.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use schemas::inventory::{Gap, RootDisk, Vm};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::*;
use crate::fake::{self, Front, Given, Leaf};
use crate::http::Untrusted;
use crate::{HttpError, NoProgress};

/// One cloud: services below one address, with a project of two networks of one name.
struct Cloud {
    server: MockServer,
    /// TLS before it.
    front: Option<Front>,
}

fn json_answer(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn server(id: &str) -> Value {
    json!({
        "id": id, "name": "web", "status": "ACTIVE", "tenant_id": "p1", "locked": false,
        "description": null, "tags": ["prod"], "metadata": {"tier": "front"},
        "flavor": {"id": "f1"}, "image": "",
        "addresses": {"lan": [{"addr": "10.0.0.5", "version": 4,
            "OS-EXT-IPS-MAC:mac_addr": "FA:16:3e:00:00:01", "OS-EXT-IPS:type": "fixed"}]},
        "OS-EXT-STS:task_state": null, "OS-EXT-AZ:availability_zone": "nova",
        "os-extended-volumes:volumes_attached": [{"id": "v2"}, {"id": "v1"}],
    })
}

fn volume(id: &str, device: &str, bootable: &str) -> Value {
    json!({
        "id": id, "size": 2, "bootable": bootable, "volume_type": "fast", "multiattach": false,
        "encrypted": false, "attachments": [{"server_id": "s1", "device": device}],
        "volume_image_metadata": {"image_id": "i1", "os_type": "linux"},
    })
}

impl Cloud {
    /// Everything answers. Rules that a test mounts before this one win over it.
    async fn new() -> Self {
        Self {
            server: MockServer::start().await,
            front: None,
        }
    }

    /// The same behind TLS, in the catalog too.
    async fn behind_tls(leaf: Leaf) -> Self {
        let server = MockServer::start().await;
        let front = Some(fake::tls(*server.address(), leaf).await);
        Self { server, front }
    }

    fn url(&self) -> String {
        let front = self.front.as_ref().map(|front| front.url.clone());
        front.unwrap_or_else(|| self.server.uri())
    }

    /// An answer to each GET of `route`.
    async fn on(&self, route: &str, answer: impl Respond + 'static) {
        Mock::given(method("GET"))
            .and(path(route))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    /// The same for the first `times` requests only.
    async fn first(&self, route: &str, times: u64, answer: ResponseTemplate) {
        let mock = Mock::given(method("GET"))
            .and(path(route))
            .respond_with(answer);
        mock.up_to_n_times(times).mount(&self.server).await;
    }

    /// What a healthy cloud with one server answers, for whatever a test did not mount.
    async fn rest(&self) {
        let at = |part: &str| format!("{}/{part}", self.url());
        let entry = |kind: &str, part: &str| {
            json!({ "type": kind, "endpoints": [
                { "interface": "internal", "region": "R", "region_id": "R", "url": "http://10.0.0.1" },
                { "interface": "public", "region": "R", "region_id": "R", "url": at(part) },
            ]})
        };
        let token = json!({ "token": {
            "project": { "id": "p1", "name": "harbor" },
            "catalog": [
                entry("compute", "nova/v2.1"), entry("block-storage", "cinder/v3/p1"),
                entry("image", "glance"), entry("network", "neutron/"),
            ],
        }});
        let logins = AtomicU32::new(0);
        let login = move |_: &Request| {
            let number = logins.fetch_add(1, Ordering::Relaxed);
            let token_header = format!("token-{number}");
            ResponseTemplate::new(201)
                .insert_header("X-Subject-Token", token_header)
                .set_body_json(&token)
        };
        Mock::given(method("POST"))
            .and(path("/v3/auth/tokens"))
            .respond_with(login)
            .mount(&self.server)
            .await;
        let port = json!({
            "id": "n1", "device_id": "s1", "device_owner": "compute:nova", "network_id": "net-b",
            "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{"ip_address": "10.0.0.5"}],
        });
        let networks = json!([{"id": "net-b", "name": "lan"}, {"id": "net-a", "name": "lan"}]);
        let flavor = json!({
            "id": "f1", "name": "small", "vcpus": 2, "ram": 512, "swap": "",
            "OS-FLV-EXT-DATA:ephemeral": 0, "extra_specs": {"pci_passthrough:alias": "gpu:1"},
        });
        for (route, body) in [
            ("/nova/v2.1/", json!({"version": {"version": "2.93"}})),
            (
                "/nova/v2.1/servers/detail",
                json!({"servers": [server("s1")]}),
            ),
            ("/nova/v2.1/servers", json!({"servers": [{"id": "s1"}]})),
            ("/nova/v2.1/flavors/detail", json!({"flavors": [flavor]})),
            (
                "/nova/v2.1/os-server-groups",
                json!({"server_groups": [{
                    "id": "g1", "name": "web", "policy": "soft-anti-affinity",
                    "members": ["s1", "elsewhere"],
                }]}),
            ),
            (
                "/cinder/v3/",
                json!({"versions": [{"id": "v3.0", "version": "3.70"}]}),
            ),
            (
                "/cinder/v3/p1/limits",
                json!({"limits": {"rate": [], "absolute": {
                    "maxTotalVolumes": 10, "totalVolumesUsed": 2,
                    "maxTotalVolumeGigabytes": -1, "totalGigabytesUsed": 4,
                    "maxTotalSnapshots": 5, "totalSnapshotsUsed": 5,
                }}}),
            ),
            (
                "/v3/projects",
                json!({"projects": [{"id": "p2", "name": "annex"}]}),
            ),
            (
                "/cinder/v3/p1/volumes/detail",
                json!({"volumes": [
                    volume("v1", "/dev/vda", "true"), volume("v2", "/dev/vdb", "false"),
                ]}),
            ),
            ("/cinder/v3/p1/snapshots/detail", json!({"snapshots": []})),
            (
                "/cinder/v3/p1/types",
                json!({"volume_types": [{"id": "t1", "name": "fast"}]}),
            ),
            (
                "/glance/v2/images/i1",
                json!({"id": "i1", "hw_firmware_type": "uefi"}),
            ),
            ("/neutron/v2.0/ports", json!({"ports": [port]})),
            ("/neutron/v2.0/networks", json!({"networks": networks})),
        ] {
            self.on(route, json_answer(&body)).await;
        }
    }

    async fn pull(&self) -> Result<SourceInventory, OpenstackError> {
        self.pull_as(&[
            ("username", "planner"),
            ("password", "hunter2"),
            ("project_name", "harbor"),
            ("domain_name", "Default"),
        ])
        .await
    }

    /// The same with other credentials.
    async fn pull_as(&self, keys: &[(&str, &str)]) -> Result<SourceInventory, OpenstackError> {
        let credentials: Credentials = keys.iter().copied().collect();
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trust = Trust::new(Some(&credentials), "ca_cert");
        let http = Http::new(trust, "cloud").expect("a client").impatient();
        let place = OpenstackSource {
            endpoint: self.url(),
            region: "R".to_owned(),
        };
        pull_with(http, &"cloud".into(), &place, &credentials, &NoProgress).await
    }

    /// How many requests came for a path.
    async fn count(&self, wanted: &str) -> usize {
        let requests = self.server.received_requests().await.expect("recorded");
        requests
            .iter()
            .filter(|request| request.url.path() == wanted)
            .count()
    }
}

fn only_vm(inventory: &SourceInventory) -> &Vm {
    assert_eq!(inventory.vms.len(), 1);
    &inventory.vms[0]
}

// A healthy cloud: disks stand in device order whatever order they came in, the boot volume's
// image gives the firmware, two networks of one name are marked, the token is given back.
#[tokio::test]
async fn healthy() {
    let cloud = Cloud::new().await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    let vm = only_vm(&inventory);
    let disks: Vec<_> = vm
        .disks
        .iter()
        .map(|disk| (disk.key.as_str(), disk.boot))
        .collect();
    assert_eq!(disks, [("v1", Some(true)), ("v2", Some(false))]);
    assert_eq!(vm.root_disk, Some(RootDisk::Volume));
    assert_eq!(vm.firmware.as_deref(), Some("efi"));
    assert_eq!(
        (vm.boot_image.as_deref(), vm.boot_image_exists),
        (Some("i1"), Some(true))
    );
    assert_eq!(vm.nics[0].network_name.as_deref(), Some("lan"));
    assert!(
        inventory
            .networks
            .iter()
            .all(|network| network.duplicate_name)
    );
    assert!(inventory.about.gaps.is_empty());
    let requests = cloud.server.received_requests().await.expect("recorded");
    assert!(
        requests
            .iter()
            .any(|request| request.method.as_str() == "DELETE")
    );
    let read_only = requests
        .iter()
        .all(|r| r.url.path() == "/v3/auth/tokens" || r.method.as_str() == "GET");
    assert!(read_only);
}

// Pages are followed by the last id, whatever address the link has, until there is no link; one
// that was deleted in between makes the list begin anew.
#[tokio::test]
async fn pages() {
    let cloud = Cloud::new().await;
    let route = "/nova/v2.1/servers/detail";
    let page = |ids: &[&str], more: bool| {
        let servers: Vec<_> = ids.iter().map(|id| server(id)).collect();
        let links = [json!({"rel": "next", "href": "http://10.0.0.1/internal"})];
        json_answer(&json!({"servers": servers, "servers_links": &links[..usize::from(more)]}))
    };
    let after = |marker: &'static str| {
        Mock::given(method("GET"))
            .and(path(route))
            .and(query_param("marker", marker))
    };
    let gone = ResponseTemplate::new(400)
        .set_body_json(json!({"badRequest": {"message": "marker [s2] not found"}}));
    after("s2")
        .respond_with(gone)
        .up_to_n_times(1)
        .mount(&cloud.server)
        .await;
    after("s2")
        .respond_with(page(&["s3", "s4"], true))
        .mount(&cloud.server)
        .await;
    after("s4")
        .respond_with(page(&["s5"], false))
        .mount(&cloud.server)
        .await;
    cloud.on(route, page(&["s1", "s2"], true)).await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    let ids: Vec<_> = inventory.vms.iter().map(|vm| vm.id.as_str()).collect();
    assert_eq!(ids, ["s1", "s2", "s3", "s4", "s5"]);
    assert_eq!(cloud.count(route).await, 5);
}

// A list whose pages go round in a circle ends with an error, not never.
#[tokio::test]
async fn endless_pages() {
    let cloud = Cloud::new().await;
    let links = json!([{"rel": "next", "href": ""}]);
    let page = json_answer(&json!({"servers": [server("s1")], "servers_links": links}));
    cloud.on("/nova/v2.1/servers/detail", page).await;
    cloud.rest().await;
    let error = cloud.pull().await.expect_err("endless");
    assert!(matches!(error, OpenstackError::Endless { .. }), "{error}");
}

// A token that dies in mid-listing is replaced once, and the list goes on where it was; one that
// the service never takes is an error, not a loop.
#[tokio::test]
async fn token_dies() {
    let cloud = Cloud::new().await;
    let route = "/nova/v2.1/servers/detail";
    let links = json!([{"rel": "next", "href": ""}]);
    let first = json_answer(&json!({"servers": [server("s1")], "servers_links": links}));
    let second = json_answer(&json!({"servers": [server("s2")]}));
    let after_s1 = || {
        Mock::given(method("GET"))
            .and(path(route))
            .and(query_param("marker", "s1"))
    };
    let dead = after_s1().and(header("X-Auth-Token", "token-0"));
    dead.respond_with(ResponseTemplate::new(401))
        .mount(&cloud.server)
        .await;
    after_s1().respond_with(second).mount(&cloud.server).await;
    cloud.on(route, first).await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled with the second token");
    assert_eq!(inventory.vms.len(), 2);
    assert_eq!(cloud.count(route).await, 3);
    assert_eq!(
        cloud.count("/v3/auth/tokens").await,
        3,
        "two logins and one logout"
    );

    let cloud = Cloud::new().await;
    cloud
        .on("/nova/v2.1/servers/detail", ResponseTemplate::new(401))
        .await;
    cloud.rest().await;
    let error = cloud.pull().await.expect_err("never accepted");
    assert_eq!(error.status(), Some(401), "{error}");
}

// A deleted flavor is said to be gone, and the server's own copy tells what it was.
#[tokio::test]
async fn flavor_gone() {
    let cloud = Cloud::new().await;
    cloud
        .on(
            "/nova/v2.1/flavors/detail",
            json_answer(&json!({"flavors": []})),
        )
        .await;
    let gone = ResponseTemplate::new(404).set_body_json(json!({"itemNotFound": {"code": 404}}));
    cloud.on("/nova/v2.1/flavors/f1", gone).await;
    let copy = json!({"original_name": "old", "vcpus": 4, "ram": 1024, "ephemeral": 10, "swap": 0});
    let shown = json_answer(&json!({"server": {"id": "s1", "flavor": copy}}));
    cloud.on("/nova/v2.1/servers/s1", shown).await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    let vm = only_vm(&inventory);
    let flavor = vm.flavor.as_ref().expect("known");
    assert!(!flavor.exists);
    assert_eq!(
        (flavor.id.as_deref(), flavor.name.as_deref()),
        (Some("f1"), Some("old"))
    );
    assert_eq!(
        (vm.vcpus, vm.memory_mib, flavor.ephemeral_gib),
        (Some(4), Some(1024), Some(10))
    );
}

// Names outside of the base plane, in both spellings that JSON has for them.
#[tokio::test]
async fn names_of_any_script() {
    let cloud = Cloud::new().await;
    let names = [
        "db \u{1F680}",
        "\u{20BB7}\u{91CE}\u{5BB6}",
        "\u{1D11E}",
        "e\u{301}\u{200D}",
    ];
    let mut servers: Vec<Value> = (1..)
        .zip(names)
        .map(|(n, name)| {
            let mut server = server(&format!("s{n}"));
            server["name"] = name.into();
            server
        })
        .collect();
    servers[0]["name"] = "ESCAPED".into();
    let body = json!({ "servers": servers }).to_string();
    let body = body.replace("ESCAPED", r"db \ud83d\ude80");
    cloud
        .on(
            "/nova/v2.1/servers/detail",
            ResponseTemplate::new(200).set_body_raw(body, "application/json"),
        )
        .await;
    let all: Vec<Value> = servers
        .iter()
        .map(|server| json!({"id": server["id"]}))
        .collect();
    cloud
        .on(
            "/nova/v2.1/servers",
            json_answer(&json!({ "servers": all })),
        )
        .await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    let pulled: Vec<&str> = inventory.vms.iter().map(|vm| vm.name.as_str()).collect();
    assert_eq!(pulled, names);
}

// A boot image that is gone is said so (the import would fail after its export, O04); what the
// volume copied from it still tells the guest's system.
#[tokio::test]
async fn image_gone() {
    let cloud = Cloud::new().await;
    cloud
        .on("/glance/v2/images/i1", ResponseTemplate::new(404))
        .await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    let vm = only_vm(&inventory);
    assert_eq!(
        (vm.boot_image.as_deref(), vm.boot_image_exists),
        (Some("i1"), Some(false))
    );
    let family = vm.guest_os.as_ref().and_then(|os| os.family.as_deref());
    assert_eq!(family, Some("linux"));
}

// 429 with Retry-After is waited for and 503 tried again; neither is seen in the result.
#[tokio::test]
async fn busy() {
    let cloud = Cloud::new().await;
    let wait = ResponseTemplate::new(429).insert_header("Retry-After", "1");
    cloud.first("/nova/v2.1/servers/detail", 1, wait).await;
    cloud
        .first(
            "/cinder/v3/p1/volumes/detail",
            3,
            ResponseTemplate::new(503),
        )
        .await;
    cloud.rest().await;
    let begin = std::time::Instant::now();
    let inventory = cloud.pull().await.expect("pulled");
    assert!(begin.elapsed().as_millis() >= 1000);
    assert_eq!(only_vm(&inventory).disks.len(), 2);
    assert_eq!(cloud.count("/cinder/v3/p1/volumes/detail").await, 4);
}

// A service that stays down is an outage, told after a bounded number of tries.
#[tokio::test]
async fn down() {
    let cloud = Cloud::new().await;
    cloud
        .on("/nova/v2.1/servers/detail", ResponseTemplate::new(503))
        .await;
    cloud.rest().await;
    let error = cloud.pull().await.expect_err("down");
    assert!(error.is_outage(), "{error}");
    assert_eq!(cloud.count("/nova/v2.1/servers/detail").await, 5);
}

// A wrong password is tried once, and is in no message.
#[tokio::test]
async fn wrong_password() {
    let cloud = Cloud::new().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(401))
        .mount(&cloud.server)
        .await;
    let error = cloud.pull().await.expect_err("denied");
    assert!(matches!(error, OpenstackError::Denied { .. }), "{error}");
    assert!(!error.is_outage());
    assert!(error.hint().is_some());
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    assert_eq!(cloud.count("/v3/auth/tokens").await, 1);
}

// A login page instead of a list is no empty project.
#[tokio::test]
async fn login_page() {
    let cloud = Cloud::new().await;
    let html = ResponseTemplate::new(200).set_body_string("<html>Sign in</html>");
    cloud.on("/cinder/v3/p1/volumes/detail", html.clone()).await;
    cloud.rest().await;
    let error = cloud.pull().await.expect_err("no list");
    assert!(
        matches!(&error, OpenstackError::NotJson { excerpt, .. } if excerpt.contains("Sign in"))
    );

    let cloud = Cloud::new().await;
    Mock::given(method("POST"))
        .respond_with(html)
        .mount(&cloud.server)
        .await;
    let error = cloud.pull().await.expect_err("no token");
    assert!(
        matches!(error, OpenstackError::NotKeystone { .. }),
        "{error}"
    );
}

// Ports that the policy hides are a gap, and the NICs come from the addresses, as the engine's do.
#[tokio::test]
async fn ports_hidden() {
    let cloud = Cloud::new().await;
    cloud
        .on("/neutron/v2.0/ports", ResponseTemplate::new(403))
        .await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    assert!(matches!(&inventory.about.gaps[..], [Gap { what, .. }] if what == "ports"));
    let nic = &only_vm(&inventory).nics[0];
    assert_eq!(nic.mac.as_deref(), Some("fa:16:3e:00:00:01"));
    assert_eq!(nic.network_name.as_deref(), Some("lan"));
}

// A region that the catalog lacks is named together with those it has.
#[tokio::test]
async fn wrong_region() {
    let cloud = Cloud::new().await;
    let catalog = json!([{"type": "compute", "endpoints": [
        {"interface": "public", "region": "Other", "url": "http://10.0.0.1/v2.1"},
    ]}]);
    let token = json!({"token": {"project": {"id": "p1"}, "catalog": catalog}});
    let answer = ResponseTemplate::new(201)
        .insert_header("X-Subject-Token", "t")
        .set_body_json(token);
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&cloud.server)
        .await;
    let error = cloud.pull().await.expect_err("no such region");
    assert!(matches!(&error, OpenstackError::NoRegion { known, .. } if known == &["Other"]));
}

/// Keeps the order in which a list's pages arrive.
struct Reversed(Mutex<Vec<Value>>);

impl Respond for Reversed {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let mut volumes = self.0.lock().expect("no test panics while it holds this");
        volumes.reverse();
        json_answer(&json!({"volumes": *volumes}))
    }
}

// The order in which a service lists things leaves no trace: two pulls give equal inventories.
#[tokio::test]
async fn order_of_answers() {
    let cloud = Cloud::new().await;
    let volumes = vec![
        volume("v1", "/dev/vda", "true"),
        volume("v2", "/dev/vdb", "false"),
    ];
    cloud
        .on(
            "/cinder/v3/p1/volumes/detail",
            Reversed(Mutex::new(volumes)),
        )
        .await;
    cloud.rest().await;
    let first = cloud.pull().await.expect("pulled");
    assert_eq!(first, cloud.pull().await.expect("pulled again"));
}

// What the engine's hazards need beside the machine itself: groups, quotas, extra specs, flags.
#[tokio::test]
async fn facts_of_hazards() {
    let cloud = Cloud::new().await;
    let mut server = server("s1");
    server["created"] = json!("2026-01-02T03:04:05Z");
    server["key_name"] = json!("ops");
    server["config_drive"] = json!("True");
    server["security_groups"] = json!([{"name": "web"}, {"name": "default"}]);
    server["OS-EXT-SRV-ATTR:user_data"] = json!("aHVudGVyMg==");
    let floating = json!({"addr": "198.51.100.9", "version": 4,
        "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01", "OS-EXT-IPS:type": "floating"});
    let lan = server["addresses"]["lan"].as_array_mut();
    lan.expect("a list").push(floating);
    server["addresses"]["odd"] = json!([{"addr": "10.9.0.1", "version": 4}]);
    let servers = json_answer(&json!({"servers": [server]}));
    cloud.on("/nova/v2.1/servers/detail", servers).await;
    let shared = json!({
        "id": "v1", "size": 2, "bootable": "true", "status": "error", "name": "root",
        "multiattach": true, "availability_zone": "nova", "encrypted": true,
        "attachments": [{"server_id": "s1", "device": "/dev/vda"}],
        "volume_image_metadata": {"image_id": "i1", "hw_disk_bus": "scsi", "checksum": "0"},
    });
    let volumes = json!({"volumes": [shared, volume("v2", "/dev/vdb", "false")]});
    cloud
        .on("/cinder/v3/p1/volumes/detail", json_answer(&volumes))
        .await;
    let snapshots = json!({"snapshots": [{"id": "x", "volume_id": "v1"}]});
    cloud
        .on("/cinder/v3/p1/snapshots/detail", json_answer(&snapshots))
        .await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    assert_eq!(inventory.about.gaps, []);
    let text = serde_json::to_string(&inventory.vms).expect("written");
    assert!(
        !text.contains("aHVudGVyMg"),
        "user data is nobody's: {text}"
    );
    let facts = json!({
        "vm": only_vm(&inventory), "rules": inventory.rules, "quotas": inventory.about.quotas,
        "observed": inventory.observed, "api": inventory.about.api,
    });
    insta::assert_snapshot!(serde_json::to_string_pretty(&facts).expect("written"));
}

// An account that may not list all projects gets its own, and the snapshot says so; servers in a
// cell that is down are gaps; an old release has no census and no extra specs, said so too.
#[tokio::test]
async fn rights_cells_and_releases() {
    let cloud = Cloud::new().await;
    Mock::given(method("GET"))
        .and(path("/nova/v2.1/servers/detail"))
        .and(query_param("all_tenants", "1"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&cloud.server)
        .await;
    let counted = json!({"servers": [{"id": "s1"}, {"id": "s2", "status": "UNKNOWN"}]});
    cloud.on("/nova/v2.1/servers", json_answer(&counted)).await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    assert_eq!(inventory.about.scope.as_deref(), Some("own"));
    let gaps: Vec<_> = inventory
        .about
        .gaps
        .iter()
        .map(|gap| (gap.what.as_str(), gap.object.as_deref()))
        .collect();
    assert_eq!(
        gaps,
        [("server", Some("s2")), ("servers of all projects", None)]
    );

    let queens = Cloud::new().await;
    let version = json!({"version": {"version": "2.60"}});
    queens.on("/nova/v2.1/", json_answer(&version)).await;
    queens.rest().await;
    let inventory = queens.pull().await.expect("pulled");
    assert_eq!(queens.count("/nova/v2.1/servers").await, 0);
    assert_eq!(inventory.about.api["compute flavors"], "2.26");
    assert_eq!(inventory.about.gaps[0].what, "extra specs of flavors");
}

// A page that a service cannot make is asked for in halves; one that is cut off, again.
#[tokio::test]
async fn large_and_cut_pages() {
    let cloud = Cloud::new().await;
    let route = "/nova/v2.1/servers/detail";
    for limit in ["500", "250"] {
        Mock::given(method("GET"))
            .and(path(route))
            .and(query_param("limit", limit))
            .respond_with(ResponseTemplate::new(504))
            .mount(&cloud.server)
            .await;
    }
    let cut = ResponseTemplate::new(200).set_body_string(r#"{"volumes": [{"id": "v"#);
    cloud.first("/cinder/v3/p1/volumes/detail", 1, cut).await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    assert_eq!(inventory.vms[0].disks.len(), 2);
    let requests = cloud.server.received_requests().await.expect("recorded");
    let last = requests.iter().rfind(|request| request.url.path() == route);
    let query = last.and_then(|request| request.url.query()).expect("one");
    assert!(query.contains("limit=125"), "{query}");
}

// An application credential logs in without naming a project; that the engine cannot do so is
// recorded. Two domains are said as two.
#[tokio::test]
async fn ways_to_log_in() {
    let bodies = async |keys: &[(&str, &str)]| {
        let cloud = Cloud::new().await;
        cloud.rest().await;
        let inventory = cloud.pull_as(keys).await.expect("pulled");
        let requests = cloud.server.received_requests().await.expect("recorded");
        let login: Value = requests[0].body_json().expect("JSON");
        (login, inventory.about.identity)
    };
    let (login, identity) = bodies(&[
        ("application_credential_id", "i"),
        ("application_credential_secret", "s"),
    ])
    .await;
    assert_eq!(
        login,
        json!({"auth": {"identity": {"methods": ["application_credential"],
            "application_credential": {"id": "i", "secret": "s"}}}})
    );
    assert!(identity.expect("said").application_credential);
    let (login, identity) = bodies(&[
        ("username", "u"),
        ("password", "p"),
        ("user_domain_name", "people"),
        ("project_name", "harbor"),
        ("project_domain_id", "default"),
    ])
    .await;
    let project = json!({"project": {"name": "harbor", "domain": {"id": "default"}}});
    assert_eq!(login["auth"]["scope"], project);
    assert!(identity.expect("said").two_domains);
    let (login, identity) = bodies(&[("token", "t"), ("project_id", "1")]).await;
    assert_eq!(
        login,
        json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "t"}},
            "scope": {"project": {"id": "1"}}}})
    );
    assert!(identity.expect("said").token);
}

// Over TLS, Keystone and the services of its catalog alike: read with the authority of the Secret,
// or unchecked where that is asked for; else refused with the reason and the three ways out.
#[tokio::test]
async fn certificates() {
    let user = [
        ("username", "planner"),
        ("password", "hunter2"),
        ("project_name", "harbor"),
        ("domain_name", "Default"),
    ];
    let pulled = async |leaf, given| {
        let cloud = Cloud::behind_tls(leaf).await;
        cloud.rest().await;
        let keys = cloud.front.as_ref().expect("a front").keys(given, CA_KEY);
        let keys = keys.iter().map(|(key, value)| (*key, value.as_str()));
        let keys: Vec<_> = user.into_iter().chain(keys).collect();
        cloud.pull_as(&keys).await
    };
    for (given, mode) in [(Given::Authority, "ca"), (Given::Insecure, "insecure")] {
        let inventory = pulled(Leaf::Good, given).await.expect("read");
        assert_eq!(inventory.about.tls, mode);
        only_vm(&inventory);
    }
    for (leaf, given, expected) in [
        (Leaf::Good, Given::Nothing, Untrusted::UnknownIssuer),
        (Leaf::OtherName, Given::Authority, Untrusted::OtherName),
        (Leaf::Expired, Given::Authority, Untrusted::NotValidNow),
    ] {
        let error = pulled(leaf, given).await.expect_err("not trusted");
        let OpenstackError::Http(HttpError::Certificate { reason, .. }) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*reason, expected);
        let hint = error.hint().expect("ways out");
        assert!(hint.starts_with("there are three ways out: "), "{hint}");
        assert!(hint.contains(CA_KEY) && hint.contains("insecure"), "{hint}");
    }
}

// Every kind of request that there is: reads of these routes, and a token that is asked for and given
// back. Whatever else comes has no business here.
#[tokio::test]
async fn only_reads() {
    let cloud = Cloud::new().await;
    // A flavor that is gone and an image that is in use: what lists leave out is asked for one by one.
    let mut odd = server("s1");
    odd["flavor"]["id"] = "gone".into();
    cloud
        .on(
            "/nova/v2.1/servers/detail",
            json_answer(&json!({"servers": [odd]})),
        )
        .await;
    cloud.rest().await;
    let inventory = cloud.pull().await.expect("pulled");
    only_vm(&inventory);
    let requests = cloud.server.received_requests().await.expect("recorded");
    let seen: std::collections::BTreeSet<String> = requests
        .iter()
        .map(|request| format!("{} {}", request.method, request.url.path()))
        .collect();
    let expected = [
        "DELETE /v3/auth/tokens",
        "GET /cinder/v3/",
        "GET /cinder/v3/p1/limits",
        "GET /cinder/v3/p1/snapshots/detail",
        "GET /cinder/v3/p1/types",
        "GET /cinder/v3/p1/volumes/detail",
        "GET /glance/v2/images/i1",
        "GET /neutron/v2.0/networks",
        "GET /neutron/v2.0/ports",
        "GET /nova/v2.1/",
        "GET /nova/v2.1/flavors/detail",
        "GET /nova/v2.1/flavors/gone",
        "GET /nova/v2.1/os-server-groups",
        "GET /nova/v2.1/servers",
        "GET /nova/v2.1/servers/detail",
        "GET /nova/v2.1/servers/s1",
        "GET /v3/auth/projects",
        "GET /v3/projects",
        "POST /v3/auth/tokens",
    ];
    let extra: Vec<_> = seen
        .iter()
        .filter(|one| !expected.contains(&one.as_str()))
        .collect();
    assert!(extra.is_empty(), "not in the list: {extra:?}");
    let never: Vec<_> = expected
        .iter()
        .filter(|one| !seen.contains(**one) && **one != "GET /v3/auth/projects")
        .collect();
    assert!(never.is_empty(), "in the list, never sent: {never:?}");
}
