//! A world for one machine: it keeps what the machine wants done until the test does it.

use crate::placing::{
    Ask, AuthorizeCall, Cancel, HoldReply, Limits, PartnerEntry, Place, Placing, PlacingOptions,
    SessionToken, Told,
};
use crate::tail::{Tail, decisions, rounds};
use bytes::Bytes;
use runtime::{
    Alarm, Append, Effect, EngineError, Input, Machine, Millis, Record, RecordHeaders, Source,
    Topic,
};
use schemas::bets::{BetEvent, BetSaid, HoldAnswer};
use schemas::decisions::{CancelRefused, Decision, DecisionSaid, Verdict};
use schemas::outgoing::{self, Outgoing, Partitions};
use schemas::partners::CurrencyLimits;
use schemas::rounds::{Offer, Opened, RoundEvent, RoundSaid, Verdict as Word};
use schemas::{BetId, Money, Odds, RoundId};
use std::collections::{BTreeMap, BTreeSet};

/// When the round of the tests opens and closes, and its grace.
pub(super) const OPENED_AT: Millis = 1_000_000;
pub(super) const CLOSES_AT: Millis = OPENED_AT + 15_000;
pub(super) const GRACE_MS: Millis = 1_500;

pub(super) struct Script {
    pub(super) machine: Placing,
    pub(super) now: Millis,
    pub(super) applies: Vec<(u64, Append)>,
    pub(super) calls: Vec<(u64, AuthorizeCall)>,
    pub(super) timers: BTreeSet<(Millis, u64)>,
    pub(super) replies: BTreeMap<u64, Vec<Told>>,
    pub(super) alarms: Vec<Alarm>,
    requests: u64,
    offsets: BTreeMap<Source, u64>,
}

pub(super) fn money(units: i64) -> Money {
    Money::new(units, "EUR".parse().unwrap(), 2).unwrap()
}

pub(super) fn place() -> Place {
    Place {
        partner: "acme".parse().unwrap(),
        player: "p_9".parse().unwrap(),
        client_ref: "ref-1".parse().unwrap(),
        round: "r_1".parse().unwrap(),
        selection: "even".parse().unwrap(),
        stake: money(1_250),
        odds: Odds::new(200).unwrap(),
        session_token: SessionToken::new("header.payload.signature".to_owned()),
    }
}

pub(super) fn cancel(request: &str) -> Cancel {
    let place = place();
    Cancel {
        bet: place.bet_id(),
        partner: place.partner,
        player: place.player,
        request: request.parse().unwrap(),
    }
}

pub(super) fn options() -> PlacingOptions {
    let limits = CurrencyLimits {
        exponent: 2,
        stake_min: 100,
        stake_max: 100_000,
        payout_max: 150_000,
        liability_max: 300_000,
    };
    let currencies = BTreeMap::from([("EUR".parse().unwrap(), limits)]);
    let entry = PartnerEntry { currencies, ..PartnerEntry::default() };
    PlacingOptions {
        partitions: Partitions::EMBEDDED,
        tails: tails(),
        partners: BTreeMap::from([
            ("acme".parse().unwrap(), entry.clone()),
            ("bolt".parse().unwrap(), entry),
        ]),
        limits: Limits::STANDARD,
    }
}

/// Everything there is to be read, in a log that holds nothing yet.
fn tails() -> Vec<Tail> {
    let partitions = Partitions::EMBEDDED;
    rounds(partitions).chain(decisions(partitions)).map(Tail::of_empty).collect()
}

/// The decision about the bet that `place` asks for, as the settler would say it.
pub(super) fn decision(place: &Place, verdict: Verdict) -> Decision {
    let mut bet = place.bet(OPENED_AT);
    bet.rules_version = 1;
    Decision { bet, verdict, at: 4, caused_at: OPENED_AT + 5, intent_at: Some(3) }
}

pub(super) fn reply(status: u16, body: &str) -> HoldReply {
    HoldReply::Http { status, body: Bytes::copy_from_slice(body.as_bytes()) }
}

pub(super) fn approved(bet: &BetId) -> HoldReply {
    let text = r#"{"message_id":"BET:1","bet_id":"BET","revision":1,"decision":"approved","status":"held"}"#;
    reply(200, &text.replace("BET", bet.as_str()))
}

pub(super) fn declined(bet: &BetId, code: &str) -> HoldReply {
    let text =
        r#"{"bet_id":"BET","revision":1,"decision":"declined","status":"declined","code":"CODE"}"#;
    reply(200, &text.replace("BET", bet.as_str()).replace("CODE", code))
}

pub(super) fn nothing() -> HoldReply {
    HoldReply::Nothing { why: "timeout".to_owned() }
}

impl Script {
    /// A machine that has read nothing.
    pub(super) fn new(options: PlacingOptions) -> Self {
        Self {
            machine: Placing::new(options),
            now: OPENED_AT,
            applies: Vec::new(),
            calls: Vec::new(),
            timers: BTreeSet::new(),
            replies: BTreeMap::new(),
            alarms: Vec::new(),
            requests: 0,
            offsets: BTreeMap::new(),
        }
    }

    /// A machine that has read that round `r_1` takes bets.
    pub(super) fn betting() -> Self {
        let mut script = Self::new(options());
        script.open("r_1", GRACE_MS);
        script
    }

    pub(super) fn open(&mut self, round: &str, grace_ms: Millis) {
        let offer = |selection: &str, odds| Offer {
            selection: selection.parse().unwrap(),
            odds: Odds::new(odds).unwrap(),
        };
        self.admitted(
            round,
            RoundSaid::Opened(Opened {
                game: "die".to_owned(),
                rules_version: 1,
                offers: vec![offer("even", 200), offer("six", 600)],
                closes_at: CLOSES_AT,
                grace_ms,
            }),
        );
    }

    /// A record of the round and the herald's verdict that admits it.
    pub(super) fn admitted(&mut self, round: &str, said: RoundSaid) {
        let round: RoundId = round.parse().unwrap();
        let event = |said| RoundEvent {
            round: round.clone(),
            request: "line-1".parse().unwrap(),
            actor: "line".to_owned(),
            said_at: self.now,
            said,
        };
        let partitions = Partitions::EMBEDDED;
        let said = event(said);
        let kind = said.kind();
        let record = outgoing::round(&said, partitions).unwrap();
        let source = Source { topic: Topic(record.topic), partition: record.partition };
        let judged = self.offsets.get(&source).copied().unwrap_or_default();
        let word = Word { judged, kind, refused: None, number: 1, version: 0 };
        let word = outgoing::round(&event(RoundSaid::Verdict(word)), partitions).unwrap();
        self.read(record);
        self.read(word);
    }

    /// The next record of its partition is read.
    pub(super) fn read(&mut self, outgoing: Outgoing) {
        let append = Append::from(outgoing.into_parts());
        let source = append.source();
        let offset = self.offsets.entry(source).or_default();
        let record = Record {
            offset: *offset,
            appended_at: self.now,
            key: append.key,
            headers: RecordHeaders::default(),
            value: append.value,
        };
        *offset += 1;
        let end = *offset;
        self.input(Input::Records { source, records: vec![record], end });
    }

    pub(super) fn decided(&mut self, decision: Decision) {
        let partition = Partitions::EMBEDDED.of_partner(&decision.bet.partner);
        self.read(outgoing::decision(&DecisionSaid::Decided(decision), partition).unwrap());
    }

    pub(super) fn refused(&mut self, cancel: &Cancel) {
        let refused = CancelRefused {
            bet: cancel.bet.clone(),
            partner: cancel.partner.clone(),
            request: cancel.request.clone(),
            reason: "closed".to_owned(),
            at: 9,
            caused_at: self.now,
        };
        let partition = Partitions::EMBEDDED.of_partner(&cancel.partner);
        self.read(outgoing::decision(&DecisionSaid::CancelRefused(refused), partition).unwrap());
    }

    pub(super) fn ask(&mut self, request: Ask) -> u64 {
        self.requests += 1;
        let token = self.requests;
        self.input(Input::Request { token, request });
        token
    }

    pub(super) fn input(&mut self, input: Input<Placing>) {
        for effect in self.machine.handle(self.now, input) {
            match effect {
                Effect::Apply { token, batch } => {
                    let records: Vec<_> = batch.records.into_iter().flatten().collect();
                    let [record] = &records[..] else { panic!("one record: {records:?}") };
                    self.applies.push((token, record.clone()));
                }
                Effect::Call { token, call } => self.calls.push((token, call)),
                Effect::Timer { token, at } => {
                    self.timers.insert((at, token));
                }
                Effect::Reply { token, reply } => {
                    self.replies.entry(token).or_default().push(reply)
                }
                Effect::Alarm(alarm) => self.alarms.push(alarm),
                Effect::Load { .. } | Effect::Peek { .. } => panic!("nothing is loaded"),
            }
        }
    }

    /// The oldest append is acknowledged; says what it was.
    #[track_caller]
    pub(super) fn applied(&mut self) -> BetSaid {
        let (token, record) = self.applies.remove(0);
        self.input(Input::Applied { token });
        said(&record)
    }

    /// The oldest append fails.
    #[track_caller]
    pub(super) fn failed(&mut self, error: EngineError) -> BetSaid {
        let (token, record) = self.applies.remove(0);
        self.input(Input::Failed { token, error });
        said(&record)
    }

    /// The oldest call ends; gives what was sent.
    #[track_caller]
    pub(super) fn answered(&mut self, answer: HoldReply) -> AuthorizeCall {
        let (token, call) = self.calls.remove(0);
        self.input(Input::Answered { token, answer });
        call
    }

    /// Time goes on by `ms`, with every timer on the way.
    pub(super) fn pass(&mut self, ms: Millis) {
        let until = self.now + ms;
        while let Some((at, token)) = self.timers.first().copied().filter(|(at, _)| *at <= until) {
            self.timers.pop_first();
            self.now = self.now.max(at);
            self.input(Input::Timer { token });
        }
        self.now = until;
    }

    /// What the request was told; `None` while it waits.
    #[track_caller]
    pub(super) fn told(&self, token: u64) -> Option<Told> {
        let told = self.replies.get(&token)?;
        assert_eq!(told.len(), 1, "one reply: {told:?}");
        told.first().cloned()
    }

    /// A bet that is placed, written and being asked for.
    pub(super) fn asking() -> (Self, u64) {
        let mut script = Self::betting();
        let token = script.ask(Ask::Place(place()));
        script.applied();
        assert_eq!(script.calls.len(), 1);
        (script, token)
    }
}

pub(super) fn said(record: &Append) -> BetSaid {
    BetEvent::decode(&record.value).unwrap().said
}

/// The hold answer in what was appended.
#[track_caller]
pub(super) fn answer(said: BetSaid) -> HoldAnswer {
    match said {
        BetSaid::Answer { answer, content, .. } => {
            assert_eq!(content, place().bet(0).content_hash());
            answer
        }
        BetSaid::Intent(_)
        | BetSaid::Cancel { .. }
        | BetSaid::Marker(_)
        | BetSaid::Tick
        | BetSaid::Thaw { .. } => panic!("not an answer: {said:?}"),
    }
}
