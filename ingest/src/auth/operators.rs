//! Operators' keys.

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use thiserror::Error;

/// Characters a key must have at least: a key of random letters is then beyond guessing.
pub const KEY_CHARS_MIN: usize = 20;

/// A key that could be guessed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the key of operator `{operator}` is shorter than {KEY_CHARS_MIN} characters")]
pub struct KeyTooShort {
    /// Whose key.
    pub operator: String,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Open, amend and close rounds, say a first result, and void a round that has none.
    Rounds,
    /// Replace a result version in one step: meant for feeds, and nobody's who is not given it.
    Correct,
    /// Propose a correction, and reject one.
    Propose,
    /// Approve what somebody else proposed, and reject it.
    Approve,
    /// Pause and resume a partner's betting.
    Partners,
    /// Look at rounds, proposals, partners and histories.
    Read,
}

impl Duty {
    /// Every duty.
    pub const ALL: &[Self] =
        &[Self::Rounds, Self::Correct, Self::Propose, Self::Approve, Self::Partners, Self::Read];

    /// What whoever has no roles may do: all but replace a result alone. A correction takes two people, unless somebody
    /// is given the role to make one.
    pub const USUAL: &[Self] =
        &[Self::Rounds, Self::Propose, Self::Approve, Self::Partners, Self::Read];

    /// Its word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rounds => "rounds",
            Self::Correct => "correct",
            Self::Propose => "propose",
            Self::Approve => "approve",
            Self::Partners => "partners",
            Self::Read => "read",
        }
    }

    /// The duty of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|duty| duty.name() == name)
    }
}

/// Operators by their keys. Keeps hashes alone.
#[derive(Clone, Default)]
pub struct Operators {
    hashes: Vec<([u8; 32], String, BTreeSet<Duty>)>,
}

impl Operators {
    /// Operators as (name, key), who may do everything. The name becomes the `actor` of what they say.
    ///
    /// # Errors
    /// [`KeyTooShort`].
    pub fn new(keys: impl IntoIterator<Item = (String, String)>) -> Result<Self, KeyTooShort> {
        let all: BTreeSet<Duty> = Duty::ALL.iter().copied().collect();
        Self::with_duties(keys.into_iter().map(|(name, key)| (name, key, all.clone())))
    }

    /// Operators as (name, key, what they may do).
    ///
    /// # Errors
    /// [`KeyTooShort`].
    pub fn with_duties(
        operators: impl IntoIterator<Item = (String, String, BTreeSet<Duty>)>,
    ) -> Result<Self, KeyTooShort> {
        let mut hashes = Vec::new();
        for (operator, key, duties) in operators {
            if key.len() < KEY_CHARS_MIN {
                return Err(KeyTooShort { operator });
            }
            hashes.push((hash(&key), operator, duties));
        }
        Ok(Self { hashes })
    }

    /// The operator with this key: the name, and what that one may do.
    ///
    /// Takes the same time for every key of one length: all hashes are compared, to their ends.
    pub fn known(&self, key: &str) -> Option<(&str, &BTreeSet<Duty>)> {
        let given = hash(key);
        let mut found = None;
        for (known, operator, duties) in &self.hashes {
            let different = known.iter().zip(&given).fold(0, |seen, (a, b)| seen | (a ^ b));
            if std::hint::black_box(different) == 0 {
                found = Some((operator.as_str(), duties));
            }
        }
        found
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.hashes.len()
    }

    /// What is different in `newer`, where each name stands once.
    pub fn changes(&self, newer: &Self) -> Changes {
        let (before, now) = (self.by_name(), newer.by_name());
        let mut changes = Changes::default();
        for (name, (hash, duties)) in &now {
            match before.get(name) {
                None => changes.added.push((*name).to_owned()),
                Some((hash_before, duties_before)) => {
                    if hash_before != hash {
                        changes.key.push((*name).to_owned());
                    }
                    if duties_before != duties {
                        changes.roles.push((*name).to_owned());
                    }
                }
            }
        }
        let gone = before.keys().filter(|name| !now.contains_key(*name));
        changes.removed = gone.map(|name| (*name).to_owned()).collect();
        changes
    }

    fn by_name(&self) -> BTreeMap<&str, (&[u8; 32], &BTreeSet<Duty>)> {
        self.hashes.iter().map(|(hash, name, duties)| (name.as_str(), (hash, duties))).collect()
    }
}

/// Who is another than before, by name and in the order of the names. Says nothing of keys but that one changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Who was not there.
    pub added: Vec<String>,
    /// Who is there no more.
    pub removed: Vec<String>,
    /// Whose key is another.
    pub key: Vec<String>,
    /// Whose roles are others.
    pub roles: Vec<String>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, removed, key, roles } = self;
        let of = [
            ("added", added),
            ("removed", removed),
            ("key changed", key),
            ("roles changed", roles),
        ];
        let of = of.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> =
            of.map(|(what, names)| format!("{what}: {}", names.join(", "))).collect();
        if parts.is_empty() {
            f.write_str("nothing changed")
        } else {
            f.write_str(&parts.join("; "))
        }
    }
}

/// The operators that count now. Cheap to clone; clones know the same, so that a key that is revoked is revoked in all
/// parts of a process.
#[derive(Clone, Debug, Default)]
pub struct InForce(Arc<RwLock<Arc<Operators>>>);

impl InForce {
    /// These, until others replace them.
    pub fn new(operators: Operators) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(operators))))
    }

    /// Those who count now.
    pub fn now(&self) -> Arc<Operators> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes these from the next request on; says who is another than before.
    pub fn replace(&self, operators: Operators) -> Changes {
        let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changes = now.changes(&operators);
        *now = Arc::new(operators);
        changes
    }
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hashes.iter().map(|(_, operator, _)| operator)).finish()
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}
