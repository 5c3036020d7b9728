//! The rounds: those of the partner that goes away, made ready beforehand, and those of the others.

use super::{Keys, OutagePlan};
use crate::rig::api::Api;
use crate::rig::players::{place_all, wagers};
use anyhow::Context;
use partner_kit::faults::SplitMix;
use runtime::{Clock, SystemClock};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Players of each partner.
const PLAYERS: usize = 50;
/// Bets placed at once.
const AT_ONCE: usize = 256;
/// The desk closes rounds; behind this they would close by themselves, in ms.
const BETTING_MS_MAX: i64 = 600_000;
/// Between the end of betting and the cut-off, in ms.
const GRACE_MS: i64 = 100;
/// Longest wait for the seal of a round.
const SEAL_WAIT_MAX: Duration = Duration::from_secs(60);

/// Plays a round up to its seal. Every bet must be in.
async fn sealed(
    api: &Api,
    round: &str,
    bets: usize,
    keys: &Keys,
    random: &mut SplitMix,
) -> anyhow::Result<()> {
    api.open_die(round, BETTING_MS_MAX, GRACE_MS).await?;
    let mut bets_of = wagers(round, bets, keys, PLAYERS, SystemClock.now(), random);
    bets_of.iter_mut().for_each(|bet| bet.cancel = false);
    let told = place_all(api, bets_of, AT_ONCE, &Arc::new(AtomicUsize::new(0))).await;
    let is_in = |words: &&Vec<String>| words.iter().all(|word| word == "accepted");
    let accepted = told.values().filter(is_in).count();
    anyhow::ensure!(accepted == bets, "{accepted} of {bets} bets of {round} were accepted");
    api.close(round).await?;
    api.sealed(round, SEAL_WAIT_MAX).await
}

/// Rounds whose bets are all of one partner, sealed and without a result.
pub(super) struct OwedRounds {
    names: Vec<String>,
    control: usize,
    /// Bets of each.
    pub(super) bets: usize,
}

impl OwedRounds {
    /// Plays them up to their seals.
    ///
    /// # Errors
    /// If a bet is not accepted or a round not sealed.
    pub(super) async fn place(plan: &OutagePlan, api: &Api, keys: &Keys) -> anyhow::Result<Self> {
        let bets = plan.owed / plan.rounds;
        let count = plan.control_rounds + plan.rounds;
        let mut random = SplitMix::new(plan.seed);
        let mut names = Vec::with_capacity(count);
        for number in 0..count {
            let name = format!("owed-{number:04}");
            sealed(api, &name, bets, keys, &mut random).await?;
            names.push(name);
            eprintln!("bench: {} of {} bets are placed", (number + 1) * bets, count * bets);
        }
        Ok(Self { names, control: plan.control_rounds, bets })
    }

    /// Those that get their results while the partner is there.
    pub(super) fn control(&self) -> &[String] {
        self.names.get(..self.control).unwrap_or_default()
    }

    /// Those that get their results while it is away.
    pub(super) fn owed(&self) -> &[String] {
        self.names.get(self.control..).unwrap_or_default()
    }
}

/// The others' rounds: one begins every so often, whatever happens.
#[derive(Clone)]
pub(super) struct Load {
    api: Api,
    keys: Arc<Keys>,
    bets: usize,
    every: Duration,
    seed: u64,
}

impl Load {
    pub(super) fn of(plan: &OutagePlan, api: Api, keys: &Keys) -> Self {
        Self {
            api,
            keys: Arc::new(keys.clone()),
            bets: plan.bets,
            every: Duration::from_millis(plan.every_ms),
            seed: plan.seed,
        }
    }

    /// Begins rounds until `stop`, and plays those that were begun up to their results: when each was said,
    /// in ms since the Unix epoch.
    ///
    /// # Errors
    /// If a bet is not accepted or a round not sealed.
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Vec<(String, i64)>> {
        let (mut rounds, mut due) = (JoinSet::new(), Instant::now());
        for number in 0_u64.. {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep_until(due) => {}
            }
            rounds.spawn(self.clone().round(number));
            due += self.every;
        }
        let mut said = Vec::new();
        while let Some(round) = rounds.join_next().await {
            said.push(round.context("a round broke down")??);
        }
        Ok(said)
    }

    async fn round(self, number: u64) -> anyhow::Result<(String, i64)> {
        let name = format!("other-{number:06}");
        let mut random = SplitMix::new(self.seed.wrapping_mul(1_000_003).wrapping_add(number));
        sealed(&self.api, &name, self.bets, &self.keys, &mut random).await?;
        let said_at = SystemClock.now();
        self.api.result(&name, &(1 + random.below(6)).to_string()).await?;
        Ok((name, said_at))
    }
}
