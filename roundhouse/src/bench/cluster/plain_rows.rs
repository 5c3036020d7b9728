//! The plain programs' store: rows made before the clock runs, in unlogged batches of one partition.

use super::ground::ClusterGround;
use anyhow::Context;
use runtime::Fact;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::TranslationError;
use scylla::policies::address_translator::{AddressTranslator, UntranslatedPeer};
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Rows of a batch and its bytes, as the engine has them.
const ROWS_MAX: usize = 50;
const BYTES_MAX: usize = 24 * 1024;
/// Counted for each row beside its body.
const ROW_BYTES: usize = 200;
/// Times a batch is tried: a node that is short of CPU lets requests time out.
const TRIES_MAX: u32 = 4;
/// Requests under way at once, as the engine has them.
const IN_FLIGHT_MAX: u32 = 256;

/// Reaches a node behind a port mapping under the address given.
struct Given(SocketAddr);

#[async_trait::async_trait]
impl AddressTranslator for Given {
    async fn translate_address(
        &self,
        _: &UntranslatedPeer,
    ) -> Result<SocketAddr, TranslationError> {
        Ok(self.0)
    }
}

/// A session of the driver.
///
/// # Errors
/// If no node answers.
pub(super) async fn connect(ground: &ClusterGround) -> anyhow::Result<Session> {
    let servers = &ground.servers;
    let mut builder = SessionBuilder::new().known_nodes(&servers.store_nodes);
    if servers.given_addresses_only {
        let node = servers.store_nodes.first().context("no node of the store is given")?;
        let mut found = tokio::net::lookup_host(node).await.context("the node has no address")?;
        let address = found.next().context("the node has no address")?;
        builder = builder.address_translator(Arc::new(Given(address)));
        builder = builder.disallow_shard_aware_port(true);
    }
    builder.build().await.context("the store cannot be reached")
}

/// Rows of one partition of the table.
#[derive(Clone, Debug)]
pub struct RowBatch {
    facts: Vec<Fact>,
}

/// The same rows in the same batches as the engine makes of them.
pub(super) fn batches(scopes: &[Vec<Fact>]) -> Vec<Arc<RowBatch>> {
    let mut batches = Vec::new();
    for facts in scopes {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for fact in facts {
            let size = fact.body.len() + ROW_BYTES;
            if !batch.is_empty() && (batch.len() == ROWS_MAX || BYTES_MAX < bytes + size) {
                batches.push(Arc::new(RowBatch { facts: std::mem::take(&mut batch) }));
                bytes = 0;
            }
            bytes += size;
            batch.push(fact.clone());
        }
        if !batch.is_empty() {
            batches.push(Arc::new(RowBatch { facts: batch }));
        }
    }
    batches
}

/// Writes batches, many at once.
pub(super) struct PlainRows {
    session: Arc<Session>,
    insert: PreparedStatement,
    in_flight: Arc<Semaphore>,
    writes: JoinSet<anyhow::Result<()>>,
}

impl PlainRows {
    /// # Errors
    /// If the store cannot be reached.
    pub(super) async fn open(ground: &ClusterGround) -> anyhow::Result<Self> {
        let session = connect(ground).await?;
        let insert = format!(
            "INSERT INTO {}.facts (group_name, topic, topic_partition, lane, subject, kind, \
             at_offset, content_hash, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
            ground.keyspace
        );
        let insert = session.prepare(insert).await.context("the insert cannot be prepared")?;
        Ok(Self {
            session: Arc::new(session),
            insert,
            in_flight: Arc::new(Semaphore::new(256)),
            writes: JoinSet::new(),
        })
    }

    /// Begins to write a batch under the name of another group; waits while many are under way.
    ///
    /// # Errors
    /// If one before it failed.
    pub(super) async fn write(&mut self, group: &str, batch: &Arc<RowBatch>) -> anyhow::Result<()> {
        while let Some(done) = self.writes.try_join_next() {
            done.context("a write broke down")??;
        }
        let permit = Arc::clone(&self.in_flight).acquire_owned().await?;
        let (session, insert) = (Arc::clone(&self.session), self.insert.clone());
        let (group, batch) = (group.to_owned(), Arc::clone(batch));
        self.writes.spawn(async move {
            let rows: Vec<_> = batch.facts.iter().map(|fact| row(&group, fact)).collect();
            let statements = rows.iter().map(|_| insert.clone().into()).collect();
            let mut request = Batch::new_with_statements(BatchType::Unlogged, statements);
            request.set_is_idempotent(true);
            request.set_consistency(Consistency::Quorum);
            let mut written = session.batch(&request, &rows).await;
            for _ in 1..TRIES_MAX {
                if written.is_ok() {
                    break;
                }
                written = session.batch(&request, &rows).await;
            }
            drop(permit);
            written.map(drop).context("a batch was not written")
        });
        Ok(())
    }

    /// Waits until all are written.
    ///
    /// # Errors
    /// If one is not.
    pub(super) async fn done(&mut self) -> anyhow::Result<()> {
        let all = self.in_flight.acquire_many(IN_FLIGHT_MAX).await?;
        drop(all);
        while let Some(done) = self.writes.join_next().await {
            done.context("a write broke down")??;
        }
        Ok(())
    }
}

type Row<'a> = (&'a str, &'a str, i32, &'a str, &'a str, &'a str, i64, &'a [u8], &'a [u8], i64);

fn row<'a>(group: &'a str, fact: &'a Fact) -> Row<'a> {
    let key = &fact.key;
    let partition = i32::try_from(key.scope.partition).unwrap_or(i32::MAX);
    let at = i64::try_from(key.at).unwrap_or(i64::MAX);
    let (topic, lane, subject) = (key.scope.topic.0, key.lane.as_str(), key.subject.as_str());
    (group, topic, partition, lane, subject, key.kind, at, &key.hash, &fact.body, at)
}
