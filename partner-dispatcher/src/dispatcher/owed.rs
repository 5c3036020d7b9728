//! What is owed to each partner, for whoever asks.

use super::{Dispatcher, home};
use crate::book::Stage;
use crate::breaker::Circuit;
use runtime::Millis;
use schemas::PartnerId;
use schemas::catalogue::{RetryTier, TIERS};
use schemas::contract::Traffic;
use std::collections::BTreeMap;

/// Asks a dispatcher what it owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwedQuery;

/// What the dispatcher of one partition knows to be owed.
///
/// Counts what it has read and what it put into the tiers; what stands unread in `settlements.v1` is the
/// lag of the partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// The partition.
    pub partition: u32,
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
    /// Bets with an item parked since the dispatcher started and no final answer to it since; they are in
    /// none of the other counts.
    pub parked: u64,
    /// `caused_at` of the oldest void without a durable end, in ms since the Unix epoch.
    pub oldest_void_at: Option<Millis>,
}

impl Dispatcher {
    pub(super) fn owed(&self) -> Owed {
        let mut partners: BTreeMap<PartnerId, OwedOf> = BTreeMap::new();
        for (name, partner) in &self.partners {
            let circuits = partner.queues().map(|(of, queue)| (of, queue.breaker.circuit()));
            let owed = OwedOf {
                parked: partner.parked.count(),
                tiers: partner.tier_unread,
                circuits: circuits.collect(),
                ..OwedOf::default()
            };
            partners.insert(name.clone(), owed);
        }
        for (_, item) in self.book.iter() {
            let (partner, traffic) = home(item);
            let owed = partners.entry(partner).or_default();
            owed.in_flight += u64::from(item.stage == Stage::Sent);
            if item.places.is_empty() {
                // Counted where its record is: unread in a tier, or on its way there.
                continue;
            }
            *owed.items.entry(traffic).or_default() += 1;
            let stands_in =
                item.places.iter().find_map(|place| RetryTier::of_topic(place.source.topic.0));
            if let Some(tier) = stands_in {
                owed.tiers[tier.index()] += 1;
            }
            if traffic == Traffic::Void {
                let at = item.settlement.caused_at;
                owed.oldest_void_at = Some(owed.oldest_void_at.map_or(at, |oldest| oldest.min(at)));
            }
        }
        Owed { partition: self.options.partition, partners }
    }
}
