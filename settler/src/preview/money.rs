//! Who is paid more and from whom is taken back.

use schemas::settlements::Settlement;
use schemas::{BetId, Currency, PartnerId, PlayerId};
use serde::{Serialize, Serializer};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Minor units of a currency; in JSON a text, since sums may not fit a double.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units(pub i128);

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What changes for one partner in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartnerMoney {
    /// The partner.
    pub partner: PartnerId,
    /// The currency.
    pub currency: Currency,
    /// Decimals between minor and major unit.
    pub exponent: u8,
    /// Bets whose state changes.
    pub bets: u64,
    /// What players get beside what they have, not negative.
    pub to_pay: Units,
    /// What is taken back from players, not negative.
    pub to_take_back: Units,
    /// `to_pay` less `to_take_back`.
    pub net: Units,
}

/// A bet for which much changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mover {
    /// The bet.
    pub bet_id: BetId,
    /// The partner.
    pub partner: PartnerId,
    /// The partner's player.
    pub player: PlayerId,
    /// The currency.
    pub currency: Currency,
    /// Decimals between minor and major unit.
    pub exponent: u8,
    /// What the player gets, or below zero what is taken back.
    pub difference: Units,
}

/// Sums over the settlements of a version.
#[derive(Debug, Default)]
pub(super) struct Sums {
    money: BTreeMap<(PartnerId, Currency, u8), PartnerMoney>,
    movers: Vec<Mover>,
}

impl Sums {
    pub(super) fn add(&mut self, settlement: &Settlement) {
        let stake = settlement.stake;
        let before = settlement.previous.net(stake.units);
        // Each is within 65 bits, and so is what 2^60 of them sum up to within 128.
        let difference = settlement.target.net(stake.units) - before;
        let (partner, currency, exponent) =
            (settlement.partner.clone(), stake.currency, stake.exponent);
        let line = self.money.entry((partner.clone(), currency, exponent));
        let line = line.or_insert_with(|| PartnerMoney {
            partner: partner.clone(),
            currency,
            exponent,
            bets: 0,
            to_pay: Units::default(),
            to_take_back: Units::default(),
            net: Units::default(),
        });
        line.bets += 1;
        line.to_pay.0 += difference.max(0);
        line.to_take_back.0 -= difference.min(0);
        line.net.0 += difference;
        self.movers.push(Mover {
            bet_id: settlement.bet.clone(),
            partner,
            player: settlement.player.clone(),
            currency,
            exponent,
            difference: Units(difference),
        });
    }

    /// By partner and currency, and the `movers_max` largest differences.
    pub(super) fn finish(mut self, movers_max: usize) -> (Vec<PartnerMoney>, Vec<Mover>) {
        let key = |mover: &Mover| (Reverse(mover.difference.0.abs()), mover.bet_id.clone());
        self.movers.retain(|mover| mover.difference.0 != 0);
        self.movers.sort_by_cached_key(key);
        self.movers.truncate(movers_max);
        (self.money.into_values().collect(), self.movers)
    }
}
