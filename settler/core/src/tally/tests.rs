use super::tally;
use crate::fixtures::{any_bet, bet_called, bet_on, round};
use crate::{Disposition, RuleError};
use proptest::prelude::*;
use schemas::bets::Bet;
use schemas::{Money, MoneyError, Odds};

/// `count` bets with references of their own, all currencies mixed.
fn some_bets(count: usize) -> Vec<Bet> {
    let currencies = [("EUR", 2), ("JPY", 0), ("USDT", 8), ("EUR", 3)];
    (1..)
        .zip(currencies.iter().cycle())
        .take(count)
        .map(|(n, (currency, exponent))| {
            let mut bet = bet_called(&format!("c{n}"), "odd", 100 * n, 250);
            bet.stake = Money::new(bet.stake.units, currency.parse().unwrap(), *exponent).unwrap();
            bet
        })
        .collect()
}

#[test]
fn nothing_is_tallied_as_well() {
    let record = tally(&round(), [].iter()).unwrap();
    assert_eq!((record.bets, record.stakes), (0, vec![]));
    assert_eq!(record.round_id, "r_77");
    // SHA-256 of nothing.
    assert_eq!(record.digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/// Known answers, computed outside Rust from the definitions of bet id, content hash and tally.
#[test]
fn known_answer() {
    let record = tally(&round(), some_bets(5).iter()).unwrap();
    let sums: Vec<String> = record
        .stakes
        .iter()
        .map(|sum| format!("{} {} {}", sum.units, sum.currency, sum.exponent))
        .collect();
    assert_eq!(record.bets, 5);
    assert_eq!(sums, ["600 EUR 2", "400 EUR 3", "200 JPY 0", "300 USDT 8"]);
    assert_eq!(record.digest, "6a05f306511473aa5d96673226f122b4be28711bc701b6c9c246d5f501ffffe3");
}

#[test]
fn refusals() {
    let bet = bet_on("odd", 1_000, 250);
    let other = "r_78".parse().unwrap();
    let error = tally(&other, [&bet].into_iter()).unwrap_err();
    assert_eq!(error, RuleError::OtherRound { bet: bet.id.clone(), round: other });
    let error = tally(&round(), [&bet, &bet].into_iter()).unwrap_err();
    assert_eq!(error, RuleError::TalliedTwice { bet: bet.id.clone() });
    assert_eq!(error.disposition(), Disposition::FreezeBet);
}

#[test]
fn too_much_for_one_sum() {
    let all: Vec<Bet> =
        ["a", "b"].iter().map(|name| bet_called(name, "odd", i64::MAX, 1)).collect();
    let last = all.iter().map(|bet| &bet.id).max().unwrap().clone();
    let wanted = RuleError::TallyTooLarge { bet: last, source: MoneyError::TooLarge };
    assert_eq!(tally(&round(), all.iter()), Err(wanted));
    assert!(tally(&round(), all[..1].iter()).is_ok());
}

/// Each field of the content shows in the digest; what is not content does not (R12).
#[test]
fn the_digest_covers_the_content() {
    let digest = |bet: &Bet| tally(&round(), [bet].into_iter()).unwrap().digest;
    let bet = bet_on("odd", 1_000, 250);
    let content: &[fn(&mut Bet)] = &[
        |bet| bet.partner = "other".parse().unwrap(),
        |bet| bet.player = "p_10".parse().unwrap(),
        |bet| bet.selection = "even".parse().unwrap(),
        |bet| bet.stake = bet.stake.with_units(1_001),
        |bet| bet.stake.currency = "USD".parse().unwrap(),
        |bet| bet.stake.exponent = 3,
        |bet| bet.odds = Odds::new(251).unwrap(),
    ];
    for (index, change) in content.iter().enumerate() {
        let mut changed = bet.clone();
        change(&mut changed);
        assert_ne!(digest(&changed), digest(&bet), "change {index}");
    }
    let mut same = bet.clone();
    same.placed_at += 1;
    same.rules_version += 1;
    assert_eq!(digest(&same), digest(&bet));
}

proptest! {
    /// Whatever order a settler holds its bets in, the tally is the same.
    #[test]
    fn order_does_not_matter(bets in Just(some_bets(12)).prop_shuffle()) {
        prop_assert_eq!(tally(&round(), bets.iter()), tally(&round(), some_bets(12).iter()));
    }

    /// A missing bet shows, whichever it is.
    #[test]
    fn a_missing_bet_shows(mut bets in Just(some_bets(12)), gone in 0..12_usize) {
        let whole = tally(&round(), bets.iter()).unwrap();
        bets.remove(gone);
        let partial = tally(&round(), bets.iter()).unwrap();
        prop_assert_ne!(&partial.digest, &whole.digest);
        prop_assert_eq!(partial.bets, whole.bets - 1);
    }

    /// A bet with another stake shows.
    #[test]
    fn another_stake_shows(bet in any_bet()) {
        let mut other = bet.clone();
        other.stake = other.stake.with_units(other.stake.units + 1);
        let digest = |bet: &Bet| tally(&round(), [bet].into_iter()).unwrap().digest;
        prop_assert_ne!(digest(&bet), digest(&other));
    }
}
