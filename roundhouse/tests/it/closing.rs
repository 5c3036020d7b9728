//! Finished rounds are closed with every partner, again after a correction; and what a wallet lost is a case that
//! names the bet.

use crate::house::{Ground, House, Street, WAIT_MAX, clean, journals};
use http::Method;
use partner_kit::faults::FaultSettings;
use roundhouse::audit::journal;
use roundhouse::rig::api::Api;
use runtime::{Reader, Scope, Source, Topic};
use schemas::catalogue::{BETS, CASES};
use schemas::facts::CLOSE;
use schemas::frame;
use schemas::wire::{CaseRecord, CloseRecord};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(
    an_honest_round_is_closed_at_every_partner_and_again_after_a_correction,
    a_row_that_a_wallet_lost_is_a_case_that_names_the_bet,
);

const ROUND: &str = "r";
const BETS_PLACED: usize = 80;
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// What came of closing the round so far.
async fn closes<E: Ground>(house: &House<E>) -> Vec<CloseRecord> {
    let mut closes = Vec::new();
    for partition in 0..E::PARTITIONS.lanes {
        let scope = Scope { group: ROUND.to_owned(), topic: Topic(BETS), partition };
        let facts = house.running.engine().scan(scope).await.unwrap();
        let facts = facts.iter().filter(|fact| fact.key.kind == CLOSE);
        closes.extend(facts.map(|fact| frame::decode::<CloseRecord>(&fact.body).unwrap()));
    }
    closes
}

/// Everything in `cases.v1`.
pub(crate) async fn cases<E: Ground>(house: &House<E>) -> Vec<CaseRecord> {
    let engine = house.running.engine();
    let mut cases = Vec::new();
    for partition in 0..E::PARTITIONS.cases {
        let source = Source { topic: Topic(CASES), partition };
        let (mut at, end) = engine.range(source).await.unwrap();
        let mut reader = engine.reader(source, at);
        while at < end {
            for record in reader.next(1_000).await.unwrap().0 {
                at = record.offset + 1;
                cases.push(frame::decode::<CaseRecord>(&record.value).unwrap());
            }
        }
    }
    cases
}

/// Partners that said the same at this version.
pub(crate) async fn same<E: Ground>(house: &House<E>, version: i64) -> BTreeSet<String> {
    let closes = closes(house).await.into_iter();
    let same = closes.filter(|close| close.case_id.is_none() && close.result_version == version);
    same.map(|close| close.partner_id).collect()
}

/// Waits until these partners, and no others, said the same at this version.
pub(crate) async fn closed<E: Ground>(house: &House<E>, version: i64, wanted: &BTreeSet<String>) {
    let begun = Instant::now();
    loop {
        let same = same(house, version).await;
        assert!(same.is_subset(wanted), "{same:?}");
        if same == *wanted {
            return;
        }
        assert!(begun.elapsed() < WAIT_MAX, "closed at version {version} with {same:?} alone");
        sleep(LOOK_PERIOD).await;
    }
}

async fn street<E: Ground>(seed: u64) -> Street {
    let mut street = Street::on::<E>(3, seed, &[]).await;
    street.config.reconciler.close_after_s = 0;
    street
}

async fn an_honest_round_is_closed_at_every_partner_and_again_after_a_correction<E: Ground>() {
    let street = street::<E>(83).await;
    let house = House::<E>::open(&street.config).await;
    house.bet(ROUND, street.wagers(ROUND, BETS_PLACED, 1)).await;
    house.api.result(ROUND, "3").await.unwrap();
    let partners: BTreeSet<String> = street.keys.keys().cloned().collect();
    closed(&house, 1, &partners).await;
    house.api.correct(ROUND, 1, "4").await.unwrap();
    closed(&house, 2, &partners).await;
    // Another process knows it from the facts.
    house.close().await;
    let house = House::<E>::open(&street.config).await;
    sleep(Duration::from_secs(3)).await;
    let closes = closes(&house).await;
    assert_eq!(closes.len(), 2 * partners.len(), "one for each version: {closes:?}");
    let cases = cases(&house).await;
    assert!(cases.is_empty(), "{cases:?}");
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}

async fn a_row_that_a_wallet_lost_is_a_case_that_names_the_bet<E: Ground>() {
    let street = street::<E>(84).await;
    let (liar, url) = street.wallets.urls.first_key_value().unwrap();
    let wallet = Api::new(url.clone(), String::new());
    let lose = async |rows_lost| {
        let settings = FaultSettings { rows_lost, ..FaultSettings::NONE };
        let settings = serde_json::to_value(settings).unwrap();
        let reply = wallet.call(Method::POST, "/faults", "", Some(&settings)).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    lose(1).await;
    let house = House::<E>::open(&street.config).await;
    house.bet(ROUND, street.wagers(ROUND, BETS_PLACED, 1)).await;
    house.api.result(ROUND, "3").await.unwrap();
    let mut honest: BTreeSet<String> = street.keys.keys().cloned().collect();
    honest.remove(liar);
    closed(&house, 1, &honest).await;
    let begun = Instant::now();
    let case = loop {
        let found = cases(&house).await;
        if let [case] = &found[..] {
            break case.clone();
        }
        assert!(found.is_empty() && begun.elapsed() < WAIT_MAX, "{found:?}");
        sleep(LOOK_PERIOD).await;
    };
    house.settled().await;
    assert_eq!((case.step, case.partner_id.as_ref()), (1, Some(liar)));
    assert_eq!(same(&house, 1).await, honest, "a difference is no close");
    let all: BTreeSet<String> = street.keys.keys().cloned().collect();

    // Its rows are back: the case ends with the next close.
    lose(0).await;
    let rows = journal::read_all(&[journals(street.directory.path())]).unwrap();
    let bet = rows[liar].iter().map(|movement| movement.bet.as_str()).min().unwrap();
    assert_eq!(case.bet_id.as_deref(), Some(bet));
    assert!(case.text.contains(bet) && case.text.contains("no row there"), "{}", case.text);
    closed(&house, 1, &all).await;
    let ends: Vec<(String, i64)> =
        cases(&house).await.into_iter().map(|case| (case.case_id, case.step)).collect();
    assert_eq!(ends, [(case.case_id.clone(), 1), (case.case_id, 2)]);
    house.close().await;
    clean::<E>(&street).await;
}
