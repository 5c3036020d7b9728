//! The plain programs beside rounds: the drivers alone.
//!
//! They produce and consume the same records over the same partitions, and write the same rows in the same batches.

use super::ground::{ClusterGround, LANES};
use super::plain_kafka::{PlainConsumer, PlainProducer, there_and_back};
use super::plain_rows::{PlainRows, RowBatch, batches};
use crate::bench::plain::Plain;
use crate::bench::tail::Taken;
use runtime::cluster::Cluster;
use runtime::{FactStore, Scope, Topic};
use schemas::catalogue::{PARKED, SETTLEMENTS};
use schemas::frame;
use schemas::wire::DeliveryRecord;
use std::sync::Arc;

/// A producer, a consumer, and a session of the store.
pub struct Drivers {
    producer: PlainProducer,
    consumer: PlainConsumer,
    rows: PlainRows,
    /// Partitioned like settlements and deliveries; nobody else reads it in a bench.
    topic: String,
}

impl Drivers {
    /// Connects to the servers.
    ///
    /// # Errors
    /// If they cannot be reached.
    pub(super) async fn open(ground: &ClusterGround) -> anyhow::Result<Self> {
        let (at, topic) = (ground.clone(), ground.topic(PARKED));
        let name = topic.clone();
        let (producer, consumer) = tokio::task::spawn_blocking(move || {
            let producer = PlainProducer::open(&at, &name)?;
            anyhow::Ok((producer, PlainConsumer::open(&at, &name, false)?))
        })
        .await??;
        Ok(Self { producer, consumer, rows: PlainRows::open(ground).await?, topic })
    }

    fn round_trip(&mut self, records: &[Taken]) -> anyhow::Result<()> {
        let Self { producer, consumer, topic, .. } = self;
        let back = || there_and_back(producer, consumer, topic, records);
        tokio::task::block_in_place(back).map(drop)
    }
}

impl Plain<Cluster> for Drivers {
    type Rows = Vec<Arc<RowBatch>>;
    const DOES: &'static str = "plain produces as many and as long records over the same partitions, until a consumer has seen the last";

    async fn settlements(&mut self, records: &[Taken]) -> anyhow::Result<()> {
        self.round_trip(records)
    }

    /// The rows of the final answers about `revision`, in the batches in which they were written.
    async fn rows(
        &self,
        engine: &Cluster,
        round: &str,
        revision: u32,
    ) -> anyhow::Result<Vec<Arc<RowBatch>>> {
        let mut scopes = Vec::new();
        for partition in 0..LANES {
            let scope = Scope { group: round.to_owned(), topic: Topic(SETTLEMENTS), partition };
            let mut facts = engine.scan(scope).await?;
            facts.retain(|fact| {
                frame::decode::<DeliveryRecord>(&fact.body)
                    .is_ok_and(|record| record.revision == i64::from(revision))
            });
            scopes.push(facts);
        }
        Ok(batches(&scopes))
    }

    async fn deliveries(
        &mut self,
        round: &str,
        rows: &Vec<Arc<RowBatch>>,
        records: &[Taken],
    ) -> anyhow::Result<()> {
        for batch in rows {
            self.rows.write(&format!("plain-{round}"), batch).await?;
        }
        self.rows.done().await?;
        self.round_trip(records)
    }
}
