//! What waits for one partner: a queue per kind of traffic, none of which waits for another.

use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::concurrency::Concurrency;
use crate::drain::Drain;
use crate::limits::Limits;
use crate::retry::later;
use runtime::{Millis, Rate};
use schemas::catalogue::TIERS;
use schemas::contract::Traffic;
use schemas::settlements::Settlement;
use schemas::{BetId, Currency, RoundId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The order in which free slots are filled: money that must go back first.
pub(crate) const TRAFFIC: [Traffic; 3] = [Traffic::Void, Traffic::Live, Traffic::Correction];

/// The traffic in metrics and for people.
pub(crate) const fn word(traffic: Traffic) -> &'static str {
    match traffic {
        Traffic::Void => "void",
        Traffic::Live => "live",
        Traffic::Correction => "correction",
    }
}

/// One kind of traffic of one partner.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Numbers of items. They rise as items are read, so that a repeat stands in front again.
    pub(crate) ids: BTreeSet<u64>,
    pub(crate) chunks_in_flight: usize,
    pub(crate) concurrency: Concurrency,
    pub(crate) rate: Rate,
    /// When the next chunk may start, for which a timer is set; none if the rate does not keep it back.
    pub(crate) kept_back_to: Option<Millis>,
    pub(crate) breaker: Breaker,
    pub(crate) repeats: Budget,
    /// Numbers of the items kept as probes, the next in front.
    pub(crate) kept: VecDeque<u64>,
    /// Items on their way to a tier because the breaker is open.
    pub(crate) moving: usize,
    /// The item of a tier that was woken to hear from a partner not heard of yet.
    pub(crate) hearing: Option<u64>,
    /// What is owed is being read ahead of the tiers' heads.
    pub(crate) drain: Option<Drain>,
    /// In each tier, the offset below which records were read ahead.
    pub(crate) drained_to: [u64; TIERS],
    /// What failed and was put into a tier.
    pub(crate) failed: Failed,
    /// Calls in a row that ended with a status for which people must mend something.
    pub(crate) to_fix_row: u32,
    /// The status for which its breaker is open, if people must mend something.
    pub(crate) to_fix: Option<u16>,
}

impl Queue {
    /// True if something waits because of its rate.
    pub(crate) fn is_throttled(&self) -> bool {
        self.kept_back_to.is_some() && !self.ids.is_empty()
    }
}

/// What failed, by round.
///
/// It only serves to tell how many rounds there are and how much money: rounds enough are kept for that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failed(BTreeMap<RoundId, FailedOf>);

/// What failed of one round.
#[derive(Clone, Debug, Default)]
struct FailedOf {
    records: u64,
    /// What the partner was to give its players, in minor units.
    units: BTreeMap<Currency, i128>,
}

impl Failed {
    /// Rounds kept. Nobody asks by how much a partner is beyond the handful at which its betting is paused.
    const KEPT_MAX: usize = 100;

    pub(crate) fn put(&mut self, settlement: &Settlement) {
        let round = settlement.bet.round();
        if self.0.len() < Self::KEPT_MAX || self.0.contains_key(&round) {
            let of = self.0.entry(round).or_default();
            of.records += 1;
            *of.units.entry(settlement.stake.currency).or_default() += settlement.credit();
        }
    }

    /// Something of this round failed that is counted elsewhere.
    pub(crate) fn mention(&mut self, round: RoundId) {
        self.0.entry(round).or_default();
    }

    /// Takes back what was put. What the owner of the partition before put is not known here.
    pub(crate) fn take(&mut self, settlement: &Settlement) {
        let round = settlement.bet.round();
        let Some(of) = self.0.get_mut(&round) else { return };
        of.records = of.records.saturating_sub(1);
        if of.records == 0 {
            self.0.remove(&round);
        } else if let Some(units) = of.units.get_mut(&settlement.stake.currency) {
            *units = (*units - settlement.credit()).max(0);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// With what failed elsewhere.
    pub(crate) fn join(&mut self, other: &Self) {
        for (round, failed) in &other.0 {
            let of = self.0.entry(round.clone()).or_default();
            of.records += failed.records;
            for (currency, units) in &failed.units {
                *of.units.entry(*currency).or_default() += units;
            }
        }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.0.len()
    }

    /// What the partner was to give its players, in minor units.
    pub(crate) fn units(&self) -> BTreeMap<Currency, i128> {
        let mut sums = BTreeMap::new();
        for (currency, units) in self.0.values().flat_map(|of| &of.units) {
            *sums.entry(*currency).or_default() += units;
        }
        sums
    }
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
    /// The epoch of a restored ledger that an operator signed off: bets that it does not know are told to it anew
    /// (R20).
    pub(crate) restored: Option<String>,
    /// Chunks refused as a whole since the last good answer.
    pub(crate) refusals: u32,
    pub(crate) parked: Parked,
    /// Records put into each tier and not read again yet; too few for a while after a takeover.
    pub(crate) tier_unread: [u64; TIERS],
}

/// What was parked since this dispatcher started and has no final answer since: the highest revision, by bet.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    bets: BTreeMap<BetId, u32>,
    /// Parked beyond the bets that are kept.
    beyond: u64,
}

impl Parked {
    /// Bets kept. A partner that refuses a million settlements must not fill the memory; what is beyond is counted,
    /// and is not taken back when it is answered.
    const KEPT_MAX: usize = 10_000;

    pub(crate) fn add(&mut self, bet: BetId, revision: u32) {
        if let Some(parked) = self.bets.get_mut(&bet) {
            *parked = revision.max(*parked);
        } else if self.bets.len() < Self::KEPT_MAX {
            self.bets.insert(bet, revision);
        } else {
            self.beyond += 1;
        }
    }

    /// A final answer to `revision` stands.
    pub(crate) fn answered(&mut self, bet: &BetId, revision: u32) {
        if self.bets.get(bet).is_some_and(|parked| *parked <= revision) {
            self.bets.remove(bet);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.bets.len()).unwrap_or(u64::MAX).saturating_add(self.beyond)
    }
}

impl Partner {
    /// Until when it is left alone, since it asked for that.
    pub(crate) fn rest_end(&mut self, now: Millis, limits: &Limits) -> Millis {
        // A clock that was set back makes no rest longer.
        self.not_before = self.not_before.min(later(now, limits.retry_after_ms_max));
        self.not_before
    }

    /// True if it asked to be left alone for longer than anything is to wait for in memory.
    pub(crate) fn rests(&mut self, now: Millis, limits: &Limits) -> bool {
        later(now, limits.retry_after_held_ms_max) < self.rest_end(now, limits)
    }

    pub(crate) fn queue(&mut self, traffic: Traffic) -> &mut Queue {
        self.queues.entry(traffic).or_default()
    }

    pub(crate) fn queues(&self) -> impl Iterator<Item = (Traffic, &Queue)> {
        self.queues.iter().map(|(traffic, queue)| (*traffic, queue))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parked_is_counted_also_beyond_what_is_kept() {
        let mut parked = Parked::default();
        let bet = |number| format!("r_1:b{number}").parse::<BetId>().unwrap();
        let all = Parked::KEPT_MAX + 50;
        (0..all).for_each(|number| parked.add(bet(number), 3));
        (0..50).for_each(|number| parked.add(bet(number), 4));
        assert_eq!((parked.bets.len(), parked.count()), (Parked::KEPT_MAX, 10_050));
        parked.answered(&bet(0), 3);
        parked.answered(&bet(1), 4);
        assert_eq!(parked.count(), 10_049);
    }
}
