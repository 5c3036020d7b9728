//! Doors before wallets: calls of `/bets/state` are noted as they arrive, and a shut door lets none through.

use anyhow::Context;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use runtime::{Clock, SystemClock};
use schemas::contract::{STATE_PATH, StateRequest};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What busy wallets ask for in `Retry-After`, in s: within what is honoured, and longer than a breaker waits at first.
pub(super) const RETRY_AFTER_S: u64 = 3;
/// Connections to a wallet that are kept without a call.
const IDLE_MAX: usize = 4;
const IDLE_WAIT_MAX: Duration = Duration::from_secs(4);

/// How a door that is shut sends callers away; doors take turns.
#[derive(Clone, Copy, Debug)]
enum Shut {
    /// The connection ends without an answer, as at a port where nobody listens.
    Ends,
    /// 503.
    Busy,
    /// 503 with `Retry-After`.
    BusyFor,
}

/// A call of `/bets/state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Whose wallet was called, by number.
    pub(super) partner: usize,
    /// When it arrived, in ms since the Unix epoch.
    pub(super) at: i64,
    /// How it was sent away; `None` if it was let through.
    pub(super) refused: Option<Refused>,
}

/// What a door that was shut did with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// When it was sent away, in ms since the Unix epoch.
    pub(super) at: i64,
    /// How long its caller was asked to stay away, in ms; 0 if it was not.
    pub(super) retry_after_ms: i64,
    /// The (bet, revision) in it, as numbers.
    pub(super) items: Vec<u64>,
}

/// The doors of some wallets, each on a port of its own.
#[derive(Debug)]
pub(super) struct Doors {
    /// Where they are, by partner.
    pub(super) urls: BTreeMap<String, String>,
    hall: Arc<Hall>,
    _served: JoinSet<()>,
}

/// What all doors share.
#[derive(Debug)]
struct Hall {
    client: Client<HttpConnector, Full<Bytes>>,
    /// How long a wallet takes to answer, and a door to send away.
    latency: Duration,
    shut: AtomicBool,
    calls: Mutex<Vec<Call>>,
}

#[derive(Debug)]
struct Door {
    hall: Arc<Hall>,
    partner: usize,
    wallet: String,
}

impl Doors {
    /// Opens a door before each of the `wallets`, which answer after `latency`.
    ///
    /// # Errors
    /// If there is no port.
    pub(super) async fn open(
        wallets: &BTreeMap<String, String>,
        latency: Duration,
    ) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_WAIT_MAX)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        let (shut, calls) = (AtomicBool::new(false), Mutex::default());
        let hall = Arc::new(Hall { client, latency, shut, calls });
        let (mut urls, mut served) = (BTreeMap::new(), JoinSet::new());
        for (partner, (name, wallet)) in wallets.iter().enumerate() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.context("there is no port for a door")?;
            let address = listener.local_addr().context("a port cannot be told")?;
            urls.insert(name.clone(), format!("http://{address}"));
            let door = Door { hall: Arc::clone(&hall), partner, wallet: wallet.clone() };
            served.spawn(serve(listener, Arc::new(door)));
        }
        Ok(Self { urls, hall, _served: served })
    }

    /// Shuts all doors, or opens them again.
    pub(super) fn shut(&self, shut: bool) {
        self.hall.shut.store(shut, Ordering::SeqCst);
    }

    /// The calls since the last look, in the order in which they were noted.
    pub(super) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.hall.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(listener: TcpListener, door: Arc<Door>) {
    let mut conversations = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let door = Arc::clone(&door);
        conversations.spawn(async move {
            let pass = |request| Arc::clone(&door).pass(request);
            let served =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(pass));
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection ended badly");
            }
        });
        while conversations.try_join_next().is_some() {}
    }
}

impl Door {
    /// An error ends the connection.
    async fn pass(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> anyhow::Result<Response<Full<Bytes>>> {
        let at = SystemClock.now();
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.context("a call broke off")?.to_bytes();
        let noted = parts.uri.path() == STATE_PATH;
        if self.hall.shut.load(Ordering::SeqCst) {
            return self.refuse(at, noted.then_some(&body)).await;
        }
        if noted {
            self.note(at, None);
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", self.wallet).parse().context("this is no address")?;
        let request = Request::from_parts(parts, Full::new(body));
        let answer = self.hall.client.request(request).await.context("the wallet is away")?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.context("an answer broke off")?.to_bytes();
        Ok(Response::from_parts(parts, Full::new(body)))
    }

    async fn refuse(
        &self,
        at: i64,
        state: Option<&Bytes>,
    ) -> anyhow::Result<Response<Full<Bytes>>> {
        let items = state.map(items).transpose()?;
        sleep(self.hall.latency).await;
        let shut = match self.partner % 3 {
            0 => Shut::Ends,
            1 => Shut::Busy,
            _ => Shut::BusyFor,
        };
        let asked = matches!(shut, Shut::BusyFor).then_some(RETRY_AFTER_S);
        if let Some(items) = items {
            let retry_after_ms = i64::try_from(asked.unwrap_or_default() * 1_000)?;
            self.note(at, Some(Refused { at: SystemClock.now(), retry_after_ms, items }));
        }
        if matches!(shut, Shut::Ends) {
            anyhow::bail!("nobody is here");
        }
        let busy = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
        let busy = asked.into_iter().fold(busy, |busy, s| busy.header(RETRY_AFTER, s));
        busy.body(Full::default()).context("a 503 cannot be made")
    }

    fn note(&self, at: i64, refused: Option<Refused>) {
        let call = Call { partner: self.partner, at, refused };
        self.hall.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// What is in a chunk.
fn items(body: &Bytes) -> anyhow::Result<Vec<u64>> {
    let chunk: StateRequest = serde_json::from_slice(body).context("a call says nothing")?;
    let number = |(bet, revision): (&str, u32)| {
        let mut hasher = DefaultHasher::new();
        (bet, revision).hash(&mut hasher);
        hasher.finish()
    };
    Ok(chunk.items.iter().map(|item| number((item.bet_id.as_str(), item.revision))).collect())
}
