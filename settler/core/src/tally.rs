//! What a settler writes down at `closed`, so that a bet that goes missing later is noticed.

use crate::RuleError;
use schemas::bets::Bet;
use schemas::wire::{AmountRecord, TallyRecord};
use schemas::{BetId, Money, RoundId};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The tally of `bets`: the accepted, uncancelled bets of `round` in one partition at `closed` (R5).
///
/// Number, stakes by currency and exponent, and the SHA-256, in hex, over a line
/// `bet_id|content_hash` for each bet, ordered by bet id. The order of `bets` does not matter.
///
/// # Errors
/// [`RuleError::OtherRound`], [`RuleError::TalliedTwice`], or [`RuleError::TallyTooLarge`] if the
/// stakes of one currency do not fit into 64 bits.
///
/// # Source
/// `docs/rules/tally.md`.
pub fn tally<'a>(
    round: &RoundId,
    bets: impl Iterator<Item = &'a Bet>,
) -> Result<TallyRecord, RuleError> {
    let mut by_id: BTreeMap<&BetId, &Bet> = BTreeMap::new();
    for bet in bets {
        if bet.id.round_str() != round.as_str() {
            return Err(RuleError::OtherRound { bet: bet.id.clone(), round: round.clone() });
        }
        if by_id.insert(&bet.id, bet).is_some() {
            return Err(RuleError::TalliedTwice { bet: bet.id.clone() });
        }
    }
    let mut hash = Sha256::new();
    let mut stakes: BTreeMap<(&str, u8), Money> = BTreeMap::new();
    for (id, bet) in &by_id {
        for part in [id.as_str(), "|", &bet.content_hash().text(), "\n"] {
            hash.update(part);
        }
        let sum = stakes
            .entry((bet.stake.currency.as_str(), bet.stake.exponent))
            .or_insert_with(|| bet.stake.zero());
        *sum = sum
            .checked_add(bet.stake)
            .map_err(|source| RuleError::TallyTooLarge { bet: bet.id.clone(), source })?;
    }
    Ok(TallyRecord {
        round_id: round.to_string(),
        bets: i64::try_from(by_id.len()).unwrap_or(i64::MAX),
        stakes: stakes.values().map(amount).collect(),
        digest: hex(&hash.finalize()),
    })
}

fn amount(sum: &Money) -> AmountRecord {
    AmountRecord {
        units: sum.units,
        currency: sum.currency.to_string(),
        exponent: i32::from(sum.exponent),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
