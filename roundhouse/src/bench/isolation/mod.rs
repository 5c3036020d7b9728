//! `bench isolation`: what healthy partners notice of five that are ill.
//!
//! Pairs of phases in one run: in one everybody is well, in the other five wallets are ill, each in its own way.
//! In both the same falls due: rounds of the healthy ones, one after the other, and rounds of the five, whose bets
//! were placed at the beginning. Which phase of a pair comes first alternates, and before each everything is
//! confirmed. Each ill wallet must be seen by its dispatcher as what it is. Behind them a plain program brings the same
//! settlements to wallets that are ill in the same phases. At the end, at rest, the audit reads the whole log, the facts
//! and the wallets' journals.

mod plain;
mod report;

pub use report::IsolationReport;

use super::ground::Grounds;
use super::illness::{Attempts, Illness, Seen};
use super::load::{self, Keys, Load};
use super::report::{Memory, Place, percentile};
use super::street::{Street, StreetPlan};
use super::trial::{EngineOf, Trial};
use crate::audit::report::Report;
use crate::rig::api::Api;
use crate::rig::watch::Watch;
use crate::serve::{Opened, Running};
use anyhow::Context;
use partner_kit::faults::FaultSettings;
use plain::Phase;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Partners that are ill in one phase of each pair.
const ILL: usize = Illness::FIVE.len();
/// Longest wait for the house.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest wait until everything is confirmed, behind a phase.
const REST_WAIT_MAX: Duration = Duration::from_secs(120);
const LOOK_PERIOD: Duration = Duration::from_millis(50);
/// Results of the ill ones' rounds, a second.
const RESULTS_PER_S: u64 = 2;

/// What to measure.
#[derive(Clone, Debug)]
pub struct IsolationPlan {
    /// Partners that are well all the time, each with a wallet.
    pub healthy: usize,
    /// Pairs of phases.
    pub pairs: usize,
    /// Length of each phase, in s.
    pub seconds: u64,
    /// Bets of each round of the healthy ones.
    pub bets: usize,
    /// Between the beginnings of two of their rounds, in ms.
    pub every_ms: u64,
    /// Bets of each round of the ill ones, of which there are two a second.
    pub ill_bets: usize,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// Seed of bets and results.
    pub seed: u64,
    /// An empty directory.
    pub data_dir: PathBuf,
    /// The binary whose `wallet` is started.
    pub exe: PathBuf,
}

/// From a result to its confirmation, p99 of the healthy partners' settlements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pair {
    /// While everybody is well, in ms.
    pub well_p99_ms: u64,
    /// While five are ill, in ms.
    pub ill_p99_ms: u64,
    /// Of the plain program while everybody is well, in µs.
    pub plain_well_p99_us: u64,
    /// Of the plain program while five are ill, in µs.
    pub plain_ill_p99_us: u64,
}

/// What a run gave.
pub struct Found {
    pairs: Vec<Pair>,
    /// The ill wallets, over all phases.
    seen: Vec<Seen>,
    memory: Memory,
}

impl Trial for IsolationPlan {
    type Found = Found;
    type Report = IsolationReport;

    fn street(&self) -> StreetPlan<'_> {
        StreetPlan {
            exe: &self.exe,
            partners: self.healthy + ILL,
            latency_ms: self.wallet_latency_ms,
            seed: self.seed,
            data_dir: &self.data_dir,
            doors: false,
        }
    }

    async fn play<G: Grounds>(
        &self,
        street: &Street,
        house: &Running<EngineOf<G>>,
        grounds: &G,
    ) -> anyhow::Result<Found> {
        let api = Api::new(format!("http://{}", house.address), street.operator_key.clone());
        api.ready(WAIT_MAX).await?;
        let memory = Memory::at_rest();
        let mut healthy = street.keys.clone();
        let mut ill = Keys::new();
        let (mut wallets, mut seen, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for illness in Illness::FIVE {
            let (name, key) = healthy.pop_last().context("there are too few partners")?;
            let url = street.wallets.urls.get(&name).context("it has no wallet")?;
            wallets.push(Api::new(url.clone(), String::new()));
            seen.push(Seen::new(name.clone(), illness));
            names.push(name.clone());
            ill.insert(name, key);
        }
        let each = usize::try_from(self.seconds * RESULTS_PER_S).context("too long")?;
        let count = each * 2 * self.pairs;
        let rounds = load::without_result(&api, &ill, (count, self.ill_bets), self.seed).await?;
        let watch = Watch::start(house.engine().clone());
        let (wallets, watch) = (&wallets, &watch);
        let scene = Scene { plan: self, api: &api, admin: house.admin, wallets, watch, healthy };
        let (mut phases, mut played) = (rounds.chunks(each).enumerate(), Vec::new());
        let mut pairs = Vec::new();
        for number in 0..self.pairs {
            let mut pair = Pair::default();
            let ill_first = number % 2 == 1;
            for is_ill in [ill_first, !ill_first] {
                let (number, rounds) = phases.next().context("there are too few rounds")?;
                let before = Attempts::now(scene.admin).await?;
                let (p99_ms, healthy) = scene.phase(number, rounds, is_ill).await?;
                played.push(Phase { is_ill, healthy, ill: rounds.to_vec() });
                if is_ill {
                    let after = Attempts::now(scene.admin).await?;
                    seen.iter_mut().for_each(|seen| seen.add(&before, &after));
                }
                let state = if is_ill { "five are ill" } else { "all are well" };
                eprintln!(
                    "bench: phase {} of {}: {state}: {p99_ms} ms",
                    number + 1,
                    2 * self.pairs
                );
                *(if is_ill { &mut pair.ill_p99_ms } else { &mut pair.well_p99_ms }) = p99_ms;
            }
            pairs.push(pair);
        }
        let memory = memory.with_peak();
        let plain_us = plain::play(self, street, house.engine(), &names, &played, grounds).await?;
        for ((number, phase), p99_us) in played.iter().enumerate().zip(plain_us) {
            let pair = pairs.get_mut(number / 2).context("a phase belongs to no pair")?;
            *(if phase.is_ill {
                &mut pair.plain_ill_p99_us
            } else {
                &mut pair.plain_well_p99_us
            }) = p99_us;
        }
        Ok(Found { pairs, seen, memory })
    }

    fn report(&self, found: Found, audit: Report, place: Place) -> anyhow::Result<IsolationReport> {
        IsolationReport::of(self, found, audit, place)
    }
}

/// What a phase is played with.
struct Scene<'a, E> {
    plan: &'a IsolationPlan,
    api: &'a Api,
    admin: SocketAddr,
    /// Of those that are ill at times.
    wallets: &'a [Api],
    watch: &'a Watch<E>,
    healthy: Keys,
}

impl<E: Opened> Scene<'_, E> {
    /// Plays a phase until everything is confirmed: the healthy partners' p99 in ms, and their rounds.
    async fn phase(
        &self,
        number: usize,
        rounds: &[String],
        is_ill: bool,
    ) -> anyhow::Result<(u64, Vec<String>)> {
        self.faults(is_ill.then_some(number / 2)).await?;
        let stop = CancellationToken::new();
        let load = Load {
            api: self.api.clone(),
            keys: Arc::new(self.healthy.clone()),
            bets: self.plan.bets,
            every: Duration::from_millis(self.plan.every_ms),
            seed: self.plan.seed.wrapping_add(u64::try_from(number)?),
            name: format!("phase-{number:02}"),
        };
        let load = tokio::spawn(load.run(stop.clone()));
        let apart = Duration::from_secs(1) / u32::try_from(RESULTS_PER_S)?;
        let told = load::say(self.api, rounds, apart).await;
        stop.cancel();
        let said_at = load.await.context("the load broke down")??;
        told?;
        let mut took_ms = Vec::new();
        for (round, said_at) in &said_at {
            let confirmed = self.confirmed(round).await?;
            took_ms.extend(confirmed.iter().map(|at| u64::try_from(at - said_at).unwrap_or(0)));
        }
        self.faults(None).await?;
        anyhow::ensure!(self.watch.settled(REST_WAIT_MAX).await, "the log did not come to rest");
        took_ms.sort_unstable();
        let healthy = said_at.into_iter().map(|(round, _)| round).collect();
        Ok((percentile(&took_ms, 99), healthy))
    }

    /// When each bet of a round was confirmed.
    async fn confirmed(&self, round: &str) -> anyhow::Result<Vec<i64>> {
        let begun = Instant::now();
        loop {
            match load::confirmed(self.watch, round, self.plan.bets) {
                Ok(at) => return Ok(at),
                Err(why) if REST_WAIT_MAX < begun.elapsed() => return Err(why),
                Err(_) => sleep(LOOK_PERIOD).await,
            }
        }
    }

    /// Makes those that are ill at times ill, for this turn, or well.
    async fn faults(&self, turn: Option<usize>) -> anyhow::Result<()> {
        let latency_ms = self.plan.wallet_latency_ms;
        let well = FaultSettings { latency_ms, ..FaultSettings::NONE };
        for (wallet, illness) in self.wallets.iter().zip(Illness::FIVE) {
            load::set(wallet, turn.map_or(well, |turn| illness.settings(well, turn))).await?;
        }
        Ok(())
    }
}
