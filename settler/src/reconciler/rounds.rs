//! The rounds that the reconcilers of a process know, folded once from `rounds.v1`.

use runtime::Millis;
use schemas::RoundId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Ms for which a round is remembered behind its last admitted verdict: longer than anything of it may
/// still be corrected (30 days) or retried (35 days). Who begins to read later does not see it either.
const KEPT_MS: i64 = 40 * 24 * 60 * 60 * 1_000;

/// When each round was last changed, ms, and its result version by then.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    changed: BTreeMap<RoundId, (Millis, u32)>,
    by_age: BTreeSet<(Millis, RoundId)>,
}

impl Rounds {
    /// Something was admitted about the round at `at`, which is at `version` behind it. Forgets what is too
    /// old at `now`.
    pub(super) fn changed(&mut self, round: &RoundId, version: u32, at: Millis, now: Millis) {
        if let Some((before, _)) = self.changed.insert(round.clone(), (at, version)) {
            self.by_age.remove(&(before, round.clone()));
        }
        self.by_age.insert((at, round.clone()));
        while let Some((at, _)) = self.by_age.first()
            && KEPT_MS < now.saturating_sub(*at)
        {
            let Some((_, oldest)) = self.by_age.pop_first() else { return };
            self.changed.remove(&oldest);
        }
    }

    /// Every round with the time of its last change.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RoundId, Millis)> {
        self.changed.iter().map(|(round, (at, _))| (round, *at))
    }

    /// Whether none is known.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// The round behind this one by name; behind the last one comes the first.
    pub(super) fn behind(&self, round: Option<&RoundId>) -> Option<&RoundId> {
        let behind = round.and_then(|round| {
            self.changed.range::<RoundId, _>((Bound::Excluded(round), Bound::Unbounded)).next()
        });
        behind.or_else(|| self.changed.first_key_value()).map(|(round, _)| round)
    }

    /// Ms that each round has of `cycle_ms`, at least 1.
    pub(super) fn share_of(&self, cycle_ms: i64) -> i64 {
        let rounds = i64::try_from(self.changed.len()).unwrap_or(i64::MAX);
        (cycle_ms / rounds.max(1)).max(1)
    }

    /// The result version that the round is known to be at; 0 for one that is not known.
    pub(super) fn version(&self, round: &RoundId) -> u32 {
        self.changed.get(round).map_or(0, |(_, version)| *version)
    }

    /// When the round was last changed.
    pub(super) fn changed_at(&self, round: &RoundId) -> Option<Millis> {
        self.changed.get(round).map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_kept_while_it_may_change_and_no_longer() {
        let round = |name: &str| name.parse::<RoundId>().unwrap();
        let mut rounds = Rounds::default();
        rounds.changed(&round("old"), 0, 1, 1);
        rounds.changed(&round("corrected"), 1, 2, 2);
        rounds.changed(&round("corrected"), 2, KEPT_MS, KEPT_MS);
        rounds.changed(&round("new"), 0, KEPT_MS + 2, KEPT_MS + 2);
        let versions = ["old", "corrected", "new"].map(|name| rounds.version(&round(name)));
        assert_eq!(versions, [0, 2, 0]);
        let known: Vec<_> = rounds.iter().map(|(round, at)| (round.to_string(), at)).collect();
        assert_eq!(known, [("corrected".to_owned(), KEPT_MS), ("new".to_owned(), KEPT_MS + 2)]);
    }
}
