//! What is owed to each partner, for whoever asks.

use super::{Dispatcher, home};
use crate::book::Stage;
use runtime::Millis;
use schemas::PartnerId;
use schemas::contract::Traffic;
use std::collections::BTreeMap;

/// Asks a dispatcher what it owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwedQuery;

/// What the dispatcher of one partition knows to be owed.
///
/// Counts what it has read and what it put into the tier; what stands unread in `settlements.v1` is the
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
    /// Records in the tier: in memory, or written and not read again yet.
    pub tier: u64,
    /// Items parked since the dispatcher started; they are in none of the other counts.
    pub parked: u64,
    /// `caused_at` of the oldest void without a durable end, in ms since the Unix epoch.
    pub oldest_void_at: Option<Millis>,
}

impl Dispatcher {
    pub(super) fn owed(&self) -> Owed {
        let mut partners: BTreeMap<PartnerId, OwedOf> = BTreeMap::new();
        for (name, partner) in &self.partners {
            let owed =
                OwedOf { parked: partner.parked, tier: partner.tier_unread, ..OwedOf::default() };
            partners.insert(name.clone(), owed);
        }
        for item in self.book.iter() {
            let (partner, traffic) = home(item);
            let owed = partners.entry(partner).or_default();
            *owed.items.entry(traffic).or_default() += 1;
            owed.in_flight += u64::from(item.stage == Stage::Sent);
            owed.tier += u64::from(item.places.iter().any(|place| place.source == self.tier));
            if traffic == Traffic::Void {
                let at = item.settlement.caused_at;
                owed.oldest_void_at = Some(owed.oldest_void_at.map_or(at, |oldest| oldest.min(at)));
            }
        }
        Owed { partition: self.options.partition, partners }
    }
}
