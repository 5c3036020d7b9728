//! Reading facts.

use super::connect::request;
use super::retry::repeated;
use super::{Shared, StoreOpenError};
use crate::{Catalogue, EngineError, Fact, FactKey, Millis, Scope};
use bytes::Bytes;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::response::PagingState;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Rows of one answer, about 1 MB.
const PAGE_ROWS: i32 = 5_000;
/// When a second node is asked for the same page: far above what a page takes.
const ASK_ANOTHER: Duration = Duration::from_millis(500);

/// The statements that read a scope, and what a scope has about one subject.
pub(super) async fn prepare(
    session: &Session,
    keyspace: &str,
) -> Result<(PreparedStatement, PreparedStatement), StoreOpenError> {
    let scan = format!(
        "SELECT lane, subject, kind, at_offset, content_hash, body FROM {keyspace}.facts \
         WHERE group_name = ? AND topic = ? AND topic_partition = ?"
    );
    let about = format!("{scan} AND lane = ? AND subject = ?");
    let another =
        SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval: ASK_ANOTHER };
    let profile = session.get_default_execution_profile_handle().pointee_to_builder();
    let profile = profile.speculative_execution_policy(Some(Arc::new(another))).build();
    Ok((prepared(session, &scan, &profile).await?, prepared(session, &about, &profile).await?))
}

/// The statement that asks whichever node takes it for its time.
pub(super) async fn prepare_time(session: &Session) -> Result<PreparedStatement, StoreOpenError> {
    let statement = "SELECT toUnixTimestamp(now()) FROM system.local";
    let prepared = session.prepare(statement).await;
    prepared.map_err(|error| request(statement, error))
}

async fn prepared(
    session: &Session,
    statement: &str,
    profile: &ExecutionProfile,
) -> Result<PreparedStatement, StoreOpenError> {
    let prepared = session.prepare(statement).await;
    let mut prepared = prepared.map_err(|error| request(statement, error))?;
    prepared.set_page_size(PAGE_ROWS);
    prepared.set_is_idempotent(true);
    prepared.set_consistency(Consistency::Quorum);
    prepared.set_execution_profile_handle(Some(profile.clone().into_handle()));
    Ok(prepared)
}

impl Shared {
    /// All facts of a scope, ordered by key: the table orders rows as [`FactKey`] does, texts and
    /// hashes by their bytes.
    pub(super) async fn scan(&self, scope: Scope) -> Result<Vec<Fact>, EngineError> {
        let partition = partition_of(&scope)?;
        let values = (scope.group.as_str(), scope.topic.0, partition);
        self.pages(&self.statements.scan, &values, &scope).await
    }

    pub(super) async fn about(
        &self,
        scope: Scope,
        lane: &str,
        subject: &str,
    ) -> Result<Vec<Fact>, EngineError> {
        let partition = partition_of(&scope)?;
        let values = (scope.group.as_str(), scope.topic.0, partition, lane, subject);
        self.pages(&self.statements.about, &values, &scope).await
    }

    pub(super) async fn time(&self) -> Result<Millis, EngineError> {
        let unavailable = |why: String| EngineError::Unavailable(format!("store, time: {why}"));
        let answer = self.session.execute_unpaged(&self.statements.time, ()).await;
        let rows = answer.map_err(|error| unavailable(error.to_string()))?.into_rows_result();
        let rows = rows.map_err(|error| unavailable(error.to_string()))?;
        let (ms,) = rows.single_row::<(i64,)>().map_err(|error| unavailable(error.to_string()))?;
        Ok(ms)
    }

    async fn pages(
        &self,
        statement: &PreparedStatement,
        values: &(impl SerializeRow + Sync),
        scope: &Scope,
    ) -> Result<Vec<Fact>, EngineError> {
        let mut facts = Vec::new();
        let mut place = PagingState::start();
        loop {
            let permit = self.in_flight.acquire().await.map_err(|_| EngineError::Closed)?;
            let (page, next) = repeated("read", || {
                self.session.execute_single_page(statement, values, place.clone())
            })
            .await?;
            drop(permit);
            decode(page, scope, &self.catalogue, &mut facts)
                .map_err(|why| EngineError::Unavailable(format!("store, read: {why}")))?;
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => return Ok(facts),
                ControlFlow::Continue(next) => place = next,
            }
        }
    }
}

fn partition_of(scope: &Scope) -> Result<i32, EngineError> {
    i32::try_from(scope.partition).map_err(|_| {
        EngineError::Unavailable(format!("store, read: no partition {}", scope.partition))
    })
}

/// Adds the facts of a page, or says what is wrong with one.
fn decode(
    page: QueryResult,
    scope: &Scope,
    names: &Catalogue,
    facts: &mut Vec<Fact>,
) -> Result<(), String> {
    let page = page.into_rows_result().map_err(|error| error.to_string())?;
    facts.reserve(page.rows_num());
    let rows = page.rows::<Row<'_>>().map_err(|error| error.to_string())?;
    for row in rows {
        facts.push(fact(row.map_err(|error| error.to_string())?, scope, names)?);
    }
    Ok(())
}

/// Lane, subject, kind, offset, hash and body, as the table has them.
type Row<'a> = (&'a str, &'a str, &'a str, i64, &'a [u8], &'a [u8]);

fn fact(row: Row<'_>, scope: &Scope, names: &Catalogue) -> Result<Fact, String> {
    let (lane, subject, kind, at, hash, body) = row;
    let group = &scope.group;
    let kind = names.kind(kind).ok_or_else(|| {
        format!("the kind of fact {kind:?} of {group} is unknown: start a newer binary")
    })?;
    let at = u64::try_from(at).map_err(|_| format!("a fact of {group} has the offset {at}"))?;
    let hash = hash
        .try_into()
        .map_err(|_| format!("a fact of {group} at {at} has a hash of {} bytes", hash.len()))?;
    let (lane, subject) = (lane.to_owned(), subject.to_owned());
    let key = FactKey { scope: scope.clone(), lane, subject, kind, at, hash };
    // Copied, so that one fact does not keep its whole page.
    Ok(Fact { key, body: Bytes::copy_from_slice(body) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topic;

    #[test]
    fn a_row_that_no_binary_of_ours_wrote_is_an_error() {
        let scope = Scope { group: "g".to_owned(), topic: Topic("t"), partition: 0 };
        let names = Catalogue::new([(Topic("t"), 1)], ["k"]);
        let hash: &[u8] = &[7; 16];
        let good: Row<'_> = ("l", "s", "k", 1, hash, b"b");
        assert_eq!(fact(good, &scope, &names).unwrap().key.hash, [7; 16]);
        for (row, why) in [
            (("l", "s", "new", 1, hash, &b"b"[..]), "\"new\""),
            (("l", "s", "k", -1, hash, b"b"), "offset -1"),
            (("l", "s", "k", 1, &[7; 15], b"b"), "15 bytes"),
        ] {
            let said = fact(row, &scope, &names).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
