//! What a caller may write: ids, odds, amounts, deadlines and states, each as JSON text or as a number.
//!
//! A number is taken as it is written, digit by digit; nothing passes through a float. Each type says in its
//! error what it wants, so that the refusal names the field and the cure.

use crate::http::body::Named;
use crate::problem::Kind;
use schemas::contract::parse_timestamp;
use schemas::{Currency, IdError, Money, Odds, RoundId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr;

/// Decimals that odds and amounts may have.
const DECIMALS_MAX: usize = 2;
/// Characters that are shown of a value that is refused.
const SHOWN_CHARS_MAX: usize = 40;
/// From here on a number is no time in seconds that anybody means: the year 5138. As ms it is 1973.
const SECONDS_MAX: i64 = 99_999_999_999;
/// Digits behind the point of a second that count: ms.
const MS_DIGITS: usize = 3;

/// A JSON text or number.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Written {
    Text(String),
    /// As it was written.
    Number(String),
}

impl Written {
    fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
        }
    }

    /// Cut, so that a message stays short.
    fn shown(&self) -> String {
        self.as_str().chars().take(SHOWN_CHARS_MAX).collect()
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match raw.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw.get()).map(Self::Text).map_err(D::Error::custom),
            Some(b'-' | b'0'..=b'9') => Ok(Self::Number(raw.get().to_owned())),
            Some(_) | None => Err(D::Error::custom("neither a text nor a number")),
        }
    }
}

macro_rules! written {
    ($($name:ident),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::read(&Written::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )+};
}

written!(EventId, Coefficient, Amount, Deadline, State);

/// The id of an event. A number means its decimal text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventId(pub(super) RoundId);

impl EventId {
    fn read(written: &Written) -> Result<Self, String> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        match written {
            Written::Number(number) if !digits(number) => {
                Err(format!("{} is no whole number", written.shown()))
            }
            Written::Text(text) | Written::Number(text) => {
                text.parse().map_err(|error: IdError| error.to_string())
            }
        }
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

impl Named for EventId {
    const UNKNOWN: Kind = Kind::EVENT_UNKNOWN;
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Odds, above zero, with at most two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coefficient(pub(super) Odds);

impl Coefficient {
    fn read(written: &Written) -> Result<Self, String> {
        two_decimals(written)?;
        written.as_str().parse().map(Self).map_err(|error: schemas::OddsError| error.to_string())
    }
}

/// An amount of money, above zero, with at most two decimals; the currency is the player's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount(String);

impl Amount {
    fn read(written: &Written) -> Result<Self, String> {
        two_decimals(written)?;
        Ok(Self(written.as_str().to_owned()))
    }

    /// The amount in `currency`, which has two decimals.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn money(&self, currency: Currency) -> Result<Money, String> {
        let money = Money::parse(&self.0, currency, 2).map_err(|error| error.to_string())?;
        if money.units <= 0 {
            return Err("an amount is above zero".to_owned());
        }
        Ok(money)
    }
}

/// Refuses what has more than two decimals, also where the last of them are zeros.
fn two_decimals(written: &Written) -> Result<(), String> {
    match written.as_str().split_once('.') {
        Some((_, decimals)) if DECIMALS_MAX < decimals.len() => {
            Err(format!("{} has more than {DECIMALS_MAX} decimals", written.shown()))
        }
        Some(_) | None => Ok(()),
    }
}

/// When betting on an event ends, ms since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline(pub(super) i64);

impl Deadline {
    fn read(written: &Written) -> Result<Self, String> {
        let text = written.as_str();
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return seconds(text, &written.shown()).map(Self);
        }
        let shown = written.shown();
        if let Written::Number(_) = written {
            return Err(format!("{shown} is no time in Unix seconds, such as 1793000000"));
        }
        parse_timestamp(text).map(Self).ok_or_else(|| {
            // What a zone alone would make a time.
            if parse_timestamp(&format!("{text}Z")).is_some() {
                format!("`{shown}` has no zone: end it with Z or with an offset such as +02:00")
            } else {
                let example = "2026-11-21T18:00:00Z";
                format!("`{shown}` is neither an RFC 3339 time such as {example} nor Unix seconds")
            }
        })
    }
}

/// Unix seconds, in ms. What is below a millisecond does not count.
fn seconds(text: &str, shown: &str) -> Result<i64, String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let wrong = || format!("`{shown}` is no time in Unix seconds, such as 1793000000");
    let whole: i64 = whole.parse().map_err(|_| wrong())?;
    if SECONDS_MAX < whole {
        return Err(format!("{whole} looks like milliseconds: give Unix seconds"));
    }
    if !part.bytes().all(|byte| byte.is_ascii_digit()) || (part.is_empty() && text.contains('.')) {
        return Err(wrong());
    }
    let digits: String = part.chars().chain("000".chars()).take(MS_DIGITS).collect();
    let ms: i64 = digits.parse().map_err(|_| wrong())?;
    Ok(whole.saturating_mul(1_000).saturating_add(ms))
}

/// How an event stands, as the number that callers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// 1: no result stands.
    Unfinished,
    /// 2: the first team won.
    FirstWon,
    /// 3: the second team won.
    SecondWon,
}

impl State {
    fn read(written: &Written) -> Result<Self, String> {
        match written.as_str() {
            "1" => Ok(Self::Unfinished),
            "2" => Ok(Self::FirstWon),
            "3" => Ok(Self::SecondWon),
            _ => Err("a state is 1 unfinished, 2 first team won or 3 second team won".to_owned()),
        }
    }

    /// The number.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Unfinished => 1,
            Self::FirstWon => 2,
            Self::SecondWon => 3,
        }
    }
}

/// An amount in minor units as text with exactly two decimals.
pub(super) fn amount_text(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    format!("{sign}{}.{:02}", units / 100, units % 100)
}

mod shapes;
#[cfg(test)]
mod tests;
