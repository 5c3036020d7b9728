//! What is refused before an intent exists.

use super::script::{CLOSES_AT, GRACE_MS, OPENED_AT, Script, decision, money, options, place};
use crate::placing::{Ask, NotTaken, Note, PartnerEntry, Place, Told};
use schemas::Odds;
use schemas::bets::BetSaid;
use schemas::catalogue::ROUNDS;
use schemas::decisions::Verdict;
use schemas::rounds::{Offer, RoundSaid};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

#[test]
fn codes_are_stable_and_differ() {
    let codes: BTreeSet<_> = NotTaken::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(codes.len(), NotTaken::ALL.len());
}

#[test]
fn each_refusal_writes_nothing() {
    let with = |change: fn(&mut Place)| {
        let mut place = place();
        change(&mut place);
        place
    };
    let of = |text: &str| text.parse().unwrap();
    check(NotTaken::PartnerUnknown, Place { partner: of("nobody"), ..place() });
    check(NotTaken::RoundUnknown, with(|place| place.round = "r_2".parse().unwrap()));
    check(NotTaken::SelectionUnknown, with(|place| place.selection = "odd".parse().unwrap()));
    check(NotTaken::OddsChanged, with(|place| place.odds = Odds::new(199).unwrap()));
    check(NotTaken::OddsChanged, with(|place| place.odds = Odds::new(201).unwrap()));
    check(NotTaken::StakeLimit, with(|place| place.stake = money(99)));
    check(NotTaken::StakeLimit, with(|place| place.stake = money(0)));
    check(NotTaken::StakeLimit, with(|place| place.stake = money(-500)));
    check(NotTaken::StakeLimit, with(|place| place.stake = money(100_001)));
    check(NotTaken::PayoutLimit, with(|place| place.stake = money(75_001)));
    check(NotTaken::CurrencyUnknown, with(|place| place.stake.exponent = 3));
    check(NotTaken::CurrencyUnknown, with(|place| place.stake.currency = "JPY".parse().unwrap()));
}

#[track_caller]
fn check(wanted: NotTaken, place: Place) {
    let mut script = Script::betting();
    let token = script.ask(Ask::Place(place));
    assert_refused(&script, token, wanted);
    assert!(script.applies.is_empty() && script.calls.is_empty() && script.timers.is_empty());
    assert_eq!(script.machine.in_flight(), 0);
}

#[track_caller]
fn assert_refused(script: &Script, token: u64, wanted: NotTaken) {
    match script.told(token) {
        Some(Told::NotTaken { code, .. }) => assert_eq!(code, wanted),
        other => panic!("{wanted:?} expected, told {other:?}"),
    }
}

/// A process that was just started must not say of a round that is open that there is none.
#[test]
fn nothing_is_taken_before_the_log_is_read() {
    let mut options = options();
    for tail in options.tails.iter_mut().filter(|tail| tail.source.topic.0 == ROUNDS) {
        tail.end = 2;
    }
    let mut script = Script::new(options);
    let [asked, early] = [Ask::Started, Ask::Place(place())].map(|ask| script.ask(ask));
    assert_refused(&script, asked, NotTaken::Starting);
    assert_refused(&script, early, NotTaken::Starting);
    assert!(script.applies.is_empty());
    for round in ["r_1", "r_2", "r_3"] {
        script.open(round, GRACE_MS);
    }
    let asked = script.ask(Ask::Started);
    assert_eq!(script.told(asked), Some(Told::Started));
    script.ask(Ask::Place(place()));
    assert_eq!(script.applies.len(), 1);
}

#[test]
fn limits_are_inclusive() {
    let mut script = Script::betting();
    script.ask(Ask::Place(Place { stake: money(75_000), ..place() }));
    assert_eq!(script.applies.len(), 1);
    let mut script = Script::betting();
    script.ask(Ask::Place(Place { stake: money(100), ..place() }));
    assert_eq!(script.applies.len(), 1);
}

#[test]
fn a_payout_that_money_cannot_hold_is_refused_without_limits() {
    let mut options = options();
    for entry in options.partners.values_mut() {
        for limits in entry.currencies.values_mut() {
            *limits = schemas::partners::CurrencyLimits::unlimited(2);
        }
    }
    let mut script = Script::new(options);
    script.open("r_1", GRACE_MS);
    let token = script.ask(Ask::Place(Place { stake: money(i64::MAX / 2 + 1), ..place() }));
    assert_refused(&script, token, NotTaken::PayoutLimit);
    let token = script.ask(Ask::Place(Place { stake: money(i64::MAX / 2), ..place() }));
    assert_eq!(script.told(token), None);
}

#[test]
fn the_deadline_is_this_clocks() {
    let mut script = Script::betting();
    script.now = CLOSES_AT;
    let token = script.ask(Ask::Place(place()));
    assert_refused(&script, token, NotTaken::DeadlinePassed);
    script.now = CLOSES_AT - 1;
    script.ask(Ask::Place(place()));
    assert_eq!(script.applies.len(), 1);
}

#[test]
fn no_intent_is_written_that_the_partner_could_not_be_asked_about() {
    let mut script = Script::new(options());
    script.open("r_1", 200);
    script.now = CLOSES_AT - 300;
    let token = script.ask(Ask::Place(place()));
    assert_refused(&script, token, NotTaken::DeadlinePassed);
}

#[test]
fn the_hold_expires_with_the_stake_or_with_the_round() {
    for (now, wanted) in [
        (OPENED_AT, OPENED_AT + 4_000),
        (CLOSES_AT - 3_000, CLOSES_AT + 1_000),
        (CLOSES_AT - 1_000, CLOSES_AT + 1_000),
    ] {
        let mut script = Script::betting();
        script.now = now;
        script.ask(Ask::Place(place()));
        let BetSaid::Intent(intent) = script.applied() else { panic!("an intent") };
        assert_eq!((intent.bet.placed_at, intent.expires_at), (now, wanted));
        assert_eq!(intent.bet.rules_version, 1);
    }
}

#[test]
fn a_round_that_is_not_betting_takes_nothing() {
    for said in [vec![RoundSaid::Closing], vec![RoundSaid::Closing, RoundSaid::Closed]] {
        let mut script = Script::betting();
        for said in said {
            script.admitted("r_1", said);
        }
        let token = script.ask(Ask::Place(place()));
        assert_refused(&script, token, NotTaken::NotBetting);
    }
}

#[test]
fn amended_odds_are_the_odds() {
    let mut script = Script::betting();
    let odds = Odds::new(210).unwrap();
    let offers = vec![Offer { selection: place().selection, odds }];
    script.admitted("r_1", RoundSaid::Amended { offers, closes_at: None });
    let token = script.ask(Ask::Place(place()));
    assert_refused(&script, token, NotTaken::OddsChanged);
    script.ask(Ask::Place(Place { odds, ..place() }));
    assert_eq!(script.applies.len(), 1);
}

#[test]
fn a_pause_is_for_one_partner_and_ends() {
    let mut script = Script::betting();
    let pause = |reason: Option<&str>| {
        let entry = options().partners[&place().partner].clone();
        let entry = PartnerEntry { betting_paused: reason.map(str::to_owned), ..entry };
        Ask::Note(Note::Partner(place().partner, entry))
    };
    let noted = script.ask(pause(Some("voids are owed")));
    assert_eq!(script.told(noted), Some(Told::Noted));
    let token = script.ask(Ask::Place(place()));
    assert_refused(&script, token, NotTaken::BettingPaused);
    script.ask(Ask::Place(Place { partner: "bolt".parse().unwrap(), ..place() }));
    assert_eq!(script.applies.len(), 1);
    script.ask(pause(None));
    script.ask(Ask::Place(place()));
    assert_eq!(script.applies.len(), 2);
}

#[test]
fn a_clock_that_is_off_takes_no_bets() {
    for (offset_ms, taken) in [(500, true), (501, false), (-501, false)] {
        let mut script = Script::betting();
        script.ask(Ask::Note(Note::ClockOffset(offset_ms)));
        let token = script.ask(Ask::Place(place()));
        assert_eq!(script.told(token).is_none(), taken, "{offset_ms}");
        if !taken {
            assert_refused(&script, token, NotTaken::ClockOffset);
        }
    }
}

/// 300,000 of liability: two bets of 75,000 at 2.00 fill it.
#[test]
fn the_rounds_liability_counts_flights_and_accepted_bets_once() {
    let bet = |name: &str, stake| Place {
        client_ref: name.parse().unwrap(),
        stake: money(stake),
        ..place()
    };
    let mut script = Script::betting();
    script.ask(Ask::Place(bet("a", 75_000)));
    script.ask(Ask::Place(bet("b", 74_950)));
    let token = script.ask(Ask::Place(bet("c", 100)));
    assert_refused(&script, token, NotTaken::LiabilityLimit);
    // Another partner has limits of its own.
    let token = script.ask(Ask::Place(Place { partner: "bolt".parse().unwrap(), ..bet("c", 100) }));
    assert_eq!(script.told(token), None);
    // Accepted, and said twice: still counted once.
    script.decided(decision(&bet("a", 75_000), Verdict::Accepted));
    script.decided(decision(&bet("a", 75_000), Verdict::Accepted));
    let token = script.ask(Ask::Place(bet("d", 100)));
    assert_refused(&script, token, NotTaken::LiabilityLimit);
    // Cancelled: room again.
    let request = "cancel-1".parse().unwrap();
    script.decided(decision(&bet("a", 75_000), Verdict::Cancelled(request)));
    let token = script.ask(Ask::Place(bet("e", 75_000)));
    assert_eq!(script.told(token), None);
}

#[test]
fn what_is_in_flight_is_bounded_in_all_and_per_partner() {
    let mut options = options();
    options.limits.in_flight_max = 3;
    options.limits.partner_in_flight_max = 2;
    let mut script = Script::new(options);
    script.open("r_1", GRACE_MS);
    let bet = |name: &str, partner: &str| {
        let (client_ref, partner) = (name.parse().unwrap(), partner.parse().unwrap());
        Ask::Place(Place { client_ref, partner, ..place() })
    };
    script.ask(bet("a", "acme"));
    script.ask(bet("b", "acme"));
    let token = script.ask(bet("c", "acme"));
    assert_refused(&script, token, NotTaken::Overloaded);
    script.ask(bet("d", "bolt"));
    let token = script.ask(bet("e", "bolt"));
    assert_refused(&script, token, NotTaken::Overloaded);
    assert_eq!(script.machine.in_flight(), 3);
}

/// What is above the rate moves nothing: no intent is written that would have to be voided.
#[test]
fn a_partner_takes_no_more_bets_in_a_second_than_it_says() {
    let mut options = options();
    options.limits.stakes_per_s_max = NonZeroU32::new(4);
    let own = options.partners.get_mut(&"bolt".parse().unwrap()).unwrap();
    own.stakes_per_s = NonZeroU32::new(1);
    let mut script = Script::new(options);
    script.open("r_1", GRACE_MS);
    let bet = |name: &str, partner: &str| {
        let (client_ref, partner) = (name.parse().unwrap(), partner.parse().unwrap());
        Ask::Place(Place { client_ref, partner, ..place() })
    };
    let bets = ["a", "b", "c", "d"].map(|name| (name, "acme", true));
    let bolt = [("e", "bolt", true), ("f", "bolt", false)];
    // The last is a repeat, which joins its bet.
    for (name, partner, taken) in bets.into_iter().chain(bolt).chain([("a", "acme", true)]) {
        let token = script.ask(bet(name, partner));
        match taken {
            true => assert_eq!(script.told(token), None, "{name}"),
            false => assert_refused(&script, token, NotTaken::Overloaded),
        }
    }
    assert_eq!(script.applies.len(), 5);
    let token = script.ask(bet("g", "acme"));
    assert_refused(&script, token, NotTaken::Overloaded);
    script.pass(250);
    for taken in [true, false] {
        let token = script.ask(bet(if taken { "g" } else { "h" }, "acme"));
        assert_eq!(script.told(token).is_none(), taken);
    }
}
