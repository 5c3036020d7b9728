//! The interleavings of the protocol notes, where they concern placing.

use super::script::{
    Script, answer, approved, cancel, decision, declined, money, nothing, place, reply, said,
};
use crate::placing::{Ask, NotTaken, Place, Told};
use planted::Bug;
use runtime::EngineError;
use schemas::bets::{BetSaid, HoldAnswer};
use schemas::decisions::{RejectReason, Verdict};
use schemas::rounds::RoundSaid;

/// A client repeats the intent of a bet that was decided: the decision is the answer, no intent is written.
#[test]
fn h8_a_known_bet_is_answered_from_its_decision() {
    for verdict in [
        Verdict::Accepted,
        Verdict::Rejected(RejectReason::Expired),
        Verdict::Cancelled("c-1".parse().unwrap()),
    ] {
        let mut script = Script::betting();
        let decided = decision(&place(), verdict);
        script.decided(decided.clone());
        let token = script.ask(Ask::Place(place()));
        assert_eq!(script.told(token), Some(Told::Decided(decided)));
        assert!(script.applies.is_empty() && script.timers.is_empty());
    }
}

/// Attempt 1 approved, its answer lost; attempt 2 comes behind `expires_at` and is declined. Placing
/// writes the decline and says nothing: the settler rejects *and voids* (R11), so no stake stays held.
#[test]
fn h15_a_decline_of_a_repeat_is_a_record_and_no_refusal() {
    let (mut script, token) = Script::asking();
    script.answered(nothing());
    script.pass(100);
    script.answered(declined(&place().bet_id(), "bet_expired"));
    assert_eq!(answer(script.applied()), HoldAnswer::Declined("bet_expired".to_owned()));
    assert_eq!(script.told(token), None);
    let reason = RejectReason::Declined("bet_expired".to_owned());
    let rejected = decision(&place(), Verdict::Rejected(reason));
    script.decided(rejected.clone());
    assert_eq!(script.told(token), Some(Told::Decided(rejected)));
}

/// A cancel of a bet that is still pending does not keep the partner's answer out of the log.
#[test]
fn h15_a_cancel_of_a_pending_bet_waits_for_the_settler() {
    let (mut script, placed) = Script::asking();
    let cancelling = script.ask(Ask::Cancel(cancel("c-1")));
    assert!(matches!(script.applied(), BetSaid::Cancel { .. }));
    script.answered(approved(&place().bet_id()));
    assert_eq!(answer(script.applied()), HoldAnswer::Approved);
    let cancelled = decision(&place(), Verdict::Cancelled("c-1".parse().unwrap()));
    script.decided(cancelled.clone());
    for token in [placed, cancelling] {
        assert_eq!(script.told(token), Some(Told::Decided(cancelled.clone())));
    }
    assert_eq!(script.machine.in_flight(), 0);
}

/// Another instance took the same reference with another stake, and its intent stands first: whoever
/// asked here is told that the reference was used, and never that 50.00 were accepted.
#[test]
fn h16_the_decision_about_another_content_is_not_this_bets() {
    let (mut script, token) = Script::asking();
    let second = script.ask(Ask::Place(place()));
    script.decided(decision(&Place { stake: money(5_000), ..place() }, Verdict::Accepted));
    for token in [token, second] {
        assert_eq!(script.told(token), Some(Told::ReferenceReused { bet: place().bet_id() }));
    }
    // The partner refuses the other content: no answer, and no repeat for a bet that is decided.
    script.answered(reply(422, r#"{"code":"revision_conflict"}"#));
    script.pass(10_000);
    assert!(script.applies.is_empty() && script.calls.is_empty());
    assert_eq!(script.machine.in_flight(), 0);
}

/// The answer carries the hash of what the partner was asked about.
#[test]
fn h16_the_answer_names_its_content() {
    let (mut script, _) = Script::asking();
    script.answered(approved(&place().bet_id()));
    let BetSaid::Answer { bet, content, .. } = said(&script.applies[0].1) else {
        panic!("an answer")
    };
    assert_eq!(bet, place().bet_id());
    assert_eq!(content, place().bet(0).content_hash());
    let other = Place { stake: money(5_000), ..place() };
    assert_ne!(content, other.bet(0).content_hash());
}

/// The same reference in another round names another bet.
#[test]
fn h16_a_reference_belongs_to_its_round() {
    let (mut script, _) = Script::asking();
    script.open("r_2", 1_500);
    let token = script.ask(Ask::Place(Place { round: "r_2".parse().unwrap(), ..place() }));
    assert_eq!(script.told(token), None);
    assert_eq!(script.applies.len(), 1);
}

/// This instance is past `closing`, the retry's first request has its intent in the log: what is known
/// is answered from the log, and what is not known is refused without being final.
#[test]
fn h17_a_refusal_is_never_an_answer_about_the_bet() {
    let mut script = Script::betting();
    script.admitted("r_1", RoundSaid::Closing);
    let token = script.ask(Ask::Place(place()));
    assert!(matches!(script.told(token), Some(Told::NotTaken { code: NotTaken::NotBetting, .. })));
    let accepted = decision(&place(), Verdict::Accepted);
    script.decided(accepted.clone());
    let token = script.ask(Ask::Place(place()));
    assert_eq!(script.told(token), Some(Told::Decided(accepted)));
}

/// A repeat of a bet in flight here waits for its decision, whatever would be refused by now.
#[test]
fn h17_a_bet_in_flight_outlives_what_would_refuse_it() {
    let (mut script, first) = Script::asking();
    script.admitted("r_1", RoundSaid::Closing);
    let second = script.ask(Ask::Place(place()));
    assert_eq!(script.told(second), None);
    script.answered(approved(&place().bet_id()));
    script.applied();
    let accepted = decision(&place(), Verdict::Accepted);
    script.decided(accepted.clone());
    for token in [first, second] {
        assert_eq!(script.told(token), Some(Told::Decided(accepted.clone())));
    }
}

/// The append of the intent fails and the record lands later: the partner was never asked, so the
/// expiry has nothing to give back; the next repeat is answered from the decision.
#[test]
fn h26_an_intent_that_was_not_acknowledged_asks_nobody() {
    let mut script = Script::betting();
    let token = script.ask(Ask::Place(place()));
    assert!(script.calls.is_empty(), "asked before the intent was acknowledged");
    script.failed(EngineError::Unavailable("timed out".to_owned()));
    assert!(matches!(
        script.told(token),
        Some(Told::NotTaken { code: NotTaken::StorageUnavailable, .. })
    ));
    script.pass(100_000);
    assert!(script.calls.is_empty());
    assert_eq!(script.machine.in_flight(), 0);
    let rejected = decision(&place(), Verdict::Rejected(RejectReason::Expired));
    script.decided(rejected.clone());
    let token = script.ask(Ask::Place(place()));
    assert_eq!(script.told(token), Some(Told::Decided(rejected)));
}

#[test]
fn h26_the_planted_bug_asks_at_once() {
    let mut script = Script::betting();
    planted::arm_thread(Some(Bug::AskedBeforeIntent));
    script.ask(Ask::Place(place()));
    planted::arm_thread(None);
    assert_eq!(script.calls.len(), 1);
    script.applied();
    assert_eq!(script.calls.len(), 1, "once");
}
