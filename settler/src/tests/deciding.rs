//! What decides, and what a takeover knows.

use super::{Lane, Order, bet, partner};
use crate::{Settler, SettlerOptions};
use runtime::machine::{Input, Machine};
use runtime::{Source, Topic};
use schemas::bets::{BetEvent, BetSaid, HoldAnswer, MarkerBody};
use schemas::catalogue::BETS;
use schemas::rounds::Outcome;
use schemas::{BetId, RoundId, outgoing};

#[test]
fn an_approved_hold_before_closed_is_a_bet_and_is_settled() {
    let mut lane = Lane::default();
    let (odd, even) = (bet("a", "odd"), bet("b", "even"));
    lane.open();
    lane.held(&odd);
    lane.held(&even);
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    assert_eq!(lane.decisions(&odd), ["accepted"]);
    assert_eq!(lane.targets(&odd), ["3 Settled(2500)"]);
    assert_eq!(lane.targets(&even), ["3 Settled(0)"]);
    assert_eq!(lane.stored, lane.end());
}

#[test]
fn everything_that_is_not_a_bet_ends_in_a_void_at_revision_2() {
    let declined = bet("declined", "odd");
    let late = bet("late", "odd");
    let early = bet("early", "odd");
    let unanswered = bet("unanswered", "odd");
    let cancelled = bet("cancelled", "odd");
    let mut lane = Lane::default();
    lane.intent(&early);
    lane.open();
    lane.intent(&declined);
    lane.answer(&declined, HoldAnswer::Declined("insufficient_funds".to_owned()));
    lane.held(&cancelled);
    lane.cancel(&cancelled);
    lane.intent(&unanswered);
    lane.close();
    lane.held(&late);
    lane.outcome(1, "3");
    lane.settle();
    for (bet, decisions) in [
        (&declined, vec!["rejected"]),
        (&late, vec!["rejected"]),
        (&early, vec!["rejected"]),
        (&unanswered, vec!["rejected"]),
        (&cancelled, vec!["accepted", "cancelled"]),
    ] {
        assert_eq!(lane.decisions(bet), decisions, "{bet:?}");
        assert_eq!(lane.targets(bet), ["2 Voided"], "{bet:?}");
    }
}

#[test]
fn an_intent_expires_at_the_sixth_tick_behind_it() {
    let mut lane = Lane::default();
    let bet = bet("a", "odd");
    lane.open();
    lane.say(BetSaid::Tick);
    lane.intent(&bet);
    for _ in 0..5 {
        lane.say(BetSaid::Tick);
    }
    lane.settle();
    assert_eq!(lane.decisions(&bet), Vec::<String>::new());
    assert_eq!(lane.stored, 2, "held back at the intent (R1)");
    lane.say(BetSaid::Tick);
    lane.answer(&bet, HoldAnswer::Approved);
    lane.settle();
    assert_eq!(lane.decisions(&bet), ["rejected"]);
    assert_eq!(lane.targets(&bet), ["2 Voided"]);
    assert_eq!(lane.stored, lane.end());
}

#[test]
fn a_cancel_behind_closed_or_for_nothing_is_refused_and_is_no_fact() {
    let mut lane = Lane::default();
    let (held, unknown) = (bet("a", "odd"), bet("b", "odd"));
    lane.open();
    lane.cancel(&unknown);
    lane.held(&held);
    lane.close();
    lane.cancel(&held);
    lane.settle();
    assert_eq!(lane.decisions(&held), ["accepted", "cancel_refused"]);
    assert_eq!(lane.decisions(&unknown), ["cancel_refused"]);
    assert!(lane.facts.keys().all(|key| key.subject != unknown.id.as_str()));
    assert_eq!(lane.targets(&held), Vec::<String>::new());
}

#[test]
fn a_decided_bet_never_opens_again_and_its_decision_is_said_again() {
    let mut lane = Lane::default();
    let bet = bet("a", "odd");
    lane.open();
    lane.held(&bet);
    lane.settle();
    lane.held(&bet);
    lane.settle();
    assert_eq!(lane.decisions(&bet), ["accepted", "accepted"]);
    let facts = lane.facts.keys().filter(|key| key.subject == bet.id.as_str()).count();
    assert_eq!(facts, 1);
}

#[test]
fn an_answer_about_another_content_is_ignored() {
    let mut lane = Lane::default();
    let ten = bet("a", "odd");
    let mut fifty = ten.clone();
    fifty.stake.units = 5_000;
    lane.open();
    lane.intent(&ten);
    lane.intent(&fifty);
    lane.answer(&fifty, HoldAnswer::Approved);
    lane.settle();
    assert_eq!(lane.decisions(&ten), Vec::<String>::new());
    lane.answer(&ten, HoldAnswer::Approved);
    lane.settle();
    assert_eq!(lane.decisions(&ten), ["accepted"]);
}

#[test]
fn versions_are_compared_with_the_one_before() {
    let mut lane = Lane::default();
    let bet = bet("a", "odd");
    lane.open();
    lane.held(&bet);
    lane.close();
    lane.outcome(1, "3");
    lane.outcome(2, "4");
    lane.outcome(3, "6");
    lane.version(4, Outcome::Withdrawn);
    lane.outcome(5, "1");
    lane.version(6, Outcome::Voided);
    lane.settle();
    let told = ["3 Settled(2500)", "4 Settled(0)", "6 Held", "7 Settled(2500)", "8 Voided"];
    assert_eq!(lane.targets(&bet), told);
}

/// A fresh settler at every offset that was ever stored, and any size of batch, say the same.
#[test]
fn takeovers_and_batches_say_the_same() {
    let mut calm = Lane::default();
    let bets: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|name| bet(name, "odd")).collect();
    calm.open();
    for bet in &bets {
        calm.intent(bet);
    }
    calm.answer(&bets[0], HoldAnswer::Approved);
    calm.answer(&bets[1], HoldAnswer::Declined("other".to_owned()));
    calm.answer(&bets[2], HoldAnswer::Approved);
    calm.cancel(&bets[2]);
    calm.cancel(&bets[3]);
    calm.close();
    calm.answer(&bets[4], HoldAnswer::Approved);
    calm.outcome(1, "1");
    calm.outcome(2, "2");
    let log = calm.log.clone();
    calm.settle();
    for batch_records in [1, 2, 3, 5] {
        let mut stormy = Lane::default();
        for record in &log {
            stormy.log.push(record.clone());
            let mut settler = stormy.settler();
            stormy.run(&mut settler, batch_records);
        }
        assert_eq!(stormy.facts, calm.facts);
        for bet in &bets {
            let mut told = stormy.targets(bet);
            told.dedup();
            assert_eq!(told, calm.targets(bet), "{batch_records} {bet:?}");
        }
    }
}

/// A round that was dropped from memory is loaded again when a late record names it.
#[test]
fn an_evicted_round_is_loaded_again() {
    let mut lane = Lane::default();
    let bet = bet("a", "odd");
    lane.open();
    lane.held(&bet);
    lane.close();
    lane.outcome(1, "3");
    let options = SettlerOptions { partition: 0, from: 0, rounds_kept: 0 };
    let mut settler = Settler::new(options);
    lane.run(&mut settler, 2);
    lane.intent(&bet);
    lane.outcome(2, "2");
    lane.run(&mut settler, 2);
    assert_eq!(lane.decisions(&bet), ["accepted", "accepted"]);
    assert_eq!(lane.targets(&bet), ["3 Settled(2500)", "4 Settled(0)"]);
}

#[test]
fn late_copies_of_markers_change_nothing() {
    let mut lane = Lane::default();
    let bet = bet("a", "odd");
    lane.open();
    lane.held(&bet);
    lane.close();
    lane.open();
    lane.outcome(1, "3");
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    assert_eq!(lane.targets(&bet), ["3 Settled(2500)"]);
    assert!(lane.alarms.is_empty());
}

/// R6: nothing is stored behind rules that this build lacks, not even what stands before them.
#[test]
fn unknown_rules_stop_the_partition() {
    let mut lane = Lane::default();
    let mut newer = bet("a", "odd");
    newer.rules_version = 99;
    lane.open();
    lane.intent(&newer);
    lane.settle();
    assert!(lane.alarmed("partition_stopped"));
    assert_eq!(lane.stored, 0);

    let mut lane = Lane::default();
    let opened =
        MarkerBody::Opened { game: "die".to_owned(), rules_version: 99, selections: Vec::new() };
    lane.marker(1, opened);
    lane.settle();
    assert!(lane.alarmed("partition_stopped"));
    assert_eq!(lane.stored, 0);
}

/// R6: a settler that stops on one round does not go on when the facts of another arrive behind it.
#[test]
fn a_stopped_settler_decides_nothing_more() {
    let mut lane = Lane::default();
    let bet = bet("a", "odd");
    lane.open();
    lane.held(&bet);
    lane.close();
    lane.settle();
    let stored = lane.stored;
    let broken = lane.facts.keys().find(|key| key.subject == bet.id.as_str()).cloned().unwrap();
    lane.facts.insert(broken, bytes::Bytes::from_static(b"not a fact"));
    lane.intent(&bet);
    lane.say_of("r2", MarkerBody::Closed);
    for order in [Order::First, Order::Last] {
        let mut settler = lane.settler();
        lane.run_loads(&mut settler, order);
        assert!(lane.alarmed("partition_stopped"));
        assert_eq!((lane.stored, lane.decisions(&bet)), (stored, vec!["accepted".to_owned()]));
    }
}

/// A week stands in a row: all of its rounds at once would fill the memory. What is behind them is taken also where nothing
/// follows from it, not even an offset.
#[test]
fn a_batch_loads_no_more_rounds_than_it_may() {
    let mut lane = Lane::default();
    lane.open();
    lane.settle();
    // Undecided, it holds the offset back.
    let undecided = bet("undecided", "odd");
    let intent_at = lane.intent(&undecided);
    for number in 0..600 {
        let round: RoundId = format!("week-{number}").parse().unwrap();
        let id = BetId::of(&round, &partner(), &undecided.player, &undecided.client_ref);
        let (content, answer) = (undecided.content_hash(), HoldAnswer::Approved);
        let said = BetSaid::Answer { bet: id, partner: partner(), content, answer };
        let event = BetEvent { round: Some(round), said_at: 1_000, said };
        let out = outgoing::bet(&event, 0).unwrap();
        lane.raw(out.headers.into_iter().collect(), out.value);
    }
    let source = Source { topic: Topic(BETS), partition: 0 };
    let records = lane.log[usize::try_from(lane.stored).unwrap()..].to_vec();
    let mut settler = lane.settler();
    let asked = settler.handle(0, Input::Records { source, records, end: lane.end() });
    assert_eq!((asked.len(), settler.ready_for(source)), (256, false));
    assert!(settler.position() < lane.end());

    let mut settler = lane.settler();
    lane.run_loads(&mut settler, Order::First);
    assert_eq!((settler.position(), settler.ready_for(source)), (lane.end(), true));
    lane.answer(&undecided, HoldAnswer::Approved);
    lane.run(&mut settler, 100);
    assert_eq!((intent_at, lane.stored), (1, lane.end()));
}
