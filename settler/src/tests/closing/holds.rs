//! What a partner says of stakes that it holds for long, while their round has no result.

use super::super::{Lane, bet};
use super::street::{Street, of};
use crate::CloseAsk;
use runtime::Millis;
use schemas::bets::Bet;
use schemas::contract::{QUERY_BETS_MAX, QueryRequest};
use schemas::settlements::{Reason, Settlement, Target};
use std::collections::BTreeSet;

/// Bets are placed at one second.
const PLACED_MS: Millis = 1_000;
const MINUTE_MS: Millis = 60_000;

fn bets(count: usize) -> Vec<Bet> {
    (0..count).map(|number| bet(&format!("b{number}"), "odd")).collect()
}

/// A round that takes bets, and its partner, who holds these.
fn open(bets: &[Bet]) -> Street {
    let mut lane = Lane::default();
    lane.open();
    bets.iter().for_each(|bet| lane.held(bet));
    lane.settle();
    let mut street = of(lane);
    for bet in bets {
        street.wallet.held(bet.id.as_str(), bet.stake);
    }
    street
}

/// How many bets were asked about, by question.
fn asked(street: &Street) -> Vec<usize> {
    let count = |ask: &CloseAsk| match ask {
        CloseAsk::Query(body) => {
            serde_json::from_slice::<QueryRequest>(body).unwrap().bet_ids.len()
        }
        CloseAsk::Close(_) | CloseAsk::Rows { .. } => panic!("{ask:?}"),
    };
    street.wallet.asked.iter().map(count).collect()
}

#[test]
fn holds_are_asked_about_every_ten_minutes_once_they_stand_for_two() {
    let mut street = open(&bets(3));
    street.now = PLACED_MS + 2 * MINUTE_MS - 1;
    street.read(0);
    assert_eq!(asked(&street), Vec::<usize>::new());
    street.now = PLACED_MS + 12 * MINUTE_MS;
    street.look_now();
    assert_eq!(asked(&street), [3]);
    street.now += 10 * MINUTE_MS - 1;
    street.look_now();
    assert_eq!(asked(&street), [3]);
    street.now += 2 * MINUTE_MS;
    street.look_now();
    assert_eq!(asked(&street), [3, 3]);
    assert!(street.closes().is_empty() && street.cases().is_empty(), "that all is well is no fact");
}

#[test]
fn many_holds_are_asked_about_in_parts() {
    let mut street = open(&bets(QUERY_BETS_MAX + 2));
    street.read(0);
    assert_eq!(asked(&street), [QUERY_BETS_MAX, 2]);
}

/// It is the close of the round, if not another question, that ends the case.
#[test]
fn a_hold_that_is_not_there_is_a_case_once_it_was_missed_twice() {
    let bets = bets(3);
    let mut street = open(&bets);
    let row = street.wallet.rows.remove(bets[1].id.as_str()).unwrap();
    street.read(0);
    assert!(street.cases().is_empty(), "what was seen once may be on its way");
    street.look();
    let cases = street.cases();
    let [case] = &cases[..] else { panic!("{cases:?}") };
    assert_eq!((case.step, case.code.as_str()), (1, "close_rows"));
    assert_eq!(case.bet_id.as_deref(), Some(bets[1].id.as_str()));
    assert!(case.text.contains("absent at revision 0"), "{}", case.text);
    assert_eq!(street.standing().cases, 0, "as it was when it was looked at");
    street.look();
    street.look();
    assert_eq!((street.cases().len(), street.standing().cases), (1, 1), "one case, however often");
    street.wallet.rows.insert(row.bet_id.clone(), row.clone());
    street.look();
    let codes: Vec<String> = street.cases().into_iter().map(|case| case.code).collect();
    assert_eq!(codes, ["close_rows", "resolved"]);
    for times in 2..4 {
        street.wallet.rows.remove(bets[1].id.as_str());
        (0..5).for_each(|_| street.look());
        assert_eq!((street.standing().cases, street.lane.alarms.len()), (1, times), "lost again");
        street.wallet.rows.insert(row.bet_id.clone(), row.clone());
        (0..2).for_each(|_| street.look());
        assert_eq!((street.standing().cases, street.cases().len()), (0, 2 * times));
    }
    let names: BTreeSet<String> = street.cases().into_iter().map(|case| case.case_id).collect();
    assert_eq!(names.len(), 3);
    assert!(
        street.lane.written.iter().all(|append| append.topic.0 != "settlements.v1"),
        "nobody pays"
    );
}

#[test]
fn an_answer_about_other_bets_is_none() {
    let bets = bets(2);
    let mut street = open(&bets);
    let mut other = street.wallet.rows[bets[0].id.as_str()].clone();
    // It would be a difference if it were an answer.
    other.revision = 3;
    street.wallet.rows.insert(bets[1].id.to_string(), other);
    street.read(0);
    street.look();
    street.look();
    assert!(street.cases().is_empty() && street.lane.alarms.is_empty());
}

#[test]
fn what_has_a_result_is_left_to_deliveries_and_the_close() {
    let bets = bets(1);
    let mut street = open(&bets);
    street.lane.close();
    street.lane.outcome(1, "2");
    street.lane.settle();
    street.wallet.apply(&Settlement::of(
        &bets[0],
        3,
        Target::Held,
        Target::Settled(0),
        Reason::Result,
        0,
    ));
    street.read(1);
    street.look();
    assert_eq!(asked(&street), Vec::<usize>::new());
}
