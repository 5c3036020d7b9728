//! The contract in another language: the wallet of `examples/wallet/wallet.py` is a partner beside the
//! reference wallet, also when it is killed, and the audit reads its journal.

use crate::closing::closed;
use crate::house::{Ground, House, OPERATOR_KEY, Street, clean, held, journals, movements, payout};
use crate::venv;
use http::Method;
use roundhouse::rig::api::Api;
use roundhouse::rig::keys::{platform, wallet_keys};
use runtime::http::{HttpAnswer, HttpOptions, Message, PeerClient, PeerKeys, Peers};
use runtime::{Clock, Embedded, SystemClock};
use schemas::contract::{AUTHORIZE_PATH, QUERY_PATH, STATE_PATH};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

on_every_engine!(the_example_in_python_is_a_partner, a_blocked_player_is_paid_into_suspense);

const ROUND: &str = "r";
const BETS: usize = 80;
/// Bets are corrected while nobody answers there.
const DEAD: Duration = Duration::from_secs(2);

/// The example, as a process. Killed when dropped.
pub(crate) struct Example {
    python: PathBuf,
    arguments: Vec<String>,
    child: Child,
    pub(crate) url: String,
}

impl Example {
    /// Starts it as the wallet of `partner`, on any free port.
    fn start(street: &Street, partner: &str) -> Self {
        Self::with(street.directory.path(), &wallet_keys(OPERATOR_KEY, &street.keys), partner)
    }

    /// The same with these keys, in any directory.
    pub(crate) fn with(directory: &Path, keys: &str, partner: &str) -> Self {
        let python = venv::programs("wallet", "examples/wallet/requirements.txt").join("python");
        let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let (db, keys_file) = (file("example.db"), file("example-keys.json"));
        std::fs::write(&keys_file, keys).unwrap();
        let script = venv::root().join("examples/wallet/wallet.py").display().to_string();
        let balance = "--opening-balance=100000000";
        let arguments = ["serve", "--partner", partner, "--db", &db, "--keys", &keys_file, balance];
        let arguments: Vec<String> =
            std::iter::once(script).chain(arguments.map(ToOwned::to_owned)).collect();
        let (child, url) = run(&python, &arguments, "127.0.0.1:0");
        Self { python, arguments, child, url }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    fn start_again(&mut self) {
        let listen = self.url.strip_prefix("http://").unwrap();
        (self.child, _) = run(&self.python, &self.arguments, listen);
    }

    /// Its journal, as the audit reads it.
    fn journal(&self, street: &Street) -> String {
        let mut command = Command::new(&self.python);
        command.arg(&self.arguments[0]).args(["journal", "--db", &file(street, "example.db")]);
        venv::run(&mut command)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn file(street: &Street, name: &str) -> String {
    street.directory.path().join(name).to_str().unwrap().to_owned()
}

fn run(python: &PathBuf, arguments: &[String], listen: &str) -> (Child, String) {
    let mut command = Command::new(python);
    command.args(arguments).args(["--listen", listen]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    (child, said["url"].as_str().unwrap().to_owned())
}

async fn the_example_in_python_is_a_partner<E: Ground>() {
    let mut street = Street::on::<E>(2, 89, &[]).await;
    let mut example = Example::start(&street, "p02");
    street.config.partners[1].wallet_url.clone_from(&example.url);
    street.config.reconciler.close_after_s = 0;
    let house = House::<E>::open(&street.config).await;
    let partners: BTreeSet<String> = street.keys.keys().cloned().collect();
    let told = house.bet(ROUND, street.wagers(ROUND, BETS, 1)).await;
    assert!(!told.is_empty());
    house.api.result(ROUND, "3").await.unwrap();
    closed(&house, 1, &partners).await;
    example.kill();
    house.api.correct(ROUND, 1, "4").await.unwrap();
    sleep(DEAD).await;
    example.start_again();
    closed(&house, 2, &partners).await;
    house.api.withdraw(ROUND, 2).await.unwrap();
    house.settled().await;
    house.api.void(ROUND, 3).await.unwrap();
    house.settled().await;
    house.close().await;
    let journal = journals(street.directory.path()).join("p02.jsonl");
    std::fs::write(journal, example.journal(&street)).unwrap();
    let (books, _) = clean::<E>(&street).await;
    let of = |partner: &str| movements(&books).filter(|moved| moved.partner == partner).count();
    assert!(BETS < of("p02") && BETS < of("p01"), "{} and {}", of("p01"), of("p02"));
}

/// A player who is blocked amid a round is paid apart, and has the money once not blocked any more.
async fn a_blocked_player_is_paid_into_suspense<E: Ground>() {
    let street = Street::on::<E>(1, 93, &[]).await;
    let wallet = Api::new(street.wallets.urls["p01"].clone(), String::new());
    let say = async |change: Value| {
        let told = wallet.call(Method::POST, "/players", "", Some(&change)).await.unwrap();
        assert_eq!(told.status, 200, "{}", told.body);
        let units = |account: &str| told.body[account]["units"].as_str().unwrap().parse::<i128>();
        (units("balance").unwrap(), units("suspense").unwrap())
    };
    let house = House::<E>::open(&street.config).await;
    let mut wagers = street.wagers(ROUND, BETS, 1);
    let (token, player) = (street.keys["p01"].token("barred", SystemClock.now()), "barred");
    for wager in &mut wagers {
        (wager.token, wager.cancel) = (Arc::from(token.as_str()), false);
    }
    house.bet(ROUND, wagers).await;
    let (free, _) = say(json!({"player": player, "blocked": true})).await;
    house.api.result(ROUND, "3").await.unwrap();
    house.settled().await;
    let (left, won) = say(json!({"player": player})).await;
    assert_eq!(left, free, "nothing that a blocked player can use has come");
    house.api.correct(ROUND, 1, "4").await.unwrap();
    house.settled().await;
    let (left, corrected) = say(json!({"player": player})).await;
    assert_eq!(left, free, "what was paid is taken back from where it was paid to");
    assert!(0 < won && 0 < corrected && won != corrected, "{won} and {corrected}");
    assert_eq!(say(json!({"player": player, "blocked": false})).await, (free + corrected, 0));
    house.close().await;
    let (books, _) = clean::<E>(&street).await;
    let paid: i128 = held(&books, ROUND).values().map(|bet| payout(bet, 4)).sum();
    assert_eq!(corrected, paid);
}

/// The platform, as the example sees it.
struct Asker {
    client: PeerClient,
    peers: Peers<&'static str>,
}

impl Asker {
    async fn post(&self, path: &str, body: &Value) -> HttpAnswer {
        let message = Message {
            id: "m_1",
            method: Method::POST,
            path,
            route: "",
            headers: &[],
            body: Some(body.to_string().into()),
        };
        let wait = Duration::from_secs(20);
        self.peers.call(&self.client, &"p01", message, wait, 1 << 20, &SystemClock).await.unwrap()
    }

    async fn said(&self, path: &str, body: &Value) -> Value {
        serde_json::from_slice(&self.post(path, body).await.body).unwrap()
    }

    /// What the example says of one item.
    async fn item(&self, item: &Value) -> Value {
        let chunk = json!({"op": "state", "chunk_id": "c_1", "traffic": "live", "items": [item]});
        self.said(STATE_PATH, &chunk).await["results"][0].clone()
    }
}

fn money(units: &str) -> Value {
    json!({"units": units, "currency": "EUR", "exponent": 2})
}

fn stake(bet: &str, units: &str) -> Value {
    json!({"op": "authorize", "message_id": format!("r:{bet}:1"), "bet_id": format!("r:{bet}"),
        "revision": 1, "round_id": "r", "partner_id": "p01", "partner_player_id": "player",
        "session_token": "t", "stake": money(units), "placed_at": "2026-11-29T12:00:00.000Z",
        "expires_at": "2999-01-01T00:00:00.000Z"})
}

fn item(bet: &str, revision: u32, target: &str, payout: &str) -> Value {
    json!({"bet_id": format!("r:{bet}"), "revision": revision, "target": target, "round_id": "r",
        "partner_id": "p01", "partner_player_id": "player", "stake": money("1000"),
        "payout": money(payout), "reason": "result"})
}

/// Each would be kept as the void of a bet that was never seen, if it were an item.
async fn refuses_what_is_no_item(asker: &Asker) {
    for (field, wrong) in [
        ("round_id", json!("other")),
        ("partner_player_id", json!("")),
        ("reason", json!(1)),
        ("result_version", json!(0)),
        ("recover", json!("yes")),
    ] {
        let mut item = item("unseen", 4, "voided", "0");
        item[field] = wrong;
        assert_eq!(asker.item(&item).await["code"], "bad_request", "{item}");
    }
}

/// The table of the contract, and what is not of it, against the example.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_moves_nothing_that_it_must_not() {
    let street = Street::on::<Embedded>(1, 90, &[]).await;
    let example = Example::start(&street, "p01");
    let peers = Peers::new(street.config.wallets.outbound().unwrap());
    let keys = PeerKeys {
        ours: vec![platform(OPERATOR_KEY)],
        theirs: vec![street.keys["p01"].replies().verifying()],
    };
    peers.set("p01", &example.url, keys).unwrap();
    let pool = HttpOptions {
        connect_wait_max: Duration::from_secs(5),
        idle_max: Duration::from_secs(4),
        idle_connections_max: 4,
    };
    let asker = Asker { client: peers.client(pool), peers };

    assert_eq!(asker.said(AUTHORIZE_PATH, &stake("a", "1000")).await["decision"], "approved");
    let again = asker.said(AUTHORIZE_PATH, &stake("a", "1000")).await;
    assert_eq!((&again["decision"], &again["replayed"]), (&json!("approved"), &json!(true)));
    for (body, status, code) in [
        (stake("a", "1001"), 422, "revision_conflict"),
        (stake("new", "12.9"), 400, "bad_request"),
        (stake("new", "0"), 400, "bad_request"),
        (stake("new", "-5"), 400, "bad_request"),
        (stake("new", "99999999999999999999"), 400, "bad_request"),
    ] {
        let answer = asker.post(AUTHORIZE_PATH, &body).await;
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, said["code"].as_str()), (status, Some(code)), "{body}");
    }
    let rich = asker.said(AUTHORIZE_PATH, &stake("rich", "999999999")).await;
    assert_eq!(rich["code"], "insufficient_funds");
    for (item, code) in [
        (item("a", 3, "half_won", "1"), "bad_request"),
        (item("a", 3, "settled", "-500"), "bad_request"),
        (item("a", 2, "settled", "500"), "bad_request"),
        (item("a", 1, "voided", "0"), "bad_request"),
        (item("unseen", 3, "settled", "500"), "unknown_bet"),
        (item("rich", 3, "settled", "500"), "invalid_transition"),
    ] {
        let said = asker.item(&item).await;
        assert_eq!((&said["outcome"], &said["code"]), (&json!("rejected"), &json!(code)), "{said}");
    }
    refuses_what_is_no_item(&asker).await;
    // A void of a bet that was never seen: whatever comes later finds it voided.
    assert_eq!(asker.item(&item("early", 4, "voided", "0")).await["outcome"], "applied");
    assert_eq!(asker.item(&item("early", 5, "settled", "500")).await["code"], "invalid_transition");
    assert_eq!(asker.said(AUTHORIZE_PATH, &stake("early", "1000")).await["decision"], "voided");
    // Its row was lost with a backup: stake and payout at once, and then it is a row like any other.
    let mut lost = item("lost", 3, "settled", "1500");
    lost["recover"] = json!(true);
    assert_eq!(asker.item(&lost).await["moved"], "500");
    assert_eq!(asker.item(&lost).await["replayed"], true);
    assert_eq!(asker.item(&item("lost", 4, "settled", "0")).await["moved"], "-1500");
    assert_eq!(asker.item(&item("lost", 5, "voided", "0")).await["moved"], "1000");
    // A final void names another stake, twice.
    asker.said(AUTHORIZE_PATH, &stake("b", "700")).await;
    for replayed in [false, true] {
        let said = asker.item(&item("b", 2, "voided", "0")).await;
        assert_eq!((&said["outcome"], &said["replayed"]), (&json!("applied"), &json!(replayed)));
    }
    // The balance follows each state, and an old one moves nothing.
    for (revision, payout, moved) in [(3, "500", "500"), (5, "900", "400"), (4, "100", "0")] {
        let said = asker.item(&item("a", revision, "settled", payout)).await;
        assert_eq!(said["moved"], moved, "{said}");
    }
    let row = asker.said(QUERY_PATH, &json!({"bet_ids": ["r:a"]})).await["rows"][0].clone();
    assert_eq!((&row["revision"], &row["collected_net"]), (&json!(5), &json!("-100")));
    let conflict = asker.item(&item("a", 5, "settled", "901")).await;
    assert_eq!(conflict["code"], "revision_conflict");
    let many: Vec<Value> = (0..501).map(|n| item(&format!("m{n}"), 2, "voided", "0")).collect();
    let many = json!({"op": "state", "chunk_id": "c", "traffic": "void", "items": many});
    assert_eq!(asker.post(STATE_PATH, &many).await.status, 413);
}
