//! What a partner is: where its wallet is, whose tokens it signs, what it takes.

use crate::bets::Unreadable;
use crate::contract::{STATE_BYTES_MAX, STATE_BYTES_MIN, STATE_ITEMS_MAX};
use crate::wire::CurrencyRecord;
use crate::{Currency, Money, MoneyError};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use thiserror::Error;

/// What must be known of a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Base URL of its wallet: what stands before `/wallet/v1`.
    pub wallet_url: String,
    /// The public key that verifies its players' tokens: Ed25519, base64url of 32 bytes.
    pub token_key: String,
    /// The public keys that verify its replies, one or two: Ed25519, as Standard Webhooks writes them
    /// (`whpk_...`). None where a secret is shared, which stands in no topic.
    pub reply_keys: Vec<String>,
    /// The currencies it takes bets in.
    pub currencies: BTreeMap<Currency, CurrencyLimits>,
    /// State calls a second that its wallet takes of each kind of traffic; none where nothing of that was agreed.
    pub calls_per_s: Option<NonZeroU32>,
    /// Stakes that its wallet is asked for in a second by each process that takes bets; none where nothing of that was
    /// agreed.
    pub stakes_per_s: Option<NonZeroU32>,
    /// What a state call to its wallet may be.
    pub state_calls: StateCalls,
}

/// What a state call to a wallet may be, where that is less or other than the contract has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCalls {
    /// Items that it may carry; none for as many as the contract has.
    pub items_max: Option<NonZeroU32>,
    /// Bytes that its body may have before it is packed; none for as many as the contract has.
    pub bytes_max: Option<NonZeroU32>,
    /// Whether its body may be packed (gzip).
    pub gzip: bool,
}

/// A bound of state calls that the contract does not allow, or that no item would fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be from {least} to {most}")]
pub struct StateCallsError {
    /// The field, as it is called in configurations and in the API.
    pub field: &'static str,
    least: usize,
    most: usize,
}

impl StateCalls {
    /// Whether every settlement could be told within them.
    ///
    /// # Errors
    /// [`StateCallsError`] for the first that is wrong.
    pub fn check(&self) -> Result<(), StateCallsError> {
        for (field, said, least, most) in [
            ("items_max", self.items_max, 1, STATE_ITEMS_MAX),
            ("bytes_max", self.bytes_max, STATE_BYTES_MIN, STATE_BYTES_MAX),
        ] {
            if said.is_some_and(|said| !(least..=most).contains(&size(said))) {
                return Err(StateCallsError { field, least, most });
            }
        }
        Ok(())
    }

    /// The smaller of what may be sent, in items and bytes of a body, and of these.
    pub fn within(&self, (items, bytes): (usize, usize)) -> (usize, usize) {
        let within =
            |most: usize, own: Option<NonZeroU32>| own.map_or(most, |own| most.min(size(own)));
        (within(items, self.items_max), within(bytes, self.bytes_max))
    }
}

fn size(number: NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}

/// What a partner takes in one currency, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrencyLimits {
    /// Decimals between minor and major unit. A bet with another exponent is refused.
    pub exponent: u8,
    /// The smallest stake, at least 1.
    pub stake_min: i64,
    /// The largest stake.
    pub stake_max: i64,
    /// The largest payout of one bet.
    pub payout_max: i64,
    /// The largest sum of the possible payouts of one round's bets, as far as one instance knows them.
    pub liability_max: i64,
}

/// Limits under which no bet could be taken, or no money be held.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LimitsError {
    /// The exponent is no exponent.
    #[error(transparent)]
    Exponent(#[from] MoneyError),
    /// One of them is below 1.
    #[error("is {units}; it must be above 0")]
    TooLow {
        /// Which.
        limit: &'static str,
        /// What it is.
        units: i64,
    },
    /// No stake is within.
    #[error("must be at most stake_max_units")]
    MinAboveMax,
}

impl LimitsError {
    /// The field that is wrong, as it is called in configurations and in the API.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Exponent(_) => "exponent",
            Self::TooLow { limit, .. } => limit,
            Self::MinAboveMax => "stake_min_units",
        }
    }
}

impl CurrencyLimits {
    /// No limit but what money can hold.
    pub const fn unlimited(exponent: u8) -> Self {
        let most = i64::MAX;
        Self { exponent, stake_min: 1, stake_max: most, payout_max: most, liability_max: most }
    }

    /// Whether bets of `currency` can be taken within them.
    ///
    /// # Errors
    /// [`LimitsError`] for the first that is wrong.
    pub fn check(&self, currency: Currency) -> Result<(), LimitsError> {
        Money::new(0, currency, i64::from(self.exponent))?;
        for (limit, units) in [
            ("stake_min_units", self.stake_min),
            ("stake_max_units", self.stake_max),
            ("payout_max_units", self.payout_max),
            ("liability_max_units", self.liability_max),
        ] {
            if units < 1 {
                return Err(LimitsError::TooLow { limit, units });
            }
        }
        if self.stake_max < self.stake_min { Err(LimitsError::MinAboveMax) } else { Ok(()) }
    }
}

/// A number from 1, where there is one.
pub(super) fn count(
    record: Option<i64>,
    field: &'static str,
) -> Result<Option<NonZeroU32>, Unreadable> {
    let Some(number) = record else { return Ok(None) };
    let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
    number.map(Some).ok_or(Unreadable::Range(field))
}

pub(super) fn read(
    records: Vec<CurrencyRecord>,
) -> Result<BTreeMap<Currency, CurrencyLimits>, Unreadable> {
    let one = |record: CurrencyRecord| {
        let currency: Currency = record.currency.parse()?;
        let limits = CurrencyLimits {
            exponent: Money::new(0, currency, i64::from(record.exponent))?.exponent,
            stake_min: record.stake_min,
            stake_max: record.stake_max,
            payout_max: record.payout_max,
            liability_max: record.liability_max,
        };
        Ok((currency, limits))
    };
    records.into_iter().map(one).collect()
}

pub(super) fn write(currencies: &BTreeMap<Currency, CurrencyLimits>) -> Vec<CurrencyRecord> {
    let one = |(currency, limits): (&Currency, &CurrencyLimits)| CurrencyRecord {
        currency: currency.to_string(),
        exponent: i32::from(limits.exponent),
        stake_min: limits.stake_min,
        stake_max: limits.stake_max,
        payout_max: limits.payout_max,
        liability_max: limits.liability_max,
    };
    currencies.iter().map(one).collect()
}
