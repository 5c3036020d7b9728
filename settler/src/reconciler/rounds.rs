//! The rounds that the reconcilers of a process know, folded once from `rounds.v1`.

use runtime::Millis;
use schemas::{ContentHash, RoundId};
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
    /// By the place that each has in the cycle, in ms from its begin.
    by_place: BTreeSet<(Millis, RoundId)>,
    cycle_ms: Millis,
}

impl Rounds {
    /// No rounds, in a cycle of so many ms.
    pub(super) fn new(cycle_ms: Millis) -> Self {
        Self { cycle_ms: cycle_ms.max(1), ..Self::default() }
    }

    /// Where the round stands in the cycle: by its name, so that whoever begins anew goes on where the day is, and the
    /// work is spread evenly.
    fn place(&self, round: &RoundId) -> Millis {
        let [a, b, c, d, e, f, g, h, ..] = ContentHash::of(&[round.as_str()]).0;
        let hash = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
        hash.rem_euclid(self.cycle_ms)
    }

    /// Something was admitted about the round at `at`, which is at `version` behind it. Forgets what is too
    /// old at `now`.
    pub(super) fn changed(&mut self, round: &RoundId, version: u32, at: Millis, now: Millis) {
        if let Some((before, _)) = self.changed.insert(round.clone(), (at, version)) {
            self.by_age.remove(&(before, round.clone()));
        }
        self.by_place.insert((self.place(round), round.clone()));
        self.by_age.insert((at, round.clone()));
        while let Some((at, _)) = self.by_age.first()
            && KEPT_MS < now.saturating_sub(*at)
        {
            let Some((_, oldest)) = self.by_age.pop_first() else { return };
            self.changed.remove(&oldest);
            self.by_place.remove(&(self.place(&oldest), oldest));
        }
    }

    /// Every round with the time of its last change.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RoundId, Millis)> {
        self.changed.iter().map(|(round, (at, _))| (round, *at))
    }

    /// The round whose place in the cycle is the first behind this one, with its place; behind the last comes the first.
    pub(super) fn behind(&self, place: &(Millis, Option<RoundId>)) -> Option<&(Millis, RoundId)> {
        let (at, round) = place;
        let behind = match round {
            Some(round) => {
                let after = (*at, round.clone());
                self.by_place.range((Bound::Excluded(after), Bound::Unbounded)).next()
            }
            None => self.by_place.iter().find(|(of, _)| at <= of),
        };
        behind.or_else(|| self.by_place.first())
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
        let mut rounds = Rounds::new(1_000);
        rounds.changed(&round("old"), 0, 1, 1);
        rounds.changed(&round("corrected"), 1, 2, 2);
        rounds.changed(&round("corrected"), 2, KEPT_MS, KEPT_MS);
        rounds.changed(&round("new"), 0, KEPT_MS + 2, KEPT_MS + 2);
        let versions = ["old", "corrected", "new"].map(|name| rounds.version(&round(name)));
        assert_eq!(versions, [0, 2, 0]);
        let known: Vec<_> = rounds.iter().map(|(round, at)| (round.to_string(), at)).collect();
        assert_eq!(known, [("corrected".to_owned(), KEPT_MS), ("new".to_owned(), KEPT_MS + 2)]);
        assert_eq!(rounds.by_place.len(), 2, "what is forgotten has no place");
    }

    /// Whoever begins anywhere in the cycle meets each round once before the first comes again.
    #[test]
    fn a_cycle_meets_every_round_once() {
        let mut rounds = Rounds::new(10);
        let names: BTreeSet<String> = (0..50).map(|number| format!("r{number}")).collect();
        for name in &names {
            rounds.changed(&name.parse().unwrap(), 0, 1, 1);
        }
        for begin in 0..10 {
            let (mut place, mut met) = ((begin, None), Vec::new());
            for _ in 0..50 {
                let (at, round) = rounds.behind(&place).unwrap().clone();
                met.push(round.to_string());
                place = (at, Some(round));
            }
            assert_eq!(met.iter().cloned().collect::<BTreeSet<_>>(), names, "{met:?}");
        }
    }
}
