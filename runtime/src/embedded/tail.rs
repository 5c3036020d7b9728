//! The end of one partition, and its newest records in memory.

use super::segment;
use crate::Record;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What a record costs beside its bytes.
const RECORD_OVERHEAD_BYTES: usize = 160;

/// What a partition's readers share. Only durable records come here (R21).
#[derive(Debug)]
pub(super) struct Tail {
    state: Mutex<State>,
    /// Changes with every publication; readers that have seen all wait on it.
    end: watch::Sender<u64>,
    bytes_max: usize,
}

#[derive(Debug)]
struct State {
    low: u64,
    end: u64,
    chunks: VecDeque<Chunk>,
    bytes: usize,
    closed: bool,
}

/// Records of consecutive offsets.
#[derive(Clone, Debug)]
struct Chunk {
    first: u64,
    records: Arc<[Record]>,
    bytes: usize,
}

/// What stands at a position.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// These records, and the partition's end.
    Records(Vec<Record>, u64),
    /// Records that are in the file alone, below this end.
    InFile(u64),
    /// Nothing yet.
    Nothing,
    /// Nothing any more, or beyond the end.
    OutOfRange,
    /// The engine is closed.
    Closed,
}

impl Tail {
    pub(super) fn new(low: u64, end: u64, bytes_max: usize) -> Self {
        let state = State { low, end, chunks: VecDeque::new(), bytes: 0, closed: false };
        Self { state: Mutex::new(state), end: watch::Sender::new(end), bytes_max }
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// The lowest offset kept and the end.
    pub(super) fn range(&self) -> (u64, u64) {
        let state = self.lock();
        (state.low, state.end)
    }

    /// Shows durable records, which begin at the end, to the readers.
    pub(super) fn publish(&self, records: Vec<Record>) {
        let Some((first, last)) = records.first().zip(records.last()) else { return };
        let (first, end) = (first.offset, last.offset + 1);
        let bytes = records.iter().map(|it| segment::weight(it) + RECORD_OVERHEAD_BYTES).sum();
        {
            let mut state = self.lock();
            debug_assert_eq!(state.end, first, "records continue the partition");
            state.chunks.push_back(Chunk { first, records: records.into(), bytes });
            state.bytes += bytes;
            state.end = end;
            while self.bytes_max < state.bytes && 1 < state.chunks.len() {
                let gone = state.chunks.pop_front().map_or(0, |chunk| chunk.bytes);
                state.bytes -= gone;
            }
        }
        self.end.send_replace(end);
    }

    /// Takes over what the file says after it was opened again. False if it lacks published records.
    pub(super) fn resume(&self, low: u64, end: u64) -> bool {
        {
            let mut state = self.lock();
            if end < state.end {
                return false;
            }
            if state.end < end {
                // The commit that failed did become durable; its records are in the file alone.
                state.chunks.clear();
                state.bytes = 0;
            }
            (state.low, state.end) = (low, end);
        }
        self.end.send_replace(end);
        true
    }

    pub(super) fn raise_low(&self, low: u64) {
        self.lock().low = low;
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.end.send_modify(|_| {});
    }

    /// What a reader at `at` gets next.
    pub(super) fn look(&self, at: u64, records_max: usize) -> Look {
        let (found, end) = {
            let state = self.lock();
            if state.closed {
                return Look::Closed;
            }
            if at < state.low || state.end < at {
                return Look::OutOfRange;
            }
            if at == state.end {
                return Look::Nothing;
            }
            let from = state.chunks.partition_point(|chunk| chunk.first <= at);
            let Some(from) = from.checked_sub(1) else { return Look::InFile(state.end) };
            let mut missing = records_max;
            let found: Vec<Chunk> = state
                .chunks
                .range(from..)
                .take_while(|chunk| {
                    let wanted = 0 < missing;
                    let skipped = usize::try_from(at.saturating_sub(chunk.first)).unwrap_or(0);
                    missing = missing.saturating_sub(chunk.records.len().saturating_sub(skipped));
                    wanted
                })
                .cloned()
                .collect();
            (found, state.end)
        };
        // Copied outside the lock, so that a slow reader never holds up the writer.
        let records = found.iter().flat_map(|chunk| chunk.records.iter());
        let records = records.filter(|record| at <= record.offset).take(records_max);
        Look::Records(records.cloned().collect(), end)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecordHeaders;
    use bytes::Bytes;

    fn records(offsets: std::ops::Range<u64>) -> Vec<Record> {
        let empty = Bytes::new();
        let record = |offset| (offset, empty.clone(), Bytes::from(vec![0; 100]));
        let record = offsets.map(record).map(|(offset, key, value)| Record {
            offset,
            appended_at: 0,
            key,
            headers: RecordHeaders::default(),
            value,
        });
        record.collect()
    }

    #[test]
    fn looks() {
        let tail = Tail::new(2, 10, 2_000);
        tail.publish(records(10..13));
        tail.publish(records(13..16));
        assert_eq!(tail.look(1, 9), Look::OutOfRange);
        assert_eq!(tail.look(2, 9), Look::InFile(16));
        assert_eq!(tail.look(10, 9), Look::Records(records(10..16), 16));
        assert_eq!(tail.look(12, 2), Look::Records(records(12..14), 16));
        assert_eq!(tail.look(15, 9), Look::Records(records(15..16), 16));
        assert_eq!(tail.look(16, 9), Look::Nothing);
        assert_eq!(tail.look(17, 9), Look::OutOfRange);
        tail.publish(records(16..20));
        assert_eq!(tail.look(12, 9), Look::InFile(20), "the oldest chunk made room");
        tail.close();
        assert_eq!(tail.look(20, 9), Look::Closed);
    }

    #[test]
    fn a_file_that_lost_published_records_is_not_taken() {
        let tail = Tail::new(0, 0, 2_000);
        tail.publish(records(0..4));
        assert!(!tail.resume(0, 3));
        assert!(tail.resume(0, 4));
        assert_eq!(tail.look(0, 9), Look::Records(records(0..4), 4));
        assert!(tail.resume(0, 6));
        assert_eq!(tail.look(0, 9), Look::InFile(6));
    }
}
