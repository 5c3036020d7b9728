//! Whatever callers and wallets put into a field ends no line: not in a log of either format, not in a head, not in what
//! commands print.

use crate::bad_input::raw::{Answer, send};
use crate::bad_input::scene::placed;
use crate::house::{EXE, OPERATOR_KEY, Street, WAIT_MAX};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, HeaderValue, Method, Uri};
use roundhouse::rig::api::Api;
use roundhouse::rig::processes::free_ports;
use runtime::{Clock, Embedded, SystemClock};
use schemas::contract::{AUTHORIZE_PATH, QUERY_PATH, STATE_PATH};
use serde_json::{Value, json};
use signing::{ID, SecretKey, sign};
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// A line of each format behind each end of a line, a header, and what moves a cursor.
const EVIL: &str = "\u{9b}31m\u{1b}[2K\u{7f}\r\n2026-12-01T00:00:00.000000Z  WARN forged: all is well\n\
                    {\"timestamp\":\"2026-12-01T00:00:00.000000Z\",\"level\":\"WARN\",\"target\":\"forged\"}\r\
                    x-forged: yes\r\n\u{1b}[2Kred\u{9b}31m\u{85}\u{7f}";
/// What of it a header may have: bytes above ASCII.
const EVIL_HEADER: &[u8] = b"x\x9b31m {\"target\":\"forged\"}";
const LOOK_PERIOD: Duration = Duration::from_millis(100);

fn evil_in_url() -> String {
    EVIL.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// A wallet that says it wherever it says anything, signed; and the heads that it was sent.
#[derive(Clone)]
struct Wallet {
    key: SecretKey,
    heads: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Wallet {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer =
            async |State(wallet): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes| {
                wallet.answer(uri.path(), &headers, &body)
            };
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    fn answer(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> (HeaderMap, String) {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = match path {
            AUTHORIZE_PATH => authorized(&asked),
            STATE_PATH => {
                let items = asked["items"].as_array().unwrap().iter();
                let results: Vec<Value> = items.enumerate().map(item).collect();
                json!({"chunk_id": asked["chunk_id"], "results": results})
            }
            QUERY_PATH => json!({"rows": [row()]}),
            _ if path.ends_with("/close") => json!({
                "round_id": asked["round_id"], "result_version": asked["result_version"],
                "totals": [], "open_holds": 0, "digest": EVIL,
            }),
            _ if path.ends_with("/bets") => json!({
                "round_id": path.split('/').nth_back(1), "rows": [row()], "next": EVIL,
            }),
            _ => json!({"status": EVIL, "version": EVIL, "code": EVIL}),
        };
        let said = said.to_string();
        let (id, now_s) = (headers[ID].to_str().unwrap(), SystemClock.now() / 1_000);
        let signed = sign(std::slice::from_ref(&self.key), id, now_s, said.as_bytes()).unwrap();
        let mut told = HeaderMap::from_iter(signed);
        for name in ["x-evil", "retry-after", "server"] {
            told.insert(name, HeaderValue::from_bytes(EVIL_HEADER).unwrap());
        }
        self.heads.lock().unwrap().push(headers.clone());
        (told, said)
    }
}

/// The stake of every player but one is declined.
fn authorized(asked: &Value) -> Value {
    let taken = asked["partner_player_id"] == "taken";
    let (decision, status) = if taken { ("approved", "held") } else { ("declined", "declined") };
    json!({
        "message_id": asked["message_id"], "bet_id": asked["bet_id"], "revision": 1,
        "decision": decision, "status": status, "code": EVIL, "player_message": EVIL,
        "partner_ref": EVIL, "replayed": false,
    })
}

/// A code that nobody knows, an amount that is none, a bet that there is not: by turns.
fn item((number, item): (usize, &Value)) -> Value {
    let (bet, revision) = (&item["bet_id"], &item["revision"]);
    match number % 3 {
        0 => json!({"bet_id": bet, "revision": revision, "outcome": "applied", "partner_ref": EVIL,
            "collected_net": EVIL, "shortfall": EVIL}),
        1 => json!({"bet_id": bet, "revision": revision, "outcome": "rejected", "code": EVIL}),
        _ => json!({"bet_id": EVIL, "revision": revision, "outcome": "applied"}),
    }
}

fn row() -> Value {
    json!({"bet_id": EVIL, "revision": 3, "status": "settled", "code": EVIL, "partner_ref": EVIL})
}

/// A wallet that answers no HTTP.
async fn no_http() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut faces = [
            EVIL.to_owned(),
            format!("HTTP/1.1 200 {EVIL}\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\nx-evil: {EVIL}\r\n\r\n"),
            format!("HTTP/1.1 500 No\r\ncontent-length: {}\r\n\r\n{EVIL}", EVIL.len()),
        ]
        .into_iter()
        .cycle();
        while let Ok((mut stream, _)) = listener.accept().await {
            let face = faces.next().unwrap_or_default();
            tokio::spawn(async move {
                let mut asked = [0; 10_000];
                if stream.read(&mut asked).await.is_ok() {
                    stream.write_all(face.as_bytes()).await.ok();
                }
            });
        }
    });
    url
}

/// A server whose log is read.
struct Server {
    api: Api,
    host: String,
    admin: String,
    child: tokio::process::Child,
    log: std::path::PathBuf,
}

impl Server {
    async fn start(street: &Street, config: &Path, format: &str) -> Self {
        let port = free_ports(2).unwrap();
        let (host, admin) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1));
        let log = street.directory.path().join("log");
        let child = Command::new(EXE)
            .args(["--log", "trace", "--log-format", format, "serve", "--listen", &host])
            .args(["--admin-listen", &admin, "--config"])
            .arg(config)
            .arg("--data-dir")
            .arg(street.directory.path())
            .stderr(Stdio::from(File::create(&log).unwrap()))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let api = Api::new(format!("http://{host}"), OPERATOR_KEY.to_owned());
        api.ready(WAIT_MAX).await.unwrap();
        Self { api, host, admin: format!("http://{admin}"), child, log }
    }

    async fn say(&self, method: Method, path: &str, bearer: &str, body: &Value) -> (u16, Value) {
        let reply = self.api.call(method, path, bearer, Some(body)).await.unwrap();
        (reply.status, reply.body)
    }
}

/// `body` with each text in it replaced, one after the other.
fn each_field(body: &Value) -> Vec<Value> {
    let Value::Object(fields) = body else { return Vec::new() };
    let mut bodies = Vec::new();
    for (name, value) in fields {
        let within = if value.is_object() { each_field(value) } else { vec![json!(EVIL)] };
        bodies.extend(within.into_iter().map(|other| {
            let mut body = body.clone();
            body[name] = other;
            body
        }));
    }
    bodies.push(json!({ EVIL: EVIL }));
    bodies
}

/// Every field of every call, where it is refused and where it is taken.
async fn say_everywhere(server: &Server, street: &Street, wager: &Value) {
    let now = SystemClock.now();
    let player = street.keys["p01"].token("player", now);
    let post = |path: &str, bearer: &str, body: Value| (path.to_owned(), bearer.to_owned(), body);
    let round = json!({"round_id": "n", "game": "die", "betting_ms": 1_000, "request_id": "n",
        "selections": [{"id": EVIL, "odds": EVIL}]});
    let partner = json!({"partner_id": "p03", "wallet_url": "http://127.0.0.1:1", "reason": "new",
        "token_key": street.keys["p01"].public()});
    let event = json!({"event_id": "e", "coefficient": "1.5", "deadline": "soon"});
    let mut calls = vec![];
    for (path, bearer, body) in [
        ("/v1/bets", &*player, wager.clone()),
        ("/v1/rounds", OPERATOR_KEY, round),
        (
            "/v1/rounds/r/result",
            OPERATOR_KEY,
            json!({"replaces": 0, "outcome": "3", "request_id": "q"}),
        ),
        (
            "/v1/rounds/r/correct",
            OPERATOR_KEY,
            json!({"replaces": 7, "outcome": "3", "reason": "q"}),
        ),
        ("/v1/partners", OPERATOR_KEY, partner),
        ("/line-provider/events", "", event),
        ("/bet-maker/bet", "", json!({"event_id": "e", "amount": "1.00"})),
    ] {
        calls.extend(each_field(&body).into_iter().map(|body| post(path, bearer, body)));
    }
    // What is free text is taken, and stands in the log of rounds and partners.
    let because = json!({ "reason": EVIL });
    calls.push(post("/v1/partners/p01/pause", OPERATOR_KEY, because.clone()));
    calls.push(post("/v1/partners/p01/resume", OPERATOR_KEY, because));
    for (path, bearer, body) in calls {
        server.say(Method::POST, &path, &bearer, &body).await;
    }
    let of_admin = Api::new(server.admin.clone(), String::new());
    let filter = json!({ "filter": format!("trace,{EVIL}") });
    of_admin.call(Method::PUT, "/admin/log", "", Some(&filter)).await.unwrap();
    for path in ["/v1/rounds/{}", "/v1/bets/{}", "/v1/partners/{}", "/{}", "/v1/rounds?after={}"] {
        let path = path.replace("{}", &evil_in_url());
        for bearer in [OPERATOR_KEY, &*player] {
            server.api.call(Method::GET, &path, bearer, None).await.unwrap();
        }
    }
    let evil_player = street.keys["p01"].token(EVIL, now);
    server.say(Method::POST, "/v1/bets", &evil_player, wager).await;
}

/// Heads that no client of ours would send; nothing of them comes back in a head.
async fn say_in_heads(server: &Server) {
    let get = |line: &[u8], header: &[u8]| {
        [b"GET ", line, b" HTTP/1.1\r\nhost: h\r\nconnection: close\r\n", header, b"\r\n\r\n"]
            .concat()
    };
    let evil = evil_in_url();
    for request in [
        get(b"/v1/rounds/r", &[b"authorization: Bearer ", EVIL_HEADER].concat()),
        get(b"/v1/rounds/r", &[b"partner-id: ", EVIL_HEADER].concat()),
        get(b"/v1/rounds/r", &[b"traceparent: ", EVIL_HEADER].concat()),
        get(b"/v1/rounds/r", b"x-evil: \x1b[2K"),
        get(b"/v1/\x1b[2Kbets", b"x: y"),
        get(b"/v1/r\n{\"target\":\"forged\"}", b"x: y"),
        get(format!("/v1/rounds/{evil}?{evil}").as_bytes(), b"accept: */*"),
        EVIL.as_bytes().to_vec(),
    ] {
        let Answer { head, .. } = send(&server.host, &request).await;
        assert!(!head.contains("x-forged"), "{head}");
    }
}

/// What commands print has lines and nothing else.
fn printed(config: &Path, arguments: &[&str]) {
    let mut command = std::process::Command::new(EXE);
    command.args(arguments).env("ROUNDHOUSE_OPERATOR_KEY", OPERATOR_KEY);
    if !arguments.contains(&"--target") {
        command.arg("--config").arg(config);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("forged") || arguments.contains(&"parked"), "{arguments:?}: {text}");
    one_line_each(&text, |line| !line.starts_with("2026-12-01T00:00:00.000000Z  WARN"));
}

/// No control character but the ends of lines, and every line is `good`.
fn one_line_each(text: &str, good: impl Fn(&str) -> bool) {
    for line in text.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(good(line), "forged: {line:?}");
    }
}

async fn nothing_is_forged(format: &str, good: impl Fn(&str) -> bool) {
    let mut street = Street::on::<Embedded>(2, 151, &[]).await;
    let wallet = Wallet { key: street.keys["p01"].replies(), heads: Arc::default() };
    street.config.partners[0].wallet_url = wallet.start().await;
    street.config.partners[1].wallet_url = no_http().await;
    let secret = street.keys["p01"].secret();
    let config = street.file(&format!(
        "[reconciler]\nclose_after_s = 0\n[simple]\nopen = true\npartner = \"p01\"\n\
         player = \"bet-maker\"\ncurrency = \"EUR\"\npartner_secret = \"{secret}\""
    ));
    let mut server = Server::start(&street, &config, format).await;
    server.api.open_die("r", 600_000, 100).await.unwrap();
    let now = SystemClock.now();
    let (taken, player) =
        (street.keys["p01"].token("taken", now), street.keys["p01"].token("player", now));
    let mut bets = Vec::new();
    for (number, mut wager) in street.wagers("r", 6, 1).into_iter().enumerate() {
        wager.body["client_ref"] = json!(format!("mine-{number}"));
        let told = placed(&server.api, &taken, &wager.body).await;
        assert_eq!(told.status, 201, "{}", told.body);
        bets.push(format!("/v1/bets/{}", told.text("bet_id")));
    }
    let wager = street.wagers("r", 1, 2).remove(0).body;
    assert_eq!(placed(&server.api, &player, &wager).await.status, 422);
    let of_other = street.keys["p02"].token("player", now);
    placed(&server.api, &of_other, &wager).await;
    say_everywhere(&server, &street, &wager).await;
    say_in_heads(&server).await;
    server.api.close("r").await.unwrap();
    let reason = json!({"replaces": 0, "reason": EVIL});
    server.api.operate("/v1/rounds/r/void", &reason).await.unwrap();
    let begun = Instant::now();
    loop {
        let mut parked = false;
        for path in &bets {
            let told = server.api.call(Method::GET, path, &taken, None).await.unwrap();
            parked |= told.body["timeline"].to_string().contains("parked");
        }
        let closed = wallet.heads.lock().unwrap().len();
        if parked && 20 < closed {
            break;
        }
        assert!(begun.elapsed() < WAIT_MAX, "parked: {parked}, {closed} calls");
        sleep(LOOK_PERIOD).await;
    }
    for heads in wallet.heads.lock().unwrap().iter() {
        assert!(!heads.contains_key("x-forged"), "{heads:?}");
    }
    let target = format!("http://{}", server.host);
    let set = ["partner", "set", "p01", "--stakes-per-s", "700", "--reason", EVIL];
    for command in [&["partner", "list"][..], &set, &["partner", "show", "p01"]] {
        printed(&config, &[command, &["--target", &target]].concat());
    }
    server.child.kill().await.unwrap();
    let log = std::fs::read(&server.log).unwrap();
    // The last line may have been cut off by the kill.
    let whole = log.iter().rposition(|byte| *byte == b'\n').unwrap();
    let log = String::from_utf8(log[..whole].to_vec()).unwrap();
    assert!(log.contains("WARN") && log.contains("DEBUG"));
    one_line_each(&log, good);
    let data = street.directory.path().to_str().unwrap();
    printed(&config, &["operator", "acts", "--data-dir", data]);
    printed(&config, &["parked", "list", "--data-dir", data]);
    printed(&config, &["topics", "tail", "rounds", "--data-dir", data]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_forges_a_line_of_json() {
    nothing_is_forged("json", |line| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        line["timestamp"].is_string() && line["target"] != "forged"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_forges_a_line_of_text() {
    nothing_is_forged("text", |line| {
        let mut words = line.split_whitespace();
        let (time, level) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let ours = time.len() == "2026-12-01T00:00:00.000000Z".len() && time.ends_with('Z');
        let levels = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
        ours && levels.contains(&level) && words.next() != Some("forged:")
    })
    .await;
}
