//! Reading records: from memory at the end of a partition, from the file behind it.

use super::store::{Failure, SEGMENTS};
use super::tail::Look;
use super::{Shared, segment};
use crate::{EngineError, Reader, Record, Source};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::watch;

/// Bytes of segments after which a read from the file ends.
const READ_BYTES_MAX: usize = 2 << 20;

/// A position in one partition.
pub struct EmbeddedReader {
    shared: Arc<Shared>,
    source: Source,
    at: u64,
    /// `None` if the partition is not catalogued.
    end: Option<watch::Receiver<u64>>,
}

impl EmbeddedReader {
    pub(super) fn new(shared: Arc<Shared>, source: Source, at: u64) -> Self {
        let end = shared.partitions.get(&source).map(|partition| partition.tail.watch());
        Self { shared, source, at, end }
    }

    /// The records at the position that are in the file alone.
    async fn read_file(&self, records_max: usize, end: u64) -> Result<Vec<Record>, EngineError> {
        let (shared, source, at) = (Arc::clone(&self.shared), self.source, self.at);
        let read = move || in_file(&shared, source, at, records_max, end);
        let read = tokio::task::spawn_blocking(read).await;
        let records = read.map_err(|error| EngineError::Unavailable(error.to_string()))?;
        let records = records.map_err(|failure| EngineError::Unavailable(failure.text))?;
        // Deleted while we read.
        if records.first().map(|record| record.offset) != Some(self.at) {
            return Err(EngineError::OutOfRange { source_: self.source, offset: self.at });
        }
        Ok(records)
    }
}

impl Reader for EmbeddedReader {
    async fn next(&mut self, records_max: usize) -> Result<(Vec<Record>, u64), EngineError> {
        let records_max = records_max.max(1);
        loop {
            let out_of_range = EngineError::OutOfRange { source_: self.source, offset: self.at };
            let Some((end, partition)) =
                self.end.as_mut().zip(self.shared.partitions.get(&self.source))
            else {
                return Err(out_of_range);
            };
            end.mark_unchanged();
            let (records, end) = match partition.tail.look(self.at, records_max) {
                Look::Records(records, end) => (records, end),
                Look::InFile(end) => (self.read_file(records_max, end).await?, end),
                Look::Nothing => {
                    end.changed().await.map_err(|_| EngineError::Closed)?;
                    continue;
                }
                Look::OutOfRange => return Err(out_of_range),
                Look::Closed => return Err(EngineError::Closed),
            };
            if let Some(last) = records.last() {
                self.at = last.offset + 1;
                return Ok((records, end));
            }
        }
    }
}

/// Reads `[at, end)` from the file. Blocks.
fn in_file(
    shared: &Shared,
    source: Source,
    at: u64,
    records_max: usize,
    end: u64,
) -> Result<Vec<Record>, Failure> {
    let log = shared.log(source)?;
    let transaction = shared.store.read()?;
    let segments = transaction.open_table(SEGMENTS)?;
    let holding = segments.range((log, 0)..=(log, at))?.next_back().transpose()?;
    let first = holding.map_or(at, |(key, _)| key.value().1);
    let mut records = Vec::new();
    let mut bytes_read = 0;
    for entry in segments.range((log, first)..(log, end))? {
        let (key, bytes) = entry?;
        let first = key.value().1;
        bytes_read += bytes.value().len();
        let bytes = Bytes::copy_from_slice(bytes.value());
        let missing = records_max - records.len();
        let read =
            segment::decode(first, bytes, at, missing).ok_or_else(|| broken(source, first))?;
        records.extend(read);
        if records.len() == records_max || READ_BYTES_MAX < bytes_read {
            break;
        }
    }
    Ok(records)
}

fn broken(source: Source, first: u64) -> Failure {
    let text = format!("the segment of {source} at {first} is broken");
    Failure { full: false, in_doubt: false, text }
}
