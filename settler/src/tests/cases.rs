//! What looks wrong opens a case, once it is certain; every case is told, in order, until it is taken.

use super::{Lane, bet};
use crate::{Cases, CasesOptions, SuspicionRules, Tell, Told};
use runtime::machine::{Alarm, Effect, Input, Machine};
use runtime::{Fact, Millis, Record, RecordHeaders, Source, Topic};
use schemas::catalogue::{BETS, CASES, ROUNDS};
use schemas::frame;
use schemas::outgoing::Partitions;
use schemas::rounds::{Offer, Opened, Outcome, RoundEvent, RoundSaid, Verdict};
use schemas::wire::{CaseRecord, RoundKind};

const RULES: SuspicionRules =
    SuspicionRules { overdue_ms: 60_000, payout_percent_max: 200, bets_min: 2 };
const LOOK_MS: Millis = 5_000;

/// The machine with a log of rounds and what it asked for.
struct Desk {
    machine: Cases,
    /// The round that is spoken of.
    of: &'static str,
    rounds: u64,
    cases: Vec<CaseRecord>,
    offsets: [u64; 2],
    calls: Vec<CaseRecord>,
    loads: Vec<u32>,
    timers: Vec<Millis>,
    alarms: Vec<Alarm>,
}

impl Desk {
    fn new() -> Self {
        let machine = Cases::new(CasesOptions {
            partition: 0,
            from_rounds: 0,
            from_cases: 0,
            partitions: Partitions::EMBEDDED,
            rules: RULES,
        });
        Self {
            machine,
            of: "r1",
            rounds: 0,
            cases: Vec::new(),
            offsets: [0, 0],
            calls: Vec::new(),
            loads: Vec::new(),
            timers: Vec::new(),
            alarms: Vec::new(),
        }
    }

    fn feed(&mut self, now: Millis, input: Input<Cases>) {
        for effect in self.machine.handle(now, input) {
            match effect {
                Effect::Apply { token, batch } => {
                    let records = batch.records.into_iter().flatten();
                    self.cases.extend(records.map(|record| frame::decode(&record.value).unwrap()));
                    for stored in batch.offsets {
                        let which = usize::from(stored.source.topic.0 == CASES);
                        self.offsets[which] = stored.offset;
                    }
                    self.feed(now, Input::Applied { token });
                }
                Effect::Call { call: Tell { case }, .. } => self.calls.push(case),
                Effect::Load { scope, .. } => {
                    assert_eq!((scope.group.as_str(), scope.topic.0), ("r1", BETS));
                    self.loads.push(scope.partition);
                }
                Effect::Timer { at, .. } => self.timers.push(at),
                Effect::Alarm(alarm) => self.alarms.push(alarm),
                Effect::Peek { .. } | Effect::Reply { .. } => panic!("{effect:?}"),
            }
        }
    }

    fn record(&mut self, topic: &'static str, offset: u64, value: Vec<u8>, now: Millis) {
        let source = Source { topic: Topic(topic), partition: 0 };
        let (key, headers) = (Default::default(), RecordHeaders::default());
        let record = Record { offset, appended_at: 0, key, headers, value: value.into() };
        self.feed(now, Input::Records { source, records: vec![record], end: offset + 1 });
    }

    fn event(&mut self, actor: &str, said_at: Millis, said: RoundSaid) -> u64 {
        let request = format!("q-{}", self.rounds).parse().unwrap();
        let round = self.of.parse().unwrap();
        let event = RoundEvent { round, request, actor: actor.to_owned(), said_at, said };
        self.record(ROUNDS, self.rounds, event.encode().unwrap(), said_at);
        self.rounds += 1;
        self.rounds - 1
    }

    /// Something said, and the herald's word on it.
    fn say(
        &mut self,
        actor: &str,
        at: Millis,
        said: RoundSaid,
        version: u32,
        refused: Option<&str>,
    ) {
        let judged = self.event(actor, at, said);
        let refused = refused.map(ToOwned::to_owned);
        let verdict = Verdict { judged, kind: RoundKind::Result, refused, number: 0, version };
        self.event("herald", at, RoundSaid::Verdict(verdict));
    }

    /// A round that was closed at 20,000.
    fn closed(&mut self) {
        let offers = ["odd", "even"].map(|selection| Offer {
            selection: selection.parse().unwrap(),
            odds: schemas::Odds::new(250).unwrap(),
        });
        let opened = Opened {
            game: "die".to_owned(),
            rules_version: 1,
            offers: offers.to_vec(),
            closes_at: 20_000,
            grace_ms: 1_000,
        };
        self.say("feed", 1_000, RoundSaid::Opened(opened), 0, None);
        self.say("herald", 20_000, RoundSaid::Closed, 0, None);
    }

    fn result(
        &mut self,
        actor: &str,
        at: Millis,
        outcome: Outcome,
        version: u32,
        refused: Option<&str>,
    ) {
        let replaces = if refused.is_some() { 0 } else { version - 1 };
        let said = RoundSaid::Version { replaces, outcome, reason: "seen again".to_owned() };
        self.say(actor, at, said, version, refused);
    }

    fn codes(&self) -> Vec<&str> {
        self.cases.iter().map(|case| case.code.as_str()).collect()
    }
}

fn game(outcome: &str) -> Outcome {
    Outcome::Game(outcome.to_owned())
}

#[test]
fn a_result_that_is_missing_for_long_is_a_case_once() {
    let mut desk = Desk::new();
    desk.closed();
    assert_eq!(desk.timers, [80_000]);
    assert_eq!(desk.offsets, [0, 0], "the round is read again after a restart");
    desk.feed(79_999, Input::Timer { token: 0 });
    assert!(desk.cases.is_empty());
    desk.feed(80_000, Input::Timer { token: 0 });
    desk.feed(200_000, Input::Timer { token: 0 });
    assert_eq!(desk.codes(), ["result_overdue"]);
    assert_eq!(desk.cases[0].text, "r1 closed 60 s ago and has no result");
    assert_eq!(desk.alarms.len(), 1);

    let mut punctual = Desk::new();
    punctual.closed();
    punctual.result("feed", 30_000, Outcome::Voided, 1, None);
    punctual.feed(300_000, Input::Timer { token: 0 });
    assert!(punctual.cases.is_empty());
    assert_eq!(punctual.offsets, [punctual.rounds, 0], "nothing is left to watch");
}

#[test]
fn two_who_differ_are_a_case_and_who_repeats_is_none() {
    let mut desk = Desk::new();
    desk.closed();
    desk.result("feed", 30_000, game("4"), 1, None);
    let conflict = Some("version_conflict");
    desk.result("other", 30_100, game("4"), 1, conflict);
    desk.result("feed", 30_200, game("5"), 1, conflict);
    desk.result("other", 30_300, game("5"), 1, Some("not_sealed"));
    assert!(desk.cases.is_empty());
    desk.result("other", 30_400, game("5"), 1, conflict);
    assert_eq!(desk.codes(), ["results_differ"]);
    assert_eq!(desk.cases[0].text, "other says 5 of r1, and version 1 by feed says 4");
    assert_eq!(desk.cases[0].round_id.as_deref(), Some("r1"));
}

#[test]
fn a_result_taken_back_is_a_case() {
    let mut desk = Desk::new();
    desk.closed();
    desk.result("feed", 30_000, game("4"), 1, None);
    desk.result("desk", 40_000, Outcome::Withdrawn, 2, None);
    assert_eq!(desk.codes(), ["result_withdrawn"]);
    assert_eq!(desk.cases[0].text, "desk took the result of r1 back: seen again");
}

/// Facts of a partition with two accepted bets on `odd` at 2.50 and, where a version is given, its marker.
fn facts(outcome: Option<&str>) -> Vec<Fact> {
    let mut lane = Lane::default();
    lane.open();
    for name in ["a", "b"] {
        lane.held(&bet(name, "odd"));
    }
    lane.close();
    if let Some(outcome) = outcome {
        lane.version(1, game(outcome));
    }
    let mut settler = lane.settler();
    lane.run(&mut settler, 100);
    lane.facts.iter().map(|(key, body)| Fact { key: key.clone(), body: body.clone() }).collect()
}

/// A timer that has come would come again and again, as long as the store takes to answer.
#[test]
fn nothing_wakes_it_while_it_looks() {
    let mut desk = Desk::new();
    for round in ["r1", "r2"] {
        desk.of = round;
        desk.closed();
        desk.result("feed", 30_000, game("3"), 1, None);
    }
    desk.feed(35_000, Input::Timer { token: 0 });
    assert_eq!(desk.loads, [0]);
    let timers = desk.timers.len();
    desk.feed(35_001, Input::Timer { token: 0 });
    assert_eq!((desk.loads.as_slice(), desk.timers.len()), (&[0][..], timers));
}

/// The bets of every partition, once their settlers have come to the version: 250% of the stakes is above 200.
#[test]
fn payouts_far_above_the_stakes_are_a_case_once_all_bets_are_there() {
    for (outcome, bets, codes) in
        [("3", 2, vec!["payout_out_of_range_EUR"]), ("4", 2, vec![]), ("3", 0, vec![])]
    {
        let mut desk = Desk::new();
        desk.closed();
        desk.result("feed", 30_000, game(outcome), 1, None);
        assert_eq!(desk.timers.last(), Some(&(30_000 + LOOK_MS)));
        let held = desk.offsets;
        desk.feed(35_000, Input::Timer { token: 0 });
        assert_eq!(desk.loads, [0]);
        // This one has not come so far: everything is read again later.
        desk.feed(35_000, Input::Loaded { token: 0, facts: facts(None) });
        desk.feed(39_999, Input::Timer { token: 0 });
        assert_eq!(desk.loads, [0]);
        desk.feed(40_000, Input::Timer { token: 0 });
        let lanes = Partitions::EMBEDDED.lanes;
        for lane in 0..lanes {
            assert_eq!(desk.loads.last(), Some(&lane));
            assert_eq!(desk.offsets, held, "it is read again after a restart");
            let full = facts(Some(outcome));
            let is_first = lane == 0 && bets == 2;
            let only_markers = |fact: &Fact| is_first || fact.key.kind == "marker";
            let found = full.into_iter().filter(only_markers).collect();
            desk.feed(40_000, Input::Loaded { token: 0, facts: found });
        }
        assert_eq!(desk.codes(), codes, "{outcome} with {bets} bets");
        assert_eq!(desk.offsets, [desk.rounds, 0]);
        if let Some(case) = desk.cases.first() {
            assert_eq!(case.text, "version 1 of r1 pays 250% of the stakes of 2 bets in EUR");
        }
    }
}

fn a_case(name: &str) -> Vec<u8> {
    let case_id = name.to_owned();
    frame::encode(&CaseRecord { case_id, step: 1, ..CaseRecord::default() }).unwrap()
}

#[test]
fn cases_are_told_in_order_until_they_are_taken() {
    let mut desk = Desk::new();
    desk.record(CASES, 0, a_case("a"), 1_000);
    desk.record(CASES, 1, a_case("b"), 1_000);
    desk.record(CASES, 2, b"nonsense".to_vec(), 1_000);
    desk.record(CASES, 3, a_case("c"), 1_000);
    let not = || Told::Not("away".to_owned());
    let answered = |answer| Input::Answered { token: 0, answer };
    let told = |desk: &Desk| desk.calls.iter().map(|case| case.case_id.clone()).collect::<Vec<_>>();
    assert_eq!(told(&desk), ["a"], "one at a time");
    desk.feed(1_500, answered(not()));
    assert_eq!(desk.timers, [2_500]);
    desk.feed(2_499, Input::Timer { token: 0 });
    assert_eq!(told(&desk), ["a"]);
    desk.feed(2_500, Input::Timer { token: 0 });
    desk.feed(2_600, answered(not()));
    assert_eq!(desk.timers.last(), Some(&4_600), "twice as long");
    assert_eq!(desk.offsets, [0, 0]);
    assert_eq!(desk.alarms.len(), 1, "one alarm for one case");
    desk.feed(4_600, Input::Timer { token: 0 });
    desk.feed(4_700, answered(Told::Taken));
    assert_eq!(
        (told(&desk), desk.offsets),
        (vec!["a".into(), "a".into(), "a".into(), "b".into()], [0, 1])
    );
    desk.feed(4_800, answered(Told::Taken));
    assert_eq!((told(&desk).last().cloned(), desk.offsets), (Some("c".into()), [0, 3]));
    desk.feed(4_900, answered(Told::Taken));
    assert_eq!(desk.offsets, [0, 4]);
}

#[test]
fn that_a_partner_asked_to_be_told_again_is_told_nobody() {
    let mut desk = Desk::new();
    let asked = CaseRecord { code: "replay_asked".to_owned(), step: 1, ..CaseRecord::default() };
    desk.record(CASES, 0, frame::encode(&asked).unwrap(), 1_000);
    assert_eq!((desk.calls.len(), desk.offsets), (0, [0, 1]));
    desk.record(CASES, 1, a_case("a"), 1_000);
    assert_eq!(desk.calls.len(), 1);
}

#[test]
fn a_case_that_nobody_takes_for_a_day_is_left_to_the_topic() {
    let day = 24 * 60 * 60 * 1_000;
    let mut desk = Desk::new();
    desk.record(CASES, 0, a_case("a"), 0);
    desk.record(CASES, 1, a_case("b"), 0);
    let not = || Input::Answered { token: 0, answer: Told::Not("away".to_owned()) };
    desk.feed(0, not());
    desk.feed(day - 1, Input::Timer { token: 0 });
    desk.feed(day - 1, not());
    assert_eq!(desk.offsets, [0, 0]);
    desk.feed(2 * day, Input::Timer { token: 0 });
    desk.feed(2 * day, not());
    assert_eq!(desk.offsets, [0, 1]);
    assert_eq!(desk.calls.last().unwrap().case_id, "b");
    assert!(desk.alarms.last().unwrap().text.contains("left to the topic"));
}
