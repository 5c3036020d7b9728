//! What the topics must be.

use crate::cluster::Profile;
use crate::{Catalogue, TopicSpec};
use std::collections::BTreeMap;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Days that records and stored offsets are kept at least: corrections come for 30 days, retries for 35.
pub(super) const RETENTION_DAYS_MIN: i64 = 35;
/// The same for `retention.ms`.
pub(super) const RETENTION_MS_MIN: i64 = RETENTION_DAYS_MIN * DAY_MS;
/// The same for `offsets.retention.minutes` of the brokers.
pub(super) const OFFSETS_MINUTES_MIN: i64 = RETENTION_DAYS_MIN * 24 * 60;
/// What `offsets.retention.minutes` should be set to, 36 days.
pub(super) const OFFSETS_MINUTES: i64 = OFFSETS_MINUTES_MIN + 24 * 60;
/// What topics are made with: a day more than must be, so that what is due at the end of day 35 is still
/// there when a process that was down, or whose broker's clock runs ahead, comes to read it.
const RETENTION_MS: i64 = RETENTION_MS_MIN + DAY_MS;
/// Kafka's own default, above what librdkafka puts into one batch (1,000,000).
pub(super) const BATCH_BYTES_MIN: i64 = 1_048_588;

pub(super) const CLEANUP: &str = "cleanup.policy";
pub(super) const RETENTION: &str = "retention.ms";
pub(super) const RETENTION_BYTES: &str = "retention.bytes";
pub(super) const IN_SYNC: &str = "min.insync.replicas";
pub(super) const UNCLEAN: &str = "unclean.leader.election.enable";
pub(super) const TIMESTAMP: &str = "message.timestamp.type";
pub(super) const BATCH_BYTES: &str = "max.message.bytes";
pub(super) const COMPRESSION: &str = "compression.type";

/// Every topic as it must be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What the brokers must promise.
    pub profile: Profile,
    /// The topics, in the order of their names.
    pub topics: Vec<WantedTopic>,
}

/// One topic as it must be.
#[derive(Clone, Debug)]
pub struct WantedTopic {
    /// What the catalogue says of it.
    pub spec: TopicSpec,
    /// Replicas of each partition.
    pub replication: u32,
    /// Every setting that it is made with.
    pub settings: BTreeMap<&'static str, String>,
}

impl Wanted {
    /// What `catalogue` needs under `profile`.
    pub fn new(profile: Profile, catalogue: &Catalogue) -> Self {
        let topics = catalogue.topics().map(|spec| WantedTopic::new(profile, spec)).collect();
        Self { profile, topics }
    }
}

impl WantedTopic {
    fn new(profile: Profile, spec: TopicSpec) -> Self {
        let replication = replication(profile);
        let retention = if spec.kept_forever { -1 } else { RETENTION_MS };
        let settings = BTreeMap::from([
            (CLEANUP, if spec.compacted { "compact" } else { "delete" }.to_owned()),
            (RETENTION, retention.to_string()),
            (RETENTION_BYTES, "-1".to_owned()),
            (IN_SYNC, in_sync(profile).to_string()),
            (UNCLEAN, "false".to_owned()),
            // Retention counts from this time: the broker's clock, not that of whoever produced.
            (TIMESTAMP, "LogAppendTime".to_owned()),
            (BATCH_BYTES, BATCH_BYTES_MIN.to_string()),
            // The brokers keep the producers' batches as they are.
            (COMPRESSION, "producer".to_owned()),
        ]);
        Self { spec, replication, settings }
    }
}

/// Replicas that each partition must have.
pub(super) fn replication(profile: Profile) -> u32 {
    match profile {
        Profile::Single => 1,
        Profile::Cluster => 3,
    }
}

/// Replicas that must have a record before it is acknowledged.
pub(super) fn in_sync(profile: Profile) -> u32 {
    match profile {
        Profile::Single => 1,
        Profile::Cluster => 2,
    }
}

/// The profile as it is written on the command line.
pub(super) fn name(profile: Profile) -> &'static str {
    match profile {
        Profile::Single => "single",
        Profile::Cluster => "cluster",
    }
}
