//! What is migrated: machines made for one scenario at the sources, and what is true of them.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::Run;
use crate::kube::text;
use crate::world::World;

/// An `OpenStack` project of a scenario's own.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name, also its user's.
    pub name: String,
    /// Of its user.
    pub password: String,
    /// Keystone.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// In the order in which they were asked for.
    pub servers: Vec<Server>,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its id: a name would not do.
    pub id: String,
    /// Its name, which others may bear too.
    pub name: String,
    /// SHA-256 of its whole disk.
    pub sha256: String,
}

/// An OVA on the file server.
#[derive(Clone, Debug)]
pub struct Ova {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// SHA-256 of each disk.
    pub disks: Vec<String>,
}

impl Project {
    /// Makes it, with volume-booted servers as `tests/testbed/openstack/project` takes them.
    pub fn make(world: &World, name: &str, servers: &[&str]) -> Result<Self> {
        let text_of = world
            .script("openstack/project")
            .args(["make", name])
            .args(servers)
            .limit(Duration::from_mins(5))
            .text()
            .context("make an OpenStack project")?;
        let made: Value =
            serde_json::from_str(&text_of).context("read what `project make` printed")?;
        let servers = made["servers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|server| Server {
                id: text(server, "/id").to_owned(),
                name: text(server, "/name").to_owned(),
                sha256: text(server, "/sha256").to_owned(),
            })
            .collect();
        Ok(Self {
            name: name.to_owned(),
            password: text(&made, "/password").to_owned(),
            endpoint: text(&made, "/auth_url").to_owned(),
            region: text(&made, "/region").to_owned(),
            servers,
        })
    }

    /// What removes it with all that is in it.
    pub fn removal(world: &World, name: &str) -> Run {
        world
            .script("openstack/project")
            .args(["remove", name])
            .limit(Duration::from_mins(5))
    }

    /// What the source's Secret holds.
    pub fn secret(&self) -> Vec<(&str, &str)> {
        vec![
            ("username", &self.name),
            ("password", &self.password),
            ("project_name", &self.name),
            ("domain_name", "Default"),
        ]
    }

    /// Servers of a name.
    pub fn named<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p Server> {
        self.servers
            .iter()
            .filter(move |server| server.name == name)
    }

    /// Removes one server, its volume stays.
    pub fn delete_server(&self, id: &str) -> Result<()> {
        self.openstack(&["server", "delete", "--wait", id])
            .map(drop)
    }

    /// `OpenStack`'s own command, as the project's user.
    pub fn openstack(&self, arguments: &[&str]) -> Result<String> {
        let run = Run::new("openstack")
            .args(arguments)
            .limit(Duration::from_mins(2));
        let with = |run: Run, (name, value): &(&str, String)| run.env(name, value);
        self.environment().iter().fold(run, with).text()
    }

    /// The variables that its user's commands need.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        [
            ("OS_AUTH_URL", self.endpoint.as_str()),
            ("OS_IDENTITY_API_VERSION", "3"),
            ("OS_USERNAME", &self.name),
            ("OS_PASSWORD", &self.password),
            ("OS_PROJECT_NAME", &self.name),
            ("OS_USER_DOMAIN_NAME", "Default"),
            ("OS_PROJECT_DOMAIN_NAME", "Default"),
            ("OS_REGION_NAME", &self.region),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
    }
}

impl Ova {
    /// Makes it and puts it on the file server.
    pub fn make(world: &World, name: &str, disks: &str) -> Result<Self> {
        Self::make_with(world, name, &["--disks", disks, "--nics", "lan"])
    }

    /// The same with the options of `tests/testbed/harvester/ova make`.
    pub fn make_with(world: &World, name: &str, options: &[&str]) -> Result<Self> {
        let folder = world.harvester().join("ovas");
        let made = world
            .script("harvester/ova")
            .args(["make"])
            .args([&folder])
            .args([name])
            .args(options)
            .limit(Duration::from_mins(2))
            .text()
            .context("make an OVA")?;
        let made: Value = serde_json::from_str(&made).context("read what `ova make` printed")?;
        let disks = made["disks"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|disk| text(disk, "/raw_sha256").to_owned())
            .collect();
        Ok(Self {
            name: name.to_owned(),
            url: format!("http://127.0.0.1:18090/{name}.ova"),
            disks,
        })
    }

    /// Removes it from the file server.
    pub fn remove(world: &World, name: &str) {
        for ending in ["ova", "json"] {
            let _ = std::fs::remove_file(
                world
                    .harvester()
                    .join("ovas")
                    .join(format!("{name}.{ending}")),
            );
        }
    }

    /// Bytes a second of all downloads; 0 is unlimited.
    pub fn rate(bytes: u64) -> Result<()> {
        Run::new("curl")
            .args([
                "-sf",
                "-X",
                "PUT",
                "-d",
                &bytes.to_string(),
                "http://127.0.0.1:18090/rate",
            ])
            .text()
            .map(drop)
    }
}

/// A VM of the simulated vCenter.
#[derive(Clone, Debug)]
pub struct Vm {
    /// Its managed object's id.
    pub id: String,
    /// Its instance UUID: what Windrow knows it by.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its datacenter.
    pub datacenter: String,
    /// Path for `govc`.
    pub path: String,
    /// Its first network.
    pub network: String,
}

/// The simulated vCenter.
pub struct Vcenter;

impl Vcenter {
    /// Its address.
    pub const ENDPOINT: &'static str = "https://127.0.0.1:8989/sdk";
    const CONTROL: &'static str = "http://127.0.0.1:8990/ctl";

    /// The VM of the ground truth that is made for `case`.
    pub fn vm(world: &World, case: &str) -> Result<Vm> {
        let path = world.state.join("vsphere-testbed/ground-truth.json");
        let truth =
            std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
        let truth: Value = serde_json::from_str(&truth).context("read the ground truth")?;
        let vm = truth["vms"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|vm| text(vm, "/case") == case)
            .with_context(|| format!("the ground truth has no case `{case}`"))?;
        Ok(Vm {
            id: text(vm, "/moid").to_owned(),
            uuid: text(vm, "/instanceUuid").to_owned(),
            name: text(vm, "/name").to_owned(),
            datacenter: text(vm, "/datacenter").to_owned(),
            path: text(vm, "/inventoryPath").to_owned(),
            network: text(vm, "/nics/0/network").to_owned(),
        })
    }

    /// What the source's Secret holds.
    pub fn secret(world: &World) -> Result<[(&'static str, String); 3]> {
        let file = |name: &str| {
            let path = world.state.join("vsphere-testbed").join(name);
            std::fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))
        };
        let user = "administrator@vsphere.local";
        let users: Value =
            serde_json::from_str(&file("users.json")?).context("read vCenter's users")?;
        let password = users
            .as_array()
            .into_iter()
            .flatten()
            .find(|u| text(u, "/user") == user)
            .map(|u| text(u, "/password").to_owned())
            .context("vCenter has no administrator")?;
        Ok([
            ("username", user.to_owned()),
            ("password", password),
            ("caCert", file("ca.pem")?),
        ])
    }

    /// Switches a VM at once, with no task.
    pub fn power(vm: &Vm, state: &str) -> Result<()> {
        let url = format!("{}/vm/{}/power?state={state}", Self::CONTROL, vm.id);
        Run::new("curl")
            .args(["-sf", "-X", "POST", &url])
            .text()
            .map(drop)
    }

    /// One core for each socket, as in Edit Settings: govc has no word for it.
    pub fn one_core_a_socket(world: &World, vm: &Vm) -> Result<()> {
        let script = r#"
            . "$PLACE/env"
            jar=$(mktemp); trap 'rm -f "$jar"' EXIT
            escape() { sed 's/&/\&amp;/g; s/</\&lt;/g' <<<"$1"; }
            call() {
                curl -sf --noproxy '*' --cacert "$GOVC_TLS_CA_CERTS" -b "$jar" -c "$jar" -H 'SOAPAction: "urn:vim25/8.0.0.0"'                     -H 'Content-Type: text/xml' "$GOVC_URL" -d "<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body>$1</Body></Envelope>"
            }
            call "<Login xmlns='urn:vim25'><_this type='SessionManager'>SessionManager</_this><userName>$GOVC_USERNAME</userName><password>$(escape "$GOVC_PASSWORD")</password></Login>" >/dev/null
            call "<ReconfigVM_Task xmlns='urn:vim25'><_this type='VirtualMachine'>$VM</_this><spec><numCoresPerSocket>1</numCoresPerSocket></spec></ReconfigVM_Task>" >/dev/null
            call "<Logout xmlns='urn:vim25'><_this type='SessionManager'>SessionManager</_this></Logout>" >/dev/null"#;
        Run::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .env("PLACE", world.state.join("vsphere-testbed"))
            .env("VM", &vm.id)
            .text()
            .map(drop)
    }

    /// SHA-256 of a VM's first disk, exported another way: by `govc` and `qemu-img`.
    pub fn disk_sha256(world: &World, vm: &Vm, folder: &std::path::Path) -> Result<String> {
        let (place, out) = (world.state.join("vsphere-testbed"), folder.join("govc"));
        let _ = std::fs::remove_dir_all(&out);
        let script = r#"
            . "$PLACE/env"
            "$PLACE/bin/govc" export.ovf -vm "$VM" "$OUT" >/dev/null
            disk=$(find "$OUT" -name '*.vmdk' | sort | head -1)
            qemu-img convert -O raw "$disk" "$OUT/raw"
            sha256sum "$OUT/raw" | cut -d' ' -f1
            rm -rf "$OUT""#;
        let digest = Run::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .env("PLACE", place)
            .env("VM", &vm.path)
            .env("OUT", &out)
            .limit(Duration::from_mins(6))
            .text()
            .context("export the VM by govc")?;
        Ok(digest.trim().to_owned())
    }
}
