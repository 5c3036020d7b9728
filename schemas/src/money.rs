//! Money: minor units of one currency, with the exponent said aloud.
//!
//! | operation | result |
//! |---|---|
//! | `Money` from units | the amount, if currency and exponent are well-formed |
//! | `checked_add`, `checked_sub` | `Err` on another currency or exponent, or on overflow |
//! | `times(odds)` | the largest payable amount not above stake x odds; rounds down, once |
//! | `parse` | exact, or refused; never rounds |

use crate::Odds;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Why an amount cannot be held as money.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// Not 3 to 8 of A-Z and 0-9.
    #[error("`{0}` is not a currency: 3 to 8 of A-Z and 0-9")]
    Currency(String),
    /// Above 8.
    #[error("exponent {0} is not between 0 and 8")]
    Exponent(i64),
    /// Not a plain decimal number.
    #[error("`{0}` is not an amount: digits with at most one decimal point")]
    Syntax(String),
    /// More decimals than the currency's exponent.
    #[error("`{text}` has more than {exponent} decimals")]
    TooPrecise {
        /// The amount as given.
        text: String,
        /// Decimals allowed.
        exponent: u8,
    },
    /// Does not fit into 64 bits of minor units.
    #[error("the amount is too large to be held")]
    TooLarge,
    /// Two amounts of different currency or exponent.
    #[error("{left} and {right} cannot be added")]
    Mixed {
        /// One amount.
        left: Money,
        /// The other.
        right: Money,
    },
}

/// A currency code, such as `EUR` or `USDT`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 8]);

impl Currency {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        let used = self.0.iter().position(|byte| *byte == 0).unwrap_or(8);
        std::str::from_utf8(&self.0[..used]).unwrap_or_default()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let well_formed = (3..=8).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !well_formed {
            return Err(MoneyError::Currency(text.chars().take(16).collect()));
        }
        let mut code = [0; 8];
        code[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(code))
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

/// An amount of one currency, in minor units.
///
/// Deliberately missing: float conversions, the `+` operator, an ordering across currencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units; 1250 with exponent 2 is 12.50.
    pub units: i64,
    /// The currency.
    pub currency: Currency,
    /// Decimals between minor and major unit, 0 to 8.
    pub exponent: u8,
}

impl Money {
    /// The largest exponent.
    pub const EXPONENT_MAX: u8 = 8;

    /// An amount of `units` minor units.
    ///
    /// # Errors
    /// [`MoneyError::Exponent`] if `exponent` is not 0 to 8.
    pub fn new(units: i64, currency: Currency, exponent: i64) -> Result<Self, MoneyError> {
        match u8::try_from(exponent) {
            Ok(exponent) if exponent <= Self::EXPONENT_MAX => {
                Ok(Self { units, currency, exponent })
            }
            Ok(_) | Err(_) => Err(MoneyError::Exponent(exponent)),
        }
    }

    /// The same currency and exponent with other units.
    pub fn with_units(self, units: i64) -> Self {
        Self { units, ..self }
    }

    /// Nothing, in the same currency and exponent.
    pub fn zero(self) -> Self {
        self.with_units(0)
    }

    /// Reads an amount in major units, such as `12.5`. Exact: never rounds.
    ///
    /// # Errors
    /// Signs, exponents (`1e2`), separators and blanks are [`MoneyError::Syntax`].
    pub fn parse(text: &str, currency: Currency, exponent: u8) -> Result<Self, MoneyError> {
        let decimal = plain_decimal(text)
            .ok_or_else(|| MoneyError::Syntax(text.chars().take(40).collect()))?;
        let scaled = decimal
            .checked_mul(Decimal::from(10_i64.pow(u32::from(exponent.min(Self::EXPONENT_MAX)))))
            .ok_or(MoneyError::TooLarge)?;
        if !scaled.fract().is_zero() {
            return Err(MoneyError::TooPrecise { text: text.to_owned(), exponent });
        }
        let units = i64::try_from(scaled).map_err(|_| MoneyError::TooLarge)?;
        Self::new(units, currency, i64::from(exponent))
    }

    /// The largest payable amount not above this amount times `odds`: the one place where money is rounded.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] if the product does not fit into 64 bits.
    ///
    /// # Source
    /// `docs/rules/payout.md`.
    pub fn times(self, odds: Odds, rounding: RoundingStrategy) -> Result<Self, MoneyError> {
        let exact = Decimal::from(self.units)
            .checked_mul(Decimal::new(odds.hundredths(), 2))
            .ok_or(MoneyError::TooLarge)?;
        let units = i64::try_from(exact.round_dp_with_strategy(0, rounding))
            .map_err(|_| MoneyError::TooLarge)?;
        Ok(self.with_units(units))
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`] or [`MoneyError::TooLarge`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_kind(other)?;
        let units = self.units.checked_add(other.units).ok_or(MoneyError::TooLarge)?;
        Ok(self.with_units(units))
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`] or [`MoneyError::TooLarge`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_kind(other)?;
        let units = self.units.checked_sub(other.units).ok_or(MoneyError::TooLarge)?;
        Ok(self.with_units(units))
    }

    fn same_kind(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency && self.exponent == other.exponent {
            Ok(())
        } else {
            Err(MoneyError::Mixed { left: self, right: other })
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Decimal::new(self.units, u32::from(self.exponent)), self.currency)
    }
}

/// A number of plain digits with at most one point; no sign, no exponent, no separator.
pub(crate) fn plain_decimal(text: &str) -> Option<Decimal> {
    let plain = text.len() <= 28
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit());
    if plain { Decimal::from_str_exact(text).ok() } else { None }
}

#[cfg(test)]
mod tests;
