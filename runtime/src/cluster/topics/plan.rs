//! What `apply` would do, and what it leaves to a person.

use super::check::{Finding, Found, FoundTopic, Mended, Severity, check};
use super::wanted::{Wanted, WantedTopic};
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Topics to be made.
    pub create: Vec<Create>,
    /// Topics to be altered.
    pub alter: Vec<Alter>,
    /// Every difference, those that `apply` mends too.
    pub findings: Vec<Finding>,
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Create {
    /// Its name.
    pub topic: &'static str,
    /// Its partitions.
    pub partitions: u32,
    /// Replicas of each partition.
    pub replication: u32,
    /// Its settings.
    pub settings: BTreeMap<&'static str, String>,
}

/// A topic to be altered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alter {
    /// Its name.
    pub topic: &'static str,
    /// What changes.
    pub changes: Vec<Change>,
    /// Every setting that stands on the topic afterwards: Kafka's AlterConfigs resets what it is not told.
    pub settings: BTreeMap<String, String>,
    /// Settings of the topic whose values Kafka keeps to itself. They would be reset, so with any of
    /// them `apply` refuses.
    pub hidden: Vec<String>,
}

/// A setting that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name.
    pub setting: &'static str,
    /// What it was.
    pub from: String,
    /// What it becomes.
    pub to: String,
}

impl Plan {
    /// Findings that keep services from starting and that a person must deal with.
    pub fn for_a_person(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.mended == Mended::Person)
    }

    /// Differences that are safe.
    pub fn notes(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Note)
    }

    /// True if a service would refuse to start.
    pub fn refuses(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Refuse)
    }
}

/// What must be done to get from `found` to `wanted`: only what refuses is touched.
pub fn plan(wanted: &Wanted, found: &Found) -> Plan {
    let findings = check(wanted, found);
    let mut plan = Plan::default();
    for topic in &wanted.topics {
        match found.topics.get(topic.spec.topic.0) {
            None => plan.create.push(create(topic)),
            Some(found) => plan.alter.extend(alter(topic, found, &findings)),
        }
    }
    plan.findings = findings;
    plan
}

fn create(wanted: &WantedTopic) -> Create {
    Create {
        topic: wanted.spec.topic.0,
        partitions: wanted.spec.partitions,
        replication: wanted.replication,
        settings: wanted.settings.clone(),
    }
}

fn alter(wanted: &WantedTopic, found: &FoundTopic, findings: &[Finding]) -> Option<Alter> {
    let topic = wanted.spec.topic.0;
    let mine = findings.iter().filter(|finding| finding.of == topic);
    let changes: Vec<Change> = mine
        .filter(|finding| finding.mended == Mended::Apply)
        .filter_map(|finding| {
            let to = wanted.settings.get(finding.setting)?.clone();
            Some(Change { setting: finding.setting, from: finding.found.clone(), to })
        })
        .collect();
    if changes.is_empty() {
        return None;
    }
    let changed = |name: &str| changes.iter().any(|change| change.setting == name);
    let mut settings = BTreeMap::new();
    let mut hidden = Vec::new();
    for (name, setting) in found.settings.iter().filter(|(_, setting)| setting.own) {
        match &setting.value {
            Some(value) => drop(settings.insert(name.clone(), value.clone())),
            None if changed(name) => {}
            None => hidden.push(name.clone()),
        }
    }
    settings.extend(changes.iter().map(|change| (change.setting.to_owned(), change.to.clone())));
    Some(Alter { topic, changes, settings, hidden })
}
