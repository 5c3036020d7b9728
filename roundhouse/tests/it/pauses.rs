//! An operator pauses betting for one partner: its players are told so, others bet on, what was bet is settled,
//! and a restart does not forget it.

use crate::house::{Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean};
use http::Method;
use roundhouse::rig::api::Api;
use roundhouse::rig::players::Wager;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(a_pause_is_for_one_partner_and_outlives_the_process);

const LOOK_PERIOD: Duration = Duration::from_millis(20);

async fn code(api: &Api, wager: &Wager) -> String {
    let reply = api.call(Method::POST, "/v1/bets", &wager.token, Some(&wager.body)).await.unwrap();
    reply.text("code").to_owned()
}

/// What a command of `partner` says.
#[track_caller]
fn said<E: Ground>(house: &House<E>, arguments: &[&str]) -> Value {
    let output = house.command(OPERATOR_KEY, &[&["partner"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Bets of `wagers` until one is answered with `wanted`; empty for one that is taken.
async fn until(api: &Api, wagers: &mut impl Iterator<Item = Wager>, wanted: &str) {
    let begun = Instant::now();
    loop {
        let said = code(api, &wagers.next().unwrap()).await;
        if said == wanted {
            return;
        }
        assert!(begun.elapsed() < WAIT_MAX, "`{said}`, not `{wanted}`");
        sleep(LOOK_PERIOD).await;
    }
}

async fn a_pause_is_for_one_partner_and_outlives_the_process<E: Ground>() {
    let street = Street::on::<E>(2, 85, &[]).await;
    let (paused, other) = ("p01", "p02");
    let of = |partner: &'static str| {
        let mut wagers = street.wagers("r", 4_000, 1);
        wagers.iter_mut().for_each(|wager| wager.cancel = false);
        wagers.into_iter().filter(move |wager| wager.partner == partner)
    };
    let (mut of_paused, mut of_other) = (of(paused), of(other));
    let house = House::<E>::open(&street.config).await;
    house.api.open_die("r", 600_000, 200).await.unwrap();
    until(&house.api, &mut of_paused, "").await;
    said(&house, &["pause", paused, "--reason", "their wallet moves tonight"]);
    until(&house.api, &mut of_paused, "betting_paused").await;
    assert_eq!(code(&house.api, &of_other.next().unwrap()).await, "", "others bet on");
    house.close().await;

    let house = House::<E>::open(&street.config).await;
    let first = code(&house.api, &of_paused.next().unwrap()).await;
    assert_eq!(first, "betting_paused", "not one bet is taken before it is known");
    let listed = said(&house, &["list"]);
    let partners = listed["partners"].as_array().unwrap();
    let words: Vec<&Value> = partners.iter().map(|partner| &partner["betting"]).collect();
    assert_eq!(words, ["paused", "open"]);
    assert_eq!(partners[0]["reason"], "their wallet moves tonight");
    said(&house, &["resume", paused, "--reason", "it moved"]);
    until(&house.api, &mut of_paused, "").await;
    house.api.close("r").await.unwrap();
    house.api.result("r", "3").await.unwrap();
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}
