//! Many servers: an OpenStack of our own making over a real socket, for sizes that no testbed holds.
//!
//! Answers like the services, page by page, each entry with all the keys that Nova, Cinder and
//! Neutron of a current release give, those that nobody looks at too. Every server has a boot volume,
//! a port and tags. Nothing is kept: an entry is made from its number.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Bench, Line, Measure, Outcome, lines, pull, write_source};
use crate::bench::measure::{self, Cost};

/// What a pull of this size may take, without what it found.
const RSS_MIB_MAX: f64 = 64.0;
/// How much more a server may cost in a large project than in one of a quarter of its size.
const GROWTH_MAX: f64 = 1.25;

/// Measures a quarter, a half and all of `servers`.
pub fn run(bench: &Bench<'_>, servers: usize) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut costs = Vec::new();
    let mut version = Command::new(&bench.windrow);
    version.arg("--version");
    let nothing = measure::run(&version, &bench.state.join("version.out"))?;
    for count in [servers / 4, servers / 2, servers] {
        let folder = bench.folder(&format!("fake-{count}"))?;
        let endpoint = serve(count)?;
        let secret = json!({
            "username": "reader",
            "password": "none",
            "project_name": "big",
            "domain_name": "Default",
        });
        let place = format!("openstack: {{ endpoint: \"{endpoint}/v3\", region: R }}");
        write_source(&folder, &place, &secret)?;
        let (mut runs, mut kept) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds {
            let _ = std::fs::remove_dir_all(folder.join("out"));
            runs.push(measure::run(
                &pull(bench, &folder),
                &folder.join("pull.out"),
            )?);
            kept.push(result_alone(bench, &folder)?);
        }
        let (cost, kept) = (Cost::median(&runs), Cost::median(&kept));
        let found = lines(&folder.join("out/source/vms.jsonl"))?;
        outcome.lines.push(Line {
            what: format!("fake OpenStack: `windrow inventory pull`, {found} servers"),
            cost,
        });
        let result = (kept.rss - nothing.rss).max(0.0);
        outcome.measures.push(Measure {
            what: format!(
                "fake OpenStack, {found} servers: memory {:.1} MiB, of that {result:.1} MiB the \
                 result; at most {RSS_MIB_MAX} MiB beside it",
                cost.rss
            ),
            holds: cost.rss - result <= RSS_MIB_MAX && found == count,
        });
        costs.push((count, cost));
    }
    if let [(few, small), .., (many, large)] = costs[..] {
        let each = |cost: f64, count: usize| cost / f64::from(u32::try_from(count).unwrap_or(1));
        let growth = each(large.cpu, many) / each(small.cpu, few);
        let more = (large.rss - small.rss) * 1024.0;
        let each_more = each(more, many - few);
        outcome.measures.push(Measure {
            what: format!("memory grows by {each_more:.1} KiB a server; CPU of a server among {many} is {growth:.2} of one among {few}"),
            holds: growth <= GROWTH_MAX,
        });
    }
    Ok(outcome)
}

/// What it takes to hold what was pulled: the snapshot, read again to show one server.
fn result_alone(bench: &Bench<'_>, folder: &Path) -> Result<Cost> {
    let mut show = Command::new(&bench.windrow);
    show.args(["inventory", "show", "source", &id('a', 0)])
        .args(["--inventory", "out"])
        .current_dir(folder);
    measure::run(&show, &folder.join("show.out"))
}

/// Serves a project of `count` servers on a port of its own until the program ends.
fn serve(count: usize) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let base = format!("http://{}", listener.local_addr().context("listen")?);
    let project = Project {
        count,
        base: base.clone(),
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let project = project.clone();
            // A client that goes away is its own affair.
            thread::spawn(move || drop(project.talk(&stream)));
        }
    });
    Ok(base)
}

#[derive(Clone)]
struct Project {
    count: usize,
    base: String,
}

impl Project {
    /// Answers one connection's requests.
    fn talk(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut request = String::new();
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
            let mut body = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header)?;
                if header.trim().is_empty() {
                    break;
                }
                let length = header.to_ascii_lowercase();
                if let Some(length) = length.strip_prefix("content-length:") {
                    body = length.trim().parse().unwrap_or_default();
                }
            }
            std::io::copy(&mut reader.by_ref().take(body), &mut std::io::sink())?;
            let mut words = request.split_whitespace();
            let (method, target) = (words.next().unwrap_or_default(), words.next());
            let answer = self.answer(target.unwrap_or_default());
            let status = match (method, &answer) {
                ("POST", _) => "201 Created",
                ("DELETE", _) => "204 No Content",
                (_, Some(_)) => "200 OK",
                (_, None) => "404 Not Found",
            };
            let text = match (method, answer) {
                ("DELETE", _) => String::new(),
                (_, answer) => answer.unwrap_or_default().to_string(),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Subject-Token: t\r\n\
                 Content-Length: {}\r\n\r\n",
                text.len()
            );
            let mut writer = stream;
            writer.write_all(head.as_bytes())?;
            writer.write_all(text.as_bytes())?;
        }
    }

    fn answer(&self, target: &str) -> Option<Value> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let page = |kind: &str, entry: fn(usize) -> Value| {
            let given = |key: &str| {
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
            };
            let limit = given("limit").and_then(|limit| limit.parse().ok());
            let limit = limit.unwrap_or(self.count).min(1000);
            let from = given("marker").and_then(number).map_or(0, |last| last + 1);
            let to = self.count.min(from + limit);
            let entries: Vec<Value> = (from..to).map(entry).collect();
            let links = if to < self.count {
                json!([{ "rel": "next", "href": "http://10.0.0.1/" }])
            } else {
                json!([])
            };
            json!({ kind: entries, format!("{kind}_links"): links })
        };
        Some(match path {
            "/v3/auth/tokens" => self.token(),
            "/compute/v2.1/" => json!({"version": {"id": "v2.1", "version": "2.93"}}),
            "/volume/v3/" => json!({"versions": [{"id": "v3.0", "version": "3.70"}]}),
            "/compute/v2.1/servers/detail" => page("servers", server),
            "/compute/v2.1/servers" => {
                let all: Vec<Value> = (0..self.count)
                    .map(|at| json!({"id": id('a', at)}))
                    .collect();
                json!({ "servers": all })
            }
            "/compute/v2.1/flavors/detail" => json!({"flavors": [{
                "id": "1", "name": "m1.small", "vcpus": 1, "ram": 2048, "disk": 0, "swap": "",
                "OS-FLV-EXT-DATA:ephemeral": 0, "os-flavor-access:is_public": true,
                "extra_specs": {}, "rxtx_factor": 1.0, "links": [],
            }]}),
            "/compute/v2.1/os-server-groups" => json!({"server_groups": []}),
            "/volume/v3/p/volumes/detail" => page("volumes", volume),
            "/volume/v3/p/snapshots/detail" => json!({"snapshots": []}),
            "/volume/v3/p/types" => json!({"volume_types": [{"id": "1", "name": "fast"}]}),
            "/volume/v3/p/limits" => json!({"limits": {"rate": [], "absolute": {}}}),
            "/network/v2.0/ports" => page("ports", port),
            "/network/v2.0/networks" => json!({"networks": [{"id": "n", "name": "lan"}]}),
            "/image/v2/images/i" => json!({"id": "i", "hw_firmware_type": "uefi"}),
            "/v3/projects" => json!({"projects": [{"id": "p", "name": "big"}]}),
            _ => return None,
        })
    }

    fn token(&self) -> Value {
        let service = |kind: &str, path: &str| {
            json!({"type": kind, "endpoints": [{
                "interface": "public", "region": "R", "region_id": "R",
                "url": format!("{}/{path}", self.base),
            }]})
        };
        json!({"token": {
            "project": {"id": "p", "name": "big"}, "user": {"name": "reader"},
            "catalog": [
                service("compute", "compute/v2.1"), service("volumev3", "volume/v3/p"),
                service("image", "image"), service("network", "network"),
            ],
        }})
    }
}

/// An id of a kind, from a number.
fn id(kind: char, at: usize) -> String {
    format!("{at:08x}-0000-4000-8000-{kind}00000000000")
}

fn number(id: &str) -> Option<usize> {
    usize::from_str_radix(id.split('-').next()?, 16).ok()
}

fn mac(at: usize) -> String {
    let [.., a, b, c] = at.to_be_bytes();
    format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}")
}

fn address(at: usize) -> String {
    let [.., a, b, c] = at.to_be_bytes();
    format!("10.{a}.{b}.{c}")
}

/// As Nova lists it at 2.26, to an administrator.
fn server(at: usize) -> Value {
    let id_of = id('a', at);
    let self_link = format!("http://10.0.0.1/v2.1/servers/{id_of}");
    let mut server = json!({
        "id": id_of, "name": format!("app-{at:05}"), "status": "ACTIVE", "tenant_id": "p",
        "user_id": "0a7c3e4f9b8d4d9c8f0f5d6f1f2b3a4c", "description": null, "locked": false,
        "metadata": {"owner": "team a", "tier": "front"}, "tags": ["prod"],
        "hostId": "6f1ed002ab5595859014ebf0951522d9a5e7f3c1b2d4e6f8a0b1c2d3", "image": "",
        "flavor": {"id": "1", "links": [{"rel": "bookmark", "href": "http://10.0.0.1/flavors/1"}]},
        "created": "2026-01-01T00:00:00Z", "updated": "2026-01-02T00:00:00Z",
        "addresses": {"lan": [{"version": 4, "addr": address(at), "OS-EXT-IPS:type": "fixed",
                               "OS-EXT-IPS-MAC:mac_addr": mac(at)}]},
        "accessIPv4": "", "accessIPv6": "", "OS-DCF:diskConfig": "AUTO", "progress": 0,
        "links": [{"rel": "self", "href": self_link}, {"rel": "bookmark", "href": self_link}],
        "config_drive": "", "key_name": "ops", "security_groups": [{"name": "default"}],
        "os-extended-volumes:volumes_attached": [
            {"id": id('b', at), "delete_on_termination": false}],
    });
    let extended = json!({
        "OS-EXT-AZ:availability_zone": "nova", "OS-EXT-STS:task_state": null,
        "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:power_state": 1, "host_status": "UP",
        "OS-SRV-USG:launched_at": "2026-01-01T00:00:10.000000", "OS-SRV-USG:terminated_at": null,
        "OS-EXT-SRV-ATTR:host": "compute-01", "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
        "OS-EXT-SRV-ATTR:instance_name": format!("instance-{at:08x}"),
        "OS-EXT-SRV-ATTR:hypervisor_hostname": "compute-01", "OS-EXT-SRV-ATTR:user_data": null,
        "OS-EXT-SRV-ATTR:hostname": format!("app-{at:05}"), "OS-EXT-SRV-ATTR:launch_index": 0,
        "OS-EXT-SRV-ATTR:kernel_id": "", "OS-EXT-SRV-ATTR:ramdisk_id": "",
        "OS-EXT-SRV-ATTR:reservation_id": format!("r-{at:08x}"),
    });
    if let (Some(server), Value::Object(extended)) = (server.as_object_mut(), extended) {
        server.extend(extended);
    }
    server
}

/// As Cinder lists it at 3.50.
fn volume(at: usize) -> Value {
    let id_of = id('b', at);
    json!({
        "id": id_of, "name": format!("app-{at:05}-boot"), "size": 20, "status": "in-use",
        "bootable": "true", "volume_type": "fast", "multiattach": false, "encrypted": false,
        "availability_zone": "nova", "description": null, "metadata": {}, "snapshot_id": null,
        "source_volid": null, "consistencygroup_id": null, "replication_status": null,
        "migration_status": null, "created_at": "2026-01-01T00:00:00.000000",
        "updated_at": "2026-01-01T00:00:09.000000", "user_id": "0a7c3e4f9b8d4d9c8f0f5d6f1f2b3a4c",
        "os-vol-tenant-attr:tenant_id": "p", "os-vol-host-attr:host": "cinder@fast#pool",
        "os-vol-mig-status-attr:migstat": null, "os-vol-mig-status-attr:name_id": null,
        "attachments": [{"id": id_of, "volume_id": id_of, "server_id": id('a', at),
                         "attachment_id": id('c', at), "device": "/dev/vda",
                         "host_name": "compute-01", "attached_at": "2026-01-01T00:00:08.000000"}],
        "volume_image_metadata": {"image_id": "i", "image_name": "ubuntu", "min_disk": "10",
            "min_ram": "0", "disk_format": "raw", "container_format": "bare", "size": "2361393152",
            "checksum": "8d1f5ad3b1d5f7b0c4f1f7f0f1b2c3d4", "hw_firmware_type": "uefi"},
        "links": [{"rel": "self", "href": format!("http://10.0.0.1/v3/p/volumes/{id_of}")}],
    })
}

/// As Neutron lists it, of the fields that are asked for.
fn port(at: usize) -> Value {
    json!({
        "id": id('d', at), "device_id": id('a', at), "device_owner": "compute:nova",
        "network_id": "n", "mac_address": mac(at), "binding:vnic_type": "normal",
        "fixed_ips": [{"subnet_id": "s", "ip_address": address(at)}],
    })
}
