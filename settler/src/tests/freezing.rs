//! Broken invariants stop one bet, or one round in one partition, and nothing else.

use super::{Lane, bet, partner, round};
use crate::Settler;
use bytes::Bytes;
use runtime::machine::{Effect, Input, Machine};
use runtime::{Fact, FactKey, RecordHeaders, Source, Topic};
use schemas::bets::{Bet, BetSaid, HoldAnswer};
use schemas::catalogue::BETS;
use schemas::facts;
use std::collections::BTreeMap;

fn headers(kind: &str, bet: Option<&Bet>) -> RecordHeaders {
    let mut headers = vec![
        (facts::HEADER_KIND.to_owned(), kind.to_owned()),
        (facts::HEADER_ROUND.to_owned(), round().to_string()),
    ];
    if let Some(bet) = bet {
        headers.push((facts::HEADER_BET.to_owned(), bet.id.to_string()));
        headers.push((facts::HEADER_PARTNER.to_owned(), partner().to_string()));
    }
    headers.into_iter().collect()
}

fn thaw(lane: &mut Lane, bet: Option<&Bet>) {
    lane.say(BetSaid::Thaw {
        bet: bet.map(|bet| (bet.id.clone(), bet.partner.clone())),
        request: "t1".parse().unwrap(),
        reason: "looked at by hand".to_owned(),
    });
}

/// R23: one bad record freezes its bet; the offset goes on and the others are settled.
#[test]
fn an_unreadable_answer_freezes_its_bet_alone() {
    let mut lane = Lane::default();
    let (broken, sound) = (bet("a", "odd"), bet("b", "odd"));
    lane.open();
    lane.intent(&broken);
    lane.raw(headers("approved", Some(&broken)), vec![0, 0, 0, 0, 2, 255, 255]);
    lane.answer(&broken, HoldAnswer::Approved);
    lane.held(&sound);
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    assert_eq!(lane.decisions(&broken), Vec::<String>::new());
    assert_eq!(lane.targets(&sound), ["3 Settled(2500)"]);
    assert_eq!(lane.stored, lane.end(), "a frozen bet counts as decided (R1)");
    assert!(lane.alarmed("bet_frozen") && lane.alarmed("record_unreadable"));

    // A settler that takes over here knows the freeze from its facts; the thaw ends it in a void.
    thaw(&mut lane, Some(&broken));
    lane.settle();
    assert_eq!(lane.decisions(&broken), ["rejected"]);
    assert_eq!(lane.targets(&broken), ["2 Voided"]);
}

#[test]
fn an_unreadable_marker_freezes_the_round_until_the_thaw() {
    let mut lane = Lane::default();
    let (accepted, pending) = (bet("a", "odd"), bet("b", "odd"));
    lane.open();
    lane.held(&accepted);
    lane.intent(&pending);
    lane.raw(headers("closed", None), vec![1, 2, 3]);
    lane.answer(&pending, HoldAnswer::Approved);
    lane.cancel(&accepted);
    lane.settle();
    assert_eq!(lane.decisions(&accepted), ["accepted", "cancel_refused"]);
    assert_eq!(lane.decisions(&pending), Vec::<String>::new());
    assert_eq!(lane.stored, lane.end());

    // Nobody knows where the cut-off stands: a thaw would open the round again.
    thaw(&mut lane, None);
    lane.cancel(&accepted);
    lane.settle();
    assert!(lane.alarmed("thaw_refused"));
    assert_eq!(lane.targets(&accepted), Vec::<String>::new());

    // The missing marker is copied again, and one more; both are kept, and graded at the thaw.
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    assert_eq!(lane.targets(&accepted), Vec::<String>::new());
    thaw(&mut lane, None);
    lane.settle();
    assert_eq!(lane.targets(&accepted), ["3 Settled(2500)"]);
    assert_eq!(lane.targets(&pending), ["2 Voided"]);
}

#[test]
fn a_gap_in_the_markers_freezes_the_round() {
    let mut lane = Lane::default();
    let bet = bet("a", "odd");
    lane.open();
    lane.held(&bet);
    lane.outcome(1, "3");
    lane.settle();
    assert!(lane.alarmed("round_frozen"));
    assert_eq!(lane.targets(&bet), Vec::<String>::new());
}

/// R5: a bet that is missing in the store a week later is noticed, and nobody is settled on the rest.
#[test]
fn a_lost_fact_is_noticed_by_the_tally() {
    let mut lane = Lane::default();
    let (lost, kept) = (bet("a", "odd"), bet("b", "odd"));
    lane.open();
    lane.held(&lost);
    lane.held(&kept);
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    lane.facts.retain(|key, _| key.subject != lost.id.as_str());
    lane.outcome(2, "2");
    lane.settle();
    assert!(lane.alarmed("tally_differs") && lane.alarmed("round_frozen"));
    assert_eq!(lane.targets(&kept), ["3 Settled(2500)"], "version 2 must wait");

    // What was loaded is kept: the bet that was accepted is not opened again.
    lane.intent(&kept);
    lane.settle();
    assert_eq!(lane.decisions(&kept), ["accepted", "accepted"]);
}

/// A round that lost the facts of one bet before its result, the settler that found it so, and all facts that there were.
fn damaged(lost: &Bet, kept: &Bet) -> (Lane, Settler, BTreeMap<FactKey, Bytes>) {
    let mut lane = Lane::default();
    lane.open();
    lane.held(lost);
    lane.held(kept);
    lane.close();
    lane.settle();
    let whole = lane.facts.clone();
    lane.facts.retain(|key, _| key.subject != lost.id.as_str());
    lane.outcome(1, "3");
    let mut settler = lane.settler();
    lane.run(&mut settler, 100);
    (lane, settler, whole)
}

/// R5: by what is left of a round nobody is paid, however often somebody says so; once its facts are put back, a thaw of
/// the round goes on, by settlers that run as by those that take over.
#[test]
fn a_round_with_lost_facts_is_not_thawed_before_they_are_back() {
    let (lost, kept) = (bet("a", "odd"), bet("b", "odd"));
    let (mut lane, mut settler, whole) = damaged(&lost, &kept);
    assert!(lane.alarmed("round_frozen") && !lane.alarmed("thaw_refused"));

    for bet in [None, Some(&kept)] {
        lane.alarms.clear();
        thaw(&mut lane, bet);
        lane.run(&mut settler, 100);
        assert!(lane.alarmed("thaw_refused"));
        assert_eq!(lane.targets(&kept), Vec::<String>::new());
    }

    lane.facts.extend(whole);
    lane.outcome(2, "2");
    thaw(&mut lane, None);
    lane.run(&mut settler, 100);
    assert_eq!(lane.targets(&kept), ["3 Settled(2500)", "4 Settled(0)"]);
    assert_eq!(lane.targets(&lost), lane.targets(&kept));
}

/// R2: what comes before a thaw that reads the round anew is durable by then, or it would not be read.
#[test]
fn a_round_is_not_read_anew_amid_a_batch() {
    let (mut lane, mut settler, _) = damaged(&bet("a", "odd"), &bet("b", "odd"));
    let from = lane.log.len();
    lane.outcome(2, "2");
    thaw(&mut lane, None);
    let source = Source { topic: Topic(BETS), partition: 0 };
    let read = Input::Records { source, records: lane.log[from..].to_vec(), end: lane.end() };
    let first = settler.handle(0, read);
    assert!(matches!(first[..], [Effect::Apply { .. }]), "{first:?}");
}

/// R5: two contents of one fact are two rows, and that bet is frozen.
#[test]
fn two_contents_of_one_decision_freeze_the_bet() {
    let mut lane = Lane::default();
    let (bet, sound) = (bet("a", "odd"), bet("b", "odd"));
    lane.open();
    lane.held(&bet);
    lane.held(&sound);
    lane.settle();
    let (key, body) = lane.facts.iter().find(|(key, _)| key.subject == bet.id.as_str()).unwrap();
    let mut twin = Fact { key: key.clone(), body: body.clone() };
    twin.key.hash = [9; 16];
    lane.facts.insert(twin.key, twin.body);
    lane.close();
    lane.outcome(1, "3");
    lane.settle();
    assert!(lane.alarmed("bet_frozen"));
    assert_eq!(lane.targets(&bet), Vec::<String>::new());
    assert_eq!(lane.targets(&sound), ["3 Settled(2500)"]);
}
