//! The lists of histories, and reading them: newest first, bucket by bucket.
//!
//! A list is cut into buckets by time; an index says which of them have anything in them. So a page reads the
//! index of a stretch of time and the buckets that it shows, however long the list has become.

use super::rows::list_scope;
use runtime::{EngineError, FactStore, Scope};
use schemas::outgoing::Partitions;
use schemas::{BetId, PartnerId, PlayerId};
use std::collections::BTreeSet;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// Scopes that one page reads; a page that would need more ends early and says where to go on.
const SCOPES_MAX: usize = 200;

/// Whose history. Do not change what its methods say: rows that stand would not be found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum List<'a> {
    /// The bets of a player, by the time they were placed: a bucket a day, an index for 400 days.
    Player(&'a PartnerId, &'a PlayerId),
    /// Every movement that a partner was asked for, by the time of what caused it: a bucket a minute, since
    /// a partner may have 10,000 of them in a round, and an index a day.
    Partner(&'a PartnerId),
}

impl List<'_> {
    const fn bucket_ms(&self) -> u64 {
        match self {
            Self::Player(..) => DAY_MS,
            Self::Partner(_) => MINUTE_MS,
        }
    }

    const fn index_buckets(&self) -> u64 {
        match self {
            Self::Player(..) => 400,
            Self::Partner(_) => DAY_MS / MINUTE_MS,
        }
    }

    /// The bucket of a time in ms.
    pub(super) fn bucket(&self, at: u64) -> u64 {
        at / self.bucket_ms()
    }

    /// The index of a bucket.
    pub(super) fn index(&self, bucket: u64) -> u64 {
        bucket / self.index_buckets()
    }

    /// A number ends the name, so that no two lists share one whatever players are called.
    pub(super) fn scope(&self, bucket: u64, partitions: Partitions) -> Scope {
        match self {
            Self::Player(partner, player) => {
                let group = format!("history/player/{partner}/{player}/{bucket}");
                list_scope(group, partner, partitions)
            }
            Self::Partner(partner) => {
                list_scope(format!("history/partner/{partner}/{bucket}"), partner, partitions)
            }
        }
    }

    pub(super) fn index_scope(&self, index: u64, partitions: Partitions) -> Scope {
        match self {
            Self::Player(partner, player) => {
                let group = format!("history/player_index/{partner}/{player}/{index}");
                list_scope(group, partner, partitions)
            }
            Self::Partner(partner) => {
                list_scope(format!("history/partner_index/{partner}/{index}"), partner, partitions)
            }
        }
    }
}

/// A place in a list: its order is the list's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Ms since the Unix epoch.
    pub(crate) at: u64,
    /// A bet, or `<bet>/<revision>`; empty for the moment before everything at `at`.
    pub(crate) subject: String,
}

impl Place {
    pub(crate) fn of_bet(at: i64, bet: &BetId) -> Self {
        Self { at: u64::try_from(at).unwrap_or(0), subject: bet.to_string() }
    }

    pub(crate) fn of_revision(at: i64, bet: &BetId, revision: u32) -> Self {
        Self { subject: format!("{bet}/{revision}"), ..Self::of_bet(at, bet) }
    }

    /// The moment before everything at `at`.
    pub(crate) fn before(at: u64) -> Self {
        Self { at, subject: String::new() }
    }

    /// The bet, and the revision where the list is one of movements.
    pub(crate) fn names(&self) -> Option<(BetId, Option<u32>)> {
        match self.subject.split_once('/') {
            None => Some((self.subject.parse().ok()?, None)),
            Some((bet, revision)) => Some((bet.parse().ok()?, Some(revision.parse().ok()?))),
        }
    }
}

/// What a walk gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next place.
    Place(Place),
    /// It read as much as a page may: go on below this place.
    Tired(Place),
    /// There is nothing more.
    End,
}

/// A walk down a list.
#[derive(Debug)]
pub(crate) struct Walk<'a, S> {
    store: &'a S,
    list: List<'a>,
    partitions: Partitions,
    /// The first ms that counts.
    from: u64,
    /// What counts is below.
    below: Place,
    /// Places that are known and may not stand in the list yet.
    known: BTreeSet<Place>,
    /// The next index to be read, upwards of the lowest; none if there is none left.
    index: Option<u64>,
    /// Buckets and places that were read, the next one last.
    buckets: BTreeSet<u64>,
    places: BTreeSet<Place>,
    scopes_left: usize,
}

impl<'a, S: FactStore> Walk<'a, S> {
    /// A walk down what is at `from` or later and below `below`; `known` is merged in.
    pub(crate) fn new(
        (store, partitions): (&'a S, Partitions),
        list: List<'a>,
        (from, below): (u64, Place),
        known: BTreeSet<Place>,
    ) -> Self {
        let known = known.range(..&below).filter(|place| from <= place.at).cloned().collect();
        Self {
            index: (from <= below.at).then(|| list.index(list.bucket(below.at))),
            buckets: BTreeSet::new(),
            places: BTreeSet::new(),
            scopes_left: SCOPES_MAX,
            store,
            list,
            partitions,
            from,
            below,
            known,
        }
    }

    /// The next place.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn next(&mut self) -> Result<Step, EngineError> {
        loop {
            if let Some(place) = self.places.pop_last() {
                return Ok(Step::Place(place));
            }
            let Some(left) = self.scopes_left.checked_sub(1) else {
                return Ok(self.tired());
            };
            if let Some(bucket) = self.buckets.pop_last() {
                self.scopes_left = left;
                self.read_bucket(bucket).await?;
            } else if let Some(index) = self.index {
                self.scopes_left = left;
                self.read_index(index).await?;
            } else {
                return Ok(Step::End);
            }
        }
    }

    fn tired(&self) -> Step {
        let above = match (self.buckets.last(), self.index) {
            (Some(bucket), _) => bucket + 1,
            (None, Some(index)) => (index + 1) * self.list.index_buckets(),
            (None, None) => return Step::End,
        };
        Step::Tired(self.below.clone().min(Place::before(above * self.list.bucket_ms())))
    }

    async fn read_index(&mut self, index: u64) -> Result<(), EngineError> {
        let list = self.list;
        let (lowest, highest) = (list.bucket(self.from), list.bucket(self.below.at));
        let scope = list.index_scope(index, self.partitions);
        let rows = self.store.scan(scope).await?.into_iter().map(|row| row.key.at);
        let known = self.known.iter().map(|place| list.bucket(place.at));
        let known = known.filter(|bucket| list.index(*bucket) == index);
        self.buckets = rows.chain(known).filter(|b| (lowest..=highest).contains(b)).collect();
        self.index = index.checked_sub(1).filter(|next| list.index(lowest) <= *next);
        Ok(())
    }

    async fn read_bucket(&mut self, bucket: u64) -> Result<(), EngineError> {
        let list = self.list;
        let rows = self.store.scan(list.scope(bucket, self.partitions)).await?;
        let rows = rows.into_iter().map(|row| Place { at: row.key.at, subject: row.key.subject });
        let known = self.known.iter().filter(|place| list.bucket(place.at) == bucket).cloned();
        let counts = |place: &Place| self.from <= place.at && *place < self.below;
        self.places = rows.chain(known).filter(counts).collect();
        Ok(())
    }
}
