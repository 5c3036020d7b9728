//! What we say to partners, out of our own words.

use super::{CloseDigest, CloseRequest, CloseTotal, MoneyBody, RowStatus, StateItem, TargetBody};
use crate::settlements::{Settlement, Target};
use crate::{ContentHash, Currency, Money};
use std::collections::BTreeMap;

/// Bets that a close lists by name, at most: with more, its body would be larger than a state call's.
pub const CLOSE_LISTED_MAX: usize = 2_000;

impl From<&Settlement> for StateItem {
    fn from(settlement: &Settlement) -> Self {
        let stake = settlement.stake;
        let version = settlement.result_version();
        let (target, payout) = match settlement.target {
            Target::Held => (TargetBody::Held, None),
            Target::Settled(payout) => (TargetBody::Settled, Some(stake.with_units(payout))),
            Target::Voided => (TargetBody::Voided, None),
        };
        Self {
            bet_id: settlement.bet.to_string(),
            revision: settlement.revision,
            target,
            round_id: settlement.bet.round_str().to_owned(),
            result_version: (version != 0).then_some(version),
            partner_id: settlement.partner.to_string(),
            partner_player_id: settlement.player.as_str().to_owned(),
            stake: stake.into(),
            payout: payout.map(MoneyBody::from),
            reason: settlement.reason.code().to_owned(),
            recover: false,
        }
    }
}

impl Target {
    /// The status of a row in this state, and its payout in minor units, 0 unless it is settled.
    pub fn row(self) -> (RowStatus, i64) {
        match self {
            Self::Held => (RowStatus::Held, 0),
            Self::Settled(payout) => (RowStatus::Settled, payout),
            Self::Voided => (RowStatus::Voided, 0),
        }
    }
}

impl CloseRequest {
    /// A hash over all that it says.
    pub fn hash(&self) -> Option<ContentHash> {
        let text = serde_json::to_string(self).ok()?;
        Some(ContentHash::of(&[&self.partner_id, &text]))
    }
}

/// Totals and digest of a round at one partner. Sums have 128 bits: amounts of an int64 always fit.
#[derive(Clone, Debug, Default)]
pub struct CloseSums {
    digest: CloseDigest,
    totals: BTreeMap<(Currency, u8), CloseSum>,
}

#[derive(Clone, Debug, Default)]
struct CloseSum {
    bets: u64,
    stake: i128,
    payout: i128,
    voided: u64,
    parked: u64,
}

impl CloseSums {
    /// Adds a row at revision 3 or above; rows come in the order of bet ids.
    pub fn row(
        &mut self,
        bet: &str,
        revision: u32,
        stake: Money,
        (status, payout): (RowStatus, i64),
    ) {
        self.digest.row(bet, revision, status, stake.units, payout);
        let sum = self.totals.entry((stake.currency, stake.exponent)).or_default();
        sum.bets += 1;
        sum.stake = sum.stake.saturating_add(i128::from(stake.units));
        sum.payout = sum.payout.saturating_add(i128::from(payout));
        sum.voided += u64::from(status == RowStatus::Voided);
    }

    /// Adds so many bets that are parked or frozen, of this currency and exponent.
    pub fn aside(&mut self, currency: Currency, exponent: u8, bets: u64) {
        self.totals.entry((currency, exponent)).or_default().parked += bets;
    }

    /// A total for each currency, ordered, and the digest.
    pub fn finish(self) -> (Vec<CloseTotal>, String) {
        let total = |((currency, exponent), sum): ((Currency, u8), CloseSum)| CloseTotal {
            currency: currency.to_string(),
            exponent: i64::from(exponent),
            bets: sum.bets,
            stake: sum.stake.to_string(),
            payout: sum.payout.to_string(),
            voided: sum.voided,
            parked: sum.parked,
        };
        (self.totals.into_iter().map(total).collect(), self.digest.finish())
    }
}
