//! Which facts travel in one request.

use crate::Fact;
use crate::Scope;
use std::collections::BTreeMap;

/// Rows of one batch. The cost of a request is shared by them; more only make the server wait longer.
pub(super) const ROWS_MAX: usize = 50;
/// Bytes of one batch, far below the 50 KiB that Cassandra refuses. A larger row goes alone.
pub(super) const BYTES_MAX: usize = 24 * 1024;

/// Facts of one scope, so of one partition of the table: one mutation on each replica. Never empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowBatch {
    pub(super) scope: Scope,
    pub(super) facts: Vec<Fact>,
}

/// Splits facts into batches; the facts of a scope stay in their order.
pub(super) fn batches(facts: Vec<Fact>) -> Vec<RowBatch> {
    let mut scopes: BTreeMap<Scope, (Vec<RowBatch>, usize)> = BTreeMap::new();
    for fact in facts {
        let size = bytes_of(&fact);
        let (of_scope, bytes) = match scopes.get_mut(&fact.key.scope) {
            Some(known) => known,
            None => scopes.entry(fact.key.scope.clone()).or_default(),
        };
        match of_scope.last_mut() {
            Some(last) if last.facts.len() < ROWS_MAX && *bytes + size <= BYTES_MAX => {
                *bytes += size;
                last.facts.push(fact);
            }
            Some(_) | None => {
                *bytes = size;
                let scope = fact.key.scope.clone();
                of_scope.push(RowBatch { scope, facts: vec![fact] });
            }
        }
    }
    scopes.into_values().flat_map(|(of_scope, _)| of_scope).collect()
}

/// About what a row takes in a request.
fn bytes_of(fact: &Fact) -> usize {
    const FIXED: usize = 80;
    let key = &fact.key;
    let scope = key.scope.group.len() + key.scope.topic.0.len();
    FIXED + scope + key.lane.len() + key.subject.len() + key.kind.len() + fact.body.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FactKey, Topic};
    use proptest::prelude::*;

    fn fact(partition: u32, at: u64, bytes: usize) -> Fact {
        let scope = Scope { group: "g".to_owned(), topic: Topic("t"), partition };
        let (lane, subject) = ("l".to_owned(), "s".to_owned());
        let key = FactKey { scope, lane, subject, kind: "k", at, hash: [0; 16] };
        Fact { key, body: vec![0; bytes].into() }
    }

    #[test]
    fn nothing_is_no_batch() {
        assert_eq!(batches(Vec::new()), []);
    }

    #[test]
    fn a_large_row_goes_alone() {
        let sizes = [100, BYTES_MAX, 100, 100];
        let facts = (0..).zip(sizes).map(|(at, bytes)| fact(0, at, bytes)).collect();
        let rows: Vec<_> = batches(facts).iter().map(|batch| batch.facts.len()).collect();
        assert_eq!(rows, [1, 1, 2]);
    }

    proptest! {
        #[test]
        fn every_fact_once_in_bounds_and_in_order(
            made in prop::collection::vec((0..3u32, prop_oneof![0..400usize, 0..30_000usize]), 0..300)
        ) {
            let facts: Vec<_> =
                (0..).zip(made).map(|(at, (partition, bytes))| fact(partition, at, bytes)).collect();
            let batches = batches(facts.clone());
            for batch in &batches {
                prop_assert!(!batch.facts.is_empty());
                prop_assert!(batch.facts.len() <= ROWS_MAX);
                let bytes: usize = batch.facts.iter().map(bytes_of).sum();
                prop_assert!(bytes <= BYTES_MAX || batch.facts.len() == 1);
                prop_assert!(batch.facts.iter().all(|fact| fact.key.scope == batch.scope));
            }
            let mut sorted = facts;
            sorted.sort_by_key(|fact| (fact.key.scope.clone(), fact.key.at));
            let sent: Vec<_> = batches.into_iter().flat_map(|batch| batch.facts).collect();
            prop_assert_eq!(sent, sorted);
        }
    }
}
