//! Translates records of `bets` into the oracle's plain words.

use crate::oracle;
use schemas::bets::{BetEvent, BetSaid, HoldAnswer, MarkerBody};
use schemas::rounds::Outcome;

/// What wins under each number of a die; written here a second time on purpose.
fn die(number: &str) -> Vec<String> {
    let others: &[&str] = match number {
        "1" | "3" => &["odd", "low"],
        "2" => &["even", "low"],
        "4" | "6" => &["even", "high"],
        "5" => &["odd", "high"],
        _ => &[],
    };
    std::iter::once(number).chain(others.iter().copied()).map(str::to_owned).collect()
}

/// The event at offset `at`, in plain words; `None` for what the oracle does not judge.
pub fn plain(at: u64, event: &BetEvent) -> Option<oracle::Event> {
    let round = event.round.as_ref().map(ToString::to_string).unwrap_or_default();
    let (bet, said) = match &event.said {
        BetSaid::Intent(intent) => {
            let bet = &intent.bet;
            let said = oracle::Said::Intent(
                bet.content_hash().to_string(),
                bet.stake.units,
                bet.odds.hundredths(),
                bet.selection.to_string(),
            );
            (bet.id.to_string(), said)
        }
        BetSaid::Answer { bet, content, answer, .. } => {
            let hash = content.to_string();
            let said = match answer {
                HoldAnswer::Approved => oracle::Said::Approved(hash),
                HoldAnswer::Declined(_) => oracle::Said::Declined(hash),
            };
            (bet.to_string(), said)
        }
        BetSaid::Cancel { bet, .. } => (bet.to_string(), oracle::Said::Cancel),
        BetSaid::Tick => (String::new(), oracle::Said::Tick),
        BetSaid::Marker(marker) => (
            String::new(),
            match &marker.body {
                MarkerBody::Opened { .. } => oracle::Said::Opened,
                MarkerBody::Closed => oracle::Said::Closed,
                MarkerBody::Version { version, outcome } => {
                    oracle::Said::Version(*version, plain_outcome(outcome))
                }
            },
        ),
        BetSaid::Thaw { .. } => return None,
    };
    Some(oracle::Event { at, round, bet, said })
}

pub(super) fn plain_outcome(outcome: &Outcome) -> oracle::Outcome {
    let text = |list: &[schemas::Selection]| list.iter().map(ToString::to_string).collect();
    match outcome {
        Outcome::Game(number) if number == "first" || number == "second" => {
            oracle::Outcome::Named(vec![number.clone()], Vec::new())
        }
        Outcome::Game(number) => oracle::Outcome::Named(die(number), Vec::new()),
        Outcome::Named { won, void } => oracle::Outcome::Named(text(won), text(void)),
        Outcome::Withdrawn => oracle::Outcome::Withdrawn,
        Outcome::Voided => oracle::Outcome::Voided,
    }
}
