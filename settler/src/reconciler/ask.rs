//! What a reconciler is told and asked.

use super::book::{Book, Units};
use runtime::Millis;
use schemas::PartnerId;
use schemas::outgoing::Partitions;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a reconciler is told at its start.
#[derive(Clone, Debug)]
pub struct ReconcilerOptions {
    /// The partitions of `bets.v1` and `settlements.v1` that it has at first.
    pub partitions: BTreeSet<u32>,
    /// The lowest offset of each partition of `rounds.v1`.
    pub rounds_from: Vec<u64>,
    /// How many partitions topics have.
    pub counts: Partitions,
    /// Ms behind a change of a round until it is first looked at, to be closed with partners; a minute in
    /// production.
    pub close_after_ms: i64,
    /// Ms after which an unanswered settlement is said again; 15 minutes in production.
    pub stale_ms: i64,
    /// Ms between two such repeats of one settlement; a day in production.
    pub repeat_ms: i64,
    /// Ms between two looks at a round that still owes something or is not closed, at least: the longer ago
    /// it changed, the longer it rests between looks.
    pub look_ms: i64,
    /// Ms in which every round is looked at again, and compared with its partners, although it is done; a day in
    /// production.
    pub cycle_ms: i64,
    /// Partners that are down by what is known at its start: nothing is said to them again.
    pub away: BTreeSet<PartnerId>,
}

impl ReconcilerOptions {
    /// Ms behind a change of a round until it is first looked at.
    pub(super) fn first_look_ms(&self) -> Millis {
        self.close_after_ms.min(self.stale_ms)
    }
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

/// How a partner stands in the partitions reconciled, over all rounds that are not done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What it is owed.
    pub owed: Owed,
    /// What unanswered and parked settlements would move, unsigned, by currency in minor units. A void that
    /// the partner has nothing to give back for counts with its stake.
    pub in_flight: Units,
    /// When the oldest settlement without a final answer that is not parked was caused, ms since the epoch.
    pub unconfirmed_since: Option<Millis>,
    /// Rounds with a result that are not closed with it at their newest version.
    pub unclosed: u64,
    /// When the version that the oldest of them is to be closed at was said, ms since the epoch.
    pub unclosed_since: Option<Millis>,
    /// Rounds closed before that are being compared again.
    pub unchecked: u64,
    /// Cases of closes that have not ended.
    pub cases: u64,
    /// Conservation, by currency in minor units: what decisions and versions say, less what was told, is
    /// owed and is parked. Must be 0.
    pub gap: Units,
}

impl Standing {
    /// What a book of one round says.
    pub(super) fn of(book: &Book) -> Self {
        Self {
            in_flight: book.in_flight.clone(),
            unconfirmed_since: book.unanswered_since,
            gap: book.gap.clone(),
            ..Self::default()
        }
    }

    /// Whether nothing is left to be done or shown.
    pub(super) fn is_done(&self) -> bool {
        let is_even = self.gap.values().all(|gap| *gap == 0);
        let asked = self.unclosed + self.unchecked;
        self.owed == Owed::default() && asked == 0 && self.cases == 0 && is_even
    }

    /// Adds how it stands in another round.
    pub(super) fn add(&mut self, other: &Self) {
        let earlier = |a: Option<Millis>, b: Option<Millis>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        };
        self.owed.add(other.owed);
        self.unconfirmed_since = earlier(self.unconfirmed_since, other.unconfirmed_since);
        self.unclosed += other.unclosed;
        self.unchecked += other.unchecked;
        self.unclosed_since = earlier(self.unclosed_since, other.unclosed_since);
        self.cases += other.cases;
        for (sums, further) in
            [(&mut self.in_flight, &other.in_flight), (&mut self.gap, &other.gap)]
        {
            for (currency, units) in further {
                let sum = sums.entry(*currency).or_default();
                *sum = sum.saturating_add(*units);
            }
        }
    }
}

/// What a reconciler is asked. Each may be asked again and changes nothing then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconcilerAsk {
    /// How every partner stood when its rounds were last looked at.
    Standings,
    /// It has this partition from now on.
    Take(u32),
    /// It does not have this partition any more: all its memory goes (R4).
    Drop(u32),
    /// These partners are down, and no others.
    Away(BTreeSet<PartnerId>),
}

/// The reply of a reconciler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconcilerTold {
    /// By partner.
    Standings(BTreeMap<PartnerId, Standing>),
    /// It is as it was asked to be.
    Done,
}
