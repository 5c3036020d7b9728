//! When a result is drawn, and when not.

use super::*;
use crate::simple::event::{GAME, drawing, offer};
use bytes::Bytes;
use runtime::RecordHeaders;
use runtime::Topic;
use schemas::catalogue::ROUNDS;
use schemas::rounds::Verdict;

const PARTITIONS: Partitions = Partitions { rounds: 1, lanes: 1, cases: 1 };
const SOURCE: Source = Source { topic: Topic(ROUNDS), partition: 0 };

/// A drawer, the log it writes to, and what it waits for; the test is the herald and the coin.
struct Desk {
    drawer: Drawer,
    log: Vec<RoundEvent>,
    /// The end of the partition, at least.
    end: u64,
    throws: Vec<u64>,
    failing: bool,
    timers: Vec<u64>,
}

impl Desk {
    fn behind(end: u64) -> Self {
        let tails = vec![Tail { source: SOURCE, from: 0, end }];
        let drawer = Drawer::new(DrawOptions { partitions: PARTITIONS, tails });
        let (log, throws, timers) = Default::default();
        Self { drawer, log, end, throws, failing: false, timers }
    }

    fn handle(&mut self, input: Input<Drawer>) {
        for effect in self.drawer.handle(1_000, input) {
            match effect {
                Effect::Call { token, call: Throw } => self.throws.push(token),
                Effect::Timer { token, .. } => self.timers.push(token),
                Effect::Apply { token, .. } if self.failing => {
                    let error = EngineError::Unavailable("away".to_owned());
                    self.handle(Input::Failed { token, error });
                }
                Effect::Apply { token, batch } => {
                    for append in batch.records.into_iter().flatten() {
                        let event = RoundEvent::decode(&append.value).unwrap();
                        self.append(event);
                    }
                    self.handle(Input::Applied { token });
                }
                Effect::Load { .. }
                | Effect::Peek { .. }
                | Effect::Reply { .. }
                | Effect::Alarm(_) => {
                    panic!("the drawer does none of these")
                }
            }
        }
    }

    fn append(&mut self, event: RoundEvent) {
        let offset = u64::try_from(self.log.len()).unwrap();
        let value = outgoing::round(&event, PARTITIONS).unwrap().into_parts().4.into();
        self.log.push(event);
        let key = Bytes::new();
        let record =
            Record { offset, appended_at: 0, key, headers: RecordHeaders::default(), value };
        let end = self.end.max(offset + 1);
        self.handle(Input::Records { source: SOURCE, records: vec![record], end });
    }

    /// Says something, and admits it.
    fn admit(&mut self, actor: &str, said: RoundSaid, version: u32) {
        let judged = u64::try_from(self.log.len()).unwrap();
        let request = format!("q{judged}").parse().unwrap();
        let event = RoundEvent {
            round: "e".parse().unwrap(),
            request,
            actor: actor.to_owned(),
            said_at: 1,
            said,
        };
        self.append(event.clone());
        self.verdict(event, judged, version);
    }

    /// Says a result too early.
    fn refuse_early(&mut self) {
        let judged = u64::try_from(self.log.len()).unwrap();
        let (round, request) = ("e".parse().unwrap(), "early".parse().unwrap());
        let event =
            RoundEvent { round, request, actor: "desk".to_owned(), said_at: 1, said: result() };
        self.append(event.clone());
        let refused = Some(NOT_SEALED.to_owned());
        let verdict = Verdict { judged, kind: event.kind(), refused, number: 0, version: 0 };
        self.append(RoundEvent { said: RoundSaid::Verdict(verdict), ..event });
    }

    fn verdict(&mut self, event: RoundEvent, judged: u64, version: u32) {
        let kind = event.kind();
        let verdict = Verdict { judged, kind, refused: None, number: 0, version };
        self.append(RoundEvent { said: RoundSaid::Verdict(verdict), ..event });
    }

    fn open(&mut self, actor: &str) {
        let opened = Opened {
            game: GAME.to_owned(),
            rules_version: 1,
            offers: offer("1.50".parse().unwrap()).unwrap(),
            closes_at: 5_000,
            grace_ms: 200,
        };
        self.admit(actor, RoundSaid::Opened(opened), 0);
    }

    fn seal(&mut self) {
        for said in [RoundSaid::Closing, RoundSaid::Closed, RoundSaid::Sealed] {
            self.admit("herald", said, 0);
        }
    }

    fn thrown(&mut self, first: bool) {
        let token = self.throws.pop().expect("a throw");
        self.handle(Input::Answered { token, answer: first });
    }

    /// The results in the log.
    fn results(&self) -> Vec<String> {
        let outcomes = self.log.iter().filter_map(|event| {
            let RoundSaid::Version { outcome: Outcome::Game(outcome), .. } = &event.said else {
                return None;
            };
            Some(outcome.clone())
        });
        outcomes.collect()
    }
}

fn result() -> RoundSaid {
    let outcome = Outcome::Game(SECOND.to_owned());
    RoundSaid::Version { replaces: 0, outcome, reason: String::new() }
}

#[test]
fn drawn_once_and_only_behind_sealed() {
    let mut desk = Desk::behind(0);
    desk.open(&drawing("desk"));
    for said in [RoundSaid::Closing, RoundSaid::Closed] {
        desk.admit("herald", said, 0);
        assert!(desk.throws.is_empty());
    }
    desk.admit("herald", RoundSaid::Sealed, 0);
    desk.thrown(true);
    assert_eq!(desk.results(), [FIRST]);
    let (event, judged) = (desk.log.last().unwrap().clone(), desk.log.len() - 1);
    assert_eq!((event.actor.as_str(), event.request.as_str()), (ACTOR, "auto_result-e"));
    desk.verdict(event, u64::try_from(judged).unwrap(), 1);
    assert!(desk.throws.is_empty());
    // A withdrawal asks for no new draw.
    let taken =
        RoundSaid::Version { replaces: 1, outcome: Outcome::Withdrawn, reason: String::new() };
    desk.admit("desk", taken, 2);
    assert!(desk.throws.is_empty());
}

/// Whoever ends betting by a result has time to say it again; if it never comes, one is drawn.
#[test]
fn somebody_else_goes_first() {
    for comes in [true, false] {
        let mut desk = Desk::behind(0);
        desk.open(&drawing("desk"));
        desk.refuse_early();
        desk.seal();
        assert!(desk.throws.is_empty());
        let token = desk.timers.pop().expect("a timer");
        if comes {
            desk.admit("desk", result(), 1);
        }
        desk.handle(Input::Timer { token });
        assert_eq!(desk.throws.len(), usize::from(!comes));
        if !comes {
            desk.thrown(true);
            assert_eq!(desk.results().last().unwrap(), FIRST);
        }
    }
}

#[test]
fn only_what_was_opened_to_be_drawn() {
    let mut desk = Desk::behind(0);
    desk.open("desk");
    desk.seal();
    assert!(desk.throws.is_empty());
}

#[test]
fn a_result_that_stands_is_not_drawn() {
    let mut desk = Desk::behind(0);
    desk.open(&drawing("desk"));
    desk.seal();
    desk.admit("desk", result(), 1);
    desk.thrown(true);
    assert_eq!(desk.results(), [SECOND]);
}

/// A drawer that begins again reads to the end first: the result may stand there.
#[test]
fn a_restart_draws_what_was_left() {
    for said in [true, false] {
        let mut desk = Desk::behind(if said { 10 } else { 8 });
        desk.open(&drawing("desk"));
        desk.seal();
        if said {
            assert!(desk.throws.is_empty());
            desk.admit("desk", result(), 1);
        }
        assert_eq!(desk.throws.len(), usize::from(!said));
    }
}

#[test]
fn a_failed_append_is_made_again_with_the_same_result() {
    let mut desk = Desk::behind(0);
    desk.failing = true;
    desk.open(&drawing("desk"));
    desk.seal();
    desk.thrown(true);
    assert!(desk.results().is_empty());
    desk.failing = false;
    let token = desk.timers.pop().expect("a timer");
    desk.handle(Input::Timer { token });
    assert_eq!(desk.results(), [FIRST]);
}
