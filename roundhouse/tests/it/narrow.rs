//! Wallets that take less in a call with settlements than the contract has, or take it packed.

use crate::house::{Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean};
use http::Method;
use roundhouse::rig::api::Api;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

on_every_engine!(a_wallet_gets_no_more_than_it_takes, a_wallet_that_takes_it_packed_gets_it_so);

const PARTNERS: [&str; 2] = ["p01", "p02"];

/// What the partner's wallet counted.
async fn stats(street: &Street, partner: &str) -> Value {
    let wallet = Api::new(street.wallets.urls[partner].clone(), String::new());
    wallet.call(Method::GET, "/stats", "", None).await.unwrap().body
}

/// Two results of a round, and all that follows from them.
async fn play<E: Ground>(street: &Street, house: &House<E>, bets: usize) {
    house.bet("r", street.wagers("r", bets, 1)).await;
    house.api.result("r", "3").await.unwrap();
    house.settled().await;
    let correct = json!({"replaces": 1, "outcome": "4", "reason": "the feed swapped the sides"});
    let path = "/v1/rounds/r/correct";
    let told = house.api.call(Method::POST, path, OPERATOR_KEY, Some(&correct)).await.unwrap();
    assert!(told.status < 300, "{}", told.body);
    assert!(house.watch.settled(WAIT_MAX).await, "{:?}", house.watch.seen().owed);
}

async fn a_wallet_gets_no_more_than_it_takes<E: Ground>() {
    // As many items as have some 3,000 bytes; and bytes for some 13 of 500 items.
    no_more_than::<E>(10, 262_144, true).await;
    no_more_than::<E>(500, 4_096, false).await;
}

async fn no_more_than<E: Ground>(items: u64, bytes: u64, opened_again: bool) {
    let narrow = ["--items-max", &items.to_string(), "--bytes-max", &bytes.to_string()];
    let street = Street::on::<E>(2, 87, &narrow).await;
    let house = House::<E>::open(&street.config).await;
    for partner in PARTNERS {
        let check = ["partner", "check", partner];
        let found = house.command(OPERATOR_KEY, &check);
        let told = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!(found.status.code(), Some(1), "{told}");
        let differs = match (items, bytes) {
            (10, _) => "it takes 10, and its profile has 500 (items_max)",
            _ => "it takes 4096, and its profile has 262144 (bytes_max)",
        };
        assert!(told.contains(differs), "{told}");
        let adopt = ["--adopt", "--reason", "they take no more, ticket 5"];
        let taken = house.command(OPERATOR_KEY, &[&check[..], &adopt[..]].concat());
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
        let taken: Value = serde_json::from_slice(&taken.stdout).unwrap();
        assert_eq!(taken["differences"], json!([]));
        let profile = &taken["profile"];
        let said = (&profile["items_max"], &profile["bytes_max"], &profile["gzip"]);
        let less = |theirs: u64, most: u64| (theirs < most).then_some(theirs);
        let wanted = (json!(less(items, 500)), json!(less(bytes, 262_144)), json!(false));
        assert_eq!(said, (&wanted.0, &wanted.1, &wanted.2));
        assert_eq!(profile["set"]["reason"], "they take no more, ticket 5");
    }
    let house = if opened_again {
        // It stands in the log, and counts for the first call of the next life.
        house.close().await;
        House::<E>::open(&street.config).await
    } else {
        // Dispatchers are told each second.
        sleep(Duration::from_secs(3)).await;
        house
    };
    play(&street, &house, 600).await;
    for partner in PARTNERS {
        let stats = stats(&street, partner).await;
        let most = |of: &str| stats[of].as_u64().unwrap();
        assert!(most("state_items_most") <= items, "{stats}");
        assert!(most("state_bytes_most") <= bytes, "{stats}");
        let is_bound = most("state_items_most") == items || bytes < most("state_bytes_most") + 400;
        assert!(is_bound, "calls are as large as they may be: {stats}");
        assert_eq!(stats["state_calls_packed"], 0, "{stats}");
    }
    house.close().await;
    clean::<E>(&street).await;
}

async fn a_wallet_that_takes_it_packed_gets_it_so<E: Ground>() {
    let mut street = Street::on::<E>(2, 88, &["--gzip"]).await;
    street.config.partners[0].gzip = true;
    let house = House::<E>::open(&street.config).await;
    play(&street, &house, 200).await;
    let [packed, plain] = PARTNERS.map(|partner| stats(&street, partner));
    let (packed, plain) = (packed.await, plain.await);
    assert!(0 < packed["state_calls_packed"].as_u64().unwrap(), "{packed}");
    assert_eq!(plain["state_calls_packed"], 0, "nobody said that it is to be: {plain}");
    house.close().await;
    clean::<E>(&street).await;
}
