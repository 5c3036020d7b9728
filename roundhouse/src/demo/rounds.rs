//! The rounds of a demo, one after the other.

use super::Stage;
use crate::rig::players::{Told, place_all, wagers};
use crate::rig::processes::Wallets;
use crate::rig::watch::Watch;
use crate::serve::Opened;
use partner_kit::faults::SplitMix;
use runtime::{Clock, SystemClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// Betting is open for at most this long; it is closed when every bet has been sent.
const BETTING_MS: i64 = 120_000;
/// Between the end of betting and the cut-off.
const GRACE_MS: i64 = 1_000;
/// Players of each partner.
const PLAYERS: usize = 50;
/// How often a line of progress is printed.
const PROGRESS_PERIOD: Duration = Duration::from_secs(1);
/// Longest wait for a round to be confirmed before the next one begins.
const ROUND_WAIT_MAX: Duration = Duration::from_secs(60);

/// A demo being played.
pub(super) struct Game<'a, E> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) watch: &'a Watch<E>,
    /// What clients were told.
    pub(super) told: Told,
}

impl<E: Opened> Game<'_, E> {
    /// Plays all rounds. The first is corrected later, the second voided, the fourth withdrawn and
    /// resulted again; with faults `wallets` are killed while the first result goes out.
    pub(super) async fn play(&mut self, mut wallets: Option<&mut Wallets>) -> anyhow::Result<()> {
        let Stage { plan, api, rounds, .. } = self.stage;
        let mut random = SplitMix::new(plan.seed);
        for index in 0..plan.rounds {
            let round = format!("{rounds}{}", index + 1);
            let outcome = (1 + random.below(6)).to_string();
            self.bet(&round, &mut random).await?;
            if index == 1 {
                api.void(&round, 0).await?;
                self.say(&format!("{round} is voided"));
            } else {
                api.result(&round, &outcome).await?;
                self.say(&format!("{round} has its result: {outcome}"));
            }
            if let Some(wallets) = wallets.as_deref_mut()
                && index == 0
                && plan.faults
            {
                wallets.kill_and_restart().await?;
                self.say("the wallets were killed and started again");
            }
            self.confirmed(&round).await;
            if index == 3 {
                api.withdraw(&round, 1).await?;
                self.confirmed(&round).await;
                api.correct(&round, 2, "6").await?;
                self.say(&format!("the result of {round} was withdrawn, and is 6"));
                self.confirmed(&round).await;
            }
        }
        if 0 < plan.rounds {
            let first = format!("{rounds}1");
            api.correct(&first, 1, "5").await?;
            self.say(&format!("the result of {first} is corrected: 5"));
            self.confirmed(&first).await;
        }
        Ok(())
    }

    async fn bet(&mut self, round: &str, random: &mut SplitMix) -> anyhow::Result<()> {
        let Stage { plan, api, keys, .. } = self.stage;
        api.open_die(round, BETTING_MS, GRACE_MS).await?;
        api.betting(round, ROUND_WAIT_MAX).await?;
        let wagers = wagers(round, plan.bets, keys, PLAYERS, SystemClock.now(), random);
        let placed = Arc::new(AtomicUsize::new(0));
        let placing = place_all(api, wagers, plan.at_once, &placed);
        let mut placing = std::pin::pin!(placing);
        let told = loop {
            tokio::select! {
                told = &mut placing => break told,
                () = sleep(PROGRESS_PERIOD) => {
                    self.progress(round, placed.load(Ordering::Relaxed));
                }
            }
        };
        self.progress(round, placed.load(Ordering::Relaxed));
        self.told.extend(told);
        api.close(round).await?;
        Ok(())
    }

    async fn confirmed(&self, round: &str) {
        let settled = self.watch.settled(ROUND_WAIT_MAX);
        let mut settled = std::pin::pin!(settled);
        loop {
            tokio::select! {
                done = &mut settled => {
                    let word = if done { "is confirmed" } else { "is not confirmed yet" };
                    self.say(&format!("{round} {word}"));
                    return;
                }
                () = sleep(PROGRESS_PERIOD) => self.progress(round, self.stage.plan.bets),
            }
        }
    }

    fn progress(&self, round: &str, placed: usize) {
        let seen = self.watch.seen();
        let (decided, confirmed, owed) = (seen.decided.len(), seen.confirmed, seen.owed.len());
        drop(seen);
        self.say(&format!(
            "{round}: {placed} bets placed; in all {decided} decided, {confirmed} settlements \
             confirmed, {owed} owed"
        ));
    }

    fn say(&self, line: &str) {
        eprintln!("demo: {line}");
    }
}
