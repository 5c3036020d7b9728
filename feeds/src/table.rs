//! A die table: opens a round of a die every 15 to 20 seconds, and draws behind `sealed`.
//!
//! **The proof.** Before a round is opened the table picks a seed, and the round's id says its hash, so
//! every bet on the round names it too. The die falls where the seed, the round's id and the time at which
//! the herald said `sealed` fall together ([`Seed::draw`]). So the table cannot choose another seed once it
//! has seen a bet, nobody can know the outcome while bets are taken, the table's keeper included, and
//! anyone can reckon it again once the seed is shown: it stands in the reason of the result and in the
//! table's list of proofs. What this does not show: that whoever runs both the table and the herald did not
//! delay a seal by milliseconds until the die fell well.
//!
//! A table that dies goes on: its seeds follow from a secret kept in a file, and the numbers of the rounds
//! it has not finished are kept beside it.

mod kept;
mod proof;
mod run;
#[cfg(test)]
mod tests;

pub use kept::{Keeper, KeptError};
pub use proof::{Drawn, ProofError, Seed};
pub use run::{TableError, TableOptions, run};

use crate::api::RoundSeen;
use kept::{Kept, Secret};
use runtime::Millis;
use schemas::{Odds, RoundId};
use serde_json::{Value, json};

/// The sides of the die.
const NUMBERS: [&str; 6] = ["1", "2", "3", "4", "5", "6"];
/// Selections that half of the numbers win.
const HALVES: [&str; 4] = ["odd", "even", "low", "high"];

/// The game that a table plays.
#[derive(Clone, Copy, Debug)]
pub struct TablePlan {
    /// Ms between the openings of two rounds.
    pub every_ms: i64,
    /// Ms for which a round takes bets.
    pub betting_ms: i64,
    /// Odds of a number.
    pub number_odds: Odds,
    /// Odds of `odd`, `even`, `low` and `high`.
    pub half_odds: Odds,
}

/// What is to be done about a round that the table opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It never came to be: open it, with the same call as before.
    Open,
    /// Betting goes on, or the cut-off is not everywhere.
    Wait,
    /// The die has fallen.
    Draw(Drawn),
    /// Its result stands as drawn.
    Drawn(Drawn),
    /// Nothing more: somebody took it out of the table's hands.
    Over,
}

/// The table's mind: which rounds there are, and what is next. No IO.
#[derive(Debug)]
pub struct Table {
    plan: TablePlan,
    secret: Secret,
    kept: Kept,
    opened_at: Option<Millis>,
}

impl Table {
    /// The number of a round to be opened now, if it is time; the caller makes it durable with
    /// [`Keeper::save`] before it opens it.
    fn due(&mut self, now: Millis) -> Option<u64> {
        let elapsed = self.opened_at.map(|at| now.saturating_sub(at));
        // A clock that jumps back must not stop the table.
        if elapsed.is_some_and(|elapsed| (0..self.plan.every_ms).contains(&elapsed)) {
            return None;
        }
        self.opened_at = Some(now);
        Some(self.kept.take())
    }

    fn seed(&self, number: u64) -> Seed {
        self.secret.seed(number)
    }

    /// The body that opens round `number`: the same each time.
    fn opening(&self, number: u64) -> Value {
        let TablePlan { betting_ms, number_odds, half_odds, .. } = self.plan;
        let offer = |odds: Odds| move |id: &&str| json!({"id": id, "odds": odds});
        let selections: Vec<Value> = NUMBERS
            .iter()
            .map(offer(number_odds))
            .chain(HALVES.iter().map(offer(half_odds)))
            .collect();
        let round = self.seed(number).commitment();
        json!({
            "round_id": round,
            "request_id": format!("open-{round}"),
            "game": "die",
            "betting_ms": betting_ms,
            "selections": selections,
        })
    }

    /// What is next about round `number`, which the API shows as `seen`.
    fn next(&self, number: u64, seen: Option<&RoundSeen>) -> Next {
        let Some(seen) = seen else { return Next::Open };
        let drawn = seen.sealed_at.map(|at| self.seed(number).draw(at));
        let outcome: Option<u8> = seen.outcome.as_ref().and_then(|outcome| outcome.parse().ok());
        match (seen.status.as_str(), seen.version, drawn) {
            ("sealed", 0, Some(drawn)) => Next::Draw(drawn),
            ("sealed", 0, None) | ("betting" | "closing" | "closed", ..) => Next::Wait,
            ("resulted", _, Some(drawn)) if outcome == Some(drawn.outcome) => Next::Drawn(drawn),
            _ => Next::Over,
        }
    }

    fn over(&mut self, number: u64) {
        self.kept.open.remove(&number);
    }
}

/// The body that says the result of a drawn round.
fn result(drawn: &Drawn) -> Value {
    json!({
        "replaces": 0,
        "outcome": drawn.outcome.to_string(),
        "reason": drawn.reason(),
        "request_id": format!("draw-{}", drawn.round_id),
    })
}

/// The path at which `round` is spoken of.
fn path(round: &RoundId, what: &str) -> String {
    format!("/v1/rounds/{round}/{what}")
}
