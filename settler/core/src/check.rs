//! What is checked before a round, a change of it, or an outcome is admitted.

use crate::{Game, RuleError, knows};
use schemas::Selection;
use schemas::rounds::{Offer, Opened, Outcome};

/// The most selections a round may have: its markers are copied to every partition.
pub const SELECTIONS_MAX: usize = 64;
/// The longest grace between `closing` and `closed`, in ms; a longer one only delays results.
pub const GRACE_MS_MAX: i64 = 60_000;
/// The longest time between `opened` and the deadline, in ms: 30 days, below the 35 for which the
/// log is kept, so that a round never outlives its own records.
pub const OPEN_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1000;

/// Checks an `opened` before it is admitted. `said_at` is the record's time, ms since the epoch.
///
/// The selections are the game's, or some of them: 1 to 64, each once. The grace is 0 to 60,000 ms.
/// The deadline is behind `said_at` by at most 30 days.
///
/// # Errors
/// [`RuleError::UnknownRules`] if the record comes from a newer build, which stops; any other
/// error refuses the round.
///
/// # Source
/// `docs/rules/games.md`, `docs/rules/cut-off.md`.
pub fn check_opened(opened: &Opened, said_at: i64) -> Result<(), RuleError> {
    let rules_version = opened.rules_version;
    if !knows(rules_version) {
        return Err(RuleError::UnknownRules { rules_version });
    }
    let game: Game = opened.game.parse()?;
    if opened.offers.is_empty() {
        return Err(RuleError::NoSelections);
    }
    if SELECTIONS_MAX < opened.offers.len() {
        return Err(RuleError::TooManySelections { count: opened.offers.len() });
    }
    check_unique(opened.offers.iter().map(|offer| &offer.selection))?;
    for offer in &opened.offers {
        if !game.has(&offer.selection) {
            let selection = offer.selection.clone();
            return Err(RuleError::ForeignSelection { game: game.name(), selection });
        }
    }
    if !(0..=GRACE_MS_MAX).contains(&opened.grace_ms) {
        return Err(RuleError::Grace { grace_ms: opened.grace_ms });
    }
    check_deadline(opened.closes_at, said_at)
}

/// Checks an `amended` before it is admitted, for a round that offers `selections` and was opened
/// at `opened_at`, ms since the epoch.
///
/// New odds are for selections of the round, each once; a new deadline is behind `opened_at` by at
/// most 30 days.
///
/// # Errors
/// [`RuleError::NotOffered`], [`RuleError::RepeatedSelection`] or [`RuleError::Deadline`]; all refuse.
pub fn check_amended(
    selections: &[Selection],
    offers: &[Offer],
    closes_at: Option<i64>,
    opened_at: i64,
) -> Result<(), RuleError> {
    check_unique(offers.iter().map(|offer| &offer.selection))?;
    check_offered(selections, offers.iter().map(|offer| &offer.selection))?;
    closes_at.map_or(Ok(()), |closes_at| check_deadline(closes_at, opened_at))
}

/// Checks an outcome before it is admitted, for a round that offers `selections`.
///
/// An outcome of the game must be one that it has; winners and void selections must be the
/// round's, each named once. Naming none is allowed: then every selection has lost.
///
/// # Errors
/// [`RuleError::UnknownOutcome`], [`RuleError::WinnersUnnamed`], [`RuleError::NotOffered`],
/// [`RuleError::RepeatedSelection`] or [`RuleError::WonAndVoid`]; all refuse.
///
/// # Source
/// `docs/rules/games.md`.
pub fn check_outcome(
    game: Game,
    selections: &[Selection],
    outcome: &Outcome,
) -> Result<(), RuleError> {
    match outcome {
        Outcome::Game(outcome) => check_of_game(game, outcome),
        Outcome::Named { won, void } => {
            check_offered(selections, won.iter().chain(void))?;
            check_unique(won)?;
            check_unique(void)?;
            match won.iter().find(|selection| void.contains(selection)) {
                Some(selection) => Err(RuleError::WonAndVoid { selection: selection.clone() }),
                None => Ok(()),
            }
        }
        Outcome::Withdrawn | Outcome::Voided => Ok(()),
    }
}

fn check_of_game(game: Game, outcome: &str) -> Result<(), RuleError> {
    let told = || outcome.chars().take(64).collect();
    match game.outcomes() {
        None => Err(RuleError::WinnersUnnamed { game: game.name(), outcome: told() }),
        Some(all) if all.contains(&outcome) => Ok(()),
        Some(_) => Err(RuleError::UnknownOutcome { game: game.name(), outcome: told() }),
    }
}

fn check_offered<'a>(
    offered: &[Selection],
    named: impl IntoIterator<Item = &'a Selection>,
) -> Result<(), RuleError> {
    match named.into_iter().find(|selection| !offered.contains(selection)) {
        Some(selection) => Err(RuleError::NotOffered { selection: selection.clone() }),
        None => Ok(()),
    }
}

fn check_unique<'a>(selections: impl IntoIterator<Item = &'a Selection>) -> Result<(), RuleError> {
    let mut seen = std::collections::BTreeSet::new();
    match selections.into_iter().find(|selection| !seen.insert(*selection)) {
        Some(selection) => Err(RuleError::RepeatedSelection { selection: selection.clone() }),
        None => Ok(()),
    }
}

fn check_deadline(closes_at: i64, opened_at: i64) -> Result<(), RuleError> {
    match closes_at.checked_sub(opened_at) {
        Some(1..=OPEN_MS_MAX) => Ok(()),
        Some(_) | None => Err(RuleError::Deadline { closes_at, opened_at }),
    }
}

#[cfg(test)]
mod tests;
