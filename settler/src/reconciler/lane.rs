//! One partition of the reconciler: when each of its rounds is looked at, and what was found there.

use super::compare::Compared;
use super::{Owed, ReconcilerOptions};
use crate::memory::Round;
use runtime::Millis;
use schemas::settlements::Settlement;
use schemas::{BetId, PartnerId, RoundId};
use std::collections::{BTreeMap, BTreeSet};

/// What a partition does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The look at this round is due.
    Look(RoundId),
    /// The next look is due then.
    Wait(Millis),
    /// It looks at a round already, or no round owes anything.
    Nothing,
}

/// How far the look at a round has come.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// The facts about its bets are being loaded.
    Bets,
    /// The answers of partners are.
    Answers {
        /// The bets.
        bets: Box<Round>,
    },
}

/// The memory of one partition; dropped with its ownership (R4).
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// When each round is to be looked at next, ms. Rounds that owe nothing are absent.
    due: BTreeMap<RoundId, Millis>,
    queue: BTreeSet<(Millis, RoundId)>,
    owed: BTreeMap<RoundId, BTreeMap<PartnerId, Owed>>,
    /// When a settlement was last said again, ms.
    repeated: BTreeMap<(BetId, u32), Millis>,
    /// Settlements on their way to the log, by the token of their batch.
    saying: BTreeMap<u64, Vec<(BetId, u32)>>,
    /// The round that is looked at, under the token of its load.
    pub(super) looking: Option<(u64, RoundId, Look)>,
}

impl Lane {
    /// Looks at the round next at `at`, whatever was planned before.
    pub(super) fn plan(&mut self, round: &RoundId, at: Millis) {
        if let Some(before) = self.due.insert(round.clone(), at) {
            self.queue.remove(&(before, round.clone()));
        }
        self.queue.insert((at, round.clone()));
    }

    /// Looks at the round at `at`, or before if that was planned while it was looked at.
    pub(super) fn plan_by(&mut self, round: &RoundId, at: Millis) {
        let planned = self.due.get(round).copied();
        self.plan(round, planned.map_or(at, |planned| planned.min(at)));
    }

    /// What to do now. A round that is to be looked at has no plan any more, so that what is planned
    /// during the look stands when it ends.
    pub(super) fn next(&mut self, now: Millis) -> Next {
        if self.looking.is_some() {
            return Next::Nothing;
        }
        match self.queue.first() {
            None => Next::Nothing,
            Some((at, _)) if now < *at => Next::Wait(*at),
            Some(_) => {
                let Some((_, round)) = self.queue.pop_first() else { return Next::Nothing };
                self.due.remove(&round);
                Next::Look(round)
            }
        }
    }

    /// Takes what the look at a round found, and plans the next one; the settlements to be said again.
    pub(super) fn found(
        &mut self,
        now: Millis,
        round: RoundId,
        is_closed: bool,
        found: Compared,
        options: &ReconcilerOptions,
    ) -> Vec<Settlement> {
        let Compared { owed, mut unanswered, .. } = found;
        if owed.is_empty() && is_closed {
            self.owed.remove(&round);
        } else {
            self.plan_by(&round, now.saturating_add(options.look_ms));
            self.owed.insert(round, owed);
        }
        unanswered.retain(|settlement| self.is_stale(now, settlement, options));
        unanswered
    }

    fn is_stale(&self, now: Millis, settlement: &Settlement, options: &ReconcilerOptions) -> bool {
        let last = self.repeated.get(&(settlement.bet.clone(), settlement.revision));
        let rested = last.is_none_or(|at| options.repeat_ms <= now.saturating_sub(*at));
        rested && options.stale_ms <= now.saturating_sub(settlement.caused_at)
    }

    /// These go to the log as the batch `token`, and are not said again for `repeat_ms`.
    pub(super) fn say(
        &mut self,
        token: u64,
        now: Millis,
        repeat_ms: i64,
        settlements: Vec<(BetId, u32)>,
    ) {
        self.repeated.retain(|_, at| now.saturating_sub(*at) < repeat_ms);
        self.repeated.extend(settlements.iter().cloned().map(|one| (one, now)));
        self.saying.insert(token, settlements);
    }

    /// The batch has ended. If it may be lost, what it said counts as not said.
    pub(super) fn said(&mut self, token: u64, may_be_lost: bool) {
        let said = self.saying.remove(&token).unwrap_or_default();
        if may_be_lost {
            for one in &said {
                self.repeated.remove(one);
            }
        }
    }

    /// What each partner was owed when the rounds were last looked at, one line for each round.
    pub(super) fn owed(&self) -> impl Iterator<Item = (&PartnerId, &Owed)> {
        self.owed.values().flatten()
    }
}
