//! What a correction would change, and what partners are told again, for the API: services meet here, not in each
//! other.

use super::Opened;
use ingest::corrections::{Answering, Correction, Corrections, NotShown, Shown};
use ingest::replays::{NotReplayed, Replay, Replayed, Replaying, Replays};
use settler::{AgainError, AskedAgain, PreviewError};
use std::error::Error;

/// Reads rounds from the facts in an engine.
pub(super) struct Previews<E> {
    engine: E,
}

impl<E> Previews<E> {
    pub(super) fn new(engine: E) -> Self {
        Self { engine }
    }
}

impl<E: Opened> Corrections for Previews<E> {
    fn preview(&self, correction: Correction) -> Answering<'_, Shown> {
        Box::pin(async move {
            let correction = of(correction);
            let shown = settler::preview(&self.engine, E::PARTITIONS.lanes, &correction).await;
            let shown = shown.map_err(|error: PreviewError| not_shown(&error))?;
            Ok(Shown { hash: shown.hash(), body: json(&shown)? })
        })
    }

    fn progress(&self, correction: Correction) -> Answering<'_, serde_json::Value> {
        Box::pin(async move {
            let correction = of(correction);
            let done = settler::progress(&self.engine, E::PARTITIONS.lanes, &correction).await;
            json(&done.map_err(|error| not_shown(&error))?)
        })
    }
}

impl<E: Opened> Replays for Previews<E> {
    fn say_again(&self, replay: Replay) -> Replaying<'_> {
        Box::pin(async move {
            let Replay { partner, request, rounds } = replay;
            let asked = AskedAgain { partner, request, rounds };
            let said = settler::say_again(&self.engine, E::PARTITIONS, &asked).await;
            let said = said.map_err(|error| match error {
                AgainError::Bet(bet, _) => NotReplayed::Bet(bet),
                AgainError::Round(round, _) => NotReplayed::Round(round),
                AgainError::Read(_) | AgainError::Encode(_) | AgainError::Append(_) => {
                    NotReplayed::Later(not_shown(&error))
                }
            })?;
            Ok(Replayed {
                told_again: u64::try_from(said.settlements.len()).unwrap_or(u64::MAX),
                held: said.held,
                owed: said.owed,
                parked: said.parked,
                frozen: said.frozen,
                told_often: said.told_often,
            })
        })
    }
}

fn of(correction: Correction) -> settler::Correction {
    let Correction { round, replaces, outcome, reason } = correction;
    settler::Correction { round, replaces, outcome, reason }
}

fn json(shown: &impl serde::Serialize) -> Result<serde_json::Value, NotShown> {
    serde_json::to_value(shown).map_err(|error| NotShown(error.to_string()))
}

fn not_shown(error: &dyn Error) -> NotShown {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    NotShown(format!("{error}{source}"))
}
