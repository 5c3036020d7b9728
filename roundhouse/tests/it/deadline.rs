//! Thousands of bets raced against the deadline of one round.

use crate::house::{
    Ground, House, OPERATOR_KEY, Street, WAIT_MAX, bet_events, books, clean, nets, payout,
};
use crate::second;
use http::Method;
use roundhouse::audit::books::Books;
use roundhouse::rig::api::{Api, Reply};
use roundhouse::rig::players::Wager;
use runtime::{Clock, SystemClock};
use schemas::bets::{Bet, BetSaid, HoldAnswer, MarkerBody};
use schemas::contract::parse_timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

on_every_engine!(every_bet_is_in_or_its_stake_is_back);

/// Bets in the race.
const BETS: usize = 2_000;
/// Connections that they come from.
const CONNECTIONS: usize = 32;
/// Partners.
const PARTNERS: usize = 4;
/// Seed of the bets.
const SEED: u64 = 7;
/// Betting lasts so long; the race takes the last second of it and what comes behind.
const BETTING_MS: i64 = 1_500;
/// Before the deadline the first bet is sent, and so long the race lasts, in ms.
const BEFORE_MS: i64 = 1_000;
const RACE_MS: i64 = 1_200;
/// Between the deadline and the cut-off: less than a wallet takes, so that answers come too late.
const GRACE_MS: i64 = 10;
/// The number that is thrown.
const THROWN: u32 = 3;

/// What a client was told of its bet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// 201.
    Accepted,
    /// 422, final: written down, and rejected.
    Rejected(String),
    /// Refused, not final: never written down. The code may change as the round goes on.
    Refused,
}

/// The bet's id and what was told of it, if the answer is a verdict.
fn verdict(reply: &Reply) -> Option<(String, Told)> {
    let body = &reply.body;
    let named = body["bet"]["bet_id"].as_str().or(body["bet_id"].as_str())?.to_owned();
    match (reply.status, body["final"].as_bool()?) {
        (201, true) if body["status"] == "accepted" => Some((named, Told::Accepted)),
        (422, true) if body["bet"]["status"] == "rejected" => {
            Some((named, Told::Rejected(body["bet"]["reason"].as_str()?.to_owned())))
        }
        (409 | 422, false) => Some((named, Told::Refused)),
        _ => None,
    }
}

/// Places a bet, the same one again until there is a verdict.
async fn place(api: &Api, wager: &Wager) -> (String, Told) {
    let begun = Instant::now();
    loop {
        let reply = api.call(Method::POST, "/v1/bets", &wager.token, Some(&wager.body)).await;
        match reply {
            Ok(reply) => match verdict(&reply) {
                Some(told) => return told,
                None => assert!(matches!(reply.status, 202 | 503), "{wager:?} got {reply:?}"),
            },
            Err(error) => panic!("{wager:?} got no answer: {error:#}"),
        }
        assert!(begun.elapsed() < WAIT_MAX, "{wager:?} got no verdict");
    }
}

/// Races the bets, bet k from connection k modulo their number; gives what was told, in their order.
async fn race(base: &str, wagers: &Arc<Vec<Wager>>, closes_at: i64) -> Vec<(String, Told)> {
    let all = Arc::new(Mutex::new(BTreeMap::new()));
    let mut connections = JoinSet::new();
    for connection in 0..CONNECTIONS {
        // A client of its own has a connection of its own.
        let api = Api::new(base.to_owned(), OPERATOR_KEY.to_owned());
        let (wagers, all) = (Arc::clone(wagers), Arc::clone(&all));
        connections.spawn(async move {
            for index in (connection..BETS).step_by(CONNECTIONS) {
                let after = i64::try_from(index).unwrap() * RACE_MS / i64::try_from(BETS).unwrap();
                let due = closes_at - BEFORE_MS + after;
                let early = u64::try_from(due - SystemClock.now()).unwrap_or(0);
                sleep(Duration::from_millis(early)).await;
                let told = place(&api, &wagers[index]).await;
                all.lock().unwrap().insert(index, told);
            }
        });
    }
    while let Some(ended) = connections.join_next().await {
        ended.unwrap();
    }
    let all = std::mem::take(&mut *all.lock().unwrap());
    assert_eq!(all.len(), BETS);
    all.into_values().collect()
}

/// Asks for every bet and places it once more: nobody may hear anything else than before.
async fn told_again(api: &Api, wagers: &Arc<Vec<Wager>>, told: &Arc<Vec<(String, Told)>>) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut askers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (api, next) = (api.clone(), Arc::clone(&next));
        let (wagers, told) = (Arc::clone(wagers), Arc::clone(told));
        askers.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some((bet, said)) = told.get(index) else { return };
                let wager = &wagers[index];
                let path = format!("/v1/bets/{bet}");
                let shown = api.call(Method::GET, &path, &wager.token, None).await.unwrap();
                let as_told = match said {
                    Told::Accepted => shown.status == 200 && shown.text("status") == "accepted",
                    Told::Rejected(why) => {
                        let same =
                            shown.text("status") == "rejected" && shown.text("reason") == why;
                        shown.status == 200 && same
                    }
                    Told::Refused => shown.status == 404 && shown.body["final"] == true,
                };
                assert!(as_told, "seed {SEED}: {bet} was told {said:?}, is shown {shown:?}");
                assert_eq!(place(&api, wager).await, told[index], "seed {SEED}: told twice");
            }
        });
    }
    while let Some(ended) = askers.join_next().await {
        ended.unwrap();
    }
}

/// Bets with an approved hold in front of the cut-off of their partition, read from the log itself.
fn in_time(books: &Books) -> BTreeMap<String, Bet> {
    let (mut closed, mut bets) = (vec![false; books.bets.len()], BTreeMap::new());
    let mut approved = BTreeMap::new();
    for (partition, _, event) in bet_events(books) {
        match &event.said {
            BetSaid::Intent(intent) => {
                bets.insert(intent.bet.id.to_string(), intent.bet.clone());
            }
            BetSaid::Answer { bet, answer: HoldAnswer::Approved, .. } if !closed[partition] => {
                approved.insert(bet.to_string(), bets[bet.as_str()].clone());
            }
            BetSaid::Marker(marker) if marker.body == MarkerBody::Closed => {
                closed[partition] = true
            }
            BetSaid::Answer { .. }
            | BetSaid::Cancel { .. }
            | BetSaid::Marker(_)
            | BetSaid::Tick
            | BetSaid::Thaw { .. } => {}
        }
    }
    approved
}

/// Each bet is either accepted before the cut-off or its stake is back, and nobody is told twice.
async fn every_bet_is_in_or_its_stake_is_back<E: Ground>() {
    let street =
        Street::on::<E>(PARTNERS, SEED, &["--latency-ms", "20", "--jitter-ms", "30"]).await;
    let house = House::<E>::open(&street.config).await;
    let wagers = Arc::new(street.wagers("race", BETS, SEED));
    let opened = house.api.open_die("race", BETTING_MS, GRACE_MS).await.unwrap();
    let closes_at = parse_timestamp(opened.text("closes_at")).unwrap();
    let base = format!("http://{}", house.running.address);
    let told = Arc::new(race(&base, &wagers, closes_at).await);
    house.api.result("race", &THROWN.to_string()).await.unwrap();
    house.settled().await;
    told_again(&house.api, &wagers, &told).await;
    house.settled().await;
    house.close().await;

    let books = books::<E>(&street).await;
    let (in_time, nets) = (in_time(&books), nets(&books));
    let (mut accepted, mut cut_off, mut refused) = (0, 0, 0);
    for (bet, said) in told.iter() {
        let net = nets.get(bet).copied().unwrap_or_default();
        match said {
            Told::Accepted => {
                accepted += 1;
                let placed = in_time.get(bet);
                let placed =
                    placed.unwrap_or_else(|| panic!("{bet} was accepted behind the cut-off"));
                let worth = payout(placed, THROWN) - i128::from(placed.stake.units);
                assert_eq!(net, worth, "seed {SEED}: {bet}");
            }
            Told::Rejected(why) => {
                // No wallet declines of its own will: the cut-off or the request's expiry was first.
                cut_off += 1;
                assert_eq!(
                    net, 0,
                    "seed {SEED}: {bet} was rejected ({why}), its stake is not back"
                );
            }
            Told::Refused => {
                refused += 1;
                assert!(!nets.contains_key(bet), "seed {SEED}: {bet} was refused and sent");
            }
        }
    }
    second::agrees(&books);
    clean::<E>(&street).await;
    let counts = format!("{accepted} accepted, {cut_off} cut off, {refused} refused");
    println!("{counts}");
    assert!(0 < accepted && 0 < cut_off && 0 < refused, "nothing was raced: {counts}");
}
