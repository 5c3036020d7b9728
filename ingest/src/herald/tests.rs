//! The fold by table, and the herald on scripted partitions with every effect performed at once.

use super::{Fold, Herald, Judgement, RoundRules, TICK_MS};
use runtime::machine::{Effect, Input, Machine};
use runtime::{Append, Fact, Record, RecordHeaders, Step};
use schemas::bets::{BetEvent, BetSaid, MarkerBody};
use schemas::catalogue::{BETS, ROUNDS};
use schemas::facts::ACT;
use schemas::frame;
use schemas::outgoing::Partitions;
use schemas::proposal;
use schemas::rounds::{Offer, Opened, Outcome, RoundEvent, RoundSaid};
use schemas::wire::ActRecord;
use schemas::{ContentHash, Odds, Selection};

const CLOSES_AT: i64 = 20_000;
const GRACE_MS: i64 = 1_500;

fn known_game(opened: &Opened, _said_at: i64) -> Result<(), &'static str> {
    if opened.game == "die" { Ok(()) } else { Err("unknown_game") }
}

fn one_to_six(_: &str, _: &[Selection], outcome: &Outcome) -> Result<(), &'static str> {
    match outcome {
        Outcome::Game(face) if ["1", "2", "3", "4", "5", "6"].contains(&face.as_str()) => Ok(()),
        Outcome::Game(_) => Err("unknown_outcome"),
        Outcome::Named { .. } | Outcome::Withdrawn | Outcome::Voided => Ok(()),
    }
}

fn rules() -> RoundRules {
    RoundRules { check_opened: known_game, check_outcome: one_to_six }
}

fn said(request: &str, said_at: i64, said: RoundSaid) -> RoundEvent {
    let (round, actor) = ("r1".parse().unwrap(), "feed".to_owned());
    RoundEvent { round, request: request.parse().unwrap(), actor, said_at, said }
}

fn opened(request: &str, game: &str) -> RoundEvent {
    let offers = ["odd", "even"].map(|selection| Offer {
        selection: selection.parse().unwrap(),
        odds: Odds::new(200).unwrap(),
    });
    let opened = Opened {
        game: game.to_owned(),
        rules_version: 1,
        offers: offers.to_vec(),
        closes_at: CLOSES_AT,
        grace_ms: GRACE_MS,
    };
    said(request, 1_000, RoundSaid::Opened(opened))
}

fn result(request: &str, replaces: u32, face: &str) -> RoundEvent {
    version(request, replaces, Outcome::Game(face.to_owned()))
}

fn version(request: &str, replaces: u32, outcome: Outcome) -> RoundEvent {
    said(request, 30_000, RoundSaid::Version { replaces, outcome, reason: String::new() })
}

fn amended(selection: &str) -> RoundEvent {
    let odds = Odds::new(300).unwrap();
    let offers = vec![Offer { selection: selection.parse().unwrap(), odds }];
    said("amend", 2_000, RoundSaid::Amended { offers, closes_at: None })
}

/// Judges a story, and compares each verdict: `number/version` of an admitted record, or the code.
#[track_caller]
fn check(story: Vec<(RoundEvent, &str)>) {
    let mut fold = Fold::new(rules());
    for (offset, (event, wanted)) in (0..).zip(story) {
        let told = match fold.judge(offset, &event) {
            Judgement::Admitted(admitted) => format!("{}/{}", admitted.number, admitted.version),
            Judgement::Again(admitted) => format!("again {}/{}", admitted.number, admitted.version),
            Judgement::Refused(code) => code.to_owned(),
        };
        assert_eq!(told, wanted, "offset {offset}: {event:?}");
    }
}

fn closing() -> RoundEvent {
    said("closing", 20_000, RoundSaid::Closing)
}

fn closed() -> RoundEvent {
    said("closed", 21_500, RoundSaid::Closed)
}

fn sealed() -> RoundEvent {
    said("sealed", 21_600, RoundSaid::Sealed)
}

#[test]
fn a_round_from_opened_to_corrected() {
    check(vec![
        (opened("o", "die"), "1/0"),
        (amended("odd"), "0/0"),
        (closing(), "0/0"),
        (amended("even"), "request_reused"),
        (closed(), "2/0"),
        (sealed(), "0/0"),
        (result("v1", 0, "4"), "3/1"),
        (result("v2", 1, "5"), "4/2"),
        (version("v3", 2, Outcome::Withdrawn), "5/3"),
        (version("v4", 3, Outcome::Withdrawn), "nothing_to_withdraw"),
        (version("v5", 3, Outcome::Voided), "6/4"),
        (result("v6", 4, "1"), "7/5"),
    ]);
}

#[test]
fn the_first_in_the_log_wins_and_the_rest_are_refused() {
    check(vec![
        (closing(), "round_unknown"),
        (opened("o", "chess"), "unknown_game"),
        (opened("o", "die"), "1/0"),
        (opened("o", "die"), "again 1/0"),
        (opened("o2", "die"), "round_exists"),
        (amended("seven"), "selection_unknown"),
        (closed(), "not_closing"),
        (sealed(), "not_closed"),
        (result("early", 0, "4"), "not_sealed"),
        // Never a result, and no reason to end betting.
        (result("early-bad", 0, "7"), "unknown_outcome"),
        (result("early-later", 1, "4"), "version_conflict"),
        (version("early-back", 0, Outcome::Withdrawn), "nothing_to_withdraw"),
        (closing(), "0/0"),
        (said("other", 20_001, RoundSaid::Closing), "not_betting"),
        (amended("odd"), "not_betting"),
        (closed(), "2/0"),
        (result("early", 0, "4"), "not_sealed"),
        (sealed(), "0/0"),
        (result("bad", 0, "7"), "unknown_outcome"),
        (result("a", 0, "4"), "3/1"),
        (result("b", 0, "5"), "version_conflict"),
        (result("a", 0, "4"), "again 3/1"),
        (result("a", 0, "6"), "request_reused"),
    ]);
}

/// A step of the proposal called `name`, by `actor`.
fn step(step: proposal::Step, name: &str, actor: &str, said: RoundSaid) -> RoundEvent {
    let (round, request) = ("r1".parse().unwrap(), step.request(ContentHash::of(&[name])));
    RoundEvent { round, request, actor: actor.to_owned(), said_at: 40_000, said }
}

fn proposed(name: &str, actor: &str, replaces: u32, face: &str) -> RoundEvent {
    let (outcome, reason) = (Outcome::Game(face.to_owned()), "misread".to_owned());
    step(proposal::Step::Proposed, name, actor, RoundSaid::Proposed { replaces, outcome, reason })
}

fn approved(name: &str, actor: &str, replaces: u32, face: &str) -> RoundEvent {
    let (outcome, reason) = (Outcome::Game(face.to_owned()), "misread".to_owned());
    step(proposal::Step::Approved, name, actor, RoundSaid::Version { replaces, outcome, reason })
}

fn rejected(name: &str, actor: &str) -> RoundEvent {
    step(proposal::Step::Rejected, name, actor, RoundSaid::Rejected { reason: "right".to_owned() })
}

/// A proposal is no marker and no version; it becomes one by the word of somebody else, once.
#[test]
fn a_correction_takes_two() {
    check(vec![
        (opened("open", "die"), "1/0"),
        (proposed("a", "ann", 0, "5"), "version_conflict"),
        (closing(), "0/0"),
        (closed(), "2/0"),
        (sealed(), "0/0"),
        (proposed("a", "ann", 1, "5"), "version_conflict"),
        (result("r", 0, "3"), "3/1"),
        (approved("a", "ben", 1, "5"), "proposal_unknown"),
        (proposed("a", "ann", 1, "7"), "unknown_outcome"),
        (proposed("a", "ann", 1, "5"), "0/1"),
        (proposed("a", "cleo", 1, "5"), "again 0/1"),
        (proposed("b", "ben", 1, "6"), "0/1"),
        (approved("a", "ann", 1, "5"), "same_operator"),
        (approved("a", "ben", 1, "6"), "proposal_differs"),
        (approved("a", "ben", 1, "5"), "4/2"),
        (approved("a", "cleo", 1, "5"), "again 4/2"),
        (rejected("a", "ben"), "proposal_closed"),
        (approved("b", "ann", 1, "6"), "version_conflict"),
        (rejected("b", "ben"), "0/2"),
        (rejected("b", "ann"), "again 0/2"),
        (approved("b", "ann", 1, "6"), "proposal_closed"),
        (rejected("c", "ben"), "proposal_unknown"),
        // A request that is no step says a version by itself, and a version cannot go by another step's name.
        (result("direct", 2, "6"), "5/3"),
        (step(proposal::Step::Proposed, "d", "ann", result("x", 3, "1").said), "proposal_unknown"),
        (
            step(proposal::Step::Approved, "d", "ann", proposed("d", "ann", 3, "1").said),
            "proposal_unknown",
        ),
        (step(proposal::Step::Approved, "d", "ann", rejected("d", "ann").said), "proposal_unknown"),
    ]);
}

/// H11 with a feed that repeats its first result after the correction: it stays version 1.
#[test]
fn a_repeated_first_result_is_not_version_3() {
    check(vec![
        (opened("o", "die"), "1/0"),
        (closing(), "0/0"),
        (closed(), "2/0"),
        (sealed(), "0/0"),
        (result("first", 0, "4"), "3/1"),
        (result("second", 1, "5"), "4/2"),
        (result("first", 0, "4"), "again 3/1"),
        (result("first-again", 0, "4"), "version_conflict"),
    ]);
}

#[test]
fn corrections_end_thirty_days_after_the_first_result() {
    let mut late = result("late", 1, "5");
    late.said_at += super::CORRECTION_MS_MAX;
    let mut too_late = late.clone();
    too_late.said_at += 1;
    check(vec![
        (opened("o", "die"), "1/0"),
        (closing(), "0/0"),
        (closed(), "2/0"),
        (sealed(), "0/0"),
        (result("first", 0, "4"), "3/1"),
        (too_late, "too_late"),
        (late, "4/2"),
    ]);
}

/// A `rounds` partition, the store, and what was written elsewhere, in the order it became durable.
#[derive(Default)]
struct Desk {
    log: Vec<Record>,
    facts: Vec<Fact>,
    bets: Vec<Vec<Append>>,
    stored: u64,
    now: i64,
    timers: Vec<(i64, u64)>,
    alarms: Vec<&'static str>,
}

impl Desk {
    fn append(&mut self, value: bytes::Bytes) {
        let offset = u64::try_from(self.log.len()).unwrap();
        let (key, headers) = (bytes::Bytes::new(), RecordHeaders::default());
        self.log.push(Record { offset, appended_at: 0, key, headers, value });
    }

    fn say(&mut self, event: &RoundEvent) {
        self.append(event.encode().unwrap().into());
    }

    fn herald(&self) -> Herald {
        Herald::new(1, Partitions::EMBEDDED, rules(), self.stored)
    }

    /// Feeds what is unread until nothing is left, timers up to `now` included.
    fn run(&mut self, herald: &mut Herald) {
        let (source, _) = herald.sources()[0];
        loop {
            let from = usize::try_from(herald.read_to).unwrap();
            let end = u64::try_from(self.log.len()).unwrap();
            if from < self.log.len() {
                let records = self.log[from..].to_vec();
                self.feed(herald, Input::Records { source, records, end });
                continue;
            }
            let due = self.timers.iter().position(|(at, _)| *at <= self.now);
            let Some(index) = due else { return };
            let (_, token) = self.timers.remove(index);
            self.feed(herald, Input::Timer { token });
        }
    }

    fn feed(&mut self, herald: &mut Herald, input: Input<Herald>) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for effect in herald.handle(self.now, input) {
                match effect {
                    Effect::Load { token, scope } => {
                        let facts = self.facts.iter().filter(|fact| fact.key.scope == scope);
                        inputs.push(Input::Loaded { token, facts: facts.cloned().collect() });
                    }
                    Effect::Apply { token, batch } => {
                        for step in batch.steps() {
                            self.step(step);
                        }
                        inputs.push(Input::Applied { token });
                    }
                    Effect::Timer { token, at } => self.timers.push((at, token)),
                    Effect::Alarm(alarm) => self.alarms.push(alarm.name),
                    Effect::Peek { .. } | Effect::Call { .. } | Effect::Reply { .. } => {
                        panic!("not from a herald")
                    }
                }
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Facts(facts) => self.facts.extend(facts),
            Step::Offsets(offsets) => self.stored = offsets[0].offset,
            Step::Records(records) => {
                let (rounds, bets): (Vec<_>, Vec<_>) =
                    records.into_iter().partition(|append| append.topic.0 == ROUNDS);
                if !bets.is_empty() {
                    self.bets.push(bets);
                }
                for append in rounds {
                    self.append(append.value);
                }
            }
        }
    }

    /// The markers of one partition of `bets`, by kind.
    fn markers(&self, partition: u32) -> Vec<String> {
        let of = |append: &&Append| append.topic.0 == BETS && append.partition == partition;
        let name = |append: &Append| {
            let BetSaid::Marker(marker) = BetEvent::decode(&append.value).unwrap().said else {
                panic!("not a marker: {append:?}");
            };
            let kind = match marker.body {
                MarkerBody::Opened { .. } => "opened",
                MarkerBody::Closed => "closed",
                MarkerBody::Version { .. } => "version",
            };
            format!("{} {kind}", marker.number)
        };
        self.bets.iter().flatten().filter(of).map(name).collect()
    }
}

/// The deadline closes betting by itself, `sealed` follows, and every partition gets every marker.
#[test]
fn a_round_closes_at_its_deadline_and_is_sealed() {
    let mut desk = Desk::default();
    let mut herald = desk.herald();
    desk.say(&opened("o", "die"));
    desk.run(&mut herald);
    assert_eq!(desk.stored, 0, "not past the `opened` of a round not yet sealed");
    for now in [CLOSES_AT, CLOSES_AT + GRACE_MS] {
        desk.now = now;
        desk.run(&mut herald);
    }
    desk.say(&result("v1", 0, "4"));
    desk.run(&mut herald);
    for partition in 0..Partitions::EMBEDDED.lanes {
        assert_eq!(desk.markers(partition), ["1 opened", "2 closed", "3 version"]);
    }
    assert_eq!(desk.stored, u64::try_from(desk.log.len()).unwrap());
}

/// A result for an open round closes it at once.
#[test]
fn a_result_for_an_open_round_closes_it() {
    let mut desk = Desk { now: 5_000, ..Desk::default() };
    let mut herald = desk.herald();
    desk.say(&opened("o", "die"));
    desk.say(&result("v1", 0, "4"));
    desk.run(&mut herald);
    desk.now = 5_000 + GRACE_MS;
    desk.run(&mut herald);
    assert_eq!(desk.markers(0), ["1 opened", "2 closed"]);
    desk.say(&result("v1", 0, "4"));
    desk.run(&mut herald);
    assert_eq!(desk.markers(0), ["1 opened", "2 closed", "3 version"]);
}

/// R7: the next marker of a round goes out only behind the copies of the one before.
#[test]
fn markers_of_one_round_never_share_a_wave() {
    let mut desk = Desk::default();
    for event in [opened("o", "die"), closing(), closed(), sealed(), result("v1", 0, "4")] {
        desk.say(&event);
    }
    let mut herald = desk.herald();
    desk.run(&mut herald);
    let lanes = usize::try_from(Partitions::EMBEDDED.lanes).unwrap();
    let waves: Vec<usize> = desk.bets.iter().map(Vec::len).collect();
    assert_eq!(waves, vec![lanes; 3], "one marker, to every partition, in each wave");
}

/// A herald that reads again copies only what has no verdict further on, and takes up the deadline.
#[test]
fn a_takeover_repeats_nothing_that_has_its_verdict() {
    let mut desk = Desk::default();
    let mut first = desk.herald();
    desk.say(&opened("o", "die"));
    desk.run(&mut first);
    let copied = desk.bets.len();
    desk.timers.clear();
    let mut second = desk.herald();
    desk.run(&mut second);
    assert_eq!(desk.bets.len(), copied);
    for now in [CLOSES_AT, CLOSES_AT + GRACE_MS] {
        desk.now = now;
        desk.run(&mut second);
    }
    assert_eq!(desk.markers(3), ["1 opened", "2 closed"]);
}

/// A herald that died between the copies of `closed` and `sealed` leaves a round that is sealed later.
#[test]
fn a_takeover_seals_a_closed_round() {
    let mut desk = Desk::default();
    for event in [opened("o", "die"), closing(), closed()] {
        desk.say(&event);
    }
    let mut first = desk.herald();
    desk.run(&mut first);
    let seals = |desk: &Desk| {
        let said = |record: &Record| RoundEvent::decode(&record.value).unwrap().said;
        desk.log.iter().filter(|record| said(record) == RoundSaid::Sealed).count()
    };
    assert_eq!(seals(&desk), 1);
    desk.log.retain(|record| {
        let event = RoundEvent::decode(&record.value).unwrap();
        event.said != RoundSaid::Sealed && event.request.as_str() != "herald-sealed"
    });
    for (offset, record) in (0..).zip(&mut desk.log) {
        record.offset = offset;
    }
    desk.stored = 0;
    let mut second = desk.herald();
    desk.run(&mut second);
    assert_eq!(seals(&desk), 1);
}

/// A correction a month later finds the round in the store.
#[test]
fn a_round_out_of_memory_is_loaded_from_its_facts() {
    let mut desk = Desk::default();
    for event in [opened("o", "die"), closing(), closed(), sealed(), result("v1", 0, "4")] {
        desk.say(&event);
    }
    let mut first = desk.herald();
    desk.run(&mut first);
    let mut second = desk.herald();
    assert_eq!(second.from, u64::try_from(desk.log.len()).unwrap());
    desk.say(&result("v2", 1, "5"));
    desk.say(&result("v1", 0, "4"));
    desk.run(&mut second);
    assert_eq!(desk.markers(0), ["1 opened", "2 closed", "3 version", "4 version"]);
}

/// What was admitted and cannot be read must not count as never admitted: version 1 would come twice.
#[test]
fn a_fact_that_cannot_be_read_stops_the_herald() {
    let mut desk = Desk::default();
    for event in [opened("o", "die"), closing(), closed(), sealed(), result("v1", 0, "4")] {
        desk.say(&event);
    }
    let mut first = desk.herald();
    desk.run(&mut first);
    let stored = desk.stored;
    desk.facts.last_mut().unwrap().body = bytes::Bytes::from_static(b"nonsense");
    let mut second = desk.herald();
    desk.say(&result("other", 0, "5"));
    desk.run(&mut second);
    assert_eq!(desk.alarms, ["partition_stopped"]);
    assert_eq!(desk.markers(0), ["1 opened", "2 closed", "3 version"]);
    assert_eq!(desk.stored, stored);
}

/// R23: a record that cannot be decoded becomes a fact, and the next one is judged.
#[test]
fn an_unreadable_record_is_a_fact() {
    let mut desk = Desk::default();
    desk.append(bytes::Bytes::from_static(b"nonsense"));
    desk.say(&opened("o", "die"));
    let mut herald = desk.herald();
    desk.run(&mut herald);
    let kinds: Vec<&str> = desk.facts.iter().map(|fact| fact.key.kind).collect();
    assert_eq!(kinds, ["unreadable", "act", "admitted"]);
    assert_eq!(desk.alarms, ["record_unreadable"]);
}

/// Who said what, and what became of it; what the herald says itself is no act.
#[test]
fn what_is_said_is_kept_with_what_became_of_it() {
    let mut desk = Desk::default();
    desk.say(&opened("chess", "chess"));
    desk.say(&opened("o", "die"));
    let mut herald = desk.herald();
    desk.run(&mut herald);
    // The next one, who finds no verdicts, writes the same facts.
    let before = std::mem::take(&mut desk.facts);
    desk.log.truncate(2);
    desk.stored = 0;
    let mut herald = desk.herald();
    desk.run(&mut herald);
    assert_eq!(desk.facts, before);
    desk.say(&said("c", 20_000, RoundSaid::Closing));
    desk.run(&mut herald);
    let acts = desk.facts.iter().filter(|fact| fact.key.kind == ACT);
    let acts = acts.map(|fact| frame::decode::<ActRecord>(&fact.body).unwrap());
    let acts: Vec<_> =
        acts.map(|act| (act.said_at, act.actor, act.what, act.request_id, act.refused)).collect();
    let act = |at, what: &str, request: &str, refused: Option<&str>| {
        let text = str::to_owned;
        (at, text("feed"), text(what), Some(text(request)), refused.map(text))
    };
    assert_eq!(
        acts,
        [
            act(1_000, "opened", "chess", Some("unknown_game")),
            act(1_000, "opened", "o", None),
            act(20_000, "closing", "c", None),
        ]
    );
}

/// R8: one tick in flight per partition, the next a second after the acknowledgement.
#[test]
fn ticks_never_catch_up() {
    let mut herald = Herald::new(0, Partitions::EMBEDDED, rules(), 0);
    let started = herald.start(1_000);
    assert_eq!(started.len(), usize::try_from(Partitions::EMBEDDED.lanes).unwrap());
    let Some(Effect::Apply { token, .. }) = started.into_iter().next() else { panic!() };
    let late = 60_000;
    let next = herald.handle(late, Input::Applied { token });
    let [Effect::Timer { token, at }] = next[..] else { panic!("{next:?}") };
    assert_eq!(at, late + TICK_MS);
    assert_eq!(herald.handle(at, Input::Timer { token }).len(), 1);
}
