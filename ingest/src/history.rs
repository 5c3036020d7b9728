//! Histories: what became of every bet, by player, by partner and bet by bet.
//!
//! `decisions.v1, settlements.v1, deliveries.v1 -> rows -> pages`
//!
//! [`History`] reads one partition of the three topics, and of the retry tiers for what was sent again
//! by command and what was tried in vain, and writes rows of a projection: the story of each bet ([`story`]), and places in the lists of
//! its player and of its partner ([`lists`]). Money is decided without any of them. A row's key follows from
//! its record alone, so a replay, or a second owner, writes the same rows.
//!
//! What a crash leaves: an offset below rows that stand, which are written again. What it never does: write a
//! row of money, stop at a record that it cannot read, or keep the engine busy: it gathers while it rests, and
//! it rests for many times as long as its last write took.

pub(crate) mod lists;
mod rows;
pub mod stakes;
pub(crate) mod story;
#[cfg(test)]
mod tests;

pub(crate) use rows::story_scope;

use rows::Rows;
use runtime::{Alarm, Batch, Effect, Input, Machine, Millis, Record, Source, StoreOffset};
use schemas::ContentHash;
use schemas::catalogue::{
    DECISIONS, DELIVERIES, RETRY_1H, RETRY_2M, RETRY_5S, RETRY_10M, RETRY_30S, SETTLEMENTS,
};
use schemas::outgoing::Partitions;
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;

/// The topics of a history, the one first whose partitions are shared out.
pub const TOPICS: [&str; 8] =
    [DECISIONS, SETTLEMENTS, DELIVERIES, RETRY_5S, RETRY_30S, RETRY_2M, RETRY_10M, RETRY_1H];
/// Records of one write: on the embedded engine a few ms for the only writer, which money needs too.
const WRITE_RECORDS_MAX: usize = 250;
/// Records that wait to be written; above it nothing is read.
const WAITING_RECORDS_MAX: usize = 1_000;
/// The rest after a write, in times of what the write took: the engine is used for at most a tenth of it.
const REST_TIMES: Millis = 9;
/// The rest after a write where little waits, in ms: what comes meanwhile is written at once.
const GATHER_MS: Millis = 100;
/// The longest rest, in ms: a store that was away for long is not left alone for ever.
const REST_MS_MAX: Millis = 5_000;

/// Indexes remembered as written: players and partners of a partition that come again on the same day.
const INDEXED_MAX: usize = 20_000;

const TOKEN: u64 = 0;

/// The machine: one partition.
#[derive(Debug)]
pub struct History {
    sources: Vec<(Source, u64)>,
    partitions: Partitions,
    phase: Phase,
    waiting: VecDeque<(Source, Record)>,
    /// Indexes that stand, which need not be written again: most rows of one row each.
    indexed: BTreeSet<ContentHash>,
}

#[derive(Clone, Debug)]
enum Phase {
    Idle,
    Writing { since: Millis, indexes: Vec<ContentHash> },
    Resting,
}

impl History {
    /// A history that reads each of [`TOPICS`] from the offset given with it.
    pub fn new(sources: Vec<(Source, u64)>, partitions: Partitions) -> Self {
        let (waiting, indexed) = (VecDeque::new(), BTreeSet::new());
        Self { sources, partitions, phase: Phase::Idle, waiting, indexed }
    }

    /// Takes what becomes rows, and the last record for the offset alone.
    fn take_in(&mut self, source: Source, records: Vec<Record>) {
        let last = records.last().map(|record| record.offset);
        let kept = records
            .into_iter()
            .filter(|record| rows::is_told(source, record) || Some(record.offset) == last);
        self.waiting.extend(kept.map(|record| (source, record)));
    }

    /// Writes what waits, unless a write is on its way or rests.
    fn write(&mut self, now: Millis) -> Vec<Effect<Self>> {
        if !matches!(self.phase, Phase::Idle) || self.waiting.is_empty() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        let mut rows = Rows::default();
        let mut offsets: Vec<StoreOffset> = Vec::new();
        let count = self.waiting.len().min(WRITE_RECORDS_MAX);
        for (source, record) in self.waiting.drain(..count) {
            if let Err(error) = rows.take(source, &record, self.partitions) {
                let text = format!("{source} at {}: {error}", record.offset);
                effects.push(Effect::Alarm(Alarm { name: "history_unreadable", text }));
            }
            let offset = record.offset.saturating_add(1);
            match offsets.iter_mut().find(|stored| stored.source == source) {
                Some(stored) => stored.offset = offset,
                None => offsets.push(StoreOffset { source, offset }),
            }
        }
        let indexes = rows.without(&self.indexed);
        self.phase = Phase::Writing { since: now, indexes };
        let batch = Batch { facts: rows.into_waves(), offsets, ..Batch::default() };
        effects.push(Effect::Apply { token: TOKEN, batch });
        effects
    }

    fn rest(&mut self, now: Millis) -> Vec<Effect<Self>> {
        let Phase::Writing { since, indexes } = std::mem::replace(&mut self.phase, Phase::Resting)
        else {
            return Vec::new();
        };
        if INDEXED_MAX < self.indexed.len() + indexes.len() {
            self.indexed.clear();
        }
        self.indexed.extend(indexes);
        let gather = if self.waiting.len() < WRITE_RECORDS_MAX { GATHER_MS } else { 0 };
        let took = now.saturating_sub(since).max(0);
        let rest = took.saturating_mul(REST_TIMES).clamp(gather, REST_MS_MAX);
        vec![Effect::Timer { token: TOKEN, at: now.saturating_add(rest) }]
    }
}

impl Machine for History {
    type Call = Infallible;
    type Answer = Infallible;
    type Request = Infallible;
    type Reply = Infallible;

    fn sources(&self) -> Vec<(Source, u64)> {
        self.sources.clone()
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        match input {
            Input::Records { source, records, .. } => {
                self.take_in(source, records);
                self.write(now)
            }
            Input::Applied { .. } => self.rest(now),
            Input::Timer { .. } => {
                self.phase = Phase::Idle;
                self.write(now)
            }
            Input::Loaded { .. } | Input::Peeked { .. } | Input::Failed { .. } => Vec::new(),
            Input::Answered { answer, .. } => match answer {},
            Input::Request { request, .. } => match request {},
        }
    }

    fn ready_for(&self, _source: Source) -> bool {
        self.waiting.len() < WAITING_RECORDS_MAX
    }
}
