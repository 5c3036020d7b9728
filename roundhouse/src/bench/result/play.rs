//! Rounds over HTTP, from what is said of them to the last confirmation.

use super::ResultPlan;
use crate::bench::client::micros;
use crate::bench::house::{House, WAIT_MAX};
use crate::bench::progress::count;
use crate::bench::report::Cpu;
use crate::bench::tail::{Tail, Taken};
use crate::rig::players::{Wager, place_all, wagers};
use crate::serve::Opened;
use anyhow::Context;
use partner_kit::faults::SplitMix;
use runtime::{Clock, SystemClock};
use schemas::catalogue::{DELIVERIES, SETTLEMENTS};
use schemas::frame;
use schemas::rounds::Outcome;
use schemas::settlements::Settlement;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use settlement::{Game, grade};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::time::Instant;

/// Players of each partner.
const PLAYERS: usize = 50;
/// Bets placed at once.
const AT_ONCE: usize = 256;
/// Betting is open for at most this long, in ms.
const BETTING_MS: i64 = 600_000;
/// Between the end of betting and the cut-off, in ms.
const GRACE_MS: i64 = 100;
/// Longest wait for the last confirmation of a round.
const ROUND_WAIT_MAX: Duration = Duration::from_secs(60);

/// One round of the server.
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
    fn of(begun: Instant, cpu: Cpu, settlements: Vec<Taken>, deliveries: Vec<Taken>) -> Self {
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

/// Plays a round until its last settlement is confirmed.
///
/// # Errors
/// If a bet is not accepted or not confirmed.
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
fn check(round: &str, bets: usize, deliveries: &[Taken]) -> anyhow::Result<()> {
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

/// Corrects a round to another outcome, and checks that the differences alone are sent.
///
/// # Errors
/// If they are not confirmed, or more or less than they is sent.
pub(super) async fn correct<E: Opened>(
    house: &House<E>,
    round: &str,
    before: &Played,
) -> anyhow::Result<Played> {
    let outcome = if before.outcome == "6" { "1" } else { "6" };
    let mut differ = 0;
    for selection in &before.selections {
        let selection = selection.parse()?;
        let of = |outcome: &str| {
            grade(Game::Die, &selection, &Outcome::Game(outcome.to_owned())).map_err(Into::into)
        };
        let (old, new): (anyhow::Result<_>, anyhow::Result<_>) = (of(&before.outcome), of(outcome));
        differ += usize::from(old? != new?);
    }
    let engine = house.running.engine();
    let [settled_before, told_before] =
        [count(engine, SETTLEMENTS).await?, count(engine, DELIVERIES).await?];
    let settlements = Tail::start(engine, SETTLEMENTS).await?;
    let deliveries = Tail::start(engine, DELIVERIES).await?;
    let cpu = Cpu::now(house.wallets.id());
    let begun = Instant::now();
    house.api.correct(round, 1, outcome).await?;
    let deliveries = deliveries.take(differ, ROUND_WAIT_MAX).await?;
    let cpu = Cpu::now(house.wallets.id()).since(cpu);
    let settlements = settlements.take(differ, ROUND_WAIT_MAX).await?;
    check(round, differ, &deliveries)?;
    let sent = count(engine, SETTLEMENTS).await? - settled_before;
    let told = count(engine, DELIVERIES).await? - told_before;
    let all = u64::try_from(differ)?;
    anyhow::ensure!(
        (sent, told) == (all, all),
        "{sent} settlements and {told} deliveries for {differ} differences"
    );
    for record in &settlements {
        let due = Settlement::decode(&record.value).context("a settlement cannot be read")?;
        anyhow::ensure!(due.target != due.previous, "{} was sent and is the same", due.bet);
    }
    let mut played = Played::of(begun, cpu, settlements, deliveries);
    played.outcome = outcome.to_owned();
    Ok(played)
}
