//! A settler's work alone: rounds that wait in `bets.v1`, settlers that read them from the beginning, and what
//! that takes until the last settlement is out.

use super::client::micros;
use super::ground::Ground;
use super::plain::PlainSettler;
use super::progress::{Wait, count, reached};
use super::report::{Cpu, Memory};
use super::rounds::Maker;
use super::tail::{Taken, first};
use crate::config::{Config, Overrides};
use crate::engine::SETTLER;
use crate::serve::Opened;
use anyhow::{Context, ensure};
use runtime::drive::NoCalls;
use runtime::{Append, Engine, Fact, Handles, Job, Scope, SystemClock, Topic, supervise};
use schemas::RoundId;
use schemas::catalogue::{BETS, DECISIONS, SETTLEMENTS};
use settler::{Settler, SettlerOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Longest wait for a run.
const RUN_WAIT_MAX: Duration = Duration::from_secs(600);
/// Records that are appended together at least, whatever the size of a round: what a reader gets at once must not
/// be another because rounds are small.
const APPENDED_MIN: usize = 20_000;
/// Bets that are made before it is looked whether there are so many records.
const BETS_MADE: usize = 10_000;
/// Bets of the part that a plain program repeats: it is kept in memory.
const PART_BETS_MAX: usize = 10_000;

/// Settlers of every partition, in this process.
pub(super) struct Settlers {
    stop: CancellationToken,
    running: JoinHandle<Result<(), runtime::EngineError>>,
}

impl Settlers {
    /// Starts them, with the defaults of the configuration.
    ///
    /// # Errors
    /// If these do not load.
    pub(super) fn start<E: Engine>(engine: &E) -> anyhow::Result<Self> {
        let config = Config::load(None, Vec::new(), Overrides::default())?;
        let rounds_kept = config.settler.rounds_kept;
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

    /// Stops them.
    ///
    /// # Errors
    /// If one broke down.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.running.await.context("the settlers broke down")??)
    }
}

/// Rounds of one size.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    /// Their names.
    pub(super) names: Vec<RoundId>,
    /// Bets of each.
    pub(super) bets: usize,
}

impl Rounds {
    /// So many rounds.
    ///
    /// # Errors
    /// Never, for these names.
    pub(super) fn of(count: usize, bets: usize) -> anyhow::Result<Self> {
        let name = |number| Ok(format!("round-{number:06}").parse()?);
        let names = (0..count).map(name).collect::<anyhow::Result<_>>()?;
        Ok(Self { names, bets })
    }

    /// Bets of all.
    pub(super) fn bets_in_all(&self) -> usize {
        self.names.len().saturating_mul(self.bets)
    }

    /// Appends them, one after the other, each with its result.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) async fn append<E: Opened>(
        &self,
        engine: &E,
        maker: &mut Maker,
    ) -> anyhow::Result<()> {
        let mut waiting: Vec<Append> = Vec::new();
        for round in &self.names {
            waiting.extend(maker.opened(round)?);
            for from in (0..self.bets).step_by(BETS_MADE) {
                let to = self.bets.min(from.saturating_add(BETS_MADE));
                waiting.extend(maker.bets(round, from..to)?);
                if APPENDED_MIN <= waiting.len() {
                    engine.append(std::mem::take(&mut waiting)).await?;
                }
            }
            waiting.extend(maker.closed(round)?);
            waiting.extend(maker.result(round)?);
        }
        engine.append(waiting).await?;
        Ok(())
    }
}

/// What something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// From the first record read to the last written, in µs.
    pub(super) took_us: u64,
    /// User and system time of the process meanwhile, in ms.
    pub(super) cpu_ms: u64,
    /// Memory of the process meanwhile; at rest is when it began.
    pub(super) memory: Memory,
}

/// When something began.
#[derive(Clone, Copy, Debug)]
struct Begun {
    memory: Memory,
    cpu: Cpu,
    at: Instant,
}

impl Begun {
    fn now() -> Self {
        Self { memory: Memory::at_rest(), cpu: Cpu::now(None), at: Instant::now() }
    }

    /// What was taken until now.
    fn cost(self) -> Cost {
        let took_us = micros(self.at.elapsed());
        let cpu_ms = Cpu::now(None).since(self.cpu).here_ms;
        Cost { took_us, cpu_ms, memory: self.memory.with_peak() }
    }
}

/// Has rounds wait in the log of a new engine and settles them; then the plain program reads and writes as much. What
/// either took.
///
/// # Errors
/// As [`settle`], and what the engine and the plain program say.
pub(super) async fn settle_beside_plain<G: Ground>(
    ground: &G,
    rounds: &Rounds,
    mut maker: Maker,
) -> anyhow::Result<[Cost; 2]> {
    let engine = ground.open().await?;
    rounds.append(&engine, &mut maker).await?;
    let ours = settle(&engine, rounds.bets_in_all(), G::LOOK_PERIOD).await?;
    let settled = Settled::first(&engine, rounds).await?;
    let plain = ground.plain_settler(&engine, settled).await?;
    engine.close().await;
    let begun = Begun::now();
    plain.run().await?;
    Ok([ours, begun.cost()])
}

/// Settles what waits in the log: `bets`, each once.
///
/// # Errors
/// If one is not settled, or twice.
async fn settle(engine: &impl Engine, bets: usize, period: Duration) -> anyhow::Result<Cost> {
    let bets = u64::try_from(bets)?;
    let begun = Begun::now();
    let settlers = Settlers::start(engine)?;
    reached(engine, SETTLEMENTS, bets, Wait { max: RUN_WAIT_MAX, period }).await?;
    let cost = begun.cost();
    settlers.stop().await?;
    for topic in [DECISIONS, SETTLEMENTS] {
        let found = count(engine, topic).await?;
        ensure!(found == bets, "{found} records of {topic} for {bets} bets");
    }
    Ok(cost)
}

/// A part of what settlers did, and how much they did in all: a plain program repeats the part until it is as much.
pub struct Settled {
    /// Bets of the part: the first ones of the first round.
    pub(super) bets: usize,
    /// Facts about as many bets, partition by partition of `bets.v1`.
    pub(super) facts: Vec<Vec<Fact>>,
    /// Records of `decisions.v1`.
    pub(super) decisions: Vec<Taken>,
    /// Records of `settlements.v1`.
    pub(super) settlements: Vec<Taken>,
    /// All that was read and settled.
    pub(super) all: Work,
}

/// What settlers have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// Records of `bets.v1`.
    pub(super) records: usize,
    /// Bets in them.
    pub(super) bets: usize,
}

impl Work {
    /// How many of `part`, which belong to so many bets, are to be written once so many records were read.
    pub(super) fn due(self, part: usize, part_bets: usize, read: usize) -> usize {
        let bets = read.saturating_mul(self.bets) / self.records.max(1);
        bets.saturating_mul(part) / part_bets.max(1)
    }
}

impl Settled {
    /// Reads what some rounds gave.
    ///
    /// # Errors
    /// What the engine says.
    async fn first<E: Opened>(engine: &E, rounds: &Rounds) -> anyhow::Result<Self> {
        let round = rounds.names.first().context("there is no round")?;
        let bets = rounds.bets.min(PART_BETS_MAX);
        let mut facts = Vec::new();
        for partition in 0..E::PARTITIONS.lanes {
            let (group, topic) = (round.to_string(), Topic(BETS));
            let mut all = engine.scan(Scope { group, topic, partition }).await?;
            all.truncate(all.len().saturating_mul(bets).div_ceil(rounds.bets.max(1)));
            facts.push(all);
        }
        let decisions = first(engine, DECISIONS, bets).await?;
        let settlements = first(engine, SETTLEMENTS, bets).await?;
        // An intent and an answer of each bet, and three markers of each round in each lane.
        let markers = 3 * usize::try_from(E::PARTITIONS.lanes)? * rounds.names.len();
        let bets_in_all = rounds.bets_in_all();
        let all = Work { records: 2 * bets_in_all + markers, bets: bets_in_all };
        Ok(Self { bets, facts, decisions, settlements, all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_repeated_until_all_is_written() {
        let all = Work { records: 2_006, bets: 1_000 };
        // Of 100 bets with 3 facts each.
        assert_eq!([0, 1_003, 2_006].map(|read| all.due(300, 100, read)), [0, 1_500, 3_000]);
        assert_eq!(Work { records: 0, bets: 0 }.due(1, 0, 7), 0);
    }
}
