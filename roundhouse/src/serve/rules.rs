//! The rules of settlement in the form the herald takes: `ingest` does not know the games.

use ingest::herald::RoundRules;
use schemas::Selection;
use schemas::rounds::{Opened, Outcome};
use settlement::Game;

/// What may be opened, and how it may end.
pub(super) const RULES: RoundRules = RoundRules { check_opened, check_outcome };

fn check_opened(opened: &Opened, said_at: i64) -> Result<(), &'static str> {
    settlement::check_opened(opened, said_at).map_err(|error| error.code())
}

fn check_outcome(
    game: &str,
    selections: &[Selection],
    outcome: &Outcome,
) -> Result<(), &'static str> {
    let game: Game = game.parse().map_err(|error: settlement::RuleError| error.code())?;
    settlement::check_outcome(game, selections, outcome).map_err(|error| error.code())
}
