//! What the herald says by itself: a deadline that has come, a grace that is over, a round that is
//! sealed. It only appends; the fold judges what it says like what anybody says.

use super::copies::Waves;
use super::{Herald, Round, Status, TOKEN_SAY, TOKEN_TIMER};
use runtime::machine::{Alarm, Effect};
use runtime::{Append, Batch, Millis};
use schemas::frame::FrameError;
use schemas::rounds::{RoundEvent, RoundSaid};
use schemas::{RequestId, RoundId};
use std::collections::BTreeSet;

impl Herald {
    /// A result or void for a round that still takes bets closes it at once.
    pub(super) fn close_early(
        &mut self,
        now: Millis,
        round: &RoundId,
        waves: &mut Waves,
    ) -> Result<(), FrameError> {
        let betting =
            self.fold.get(round.as_str()).is_some_and(|state| state.status == Status::Betting);
        let first = self.asked.get(round.as_str()) != Some(&Status::Closing);
        if betting && first {
            self.asked.insert(round.to_string(), Status::Closing);
            waves.say(round, self.own(round, now, RoundSaid::Closing)?);
        }
        Ok(())
    }

    /// Something the herald says by itself. The same step of the same round has the same request id, so
    /// that a second herald's copy is a repeat.
    pub(super) fn own(
        &self,
        round: &RoundId,
        now: Millis,
        said: RoundSaid,
    ) -> Result<Append, FrameError> {
        let mut event = RoundEvent {
            round: round.clone(),
            request: RequestId::try_from("herald".to_owned())
                .map_err(|_| FrameError::NotFaithful(0))?,
            actor: schemas::acts::HERALD.to_owned(),
            said_at: now,
            said,
        };
        event.request = format!("herald-{}", event.kind().name())
            .try_into()
            .map_err(|_| FrameError::NotFaithful(0))?;
        self.append(&event)
    }

    /// What the rounds just read need next: a timer, or a step that is already due.
    pub(super) fn follow(
        &mut self,
        now: Millis,
        touched: &BTreeSet<String>,
        waves: &mut Waves,
    ) -> Vec<Effect<Self>> {
        let mut effects = Vec::new();
        for id in touched {
            let Some(round) = self.fold.get(id) else { continue };
            let status = round.status;
            match due_at(round, now) {
                Some(at) if now < at => {
                    let token = self.token(TOKEN_TIMER);
                    self.timers.insert(token, id.clone());
                    effects.push(Effect::Timer { token, at });
                }
                Some(_) => {
                    if let Ok(Some(append)) = self.next_step(now, id) {
                        waves.last(append);
                    }
                }
                None if status == Status::Closed => {
                    // A herald that died between the copies and `sealed` left this undone.
                    if let Ok(Some(append)) = self.next_step(now, id)
                        && !waves.says_sealed(id)
                    {
                        waves.last(append);
                    }
                }
                None => {
                    self.asked.remove(id);
                }
            }
        }
        effects
    }

    /// The record that moves the round on by the herald's own word, if it was not appended before.
    fn next_step(&mut self, now: Millis, id: &str) -> Result<Option<Append>, FrameError> {
        let Some(round) = self.fold.get(id) else { return Ok(None) };
        let (said, next) = match round.status {
            Status::Betting => (RoundSaid::Closing, Status::Closing),
            Status::Closing => (RoundSaid::Closed, Status::Closed),
            Status::Closed => (RoundSaid::Sealed, Status::Sealed),
            Status::Sealed => return Ok(None),
        };
        if self.asked.get(id) == Some(&next) {
            return Ok(None);
        }
        let Ok(round_id) = id.parse::<RoundId>() else { return Ok(None) };
        self.asked.insert(id.to_owned(), next);
        self.own(&round_id, now, said).map(Some)
    }

    pub(super) fn timer(&mut self, now: Millis, token: u64) -> Vec<Effect<Self>> {
        let Some(id) = self.timers.remove(&token) else { return Vec::new() };
        let Some(at) = self.fold.get(&id).and_then(|round| due_at(round, now)) else {
            return Vec::new();
        };
        if now < at {
            let token = self.token(TOKEN_TIMER);
            self.timers.insert(token, id);
            return vec![Effect::Timer { token, at }];
        }
        match self.next_step(now, &id) {
            Ok(Some(append)) => {
                let token = self.token(TOKEN_SAY);
                vec![Effect::Apply { token, batch: Batch::of_records(vec![append]) }]
            }
            Ok(None) => Vec::new(),
            Err(error) => vec![Effect::Alarm(Alarm {
                name: "round_not_closed",
                text: format!("round {id} cannot be closed: {error}"),
            })],
        }
    }
}

/// When the round's next step by the herald is due, ms; `None` if it waits for nothing of the kind.
///
/// A `closing` said by a clock that runs ahead of ours counts from now.
fn due_at(round: &Round, now: Millis) -> Option<Millis> {
    match round.status {
        Status::Betting => Some(round.opened.closes_at),
        Status::Closing => {
            Some(round.closing_said_at.min(now).saturating_add(round.opened.grace_ms))
        }
        Status::Closed | Status::Sealed => None,
    }
}
