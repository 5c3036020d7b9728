//! The plain program beside a settler: the drivers alone.

use super::ground::{ClusterGround, LANES};
use super::plain_kafka::{PlainConsumer, PlainProducer};
use super::plain_rows::{PlainRows, RowBatch, batches};
use crate::bench::plain::PlainSettler;
use crate::bench::settling::Settled;
use crate::bench::tail::Taken;
use anyhow::Context;
use schemas::catalogue::{BETS, DECISIONS, SETTLEMENTS};
use settler::RECORDS_MAX;
use std::sync::Arc;
use tokio::sync::mpsc;

/// One round's records and rows, which are written again for each round.
pub struct DriversSettler {
    consumer: PlainConsumer,
    producer: PlainProducer,
    rows: PlainRows,
    round: Vec<Arc<RowBatch>>,
    decisions: Vec<Taken>,
    settlements: Vec<Taken>,
    /// Records of `bets.v1` that belong to a round.
    records: usize,
    topics: [String; 2],
}

impl DriversSettler {
    /// Connects to the servers.
    ///
    /// # Errors
    /// If they cannot be reached.
    pub(super) async fn of(ground: &ClusterGround, round: Settled) -> anyhow::Result<Self> {
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
            round: batches(&round.facts),
            records: round.records(LANES)?,
            decisions: round.decisions,
            settlements: round.settlements,
            topics,
        })
    }
}

impl PlainSettler for DriversSettler {
    const DOES: &'static str = "plain consumes the same records, writes the same rows in the same batches and produces the same \
         records";

    /// Consumes the records of all rounds; with each part of a round, writes as large a part of its rows
    /// and then of its records.
    async fn run(self, rounds: usize) -> anyhow::Result<()> {
        let Self {
            consumer,
            mut producer,
            mut rows,
            round,
            decisions,
            settlements,
            records,
            topics,
        } = self;
        let (sender, mut parts) = mpsc::channel::<usize>(24);
        let all = rounds * records;
        let reading = tokio::task::spawn_blocking(move || {
            let mut seen = 0;
            while seen < all {
                seen += consumer.take(RECORDS_MAX.min(all - seen))?;
                if sender.blocking_send(seen).is_err() {
                    break;
                }
            }
            anyhow::Ok(())
        });
        let (mut rows_done, mut records_done) = (0, 0);
        while let Some(seen) = parts.recv().await {
            let part = |of: usize| seen * of / records;
            while rows_done < part(round.len()) {
                let group = format!("plain-{:06}", rows_done / round.len());
                let batch = round.get(rows_done % round.len()).context("no rows")?;
                rows.write(&group, batch).await?;
                rows_done += 1;
            }
            while records_done < part(decisions.len()) {
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
