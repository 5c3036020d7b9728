//! Reads beside a machine's own reading.

use crate::machine::READ_RECORDS_MAX;
use crate::{Engine, EngineError, Reader, Record, Source};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for records that must be there: a range that was read says so.
const RECORDS_WAIT_MAX: Duration = Duration::from_secs(10);
/// Readers kept for peeks that go on where one ended; each may cost a consumer.
const READERS_KEPT_MAX: usize = 8;

type Read = Result<(Vec<Record>, u64), EngineError>;
type Peeking<R> = Pin<Box<dyn Future<Output = (Peeked, Option<(u64, R)>)> + Send>>;

/// The end of one peek.
pub(super) struct Peeked {
    pub(super) token: u64,
    pub(super) source: Source,
    pub(super) read: Read,
}

/// Peeks on their way, and the readers of those that ended before the partition did.
pub(super) struct Peeks<E: Engine> {
    engine: E,
    running: FuturesUnordered<Peeking<E::Reader>>,
    /// By the place they read on from.
    readers: BTreeMap<(Source, u64), E::Reader>,
}

impl<E: Engine> Peeks<E> {
    pub(super) fn new(engine: E) -> Self {
        Self { engine, running: FuturesUnordered::new(), readers: BTreeMap::new() }
    }

    pub(super) fn push(&mut self, token: u64, source: Source, from: u64) {
        let (engine, reader) = (self.engine.clone(), self.readers.remove(&(source, from)));
        self.running.push(Box::pin(async move {
            let (read, reader) = match peek(&engine, reader, source, from).await {
                Ok((records, end, reader)) => (Ok((records, end)), reader),
                Err(error) => (Err(error), None),
            };
            (Peeked { token, source, read }, reader)
        }));
    }

    /// The next that ended; `None` while none is on its way. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Peeked> {
        let (peeked, reader) = self.running.next().await?;
        if let Some((from, reader)) = reader {
            while READERS_KEPT_MAX <= self.readers.len() {
                self.readers.pop_first();
            }
            self.readers.insert((peeked.source, from), reader);
        }
        Some(peeked)
    }
}

type Found<R> = (Vec<Record>, u64, Option<(u64, R)>);

/// Reads once from `from` on, and gives the reader back if there is more behind.
async fn peek<E: Engine>(
    engine: &E,
    reader: Option<E::Reader>,
    source: Source,
    from: u64,
) -> Result<Found<E::Reader>, EngineError> {
    let (begin, end) = engine.range(source).await?;
    let from = from.max(begin);
    if end <= from {
        return Ok((Vec::new(), end, None));
    }
    let mut reader = reader.unwrap_or_else(|| engine.reader(source, from));
    let Ok(read) = timeout(RECORDS_WAIT_MAX, reader.next(READ_RECORDS_MAX)).await else {
        return Err(EngineError::Unavailable(format!("no records of {source} from {from} on")));
    };
    let (records, _) = read?;
    let next = records.last().map_or(from, |last| last.offset.saturating_add(1));
    Ok((records, end, (next < end).then_some((next, reader))))
}
