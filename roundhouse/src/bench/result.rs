//! `bench result-to-confirmed`: from a round's result to the last of its settlements confirmed by the
//! partners, beside `plain-deliver`.

use super::client::micros;
use super::house::{House, WAIT_MAX};
use super::journal::PlainJournal;
use super::plain_deliver::PlainRound;
use super::report::{Cpu, Machine, Memory, Spread, Thousandths, median, per_mille, word};
use super::tail::{Tail, Taken};
use super::timelines::{self, timelines};
use crate::rig::players::{Wager, place_all, wagers};
use crate::serve::Opened;
use anyhow::Context;
use partner_kit::faults::SplitMix;
use runtime::http::{HttpClient, HttpOptions};
use runtime::{Clock, SystemClock};
use schemas::catalogue::{DELIVERIES, SETTLEMENTS};
use schemas::frame;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::time::Instant;

/// The median that must not be exceeded for 10,000 bets and 20 partners answering in 20 ms, in µs.
const FLOOR_US: u64 = 400_000;
/// Players of each partner.
const PLAYERS: usize = 50;
/// Bets placed at once.
const AT_ONCE: usize = 256;
/// Betting is open for at most this long, in ms.
const BETTING_MS: i64 = 600_000;
/// Between the end of betting and the cut-off, in ms.
const GRACE_MS: i64 = 100;
/// Longest wait for the last confirmation of a round.
pub(super) const ROUND_WAIT_MAX: Duration = Duration::from_secs(60);
/// The pool that the dispatchers have.
pub(super) const POOL: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(1),
    idle_max: Duration::from_secs(4),
    idle_connections_max: 16,
};

/// What to measure.
#[derive(Clone, Debug)]
pub struct ResultPlan {
    /// Bets of each round.
    pub bets: usize,
    /// Partners, each with a wallet.
    pub partners: usize,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// Rounds.
    pub rounds: usize,
    /// Seed of bets and results.
    pub seed: u64,
    /// An empty directory.
    pub data_dir: PathBuf,
    /// The binary whose `wallet` is started.
    pub exe: PathBuf,
}

/// One program over all rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    /// From the result to the last confirmation.
    pub last: Spread,
    /// CPU time used in all rounds together.
    pub cpu: Cpu,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct ResultReport {
    /// Which bench.
    pub what: &'static str,
    /// Bets of each round.
    pub bets: usize,
    /// Partners.
    pub partners: usize,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// Rounds.
    pub rounds: usize,
    /// Requests that the plain program needs for a round.
    pub plain_chunks: usize,
    /// The server, from before the result is sent.
    pub roundhouse: Times,
    /// The time until the last settlement stood in the log, a part of the above.
    pub settled: Spread,
    /// The plain program.
    pub plain_deliver: Times,
    /// An operator's wait for the timeline of a bet of the last round, one after the other.
    pub timeline: Spread,
    /// The most that one may take, in µs.
    pub timeline_floor_us: u64,
    /// The server's time by the plain program's, in thousandths, median of the rounds.
    pub time_per_mille_median: u64,
    /// The most that the median may be, in µs.
    pub floor_us: u64,
    /// Whether it is.
    pub floor_met: bool,
    /// Memory.
    pub memory: Memory,
    /// The machine, before and after.
    pub machine: [Machine; 2],
}

/// One round of the server.
#[cfg_attr(
    not(feature = "cluster"),
    expect(dead_code, reason = "some of it is for the benches of the cluster engine")
)]
pub(super) struct Played {
    pub(super) took_us: u64,
    pub(super) settled_us: u64,
    pub(super) cpu: Cpu,
    pub(super) settlements: Vec<Taken>,
    pub(super) deliveries: Vec<Taken>,
    /// What was bet on, bet by bet.
    pub(super) selections: Vec<String>,
    /// What came out.
    pub(super) outcome: String,
}

impl Played {
    /// A round whose result was sent at `begun`.
    pub(super) fn of(
        begun: Instant,
        cpu: Cpu,
        settlements: Vec<Taken>,
        deliveries: Vec<Taken>,
    ) -> Self {
        let until_last = |taken: &[Taken]| {
            let times = taken.iter().map(|record| micros(record.at.duration_since(begun)));
            times.max().unwrap_or_default()
        };
        Self {
            took_us: until_last(&deliveries),
            settled_us: until_last(&settlements),
            cpu,
            settlements,
            deliveries,
            selections: Vec::new(),
            outcome: String::new(),
        }
    }
}

/// Measures.
///
/// # Errors
/// If a part cannot be started, or a bet is not accepted or not confirmed.
pub async fn result_to_confirmed(plan: &ResultPlan) -> anyhow::Result<ResultReport> {
    let before = Machine::now(&plan.data_dir).await?;
    let house =
        House::open(&plan.exe, &plan.data_dir, plan.partners, plan.wallet_latency_ms).await?;
    let journal = PlainJournal::create(&plan.data_dir.join("plain"))?;
    let client = HttpClient::new(POOL);
    let mut random = SplitMix::new(plan.seed);
    let (mut ours, mut settled, mut plain, mut ratios) = (vec![], vec![], vec![], vec![]);
    let (mut cpu, mut cpu_plain, mut plain_chunks) = (Cpu::default(), Cpu::default(), 0);
    let mut last = Vec::new();
    for round in 0..plan.rounds {
        let played = play(plan, &house, &format!("round-{round}"), &mut random).await?;
        let work = PlainRound::of(&played.settlements, &played.deliveries, &house.wallets)?;
        let before = Cpu::now(house.wallets.id());
        let begun = Instant::now();
        let answers = work.run(&journal, &client).await?;
        let plain_us = micros(begun.elapsed());
        cpu_plain = cpu_plain.plus(Cpu::now(house.wallets.id()).since(before));
        work.check(&answers, played.settlements.len())?;
        plain_chunks = work.chunks();
        cpu = cpu.plus(played.cpu);
        let (took, limit) = (Thousandths(played.took_us), Thousandths(plain_us));
        eprintln!("bench: round {}: {took} ms, plain {limit} ms", round + 1);
        ours.push(played.took_us);
        settled.push(played.settled_us);
        ratios.push(per_mille(played.took_us, plain_us));
        plain.push(plain_us);
        last = played.deliveries;
    }
    let timeline = timelines(&house, &last).await?;
    let memory = house.close().await?;
    for times in [&mut ours, &mut settled, &mut plain] {
        times.sort_unstable();
    }
    let last = Spread::of(&ours);
    Ok(ResultReport {
        what: "result-to-confirmed",
        bets: plan.bets,
        partners: plan.partners,
        wallet_latency_ms: plan.wallet_latency_ms,
        rounds: plan.rounds,
        plain_chunks,
        roundhouse: Times { last, cpu },
        settled: Spread::of(&settled),
        plain_deliver: Times { last: Spread::of(&plain), cpu: cpu_plain },
        timeline,
        timeline_floor_us: timelines::FLOOR_US,
        time_per_mille_median: median(ratios),
        floor_us: FLOOR_US,
        floor_met: last.p50_us < FLOOR_US,
        memory,
        machine: [before, Machine::now(&plan.data_dir).await?],
    })
}

pub(super) async fn play<E: Opened>(
    plan: &ResultPlan,
    house: &House<E>,
    round: &str,
    random: &mut SplitMix,
) -> anyhow::Result<Played> {
    house.api.open_die(round, BETTING_MS, GRACE_MS).await?;
    let now = SystemClock.now();
    let mut bets = wagers(round, plan.bets, &house.keys, PLAYERS, now, random);
    bets.iter_mut().for_each(|bet| bet.cancel = false);
    let selection = |bet: &Wager| bet.body["selection"].as_str().unwrap_or_default().to_owned();
    let selections = bets.iter().map(selection).collect();
    let told = place_all(&house.api, bets, AT_ONCE, &Arc::new(AtomicUsize::new(0))).await;
    let accepted =
        told.values().filter(|words| words.iter().all(|word| word == "accepted")).count();
    anyhow::ensure!(accepted == plan.bets, "{accepted} of {} bets were accepted", plan.bets);
    house.api.close(round).await?;
    house.api.sealed(round, WAIT_MAX).await?;
    let settlements = Tail::start(house.running.engine(), SETTLEMENTS).await?;
    let deliveries = Tail::start(house.running.engine(), DELIVERIES).await?;
    let outcome = (1 + random.below(6)).to_string();
    let cpu = Cpu::now(house.wallets.id());
    let begun = Instant::now();
    house.api.result(round, &outcome).await?;
    let deliveries = deliveries.take(accepted, ROUND_WAIT_MAX).await?;
    let cpu = Cpu::now(house.wallets.id()).since(cpu);
    let settlements = settlements.take(accepted, ROUND_WAIT_MAX).await?;
    check(round, accepted, &deliveries)?;
    let played = Played::of(begun, cpu, settlements, deliveries);
    Ok(Played { selections, outcome, ..played })
}

/// Checks, after the clock has stopped, that every bet of the round was confirmed.
pub(super) fn check(round: &str, bets: usize, deliveries: &[Taken]) -> anyhow::Result<()> {
    let mut confirmed = BTreeSet::new();
    for record in deliveries {
        let record: DeliveryRecord =
            frame::decode(&record.value).context("a delivery record cannot be read")?;
        if record.outcome == DeliveryOutcome::Applied && record.round_id == round {
            confirmed.insert(record.bet_id);
        }
    }
    anyhow::ensure!(confirmed.len() == bets, "{} of {bets} bets were confirmed", confirmed.len());
    Ok(())
}

impl fmt::Display for ResultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = &self.machine;
        writeln!(
            f,
            "{}: {} rounds of {} bets, {} partners answering in {} ms",
            self.what, self.rounds, self.bets, self.partners, self.wallet_latency_ms
        )?;
        writeln!(f, "before: {before}\nafter:  {after}\n{}", self.memory)?;
        writeln!(
            f,
            "plain-deliver writes the same to the same and posts the same items in {} chunks; no logic",
            self.plain_chunks
        )?;
        let head = ["p50 ms", "p95 ms", "max ms", "cpu s", "wallet s"];
        write!(f, "{:<14}", "")?;
        head.iter().try_for_each(|name| write!(f, "{name:>10}"))?;
        writeln!(f)?;
        let none = Cpu::default();
        for (name, spread, cpu) in [
            ("roundhouse", &self.roundhouse.last, self.roundhouse.cpu),
            ("  in the log", &self.settled, none),
            ("plain-deliver", &self.plain_deliver.last, self.plain_deliver.cpu),
            ("a timeline", &self.timeline, none),
        ] {
            write!(f, "{name:<14}")?;
            [spread.p50_us, spread.p95_us, spread.max_us]
                .iter()
                .try_for_each(|figure| write!(f, "{:>10}", Thousandths(*figure)))?;
            if cpu != none {
                write!(f, "{:>10}{:>10}", Thousandths(cpu.here_ms), Thousandths(cpu.wallets_ms))?;
            }
            writeln!(f)?;
        }
        let ratio = Thousandths(self.time_per_mille_median);
        writeln!(f, "time, by that of plain-deliver: {ratio} (median of rounds)")?;
        let (p50, floor) = (Thousandths(self.roundhouse.last.p50_us), self.floor_us / 1_000);
        writeln!(f, "p50 {p50} ms; floor for 10000 bets: < {floor} ms: {}", word(self.floor_met))?;
        let (p99, floor) = (Thousandths(self.timeline.p99_us), self.timeline_floor_us / 1_000);
        let met = word(self.timeline.p99_us < self.timeline_floor_us);
        writeln!(f, "timeline: p99 {p99} ms; floor: < {floor} ms: {met}")
    }
}
