//! A wallet that is away: for a while, and what it is owed is drained at its return; for longer than retries go
//! on, and what it is owed is parked, counted, and sent again by command, once.

use crate::house::{EXE, Ground, House, Street, WAIT_MAX, books, clean};
use http::Method;
use partner_kit::faults::FaultSettings;
use roundhouse::audit::audit;
use roundhouse::config::Retries;
use roundhouse::parked::{self, Filter};
use roundhouse::rig::api::Api;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(a_partner_that_is_back_is_drained_at_once, what_was_parked_is_replayed_by_command);

const BETS: usize = 80;
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// How long the wallet is away: until what it is owed rests for 30 s.
const AWAY: Duration = Duration::from_secs(9);
/// Longest until all is confirmed then: the longest wait for a probe, and room for a slow machine. What rests
/// is due only after 25 s.
const DRAINED_WITHIN: Duration = Duration::from_secs(15);
/// A day of retries in a few seconds.
const RETRIES: Retries = Retries {
    tier_wait_ms: [200, 300, 400, 500, 600],
    last_tier_after_ms: 1_500,
    park_after_ms: 3_000,
};

/// Sets switches of one wallet's faults.
async fn faults(url: &str, settings: FaultSettings) {
    let wallet = Api::new(url.to_owned(), String::new());
    let settings = serde_json::to_value(settings).unwrap();
    let reply = wallet.call(Method::POST, "/faults", "", Some(&settings)).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// What a command of the binary says.
fn say(config: &Path, arguments: &[&str]) -> Value {
    let mut process = Command::new(EXE);
    process.arg("parked").args(arguments).arg("--json").arg("--config").arg(config);
    let output = process.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Who did what, of what, by commands.
fn acts(config: &Path) -> Vec<[String; 3]> {
    let mut process = Command::new(EXE);
    process.args(["operator", "acts", "--actor", "ann", "--json", "--config"]).arg(config);
    let output = process.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let act =
        |act: &Value| ["actor", "what", "of"].map(|key| act[key].as_str().unwrap().to_owned());
    said["acts"].as_array().unwrap().iter().map(act).collect()
}

fn owned((actor, what, of): (&str, &str, &str)) -> [String; 3] {
    [actor, what, of].map(str::to_owned)
}

fn total(config: &Path, arguments: &[&str]) -> u64 {
    let all: Vec<&str> = ["list"].iter().chain(arguments).copied().collect();
    say(config, &all)["total"].as_u64().unwrap()
}

async fn what_was_parked_is_replayed_by_command<E: Ground>() {
    let mut street = Street::on::<E>(2, 81, &[]).await;
    street.config.dispatcher.retries = Some(RETRIES);
    let (away, url) = street.wallets.urls.first_key_value().unwrap();
    let (away, url) = (away.clone(), url.clone());

    let house = House::<E>::open(&street.config).await;
    house.bet("r", street.wagers("r", BETS, 1)).await;
    house.settled().await;
    faults(&url, FaultSettings { error_500_rate: 1_000, ..FaultSettings::NONE }).await;
    house.api.result("r", "3").await.unwrap();
    let begun = Instant::now();
    let owed = loop {
        let engine = house.running.engine();
        let lot = parked::read(engine, E::PARTITIONS, &Filter::default()).await.unwrap();
        let owed: BTreeSet<String> = {
            let seen = house.watch.seen();
            seen.owed.iter().map(|(bet, revision)| format!("{bet}/{revision}")).collect()
        };
        let parked: BTreeSet<String> = lot.owed.keys().cloned().collect();
        if !parked.is_empty() && parked == owed {
            assert!(lot.owed.values().all(|item| item.settlement.partner.as_str() == away));
            assert!(lot.owed.values().all(|item| item.code == "retention_exhausted"));
            break owed.len();
        }
        assert!(begun.elapsed() < WAIT_MAX, "{} parked of {} owed", parked.len(), owed.len());
        sleep(LOOK_PERIOD).await;
    };
    house.close().await;
    let report = audit(&books::<E>(&street).await, false).unwrap();
    assert!(report.clean, "{report}");

    faults(&url, FaultSettings::NONE).await;
    let (config, count) = (street.file(""), u64::try_from(owed).unwrap());
    assert_eq!(total(&config, &["--partner", &away]), count);
    assert_eq!(total(&config, &["--round", "another"]), 0);
    let page = say(&config, &["list", "--limit", "1"]);
    let next = page["next"].as_str().unwrap();
    assert_eq!(page["items"][0]["id"], next);
    assert_ne!(say(&config, &["list", "--limit", "1", "--after", next])["items"][0]["id"], next);
    let dry = say(&config, &["replay", "--dry-run"]);
    assert_eq!((&dry["replayed"], &dry["money"][0]["settlements"]), (&0.into(), &count.into()));
    assert_eq!(total(&config, &[]), count, "a dry run writes nothing");
    let replay = ["replay", "--partner", &away, "--by", "ann", "--reason", "the wallet is back"];
    // Twice: nothing moves twice.
    for _ in 0..2 {
        assert_eq!(say(&config, &replay)["replayed"], count);
    }

    assert_eq!(acts(&config), [("ann", "replayed", away.as_str()); 2].map(owned));
    let house = House::<E>::open(&street.config).await;
    house.settled().await;
    house.close().await;
    assert_eq!(total(&config, &[]), 0, "what is confirmed is parked no more");
    let again = say(&config, &replay);
    assert_eq!((&again["replayed"], &again["answered"]), (&0.into(), &count.into()));
    clean::<E>(&street).await;
}

/// With the waits of production.
async fn a_partner_that_is_back_is_drained_at_once<E: Ground>() {
    let street = Street::on::<E>(3, 82, &[]).await;
    let (away, url) = street.wallets.urls.first_key_value().unwrap();
    let house = House::<E>::open(&street.config).await;
    house.bet("r", street.wagers("r", 6 * BETS, 1)).await;
    house.settled().await;
    faults(url, FaultSettings { reset_rate: 1_000, ..FaultSettings::NONE }).await;
    house.api.result("r", "3").await.unwrap();
    sleep(AWAY).await;
    let of: BTreeSet<String> = house.watch.seen().owed.iter().map(|(bet, _)| bet.clone()).collect();
    assert!(!of.is_empty(), "nothing is owed to {away}");

    faults(url, FaultSettings::NONE).await;
    let back = Instant::now();
    house.settled().await;
    assert!(back.elapsed() < DRAINED_WITHIN, "{:?} after its return", back.elapsed());
    house.close().await;
    clean::<E>(&street).await;
}
