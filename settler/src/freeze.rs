//! Freezes and thaws: a broken invariant stops one bet, or one round in one partition (R1, R5, R7, R23).

use crate::decide::{Cause, Pending, StopError};
use crate::memory::{BetState, Known, Memory, Round};
use crate::output::Output;
use runtime::machine::Alarm;
use schemas::bets::Intent;
use schemas::decisions::{Decision, RejectReason, Verdict};
use schemas::{BetId, PartnerId, RoundId};
use settlement::Disposition;

impl Memory {
    pub(crate) fn freeze_round(
        &mut self,
        round_id: &RoundId,
        cause: Cause,
        code: &str,
        out: &mut Output,
    ) -> Result<(), StopError> {
        out.freeze_round(round_id, cause.at, code)?;
        let Some(round) = self.rounds.get_mut(round_id) else { return Ok(()) };
        round.frozen = Some(code.to_owned());
        let pending: Vec<(Intent, u64)> = round
            .bets
            .states()
            .filter_map(|state| match state {
                BetState::Pending { intent, at } => Some((intent.clone(), *at)),
                BetState::Accepted(_)
                | BetState::Rejected(_)
                | BetState::Cancelled(_)
                | BetState::Frozen(_) => None,
            })
            .collect();
        for (intent, at) in pending {
            let bet = &intent.bet;
            out.freeze_bet(&bet.id, Some(&bet.partner), Some((&intent, at)), cause.at, code)?;
            round.bets.insert(bet.id.clone(), BetState::Frozen(Known::Intent(intent)));
            self.undecided.remove(&at);
        }
        Ok(())
    }

    /// Freezes a round whose facts do not add up, as it was loaded below offset `at` (R5).
    pub(crate) fn freeze_loaded(
        &mut self,
        round_id: &RoundId,
        at: u64,
        code: &str,
        out: &mut Output,
    ) -> Result<(), StopError> {
        self.freeze_round(round_id, Cause { at, said_at: 0 }, code, out)
    }

    /// Freezes what the headers of an unreadable record name (R23).
    pub(crate) fn freeze_unreadable(
        &mut self,
        round_id: &RoundId,
        bet: Option<&(BetId, PartnerId)>,
        at: u64,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let cause = Cause { at, said_at: 0 };
        let round = self.rounds.entry(round_id.clone()).or_default();
        round.last_offset = at;
        let Some((bet, partner)) = bet else {
            round.seen = round.seen.max(round.number.saturating_add(1));
            return self.freeze_round(round_id, cause, "unreadable", out);
        };
        self.freeze_one(round_id, bet, Some(partner), at, "unreadable", out)
    }

    /// Freezes one bet in whatever state it is; a pending one counts as decided from here (R1).
    pub(crate) fn freeze_one(
        &mut self,
        round_id: &RoundId,
        bet: &BetId,
        partner: Option<&PartnerId>,
        at: u64,
        code: &str,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let Some(round) = self.rounds.get_mut(round_id) else { return Ok(()) };
        let pending = match round.bets.get(bet) {
            Some(BetState::Pending { intent, at }) => {
                self.undecided.remove(at);
                Some((intent, *at))
            }
            Some(_) | None => None,
        };
        out.freeze_bet(bet, partner, pending, at, code)?;
        round.freeze_bet(bet.clone(), &[]);
        Ok(())
    }

    /// Computes a bet, or every bet of the round, again.
    pub(crate) fn thaw(
        &mut self,
        round_id: &RoundId,
        bet: Option<&(BetId, PartnerId)>,
        reason: &str,
        cause: Cause,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let Some(round) = self.rounds.get_mut(round_id) else { return Ok(()) };
        if let Some(why) = round.cannot_thaw(round_id, bet.is_none()) {
            let text = format!("round {round_id} stays frozen: {why}");
            out.alarms.push(Alarm { name: "thaw_refused", text });
            return Ok(());
        }
        let bets: Vec<BetId> = match bet {
            Some((bet, _)) => vec![bet.clone()],
            None => {
                round.frozen = None;
                round.bets.iter().map(|(id, _)| id.clone()).collect()
            }
        };
        out.thaw(round_id, bet, cause.at, reason)?;
        for bet in bets {
            let known = match self.state(round_id.as_str(), &bet) {
                Some(BetState::Frozen(known)) => known.clone(),
                // Markers that came while the round was frozen were taken and not graded.
                Some(BetState::Accepted(decision)) => {
                    let decision = decision.clone();
                    self.owe_again(round_id, decision, cause.at, out)?;
                    continue;
                }
                Some(BetState::Pending { .. } | BetState::Rejected(_) | BetState::Cancelled(_))
                | None => continue,
            };
            let lane = match &known {
                Known::Nothing => continue,
                Known::Intent(intent) => intent.bet.partner.clone(),
                Known::Decision(decision) => decision.bet.partner.clone(),
            };
            out.thaw(round_id, Some(&(bet, lane)), cause.at, reason)?;
            match known {
                Known::Nothing => {}
                Known::Intent(intent) => {
                    self.reject(Pending::of(intent, None), RejectReason::Thawed, cause, out)?;
                }
                Known::Decision(decision) => {
                    self.owe_again(round_id, decision, cause.at, out)?;
                }
            }
        }
        Ok(())
    }

    /// Says again all that the bet is owed: the same contents as ever, so that what was said vanishes.
    fn owe_again(
        &mut self,
        round_id: &RoundId,
        decision: Decision,
        at: u64,
        out: &mut Output,
    ) -> Result<(), StopError> {
        let Some(round) = self.rounds.get_mut(round_id) else { return Ok(()) };
        if let Some(rules) = round.rules {
            match settlement::expected(rules.game, &decision, &round.versions) {
                Ok(owed) => owed.iter().try_for_each(|settlement| out.settle(settlement))?,
                Err(error) => match error.disposition() {
                    Disposition::StopPartition => return Err(StopError::Rules(error)),
                    Disposition::FreezeBet | Disposition::Refuse => {
                        let bet = decision.bet.id.clone();
                        let partner = decision.bet.partner.clone();
                        self.set(bet.clone(), BetState::Frozen(Known::Decision(decision)));
                        return self.freeze_one(
                            round_id,
                            &bet,
                            Some(&partner),
                            at,
                            error.code(),
                            out,
                        );
                    }
                },
            }
        }
        let bet = decision.bet.id.clone();
        let state = match decision.verdict {
            Verdict::Accepted => BetState::Accepted(decision),
            Verdict::Rejected(_) => BetState::Rejected(decision),
            Verdict::Cancelled(_) => BetState::Cancelled(decision),
        };
        self.set(bet, state);
        Ok(())
    }
}

impl Round {
    /// What is missing for a thaw of the round, or of one bet in it.
    fn cannot_thaw(&self, id: &RoundId, whole: bool) -> Option<String> {
        // By what was altered, a bet would be paid wrongly; the one that is named may be it.
        if let Some((loaded, tallied)) = self.differs_from_tally(id) {
            return Some(format!(
                "{tallied} bets were tallied, and the {loaded} loaded are not those"
            ));
        }
        // Without a marker that is known to be missing, the round would be open behind its cut-off.
        (whole && self.number < self.seen)
            .then(|| format!("marker {} of {} is missing", self.number + 1, self.seen))
    }
}
