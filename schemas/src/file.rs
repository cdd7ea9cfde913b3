//! The objects that are files: what they have in common, and the rules over several fields.
//!
//! Those rules stand twice: as CEL in the types' attributes, for the API server, and here, for
//! whoever reads a file without one. A test holds the two lists together.

use std::sync::LazyLock;

use kube::{CustomResourceExt, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::approval::WaveApproval;
use crate::crd::file_schema;
use crate::plan::{MigrationPlan, PlanSpec, Selector};
use crate::site::{MigrationSite, SiteSpec};
use crate::wave::MigrationWave;
use crate::yaml::Shape;

/// A kind of object that people or the planner keep in a file.
pub trait File:
    Resource<DynamicType = ()> + CustomResourceExt + Serialize + DeserializeOwned
{
    /// The longest `metadata.name`: it must leave room for suffixes and fit labels.
    const NAME_LENGTH_MAX: usize;

    /// What the YAML door checks: the structural schema of such a file, ready to be walked. Made
    /// once, for it takes longer than to read a wave.
    fn shape() -> &'static Shape;

    /// The rules over several fields that this object breaks.
    fn broken_rules(&self) -> Vec<BrokenRule>;
}

/// A rule over several fields that an object breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenRule {
    /// What breaks it, as in `spec.sources[0]`.
    pub path: String,
    /// The rule, in the words of its CEL twin.
    pub rule: &'static str,
}

impl File for MigrationSite {
    const NAME_LENGTH_MAX: usize = 52;

    fn shape() -> &'static Shape {
        static SHAPE: LazyLock<Shape> = LazyLock::new(shape_of::<MigrationSite>);
        &SHAPE
    }

    fn broken_rules(&self) -> Vec<BrokenRule> {
        let mut rules = Rules::default();
        rules.site(&self.spec, "spec");
        rules.broken
    }
}

impl File for MigrationPlan {
    const NAME_LENGTH_MAX: usize = 52;

    fn shape() -> &'static Shape {
        static SHAPE: LazyLock<Shape> = LazyLock::new(shape_of::<MigrationPlan>);
        &SHAPE
    }

    fn broken_rules(&self) -> Vec<BrokenRule> {
        let mut rules = Rules::default();
        rules.plan(&self.spec);
        rules.broken
    }
}

impl File for MigrationWave {
    const NAME_LENGTH_MAX: usize = 63;

    fn shape() -> &'static Shape {
        static SHAPE: LazyLock<Shape> = LazyLock::new(shape_of::<MigrationWave>);
        &SHAPE
    }

    fn broken_rules(&self) -> Vec<BrokenRule> {
        let mut rules = Rules::default();
        for (i, source) in self.spec.sources.iter().enumerate() {
            let set = [
                source.vmware.is_some(),
                source.openstack.is_some(),
                source.ova.is_some(),
            ];
            rules.check(one_of(&set), format!("spec.sources[{i}]"), ONE_SOURCE);
        }
        rules.broken
    }
}

impl File for WaveApproval {
    const NAME_LENGTH_MAX: usize = 253;

    fn shape() -> &'static Shape {
        static SHAPE: LazyLock<Shape> = LazyLock::new(shape_of::<WaveApproval>);
        &SHAPE
    }

    fn broken_rules(&self) -> Vec<BrokenRule> {
        let mut rules = Rules::default();
        let spec = &self.spec;
        let holds = spec.wave.is_some() == spec.digest.is_some()
            && spec.wave.is_some() != spec.step.is_some();
        rules.check(holds, "spec".to_owned(), ONE_APPROVED);
        rules.broken
    }
}

const ONE_SOURCE: &str = "exactly one of vmware, openstack, ova";
const ONE_SITE: &str = "exactly one of site, inlineSite";
const ONE_WAY: &str = "exactly one of to, drop: true";
const ONE_RECURRENCE: &str = "exactly one of every, occurrences";
const SOME_FIELD: &str = "at least one field beside source";
const SOME_WORKLOAD: &str = "at least one of workloads, workloadsFrom";
const ONE_NAME: &str = "exactly one of id, name";
const ONE_KIND: &str = "exactly one of select, external";
const NO_VMS: &str = "a step outside has no VMs: only name and dependsOn beside external";
const SOME_SIGN: &str = "at least one of approval, tcp";
const ONE_APPROVED: &str = "either wave and digest, or step";

fn shape_of<T: File>() -> Shape {
    Shape::new(&file_schema::<T>())
}

#[derive(Default)]
struct Rules {
    broken: Vec<BrokenRule>,
}

impl Rules {
    fn check(&mut self, holds: bool, path: String, rule: &'static str) {
        if !holds {
            self.broken.push(BrokenRule { path, rule });
        }
    }

    fn plan(&mut self, plan: &PlanSpec) {
        let sites = [plan.site.is_some(), plan.inline_site.is_some()];
        self.check(one_of(&sites), "spec".to_owned(), ONE_SITE);
        if let Some(site) = &plan.inline_site {
            self.site(site, "spec.inlineSite");
        }
        let some = !plan.workloads.is_empty() || !plan.workloads_from.is_empty();
        self.check(some, "spec".to_owned(), SOME_WORKLOAD);
        for (w, workload) in plan.workloads.iter().enumerate() {
            self.selectors(&workload.select, &format!("spec.workloads[{w}].select"));
            self.selectors(&workload.exclude, &format!("spec.workloads[{w}].exclude"));
            let set = [!workload.select.is_empty(), workload.external.is_some()];
            self.check(one_of(&set), format!("spec.workloads[{w}]"), ONE_KIND);
            if let Some(external) = &workload.external {
                let alone = workload.exclude.is_empty()
                    && workload.gate.is_none()
                    && workload.target.is_none()
                    && workload.shutdown_timeout.is_none()
                    && workload.downtime_budget.is_none()
                    && workload.weight.is_none();
                self.check(alone, format!("spec.workloads[{w}]"), NO_VMS);
                let done = &external.done;
                let path = format!("spec.workloads[{w}].external.done");
                let some = done.approval.is_some() || done.tcp.is_some();
                self.check(some, path, SOME_SIGN);
            }
        }
        for (i, from) in plan.workloads_from.iter().enumerate() {
            self.selectors(&from.exclude, &format!("spec.workloadsFrom[{i}].exclude"));
        }
        for (i, out) in plan.out_of_scope.iter().enumerate() {
            let path = format!("spec.outOfScope[{i}]");
            self.check(out.vms.says_something(), path, SOME_FIELD);
        }
        for (i, machine) in plan.machines.iter().enumerate() {
            let set = [machine.vm.id.is_some(), machine.vm.name.is_some()];
            self.check(one_of(&set), format!("spec.machines[{i}].vm"), ONE_NAME);
        }
    }

    fn selectors(&mut self, selectors: &[Selector], at: &str) {
        for (i, selector) in selectors.iter().enumerate() {
            self.check(selector.says_something(), format!("{at}[{i}]"), SOME_FIELD);
        }
    }

    fn site(&mut self, site: &SiteSpec, at: &str) {
        for (i, source) in site.sources.iter().enumerate() {
            let set = [
                source.vmware.is_some(),
                source.openstack.is_some(),
                source.ova.is_some(),
            ];
            self.check(one_of(&set), format!("{at}.sources[{i}]"), ONE_SOURCE);
        }
        for (t, target) in site.targets.iter().enumerate() {
            for (i, network) in target.networks.iter().enumerate() {
                let path = format!("{at}.targets[{t}].networks[{i}]");
                self.check(one_of(&[network.to.is_some(), network.drop]), path, ONE_WAY);
            }
        }
        for (i, window) in site.windows.iter().enumerate() {
            let set = [window.every.is_some(), window.occurrences.is_some()];
            self.check(one_of(&set), format!("{at}.windows[{i}]"), ONE_RECURRENCE);
        }
    }
}

fn one_of(set: &[bool]) -> bool {
    set.iter().filter(|set| **set).count() == 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    // Every CEL rule below a spec has its twin here, and every twin its CEL rule.
    #[test]
    fn twins() {
        fn messages(schema: &Value, found: &mut BTreeSet<String>) {
            match schema {
                Value::Object(fields) => {
                    if let Some(Value::Array(rules)) = fields.get("x-kubernetes-validations") {
                        found.extend(rules.iter().map(|rule| {
                            rule["message"]
                                .as_str()
                                .expect("rules have messages")
                                .to_owned()
                        }));
                    }
                    fields.values().for_each(|field| messages(field, found));
                }
                Value::Array(items) => items.iter().for_each(|item| messages(item, found)),
                _ => {}
            }
        }
        let mut found = BTreeSet::new();
        for crd in crate::crd::all() {
            let crd = serde_json::to_value(crd).expect("CRDs are JSON");
            let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            messages(&schema["properties"]["spec"], &mut found);
        }
        let twins = [
            ONE_SOURCE,
            ONE_SITE,
            ONE_WAY,
            ONE_RECURRENCE,
            SOME_FIELD,
            SOME_WORKLOAD,
            ONE_NAME,
            ONE_KIND,
            NO_VMS,
            SOME_SIGN,
            ONE_APPROVED,
        ];
        assert_eq!(found, twins.map(str::to_owned).into());
    }
}
