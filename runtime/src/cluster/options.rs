//! Where the servers are and how they are used.

use crate::Topic;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How many servers there are, and with it what they must promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// One broker and one node: durable against a crash of a process, not against loss of the machine.
    Single,
    /// Three brokers and nodes or more: replication 3, two in-sync replicas, quorum.
    Cluster,
}

/// A group of this engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// Its name.
    pub group: &'static str,
    /// The topic whose partitions its members share. Offsets of other topics are kept under
    /// `<group>.assigned`, which nobody joins: Kafka takes offsets from outside a group only while it
    /// has no members.
    pub topic: Topic,
    /// How long a silent member keeps its partitions.
    pub session: Duration,
}

/// Everything the engine is told from outside.
#[derive(Clone)]
pub struct ClusterOptions {
    /// What the servers must promise.
    pub profile: Profile,
    /// Brokers to begin with, `host:port`, separated by commas.
    pub brokers: String,
    /// More properties of librdkafka for every client: TLS, SASL, tuning. Those that could lose money
    /// are ours alone and are refused by name.
    pub properties: BTreeMap<String, String>,
    /// Stands before the names of all topics and groups: several installations can share brokers. Empty
    /// for none.
    pub namespace: String,
    /// The name of this process, the same after a restart and different in every other process: with it
    /// a restarted member gets its partitions back at once.
    pub instance: String,
    /// The groups that may be joined.
    pub groups: Vec<GroupSpec>,
    /// The fact store.
    pub store: StoreOptions,
}

/// Without the values of the properties, which may be passwords.
impl fmt::Debug for ClusterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        let mut shown = f.debug_struct("ClusterOptions");
        shown.field("profile", &self.profile).field("brokers", &self.brokers);
        shown.field("properties", &names).field("namespace", &self.namespace);
        shown.field("instance", &self.instance).field("groups", &self.groups);
        shown.field("store", &self.store).finish()
    }
}

/// Where the fact store is.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Nodes to begin with, `host:port`.
    pub nodes: Vec<String>,
    /// The keyspace.
    pub keyspace: String,
    /// Connect to these addresses alone, whatever addresses the nodes give for themselves: for nodes
    /// behind a port mapping, as in containers.
    pub given_addresses_only: bool,
}
