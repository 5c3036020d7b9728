//! How fast the wallet is on this machine, over real HTTP; prints, asserts nothing.
//!
//! `cargo run --release -p partner-kit --example load`

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use partner_kit::faults::FaultSettings;
use partner_kit::journal::Durability;
use partner_kit::register::{ClawBack, LedgerOptions, Register};
use partner_kit::{Keep, Orders, WalletKeys, WalletOptions, serve, system_clock};
use schemas::contract::{AUTHORIZE_PATH, AuthorizeRequest, STATE_PATH, StateItem};
use serde_json::{Value, json};
use signing::{SecretKey, sign};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

type Error = Box<dyn std::error::Error + Send + Sync>;

const BETS: usize = 10_000;
const CONNECTIONS: usize = 8;
const CHUNKS: usize = 20;

fn main() -> Result<(), Error> {
    measure_register()?;
    let dir = std::env::temp_dir().join(format!("partner-kit-load-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    for (name, keep) in [
        ("in memory", Keep::InMemory),
        ("no fsync", Keep::File(dir.join("no_fsync.jsonl"), Durability::NoFsync)),
        ("fsync", Keep::File(dir.join("fsync.jsonl"), Durability::Fsync)),
    ] {
        // The wallet has one core to itself, the client another.
        let server =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = server.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let served = server.spawn(serve(options(keep), listener, stop.clone()));
        let client = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        client.block_on(measure(name, address))?;
        stop.cancel();
        server.block_on(served)??;
    }
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// The ledger alone: no HTTP, no JSON, no journal.
fn measure_register() -> Result<(), Error> {
    let mut register = Register::new(options(Keep::InMemory).ledger);
    let requests: Vec<AuthorizeRequest> =
        (0..BETS).map(|bet| serde_json::from_value(ask(bet))).collect::<Result<_, _>>()?;
    let items: Vec<StateItem> = (0..BETS)
        .map(|bet| serde_json::from_value(settled(bet, 3, 2500)))
        .collect::<Result<_, _>>()?;
    let start = Instant::now();
    let held = requests.iter().map(|request| register.authorize(1, request).1.len()).sum::<usize>();
    let authorizes = start.elapsed();
    let start = Instant::now();
    let moved = items.iter().map(|item| register.state(item).1.len()).sum::<usize>();
    let states = start.elapsed();
    if held != BETS || moved != BETS {
        return Err("a call was refused".into());
    }
    let nanos = |took: Duration| took.as_nanos() / u128::try_from(BETS).unwrap_or(1);
    println!("register: {} ns an authorize, {} ns an item", nanos(authorizes), nanos(states));
    Ok(())
}

async fn measure(name: &str, address: SocketAddr) -> Result<(), Error> {
    let bodies = (0..BETS).map(|bet| ask(bet).to_string()).collect();
    let ms = post_all(address, AUTHORIZE_PATH, bodies).await?;
    let rate = u128::try_from(BETS)? * 1000 / ms.max(1);
    println!("{name}: {BETS} authorizes over {CONNECTIONS} connections: {ms} ms, {rate}/s");
    for (revision, payout) in [(3, 2500), (4, 0), (5, 1000)] {
        let items: Vec<Value> = (0..BETS).map(|bet| settled(bet, revision, payout)).collect();
        let chunk = |items: &[Value]| {
            let chunk = json!({"op": "state", "chunk_id": "c", "traffic": "live", "items": items});
            chunk.to_string()
        };
        let bodies = items.chunks(BETS / CHUNKS).map(chunk).collect();
        let ms = post_all(address, STATE_PATH, bodies).await?;
        println!("{name}: {BETS} items in {CHUNKS} chunks, revision {revision}: {ms} ms");
    }
    Ok(())
}

/// Posts the bodies, the connections taking turns; gives the ms until the last answer.
async fn post_all(
    address: SocketAddr,
    path: &'static str,
    bodies: Vec<String>,
) -> Result<u128, Error> {
    let mut shares = vec![Vec::new(); CONNECTIONS];
    for (index, body) in bodies.into_iter().enumerate() {
        shares[index % CONNECTIONS].push(Bytes::from(body));
    }
    let mut lines = Vec::new();
    for share in shares {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (line, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        lines.push((line, share));
    }
    let start = Instant::now();
    let mut posting = JoinSet::new();
    for (line, share) in lines {
        posting.spawn(post(line, path, share));
    }
    while let Some(posted) = posting.join_next().await {
        posted??;
    }
    Ok(start.elapsed().as_millis())
}

async fn post(
    mut line: SendRequest<Full<Bytes>>,
    path: &'static str,
    bodies: Vec<Bytes>,
) -> Result<(), Error> {
    for body in bodies {
        let now_s = system_clock()().div_euclid(1_000);
        let headers = sign(&[key()], "m_1", now_s, &body).ok_or("the id is no header")?;
        let mut request = Request::post(path).header("host", "wallet").body(Full::new(body))?;
        request.headers_mut().extend(HeaderMap::from_iter(headers));
        line.ready().await?;
        let answer = line.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let applied = status == 200 && !body.windows(8).any(|word| word == b"rejected");
        if !applied {
            return Err(String::from_utf8_lossy(&body).into_owned().into());
        }
    }
    Ok(())
}

/// Both sides sign with it.
fn key() -> SecretKey {
    SecretKey::of_seed(&[1; 32])
}

fn options(keep: Keep) -> WalletOptions {
    WalletOptions {
        ledger: LedgerOptions {
            partner: "acme".parse().unwrap_or_else(|_| std::process::exit(2)),
            currencies: "EUR".parse().into_iter().map(|euro| (euro, 2)).collect::<BTreeMap<_, _>>(),
            opening_units: 1_000_000,
            claw_back: ClawBack::Negative,
            ledger_epoch: 1,
        },
        keys: WalletKeys { platform: vec![key().verifying()], own: vec![key()] },
        keep,
        faults: FaultSettings::NONE,
        seed: 1,
        requests_max: 1024,
        takes: partner_kit::Takes::ALL,
        clock: system_clock(),
        orders: Orders::default(),
    }
}

fn money(units: i64) -> Value {
    json!({"units": units.to_string(), "currency": "EUR", "exponent": 2})
}

fn ask(bet: usize) -> Value {
    let bet_id = format!("01a5b3c2-1111-7222-8333-944455566677:b{bet:026}");
    json!({
        "op": "authorize", "message_id": format!("{bet_id}:1"), "bet_id": bet_id, "revision": 1,
        "round_id": "01a5b3c2-1111-7222-8333-944455566677", "partner_id": "acme",
        "partner_player_id": format!("player-{bet}"), "session_token": "opaque",
        "stake": money(1000), "placed_at": "2026-06-01T12:00:00.000Z",
        "expires_at": "2999-01-01T00:00:00.000Z",
    })
}

fn settled(bet: usize, revision: u32, payout: i64) -> Value {
    json!({
        "bet_id": format!("01a5b3c2-1111-7222-8333-944455566677:b{bet:026}"),
        "revision": revision, "target": "settled", "result_version": revision - 2,
        "round_id": "01a5b3c2-1111-7222-8333-944455566677", "partner_id": "acme",
        "partner_player_id": format!("player-{bet}"), "stake": money(1000),
        "payout": money(payout), "reason": "result",
    })
}
