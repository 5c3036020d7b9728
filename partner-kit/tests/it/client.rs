//! A plain HTTP client and a wallet to ask, each test its own.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::http::request::Builder;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use partner_kit::faults::FaultSettings;
use partner_kit::journal::{Durability, Journal, Storage};
use partner_kit::register::{ClawBack, LedgerOptions, Register};
use partner_kit::{
    Keep, Orders, ServeError, Takes, Wallet, WalletKeys, WalletOptions, serve, serve_wallet,
    system_clock,
};
use schemas::contract::get_id;
use serde_json::{Value, json};
use signing::{SecretKey, sign, verify_reply};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An answer, with its body as JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// One connection.
pub(crate) struct Line(SendRequest<Full<Bytes>>);

impl Line {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::try_to(address).await.unwrap()
    }

    /// A connection to a server that may be killed at any moment, also now.
    pub(crate) async fn try_to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let shaken = handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    pub(crate) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, hyper::Error> {
        let of_contract = request.uri().path().starts_with("/wallet/");
        let asked = id_of(&request);
        let (parts, bytes) = self.exchange(request).await?.into_parts();
        if of_contract && parts.status == 200 {
            let keys = [wallet_key().verifying()];
            verify_reply(&keys, &parts.headers, now_s(), &asked, &bytes).unwrap();
        }
        let body = serde_json::from_slice(&bytes).unwrap();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// The answer as it comes, verified by nobody.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, hyper::Error> {
        self.0.ready().await?;
        let (parts, body) = self.0.send_request(request).await?.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Answer, hyper::Error> {
        self.ask(posted(path, body.to_string())).await
    }
}

pub(crate) fn posted(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    signed(Request::post(path), body.into())
}

/// The id of every message with a body.
const MESSAGE: &str = "m_1";

/// What the platform signs with.
pub(crate) fn platform_key() -> SecretKey {
    SecretKey::of_seed(&[1; 32])
}

/// What the wallet signs with.
pub(crate) fn wallet_key() -> SecretKey {
    SecretKey::of_seed(&[2; 32])
}

pub(crate) fn now_s() -> i64 {
    system_clock()().div_euclid(1_000)
}

/// A `GET` says in its id whose it is and which.
fn id_of<B>(request: &Request<B>) -> String {
    let path = request.uri().path_and_query().unwrap().as_str();
    if request.method() == "GET" { get_id("acme", path) } else { MESSAGE.to_owned() }
}

/// A message of the platform.
pub(crate) fn signed(request: Builder, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = request.header("host", "wallet").body(Full::new(body.clone())).unwrap();
    let headers = sign(&[platform_key()], &id_of(&request), now_s(), &body).unwrap();
    request.headers_mut().extend(HeaderMap::from_iter(headers));
    request
}

/// A wallet of partner `acme` in this process, on a port of its own.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    pub(crate) async fn start(options: WalletOptions) -> Self {
        let (listener, address, shutdown) = port().await;
        let ended = tokio::spawn(serve(options, listener, shutdown.clone()));
        Self { address, shutdown, ended }
    }

    /// A wallet whose journal is in `storage`.
    pub(crate) async fn on(storage: impl Storage, options: WalletOptions) -> Self {
        let (listener, address, shutdown) = port().await;
        let register = Register::new(options.ledger.clone());
        let journal = Journal::start(storage).unwrap();
        let wallet = Wallet::with(register, journal, system_clock());
        let stop = shutdown.clone();
        let ended =
            tokio::spawn(async move { serve_wallet(wallet, &options, listener, stop).await });
        Self { address, shutdown, ended }
    }

    /// A wallet without a journal, with these faults.
    pub(crate) async fn faulty(faults: FaultSettings) -> Self {
        Self::start(WalletOptions { faults, ..options(Keep::InMemory) }).await
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.ended.await.unwrap().unwrap();
    }

    /// Asks over a connection of its own.
    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> Result<Answer, hyper::Error> {
        Line::to(self.address).await.post(path, body).await
    }

    /// Asks over a connection of its own; there must be an answer.
    pub(crate) fn post(
        &self,
        path: &'static str,
        body: &Value,
    ) -> impl Future<Output = Answer> + use<> {
        let (address, body) = (self.address, body.clone());
        async move { Line::to(address).await.post(path, &body).await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let request = signed(Request::get(path), Bytes::new());
        let answer = Line::to(self.address).await.ask(request).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// How many times a fault happened, by its name in `/stats`.
    pub(crate) async fn count(&self, fault: &str) -> u64 {
        self.get("/stats").await["faults"][fault].as_u64().unwrap()
    }

    /// The row of a bet: its revision and status.
    pub(crate) async fn row(&self, bet: &str) -> (u64, String) {
        let answer = self.post("/wallet/v1/bets/query", &json!({"bet_ids": [id(bet)]})).await;
        let row = &answer.body["rows"][0];
        (row["revision"].as_u64().unwrap(), row["status"].as_str().unwrap().to_owned())
    }

    /// The free balance of the one player, in minor units.
    pub(crate) async fn free(&self) -> i64 {
        let shown = self.get("/players?player=p_9").await;
        shown["balance"]["units"].as_str().unwrap().parse().unwrap()
    }
}

async fn port() -> (TcpListener, SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address, CancellationToken::new())
}

pub(crate) fn options(keep: Keep) -> WalletOptions {
    WalletOptions {
        ledger: LedgerOptions {
            partner: "acme".parse().unwrap(),
            currencies: BTreeMap::from([("EUR".parse().unwrap(), 2)]),
            opening_units: 1_000_000,
            claw_back: ClawBack::Negative,
            ledger_epoch: 1,
        },
        keys: WalletKeys { platform: vec![platform_key().verifying()], own: vec![wallet_key()] },
        keep,
        faults: FaultSettings::NONE,
        seed: 42,
        requests_max: 1024,
        takes: Takes::ALL,
        clock: system_clock(),
        orders: Orders::default(),
    }
}

pub(crate) fn in_file(path: &Path) -> WalletOptions {
    options(Keep::File(path.to_owned(), Durability::Fsync))
}

pub(crate) fn id(bet: &str) -> String {
    format!("r_1:{bet}")
}

fn euro(units: i64) -> Value {
    json!({"units": units.to_string(), "currency": "EUR", "exponent": 2})
}

/// An authorize of 1000 by player `p_9`.
pub(crate) fn ask(bet: &str) -> Value {
    json!({
        "op": "authorize", "message_id": format!("{}:1", id(bet)), "bet_id": id(bet), "revision": 1,
        "round_id": "r_1", "game_id": "g_1", "partner_id": "acme", "partner_player_id": "p_9",
        "session_token": "opaque", "stake": euro(1000), "selection": "red",
        "placed_at": "2026-06-01T12:00:00.000Z", "expires_at": "2999-01-01T00:00:00.000Z",
    })
}

pub(crate) fn settled(bet: &str, revision: u32, payout: i64) -> Value {
    json!({
        "bet_id": id(bet), "revision": revision, "target": "settled", "round_id": "r_1",
        "result_version": 1, "partner_id": "acme", "partner_player_id": "p_9",
        "stake": euro(1000), "payout": euro(payout), "reason": "result",
    })
}

pub(crate) fn voided(bet: &str, revision: u32) -> Value {
    json!({
        "bet_id": id(bet), "revision": revision, "target": "voided", "round_id": "r_1",
        "partner_id": "acme", "partner_player_id": "p_9", "stake": euro(1000),
        "reason": "bet_rejected",
    })
}

pub(crate) fn chunk(items: impl Into<Vec<Value>>) -> Value {
    json!({"op": "state", "chunk_id": "c_1", "traffic": "live", "items": items.into()})
}

pub(crate) const AUTHORIZE: &str = schemas::contract::AUTHORIZE_PATH;
pub(crate) const STATE: &str = schemas::contract::STATE_PATH;
