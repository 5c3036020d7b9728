//! The reconciler says again what has no final answer, and nothing else (R19).

use super::{Lane, bet, partner};
use crate::{Owed, Reconciler, ReconcilerAsk, ReconcilerOptions, ReconcilerTold};
use runtime::machine::{Effect, Input, Machine};
use runtime::{Batch, EngineError, Fact, Millis, Record, RecordHeaders, Source, Topic};
use schemas::catalogue::{ROUNDS, SETTLEMENTS};
use schemas::outgoing::{self, Partitions};
use schemas::rounds::{RoundEvent, RoundSaid, Verdict};
use schemas::wire::{DeliveryOutcome, DeliveryRecord, RoundKind};
use std::collections::BTreeSet;

/// Ms between two looks at a round.
const LOOK_MS: i64 = 60_000_000;
/// Longer than any test.
const CYCLE_MS: i64 = i64::MAX;
/// Long after everything in the round.
const LATE: Millis = 1_000_000;

pub(super) fn reconciler(partitions: impl IntoIterator<Item = u32>) -> Reconciler {
    Reconciler::new(ReconcilerOptions {
        partitions: partitions.into_iter().collect(),
        rounds_from: vec![0; 12],
        counts: Partitions::CLUSTER,
        close_after_ms: 60_000,
        stale_ms: 900_000,
        repeat_ms: 86_400_000,
        cycle_ms: CYCLE_MS,
        away: BTreeSet::new(),
        look_ms: LOOK_MS,
    })
}

fn verdict(said_at: Millis, version: u32) -> Record {
    let verdict = Verdict { judged: 0, kind: RoundKind::Result, refused: None, number: 3, version };
    let event = RoundEvent {
        round: super::round(),
        request: "q".parse().unwrap(),
        actor: "herald".to_owned(),
        said_at,
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
    let mut reconciler = reconciler([0]);
    lane.feed(&mut reconciler, read());
    reconciler
}

/// The verdict is read.
fn read() -> Input<Reconciler> {
    read_of(1_000)
}

/// A verdict of that time is read.
fn read_of(said_at: Millis) -> Input<Reconciler> {
    admitted(said_at, 1)
}

/// A verdict of that time on that result version is read.
pub(super) fn admitted(said_at: Millis, version: u32) -> Input<Reconciler> {
    let source = Source { topic: Topic(ROUNDS), partition: 0 };
    Input::Records { source, records: vec![verdict(said_at, version)], end: 2 }
}

fn asked(reconciler: &mut Reconciler, request: ReconcilerAsk) -> Vec<Effect<Reconciler>> {
    let mut effects = reconciler.handle(LATE, Input::Request { token: 7, request });
    assert!(matches!(effects.remove(0), Effect::Reply { token: 7, reply: ReconcilerTold::Done }));
    effects
}

/// The token and the round's partition of the one load that is asked for.
#[track_caller]
fn load(effects: &[Effect<Reconciler>]) -> (u64, u32) {
    let [Effect::Load { token, scope }] = effects else { panic!("{effects:?}") };
    assert_eq!((scope.group.as_str(), scope.topic.0), (super::round().as_str(), SETTLEMENTS));
    (*token, scope.partition)
}

/// Gives facts that are asked for, and no other answer: the batches that come of it, with their tokens.
fn batches(
    lane: &Lane,
    reconciler: &mut Reconciler,
    now: Millis,
    input: Input<Reconciler>,
) -> Vec<(u64, Batch)> {
    let (mut inputs, mut batches) = (vec![input], Vec::new());
    while let Some(input) = inputs.pop() {
        for effect in reconciler.handle(now, input) {
            match effect {
                Effect::Load { token, scope } => {
                    let facts = lane.facts.iter().filter(|(key, _)| key.scope == scope);
                    let fact = |(key, body): (&runtime::FactKey, &bytes::Bytes)| Fact {
                        key: key.clone(),
                        body: body.clone(),
                    };
                    inputs.push(Input::Loaded { token, facts: facts.map(fact).collect() });
                }
                Effect::Apply { token, batch } => batches.push((token, batch)),
                // A partner that does not answer.
                Effect::Timer { .. } | Effect::Alarm(_) | Effect::Call { .. } => {}
                Effect::Peek { .. } | Effect::Reply { .. } => panic!("not asked"),
            }
        }
    }
    batches
}

pub(super) fn answered(
    lane: &mut Lane,
    bet: &schemas::bets::Bet,
    revision: u32,
    outcome: DeliveryOutcome,
) {
    answered_at(lane, bet, revision, outcome, 0);
}

/// What stands at this offset of `settlements.v1` is answered.
pub(super) fn answered_at(
    lane: &mut Lane,
    bet: &schemas::bets::Bet,
    revision: u32,
    outcome: DeliveryOutcome,
    at: u64,
) {
    let record = DeliveryRecord {
        delivery_id: String::new(),
        bet_id: bet.id.to_string(),
        revision: i64::from(revision),
        round_id: super::round().to_string(),
        partner_id: bet.partner.to_string(),
        ledger_epoch: "1".to_owned(),
        outcome,
        superseded_by: None,
        code: None,
    }
    .identified();
    let row = outgoing::delivered_fact(&record, 0, at).unwrap();
    let fact = Fact::from(row.into_parts());
    lane.facts.insert(fact.key, fact.body);
}

fn owed(reconciler: &mut Reconciler) -> Owed {
    let asked = Input::Request { token: 7, request: ReconcilerAsk::Standings };
    match &reconciler.handle(0, asked)[..] {
        [Effect::Reply { reply: ReconcilerTold::Standings(standings), .. }, ..] => {
            standings.get(&partner()).map(|standing| standing.owed).unwrap_or_default()
        }
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

/// However many partitions of bets a process reconciles, each of rounds has one reader for them all.
#[test]
fn all_partitions_share_one_reading_of_rounds() {
    let sources = reconciler(0..24).sources();
    let distinct: BTreeSet<_> = sources.iter().map(|(source, _)| *source).collect();
    assert_eq!((sources.len(), distinct.len()), (12, 12));
}

#[test]
fn a_partition_that_comes_later_knows_the_rounds_that_were_read_before() {
    let mut reconciler = reconciler([]);
    assert!(reconciler.handle(LATE, read()).is_empty(), "no partition is looked at");
    assert_eq!(load(&asked(&mut reconciler, ReconcilerAsk::Take(3))).1, 3);
    assert!(asked(&mut reconciler, ReconcilerAsk::Take(3)).is_empty(), "it is taken already");
    assert_eq!(load(&asked(&mut reconciler, ReconcilerAsk::Take(5))).1, 5);
}

/// R4: nothing of an earlier ownership is used, not even what was on its way.
#[test]
fn a_partition_that_went_leaves_nothing_behind() {
    let mut reconciler = reconciler([0]);
    let (before, _) = load(&reconciler.handle(LATE, read()));
    assert!(asked(&mut reconciler, ReconcilerAsk::Drop(0)).is_empty());
    let (after, _) = load(&asked(&mut reconciler, ReconcilerAsk::Take(0)));
    let late = Input::Loaded { token: before, facts: Vec::new() };
    assert!(reconciler.handle(LATE, late).is_empty(), "it was asked for by somebody else");
    let loaded = Input::Loaded { token: after, facts: Vec::new() };
    assert!(!reconciler.handle(LATE, loaded).is_empty());
}

/// A round whose one bet has a settlement that nobody answered.
fn unanswered() -> Lane {
    let mut lane = Lane::default();
    lane.open();
    lane.held(&bet("a", "odd"));
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    lane
}

/// A log that is away costs a look, and not the day that a repeat is good for.
#[test]
fn what_may_be_lost_is_said_again_at_the_next_look() {
    let mut lane = unanswered();
    let mut reconciler = reconciler([0]);
    let first = batches(&lane, &mut reconciler, LATE, read());
    let [(token, batch)] = &first[..] else { panic!("{first:?}") };
    let error = EngineError::Unavailable("told to fail".to_owned());
    let failed = Input::Failed { token: *token, error };
    assert!(batches(&lane, &mut reconciler, LATE, failed).is_empty());
    let timer = || Input::Timer { token: 0 };
    let second = batches(&lane, &mut reconciler, LATE + LOOK_MS, timer());
    let [(token, again)] = &second[..] else { panic!("{second:?}") };
    assert_eq!(again.records, batch.records);
    lane.apply(again.clone());
    let applied = Input::Applied { token: *token };
    assert!(batches(&lane, &mut reconciler, LATE + LOOK_MS, applied).is_empty());
    let third = batches(&lane, &mut reconciler, LATE + 2 * LOOK_MS, timer());
    assert!(third.is_empty(), "it was said a moment ago: {third:?}");
    // Two looks are more than a day.
    assert_eq!(batches(&lane, &mut reconciler, LATE + 3 * LOOK_MS, timer()).len(), 1);
}

/// Who begins anew knows from the facts what was said again less than a day ago.
#[test]
fn a_restart_says_nothing_again_that_was_said_a_moment_ago() {
    let mut lane = unanswered();
    look(&mut lane);
    let said = lane.written.len();
    look(&mut lane);
    assert_eq!(lane.written.len(), said, "it was said a moment ago");
    let late = LATE + 86_400_000;
    assert_eq!(batches(&lane, &mut reconciler([0]), late, read()).len(), 1);
}

/// What it is owed waits for a partner that is down anyway: to say it once more would only be more to wait.
#[test]
fn nothing_is_said_again_to_a_partner_that_is_away() {
    let lane = unanswered();
    let mut reconciler = reconciler([0]);
    asked(&mut reconciler, ReconcilerAsk::Away([partner()].into()));
    assert!(batches(&lane, &mut reconciler, LATE, read()).is_empty());
    assert_eq!(owed(&mut reconciler).settlements, 1);
    let timer = || Input::Timer { token: 0 };
    // Behind a day it may be lost all the same.
    assert_eq!(batches(&lane, &mut reconciler, LATE + 86_400_000, timer()).len(), 1);
    let mut reconciler = self::reconciler([0]);
    asked(&mut reconciler, ReconcilerAsk::Away([partner()].into()));
    assert!(batches(&lane, &mut reconciler, LATE, read()).is_empty());
    asked(&mut reconciler, ReconcilerAsk::Away(BTreeSet::new()));
    assert_eq!(batches(&lane, &mut reconciler, LATE + LOOK_MS, timer()).len(), 1);
}

/// What a correction owes must not be forgotten because the look before it found nothing owed.
#[test]
fn a_change_during_a_look_is_looked_at_too() {
    let mut lane = Lane::default();
    let bet = bet("a", "odd");
    lane.open();
    lane.held(&bet);
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    answered(&mut lane, &bet, 3, DeliveryOutcome::Applied);
    let mut reconciler = reconciler([0]);
    let (token, _) = load(&reconciler.handle(LATE, read()));
    let meanwhile = reconciler.handle(LATE, read_of(LATE));
    assert!(meanwhile.is_empty(), "the look goes on: {meanwhile:?}");
    let answers = lane.facts.iter().filter(|(key, _)| key.scope.topic.0 == SETTLEMENTS);
    let facts = answers.map(|(key, body)| Fact { key: key.clone(), body: body.clone() }).collect();
    assert!(batches(&lane, &mut reconciler, LATE, Input::Loaded { token, facts }).is_empty());
    assert_eq!(owed(&mut reconciler), Owed::default());

    lane.outcome(2, "2");
    lane.settle();
    let later = LATE + 900_000;
    let again = batches(&lane, &mut reconciler, later, Input::Timer { token: 0 });
    assert_eq!(again.len(), 1, "the corrected bet has no answer");
}
