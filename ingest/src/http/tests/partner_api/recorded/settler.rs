//! Whoever settles, in the words of what stands: counts the bets that a replay names as histories have them.

use super::*;
use crate::corrections::NotShown;
use crate::history::story::Outcome;
use crate::http::ApiState;
use crate::replays::{NotReplayed, Replay, Replayed, Replaying, Replays};
use runtime::embedded::Embedded;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Settler {
    pub(super) api: ApiState<Embedded>,
    /// Every bet there is.
    pub(super) bets: Vec<Bet>,
    pub(super) is_away: AtomicBool,
}

impl Settler {
    async fn count(&self, bet: &BetId, told: &mut Replayed) {
        let story = self.api.story(bet).await.unwrap();
        let newest = story.settlements.keys().last();
        let of = match newest.map(|revision| story.outcome(*revision).unwrap()) {
            None => &mut told.held,
            Some(Outcome::Applied | Outcome::Superseded(_)) => &mut told.told_again,
            Some(Outcome::Parked(_)) => &mut told.parked,
            Some(Outcome::Owed) => &mut told.owed,
            Some(Outcome::Hold(_)) => panic!("{bet}: a hold is no settlement"),
        };
        *of += 1;
    }
}

impl Replays for Settler {
    fn say_again(&self, replay: Replay) -> Replaying<'_> {
        Box::pin(async move {
            if self.is_away.load(Ordering::Relaxed) {
                let why = "partition 3 is not there yet".to_owned();
                return Err(NotReplayed::Later(NotShown(why)));
            }
            let mut told = Replayed::default();
            for (round, named) in replay.rounds {
                let ours = self.bets.iter().filter(|bet| bet.partner == replay.partner);
                let ours = ours.map(|bet| &bet.id).filter(|bet| bet.round() == round);
                let ours: BTreeSet<BetId> = ours.cloned().collect();
                if let Some(bet) = named.difference(&ours).next() {
                    return Err(NotReplayed::Bet(bet.clone()));
                }
                if ours.is_empty() {
                    return Err(NotReplayed::Round(round));
                }
                for bet in if named.is_empty() { ours } else { named } {
                    self.count(&bet, &mut told).await;
                }
            }
            Ok(told)
        })
    }
}
