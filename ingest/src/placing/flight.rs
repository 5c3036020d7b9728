//! One bet on its way, from its intent to its decision.

use super::call::AuthorizeCall;
use super::step::Written;
use super::{Effects, Placing};
use bytes::Bytes;
use runtime::{Append, Batch, Effect, Millis};
use schemas::bets::Bet;
use schemas::{BetId, ContentHash};
use std::collections::BTreeMap;

/// How far a bet is. It only goes down this list, but for another attempt.
#[derive(Debug)]
pub(super) enum Stage {
    /// The intent is on its way to the log; the partner has not been asked (R22).
    Writing,
    /// The partner is being asked.
    Asking,
    /// No answer came; the partner is asked again in a moment.
    Pausing,
    /// The answer is on its way to the log.
    Answering {
        /// The record, the same at every append.
        record: Append,
        /// Appends so far.
        appends: u32,
    },
    /// Nothing more is done for this bet here: the log has the word.
    Done,
}

/// A bet whose intent this instance wrote.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) bet: Bet,
    pub(super) content: ContentHash,
    /// The partition of the partner's lane.
    pub(super) partition: u32,
    /// The authorize: written once, sent at every attempt.
    pub(super) body: Bytes,
    pub(super) expires_at: Millis,
    /// Until when its askers wait.
    pub(super) answer_by: Millis,
    pub(super) stage: Stage,
    pub(super) attempts: u32,
    /// Requests that wait for the decision.
    pub(super) waiters: Vec<u64>,
    /// Its decision was read.
    pub(super) decided: bool,
}

impl Flight {
    /// Asks the partner.
    pub(super) fn ask(&mut self, number: u64, budget_ms: u32) -> Effect<Placing> {
        self.stage = Stage::Asking;
        self.attempts += 1;
        let call = AuthorizeCall {
            partner: self.bet.partner.clone(),
            bet: self.bet.id.clone(),
            body: self.body.clone(),
            attempt: self.attempts,
            budget_ms,
        };
        Effect::Call { token: number, call }
    }

    /// Appends the hold answer, for the first time or again.
    pub(super) fn append(&mut self, number: u64, record: Append, appends: u32) -> Effect<Placing> {
        let batch = Batch::of_records(vec![record.clone()]);
        self.stage = Stage::Answering { record, appends };
        Effect::Apply { token: Written::Answer.token(number), batch }
    }

    /// True if neither an effect nor an asker is left.
    pub(super) fn is_over(&self) -> bool {
        match self.stage {
            Stage::Done => self.waiters.is_empty(),
            Stage::Writing | Stage::Asking | Stage::Pausing | Stage::Answering { .. } => false,
        }
    }
}

/// The flights of this instance, by number and by bet: at most one per bet.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_number: BTreeMap<u64, Flight>,
    by_bet: BTreeMap<BetId, u64>,
}

impl Flights {
    pub(super) fn insert(&mut self, number: u64, flight: Flight) {
        self.by_bet.insert(flight.bet.id.clone(), number);
        self.by_number.insert(number, flight);
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Flight> {
        self.by_number.get_mut(&number)
    }

    pub(super) fn of_bet(&mut self, bet: &BetId) -> Option<(u64, &mut Flight)> {
        let number = *self.by_bet.get(bet)?;
        self.by_number.get_mut(&number).map(|flight| (number, flight))
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Flight> {
        let flight = self.by_number.remove(&number)?;
        self.by_bet.remove(&flight.bet.id);
        Some(flight)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty() && self.by_bet.is_empty()
    }

    /// Takes the flight out if nothing is left of it.
    pub(super) fn take_over(&mut self, number: u64) -> Option<Flight> {
        if self.by_number.get(&number)?.is_over() { self.remove(number) } else { None }
    }
}

/// Gives every waiter the same reply.
pub(super) fn reply_all(waiters: &mut Vec<u64>, reply: &super::Told, out: &mut Effects) {
    out.extend(waiters.drain(..).map(|token| Effect::Reply { token, reply: reply.clone() }));
}
