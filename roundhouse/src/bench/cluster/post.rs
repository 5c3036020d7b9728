//! `bench post-bet` on this engine: bets that come at a fixed rate, whatever becomes of those before them.
//! Beside it `plain-post`, which produces as many bytes with librdkafka where the embedded one fsyncs.

use super::ground::{ClusterGround, Servers};
use super::plain_kafka::PlainAppends;
use crate::bench::client::{self, Bets, Pace};
use crate::bench::ground::{Ground, Grounds};
use crate::bench::house::House;
use crate::bench::plain_post::{Journal, PlainPost};
use crate::bench::post_bet::{BETTING_MS, Pair, PostBetPlan, Run, authorize, bearers, sample};
use crate::bench::report::{Cpu, Memory, Place, Spread, Thousandths, median, per_mille, word};
use anyhow::Context;
use schemas::catalogue::PARKED;
use serde::Serialize;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// The most that 99 of 100 may take at 1,000 bets a second, in µs.
const FLOOR_US: u64 = 50_000;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct RateReport {
    /// Which bench.
    pub what: &'static str,
    /// Bets a second.
    pub rate: u64,
    /// Length of each run, in s.
    pub seconds: u64,
    /// The runs, in order. Times count from when a bet was due.
    pub pairs: Vec<Pair>,
    /// The server's p99, median of the pairs, in µs.
    pub p99_us_median: u64,
    /// The server's p99 by that of the plain program, in thousandths, median.
    pub p99_per_mille_median: u64,
    /// The most that the p99 may be, in µs.
    pub floor_us: u64,
    /// Whether it is.
    pub floor_met: bool,
    /// Memory.
    pub memory: Memory,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

/// Measures.
///
/// # Errors
/// If a part cannot be started, or a bet is not accepted.
pub async fn post_at_rate(
    plan: &PostBetPlan,
    rate: u64,
    servers: &Servers,
) -> anyhow::Result<RateReport> {
    let place = Place::before(servers.engine().await?, &plan.data_dir).await?;
    let ground = servers.make().await?;
    let measured = on(plan, rate, &ground).await;
    ground.drop_all().await;
    let (pairs, memory) = measured?;
    let p99 = |pair: &Pair| pair.roundhouse.latency.p99_us;
    let p99_us_median = median(pairs.iter().map(p99).collect());
    let ratio = |pair: &Pair| per_mille(p99(pair), pair.plain_post.latency.p99_us);
    Ok(RateReport {
        what: "post-bet",
        rate,
        seconds: plan.seconds,
        p99_us_median,
        p99_per_mille_median: median(pairs.iter().map(ratio).collect()),
        floor_us: FLOOR_US,
        floor_met: p99_us_median < FLOOR_US,
        pairs,
        memory,
        place: place.after(&plan.data_dir).await?,
    })
}

async fn on(
    plan: &PostBetPlan,
    rate: u64,
    ground: &ClusterGround,
) -> anyhow::Result<(Vec<Pair>, Memory)> {
    let house = House::start(&plan.exe, 1, 0, ground, |_| ()).await?;
    let (partner, key) = house.keys.first_key_value().context("there is no partner")?;
    let wallet = house.wallets.urls.get(partner).cloned().unwrap_or_default();
    let at = ground.clone();
    let appends =
        tokio::task::spawn_blocking(move || PlainAppends::open(&at, &at.topic(PARKED))).await??;
    let mut pairs = Vec::new();
    for pair in 0..plan.pairs {
        let (bearers, token) = bearers(key)?;
        let bets = |round: &str| Bets { round: round.to_owned(), bearers: bearers.clone() };
        let sample = sample(plan, &house, &bets, pair).await?;
        let round = format!("post-{pair}");
        house.api.open_die(&round, BETTING_MS, 0).await?;
        let wallets = house.wallets.id();
        let roundhouse = run(plan, rate, wallets, house.running.address, bets(&round)).await?;
        let authorize = authorize(&sample.intent, &token, &format!("plain-{pair}"));
        let journal = Journal::Kafka(appends.clone());
        let plain = PlainPost::start(
            journal,
            sample.bytes,
            (&wallet, &house.wallets.platform),
            &authorize,
            sample.reply,
        )
        .await?;
        client::send(plain.address, bets("plain"), plan.connections, Duration::from_secs(1))
            .await?;
        let plain_post = run(plan, rate, wallets, plain.address, bets("plain")).await?;
        let [ours, limit] = [&roundhouse, &plain_post].map(|run| Thousandths(run.latency.p99_us));
        eprintln!("bench: pair {}: p99 {ours} ms, plain {limit} ms", pair + 1);
        let rate_per_mille = per_mille(roundhouse.per_s, plain_post.per_s);
        pairs.push(Pair { roundhouse, plain_post, rate_per_mille });
    }
    Ok((pairs, house.close().await?))
}

async fn run(
    plan: &PostBetPlan,
    rate: u64,
    wallets: Option<u32>,
    address: SocketAddr,
    bets: Bets,
) -> anyhow::Result<Run> {
    let before = Cpu::now(wallets);
    let time = Duration::from_secs(plan.seconds);
    let load = client::send_at(address, bets, plan.connections, time, Pace::of(rate)).await?;
    Ok(Run::of(&load, Cpu::now(wallets).since(before)))
}

impl fmt::Display for RateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} bets a second, {} s a run", self.what, self.rate, self.seconds)?;
        writeln!(f, "{}\n{}", self.place, self.memory)?;
        writeln!(
            f,
            "plain-post produces as many bytes and posts the same authorize; no logic. Times count from \
             when a bet was due"
        )?;
        writeln!(f, "{:<14}{:>10}{:>10}{:>10}{:>10}", "", "bets/s", "p50 ms", "p99 ms", "max ms")?;
        for pair in &self.pairs {
            for (name, run) in [("roundhouse", &pair.roundhouse), ("plain-post", &pair.plain_post)]
            {
                let Spread { p50_us, p99_us, max_us, .. } = run.latency;
                let [p50, p99, max] = [p50_us, p99_us, max_us].map(Thousandths);
                writeln!(f, "{name:<14}{:>10}{p50:>10}{p99:>10}{max:>10}", run.per_s)?;
            }
        }
        let ratio = Thousandths(self.p99_per_mille_median);
        writeln!(f, "p99, by that of plain-post: {ratio} (median of pairs)")?;
        let (p99, floor) = (Thousandths(self.p99_us_median), self.floor_us / 1_000);
        writeln!(f, "p99 {p99} ms; floor < {floor} ms: {}", word(self.floor_met))
    }
}
