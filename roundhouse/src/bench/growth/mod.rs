//! `bench growth`: what a settlement costs with more partners, and with larger rounds.
//!
//! Each run is a settler's work alone: rounds wait in `bets.v1`, and settlers of every partition read them until the
//! last settlement is out; behind it a plain program reads the same records and writes what the settlers wrote. Every run settles equally many bets in all (1,000 rounds of 1,000 as well as one of
//! 1,000,000), so that what a run costs once counts the same everywhere. The points take turns, and in each turn
//! another one begins, so that a machine that becomes slower favours none.

mod report;

pub use report::GrowthReport;

use super::ground::{Bench, Ground, Grounds};
use super::plain::PlainSettler;
use super::report::{Place, Thousandths};
use super::rounds::Maker;
use super::settling::{Cost, Rounds, settle_beside_plain};
use crate::serve::Opened;
use anyhow::ensure;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Partners of the rounds that grow, and numbers of partners in turn.
const PARTNERS: usize = 20;
const PARTNERS_OF_POINTS: [usize; 3] = [1, PARTNERS, 1_000];
/// Bets of the rounds whose partners become more, if runs have so many.
const ROUND_BETS: usize = 10_000;
/// Bets that are settled at most before anything is measured: the first run of a process is dearer.
const WARM_UP: usize = 10_000;
/// Bets of the smallest round.
const ROUND_BETS_MIN: usize = 1_000;

/// What a run took the settlers, and the plain program behind them.
type Costs = [Cost; 2];

/// What to measure.
#[derive(Clone, Debug)]
pub struct GrowthPlan {
    /// The largest round has as many bets as the largest power of ten that is not above, and every run settles as
    /// many; 1,000 or more.
    pub bets_max: usize,
    /// Runs of each point.
    pub runs: usize,
    /// Seed of bets and results.
    pub seed: u64,
    /// A directory on the disk whose fsync is shown.
    pub data_dir: PathBuf,
}

/// Where it is measured what a settlement costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Point {
    /// Partners.
    pub partners: usize,
    /// Bets of a round.
    pub round_bets: usize,
}

/// The points, and the bets that every run settles.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grid {
    /// Points with more and more partners.
    partners: Vec<Point>,
    /// Points with larger and larger rounds.
    rounds: Vec<Point>,
    /// Bets of a run; every point's rounds divide it.
    settlements: usize,
}

impl Grid {
    fn of(bets_max: usize) -> Self {
        let sizes = std::iter::successors(Some(ROUND_BETS_MIN), |bets| bets.checked_mul(10));
        let sizes: Vec<usize> = sizes.take_while(|bets| *bets <= bets_max).collect();
        let settlements = sizes.last().copied().unwrap_or(ROUND_BETS_MIN);
        let round_bets = ROUND_BETS.min(settlements);
        let with = |partners| Point { partners, round_bets };
        let of = |round_bets| Point { partners: PARTNERS, round_bets };
        Self {
            partners: PARTNERS_OF_POINTS.map(with).to_vec(),
            rounds: sizes.into_iter().map(of).collect(),
            settlements,
        }
    }

    /// Each point once.
    fn points(&self) -> Vec<Point> {
        let points: BTreeSet<Point> = self.partners.iter().chain(&self.rounds).copied().collect();
        points.into_iter().collect()
    }
}

impl Bench for GrowthPlan {
    type Report = GrowthReport;

    async fn measure<G: Grounds>(&self, grounds: &G) -> anyhow::Result<GrowthReport> {
        ensure!(ROUND_BETS_MIN <= self.bets_max, "a round has {ROUND_BETS_MIN} bets or more");
        let place = Place::before(grounds.engine().await?, &self.data_dir).await?;
        let grid = Grid::of(self.bets_max);
        let mut points = grid.points();
        let mut costs: BTreeMap<Point, Vec<Costs>> = BTreeMap::new();
        let round_bets = WARM_UP.min(grid.settlements);
        let warm_up = Point { partners: PARTNERS, round_bets };
        self.run(warm_up, round_bets, grounds).await?;
        for run in 0..self.runs {
            for point in &points {
                let costs_now = self.run(*point, grid.settlements, grounds).await?;
                let [cost, plain] = costs_now;
                eprintln!(
                    "bench: run {}: {} partners, {} bets a round: {} s of cpu in {} s, plain {} in {}",
                    run + 1,
                    point.partners,
                    point.round_bets,
                    Thousandths(cost.cpu_ms),
                    Thousandths(cost.took_us / 1_000),
                    Thousandths(plain.cpu_ms),
                    Thousandths(plain.took_us / 1_000),
                );
                costs.entry(*point).or_default().push(costs_now);
            }
            points.rotate_left(1);
        }
        let plain_does = <G::Ground as Ground>::PlainSettler::DOES;
        Ok(GrowthReport::of(&grid, &costs, plain_does, place.after(&self.data_dir).await?))
    }
}

impl GrowthPlan {
    async fn run<G: Grounds>(
        &self,
        point: Point,
        settlements: usize,
        grounds: &G,
    ) -> anyhow::Result<Costs> {
        let ground = grounds.make().await?;
        let costs = self.on(point, settlements, &ground).await;
        ground.drop_all().await;
        costs
    }

    async fn on<G: Ground>(
        &self,
        point: Point,
        settlements: usize,
        ground: &G,
    ) -> anyhow::Result<Costs> {
        let rounds = Rounds::of(settlements / point.round_bets, point.round_bets)?;
        let maker = Maker::new(G::Engine::PARTITIONS, point.partners, self.seed)?;
        settle_beside_plain(ground, &rounds, maker).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_settles_equally_many_in_whole_rounds() {
        for (bets_max, settlements, points) in
            [(1_000, 1_000, 3), (10_000, 10_000, 4), (25_000, 10_000, 4), (1_000_000, 1_000_000, 6)]
        {
            let grid = Grid::of(bets_max);
            assert_eq!(grid.settlements, settlements, "{bets_max}");
            assert_eq!(grid.points().len(), points, "{bets_max}");
            for point in grid.points() {
                assert_eq!(settlements % point.round_bets, 0, "{bets_max}: {point:?}");
            }
        }
    }
}
