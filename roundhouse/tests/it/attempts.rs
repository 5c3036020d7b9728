//! Attempts: a wallet fails, hangs and answers, and each try is told wherever a movement is.

use crate::house::{Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean};
use crate::partner_api::Partner;
use http::Method;
use roundhouse::config::Retries;
use roundhouse::rig::players::Wager;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

on_every_engine!(every_attempt_is_told);

/// Whose stakes are answered at the third attempt.
const LATE: &str = "late";
/// Whose stakes are never answered.
const SILENT: &str = "silent";
/// The budget of a call for a stake, and of one for a settlement.
const STAKE_MS: u64 = 1_500;
const CALL_MS: u64 = 2_000;
/// Time enough to see that something is owed.
const RETRIES: Retries = Retries {
    tier_wait_ms: [4_000, 4_000, 4_000, 4_000, 4_000],
    last_tier_after_ms: 60_000,
    park_after_ms: 600_000,
};
const LOOK_PERIOD: Duration = Duration::from_millis(50);
/// An attempt: number, status, outcome, and whether it took as long as a call may.
type Tried = (u64, Option<u64>, String, bool);

/// Stands before a wallet: the first attempt of each stake and settlement gets 500, the second no answer, and what comes
/// later the wallet's. Of a silent round no stake gets any but 500.
async fn balky(wallet: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(pass(client, wallet));
        }
    });
    address
}

/// One call of one connection.
async fn pass(mut client: TcpStream, wallet: SocketAddr) -> Option<()> {
    let mut request = Vec::new();
    let (head, whole) = loop {
        if client.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").and_then(|length| length.parse().ok());
        let whole = body.len() >= length.unwrap_or(0);
        if whole {
            break (head.to_owned(), text.clone());
        }
    };
    let attempt = header(&head, "attempt").and_then(|attempt| attempt.parse::<u32>().ok());
    let is_stake = head.contains("/bets/authorize");
    let refused = "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    match attempt {
        Some(_) if is_stake && whole.contains(&format!("\"{SILENT}\"")) => {
            client.write_all(refused.as_bytes()).await.ok()
        }
        Some(1) => client.write_all(refused.as_bytes()).await.ok(),
        Some(2) => {
            sleep(WAIT_MAX).await;
            None
        }
        Some(_) | None => {
            let mut to = TcpStream::connect(wallet).await.ok()?;
            // The wallet closes behind its answer, so its end is that of the connection.
            let line = request.iter().position(|byte| *byte == b'\n')? + 1;
            to.write_all(&request[..line]).await.ok()?;
            to.write_all(b"connection: close\r\n").await.ok()?;
            to.write_all(&request[line..]).await.ok()?;
            tokio::io::copy(&mut to, &mut client).await.ok().map(drop)
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// What a body says of attempts, each behind the one before.
fn tried(body: &Value, call_ms: u64) -> Vec<Tried> {
    let log = body["attempt_log"].as_array().map(Vec::as_slice).unwrap_or_default();
    let at: Vec<&str> = log.iter().map(|one| one["at"].as_str().unwrap()).collect();
    assert!(at.is_sorted() && at.iter().all(|at| at.starts_with("20")), "{body}");
    log.iter()
        .map(|one| {
            let outcome = one["outcome"].as_str().unwrap().to_owned();
            let took = one["latency_ms"].as_u64().unwrap();
            (one["number"].as_u64().unwrap(), one["status"].as_u64(), outcome, call_ms <= took)
        })
        .collect()
}

/// It failed, timed out, and was answered so.
fn wanted(answered: Option<&str>) -> Vec<Tried> {
    let one = |number, status, outcome: &str, long| (number, status, outcome.to_owned(), long);
    let failed = [one(1, Some(500), "server_error", false), one(2, None, "timeout", true)];
    failed.into_iter().chain(answered.map(|word| one(3, Some(200), word, false))).collect()
}

/// Movements of the partner, by revision, once they are as wanted.
async fn movements<E: Ground>(house: &House<E>, round: &str, statuses: &[&str]) -> Vec<Value> {
    let path = format!("/v1/partners/p01/transactions?round={round}");
    let begun = Instant::now();
    loop {
        let page = house.api.call(Method::GET, &path, OPERATOR_KEY, None).await.unwrap();
        let mut lines = page.body["transactions"].as_array().unwrap().clone();
        lines.sort_by_key(|line| line["revision"].as_u64());
        let found: Vec<&str> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
        let tried = lines.iter().all(|line| line["attempt_log"].is_array());
        if found == statuses && tried {
            return lines;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{}", page.body);
        sleep(LOOK_PERIOD).await;
    }
}

async fn get<E: Ground>(house: &House<E>, path: &str) -> Value {
    let reply = house.api.call(Method::GET, path, OPERATOR_KEY, None).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

/// The line of a timeline.
fn line<'a>(timeline: &'a Value, said: &str, revision: u64) -> &'a Value {
    let mut lines = timeline["timeline"].as_array().unwrap().iter();
    let found = lines.find(|line| line["said"] == said && line["revision"] == revision);
    found.unwrap_or_else(|| panic!("nobody said {said} of {revision}: {timeline}"))
}

async fn every_attempt_is_told<E: Ground>() {
    let mut street = Street::on::<E>(1, 4, &[]).await;
    street.config.dispatcher.call_ms_max = CALL_MS;
    street.config.dispatcher.retries = Some(RETRIES);
    let url = street.config.partners[0].wallet_url.clone();
    let wallet = url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let before = balky(wallet.parse().unwrap()).await;
    street.config.partners[0].wallet_url = url.replace(&wallet, &before.to_string());
    let house = House::<E>::open(&street.config).await;
    let outbound = street.config.wallets.outbound().unwrap();
    let partner = Partner::new("p01", &street.keys["p01"], outbound, &house);
    let one = |round: &str| {
        let mut wagers: Vec<Wager> = street.wagers(round, 1, 1);
        wagers[0].cancel = false;
        wagers
    };

    let told = house.bet(LATE, one(LATE)).await;
    let (bet, words) = told.first_key_value().unwrap();
    assert_eq!(words, &["accepted"], "the third attempt counts");
    house.api.result(LATE, "3").await.unwrap();
    // While it is owed, what was tried stands with the record in the tier.
    let lines = movements(&house, LATE, &["approved", "owed"]).await;
    assert_eq!(tried(&lines[0], STAKE_MS), wanted(Some("approved")));
    assert_eq!(tried(&lines[1], CALL_MS), wanted(None));
    assert_eq!((&lines[0]["attempts"], &lines[1]["attempts"]), (&json!(3), &json!(2)));
    let timeline = get(&house, &format!("/v1/bets/{bet}/timeline")).await;
    assert_eq!(tried(line(&timeline, "tried", 3), CALL_MS), wanted(None));
    assert_eq!(line(&timeline, "tried", 3)["who"], "dispatcher");

    house.settled().await;
    let lines = movements(&house, LATE, &["approved", "applied"]).await;
    assert_eq!(tried(&lines[1], CALL_MS), wanted(Some("applied")));
    assert_eq!(lines[1]["attempts"], 3);
    let timeline = get(&house, &format!("/v1/bets/{bet}/timeline")).await;
    assert_eq!(tried(line(&timeline, "approved", 1), STAKE_MS), wanted(Some("approved")));
    assert_eq!(tried(line(&timeline, "applied", 3), CALL_MS), wanted(Some("applied")));
    let all = timeline["timeline"].as_array().unwrap();
    assert!(all.iter().all(|line| line["said"] != "tried"), "its answer tells it: {timeline}");
    let told = partner.get(&format!("/partner/v1/bets/{bet}")).await;
    for (place, (call_ms, word)) in
        [(STAKE_MS, "approved"), (CALL_MS, "applied")].iter().enumerate()
    {
        assert_eq!(tried(&told["revisions"][place], *call_ms), wanted(Some(word)), "{told}");
    }
    let path = format!("/v1/partners/p01/transactions?round={LATE}&format=csv");
    let csv = get(&house, &path).await;
    let cell = format!("\"{}\"", lines[1]["attempt_log"].to_string().replace('"', "\"\""));
    assert!(csv.as_str().unwrap().contains(&format!(",{cell}\r\n")), "{csv}");

    unanswered(&house, one(SILENT)).await;
    house.close().await;
    clean::<E>(&street).await;
}

/// A stake that nobody answers is tried thrice, and what takes it back is told as well.
async fn unanswered<E: Ground>(house: &House<E>, wagers: Vec<Wager>) {
    let told = house.bet(SILENT, wagers).await;
    let bet = told.first_key_value().unwrap().0;
    house.settled().await;
    let lines = movements(house, SILENT, &["unanswered", "applied"]).await;
    assert_eq!(lines[1]["revision"], 2);
    assert_eq!(tried(&lines[1], CALL_MS), wanted(Some("applied")));
    let refused = |number| (number, Some(500), "server_error".to_owned(), false);
    let stakes = tried(&lines[0], STAKE_MS);
    // A player who asks for it again before it is decided has the wallet asked again.
    assert!(stakes.chunks(3).all(|three| *three == [1, 2, 3].map(refused)), "{stakes:?}");
    let timeline = get(house, &format!("/v1/bets/{bet}/timeline")).await;
    let line = line(&timeline, "tried", 1);
    assert_eq!((tried(line, STAKE_MS), &line["who"]), (stakes, &json!("placing")));
}
