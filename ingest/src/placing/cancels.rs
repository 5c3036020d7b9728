//! Cancels on their way, from the record to the settler's word.

use super::ask::{Cancel, NotTaken, Refusal, Told};
use super::bets::{not_written, overloaded};
use super::flight::reply_all;
use super::step::{Due, Written};
use super::{Effects, Placing};
use runtime::{Append, Batch, Effect, EngineError, Millis};
use schemas::bets::{Bet, BetEvent, BetSaid};
use schemas::decisions::{CancelRefused, Decision, Verdict};
use schemas::{BetId, outgoing};
use std::collections::BTreeMap;

/// A cancel whose record was issued, and who waits for it.
#[derive(Debug)]
struct Waiting {
    cancel: Cancel,
    waiters: Vec<u64>,
}

/// The cancels of this instance, by number and by bet.
#[derive(Debug, Default)]
pub(super) struct Cancels {
    by_number: BTreeMap<u64, Waiting>,
    by_bet: BTreeMap<BetId, Vec<u64>>,
}

impl Cancels {
    fn of_bet(&self, bet: &BetId) -> Vec<u64> {
        self.by_bet.get(bet).cloned().unwrap_or_default()
    }

    fn insert(&mut self, number: u64, waiting: Waiting) {
        self.by_bet.entry(waiting.cancel.bet.clone()).or_default().push(number);
        self.by_number.insert(number, waiting);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty() && self.by_bet.is_empty()
    }

    fn remove(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.by_number.remove(&number)?;
        if let Some(numbers) = self.by_bet.get_mut(&waiting.cancel.bet) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_bet.remove(&waiting.cancel.bet);
            }
        }
        Some(waiting)
    }
}

impl Placing {
    pub(super) fn cancel(&mut self, now: Millis, token: u64, cancel: Cancel, out: &mut Effects) {
        let reply = match self.cancel_known(&cancel) {
            Some(told) => told,
            None => match self.join_or_write(now, token, cancel, out) {
                Ok(()) => return,
                Err(refusal) => refusal.into(),
            },
        };
        out.push(Effect::Reply { token, reply });
    }

    /// What memory alone answers: somebody else's bet, and one that is over already.
    fn cancel_known(&mut self, cancel: &Cancel) -> Option<Told> {
        if let Some((_, flight)) = self.flights.of_bet(&cancel.bet)
            && !owns(cancel, &flight.bet)
        {
            return Some(bet_unknown(cancel).into());
        }
        let decision = self.recent.get(&cancel.bet)?;
        if !owns(cancel, &decision.bet) {
            return Some(bet_unknown(cancel).into());
        }
        match decision.verdict {
            Verdict::Accepted => None,
            Verdict::Rejected(_) | Verdict::Cancelled(_) => Some(Told::Decided(decision.clone())),
        }
    }

    fn join_or_write(
        &mut self,
        now: Millis,
        token: u64,
        cancel: Cancel,
        out: &mut Effects,
    ) -> Result<(), Refusal> {
        let limits = self.options.limits;
        let numbers = self.cancels.of_bet(&cancel.bet);
        for number in &numbers {
            let Some(waiting) = self.cancels.by_number.get_mut(number) else { continue };
            if waiting.cancel != cancel {
                continue;
            }
            if limits.waiters_max <= waiting.waiters.len() {
                return Err(overloaded());
            }
            waiting.waiters.push(token);
            return Ok(());
        }
        if limits.waiters_max <= numbers.len() || !self.room.has(&cancel.partner, &limits) {
            return Err(overloaded());
        }
        let event = BetEvent {
            round: Some(cancel.bet.round()),
            said_at: now,
            said: BetSaid::Cancel {
                bet: cancel.bet.clone(),
                partner: cancel.partner.clone(),
                request: cancel.request.clone(),
            },
        };
        let partition = self.options.partitions.of_partner(&cancel.partner);
        let record = outgoing::bet(&event, partition)
            .map_err(|error| Refusal::new(NotTaken::Unencodable, error.to_string()))?;
        let number = self.number();
        let batch = Batch::of_records(vec![Append::from(record.into_parts())]);
        out.push(Effect::Apply { token: Written::Cancel.token(number), batch });
        let at = now.saturating_add(limits.answer_within_ms);
        out.push(Effect::Timer { token: Due::Cancel.token(number), at });
        self.room.enter(&cancel.partner);
        self.cancels.insert(number, Waiting { cancel, waiters: vec![token] });
        Ok(())
    }

    /// It may still land, and then it counts.
    pub(super) fn cancel_failed(&mut self, number: u64, error: &EngineError, out: &mut Effects) {
        self.end_cancel(number, &not_written(error).into(), out);
    }

    pub(super) fn waited_for_cancel(&mut self, number: u64, out: &mut Effects) {
        if let Some(waiting) = self.cancels.by_number.get(&number) {
            let told = Told::Undecided { bet: waiting.cancel.bet.clone() };
            self.end_cancel(number, &told, out);
        }
    }

    /// A bet that is rejected or cancelled answers its cancels; an accepted one leaves them waiting for
    /// the settler's word on the cancel.
    pub(super) fn cancel_decided(&mut self, decision: &Decision, out: &mut Effects) {
        match decision.verdict {
            Verdict::Accepted => return,
            Verdict::Rejected(_) | Verdict::Cancelled(_) => {}
        }
        for number in self.cancels.of_bet(&decision.bet.id) {
            let Some(waiting) = self.cancels.by_number.get(&number) else { continue };
            let told = if owns(&waiting.cancel, &decision.bet) {
                Told::Decided(decision.clone())
            } else {
                bet_unknown(&waiting.cancel).into()
            };
            self.end_cancel(number, &told, out);
        }
    }

    pub(super) fn cancel_refused(&mut self, refused: &CancelRefused, out: &mut Effects) {
        for number in self.cancels.of_bet(&refused.bet) {
            let Some(waiting) = self.cancels.by_number.get(&number) else { continue };
            let cancel = &waiting.cancel;
            if cancel.request == refused.request && cancel.partner == refused.partner {
                self.end_cancel(number, &Told::CancelRefused(refused.clone()), out);
            }
        }
    }

    fn end_cancel(&mut self, number: u64, told: &Told, out: &mut Effects) {
        let Some(mut waiting) = self.cancels.remove(number) else { return };
        self.room.leave(&waiting.cancel.partner);
        reply_all(&mut waiting.waiters, told, out);
    }
}

fn owns(cancel: &Cancel, bet: &Bet) -> bool {
    cancel.partner == bet.partner && cancel.player == bet.player
}

/// The same words whether the bet exists or not: nobody learns of another's bets.
fn bet_unknown(cancel: &Cancel) -> Refusal {
    Refusal::new(NotTaken::BetUnknown, format!("bet {} is not known here", cancel.bet))
}
