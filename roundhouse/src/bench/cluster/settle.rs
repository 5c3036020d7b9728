//! `bench settle`: what a settler's CPU can do. Rounds wait in `bets.v1`; one settler reads them from the
//! beginning until the last settlement is out. Beside it a plain program consumes the same records, and
//! writes the same rows in the same batches and produces the same records as the settler did.

use super::ground::{Ground, LANES, Servers, reached};
use super::plain_kafka::{PlainConsumer, PlainProducer};
use super::plain_rows::{PlainRows, RowBatch, batches};
use super::rounds::Maker;
use crate::bench::client::micros;
use crate::bench::report::{Cpu, Machine, Thousandths, median, per_mille, word};
use crate::bench::tail::{Taken, first};
use crate::config::{Config, Overrides};
use crate::engine::SETTLER;
use anyhow::Context;
use runtime::cluster::Cluster;
use runtime::drive::NoCalls;
use runtime::{FactStore, Handles, Job, RecordLog, Scope, SystemClock, Topic, supervise};
use schemas::RoundId;
use schemas::catalogue::{BETS, DECISIONS, SETTLEMENTS};
use serde::Serialize;
use settler::{Settler, SettlerOptions};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Outcomes of a core-second that must be reached, and that are aimed at.
const FLOOR_PER_CORE_S: u64 = 105_000;
const GOAL_PER_CORE_S: u64 = 500_000;
/// Longest wait for a run.
const RUN_WAIT_MAX: Duration = Duration::from_secs(600);
/// Records that the plain program takes in one go, as the settler does.
const RECORDS_MAX: usize = 1_000;

/// What to measure.
#[derive(Clone, Debug)]
pub struct SettlePlan {
    /// Where.
    pub servers: Servers,
    /// Bets of a run, a multiple of those of a round.
    pub bets: usize,
    /// Bets of each round.
    pub round_bets: usize,
    /// Partners.
    pub partners: usize,
    /// Runs, each followed by one of the plain program.
    pub pairs: usize,
    /// Seed of bets and results.
    pub seed: u64,
    /// A directory on the disk whose fsync is shown.
    pub data_dir: PathBuf,
}

/// One run of one program.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Run {
    /// From the first record read to the last written.
    pub took_us: u64,
    /// User and system time of the process meanwhile.
    pub cpu_ms: u64,
    /// Bets in and settlements out, by a second of that time.
    pub per_core_s: u64,
}

/// A run of the settler and the run of the plain program after it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pair {
    /// The settler.
    pub settler: Run,
    /// The plain program.
    pub plain: Run,
    /// CPU time of the settler by that of the plain program, in thousandths.
    pub cpu_per_mille: u64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct SettleReport {
    /// Bets of a run.
    pub bets: usize,
    /// The runs, in order.
    pub pairs: Vec<Pair>,
    /// The settler's outcomes by core-second, median.
    pub per_core_s_median: u64,
    /// CPU time by that of the plain program, in thousandths, median.
    pub cpu_per_mille_median: u64,
    /// The least that the median may be.
    pub floor_per_core_s: u64,
    /// What is aimed at.
    pub goal_per_core_s: u64,
    /// Whether the floor is reached.
    pub floor_met: bool,
    /// The machine, before and after.
    pub machine: [Machine; 2],
}

/// Measures.
///
/// # Errors
/// If the servers cannot be used, or a bet is not settled.
pub async fn settle(plan: &SettlePlan) -> anyhow::Result<SettleReport> {
    let before = Machine::now(&plan.data_dir).await?;
    let mut pairs = Vec::new();
    for number in 0..plan.pairs {
        let ground = Ground::make(&plan.servers).await?;
        let measured = pair(plan, &ground).await;
        ground.drop_all().await;
        let measured = measured?;
        let (ours, plain) = (measured.settler, measured.plain);
        eprintln!(
            "bench: pair {}: {} outcomes/core-s in {} ms, plain {} in {} ms",
            number + 1,
            ours.per_core_s,
            Thousandths(ours.took_us),
            plain.per_core_s,
            Thousandths(plain.took_us)
        );
        pairs.push(measured);
    }
    let per_core_s_median = median(pairs.iter().map(|pair| pair.settler.per_core_s).collect());
    Ok(SettleReport {
        bets: plan.bets,
        per_core_s_median,
        cpu_per_mille_median: median(pairs.iter().map(|pair| pair.cpu_per_mille).collect()),
        floor_per_core_s: FLOOR_PER_CORE_S,
        goal_per_core_s: GOAL_PER_CORE_S,
        floor_met: FLOOR_PER_CORE_S <= per_core_s_median,
        pairs,
        machine: [before, Machine::now(&plan.data_dir).await?],
    })
}

/// Settlers of every partition, in this process.
pub(super) struct Settlers {
    stop: CancellationToken,
    running: JoinHandle<Result<(), runtime::EngineError>>,
}

impl Settlers {
    /// # Errors
    /// If the defaults of the configuration do not load.
    pub(super) fn start(engine: &Cluster, rounds_kept: Option<usize>) -> anyhow::Result<Self> {
        let config = Config::load(None, Vec::new(), Overrides::default())?;
        let rounds_kept = rounds_kept.unwrap_or(config.settler.rounds_kept);
        let stop = CancellationToken::new();
        let job = Job { group: SETTLER, topic: Topic(BETS), also: Vec::new() };
        let running = tokio::spawn(supervise(
            engine.clone(),
            job,
            move |lease, positions| {
                let from = positions.first().map_or(0, |(_, from)| *from);
                Settler::new(SettlerOptions {
                    partition: lease.source.partition,
                    from,
                    rounds_kept,
                })
            },
            Arc::new(NoCalls),
            Handles::default(),
            SystemClock,
            stop.clone(),
        ));
        Ok(Self { stop, running })
    }

    /// # Errors
    /// If one broke down.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.running.await.context("the settlers broke down")??)
    }
}

async fn pair(plan: &SettlePlan, ground: &Ground) -> anyhow::Result<Pair> {
    let engine = ground.open("bench-settle").await?;
    let rounds = rounds(plan)?;
    let mut maker = Maker::new(plan.partners, plan.seed)?;
    for round in &rounds {
        let mut records = maker.closed(round, plan.round_bets)?;
        records.extend(maker.result(round)?);
        engine.append(records).await?;
    }
    let bets = rounds.len() * plan.round_bets;
    let (cpu, begun) = (Cpu::now(None), Instant::now());
    let settlers = Settlers::start(&engine, None)?;
    reached(&engine, SETTLEMENTS, u64::try_from(bets)?, RUN_WAIT_MAX).await?;
    let (took, cpu) = (begun.elapsed(), Cpu::now(None).since(cpu));
    settlers.stop().await?;
    let settler = run(bets, took, cpu);
    let plain = Plain::of(plan, &engine, ground, rounds.first()).await?;
    engine.close().await;
    let (cpu, begun) = (Cpu::now(None), Instant::now());
    plain.run(rounds.len()).await?;
    let plain = run(bets, begun.elapsed(), Cpu::now(None).since(cpu));
    Ok(Pair { settler, plain, cpu_per_mille: per_mille(settler.cpu_ms, plain.cpu_ms) })
}

fn rounds(plan: &SettlePlan) -> anyhow::Result<Vec<RoundId>> {
    let count = plan.bets.div_ceil(plan.round_bets.max(1)).max(1);
    (0..count).map(|number| Ok(format!("round-{number:06}").parse()?)).collect()
}

fn run(bets: usize, took: Duration, cpu: Cpu) -> Run {
    let outcomes = u64::try_from(bets).unwrap_or(u64::MAX).saturating_mul(2);
    let per_core_s = outcomes.saturating_mul(1_000).checked_div(cpu.here_ms).unwrap_or_default();
    Run { took_us: micros(took), cpu_ms: cpu.here_ms, per_core_s }
}

/// The plain program, with one round's records and rows, which it writes again for each round.
struct Plain {
    consumer: PlainConsumer,
    producer: PlainProducer,
    rows: PlainRows,
    round: Vec<Arc<RowBatch>>,
    decisions: Vec<Taken>,
    settlements: Vec<Taken>,
    /// Records of `bets.v1` that belong to a round.
    records: usize,
    topics: [String; 2],
}

impl Plain {
    async fn of(
        plan: &SettlePlan,
        engine: &Cluster,
        ground: &Ground,
        round: Option<&RoundId>,
    ) -> anyhow::Result<Self> {
        let round = round.context("there is no round")?;
        let mut scopes = Vec::new();
        for partition in 0..LANES {
            let (group, topic) = (round.to_string(), Topic(BETS));
            scopes.push(engine.scan(Scope { group, topic, partition }).await?);
        }
        let decisions = first(engine, DECISIONS, plan.round_bets).await?;
        let settlements = first(engine, SETTLEMENTS, plan.round_bets).await?;
        let at = ground.clone();
        let topics = [ground.topic(DECISIONS), ground.topic(SETTLEMENTS)];
        let (consumer, producer) = tokio::task::spawn_blocking(move || {
            let consumer = PlainConsumer::open(&at, &at.topic(BETS), true)?;
            anyhow::Ok((consumer, PlainProducer::open(&at, &at.topic(DECISIONS))?))
        })
        .await??;
        Ok(Self {
            consumer,
            producer,
            rows: PlainRows::open(ground).await?,
            round: batches(scopes),
            decisions,
            settlements,
            records: 2 * plan.round_bets + 3 * usize::try_from(LANES)?,
            topics,
        })
    }

    /// Consumes the records of all rounds; with each part of a round, writes as large a part of its rows
    /// and then of its records.
    async fn run(self, rounds: usize) -> anyhow::Result<()> {
        let Self {
            consumer,
            mut producer,
            mut rows,
            round,
            decisions,
            settlements,
            records,
            topics,
        } = self;
        let (sender, mut parts) = mpsc::channel::<usize>(24);
        let all = rounds * records;
        let reading = tokio::task::spawn_blocking(move || {
            let mut seen = 0;
            while seen < all {
                seen += consumer.take(RECORDS_MAX.min(all - seen))?;
                if sender.blocking_send(seen).is_err() {
                    break;
                }
            }
            anyhow::Ok(())
        });
        let (mut rows_done, mut records_done) = (0, 0);
        while let Some(seen) = parts.recv().await {
            let part = |of: usize| seen * of / records;
            while rows_done < part(round.len()) {
                let group = format!("plain-{:06}", rows_done / round.len());
                let batch = round.get(rows_done % round.len()).context("no rows")?;
                rows.write(&group, batch).await?;
                rows_done += 1;
            }
            while records_done < part(decisions.len()) {
                let index = records_done % decisions.len();
                for (topic, of) in topics.iter().zip([&decisions, &settlements]) {
                    producer.send(topic, of.get(index).context("no record")?)?;
                }
                records_done += 1;
            }
        }
        reading.await??;
        rows.done().await?;
        tokio::task::spawn_blocking(move || producer.done()).await?
    }
}

impl fmt::Display for SettleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = &self.machine;
        writeln!(f, "settle: {} bets that wait in the log, one settler", self.bets)?;
        writeln!(f, "before: {before}\nafter:  {after}")?;
        writeln!(
            f,
            "plain consumes the same records, writes the same rows in the same batches and produces the \
             same records; no logic"
        )?;
        writeln!(f, "{:<14}{:>16}{:>10}{:>10}", "", "outcomes/core-s", "cpu s", "ms")?;
        for pair in &self.pairs {
            for (name, run) in [("settler", pair.settler), ("plain", pair.plain)] {
                let (cpu, took) = (Thousandths(run.cpu_ms), Thousandths(run.took_us));
                writeln!(f, "{name:<14}{:>16}{cpu:>10}{took:>10}", run.per_core_s)?;
            }
        }
        let ratio = Thousandths(self.cpu_per_mille_median);
        writeln!(f, "cpu, by that of plain: {ratio} (median of pairs)")?;
        let (found, floor, goal) =
            (self.per_core_s_median, self.floor_per_core_s, self.goal_per_core_s);
        writeln!(f, "{found} outcomes/core-s; floor {floor}: {}; goal {goal}", word(self.floor_met))
    }
}
