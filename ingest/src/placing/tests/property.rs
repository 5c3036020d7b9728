//! Random orders of everything that can happen to a few bets.

use super::script::{
    Script, approved, cancel, decision, declined, money, nothing, options, place, reply, said,
};
use crate::placing::{Ask, AuthorizeCall, Cancel, Place};
use proptest::prelude::*;
use runtime::{EngineError, Input};
use schemas::BetId;
use schemas::bets::BetSaid;
use schemas::decisions::{RejectReason, Verdict};
use schemas::rounds::RoundSaid;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that happens; numbers choose among what is there.
#[derive(Clone, Debug)]
enum Event {
    Place { bet: usize, other_content: bool },
    Cancel { bet: usize, request: u8 },
    Applied { pick: usize },
    Failed { pick: usize, full: bool },
    Answered { pick: usize, kind: u8 },
    Decided { bet: usize, kind: u8, other_content: bool },
    CancelRefused { bet: usize, request: u8 },
    Pass { ms: i64 },
    Closing,
}

fn event() -> impl Strategy<Value = Event> {
    let other = prop::bool::weighted(0.1);
    prop_oneof![
        8 => (0..3_usize, other).prop_map(|(bet, other_content)| Event::Place { bet, other_content }),
        3 => (0..3_usize, 0..2_u8).prop_map(|(bet, request)| Event::Cancel { bet, request }),
        8 => (0..4_usize).prop_map(|pick| Event::Applied { pick }),
        3 => (0..4_usize, any::<bool>()).prop_map(|(pick, full)| Event::Failed { pick, full }),
        8 => (0..4_usize, 0..5_u8).prop_map(|(pick, kind)| Event::Answered { pick, kind }),
        3 => (0..3_usize, 0..4_u8, other)
            .prop_map(|(bet, kind, other_content)| Event::Decided { bet, kind, other_content }),
        1 => (0..3_usize, 0..2_u8).prop_map(|(bet, request)| Event::CancelRefused { bet, request }),
        6 => prop_oneof![Just(1_i64), Just(100), Just(1_500), Just(6_000)]
            .prop_map(|ms| Event::Pass { ms }),
        1 => Just(Event::Closing),
    ]
}

fn bet(index: usize, other_content: bool) -> Place {
    let client_ref = ["a", "b", "c"][index % 3].parse().unwrap();
    let stake = money(if other_content { 5_000 } else { 1_250 });
    Place { client_ref, stake, ..place() }
}

/// What the machine did, compared with what it may do.
struct Watch {
    script: Script,
    requests: Vec<u64>,
    /// Bets whose intent is in the log: only they may be asked for.
    acknowledged: BTreeSet<BetId>,
    bodies: BTreeMap<BetId, Vec<AuthorizeCall>>,
    answers: BTreeMap<BetId, BTreeSet<String>>,
    calls_seen: BTreeSet<u64>,
}

impl Watch {
    fn new() -> Self {
        let mut script = Script::new(options());
        script.open("r_1", 1_500);
        Self {
            script,
            requests: Vec::new(),
            acknowledged: BTreeSet::new(),
            bodies: BTreeMap::new(),
            answers: BTreeMap::new(),
            calls_seen: BTreeSet::new(),
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Place { bet: index, other_content } => {
                let token = self.script.ask(Ask::Place(bet(index, other_content)));
                self.requests.push(token);
            }
            Event::Cancel { bet: index, request } => {
                let token = self.script.ask(Ask::Cancel(cancel_of(index, request)));
                self.requests.push(token);
            }
            Event::Applied { pick } => self.end_append(pick, None),
            Event::Failed { pick, full } => self.end_append(
                pick,
                Some(if full {
                    EngineError::Full(String::new())
                } else {
                    EngineError::Unavailable(String::new())
                }),
            ),
            Event::Answered { pick, kind } => self.end_call(pick, kind),
            Event::Decided { bet: index, kind, other_content } => {
                let verdict = match kind {
                    0 => Verdict::Accepted,
                    1 => Verdict::Rejected(RejectReason::Expired),
                    2 => Verdict::Cancelled("c-0".parse().unwrap()),
                    _ => Verdict::Rejected(RejectReason::Closed),
                };
                self.script.decided(decision(&bet(index, other_content), verdict));
            }
            Event::CancelRefused { bet: index, request } => {
                self.script.refused(&cancel_of(index, request));
            }
            Event::Pass { ms } => self.script.pass(ms),
            Event::Closing => self.script.admitted("r_1", RoundSaid::Closing),
        }
        self.look();
    }

    fn end_append(&mut self, pick: usize, error: Option<EngineError>) {
        if self.script.applies.is_empty() {
            return;
        }
        let (token, record) = self.script.applies.remove(pick % self.script.applies.len());
        let Some(error) = error else {
            if let BetSaid::Intent(intent) = said(&record) {
                self.acknowledged.insert(intent.bet.id);
            }
            return self.script.input(Input::Applied { token });
        };
        self.script.input(Input::Failed { token, error });
    }

    fn end_call(&mut self, pick: usize, kind: u8) {
        if self.script.calls.is_empty() {
            return;
        }
        let (token, call) = self.script.calls.remove(pick % self.script.calls.len());
        self.calls_seen.remove(&token);
        let answer = match kind {
            0 => approved(&call.bet),
            1 => declined(&call.bet, "limit_exceeded"),
            2 => nothing(),
            3 => approved(&place().bet_id()),
            _ => reply(500, "no"),
        };
        self.script.input(Input::Answered { token, answer });
    }

    /// Checks everything that is visible after every single event.
    fn look(&mut self) {
        for (token, told) in &self.script.replies {
            assert_eq!(told.len(), 1, "request {token} was answered twice: {told:?}");
        }
        for (token, call) in &self.script.calls {
            assert!(self.acknowledged.contains(&call.bet), "asked before the intent: {call:?}");
            if self.calls_seen.insert(*token) {
                self.bodies.entry(call.bet.clone()).or_default().push(call.clone());
            }
        }
        for (_, record) in &self.script.applies {
            if let BetSaid::Answer { bet, content, answer, .. } = said(record) {
                let key = format!("{content} {answer:?}");
                self.answers.entry(bet).or_default().insert(key);
            }
        }
    }

    /// Everything pending ends; then nobody waits and nothing is kept.
    fn settle(&mut self) {
        for _ in 0..100 {
            while !self.script.applies.is_empty() {
                self.happen(&Event::Applied { pick: 0 });
            }
            while !self.script.calls.is_empty() {
                self.happen(&Event::Answered { pick: 0, kind: 2 });
            }
            self.happen(&Event::Pass { ms: 1_000 });
        }
        for token in &self.requests {
            assert!(self.script.told(*token).is_some(), "request {token} was never answered");
        }
        let machine = &self.script.machine;
        assert_eq!(machine.in_flight(), 0, "something leaked");
        assert!(machine.flights.is_empty() && machine.cancels.is_empty(), "something leaked");
        assert!(self.script.timers.is_empty());
    }
}

fn cancel_of(index: usize, request: u8) -> Cancel {
    Cancel { bet: bet(index, false).bet_id(), ..cancel(&format!("c-{request}")) }
}

/// How often the bet flew. It may fly again after its waiters gave up, and a lying partner may then say
/// something else: the settler takes the first.
fn flights_of(watch: &Watch, bet: &BetId) -> usize {
    let calls = watch.bodies.get(bet).map(Vec::as_slice).unwrap_or_default();
    calls.iter().filter(|call| call.attempt == 1).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever comes in whatever order: one answer per request, no call before its intent is in the
    /// log, the same bytes at every attempt, one answer per flight, and nothing kept at the end.
    #[test]
    fn any_order_is_right(events in prop::collection::vec(event(), 1..120)) {
        let mut watch = Watch::new();
        for event in &events {
            watch.happen(event);
        }
        watch.settle();
        for (bet, answers) in &watch.answers {
            prop_assert!(answers.len() <= flights_of(&watch, bet), "{bet}: {answers:?}");
        }
        for calls in watch.bodies.values() {
            let mut first = None;
            for call in calls {
                if call.attempt == 1 {
                    first = Some(call);
                }
                let first = first.map(|first| &first.body);
                prop_assert_eq!(first, Some(&call.body));
            }
        }
    }

    /// As long as nobody asks again for a bet that flew before, a bet has one answer.
    #[test]
    fn one_flight_writes_one_answer(kinds in prop::collection::vec((0..5_u8, 0..3_u8), 1..20)) {
        let mut watch = Watch::new();
        watch.happen(&Event::Place { bet: 0, other_content: false });
        watch.happen(&Event::Applied { pick: 0 });
        for (kind, append) in kinds {
            watch.happen(&Event::Answered { pick: 0, kind });
            match append {
                0 => watch.happen(&Event::Applied { pick: 0 }),
                1 => watch.happen(&Event::Failed { pick: 0, full: false }),
                _ => {}
            }
            watch.happen(&Event::Pass { ms: 100 });
        }
        watch.settle();
        let answers = watch.answers.remove(&bet(0, false).bet_id()).unwrap_or_default();
        prop_assert!(answers.len() <= 1, "{answers:?}");
    }
}
