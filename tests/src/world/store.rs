//! The simulated fact store: atomic per fact, never loses an acknowledged one, never reads stale.

use bytes::Bytes;
use runtime::{Fact, FactKey, Scope};
use std::collections::BTreeMap;

/// Facts by key.
#[derive(Debug, Default)]
pub struct Store {
    facts: BTreeMap<FactKey, Bytes>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was not there.
    New,
    /// It was there with the same body.
    Repeated,
    /// It was there with another body; it stays as it was.
    Different,
}

impl Store {
    /// Writes a fact. The same key always carries the same body.
    pub fn write(&mut self, fact: Fact) -> Written {
        match self.facts.get(&fact.key) {
            None => {
                self.facts.insert(fact.key, fact.body);
                Written::New
            }
            Some(body) if *body == fact.body => Written::Repeated,
            Some(_) => Written::Different,
        }
    }

    /// All facts of a scope in one atomic read, ordered by key.
    pub fn scan(&self, scope: &Scope) -> Vec<Fact> {
        let first = FactKey {
            scope: scope.clone(),
            lane: String::new(),
            subject: String::new(),
            kind: "",
            at: 0,
            hash: [0; 16],
        };
        self.facts
            .range(first..)
            .take_while(|(key, _)| key.scope == *scope)
            .map(|(key, body)| Fact { key: key.clone(), body: body.clone() })
            .collect()
    }

    /// Every fact, ordered by key.
    pub fn all(&self) -> impl Iterator<Item = (&FactKey, &Bytes)> {
        self.facts.iter()
    }
}
