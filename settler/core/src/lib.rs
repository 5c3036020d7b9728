//! What a bet is worth: games, cut-off, payout, corrections, final voids, tallies.
//!
//! Pure functions of what stands in the log. No IO, no clock, no configuration, no memory: equal
//! inputs give equal settlements, which is what makes replay, redelivery and a second settler
//! harmless. The rules in words, with examples and reasons, are the pages in `docs/rules/`.

mod check;
mod error;
#[cfg(test)]
mod fixtures;
mod game;
mod payout;
mod settle;
mod tally;

pub use check::{
    GRACE_MS_MAX, OPEN_MS_MAX, SELECTIONS_MAX, check_amended, check_opened, check_outcome,
};
pub use error::{Disposition, RuleError};
pub use game::{Game, Grade, grade};
pub use payout::payout;
pub use settle::{expected, final_void, settlement_at, state};
pub use tally::tally;

/// The newest version of the rules that this build has; new rounds open under it.
///
/// A change of any rule that could move money takes the next number and keeps the old behaviour
/// for the old one: bets are graded under the version they were placed under, for as long as their
/// round can be corrected.
pub const RULES_VERSION: u32 = 1;

/// Whether this build can grade bets placed under `rules_version`. A settler that meets one that it
/// cannot grade stops the partition (R6).
pub fn knows(rules_version: u32) -> bool {
    (1..=RULES_VERSION).contains(&rules_version)
}

/// Ticks behind an intent at which it expires if it has no decision, under [`RULES_VERSION`].
///
/// A tick is at least a second, so this is six seconds or more; it outlasts the four seconds for
/// which the partner may be asked. Changing it changes decisions on replay: a new rules version.
///
/// # Source
/// `docs/rules/cut-off.md`.
pub const EXPIRY_TICKS: u32 = 6;

/// Ticks behind an intent at which it expires under `rules_version`; `None` if this build lacks it.
///
/// # Source
/// `docs/rules/cut-off.md`.
pub fn expiry_ticks(rules_version: u32) -> Option<u32> {
    knows(rules_version).then_some(EXPIRY_TICKS)
}

#[cfg(test)]
mod tests;
