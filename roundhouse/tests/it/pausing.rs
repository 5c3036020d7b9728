//! Betting that is paused by itself, for one partner, and goes on by itself.

use crate::admin::get;
use crate::house::{Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean};
use crate::singly::{code, until};
use http::Method;
use partner_kit::faults::FaultSettings;
use roundhouse::rig::api::Api;
use roundhouse::rig::players::Wager;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(
    a_void_that_nobody_confirms_pauses_until_it_is,
    what_is_not_confirmed_pauses_until_it_is,
    what_may_be_lost_at_once_pauses_until_it_is_confirmed,
    a_wallet_that_answers_no_stake_pauses_until_it_is_well
);

const FAILING: FaultSettings = FaultSettings { error_500_rate: 1_000, ..FaultSettings::NONE };
const SICK: &str = "p01";
const WELL: &str = "p02";
/// Bets of a round that ends unconfirmed: with any result some of them win.
const ENDED: usize = 20;

/// What the wallet is told and does not confirm.
enum Told {
    /// That a player took a bet back.
    Void,
    /// The result of a round.
    Result,
}

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

/// Waits until the metric says by whom the partner's betting is paused, and that the other one's is not.
async fn until_metrics_say<E: Ground>(house: &House<E>, by: &[&str]) {
    let begun = Instant::now();
    let wanted: BTreeSet<String> = by.iter().map(|by| format!("{SICK} {by}")).collect();
    loop {
        let text = get(&format!("http://{}", house.running.admin), "/metrics", "*/*").await.1;
        let lines = text.lines().filter_map(|line| {
            line.strip_prefix("roundhouse_partner_betting_paused{")?.strip_suffix("} 1")
        });
        let paused: BTreeSet<String> = lines
            .map(|labels| {
                let values: Vec<&str> = labels.split('"').skip(1).step_by(2).collect();
                values.join(" ")
            })
            .collect();
        if paused == wanted {
            return;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{paused:?}, not {wanted:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Bets are taken of the partner, then its wallet fails and is told something: betting is paused because of `reason`,
/// and goes on once that is confirmed.
async fn paused_by_deliveries<E: Ground>(street: &Street, told: Told, reason: &str) {
    let house = House::<E>::open(&street.config).await;
    let mut of_sick = of(street, "r", SICK);
    for round in ["r", "last"] {
        house.api.open_die(round, 600_000, 200).await.unwrap();
    }
    until(&house.api, &mut of_sick, "").await;
    for wager in of_sick.by_ref().take(ENDED) {
        assert_eq!(code(&house.api, &wager).await, "");
    }
    let taken_back = of_sick.next().unwrap();
    let bet = house.api.call(Method::POST, "/v1/bets", &taken_back.token, Some(&taken_back.body));
    let bet = bet.await.unwrap();
    assert_eq!(bet.status, 201, "{}", bet.body);
    let mut of_last = of(street, "last", SICK);
    until(&house.api, &mut of_last, "").await;
    until_metrics_say(&house, &[]).await;
    faults(street, FAILING).await;
    let ends = async || {
        house.api.close("r").await.unwrap();
        house.api.result("r", "3").await.unwrap();
    };
    match told {
        Told::Void => {
            let (path, nothing) = (format!("/v1/bets/{}/cancel", bet.text("bet_id")), json!({}));
            let cancelled = house.api.call(Method::POST, &path, &taken_back.token, Some(&nothing));
            assert_eq!(cancelled.await.unwrap().text("status"), "cancelled");
        }
        Told::Result => ends().await,
    }
    let shown = until_paused_by(&house, &["deliveries"]).await;
    assert!(shown["reason"].as_str().unwrap().contains(reason), "{shown}");
    until_metrics_say(&house, &["deliveries"]).await;
    until(&house.api, &mut of_last, "betting_paused").await;
    assert_eq!(code(&house.api, &of(street, "last", WELL).next().unwrap()).await, "");
    faults(street, FaultSettings::NONE).await;
    until_paused_by(&house, &[]).await;
    until_metrics_say(&house, &[]).await;
    until(&house.api, &mut of_last, "").await;
    if matches!(told, Told::Void) {
        ends().await;
    }
    house.api.close("last").await.unwrap();
    house.api.result("last", "3").await.unwrap();
    house.settled().await;
    house.close().await;
    clean::<E>(street).await;
}

async fn a_void_that_nobody_confirms_pauses_until_it_is<E: Ground>() {
    let mut street = Street::on::<E>(2, 89, &[]).await;
    // A minute, in a second.
    street.config.pausing.void_s = 1;
    paused_by_deliveries::<E>(&street, Told::Void, "a void has not been confirmed for").await;
}

async fn what_may_be_lost_at_once_pauses_until_it_is_confirmed<E: Ground>() {
    let mut street = Street::on::<E>(2, 90, &[]).await;
    street.config.pausing.failed_units_max.insert("EUR".parse().unwrap(), 1);
    let reason = "minor units of EUR are not confirmed";
    paused_by_deliveries::<E>(&street, Told::Result, reason).await;
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
    until_metrics_say(&house, &["deliveries"]).await;
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
    until_metrics_say(&house, &["stakes"]).await;
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
