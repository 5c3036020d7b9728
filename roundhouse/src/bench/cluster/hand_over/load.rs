//! The load: rounds that overlap, each begun, closed and resulted at its time, whatever the settlers do.
//!
//! A round's result waits for its seal alone, which is the herald's word, and never for answers to its
//! bets: a load that waited for a settler would say nothing while none is there.

use super::HandOverPlan;
use super::phases::Took;
use crate::bench::client::micros;
use crate::rig::api::Api;
use crate::rig::keys::PartnerKey;
use crate::rig::players::{Wager, place, wagers};
use anyhow::Context;
use partner_kit::faults::SplitMix;
use runtime::{Clock, SystemClock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Players of each partner.
const PLAYERS: usize = 10;
/// The desk closes rounds; behind this they would close by themselves, in ms.
const BETTING_MS_MAX: i64 = 600_000;
/// Between the end of betting and the cut-off, in ms: bets on their way still get in.
const GRACE_MS: i64 = 200;
/// Longest wait for the seal of a round.
const SEAL_WAIT_MAX: Duration = Duration::from_secs(30);

/// What is played.
#[derive(Clone)]
pub(super) struct Load {
    api: Api,
    keys: Arc<BTreeMap<String, PartnerKey>>,
    /// What times count from.
    begun: Instant,
    every: Duration,
    betting: Duration,
    bets: usize,
    seed: u64,
}

/// What was played.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// When the result of each round was said, in µs from the beginning.
    pub(super) said_us: BTreeMap<String, u64>,
    /// From each bet's request to its last answer, repeats of the request included.
    pub(super) answered: Vec<Took>,
    /// Bets whose players were told that they are in.
    pub(super) accepted: u64,
    /// Bets whose players were told that they are not.
    pub(super) rejected: Vec<Took>,
    /// Bets whose players were told nothing final.
    pub(super) untold: u64,
}

/// A bet's answer.
struct Answered {
    took: Took,
    /// `accepted` or `rejected`, if it was said.
    word: Option<String>,
}

impl Load {
    pub(super) fn of(
        plan: &HandOverPlan,
        api: Api,
        keys: &BTreeMap<String, PartnerKey>,
        begun: Instant,
    ) -> Self {
        Self {
            api,
            keys: Arc::new(keys.clone()),
            begun,
            every: Duration::from_millis(plan.every_ms),
            betting: Duration::from_millis(plan.betting_ms),
            bets: plan.bets,
            seed: plan.seed,
        }
    }

    /// Begins rounds until `stop`, and plays those that were begun to their end.
    ///
    /// # Errors
    /// If a round is refused, or is not sealed in time.
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Played> {
        let (mut rounds, mut due) = (JoinSet::new(), self.begun);
        for number in 0_u64.. {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep_until(due) => {}
            }
            rounds.spawn(self.clone().round(number, due));
            due += self.every;
        }
        let mut played = Played::default();
        while let Some(round) = rounds.join_next().await {
            let (name, said_us, answers) = round.context("a round broke down")??;
            played.said_us.insert(name, said_us);
            for answer in answers {
                played.answered.push(answer.took);
                match answer.word.as_deref() {
                    Some("accepted") => played.accepted += 1,
                    Some(_) => played.rejected.push(answer.took),
                    None => played.untold += 1,
                }
            }
        }
        Ok(played)
    }

    /// Plays round `number`, which is due now: its name, when its result was said, the answers to its bets.
    async fn round(
        self,
        number: u64,
        due: Instant,
    ) -> anyhow::Result<(String, u64, Vec<Answered>)> {
        let name = format!("round-{number:06}");
        let mut random = SplitMix::new(self.seed.wrapping_mul(1_000_003).wrapping_add(number));
        let now = SystemClock.now();
        let mut wagers = wagers(&name, self.bets, &self.keys, PLAYERS, now, &mut random);
        // A bet that is taken back has no settlement of a result.
        wagers.iter_mut().for_each(|wager| wager.cancel = false);
        self.api.open_die(&name, BETTING_MS_MAX, GRACE_MS).await?;
        let period = self.betting / u32::try_from(wagers.len().max(1))?;
        let (mut bets, mut next) = (JoinSet::new(), due);
        for wager in wagers {
            sleep_until(next).await;
            bets.spawn(self.clone().bet(wager));
            next += period;
        }
        sleep_until(due + self.betting).await;
        self.api.close(&name).await?;
        self.api.sealed(&name, SEAL_WAIT_MAX).await?;
        let said_us = micros(self.begun.elapsed());
        self.api.result(&name, &(1 + random.below(6)).to_string()).await?;
        let mut answers = Vec::with_capacity(self.bets);
        while let Some(answer) = bets.join_next().await {
            answers.push(answer.context("a bet broke down")?);
        }
        Ok((name, said_us, answers))
    }

    async fn bet(self, wager: Wager) -> Answered {
        let from_us = micros(self.begun.elapsed());
        let told = place(&self.api, &wager).await;
        let took = Took { from_us, until_us: micros(self.begun.elapsed()) };
        Answered { took, word: told.into_iter().next().map(|(_, word)| word) }
    }
}
