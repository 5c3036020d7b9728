//! The steps of a bet: intent, authorize, hold answer, decision.

use super::ask::{NotTaken, Place, Refusal, Told};
use super::call::{HoldReply, authorize_body};
use super::check::{self, World};
use super::flight::{Flight, Stage, reply_all};
use super::judge::{Judged, judge_hold};
use super::recent::Learned;
use super::step::{Due, Written};
use super::{Effects, Placing};
use planted::Bug;
use runtime::{Alarm, Append, Batch, Effect, EngineError, Millis};
use schemas::bets::{Bet, BetEvent, BetSaid, HoldAnswer, Intent};
use schemas::decisions::{Decision, Verdict};
use schemas::{BetId, ContentHash, outgoing};

impl Placing {
    /// A known bet is answered first: whatever this instance would refuse now, it may have been taken
    /// before (R13).
    pub(super) fn place(&mut self, now: Millis, token: u64, place: Place, out: &mut Effects) {
        let bet = place.bet(now);
        let content = bet.content_hash();
        let reply = match self.known(now, token, &bet.id, content) {
            Known::Waits => return,
            Known::Told(told) => *told,
            Known::Not => match self.take(now, token, place, (bet, content), out) {
                Ok(()) => return,
                Err(refusal) => refusal.into(),
            },
        };
        out.push(Effect::Reply { token, reply });
    }

    /// What a bet of this id, decided or in flight, means for a request with this content.
    fn known(&mut self, now: Millis, token: u64, bet: &BetId, content: ContentHash) -> Known {
        let reused = || Known::told(Told::ReferenceReused { bet: bet.clone() });
        if let Some(decision) = self.recent.get(bet) {
            if decision.bet.content_hash() == content {
                return Known::told(Told::Decided(decision.clone()));
            }
            return reused();
        }
        let Some((_, flight)) = self.flights.of_bet(bet) else { return Known::Not };
        if flight.content != content {
            return reused();
        }
        if flight.answer_by <= now {
            return Known::told(Told::Undecided { bet: bet.clone() });
        }
        if self.options.limits.waiters_max <= flight.waiters.len() {
            return Known::told(overloaded().into());
        }
        flight.waiters.push(token);
        Known::Waits
    }

    /// Writes the intent. The waiter is registered before the record is on its way.
    fn take(
        &mut self,
        now: Millis,
        token: u64,
        place: Place,
        (mut bet, content): (Bet, ContentHash),
        out: &mut Effects,
    ) -> Result<(), Refusal> {
        self.started()?;
        let limits = self.options.limits;
        let world = World {
            view: &self.view,
            partners: &self.options.partners,
            limits: &limits,
            exposure: &self.exposure,
            clock_offset_ms: self.clock_offset_ms,
        };
        let terms = check::terms(&world, now, &place)?;
        if !self.room.has(&place.partner, &limits) {
            return Err(overloaded());
        }
        if self.room.rests_until(now, &place.partner).is_some() {
            let detail = "the partner takes no stakes for some seconds";
            return Err(Refusal::new(NotTaken::Overloaded, detail));
        }
        let per_s = self.options.stakes_per_s(&place.partner);
        if !self.room.may_take(now, &place.partner, per_s) {
            let detail = "the partner takes no more stakes in this second";
            return Err(Refusal::new(NotTaken::Overloaded, detail));
        }
        bet.rules_version = terms.rules_version;
        let intent = Intent::new(bet, terms.expires_at);
        let unencodable = |what: String| Refusal::new(NotTaken::Unencodable, what);
        let body = authorize_body(&intent, place.session_token)
            .map_err(|error| unencodable(error.to_string()))?;
        let partition = self.options.partitions.of_partner(&intent.bet.partner);
        let event = BetEvent {
            round: Some(place.round),
            said_at: now,
            said: BetSaid::Intent(intent.clone()),
        };
        let record =
            outgoing::bet(&event, partition).map_err(|error| unencodable(error.to_string()))?;

        let number = self.number();
        let answer_by = now.saturating_add(limits.answer_within_ms);
        self.room.enter(&intent.bet.partner);
        self.room.taken(now, &intent.bet.partner, per_s);
        self.exposure.add(&intent.bet);
        let mut flight = Flight {
            bet: intent.bet,
            content,
            partition,
            body,
            expires_at: intent.expires_at,
            answer_by,
            stage: Stage::Writing,
            attempts: 0,
            waiters: vec![token],
            decided: false,
        };
        let batch = Batch::of_new_work(vec![Append::from(record.into_parts())]);
        out.push(Effect::Apply { token: Written::Intent.token(number), batch });
        out.push(Effect::Timer { token: Due::Bet.token(number), at: answer_by });
        if planted::active(Bug::AskedBeforeIntent) {
            out.push(flight.ask(number, limits.attempt_ms));
        }
        self.flights.insert(number, flight);
        Ok(())
    }

    /// Only now is the partner asked (R22).
    pub(super) fn intent_applied(&mut self, now: Millis, number: u64, out: &mut Effects) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        match flight.stage {
            Stage::Writing if flight.decided || flight.expires_at <= now => {
                flight.stage = Stage::Done;
            }
            Stage::Writing => self.ask(now, number, out),
            Stage::Asking | Stage::Pausing | Stage::Answering { .. } | Stage::Done => {}
        }
        self.drop_if_over(number);
    }

    /// Nobody is asked for a stake. The intent may still land: then it expires (R11).
    pub(super) fn intent_failed(&mut self, number: u64, error: &EngineError, out: &mut Effects) {
        let Some(mut flight) = self.remove(number) else { return };
        reply_all(&mut flight.waiters, &not_written(error).into(), out);
    }

    pub(super) fn authorized(
        &mut self,
        now: Millis,
        number: u64,
        reply: &HoldReply,
        out: &mut Effects,
    ) {
        let limits = self.options.limits;
        let Some(flight) = self.flights.get_mut(number) else { return };
        match flight.stage {
            Stage::Asking => {}
            Stage::Writing | Stage::Pausing | Stage::Answering { .. } | Stage::Done => return,
        }
        flight.stage = Stage::Done;
        match reply {
            HoldReply::Busy { rest_ms } => {
                self.room.rest(&flight.bet.partner, now.saturating_add(*rest_ms));
            }
            HoldReply::Http { status: 200, .. } => self.room.rest_ends(&flight.bet.partner),
            HoldReply::Http { .. } | HoldReply::Nothing { .. } | HoldReply::Unsent => {}
        }
        let again_at = now.saturating_add(limits.repeat_after_ms);
        // A decided bet needs no answer any more: it would be ignored (R11).
        if !flight.decided {
            match judge_hold(reply, &flight.bet.id) {
                Judged::Answer(answer) => match answer_record(flight, now, answer) {
                    Ok(record) => out.push(flight.append(number, record, 1)),
                    Err(alarm) => out.push(Effect::Alarm(alarm)),
                },
                Judged::Unknown
                    if flight.attempts < limits.attempts_max && again_at < flight.expires_at =>
                {
                    flight.stage = Stage::Pausing;
                    out.push(Effect::Timer { token: Due::AskAgain.token(number), at: again_at });
                }
                // Nothing is written: the expiry tick decides.
                Judged::Standing | Judged::Unknown => {}
            }
        }
        self.drop_if_over(number);
    }

    pub(super) fn ask_again(&mut self, now: Millis, number: u64, out: &mut Effects) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        match flight.stage {
            Stage::Pausing if now < flight.expires_at => self.ask(now, number, out),
            Stage::Pausing => flight.stage = Stage::Done,
            Stage::Writing | Stage::Asking | Stage::Answering { .. } | Stage::Done => {}
        }
        self.drop_if_over(number);
    }

    /// Asks the partner, or waits until it wants to be asked, if there is time for that.
    fn ask(&mut self, now: Millis, number: u64, out: &mut Effects) {
        let budget_ms = self.options.limits.attempt_ms;
        let Some(flight) = self.flights.get_mut(number) else { return };
        match self.room.rests_until(now, &flight.bet.partner) {
            None => out.push(flight.ask(number, budget_ms)),
            Some(until) if until < flight.expires_at => {
                flight.stage = Stage::Pausing;
                out.push(Effect::Timer { token: Due::AskAgain.token(number), at: until });
            }
            // Nothing is written: the expiry tick decides.
            Some(_) => flight.stage = Stage::Done,
        }
    }

    pub(super) fn answer_applied(&mut self, number: u64) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        flight.stage = Stage::Done;
        self.drop_if_over(number);
    }

    /// The answer may have landed or not; the same record twice is the same answer.
    pub(super) fn answer_failed(
        &mut self,
        now: Millis,
        number: u64,
        error: &EngineError,
        out: &mut Effects,
    ) {
        let limits = self.options.limits;
        let Some(flight) = self.flights.get_mut(number) else { return };
        let Stage::Answering { appends, .. } = &flight.stage else { return };
        let at = now.saturating_add(limits.repeat_after_ms);
        if *appends < limits.answer_appends_max && at < flight.answer_by && !flight.decided {
            out.push(Effect::Timer { token: Due::AppendAgain.token(number), at });
            return;
        }
        if !flight.decided {
            let text = format!("the partner's answer on bet {}: {error}", flight.bet.id);
            out.push(Effect::Alarm(Alarm { name: "hold_answer_not_written", text }));
        }
        flight.stage = Stage::Done;
        self.drop_if_over(number);
    }

    pub(super) fn append_again(&mut self, number: u64, out: &mut Effects) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        let Stage::Answering { record, appends } = &flight.stage else { return };
        if flight.decided {
            flight.stage = Stage::Done;
        } else {
            let (record, appends) = (record.clone(), *appends + 1);
            out.push(flight.append(number, record, appends));
        }
        self.drop_if_over(number);
    }

    pub(super) fn waited_for_bet(&mut self, number: u64, out: &mut Effects) {
        let Some(flight) = self.flights.get_mut(number) else { return };
        let told = Told::Undecided { bet: flight.bet.id.clone() };
        reply_all(&mut flight.waiters, &told, out);
        self.drop_if_over(number);
    }

    /// Takes a decision from the log: the only source of accepted, rejected and cancelled (R13).
    pub(super) fn decided(&mut self, decision: &Decision, out: &mut Effects) {
        let bet = &decision.bet;
        match self.recent.learn(decision) {
            Learned::First if decision.verdict == Verdict::Accepted => {
                let round = self.view.get(&bet.id.round());
                if round.is_some_and(|round| round.status.is_open()) {
                    self.exposure.add(bet);
                }
            }
            Learned::First | Learned::Nothing => {}
            Learned::Cancelled => self.exposure.subtract(bet),
            Learned::Conflict => {
                let text = format!("bet {} has two decisions in the log", bet.id);
                out.push(Effect::Alarm(Alarm { name: "decision_conflict", text }));
            }
        }
        // What was read first stands: told is told.
        let known = self.recent.get(&bet.id).unwrap_or(decision).clone();
        self.cancel_decided(&known, out);
        let Some((number, flight)) = self.flights.of_bet(&bet.id) else { return };
        if !flight.decided {
            flight.decided = true;
            self.exposure.subtract(&flight.bet);
        }
        let told = if flight.content == known.bet.content_hash() {
            Told::Decided(known)
        } else {
            Told::ReferenceReused { bet: known.bet.id }
        };
        reply_all(&mut flight.waiters, &told, out);
        match flight.stage {
            Stage::Pausing => flight.stage = Stage::Done,
            Stage::Writing | Stage::Asking | Stage::Answering { .. } | Stage::Done => {}
        }
        self.drop_if_over(number);
    }

    fn drop_if_over(&mut self, number: u64) {
        if let Some(flight) = self.flights.take_over(number) {
            self.left(&flight);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Flight> {
        let flight = self.flights.remove(number)?;
        self.left(&flight);
        Some(flight)
    }

    fn left(&mut self, flight: &Flight) {
        self.room.leave(&flight.bet.partner);
        if !flight.decided {
            self.exposure.subtract(&flight.bet);
        }
    }
}

/// What memory says to a request.
enum Known {
    /// Nothing: the bet is new here.
    Not,
    /// The bet is in flight, and the request waits for it.
    Waits,
    /// This.
    Told(Box<Told>),
}

impl Known {
    fn told(told: Told) -> Self {
        Self::Told(Box::new(told))
    }
}

/// The record of the partner's answer, with the hash of what it was asked about (R12).
fn answer_record(flight: &Flight, now: Millis, answer: HoldAnswer) -> Result<Append, Alarm> {
    let bet = &flight.bet;
    let event = BetEvent {
        round: Some(bet.id.round()),
        said_at: now,
        said: BetSaid::Answer {
            bet: bet.id.clone(),
            partner: bet.partner.clone(),
            content: flight.content,
            answer,
        },
    };
    let record = outgoing::bet(&event, flight.partition).map_err(|error| Alarm {
        name: "hold_answer_not_written",
        text: format!("the partner's answer on bet {}: {error}", bet.id),
    })?;
    Ok(Append::from(record.into_parts()))
}

pub(super) fn overloaded() -> Refusal {
    Refusal::new(NotTaken::Overloaded, "too many bets are in flight")
}

/// What the asker is told when its record was not acknowledged.
pub(super) fn not_written(error: &EngineError) -> Refusal {
    let code = match error {
        EngineError::Full(_) => NotTaken::StorageFull,
        EngineError::Unavailable(_)
        | EngineError::Fenced(_)
        | EngineError::OutOfRange { .. }
        | EngineError::Closed => NotTaken::StorageUnavailable,
    };
    Refusal::new(code, error.to_string())
}
