//! What a dispatcher owes and has in memory: a cache of the log, item by item.
//!
//! An item is one (bet, revision), however often it was read. Of one bet only the newest revision read
//! waits to be sent; an older one is dropped as soon as the newer is read (R15), unless it is on its
//! way. Dropping is safe because the newer revision stands in a topic and is not done before this
//! memory, or the next reader's, has carried it on.

use crate::offsets::{Offsets, Place};
use planted::Bug;
use runtime::Millis;
use schemas::catalogue::RetryTier;
use schemas::contract::Traffic;
use schemas::settlements::Settlement;
use schemas::{BetId, PartnerId};
use std::collections::BTreeMap;

/// Where an item is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Read from a tier and not due.
    Resting,
    /// Due; whether it is final already is being looked up.
    LookedUp,
    /// Waits for a free slot of its partner.
    Queued,
    /// In a chunk that is not answered.
    Sent,
    /// Failed once; waits for the repeat from memory.
    Repeating,
    /// Answered `superseded` by a revision not read; the store is being asked.
    Proving,
    /// Kept in memory as a probe of its partner; its record stands in a tier.
    Kept,
    /// Its end is being made durable.
    Ending,
    /// Its move to a tier is being made durable. The record there is a new item when it is read, even
    /// if that is before we hear that it is durable.
    Moving,
}

/// One settlement that is owed, or whose end is not durable.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) settlement: Settlement,
    /// Its offset in `settlements.v1`, where its facts stand.
    pub(crate) orig: u64,
    /// The records that carry it; all are done when it is. None if it was read ahead or is kept as a
    /// probe: its record is one that the head of a tier is still to read, or that is on its way there.
    pub(crate) places: Vec<Place>,
    /// It began without a record of its own.
    pub(crate) ahead: bool,
    pub(crate) stage: Stage,
    /// How often it was sent, before and after a restart.
    pub(crate) attempts: u32,
    /// A failure is followed by one repeat from memory; the next, or one behind the tier, by the tier.
    pub(crate) repeat_left: bool,
    /// Items that a chunk with this one may have: fewer after chunks with it were refused as a whole.
    pub(crate) chunk_items_max: usize,
    /// The tier it was read from, or is on its way to; none if it comes from `settlements.v1`.
    pub(crate) tier: Option<RetryTier>,
    /// When it first went to a tier.
    pub(crate) retried_since: Option<Millis>,
    /// When its rest is over.
    pub(crate) due: Millis,
    /// Rests in memory alone that it may still take.
    pub(crate) rests_left: u32,
    /// It is on its way to a tier because its partner's breaker is open.
    pub(crate) aside: bool,
    /// The partner does not know its bet, and is told it anew: its ledger was restored (R20).
    pub(crate) recover: bool,
}

impl Item {
    /// A copy without a record, to be kept as a probe.
    pub(crate) fn kept(&self) -> Self {
        let stage = Stage::Kept;
        Self { places: Vec::new(), ahead: true, stage, aside: false, ..self.clone() }
    }

    /// Takes over what another record says of the same item.
    fn join(&mut self, other: Self) {
        self.places.extend(other.places);
        self.attempts = self.attempts.max(other.attempts);
        self.tier = self.tier.max(other.tier);
        self.retried_since = match (self.retried_since, other.retried_since) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
    }
}

/// What is known of a bet of which anything is in memory.
#[derive(Debug)]
struct Known {
    /// The highest revision read.
    newest: u32,
    ids: Vec<u64>,
}

/// What became of a record that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Nothing new: it is superseded.
    Known,
    /// It joins an item that is already there.
    Joined(u64),
    /// A new item.
    New(u64),
    /// A second content under a (bet, revision) that is in memory: an item that must not be sent.
    Conflict(u64),
}

/// All items, by an own number that rises as they are read.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) offsets: Offsets,
    items: BTreeMap<u64, Item>,
    bets: BTreeMap<BetId, Known>,
    count: u64,
    /// Items without a record, by partner and traffic.
    ahead: BTreeMap<(PartnerId, Traffic), usize>,
    /// Items dropped for a newer revision; to be taken out of the queues.
    dropped: Vec<(u64, Item)>,
}

impl Book {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Item> {
        self.items.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Item> {
        self.items.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Item)> {
        self.items.iter().map(|(id, item)| (*id, item))
    }

    /// Items of the partner's traffic that were read ahead or are kept as probes.
    pub(crate) fn ahead(&self, partner: &PartnerId, traffic: Traffic) -> usize {
        // The key is cheap to make: ids are shared, not copied.
        self.ahead.get(&(partner.clone(), traffic)).copied().unwrap_or(0)
    }

    /// Puts an item into `stage`, if it is still there and in stage `from`.
    pub(crate) fn step(&mut self, id: u64, from: Stage, stage: Stage) -> bool {
        let item = self.items.get_mut(&id).filter(|item| item.stage == from);
        item.map(|item| item.stage = stage).is_some()
    }

    /// The highest revision of the bet read; 0 if nothing of it is in memory.
    pub(crate) fn newest(&self, bet: &BetId) -> u32 {
        self.bets.get(bet).map_or(0, |known| known.newest)
    }

    /// True if a newer revision of the item's bet was read (R15).
    pub(crate) fn outdated(&self, item: &Item) -> bool {
        self.newest(&item.settlement.bet) != item.settlement.revision
    }

    /// Takes a settlement read at `item.places`, and drops what it supersedes.
    pub(crate) fn read(&mut self, item: Item) -> Read {
        item.places.iter().for_each(|place| self.offsets.read(*place));
        if !self.is_newest(&item) {
            item.places.iter().for_each(|place| self.offsets.done(*place));
            return Read::Known;
        }
        let Some(id) = self.twin(&item) else { return Read::New(self.insert(item)) };
        match self.items.get_mut(&id).filter(|twin| twin.settlement == item.settlement) {
            Some(twin) => {
                twin.join(item);
                Read::Joined(id)
            }
            None => Read::Conflict(self.insert(item)),
        }
    }

    /// Takes a settlement of which a record was read ahead: nothing of its record is done here, since
    /// the head of its tier is still to read it. `Known` also where another content stands here: to judge
    /// that is for the head.
    pub(crate) fn read_ahead(&mut self, item: Item) -> Read {
        if !self.is_newest(&item) {
            return Read::Known;
        }
        match self.twin(&item) {
            None => Read::New(self.insert(item)),
            Some(id) => {
                let same = self.items.get(&id).is_some_and(|t| t.settlement == item.settlement);
                if same { Read::Joined(id) } else { Read::Known }
            }
        }
    }

    /// Keeps a copy of an item as a probe.
    pub(crate) fn keep(&mut self, item: &Item) -> u64 {
        self.insert(item.kept())
    }

    /// Notes the revision as read; false if a newer one was (R15), which is then what counts.
    fn is_newest(&mut self, item: &Item) -> bool {
        let revision = item.settlement.revision;
        let known = self
            .bets
            .entry(item.settlement.bet.clone())
            .or_insert_with(|| Known { newest: revision, ids: Vec::new() });
        known.newest = if planted::active(Bug::LastArrivalNewest) {
            revision
        } else {
            known.newest.max(revision)
        };
        revision == known.newest
    }

    /// The item of the same bet and revision, if one is here to stay; older ones are dropped.
    fn twin(&mut self, item: &Item) -> Option<u64> {
        let bet = &item.settlement.bet;
        let twins = self.bets.get(bet).map(|known| known.ids.clone()).unwrap_or_default();
        self.drop_outdated(bet);
        twins.into_iter().find(|id| {
            let twin = self.items.get(id);
            let twin = twin.filter(|twin| !matches!(twin.stage, Stage::Moving | Stage::Kept));
            twin.is_some_and(|twin| twin.settlement.revision == item.settlement.revision)
        })
    }

    fn insert(&mut self, item: Item) -> u64 {
        self.count += 1;
        let (bet, newest) = (item.settlement.bet.clone(), item.settlement.revision);
        // What it superseded may have been all that was known of the bet.
        let known = self.bets.entry(bet).or_insert_with(|| Known { newest, ids: Vec::new() });
        known.ids.push(self.count);
        if item.ahead {
            let of = (item.settlement.partner.clone(), Traffic::of(item.settlement.revision));
            *self.ahead.entry(of).or_default() += 1;
        }
        self.items.insert(self.count, item);
        self.count
    }

    fn drop_outdated(&mut self, bet: &BetId) {
        let ids = self.bets.get(bet).map(|known| known.ids.clone()).unwrap_or_default();
        for id in ids {
            let waits = self.items.get(&id).is_some_and(|item| match item.stage {
                Stage::Sent | Stage::Ending | Stage::Moving => false,
                Stage::Resting
                | Stage::LookedUp
                | Stage::Queued
                | Stage::Repeating
                | Stage::Kept
                | Stage::Proving => self.outdated(item),
            });
            if waits && let Some(item) = self.done(id) {
                self.dropped.push((id, item));
            }
        }
    }

    /// The items dropped since the last call.
    pub(crate) fn take_dropped(&mut self) -> Vec<(u64, Item)> {
        std::mem::take(&mut self.dropped)
    }

    /// The item is done: its records count, and it leaves the memory.
    pub(crate) fn done(&mut self, id: u64) -> Option<Item> {
        let item = self.items.remove(&id)?;
        item.places.iter().for_each(|place| self.offsets.done(*place));
        if item.ahead {
            let of = (item.settlement.partner.clone(), Traffic::of(item.settlement.revision));
            if let Some(count) = self.ahead.get_mut(&of) {
                *count = count.saturating_sub(1);
            }
        }
        if let Some(known) = self.bets.get_mut(&item.settlement.bet) {
            known.ids.retain(|other| *other != id);
            if known.ids.is_empty() {
                self.bets.remove(&item.settlement.bet);
            }
        }
        Some(item)
    }

    /// The item's records go with the batch that is being issued.
    pub(crate) fn goes(&mut self, id: u64) {
        if let Some(item) = self.items.get(&id) {
            item.places.iter().for_each(|place| self.offsets.done(*place));
        }
    }
}
