//! What is owed to each partner, for whoever asks.

use super::Dispatcher;
use crate::book::{Item, Stage, home};
use crate::breaker::Circuit;
use crate::queue::Failed;
use runtime::{Handles, Millis};
use schemas::catalogue::{RetryTier, TIERS};
use schemas::contract::Traffic;
use schemas::partners::StateCalls;
use schemas::{Currency, PartnerId};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

/// Asks a dispatcher what it owes, and tells it what else is known of its partners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwedQuery {
    /// The epochs of restored ledgers that an operator signed off: bets that such a ledger does not know are told
    /// to it anew (R20).
    pub restored: Arc<BTreeMap<PartnerId, String>>,
    /// Calls a second that a partner takes of each kind of traffic, where it has a rate of its own.
    pub rates: Arc<BTreeMap<PartnerId, NonZeroU32>>,
    /// What a state call to a partner may be, where that is less or other than the contract has.
    pub state_calls: Arc<BTreeMap<PartnerId, StateCalls>>,
}

/// What the dispatcher of one partition knows to be owed.
///
/// Counts what it has read and what it put into the tiers; what stands unread in `settlements.v1` is the
/// lag of the partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// The partition.
    pub partition: u32,
    /// Items in memory, whatever they wait for; also those read ahead of the tiers' heads.
    pub held: u64,
    /// By partner; every partner met since the dispatcher started.
    pub partners: BTreeMap<PartnerId, OwedOf>,
}

/// What is owed to one partner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwedOf {
    /// Items in memory without a durable end, by kind of traffic.
    pub items: BTreeMap<Traffic, u64>,
    /// Of these, items in chunks that are not answered.
    pub in_flight: u64,
    /// Records in each tier, in the order of [`RetryTier::ALL`]: in memory, or written and not read again
    /// yet. Too few for a while after a takeover, whose tiers were filled by others; too many for a while
    /// after a drain, until the heads have come on.
    pub tiers: [u64; TIERS],
    /// Whether the partner is called, by kind of traffic.
    pub circuits: BTreeMap<Traffic, Circuit>,
    /// Calls that may be on their way at once, by kind of traffic: fewer than configured if it answers late.
    pub calls_at_once: BTreeMap<Traffic, usize>,
    /// Kinds of traffic of which something waits because of the calls a second that it may have.
    pub throttled: BTreeSet<Traffic>,
    /// Calls that were not repeated at once since the dispatcher started, since the budget for that was used up, by kind of
    /// traffic.
    pub withheld: BTreeMap<Traffic, u64>,
    /// Kinds of traffic that the partner refuses until people mend something.
    pub to_fix: BTreeSet<Traffic>,
    /// Bets with an item parked since the dispatcher started and no final answer to it since; they are in
    /// none of the other counts.
    pub parked: u64,
    /// `caused_at` of the oldest settlement in memory without a durable end, in ms since the Unix epoch.
    pub oldest_at: Option<Millis>,
    /// `caused_at` of the oldest void without a durable end, in ms since the Unix epoch.
    pub oldest_void_at: Option<Millis>,
    /// The epoch of its ledger, as its last answer named it; `None` before there was one.
    pub epoch: Option<String>,
    /// When the oldest void that failed and has no durable end first went to a tier, in ms since the Unix epoch.
    pub void_failing_since: Option<Millis>,
    /// Rounds of which something failed and has no durable end. What is parked does not count.
    pub failed_rounds: usize,
    /// What these settlements that failed would have it give its players, payouts and stakes, in minor units by
    /// currency, of each only the difference to the state before. Roughly: too little beyond a hundred rounds, and after
    /// a takeover, a drain or a correction of what was not confirmed, until the heads have come on.
    pub failed_units: BTreeMap<Currency, i128>,
}

/// What the dispatchers of this process owe, of so many partitions. A dispatcher that is gone owes nothing here; its
/// successor does.
pub async fn owed(handles: &Handles<Dispatcher>, partitions: u32, query: &OwedQuery) -> Vec<Owed> {
    let mut owed = Vec::new();
    for handle in (0..partitions).filter_map(|partition| handles.get(partition)) {
        owed.extend(handle.ask(query.clone()).await.ok());
    }
    owed
}

impl Dispatcher {
    pub(super) fn owed(&mut self, query: &OwedQuery) -> Owed {
        self.note_restored(&query.restored);
        self.options.known = query.clone();
        let mut partners: BTreeMap<PartnerId, OwedOf> = BTreeMap::new();
        let mut failed: BTreeMap<PartnerId, Failed> = BTreeMap::new();
        for (name, partner) in &self.partners {
            let circuits = partner.queues().map(|(of, queue)| (of, queue.breaker.circuit()));
            let ceiling = self.options.limits.chunks_in_flight_max;
            let at_once = partner.queues().map(|(of, queue)| (of, queue.concurrency.max(ceiling)));
            let withheld = partner.queues().map(|(of, queue)| (of, queue.repeats.withheld()));
            let to_fix = partner.queues().filter(|(_, queue)| queue.to_fix.is_some());
            let throttled = partner.queues().filter(|(_, queue)| queue.is_throttled());
            let owed = OwedOf {
                parked: partner.parked.count(),
                tiers: partner.tier_unread,
                circuits: circuits.collect(),
                calls_at_once: at_once.collect(),
                throttled: throttled.map(|(of, _)| of).collect(),
                withheld: withheld.collect(),
                to_fix: to_fix.map(|(of, _)| of).collect(),
                epoch: partner.epoch.clone(),
                ..OwedOf::default()
            };
            partners.insert(name.clone(), owed);
            let all = failed.entry(name.clone()).or_default();
            partner.queues().for_each(|(_, queue)| all.join(&queue.failed));
        }
        for (id, item) in self.book.iter() {
            let (partner, traffic) = home(item);
            let failing_since = item.retried_since.filter(|_| item.stage != Stage::Ending);
            if failing_since.is_some() {
                let failed = failed.entry(partner.clone()).or_default();
                if self.counts_in_tier(id, item) {
                    failed.mention(item.settlement.bet.round());
                } else {
                    failed.put(&item.settlement);
                }
            }
            let owed = partners.entry(partner).or_default();
            if traffic == Traffic::Void {
                owed.void_failing_since = earlier(owed.void_failing_since, failing_since);
            }
            owed.in_flight += u64::from(item.stage == Stage::Sent);
            if item.places.is_empty() {
                // Counted where its record is: unread in a tier, or on its way there.
                continue;
            }
            *owed.items.entry(traffic).or_default() += 1;
            owed.oldest_at = earlier(owed.oldest_at, Some(item.settlement.caused_at));
            let stands_in =
                item.places.iter().find_map(|place| RetryTier::of_topic(place.source.topic.0));
            if let Some(tier) = stands_in {
                owed.tiers[tier.index()] += 1;
            }
            if traffic == Traffic::Void {
                owed.oldest_void_at = earlier(owed.oldest_void_at, Some(item.settlement.caused_at));
            }
        }
        for (partner, failed) in failed {
            let owed = partners.entry(partner).or_default();
            (owed.failed_rounds, owed.failed_units) = (failed.rounds(), failed.units());
        }
        let held = u64::try_from(self.book.len()).unwrap_or(u64::MAX);
        Owed { partition: self.options.partition, held, partners }
    }

    /// True if the money of an item that failed is counted with a record of it in a tier: one that was read ahead,
    /// or kept as a probe, has none of its own here.
    fn counts_in_tier(&self, id: u64, item: &Item) -> bool {
        item.places.is_empty() || item.stage == Stage::Moving && self.writer.is_on_its_way(id)
    }
}

fn earlier(one: Option<Millis>, two: Option<Millis>) -> Option<Millis> {
    one.into_iter().chain(two).min()
}
