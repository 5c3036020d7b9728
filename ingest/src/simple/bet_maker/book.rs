//! The book of bet-maker: which events take bets, and how the bets of its one player stand.
//!
//! Reads every partition of `rounds.v1`, and the partner's partition of `bets.v1` and of `decisions.v1`,
//! without a group; writes nothing. A bet is listed from its intent on; a rejected one leaves the list. How
//! an accepted bet stands follows from the result version of its event, so a correction of an event with
//! many bets changes one word. What is kept is a cache: a book that reads the topics again shows the same.
//!
//! It also knows how fresh it is: it asks the log for the ends of `rounds.v1` all the time, and is as old as
//! the last moment whose end it has read.

mod bets;
mod events;
mod fresh;
mod keys;
#[cfg(test)]
mod tests;
mod waiting;
mod words;

pub use fresh::{AskEnds, Ends};
pub(super) use keys::PREFIX as KEY_PREFIX;
pub use words::{Ask, BookOptions, Told};

use super::line::{Begin, Begun};
use crate::tail::Behind;
use bets::Bets;
use events::Events;
use fresh::Fresh;
use keys::Keys;
use runtime::{Alarm, Effect, Input, Machine, Millis, Record, Source};
use schemas::bets::{BetEvent, BetSaid, Unreadable};
use schemas::catalogue::{BETS, ROUNDS};
use schemas::decisions::DecisionSaid;
use schemas::rounds::RoundEvent;
use schemas::{BetId, PartnerId, PlayerId};
use std::collections::BTreeMap;
use waiting::{Waiting, Wanted};

/// Bets on a page, at most.
pub const PAGE_BETS_MAX: usize = 1_000;
/// How long a bet on an event that is not known waits for the event, in ms: it may have been offered just
/// now, by another process.
const EVENT_WAIT_MS: i64 = 300;
/// How long an asker waits until what was said of its bet has been read here too, in ms.
const BET_WAIT_MS: i64 = 2_000;
/// Ms between two looks at the ends of `rounds.v1`.
const LOOK_MS: i64 = 500;
/// The timer of the next look; those of waiting askers count from 1.
const LOOK: u64 = 0;

/// The machine. See the module.
#[derive(Debug)]
pub struct Book {
    options: BookOptions,
    /// Ends that were not reached yet.
    behind: Behind,
    events: Events,
    bets: Bets,
    keys: Keys,
    waiting: Waiting,
    fresh: Fresh,
}

impl Book {
    /// A book that has read nothing.
    pub fn new(options: BookOptions) -> Self {
        let rounds = options.tails.iter().filter(|tail| tail.source.topic.0 == ROUNDS);
        Self {
            behind: Behind::of(&options.tails),
            fresh: Fresh::new(rounds.map(|tail| (tail.source, tail.from))),
            events: Events::default(),
            bets: Bets::default(),
            keys: Keys::default(),
            waiting: Waiting::default(),
            options,
        }
    }

    fn read(
        &mut self,
        now: Millis,
        source: Source,
        records: &[Record],
        end: u64,
        out: &mut Vec<Effect<Self>>,
    ) {
        for record in records {
            let next = record.offset.saturating_add(1);
            self.behind.read(source, next, end);
            if let Err(error) = self.take(now, source, record, out) {
                let text = format!("{source} at {}: {error}", record.offset);
                out.push(Effect::Alarm(Alarm { name: "unreadable_record", text }));
            }
            self.fresh.read(source, next);
        }
    }

    fn take(
        &mut self,
        now: Millis,
        source: Source,
        record: &Record,
        out: &mut Vec<Effect<Self>>,
    ) -> Result<(), Unreadable> {
        match source.topic.0 {
            ROUNDS => {
                let event = RoundEvent::decode(&record.value)?;
                if let Some(round) = self.events.read(source, record.offset, event) {
                    for (token, wanted) in self.waiting.take_of_event(&round) {
                        self.answer(now, token, wanted, out);
                    }
                }
            }
            BETS => {
                if let BetSaid::Intent(intent) = BetEvent::decode(&record.value)?.said
                    && self.is_ours(&intent.bet.partner, &intent.bet.player)
                {
                    let bet = intent.bet.id.clone();
                    self.keys.intended(&intent.bet);
                    self.bets.intended(record.offset, &intent.bet);
                    self.wake(now, &bet, false, out);
                }
            }
            _ => {
                if let DecisionSaid::Decided(decision) = DecisionSaid::decode(&record.value)?
                    && self.is_ours(&decision.bet.partner, &decision.bet.player)
                {
                    self.keys.intended(&decision.bet);
                    self.bets.decided(&decision);
                    self.wake(now, &decision.bet.id, true, out);
                }
            }
        }
        Ok(())
    }

    fn is_ours(&self, partner: &PartnerId, player: &PlayerId) -> bool {
        *partner == self.options.partner && *player == self.options.player
    }

    /// Answers those who wait for the bet, or for its decision.
    fn wake(&mut self, now: Millis, bet: &BetId, decided: bool, out: &mut Vec<Effect<Self>>) {
        for (token, wanted) in self.waiting.take_of_bet(bet, decided) {
            self.answer(now, token, wanted, out);
        }
    }

    /// Answers somebody who waited, for better or worse.
    fn answer(&mut self, now: Millis, token: u64, wanted: Wanted, out: &mut Vec<Effect<Self>>) {
        let reply = match wanted {
            Wanted::Event(begin) => Told::Begun(self.begin(now, begin)),
            Wanted::Bet { bet, .. } => self.bet(&bet),
        };
        out.push(Effect::Reply { token, reply });
    }

    fn bet(&self, bet: &BetId) -> Told {
        let line = self.bets.get(bet).and_then(|row| row.line(&self.events));
        Told::Bet(line.map(Box::new))
    }

    /// Whether the bet may be placed. A bet that was placed under the same key is answered first.
    fn begin(&mut self, now: Millis, begin: Begin) -> Begun {
        if let Some(told) = self.keys.told(now, &begin, &self.bets, &self.events) {
            return told;
        }
        match self.events.odds(&begin.event, now) {
            Ok(odds) => {
                self.keys.begun(now, &begin, odds);
                Begun::At(odds)
            }
            Err(refused) => refused,
        }
    }

    fn request(&mut self, now: Millis, token: u64, ask: Ask, out: &mut Vec<Effect<Self>>) {
        let fresh_at = self.fresh.at();
        let reply = match ask {
            Ask::Fresh => Told::Fresh(fresh_at),
            _ if self.behind.any() => Told::Starting,
            Ask::Events => Told::Json(Some(self.events.open(now)), fresh_at),
            Ask::Event(event) => Told::Json(self.events.show(&event), fresh_at),
            Ask::Bets { after, limit } => {
                Told::Bets(self.bets.page(after, limit.min(PAGE_BETS_MAX), &self.events))
            }
            Ask::Bet(bet) => self.bet(&bet),
            Ask::Once { bet, decided } => {
                if !self.bets.get(&bet).is_some_and(|row| row.is_decided() || !decided) {
                    let until = now.saturating_add(BET_WAIT_MS);
                    out.push(self.waiting.wait(token, Wanted::Bet { bet, decided }, until));
                    return;
                }
                self.bet(&bet)
            }
            Ask::NotTaken(key) => {
                self.keys.not_taken(&key);
                Told::Noted
            }
            Ask::Begin(begin) => {
                let begun = self.begin(now, begin.clone());
                if begun == Begun::EventUnknown {
                    let until = now.saturating_add(EVENT_WAIT_MS);
                    out.push(self.waiting.wait(token, Wanted::Event(begin), until));
                    return;
                }
                Told::Begun(begun)
            }
        };
        out.push(Effect::Reply { token, reply });
    }

    fn look(&self, now: Millis) -> Effect<Self> {
        Effect::Call { token: 0, call: self.fresh.ask(now) }
    }
}

impl Machine for Book {
    type Call = AskEnds;
    /// The ends, if the log told them.
    type Answer = (AskEnds, Option<BTreeMap<Source, u64>>);
    type Request = Ask;
    type Reply = Told;

    fn sources(&self) -> Vec<(Source, u64)> {
        self.options.tails.iter().map(|tail| (tail.source, tail.from)).collect()
    }

    fn start(&mut self, now: Millis) -> Vec<Effect<Self>> {
        vec![self.look(now)]
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        let mut out = Vec::new();
        match input {
            Input::Records { source, records, end } => {
                self.read(now, source, &records, end, &mut out);
            }
            Input::Request { token, request } => self.request(now, token, request, &mut out),
            Input::Answered { answer: (asked, ends), .. } => {
                self.fresh.told(&asked, ends);
                out.push(Effect::Timer { token: LOOK, at: now.saturating_add(LOOK_MS) });
            }
            Input::Timer { token: LOOK } => out.push(self.look(now)),
            Input::Timer { token } => {
                if let Some((asker, wanted)) = self.waiting.give_up(token) {
                    self.answer(now, asker, wanted, &mut out);
                }
            }
            Input::Loaded { .. }
            | Input::Peeked { .. }
            | Input::Applied { .. }
            | Input::Failed { .. } => {}
        }
        out
    }

    fn ready_for(&self, _source: Source) -> bool {
        true
    }

    fn survives_failure(&self) -> bool {
        true
    }
}
