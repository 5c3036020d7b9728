//! What stands before the table: rounds and events in every state, and a bet of each player on them.

use crate::house::{EXE, Ground, OPERATOR_KEY, Street, WAIT_MAX, journals};
use http::Method;
use roundhouse::rig::api::{Api, Reply};
use roundhouse::rig::processes::ServerProcess;
use runtime::{Clock, SystemClock};
use schemas::contract::timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long rounds and events that take bets do so: longer than the test.
const BETTING_S: i64 = 3_600;

/// The house, and who plays there.
pub(super) struct Scene {
    pub(super) api: Api,
    /// Address and port.
    pub(super) host: String,
    pub(super) server: ServerProcess,
    /// Token of a player of partner p01.
    pub(super) alice: String,
    /// Token of a player of partner p02.
    pub(super) bob: String,
    /// Alice's token of yesterday.
    pub(super) expired: String,
    /// A token that says p01 and is signed by p02.
    pub(super) forged: String,
    /// Every bet, sorted.
    pub(super) bets: Vec<String>,
    /// Alice's and Bob's bets in round `open`, and theirs in round `done`.
    pub(super) open: [String; 2],
    pub(super) done: [String; 2],
    wallets: BTreeMap<String, Api>,
    journals: std::path::PathBuf,
}

impl Scene {
    /// Starts a server on engine `E`, and plays what the table is set against.
    ///
    /// Rounds: `open` takes bets, `late` was closed by its deadline, `done` has a result. Events: the same,
    /// as `e-open`, `e-late`, `e-done`.
    pub(super) async fn set<E: Ground>() -> (Street, Self) {
        let street = Street::on::<E>(2, 141, &[]).await;
        let secret = street.keys["p01"].secret();
        let config = street.file(&format!(
            "[simple]\nopen = true\npartner = \"p01\"\nplayer = \"bet-maker\"\ncurrency = \"EUR\"\n\
             partner_secret = \"{secret}\""
        ));
        let directory = street.directory.path();
        let server = ServerProcess::start(Path::new(EXE), &config, directory, "127.0.0.1:0").await;
        let server = server.unwrap();
        let api = Api::new(server.url.clone(), OPERATOR_KEY.to_owned());
        api.ready(WAIT_MAX).await.unwrap();
        let now = SystemClock.now();
        let (p01, p02) = (&street.keys["p01"], &street.keys["p02"]);
        let (head, _) = p01.token("alice", now).rsplit_once('.').map(owned).unwrap();
        let (_, signature) = p02.token("alice", now).rsplit_once('.').map(owned).unwrap();
        let wallet =
            |(name, url): (&String, &String)| (name.clone(), Api::new(url.clone(), String::new()));
        let mut scene = Self {
            host: server.url.strip_prefix("http://").unwrap().to_owned(),
            alice: p01.token("alice", now),
            bob: p02.token("bob", now),
            expired: p01.token("alice", now - 86_400_000),
            forged: format!("{head}.{signature}"),
            bets: Vec::new(),
            open: Default::default(),
            done: Default::default(),
            wallets: street.wallets.urls.iter().map(wallet).collect(),
            journals: journals(street.directory.path()),
            api,
            server,
        };
        scene.rounds().await;
        let bet_maker = p01.token("bet-maker", now);
        scene.events(&bet_maker).await;
        scene.bets.sort();
        (street, scene)
    }

    async fn rounds(&mut self) {
        let api = self.api.clone();
        for (round, betting_ms) in [("open", BETTING_S * 1_000), ("done", 60_000)] {
            api.open_die(round, betting_ms, 200).await.unwrap();
            api.betting(round, WAIT_MAX).await.unwrap();
            let ids = [self.bet(&self.alice, round).await, self.bet(&self.bob, round).await];
            self.bets.extend(ids.clone());
            match round {
                "open" => self.open = ids,
                _ => self.done = ids,
            }
        }
        api.open_die("late", 1, 0).await.unwrap();
        api.close("done").await.unwrap();
        api.result("done", "4").await.unwrap();
        api.sealed("late", WAIT_MAX).await.unwrap();
        let [alices, bobs] = &self.done;
        self.delivered(&self.alice, alices).await;
        self.delivered(&self.bob, bobs).await;
    }

    async fn events(&mut self, bet_maker: &str) {
        let events = "/line-provider/events";
        for (event, s) in [("e-open", BETTING_S), ("e-done", 60), ("e-late", 1)] {
            let deadline = timestamp(SystemClock.now() + s * 1_000);
            let body = json!({"event_id": event, "coefficient": "1.50", "deadline": deadline});
            self.call(Method::POST, events, "", &body, 201).await;
        }
        for event in ["e-open", "e-done"] {
            let body = json!({"event_id": event, "amount": "10.00"});
            let path = "/bet-maker/bet";
            let answer = self.keyed(path, &format!("key-{event}"), &body).await;
            self.bets.push(answer["bet_id"].as_str().unwrap().to_owned());
        }
        self.call(Method::PATCH, &format!("{events}/e-done"), "", &json!({"state": 2}), 200).await;
        self.until(&format!("{events}/e-late"), "", |event| event["status"] == "sealed").await;
        let ended = |bets: &Value| {
            let ended = |bet: &Value| bet["event_id"] != "e-done" || bet["status"] == "won";
            bets.as_array().is_some_and(|bets| bets.iter().all(ended))
        };
        self.until("/bet-maker/bets", "", ended).await;
        let listed = |list: &Value| list.as_array().is_some_and(|list| list.len() == 1);
        self.until("/bet-maker/events", "", listed).await;
        let done = self.bets.iter().find(|bet| bet.starts_with("e-done")).unwrap();
        self.delivered(bet_maker, done).await;
    }

    /// Places a bet that is accepted.
    async fn bet(&self, token: &str, round: &str) -> String {
        let stake = json!({"units": "250", "currency": "EUR", "exponent": 2});
        let body = json!({
            "client_ref": "mine", "round_id": round, "selection": "even", "odds": "1.93",
            "stake": stake,
        });
        let told = placed(&self.api, token, &body).await;
        assert_eq!(told.status, 201, "{}", told.body);
        told.text("bet_id").to_owned()
    }

    /// Places a bet of bet-maker under a key.
    async fn keyed(&self, path: &str, key: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\nidempotency-key: {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let told = super::raw::send(&self.host, request.as_bytes()).await;
        assert_eq!(told.status, 201, "{}", told.body);
        told.body
    }

    async fn delivered(&self, token: &str, bet: &str) {
        let applied = |bet: &Value| bet["timeline"].to_string().contains("applied");
        self.until(&format!("/v1/bets/{bet}"), token, applied).await;
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        bearer: &str,
        body: &Value,
        status: u16,
    ) -> Value {
        let reply = self.api.call(method, path, bearer, Some(body)).await.unwrap();
        assert_eq!(reply.status, status, "{path} {body}: {}", reply.body);
        reply.body
    }

    async fn until(&self, path: &str, bearer: &str, wanted: impl Fn(&Value) -> bool) {
        let found = timeout(WAIT_MAX, async {
            while !wanted(&self.get(path, bearer).await.body) {
                sleep(Duration::from_millis(10)).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("{path} never came to what was wanted"));
    }

    /// Asks as `bearer`.
    pub(super) async fn get(&self, path: &str, bearer: &str) -> Reply {
        self.api.call(Method::GET, path, bearer, None).await.unwrap()
    }

    /// Everything that bad input must leave as it is.
    pub(super) async fn seen(&self) -> BTreeMap<String, Value> {
        let mut seen = BTreeMap::new();
        for (path, bearer) in [
            ("/v1/rounds?limit=200", OPERATOR_KEY),
            ("/line-provider/events?all=true", ""),
            ("/bet-maker/events", ""),
            ("/bet-maker/bets", ""),
        ] {
            let reply = self.get(path, bearer).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.body);
            seen.insert(path.to_owned(), reply.body);
        }
        for [alices, bobs] in [&self.open, &self.done] {
            for (token, bet) in [(&self.alice, alices), (&self.bob, bobs)] {
                let reply = self.get(&format!("/v1/bets/{bet}"), token).await;
                assert_eq!(reply.status, 200, "{bet}: {}", reply.body);
                seen.insert(bet.clone(), reply.body);
            }
        }
        for (name, wallet) in &self.wallets {
            // What it was asked is counted in here, and not what it moved alone.
            let stats = wallet.call(Method::GET, "/stats", "", None).await.unwrap();
            seen.insert(format!("wallet {name}"), stats.body);
        }
        for entry in std::fs::read_dir(&self.journals).unwrap() {
            let path = entry.unwrap().path();
            let journal = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            seen.insert(format!("journal {}", path.display()), Value::String(journal));
        }
        seen
    }
}

/// Places a bet on a round that the line knows, once bet placing has read of it too.
pub(crate) async fn placed(api: &Api, token: &str, body: &Value) -> Reply {
    let told = timeout(WAIT_MAX, async {
        loop {
            let told = api.call(Method::POST, "/v1/bets", token, Some(body)).await.unwrap();
            if told.text("code") != "round_unknown" {
                return told;
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    told.await.expect("bet placing does not learn of the round")
}

fn owned((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}
