use super::*;
use runtime::Topic;
use schemas::Odds;
use schemas::catalogue::ROUNDS;
use schemas::rounds::{Offer, Opened, Outcome};
use schemas::wire::RoundKind;

const SOURCE: Source = Source { topic: Topic(ROUNDS), partition: 1 };

/// A log of one partition, read by one view as it grows.
#[derive(Default)]
struct Log {
    view: RoundsView,
    next: u64,
}

impl Log {
    fn say(&mut self, round: &str, request: &str, said: RoundSaid) -> u64 {
        let at = self.next;
        self.next += 1;
        self.view.read(SOURCE, at, event(round, request, i64::try_from(at).unwrap(), said));
        at
    }

    fn verdict(&mut self, judged: u64, refused: Option<&str>, version: u32) -> Option<RoundId> {
        let verdict = Verdict {
            judged,
            kind: RoundKind::Opened,
            refused: refused.map(str::to_owned),
            number: 0,
            version,
        };
        let at = self.next;
        self.next += 1;
        self.view.read(SOURCE, at, event("r", "any", 0, RoundSaid::Verdict(verdict)))
    }

    fn admitted(&mut self, round: &str, request: &str, said: RoundSaid, version: u32) -> bool {
        let at = self.say(round, request, said);
        self.verdict(at, None, version).is_some()
    }

    fn get(&self, round: &str) -> &RoundInfo {
        self.view.get(&round.parse().unwrap()).unwrap()
    }
}

fn event(round: &str, request: &str, said_at: i64, said: RoundSaid) -> RoundEvent {
    RoundEvent {
        round: round.parse().unwrap(),
        request: request.parse().unwrap(),
        actor: "desk".to_owned(),
        said_at,
        said,
    }
}

fn offer(selection: &str, hundredths: i64) -> Offer {
    Offer { selection: selection.parse().unwrap(), odds: Odds::new(hundredths).unwrap() }
}

fn opened() -> RoundSaid {
    RoundSaid::Opened(Opened {
        game: "die".to_owned(),
        rules_version: 1,
        offers: vec![offer("odd", 190), offer("even", 190)],
        closes_at: 1_000,
        grace_ms: 200,
    })
}

fn amended(hundredths: i64) -> RoundSaid {
    RoundSaid::Amended { offers: vec![offer("odd", hundredths)], closes_at: None }
}

fn version(replaces: u32, outcome: Outcome) -> RoundSaid {
    RoundSaid::Version { replaces, outcome, reason: String::new() }
}

#[test]
fn nothing_counts_before_its_verdict() {
    let mut log = Log::default();
    let at = log.say("r", "open", opened());
    assert!(log.view.get(&"r".parse().unwrap()).is_none());
    assert!(log.verdict(at + 7, None, 0).is_none(), "a verdict on another record");
    assert_eq!(log.verdict(at, None, 0), Some("r".parse().unwrap()));
    assert_eq!(log.get("r").status, RoundStatus::Betting);
    assert!(log.verdict(at, None, 0).is_none(), "the same verdict again");
    let refused = log.say("r", "close", RoundSaid::Closing);
    log.verdict(refused, Some("not_betting"), 0);
    assert_eq!(log.get("r").status, RoundStatus::Betting);
    assert_eq!(log.get("r").history[1].refused.as_deref(), Some("not_betting"));
}

#[test]
fn a_verdict_counts_in_its_own_partition_alone() {
    let mut log = Log::default();
    let at = log.say("r", "open", opened());
    let other = Source { partition: 0, ..SOURCE };
    let verdict =
        Verdict { judged: at, kind: RoundKind::Opened, refused: None, number: 1, version: 0 };
    assert!(log.view.read(other, 9, event("r", "open", 0, RoundSaid::Verdict(verdict))).is_none());
    assert!(log.view.get(&"r".parse().unwrap()).is_none());
}

#[test]
fn a_whole_life() {
    let mut log = Log::default();
    log.admitted("r", "open", opened(), 0);
    for (request, said, status) in [
        ("a", RoundSaid::Closing, "closing"),
        ("b", RoundSaid::Closed, "closed"),
        ("c", RoundSaid::Sealed, "sealed"),
    ] {
        assert!(log.admitted("r", request, said, 0));
        assert_eq!(log.get("r").status.name(), status);
    }
    let four = Outcome::Game("4".to_owned());
    for (number, outcome, status) in [
        (1, four.clone(), "resulted"),
        (2, Outcome::Withdrawn, "sealed"),
        (3, Outcome::Voided, "voided"),
    ] {
        log.admitted("r", &format!("v{number}"), version(number - 1, outcome.clone()), number);
        let info = log.get("r");
        assert_eq!((info.status.name(), info.version), (status, number));
        assert_eq!(info.outcome.as_ref(), Some(&outcome));
    }
    // The first result is repeated, and gets its verdict again.
    assert!(!log.admitted("r", "v1", version(0, four), 1));
    assert_eq!(log.get("r").status, RoundStatus::Voided);
    assert_eq!(log.get("r").history.len(), 7);
}

#[test]
fn a_repeated_amendment_does_not_bring_old_odds_back() {
    let mut log = Log::default();
    log.admitted("r", "open", opened(), 0);
    log.admitted("r", "first", amended(250), 0);
    assert!(log.admitted("r", "second", amended(300), 0));
    assert!(!log.admitted("r", "first", amended(250), 0));
    assert_eq!(log.get("r").offers, vec![offer("odd", 300), offer("even", 190)]);
    assert!(
        log.admitted("r", "third", amended(250), 0),
        "the odds may go back by a request of its own"
    );
    assert_eq!(log.get("r").offers[0], offer("odd", 250));
}

#[test]
fn pages_are_newest_first_and_do_not_overlap() {
    let mut log = Log::default();
    for round in ["a", "b", "c", "d"] {
        log.admitted(round, "open", opened(), 0);
    }
    log.admitted("b", "close", RoundSaid::Closing, 0);
    log.admitted("b", "closed", RoundSaid::Closed, 0);
    let names = |list: Vec<&RoundInfo>| -> Vec<String> {
        list.into_iter().map(|info| info.round.to_string()).collect()
    };
    assert_eq!(names(log.view.list(None, 2, false)), ["d", "c"]);
    let last = (log.get("c").opened_at, "c".parse().unwrap());
    assert_eq!(names(log.view.list(Some(last), 9, false)), ["b", "a"]);
    assert_eq!(names(log.view.list(None, 9, true)), ["d", "c", "a"]);
}

#[test]
fn the_oldest_closed_round_goes_first_and_an_open_one_never() {
    let mut log = Log { view: RoundsView::with_rounds_max(2), next: 0 };
    for round in ["old_open", "closed_1", "closed_2"] {
        log.admitted(round, "open", opened(), 0);
        if round.starts_with("closed") {
            log.admitted(round, "x", RoundSaid::Closed, 0);
        }
    }
    let known = |log: &Log, round: &str| log.view.get(&round.parse().unwrap()).is_some();
    assert!(!known(&log, "closed_1") && known(&log, "old_open") && known(&log, "closed_2"));
    log.admitted("new", "open", opened(), 0);
    assert!(!known(&log, "closed_2") && known(&log, "old_open") && known(&log, "new"));
    log.admitted("newer", "open", opened(), 0);
    assert_eq!(log.view.list(None, 9, false).len(), 3, "open rounds stay above the maximum");
}

#[test]
fn unjudged_records_are_bounded() {
    let mut log = Log::default();
    let first = log.say("r", "first", opened());
    for index in 0..UNJUDGED_MAX {
        log.say("r", &format!("{index}"), RoundSaid::Closing);
    }
    assert!(log.verdict(first, None, 0).is_none(), "the oldest record was let go");
    assert!(log.view.unjudged.len() <= UNJUDGED_MAX);
    // A stream whose verdicts come leaves nothing behind.
    let mut log = Log::default();
    for _ in 0..1_000 {
        let at = log.say("r", "same", opened());
        log.verdict(at, Some("opened_before"), 0);
    }
    assert!(log.view.unjudged.is_empty());
    assert!(log.view.arrivals.is_empty());
}

#[test]
fn history_is_bounded_and_a_held_request_is_one_line() {
    let mut log = Log::default();
    log.admitted("r", "open", opened(), 0);
    for _ in 0..150 {
        let at = log.say("r", "void", version(0, Outcome::Voided));
        log.verdict(at, Some("not_sealed"), 0);
    }
    assert_eq!(log.get("r").history.len(), 2);
    for index in 0..HISTORY_LINES_MAX {
        log.admitted("r", &format!("amend {index}"), amended(200), 0);
    }
    assert_eq!(log.get("r").history.len(), HISTORY_LINES_MAX);
}

#[test]
fn the_heralds_facts_tell_the_same_round() {
    let mut log = Log::default();
    let four = Outcome::Game("4".to_owned());
    let life = [
        ("open", opened(), 0),
        ("odds", amended(300), 0),
        ("a", RoundSaid::Closing, 0),
        ("b", RoundSaid::Closed, 0),
        ("c", RoundSaid::Sealed, 0),
        ("d", version(0, four), 1),
        ("e", version(1, Outcome::Withdrawn), 2),
    ];
    let mut admitted = Vec::new();
    for (request, said, version) in life {
        let said_at = i64::try_from(log.next).unwrap();
        admitted.push(event("r", request, said_at, said.clone()));
        log.admitted("r", request, said, version);
    }
    assert_eq!(RoundInfo::of_admitted(admitted.clone()).as_ref(), Some(log.get("r")));
    assert_eq!(RoundInfo::of_admitted(admitted.split_off(1)), None, "never opened");
}
