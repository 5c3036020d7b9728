//! `bench result-to-confirmed`: from a round's result to the last of its settlements confirmed by the partners.
//! `bench correct-old`: the same from a correction, of a round that the settlers have forgotten.
//!
//! One process has every role. Beside it a plain program does the same work: it writes the same settlements, posts
//! the same items, and writes the same records of their deliveries.

mod play;
mod report;

pub use report::ResultReport;

use super::ground::{Bench, Ground, Grounds};
use super::house::House;
use super::plain::Plain;
use super::plain_deliver::{PlainDeliver, PlainRound, Posts, Told};
use super::report::{Cpu, Memory, Place, Spread, Thousandths, median, per_mille};
use super::tail::Taken;
use super::timelines;
use anyhow::{Context, ensure};
use partner_kit::faults::SplitMix;
use play::{Played, correct, play};
use report::Times;
use schemas::settlements::Settlement;
use std::path::PathBuf;

/// The most that the median of corrections may be, on every engine, in µs.
const CORRECTED_FLOOR_US: u64 = 3_000_000;
/// What is said of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Its result.
    Result,
    /// A correction, when all rounds have been played and one is still in memory.
    Correction,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct ResultPlan {
    /// From when.
    pub said: Said,
    /// Bets of each round.
    pub bets: usize,
    /// Partners, each with a wallet.
    pub partners: usize,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// Rounds; the newest is never corrected.
    pub rounds: usize,
    /// Seed of bets and results.
    pub seed: u64,
    /// A directory on the disk whose fsync is shown.
    pub data_dir: PathBuf,
    /// The binary whose `wallet` is started.
    pub exe: PathBuf,
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
    settlements: usize,
    /// The deliveries of the last round measured.
    last: Vec<Taken>,
    timeline: Spread,
    memory: Memory,
}

impl Bench for ResultPlan {
    type Report = ResultReport;

    async fn measure<G: Grounds>(&self, grounds: &G) -> anyhow::Result<ResultReport> {
        let corrected = self.said == Said::Correction;
        ensure!(!corrected || 2 <= self.rounds, "the newest round stays in memory: 2 or more");
        let place = Place::before(grounds.engine().await?, &self.data_dir).await?;
        let ground = grounds.make().await?;
        let measured = self.rounds(&ground).await;
        ground.leave(false, &self.data_dir).await;
        let mut measured = measured?;
        for times in [&mut measured.ours, &mut measured.settled, &mut measured.plain] {
            times.sort_unstable();
        }
        let last = Spread::of(&measured.ours);
        let floor_us = if corrected { CORRECTED_FLOOR_US } else { G::Ground::FLOORS.confirmed_us };
        Ok(ResultReport {
            what: if corrected { "correct-old" } else { "result-to-confirmed" },
            bets: self.bets,
            partners: self.partners,
            wallet_latency_ms: self.wallet_latency_ms,
            rounds: measured.ours.len(),
            settlements: measured.settlements,
            plain_chunks: measured.chunks,
            roundhouse: Times { last, cpu: measured.cpu },
            settled: Spread::of(&measured.settled),
            plain_deliver: Times { last: Spread::of(&measured.plain), cpu: measured.cpu_plain },
            timeline: measured.timeline,
            timeline_floor_us: timelines::FLOOR_US,
            time_per_mille_median: median(measured.ratios),
            floor_us,
            floor_met: last.p50_us < floor_us,
            memory: measured.memory,
            place: place.after(&self.data_dir).await?,
        })
    }
}

impl ResultPlan {
    async fn rounds<G: Ground>(&self, ground: &G) -> anyhow::Result<Measured> {
        let corrected = self.said == Said::Correction;
        let house =
            House::start(&self.exe, self.partners, self.wallet_latency_ms, ground, |config| {
                if corrected {
                    // Every other round must be loaded.
                    config.settler.rounds_kept = 1;
                }
            })
            .await?;
        let mut beside = Beside(PlainDeliver::new(ground.plain().await?));
        let mut random = SplitMix::new(self.seed);
        let mut measured = Measured::default();
        let mut old = Vec::new();
        for number in 0..self.rounds {
            let round = format!("round-{number}");
            let played = play(self, &house, &round, &mut random).await?;
            if corrected {
                eprintln!("bench: {round} is played");
                old.push((round, played));
            } else {
                beside.run::<G>(&house, &round, played, &mut measured).await?;
            }
        }
        old.pop();
        for (round, before) in old {
            let played = correct(&house, &round, &before).await?;
            beside.run::<G>(&house, &round, played, &mut measured).await?;
        }
        measured.timeline = timelines::timelines(&house, &measured.last).await?;
        measured.memory = house.close().await?;
        Ok(measured)
    }
}

/// The plain program.
struct Beside<P>(PlainDeliver<P>);

impl<P> Beside<P> {
    /// Does a played round's work again, and writes both down.
    async fn run<G: Ground<Plain = P>>(
        &mut self,
        house: &House<G::Engine>,
        round: &str,
        played: Played,
        measured: &mut Measured,
    ) -> anyhow::Result<()>
    where
        P: Plain<G::Engine>,
    {
        let work = PlainRound::of(&played.settlements, &house.wallets, Posts::ALL)?;
        let of = played.settlements.first().context("nothing was settled")?;
        let revision = Settlement::decode(&of.value).context("a settlement")?.revision;
        let rows = self.0.plain().rows(house.running.engine(), round, revision).await?;
        let before = Cpu::now(house.wallets.id());
        let Played { settlements, deliveries, .. } = &played;
        let told = Told { round, work: &work, rows: &rows, settlements, deliveries };
        let plain_us = self.0.settle_and_deliver::<G::Engine>(told).await?;
        measured.cpu_plain = measured.cpu_plain.plus(Cpu::now(house.wallets.id()).since(before));
        let [took, topic, limit] = [played.took_us, played.settled_us, plain_us].map(Thousandths);
        eprintln!("bench: {round}: {took} ms ({topic} in the topic), plain {limit} ms");
        measured.ours.push(played.took_us);
        measured.settled.push(played.settled_us);
        measured.plain.push(plain_us);
        measured.ratios.push(per_mille(played.took_us, plain_us));
        measured.cpu = measured.cpu.plus(played.cpu);
        measured.chunks = work.chunks();
        measured.settlements += played.settlements.len();
        measured.last = played.deliveries;
        Ok(())
    }
}
