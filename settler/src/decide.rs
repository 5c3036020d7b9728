//! Deciding, one record after the other: the order of the log and nothing else (DESIGN 5, 6).

use crate::load::LoadError;
use crate::memory::{BetState, Known, Memory, Round};
use crate::output::Output;
use planted::Bug;
use schemas::bets::{Bet, BetEvent, BetSaid, HoldAnswer, Intent, Marker, MarkerBody};
use schemas::decisions::{CancelRefused, Decision, RejectReason, Verdict};
use schemas::frame::FrameError;
use schemas::rounds::Outcome;
use schemas::{BetId, ContentHash, PartnerId, RequestId, RoundId};
use settlement::{Disposition, RuleError};
use std::collections::btree_map::Entry;
use thiserror::Error;

/// Why a partition stops: its offset stays, and people are told.
#[derive(Debug, Error)]
pub(crate) enum StopError {
    /// A record cannot be written as what it says.
    #[error("what follows from the record cannot be encoded")]
    Encode(#[from] FrameError),
    /// This build lacks the rules (R6).
    #[error(transparent)]
    Rules(RuleError),
    /// This build lacks the rules the round was opened under (R6).
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// A bet that is being decided.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    bet: Bet,
    /// The hash of what it says.
    content: ContentHash,
    /// The offset of its intent, if that was undecided until now.
    intent_at: Option<u64>,
}

impl Pending {
    pub(crate) fn of(intent: Intent, intent_at: Option<u64>) -> Self {
        Self { content: intent.content(), bet: intent.bet, intent_at }
    }
}

/// Where and when the record stands that is being decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause {
    pub(crate) at: u64,
    pub(crate) said_at: i64,
}

impl Memory {
    /// Decides what follows from the record at offset `at`. Its round must be in memory.
    pub(crate) fn decide(
        &mut self,
        at: u64,
        event: BetEvent,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let cause = Cause { at, said_at: event.said_at };
        let Some(round_id) = &event.round else { return self.tick(cause, out) };
        match self.rounds.get_mut(round_id) {
            Some(round) => round.last_offset = at,
            None => {
                let round = Round { last_offset: at, ..Round::default() };
                self.rounds.insert(round_id.clone(), round);
            }
        }
        match event.said {
            BetSaid::Tick => Ok(()),
            BetSaid::Intent(intent) => self.intent(round_id, intent, cause, out),
            BetSaid::Answer { ref bet, content, ref answer, .. } => {
                self.answer(round_id, bet, content, answer, cause, out)
            }
            BetSaid::Cancel { ref bet, ref partner, ref request } => {
                self.cancel(round_id, (bet, partner), request, cause, out)
            }
            BetSaid::Marker(ref marker) => self.marker(round_id, &event, marker, cause, out),
            BetSaid::Thaw { ref bet, ref reason, .. } => {
                self.thaw(round_id, bet.as_ref(), reason, cause, out)
            }
        }
    }

    /// An intent expires at the 6th tick behind it (R8).
    fn tick(&mut self, cause: Cause, out: &mut Output) -> Result<(), StopError> {
        self.ticks += 1;
        while let Some((_, (bet, before))) = self.undecided.first_key_value() {
            let behind = self.ticks - before;
            let bet = bet.clone();
            let Some(BetState::Pending { intent, at }) = self.state(bet.round_str(), &bet) else {
                self.undecided.pop_first();
                continue;
            };
            let pending = Pending::of(intent.clone(), Some(*at));
            let rules_version = intent.bet.rules_version;
            let ticks = settlement::expiry_ticks(rules_version)
                .ok_or(StopError::Rules(RuleError::UnknownRules { rules_version }))?;
            if behind < u64::from(ticks) {
                break;
            }
            self.reject(pending, RejectReason::Expired, cause, out)?;
        }
        Ok(())
    }

    fn intent(
        &mut self,
        round_id: &RoundId,
        intent: Intent,
        cause: Cause,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let rules_version = intent.bet.rules_version;
        if !settlement::knows(rules_version) {
            return Err(StopError::Rules(RuleError::UnknownRules { rules_version }));
        }
        let Some(round) = self.rounds.get_mut(round_id) else { return Ok(()) };
        let place = match round.bets.entry(intent.bet.id.clone()) {
            Entry::Vacant(place) => place,
            Entry::Occupied(known) => {
                return match known.get() {
                    BetState::Accepted(decision)
                    | BetState::Rejected(decision)
                    | BetState::Cancelled(decision) => Ok(out.repeat(decision)?),
                    // The first intent fixes the content (R12).
                    BetState::Pending { .. } | BetState::Frozen(_) => Ok(()),
                };
            }
        };
        if let Some(code) = &round.frozen {
            let (bet, pending) = (&intent.bet, Some((&intent, cause.at)));
            out.freeze_bet(&bet.id, Some(&bet.partner), pending, cause.at, code)?;
            place.insert(BetState::Frozen(Known::Intent(intent)));
            return Ok(());
        }
        let too_early = round.rules.is_none().then_some(RejectReason::NotOpen);
        let too_late = round.closed_at.is_some().then_some(RejectReason::Closed);
        if let Some(reason) = too_early.or(too_late) {
            return self.reject(Pending::of(intent, Some(cause.at)), reason, cause, out);
        }
        self.undecided.insert(cause.at, (intent.bet.id.clone(), self.ticks));
        place.insert(BetState::Pending { intent, at: cause.at });
        Ok(())
    }

    fn answer(
        &mut self,
        round_id: &RoundId,
        bet: &BetId,
        content: ContentHash,
        answer: &HoldAnswer,
        cause: Cause,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let round = self.rounds.get_mut(round_id);
        let Some(state) = round.and_then(|round| round.bets.get_mut(bet)) else { return Ok(()) };
        let BetState::Pending { intent, at } = state else { return Ok(()) };
        let same = intent.content() == content || planted::active(Bug::HashIgnored);
        if !same {
            return Ok(());
        }
        match answer {
            HoldAnswer::Approved => {
                let intent_at = *at;
                let Some(intent) = state.take_intent() else { return Ok(()) };
                self.undecided.remove(&intent_at);
                let content = intent.content();
                let decision = decision(intent.bet, Verdict::Accepted, cause, Some(intent_at));
                out.decide(&decision, content)?;
                *state = BetState::Accepted(decision);
                Ok(())
            }
            HoldAnswer::Declined(code) => {
                let pending = Pending::of(intent.clone(), Some(*at));
                self.reject(pending, RejectReason::Declined(code.clone()), cause, out)
            }
        }
    }

    /// Before `closed` a cancel wins over an accepted or pending bet.
    fn cancel(
        &mut self,
        round_id: &RoundId,
        (bet, partner): (&BetId, &PartnerId),
        request: &RequestId,
        cause: Cause,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let round = self.rounds.get(round_id);
        let closed = round.is_some_and(|round| round.closed_at.is_some());
        let frozen = round.is_some_and(|round| round.frozen.is_some());
        let reason = match self.state(round_id.as_str(), bet) {
            Some(BetState::Rejected(decision) | BetState::Cancelled(decision)) => {
                return Ok(out.repeat(decision)?);
            }
            // The marker that froze the round may have been its `closed`.
            Some(BetState::Accepted(_)) if frozen => "frozen",
            Some(BetState::Accepted(decision)) if !closed => {
                let (bet, content) = (decision.bet.clone(), decision.bet.content_hash());
                let ended = Pending { bet, content, intent_at: None };
                return self.take_back(ended, request, cause, out);
            }
            Some(BetState::Pending { intent, at }) if !closed => {
                let ended = Pending::of(intent.clone(), Some(*at));
                return self.take_back(ended, request, cause, out);
            }
            Some(BetState::Accepted(_) | BetState::Pending { .. }) => "closed",
            Some(BetState::Frozen(_)) => "frozen",
            None => "unknown_bet",
        };
        Ok(out.refuse_cancel(CancelRefused {
            bet: bet.clone(),
            partner: partner.clone(),
            request: request.clone(),
            reason: reason.to_owned(),
            at: cause.at,
            caused_at: cause.said_at,
        })?)
    }

    fn take_back(
        &mut self,
        Pending { bet, content, intent_at }: Pending,
        request: &RequestId,
        cause: Cause,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let verdict = Verdict::Cancelled(request.clone());
        let decision = decision(bet, verdict, cause, intent_at);
        out.decide(&decision, content)?;
        void(&decision, out)?;
        self.set(decision.bet.id.clone(), BetState::Cancelled(decision));
        Ok(())
    }

    /// Every bet that is not accepted ends in a void at revision 2, also a declined one: the decline may
    /// have overtaken an approval (R11).
    pub(crate) fn reject(
        &mut self,
        Pending { bet, content, intent_at }: Pending,
        reason: RejectReason,
        cause: Cause,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let declined = matches!(reason, RejectReason::Declined(_));
        let decision = decision(bet, Verdict::Rejected(reason), cause, intent_at);
        out.decide(&decision, content)?;
        if !(declined && planted::active(Bug::DeclineNotVoided)) {
            void(&decision, out)?;
        }
        self.set(decision.bet.id.clone(), BetState::Rejected(decision));
        Ok(())
    }

    /// Takes number last + 1, ignores what it has, freezes the round on a gap (R7).
    fn marker(
        &mut self,
        round_id: &RoundId,
        event: &BetEvent,
        marker: &Marker,
        cause: Cause,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let Some(round) = self.rounds.get_mut(round_id) else { return Ok(()) };
        if marker.number <= round.number {
            return Ok(());
        }
        let frozen = round.frozen.is_some();
        round.seen = round.seen.max(marker.number);
        match round.out_of_order(marker) {
            Some(_) if frozen => return Ok(()),
            Some(code) => return self.freeze_round(round_id, cause, code, out),
            None => {}
        }
        round.take_marker(marker.number, cause.at, cause.said_at, marker.body.clone())?;
        out.marker(event, round_id, cause.at)?;
        match &marker.body {
            MarkerBody::Opened { .. } => Ok(()),
            MarkerBody::Closed => self.close(round_id, cause, out),
            // A frozen round keeps its markers, so that a thaw knows the cut-off; it grades nothing.
            MarkerBody::Version { .. } if frozen => Ok(()),
            MarkerBody::Version { version, .. } => self.grade(round_id, *version, cause, out),
        }
    }

    /// The cut-off: what is not held by now is out, and what is in is tallied (R5).
    fn close(
        &mut self,
        round_id: &RoundId,
        cause: Cause,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let pending: Vec<Pending> = self
            .undecided
            .values()
            .filter(|(bet, _)| bet.round_str() == round_id.as_str())
            .filter_map(|(bet, _)| match self.state(round_id.as_str(), bet) {
                Some(BetState::Pending { intent, at }) => {
                    Some(Pending::of(intent.clone(), Some(*at)))
                }
                Some(_) | None => None,
            })
            .collect();
        for pending in pending {
            self.reject(pending, RejectReason::Closed, cause, out)?;
        }
        let Some(round) = self.rounds.get(round_id) else { return Ok(()) };
        let bets = round.bets.states().filter_map(|state| match state {
            BetState::Accepted(decision) => Some(&decision.bet),
            BetState::Frozen(Known::Decision(decision))
                if decision.verdict == Verdict::Accepted =>
            {
                Some(&decision.bet)
            }
            BetState::Frozen(_)
            | BetState::Pending { .. }
            | BetState::Rejected(_)
            | BetState::Cancelled(_) => None,
        });
        match settlement::tally(round_id, bets) {
            Ok(tally) => Ok(out.tally(&tally, cause.at)?),
            Err(error) => self.freeze_round(round_id, cause, error.code(), out),
        }
    }

    /// Settles every accepted bet whose state changes with this version (R14).
    fn grade(
        &mut self,
        round_id: &RoundId,
        version: u32,
        cause: Cause,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let Some(round) = self.rounds.get_mut(round_id) else { return Ok(()) };
        let Some(rules) = round.rules else { return Ok(()) };
        let outcomes: Vec<Outcome> =
            round.versions.iter().map(|(outcome, _)| outcome.clone()).collect();
        let mut broken = Vec::new();
        for (bet, state) in round.bets.iter() {
            let BetState::Accepted(decision) = state else { continue };
            let bet_of = &decision.bet;
            match settlement::settlement_at(rules.game, bet_of, &outcomes, version, cause.said_at) {
                Ok(Some(settlement)) => out.settle(&settlement)?,
                Ok(None) => {}
                Err(error) => match error.disposition() {
                    Disposition::StopPartition => return Err(StopError::Rules(error)),
                    Disposition::FreezeBet | Disposition::Refuse => {
                        broken.push((bet.clone(), decision.clone(), error));
                    }
                },
            }
        }
        for (bet, decision, error) in broken {
            out.freeze_bet(&bet, Some(&decision.bet.partner), None, cause.at, error.code())?;
            round.bets.insert(bet, BetState::Frozen(Known::Decision(decision)));
        }
        Ok(())
    }

    pub(crate) fn state(&self, round: &str, bet: &BetId) -> Option<&BetState> {
        self.rounds.get(round).and_then(|round| round.bets.get(bet))
    }

    /// Puts a bet into a decided state.
    pub(crate) fn set(&mut self, bet: BetId, state: BetState) {
        let Some(round) = self.rounds.get_mut(bet.round_str()) else { return };
        if let Some(BetState::Pending { at, .. }) = round.bets.insert(bet, state) {
            self.undecided.remove(&at);
        }
    }
}

impl Round {
    /// Why the marker cannot be the round's next one, if it cannot.
    fn out_of_order(&self, marker: &Marker) -> Option<&'static str> {
        if marker.number != self.number + 1 {
            return Some("marker_gap");
        }
        let versions = u32::try_from(self.versions.len()).unwrap_or(u32::MAX);
        match &marker.body {
            MarkerBody::Opened { .. } => (marker.number != 1).then_some("marker_order"),
            MarkerBody::Closed => {
                (self.rules.is_none() || self.closed_at.is_some()).then_some("marker_order")
            }
            MarkerBody::Version { version, .. } => {
                (self.closed_at.is_none() || *version != versions + 1).then_some("marker_order")
            }
        }
    }
}

fn decision(bet: Bet, verdict: Verdict, cause: Cause, intent_at: Option<u64>) -> Decision {
    Decision { bet, verdict, at: cause.at, caused_at: cause.said_at, intent_at }
}

fn void(decision: &Decision, out: &mut Output) -> Result<(), StopError> {
    if let Some(void) = settlement::final_void(decision) {
        out.settle(&void)?;
    }
    Ok(())
}
