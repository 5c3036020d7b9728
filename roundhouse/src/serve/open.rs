//! Opening the engine that the configuration names: the one place that knows each of them.

#[cfg(feature = "cluster")]
use crate::config;
use crate::config::Config;
use crate::engine;
use anyhow::{Context, bail};
#[cfg(feature = "cluster")]
use runtime::cluster::topics::Kafka;
#[cfg(feature = "cluster")]
use runtime::cluster::{Cluster, ClusterOptions, Profile, StoreOptions};
use runtime::embedded::{Embedded, Options};
use runtime::{Engine, EngineError, Millis, SystemClock};
use schemas::outgoing::Partitions;
use std::future::{Future, pending};
use std::path::Path;

/// Ms in a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// An engine that this binary opens, runs on and closes.
pub trait Opened: Engine {
    /// How many partitions its topics have.
    const PARTITIONS: Partitions;
    /// Whether several processes may have it open at once.
    const SHARED: bool;

    /// Finishes what was queued and lets go of everything.
    fn close(&self) -> impl Future<Output = ()> + Send;

    /// Resolves with the reason when this process can no longer use the engine and must be started
    /// again; pending until then.
    fn failed(&self) -> impl Future<Output = String> + Send;

    /// What time it is where the facts are kept, in ms since the Unix epoch; `None` if that is this machine.
    fn time(&self) -> impl Future<Output = Result<Option<Millis>, EngineError>> + Send;
}

impl Opened for Embedded {
    const PARTITIONS: Partitions = Partitions::EMBEDDED;
    const SHARED: bool = false;

    async fn close(&self) {
        Self::close(self).await;
    }

    async fn failed(&self) -> String {
        pending().await
    }

    async fn time(&self) -> Result<Option<Millis>, EngineError> {
        Ok(None)
    }
}

#[cfg(feature = "cluster")]
impl Opened for Cluster {
    const PARTITIONS: Partitions = Partitions::CLUSTER;
    const SHARED: bool = true;

    async fn close(&self) {
        Self::close(self).await;
    }

    async fn failed(&self) -> String {
        Self::failed(self).await
    }

    async fn time(&self) -> Result<Option<Millis>, EngineError> {
        Self::time(self).await.map(Some)
    }
}

/// Opens the data directory of the configuration.
///
/// # Errors
/// If it cannot be had.
pub async fn embedded(config: &Config) -> anyhow::Result<Embedded> {
    let storage = &config.storage;
    let options = Options {
        retention_ms: i64::from(storage.retention_days) * DAY_MS,
        reserve_bytes: storage.reserve_mb << 20,
        cache_bytes: storage.cache_mb << 20,
        ..Options::new(&storage.data_dir)
    };
    let opening = tokio::task::spawn_blocking(move || {
        Embedded::open(&options, engine::catalogue(), SystemClock)
    });
    let opened = opening.await.context("the engine broke down while it was opened")?;
    opened.with_context(|| {
        format!(
            "the data directory {} cannot be opened (--data-dir, storage.data_dir)",
            storage.data_dir.display()
        )
    })
}

/// Opens a data directory whose server is stopped, to be read.
///
/// # Errors
/// If there is nothing in it, or a server works on it.
pub async fn at_rest(data_dir: &Path) -> anyhow::Result<Embedded> {
    if !engine::has_data(data_dir) {
        bail!(
            "there is no data in {}; give the directory that `serve` was given (--data-dir)",
            data_dir.display()
        );
    }
    let options = Options {
        retention_ms: i64::MAX, // Who reads deletes nothing.
        ..Options::new(data_dir)
    };
    let opening = tokio::task::spawn_blocking(move || {
        Embedded::open(&options, engine::catalogue(), SystemClock)
    });
    let opened = opening.await.context("the engine broke down while it was opened")?;
    opened.context("the log is read while its server is stopped")
}

/// Connects to the servers of the configuration, as a process that may join groups.
///
/// # Errors
/// If they cannot be reached, or their settings could lose money.
#[cfg(feature = "cluster")]
pub async fn cluster(config: &Config) -> anyhow::Result<Cluster> {
    connect(config, config.cluster.instance()?).await
}

/// Connects to the servers of the configuration, to read beside the processes that run there.
///
/// # Errors
/// As [`cluster`].
#[cfg(feature = "cluster")]
pub async fn cluster_reader(config: &Config) -> anyhow::Result<Cluster> {
    connect(config, format!("reader-{}", std::process::id())).await
}

/// What the servers must promise, as the engine takes it.
#[cfg(feature = "cluster")]
pub fn profile(cluster: &config::Cluster) -> Profile {
    match cluster.profile {
        config::Profile::Cluster => Profile::Cluster,
        config::Profile::Single => Profile::Single,
    }
}

/// Where Kafka is, as the engine takes it.
#[cfg(feature = "cluster")]
pub fn kafka(cluster: &config::Cluster) -> Kafka {
    Kafka { brokers: cluster.brokers.clone(), properties: cluster.properties.clone() }
}

/// Where the store is, as the engine takes it.
#[cfg(feature = "cluster")]
pub fn store(cluster: &config::Cluster) -> StoreOptions {
    StoreOptions {
        nodes: cluster.store_nodes.clone(),
        keyspace: cluster.keyspace.clone(),
        given_addresses_only: cluster.given_addresses_only,
    }
}

#[cfg(feature = "cluster")]
async fn connect(config: &Config, instance: String) -> anyhow::Result<Cluster> {
    let given = &config.cluster;
    let Kafka { brokers, properties } = kafka(given);
    let options = ClusterOptions {
        profile: profile(given),
        brokers,
        properties,
        namespace: given.namespace.clone(),
        instance,
        groups: engine::groups(),
        store: store(given),
    };
    Cluster::open(options, engine::catalogue_cluster(), SystemClock)
        .await
        .context("the cluster engine cannot be used (--brokers, --store-nodes, --profile)")
}

/// Refuses: this build has no cluster engine.
///
/// # Errors
/// Always.
#[cfg(not(feature = "cluster"))]
pub async fn cluster(_config: &Config) -> anyhow::Result<Embedded> {
    anyhow::bail!("this build has no cluster engine: build it with `--features cluster`")
}

/// Refuses: this build has no cluster engine.
///
/// # Errors
/// Always.
#[cfg(not(feature = "cluster"))]
pub async fn cluster_reader(config: &Config) -> anyhow::Result<Embedded> {
    cluster(config).await
}
