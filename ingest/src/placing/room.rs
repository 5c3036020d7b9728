//! How much is in flight, in all and per partner.

use super::options::Limits;
use schemas::PartnerId;
use std::collections::BTreeMap;

/// Counts of bets and cancels in flight.
#[derive(Debug, Default)]
pub(super) struct Room {
    all: usize,
    by_partner: BTreeMap<PartnerId, usize>,
}

impl Room {
    /// True if one more of `partner` may start.
    pub(super) fn has(&self, partner: &PartnerId, limits: &Limits) -> bool {
        let own = self.by_partner.get(partner).copied().unwrap_or_default();
        self.all < limits.in_flight_max && own < limits.partner_in_flight_max
    }

    pub(super) fn enter(&mut self, partner: &PartnerId) {
        self.all += 1;
        *self.by_partner.entry(partner.clone()).or_default() += 1;
    }

    pub(super) fn leave(&mut self, partner: &PartnerId) {
        self.all = self.all.saturating_sub(1);
        if let Some(own) = self.by_partner.get_mut(partner) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                self.by_partner.remove(partner);
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        self.all
    }
}
