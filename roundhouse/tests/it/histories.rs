//! Histories of players, partners and bets, against the journals of the wallets.

use crate::house::{Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean, movements, placed};
use http::Method;
use partner_kit::faults::FaultSettings;
use roundhouse::audit::books::Books;
use roundhouse::engine::HISTORY;
use roundhouse::rig::api::Api;
use roundhouse::rig::players::Wager;
use runtime::{Clock, Source, SystemClock, Topic};
use schemas::catalogue::{DECISIONS, DELIVERIES, SETTLEMENTS};
use schemas::settlements::Target;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(histories_agree_with_the_wallets);

/// Bets of each round.
const BETS: usize = 60;
/// Players of each partner in [`Street::wagers`].
const PLAYERS: usize = 10;
const LOOK_PERIOD: Duration = Duration::from_millis(50);

async fn histories_agree_with_the_wallets<E: Ground>() {
    let street = Street::on::<E>(2, 91, &[]).await;
    let house = House::<E>::open(&street.config).await;
    let api = &house.api;
    let some_declined = FaultSettings { decline_rate: 300, ..FaultSettings::NONE };
    street.faults(some_declined).await;
    let mut wagers = street.wagers("corrected", BETS, 1);
    wagers.iter_mut().step_by(7).for_each(|wager: &mut Wager| wager.cancel = true);
    house.bet("corrected", wagers).await;
    street.faults(FaultSettings::NONE).await;
    api.result("corrected", "3").await.unwrap();
    house.settled().await;
    api.correct("corrected", 1, "4").await.unwrap();
    house.bet("void", street.wagers("void", BETS, 2)).await;
    api.void("void", 0).await.unwrap();
    house.settled().await;

    // What a wallet that is away is owed stands in its history as owed, until it is back.
    house.bet("away", street.wagers("away", BETS, 3)).await;
    let (partner, wallet) = street.wallets.urls.first_key_value().unwrap();
    let away = FaultSettings { error_500_rate: 1_000, ..FaultSettings::NONE };
    set(wallet, away).await;
    api.result("away", "6").await.unwrap();
    let owed = format!("/v1/partners/{partner}/transactions?round=away&status=owed&limit=500");
    let begun = Instant::now();
    let waits = loop {
        let page = get(api, &owed, OPERATOR_KEY).await;
        let waits = page["transactions"].as_array().unwrap().clone();
        if !waits.is_empty() {
            break waits;
        }
        assert!(begun.elapsed() < WAIT_MAX, "nothing is owed");
        sleep(LOOK_PERIOD).await;
    };
    assert!(waits.iter().all(|line| line["revision"] == 3 && line.get("moved").is_none()));
    set(wallet, FaultSettings::NONE).await;
    house.settled().await;
    caught_up(house.running.engine()).await;
    for partner in street.keys.keys() {
        stakes_tell_attempts(api, partner).await;
    }

    let told = Histories::read(&street, api).await;
    house.close().await;
    let (books, _) = clean::<E>(&street).await;
    told.players_agree(&books);
    told.partners_agree(&books);
    told.timelines_agree(&books);
}

async fn set(wallet: &str, settings: FaultSettings) {
    let wallet = Api::new(wallet.to_owned(), String::new());
    let settings = serde_json::to_value(settings).unwrap();
    let reply = wallet.call(Method::POST, "/faults", "", Some(&settings)).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
}

async fn get(api: &Api, path: &str, bearer: &str) -> Value {
    let reply = api.call(Method::GET, path, bearer, None).await.unwrap();
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.body
}

/// Waits until the history has written what stands in the log.
pub(crate) async fn caught_up<E: Ground>(engine: &E) {
    let begun = Instant::now();
    for topic in [DECISIONS, SETTLEMENTS, DELIVERIES].map(Topic) {
        for partition in 0..E::PARTITIONS.lanes {
            let source = Source { topic, partition };
            let (low, end) = engine.range(source).await.unwrap();
            while engine.stored(HISTORY, source).await.unwrap().unwrap_or(low) < end {
                assert!(begun.elapsed() < WAIT_MAX, "{source} is not read to {end}");
                sleep(LOOK_PERIOD).await;
            }
        }
    }
}

/// Waits until each stake says how often it was asked for: that is written by the way, behind the bets.
async fn stakes_tell_attempts(api: &Api, partner: &str) {
    let (path, begun) = (format!("/v1/partners/{partner}/transactions?limit=500"), Instant::now());
    let untold = |line: &Value| line["revision"] == 1 && line.get("attempts").is_none();
    while pages(api, &path, "transactions", OPERATOR_KEY).await.iter().any(untold) {
        assert!(begun.elapsed() < WAIT_MAX, "a stake does not say how often it was asked for");
        sleep(LOOK_PERIOD).await;
    }
}

/// What is told over HTTP.
struct Histories {
    /// By bet; no bet is told to two players.
    bets: BTreeMap<String, Value>,
    /// By bet and revision.
    transactions: BTreeMap<(String, u64), Value>,
    timelines: BTreeMap<String, Value>,
}

impl Histories {
    async fn read(street: &Street, api: &Api) -> Self {
        let (mut bets, mut transactions) = (BTreeMap::new(), BTreeMap::new());
        let mut timelines = BTreeMap::new();
        for (partner, key) in &street.keys {
            for player in 0..PLAYERS {
                let token = key.token(&format!("player-{player}"), SystemClock.now());
                let lines = pages(api, "/v1/bets?limit=7", "bets", &token).await;
                same_in_csv(api, "/v1/bets?format=csv", &token, &lines).await;
                for line in lines {
                    let bet = line["bet_id"].as_str().unwrap().to_owned();
                    assert!(bets.insert(bet, line).is_none(), "told to two players, or twice");
                }
            }
            let path = format!("/v1/partners/{partner}/transactions");
            let lines = pages(api, &format!("{path}?limit=33"), "transactions", OPERATOR_KEY).await;
            same_in_csv(api, &format!("{path}?format=csv"), OPERATOR_KEY, &lines).await;
            for line in lines {
                let bet = line["bet_id"].as_str().unwrap().to_owned();
                let revision = line["revision"].as_u64().unwrap();
                assert!(transactions.insert((bet, revision), line).is_none(), "told twice");
            }
        }
        for bet in bets.keys() {
            let timeline = get(api, &format!("/v1/bets/{bet}/timeline"), OPERATOR_KEY).await;
            timelines.insert(bet.clone(), timeline);
        }
        Self { bets, transactions, timelines }
    }

    /// Every bet that was placed is told to its player, worth what the wallet's row is.
    fn players_agree(&self, books: &Books) {
        assert_eq!(self.bets.keys().cloned().collect::<BTreeSet<_>>(), placed(books));
        let mut rows = BTreeMap::new();
        for movement in movements(books) {
            let row = rows.entry(movement.bet.as_str()).or_insert(movement);
            if row.revision <= movement.revision {
                *row = movement;
            }
        }
        let mut words: BTreeMap<&str, usize> = BTreeMap::new();
        for (bet, line) in &self.bets {
            let row = rows[bet.as_str()];
            let (status, payout) =
                (line["status"].as_str().unwrap(), line.pointer("/payout/units"));
            *words.entry(status).or_default() += 1;
            let wanted: &[&str] = match (row.revision, row.target) {
                (2, _) => &["rejected", "cancelled"],
                (_, Some(Target::Settled(0))) => &["lost"],
                (_, Some(Target::Settled(_))) => &["won"],
                (_, Some(Target::Voided)) => &["void"],
                (_, Some(Target::Held) | None) => &[],
            };
            assert!(wanted.contains(&status), "{bet} is {status}, and {row:?} at the wallet");
            if let Some(Target::Settled(units)) = row.target {
                assert_eq!(payout, Some(&units.to_string().into()), "{bet}");
            }
            let results = line["results"].as_array().map_or(0, Vec::len);
            let corrected = movements(books).any(|m| m.bet == *bet && m.revision == 4);
            let all = if row.revision == 2 { 0 } else { 1 + usize::from(corrected) };
            assert_eq!(results, all, "{bet}: {line}");
        }
        let every = ["cancelled", "lost", "rejected", "void", "won"];
        assert_eq!(words.into_keys().collect::<Vec<_>>(), every, "one of each was played");
    }

    /// Every movement of the wallets is told, with what it moved; and what is told was moved.
    fn partners_agree(&self, books: &Books) {
        let mut moved: BTreeMap<(String, u64), i64> = BTreeMap::new();
        for movement in movements(books) {
            let of = (movement.bet.clone(), u64::from(movement.revision));
            *moved.entry(of).or_default() += movement.moved;
        }
        for of in moved.keys() {
            assert!(self.transactions.contains_key(of), "{of:?} moved and is not told");
        }
        for (of, line) in &self.transactions {
            let units = moved.get(of).copied().unwrap_or(0).to_string();
            assert_eq!(line.pointer("/moved/units"), Some(&units.into()), "{line}");
            let status = line["status"].as_str().unwrap();
            let wanted: &[&str] =
                if of.1 == 1 { &["approved", "declined"] } else { &["applied", "superseded"] };
            assert!(wanted.contains(&status), "{line}");
            assert!(of.1 == 1 || 1 <= line["attempts"].as_u64().unwrap(), "{line}");
        }
        let again = |line: &&Value| 1 < line["attempts"].as_u64().unwrap_or(0);
        assert!(self.transactions.values().any(|line| again(&line)), "a wallet was away");
    }

    /// A bet's timeline has what its lists have, and who said the results.
    fn timelines_agree(&self, books: &Books) {
        for (bet, timeline) in &self.timelines {
            assert_eq!(timeline["status"], self.bets[bet]["status"], "{bet}");
            let said = timeline["timeline"].as_array().unwrap();
            let revisions = |words: &[&str]| -> BTreeSet<u64> {
                let of = said.iter().filter(|said| words.contains(&said["said"].as_str().unwrap()));
                of.map(|said| said["revision"].as_u64().unwrap()).collect()
            };
            let told = self.transactions.keys().filter(|(of, _)| of == bet);
            let told: BTreeSet<u64> = told.map(|(_, revision)| *revision).collect();
            assert_eq!(
                revisions(&["approved", "declined", "applied", "superseded"]),
                told,
                "{bet}"
            );
            let results: Vec<&str> = said
                .iter()
                .filter(|said| said["result"].is_object())
                .map(|said| said["who"].as_str().unwrap())
                .collect();
            let versions = if bet.starts_with("corrected:") { 2 } else { 1 };
            assert_eq!(results.len(), versions, "{timeline}");
            assert!(results.iter().all(|who| *who == results[0] && !who.is_empty()));
        }
        assert!(!books.bets.is_empty() && !self.timelines.is_empty());
    }
}

/// All lines of a list, page by page.
async fn pages(api: &Api, path: &str, name: &str, bearer: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut page = get(api, path, bearer).await;
    loop {
        lines.extend(page[name].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return lines };
        page = get(api, &format!("{path}&cursor={next}"), bearer).await;
    }
}

/// The CSV of a list has the same lines in the same order.
async fn same_in_csv(api: &Api, path: &str, bearer: &str, lines: &[Value]) {
    let text = get(api, path, bearer).await;
    let mut rows = text.as_str().unwrap().split_terminator("\r\n");
    let names: Vec<&str> = rows.next().unwrap().split(',').collect();
    // The last column of bets is a list, the only one with commas in it.
    let rows: Vec<Vec<&str>> = rows.map(|row| row.splitn(names.len(), ',').collect()).collect();
    assert_eq!(rows.len(), lines.len(), "{path}");
    for (row, line) in rows.iter().zip(lines) {
        for (name, pointer) in [
            ("bet_id", "/bet_id"),
            ("revision", "/revision"),
            ("stake_units", "/stake/units"),
            ("payout_units", "/payout/units"),
            ("moved_units", "/moved/units"),
            ("status", "/status"),
            ("attempts", "/attempts"),
            ("decided_at", "/decided_at"),
            ("answered_at", "/answered_at"),
        ] {
            let Some(column) = names.iter().position(|found| *found == name) else { continue };
            let wanted = match line.pointer(pointer) {
                None => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            assert_eq!(row[column], wanted, "{name}: {line}");
        }
    }
}
