//! Where `windrow init` reads, when it is told on the command line instead of finding snapshots.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use schemas::yaml::scalar;
use serde_json::json;

use crate::exit::Outcome;
use crate::failure::Failure;
use crate::inventory::{Reading, read};
use crate::load;
use crate::output::Output;

/// Sources to read before drafting.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Read first, instead of what is in DIR already")]
pub struct SourceArguments {
    /// A vCenter's address, as in `https://vcenter.example/sdk`; may be given several times
    #[arg(long, value_name = "URL", requires = "datacenter")]
    vmware: Vec<String>,
    /// The datacenter of each --vmware, in the same order
    #[arg(long, value_name = "NAME", requires = "vmware")]
    datacenter: Vec<String>,
    /// Keystone's address, as in `https://keystone.example:5000/v3`; may be given several times
    #[arg(long, value_name = "URL")]
    openstack: Vec<String>,
    /// The region of each --openstack, in the same order [default: `RegionOne`]
    #[arg(long, value_name = "NAME", requires = "openstack")]
    region: Vec<String>,
    /// An OVA file's address; may be given several times
    #[arg(long, value_name = "URL")]
    ova: Vec<String>,
    /// Secrets `dc1-import`, `cloud1-import`, … from a manifest file, or from a folder
    /// `<secret>/<key>` as Kubernetes mounts it
    #[arg(long, value_name = "PATH")]
    credentials: Option<Utf8PathBuf>,
    /// Do not read the target's cluster, though there is a kubeconfig
    #[arg(long)]
    no_target: bool,
}

impl SourceArguments {
    /// Whether there is anything to read.
    pub fn is_empty(&self) -> bool {
        self.vmware.is_empty() && self.openstack.is_empty() && self.ova.is_empty()
    }

    /// Reads the sources, and the target where there is a kubeconfig, into snapshots in `out`.
    pub async fn pull(
        &self,
        name: &str,
        namespace: &str,
        out: &Utf8Path,
        output: &Output,
    ) -> Result<Outcome, Failure> {
        let (text, names) = self.plan(name, namespace)?;
        let plan = load::plan_of_text(Utf8Path::new("plan.yaml"), text)?;
        let reading = Reading {
            names: if self.no_target { names } else { Vec::new() },
            credentials: self.credentials.clone(),
            fresh: false,
        };
        read(&plan, &reading, out, output).await
    }

    /// A plan that has these sources and nothing else to say, and their names.
    fn plan(&self, name: &str, namespace: &str) -> Result<(String, Vec<String>), Failure> {
        if self.vmware.len() != self.datacenter.len() {
            return Err(Failure::misused(Unpaired("--vmware", "--datacenter")));
        }
        if !self.region.is_empty() && self.region.len() != self.openstack.len() {
            return Err(Failure::misused(Unpaired("--openstack", "--region")));
        }
        let (mut sources, mut names) = (Vec::new(), Vec::new());
        let mut add = |name: String, kind: &str, place: serde_json::Value, login: bool| {
            let mut source = json!({ "name": name, kind: place });
            if login {
                source["credentials"] = json!({ "engine": format!("{name}-import") });
            }
            sources.push(source);
            names.push(name);
        };
        for ((endpoint, datacenter), n) in self.vmware.iter().zip(&self.datacenter).zip(1..) {
            let place = json!({ "endpoint": endpoint, "datacenter": datacenter });
            add(format!("dc{n}"), "vmware", place, true);
        }
        let regions = self.region.iter().map(String::as_str);
        let regions = regions.chain(std::iter::repeat("RegionOne"));
        for ((endpoint, region), n) in self.openstack.iter().zip(regions).zip(1..) {
            let place = json!({ "endpoint": endpoint, "region": region });
            add(format!("cloud{n}"), "openstack", place, true);
        }
        if !self.ova.is_empty() {
            add(
                "shelf".to_owned(),
                "ova",
                json!({ "items": items(&self.ova) }),
                false,
            );
        }
        let select: Vec<_> = names
            .iter()
            .map(|name| json!({ "source": name, "match": "*" }))
            .collect();
        let text = format!(
            "apiVersion: windrow.dev/v1alpha1\nkind: MigrationPlan\n\
             metadata: {{ name: {}, namespace: {} }}\nspec:\n  inlineSite:\n    sources: {}\n    \
             targets: [ {{ name: hv1, storageClass: harvester-longhorn }} ]\n  \
             target: {{ name: hv1, namespace: {} }}\n  workloads: {}\n",
            scalar(name),
            scalar(namespace),
            schemas::yaml::json(&json!(sources).to_string()),
            scalar(namespace),
            schemas::yaml::json(&json!([{ "name": "all", "select": select }]).to_string()),
        );
        Ok((text, names))
    }
}

/// OVA files, each called after its file.
fn items(urls: &[String]) -> Vec<serde_json::Value> {
    let mut taken = BTreeSet::new();
    let name = |url: &str| {
        let file = url.split(['?', '#']).next().unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or_default();
        let stem = file.strip_suffix(".ova").unwrap_or(file).to_lowercase();
        let name: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(NAME_LENGTH_MAX)
            .collect();
        match name.trim_matches('-') {
            "" => "appliance".to_owned(),
            name => name.to_owned(),
        }
    };
    let items = urls.iter().map(|url| {
        let first = name(url);
        let others = (2..).map(|n| format!("{first}-{n}"));
        let free = std::iter::once(first.clone())
            .chain(others)
            .find(|name| taken.insert(name.clone()));
        json!({ "url": url, "name": free.expect("numbers do not end") })
    });
    items.collect()
}

/// Longest name of a machine that is drafted, with room for a number: a DNS label has 63.
const NAME_LENGTH_MAX: usize = 58;

/// Two options that come in pairs do not.
#[derive(Debug, thiserror::Error)]
#[error("read the sources: give one {1} for each {0}")]
struct Unpaired(&'static str, &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    // OVA files are called after their files, each differently, whatever stands in the address.
    #[test]
    fn names_of_files() {
        let urls = [
            "https://files.example/Legacy CRM.ova",
            "https://files.example/b/legacy-crm.ova?token=1",
            "https://files.example/",
        ];
        let items = items(&urls.map(str::to_owned));
        let names: Vec<_> = items.iter().map(|item| item["name"].as_str()).collect();
        assert_eq!(
            names,
            [Some("legacy-crm"), Some("legacy-crm-2"), Some("appliance")]
        );
    }
}
