//! What the caller tells an engine about itself: topics, partition counts, kinds of facts.

use crate::Topic;
use std::collections::{BTreeMap, BTreeSet};

/// A topic of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub topic: Topic,
    /// Its partitions. Fixed when the topic is made (R9).
    pub partitions: u32,
    /// True if its records never expire.
    pub kept_forever: bool,
    /// True if only the newest record of each key need be kept. Never where losing an older record
    /// could lose money.
    pub compacted: bool,
}

impl From<(Topic, u32)> for TopicSpec {
    fn from((topic, partitions): (Topic, u32)) -> Self {
        Self { topic, partitions, kept_forever: false, compacted: false }
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

    /// The same topics with `namespace` before their names, which live as long as the process.
    #[cfg(feature = "cluster")]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        let named = self.topics.values().map(|spec| TopicSpec {
            topic: Topic(Box::leak(format!("{namespace}{}", spec.topic).into_boxed_str())),
            ..*spec
        });
        Self::new(named, self.kinds.iter().copied())
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = TopicSpec> {
        self.topics.values().copied()
    }

    pub(crate) fn partitions(&self, topic: Topic) -> u32 {
        self.topics.get(&topic).map_or(0, |spec| spec.partitions)
    }

    pub(crate) fn kept_forever(&self, topic: Topic) -> bool {
        self.topics.get(&topic).is_some_and(|spec| spec.kept_forever)
    }

    /// The kind that reads `text`.
    pub(crate) fn kind(&self, text: &str) -> Option<&'static str> {
        self.kinds.get(text).copied()
    }

    pub(crate) fn knows_topic(&self, topic: Topic) -> bool {
        self.topics.contains_key(&topic)
    }
}
