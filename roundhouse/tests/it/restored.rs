//! A bookmaker restores its ledger from a backup (R20): betting is paused, people sign it off, and what was lost is told to
//! it again, once.

use crate::house::{EXE, Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean, journals};
use crate::singly::{code, until};
use http::Method;
use roundhouse::audit::journal;
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(what_a_restored_ledger_lost_is_told_again_once_it_is_signed_off);

const PARTNER: &str = "p01";
const BETS: usize = 60;
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// The revision of each bet's row.
fn rows(street: &Street) -> BTreeMap<String, u32> {
    let read = journal::read_all(&[journals(street.directory.path())]).unwrap();
    let mut rows = BTreeMap::new();
    for movement in read.values().flatten() {
        rows.insert(movement.bet.clone(), movement.revision);
    }
    rows
}

async fn shown<E: Ground>(house: &House<E>) -> Value {
    let path = format!("/v1/partners/{PARTNER}");
    house.api.call(Method::GET, &path, OPERATOR_KEY, None).await.unwrap().body
}

fn signed_off(config: &Path, since: &str, further: &[&str]) -> Value {
    let mut command = Command::new(EXE);
    command.args(["restored", PARTNER, "--epoch", "2", "--since", since, "--json", "--config"]);
    let output = command.arg(config).args(further).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits until something is known of the partner.
async fn until_shown<E: Ground>(house: &House<E>, field: &str, wanted: Value) -> Value {
    let begun = Instant::now();
    loop {
        let told = shown(house).await;
        if told[field] == wanted {
            return told;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{told}");
        sleep(LOOK_PERIOD).await;
    }
}

/// Waits until no row is at a lower revision than here.
async fn until_rows(street: &Street, wanted: &BTreeMap<String, u32>) {
    let begun = Instant::now();
    loop {
        let now = rows(street);
        let behind =
            |(bet, revision): &(&String, &u32)| now.get(*bet).is_none_or(|now| now < *revision);
        let Some((bet, revision)) = wanted.iter().find(behind) else { return };
        assert!(begun.elapsed() < WAIT_MAX, "{bet} is not at {revision}");
        sleep(LOOK_PERIOD).await;
    }
}

async fn what_a_restored_ledger_lost_is_told_again_once_it_is_signed_off<E: Ground>() {
    let mut street = Street::on::<E>(1, 90, &[]).await;
    let house = House::<E>::open(&street.config).await;
    house.bet("early", street.wagers("early", BETS, 1)).await;
    house.api.result("early", "3").await.unwrap();
    house.settled().await;
    // It is looked once a second.
    until_shown(&house, "ledger_epoch", json!("1")).await;
    let file = journals(street.directory.path()).join(format!("{PARTNER}.jsonl"));
    let backup = std::fs::read(&file).unwrap();
    let since = timestamp(SystemClock.now());

    // What will be lost: a correction, a whole round, and the holds of one that is still open.
    house.api.correct("early", 1, "4").await.unwrap();
    house.bet("late", street.wagers("late", BETS, 2)).await;
    house.api.result("late", "3").await.unwrap();
    house.api.open_die("open", 600_000, 200).await.unwrap();
    let mut of_open = street.wagers("open", 1_000, 3).into_iter();
    of_open.as_mut_slice().iter_mut().for_each(|wager| wager.cancel = false);
    for _ in 0..10 {
        until(&house.api, &mut of_open, "").await;
    }
    house.settled().await;
    let before = rows(&street);
    street
        .wallets
        .restored(|_| Ok(std::fs::write(&file, &backup)?), &["--ledger-epoch", "2"])
        .await
        .unwrap();
    let fallen = rows(&street);
    assert!(before.iter().any(|(bet, revision)| fallen.get(bet).is_some_and(|now| now < revision)));
    assert!(before.keys().any(|bet| !fallen.contains_key(bet)));

    // It is noticed by the first answer of the new epoch; what the ledger does not know is parked.
    house.api.correct("late", 1, "5").await.unwrap();
    let told = until_shown(&house, "paused_by", json!(["restore"])).await;
    assert_eq!(told["reason"], "its ledger went from epoch `1` to `2`");
    assert_eq!(told["ledger_epoch"], "1");
    until(&house.api, &mut of_open, "betting_paused").await;
    house.close().await;

    let config = street.file("");
    let dry = signed_off(&config, &since, &["--dry-run"]);
    let fell = before.iter().filter(|(bet, revision)| fallen.get(*bet) != Some(revision)).count();
    let (told, open) = (dry["bets"].as_u64().unwrap(), 10);
    assert!(u64::try_from(fell - open).unwrap() <= told, "{told} bets of {fell}");
    let by = ["--by", "ann", "--reason", "their disk died, ticket 7"];
    for _ in 0..2 {
        assert_eq!(signed_off(&config, &since, &by)["bets"], told, "again it does the same");
    }

    let mut acts = Command::new(EXE);
    let acts = acts.args(["operator", "acts", "--hours", "1", "--json", "--config"]).arg(&config);
    let acts = String::from_utf8(acts.output().unwrap().stdout).unwrap();
    assert!(acts.contains("restored") && acts.contains("ann"), "{acts}");

    let house = House::<E>::open(&street.config).await;
    let shown = shown(&house).await;
    assert_eq!((&shown["betting"], &shown["ledger_epoch"]), (&json!("open"), &json!("2")));
    assert_eq!(code(&house.api, &of_open.next().unwrap()).await, "");
    house.api.close("open").await.unwrap();
    house.api.result("open", "3").await.unwrap();
    until_rows(&street, &before).await;
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}
