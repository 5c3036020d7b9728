//! The reconciler says again what has no final answer, and nothing else (R19).

use super::{Lane, bet, partner};
use crate::{AskOwed, Owed, Reconciler, ReconcilerOptions};
use runtime::machine::{Effect, Input, Machine};
use runtime::{Fact, Record, RecordHeaders, Source, Topic};
use schemas::catalogue::{ROUNDS, SETTLEMENTS};
use schemas::outgoing;
use schemas::rounds::{RoundEvent, RoundSaid, Verdict};
use schemas::wire::{DeliveryOutcome, DeliveryRecord, RoundKind};

fn reconciler() -> Reconciler {
    Reconciler::new(ReconcilerOptions {
        partition: 0,
        rounds_from: vec![0],
        stale_ms: 900_000,
        repeat_ms: 86_400_000,
        look_ms: 60_000_000,
    })
}

fn verdict() -> Record {
    let verdict =
        Verdict { judged: 0, kind: RoundKind::Result, refused: None, number: 3, version: 1 };
    let event = RoundEvent {
        round: super::round(),
        request: "q".parse().unwrap(),
        actor: "herald".to_owned(),
        said_at: 1_000,
        said: RoundSaid::Verdict(verdict),
    };
    Record {
        offset: 1,
        appended_at: 0,
        key: Default::default(),
        headers: RecordHeaders::default(),
        value: event.encode().unwrap().into(),
    }
}

/// Looks at the round once, long after everything in it.
fn look(lane: &mut Lane) -> Reconciler {
    let mut reconciler = reconciler();
    let source = Source { topic: Topic(ROUNDS), partition: 0 };
    lane.feed(&mut reconciler, Input::Records { source, records: vec![verdict()], end: 2 });
    reconciler
}

fn answered(lane: &mut Lane, bet: &schemas::bets::Bet, revision: u32, outcome: DeliveryOutcome) {
    let record = DeliveryRecord {
        delivery_id: String::new(),
        bet_id: bet.id.to_string(),
        revision: i64::from(revision),
        round_id: super::round().to_string(),
        partner_id: partner().to_string(),
        ledger_epoch: "1".to_owned(),
        outcome,
        superseded_by: None,
        code: None,
    }
    .identified();
    let row = outgoing::delivered_fact(&record, 0, 0).unwrap();
    let fact = Fact::from(row.into_parts());
    lane.facts.insert(fact.key, fact.body);
}

fn owed(reconciler: &mut Reconciler) -> Owed {
    let asked = Input::Request { token: 7, request: AskOwed };
    match &reconciler.handle(0, asked)[..] {
        [Effect::Reply { reply, .. }] => reply.get(&partner()).copied().unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn unanswered_settlements_are_said_again_with_the_same_content() {
    let mut lane = Lane::default();
    let (lost, answered_bet, parked) = (bet("a", "odd"), bet("b", "odd"), bet("c", "odd"));
    let rejected = bet("d", "odd");
    lane.open();
    for bet in [&lost, &answered_bet, &parked] {
        lane.held(bet);
    }
    lane.intent(&rejected);
    lane.close();
    lane.outcome(1, "3");
    lane.outcome(2, "5");
    lane.outcome(3, "2");
    lane.settle();
    answered(&mut lane, &answered_bet, 5, DeliveryOutcome::Applied);
    answered(&mut lane, &lost, 3, DeliveryOutcome::Applied);
    answered(&mut lane, &parked, 5, DeliveryOutcome::Parked);
    let before = lane.written.len();
    let mut reconciler = look(&mut lane);
    let again: Vec<_> = lane.written[before..].to_vec();
    let said = |append: &runtime::Append| String::from_utf8(append.key.to_vec()).unwrap();
    let keys: Vec<String> = again.iter().map(said).collect();
    let mut expected = vec![format!("{}/5", lost.id), format!("{}/2", rejected.id)];
    expected.sort();
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    for append in &again {
        assert_eq!(append.topic.0, SETTLEMENTS);
        let same = lane.written[..before].iter().any(|old| old == append);
        assert!(same, "a repeat has the content of the first");
    }
    assert_eq!(owed(&mut reconciler), Owed { settlements: 3, parked: 1, frozen: 0 });
}

#[test]
fn a_round_with_nothing_open_is_left_alone() {
    let mut lane = Lane::default();
    let bet = bet("a", "odd");
    lane.open();
    lane.held(&bet);
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    answered(&mut lane, &bet, 3, DeliveryOutcome::Superseded);
    let before = lane.written.len();
    let mut reconciler = look(&mut lane);
    assert_eq!(lane.written.len(), before);
    assert_eq!(owed(&mut reconciler), Owed::default());
}
