//! No secret is in what a server says or keeps: not in its log at any level, its answers, its metrics; not in a record
//! of any topic, a fact, or the embedded engine's file.

use crate::admin::get;
use crate::bad_input::scene::placed;
use crate::closing::cases;
use crate::house::{EXE, Ground, House, OPERATOR_KEY, Street, WAIT_MAX};
use crate::misbehave::parked;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use partner_kit::faults::FaultSettings;
use partner_kit::misbehaviours::{MisbehaveSettings, Misbehaviour};
use roundhouse::rig::api::Api;
use roundhouse::rig::players::Wager;
use roundhouse::rig::processes::{Wallets, WalletsPlan, free_ports};
use roundhouse::topics::whole;
use runtime::{Scope, Source, Topic};
use schemas::catalogue::TOPICS;
use serde_json::json;
use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

on_every_engine!(no_secret_is_said_or_kept);

const ROUND: &str = "canary-round";
const PASSWORD: &str = "canary-of-kafka-7f3a";
const WEBHOOK: &str = "Bearer canary-of-cases-51d0";
/// What Roundhouse and the second partner share.
const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// A property of the Kafka client with the password, which a client without SASL does not look at.
const PROPERTY: &str = "sasl.password";

/// A wallet that signs with the shared secret, in the place of the second partner's.
async fn shared(street: &mut Street) -> Wallets {
    let plan = WalletsPlan {
        exe: PathBuf::from(EXE),
        partners: vec!["p02".to_owned()],
        keys: json!({"platform": [], "partners": {"p02": [SHARED]}}).to_string(),
        journals: street.directory.path().join("shared"),
        arguments: vec!["--opening-balance".to_owned(), "100000000".to_owned()],
    };
    let wallets = Wallets::start(plan, "127.0.0.1:0").await.unwrap();
    let partner = &mut street.config.partners[1];
    partner.wallet_url.clone_from(&wallets.urls["p02"]);
    partner.reply_keys.clear();
    partner.shared_secrets = vec![SHARED.to_owned()];
    wallets
}

/// Bets that win with 3 and lose with 4.
fn wagers(street: &Street) -> Vec<Wager> {
    let mut wagers = street.wagers(ROUND, 8, 1);
    for wager in &mut wagers {
        wager.body["selection"] = json!("odd");
        wager.body["odds"] = json!("1.93");
    }
    wagers
}

/// What must be nowhere, as it is given and as the bytes that it stands for.
fn secrets(street: &Street, wagers: &[Wager]) -> Vec<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    let mut secrets: Vec<Vec<u8>> = vec![text(OPERATOR_KEY), text(PASSWORD), text(WEBHOOK)];
    for key in street.config.signing.keys.iter().map(String::as_str).chain([SHARED]) {
        let (_, encoded) = key.split_once('_').unwrap();
        secrets.extend([text(encoded), STANDARD.decode(encoded).unwrap()]);
    }
    for wager in wagers {
        let (_, signature) = wager.token.rsplit_once('.').unwrap();
        secrets.extend([text(&wager.token), text(signature)]);
    }
    secrets
}

fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|window| window == words)
}

/// Everything that the engine keeps about the round: every record of every topic, its facts and its histories.
async fn kept<E: Ground>(engine: &E) -> Vec<u8> {
    let mut kept = Vec::new();
    for topic in TOPICS.iter().map(|spec| Topic(spec.name)) {
        for partition in 0..engine.partitions(topic) {
            let each = |record: &runtime::Record| {
                let headers = record.headers.iter().flat_map(|(name, value)| [name, value]);
                let headers = headers.map(str::as_bytes);
                for part in [&record.key[..], &record.value[..]].into_iter().chain(headers) {
                    kept.extend_from_slice(part);
                    kept.push(b'\n');
                }
            };
            whole(engine, Source { topic, partition }, each).await.unwrap();
            for group in [ROUND.to_owned(), format!("history/{ROUND}")] {
                for fact in engine.scan(Scope { group, topic, partition }).await.unwrap() {
                    let key = format!("{:?}\n", fact.key);
                    kept.extend_from_slice(key.as_bytes());
                    kept.extend_from_slice(&fact.body);
                }
            }
        }
    }
    kept
}

/// Waits until an item is parked and a case is open.
async fn at_rest<E: Ground>(house: &House<E>) {
    let begun = Instant::now();
    loop {
        let (parked, cases) = (parked(house).await.0, cases(house).await);
        if !parked.is_empty() && cases.iter().any(|case| case.code == "result_withdrawn") {
            return;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{parked:?} {cases:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Plays the round; what was answered.
async fn play(client: &Api, wagers: &[Wager]) -> Vec<String> {
    client.open_die(ROUND, 600_000, 100).await.unwrap();
    let (mut said, mut bets) = (Vec::new(), Vec::new());
    for wager in wagers {
        let told = placed(client, &wager.token, &wager.body).await;
        assert_eq!(told.status, 201, "{}", told.body);
        bets.push((wager, format!("/v1/bets/{}", told.text("bet_id"))));
        said.push(told.body.to_string());
    }
    let wager = &wagers[0];
    for (path, bearer, body) in [
        ("/v1/bets", OPERATOR_KEY, wager.body.clone()),
        ("/v1/rounds", &*wager.token, json!({})),
        ("/v1/rounds", OPERATOR_KEY, json!({"round_id": 7})),
        ("/v1/nothing", OPERATOR_KEY, json!({})),
    ] {
        let reply = client.call(Method::POST, path, bearer, Some(&body)).await.unwrap();
        said.push(reply.body.to_string());
    }
    client.close(ROUND).await.unwrap();
    client.result(ROUND, "3").await.unwrap();
    client.correct(ROUND, 1, "4").await.unwrap();
    for (wager, path) in bets {
        // At one partner the correction is refused, at the other one it is taken.
        let wanted = if wager.partner == "p01" { "parked" } else { "applied" };
        let begun = Instant::now();
        loop {
            let told = client.call(Method::GET, &path, &wager.token, None).await.unwrap();
            let told = told.body["timeline"].to_string();
            if told.contains(wanted) {
                said.push(told);
                break;
            }
            assert!(begun.elapsed() < WAIT_MAX, "{path}: {told}");
            sleep(Duration::from_millis(50)).await;
        }
    }
    let reason = json!({"replaces": 2, "reason": "nobody knows"});
    let told = client.operate(&format!("/v1/rounds/{ROUND}/withdraw"), &reason).await.unwrap();
    said.push(told.body.to_string());
    for path in [format!("/v1/rounds/{ROUND}"), "/v1/partners".to_owned()] {
        said.push(client.look(&path).await.unwrap().body.to_string());
    }
    said
}

async fn no_secret_is_said_or_kept<E: Ground>() {
    let mut street = Street::on::<E>(2, 131, &[]).await;
    let _shared = shared(&mut street).await;
    let mut misbehave = MisbehaveSettings::NONE;
    *misbehave.only.of(Misbehaviour::DebitRefused) = 1_000;
    street.faults(FaultSettings { misbehave, ..FaultSettings::NONE }).await;
    street.config.cluster.properties.insert(PROPERTY.to_owned(), PASSWORD.to_owned());
    let wagers = wagers(&street);
    let config = street.file(&format!(
        "[cases]\nwebhook_url = \"http://127.0.0.1:9/cases\"\nwebhook_authorization = \"{WEBHOOK}\""
    ));
    let port = free_ports(2).unwrap();
    let (api, admin) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1));
    let log = street.directory.path().join("log");
    let mut server = Command::new(EXE)
        .args(["--log", "trace", "--log-format", "json", "serve", "--listen", &api])
        .args(["--admin-listen", &admin, "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(street.directory.path())
        .stderr(Stdio::from(File::create(&log).unwrap()))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (api, admin) = (format!("http://{api}"), format!("http://{admin}"));
    let client = Api::new(api, OPERATOR_KEY.to_owned());
    client.ready(WAIT_MAX).await.unwrap();
    let mut said = play(&client, &wagers).await;
    said.push(get(&admin, "/metrics", "*/*").await.1);
    said.push(get(&admin, "/readyz", "*/*").await.1);
    server.kill().await.unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    // The last one may have been cut off by the kill.
    for line in log.lines().rev().skip(1) {
        let line: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(line.is_ok_and(|line| line["timestamp"].is_string()), "a line is no JSON object");
    }
    assert!(log.contains("DEBUG"), "the log has no details");
    said.push(log);

    street.config.cluster.properties.clear();
    let house = House::<E>::open(&street.config).await;
    at_rest(&house).await;
    let mut found = vec![kept(house.running.engine()).await];
    for words in [ROUND, "correction_refused", "result_withdrawn", "nobody knows", "history_"] {
        assert_ne!(find(&found[0], words.as_bytes()), None, "{words} is not in what is kept");
    }
    house.close().await;
    // What the scopes above are not, on the embedded engine.
    found.extend(std::fs::read(street.directory.path().join("roundhouse.redb")));
    found.extend(said.into_iter().map(String::into_bytes));
    for (number, secret) in secrets(&street, &wagers).iter().enumerate() {
        for text in &found {
            let at = find(text, secret)
                .map(|at| String::from_utf8_lossy(&text[at.saturating_sub(200)..at]).into_owned());
            assert_eq!(at, None, "secret {number} stands behind this");
        }
    }
}
