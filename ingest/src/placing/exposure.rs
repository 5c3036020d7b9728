//! What may have to be paid out on the rounds that are open.

use schemas::bets::Bet;
use schemas::{Currency, Money, Odds, PartnerId, RoundId};
use std::collections::BTreeMap;

/// Stake x odds, in hundredths of a minor unit: exact, for comparing with limits. Payouts are computed,
/// and rounded, elsewhere.
pub(super) fn payout_hundredths(stake: Money, odds: Odds) -> i128 {
    i128::from(stake.units) * i128::from(odds.hundredths())
}

/// Sums of possible payouts per round, partner and currency, of bets accepted or in flight here.
///
/// A guard for the house and not for the money's truth: another instance's bets count once they are
/// accepted, and a bet left undecided here does not count until it is. Only open rounds are kept.
#[derive(Debug, Default)]
pub(super) struct Exposure {
    rounds: BTreeMap<RoundId, BTreeMap<(PartnerId, Currency), i128>>,
}

impl Exposure {
    pub(super) fn open(&self, round: &RoundId, partner: &PartnerId, currency: Currency) -> i128 {
        let sums = self.rounds.get(round);
        let sum = sums.and_then(|sums| sums.get(&(partner.clone(), currency)));
        sum.copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, bet: &Bet) {
        let sums = self.rounds.entry(bet.id.round()).or_default();
        let sum = sums.entry((bet.partner.clone(), bet.stake.currency)).or_default();
        *sum = sum.saturating_add(payout_hundredths(bet.stake, bet.odds));
    }

    pub(super) fn subtract(&mut self, bet: &Bet) {
        let Some(sums) = self.rounds.get_mut(&bet.id.round()) else { return };
        let Some(sum) = sums.get_mut(&(bet.partner.clone(), bet.stake.currency)) else { return };
        *sum = sum.saturating_sub(payout_hundredths(bet.stake, bet.odds)).max(0);
    }

    /// Forgets a round that takes no more bets.
    pub(super) fn forget(&mut self, round: &RoundId) {
        self.rounds.remove(round);
    }
}
