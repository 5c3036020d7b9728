//! Facts: immutable rows, keyed by what they say and by the record that caused them.

use crate::Topic;
use bytes::Bytes;

/// What is read together: the facts of one group (a round) that one partition's owner has written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The group's name.
    pub group: String,
    /// The topic whose records caused the facts.
    pub topic: Topic,
    /// The partition of that topic.
    pub partition: u32,
}

/// Where a fact stands. Facts of one scope are ordered by (`lane`, `subject`, `kind`, `at`, `hash`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactKey {
    /// The scope.
    pub scope: Scope,
    /// The lane; empty where the fact concerns none.
    pub lane: String,
    /// What the fact is about; empty where it is about the whole group.
    pub subject: String,
    /// The kind of fact, a word of the schemas.
    pub kind: &'static str,
    /// The offset of the record that caused the fact (R2).
    pub at: u64,
    /// A hash of the fact's content. Two contents of one fact are two rows, so neither is lost (R5).
    pub hash: [u8; 16],
}

/// A fact. The same key always carries the same body: writing it twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Where it stands.
    pub key: FactKey,
    /// What it says, framed like a record's value.
    pub body: Bytes,
}

/// Scope, place in it and body, as the schemas give them.
impl From<FactParts> for Fact {
    fn from(parts: FactParts) -> Self {
        let ((group, topic, partition), (lane, subject, kind, at, hash), body) = parts;
        let scope = Scope { group, topic: Topic(topic), partition };
        Self { key: FactKey { scope, lane, subject, kind, at, hash }, body: body.into() }
    }
}

/// (group, topic, partition), (lane, subject, kind, at, hash), body.
pub type FactParts =
    ((String, &'static str, u32), (String, String, &'static str, u64, [u8; 16]), Vec<u8>);
