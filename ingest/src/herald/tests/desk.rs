//! The herald on a scripted partition, every effect performed at once.

use super::*;
use crate::herald::{Herald, TICK_MS};
use runtime::machine::{Effect, Input, Machine};
use runtime::{Append, Fact, Record, RecordHeaders, Step};
use schemas::bets::{BetEvent, BetSaid, MarkerBody};
use schemas::catalogue::{BETS, ROUNDS};
use schemas::facts::ACT;
use schemas::frame;
use schemas::outgoing::Partitions;
use schemas::wire::ActRecord;

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
