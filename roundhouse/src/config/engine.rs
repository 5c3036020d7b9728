//! Which engine carries the log and the facts, and where its servers are.

use super::finding::Finding;
use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Characters that names given to Kafka may have besides letters and digits.
const NAME_PUNCTUATION: &str = "._-";
/// Characters of the longest keyspace.
const KEYSPACE_CHARS_MAX: usize = 48;

/// What carries the log and the facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// One data directory, one process, no server beside it
    Embedded,
    /// Kafka, and ScyllaDB or Cassandra; any number of processes
    Cluster,
}

/// The choice of the engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Which one.
    pub kind: EngineKind,
}

/// What the servers of a cluster must promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Three brokers and nodes or more: replication 3, two in-sync replicas, quorum
    Cluster,
    /// One broker and one node: no promise if its machine is lost
    Single,
}

/// The servers of the cluster engine.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// What they must promise.
    pub profile: Profile,
    /// Brokers to begin with, `host:port`, separated by commas.
    pub brokers: String,
    /// Before the names of topics and groups; empty for nothing.
    pub namespace: String,
    /// The name of this process; empty for the host's name.
    pub instance: String,
    /// Nodes of the store to begin with, `host:port`.
    #[serde(deserialize_with = "list")]
    pub store_nodes: Vec<String>,
    /// The keyspace of the facts.
    pub keyspace: String,
    /// Whether nodes are reached under the given addresses alone.
    pub given_addresses_only: bool,
    /// Further properties of the Kafka client.
    pub properties: BTreeMap<String, String>,
}

/// Without the values of the properties, which may be passwords.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        let mut shown = f.debug_struct("Cluster");
        shown.field("profile", &self.profile).field("brokers", &self.brokers);
        shown.field("namespace", &self.namespace).field("instance", &self.instance);
        shown.field("store_nodes", &self.store_nodes).field("keyspace", &self.keyspace);
        shown.field("given_addresses_only", &self.given_addresses_only);
        shown.field("properties", &names).finish()
    }
}

/// Flags that choose the engine and its servers.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineFlags {
    /// What carries the log and the facts [default: embedded]
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub engine: Option<EngineKind>,
    /// Kafka brokers to begin with, host:port separated by commas [default: 127.0.0.1:9092]
    #[arg(long, value_name = "BROKERS")]
    pub brokers: Option<String>,
    /// Nodes of the store to begin with, host:port separated by commas [default: 127.0.0.1:9042]
    #[arg(long, value_name = "NODES", value_delimiter = ',')]
    pub store_nodes: Vec<String>,
    /// What the servers must promise [default: cluster]
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub profile: Option<Profile>,
    /// The name of this process: the same after a restart, and no other's [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
}

impl EngineFlags {
    /// # Errors
    /// If a flag about servers is given to the engine that has none.
    pub(super) fn apply(self, engine: &mut Engine, cluster: &mut Cluster) -> anyhow::Result<()> {
        let Self { engine: kind, brokers, store_nodes, profile, instance } = self;
        engine.kind = kind.unwrap_or(engine.kind);
        let given = [
            ("--brokers", brokers.is_some()),
            ("--store-nodes", !store_nodes.is_empty()),
            ("--profile", profile.is_some()),
            ("--instance", instance.is_some()),
        ];
        if engine.kind == EngineKind::Embedded
            && let Some((flag, _)) = given.iter().find(|(_, given)| *given)
        {
            bail!("{flag} is for the cluster engine: add --engine cluster (or set engine.kind)");
        }
        cluster.brokers = brokers.unwrap_or_else(|| std::mem::take(&mut cluster.brokers));
        cluster.instance = instance.unwrap_or_else(|| std::mem::take(&mut cluster.instance));
        cluster.profile = profile.unwrap_or(cluster.profile);
        if !store_nodes.is_empty() {
            cluster.store_nodes = store_nodes;
        }
        Ok(())
    }
}

impl Cluster {
    /// The name of this process: as configured, or the host's.
    ///
    /// # Errors
    /// If the host has a name that is no name here.
    pub fn instance(&self) -> anyhow::Result<String> {
        if !self.instance.is_empty() {
            return Ok(self.instance.clone());
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        check_name(&host).context("the host's name cannot name this process (--instance)")?;
        Ok(host)
    }

    /// Everything that is wrong with it.
    pub(super) fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |path: &str, text: String| findings.push(Finding::new(path, text));
        if self.brokers.split(',').any(|broker| !is_address(broker.trim())) {
            add(
                "cluster.brokers",
                format!("(--brokers) `{}` is no list of host:port", self.brokers),
            );
        }
        for node in self.store_nodes.iter().filter(|node| !is_address(node)) {
            add("cluster.store_nodes", format!("(--store-nodes) `{node}` is no host:port"));
        }
        if self.store_nodes.is_empty() {
            add("cluster.store_nodes", "(--store-nodes) names no node".to_owned());
        }
        let names = [("cluster.instance", &self.instance), ("cluster.namespace", &self.namespace)];
        for (path, name) in names {
            if let Err(error) = check_name(name)
                && !name.is_empty()
            {
                add(path, error.to_string());
            }
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = self.keyspace.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || KEYSPACE_CHARS_MAX < self.keyspace.len() || !self.keyspace.chars().all(plain)
        {
            let most = KEYSPACE_CHARS_MAX - 1;
            let what = format!("a small letter and then at most {most} of a-z, 0-9 and _");
            add("cluster.keyspace", format!("is `{}`; it must be {what}", self.keyspace));
        }
        #[cfg(feature = "cluster")]
        for (name, value) in &self.properties {
            let alone = BTreeMap::from([(name.clone(), value.clone())]);
            if let Err(error) = runtime::cluster::topics::check_properties(&alone) {
                add(&format!("cluster.properties.{name}"), error.to_string());
            }
        }
        findings
    }
}

/// A list, or one text with commas: the same variable of the environment also does for `roundhouse store`.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Text(String),
        List(Vec<String>),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::Text(text) => text.split(',').map(|one| one.trim().to_owned()).collect(),
        Given::List(list) => list,
    })
}

fn is_address(text: &str) -> bool {
    let port = |port: &str| port.parse().is_ok_and(|port: u16| 0 < port);
    text.rsplit_once(':').is_some_and(|(host, found)| !host.is_empty() && port(found))
}

fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || NAME_PUNCTUATION.contains(c);
    if name.is_empty() || 128 < name.len() || !name.chars().all(plain) {
        bail!("`{name}` must be 1 to 128 letters, digits, dots, dashes and underscores");
    }
    Ok(())
}
