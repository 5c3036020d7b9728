//! `bench settle`: what a settler's CPU can do. Rounds wait in `bets.v1`; settlers of every partition read them
//! from the beginning until the last settlement is out. Beside it a plain program reads the same records and
//! writes what the settlers wrote.

use super::ground::{Bench, Ground, Grounds};
use super::plain::PlainSettler;
use super::report::{Memory, NO_FLOOR, Place, Thousandths, median, per_mille, word};
use super::rounds::Maker;
use super::settling::{Cost, Rounds, settle_beside_plain};
use crate::serve::Opened;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// What to measure.
#[derive(Clone, Debug)]
pub struct SettlePlan {
    /// Bets of a run; rounded up to whole rounds.
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
    /// Of this process; at rest is when the bets waited in the log.
    pub memory: Memory,
}

impl Run {
    fn of(bets: usize, cost: Cost) -> Self {
        let Cost { took_us, cpu_ms, memory } = cost;
        let outcomes = u64::try_from(bets).unwrap_or(u64::MAX).saturating_mul(2);
        let per_core_s = outcomes.saturating_mul(1_000).checked_div(cpu_ms).unwrap_or_default();
        Self { took_us, cpu_ms, per_core_s, memory }
    }
}

/// A run of the settlers and the run of the plain program after it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pair {
    /// The settlers.
    pub settler: Run,
    /// The plain program.
    pub plain: Run,
    /// CPU time of the settlers by that of the plain program, in thousandths.
    pub cpu_per_mille: u64,
    /// Time by that of the plain program, in thousandths.
    pub time_per_mille: u64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct SettleReport {
    /// Which bench.
    pub what: &'static str,
    /// Bets of a run.
    pub bets: usize,
    /// What the plain program does.
    pub plain_does: &'static str,
    /// The runs, in order.
    pub pairs: Vec<Pair>,
    /// The settlers' outcomes by core-second, median.
    pub per_core_s_median: u64,
    /// CPU time by that of the plain program, in thousandths, median.
    pub cpu_per_mille_median: u64,
    /// Time by that of the plain program, in thousandths, median.
    pub time_per_mille_median: u64,
    /// The least that the median of outcomes may be; `None` on an engine without a floor.
    pub floor_per_core_s: Option<u64>,
    /// What is aimed at.
    pub goal_per_core_s: Option<u64>,
    /// Whether the floor is reached.
    pub floor_met: Option<bool>,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

impl Bench for SettlePlan {
    type Report = SettleReport;

    async fn measure<G: Grounds>(&self, grounds: &G) -> anyhow::Result<SettleReport> {
        let place = Place::before(grounds.engine().await?, &self.data_dir).await?;
        let mut pairs = Vec::new();
        for number in 0..self.pairs {
            let ground = grounds.make().await?;
            let measured = self.pair(&ground).await;
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
        let of = |figure: fn(&Pair) -> u64| median(pairs.iter().map(figure).collect());
        let per_core_s_median = of(|pair| pair.settler.per_core_s);
        let wanted = G::Ground::FLOORS.outcomes_per_core_s;
        Ok(SettleReport {
            what: "settle",
            bets: self.rounds()?.bets_in_all(),
            plain_does: <G::Ground as Ground>::PlainSettler::DOES,
            per_core_s_median,
            cpu_per_mille_median: of(|pair| pair.cpu_per_mille),
            time_per_mille_median: of(|pair| pair.time_per_mille),
            floor_per_core_s: wanted.map(|wanted| wanted.floor),
            goal_per_core_s: wanted.map(|wanted| wanted.goal),
            floor_met: wanted.map(|wanted| wanted.floor <= per_core_s_median),
            pairs,
            place: place.after(&self.data_dir).await?,
        })
    }
}

impl SettlePlan {
    fn rounds(&self) -> anyhow::Result<Rounds> {
        let count = self.bets.div_ceil(self.round_bets.max(1)).max(1);
        Rounds::of(count, self.round_bets)
    }

    async fn pair<G: Ground>(&self, ground: &G) -> anyhow::Result<Pair> {
        let rounds = self.rounds()?;
        let bets = rounds.bets_in_all();
        let maker = Maker::new(G::Engine::PARTITIONS, self.partners, self.seed)?;
        let costs = settle_beside_plain(ground, &rounds, maker).await?;
        let [settler, plain] = costs.map(|cost| Run::of(bets, cost));
        let cpu_per_mille = per_mille(settler.cpu_ms, plain.cpu_ms);
        let time_per_mille = per_mille(settler.took_us, plain.took_us);
        Ok(Pair { settler, plain, cpu_per_mille, time_per_mille })
    }
}

impl fmt::Display for SettleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} bets that wait in the log", self.what, self.bets)?;
        writeln!(f, "{}\n{}; no logic", self.place, self.plain_does)?;
        writeln!(f, "memory of this process: at rest, when the bets waited, and at the most")?;
        write!(f, "{:<14}{:>16}", "", "outcomes/core-s")?;
        ["cpu s", "ms", "rest MiB", "most MiB"]
            .iter()
            .try_for_each(|name| write!(f, "{name:>10}"))?;
        writeln!(f)?;
        for pair in &self.pairs {
            for (name, run) in [("settler", pair.settler), ("plain", pair.plain)] {
                let (cpu, took) = (Thousandths(run.cpu_ms), Thousandths(run.took_us));
                let [rest, most] = run.memory.mib();
                writeln!(
                    f,
                    "{name:<14}{:>16}{cpu:>10}{took:>10}{rest:>10}{most:>10}",
                    run.per_core_s
                )?;
            }
        }
        let [cpu, time] = [self.cpu_per_mille_median, self.time_per_mille_median].map(Thousandths);
        writeln!(f, "by those of plain: cpu {cpu}, time {time} (medians of pairs)")?;
        write!(f, "{} outcomes/core-s; ", self.per_core_s_median)?;
        match self.floor_per_core_s.zip(self.goal_per_core_s).zip(self.floor_met) {
            Some(((floor, goal), met)) => writeln!(f, "floor {floor}: {}; goal {goal}", word(met)),
            None => writeln!(f, "{NO_FLOOR}"),
        }
    }
}
