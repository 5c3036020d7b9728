//! What a preview shows is what the settler then says, to the cent.

use super::{Lane, bet, partner, round};
use crate::Correction;
use crate::memory::{Memory, Round};
use crate::preview::{Done, Gathered, Preview, count, gather, shown};
use proptest::prelude::*;
use proptest::sample::select;
use runtime::Fact;
use schemas::bets::{Bet, HoldAnswer};
use schemas::catalogue::SETTLEMENTS;
use schemas::outgoing;
use schemas::rounds::Outcome;
use schemas::settlements::{Settlement, Target};
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use schemas::{Money, Odds};
use std::collections::BTreeMap;

/// What becomes of a bet before the result.
#[derive(Clone, Copy, Debug)]
enum Fate {
    In,
    Declined,
    Cancelled,
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let faces = select(vec!["1", "2", "3", "4", "5", "6"]);
    let named = (select(vec!["odd", "low", "3"]), select(vec!["even", "high", "5"]));
    prop_oneof![
        5 => faces.prop_map(|face| Outcome::Game(face.to_owned())),
        2 => named.prop_map(|(won, void)| Outcome::Named {
            won: vec![won.parse().unwrap()],
            void: vec![void.parse().unwrap()],
        }),
        2 => Just(Outcome::Withdrawn),
        2 => Just(Outcome::Voided),
    ]
}

fn any_bets() -> impl Strategy<Value = Vec<(Bet, Fate)>> {
    let selection = select(vec!["1", "3", "5", "odd", "even", "low", "high"]);
    let fate =
        prop_oneof![5 => Just(Fate::In), 1 => Just(Fate::Declined), 1 => Just(Fate::Cancelled)];
    let one =
        (selection, prop_oneof![1..5_000_i64, 1..9_000_000_000_000_i64], 100..1_000_i64, fate);
    proptest::collection::vec(one, 1..40).prop_map(|bets| {
        let made = |(number, (selection, stake, odds, fate))| {
            let partner = if number % 3 == 0 { "other" } else { "acme" }.parse().unwrap();
            let currency = if number % 5 == 0 { "USD" } else { "EUR" }.parse().unwrap();
            let stake = Money::new(stake, currency, 2).unwrap();
            let odds = Odds::new(odds).unwrap();
            let plain = bet(&format!("b{number}"), selection);
            (Bet { partner, stake, odds, ..plain }, fate)
        };
        (0_u32..).zip(bets).map(made).collect()
    })
}

fn correction(replaces: u32, outcome: Outcome) -> Correction {
    Correction { round: round(), replaces, outcome, reason: "misread".to_owned() }
}

/// A round of these bets at its last version, settled.
fn played(bets: &[(Bet, Fate)], versions: &[Outcome]) -> Lane {
    let mut lane = Lane::default();
    lane.open();
    for (bet, fate) in bets {
        lane.intent(bet);
        match fate {
            Fate::Declined => {
                lane.answer(bet, HoldAnswer::Declined("insufficient_funds".to_owned()));
            }
            Fate::In => {
                lane.answer(bet, HoldAnswer::Approved);
            }
            Fate::Cancelled => {
                lane.answer(bet, HoldAnswer::Approved);
                lane.cancel(bet);
            }
        }
    }
    lane.close();
    for (version, outcome) in (1..).zip(versions) {
        lane.version(version, outcome.clone());
    }
    lane.settle();
    lane
}

fn loaded(lane: &Lane) -> Round {
    let facts = lane.facts.iter().map(|(key, body)| Fact { key: key.clone(), body: body.clone() });
    let facts: Vec<Fact> = facts.collect();
    let loaded = Memory::load(&round(), u64::MAX, &facts).unwrap();
    assert_eq!(loaded.differs, None);
    loaded.round
}

fn previewed(lane: &Lane, correction: &Correction, answers: &[Fact]) -> Preview {
    shown(correction, gather(&loaded(lane), answers, correction).unwrap())
}

/// The settlements of one revision that the settler has written.
fn said(lane: &Lane, revision: u32) -> Vec<Settlement> {
    let records = lane.written.iter().filter(|append| append.topic.0 == SETTLEMENTS);
    let settlements = records.map(|append| Settlement::decode(&append.value).unwrap());
    settlements.filter(|settlement| settlement.revision == revision).collect()
}

/// What a player has of a bet, in arithmetic of these tests alone.
fn has(target: Target, stake: i64) -> i128 {
    match target {
        Target::Held => -i128::from(stake),
        Target::Settled(payout) => i128::from(payout) - i128::from(stake),
        Target::Voided => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_shown_is_what_is_said(
        bets in any_bets(),
        versions in proptest::collection::vec(any_outcome(), 1..4),
        next in any_outcome(),
    ) {
        let mut lane = played(&bets, &versions);
        let replaces = u32::try_from(versions.len()).unwrap();
        let preview = previewed(&lane, &correction(replaces, next.clone()), &[]);
        lane.version(replaces + 1, next);
        lane.settle();
        let said = said(&lane, replaces + 3);

        let mut money: BTreeMap<(String, String), (u64, i128, i128)> = BTreeMap::new();
        let mut differences = Vec::new();
        for Settlement { bet, partner, stake, previous, target, .. } in &said {
            let moved = has(*target, stake.units) - has(*previous, stake.units);
            let key = (partner.to_string(), stake.currency.to_string());
            let (bets, more, back) = money.entry(key).or_default();
            *bets += 1;
            *if 0 <= moved { more } else { back } += moved.abs();
            differences.push((-moved.abs(), bet.to_string(), moved));
        }
        let told = preview.money.iter().map(|line| {
            prop_assert_eq!(line.net.0, line.to_pay.0 - line.to_take_back.0);
            let key = (line.partner.to_string(), line.currency.to_string());
            Ok((key, (line.bets, line.to_pay.0, line.to_take_back.0)))
        });
        let told: BTreeMap<_, _> = told.collect::<Result<_, TestCaseError>>()?;
        prop_assert_eq!(told, money);
        prop_assert_eq!(preview.changed, u64::try_from(said.len()).unwrap());
        prop_assert_eq!(preview.flips.iter().map(|flip| flip.bets).sum::<u64>(), preview.changed);
        differences.retain(|(_, _, moved)| *moved != 0);
        differences.sort();
        differences.truncate(crate::MOVERS_MAX);
        let wanted: Vec<_> = differences.into_iter().map(|(_, bet, moved)| (bet, moved)).collect();
        let movers: Vec<_> =
            preview.movers.iter().map(|one| (one.bet_id.to_string(), one.difference.0)).collect();
        prop_assert_eq!(movers, wanted);
    }
}

fn two_bets() -> Vec<(Bet, Fate)> {
    vec![(bet("a", "odd"), Fate::In), (bet("b", "even"), Fate::In)]
}

fn game(face: &str) -> Outcome {
    Outcome::Game(face.to_owned())
}

#[test]
fn the_figures_of_a_flipped_throw() {
    let lane = played(&two_bets(), &[game("3")]);
    let preview = previewed(&lane, &correction(1, game("4")), &[]);
    let flips: Vec<_> = preview.flips.iter().map(|f| (f.from, f.to, f.bets)).collect();
    assert_eq!(flips, [("lost", "won", 1), ("won", "lost", 1)]);
    let [money] = &preview.money[..] else { panic!("{:?}", preview.money) };
    // 10.00 at 2.50, once each way.
    assert_eq!((money.to_pay.0, money.to_take_back.0, money.net.0), (2_500, 2_500, 0));
    assert_eq!((preview.bets, preview.changed, preview.frozen), (2, 2, 0));
    // Nobody has confirmed the first result.
    assert_eq!(preview.undelivered[&partner()].settlements, 2);
}

/// What names a proposal: all that would happen, and nothing that moves no money.
#[test]
fn the_hash_covers_what_would_happen() {
    let lane = played(&two_bets(), &[game("3")]);
    let base = correction(1, game("4"));
    let hash = |lane: &Lane, correction: &Correction| previewed(lane, correction, &[]).hash();
    let first = hash(&lane, &base);
    assert_eq!(hash(&lane, &base), first);
    assert_ne!(hash(&lane, &correction(1, game("2"))), first, "another outcome, the same money");
    assert_ne!(hash(&lane, &Correction { reason: "other".to_owned(), ..base.clone() }), first);
    let three = played(&[two_bets(), vec![(bet("c", "odd"), Fate::In)]].concat(), &[game("3")]);
    assert_ne!(hash(&three, &base), first, "another bet flips");
    let confirmed = previewed(&lane, &base, &[answer("a", 3, DeliveryOutcome::Applied)]);
    assert_eq!(confirmed.hash(), first, "a confirmation moves nothing");
    assert_eq!(confirmed.undelivered[&partner()].settlements, 1);
}

#[test]
fn frozen_bets_do_not_move() {
    let lane = played(&two_bets(), &[game("3")]);
    let base = correction(1, game("4"));
    let before = gather(&loaded(&lane), &[], &base).unwrap();
    let mut frozen = loaded(&lane);
    frozen.freeze_bet(bet("a", "odd").id, &[]);
    let preview = shown(&base, gather(&frozen, &[], &base).unwrap());
    assert_eq!((preview.changed, preview.frozen), (1, 1));
    assert_ne!(preview.hash(), shown(&base, before).hash());
    let mut whole = loaded(&lane);
    whole.frozen = Some("marker_gap".to_owned());
    let Gathered { settlements, frozen, .. } = gather(&whole, &[], &base).unwrap();
    assert_eq!((settlements.len(), frozen), (0, 2), "a frozen round grades nothing");
}

#[test]
fn a_partition_at_another_version_is_not_shown() {
    let lane = played(&two_bets(), &[game("3"), game("4")]);
    for replaces in [1, 3] {
        let why = gather(&loaded(&lane), &[], &correction(replaces, game("5"))).unwrap_err();
        assert!(why.contains("version 2 stands"), "{why}");
    }
    assert!(gather(&Round::default(), &[], &correction(1, game("5"))).is_err());
}

#[test]
fn progress_counts_what_is_said_and_what_is_confirmed() {
    let mut lane = played(&two_bets(), &[game("3")]);
    let base = correction(1, game("4"));
    let at = |lane: &Lane, answers: &[Fact]| {
        let mut done = BTreeMap::new();
        count(&loaded(lane), answers, &base, &mut done);
        done[&partner()]
    };
    assert_eq!(at(&lane, &[]), Done { changed: 2, ..Done::default() }, "not settled yet");
    lane.version(2, game("4"));
    lane.settle();
    assert_eq!(at(&lane, &[]), Done { changed: 2, settled: 2, ..Done::default() });
    // An answer about the first result confirms nothing of the second.
    let old = answer("b", 3, DeliveryOutcome::Applied);
    let answers =
        [answer("a", 4, DeliveryOutcome::Applied), old, answer("b", 4, DeliveryOutcome::Parked)];
    let wanted = Done { changed: 2, settled: 2, confirmed: 1, parked: 1, frozen: 0 };
    assert_eq!(at(&lane, &answers), wanted);
}

fn answer(name: &str, revision: i64, outcome: DeliveryOutcome) -> Fact {
    let record = DeliveryRecord {
        bet_id: bet(name, "odd").id.to_string(),
        round_id: round().to_string(),
        partner_id: partner().to_string(),
        revision,
        outcome,
        code: (outcome == DeliveryOutcome::Parked).then(|| "unknown_bet".to_owned()),
        ..DeliveryRecord::default()
    };
    let row = outgoing::delivered_fact(&record.identified(), 0, 7).unwrap();
    Fact::from(row.into_parts())
}
