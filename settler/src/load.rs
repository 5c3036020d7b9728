//! A round's memory from its facts (R2, R5).

use crate::memory::{BetState, Known, Memory, Round, Rules};
use planted::Bug;
use runtime::Fact;
use schemas::bets::{BetEvent, BetSaid, MarkerBody, Unreadable};
use schemas::decisions::{Decision, DecisionSaid};
use schemas::facts;
use schemas::frame::{self, FrameError};
use schemas::wire::{FreezeRecord, TallyRecord};
use schemas::{BetId, RoundId};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Why facts cannot be turned into memory.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// A fact's body cannot be read.
    #[error("a fact of kind {kind} at {at} cannot be read")]
    Fact { kind: &'static str, at: u64, source: Unreadable },
    /// The round was opened for a game or under rules that this build lacks (R6).
    #[error("game `{game}` or rules version {rules_version} is not known to this build")]
    UnknownRules { game: String, rules_version: u32 },
}

impl From<(&Fact, FrameError)> for LoadError {
    fn from((fact, error): (&Fact, FrameError)) -> Self {
        Self::Fact { kind: fact.key.kind, at: fact.key.at, source: Unreadable::Frame(error) }
    }
}

/// What was found out while loading.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) round: Round,
    /// Bets of which one fact stands with two contents (R5); they are to be frozen.
    pub(crate) contradicted: Vec<(BetId, Decision)>,
    /// Bets loaded and bets tallied at `closed`, if those are not the same bets (R5).
    pub(crate) differs: Option<(i64, i64)>,
}

impl Memory {
    /// The state of `id` below offset `below`: the facts whose `at` is lower (R2). Those at or above will
    /// be computed again, and published again.
    ///
    /// One kind of fact above counts all the same: what ended an intent that stands below. Its intent will
    /// not be read again, so it cannot be computed again; and it need not be, since an offset behind an
    /// intent is stored only when all that followed from its decision is durable (R1).
    pub(crate) fn load(id: &RoundId, below: u64, facts: &[Fact]) -> Result<Loaded, LoadError> {
        let mut loading = Loading::default();
        for fact in facts {
            let counts = fact.key.at < below
                || planted::active(Bug::FactMeansDone)
                || ends_intent_below(fact, below)?;
            if counts {
                loading.take(fact)?;
            }
        }
        loading.finish(id)
    }
}

#[derive(Debug, Default)]
struct Loading {
    round: Round,
    markers: BTreeMap<u32, (u64, BetEvent)>,
    decisions: BTreeMap<BetId, Vec<(u64, Decision)>>,
    freezes: BTreeMap<Option<BetId>, (u64, FreezeRecord)>,
    unreadable: BTreeSet<Option<BetId>>,
    newest_marker_at: Option<u64>,
}

impl Loading {
    fn take(&mut self, fact: &Fact) -> Result<(), LoadError> {
        match fact.key.kind {
            facts::ACCEPTED if planted::active(Bug::AcceptedForgotten) => {}
            facts::REJECTED if planted::active(Bug::RejectedForgotten) => {}
            facts::CANCELLED if planted::active(Bug::CancelledForgotten) => {}
            facts::MARKER if planted::active(Bug::MarkersForgotten) => {}
            facts::ACCEPTED | facts::REJECTED | facts::CANCELLED => {
                let said = DecisionSaid::decode(&fact.body).map_err(|e| bad(fact, e))?;
                if let DecisionSaid::Decided(decision) = said {
                    let id = decision.bet.id.clone();
                    self.decisions.entry(id).or_default().push((fact.key.at, decision));
                }
            }
            facts::MARKER => {
                let event = BetEvent::decode(&fact.body).map_err(|e| bad(fact, e))?;
                if let BetSaid::Marker(marker) = &event.said {
                    self.markers.entry(marker.number).or_insert((fact.key.at, event));
                }
            }
            facts::TALLY => {
                self.round.tally = Some(
                    frame::decode::<TallyRecord>(&fact.body)
                        .map_err(|error| LoadError::from((fact, error)))?,
                );
            }
            facts::FREEZE => {
                let freeze = frame::decode::<FreezeRecord>(&fact.body)
                    .map_err(|error| LoadError::from((fact, error)))?;
                let bet = subject(fact);
                let newest = self.freezes.get(&bet).is_none_or(|(at, _)| *at <= fact.key.at);
                if newest {
                    self.freezes.insert(bet, (fact.key.at, freeze));
                }
            }
            facts::UNREADABLE => {
                self.unreadable.insert(subject(fact));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self, id: &RoundId) -> Result<Loaded, LoadError> {
        for (number, (at, event)) in std::mem::take(&mut self.markers) {
            if number == self.round.number + 1
                && let BetSaid::Marker(marker) = event.said
            {
                self.round.take_marker(number, at, event.said_at, marker.body)?;
                self.newest_marker_at = Some(at);
            }
        }
        let mut contradicted = Vec::new();
        for (bet, decisions) in std::mem::take(&mut self.decisions) {
            match one_story(&decisions) {
                Ok(state) => {
                    self.round.bets.insert(bet, state);
                }
                Err(decision) => {
                    let known = Known::Decision(*decision.clone());
                    self.round.bets.insert(bet.clone(), BetState::Frozen(known));
                    contradicted.push((bet, *decision));
                }
            }
        }
        self.freeze();
        let differs =
            if contradicted.is_empty() { self.round.differs_from_tally(id) } else { None };
        Ok(Loaded { round: self.round, contradicted, differs })
    }

    /// Freezes stand until a thaw; an unreadable record freezes what its headers named (R23).
    fn freeze(&mut self) {
        for bet in std::mem::take(&mut self.unreadable) {
            self.freezes.entry(bet.clone()).or_insert_with(|| {
                let record = FreezeRecord {
                    bet_id: bet.as_ref().map(ToString::to_string),
                    frozen: true,
                    code: "unreadable".to_owned(),
                    ..FreezeRecord::default()
                };
                (0, record)
            });
        }
        for (bet, (at, freeze)) in std::mem::take(&mut self.freezes) {
            match (bet, freeze.frozen) {
                (None, true) => {
                    let newest = self.newest_marker_at.is_none_or(|marker| marker < at);
                    if newest && matches!(freeze.code.as_str(), "unreadable" | "marker_gap") {
                        self.round.seen = self.round.number.saturating_add(1);
                    }
                    self.round.frozen = Some(freeze.code);
                }
                (Some(bet), true) => self.round.freeze_bet(bet, &freeze.known),
                (None | Some(_), false) => {}
            }
        }
    }
}

/// Whether the fact ended an intent that stands below `below`.
fn ends_intent_below(fact: &Fact, below: u64) -> Result<bool, LoadError> {
    let intent_at = match fact.key.kind {
        facts::ACCEPTED | facts::REJECTED | facts::CANCELLED => {
            match DecisionSaid::decode(&fact.body).map_err(|error| bad(fact, error))? {
                DecisionSaid::Decided(decision) => decision.intent_at,
                DecisionSaid::CancelRefused(_) => None,
            }
        }
        facts::FREEZE => frame::decode::<FreezeRecord>(&fact.body)
            .map_err(|error| LoadError::from((fact, error)))?
            .intent_at
            .and_then(|at| u64::try_from(at).ok()),
        _ => None,
    };
    Ok(intent_at.is_some_and(|intent_at| intent_at < below))
}

fn bad(fact: &Fact, source: Unreadable) -> LoadError {
    LoadError::Fact { kind: fact.key.kind, at: fact.key.at, source }
}

fn subject(fact: &Fact) -> Option<BetId> {
    fact.key.subject.parse().ok()
}

/// The state that a bet's decisions tell: accepted or rejected once, perhaps then cancelled.
///
/// # Errors
/// The last decision, if they contradict each other (R5).
fn one_story(decisions: &[(u64, Decision)]) -> Result<BetState, Box<Decision>> {
    use schemas::decisions::Verdict;
    let mut sorted: Vec<&(u64, Decision)> = decisions.iter().collect();
    sorted.sort_by_key(|(at, _)| *at);
    let mut state: Option<BetState> = None;
    for (_, decision) in sorted {
        let decision = decision.clone();
        state = Some(match (state, &decision.verdict) {
            (None, Verdict::Accepted) => BetState::Accepted(decision),
            (None, Verdict::Rejected(_)) => BetState::Rejected(decision),
            (None, Verdict::Cancelled(_)) => BetState::Cancelled(decision),
            (Some(BetState::Accepted(before)), Verdict::Cancelled(_))
                if before.bet == decision.bet =>
            {
                BetState::Cancelled(decision)
            }
            (Some(_), Verdict::Accepted | Verdict::Rejected(_) | Verdict::Cancelled(_)) => {
                return Err(Box::new(decision));
            }
        });
    }
    let nothing = || BetState::Frozen(Known::Nothing);
    Ok(state.unwrap_or_else(nothing))
}

impl Round {
    /// Takes in a marker that is the next one.
    pub(crate) fn take_marker(
        &mut self,
        number: u32,
        at: u64,
        said_at: i64,
        body: MarkerBody,
    ) -> Result<(), LoadError> {
        match body {
            MarkerBody::Opened { game, rules_version, .. } => {
                let known = game.parse().ok().filter(|_| settlement::knows(rules_version));
                let Some(game) = known else {
                    return Err(LoadError::UnknownRules { game, rules_version });
                };
                self.rules = Some(Rules { game });
            }
            MarkerBody::Closed => {
                self.closed_at.get_or_insert(at);
            }
            MarkerBody::Version { outcome, .. } => self.versions.push((outcome, said_at)),
        }
        self.number = number;
        self.seen = self.seen.max(number);
        Ok(())
    }

    /// The accepted, uncancelled bets against the tally in the store, if one stands (R5).
    pub(crate) fn differs_from_tally(&self, id: &RoundId) -> Option<(i64, i64)> {
        let tally = self.tally.as_ref()?;
        let bets = self.bets.states().filter_map(|state| match state {
            BetState::Accepted(decision) | BetState::Frozen(Known::Decision(decision))
                if decision.verdict == schemas::decisions::Verdict::Accepted =>
            {
                Some(&decision.bet)
            }
            BetState::Accepted(_)
            | BetState::Frozen(_)
            | BetState::Pending { .. }
            | BetState::Rejected(_)
            | BetState::Cancelled(_) => None,
        });
        match settlement::tally(id, bets) {
            Ok(loaded) if loaded == *tally => None,
            Ok(loaded) => Some((loaded.bets, tally.bets)),
            Err(_) => Some((-1, tally.bets)),
        }
    }

    /// Freezes a bet with what is known of it: the state it is in, else the body of its freeze.
    pub(crate) fn freeze_bet(&mut self, bet: BetId, known: &[u8]) {
        let before = self.bets.remove(&bet);
        let known = match before {
            Some(BetState::Pending { intent, .. }) => Known::Intent(intent),
            Some(
                BetState::Accepted(decision)
                | BetState::Rejected(decision)
                | BetState::Cancelled(decision),
            ) => Known::Decision(decision),
            Some(BetState::Frozen(known)) => known,
            None => match BetEvent::decode(known) {
                Ok(BetEvent { said: BetSaid::Intent(intent), .. }) => Known::Intent(intent),
                Ok(_) | Err(_) => Known::Nothing,
            },
        };
        self.bets.insert(bet, BetState::Frozen(known));
    }
}
