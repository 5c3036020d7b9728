//! `bench events`: `GET /bet-maker/events`, beside a program that answers the same bytes with no logic.

use super::client::{self, Load, Requests};
use super::ground::{Bench, Ground, Grounds};
use super::house::{House, SEED, WAIT_MAX};
use super::report::{Memory, Place, Spread, Thousandths, median, per_mille, word};
use crate::config::Config;
use crate::rig::keys::PartnerKey;
use crate::rig::setup;
use crate::serve::Opened;
use anyhow::Context;
use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::Full;
use runtime::{Clock, SystemClock};
use serde::Serialize;
use serde_json::json;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

/// Answers a second that must be reached.
const FLOOR_PER_S: u64 = 20_000;
/// How long is asked before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// How far ahead the deadlines are, in s.
const DEADLINE_S: i64 = 3_600;
/// How often the list is looked at that has not all events yet.
const LOOK_PERIOD: Duration = Duration::from_millis(20);
const PATH: &str = "/bet-maker/events";

/// What to measure.
#[derive(Clone, Debug)]
pub struct EventsPlan {
    /// Events in the list.
    pub events: usize,
    /// Keep-alive connections, each with one request at a time.
    pub connections: usize,
    /// Length of each run, in s.
    pub seconds: u64,
    /// Runs of the server, each followed by one of the plain program.
    pub pairs: usize,
    /// An empty directory.
    pub data_dir: PathBuf,
    /// The binary whose `wallet` is started.
    pub exe: PathBuf,
}

/// One run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EventsRun {
    /// Answers a second, rounded down.
    pub per_s: u64,
    /// How long the answers took.
    pub latency: Spread,
}

impl EventsRun {
    fn of(load: &Load) -> Self {
        let count = u64::try_from(load.latencies_us.len()).unwrap_or(u64::MAX);
        let per_s = count.saturating_mul(1_000_000).checked_div(load.took_us).unwrap_or_default();
        Self { per_s, latency: Spread::of(&load.latencies_us) }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct EventsReport {
    /// Which bench.
    pub what: &'static str,
    /// Events in the list.
    pub events: usize,
    /// Bytes of an answer's body.
    pub bytes: usize,
    /// Keep-alive connections.
    pub connections: usize,
    /// The runs of the server, each with that of the plain program after it.
    pub pairs: Vec<[EventsRun; 2]>,
    /// The server's answers a second, median of the pairs.
    pub per_s_median: u64,
    /// The server's by those of the plain program, in thousandths, median.
    pub rate_per_mille_median: u64,
    /// The floor, in answers a second.
    pub floor_per_s: u64,
    /// Whether the median reaches it.
    pub floor_met: bool,
    /// Memory.
    pub memory: Memory,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

impl Bench for EventsPlan {
    type Report = EventsReport;

    async fn measure<G: Grounds>(&self, grounds: &G) -> anyhow::Result<EventsReport> {
        let place = Place::before(grounds.engine().await?, &self.data_dir).await?;
        let ground = grounds.make().await?;
        let measured = self.runs(&ground).await;
        ground.leave(false, &self.data_dir).await;
        let (pairs, bytes, memory) = measured?;
        let per_s_median = median(pairs.iter().map(|[ours, _]| ours.per_s).collect());
        let ratio = |[ours, plain]: &[EventsRun; 2]| per_mille(ours.per_s, plain.per_s);
        Ok(EventsReport {
            what: "events",
            events: self.events,
            bytes,
            connections: self.connections,
            per_s_median,
            rate_per_mille_median: median(pairs.iter().map(ratio).collect()),
            floor_per_s: FLOOR_PER_S,
            floor_met: FLOOR_PER_S <= per_s_median,
            pairs,
            memory,
            place: place.after(&self.data_dir).await?,
        })
    }
}

impl EventsPlan {
    /// The runs, the bytes of an answer, and memory.
    async fn runs<G: Ground>(
        &self,
        ground: &G,
    ) -> anyhow::Result<(Vec<[EventsRun; 2]>, usize, Memory)> {
        let house = House::start(&self.exe, 1, 0, ground, with_simple_apis).await?;
        offer(&house, self.events).await?;
        let body = listed(&house, self.events).await?;
        let plain = plain(body.clone()).await?;
        let measure = async |address: SocketAddr| -> anyhow::Result<EventsRun> {
            client::send(address, List, self.connections, WARM_UP).await?;
            let time = Duration::from_secs(self.seconds);
            Ok(EventsRun::of(&client::send(address, List, self.connections, time).await?))
        };
        let mut pairs = Vec::new();
        for pair in 0..self.pairs {
            let runs = [measure(house.running.address).await?, measure(plain).await?];
            let [ours, limit] = runs.map(|run| run.per_s);
            eprintln!("bench: pair {}: {ours} answers/s, plain {limit}", pair + 1);
            pairs.push(runs);
        }
        Ok((pairs, body.len(), house.close().await?))
    }
}

struct List;

impl Requests for List {
    const STATUS: u16 = 200;

    fn request(&self, _: usize, _: usize) -> anyhow::Result<Request<Full<Bytes>>> {
        let request = Request::get(PATH).header(HOST, "127.0.0.1").body(Full::default());
        request.context("the request cannot be made")
    }
}

/// Both simple APIs, for a player of the only partner.
fn with_simple_apis(config: &mut Config) {
    let partner = setup::partner_names(1).concat();
    let simple = &mut config.simple;
    simple.open = true;
    simple.partner_secret = PartnerKey::of_seed(&partner, SEED).secret();
    simple.partner = partner;
}

async fn offer<E: Opened>(house: &House<E>, count: usize) -> anyhow::Result<()> {
    let deadline = SystemClock.now() / 1_000 + DEADLINE_S;
    for number in 0..count {
        let event = json!({
            "event_id": format!("event-{number}"), "coefficient": "1.50", "deadline": deadline, "state": 1,
        });
        let reply = house.api.call(http::Method::POST, "/line-provider/events", "", Some(&event));
        let reply = reply.await?;
        anyhow::ensure!(reply.status == 201, "an event got {}: {}", reply.status, reply.body);
    }
    Ok(())
}

/// The list once it has all events.
async fn listed<E: Opened>(house: &House<E>, count: usize) -> anyhow::Result<Bytes> {
    let begun = Instant::now();
    loop {
        let load = client::send(house.running.address, List, 1, Duration::from_millis(1)).await?;
        let events: Vec<serde_json::Value> = serde_json::from_slice(&load.sample)?;
        if events.len() == count {
            return Ok(load.sample);
        }
        anyhow::ensure!(begun.elapsed() < WAIT_MAX, "{} of {count} events show", events.len());
        sleep(LOOK_PERIOD).await;
    }
}

/// The plain program: answers `body`.
async fn plain(body: Bytes) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port")?;
    let address = listener.local_addr().context("the port cannot be told")?;
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    let answer = async move || ([(CONTENT_TYPE, "application/json")], body.clone());
    let router = Router::new().route(PATH, get(answer));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the plain server stopped");
        }
    });
    Ok(address)
}

impl fmt::Display for EventsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: a list of {}, {} bytes, over {} connections",
            self.what, self.events, self.bytes, self.connections
        )?;
        writeln!(f, "{}\n{}", self.place, self.memory)?;
        writeln!(f, "plain answers the same bytes; no logic")?;
        writeln!(
            f,
            "{:<14}{:>10}{:>10}{:>10}{:>10}",
            "", "answers/s", "p50 ms", "p99 ms", "max ms"
        )?;
        for pair in &self.pairs {
            for (name, run) in ["roundhouse", "plain"].iter().zip(pair) {
                let Spread { p50_us, p99_us, max_us, .. } = run.latency;
                let [p50, p99, max] = [p50_us, p99_us, max_us].map(Thousandths);
                writeln!(f, "{name:<14}{:>10}{p50:>10}{p99:>10}{max:>10}", run.per_s)?;
            }
        }
        let ratio = Thousandths(self.rate_per_mille_median);
        writeln!(f, "rate, by that of plain: {ratio} (median of pairs)")?;
        let (per_s, floor) = (self.per_s_median, self.floor_per_s);
        writeln!(f, "{per_s} answers/s (median); floor {floor}/s: {}", word(self.floor_met))
    }
}
