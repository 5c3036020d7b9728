//! What the caller tells the engine about itself: topics, partition counts, kinds of facts.

use crate::Topic;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// How the engine is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the file; created if absent. One process at a time.
    pub data_dir: PathBuf,
    /// Age in ms at which a record that every group has passed is deleted.
    pub retention_ms: i64,
    /// Free bytes of the file system below which appends are refused, so that batches already under
    /// way still find room.
    pub reserve_bytes: u64,
    /// Memory for pages of the file.
    pub cache_bytes: usize,
    /// Memory for the newest records of each partition: readers within it never touch the file.
    pub tail_bytes: usize,
}

impl Options {
    /// 35 days, 256 MiB in reserve, 128 MiB of pages, 4 MiB of tail for each partition.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            retention_ms: 35 * 24 * 60 * 60 * 1_000,
            reserve_bytes: 256 << 20,
            cache_bytes: 128 << 20,
            tail_bytes: 4 << 20,
        }
    }
}

/// A topic of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub topic: Topic,
    /// Its partitions. Fixed by the first open of a file (R9).
    pub partitions: u32,
    /// True if its records never expire.
    pub kept_forever: bool,
}

impl From<(Topic, u32)> for TopicSpec {
    fn from((topic, partitions): (Topic, u32)) -> Self {
        Self { topic, partitions, kept_forever: false }
    }
}

/// Every topic and every kind of fact that the caller knows.
///
/// Names read from the file become these; a fact whose kind or topic is not here is an error.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    topics: BTreeMap<Topic, TopicSpec>,
    kinds: BTreeSet<&'static str>,
}

impl Catalogue {
    /// A catalogue of these topics and kinds; of a topic named twice the last stands.
    pub fn new(
        topics: impl IntoIterator<Item = impl Into<TopicSpec>>,
        kinds: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let topics = topics.into_iter().map(Into::into).map(|spec| (spec.topic, spec)).collect();
        Self { topics, kinds: kinds.into_iter().collect() }
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = TopicSpec> {
        self.topics.values().copied()
    }

    pub(super) fn partitions(&self, topic: Topic) -> u32 {
        self.topics.get(&topic).map_or(0, |spec| spec.partitions)
    }

    pub(super) fn kept_forever(&self, topic: Topic) -> bool {
        self.topics.get(&topic).is_some_and(|spec| spec.kept_forever)
    }

    /// The kind that reads `text`.
    pub(super) fn kind(&self, text: &str) -> Option<&'static str> {
        self.kinds.get(text).copied()
    }

    pub(super) fn knows_topic(&self, topic: Topic) -> bool {
        self.topics.contains_key(&topic)
    }
}
