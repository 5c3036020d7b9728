//! An event: a round of two teams that offers bets on the first.

use super::values::State;
use crate::rounds_view::{RoundInfo, RoundStatus};
use schemas::rounds::{Offer, Opened, Outcome, RoundEvent};
use schemas::{IdError, Odds, Selection};

/// The game of every event, as the rules know it.
pub const GAME: &str = "two_way";
/// What every bet is on, and the outcome of state 2.
pub const FIRST: &str = "first";
/// The outcome of state 3.
pub const SECOND: &str = "second";
/// Stands behind the name of who opened an event whose result is to be drawn.
const DRAWN: &str = "+auto_result";

/// The actor of an event whose result is drawn.
pub(super) fn drawing(actor: &str) -> String {
    format!("{actor}{DRAWN}")
}

/// Whether the result of what `actor` opened is drawn.
pub(super) fn is_drawn(actor: &str) -> bool {
    actor.ends_with(DRAWN)
}

/// Whether `opened` opens an event.
pub(super) fn is_event(_: &RoundEvent, opened: &Opened) -> bool {
    opened.game == GAME && opened.offers.iter().any(|offer| offer.selection.as_str() == FIRST)
}

/// The selection that every bet is on.
///
/// # Errors
/// Never: the name has the shape of one.
pub(super) fn first() -> Result<Selection, IdError> {
    FIRST.parse()
}

/// What is offered in an event.
pub(super) fn offer(odds: Odds) -> Result<Vec<Offer>, IdError> {
    Ok(vec![Offer { selection: first()?, odds }])
}

/// The odds of the first team; `None` if the round is no event.
pub(super) fn odds_of(info: &RoundInfo) -> Option<Odds> {
    let first = info.offers.iter().find(|offer| offer.selection.as_str() == FIRST);
    first.filter(|_| info.game == GAME).map(|offer| offer.odds)
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// No result stands.
    None,
    /// The first team won.
    First,
    /// It did not.
    Second,
    /// Stakes go back.
    Void,
}

impl Ending {
    /// How `info` ended. A selection that a result does not name has lost.
    pub(super) fn of(info: &RoundInfo) -> Self {
        match &info.outcome {
            None | Some(Outcome::Withdrawn) => Self::None,
            Some(Outcome::Voided) => Self::Void,
            Some(Outcome::Game(outcome)) if outcome == FIRST => Self::First,
            Some(Outcome::Game(_)) => Self::Second,
            Some(Outcome::Named { won, void }) => {
                let names = |list: &[Selection]| list.iter().any(|name| name.as_str() == FIRST);
                match (names(won), names(void)) {
                    (true, _) => Self::First,
                    (false, true) => Self::Void,
                    (false, false) => Self::Second,
                }
            }
        }
    }

    /// The state. An event that does not count has none of its own.
    pub(super) const fn state(self) -> State {
        match self {
            Self::None | Self::Void => State::Unfinished,
            Self::First => State::FirstWon,
            Self::Second => State::SecondWon,
        }
    }
}

/// Whether bets are taken at `now`, ms.
pub(super) fn is_open(info: &RoundInfo, now: i64) -> bool {
    info.status == RoundStatus::Betting && now < info.closes_at
}
