//! Writing facts.

use super::batches::{RowBatch, batches};
use super::connect::request;
use super::retry::repeated;
use super::{Shared, StoreOpenError};
use crate::{EngineError, Fact};
use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;

/// Requests of one write at once. A history's is one of hundreds, a row each: all at once they kept the store busy for 25 ms,
/// and bets waited behind them.
const WRITE_IN_FLIGHT_MAX: usize = 8;

/// The statement that writes a row.
pub(super) async fn prepare(
    session: &Session,
    keyspace: &str,
) -> Result<PreparedStatement, StoreOpenError> {
    let insert = format!(
        "INSERT INTO {keyspace}.facts (group_name, topic, topic_partition, lane, subject, kind, \
         at_offset, content_hash, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
    );
    session.prepare(insert.as_str()).await.map_err(|error| request(&insert, error))
}

/// A row: the columns in their order, then the timestamp.
type Row<'a> = (&'a str, &'a str, i32, &'a str, &'a str, &'a str, i64, &'a [u8], &'a [u8], i64);

impl Shared {
    pub(super) async fn write(&self, facts: Vec<Fact>) -> Result<(), EngineError> {
        stream::iter(batches(facts))
            .map(|batch| self.write_batch(batch))
            .buffer_unordered(WRITE_IN_FLIGHT_MAX)
            .try_collect()
            .await
    }

    async fn write_batch(&self, batch: RowBatch) -> Result<(), EngineError> {
        let rows: Vec<_> = batch.facts.iter().map(row).collect::<Result<_, _>>()?;
        let insert = || self.statements.insert.clone().into();
        let statements = rows.iter().map(|_| insert()).collect();
        let mut request = Batch::new_with_statements(BatchType::Unlogged, statements);
        request.set_is_idempotent(true);
        request.set_consistency(Consistency::Quorum);
        let _permit = self.in_flight.acquire().await.map_err(|_| EngineError::Closed)?;
        repeated("write", || self.session.batch(&request, &rows)).await?;
        Ok(())
    }
}

/// The offset is the timestamp too: a replay writes the same cells.
fn row(fact: &Fact) -> Result<Row<'_>, EngineError> {
    let key = &fact.key;
    let scope = &key.scope;
    let large =
        |_| EngineError::Unavailable(format!("store, write: a number of {key:?} is too large"));
    let partition = i32::try_from(scope.partition).map_err(large)?;
    let at = i64::try_from(key.at).map_err(large)?;
    let place = (scope.group.as_str(), scope.topic.0, partition);
    let (lane, subject) = (key.lane.as_str(), key.subject.as_str());
    Ok((place.0, place.1, place.2, lane, subject, key.kind, at, &key.hash, &fact.body, at))
}
