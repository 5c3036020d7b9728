//! The simulated record log: what has landed is durable and in its place for ever (R21).

use runtime::{Append, Millis, Record, Source};
use std::collections::BTreeMap;

/// Topics and partitions, by source.
#[derive(Debug, Default)]
pub struct Log {
    partitions: BTreeMap<Source, Vec<Record>>,
}

impl Log {
    /// Lands a record; returns its offset.
    pub fn append(&mut self, append: Append, now: Millis) -> u64 {
        let records = self.partitions.entry(append.source()).or_default();
        let offset = end_of(records);
        let headers = append.headers.into_iter().collect();
        records.push(Record {
            offset,
            appended_at: now,
            key: append.key,
            headers,
            value: append.value,
        });
        offset
    }

    /// The records of `source` from offset `from` on.
    pub fn from(&self, source: Source, from: u64) -> &[Record] {
        let records = self.all(source);
        &records[records.partition_point(|record| record.offset < from)..]
    }

    /// All records of `source`.
    pub fn all(&self, source: Source) -> &[Record] {
        self.partitions.get(&source).map_or(&[], Vec::as_slice)
    }

    /// The offset the next record of `source` will get.
    pub fn end(&self, source: Source) -> u64 {
        end_of(self.all(source))
    }
}

fn end_of(records: &[Record]) -> u64 {
    records.last().map_or(0, |record| record.offset + 1)
}
