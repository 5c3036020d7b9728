//! The load: a fixed number of keep-alive connections, each with one request at a time.

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The requests of one run, each made when it is sent.
pub(super) trait Requests: Send + Sync + 'static {
    /// The status of every answer: a bench of refusals says nothing.
    const STATUS: u16;

    /// Request `number` of connection `connection`.
    ///
    /// # Errors
    /// If it cannot be made.
    fn request(&self, connection: usize, number: usize) -> anyhow::Result<Request<Full<Bytes>>>;
}

/// The bets of one run.
#[derive(Debug)]
pub(super) struct Bets {
    /// The round.
    pub(super) round: String,
    /// `Bearer <token>` of each player.
    pub(super) bearers: Vec<HeaderValue>,
}

impl Requests for Bets {
    const STATUS: u16 = 201;

    /// Distinct in every run of one round.
    fn request(&self, connection: usize, number: usize) -> anyhow::Result<Request<Full<Bytes>>> {
        let player = connection.wrapping_add(number.wrapping_mul(7)) % self.bearers.len().max(1);
        let bearer = self.bearers.get(player).context("there is no player")?.clone();
        let body = format!(
            r#"{{"client_ref":"b{connection:03}-{number:08}","round_id":"{}","selection":"odd","stake":{{"units":"1250","currency":"EUR","exponent":2}},"odds":"1.93"}}"#,
            self.round
        );
        Request::post("/v1/bets")
            .header(HOST, "127.0.0.1")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, bearer)
            .body(Full::new(Bytes::from(body)))
            .context("the request cannot be made")
    }
}

/// When requests are sent.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// Between two requests of all connections; none to send as soon as a connection is free.
    period: Option<Duration>,
    sent: Arc<AtomicU32>,
}

impl Pace {
    /// So many requests a second, whatever becomes of those before.
    #[cfg(feature = "cluster")]
    pub(super) fn of(rate: u64) -> Self {
        let period = 1_000_000_000_u64.checked_div(rate).map(Duration::from_nanos);
        Self { period, sent: Arc::default() }
    }

    fn free() -> Self {
        Self { period: None, sent: Arc::default() }
    }

    /// Waits until the next request is due, and says when it was.
    async fn due(&self, begun: Instant) -> Instant {
        let Some(period) = self.period else { return Instant::now() };
        let due = begun + period * self.sent.fetch_add(1, Ordering::Relaxed);
        sleep_until(due).await;
        due
    }
}

/// What a run of the load showed.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// How long each answer took, in µs, sorted.
    pub(super) latencies_us: Vec<u64>,
    /// From the first request to the last answer, in µs.
    pub(super) took_us: u64,
    /// One of the answers.
    pub(super) sample: Bytes,
}

/// Whole µs.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Sends requests over `connections` connections for `time`.
///
/// # Errors
/// If a connection breaks, or an answer has another status than it must.
pub(super) async fn send(
    address: SocketAddr,
    requests: impl Requests,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Load> {
    send_at(address, requests, connections, time, Pace::free()).await
}

/// Sends requests over `connections` connections for `time` at a pace. How long an answer took counts from
/// when its request was due, also if no connection was free then.
///
/// # Errors
/// As [`send`].
pub(super) async fn send_at(
    address: SocketAddr,
    requests: impl Requests,
    connections: usize,
    time: Duration,
    pace: Pace,
) -> anyhow::Result<Load> {
    let requests = Arc::new(requests);
    let mut senders = Vec::new();
    let mut drivers = JoinSet::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.context("no connection")?;
        stream.set_nodelay(true).context("TCP_NODELAY cannot be set")?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.context("no connection")?;
        drivers.spawn(connection);
        senders.push(sender);
    }
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for (connection, sender) in senders.into_iter().enumerate() {
        let times = (begun, begun + time);
        workers.spawn(converse(sender, Arc::clone(&requests), connection, times, pace.clone()));
    }
    let mut load = Load::default();
    while let Some(ended) = workers.join_next().await {
        let (latencies_us, sample) = ended.context("a connection's task broke down")??;
        load.latencies_us.extend(latencies_us);
        load.sample = sample;
    }
    load.took_us = micros(begun.elapsed());
    load.latencies_us.sort_unstable();
    Ok(load)
}

async fn converse<R: Requests>(
    mut sender: SendRequest<Full<Bytes>>,
    requests: Arc<R>,
    connection: usize,
    (start, until): (Instant, Instant),
    pace: Pace,
) -> anyhow::Result<(Vec<u64>, Bytes)> {
    let mut latencies_us = Vec::new();
    let mut sample = Bytes::new();
    for number in 0.. {
        let begun = pace.due(start).await;
        if until <= begun {
            break;
        }
        let request = requests.request(connection, number)?;
        let response = sender.send_request(request).await.context("a connection broke")?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.context("an answer broke off")?;
        sample = body.to_bytes();
        if status != R::STATUS {
            bail!("a request got {status}: {}", String::from_utf8_lossy(&sample));
        }
        latencies_us.push(micros(begun.elapsed()));
    }
    Ok((latencies_us, sample))
}
