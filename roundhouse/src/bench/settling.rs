//! A settler's work alone: rounds that wait in `bets.v1`, settlers that read them from the beginning, and what
//! that takes until the last settlement is out.

use super::client::micros;
use super::progress::{Wait, count, reached};
use super::report::Cpu;
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
}

impl Cost {
    /// Since `begun`, when `cpu` was used.
    pub(super) fn since((begun, cpu): (Instant, Cpu)) -> Self {
        let cpu_ms = Cpu::now(None).since(cpu).here_ms;
        Self { took_us: micros(begun.elapsed()), cpu_ms }
    }

    /// Now, for [`Self::since`].
    pub(super) fn begin() -> (Instant, Cpu) {
        (Instant::now(), Cpu::now(None))
    }
}

/// Settles what waits in the log: `bets`, each once.
///
/// # Errors
/// If one is not settled, or twice.
pub(super) async fn settle(
    engine: &impl Engine,
    bets: usize,
    period: Duration,
) -> anyhow::Result<Cost> {
    let bets = u64::try_from(bets)?;
    let begun = Cost::begin();
    let settlers = Settlers::start(engine)?;
    reached(engine, SETTLEMENTS, bets, Wait { max: RUN_WAIT_MAX, period }).await?;
    let cost = Cost::since(begun);
    settlers.stop().await?;
    for topic in [DECISIONS, SETTLEMENTS] {
        let found = count(engine, topic).await?;
        ensure!(found == bets, "{found} records of {topic} for {bets} bets");
    }
    Ok(cost)
}

/// A round as its settlers left it.
pub struct Settled {
    /// Its bets.
    pub(super) bets: usize,
    /// Facts, partition by partition of `bets.v1`.
    pub(super) facts: Vec<Vec<Fact>>,
    /// Records of `decisions.v1`.
    pub(super) decisions: Vec<Taken>,
    /// Records of `settlements.v1`.
    pub(super) settlements: Vec<Taken>,
}

impl Settled {
    /// Reads the first of some rounds.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) async fn first<E: Opened>(engine: &E, rounds: &Rounds) -> anyhow::Result<Self> {
        let round = rounds.names.first().context("there is no round")?;
        let mut facts = Vec::new();
        for partition in 0..E::PARTITIONS.lanes {
            let (group, topic) = (round.to_string(), Topic(BETS));
            facts.push(engine.scan(Scope { group, topic, partition }).await?);
        }
        let decisions = first(engine, DECISIONS, rounds.bets).await?;
        let settlements = first(engine, SETTLEMENTS, rounds.bets).await?;
        Ok(Self { bets: rounds.bets, facts, decisions, settlements })
    }

    /// Records of `bets.v1` that belong to it, on so many lanes: an intent and an answer of each bet, and three
    /// markers in each lane.
    pub(super) fn records(&self, lanes: u32) -> anyhow::Result<usize> {
        Ok(2 * self.bets + 3 * usize::try_from(lanes)?)
    }
}
