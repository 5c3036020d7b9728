//! What shows only in time, on the same connection, or in other calls than a settlement.

use super::raw::{End, exchange, exchange_on, request};
use super::{behave, counted, net, switch, wallet};
use crate::client::{AUTHORIZE, STATE, Served, ask, chunk, id, settled, signed, voided};
use bytes::Bytes;
use hyper::Request;
use partner_kit::Orders;
use partner_kit::misbehaviours::{MisbehaveSettings, Misbehaviour as M};
use schemas::contract::{CLOSE_PATH, QUERY_PATH};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

const NONE: MisbehaveSettings = MisbehaveSettings::NONE;

async fn misbehaving(which: M, settings: MisbehaveSettings) -> Served {
    let wallet = wallet(Orders::default()).await;
    switch(&wallet, which, settings).await;
    wallet
}

async fn said(wallet: &Served, path: &str, body: &Value) -> String {
    exchange(wallet.address, path, body, &[]).await.said()
}

/// Waits until the player has won or lost so much.
async fn until(wallet: &Served, won: i64) {
    let begun = Instant::now();
    while net(wallet).await != won {
        assert!(begun.elapsed() < Duration::from_secs(10), "{} and not {won}", net(wallet).await);
        sleep(Duration::from_millis(5)).await;
    }
}

fn won() -> Value {
    chunk([settled("b", 3, 1550)])
}

#[tokio::test]
async fn m05_what_got_no_answer_is_applied_later() {
    let wallet = misbehaving(M::LateApply, MisbehaveSettings { late_ms: 400, ..NONE }).await;
    assert_eq!(said(&wallet, STATE, &won()).await, "0 bytes, Reset");
    assert_eq!(net(&wallet).await, -1_000);
    until(&wallet, 550).await;
}

#[tokio::test]
async fn m11_bytes_come_one_by_one() {
    let wallet = misbehaving(M::ByteASecond, MisbehaveSettings { byte_ms: 100, ..NONE }).await;
    let answer = exchange(wallet.address, STATE, &won(), &[]).await;
    let bytes = answer.body().len();
    assert!(answer.end == End::Open && (2..8).contains(&bytes), "{bytes} bytes in 600 ms");
}

#[tokio::test]
async fn m16_a_connection_that_was_kept_is_closed_at_the_next_call() {
    let wallet = misbehaving(M::ClosedKeepAlive, NONE).await;
    let mut stream = TcpStream::connect(wallet.address).await.unwrap();
    let kept = exchange_on(&mut stream, &request(AUTHORIZE, &ask("b"), &[]).await).await;
    assert_eq!(kept.said(), "200 signed approved null");
    assert!(!String::from_utf8(kept.bytes).unwrap().contains("connection: close"));
    let next = exchange_on(&mut stream, &request(STATE, &won(), &[]).await).await;
    assert!(next.bytes.is_empty() && [End::Closed, End::Reset].contains(&next.end), "{next:?}");
    assert_eq!(net(&wallet).await, -1_000);
}

#[tokio::test]
async fn m17_a_stake_is_taken_twice_and_the_settlement_heals_it() {
    let wallet = misbehaving(M::DoubleApply, NONE).await;
    assert_eq!(said(&wallet, AUTHORIZE, &ask("c")).await, "200 signed bet \"r_1:c\"");
    assert_eq!((net(&wallet).await, counted(&wallet, M::DoubleApply).await), (-3_000, 1));
    behave(&wallet).await;
    let answer = wallet.post(STATE, &chunk([settled("c", 3, 0)])).await.body;
    assert_eq!(answer["results"][0]["collected_net"], "-1000");
    assert_eq!(net(&wallet).await, -2_000);
}

#[tokio::test]
async fn m18_what_was_forgotten_is_applied_again() {
    let wallet = misbehaving(M::ShortMemory, MisbehaveSettings { forget_ms: 0, ..NONE }).await;
    for wanted in [550, 2_100] {
        assert_eq!(said(&wallet, STATE, &won()).await, "500 internal");
        assert_eq!(net(&wallet).await, wanted);
    }
    behave(&wallet).await;
    assert_eq!(said(&wallet, STATE, &won()).await, "200 signed applied \"2100\"");
}

#[tokio::test]
async fn m19_the_second_answer_about_a_stake_is_another() {
    let wallet = misbehaving(M::OtherAnswer, NONE).await;
    assert_eq!(said(&wallet, AUTHORIZE, &ask("c")).await, "0 bytes, Reset");
    assert_eq!(said(&wallet, AUTHORIZE, &ask("c")).await, "200 signed limit_exceeded");
    assert_eq!(net(&wallet).await, -2_000, "it holds the stake that it says it declined");
}

#[tokio::test]
async fn m21_a_stake_is_held_behind_its_void() {
    let wallet = misbehaving(M::HoldAfterVoid, MisbehaveSettings { late_ms: 700, ..NONE }).await;
    let mut late = ask("c");
    late["expires_at"] = json!("2026-06-01T12:00:04.000Z");
    assert_eq!(said(&wallet, AUTHORIZE, &late).await, "0 bytes, Reset");
    let void = chunk([voided("c", 2), voided("b", 2)]);
    let answer = wallet.post(STATE, &void).await.body;
    let told: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (&r["bet_id"], &r["outcome"], &r["code"]))
        .collect();
    let (b, c) = (json!(id("b")), json!(id("c")));
    let (applied, rejected, unknown) = (json!("applied"), json!("rejected"), json!("unknown_bet"));
    assert_eq!(told, [(&b, &applied, &Value::Null), (&c, &rejected, &unknown)]);
    assert_eq!(net(&wallet).await, 0);
    until(&wallet, -1_000).await;
    assert_eq!(wallet.row("c").await, (1, "held".into()));
}

#[tokio::test]
async fn m22_rows_are_unknown_and_then_known() {
    let wallet = wallet(Orders::default()).await;
    wallet.post(AUTHORIZE, &ask("c")).await;
    switch(&wallet, M::UnknownThenKnown, NONE).await;
    let query = json!({"bet_ids": [id("b")]});
    for (wanted, rows) in [("absent", 1), ("held", 2)] {
        let answer = wallet.post(QUERY_PATH, &query).await.body;
        assert_eq!(answer["rows"][0]["status"], wanted);
        assert_eq!(rows_of(&wallet).await.as_array().unwrap().len(), rows);
        let close = wallet.post(CLOSE_PATH, &close()).await.body;
        assert_eq!(close["open_holds"], rows);
        behave(&wallet).await;
    }
}

#[tokio::test]
async fn m23_a_correction_that_takes_is_refused_and_one_that_gives_is_not() {
    let wallet = misbehaving(M::DebitRefused, NONE).await;
    for (revision, payout, wanted) in [
        (3, 1550, "200 signed applied \"550\""),
        (4, 0, "200 signed rejected correction_refused"),
        (5, 2_000, "200 signed applied \"1000\""),
    ] {
        let correction = chunk([settled("b", revision, payout)]);
        assert_eq!(said(&wallet, STATE, &correction).await, wanted, "revision {revision}");
    }
    assert_eq!((net(&wallet).await, counted(&wallet, M::DebitRefused).await), (1_000, 1));
}

#[tokio::test]
async fn m25_an_amount_has_a_power_of_ten() {
    let wallet = misbehaving(M::OddNumbers, NONE).await;
    for wanted in ["550.0", "\"550.00\"", "\"550e0\""] {
        assert_eq!(said(&wallet, STATE, &won()).await, format!("200 signed applied {wanted}"));
    }
}

#[tokio::test]
async fn m30_behind_a_maintenance_comes_the_flood() {
    let settings = MisbehaveSettings { maintenance_ms: 800, ..NONE };
    let wallet =
        wallet(Orders { script: "2 maintenance".parse().unwrap(), ..Orders::default() }).await;
    let answer = wallet.post("/faults", &json!({"misbehave": settings})).await;
    assert_eq!(answer.status, 200);
    wallet.post(AUTHORIZE, &ask("c")).await;
    let again = said(&wallet, STATE, &won()).await;
    assert_eq!(again, "503 overloaded, again in 1 s", "it lasts");
    assert_eq!(net(&wallet).await, -1_000);
    until(&wallet, 550 - 1_000).await;
    assert_eq!(counted(&wallet, M::Maintenance).await, 2);
    assert_eq!(said(&wallet, STATE, &won()).await, "200 signed applied \"550\"");
}

#[tokio::test]
async fn m31_a_statement_is_wrong_and_then_late() {
    let wallet = wallet(Orders::default()).await;
    wallet.post(STATE, &won()).await;
    let honest = wallet.post(CLOSE_PATH, &close()).await.body;
    switch(&wallet, M::WrongStatement, NONE).await;
    let wrong = wallet.post(CLOSE_PATH, &close()).await.body;
    assert_ne!(wrong["digest"], honest["digest"]);
    assert_eq!(wrong["totals"], honest["totals"]);
    assert_eq!(said(&wallet, CLOSE_PATH, &close()).await, "0 bytes, Reset");
    assert_eq!(rows_of(&wallet).await[0]["stake"]["units"], "1");
}

#[tokio::test]
async fn m32_the_answer_names_its_date() {
    let wallet = misbehaving(M::OtherVersion, NONE).await;
    let answer = wallet.post(STATE, &won()).await;
    assert_eq!(answer.headers["api-version"], "2031-01-01");
}

async fn rows_of(wallet: &Served) -> Value {
    let request = signed(Request::get("/wallet/v1/rounds/r_1/bets"), Bytes::new());
    let answer = crate::client::Line::to(wallet.address).await.ask(request).await.unwrap();
    answer.body["rows"].clone()
}

fn close() -> Value {
    json!({"round_id": "r_1", "partner_id": "acme", "result_version": 1, "totals": [],
        "open_holds": 0, "digest": ""})
}
