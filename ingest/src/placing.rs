//! Bet placing: a player's bet becomes an intent, the partner is asked for the stake, its answer becomes
//! a record, and the settler's decision is told to everybody who waits.
//!
//! `check → intent → authorize → hold answer → (settler) → decision → reply`
//!
//! Reads every partition of `rounds.v1` and `decisions.v1` without a group; writes intents, hold answers
//! and cancels to the partition of the partner's lane in `bets.v1`. Any number of instances may run.
//!
//! What a crash leaves: an intent without an answer, which expires and is voided (R8, R11); a stake held
//! for an answer that was not written, which the same void returns. Nothing has to be found again.
//!
//! What it never does: ask a partner before the intent is acknowledged (R22); take silence, an error or a
//! 422 for an answer (R12); say accepted, rejected or cancelled without reading it in `decisions` (R13);
//! write two answers for what was asked once.

mod ask;
mod bets;
mod call;
mod cancels;
mod check;
mod exposure;
mod flight;
mod judge;
mod options;
mod recent;
mod room;
mod step;
#[cfg(test)]
mod tests;

pub use ask::{Ask, Cancel, NotTaken, Note, Place, SessionToken, Told};
pub use call::{AuthorizeCall, HoldReply};
pub use judge::{Judged, judge_hold};
pub use options::{Limits, PartnerBook, PartnerEntry, PlacingOptions};

use crate::rounds_view::RoundsView;
use crate::tail::Behind;
use ask::Refusal;
use cancels::Cancels;
use exposure::Exposure;
use flight::Flights;
use recent::Recent;
use room::Room;
use runtime::{Alarm, Effect, Input, Machine, Millis, Record, Source};
use schemas::catalogue::ROUNDS;
use schemas::decisions::DecisionSaid;
use schemas::rounds::RoundEvent;
use step::{Due, Written};

type Effects = Vec<Effect<Placing>>;

/// The machine of bet placing. What it keeps is a cache of two topics and what is in flight here.
#[derive(Debug)]
pub struct Placing {
    options: PlacingOptions,
    behind: Behind,
    view: RoundsView,
    recent: Recent,
    exposure: Exposure,
    room: Room,
    flights: Flights,
    cancels: Cancels,
    clock_offset_ms: Millis,
    numbers: u64,
}

impl Placing {
    /// A machine that knows nothing yet.
    pub fn new(options: PlacingOptions) -> Self {
        Self {
            behind: Behind::of(&options.tails),
            view: RoundsView::default(),
            recent: Recent::new(options.limits.decisions_kept_max),
            exposure: Exposure::default(),
            room: Room::default(),
            flights: Flights::default(),
            cancels: Cancels::default(),
            clock_offset_ms: 0,
            numbers: 0,
            options,
        }
    }

    /// Bets and cancels in flight: neither answered and over, nor given up.
    pub fn in_flight(&self) -> usize {
        self.room.count()
    }

    /// Whether everything is read that was said before this machine began: a round that is not known until
    /// then may well be.
    fn started(&self) -> Result<(), Refusal> {
        let detail = "the log is still being read";
        if self.behind.any() { Err(Refusal::new(NotTaken::Starting, detail)) } else { Ok(()) }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Partner(partner, entry) => {
                self.options.partners.insert(partner, entry);
            }
            Note::ClockOffset(offset_ms) => self.clock_offset_ms = offset_ms,
        }
    }

    fn read(&mut self, source: Source, record: &Record, out: &mut Effects) {
        let unreadable = |error: schemas::bets::Unreadable| {
            let text = format!("{source} at {}: {error}", record.offset);
            Effect::Alarm(Alarm { name: "unreadable_record", text })
        };
        if source.topic.0 == ROUNDS {
            match RoundEvent::decode(&record.value) {
                Ok(event) => self.read_round(source, record.offset, event),
                Err(error) => out.push(unreadable(error)),
            }
            return;
        }
        match DecisionSaid::decode(&record.value) {
            Ok(DecisionSaid::Decided(decision)) => self.decided(&decision, out),
            Ok(DecisionSaid::CancelRefused(refused)) => self.cancel_refused(&refused, out),
            Err(error) => out.push(unreadable(error)),
        }
    }

    fn read_round(&mut self, source: Source, offset: u64, event: RoundEvent) {
        let Some(round) = self.view.read(source, offset, event) else { return };
        if self.view.get(&round).is_none_or(|info| !info.status.is_open()) {
            self.exposure.forget(&round);
        }
    }

    fn request(&mut self, now: Millis, token: u64, request: Ask, out: &mut Effects) {
        match request {
            Ask::Place(place) => self.place(now, token, place, out),
            Ask::Cancel(cancel) => self.cancel(now, token, cancel, out),
            Ask::Recent(partner, player) => {
                let reply = Told::Recent(self.recent.of(&partner, &player));
                out.push(Effect::Reply { token, reply });
            }
            Ask::Started => {
                let reply = match self.started() {
                    Ok(()) => Told::Started,
                    Err(refusal) => refusal.into(),
                };
                out.push(Effect::Reply { token, reply });
            }
            Ask::Note(note) => {
                self.note(note);
                out.push(Effect::Reply { token, reply: Told::Noted });
            }
        }
    }
}

impl Machine for Placing {
    type Call = AuthorizeCall;
    type Answer = HoldReply;
    type Request = Ask;
    type Reply = Told;

    fn sources(&self) -> Vec<(Source, u64)> {
        self.options.tails.iter().map(|tail| (tail.source, tail.from)).collect()
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        let mut out = Vec::new();
        match input {
            Input::Records { source, records, end } => {
                for record in &records {
                    self.read(source, record, &mut out);
                    self.behind.read(source, record.offset.saturating_add(1), end);
                }
            }
            Input::Request { token, request } => self.request(now, token, request, &mut out),
            Input::Applied { token } => match Written::of(token) {
                (Written::Intent, number) => self.intent_applied(now, number, &mut out),
                (Written::Answer, number) => self.answer_applied(number),
                (Written::Cancel, _) => {}
            },
            Input::Failed { token, error } => match Written::of(token) {
                (Written::Intent, number) => self.intent_failed(number, &error, &mut out),
                (Written::Answer, number) => self.answer_failed(now, number, &error, &mut out),
                (Written::Cancel, number) => self.cancel_failed(number, &error, &mut out),
            },
            Input::Answered { token, answer } => self.authorized(now, token, &answer, &mut out),
            Input::Timer { token } => match Due::of(token) {
                (Due::AskAgain, number) => self.ask_again(now, number, &mut out),
                (Due::AppendAgain, number) => self.append_again(number, &mut out),
                (Due::Bet, number) => self.waited_for_bet(number, &mut out),
                (Due::Cancel, number) => self.waited_for_cancel(number, &mut out),
            },
            Input::Loaded { .. } | Input::Peeked { .. } => {}
        }
        out
    }

    /// Always: what is kept of the two topics is bounded by itself.
    fn ready_for(&self, _source: Source) -> bool {
        true
    }

    /// A failed append is one asker's refusal, not the end of everybody's bets.
    fn survives_failure(&self) -> bool {
        true
    }
}
