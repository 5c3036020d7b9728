use super::*;
use bytes::Bytes;
use runtime::{RecordHeaders, Topic};
use schemas::Odds;
use schemas::catalogue::ROUNDS;
use schemas::rounds::{Offer, Opened, Outcome};

const SOURCE: Source = Source { topic: Topic(ROUNDS), partition: 0 };
const PARTITIONS: Partitions = Partitions { rounds: 1, lanes: 4, cases: 1 };

/// A line with the log it writes to; the test is the herald.
struct Desk {
    line: Line,
    now: Millis,
    /// What stands in the log.
    log: Vec<RoundEvent>,
    /// Fails appends with this.
    failing: Option<EngineError>,
    timers: Vec<(Millis, u64)>,
    told: BTreeMap<u64, Told>,
}

impl Desk {
    fn new() -> Self {
        let tails = vec![Tail { source: SOURCE, from: 0, end: 0 }];
        let line = Line::new(LineOptions {
            partitions: PARTITIONS,
            tails,
            verdict_wait_ms_max: 5_000,
            repeat_ms: 200,
            hold_ms_max: 30_000,
        });
        let (log, timers, told) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { line, now: 1_000, log, failing: None, timers, told }
    }

    fn handle(&mut self, input: Input<Line>) {
        for effect in self.line.handle(self.now, input) {
            match effect {
                Effect::Apply { token, batch } => match self.failing.clone() {
                    Some(error) => self.handle(Input::Failed { token, error }),
                    None => {
                        for append in batch.records.into_iter().flatten() {
                            self.append(append.value);
                        }
                        self.handle(Input::Applied { token });
                    }
                },
                Effect::Timer { token, at } => self.timers.push((at, token)),
                Effect::Reply { token, reply } => {
                    assert!(self.told.insert(token, reply).is_none(), "told twice");
                }
                Effect::Load { .. }
                | Effect::Peek { .. }
                | Effect::Call { .. }
                | Effect::Alarm(_) => {
                    panic!("the line does none of these")
                }
            }
        }
    }

    fn append(&mut self, value: Bytes) {
        let offset = u64::try_from(self.log.len()).unwrap();
        self.log.push(RoundEvent::decode(&value).unwrap());
        let key = Bytes::new();
        let record =
            Record { offset, appended_at: 0, key, headers: RecordHeaders::default(), value };
        let end = offset + 1;
        self.handle(Input::Records { source: SOURCE, records: vec![record], end });
    }

    fn say(&mut self, token: u64, request: &str, hold: bool, said: RoundSaid) {
        let event = event(request, self.now, said);
        self.handle(Input::Request { token, request: Ask::Say(Say { event, hold }) });
    }

    /// The herald's word on the record at `judged`.
    fn verdict(&mut self, judged: usize, refused: Option<&str>, version: u32) {
        let event = self.log[judged].clone();
        let said = RoundSaid::Verdict(Verdict {
            judged: u64::try_from(judged).unwrap(),
            kind: event.kind(),
            refused: refused.map(str::to_owned),
            number: 0,
            version,
        });
        self.append(RoundEvent { said, ..event }.encode().unwrap().into());
    }

    /// The herald says `said` and admits it.
    fn herald(&mut self, said: RoundSaid) {
        let mut event = event("herald-own", self.now, said);
        event.actor = HERALD.to_owned();
        self.append(event.encode().unwrap().into());
        self.verdict(self.log.len() - 1, None, 0);
    }

    fn pass(&mut self, ms: i64) {
        self.now += ms;
        let now = self.now;
        let due: Vec<_> = self.timers.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, token) in due {
            self.handle(Input::Timer { token });
        }
    }

    /// The refusal or version told to `token`.
    fn answer(&self, token: u64) -> String {
        match self.told.get(&token) {
            Some(Told::Verdict(judged)) => match &judged.refused {
                Some(code) => code.clone(),
                None => format!("admitted {}", judged.version),
            },
            Some(told) => format!("{told:?}"),
            None => "waits".to_owned(),
        }
    }
}

fn event(request: &str, said_at: Millis, said: RoundSaid) -> RoundEvent {
    let (round, request) = ("r".parse().unwrap(), request.parse().unwrap());
    RoundEvent { round, request, actor: "desk".to_owned(), said_at, said }
}

fn opened(closes_at: i64, odds: i64) -> RoundSaid {
    RoundSaid::Opened(Opened {
        game: "die".to_owned(),
        rules_version: 1,
        offers: vec![Offer { selection: "odd".parse().unwrap(), odds: Odds::new(odds).unwrap() }],
        closes_at,
        grace_ms: 200,
    })
}

fn void() -> RoundSaid {
    RoundSaid::Version { replaces: 0, outcome: Outcome::Voided, reason: "rain".to_owned() }
}

#[test]
fn a_request_waits_for_its_own_verdict() {
    let mut desk = Desk::new();
    desk.say(1, "a", false, opened(9_000, 190));
    desk.say(2, "b", false, opened(9_000, 200));
    assert_eq!(desk.answer(1), "waits");
    desk.verdict(0, None, 0);
    assert_eq!((desk.answer(1).as_str(), desk.answer(2).as_str()), ("admitted 0", "waits"));
    desk.verdict(1, Some("round_exists"), 0);
    assert_eq!(desk.answer(2), "round_exists");
}

#[test]
fn a_repeat_is_answered_at_once_and_other_content_is_refused() {
    let mut desk = Desk::new();
    desk.say(1, "a", false, opened(9_000, 190));
    desk.verdict(0, None, 0);
    desk.say(2, "a", false, opened(9_000, 190));
    desk.say(3, "a", false, opened(9_000, 191));
    assert_eq!(desk.told[&2], desk.told[&1]);
    assert_eq!(desk.told[&3], Told::RequestReused);
    assert_eq!(desk.log.len(), 2, "nothing was written for either");
}

#[test]
fn the_same_duration_at_another_time_is_the_same_call() {
    let mut desk = Desk::new();
    desk.say(1, "a", false, opened(desk.now + 5_000, 190));
    desk.verdict(0, None, 0);
    desk.pass(700);
    desk.say(2, "a", false, opened(desk.now + 5_000, 190));
    assert_eq!(desk.told[&2], desk.told[&1], "with the deadline of the first");
    desk.say(3, "a", false, opened(desk.now + 5_001, 190));
    assert_eq!(desk.told[&3], Told::RequestReused);
}

#[test]
fn two_at_once_get_the_same_answer() {
    let mut desk = Desk::new();
    desk.say(1, "a", false, opened(desk.now + 5_000, 190));
    desk.pass(3);
    desk.say(2, "a", false, opened(desk.now + 5_000, 190));
    desk.verdict(0, None, 0);
    // To the herald the second has other content.
    desk.verdict(1, Some(REQUEST_REUSED), 0);
    assert_eq!(desk.told[&2], desk.told[&1]);
    desk.say(3, "b", false, opened(1, 190));
    desk.say(4, "b", false, opened(2, 190));
    desk.verdict(4, Some("closes_too_soon"), 0);
    desk.verdict(5, Some(REQUEST_REUSED), 0);
    assert_eq!(desk.answer(4), "RequestReused");
}

#[test]
fn a_verdict_on_other_content_under_the_same_request_is_not_the_answer() {
    let mut desk = Desk::new();
    desk.say(1, "a", false, opened(9_000, 190));
    let other = event("a", desk.now + 1, opened(9_000, 300)).encode().unwrap();
    desk.append(other.into());
    desk.verdict(1, None, 0);
    assert_eq!(desk.answer(1), "waits");
    desk.verdict(0, Some(REQUEST_REUSED), 0);
    assert_eq!(desk.answer(1), "RequestReused");
}

#[test]
fn a_refusal_is_asked_again_and_not_remembered() {
    let mut desk = Desk::new();
    desk.say(1, "a", false, RoundSaid::Closing);
    desk.verdict(0, Some("round_unknown"), 0);
    desk.say(2, "a", false, RoundSaid::Closing);
    assert_eq!(desk.answer(2), "waits");
    desk.verdict(2, None, 0);
    assert_eq!((desk.answer(1).as_str(), desk.answer(2).as_str()), ("round_unknown", "admitted 0"));
}

#[test]
fn no_verdict_in_time_is_undecided_and_a_late_one_answers_the_repeat() {
    let mut desk = Desk::new();
    desk.say(1, "a", false, opened(9_000, 190));
    desk.pass(4_999);
    assert_eq!(desk.answer(1), "waits");
    desk.pass(1);
    assert_eq!(desk.answer(1), "Undecided");
    desk.verdict(0, None, 0);
    desk.say(2, "a", false, opened(9_000, 190));
    assert_eq!(desk.answer(2), "admitted 0");
    assert!(desk.line.waiting.is_empty() && desk.line.by_round.is_empty());
}

#[test]
fn a_full_disk_is_not_taken_and_a_doubtful_append_waits() {
    let mut desk = Desk::new();
    desk.failing = Some(EngineError::Full("no space".to_owned()));
    desk.say(1, "a", false, opened(9_000, 190));
    assert_eq!(desk.told[&1], Told::NotTaken(NotTaken::Full));
    desk.failing = Some(EngineError::Unavailable("timed out".to_owned()));
    desk.say(2, "a", false, opened(9_000, 190));
    assert_eq!(desk.answer(2), "waits");
    // It was written after all.
    let written = event("a", desk.now, opened(9_000, 190)).encode().unwrap();
    desk.append(written.into());
    desk.verdict(0, None, 0);
    assert_eq!(desk.answer(2), "admitted 0");
}

#[test]
fn a_void_is_held_until_the_round_is_sealed() {
    let mut desk = Desk::new();
    desk.herald(opened(9_000, 190));
    desk.say(1, "void", true, void());
    desk.verdict(2, Some(NOT_SEALED), 0);
    let before = desk.log.len();
    for _ in 0..10 {
        desk.pass(200);
    }
    assert_eq!((desk.answer(1).as_str(), desk.log.len()), ("waits", before), "no idle repeats");
    desk.herald(RoundSaid::Closing);
    desk.herald(RoundSaid::Closed);
    desk.herald(RoundSaid::Sealed);
    let repeated = desk.log.len() - 1;
    assert_eq!(desk.log[repeated].request.as_str(), "void");
    desk.pass(200);
    assert_eq!(desk.log.len() - 1, repeated, "appended once");
    desk.verdict(repeated, None, 1);
    assert_eq!(desk.answer(1), "admitted 1");
}

#[test]
fn what_is_not_held_is_told_not_sealed_at_once() {
    let mut desk = Desk::new();
    desk.herald(opened(9_000, 190));
    desk.say(1, "void", false, void());
    desk.verdict(2, Some(NOT_SEALED), 0);
    assert_eq!(desk.answer(1), NOT_SEALED);
}

#[test]
fn a_held_request_ends_with_its_last_refusal() {
    let mut desk = Desk::new();
    desk.herald(opened(9_000, 190));
    desk.say(1, "void", true, void());
    desk.verdict(2, Some(NOT_SEALED), 0);
    desk.pass(29_000);
    assert_eq!(desk.answer(1), "waits");
    desk.pass(1_000);
    assert_eq!(desk.answer(1), NOT_SEALED);
    assert!(desk.line.waiting.is_empty());
}

#[test]
fn a_held_request_of_a_round_sealed_in_between_is_repeated_by_the_timer() {
    let mut desk = Desk::new();
    desk.herald(opened(9_000, 190));
    desk.say(1, "void", true, void());
    // Refused by a verdict that is read only behind `sealed`.
    desk.herald(RoundSaid::Closed);
    desk.herald(RoundSaid::Sealed);
    desk.verdict(2, Some(NOT_SEALED), 0);
    let before = desk.log.len();
    desk.pass(200);
    assert_eq!(desk.log.len(), before + 1);
    desk.verdict(before, None, 1);
    assert_eq!(desk.answer(1), "admitted 1");
}

#[test]
fn nothing_is_answered_before_the_log_was_read() {
    let mut desk = Desk::new();
    desk.line.behind = Behind::of(&[Tail { source: SOURCE, from: 0, end: 2 }]);
    let get = || Ask::Get("r".parse().unwrap());
    desk.handle(Input::Request { token: 1, request: get() });
    assert_eq!(desk.told[&1], Told::NotTaken(NotTaken::Starting));
    desk.append(event("open", 1, opened(9_000, 190)).encode().unwrap().into());
    desk.verdict(0, None, 0);
    desk.handle(Input::Request { token: 2, request: get() });
    assert!(matches!(&desk.told[&2], Told::Round(Some(info)) if info.game == "die"));
}
