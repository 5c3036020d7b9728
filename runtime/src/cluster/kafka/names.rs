//! The names of topics and groups as Kafka knows them: behind the namespace of the installation.

use crate::cluster::ClusterOptions;
use crate::{Catalogue, Topic};
use std::collections::BTreeMap;

/// The names of this installation.
#[derive(Debug)]
pub(super) struct Names {
    namespace: String,
    /// With the number of partitions of each.
    topics: BTreeMap<Topic, (String, u32)>,
}

impl Names {
    pub(super) fn new(options: &ClusterOptions, catalogue: &Catalogue) -> Self {
        let name = |topic: Topic| format!("{}{topic}", options.namespace);
        let topics = catalogue.topics();
        let topics = topics.map(|spec| (spec.topic, (name(spec.topic), spec.partitions))).collect();
        Self { namespace: options.namespace.clone(), topics }
    }

    /// The topic as Kafka knows it. One that is not catalogued is not known to Kafka either.
    pub(super) fn topic(&self, topic: Topic) -> &str {
        self.topics.get(&topic).map_or(topic.0, |(name, _)| name)
    }

    /// How many partitions the topic has; none if it is not catalogued.
    pub(super) fn partitions(&self, topic: Topic) -> u32 {
        self.topics.get(&topic).map_or(0, |(_, partitions)| *partitions)
    }

    /// The group of the members, whose offsets are those of the topic joined.
    pub(super) fn group(&self, group: &str) -> String {
        format!("{}{group}", self.namespace)
    }

    /// The group under which offsets of topics are kept that are not joined; nobody joins it.
    pub(super) fn unowned_group(&self, group: &str) -> String {
        format!("{}{group}.assigned", self.namespace)
    }
}
