//! `bench result-to-topic`: from a result in `bets.v1` to the last of the round's settlements in their
//! topic, as a consumer sees it that does nothing with them. Beside it a plain program writes those of the first round
//! (which is not counted) again, until a consumer like that has the last.

use super::client::micros;
use super::ground::{Bench, Ground, Grounds, Watcher};
use super::plain::Plain;
use super::progress::{Wait, caught_up};
use super::report::{Memory, NO_FLOOR, Place, Spread, Thousandths, median, per_mille, word};
use super::rounds::Maker;
use super::settling::{Rounds, Settlers};
use super::tail::all;
use crate::engine::SETTLER;
use crate::serve::Opened;
use runtime::RecordLog;
use schemas::catalogue::{BETS, SETTLEMENTS};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// Rounds before the first that counts.
const WARM_UP: usize = 3;
/// Longest wait for a round.
const ROUND_WAIT_MAX: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Clone, Debug)]
pub struct TopicPlan {
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
    /// Which bench.
    pub what: &'static str,
    /// Bets of each round.
    pub bets: usize,
    /// Rounds.
    pub rounds: usize,
    /// What the plain program does.
    pub plain_does: &'static str,
    /// From before the result is appended to the last settlement read.
    pub roundhouse: Spread,
    /// From before the first record is written until a reader can have the last.
    pub plain: Spread,
    /// The settler's time by the plain program's, in thousandths, median of the rounds.
    pub time_per_mille_median: u64,
    /// The most that the median may be, in µs; `None` on an engine without a floor.
    pub floor_us: Option<u64>,
    /// What is aimed at, in µs.
    pub goal_us: Option<u64>,
    /// Whether the floor is met.
    pub floor_met: Option<bool>,
    /// Memory; at rest is before the first round.
    pub memory: Memory,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

impl Bench for TopicPlan {
    type Report = TopicReport;

    async fn measure<G: Grounds>(&self, grounds: &G) -> anyhow::Result<TopicReport> {
        let place = Place::before(grounds.engine().await?, &self.data_dir).await?;
        let ground = grounds.make().await?;
        let measured = self.rounds(&ground).await;
        ground.drop_all().await;
        let (times, memory) = measured?;
        let spread = |mut times: Vec<u64>| {
            times.sort_unstable();
            Spread::of(&times)
        };
        let roundhouse = spread(times.iter().map(|(ours, _)| *ours).collect());
        let ratios = times.iter().map(|(ours, plain)| per_mille(*ours, *plain)).collect();
        let wanted = G::Ground::FLOORS.topic_us;
        Ok(TopicReport {
            what: "result-to-topic",
            bets: self.bets,
            rounds: self.rounds,
            plain_does: <G::Ground as Ground>::Plain::DOES,
            roundhouse,
            plain: spread(times.iter().map(|(_, plain)| *plain).collect()),
            time_per_mille_median: median(ratios),
            floor_us: wanted.map(|wanted| wanted.floor),
            goal_us: wanted.map(|wanted| wanted.goal),
            floor_met: wanted.map(|wanted| roundhouse.p50_us < wanted.floor),
            memory,
            place: place.after(&self.data_dir).await?,
        })
    }
}

impl TopicPlan {
    /// Time of the settler and of the plain program, in µs, of each round; and memory.
    async fn rounds<G: Ground>(&self, ground: &G) -> anyhow::Result<(Vec<(u64, u64)>, Memory)> {
        let engine = ground.open().await?;
        let settlers = Settlers::start(&engine)?;
        let mut maker = Maker::new(G::Engine::PARTITIONS, self.partners, self.seed)?;
        let mut plain = ground.plain().await?;
        let mut watcher = ground.watch(&engine, SETTLEMENTS).await?;
        let mut settlements = Vec::new();
        let memory = Memory::at_rest();
        let wait = Wait { max: ROUND_WAIT_MAX, period: G::LOOK_PERIOD };
        let mut times = Vec::new();
        let rounds = Rounds::of(WARM_UP + self.rounds, self.bets)?;
        for (number, round) in rounds.names.iter().enumerate() {
            let mut records = maker.opened(round)?;
            records.extend(maker.bets(round, 0..self.bets)?);
            records.extend(maker.closed(round)?);
            let result = maker.result(round)?;
            engine.append(records).await?;
            caught_up(&engine, SETTLER, BETS, wait).await?;
            let begun = Instant::now();
            let (said, last) = tokio::join!(engine.append(result), watcher.seen(self.bets));
            said?;
            let ours = micros(last?.duration_since(begun));
            if number == 0 {
                let keep = |record| {
                    settlements.push(record);
                    Ok(())
                };
                all(&engine, SETTLEMENTS, keep).await?;
            }
            let begun = Instant::now();
            plain.settlements(&settlements).await?;
            let limit = micros(begun.elapsed());
            if WARM_UP <= number {
                let [mine, plain] = [ours, limit].map(Thousandths);
                eprintln!("bench: round {}: {mine} ms, plain {plain} ms", number - WARM_UP + 1);
                times.push((ours, limit));
            }
        }
        let memory = memory.with_peak();
        settlers.stop().await?;
        engine.close().await;
        Ok((times, memory))
    }
}

impl fmt::Display for TopicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} rounds of {} bets", self.what, self.rounds, self.bets)?;
        writeln!(f, "{}\n{}\n{}; no logic", self.place, self.memory, self.plain_does)?;
        writeln!(f, "{:<14}{:>10}{:>10}{:>10}", "", "p50 ms", "p95 ms", "max ms")?;
        for (name, spread) in [("roundhouse", self.roundhouse), ("plain", self.plain)] {
            let Spread { p50_us, p95_us, max_us, .. } = spread;
            let [p50, p95, max] = [p50_us, p95_us, max_us].map(Thousandths);
            writeln!(f, "{name:<14}{p50:>10}{p95:>10}{max:>10}")?;
        }
        let ratio = Thousandths(self.time_per_mille_median);
        writeln!(f, "time, by that of plain: {ratio} (median of rounds)")?;
        write!(f, "p50 {} ms; ", Thousandths(self.roundhouse.p50_us))?;
        match self.floor_us.zip(self.goal_us).zip(self.floor_met) {
            Some(((floor, goal), met)) => {
                let (floor, goal) = (floor / 1_000, goal / 1_000);
                let met = word(met);
                writeln!(f, "floor for 10000 bets: < {floor} ms: {met}; goal {goal} ms")
            }
            None => writeln!(f, "{NO_FLOOR}"),
        }
    }
}
