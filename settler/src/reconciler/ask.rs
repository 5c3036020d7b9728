//! What a reconciler is told and asked.

use schemas::PartnerId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a reconciler is told at its start.
#[derive(Clone, Debug)]
pub struct ReconcilerOptions {
    /// The partitions of `bets.v1` and `settlements.v1` that it has at first.
    pub partitions: BTreeSet<u32>,
    /// The lowest offset of each partition of `rounds.v1`.
    pub rounds_from: Vec<u64>,
    /// Ms after which an unanswered settlement is said again; 15 minutes in production.
    pub stale_ms: i64,
    /// Ms between two such repeats of one settlement; a day in production.
    pub repeat_ms: i64,
    /// Ms between two looks at a round that still owes something.
    pub look_ms: i64,
}

/// What a partner is owed in the partitions reconciled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// Settlements without a final answer, parked ones among them.
    pub settlements: u64,
    /// Those set aside for a human.
    pub parked: u64,
    /// Bets that a broken invariant stopped.
    pub frozen: u64,
}

impl Owed {
    /// Adds what is owed in another partition.
    pub(crate) fn add(&mut self, other: Self) {
        self.settlements += other.settlements;
        self.parked += other.parked;
        self.frozen += other.frozen;
    }
}

/// What a reconciler is asked. Each may be asked again and changes nothing then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcilerAsk {
    /// What every partner was owed when its rounds were last looked at.
    Owed,
    /// It has this partition from now on.
    Take(u32),
    /// It does not have this partition any more: all its memory goes (R4).
    Drop(u32),
}

/// The reply of a reconciler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconcilerTold {
    /// By partner.
    Owed(BTreeMap<PartnerId, Owed>),
    /// Taken or dropped.
    Done,
}
