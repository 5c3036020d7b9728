//! Why a rule gives no answer, and what follows from that.

use schemas::{BetId, MoneyError, RoundId, Selection};
use thiserror::Error;

/// What a loop does about a [`RuleError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// This build must not judge: store no further offset and say so (R6).
    StopPartition,
    /// An invariant broke for one bet: freeze it, page, go on.
    FreezeBet,
    /// Somebody asked for what the rules do not allow: refuse the request.
    Refuse,
}

/// A rule that could not be applied. The `check_*` functions give errors that refuse, the others
/// errors that freeze; an unknown rules version stops either.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    /// Written by a newer build, or by none.
    #[error("rules version {rules_version} is not known to this build")]
    UnknownRules {
        /// The version.
        rules_version: u32,
    },

    /// No game of this name.
    #[error("no game is called `{game}`")]
    UnknownGame {
        /// The name.
        game: String,
    },
    /// A round needs something to bet on.
    #[error("the round offers no selection")]
    NoSelections,
    /// More selections than a round may have.
    #[error("{count} selections are more than a round may have")]
    TooManySelections {
        /// Their number.
        count: usize,
    },
    /// The same selection twice in a list.
    #[error("selection `{selection}` is named twice")]
    RepeatedSelection {
        /// The selection.
        selection: Selection,
    },
    /// The game has no such selection.
    #[error("game `{game}` has no selection `{selection}`")]
    ForeignSelection {
        /// The game.
        game: &'static str,
        /// The selection.
        selection: Selection,
    },
    /// The round does not offer the selection.
    #[error("the round does not offer selection `{selection}`")]
    NotOffered {
        /// The selection.
        selection: Selection,
    },
    /// The grace is out of bounds.
    #[error("a grace of {grace_ms} ms is not between 0 and 60000")]
    Grace {
        /// The grace.
        grace_ms: i64,
    },
    /// The deadline is not ahead, or too far ahead.
    #[error("a deadline at {closes_at} is not within 30 days behind {opened_at}")]
    Deadline {
        /// The deadline, ms since the Unix epoch.
        closes_at: i64,
        /// When the round was opened, ms since the Unix epoch.
        opened_at: i64,
    },
    /// The game has no such outcome.
    #[error("game `{game}` has no outcome `{outcome}`")]
    UnknownOutcome {
        /// The game.
        game: &'static str,
        /// The outcome.
        outcome: String,
    },
    /// This game has no outcomes of its own.
    #[error("game `{game}` needs its winners by name, not outcome `{outcome}`")]
    WinnersUnnamed {
        /// The game.
        game: &'static str,
        /// The outcome.
        outcome: String,
    },
    /// Won and void at once.
    #[error("selection `{selection}` cannot be both won and void")]
    WonAndVoid {
        /// The selection.
        selection: Selection,
    },

    /// An outcome that was admitted does not grade the selection.
    #[error("selection `{selection}` has no grade under game `{game}` and outcome `{outcome}`")]
    Ungraded {
        /// The game.
        game: &'static str,
        /// The selection.
        selection: Selection,
        /// The outcome, or what it says instead of one.
        outcome: String,
    },
    /// The payout cannot be held as money.
    #[error("payout of {bet} cannot be held as money")]
    Payout {
        /// The bet.
        bet: BetId,
        /// What money says.
        source: MoneyError,
    },
    /// A result version was asked for that is not there.
    #[error("result version {version} of {bet} was asked for, {known} are known")]
    MissingVersion {
        /// The bet.
        bet: BetId,
        /// The version asked for.
        version: u32,
        /// How many there are.
        known: usize,
    },
    /// A bet of another round.
    #[error("{bet} does not belong to round {round}")]
    OtherRound {
        /// The bet.
        bet: BetId,
        /// The round.
        round: RoundId,
    },
    /// A bet twice in one tally.
    #[error("{bet} is tallied twice")]
    TalliedTwice {
        /// The bet.
        bet: BetId,
    },
    /// The stakes of one currency do not fit into 64 bits.
    #[error("the stakes up to {bet} cannot be added")]
    TallyTooLarge {
        /// The bet, in the order of bet ids, with which the sum no longer fits.
        bet: BetId,
        /// What money says.
        source: MoneyError,
    },
}

impl RuleError {
    /// What a loop does about it.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::UnknownRules { .. } => Disposition::StopPartition,
            Self::UnknownGame { .. }
            | Self::NoSelections
            | Self::TooManySelections { .. }
            | Self::RepeatedSelection { .. }
            | Self::ForeignSelection { .. }
            | Self::NotOffered { .. }
            | Self::Grace { .. }
            | Self::Deadline { .. }
            | Self::UnknownOutcome { .. }
            | Self::WinnersUnnamed { .. }
            | Self::WonAndVoid { .. } => Disposition::Refuse,
            Self::Ungraded { .. }
            | Self::Payout { .. }
            | Self::MissingVersion { .. }
            | Self::OtherRound { .. }
            | Self::TalliedTwice { .. }
            | Self::TallyTooLarge { .. } => Disposition::FreezeBet,
        }
    }

    /// A stable code, for verdicts, freezes and answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownRules { .. } => "unknown_rules",
            Self::UnknownGame { .. } => "unknown_game",
            Self::NoSelections => "no_selections",
            Self::TooManySelections { .. } => "too_many_selections",
            Self::RepeatedSelection { .. } => "repeated_selection",
            Self::ForeignSelection { .. } => "foreign_selection",
            Self::NotOffered { .. } => "not_offered",
            Self::Grace { .. } => "grace_out_of_range",
            Self::Deadline { .. } => "deadline_out_of_range",
            Self::UnknownOutcome { .. } => "unknown_outcome",
            Self::WinnersUnnamed { .. } => "winners_unnamed",
            Self::WonAndVoid { .. } => "won_and_void",
            Self::Ungraded { .. } => "ungraded",
            Self::Payout { .. } => "payout_too_large",
            Self::MissingVersion { .. } => "missing_version",
            Self::OtherRound { .. } => "other_round",
            Self::TalliedTwice { .. } => "tallied_twice",
            Self::TallyTooLarge { .. } => "tally_too_large",
        }
    }
}
