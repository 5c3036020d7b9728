//! Results that change: two versions, withdrawn, voided, corrected during the first fan-out, after a
//! restart, and long after. Partners end right, and only bets that differ get a message.

use crate::house::{House, Street, clean, movements};
use roundhouse::audit::books::{BetLine, Books};
use roundhouse::config::Config;
use schemas::bets::{Bet, BetSaid};
use schemas::settlements::Target;
use std::collections::{BTreeMap, BTreeSet};

/// Bets of each round.
const BETS: usize = 80;

/// What a thrown number makes of a selection of the die, in words of this test alone.
fn wins(selection: &str, thrown: u32) -> bool {
    match selection {
        "odd" => thrown % 2 == 1,
        "even" => thrown % 2 == 0,
        "low" => thrown <= 3,
        "high" => 4 <= thrown,
        number => number == thrown.to_string(),
    }
}

/// Bets that were held, by id.
fn held(books: &Books, round: &str) -> BTreeMap<String, Bet> {
    let taken: BTreeSet<&str> = movements(books)
        .filter(|movement| movement.revision == 3)
        .map(|movement| movement.bet.as_str())
        .collect();
    let mut bets = BTreeMap::new();
    for (_, line) in books.bets.iter().flatten() {
        let BetLine::Said(event) = line else { continue };
        let BetSaid::Intent(intent) = &event.said else { continue };
        let id = intent.bet.id.as_str();
        if intent.bet.id.round_str() == round && taken.contains(id) {
            bets.insert(id.to_owned(), intent.bet.clone());
        }
    }
    bets
}

/// The bets of a round that got `revision`, with the row's state.
fn at(books: &Books, round: &str, revision: u32) -> BTreeMap<String, Option<Target>> {
    movements(books)
        .filter(|m| m.revision == revision && m.bet.starts_with(&format!("{round}:")))
        .map(|m| (m.bet.clone(), m.target))
        .collect()
}

/// Which bets differ between two throws: they, and no others, must have got `revision`.
#[track_caller]
fn only_differing(books: &Books, round: &str, revision: u32, before: u32, after: u32) {
    let due: BTreeSet<String> = held(books, round)
        .into_iter()
        .filter(|(_, bet)| {
            let selection = bet.selection.as_str();
            wins(selection, before) != wins(selection, after)
        })
        .map(|(id, _)| id)
        .collect();
    let got = at(books, round, revision);
    assert!(!due.is_empty(), "no bet of {round} differs: nothing was tested");
    assert_eq!(got.keys().cloned().collect::<BTreeSet<_>>(), due, "{round} at {revision}");
    for (id, target) in got {
        let bet = &held(books, round)[&id];
        let payout = i128::from(bet.stake.units) * i128::from(bet.odds.hundredths()) / 100;
        let won = wins(bet.selection.as_str(), after);
        let payout = if won { i64::try_from(payout).unwrap() } else { 0 };
        assert_eq!(target, Some(Target::Settled(payout)), "{id}");
    }
}

async fn play(house: &House, street: &Street, round: &str, seed: u64, outcome: &str) {
    house.bet(round, street.wagers(round, BETS, seed)).await;
    house.api.result(round, outcome).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_withdrawals_and_voids() {
    let mut street = Street::open(3, 11, &[]).await;
    street.config.settler.rounds_kept = 1;
    let house = House::open(&street.config).await;

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

    let (books, _) = clean(street.directory.path()).await;
    only_differing(&books, "two", 4, 4, 5);
    only_differing(&books, "two", 5, 5, 2);
    let count = |round: &str, revision| at(&books, round, revision).len();
    let everybody = held(&books, "taken").len();
    assert_eq!((count("taken", 4), count("taken", 5)), (everybody, everybody));
    assert!(at(&books, "taken", 4).values().all(|target| *target == Some(Target::Held)));
    assert_eq!(count("void", 4), held(&books, "void").len());
    assert!(at(&books, "void", 4).values().all(|target| *target == Some(Target::Voided)));
    assert!(0 < count("never", 3), "a void of a round without a result is version 1");
}

/// The correction comes while the wallets still answer the first result.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_during_the_first_fan_out() {
    let street = Street::open(3, 12, &["--latency-ms", "300", "--jitter-ms", "300"]).await;
    let config = Config { dispatcher: small_chunks(&street.config), ..street.config.clone() };
    let house = House::open(&config).await;
    play(&house, &street, "early", 5, "3").await;
    house.api.correct("early", 1, "6").await.unwrap();
    let owed = house.watch.seen().owed.len();
    house.settled().await;
    house.close().await;
    assert!(0 < owed, "the first fan-out was over before the correction came");
    clean(street.directory.path()).await;
}

/// Small chunks, so that a fan-out takes a while.
fn small_chunks(config: &Config) -> roundhouse::config::Dispatcher {
    let mut dispatcher = config.dispatcher.clone();
    dispatcher.chunk_items_max = 2;
    dispatcher.chunks_in_flight_max = 1;
    dispatcher
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_after_a_restart() {
    let street = Street::open(3, 13, &[]).await;
    let house = House::open(&street.config).await;
    play(&house, &street, "old", 6, "6").await;
    house.settled().await;
    house.close().await;

    let house = House::open(&street.config).await;
    house.api.correct("old", 1, "1").await.unwrap();
    house.settled().await;
    house.close().await;
    let (books, _) = clean(street.directory.path()).await;
    only_differing(&books, "old", 4, 6, 1);
}
