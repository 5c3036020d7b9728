//! Facts of a round that were damaged: its bets are not those that were tallied, so that nothing of it can be compared.

use super::{Answers, Reconciler, alarm, book};
use crate::memory::Round;
use runtime::machine::Effect;
use runtime::{Append, Batch, Fact, Millis};
use schemas::decisions::DecisionSaid;
use schemas::facts::{ACCEPTED, CANCELLED, REJECTED};
use schemas::wire::CaseRecord;
use schemas::{ContentHash, RoundId, outgoing};
use std::collections::BTreeSet;

/// The code of such a case.
const CODE: &str = "facts_damaged";
/// Bets named at most.
const NAMED_MAX: usize = 20;

/// What can be said of the damage.
pub(super) struct Damage {
    text: String,
    /// The first bet that is named.
    bet: Option<String>,
}

impl Damage {
    /// The bets that were answered as their decision does not explain, and those whose decision is not what its key says.
    /// `tallied` is how many bets were loaded, and how many there were when betting closed.
    pub(super) fn of(
        (loaded, tallied): (i64, i64),
        round: &Round,
        facts: &[Fact],
        answers: &Answers,
    ) -> Self {
        let books = book::books(round, answers);
        let unexplained = books.values().flat_map(|book| &book.unexplained);
        let lost: BTreeSet<&str> = unexplained.map(|(bet, _)| bet.as_str()).collect();
        let altered: BTreeSet<&str> = altered(facts).map(|fact| &*fact.key.subject).collect();
        let mut text = format!("{loaded} bets loaded, {tallied} tallied");
        for (bets, what) in [(&lost, "answered, and no decision says why"), (&altered, "altered")] {
            if bets.is_empty() {
                continue;
            }
            let named: Vec<&str> = bets.iter().copied().take(NAMED_MAX).collect();
            text += &format!("; {what}: {} ({} in all)", named.join(", "), bets.len());
        }
        let bet = lost.first().or(altered.first()).map(|bet| (*bet).to_owned());
        Self { text, bet }
    }

    /// Named by all it says: whoever finds the same again says the same case.
    fn case(self, round: &RoundId, partition: u32) -> CaseRecord {
        let named = [round.as_str(), &partition.to_string(), &self.text];
        CaseRecord {
            case_id: format!("case_{}", ContentHash::of(&named)),
            step: 1,
            code: CODE.to_owned(),
            partner_id: None,
            round_id: Some(round.to_string()),
            bet_id: self.bet,
            revision: None,
            text: format!(
                "the facts of round {round} in partition {partition} are not what they were: {}",
                self.text
            ),
        }
    }
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

impl Reconciler {
    /// Tells people what is damaged, and looks again later.
    pub(super) fn tell_damage(
        &mut self,
        now: Millis,
        partition: u32,
        round: &RoundId,
        damage: Damage,
    ) -> Vec<Effect<Self>> {
        let mut effects = self.look_later(now, partition, round, &damage.text);
        let case = damage.case(round, partition);
        if !self.damaged.insert(case.case_id.clone()) {
            return effects;
        }
        match outgoing::case(&case, self.options.counts) {
            Ok(record) => {
                let batch = Batch::of_records(vec![Append::from(record.into_parts())]);
                effects.push(Effect::Apply { token: self.token(), batch });
            }
            Err(error) => effects.push(alarm(format!("{} cannot be said: {error}", case.case_id))),
        }
        effects
    }
}
