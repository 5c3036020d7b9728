//! The bets of one round in one partition.

use crate::memory::BetState;
use schemas::BetId;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The bets of one round, in the order of their ids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bets(BTreeMap<Key, BetState>);

/// A bet's id behind the first bytes of what tells it from the others of its round. Nearly every comparison
/// ends with these, and needs no look at a text that lies elsewhere in memory: that look is what a bet costs in
/// a large round. Among the bets of a round the order is that of their ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    first: [u8; 8],
    id: BetId,
}

impl Key {
    fn of(id: BetId) -> Self {
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(id.hash_str().bytes()) {
            *to = from;
        }
        Self { first, id }
    }
}

impl Bets {
    pub(crate) fn get(&self, id: &BetId) -> Option<&BetState> {
        self.0.get(&Key::of(id.clone()))
    }

    pub(crate) fn get_mut(&mut self, id: &BetId) -> Option<&mut BetState> {
        self.0.get_mut(&Key::of(id.clone()))
    }

    pub(crate) fn contains(&self, id: &BetId) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn entry(&mut self, id: BetId) -> Entry<'_, Key, BetState> {
        self.0.entry(Key::of(id))
    }

    /// The state before, if the bet was known.
    pub(crate) fn insert(&mut self, id: BetId, state: BetState) -> Option<BetState> {
        self.0.insert(Key::of(id), state)
    }

    pub(crate) fn remove(&mut self, id: &BetId) -> Option<BetState> {
        self.0.remove(&Key::of(id.clone()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&BetId, &BetState)> {
        self.0.iter().map(|(key, state)| (&key.id, state))
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = &BetState> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Known;
    use proptest::prelude::*;

    fn hash() -> impl Strategy<Value = String> {
        prop_oneof!["[ab_-]{1,4}", "aaaaaaa[ab_-]{0,4}"]
    }

    /// Two bets that part behind the first bytes are two: else the second would end without a decision.
    #[test]
    fn bets_that_begin_alike_are_not_the_same() {
        let [one, two] =
            ["r_77:aaaaaaaab", "r_77:aaaaaaaac"].map(|id| id.parse::<BetId>().unwrap());
        let mut bets = Bets::default();
        bets.insert(one.clone(), BetState::Frozen(Known::Nothing));
        assert_eq!((bets.contains(&one), bets.contains(&two)), (true, false));
        assert!(matches!(bets.entry(two.clone()), Entry::Vacant(_)));
        assert_eq!(bets.remove(&two), None);
        assert_eq!(bets.insert(two.clone(), BetState::Frozen(Known::Nothing)), None);
        assert!(bets.remove(&one).is_some());
        assert_eq!(bets.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&two]);
    }

    proptest! {
        /// Also where one text is the beginning of the other, and where they part behind the first bytes.
        #[test]
        fn the_order_is_that_of_the_ids(hashes in prop::collection::vec(hash(), 0..40)) {
            let mut ids: Vec<BetId> =
                hashes.iter().map(|hash| format!("r_77:{hash}").parse().unwrap()).collect();
            let mut bets = Bets::default();
            for id in &ids {
                bets.insert(id.clone(), BetState::Frozen(Known::Nothing));
            }
            ids.sort();
            ids.dedup();
            let found: Vec<BetId> = bets.iter().map(|(id, _)| id.clone()).collect();
            prop_assert_eq!(&found, &ids);
            for id in &ids {
                prop_assert!(bets.contains(id));
                prop_assert!(bets.remove(id).is_some());
                prop_assert!(!bets.contains(id));
            }
        }
    }
}
