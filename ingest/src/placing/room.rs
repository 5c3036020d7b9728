//! How much is in flight, in all and per partner, how many bets a partner takes in a second, and which partners want to be
//! left alone.

use super::options::Limits;
use crate::authorize::REST_MS_MAX;
use runtime::{Millis, Rate};
use schemas::PartnerId;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Counts of bets and cancels in flight, the rates of those that have one, and the ends of rests.
#[derive(Debug, Default)]
pub(super) struct Room {
    all: usize,
    by_partner: BTreeMap<PartnerId, usize>,
    rates: BTreeMap<PartnerId, Rate>,
    rests: BTreeMap<PartnerId, Millis>,
}

impl Room {
    /// True if one more of `partner` may start.
    pub(super) fn has(&self, partner: &PartnerId, limits: &Limits) -> bool {
        let own = self.by_partner.get(partner).copied().unwrap_or_default();
        self.all < limits.in_flight_max && own < limits.partner_in_flight_max
    }

    /// True if `partner` takes one more bet in this second.
    pub(super) fn may_take(
        &mut self,
        now: Millis,
        partner: &PartnerId,
        per_s: Option<NonZeroU32>,
    ) -> bool {
        per_s.is_none_or(|per_s| self.rate(partner).free_at(now, per_s).is_none())
    }

    /// A bet of `partner` was taken.
    pub(super) fn taken(&mut self, now: Millis, partner: &PartnerId, per_s: Option<NonZeroU32>) {
        if let Some(per_s) = per_s {
            self.rate(partner).take(now, per_s);
        }
    }

    /// `partner` asked to be left alone until then.
    pub(super) fn rest(&mut self, partner: &PartnerId, until: Millis) {
        let rest = self.rests.entry(partner.clone()).or_insert(until);
        *rest = until.max(*rest);
    }

    /// `partner` takes stakes after all.
    pub(super) fn rest_ends(&mut self, partner: &PartnerId) {
        self.rests.remove(partner);
    }

    /// Until when `partner` wants to be left alone, if it does. A clock that was set back makes no rest longer.
    pub(super) fn rests_until(&self, now: Millis, partner: &PartnerId) -> Option<Millis> {
        let longest = now.saturating_add(REST_MS_MAX.cast_signed());
        self.rests.get(partner).copied().filter(|until| now < *until && *until <= longest)
    }

    fn rate(&mut self, partner: &PartnerId) -> &mut Rate {
        self.rates.entry(partner.clone()).or_default()
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
