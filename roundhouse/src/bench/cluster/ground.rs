//! Grounds of this engine: topics and a keyspace that nobody else uses, on servers that are there already.

use super::plain::Drivers;
use super::plain_kafka::PlainConsumer;
use super::plain_settler::DriversSettler;
use crate::bench::ground::{Bound, Floors, Ground, Grounds};
use crate::bench::settling::Settled;
use crate::config::Config;
use crate::engine::{catalogue_cluster, groups};
use anyhow::Context;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use runtime::cluster::{Cluster, ClusterOptions, Profile, StoreOptions, store, topics};
use runtime::{Clock, SystemClock};
use schemas::catalogue::TOPICS;
use schemas::outgoing::Partitions;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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
pub struct ClusterGround {
    pub(super) servers: Servers,
    pub(super) namespace: String,
    pub(super) keyspace: String,
}

impl Grounds for Servers {
    type Ground = ClusterGround;

    /// Kafka, and the store by the name and release that it says.
    async fn engine(&self) -> anyhow::Result<String> {
        // Nothing of the keyspace is read; a name it must have.
        let store =
            store::product(&self.store("bench")).await.context("the store does not answer")?;
        Ok(format!("Kafka and {store}"))
    }

    /// Makes every topic and the keyspace.
    async fn make(&self) -> anyhow::Result<ClusterGround> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stamp = format!("{}-{number}", SystemClock.now());
        let ground = ClusterGround {
            servers: self.clone(),
            namespace: format!("bench-{stamp}."),
            keyspace: format!("bench_{}", stamp.replace('-', "_")),
        };
        let (brokers, properties) = (self.brokers.clone(), self.properties.clone());
        let kafka = topics::Kafka { brokers, properties };
        let catalogue = catalogue_cluster().in_namespace(&ground.namespace);
        topics::apply(&kafka, self.profile, &catalogue).await.context("no topics")?;
        store::migrate(&self.store(&ground.keyspace), self.profile).await.context("no keyspace")?;
        Ok(ground)
    }
}

impl Ground for ClusterGround {
    const FLOORS: Floors = Floors {
        confirmed_us: 1_000_000,
        topic_us: Some(Bound { floor: 56_000, goal: 25_000 }),
        outcomes_per_core_s: Some(Bound { floor: 105_000, goal: 500_000 }),
    };
    // Each look asks the brokers for the end of every partition.
    const LOOK_PERIOD: Duration = Duration::from_millis(200);
    type Engine = Cluster;
    type Plain = Drivers;
    type PlainSettler = DriversSettler;
    type Watcher = Arc<PlainConsumer>;

    fn configure(&self, _config: &mut Config) {}

    async fn open(&self) -> anyhow::Result<Cluster> {
        self.open_as("bench").await
    }

    async fn watch(
        &self,
        _engine: &Cluster,
        topic: &'static str,
    ) -> anyhow::Result<Arc<PlainConsumer>> {
        let (ground, topic) = (self.clone(), self.topic(topic));
        let open = move || PlainConsumer::open(&ground, &topic, false);
        Ok(Arc::new(tokio::task::spawn_blocking(open).await??))
    }

    async fn plain(&self) -> anyhow::Result<Drivers> {
        Drivers::open(self).await
    }

    async fn plain_settler(
        &self,
        _engine: &Cluster,
        settled: Settled,
    ) -> anyhow::Result<DriversSettler> {
        DriversSettler::of(self, settled).await
    }

    async fn drop_all(self) {
        if let Err(error) = self.try_drop().await {
            let (namespace, keyspace) = (&self.namespace, &self.keyspace);
            eprintln!("bench: left topics {namespace}* and keyspace {keyspace}: {error:#}");
        }
    }

    async fn leave(self, amiss: bool, journals: &Path) {
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
}

impl Servers {
    fn store(&self, keyspace: &str) -> StoreOptions {
        StoreOptions {
            nodes: self.store_nodes.clone(),
            keyspace: keyspace.to_owned(),
            given_addresses_only: self.given_addresses_only,
        }
    }
}

impl ClusterGround {
    /// What the engine of the process of this name is opened with; the plain programs' clients have it too.
    pub(super) fn options(&self, instance: &str) -> ClusterOptions {
        ClusterOptions {
            profile: self.servers.profile,
            brokers: self.servers.brokers.clone(),
            properties: self.servers.properties.clone(),
            namespace: self.namespace.clone(),
            instance: instance.to_owned(),
            groups: groups(),
            store: self.servers.store(&self.keyspace),
        }
    }

    /// Opens the engine for the process of this name.
    ///
    /// # Errors
    /// If it refuses the servers.
    pub(super) async fn open_as(&self, instance: &str) -> anyhow::Result<Cluster> {
        Ok(Cluster::open(self.options(instance), catalogue_cluster(), SystemClock).await?)
    }

    /// The topic as Kafka knows it.
    pub(super) fn topic(&self, topic: &str) -> String {
        format!("{}{topic}", self.namespace)
    }

    async fn try_drop(&self) -> anyhow::Result<()> {
        let mut config = ClientConfig::new();
        config.extend(self.servers.properties.clone());
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use runtime::cluster::{fetcher_settings, producer_settings};

    /// Servers with a setting of each client.
    pub(in crate::bench::cluster) fn ground() -> ClusterGround {
        let properties = [("linger.ms", "7"), ("fetch.wait.max.ms", "9"), ("client.rack", "a")];
        let servers = Servers {
            profile: Profile::Single,
            brokers: "127.0.0.1:1".to_owned(),
            properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            store_nodes: vec!["127.0.0.1:2".to_owned()],
            given_addresses_only: true,
        };
        ClusterGround { servers, namespace: "n.".to_owned(), keyspace: "k".to_owned() }
    }

    #[test]
    fn the_plain_programs_have_the_settings_that_were_given() {
        let options = ground().options("bench-plain");
        assert_eq!(producer_settings(&options).get("linger.ms"), Some("7"));
        assert_eq!(fetcher_settings(&options).get("fetch.wait.max.ms"), Some("9"));
    }
}
