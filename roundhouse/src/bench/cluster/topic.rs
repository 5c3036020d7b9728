//! `bench result-to-topic`: from a result in `bets.v1` to the last of the round's settlements in their
//! topic, as a consumer sees it. Beside it librdkafka produces the same records over the same partitions,
//! and a consumer of its own sees the last.

use super::ground::{Ground, Servers, caught_up};
use super::plain_kafka::{PlainConsumer, PlainProducer, there_and_back};
use super::rounds::Maker;
use super::settle::Settlers;
use crate::bench::client::micros;
use crate::bench::report::{Machine, Spread, Thousandths, median, per_mille, word};
use crate::bench::tail::Tail;
use crate::engine::SETTLER;
use runtime::RecordLog;
use runtime::cluster::Cluster;
use schemas::RoundId;
use schemas::catalogue::{BETS, PARKED, SETTLEMENTS};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// The median that must not be exceeded for 10,000 bets, and the one aimed at, in µs.
const FLOOR_US: u64 = 56_000;
const GOAL_US: u64 = 25_000;
/// Rounds before the first that counts.
const WARM_UP: usize = 3;
/// Longest wait for a round.
const ROUND_WAIT_MAX: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Clone, Debug)]
pub struct TopicPlan {
    /// Where.
    pub servers: Servers,
    /// Bets of each round.
    pub bets: usize,
    /// Partners.
    pub partners: usize,
    /// Rounds, each followed by the plain program.
    pub rounds: usize,
    /// Seed of bets and results.
    pub seed: u64,
    /// A directory on the disk whose fsync is shown.
    pub data_dir: PathBuf,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct TopicReport {
    /// Bets of each round.
    pub bets: usize,
    /// Rounds.
    pub rounds: usize,
    /// From before the result is appended to the last settlement read.
    pub roundhouse: Spread,
    /// From before the first record is produced to the last record read.
    pub plain: Spread,
    /// The settler's time by the plain program's, in thousandths, median of the rounds.
    pub time_per_mille_median: u64,
    /// The most that the median may be, in µs.
    pub floor_us: u64,
    /// What is aimed at, in µs.
    pub goal_us: u64,
    /// Whether the floor is met.
    pub floor_met: bool,
    /// The machine, before and after.
    pub machine: [Machine; 2],
}

/// Measures.
///
/// # Errors
/// If the servers cannot be used, or a bet is not settled.
pub async fn result_to_topic(plan: &TopicPlan) -> anyhow::Result<TopicReport> {
    let before = Machine::now(&plan.data_dir).await?;
    let ground = Ground::make(&plan.servers).await?;
    let measured = rounds(plan, &ground).await;
    ground.drop_all().await;
    let times = measured?;
    let spread = |mut times: Vec<u64>| {
        times.sort_unstable();
        Spread::of(&times)
    };
    let roundhouse = spread(times.iter().map(|(ours, _)| *ours).collect());
    let ratios = times.iter().map(|(ours, plain)| per_mille(*ours, *plain)).collect();
    Ok(TopicReport {
        bets: plan.bets,
        rounds: plan.rounds,
        roundhouse,
        plain: spread(times.iter().map(|(_, plain)| *plain).collect()),
        time_per_mille_median: median(ratios),
        floor_us: FLOOR_US,
        goal_us: GOAL_US,
        floor_met: roundhouse.p50_us < FLOOR_US,
        machine: [before, Machine::now(&plan.data_dir).await?],
    })
}

/// Time of the settler and of the plain program, in µs, of each round.
async fn rounds(plan: &TopicPlan, ground: &Ground) -> anyhow::Result<Vec<(u64, u64)>> {
    let engine = ground.open("bench-topic").await?;
    let settlers = Settlers::start(&engine, None)?;
    let mut maker = Maker::new(plan.partners, plan.seed)?;
    // Parked settlements are partitioned like settlements, and nobody reads them here.
    let topic = ground.topic(PARKED);
    let (at, name) = (ground.clone(), topic.clone());
    let opening = tokio::task::spawn_blocking(move || {
        let producer = PlainProducer::open(&at, &name)?;
        anyhow::Ok((producer, PlainConsumer::open(&at, &name, false)?))
    });
    let (mut producer, mut consumer) = opening.await??;
    let tail = Tail::start(&engine, SETTLEMENTS).await?;
    let mut times = Vec::new();
    for number in 0..WARM_UP + plan.rounds {
        let round: RoundId = format!("round-{number:06}").parse()?;
        let result = maker.result(&round)?;
        engine.append(maker.closed(&round, plan.bets)?).await?;
        caught_up(&engine, SETTLER, BETS, ROUND_WAIT_MAX).await?;
        let begun = Instant::now();
        engine.append(result).await?;
        let settlements = tail.take(plan.bets, ROUND_WAIT_MAX).await?;
        let last = settlements.iter().map(|record| record.at).max().unwrap_or(begun);
        let ours = micros(last.duration_since(begun));
        let topic = topic.clone();
        let produced = tokio::task::spawn_blocking(move || {
            let took = there_and_back(&mut producer, &consumer, &topic, &settlements)?;
            anyhow::Ok((producer, consumer, took))
        });
        let took;
        (producer, consumer, took) = produced.await??;
        if WARM_UP <= number {
            let plain = micros(took);
            let (mine, limit) = (Thousandths(ours), Thousandths(plain));
            eprintln!("bench: round {}: {mine} ms, plain {limit} ms", number - WARM_UP + 1);
            times.push((ours, plain));
        }
    }
    settlers.stop().await?;
    Cluster::close(&engine).await;
    Ok(times)
}

impl fmt::Display for TopicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = &self.machine;
        writeln!(f, "result-to-topic: {} rounds of {} bets", self.rounds, self.bets)?;
        writeln!(f, "before: {before}\nafter:  {after}")?;
        writeln!(
            f,
            "plain produces the same records over the same partitions, until a consumer has seen the \
             last; no logic"
        )?;
        writeln!(f, "{:<14}{:>10}{:>10}{:>10}", "", "p50 ms", "p95 ms", "max ms")?;
        for (name, spread) in [("roundhouse", self.roundhouse), ("plain", self.plain)] {
            let Spread { p50_us, p95_us, max_us, .. } = spread;
            let [p50, p95, max] = [p50_us, p95_us, max_us].map(Thousandths);
            writeln!(f, "{name:<14}{p50:>10}{p95:>10}{max:>10}")?;
        }
        let ratio = Thousandths(self.time_per_mille_median);
        writeln!(f, "time, by that of plain: {ratio} (median of rounds)")?;
        let (p50, floor) = (Thousandths(self.roundhouse.p50_us), self.floor_us / 1_000);
        let (goal, met) = (self.goal_us / 1_000, word(self.floor_met));
        writeln!(f, "p50 {p50} ms; floor for 10000 bets: < {floor} ms: {met}; goal {goal} ms")
    }
}
