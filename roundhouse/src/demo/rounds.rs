//! The rounds of a demo, one after the other.

use super::Plan;
use crate::rig::api::Api;
use crate::rig::keys::PartnerKey;
use crate::rig::players::{Told, place_all, wagers};
use crate::rig::processes::Wallets;
use crate::rig::watch::Watch;
use partner_kit::faults::SplitMix;
use runtime::embedded::Embedded;
use runtime::{Clock, SystemClock};
use std::collections::BTreeMap;
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
pub(super) struct Game<'a> {
    pub(super) plan: &'a Plan,
    pub(super) api: &'a Api,
    pub(super) watch: &'a Watch<Embedded>,
    pub(super) keys: &'a BTreeMap<String, PartnerKey>,
    /// What clients were told.
    pub(super) told: Told,
}

impl Game<'_> {
    /// Plays all rounds. The first is corrected later, the second voided, the fourth withdrawn and
    /// resulted again; with faults the wallets are killed while the first result goes out.
    pub(super) async fn play(&mut self, wallets: &mut Wallets) -> anyhow::Result<()> {
        let mut random = SplitMix::new(self.plan.seed);
        for index in 0..self.plan.rounds {
            let round = format!("demo-{}", index + 1);
            let outcome = (1 + random.below(6)).to_string();
            self.bet(&round, &mut random).await?;
            if index == 1 {
                self.api.void(&round, 0).await?;
                self.say(&format!("{round} is voided"));
            } else {
                self.api.result(&round, &outcome).await?;
                self.say(&format!("{round} has its result: {outcome}"));
            }
            if index == 0 && self.plan.faults {
                wallets.kill_and_restart().await?;
                self.say("the wallets were killed and started again");
            }
            self.confirmed(&round).await;
            if index == 3 {
                self.api.withdraw(&round, 1).await?;
                self.confirmed(&round).await;
                self.api.correct(&round, 2, "6").await?;
                self.say(&format!("the result of {round} was withdrawn, and is 6"));
                self.confirmed(&round).await;
            }
        }
        if 0 < self.plan.rounds {
            self.api.correct("demo-1", 1, "5").await?;
            self.say("the result of demo-1 is corrected: 5");
            self.confirmed("demo-1").await;
        }
        Ok(())
    }

    async fn bet(&mut self, round: &str, random: &mut SplitMix) -> anyhow::Result<()> {
        self.api.open_die(round, BETTING_MS, GRACE_MS).await?;
        let now = SystemClock.now();
        let wagers = wagers(round, self.plan.bets, self.keys, PLAYERS, now, random);
        let placed = Arc::new(AtomicUsize::new(0));
        let placing = place_all(self.api, wagers, self.plan.at_once, &placed);
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
        self.api.close(round).await?;
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
                () = sleep(PROGRESS_PERIOD) => self.progress(round, self.plan.bets),
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
