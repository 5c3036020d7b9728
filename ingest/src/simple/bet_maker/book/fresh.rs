//! How fresh the book is.
//!
//! A topic in which nothing is said looks like one that has stalled. So the log is asked for its ends: at
//! the moment of the question the book was complete, if it has read up to them.

use super::Book;
use runtime::{Caller, Millis, RecordLog, Source};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for the log to tell its ends.
const ENDS_WAIT_MAX: Duration = Duration::from_secs(2);

/// The question for the ends of these partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskEnds {
    /// The partitions.
    pub sources: Vec<Source>,
    /// When it was asked, ms.
    pub at: Millis,
}

/// Asks a log for its ends.
#[derive(Clone, Debug)]
pub struct Ends<L>(pub L);

impl<L: RecordLog> Caller<Book> for Ends<L> {
    async fn call(&self, asked: AskEnds) -> (AskEnds, Option<BTreeMap<Source, u64>>) {
        let read = async {
            let mut ends = BTreeMap::new();
            for source in &asked.sources {
                ends.insert(*source, self.0.range(*source).await.ok()?.1);
            }
            Some(ends)
        };
        let ends = timeout(ENDS_WAIT_MAX, read).await.ok().flatten();
        (asked, ends)
    }
}

/// How far has been read, and what that is worth.
#[derive(Debug)]
pub(super) struct Fresh {
    /// The next offset to be read.
    positions: BTreeMap<Source, u64>,
    /// Ends that were told and are not reached yet, with the moment of the question.
    ahead: Option<(Millis, BTreeMap<Source, u64>)>,
    at: Millis,
}

impl Fresh {
    /// Nothing has been read of these partitions, from these offsets on.
    pub(super) fn new(sources: impl Iterator<Item = (Source, u64)>) -> Self {
        Self { positions: sources.collect(), ahead: None, at: 0 }
    }

    /// The moment up to which everything was read, ms; 0 if there was none yet.
    pub(super) fn at(&self) -> Millis {
        self.at
    }

    pub(super) fn ask(&self, now: Millis) -> AskEnds {
        AskEnds { sources: self.positions.keys().copied().collect(), at: now }
    }

    /// What the log said. Ends that are not reached wait for what is on its way.
    pub(super) fn told(&mut self, asked: &AskEnds, ends: Option<BTreeMap<Source, u64>>) {
        let Some(ends) = ends else { return };
        if self.reached(&ends) {
            self.at = self.at.max(asked.at);
            self.ahead = None;
        } else if self.ahead.is_none() {
            // The oldest question stays: a newer one may always be ahead of a reader under load.
            self.ahead = Some((asked.at, ends));
        }
    }

    /// Everything below `next` was read.
    pub(super) fn read(&mut self, source: Source, next: u64) {
        let Some(position) = self.positions.get_mut(&source) else { return };
        *position = (*position).max(next);
        if let Some((at, ends)) = self.ahead.take_if(|(_, ends)| reaches(&self.positions, ends)) {
            drop(ends);
            self.at = self.at.max(at);
        }
    }

    fn reached(&self, ends: &BTreeMap<Source, u64>) -> bool {
        reaches(&self.positions, ends)
    }
}

fn reaches(positions: &BTreeMap<Source, u64>, ends: &BTreeMap<Source, u64>) -> bool {
    ends.iter().all(|(source, end)| positions.get(source).is_some_and(|position| end <= position))
}
