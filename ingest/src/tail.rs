//! Partitions that are read without a group, and whether what was said before the reading began is read.

use runtime::{EngineError, RecordLog, Source, Topic};
use schemas::catalogue::{DECISIONS, ROUNDS};
use schemas::outgoing::Partitions;
use std::collections::BTreeMap;

/// One partition to be tailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The partition.
    pub source: Source,
    /// The first offset to be read.
    pub from: u64,
    /// Its end when the reading began: until it is reached, whoever reads does not answer.
    pub end: u64,
}

impl Tail {
    /// A partition that held nothing when the reading began.
    pub fn of_empty(source: Source) -> Self {
        Self { source, from: 0, end: 0 }
    }

    /// All of `sources` from their lowest offsets.
    ///
    /// # Errors
    /// If the log does not tell a range.
    pub async fn all<L: RecordLog>(
        log: &L,
        sources: impl Iterator<Item = Source>,
    ) -> Result<Vec<Self>, EngineError> {
        let mut tails = Vec::new();
        for source in sources {
            let (from, end) = log.range(source).await?;
            tails.push(Self { source, from, end });
        }
        Ok(tails)
    }

    /// The same up to its end, without what stands more than `records_max` before it.
    #[must_use]
    pub fn last(self, records_max: u64) -> Self {
        Self { from: self.end.saturating_sub(records_max).max(self.from), ..self }
    }
}

/// The partitions of `rounds.v1`.
pub fn rounds(partitions: Partitions) -> impl Iterator<Item = Source> {
    (0..partitions.rounds).map(|partition| Source { topic: Topic(ROUNDS), partition })
}

/// The partitions of `decisions.v1`.
pub fn decisions(partitions: Partitions) -> impl Iterator<Item = Source> {
    (0..partitions.lanes).map(|partition| Source { topic: Topic(DECISIONS), partition })
}

/// The partitions whose end at the beginning was not reached yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behind(BTreeMap<Source, u64>);

impl Behind {
    pub(crate) fn of(tails: &[Tail]) -> Self {
        let unread = tails.iter().filter(|tail| tail.from < tail.end);
        Self(unread.map(|tail| (tail.source, tail.end)).collect())
    }

    /// Everything before `next` was read of `source`, which ends at `end` now.
    pub(crate) fn read(&mut self, source: Source, next: u64, end: u64) {
        if self.0.get(&source).is_some_and(|then| end.min(*then) <= next) {
            self.0.remove(&source);
        }
    }

    /// Whether anything was said before the beginning and is not read.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }
}
