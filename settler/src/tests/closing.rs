//! Rounds are closed with partners, and what differs is a case that names the bets (R19).

mod holds;
mod mutilated;
mod street;

use super::reconciling::{admitted, answered};
use super::{Lane, bet, partner, round};
use crate::{CloseAnswer, CloseAsk, Standing};
use bytes::Bytes;
use runtime::Step;
use runtime::http::{CallError, HttpAnswer};
use schemas::Money;
use schemas::bets::Bet;
use schemas::contract::{CloseRequest, RowStatus};
use schemas::facts::DELIVERED;
use schemas::wire::DeliveryOutcome;
use street::{Wallet, bets, finished, fresh};

fn status(status: u16) -> CloseAnswer {
    Ok(HttpAnswer { status, retry_after_ms: None, body: Bytes::new() })
}

#[test]
fn a_finished_round_is_closed_once_for_each_version() {
    let mut street = finished();
    street.read(2);
    assert_eq!((street.same_at(2), street.asked()), (1, 1));
    let CloseAsk::Close(body) = &street.wallet.asked[0] else {
        panic!("{:?}", street.wallet.asked)
    };
    let request: CloseRequest = serde_json::from_slice(body).unwrap();
    let total = |currency: &str| request.totals.iter().find(|t| t.currency == currency).unwrap();
    let (eur, jpy) = (total("EUR"), total("JPY"));
    assert_eq!((eur.bets, eur.stake.as_str(), eur.payout.as_str()), (4, "4000", "5000"));
    assert_eq!((eur.voided, eur.parked, request.open_holds), (1, 0, 0));
    assert_eq!((jpy.bets, jpy.stake.as_str(), jpy.payout.as_str()), (1, "5000", "12500"));
    street.look();
    // Whoever comes later knows it from the fact.
    street.reconciler = fresh();
    street.read(2);
    street.look();
    assert_eq!((street.closes().len(), street.asked()), (1, 1), "it was closed before");
    assert_eq!(street.standing(), Standing::default());

    street.lane.outcome(3, "2");
    street.lane.settle();
    street.deliver();
    street.read(3);
    street.look();
    assert_eq!((street.same_at(3), street.asked()), (1, 2), "a correction is closed too");
    assert!(street.cases().is_empty() && street.lane.alarms.is_empty());
}

/// A row that is lost after its partner agreed to the round is found within a cycle; a partner that does not answer is
/// left to the next one.
#[test]
fn a_round_that_is_done_is_compared_again_in_every_cycle() {
    let mut street = finished();
    street.read(2);
    street.look();
    assert_eq!(street.asked(), 1);
    for cycle in 2..4 {
        street.cycle();
        street.look();
        assert_eq!((street.asked(), street.closes().len()), (cycle, 1), "the same is no news");
        assert_eq!(street.standing(), Standing::default());
    }
    street.wallet.instead = Some(status(500));
    street.cycle();
    assert_eq!(street.asked(), 4);
    street.look();
    assert_eq!((street.asked(), street.standing()), (4, Standing::default()), "it is left alone");

    street.wallet.instead = None;
    let id = bets()["won"].id.clone();
    let row = street.wallet.rows.remove(id.as_str()).unwrap();
    street.cycle();
    street.look();
    let [case] = &street.cases()[..] else { panic!("{:?}", street.cases()) };
    assert!(case.text.contains(id.as_str()), "{}", case.text);
    street.look();
    assert_eq!((street.standing().cases, street.standing().unclosed), (1, 1));
    assert!(!street.lane.alarmed("settlements_said_again"), "it never pays by itself");

    street.wallet.rows.insert(id.to_string(), row);
    street.look();
    street.look();
    assert_eq!((street.standing(), street.cases().len()), (Standing::default(), 2), "it has ended");
}

/// A bet that is set aside keeps its round open with its partner, and hides nothing else of it.
#[test]
fn a_round_with_a_parked_bet_is_compared_in_every_cycle_too() {
    let mut street = finished();
    let parked = bets()["lost"].id.clone();
    street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != parked.as_str());
    answered(&mut street.lane, &bets()["lost"], 4, DeliveryOutcome::Parked);
    street.read(2);
    street.look();
    assert_eq!((street.same_at(2), street.standing().owed.parked), (1, 1));
    let id = bets()["won"].id.clone();
    street.wallet.rows.remove(id.as_str()).unwrap();
    street.cycle();
    street.look();
    street.look();
    let [case] = &street.cases()[..] else { panic!("{:?}", street.cases()) };
    assert!(case.text.contains(id.as_str()), "{}", case.text);
}

/// Nothing is asked before every settlement and void has its answer, or is set aside.
#[test]
fn what_is_owed_or_not_heard_of_yet_holds_up_the_close() {
    for name in ["won", "cancelled", "rejected"] {
        let mut street = finished();
        let id = bets()[name].id.to_string();
        street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id);
        street.read(2);
        street.look();
        let standing = street.standing();
        assert_eq!((street.asked(), standing.unclosed), (0, 1), "{name}");
        assert_eq!(
            (standing.unclosed_since, standing.unconfirmed_since),
            (Some(1_000), Some(1_000))
        );
        // Won 25.00 of 10.00, which are held; a final void moves the stake.
        let moves = if name == "won" { 2_500 } else { 1_000 };
        assert_eq!(standing.in_flight[&"EUR".parse().unwrap()], moves, "{name}");
        street.deliver();
        street.look();
        assert_eq!(street.same_at(2), 1, "{name}");
    }
    // The settler is behind: version 3 was admitted and is not in this partition.
    let mut street = finished();
    street.read(3);
    street.look();
    assert_eq!((street.asked(), street.standing().unclosed), (0, 1));
}

#[test]
fn parked_bets_are_listed_and_not_compared() {
    let mut street = finished();
    let id = bets()["won"].id.clone();
    street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id.as_str());
    answered(&mut street.lane, &bets()["won"], 4, DeliveryOutcome::Parked);
    street.wallet.rows.remove(id.as_str());
    street.wallet.held(id.as_str(), bets()["won"].stake);
    street.read(2);
    let CloseAsk::Close(body) = &street.wallet.asked[0] else {
        panic!("{:?}", street.wallet.asked)
    };
    let request: CloseRequest = serde_json::from_slice(body).unwrap();
    assert_eq!(request.listed, [id.to_string()]);
    let eur = request.totals.iter().find(|total| total.currency == "EUR").unwrap();
    assert_eq!((eur.bets, eur.parked, request.open_holds), (3, 1, 1));
    assert_eq!(street.same_at(2), 1, "{:?}", street.cases());
    // It was sent again and taken: nothing is set aside any more, and that is another close.
    street.deliver();
    street.look();
    assert_eq!(street.same_at(2), 2);
    let CloseAsk::Close(body) = street.wallet.asked.last().unwrap() else { panic!() };
    assert!(serde_json::from_slice::<CloseRequest>(body).unwrap().listed.is_empty());

    // The partner has it as it was before: nobody knows, so nobody minds.
    let mut street = finished();
    street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id.as_str());
    answered(&mut street.lane, &bets()["won"], 4, DeliveryOutcome::Parked);
    street.row("won").revision = 3;
    street.read(2);
    assert_eq!((street.same_at(2), street.cases().len()), (1, 0));

    // Another bet than the parked one is still compared.
    let mut street = finished();
    street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id.as_str());
    answered(&mut street.lane, &bets()["won"], 4, DeliveryOutcome::Parked);
    street.row("lost").revision = 3;
    street.read(2);
    street.look();
    assert_eq!(street.cases().len(), 1);
    assert_eq!(street.cases()[0].bet_id.as_deref(), Some(bets()["lost"].id.as_str()));
    assert_eq!(street.same_at(2), 0);
}

#[test]
fn a_difference_is_a_case_that_ends_when_the_partner_agrees() {
    let mut street = finished();
    let before = street.row("won").clone();
    street.row("won").payout.as_mut().unwrap().units = "2400".to_owned();
    street.read(2);
    assert!(street.cases().is_empty(), "what was seen once may be on its way");
    street.look();
    let cases = street.cases();
    let [case] = &cases[..] else { panic!("{cases:?}") };
    let id = bets()["won"].id.to_string();
    assert_eq!((case.step, case.code.as_str(), case.bet_id.as_ref()), (1, "close_rows", Some(&id)));
    assert_eq!((case.revision, case.round_id.as_deref()), (Some(4), Some(round().as_str())));
    let said = "settled at revision 4, stake 1000 EUR, payout 2500 here, settled at revision 4, stake \
                1000 EUR (exponent 2), payout 2400 EUR (exponent 2) there";
    assert!(case.text.contains(said), "{}", case.text);
    assert!(street.lane.alarmed("round_differs"));
    let standing = street.standing();
    assert_eq!((standing.unclosed, standing.cases), (1, 0), "as it was looked at before");
    street.look();
    street.look();
    assert_eq!((street.cases().len(), street.standing().cases), (1, 1), "said once");
    // A restart forgets nothing.
    street.reconciler = fresh();
    street.read(2);
    street.look();
    street.look();
    assert_eq!((street.cases().len(), street.closes().len(), street.same_at(2)), (1, 1, 0));

    *street.row("won") = before;
    street.look();
    let cases = street.cases();
    let [opened, ended] = &cases[..] else { panic!("{cases:?}") };
    assert_eq!((ended.step, &ended.case_id, ended.code.as_str()), (2, &opened.case_id, "resolved"));
    street.look();
    assert_eq!((street.same_at(2), street.cases().len(), street.standing().cases), (1, 2, 0));
}

#[test]
fn a_correction_ends_the_case_of_the_version_before() {
    let mut street = finished();
    street.row("lost").status = RowStatus::Voided;
    street.read(2);
    street.look();
    street.lane.outcome(3, "2");
    street.lane.settle();
    street.deliver();
    street.read(3);
    street.look();
    let steps: Vec<i64> = street.cases().iter().map(|case| case.step).collect();
    assert_eq!((steps, street.same_at(3)), (vec![1, 2], 1));
}

#[test]
fn holds_and_sums_that_nobody_can_explain_are_cases_of_their_own() {
    let mut street = finished();
    street.wallet.held("r1:forgotten", Money::new(900, "EUR".parse().unwrap(), 2).unwrap());
    street.read(2);
    street.look();
    let cases = street.cases();
    assert_eq!((cases.len(), cases[0].code.as_str()), (1, "close_holds"));
    assert_eq!(cases[0].bet_id.as_deref(), Some("r1:forgotten"));

    let mut street = finished();
    street.wallet.miscounts = true;
    street.read(2);
    street.look();
    let cases = street.cases();
    assert_eq!((cases.len(), cases[0].code.as_str()), (1, "close_unexplained"));
    assert!(cases[0].text.contains("every row is as it should be"), "{}", cases[0].text);
}

/// Only a whole 200 that echoes round and version is an answer, and who does not answer is asked ever later.
#[test]
fn what_is_no_answer_says_nothing_and_is_asked_again_later() {
    let echo = |text: &str| -> CloseAnswer {
        let body = Bytes::copy_from_slice(text.as_bytes());
        Ok(HttpAnswer { status: 200, retry_after_ms: None, body })
    };
    let other = r#"{"round_id":"r2","result_version":2,"totals":[],"open_holds":0,"digest":""}"#;
    let older = r#"{"round_id":"r1","result_version":1,"totals":[],"open_holds":0,"digest":""}"#;
    for instead in [
        status(500),
        status(404),
        status(302),
        Err(CallError::Timeout),
        Err(CallError::TooLarge),
        echo("<html>ok</html>"),
        echo("{}"),
        echo(other),
        echo(older),
    ] {
        let mut street = finished();
        street.wallet.instead = Some(instead.clone());
        street.read(2);
        street.look();
        street.look();
        assert!(street.closes().is_empty() && street.cases().is_empty(), "{instead:?}");
        assert_eq!((street.asked(), street.standing().unclosed), (3, 1), "{instead:?}");
        street.wallet.instead = None;
        street.look();
        assert_eq!(street.same_at(2), 1, "{instead:?}");
    }
    // The right words under another status.
    let mut street = finished();
    street.wallet.status = Some(502);
    street.read(2);
    street.look();
    assert_eq!((street.closes().len(), street.standing().unclosed), (0, 1));
}

#[test]
fn a_partner_that_fails_is_left_alone_for_longer_each_time() {
    let mut street = finished();
    street.wallet.instead = Some(status(503));
    street.read(2);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (before, asked) = (street.now, street.asked());
        while street.asked() == asked {
            street.now += 1_000;
            street.feed(admitted(1_000, 2));
        }
        waits.push(street.now - before);
    }
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000]);
    street.wallet.instead =
        Some(Ok(HttpAnswer { status: 503, retry_after_ms: Some(300_000), body: Bytes::new() }));
    street.now += 16_000;
    street.feed(admitted(1_000, 2));
    let asked = street.asked();
    street.now += 299_000;
    street.feed(admitted(1_000, 2));
    assert_eq!(street.asked(), asked, "it asked for five minutes");
    street.now += 1_000;
    street.feed(admitted(1_000, 2));
    assert_eq!(street.asked(), asked + 1);
}

/// The records of a case are acknowledged before the fact that says so.
#[test]
fn a_case_that_may_be_lost_is_said_again() {
    let mut street = finished();
    street.row("won").revision = 3;
    street.read(2);
    street.is_away = true;
    street.look();
    let [batch] = &street.failed[..] else { panic!("{:?}", street.failed) };
    assert!(matches!(batch.clone().steps()[..], [Step::Records(_), Step::Facts(_)]), "{batch:?}");
    assert!(street.closes().is_empty());
    street.is_away = false;
    street.look();
    street.look();
    assert_eq!((street.cases().len(), street.closes().len()), (1, 1));
}

/// A partner that says something else each time is one case, told at the fifth look, and no further ones.
#[test]
fn a_partner_that_never_says_the_same_is_a_case_too() {
    let mut street = finished();
    street.row("won").revision = 10;
    street.read(2);
    for look in 2..15 {
        street.row("won").revision = 10 + look;
        street.look();
        assert_eq!(street.cases().len(), usize::from(5 <= look), "look {look}");
    }
}

/// A partner whose page never ends, or runs backwards, is not believed, and not asked for ever.
#[test]
fn pages_of_no_order_are_no_answer() {
    let mut street = finished();
    street.row("won").revision = 3;
    let first = street.wallet.rows.keys().next().unwrap().clone();
    // The same row under two names: its page says it twice.
    let twice = street.wallet.rows[&first].clone();
    street.wallet.rows.insert(format!("{first}x"), twice);
    street.read(2);
    street.look();
    street.look();
    assert!(street.closes().is_empty() && street.cases().is_empty());
    assert_eq!(street.standing().unclosed, 1);
}

/// Conservation is 0, and is not 0 once the accounts of a round do not add up.
#[test]
fn the_accounts_add_up_or_show_by_how_much_they_do_not() {
    let mut street = finished();
    let id = bets()["won"].id.to_string();
    street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id);
    street.read(2);
    let gap = street.standing().gap;
    assert!(!gap.is_empty() && gap.values().all(|units| *units == 0), "{gap:?}");
    // An answer to a revision that was never said: what the partner was told is not known.
    answered(&mut street.lane, &bets()["won"], 9, DeliveryOutcome::Applied);
    street.look();
    assert_eq!(street.standing().gap[&"EUR".parse().unwrap()], 1_500);
}

/// Each partner is closed by itself: the one that hangs waits alone.
#[test]
fn a_partner_that_hangs_holds_up_no_other_partner() {
    let mut street = finished();
    let theirs = Bet { partner: "bolt".parse().unwrap(), ..bet("theirs", "odd") };
    let mut lane = Lane::default();
    lane.open();
    lane.held(&bets()["won"]);
    lane.held(&theirs);
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    for bet in [&bets()["won"], &theirs] {
        answered(&mut lane, bet, 3, DeliveryOutcome::Applied);
    }
    street.wallet = Wallet::default();
    lane.settlements(&theirs).iter().for_each(|settlement| street.wallet.apply(settlement));
    street.lane = lane;
    street.hangs = Some(partner());
    street.read(1);
    let closed: Vec<String> = street.closes().into_iter().map(|close| close.partner_id).collect();
    assert_eq!((closed, street.asked()), (vec!["bolt".to_owned()], 2), "acme was asked, and hangs");
    street.look();
    assert_eq!(street.asked(), 2, "it is asked one thing at a time");
}
