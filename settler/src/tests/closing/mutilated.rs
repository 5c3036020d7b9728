//! A good world, damaged 400 times: each damage is found, and no other bet is named for it.

use super::street::{Street, bets, finished};
use super::{answered, bet};
use runtime::FactKey;
use schemas::catalogue::SETTLEMENTS;
use schemas::contract::{MoneyBody, RowStatus};
use schemas::decisions::{Decision, DecisionSaid};
use schemas::facts::{ACCEPTED, CANCELLED, DELIVERED, REJECTED};
use schemas::outgoing;
use schemas::settlements::Settlement;
use schemas::wire::DeliveryOutcome;
use std::collections::BTreeSet;

/// Damages tried.
const MUTILATIONS: u64 = 400;
/// Ways to damage.
const KINDS: usize = 20;

/// How a damage is to be noticed.
#[derive(Debug, PartialEq, Eq)]
enum Noticed {
    /// A case that names this bet.
    Case(String),
    /// The settlement of this bet is said again, and the round is not closed.
    SaidAgain(String),
    /// The round is not compared at all, and a case and an alarm tell people of this bet.
    Alarm(String),
    /// It counts as set aside at this partner, and the round with it as it was told.
    Parked,
    /// Not at all: it is none.
    Harmless,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn units(&mut self) -> i64 {
        i64::try_from(1 + self.below(1_000_000)).unwrap()
    }
}

/// Bets that are in.
const IN: [&str; 5] = ["won", "won too", "lost", "void", "yen"];
/// Bets that have a row.
const ALL: [&str; 7] = ["won", "won too", "lost", "void", "yen", "cancelled", "rejected"];

fn changed(money: &mut MoneyBody, by: i64) {
    money.units = (money.units.parse::<i64>().unwrap() + by).to_string();
}

/// Damages the wallet's row of a bet in one of six ways.
fn damage(street: &mut Street, kind: u64, name: &str, random: &mut Random) {
    let by = random.units();
    match kind {
        0 => {
            street.wallet.rows.remove(bets()[name].id.as_str());
        }
        1 => changed(street.row(name).stake.as_mut().unwrap(), by),
        2 => {
            let row = street.row(name);
            let money = row.stake.clone().unwrap();
            changed(row.payout.get_or_insert(MoneyBody { units: "0".to_owned(), ..money }), by);
        }
        3 => {
            let row = street.row(name);
            let others = [RowStatus::Held, RowStatus::Settled, RowStatus::Voided];
            let others: Vec<_> = others.into_iter().filter(|one| *one != row.status).collect();
            row.status = *random.pick(&others);
        }
        4 => {
            let row = street.row(name);
            let others: Vec<u32> = (1..9).filter(|one| *one != row.revision).collect();
            row.revision = *random.pick(&others);
        }
        5 => street.row(name).stake.as_mut().unwrap().currency = "CHF".to_owned(),
        other => panic!("there is no damage {other}"),
    }
}

/// Alters the decision of a bet where it stands: its key says what it said before.
fn alter(street: &mut Street, kind: &str, bet: &str, how: impl Fn(&mut Decision)) {
    let is_it = |key: &FactKey| key.kind == kind && key.subject == bet;
    let (key, body) = street.lane.facts.iter_mut().find(|(key, _)| is_it(key)).unwrap();
    let DecisionSaid::Decided(mut decision) = DecisionSaid::decode(body).unwrap() else { panic!() };
    how(&mut decision);
    let row = outgoing::decision_fact(&decision, key.scope.partition).unwrap();
    *body = row.body.into();
}

/// Damages the street in one way.
fn mutilate(street: &mut Street, kind: u64, random: &mut Random) -> Noticed {
    let name = *random.pick(&IN);
    let id = bets()[name].id.to_string();
    match kind {
        0..6 => {
            damage(street, kind, name, random);
            Noticed::Case(id)
        }
        6 => {
            let id = format!("r1:extra{}", random.below(1_000));
            let stake = bets()["won"].stake;
            let row = street.wallet.held(&id, stake);
            row.revision = u32::try_from(3 + random.below(5)).unwrap();
            Noticed::Case(id)
        }
        7 => {
            let id = format!("r1:held{}", random.below(1_000));
            street.wallet.held(&id, bets()["won"].stake);
            Noticed::Case(id)
        }
        8 => {
            let name = *random.pick(&["cancelled", "rejected"]);
            let row = street.row(name);
            row.revision = *random.pick(&[1, 3, 4, 5]);
            row.status = *random.pick(&[RowStatus::Held, RowStatus::Settled, RowStatus::Voided]);
            Noticed::Case(bets()[name].id.to_string())
        }
        9 => {
            let id = bets()[*random.pick(&ALL)].id.to_string();
            street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id);
            Noticed::SaidAgain(id)
        }
        10 => {
            let name = *random.pick(&ALL);
            let revision = u32::try_from(7 + random.below(5)).unwrap();
            answered(&mut street.lane, &bets()[name], revision, DeliveryOutcome::Applied);
            Noticed::Case(bets()[name].id.to_string())
        }
        11 => {
            let unknown = bet(&format!("unknown{}", random.below(1_000)), "odd");
            answered(&mut street.lane, &unknown, 3, DeliveryOutcome::Applied);
            Noticed::Case(unknown.id.to_string())
        }
        other => damage_facts(street, other, name, random),
    }
}

/// Damages facts in one way.
fn damage_facts(street: &mut Street, kind: u64, name: &str, random: &mut Random) -> Noticed {
    let id = bets()[name].id.to_string();
    match kind {
        12 => {
            let lost = |key: &FactKey| key.kind == ACCEPTED && key.subject == id;
            street.lane.facts.retain(|key, _| !lost(key));
            Noticed::Alarm(id)
        }
        13 => {
            // Said and answered twice.
            let settlements = street.lane.settlements(&bets()[name]);
            settlements.iter().for_each(|settlement| street.wallet.apply(settlement));
            let newest = settlements.last().unwrap().revision;
            answered(&mut street.lane, &bets()[name], newest, DeliveryOutcome::Superseded);
            Noticed::Harmless
        }
        14 => {
            let id = bets()["rejected"].id.to_string();
            street.lane.facts.retain(|key, _| key.kind != REJECTED);
            Noticed::Case(id)
        }
        15 => {
            let id = bets()["cancelled"].id.to_string();
            street.lane.facts.retain(|key, _| key.kind != CANCELLED);
            Noticed::Alarm(id)
        }
        16 => {
            let by = random.units();
            alter(street, ACCEPTED, &id, |decision| {
                let stake = decision.bet.stake;
                decision.bet.stake = stake.with_units(stake.units + by);
            });
            Noticed::Alarm(id)
        }
        17 => {
            alter(street, ACCEPTED, &id, |decision| {
                decision.bet.odds = "9.99".parse().unwrap();
            });
            Noticed::Alarm(id)
        }
        18 => {
            // An answer that was altered into a parking.
            let settlements = street.lane.settlements(&bets()[name]);
            let newest = settlements.last().unwrap().revision;
            street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id);
            answered(&mut street.lane, &bets()[name], newest, DeliveryOutcome::Parked);
            Noticed::Parked
        }
        19 => {
            // An answer that was altered into one to an earlier revision.
            street.lane.facts.retain(|key, _| key.kind != DELIVERED || key.subject != id);
            answered(&mut street.lane, &bets()[name], 1, DeliveryOutcome::Applied);
            Noticed::SaidAgain(id)
        }
        other => panic!("there is no mutilation {other}"),
    }
}

#[test]
fn each_of_400_mutilations_is_found_and_a_whole_world_gives_none() {
    let mut met = BTreeSet::new();
    for seed in 0..MUTILATIONS {
        let mut street = finished();
        let mut random = Random(seed);
        let is_closed_before = random.below(2) == 1;
        if is_closed_before {
            street.read(2);
            street.look();
        }
        let kind = u64::try_from(random.below(KINDS)).unwrap();
        met.insert((kind, is_closed_before));
        let noticed = mutilate(&mut street, kind, &mut random);
        let written = street.lane.written.len();
        let closed = street.same_at(2);
        let row_count = street.wallet.rows.len();
        if is_closed_before {
            street.cycle();
        } else {
            street.read(2);
        }
        street.look();
        let again = &street.lane.written[written..];
        let again: Vec<String> = again
            .iter()
            .filter(|append| append.topic.0 == SETTLEMENTS)
            .map(|append| Settlement::decode(&append.value).unwrap().bet.to_string())
            .collect();
        let cases: Vec<String> = street.cases().into_iter().map(|case| case.text).collect();
        let alarms: Vec<&str> = street.lane.alarms.iter().map(|it| it.text.as_str()).collect();
        let found = format!(
            "seed {seed}, kind {kind}, closed before: {is_closed_before}, {noticed:?}: cases {cases:?}, said again \
             {again:?}, alarms {alarms:?}"
        );
        let names = |text: &str, bet: &str| {
            let others = bets().into_values().map(|bet| bet.id.to_string());
            let mut others = others.filter(|other| other != bet);
            text.contains(bet) && !others.any(|other| text.contains(&other))
        };
        let same = street.same_at(2) - closed;
        match &noticed {
            Noticed::Case(bet) => {
                assert_eq!((cases.len(), again.len(), same), (1, 0, 0), "{found}");
                assert!(names(&cases[0], bet), "{found}");
            }
            Noticed::SaidAgain(bet) => {
                assert_eq!((&again[..], cases.len(), same), (&[bet.clone()][..], 0, 0), "{found}");
            }
            Noticed::Alarm(bet) => {
                assert!(street.lane.alarmed("round_not_reconciled"), "{found}");
                assert!(alarms.iter().all(|text| names(text, bet)), "{found}");
                assert_eq!((again.len(), cases.len(), same), (0, 1, 0), "{found}");
                assert!(names(&cases[0], bet), "{found}");
            }
            Noticed::Parked => {
                assert_eq!(street.standing().owed.parked, 1, "{found}");
                assert_eq!((again.len(), cases.len()), (0, 0), "{found}");
            }
            Noticed::Harmless => {
                let news = usize::from(!is_closed_before);
                assert_eq!((cases.len(), again.len(), same), (0, 0, news), "{found}");
                assert!(alarms.is_empty(), "{found}");
            }
        }
        assert_eq!(street.wallet.rows.len(), row_count, "nothing was paid: {found}");
    }
    assert_eq!(met.len(), 2 * KINDS, "each is met before a close and behind one");
}
