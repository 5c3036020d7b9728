//! Deleting old records, a few at a time, between the commits of others.

use super::store::{Failure, SEGMENTS};
use super::{Shared, segment::Head};
use crate::Source;
use std::sync::PoisonError;
use std::time::Duration;

/// How often old records are looked for.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);
/// Segments deleted in one transaction, so that those waiting behind it hardly notice.
const STEP_SEGMENTS_MAX: usize = 256;

/// Deletes the oldest segments that are past retention and below every group's stored offset.
///
/// True if there may be more.
pub(super) fn step(shared: &Shared) -> Result<bool, Failure> {
    let oldest = (shared.now)().saturating_sub(shared.retention_ms);
    let expired = expired(shared, oldest)?;
    if expired.is_empty() {
        return Ok(false);
    }
    let transaction = shared.store.write()?;
    {
        let mut segments = transaction.open_table(SEGMENTS)?;
        for (source, first, _) in &expired {
            segments.remove((shared.log(*source)?, *first))?;
        }
    }
    // The readers' view moves first: none may be told of a record that is gone a moment later.
    for (source, _, end) in &expired {
        if let Some(partition) = shared.partitions.get(source) {
            partition.tail.raise_low(*end);
        }
    }
    transaction.commit().map_err(|error| Failure { in_doubt: true, ..error.into() })?;
    Ok(expired.len() == STEP_SEGMENTS_MAX)
}

/// (partition, first offset, offset behind the last) of segments that may go.
fn expired(shared: &Shared, oldest: i64) -> Result<Vec<(Source, u64, u64)>, Failure> {
    let transaction = shared.store.read()?;
    let segments = transaction.open_table(SEGMENTS)?;
    let mut expired = Vec::new();
    for source in shared.partitions.keys() {
        if shared.catalogue.kept_forever(source.topic) {
            continue;
        }
        let (log, limit) = (shared.log(*source)?, limit(shared, *source));
        for entry in segments.range((log, 0)..=(log, u64::MAX))? {
            let (key, bytes) = entry?;
            let first = key.value().1;
            let Some(head) = Head::decode(bytes.value()) else { break };
            let end = first + u64::from(head.count);
            if oldest <= head.appended_at || limit < end || expired.len() == STEP_SEGMENTS_MAX {
                break;
            }
            expired.push((*source, first, end));
        }
    }
    Ok(expired)
}

/// The offset below which no group needs a record. A group that owns a partition and has not yet
/// stored an offset there may still need all of it.
fn limit(shared: &Shared, source: Source) -> u64 {
    let stored = shared.stored.lock().unwrap_or_else(PoisonError::into_inner);
    let of_source =
        |((_, found), offset): (&(String, Source), &u64)| (*found == source).then_some(*offset);
    let lowest = stored.iter().filter_map(of_source).min().unwrap_or(u64::MAX);
    let groups = shared.groups.lock().unwrap_or_else(PoisonError::into_inner);
    let unstored = |group: &str| !stored.contains_key(&(group.to_owned(), source));
    if groups.of(source).any(unstored) { 0 } else { lowest }
}
