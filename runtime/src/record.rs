//! Records: what stands in a log, and what is to be appended to one.

use crate::RecordHeaders;
use bytes::Bytes;
use std::fmt;

/// The name of a topic, as in the catalogue. Compared by its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(pub &'static str);

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The topic.
    pub topic: Topic,
    /// The partition, from 0.
    pub partition: u32,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Headers of a record: short names and text values, in the order they were given.
///
/// Names are unique. They repeat what a reader needs to find a record whose value it cannot decode.
pub type Headers = Vec<(&'static str, String)>;

/// A record as it stands in a log: durable, in its place, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition, from 0, rising by at least one from record to record.
    pub offset: u64,
    /// When the log took it, in ms since the Unix epoch. For people and retention; no decision
    /// may rest on it.
    pub appended_at: i64,
    /// The record's key; empty for a record without one.
    pub key: Bytes,
    /// The headers.
    pub headers: RecordHeaders,
    /// The framed value.
    pub value: Bytes,
}

impl Record {
    /// The value of the header `name`, if the record has it.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }
}

/// A record to be appended to one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The topic.
    pub topic: Topic,
    /// The partition, always chosen by the producer.
    pub partition: u32,
    /// The key; empty for none.
    pub key: Bytes,
    /// The headers.
    pub headers: Headers,
    /// The framed value.
    pub value: Bytes,
}

impl Append {
    /// Where it goes.
    pub fn source(&self) -> Source {
        Source { topic: self.topic, partition: self.partition }
    }
}

/// Topic, partition, key, headers and value, as the schemas give them.
impl From<(&'static str, u32, String, Headers, Vec<u8>)> for Append {
    fn from(parts: (&'static str, u32, String, Headers, Vec<u8>)) -> Self {
        let (topic, partition, key, headers, value) = parts;
        Self { topic: Topic(topic), partition, key: key.into(), headers, value: value.into() }
    }
}
