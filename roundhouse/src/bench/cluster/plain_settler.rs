//! The plain program beside a settler: the drivers alone.

use super::ground::ClusterGround;
use super::plain_kafka::{PlainConsumer, PlainProducer};
use super::plain_rows::{PlainRows, RowBatch, batches};
use crate::bench::plain::PlainSettler;
use crate::bench::settling::{Settled, Work};
use crate::bench::tail::Taken;
use anyhow::Context;
use schemas::catalogue::{BETS, DECISIONS, SETTLEMENTS};
use settler::RECORDS_MAX;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Records and rows of a part, which are written again and again.
pub struct DriversSettler {
    consumer: PlainConsumer,
    producer: PlainProducer,
    rows: PlainRows,
    part: Vec<Arc<RowBatch>>,
    decisions: Vec<Taken>,
    settlements: Vec<Taken>,
    /// Bets of the part.
    bets: usize,
    all: Work,
    topics: [String; 2],
}

impl DriversSettler {
    /// Connects to the servers.
    ///
    /// # Errors
    /// If they cannot be reached.
    pub(super) async fn of(ground: &ClusterGround, settled: Settled) -> anyhow::Result<Self> {
        let at = ground.clone();
        let topics = [ground.topic(DECISIONS), ground.topic(SETTLEMENTS)];
        let (consumer, producer) = tokio::task::spawn_blocking(move || {
            let consumer = PlainConsumer::open(&at, &at.topic(BETS), true)?;
            anyhow::Ok((consumer, PlainProducer::open(&at, &at.topic(DECISIONS))?))
        })
        .await??;
        Ok(Self {
            consumer,
            producer,
            rows: PlainRows::open(ground).await?,
            part: batches(&settled.facts),
            bets: settled.bets,
            all: settled.all,
            decisions: settled.decisions,
            settlements: settled.settlements,
            topics,
        })
    }
}

impl PlainSettler for DriversSettler {
    const DOES: &'static str = "plain consumes the same records, writes the same rows in the same batches and produces the same \
         records";

    /// Consumes all records; with each share of them, writes as large a share of the rows and then of the records.
    async fn run(self) -> anyhow::Result<()> {
        let Self {
            consumer,
            mut producer,
            mut rows,
            part,
            decisions,
            settlements,
            bets,
            all,
            topics,
        } = self;
        let (sender, mut parts) = mpsc::channel::<usize>(24);
        let reading = tokio::task::spawn_blocking(move || {
            let mut seen = 0;
            while seen < all.records {
                seen += consumer.take(RECORDS_MAX.min(all.records - seen))?;
                if sender.blocking_send(seen).is_err() {
                    break;
                }
            }
            anyhow::Ok(())
        });
        let (mut rows_done, mut records_done) = (0, 0);
        while let Some(seen) = parts.recv().await {
            let due = |of: usize| all.due(of, bets, seen);
            while rows_done < due(part.len()) {
                let group = format!("plain-{:06}", rows_done / part.len());
                let batch = part.get(rows_done % part.len()).context("no rows")?;
                rows.write(&group, batch).await?;
                rows_done += 1;
            }
            while records_done < due(decisions.len()) {
                let index = records_done % decisions.len();
                for (topic, of) in topics.iter().zip([&decisions, &settlements]) {
                    producer.send(topic, of.get(index).context("no record")?)?;
                }
                records_done += 1;
            }
        }
        reading.await??;
        rows.done().await?;
        tokio::task::spawn_blocking(move || producer.done()).await?
    }
}
