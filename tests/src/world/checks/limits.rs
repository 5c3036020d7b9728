//! What partners do not take is asked of nobody.

use super::Checks;
use ingest::placing::PartnerBook;
use schemas::bets::Bet;

impl Checks {
    /// These are the limits of the world.
    pub(in crate::world) fn limit(&mut self, partners: &PartnerBook) {
        self.limits = partners.clone();
    }

    /// No stake is asked for that a partner does not take, and none that could win more than it pays.
    pub(super) fn intent_limits(&mut self, bet: &Bet) {
        let entry = self.limits.get(&bet.partner);
        let limits = entry.and_then(|entry| entry.currencies.get(&bet.stake.currency));
        let stake = bet.stake.units;
        let payout = i128::from(stake) * i128::from(bet.odds.hundredths()) / 100;
        let taken = limits.is_some_and(|limits| {
            let stakes = limits.stake_min..=limits.stake_max;
            stakes.contains(&stake) && payout <= i128::from(limits.payout_max)
        });
        if !taken {
            self.broken("limits", format!("{}: {stake} with a payout of {payout}", bet.id));
        }
    }
}
