//! Rounds that are played while partners are ill: those of the ill ones, made ready beforehand, and those of the
//! others.

use crate::rig::api::Api;
use crate::rig::keys::PartnerKey;
use crate::rig::players::{place_all, wagers};
use crate::rig::watch::Watch;
use crate::serve::Opened;
use anyhow::Context;
use http::Method;
use partner_kit::faults::{FaultSettings, SplitMix};
use runtime::{Clock, SystemClock};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Keys by partner.
pub(super) type Keys = BTreeMap<String, PartnerKey>;

/// Players of each partner.
const PLAYERS: usize = 50;
/// Lines that tell how far the placing of many rounds is.
const PROGRESS_LINES: usize = 10;
/// Bets placed at once.
const AT_ONCE: usize = 256;
/// The desk closes rounds; behind this they would close by themselves, in ms.
const BETTING_MS_MAX: i64 = 600_000;
/// Between the end of betting and the cut-off, in ms.
const GRACE_MS: i64 = 100;
/// How often what is confirmed is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(50);
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

/// Plays `count` rounds with `bets` bets each of these partners up to their seals: their names.
///
/// # Errors
/// If a bet is not accepted or a round not sealed.
pub(super) async fn without_result(
    api: &Api,
    keys: &Keys,
    (count, bets): (usize, usize),
    seed: u64,
) -> anyhow::Result<Vec<String>> {
    let mut random = SplitMix::new(seed);
    let mut names = Vec::with_capacity(count);
    for number in 0..count {
        let name = format!("owed-{number:04}");
        sealed(api, &name, bets, keys, &mut random).await?;
        names.push(name);
        let placed = number + 1;
        if placed % count.div_ceil(PROGRESS_LINES) == 0 || placed == count {
            eprintln!("bench: {} of {} bets are placed", placed * bets, count * bets);
        }
    }
    Ok(names)
}

/// Says the results of `rounds`, and waits behind each.
///
/// # Errors
/// If one is refused.
pub(super) async fn say(api: &Api, rounds: &[String], apart: Duration) -> anyhow::Result<()> {
    let mut due = Instant::now();
    for (number, round) in rounds.iter().enumerate() {
        api.result(round, &(1 + number % 6).to_string()).await?;
        due += apart;
        sleep_until(due).await;
    }
    Ok(())
}

/// When each of a round's `bets` was confirmed, in ms since the Unix epoch.
///
/// # Errors
/// If one was not.
pub(super) fn confirmed<E: Opened>(
    watch: &Watch<E>,
    round: &str,
    bets: usize,
) -> anyhow::Result<Vec<i64>> {
    let seen = watch.seen();
    let fanout = seen.fanouts.get(&(round.to_owned(), 1));
    let confirmed = fanout.map_or(&[][..], |fanout| &fanout.confirmed_at);
    anyhow::ensure!(confirmed.len() == bets, "{} of {bets} bets of {round}", confirmed.len());
    Ok(confirmed.to_vec())
}

/// Waits until all of the `bets` of each of these rounds are confirmed: when the last one was, in ms since the Unix
/// epoch.
///
/// # Errors
/// If they are not within `wait_max`.
pub(super) async fn all_confirmed<E: Opened>(
    watch: &Watch<E>,
    rounds: &[String],
    bets: usize,
    wait_max: Duration,
) -> anyhow::Result<i64> {
    let begun = Instant::now();
    loop {
        let all = rounds.iter().map(|round| last_confirmed(watch, round, bets));
        match all.collect::<anyhow::Result<Vec<i64>>>() {
            Ok(at) => return at.into_iter().max().context("no rounds"),
            Err(why) if wait_max < begun.elapsed() => return Err(why),
            Err(_) => sleep(LOOK_PERIOD).await,
        }
    }
}

/// When the last of a round's `bets` was confirmed, in ms since the Unix epoch.
///
/// # Errors
/// If one was not.
pub(super) fn last_confirmed<E: Opened>(
    watch: &Watch<E>,
    round: &str,
    bets: usize,
) -> anyhow::Result<i64> {
    confirmed(watch, round, bets)?.into_iter().max().context("a round without bets")
}

/// The most calls of `/bets/state` that a wallet answered at once.
///
/// # Errors
/// If it does not say.
pub(super) async fn calls_at_once(wallet: &Api) -> anyhow::Result<u64> {
    let stats = wallet.call(Method::GET, "/stats", "", None).await?;
    let calls_at_once = stats.body["state_calls_at_once_max"].as_u64();
    calls_at_once.context("the wallet does not say what it answered")
}

/// Makes a wallet misbehave so, or behave.
///
/// # Errors
/// If it does not take it.
pub(super) async fn set(wallet: &Api, settings: FaultSettings) -> anyhow::Result<()> {
    let reply = wallet.call(Method::POST, "/faults", "", Some(&json!(settings))).await?;
    anyhow::ensure!(reply.status == 200, "the wallet says {}: {}", reply.status, reply.body);
    Ok(())
}

/// The others' rounds: one begins every so often, whatever happens.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) api: Api,
    pub(super) keys: Arc<Keys>,
    /// Bets of each.
    pub(super) bets: usize,
    pub(super) every: Duration,
    pub(super) seed: u64,
    /// What their names begin with.
    pub(super) name: String,
}

impl Load {
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
        let name = format!("{}-{number:06}", self.name);
        let mut random = SplitMix::new(self.seed.wrapping_mul(1_000_003).wrapping_add(number));
        sealed(&self.api, &name, self.bets, &self.keys, &mut random).await?;
        let said_at = SystemClock.now();
        self.api.result(&name, &(1 + random.below(6)).to_string()).await?;
        Ok((name, said_at))
    }
}
