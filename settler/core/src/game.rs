//! Games as data: what can be bet on, what can come out, and what wins under it.

use crate::RuleError;
use schemas::Selection;
use schemas::rounds::Outcome;
use std::fmt;
use std::str::FromStr;

/// A game that Roundhouse can grade.
///
/// # Source
/// `docs/rules/games.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Game {
    /// One throw of a six-sided die: its number, odd or even, low or high.
    Die,
    /// An event that the first or the second side wins.
    TwoWay,
    /// Any selections; every result names its winners.
    Direct,
}

/// What a result makes of one selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// Pays stake x odds.
    Won,
    /// Pays nothing.
    Lost,
    /// Does not count: the stake goes back.
    Void,
}

/// Each selection with the outcomes under which it wins; under every other outcome it loses.
type Table = &'static [(&'static str, &'static [&'static str])];

const DIE: Table = &[
    ("1", &["1"]),
    ("2", &["2"]),
    ("3", &["3"]),
    ("4", &["4"]),
    ("5", &["5"]),
    ("6", &["6"]),
    ("odd", &["1", "3", "5"]),
    ("even", &["2", "4", "6"]),
    ("low", &["1", "2", "3"]),
    ("high", &["4", "5", "6"]),
];
const TWO_WAY: Table = &[("first", &["first"]), ("second", &["second"])];

impl Game {
    /// Every game.
    pub const ALL: &[Self] = &[Self::Die, Self::TwoWay, Self::Direct];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Die => "die",
            Self::TwoWay => "two_way",
            Self::Direct => "direct",
        }
    }

    /// All that can be bet on; `None` if that is any selection at all.
    pub const fn selections(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Die => Some(&["1", "2", "3", "4", "5", "6", "odd", "even", "low", "high"]),
            Self::TwoWay => Some(&["first", "second"]),
            Self::Direct => None,
        }
    }

    /// All that can come out; `None` if results must name their winners.
    pub const fn outcomes(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Die => Some(&["1", "2", "3", "4", "5", "6"]),
            Self::TwoWay => Some(&["first", "second"]),
            Self::Direct => None,
        }
    }

    /// Whether the game has the selection.
    pub(crate) fn has(self, selection: &Selection) -> bool {
        self.selections().is_none_or(|all| all.contains(&selection.as_str()))
    }

    fn table(self) -> Table {
        match self {
            Self::Die => DIE,
            Self::TwoWay => TWO_WAY,
            Self::Direct => &[],
        }
    }

    /// Whether `selection` wins under the game's own `outcome`; `None` if the game lacks either.
    fn wins(self, selection: &Selection, outcome: &str) -> Option<bool> {
        let known = self.outcomes()?.contains(&outcome);
        let (_, winning) = self.table().iter().find(|(name, _)| *name == selection.as_str())?;
        known.then(|| winning.contains(&outcome))
    }
}

impl fmt::Display for Game {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Game {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        Self::ALL
            .iter()
            .copied()
            .find(|game| game.name() == text)
            .ok_or_else(|| RuleError::UnknownGame { game: text.chars().take(64).collect() })
    }
}

/// What `outcome` makes of `selection`.
///
/// A selection that the outcome does not name has lost.
///
/// # Errors
/// [`RuleError::Ungraded`] if the outcome is a withdrawal or the void of the round, or if the game
/// has no such selection or outcome, or if the outcome has the selection both won and void. The
/// herald admits none of the latter, so that a bet which meets one is frozen, never guessed at.
///
/// # Source
/// `docs/rules/games.md`.
pub fn grade(game: Game, selection: &Selection, outcome: &Outcome) -> Result<Grade, RuleError> {
    let ungraded = |outcome: &str| RuleError::Ungraded {
        game: game.name(),
        selection: selection.clone(),
        outcome: outcome.to_owned(),
    };
    match outcome {
        Outcome::Game(outcome) => match game.wins(selection, outcome) {
            Some(true) => Ok(Grade::Won),
            Some(false) => Ok(Grade::Lost),
            None => Err(ungraded(outcome)),
        },
        Outcome::Named { won, void } if game.has(selection) => {
            match (won.contains(selection), void.contains(selection)) {
                (true, true) => Err(ungraded("won and void")),
                (true, false) => Ok(Grade::Won),
                (false, true) => Ok(Grade::Void),
                (false, false) => Ok(Grade::Lost),
            }
        }
        Outcome::Named { .. } => Err(ungraded("named")),
        Outcome::Withdrawn => Err(ungraded("withdrawn")),
        Outcome::Voided => Err(ungraded("voided")),
    }
}

#[cfg(test)]
mod tests;
