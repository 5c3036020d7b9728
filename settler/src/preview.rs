//! What a correction would change, before anybody approves it; and how far it has come, afterwards.
//!
//! Reads a round from its facts, one partition after the other, as the reconciler does, and writes nothing.
//! What would be said is asked of [`settlement::settlement_at`], as the settler asks it: there is no second
//! formula. A partition that does not stand at the version to be replaced is refused, never guessed at.

mod money;

pub use money::{Mover, PartnerMoney, Units};

use crate::load::LoadError;
use crate::memory::{BetState, Known, Memory, Round};
use crate::reconciler::{Answers, Owed, compare};
use money::Sums;
use runtime::{EngineError, Fact, FactStore, Scope, Topic};
use schemas::catalogue::{BETS, SETTLEMENTS};
use schemas::rounds::Outcome;
use schemas::settlements::{Settlement, Target};
use schemas::{ContentHash, PartnerId, RoundId};
use serde::Serialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// Bets named one by one in a preview, at most: those with the largest differences.
pub const MOVERS_MAX: usize = 20;

/// A result version that somebody has in mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The round.
    pub round: RoundId,
    /// The version it would replace, 1 or above.
    pub replaces: u32,
    /// What it would say.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
}

/// Why nothing can be shown.
#[derive(Debug, Error)]
pub enum PreviewError {
    /// The store does not answer.
    #[error("facts of {round} in partition {partition} cannot be read")]
    Store {
        /// The round.
        round: RoundId,
        /// The partition of `bets.v1`.
        partition: u32,
        /// What the engine says.
        source: EngineError,
    },
    /// The partition's settler has not come to the version yet, or is past it; or its facts cannot be
    /// trusted now.
    #[error("{round} in partition {partition}: {why}")]
    Unsettled {
        /// The round.
        round: RoundId,
        /// The partition of `bets.v1`.
        partition: u32,
        /// What is amiss.
        why: String,
    },
}

/// Bets that go from one state to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// `held`, `lost`, `won` or `voided`.
    pub from: &'static str,
    /// The same words.
    pub to: &'static str,
    /// How many.
    pub bets: u64,
}

/// What a correction would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Bets that are in.
    pub bets: u64,
    /// Bets whose state would change.
    pub changed: u64,
    /// By state before and after.
    pub flips: Vec<Flip>,
    /// By partner and currency; those for whom nothing changes are absent.
    pub money: Vec<PartnerMoney>,
    /// The largest differences first, at most [`MOVERS_MAX`].
    pub movers: Vec<Mover>,
    /// Bets that would not move: frozen before, or frozen by this outcome.
    pub frozen: u64,
    /// What partners have not confirmed of what they were told so far. Not part of the hash.
    pub undelivered: BTreeMap<PartnerId, Owed>,
    #[serde(skip)]
    hash: ContentHash,
}

impl Preview {
    /// Names all that would change: round, version, outcome, reason, every settlement that would be said,
    /// and how many bets are frozen. What is undelivered is left out: it changes by the second and moves
    /// nobody's money.
    pub fn hash(&self) -> ContentHash {
        self.hash
    }
}

/// How far an approved correction has come with one partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Bets whose state the version changed.
    pub changed: u64,
    /// Those whose settlement the settler has said, or says now.
    pub settled: u64,
    /// Those whose settlement the partner has confirmed.
    pub confirmed: u64,
    /// Those whose settlement is parked.
    pub parked: u64,
    /// Those that are frozen and get no settlement.
    pub frozen: u64,
}

/// What of a round is in a partition, and what the version would say of it.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) bets: u64,
    pub(crate) frozen: u64,
    pub(crate) settlements: Vec<Settlement>,
    pub(crate) undelivered: BTreeMap<PartnerId, Owed>,
}

/// The preview of `correction`, from the facts of `lanes` partitions.
///
/// # Errors
/// [`PreviewError`].
pub async fn preview<S: FactStore>(
    store: &S,
    lanes: u32,
    correction: &Correction,
) -> Result<Preview, PreviewError> {
    let mut all = Gathered::default();
    for partition in 0..lanes {
        let (round, answers) = read(store, &correction.round, partition).await?;
        let found = gather(&round, &answers, correction).map_err(|why| {
            let round = correction.round.clone();
            PreviewError::Unsettled { round, partition, why }
        })?;
        all.bets += found.bets;
        all.frozen += found.frozen;
        all.settlements.extend(found.settlements);
        for (partner, owed) in found.undelivered {
            all.undelivered.entry(partner).or_default().add(owed);
        }
    }
    Ok(shown(correction, all))
}

/// How far `correction`, once it was admitted, has come with each partner, from the facts of `lanes`
/// partitions.
///
/// # Errors
/// [`PreviewError`].
pub async fn progress<S: FactStore>(
    store: &S,
    lanes: u32,
    correction: &Correction,
) -> Result<BTreeMap<PartnerId, Done>, PreviewError> {
    let mut done = BTreeMap::new();
    for partition in 0..lanes {
        let (bets, answers) = read(store, &correction.round, partition).await?;
        count(&bets, &answers, correction, &mut done);
    }
    Ok(done)
}

/// A round and the answers about it in one partition.
pub(crate) async fn read<S: FactStore>(
    store: &S,
    round: &RoundId,
    partition: u32,
) -> Result<(Round, Vec<Fact>), PreviewError> {
    let scan = |topic| {
        let scope = Scope { group: round.to_string(), topic: Topic(topic), partition };
        let failed = move |source| PreviewError::Store { round: round.clone(), partition, source };
        async move { store.scan(scope).await.map_err(failed) }
    };
    let unsettled = |why: String| PreviewError::Unsettled { round: round.clone(), partition, why };
    // Answers first: what follows them in time is then never missing, and confirmed is never above settled.
    let answers = scan(SETTLEMENTS).await?;
    let loaded = Memory::load(round, u64::MAX, &scan(BETS).await?)
        .map_err(|error: LoadError| unsettled(error.to_string()))?;
    if let Some((found, tallied)) = loaded.differs {
        return Err(unsettled(format!("{found} bets loaded, {tallied} tallied")));
    }
    Ok((loaded.round, answers))
}

/// What `correction` would say of the bets of one partition.
///
/// # Errors
/// In words, if the partition does not stand at the version to be replaced.
pub(crate) fn gather(
    round: &Round,
    answers: &[Fact],
    correction: &Correction,
) -> Result<Gathered, String> {
    let Some(rules) = round.rules else { return Err("its `opened` is not there yet".to_owned()) };
    let stands = round.versions.len();
    if usize::try_from(correction.replaces).ok() != Some(stands) {
        return Err(format!("version {stands} stands there, not {}", correction.replaces));
    }
    let outcomes = round.versions.iter().map(|(outcome, _)| outcome.clone());
    let outcomes: Vec<Outcome> = outcomes.chain([correction.outcome.clone()]).collect();
    let version = correction.replaces.saturating_add(1);
    let mut found = Gathered { undelivered: compare(round, answers).owed, ..Gathered::default() };
    for state in round.bets.states() {
        let decision = match state {
            BetState::Accepted(decision) => decision,
            BetState::Frozen(_) => {
                found.frozen += 1;
                continue;
            }
            BetState::Pending { .. } | BetState::Rejected(_) | BetState::Cancelled(_) => continue,
        };
        found.bets += 1;
        match settlement::settlement_at(rules.game, &decision.bet, &outcomes, version, 0) {
            // A frozen round grades nothing.
            _ if round.frozen.is_some() => found.frozen += 1,
            Ok(Some(settlement)) => found.settlements.push(settlement),
            Ok(None) => {}
            Err(_) => found.frozen += 1,
        }
    }
    Ok(found)
}

/// The preview of all partitions together.
pub(crate) fn shown(correction: &Correction, mut all: Gathered) -> Preview {
    all.settlements.sort_by(|a, b| a.bet.cmp(&b.bet));
    let mut flips: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut sums = Sums::default();
    for settlement in &all.settlements {
        let words = (word(settlement.previous), word(settlement.target));
        *flips.entry(words).or_default() += 1;
        sums.add(settlement);
    }
    let (money, movers) = sums.finish(MOVERS_MAX);
    let flips = flips.into_iter().map(|((from, to), bets)| Flip { from, to, bets });
    Preview {
        bets: all.bets,
        changed: u64::try_from(all.settlements.len()).unwrap_or(u64::MAX),
        flips: flips.collect(),
        money,
        movers,
        frozen: all.frozen,
        hash: hash(correction, &all),
        undelivered: all.undelivered,
    }
}

fn word(target: Target) -> &'static str {
    match target {
        Target::Held => "held",
        Target::Settled(0) => "lost",
        Target::Settled(_) => "won",
        Target::Voided => "voided",
    }
}

fn hash(correction: &Correction, all: &Gathered) -> ContentHash {
    let Correction { round, replaces, outcome, reason } = correction;
    let mut parts = vec![round.to_string(), replaces.to_string(), reason.clone()];
    match outcome {
        Outcome::Game(outcome) => parts.extend(["game".to_owned(), outcome.clone()]),
        Outcome::Named { won, void } => {
            for list in [won, void] {
                parts.push("list".to_owned());
                parts.extend(list.iter().map(ToString::to_string));
            }
        }
        Outcome::Withdrawn => parts.push("withdrawn".to_owned()),
        Outcome::Voided => parts.push("voided".to_owned()),
    }
    parts.push(format!("frozen {}", all.frozen));
    for settlement in &all.settlements {
        let Settlement { previous, target, .. } = settlement;
        parts.extend([settlement.id(), format!("{previous:?}"), format!("{target:?}")]);
    }
    ContentHash::of(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Adds what one partition has of the version behind `correction.replaces`.
pub(crate) fn count(
    round: &Round,
    answers: &[Fact],
    correction: &Correction,
    done: &mut BTreeMap<PartnerId, Done>,
) {
    let Some(rules) = round.rules else { return };
    let before = usize::try_from(correction.replaces).unwrap_or(usize::MAX);
    let is_said = before < round.versions.len();
    let outcomes = round.versions.iter().take(before).map(|(outcome, _)| outcome.clone());
    let outcomes: Vec<Outcome> = outcomes.chain([correction.outcome.clone()]).collect();
    let version = correction.replaces.saturating_add(1);
    let answers = Answers::of(answers);
    for state in round.bets.states() {
        let (decision, is_frozen) = match state {
            BetState::Accepted(decision) => (decision, round.frozen.is_some()),
            BetState::Frozen(Known::Decision(decision)) => (decision, true),
            BetState::Frozen(_)
            | BetState::Pending { .. }
            | BetState::Rejected(_)
            | BetState::Cancelled(_) => continue,
        };
        let said = settlement::settlement_at(rules.game, &decision.bet, &outcomes, version, 0);
        let Ok(Some(settlement)) = said else { continue };
        let line = done.entry(settlement.partner.clone()).or_default();
        line.changed += 1;
        line.frozen += u64::from(is_frozen);
        line.settled += u64::from(is_said && !is_frozen);
        line.confirmed += u64::from(answers.is_final(&settlement));
        line.parked += u64::from(answers.is_parked(&settlement));
    }
}
