//! Results that change: two versions, withdrawn, voided, corrected during the first fan-out, after a
//! restart, and long after. Partners end right, and only bets that differ get a message.

use crate::house::{Ground, House, Street, clean, held, movements, nets, payout, wins};
use crate::second;
use roundhouse::audit::books::Books;
use roundhouse::config::{Config, Dispatcher};
use schemas::settlements::Target;
use std::collections::{BTreeMap, BTreeSet};

/// Bets of each round.
const BETS: usize = 80;

on_every_engine!(
    versions_withdrawals_and_voids,
    a_correction_during_the_first_fan_out,
    a_correction_after_a_restart,
);

/// The bets of a round that got `revision`, with the row's state.
fn at(books: &Books, round: &str, revision: u32) -> BTreeMap<String, Option<Target>> {
    movements(books)
        .filter(|m| m.revision == revision && m.bet.starts_with(&format!("{round}:")))
        .map(|m| (m.bet.clone(), m.target))
        .collect()
}

/// Bets that differ between two throws, and no others, must have got `revision`, with the payout due.
#[track_caller]
fn only_differing(books: &Books, round: &str, revision: u32, before: u32, after: u32) {
    let bets = held(books, round);
    let differs = |selection: &str| wins(selection, before) != wins(selection, after);
    let due: BTreeSet<&String> =
        bets.iter().filter(|(_, bet)| differs(bet.selection.as_str())).map(|(id, _)| id).collect();
    let got = at(books, round, revision);
    assert!(!due.is_empty() && due.len() < bets.len(), "{round}: all or none of its bets differ");
    assert_eq!(got.keys().collect::<BTreeSet<_>>(), due, "{round} at {revision}");
    for (id, target) in got {
        let payout = i64::try_from(payout(&bets[&id], after)).unwrap();
        assert_eq!(target, Some(Target::Settled(payout)), "{id}");
    }
}

/// The partners have moved what each bet of the round is worth once `thrown` stands, or nothing if the
/// round is void. Bets that are not held have moved nothing.
#[track_caller]
fn ends_right(books: &Books, round: &str, thrown: Option<u32>) {
    let bets = held(books, round);
    assert!(BETS * 9 / 10 < bets.len(), "{round}: only {} bets", bets.len());
    for (id, net) in nets(books).iter().filter(|(id, _)| id.starts_with(&format!("{round}:"))) {
        let worth = match (bets.get(id), thrown) {
            (Some(bet), Some(thrown)) => payout(bet, thrown) - i128::from(bet.stake.units),
            (None, _) | (_, None) => 0,
        };
        assert_eq!(*net, worth, "{id}");
    }
}

async fn play<E: Ground>(house: &House<E>, street: &Street, round: &str, seed: u64, outcome: &str) {
    house.bet(round, street.wagers(round, BETS, seed)).await;
    house.api.result(round, outcome).await.unwrap();
}

async fn versions_withdrawals_and_voids<E: Ground>() {
    let mut street = Street::on::<E>(3, 11, &[]).await;
    street.config.settler.rounds_kept = 1;
    let house = House::<E>::open(&street.config).await;

    // Two versions.
    play(&house, &street, "two", 1, "4").await;
    house.settled().await;
    house.api.correct("two", 1, "5").await.unwrap();
    // Withdrawn, and another result.
    play(&house, &street, "taken", 2, "1").await;
    house.settled().await;
    house.api.withdraw("taken", 1).await.unwrap();
    house.settled().await;
    house.api.correct("taken", 2, "1").await.unwrap();
    // Voided after the result, and voided before one.
    play(&house, &street, "void", 3, "2").await;
    house.settled().await;
    house.api.void("void", 1).await.unwrap();
    house.bet("never", street.wagers("never", BETS, 4)).await;
    house.api.void("never", 0).await.unwrap();
    house.settled().await;
    // A round long out of memory: three others came since, and a settler keeps one.
    house.api.correct("two", 2, "2").await.unwrap();
    house.settled().await;
    house.close().await;

    let (books, _) = clean::<E>(&street).await;
    second::agrees(&books);
    only_differing(&books, "two", 4, 4, 5);
    only_differing(&books, "two", 5, 5, 2);
    ends_right(&books, "two", Some(2));
    let all = |round: &str, revision, target: Option<Target>| {
        let got = at(&books, round, revision);
        assert!(got.keys().eq(held(&books, round).keys()), "{round} at {revision}");
        assert!(
            got.values().all(|state| state.is_some() && (target == *state || target.is_none()))
        );
    };
    all("taken", 4, Some(Target::Held));
    all("taken", 5, None);
    ends_right(&books, "taken", Some(1));
    all("void", 4, Some(Target::Voided));
    ends_right(&books, "void", None);
    // A void of a round without a result is its version 1.
    all("never", 3, Some(Target::Voided));
    ends_right(&books, "never", None);
}

/// The correction comes while the wallets still answer the first result.
async fn a_correction_during_the_first_fan_out<E: Ground>() {
    let street = Street::on::<E>(3, 12, &["--latency-ms", "300", "--jitter-ms", "300"]).await;
    let config = Config { dispatcher: small_chunks(&street.config), ..street.config.clone() };
    let house = House::<E>::open(&config).await;
    play(&house, &street, "early", 5, "3").await;
    house.api.correct("early", 1, "6").await.unwrap();
    let owed = house.watch.seen().owed.len();
    house.settled().await;
    house.close().await;
    assert!(0 < owed, "the first fan-out was over before the correction came");
    let (books, _) = clean::<E>(&street).await;
    only_differing(&books, "early", 4, 3, 6);
    ends_right(&books, "early", Some(6));
}

/// Small chunks, so that a fan-out takes a while.
fn small_chunks(config: &Config) -> Dispatcher {
    let mut dispatcher = config.dispatcher.clone();
    dispatcher.chunk_items_max = 2;
    dispatcher.chunks_in_flight_max = 1;
    dispatcher
}

async fn a_correction_after_a_restart<E: Ground>() {
    let street = Street::on::<E>(3, 13, &[]).await;
    let house = House::<E>::open(&street.config).await;
    play(&house, &street, "old", 6, "6").await;
    house.settled().await;
    house.close().await;

    let house = House::<E>::open(&street.config).await;
    house.api.correct("old", 1, "1").await.unwrap();
    house.settled().await;
    house.close().await;
    let (books, _) = clean::<E>(&street).await;
    only_differing(&books, "old", 4, 6, 1);
    ends_right(&books, "old", Some(1));
}
