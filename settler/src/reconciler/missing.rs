//! Which facts of a round were damaged, where its bets are not those that were tallied.

use super::{Answers, book};
use crate::memory::Round;
use runtime::Fact;
use schemas::decisions::DecisionSaid;
use schemas::facts::{ACCEPTED, CANCELLED, REJECTED};
use schemas::outgoing;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Bets named at most.
const NAMED_MAX: usize = 20;

/// Says which bets were answered as their decision does not explain, and whose decision is not what its key says; empty if
/// none.
pub(super) fn damaged(round: &Round, facts: &[Fact], answers: &Answers) -> String {
    let books = book::books(round, answers);
    let unexplained = books.values().flat_map(|book| &book.unexplained);
    let lost: BTreeSet<&str> = unexplained.map(|(bet, _)| bet.as_str()).collect();
    let altered: BTreeSet<&str> = altered(facts).map(|fact| fact.key.subject.as_str()).collect();
    let mut text = String::new();
    for (bets, what) in [(lost, "answered, and no decision says why"), (altered, "altered")] {
        if bets.is_empty() {
            continue;
        }
        let named: Vec<&str> = bets.iter().copied().take(NAMED_MAX).collect();
        // Writing into a text cannot fail.
        let _ = write!(text, "; {what}: {} ({} in all)", named.join(", "), bets.len());
    }
    text
}

/// The decisions that do not hash to what their key says.
fn altered(facts: &[Fact]) -> impl Iterator<Item = &Fact> {
    let decisions =
        facts.iter().filter(|it| [ACCEPTED, REJECTED, CANCELLED].contains(&it.key.kind));
    decisions.filter(|fact| match DecisionSaid::decode(&fact.body) {
        Ok(DecisionSaid::Decided(decision)) => {
            let row = outgoing::decision_fact(&decision, fact.key.scope.partition);
            row.is_ok_and(|row| row.hash != fact.key.hash)
        }
        Ok(DecisionSaid::CancelRefused(_)) | Err(_) => true,
    })
}
