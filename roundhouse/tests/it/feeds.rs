//! Feeds as processes of their own, which are killed; and every draw and every event counts once.

use crate::house::{EXE, Ground, House, OPERATOR_KEY, Street, WAIT_MAX, clean, nets, payout};
use axum::extract::{Query, State};
use axum::{Json, Router, routing};
use http::Method;
use roundhouse::rig::api::{Api, die_odds};
use roundhouse::rig::players::place_all;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

on_every_engine!(a_killed_table_draws_what_it_owes, a_killed_feed_says_everything_once);

/// Bets on the table's round.
const BETS: usize = 40;

fn start(url: &str, state_dir: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(EXE);
    command.args(arguments).arg("--state-dir").arg(state_dir).args(["--target", url]);
    command.env("ROUNDHOUSE_OPERATOR_KEY", OPERATOR_KEY).stdin(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap()
}

async fn code(mut child: Child) -> Option<i32> {
    timeout(WAIT_MAX, child.wait()).await.expect("it does not end").unwrap().code()
}

async fn seen(api: &Api, path: &str) -> Value {
    api.call(Method::GET, path, OPERATOR_KEY, None).await.unwrap().body
}

/// The value at `path` once it is as wanted.
async fn until(api: &Api, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = timeout(WAIT_MAX, async {
        loop {
            let value = seen(api, path).await;
            if wanted(&value) {
                return value;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{path} never came to what was wanted"))
}

async fn checked(command: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(command).args(arguments).output().await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A table is killed while its round takes bets. Started again it draws that round, with the seed that its
/// id commits to, and the bets are paid by that draw.
async fn a_killed_table_draws_what_it_owes<E: Ground>() {
    let street = Street::on::<E>(2, 91, &[]).await;
    let house = House::<E>::open(&street.config).await;
    let url = format!("http://{}", house.running.address);
    let state_dir = street.directory.path().join("table");
    let mut game = vec!["table", "--betting-ms", "4000", "--every-ms", "3600000"];
    game.extend(["--number-odds", die_odds("1"), "--half-odds", die_odds("odd")]);
    let mut first = start(&url, &state_dir, &game);
    let open =
        until(&house.api, "/v1/rounds?open=true", |body| body["rounds"][0].is_object()).await;
    let round = open["rounds"][0]["round_id"].as_str().unwrap().to_owned();
    assert!(round.starts_with("d_"), "{round}");
    let wagers = street.wagers(&round, BETS, 91);
    place_all(&house.api, wagers, 16, &Arc::new(AtomicUsize::new(0))).await;
    first.kill().await.unwrap();
    let path = format!("/v1/rounds/{round}");
    until(&house.api, &path, |round| round["status"] == "sealed").await;

    game.extend(["--rounds", "1"]);
    assert_eq!(code(start(&url, &state_dir, &game)).await, Some(0));
    let drawn = seen(&house.api, &path).await;
    assert_eq!(drawn["status"], "resulted");
    house.settled().await;
    house.close().await;

    let proofs = state_dir.join("proofs.jsonl");
    let lines = std::fs::read_to_string(&proofs).unwrap();
    assert_eq!(lines.lines().count(), 2, "the killed table's round and one more: {lines}");
    let proof: Value = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|line| line["round_id"] == *round)
        .expect("the killed table's round has a proof");
    assert_eq!(proof["outcome"].to_string(), drawn["result"]["outcome"].as_str().unwrap());
    let reason = drawn["history"].as_array().unwrap().iter().find_map(|it| it["reason"].as_str());
    let seed = proof["seed"].as_str().unwrap();
    assert!(reason.unwrap().contains(seed), "the seed is shown with the result: {reason:?}");
    both_checks(&proofs, &lines).await;

    let (books, _) = clean::<E>(&street).await;
    let thrown: u32 = proof["outcome"].to_string().parse().unwrap();
    let held = crate::house::held(&books, &round);
    assert!(!held.is_empty());
    let nets = nets(&books);
    for (bet, of) in held {
        assert_eq!(nets[&bet], payout(&of, thrown) - i128::from(of.stake.units), "{bet}");
    }
}

/// Both programs find the draws good, and one that was tampered with bad.
async fn both_checks(proofs: &Path, lines: &str) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/die-table/check.py");
    let example = example.to_str().unwrap().to_owned();
    let bad = proofs.with_extension("bad");
    let number = lines.find("\"outcome\":").unwrap() + "\"outcome\":".len();
    let other = if lines[number..].starts_with('1') { "2" } else { "1" };
    std::fs::write(&bad, format!("{}{other}{}", &lines[..number], &lines[number + 1..])).unwrap();
    for (file, wanted, said) in [(proofs, 0, "2 draws checked, 0 wrong"), (&bad, 1, "1 wrong")] {
        let file = file.to_str().unwrap();
        for (command, arguments) in
            [(EXE, vec!["table", "check", file]), ("python3", vec![example.as_str(), file])]
        {
            let (code, printed) = checked(command, &arguments).await;
            assert_eq!(code, Some(wanted), "{command} {file}: {printed}");
            assert!(printed.contains(said), "{command} {file}: {printed}");
        }
    }
}

/// What the source says, and how often it was asked.
#[derive(Clone)]
struct Source {
    events: Arc<Vec<Value>>,
    asked: Arc<AtomicUsize>,
}

/// Two events a page; every third question is answered with a gateway's page.
async fn page(
    State(source): State<Source>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Json<Value>, http::StatusCode> {
    if source.asked.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
        return Err(http::StatusCode::BAD_GATEWAY);
    }
    let after: usize = query["after"].parse().unwrap_or(0);
    let events: Vec<&Value> = source.events.iter().skip(after).take(2).collect();
    let next = (after + events.len()).to_string();
    let next = if events.is_empty() { query["after"].clone() } else { next };
    Ok(Json(json!({"events": events, "next": next})))
}

/// A round for a minute that the result cuts short, one that is corrected, one event that nobody may say.
fn events() -> Vec<Value> {
    let open = |id: &str, round: &str| {
        let selections = json!([{"id": "first", "odds": "1.50"}, {"id": "second", "odds": "2.40"}]);
        let body = json!({"game": "two_way", "betting_ms": 60_000, "selections": selections});
        json!({"id": id, "round_id": round, "say": "open", "body": body})
    };
    let said = |id: &str, round: &str, say: &str, body: Value| json!({"id": id, "round_id": round, "say": say, "body": body});
    vec![
        open("1", "m-1"),
        said("2", "m-1", "result", json!({"replaces": 0, "outcome": "first"})),
        open("3", "m-2"),
        said("4", "m-2", "amend", json!({"selections": [{"id": "first", "odds": "1.60"}]})),
        said("5", "m-2", "close", json!({})),
        said("6", "m-2", "result", json!({"replaces": 0, "outcome": "third"})),
        said("7", "m-2", "result", json!({"replaces": 0, "outcome": "second"})),
        said("8", "m-1", "correct", json!({"replaces": 1, "outcome": "second", "reason": "video"})),
        open("9", "m-3"),
        said("10", "m-3", "void", json!({"replaces": 0, "reason": "rain"})),
    ]
}

/// A feed is killed in the middle, and its source answers with nonsense now and then: every event is said
/// once, in its round's order, and the one that is refused is kept for people.
async fn a_killed_feed_says_everything_once<E: Ground>() {
    let street = Street::on::<E>(1, 92, &[]).await;
    let house = House::<E>::open(&street.config).await;
    let source = Source { events: Arc::new(events()), asked: Arc::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}/events?game=two_way", listener.local_addr().unwrap());
    let app = Router::new().route("/events", routing::get(page)).with_state(source);
    let served = tokio::spawn(async move { axum::serve(listener, app).await });
    let url = format!("http://{}", house.running.address);
    let state_dir = street.directory.path().join("feed");
    let arguments = ["feed", "--name", "sports", "--source", at.as_str()];
    let mut first = start(&url, &state_dir, &arguments);
    until(&house.api, "/v1/rounds/m-1", |round| round["status"] == "closing").await;
    first.kill().await.unwrap();

    let second = start(&url, &state_dir, &arguments);
    for (round, status, version) in
        [("m-1", "resulted", 2), ("m-2", "resulted", 1), ("m-3", "voided", 1)]
    {
        let path = format!("/v1/rounds/{round}");
        let seen = until(&house.api, &path, |seen| seen["version"] == version).await;
        assert_eq!(seen["status"], status, "{seen}");
        let said = seen["history"].as_array().unwrap().iter();
        let mut admitted: Vec<&str> = said
            .filter(|line| line["refused"].is_null() && line["actor"] != "herald")
            .map(|line| line["request_id"].as_str().unwrap())
            .collect();
        admitted.dedup();
        let wanted: &[&str] = match round {
            "m-1" => &["sports-1", "sports-2", "sports-8"],
            "m-2" => &["sports-3", "sports-4", "sports-5", "sports-7"],
            _ => &["sports-9", "sports-10"],
        };
        assert_eq!(admitted, wanted, "{round}");
    }
    let cursor = state_dir.join("cursor");
    let stored = timeout(WAIT_MAX, async {
        while std::fs::read_to_string(&cursor).is_ok_and(|cursor| cursor != "10") {
            sleep(Duration::from_millis(20)).await;
        }
    });
    stored.await.expect("the cursor is stored");
    let id = second.id().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(code(second).await, Some(0));
    let refused = std::fs::read_to_string(state_dir.join("refused.jsonl")).unwrap();
    let refused: Vec<Value> =
        refused.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!refused.is_empty());
    for line in &refused {
        assert_eq!((&line["event"], &line["code"]), (&json!("6"), &json!("unknown_outcome")));
    }
    served.abort();
    house.close().await;
}
