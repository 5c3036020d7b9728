//! `bench result-to-confirmed` and `bench correct-old` on this engine.
//!
//! One process has every role. Beside it a plain program does the same work with the drivers alone: it
//! produces and consumes the same settlements, posts the same items, writes the same rows in the same
//! batches, and produces and consumes the same delivery records.

use super::ground::{Ground, LANES, Servers, count};
use super::plain_kafka::{PlainConsumer, PlainProducer, there_and_back};
use super::plain_rows::{PlainRows, RowBatch, batches};
use crate::bench::client::micros;
use crate::bench::house::House;
use crate::bench::plain_deliver::PlainRound;
use crate::bench::report::{Cpu, Machine, Memory, Spread, Thousandths, median, per_mille};
use crate::bench::result::{
    POOL, Played, ROUND_WAIT_MAX, ResultPlan, ResultReport, Times, check, play,
};
use crate::bench::tail::{Tail, Taken};
use crate::bench::timelines;
use anyhow::Context;
use partner_kit::faults::SplitMix;
use runtime::cluster::Cluster;
use runtime::http::HttpClient;
use runtime::{FactStore, Scope, Topic};
use schemas::catalogue::{DELIVERIES, PARKED, SETTLEMENTS};
use schemas::rounds::Outcome;
use schemas::settlements::Settlement;
use settlement::{Game, grade};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The most that the median may be for 10,000 bets and 20 partners answering in 20 ms, in µs.
const CONFIRMED_FLOOR_US: u64 = 1_000_000;
/// The same for a correction.
const CORRECTED_FLOOR_US: u64 = 3_000_000;

/// Measures from the result to the last confirmation.
///
/// # Errors
/// If a part cannot be started, or a bet is not accepted or not confirmed.
pub async fn result_to_confirmed(
    plan: &ResultPlan,
    servers: &Servers,
) -> anyhow::Result<ResultReport> {
    measure(plan, servers, "result-to-confirmed").await
}

/// Measures from a correction to the last confirmation, of rounds that the settlers have forgotten. Every
/// round is played first, and then corrected, the oldest first.
///
/// # Errors
/// As [`result_to_confirmed`]; or if more or less than the differences is sent.
pub async fn correct_old(plan: &ResultPlan, servers: &Servers) -> anyhow::Result<ResultReport> {
    anyhow::ensure!(2 <= plan.rounds, "the newest round is never forgotten: 2 rounds or more");
    measure(plan, servers, "correct-old").await
}

async fn measure(
    plan: &ResultPlan,
    servers: &Servers,
    what: &'static str,
) -> anyhow::Result<ResultReport> {
    let before = Machine::now(&plan.data_dir).await?;
    let ground = Ground::make(servers).await?;
    let measured = on(plan, &ground, what == "correct-old").await;
    ground.drop_all().await;
    let Measured {
        mut ours,
        mut settled,
        mut plain,
        ratios,
        cpu,
        cpu_plain,
        chunks,
        timeline,
        memory,
        ..
    } = measured?;
    for times in [&mut ours, &mut settled, &mut plain] {
        times.sort_unstable();
    }
    let last = Spread::of(&ours);
    let floor_us = if what == "correct-old" { CORRECTED_FLOOR_US } else { CONFIRMED_FLOOR_US };
    Ok(ResultReport {
        what,
        bets: plan.bets,
        partners: plan.partners,
        wallet_latency_ms: plan.wallet_latency_ms,
        rounds: ours.len(),
        plain_chunks: chunks,
        roundhouse: Times { last, cpu },
        settled: Spread::of(&settled),
        plain_deliver: Times { last: Spread::of(&plain), cpu: cpu_plain },
        timeline,
        timeline_floor_us: timelines::FLOOR_US,
        time_per_mille_median: median(ratios),
        floor_us,
        floor_met: last.p50_us < floor_us,
        memory,
        machine: [before, Machine::now(&plan.data_dir).await?],
    })
}

#[derive(Default)]
struct Measured {
    ours: Vec<u64>,
    settled: Vec<u64>,
    plain: Vec<u64>,
    ratios: Vec<u64>,
    cpu: Cpu,
    cpu_plain: Cpu,
    chunks: usize,
    /// The deliveries of the last round measured.
    last: Vec<Taken>,
    timeline: Spread,
    memory: Memory,
}

async fn on(plan: &ResultPlan, ground: &Ground, corrected: bool) -> anyhow::Result<Measured> {
    let house = House::start(
        &plan.exe,
        plan.partners,
        plan.wallet_latency_ms,
        // One round is kept, so that every other must be loaded.
        |config| {
            config.settler.rounds_kept = if corrected { 1 } else { config.settler.rounds_kept }
        },
        async |_| ground.open("bench-house").await,
    )
    .await?;
    let mut plain = Plain::open(ground).await?;
    let mut random = SplitMix::new(plan.seed);
    let mut measured = Measured::default();
    let mut old = Vec::new();
    for number in 0..plan.rounds {
        let round = format!("round-{number}");
        let played = play(plan, &house, &round, &mut random).await?;
        if corrected {
            eprintln!("bench: {round} is played");
            old.push((round, played));
        } else {
            plain.beside(&house, &round, played, &mut measured).await?;
        }
    }
    old.pop();
    for (round, before) in old {
        let played = correct(&house, &round, &before).await?;
        plain.beside(&house, &round, played, &mut measured).await?;
    }
    measured.timeline = timelines::timelines(&house, &measured.last).await?;
    measured.memory = house.close().await?;
    Ok(measured)
}

/// Corrects a round to another outcome, and checks that the differences alone are sent.
async fn correct(house: &House<Cluster>, round: &str, before: &Played) -> anyhow::Result<Played> {
    let outcome = if before.outcome == "6" { "1" } else { "6" };
    let mut differ = 0;
    for selection in &before.selections {
        let selection = selection.parse()?;
        let of = |outcome: &str| {
            grade(Game::Die, &selection, &Outcome::Game(outcome.to_owned())).map_err(Into::into)
        };
        let (old, new): (anyhow::Result<_>, anyhow::Result<_>) = (of(&before.outcome), of(outcome));
        differ += usize::from(old? != new?);
    }
    let engine = house.running.engine();
    let sent_before = count(engine, SETTLEMENTS).await?;
    let settlements = Tail::start(engine, SETTLEMENTS).await?;
    let deliveries = Tail::start(engine, DELIVERIES).await?;
    let cpu = Cpu::now(house.wallets.id());
    let begun = Instant::now();
    house.api.correct(round, 1, outcome).await?;
    let deliveries = deliveries.take(differ, ROUND_WAIT_MAX).await?;
    let cpu = Cpu::now(house.wallets.id()).since(cpu);
    let settlements = settlements.take(differ, ROUND_WAIT_MAX).await?;
    check(round, differ, &deliveries)?;
    let sent = count(engine, SETTLEMENTS).await? - sent_before;
    anyhow::ensure!(sent == u64::try_from(differ)?, "{sent} settlements for {differ} differences");
    for record in &settlements {
        let due = Settlement::decode(&record.value).context("a settlement cannot be read")?;
        anyhow::ensure!(due.target != due.previous, "{} was sent and is the same", due.bet);
    }
    let mut played = Played::of(begun, cpu, settlements, deliveries);
    played.outcome = outcome.to_owned();
    Ok(played)
}

/// The plain program.
struct Plain {
    producer: PlainProducer,
    consumer: PlainConsumer,
    rows: PlainRows,
    client: HttpClient,
    /// Partitioned like settlements and deliveries; nobody reads it here.
    topic: String,
}

impl Plain {
    async fn open(ground: &Ground) -> anyhow::Result<Self> {
        let (at, topic) = (ground.clone(), ground.topic(PARKED));
        let name = topic.clone();
        let (producer, consumer) = tokio::task::spawn_blocking(move || {
            let producer = PlainProducer::open(&at, &name)?;
            anyhow::Ok((producer, PlainConsumer::open(&at, &name, false)?))
        })
        .await??;
        let rows = PlainRows::open(ground).await?;
        let client = HttpClient::new(POOL);
        Ok(Self { producer, consumer, rows, client, topic })
    }

    /// Does a played round's work again, and writes both down.
    async fn beside(
        &mut self,
        house: &House<Cluster>,
        round: &str,
        played: Played,
        measured: &mut Measured,
    ) -> anyhow::Result<()> {
        let work = PlainRound::of(&played.settlements, &played.deliveries, &house.wallets)?;
        let of = played.settlements.first().context("nothing was settled")?;
        let revision = Settlement::decode(&of.value).context("a settlement")?.revision;
        let rows = delivered(house.running.engine(), round, revision).await?;
        let before = Cpu::now(house.wallets.id());
        let begun = Instant::now();
        self.round_trip(&played.settlements)?;
        let answers = work.post(&self.client).await?;
        for batch in &rows {
            self.rows.write(&format!("plain-{round}"), batch).await?;
        }
        self.rows.done().await?;
        self.round_trip(&played.deliveries)?;
        let plain_us = micros(begun.elapsed());
        measured.cpu_plain = measured.cpu_plain.plus(Cpu::now(house.wallets.id()).since(before));
        work.check(&answers, played.settlements.len())?;
        let (took, limit) = (Thousandths(played.took_us), Thousandths(plain_us));
        let topic = Thousandths(played.settled_us);
        eprintln!("bench: {round}: {took} ms ({topic} in the topic), plain {limit} ms");
        measured.ours.push(played.took_us);
        measured.settled.push(played.settled_us);
        measured.plain.push(plain_us);
        measured.ratios.push(per_mille(played.took_us, plain_us));
        measured.cpu = measured.cpu.plus(played.cpu);
        measured.chunks = work.chunks();
        measured.last = played.deliveries;
        Ok(())
    }

    fn round_trip(&mut self, records: &[Taken]) -> anyhow::Result<Duration> {
        let Self { producer, consumer, topic, .. } = self;
        tokio::task::block_in_place(|| there_and_back(producer, consumer, topic, records))
    }
}

/// The rows of the final answers about `revision`, in the batches in which they were written.
async fn delivered(
    engine: &Cluster,
    round: &str,
    revision: u32,
) -> anyhow::Result<Vec<Arc<RowBatch>>> {
    let mut scopes = Vec::new();
    for partition in 0..LANES {
        let scope = Scope { group: round.to_owned(), topic: Topic(SETTLEMENTS), partition };
        let mut facts = engine.scan(scope).await?;
        facts.retain(|fact| {
            schemas::frame::decode::<schemas::wire::DeliveryRecord>(&fact.body)
                .is_ok_and(|record| record.revision == i64::from(revision))
        });
        scopes.push(facts);
    }
    Ok(batches(scopes))
}
