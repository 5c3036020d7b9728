//! The engines under our catalogue of topics and facts.

use runtime::{Catalogue, Topic, TopicSpec};
use schemas::catalogue::TOPICS;
use schemas::facts;
use std::path::Path;

/// Days for which Kafka keeps a record: the shortest that loses no money, since a retry may be so old.
pub const RETENTION_DAYS: u32 = 35;

/// Every topic with its partitions on the embedded engine, and every kind of fact.
pub fn catalogue() -> Catalogue {
    catalogue_with(|spec| spec.partitions_embedded)
}

/// Every topic with its partitions on the cluster engine, and every kind of fact.
pub fn catalogue_cluster() -> Catalogue {
    catalogue_with(|spec| spec.partitions_cluster)
}

fn catalogue_with(partitions: fn(&schemas::catalogue::TopicSpec) -> u32) -> Catalogue {
    let topics = TOPICS.iter().map(|spec| TopicSpec {
        topic: Topic(spec.name),
        partitions: partitions(spec),
        kept_forever: spec.forever,
        compacted: !spec.money,
    });
    Catalogue::new(topics, facts::KINDS.iter().copied())
}

/// Whether a server has written to the directory before.
pub fn has_data(data_dir: &Path) -> bool {
    data_dir.join("roundhouse.redb").is_file()
}

/// Where the journals of a sandbox's or a demo's wallets are, below the data directory.
pub const JOURNALS: &str = "sandbox/journals";

/// The group that judges rounds.
pub const HERALD: &str = "herald";
/// The group that decides bets.
pub const SETTLER: &str = "settler";
/// The group that delivers settlements.
pub const DISPATCHER: &str = "dispatcher";
/// The group that keeps histories.
pub const HISTORY: &str = "history";
/// The group that opens cases and tells of them.
pub const CASES: &str = "cases";
/// The group that shares out what is reconciled. It stores no offset.
pub const RECONCILER: &str = "reconciler";

/// How long the log waits for a silent member of each group before others get its partitions: heralds
/// and settlers hold up everybody's bets, the others only what is late already.
#[cfg(feature = "cluster")]
pub fn groups() -> Vec<runtime::cluster::GroupSpec> {
    use runtime::cluster::GroupSpec;
    use schemas::catalogue::{BETS, DECISIONS, ROUNDS, SETTLEMENTS};
    use std::time::Duration;
    let group = |group, topic, session_s| GroupSpec {
        group,
        topic: Topic(topic),
        session: Duration::from_secs(session_s),
    };
    vec![
        group(HERALD, ROUNDS, 6),
        group(SETTLER, BETS, 6),
        group(DISPATCHER, SETTLEMENTS, 10),
        group(RECONCILER, BETS, 10),
        group(HISTORY, DECISIONS, 10),
        group(CASES, ROUNDS, 10),
    ]
}

#[cfg(all(test, feature = "cluster"))]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Rounds close and bets are decided behind a dead owner within its session.
    #[test]
    fn who_decides_is_missed_within_six_seconds() {
        let groups = groups();
        let session = |name: &str| groups.iter().find(|it| it.group == name).unwrap().session;
        assert_eq!([HERALD, SETTLER].map(session), [Duration::from_secs(6); 2]);
        assert!(groups.iter().all(|it| it.session <= Duration::from_secs(10)));
    }
}
