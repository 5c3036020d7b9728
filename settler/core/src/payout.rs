//! What a winning bet pays.

use crate::RuleError;
use planted::Bug;
use rust_decimal::RoundingStrategy;
use schemas::Money;
use schemas::bets::Bet;

/// What `bet` pays if it wins: stake x odds, rounded down to the minor unit, once.
///
/// The stake is part of it: 10.00 at 2.50 pays 25.00. Same currency and exponent as the stake.
///
/// # Errors
/// [`RuleError::Payout`] if that does not fit into 64 bits of minor units.
///
/// # Source
/// `docs/rules/payout.md`.
pub fn payout(bet: &Bet) -> Result<Money, RuleError> {
    let rounding = if planted::active(Bug::PayoutCeiled) {
        RoundingStrategy::ToPositiveInfinity
    } else {
        RoundingStrategy::ToNegativeInfinity
    };
    bet.stake
        .times(bet.odds, rounding)
        .map_err(|source| RuleError::Payout { bet: bet.id.clone(), source })
}

#[cfg(test)]
mod tests;
