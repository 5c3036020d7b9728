//! What a dispatcher owes and has in memory: a cache of the log, item by item.
//!
//! An item is one (bet, revision), however often it was read. Of one bet only the newest revision read
//! waits to be sent; an older one is dropped as soon as the newer is read (R15), unless it is on its
//! way. Dropping is safe because the newer revision stands in a topic and is not done before this
//! memory, or the next reader's, has carried it on.

use crate::offsets::{Offsets, Place};
use planted::Bug;
use runtime::Millis;
use schemas::attempts::{Attempt, Attempts};
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

impl Stage {
    /// Of these a partner may have so many and no more: they are to be sent, and how soon they leave is its doing. What
    /// rests is bounded by tier, what ends or moves by how fast it is written.
    const fn is_busy(self) -> bool {
        matches!(self, Self::Queued | Self::Sent | Self::Repeating | Self::Proving)
    }
}

/// How many items of one partner and traffic there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    /// To be sent, on their way, or to be sent again from memory.
    pub(crate) busy: usize,
    /// Read ahead or kept as probes, in whatever stage.
    pub(crate) ahead: usize,
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
    /// The first of these times and the last ones, for people.
    pub(crate) attempt_log: Attempts,
    /// It was sent since it was read.
    pub(crate) tried: bool,
    /// A failure is followed by one repeat from memory, the next by a tier; what a tier gives back may be repeated
    /// once again, or a single failure there would cost its next, far longer rest.
    pub(crate) repeat_left: bool,
    /// Items that a chunk with this one may have: fewer after chunks with it were refused as a whole.
    pub(crate) chunk_items_max: usize,
    /// The tier it was read from, or is on its way to; none if it comes from `settlements.v1`.
    pub(crate) tier: Option<RetryTier>,
    /// When it first went to a tier.
    pub(crate) retried_since: Option<Millis>,
    /// When its rest is over.
    pub(crate) due: Millis,
    /// Its rest was cut short: its partner was to be heard, is back, or asks.
    pub(crate) woken: bool,
    /// Rests in memory alone that it may still take.
    pub(crate) rests_left: u32,
    /// It is on its way to a tier because its partner's breaker is open.
    pub(crate) aside: bool,
    /// The partner does not know its bet, and is told it anew: its ledger was restored (R20).
    pub(crate) recover: bool,
    /// The request of the partner to be told again: what it answered before that closes nothing.
    pub(crate) asked: Option<String>,
}

impl Item {
    /// It was sent at `at`; after so many ms that came of it, with this status.
    pub(crate) fn tried(
        &mut self,
        at: Millis,
        (latency_ms, status, outcome): (u32, Option<u16>, &'static str),
    ) {
        self.attempts = self.attempts.saturating_add(1);
        let (number, outcome) = (self.attempts, outcome.into());
        self.attempt_log.add(Attempt { at, number, latency_ms, status, outcome });
        self.attempt_log.cut();
        self.tried = true;
    }

    /// A copy without a record, to be kept as a probe.
    pub(crate) fn kept(&self) -> Self {
        let stage = Stage::Kept;
        Self { places: Vec::new(), ahead: true, stage, aside: false, ..self.clone() }
    }

    /// Takes over what another record says of the same item.
    fn join(&mut self, other: Self) {
        self.places.extend(other.places);
        self.attempts = self.attempts.max(other.attempts);
        self.attempt_log.join(other.attempt_log);
        self.attempt_log.cut();
        self.tier = self.tier.max(other.tier);
        self.retried_since = match (self.retried_since, other.retried_since) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        // The later request: what closes it was said after both.
        if other.asked.is_some() && (self.asked.is_none() || self.orig < other.orig) {
            (self.asked, self.orig) = (other.asked, other.orig);
        }
    }
}

/// Whose item it is and which traffic it travels in.
pub(crate) fn home(item: &Item) -> (PartnerId, Traffic) {
    (item.settlement.partner.clone(), Traffic::of(item.settlement.revision))
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
    counts: BTreeMap<(PartnerId, Traffic), Count>,
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

    /// How many items of the partner's traffic there are.
    pub(crate) fn count(&self, partner: &PartnerId, traffic: Traffic) -> Count {
        // The key is cheap to make: ids are shared, not copied.
        self.counts.get(&(partner.clone(), traffic)).copied().unwrap_or_default()
    }

    /// Puts an item into `stage`, if it is still there and in stage `from`.
    pub(crate) fn step(&mut self, id: u64, from: Stage, stage: Stage) -> bool {
        let there = self.items.get(&id).is_some_and(|item| item.stage == from);
        if there {
            self.put(id, stage);
        }
        there
    }

    /// Puts an item into `stage`.
    pub(crate) fn put(&mut self, id: u64, stage: Stage) {
        let Some(item) = self.items.get_mut(&id) else { return };
        let before = std::mem::replace(&mut item.stage, stage);
        if before.is_busy() != stage.is_busy() {
            let busy = &mut self.counts.entry(home(item)).or_default().busy;
            *busy = if stage.is_busy() { *busy + 1 } else { busy.saturating_sub(1) };
        }
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

    /// The item of the same bet and revision, if one is here to stay; older ones are dropped. What a partner asked to be
    /// told again is no twin of one that it answered before.
    fn twin(&mut self, item: &Item) -> Option<u64> {
        let bet = &item.settlement.bet;
        let twins = self.bets.get(bet).map(|known| known.ids.clone()).unwrap_or_default();
        self.drop_outdated(bet);
        let answered_before = |twin: &Item| {
            let ends = twin.stage == Stage::Ending && twin.settlement == item.settlement;
            ends && item.asked.is_some() && twin.orig < item.orig
        };
        twins.into_iter().find(|id| {
            let twin = self.items.get(id);
            let twin = twin.filter(|twin| !matches!(twin.stage, Stage::Moving | Stage::Kept));
            let twin = twin.filter(|twin| !answered_before(twin));
            twin.is_some_and(|twin| twin.settlement.revision == item.settlement.revision)
        })
    }

    fn insert(&mut self, item: Item) -> u64 {
        self.count += 1;
        let (bet, newest) = (item.settlement.bet.clone(), item.settlement.revision);
        // What it superseded may have been all that was known of the bet.
        let known = self.bets.entry(bet).or_insert_with(|| Known { newest, ids: Vec::new() });
        known.ids.push(self.count);
        let count = self.counts.entry(home(&item)).or_default();
        count.busy += usize::from(item.stage.is_busy());
        count.ahead += usize::from(item.ahead);
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
        let count = self.counts.entry(home(&item)).or_default();
        count.busy = count.busy.saturating_sub(usize::from(item.stage.is_busy()));
        count.ahead = count.ahead.saturating_sub(usize::from(item.ahead));
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
