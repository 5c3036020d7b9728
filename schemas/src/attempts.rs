//! Attempts: the tries of one call to a partner, as headers, histories and pages say them.
//!
//! The text has an attempt after the other, in their order, with a comma between them:
//! `<number> <begun at> <latency> <status, or -> <outcome>`. What cannot be read in it is left out: it tells people
//! what happened and decides nothing.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// The HTTP status of an answer.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=999;
/// Characters that the word of an outcome may have.
const OUTCOME_CHARS_MAX: usize = 32;

/// One try. Ordered by when it began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// When it began, ms since the Unix epoch, UTC, by the clock of whoever tried.
    pub at: i64,
    /// 1 for the first; what is sent again by command is counted anew.
    pub number: u32,
    /// From its begin to its answer, or to the certainty that none will come, in ms; 0 where nothing was sent.
    pub latency_ms: u32,
    /// The HTTP status; none where there was no answer that counts.
    pub status: Option<u16>,
    /// What became of it: one word of `[a-z0-9_]`, at most 32 characters.
    pub outcome: Cow<'static, str>,
}

/// Attempts of one call, each once, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts(Vec<Attempt>);

impl Attempts {
    /// Attempts that are kept with a record: the first, and the last of the rest. About 400 bytes of text, so that a
    /// partner that is away for a month costs no more than one that fails ten times.
    pub const KEPT_MAX: usize = 10;

    /// Adds one.
    pub fn add(&mut self, attempt: Attempt) {
        if let Err(place) = self.0.binary_search(&attempt) {
            self.0.insert(place, attempt);
        }
    }

    /// Adds those of `other`.
    pub fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|attempt| self.add(attempt));
    }

    /// Leaves out the oldest but the first, beyond [`Self::KEPT_MAX`].
    pub fn cut(&mut self) {
        let last = self.0.len().saturating_sub(Self::KEPT_MAX.saturating_sub(1));
        if 1 < last {
            self.0.drain(1..last);
        }
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.0.iter()
    }

    /// The last of them.
    pub fn last(&self) -> Option<&Attempt> {
        self.0.last()
    }

    /// How many are here.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads their text; what is none of it is left out.
    pub fn read(text: &str) -> Self {
        let mut attempts = Self::default();
        text.split(", ").filter_map(Attempt::read).for_each(|attempt| attempts.add(attempt));
        attempts
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, attempt) in self.0.iter().enumerate() {
            if 0 < place {
                f.write_str(", ")?;
            }
            let Attempt { number, at, latency_ms, status, outcome } = attempt;
            write!(f, "{number} {at} {latency_ms} ")?;
            match status {
                Some(status) => write!(f, "{status}")?,
                None => f.write_char('-')?,
            }
            write!(f, " {outcome}")?;
        }
        Ok(())
    }
}

impl Attempt {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut word = || words.next();
        let (number, at, latency_ms) = (word()?, word()?, word()?);
        let (status, outcome) = (word()?, word()?);
        let status = match status {
            "-" => None,
            status => Some(status.parse().ok().filter(|status| STATUSES.contains(status))?),
        };
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let fits = !outcome.is_empty() && outcome.len() <= OUTCOME_CHARS_MAX;
        let whole = fits && outcome.bytes().all(is_word) && words.next().is_none();
        whole.then_some(Self {
            number: number.parse().ok()?,
            at: at.parse().ok()?,
            latency_ms: latency_ms.parse().ok()?,
            status,
            outcome: Cow::Owned(outcome.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32, status: Option<u16>, outcome: &'static str) -> Attempt {
        let at = 1_793_000_000_000 + i64::from(number) * 5_000;
        Attempt { number, at, latency_ms: number * 10, status, outcome: outcome.into() }
    }

    #[test]
    fn the_text_reads_back() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.to_string(), "");
        assert_eq!(Attempts::read(""), attempts);
        attempts.add(attempt(2, None, "timeout"));
        attempts.add(attempt(3, Some(200), "applied"));
        attempts.add(attempt(1, Some(500), "server_error"));
        let text = "1 1793000005000 10 500 server_error, 2 1793000010000 20 - timeout, \
                    3 1793000015000 30 200 applied";
        assert_eq!(attempts.to_string(), text);
        assert_eq!(Attempts::read(text), attempts);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let good = "7 1793000000000 21 200 applied";
        let long = format!("7 1793000000000 21 200 {}", "a".repeat(33));
        for bad in [
            "7 1793000000000 21 200",
            "7 1793000000000 21 200 applied twice",
            "7 1793000000000 21 20000 applied",
            "7 1793000000000 21 99 applied",
            "-7 1793000000000 21 200 applied",
            "7 now 21 200 applied",
            "7 1793000000000 long 200 applied",
            "7 1793000000000 21 200 <b>",
            "7 1793000000000 21 200 ",
            long.as_str(),
        ] {
            let both = Attempts::read(&format!("{bad}, {good}"));
            assert_eq!(both.to_string(), good, "{bad}");
        }
    }

    /// Of many the first and the last nine stay, however often they are cut.
    #[test]
    fn the_first_and_the_last_are_kept() {
        let mut attempts = Attempts::default();
        for number in 1..=25 {
            attempts.add(attempt(number, None, "timeout"));
            attempts.cut();
            assert!(attempts.len() <= Attempts::KEPT_MAX);
        }
        let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, [1, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
        let mut other = Attempts::default();
        other.add(attempt(25, None, "timeout"));
        other.add(attempt(26, Some(200), "applied"));
        attempts.join(other);
        assert_eq!(attempts.len(), 11, "each once");
    }
}
