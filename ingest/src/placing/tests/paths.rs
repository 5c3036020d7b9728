//! The paths of a bet and of a cancel, one by one.

use super::script::{
    OPENED_AT, Script, answer, approved, cancel, decision, declined, money, nothing, options,
    place, reply,
};
use crate::placing::{Ask, Cancel, HoldReply, NotTaken, Place, PlacingOptions, Told};
use crate::tail::Tail;
use runtime::{EngineError, Machine, Source, Topic};
use schemas::bets::{BetSaid, HoldAnswer};
use schemas::contract::{AuthorizeRequest, parse_timestamp};
use schemas::decisions::{RejectReason, Verdict};

fn undecided() -> Option<Told> {
    Some(Told::Undecided { bet: place().bet_id() })
}

fn reused() -> Option<Told> {
    Some(Told::ReferenceReused { bet: place().bet_id() })
}

#[track_caller]
fn assert_not_taken(told: Option<Told>, wanted: NotTaken) {
    match told {
        Some(Told::NotTaken { code, .. }) => assert_eq!(code, wanted),
        other => panic!("{wanted:?} expected, told {other:?}"),
    }
}

#[test]
fn every_tail_is_read_from_its_offset() {
    let source = |topic, partition| Source { topic: Topic(topic), partition };
    let tails = [("rounds.v1", 0, 7), ("rounds.v1", 1, 0), ("decisions.v1", 3, 3)]
        .map(|(topic, partition, from)| Tail { source: source(topic, partition), from, end: 9 });
    let script = Script::new(PlacingOptions { tails: tails.to_vec(), ..options() });
    assert_eq!(script.machine.sources(), tails.map(|tail| (tail.source, tail.from)));
    assert!(script.machine.survives_failure());
}

#[test]
fn a_bet_is_written_asked_for_answered_and_decided() {
    let (mut script, token) = Script::asking();
    let call = script.answered(approved(&place().bet_id()));
    assert_eq!((call.attempt, call.budget_ms), (1, 1_500));
    let body: AuthorizeRequest = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(body.message_id, format!("{}:1", place().bet_id()));
    assert_eq!(body.session_token, "header.payload.signature");
    assert_eq!(parse_timestamp(&body.expires_at), Some(OPENED_AT + 4_000));
    assert_eq!(answer(script.applied()), HoldAnswer::Approved);
    assert_eq!(script.told(token), None, "the partner's word is not the settler's");
    let accepted = decision(&place(), Verdict::Accepted);
    script.decided(accepted.clone());
    assert_eq!(script.told(token), Some(Told::Decided(accepted)));
    assert_eq!(script.machine.in_flight(), 0);
    script.pass(10_000);
    assert!(script.calls.is_empty() && script.applies.is_empty() && script.alarms.is_empty());
}

#[test]
fn the_token_is_shown_nowhere() {
    let (mut script, _) = Script::asking();
    let (_, call) = script.calls.remove(0);
    let shown = format!("{call:?} {:?} {:?}", Ask::Place(place()), script.machine.options);
    assert!(!shown.contains("payload"), "{shown}");
}

#[test]
fn a_decline_is_written_with_its_code() {
    let (mut script, token) = Script::asking();
    script.answered(declined(&place().bet_id(), "insufficient_funds"));
    let declined = HoldAnswer::Declined("insufficient_funds".to_owned());
    assert_eq!(answer(script.applied()), declined);
    assert_eq!(script.told(token), None);
    let reason = RejectReason::Declined("insufficient_funds".to_owned());
    let rejected = decision(&place(), Verdict::Rejected(reason));
    script.decided(rejected.clone());
    assert_eq!(script.told(token), Some(Told::Decided(rejected)));
    assert_eq!(script.machine.in_flight(), 0);
}

#[test]
fn without_an_answer_the_same_bytes_go_out_again_and_then_nothing_is_written() {
    let (mut script, token) = Script::asking();
    let mut calls = Vec::new();
    for refusal in [HoldReply::Unsent, reply(422, "{}"), reply(500, "<html>")] {
        calls.push(script.answered(refusal));
        assert!(script.calls.is_empty(), "a repeat waits a little");
        script.pass(100);
    }
    assert!(script.calls.is_empty() && script.applies.is_empty(), "three attempts, no answer");
    assert!(calls.iter().all(|call| call.body == calls[0].body));
    assert_eq!(calls.iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(script.told(token), None);
    let rejected = decision(&place(), Verdict::Rejected(RejectReason::Expired));
    script.decided(rejected.clone());
    assert_eq!(script.told(token), Some(Told::Decided(rejected)));
    assert_eq!(script.machine.in_flight(), 0);
}

#[test]
fn a_partner_that_asks_for_a_rest_is_asked_for_no_stake_until_it_is_over() {
    let (mut script, token) = Script::asking();
    // Written while nobody has asked for a rest, and acknowledged within it.
    let other = script.ask(Ask::Place(Place { client_ref: "c-other".parse().unwrap(), ..place() }));
    script.answered(HoldReply::Busy { rest_ms: 2_000 });
    script.applied();
    let third = Place { client_ref: "c-third".parse().unwrap(), ..place() };
    let refused = script.ask(Ask::Place(third.clone()));
    let told = script.told(refused);
    assert!(matches!(told, Some(Told::NotTaken { code: NotTaken::Overloaded, .. })), "{told:?}");
    assert!(script.applies.is_empty(), "nothing is written");
    script.pass(1_999);
    assert!(script.calls.is_empty(), "{:?}", script.calls);
    script.pass(1);
    assert_eq!(script.calls.len(), 2, "both that were written");
    assert_eq!((script.told(token), script.told(other)), (None, None));
    script.ask(Ask::Place(third));
    assert_eq!(script.applies.len(), 1);
    // Longer than there is time: it expires.
    let (mut script, _) = Script::asking();
    script.answered(HoldReply::Busy { rest_ms: 9_000 });
    script.pass(9_000);
    assert!(script.calls.is_empty() && script.applies.is_empty());
}

/// One busy backend of several stops nobody's betting, nor does a clock that was set back.
#[test]
fn a_rest_ends_with_a_stake_that_is_answered_and_is_never_longer_than_any() {
    let third = || Ask::Place(Place { client_ref: "c-third".parse().unwrap(), ..place() });
    let (mut script, _) = Script::asking();
    script.ask(Ask::Place(Place { client_ref: "c-other".parse().unwrap(), ..place() }));
    script.applied();
    script.answered(HoldReply::Busy { rest_ms: 2_000 });
    script.answered(reply(200, "{}"));
    script.ask(third());
    assert_eq!(script.applies.len(), 1);

    let (mut script, _) = Script::asking();
    script.answered(HoldReply::Busy { rest_ms: 9_000 });
    script.now -= 2_000;
    script.ask(third());
    assert_eq!(script.applies.len(), 1);
}

#[test]
fn nobody_is_asked_behind_the_expiry() {
    // The intent was acknowledged too late.
    let mut script = Script::betting();
    script.ask(Ask::Place(place()));
    script.pass(4_000);
    script.applied();
    assert!(script.calls.is_empty());
    // The first answer took too long for a repeat.
    let (mut script, _) = Script::asking();
    script.pass(3_900);
    script.answered(nothing());
    assert_eq!(script.timers.len(), 1, "only the wait for the decision");
    script.pass(1_000);
    assert!(script.calls.is_empty());
    // The repeat's timer came too late.
    let (mut script, _) = Script::asking();
    script.answered(nothing());
    script.now += 4_000;
    script.pass(0);
    assert!(script.calls.is_empty());
}

/// The partner may have looked the row up in time; the log decides whether its word came in time.
#[test]
fn an_answer_behind_the_expiry_is_written() {
    let (mut script, _) = Script::asking();
    script.pass(4_500);
    script.answered(approved(&place().bet_id()));
    assert_eq!(answer(script.applied()), HoldAnswer::Approved);
}

#[test]
fn a_bet_that_is_over_at_the_partner_writes_nothing_and_asks_nothing() {
    let voided = r#"{"bet_id":"BET","revision":1,"decision":"voided","status":"voided"}"#;
    let settled = r#"{"bet_id":"BET","revision":3,"status":"settled"}"#;
    for body in [voided, settled] {
        let (mut script, token) = Script::asking();
        script.answered(reply(200, &body.replace("BET", place().bet_id().as_str())));
        script.pass(1_000);
        assert!(script.calls.is_empty() && script.applies.is_empty());
        assert_eq!(script.told(token), None);
    }
}

#[test]
fn waiting_ends_and_the_bet_goes_on() {
    let (mut script, token) = Script::asking();
    script.pass(5_999);
    assert_eq!(script.told(token), None);
    script.pass(1);
    assert_eq!(script.told(token), undecided());
    // Still being asked for: whoever asks now waits no more.
    let late = script.ask(Ask::Place(place()));
    assert_eq!(script.told(late), undecided());
    assert_eq!(script.machine.in_flight(), 1);
    script.answered(approved(&place().bet_id()));
    assert_eq!(answer(script.applied()), HoldAnswer::Approved);
    assert_eq!(script.machine.in_flight(), 0);
    // The decision that comes later answers the next repeat, and wakes nobody twice.
    let accepted = decision(&place(), Verdict::Accepted);
    script.decided(accepted.clone());
    assert_eq!(script.told(token), undecided());
    let again = script.ask(Ask::Place(place()));
    assert_eq!(script.told(again), Some(Told::Decided(accepted)));
}

#[test]
fn a_repeat_joins_the_bet_in_flight() {
    let (mut script, first) = Script::asking();
    let second = script.ask(Ask::Place(place()));
    assert!(script.applies.is_empty() && script.calls.len() == 1);
    let accepted = decision(&place(), Verdict::Accepted);
    script.decided(accepted.clone());
    for token in [first, second] {
        assert_eq!(script.told(token), Some(Told::Decided(accepted.clone())));
    }
    // Its call is still out: the bet goes when the call ends, and nothing is written for it.
    assert_eq!(script.machine.in_flight(), 1);
    script.answered(approved(&place().bet_id()));
    assert!(script.applies.is_empty());
    assert_eq!(script.machine.in_flight(), 0);
}

#[test]
fn the_waiters_of_one_bet_are_bounded() {
    let (mut script, _) = Script::asking();
    for _ in 1..16 {
        let token = script.ask(Ask::Place(place()));
        assert_eq!(script.told(token), None);
    }
    let token = script.ask(Ask::Place(place()));
    assert_not_taken(script.told(token), NotTaken::Overloaded);
}

#[test]
fn a_decision_that_comes_while_the_intent_is_written_saves_the_call() {
    let mut script = Script::betting();
    let token = script.ask(Ask::Place(place()));
    script.decided(decision(&place(), Verdict::Accepted));
    assert!(script.told(token).is_some());
    script.applied();
    assert!(script.calls.is_empty());
    assert_eq!(script.machine.in_flight(), 0);
}

#[test]
fn a_decision_between_two_attempts_ends_them() {
    let (mut script, _) = Script::asking();
    script.answered(nothing());
    script.decided(decision(&place(), Verdict::Accepted));
    assert_eq!(script.machine.in_flight(), 0);
    script.pass(1_000);
    assert!(script.calls.is_empty());
}

#[test]
fn the_oldest_decisions_go_first() {
    let mut options = options();
    options.limits.decisions_kept_max = 2;
    let mut script = Script::new(options);
    script.open("r_1", 1_500);
    let bets = ["a", "b", "c"].map(|name| Place { client_ref: name.parse().unwrap(), ..place() });
    for bet in &bets {
        script.decided(decision(bet, Verdict::Accepted));
    }
    let known = bets.map(|bet| {
        let token = script.ask(Ask::Place(bet));
        script.told(token).is_some()
    });
    assert_eq!(known, [false, true, true]);
}

#[test]
fn two_decisions_of_one_bet_alarm_and_the_first_stands() {
    let (mut script, token) = Script::asking();
    let accepted = decision(&place(), Verdict::Accepted);
    script.decided(accepted.clone());
    let cancelling = script.ask(Ask::Cancel(cancel("c-1")));
    script.decided(decision(&place(), Verdict::Rejected(RejectReason::Closed)));
    assert_eq!(script.told(cancelling), None);
    assert_eq!(
        script.alarms.iter().map(|alarm| alarm.name).collect::<Vec<_>>(),
        ["decision_conflict"]
    );
    assert_eq!(script.told(token), Some(Told::Decided(accepted.clone())));
    let again = script.ask(Ask::Place(place()));
    assert_eq!(script.told(again), Some(Told::Decided(accepted)));
}

#[test]
fn a_cancelled_bet_stays_cancelled_when_its_acceptance_is_published_again() {
    let mut script = Script::betting();
    let cancelled = decision(&place(), Verdict::Cancelled("c-1".parse().unwrap()));
    script.decided(decision(&place(), Verdict::Accepted));
    script.decided(cancelled.clone());
    script.decided(decision(&place(), Verdict::Accepted));
    let token = script.ask(Ask::Place(place()));
    assert_eq!(script.told(token), Some(Told::Decided(cancelled)));
    assert!(script.alarms.is_empty());
}

#[test]
fn an_answer_that_was_not_acknowledged_is_appended_again_unchanged() {
    let (mut script, _) = Script::asking();
    script.answered(approved(&place().bet_id()));
    let first = script.applies[0].1.clone();
    script.failed(EngineError::Unavailable("no leader".to_owned()));
    assert!(script.applies.is_empty());
    script.pass(100);
    assert_eq!(script.applies[0].1, first);
    script.applied();
    script.pass(6_000);
    assert_eq!(script.machine.in_flight(), 0);
    assert!(script.alarms.is_empty());
}

#[test]
fn an_answer_is_appended_five_times_at_most() {
    let (mut script, token) = Script::asking();
    script.answered(approved(&place().bet_id()));
    for _ in 0..5 {
        script.failed(EngineError::Full("no room".to_owned()));
        script.pass(100);
    }
    assert!(script.applies.is_empty());
    assert_eq!(script.alarms.len(), 1);
    script.pass(6_000);
    assert_eq!(script.told(token), undecided());
    assert_eq!(script.machine.in_flight(), 0);
}

#[test]
fn a_full_log_refuses_the_bet() {
    let mut script = Script::betting();
    let token = script.ask(Ask::Place(place()));
    script.failed(EngineError::Full("no room".to_owned()));
    assert_not_taken(script.told(token), NotTaken::StorageFull);
    assert_eq!(script.machine.in_flight(), 0);
}

#[test]
fn an_unreadable_record_alarms_and_is_passed() {
    let mut script = Script::betting();
    let mut record = schemas::outgoing::decision(
        &schemas::decisions::DecisionSaid::Decided(decision(&place(), Verdict::Accepted)),
        0,
    )
    .unwrap();
    record.value.truncate(9);
    script.read(record);
    assert_eq!(script.alarms.len(), 1);
    let token = script.ask(Ask::Place(place()));
    assert_eq!(script.told(token), None);
}

#[test]
fn a_cancel_is_written_and_answered_by_the_settler() {
    let mut script = Script::betting();
    script.decided(decision(&place(), Verdict::Accepted));
    let token = script.ask(Ask::Cancel(cancel("c-1")));
    let BetSaid::Cancel { bet, partner, request } = script.applied() else { panic!("a cancel") };
    assert_eq!((bet, partner), (place().bet_id(), place().partner));
    assert_eq!(request.as_str(), "c-1");
    assert_eq!(script.told(token), None);
    script.decided(decision(&place(), Verdict::Accepted));
    assert_eq!(script.told(token), None, "an acceptance published again is no word on the cancel");
    let cancelled = decision(&place(), Verdict::Cancelled("c-1".parse().unwrap()));
    script.decided(cancelled.clone());
    assert_eq!(script.told(token), Some(Told::Decided(cancelled.clone())));
    assert_eq!(script.machine.in_flight(), 0);
    // A second cancel, under another request: the bet is over, nothing is written.
    let again = script.ask(Ask::Cancel(cancel("c-2")));
    assert_eq!(script.told(again), Some(Told::Decided(cancelled)));
    assert!(script.applies.is_empty());
}

#[test]
fn a_cancel_of_an_unknown_bet_is_the_settlers_to_refuse() {
    let mut script = Script::betting();
    let mine = script.ask(Ask::Cancel(cancel("c-1")));
    let other = script.ask(Ask::Cancel(cancel("c-2")));
    assert_eq!(script.applies.len(), 2);
    script.refused(&cancel("c-1"));
    assert!(matches!(script.told(mine), Some(Told::CancelRefused(_))));
    assert_eq!(script.told(other), None, "each request has its own refusal");
    script.pass(6_000);
    assert_eq!(script.told(other), undecided());
    assert_eq!(script.machine.in_flight(), 0);
}

#[test]
fn the_same_cancel_twice_is_written_once() {
    let mut script = Script::betting();
    let tokens = [script.ask(Ask::Cancel(cancel("c-1"))), script.ask(Ask::Cancel(cancel("c-1")))];
    assert_eq!(script.applies.len(), 1);
    script.applied();
    let rejected = decision(&place(), Verdict::Rejected(RejectReason::Closed));
    script.decided(rejected.clone());
    for token in tokens {
        assert_eq!(script.told(token), Some(Told::Decided(rejected.clone())));
    }
}

#[test]
fn nobody_cancels_anothers_bet() {
    let strangers = [
        Cancel { player: "p_8".parse().unwrap(), ..cancel("c-1") },
        Cancel { partner: "bolt".parse().unwrap(), ..cancel("c-1") },
    ];
    for stranger in strangers {
        let (mut script, _) = Script::asking();
        let token = script.ask(Ask::Cancel(stranger.clone()));
        assert_not_taken(script.told(token), NotTaken::BetUnknown);
        let mut script = Script::betting();
        script.decided(decision(&place(), Verdict::Accepted));
        let token = script.ask(Ask::Cancel(stranger.clone()));
        assert_not_taken(script.told(token), NotTaken::BetUnknown);
        assert!(script.applies.is_empty());
        // Not in memory yet: it goes to the stranger's own lane, and the answer shows nothing.
        let mut script = Script::betting();
        let token = script.ask(Ask::Cancel(stranger));
        script.applied();
        script.decided(decision(&place(), Verdict::Rejected(RejectReason::Closed)));
        assert_not_taken(script.told(token), NotTaken::BetUnknown);
    }
}

#[test]
fn a_cancel_that_was_not_acknowledged_is_not_taken() {
    let mut script = Script::betting();
    let token = script.ask(Ask::Cancel(cancel("c-1")));
    script.failed(EngineError::Unavailable("no leader".to_owned()));
    assert_not_taken(script.told(token), NotTaken::StorageUnavailable);
    assert_eq!(script.machine.in_flight(), 0);
}

#[test]
fn the_cancels_of_one_bet_are_bounded() {
    let mut script = Script::betting();
    for number in 0..16 {
        script.ask(Ask::Cancel(cancel(&format!("c-{number}"))));
    }
    let token = script.ask(Ask::Cancel(cancel("c-16")));
    assert_not_taken(script.told(token), NotTaken::Overloaded);
    assert_eq!(script.applies.len(), 16);
}

#[test]
fn another_stake_under_the_same_reference_is_refused() {
    let other = || Ask::Place(Place { stake: money(5_000), ..place() });
    let (mut script, _) = Script::asking();
    let token = script.ask(other());
    assert_eq!(script.told(token), reused());
    script.decided(decision(&place(), Verdict::Accepted));
    let token = script.ask(other());
    assert_eq!(script.told(token), reused());
}
