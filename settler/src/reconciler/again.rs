//! What a partner was told is told again because it asks (contract 3).
//!
//! Reads rounds from their facts, as the reconciler does, and says the newest settlement of each bet again in
//! `settlements.v1`: the same revision and content, so that whoever still has it moves nothing. Only what the partner
//! has confirmed: the rest comes by itself, and what is parked is for people. If one of the rounds cannot be trusted
//! now, or names a bet that is not the partner's, nothing at all is said.

use super::book::due;
use super::compare::Answers;
use crate::memory::Round;
use crate::preview::{PreviewError, read};
use runtime::{Append, Engine, EngineError};
use schemas::facts::HEADER_ASKED;
use schemas::frame::FrameError;
use schemas::outgoing::{self, Partitions, SettlementTopic};
use schemas::settlements::Settlement;
use schemas::wire::CaseRecord;
use schemas::{BetId, ContentHash, PartnerId, RoundId};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The code of the case that says who asked, and for how much.
pub(crate) const ASKED: &str = "replay_asked";
/// Settlements appended at once, at most.
const BATCH_MAX: usize = 500;
/// Answers to a revision behind which it is not said again: each is a fact that stays, and that others read with its
/// round.
const ANSWERS_MAX: usize = 10;

/// What a partner asks to be told again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedAgain {
    /// The partner; nobody else's bets are said.
    pub partner: PartnerId,
    /// Names the request.
    pub request: String,
    /// Rounds, with the bets of each; none named: all of the partner's.
    pub rounds: BTreeMap<RoundId, BTreeSet<BetId>>,
}

/// What is said again, and what is not, in bets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaidAgain {
    /// Their newest settlement.
    pub settlements: Vec<Settlement>,
    /// Nothing was said of them but the request for the stake.
    pub held: u64,
    /// Their newest settlement is not confirmed, and comes by itself.
    pub owed: u64,
    /// It is parked.
    pub parked: u64,
    /// They are frozen.
    pub frozen: u64,
    /// It was answered as often as it may be.
    pub told_often: u64,
}

/// Why nothing, or not all, is said again.
#[derive(Debug, Error)]
pub enum AgainError {
    /// A bet that the partner does not have.
    #[error("no bet {0} of {1} is known")]
    Bet(BetId, PartnerId),
    /// A round without bets of the partner.
    #[error("no round {0} with bets of {1} is known")]
    Round(RoundId, PartnerId),
    /// A round cannot be read, or not be trusted now.
    #[error(transparent)]
    Read(#[from] PreviewError),
    /// Something does not survive its own encoding.
    #[error("what is said again cannot be encoded")]
    Encode(#[from] FrameError),
    /// The log does not take it; some may have been said.
    #[error("what is said again cannot be appended")]
    Append(#[from] EngineError),
}

/// Says again what was asked for; before, a case names who asked. Doing it any number of times moves no money.
///
/// # Errors
/// [`AgainError`]. Behind a failure half-way the same request is right.
pub async fn say_again<E: Engine>(
    engine: &E,
    counts: Partitions,
    asked: &AskedAgain,
) -> Result<SaidAgain, AgainError> {
    let partition = counts.of_partner(&asked.partner);
    let mut all = SaidAgain::default();
    for (round, bets) in &asked.rounds {
        let (known, answers) = read(engine, round, partition).await?;
        let found = of_round(&known, &Answers::of(&answers), &asked.partner, bets);
        let found = found.map_err(|bet| AgainError::Bet(bet, asked.partner.clone()))?;
        if found == SaidAgain::default() {
            return Err(AgainError::Round(round.clone(), asked.partner.clone()));
        }
        all.settlements.extend(found.settlements);
        all.held += found.held;
        all.owed += found.owed;
        all.parked += found.parked;
        all.frozen += found.frozen;
        all.told_often += found.told_often;
    }
    if all.settlements.is_empty() {
        return Ok(all);
    }
    let case = outgoing::case(&case(asked, &all.settlements), counts)?;
    engine.append(vec![Append::from(case.into_parts())]).await?;
    for batch in all.settlements.chunks(BATCH_MAX) {
        let records = batch.iter().map(|one| record(one, &asked.request, partition));
        engine.append(records.collect::<Result<_, _>>()?).await?;
    }
    Ok(all)
}

/// What there is of these bets of the partner, or of all if none is named.
///
/// # Errors
/// The first of them that is not one of the partner's.
pub(crate) fn of_round(
    round: &Round,
    answers: &Answers,
    partner: &PartnerId,
    bets: &BTreeSet<BetId>,
) -> Result<SaidAgain, BetId> {
    let mut found = SaidAgain::default();
    let mut unknown = bets.clone();
    for (id, state) in round.bets.iter() {
        let Some((bet, decision)) = state.known() else { continue };
        if bet.partner != *partner || !(bets.is_empty() || unknown.remove(id)) {
            continue;
        }
        match decision.map(|decision| due(round, decision)) {
            Some(Ok(due)) => match due.settlements.last() {
                Some(newest) if answers.is_final(newest) => {
                    if ANSWERS_MAX <= answers.count(newest) {
                        found.told_often += 1;
                    } else {
                        found.settlements.push(newest.clone());
                    }
                }
                Some(newest) if answers.is_parked(newest) => found.parked += 1,
                Some(_) => found.owed += 1,
                None => found.held += 1,
            },
            Some(Err(_)) | None => found.frozen += 1,
        }
    }
    unknown.into_iter().next().map_or(Ok(found), Err)
}

fn record(settlement: &Settlement, request: &str, partition: u32) -> Result<Append, FrameError> {
    let mut record = outgoing::settlement(settlement, SettlementTopic::Settlements, partition)?;
    record.headers.push((HEADER_ASKED, request.to_owned()));
    Ok(record.into_parts().into())
}

/// Named by all it says, so that the same request for the same settlements is the same case.
fn case(asked: &AskedAgain, settlements: &[Settlement]) -> CaseRecord {
    let ids: Vec<String> = settlements.iter().map(Settlement::id).collect();
    let named = [asked.partner.as_str(), &asked.request];
    let named = named.into_iter().chain(ids.iter().map(String::as_str));
    let name = ContentHash::of(&named.collect::<Vec<_>>());
    let (partner, request, count) = (&asked.partner, &asked.request, ids.len());
    CaseRecord {
        case_id: format!("case_{name}"),
        step: 1,
        code: ASKED.to_owned(),
        partner_id: Some(partner.to_string()),
        round_id: None,
        bet_id: None,
        revision: None,
        text: format!("{partner} asked to be told {count} settlements again ({request})"),
    }
}
