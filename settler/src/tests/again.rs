//! A partner is told again what it confirmed: its newest revision, and nobody else's.

use super::reconciling::{answered, answered_at};
use super::{Lane, bet, partner, round};
use crate::SaidAgain;
use crate::memory::{BetState, Known, Memory, Round};
use crate::reconciler::{Answers, of_round};
use runtime::Fact;
use schemas::bets::Bet;
use schemas::catalogue::{BETS, SETTLEMENTS};
use schemas::wire::DeliveryOutcome::{Applied, Parked, Superseded};
use schemas::{BetId, PartnerId};
use std::collections::BTreeSet;

fn facts(lane: &Lane, topic: &str) -> Vec<Fact> {
    let of = lane.facts.iter().filter(|(key, _)| key.scope.topic.0 == topic);
    of.map(|(key, body)| Fact { key: key.clone(), body: body.clone() }).collect()
}

fn loaded(lane: &Lane) -> (Round, Answers) {
    let loaded = Memory::load(&round(), u64::MAX, &facts(lane, BETS)).unwrap();
    assert_eq!(loaded.differs, None);
    (loaded.round, Answers::of(&facts(lane, SETTLEMENTS)))
}

fn again(lane: &Lane, partner: &PartnerId, bets: &[&Bet]) -> Result<SaidAgain, BetId> {
    let (round, answers) = loaded(lane);
    let bets: BTreeSet<BetId> = bets.iter().map(|bet| bet.id.clone()).collect();
    of_round(&round, &answers, partner, &bets)
}

fn named(said: &SaidAgain) -> Vec<String> {
    let mut ids: Vec<String> = said.settlements.iter().map(|one| one.id()).collect();
    ids.sort();
    ids
}

fn other() -> PartnerId {
    "other".parse().unwrap()
}

/// Bets in every state that there is, at result version 2, and one of another partner.
struct Played {
    lane: Lane,
    corrected: Bet,
    voided: Bet,
    owed: Bet,
    parked: Bet,
    theirs: Bet,
}

fn played() -> Played {
    let mut lane = Lane::default();
    let [corrected, voided, owed, parked] = ["a", "b", "c", "d"].map(|name| bet(name, "odd"));
    let theirs = Bet { partner: other(), ..bet("e", "odd") };
    lane.open();
    for bet in [&corrected, &owed, &parked, &theirs] {
        lane.held(bet);
    }
    lane.intent(&voided);
    lane.close();
    lane.outcome(1, "3");
    lane.outcome(2, "4");
    lane.settle();
    // A second content of the same settlement would be no repeat.
    for (bet, revision, outcome) in [
        (&corrected, 3, Applied),
        (&corrected, 4, Applied),
        (&voided, 2, Superseded),
        (&owed, 3, Applied),
        (&parked, 3, Applied),
        (&parked, 4, Parked),
        (&theirs, 4, Applied),
    ] {
        answered(&mut lane, bet, revision, outcome);
    }
    Played { lane, corrected, voided, owed, parked, theirs }
}

#[test]
fn the_newest_that_is_confirmed_is_said_again_with_the_same_content() {
    let Played { lane, corrected, voided, owed, parked, theirs } = played();
    let all = again(&lane, &partner(), &[]).unwrap();
    let mut wanted = vec![format!("{}/4", corrected.id), format!("{}/2", voided.id)];
    wanted.sort();
    assert_eq!(named(&all), wanted);
    assert_eq!((all.owed, all.parked, all.held, all.frozen), (1, 1, 0, 0));
    for one in &all.settlements {
        assert!(
            lane.settlements(&corrected).contains(one) || lane.settlements(&voided).contains(one)
        );
    }
    let some = again(&lane, &partner(), &[&voided, &owed, &parked]).unwrap();
    assert_eq!(named(&some), [format!("{}/2", voided.id)]);
    assert_eq!((some.owed, some.parked), (1, 1));
    assert_eq!(named(&again(&lane, &other(), &[]).unwrap()), [format!("{}/4", theirs.id)]);
}

/// Each answer is a fact for ever.
#[test]
fn a_revision_is_said_again_until_it_was_answered_ten_times() {
    let Played { mut lane, corrected, .. } = played();
    for at in 1..9 {
        answered_at(&mut lane, &corrected, 4, Applied, at);
    }
    let said = again(&lane, &partner(), &[&corrected]).unwrap();
    assert_eq!((named(&said), said.told_often), (vec![format!("{}/4", corrected.id)], 0));
    answered_at(&mut lane, &corrected, 4, Applied, 9);
    let said = again(&lane, &partner(), &[&corrected]).unwrap();
    assert_eq!((named(&said), said.told_often), (vec![], 1));
}

#[test]
fn what_is_anothers_is_as_if_it_never_was() {
    let Played { lane, corrected, theirs, .. } = played();
    let never = bet("never", "odd");
    for unknown in [&theirs, &never] {
        let refused = again(&lane, &partner(), &[&corrected, unknown]);
        assert_eq!(refused, Err(unknown.id.clone()));
    }
    let nobody = again(&lane, &"nobody".parse().unwrap(), &[]).unwrap();
    assert_eq!(nobody, SaidAgain::default());
}

#[test]
fn what_has_no_result_is_held_and_what_is_frozen_stays_so() {
    let mut lane = Lane::default();
    let (held, odd) = (bet("a", "odd"), bet("b", "odd"));
    lane.open();
    lane.held(&held);
    lane.held(&odd);
    lane.settle();
    let said = again(&lane, &partner(), &[]).unwrap();
    assert_eq!((said.settlements.len(), said.held), (0, 2));
    lane.close();
    // A marker is missing: the round is frozen.
    lane.outcome(2, "3");
    lane.settle();
    answered(&mut lane, &held, 3, Applied);
    let said = again(&lane, &partner(), &[]).unwrap();
    assert_eq!((said.settlements.len(), said.frozen), (0, 2));
}

#[test]
fn a_frozen_bet_is_for_people_whatever_was_decided() {
    let Played { lane, corrected, .. } = played();
    let (mut round, answers) = loaded(&lane);
    let state = round.bets.get_mut(&corrected.id).unwrap();
    let BetState::Accepted(decision) = state.clone() else { panic!("it was accepted") };
    *state = BetState::Frozen(Known::Decision(decision));
    let said = of_round(&round, &answers, &partner(), &[corrected.id].into()).unwrap();
    assert_eq!((named(&said), said.frozen), (vec![], 1));
}
