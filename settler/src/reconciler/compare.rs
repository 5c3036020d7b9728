//! What the bets of a round in one partition are owed, against the answers of partners (R19).

use super::Owed;
use crate::bets::Bets;
use crate::memory::{BetState, Known, Round};
use planted::Bug;
use runtime::{Fact, Millis};
use schemas::decisions::Decision;
use schemas::facts::{DELIVERED, REPEATED};
use schemas::frame;
use schemas::settlements::Settlement;
use schemas::wire::{DeliveryOutcome, DeliveryRecord, RepeatRecord};
use schemas::{BetId, PartnerId};
use settlement::RuleError;
use std::collections::{BTreeMap, BTreeSet};

/// What a comparison found.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// By partner; partners that are owed nothing are absent.
    pub(crate) owed: BTreeMap<PartnerId, Owed>,
    /// Without a final answer and not parked.
    pub(super) unanswered: Vec<Settlement>,
    /// The first bet that cannot be graded.
    pub(super) ungraded: Option<RuleError>,
}

/// Compares every decision of `round` with the delivery facts of its scope.
pub(crate) fn compare(round: &Round, facts: &[Fact]) -> Compared {
    compare_with(round, &Answers::of(facts))
}

/// Compares every decision of `round` with these answers.
pub(super) fn compare_with(round: &Round, answers: &Answers) -> Compared {
    let mut found = Compared::default();
    for state in round.bets.states() {
        let Some(decision) = decided(state) else { continue };
        let line = found.owed.entry(decision.bet.partner.clone()).or_default();
        if matches!(state, BetState::Frozen(_)) {
            line.frozen += 1;
            continue;
        }
        let settlement = match newest(round, decision) {
            Ok(Some(settlement)) => settlement,
            Ok(None) => continue,
            Err(error) => {
                line.frozen += 1;
                found.ungraded.get_or_insert(error);
                continue;
            }
        };
        if answers.is_final(&settlement) {
            continue;
        }
        line.settlements += 1;
        if answers.is_parked(&settlement) {
            line.parked += 1;
        } else {
            found.unanswered.push(settlement);
        }
    }
    found.owed.retain(|_, line| *line != Owed::default());
    found
}

fn decided(state: &BetState) -> Option<&Decision> {
    match state {
        BetState::Rejected(_) | BetState::Cancelled(_)
            if planted::active(Bug::ReconcilerAcceptedOnly) =>
        {
            None
        }
        BetState::Accepted(decision)
        | BetState::Rejected(decision)
        | BetState::Cancelled(decision)
        | BetState::Frozen(Known::Decision(decision)) => Some(decision),
        BetState::Pending { .. } | BetState::Frozen(Known::Nothing | Known::Intent(_)) => None,
    }
}

/// The newest settlement that a decision is owed, if any.
fn newest(round: &Round, decision: &Decision) -> Result<Option<Settlement>, RuleError> {
    if let Some(void) = settlement::final_void(decision) {
        return Ok(Some(void));
    }
    let Some(rules) = round.rules else { return Ok(None) };
    Ok(settlement::expected(rules.game, decision, &round.versions)?.pop())
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// The highest revision with a final answer.
    finals: BTreeMap<String, u32>,
    /// Every revision with answers, final or parked, how many, and whose they are.
    revisions: BTreeMap<String, (String, BTreeMap<u32, usize>)>,
    parked: BTreeSet<(String, u32)>,
    /// When each revision was last said again, ms.
    repeated: BTreeMap<(String, u32), Millis>,
}

impl Answers {
    pub(crate) fn of(facts: &[Fact]) -> Self {
        let mut answers = Self::default();
        for fact in facts.iter().filter(|fact| fact.key.kind == DELIVERED) {
            let Ok(record) = frame::decode::<DeliveryRecord>(&fact.body) else { continue };
            let revision = u32::try_from(record.revision).unwrap_or_default();
            if record.outcome != DeliveryOutcome::Unknown {
                let named = || (record.partner_id.clone(), BTreeMap::new());
                let of_bet = answers.revisions.entry(record.bet_id.clone()).or_insert_with(named);
                *of_bet.1.entry(revision).or_default() += 1;
            }
            match record.outcome {
                DeliveryOutcome::Applied | DeliveryOutcome::Superseded => {
                    let newest = answers.finals.entry(record.bet_id).or_default();
                    *newest = revision.max(*newest);
                }
                DeliveryOutcome::Parked => {
                    answers.parked.insert((record.bet_id, revision));
                }
                DeliveryOutcome::Unknown => {}
            }
        }
        for fact in facts.iter().filter(|fact| fact.key.kind == REPEATED) {
            let Ok(record) = frame::decode::<RepeatRecord>(&fact.body) else { continue };
            let revision = u32::try_from(record.revision).unwrap_or_default();
            let last = answers.repeated.entry((record.bet_id, revision)).or_insert(record.said_at);
            *last = record.said_at.max(*last);
        }
        answers
    }

    /// When this settlement was last said again, ms.
    pub(super) fn repeated_at(&self, settlement: &Settlement) -> Option<Millis> {
        self.repeated.get(&(settlement.bet.to_string(), settlement.revision)).copied()
    }

    /// A final answer closes its own revision and those below, never one above (R17).
    pub(crate) fn is_final(&self, settlement: &Settlement) -> bool {
        let newest = self.finals.get(settlement.bet.as_str());
        newest.is_some_and(|newest| settlement.revision <= *newest)
    }

    /// The highest revision with a final answer, 2 or above.
    pub(super) fn confirmed(&self, bet: &BetId) -> Option<u32> {
        self.finals.get(bet.as_str()).copied()
    }

    /// Every revision of the bet that has an answer, ordered.
    pub(super) fn revisions(&self, bet: &BetId) -> impl Iterator<Item = u32> {
        self.revisions.get(bet.as_str()).into_iter().flat_map(|(_, all)| all.keys().copied())
    }

    /// How often this revision was answered.
    pub(super) fn count(&self, settlement: &Settlement) -> usize {
        let of_bet = self.revisions.get(settlement.bet.as_str());
        of_bet.and_then(|(_, all)| all.get(&settlement.revision)).copied().unwrap_or(0)
    }

    /// Answers about bets that are not among `bets`: bet, partner, revision.
    pub(super) fn about_unknown(
        &self,
        bets: &Bets,
    ) -> impl Iterator<Item = (String, PartnerId, u32)> {
        let known = |bet: &str| bet.parse().is_ok_and(|bet: BetId| bets.contains(&bet));
        self.revisions.iter().filter(move |(bet, _)| !known(bet)).flat_map(
            |(bet, (partner, revisions))| {
                let partner = partner.parse::<PartnerId>().ok();
                let said = |revision: &u32| Some((bet.clone(), partner.clone()?, *revision));
                revisions.keys().filter_map(said).collect::<Vec<_>>()
            },
        )
    }

    pub(crate) fn is_parked(&self, settlement: &Settlement) -> bool {
        self.parked.contains(&(settlement.bet.to_string(), settlement.revision))
    }
}
