//! Topics and a keyspace that nobody else uses, on servers that are there already.

use crate::engine::{catalogue_cluster, groups};
use anyhow::Context;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use runtime::cluster::{Cluster, ClusterOptions, Profile, StoreOptions, store, topics};
use runtime::{Clock, RecordLog, Source, SystemClock, Topic};
use schemas::catalogue::TOPICS;
use schemas::outgoing::Partitions;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often ends and offsets are looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// The topics of one lane.
pub(super) const LANES: u32 = Partitions::CLUSTER.lanes;

/// Where the servers are.
#[derive(Clone, Debug)]
pub struct Servers {
    /// What they promise.
    pub profile: Profile,
    /// Brokers, `host:port`, separated by commas.
    pub brokers: String,
    /// Settings of librdkafka in place of the engine's.
    pub properties: BTreeMap<String, String>,
    /// Nodes of the store, `host:port`.
    pub store_nodes: Vec<String>,
    /// Whether nodes are reached under these addresses alone.
    pub given_addresses_only: bool,
}

/// A namespace and a keyspace of this run.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) servers: Servers,
    pub(super) namespace: String,
    pub(super) keyspace: String,
}

impl Ground {
    /// Makes every topic and the keyspace.
    ///
    /// # Errors
    /// If the servers say no.
    pub(super) async fn make(servers: &Servers) -> anyhow::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stamp = format!("{}-{number}", SystemClock.now());
        let ground = Self {
            servers: servers.clone(),
            namespace: format!("bench-{stamp}."),
            keyspace: format!("bench_{}", stamp.replace('-', "_")),
        };
        let kafka = topics::Kafka { brokers: servers.brokers.clone(), properties: BTreeMap::new() };
        let catalogue = catalogue_cluster().in_namespace(&ground.namespace);
        topics::apply(&kafka, servers.profile, &catalogue).await.context("no topics")?;
        store::migrate(&ground.store(), servers.profile).await.context("no keyspace")?;
        Ok(ground)
    }

    fn store(&self) -> StoreOptions {
        StoreOptions {
            nodes: self.servers.store_nodes.clone(),
            keyspace: self.keyspace.clone(),
            given_addresses_only: self.servers.given_addresses_only,
        }
    }

    /// Opens the engine.
    ///
    /// # Errors
    /// If it refuses the servers.
    pub(super) async fn open(&self, instance: &str) -> anyhow::Result<Cluster> {
        let options = ClusterOptions {
            profile: self.servers.profile,
            brokers: self.servers.brokers.clone(),
            properties: self.servers.properties.clone(),
            namespace: self.namespace.clone(),
            instance: instance.to_owned(),
            groups: groups(),
            store: self.store(),
        };
        Ok(Cluster::open(options, catalogue_cluster(), SystemClock).await?)
    }

    /// The topic as Kafka knows it.
    pub(super) fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.namespace)
    }

    /// Leaves everything where the audit found something, also the directory of the journals; else as
    /// [`Self::drop_all`].
    pub(super) async fn drop_unless(self, amiss: bool, journals: &Path) {
        if amiss {
            eprintln!(
                "bench: topics {}* and keyspace {} are left, and {}",
                self.namespace,
                self.keyspace,
                journals.display()
            );
        } else {
            self.drop_all().await;
        }
    }

    /// Deletes the topics and the keyspace; says so where it cannot.
    pub(super) async fn drop_all(self) {
        if let Err(error) = self.try_drop().await {
            let (namespace, keyspace) = (&self.namespace, &self.keyspace);
            eprintln!("bench: left topics {namespace}* and keyspace {keyspace}: {error:#}");
        }
    }

    async fn try_drop(&self) -> anyhow::Result<()> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers.brokers);
        let admin: AdminClient<DefaultClientContext> = config.create().context("no client")?;
        let names: Vec<String> = TOPICS.iter().map(|spec| self.topic(spec.name)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let deleted = admin.delete_topics(&names, &options).await?;
        if let Some((topic, error)) = deleted.into_iter().find_map(Result::err) {
            anyhow::bail!("{topic}: {error}");
        }
        let session = super::plain_rows::connect(self).await?;
        let drop = format!("DROP KEYSPACE {}", self.keyspace);
        session.query_unpaged(drop.as_str(), ()).await.context("the keyspace stays")?;
        Ok(())
    }
}

/// Records in all partitions of a topic that were ever appended.
pub(super) async fn count(engine: &Cluster, topic: &'static str) -> anyhow::Result<u64> {
    let topic = Topic(topic);
    let mut sum = 0;
    for partition in 0..engine.partitions(topic) {
        sum += engine.range(Source { topic, partition }).await?.1;
    }
    Ok(sum)
}

/// Waits until a topic has `wanted` records.
///
/// # Errors
/// If it does not get them in time.
pub(super) async fn reached(
    engine: &Cluster,
    topic: &'static str,
    wanted: u64,
    wait_max: Duration,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let found = count(engine, topic).await?;
        if wanted <= found {
            return Ok(());
        }
        let waited = begun.elapsed();
        anyhow::ensure!(waited < wait_max, "{found} of {wanted} records of {topic} came in time");
        sleep(LOOK_PERIOD).await;
    }
}

/// Waits until `group` has stored the end of every partition of `topic`: all that was said is done.
///
/// # Errors
/// If it does not in time.
pub(super) async fn caught_up(
    engine: &Cluster,
    group: &'static str,
    topic: &'static str,
    wait_max: Duration,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let topic = Topic(topic);
    for partition in 0..engine.partitions(topic) {
        let source = Source { topic, partition };
        while engine.stored(group, source).await?.unwrap_or(0) < engine.range(source).await?.1 {
            anyhow::ensure!(
                begun.elapsed() < wait_max,
                "{group} does not reach the end of {source}"
            );
            sleep(LOOK_PERIOD).await;
        }
    }
    Ok(())
}
