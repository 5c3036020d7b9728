//! Every topic of the catalogue, and what stands in it.

use anyhow::Context;
use runtime::{Engine, Source, Topic};
use schemas::catalogue::{PartitionedBy, TOPICS, TopicSpec};
use serde::Serialize;

/// One topic.
#[derive(Clone, Debug, Serialize)]
pub struct TopicInfo {
    /// Its name.
    pub topic: &'static str,
    /// What stands there.
    pub what: &'static str,
    /// Its partitions. Never changes.
    pub partitions: u32,
    /// What the partition is chosen by.
    pub partitioned_by: &'static str,
    /// What a record's key is.
    pub key: &'static str,
    /// Days after which a record that every reader has passed may go; `None` for never.
    pub retention_days: Option<u32>,
    /// Whether only the newest record of each key need be kept.
    pub compacted: bool,
    /// What is in it, where it was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Vec<Offsets>>,
}

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Offsets {
    /// The partition.
    pub partition: u32,
    /// The lowest offset still kept.
    pub begin: u64,
    /// The offset that the next record will get.
    pub end: u64,
}

/// Every topic; `partitions` says how many it has on the engine, and records are kept for `retention_days`.
pub fn infos(partitions: fn(&TopicSpec) -> u32, retention_days: u32) -> Vec<TopicInfo> {
    let info = |spec: &TopicSpec| TopicInfo {
        topic: spec.name,
        what: spec.what,
        partitions: partitions(spec),
        partitioned_by: match spec.partitioned_by {
            PartitionedBy::Lane => "lane (<partner_id>/0)",
            PartitionedBy::Round => "round_id",
            PartitionedBy::Partner => "partner_id",
        },
        key: spec.key,
        retention_days: (!spec.forever).then_some(retention_days),
        compacted: !spec.money,
        offsets: None,
    };
    TOPICS.iter().map(info).collect()
}

/// What stands in every partition of a topic now.
///
/// # Errors
/// If the engine cannot be asked.
pub async fn offsets(engine: &impl Engine, topic: Topic) -> anyhow::Result<Vec<Offsets>> {
    let mut all = Vec::new();
    for partition in 0..engine.partitions(topic) {
        let source = Source { topic, partition };
        let range = engine.range(source).await;
        let (begin, end) = range.with_context(|| format!("{source} cannot be read"))?;
        all.push(Offsets { partition, begin, end });
    }
    Ok(all)
}
