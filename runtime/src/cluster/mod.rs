//! The cluster engine: the record log is Apache Kafka, the fact store ScyllaDB or Apache Cassandra.
//!
//! A batch becomes durable step by step in the order of [`Batch::steps`]: facts at quorum, records
//! acknowledged by every in-sync replica, then the offset handed over. A step that fails leaves the rest
//! undone; the machine above is built again from the stored offset and does it all once more, which
//! changes nothing.

mod kafka;
mod options;
pub mod store;
pub mod topics;

pub use kafka::{KafkaAssignments, KafkaReader, fetcher_settings, producer_settings};
pub use options::{ClusterOptions, GroupSpec, Profile, StoreOptions};
pub use store::{CqlStore, StoreOpenError};

use crate::{
    Append, ApplyError, Batch, Catalogue, Clock, Engine, EngineError, Fact, FactStore, Lease,
    Millis, RecordLog, Scope, Source, Step, Topic,
};
use kafka::Kafka;
use rdkafka::error::KafkaError;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use topics::{TopicsError, TopicsRefused};

/// Longest wait at a start until the leader of every partition has answered.
const LEADERS_WAIT_MAX: Duration = Duration::from_secs(60);

/// Why the engine does not start.
#[derive(Debug, Error)]
pub enum ClusterOpenError {
    /// Kafka's settings could lose money, or Kafka cannot be asked.
    #[error(transparent)]
    Topics(#[from] TopicsRefused),
    /// A partition has no leader.
    #[error(transparent)]
    Leaders(#[from] TopicsError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    /// A client of Kafka cannot be made, or gets no answer.
    #[error("Kafka cannot be used")]
    Kafka(#[from] KafkaError),
}

/// The cluster engine. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    kafka: Arc<Kafka>,
    store: CqlStore,
}

impl Cluster {
    /// Connects to Kafka and the store.
    ///
    /// # Errors
    /// If a setting of either could lose money, named with the reason; or if one of them is not there.
    pub async fn open(
        options: ClusterOptions,
        catalogue: Catalogue,
        clock: impl Clock,
    ) -> Result<Self, ClusterOpenError> {
        let admin = topics::Kafka {
            brokers: options.brokers.clone(),
            properties: options.properties.clone(),
        };
        let named = catalogue.in_namespace(&options.namespace);
        let begun = clock.now();
        let after_ms = || clock.now().saturating_sub(begun);
        topics::check_at_start(&admin, options.profile, &named).await?;
        tracing::info!(after_ms = after_ms(), "the settings of all topics are safe");
        let store = CqlStore::connect(&options.store, options.profile, catalogue.clone()).await?;
        tracing::info!(after_ms = after_ms(), "the store answers");
        topics::leaders_answer(&admin, &named, LEADERS_WAIT_MAX).await?;
        tracing::info!(after_ms = after_ms(), "the leaders of all partitions answer");
        let kafka = Kafka::open(options, catalogue, clock).await?;
        Ok(Self { kafka, store })
    }

    /// Leaves the groups, waits for acknowledgements and disconnects. Every use afterwards is refused.
    pub async fn close(&self) {
        self.kafka.close().await;
    }

    /// Consumers of this process that fetch: one for each topic read, and more where readers of one
    /// partition are far from each other.
    pub fn consumers(&self) -> usize {
        self.kafka.consumers()
    }

    /// What time a node of the store has, in ms since the Unix epoch; each time another node.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if it does not answer.
    pub async fn time(&self) -> Result<Millis, EngineError> {
        self.store.time().await
    }

    /// Resolves with the reason when a record was given up by the producer: this process must end and be
    /// started again.
    pub async fn failed(&self) -> String {
        self.kafka.failed().await
    }
}

impl RecordLog for Cluster {
    type Reader = KafkaReader;
    type Assignments = KafkaAssignments;

    /// Refused with [`EngineError::Full`] while too many records wait for their acknowledgement.
    async fn append(&self, records: Vec<Append>) -> Result<(), EngineError> {
        self.kafka.append(records, true).await
    }

    fn reader(&self, source: Source, from: u64) -> KafkaReader {
        self.kafka.reader(source, from)
    }

    fn partitions(&self, topic: Topic) -> u32 {
        self.kafka.partitions(topic)
    }

    async fn range(&self, source: Source) -> Result<(u64, u64), EngineError> {
        self.kafka.range(source).await
    }

    async fn stored(
        &self,
        group: &'static str,
        source: Source,
    ) -> Result<Option<u64>, EngineError> {
        self.kafka.stored(group, source).await
    }

    fn join(&self, group: &'static str, topic: Topic) -> KafkaAssignments {
        self.kafka.join(group, topic)
    }
}

impl FactStore for Cluster {
    async fn scan(&self, scope: Scope) -> Result<Vec<Fact>, EngineError> {
        self.store.scan(scope).await
    }

    async fn about(
        &self,
        scope: Scope,
        lane: String,
        subject: String,
    ) -> Result<Vec<Fact>, EngineError> {
        self.store.about(scope, lane, subject).await
    }
}

impl Engine for Cluster {
    /// Step by step. Before each step it is looked whether the lease still holds in this process, so that
    /// a partition that is lost stops at once.
    async fn apply(&self, lease: Option<&Lease>, batch: Batch) -> Result<(), ApplyError> {
        // Else whoever owns the partition says the records again with each try, for as long as the store is away.
        if let Some(closing) = batch.closing.first()
            && self.store.is_failing()
        {
            self.store.scan(closing.key.scope.clone()).await?;
        }
        for step in batch.steps() {
            if let Some(lease) = lease
                && !self.kafka.owns(lease)
            {
                return Err(EngineError::Fenced(lease.source));
            }
            match (step, lease) {
                (Step::Facts(facts), _) => self.store.write(facts).await?,
                (Step::Records(records), _) => self.kafka.append(records, false).await?,
                (Step::Offsets(offsets), Some(lease)) => self.kafka.store(lease, &offsets)?,
                (Step::Offsets(offsets), None) => {
                    if let Some(first) = offsets.first() {
                        return Err(EngineError::Fenced(first.source));
                    }
                }
            }
        }
        Ok(())
    }
}
