//! What waits for one partner: a queue per kind of traffic, none of which waits for another.

use crate::limits::Limits;
use runtime::Millis;
use schemas::contract::Traffic;
use std::collections::{BTreeMap, BTreeSet};

/// The order in which free slots are filled: money that must go back first.
pub(crate) const TRAFFIC: [Traffic; 3] = [Traffic::Void, Traffic::Live, Traffic::Correction];

/// One kind of traffic of one partner.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Numbers of items. They rise as items are read, so that a repeat stands in front again.
    pub(crate) ids: BTreeSet<u64>,
    pub(crate) chunks_in_flight: usize,
}

/// All that is kept of one partner.
#[derive(Debug, Default)]
pub(crate) struct Partner {
    queues: BTreeMap<Traffic, Queue>,
    /// No chunk starts before: the partner asked for it.
    pub(crate) not_before: Millis,
    /// A timer for `not_before` is set.
    pub(crate) gated: bool,
    /// The ledger epoch of the last answer; unknown until there was one.
    pub(crate) epoch: Option<String>,
    /// Chunks refused as a whole since the last good answer.
    pub(crate) refusals: u32,
    /// Items parked since this dispatcher started.
    pub(crate) parked: u64,
    /// Records put into the tier and not read again yet; an estimate for a while after a takeover.
    pub(crate) tier_unread: u64,
}

impl Partner {
    pub(crate) fn queue(&mut self, traffic: Traffic) -> &mut Queue {
        self.queues.entry(traffic).or_default()
    }

    /// True if another item may wait here; `held` is the number in the whole partition.
    pub(crate) fn has_room(&mut self, traffic: Traffic, held: usize, limits: &Limits) -> bool {
        let crowded = limits.items_held_max <= held;
        let max = if crowded { limits.chunk_items_max } else { limits.items_queued_max };
        self.queue(traffic).ids.len() < max
    }
}
