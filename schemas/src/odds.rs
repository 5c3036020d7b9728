//! Decimal odds in hundredths, stake included.

use crate::money::plain_decimal;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Why a text or number cannot be odds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OddsError {
    /// Not a plain decimal number with at most two decimals.
    #[error("`{0}` is not odds: a positive decimal with at most two decimals")]
    Syntax(String),
    /// Not between 0.01 and 1,000,000.00.
    #[error("odds of {0} hundredths are not between 1 and 100000000")]
    Range(i64),
}

/// Decimal odds: 250 hundredths return 2.50 for each 1.00 staked. Always positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Odds(i64);

impl Odds {
    /// The largest odds, in hundredths.
    pub const HUNDREDTHS_MAX: i64 = 100_000_000;

    /// Odds of `hundredths`.
    ///
    /// # Errors
    /// [`OddsError::Range`].
    pub fn new(hundredths: i64) -> Result<Self, OddsError> {
        if (1..=Self::HUNDREDTHS_MAX).contains(&hundredths) {
            Ok(Self(hundredths))
        } else {
            Err(OddsError::Range(hundredths))
        }
    }

    /// The odds in hundredths.
    pub fn hundredths(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Odds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Decimal::new(self.0, 2))
    }
}

impl FromStr for Odds {
    type Err = OddsError;

    fn from_str(text: &str) -> Result<Self, OddsError> {
        let syntax = || OddsError::Syntax(text.chars().take(40).collect());
        let hundredths = plain_decimal(text)
            .and_then(|decimal| decimal.checked_mul(Decimal::ONE_HUNDRED))
            .filter(|hundredths| hundredths.fract().is_zero())
            .ok_or_else(syntax)?;
        Self::new(i64::try_from(hundredths).map_err(|_| syntax())?)
    }
}

impl TryFrom<String> for Odds {
    type Error = OddsError;

    fn try_from(text: String) -> Result<Self, OddsError> {
        text.parse()
    }
}

impl From<Odds> for String {
    fn from(odds: Odds) -> Self {
        odds.to_string()
    }
}

#[cfg(test)]
mod tests;
