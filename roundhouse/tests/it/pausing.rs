//! Betting that is paused by itself, for one partner, and goes on by itself.

use crate::house::{Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean};
use crate::singly::{code, until};
use http::Method;
use partner_kit::faults::FaultSettings;
use roundhouse::rig::api::Api;
use roundhouse::rig::players::Wager;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(
    what_is_not_confirmed_pauses_until_it_is,
    a_wallet_that_answers_no_stake_pauses_until_it_is_well
);

const FAILING: FaultSettings = FaultSettings { error_500_rate: 1_000, ..FaultSettings::NONE };
const SICK: &str = "p01";
const WELL: &str = "p02";

/// Bets of one partner's players in a round, without cancels.
fn of(street: &Street, round: &str, partner: &'static str) -> impl Iterator<Item = Wager> + use<> {
    let mut wagers = street.wagers(round, 2_000, 1);
    wagers.iter_mut().for_each(|wager| wager.cancel = false);
    wagers.into_iter().filter(move |wager| wager.partner == partner)
}

async fn faults(street: &Street, settings: FaultSettings) {
    let wallet = Api::new(street.wallets.urls[SICK].clone(), String::new());
    let settings = serde_json::to_value(settings).unwrap();
    let reply = wallet.call(Method::POST, "/faults", "", Some(&settings)).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// What operators are told of the partner.
async fn shown<E: Ground>(house: &House<E>) -> Value {
    let path = format!("/v1/partners/{SICK}");
    house.api.call(Method::GET, &path, OPERATOR_KEY, None).await.unwrap().body
}

/// Waits until the partner's betting is paused by these.
async fn until_paused_by<E: Ground>(house: &House<E>, by: &[&str]) -> Value {
    let begun = Instant::now();
    loop {
        let shown = shown(house).await;
        if shown["paused_by"] == json!(by) {
            return shown;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{shown}");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn what_is_not_confirmed_pauses_until_it_is<E: Ground>() {
    let mut street = Street::on::<E>(2, 87, &[]).await;
    street.config.pausing.failed_rounds = 2;
    let house = House::<E>::open(&street.config).await;
    let rounds = ["r1", "r2", "r3", "last"];
    for round in rounds {
        house.api.open_die(round, 600_000, 200).await.unwrap();
        until(&house.api, &mut of(&street, round, SICK), "").await;
    }
    faults(&street, FAILING).await;
    for round in &rounds[..2] {
        house.api.close(round).await.unwrap();
        house.api.result(round, "3").await.unwrap();
    }
    // Two rounds may fail: what is said of them goes to a tier, and bets would be asked for.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(shown(&house).await["betting"], "open");
    house.api.close("r3").await.unwrap();
    house.api.result("r3", "3").await.unwrap();
    let told = until_paused_by(&house, &["deliveries"]).await;
    assert_eq!((&told["betting"], &told["actor"]), (&json!("paused"), &json!("deliveries")));
    assert_eq!(told["reason"], "3 rounds are not confirmed");
    let mut of_sick = of(&street, "last", SICK).skip(100);
    until(&house.api, &mut of_sick, "betting_paused").await;
    assert_eq!(code(&house.api, &of(&street, "last", WELL).next().unwrap()).await, "");
    house.close().await;

    // Whoever owns the partition next takes it back, also if it is confirmed before anybody looks.
    faults(&street, FaultSettings::NONE).await;
    let house = House::<E>::open(&street.config).await;
    assert_eq!(code(&house.api, &of_sick.next().unwrap()).await, "betting_paused");
    let told = until_paused_by(&house, &[]).await;
    assert_eq!((&told["betting"], &told["actor"]), (&json!("open"), &json!("deliveries")));
    until(&house.api, &mut of_sick, "").await;
    house.api.close("last").await.unwrap();
    house.api.result("last", "3").await.unwrap();
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}

async fn a_wallet_that_answers_no_stake_pauses_until_it_is_well<E: Ground>() {
    let street = Street::on::<E>(2, 88, &[]).await;
    let house = House::<E>::open(&street.config).await;
    house.api.open_die("r", 600_000, 200).await.unwrap();
    let mut of_sick = of(&street, "r", SICK);
    until(&house.api, &mut of_sick, "").await;
    faults(&street, FAILING).await;
    until(&house.api, &mut of_sick, "betting_paused").await;
    assert_eq!(shown(&house).await["paused_by"], json!(["stakes"]));
    // By hand it is neither taken back nor hidden.
    let reason = json!({"reason": "we think it is well"});
    let path = format!("/v1/partners/{SICK}/resume");
    let told = house.api.call(Method::POST, &path, OPERATOR_KEY, Some(&reason)).await.unwrap().body;
    assert_eq!((&told["betting"], &told["actor"]), (&json!("paused"), &json!("stakes")));
    assert_eq!(code(&house.api, &of(&street, "r", WELL).next().unwrap()).await, "");
    faults(&street, FaultSettings::NONE).await;
    until_paused_by(&house, &[]).await;
    until(&house.api, &mut of_sick, "").await;
    house.api.close("r").await.unwrap();
    house.api.result("r", "3").await.unwrap();
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}
