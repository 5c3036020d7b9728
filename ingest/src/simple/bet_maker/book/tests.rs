//! The book over records in every order that three topics allow, and its age.

use super::super::line::{Begin, Begun, BetLine, Standing};
use super::*;
use crate::simple::event::{GAME, offer};
use crate::tail::Tail;
use bytes::Bytes;
use proptest::prelude::*;
use runtime::{RecordHeaders, Topic};
use schemas::bets::{Bet, BetEvent, Intent};
use schemas::catalogue::DECISIONS;
use schemas::decisions::{Decision, RejectReason, Verdict as Said};
use schemas::outgoing::{self, Partitions};
use schemas::rounds::{Opened, Outcome, RoundSaid, Verdict};
use schemas::{Currency, Money};

const PARTITIONS: Partitions = Partitions { rounds: 1, lanes: 1, cases: 1 };
const ROUNDS_0: Source = Source { topic: Topic(ROUNDS), partition: 0 };
const BETS_0: Source = Source { topic: Topic(BETS), partition: 0 };
const DECISIONS_0: Source = Source { topic: Topic(DECISIONS), partition: 0 };

/// A book, and what it did.
struct Desk {
    book: Book,
    now: Millis,
    told: BTreeMap<u64, Told>,
    timers: Vec<(Millis, u64)>,
    asked: Vec<AskEnds>,
    tokens: u64,
}

impl Desk {
    /// A book in front of topics that had `end` records when it began.
    fn behind(end: u64) -> Self {
        let tails = [ROUNDS_0, BETS_0, DECISIONS_0].map(|source| Tail { source, from: 0, end });
        let (partner, player) = ("acme".parse().unwrap(), "me".parse().unwrap());
        let book = Book::new(BookOptions { partner, player, tails: tails.to_vec() });
        let (told, timers, asked) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut desk = Self { book, now: 1_000, told, timers, asked, tokens: 0 };
        let effects = desk.book.start(desk.now);
        desk.perform(effects);
        desk
    }

    fn new() -> Self {
        Self::behind(0)
    }

    fn perform(&mut self, effects: Vec<Effect<Book>>) {
        for effect in effects {
            match effect {
                Effect::Reply { token, reply } => {
                    assert!(self.told.insert(token, reply).is_none(), "told twice");
                }
                Effect::Timer { token, at } => self.timers.push((at, token)),
                Effect::Call { call, .. } => self.asked.push(call),
                Effect::Load { .. }
                | Effect::Peek { .. }
                | Effect::Apply { .. }
                | Effect::Alarm(_) => {
                    panic!("the book does none of these")
                }
            }
        }
    }

    fn handle(&mut self, input: Input<Book>) {
        let effects = self.book.handle(self.now, input);
        self.perform(effects);
    }

    fn read(&mut self, (source, offset, value): (Source, u64, Bytes)) {
        let key = Bytes::new();
        let record =
            Record { offset, appended_at: 0, key, headers: RecordHeaders::default(), value };
        self.handle(Input::Records { source, records: vec![record], end: offset + 1 });
    }

    fn read_all(&mut self, records: [(Source, u64, Bytes); 2]) {
        for record in records {
            self.read(record);
        }
    }

    fn ask(&mut self, request: Ask) -> u64 {
        self.tokens += 1;
        self.handle(Input::Request { token: self.tokens, request });
        self.tokens
    }

    fn told(&mut self, request: Ask) -> Told {
        let token = self.ask(request);
        self.told.remove(&token).expect("an answer at once")
    }

    fn begin(&mut self, event: &str, units: i64, key: &str) -> Begun {
        let Told::Begun(begun) = self.told(Ask::Begin(begin(event, units, key))) else { panic!() };
        begun
    }

    fn bets(&mut self) -> Vec<BetLine> {
        let Told::Bets(bets) = self.told(Ask::Bets { after: None, limit: 100 }) else { panic!() };
        bets.into_iter().map(|(_, line)| line).collect()
    }

    fn events(&mut self) -> serde_json::Value {
        let Told::Json(Some(json), _) = self.told(Ask::Events) else { panic!() };
        serde_json::from_slice(&json).unwrap()
    }

    fn fresh_at(&mut self) -> Millis {
        let Told::Fresh(at) = self.told(Ask::Fresh) else { panic!() };
        at
    }

    fn pass(&mut self, ms: i64) {
        self.now += ms;
        let now = self.now;
        let due: Vec<_> = self.timers.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, token) in due {
            self.handle(Input::Timer { token });
        }
    }

    /// The log answers the last question.
    fn ends(&mut self, ends: Option<u64>) {
        let asked = self.asked.pop().expect("a question");
        let ends = ends.map(|end| BTreeMap::from([(ROUNDS_0, end)]));
        self.handle(Input::Answered { token: 0, answer: (asked, ends) });
    }
}

fn begin(event: &str, units: i64, key: &str) -> Begin {
    let key = (!key.is_empty()).then(|| format!("{KEY_PREFIX}{key}").parse().unwrap());
    Begin { event: event.parse().unwrap(), units, key }
}

fn said(at: u64, event: &str, said: RoundSaid) -> (Source, u64, Bytes) {
    let event = RoundEvent {
        round: event.parse().unwrap(),
        request: format!("q{at}").parse().unwrap(),
        actor: "desk".to_owned(),
        said_at: 1_000,
        said,
    };
    (ROUNDS_0, at, outgoing::round(&event, PARTITIONS).unwrap().into_parts().4.into())
}

/// What is said of an event at `at`, and the herald's word behind it.
fn admitted(at: u64, event: &str, what: RoundSaid, version: u32) -> [(Source, u64, Bytes); 2] {
    let verdict = Verdict {
        judged: at,
        kind: schemas::wire::RoundKind::Opened,
        refused: None,
        number: 0,
        version,
    };
    [said(at, event, what), said(at + 1, event, RoundSaid::Verdict(verdict))]
}

fn opened(closes_at: i64) -> RoundSaid {
    RoundSaid::Opened(Opened {
        game: GAME.to_owned(),
        rules_version: 1,
        offers: offer("1.50".parse().unwrap()).unwrap(),
        closes_at,
        grace_ms: 200,
    })
}

fn result(replaces: u32, outcome: &str) -> RoundSaid {
    let outcome = Outcome::Game(outcome.to_owned());
    RoundSaid::Version { replaces, outcome, reason: String::new() }
}

fn bet(event: &str, reference: &str, player: &str) -> Bet {
    let (partner, player) = ("acme".parse().unwrap(), player.parse().unwrap());
    let client_ref = reference.parse().unwrap();
    let eur: Currency = "EUR".parse().unwrap();
    Bet {
        id: BetId::of(&event.parse().unwrap(), &partner, &player, &client_ref),
        partner,
        player,
        client_ref,
        selection: "first".parse().unwrap(),
        stake: Money::new(500, eur, 2).unwrap(),
        odds: "1.50".parse().unwrap(),
        rules_version: 1,
        placed_at: 2_000,
    }
}

fn intent(at: u64, bet: &Bet) -> (Source, u64, Bytes) {
    let said = BetSaid::Intent(Intent::new(bet.clone(), 6_000));
    let event = BetEvent { round: Some(bet.id.round()), said_at: 2_000, said };
    (BETS_0, at, outgoing::bet(&event, 0).unwrap().into_parts().4.into())
}

fn decision(at: u64, bet: &Bet, intent_at: Option<u64>, verdict: Said) -> (Source, u64, Bytes) {
    let decision = Decision { bet: bet.clone(), verdict, at: 9, caused_at: 2_500, intent_at };
    let record = outgoing::decision(&DecisionSaid::Decided(decision), 0).unwrap();
    (DECISIONS_0, at, record.into_parts().4.into())
}

/// Three bets of ours on one event, of which one is rejected and one cancelled, and one of somebody else.
fn scene() -> Vec<(Source, u64, Bytes)> {
    let [a, b, c] = ["a", "b", "c"].map(|reference| bet("e", reference, "me"));
    let foreign = bet("e", "a", "you");
    let declined = Said::Rejected(RejectReason::Declined("poor".to_owned()));
    let mut records = Vec::new();
    records.extend(admitted(0, "e", opened(60_000), 0));
    records.extend(admitted(2, "e", RoundSaid::Closing, 0));
    records.extend(admitted(4, "e", RoundSaid::Closed, 0));
    records.extend(admitted(6, "e", RoundSaid::Sealed, 0));
    records.extend(admitted(8, "e", result(0, "second"), 1));
    records.extend(admitted(10, "e", result(1, "first"), 2));
    // The first intent once more, at another place.
    let intents = [(0, &a), (1, &foreign), (2, &b), (3, &c), (4, &a)];
    records.extend(intents.map(|(at, bet)| intent(at, bet)));
    records.extend([
        decision(0, &a, Some(0), Said::Accepted),
        decision(1, &foreign, Some(1), Said::Accepted),
        decision(2, &b, Some(2), declined),
        decision(3, &c, Some(3), Said::Accepted),
        decision(4, &c, None, Said::Cancelled("x".parse().unwrap())),
        // Published again behind the cancel.
        decision(5, &c, Some(3), Said::Accepted),
    ]);
    records
}

proptest! {
    /// Each topic comes in its order, the three in any.
    #[test]
    fn any_order_of_topics_gives_the_same_book(order in prop::collection::vec(0..3_usize, 60)) {
        let mut topics = [ROUNDS_0, BETS_0, DECISIONS_0].map(|source| {
            scene().into_iter().filter(|(of, _, _)| *of == source).collect::<std::collections::VecDeque<_>>()
        });
        let mut desk = Desk::new();
        for topic in order.into_iter().chain((0..3).cycle().take(60)) {
            if let Some(record) = topics[topic].pop_front() {
                desk.read(record);
            }
        }
        prop_assert!(topics.iter().all(std::collections::VecDeque::is_empty));
        let stands: Vec<_> =
            desk.bets().iter().map(|line| (line.bet.clone(), line.standing.clone())).collect();
        let [a, b, c] = ["a", "b", "c"].map(|reference| bet("e", reference, "me").id);
        prop_assert_eq!(stands, vec![(c, Standing::Void), (a, Standing::Won)]);
        let Told::Bet(Some(rejected)) = desk.told(Ask::Bet(b)) else { panic!() };
        prop_assert!(matches!(rejected.standing, Standing::Rejected(_)));
    }
}

#[test]
fn nothing_is_said_before_all_was_read() {
    let mut desk = Desk::behind(1);
    let [opened, verdict] = admitted(0, "e", opened(60_000), 0);
    assert!(matches!(desk.told(Ask::Events), Told::Starting));
    desk.read(opened);
    desk.read(verdict);
    desk.read(intent(0, &bet("e", "a", "me")));
    assert!(matches!(desk.told(Ask::Bets { after: None, limit: 1 }), Told::Starting));
    desk.read(decision(0, &bet("e", "a", "me"), Some(0), Said::Accepted));
    assert_eq!(desk.bets().len(), 1);
}

#[test]
fn a_deadline_takes_an_event_off_the_list() {
    let mut desk = Desk::new();
    desk.read_all(admitted(0, "e", opened(5_000), 0));
    desk.read_all(admitted(2, "f", opened(9_000), 0));
    assert_eq!(desk.events().as_array().unwrap().len(), 2);
    assert_eq!(desk.begin("e", 1, ""), Begun::At("1.50".parse().unwrap()));
    desk.pass(4_000);
    assert_eq!(desk.events()[0]["event_id"], "f");
    assert_eq!(desk.begin("e", 1, ""), Begun::DeadlinePassed);
    desk.read_all(admitted(4, "f", RoundSaid::Closing, 0));
    assert_eq!(desk.events(), serde_json::json!([]));
    assert_eq!(desk.begin("f", 1, ""), Begun::NotBetting);
}

/// What a key stands for: a bet on its way, a bet that was read, nothing after a refusal or in time.
#[test]
fn keys() {
    let mut desk = Desk::new();
    for (at, event) in [(0, "e"), (2, "f")] {
        desk.read_all(admitted(at, event, opened(900_000), 0));
    }
    let at = Begun::At("1.50".parse().unwrap());
    assert_eq!(desk.begin("e", 500, "k"), at);
    assert_eq!(desk.begin("e", 500, "k"), at);
    assert_eq!(desk.begin("e", 501, "k"), Begun::KeyReused);
    assert_eq!(desk.begin("f", 500, "k"), Begun::KeyReused);
    assert_eq!(desk.begin("f", 500, ""), at);
    let refuse = |desk: &mut Desk| {
        let key = begin("e", 1, "k").key.unwrap();
        let Told::Noted = desk.told(Ask::NotTaken(key)) else { panic!() };
    };
    refuse(&mut desk);
    assert_eq!(desk.begin("f", 500, "k"), Begun::KeyReused, "the other call is on its way");
    refuse(&mut desk);
    assert_eq!(desk.begin("f", 500, "k"), at);
    // Nobody says what became of it: later it stands for nothing.
    desk.pass(40_000);
    assert_eq!(desk.begin("e", 500, "k"), at);
    let placed = bet("e", &format!("{KEY_PREFIX}k"), "me");
    desk.read(intent(0, &placed));
    desk.pass(40_000);
    assert_eq!(desk.begin("e", 500, "k"), at, "undecided: it is asked for again");
    assert_eq!(desk.begin("f", 500, "k"), Begun::KeyReused);
    desk.read(decision(0, &placed, Some(0), Said::Accepted));
    let Begun::Placed(line) = desk.begin("e", 500, "k") else { panic!() };
    assert_eq!((line.bet, line.standing), (placed.id, Standing::Pending));
    assert_eq!(desk.begin("e", 501, "k"), Begun::KeyReused);
}

#[test]
fn askers_wait_for_what_is_on_its_way() {
    let mut desk = Desk::new();
    let (early, never) =
        (desk.ask(Ask::Begin(begin("e", 1, ""))), desk.ask(Ask::Begin(begin("f", 1, ""))));
    let placed = bet("e", "a", "me");
    let once = |decided| Ask::Once { bet: placed.id.clone(), decided };
    let (unlisted, undecided) = (desk.ask(once(false)), desk.ask(once(true)));
    assert!(desk.told.is_empty());
    desk.read_all(admitted(0, "e", opened(60_000), 0));
    assert!(matches!(desk.told[&early], Told::Begun(Begun::At(_))));
    desk.read(intent(0, &placed));
    assert!(matches!(&desk.told[&unlisted], Told::Bet(Some(line)) if !line.decided));
    assert!(!desk.told.contains_key(&undecided));
    desk.read(decision(0, &placed, Some(0), Said::Accepted));
    assert!(matches!(&desk.told[&undecided], Told::Bet(Some(line)) if line.decided));
    desk.pass(EVENT_WAIT_MS);
    assert!(matches!(desk.told[&never], Told::Begun(Begun::EventUnknown)));
    let lost = desk.ask(Ask::Once { bet: bet("e", "z", "me").id, decided: false });
    desk.pass(BET_WAIT_MS);
    assert!(matches!(desk.told[&lost], Told::Bet(None)));
}

/// The age grows while the log is silent, and while records that it has told of do not come; a topic in
/// which nothing is said is not old.
#[test]
fn the_age() {
    let mut desk = Desk::new();
    assert_eq!(desk.fresh_at(), 0);
    desk.ends(Some(0));
    assert_eq!(desk.fresh_at(), 1_000);
    for _ in 0..50 {
        desk.pass(LOOK_MS);
        desk.ends(Some(0));
    }
    assert_eq!(desk.fresh_at(), desk.now);
    // The log does not answer.
    let last = desk.now;
    for _ in 0..30 {
        desk.pass(LOOK_MS);
        desk.ends(None);
    }
    assert_eq!((desk.fresh_at(), desk.now), (last, last + 30 * LOOK_MS));
    // It answers, but the records do not come.
    desk.pass(LOOK_MS);
    let told_at = desk.now;
    desk.ends(Some(2));
    for _ in 0..30 {
        desk.pass(LOOK_MS);
        desk.ends(Some(2));
    }
    assert_eq!(desk.fresh_at(), last);
    // The list is served all the same.
    assert_eq!(desk.events(), serde_json::json!([]));
    let [first, second] = admitted(0, "e", opened(900_000), 0);
    desk.read(first);
    assert_eq!(desk.fresh_at(), last);
    desk.read(second);
    assert_eq!(desk.fresh_at(), told_at, "complete up to the first question that told of them");
    desk.pass(LOOK_MS);
    desk.ends(Some(2));
    assert_eq!(desk.fresh_at(), desk.now);
}
