//! Which store it is, as its nodes say.

use super::commit_log::value;
use super::connect::Connection;
use super::{StoreOpenError, StoreOptions};
use std::collections::BTreeSet;

/// ScyllaDB alone has this table; to others it says which Cassandra it is compatible with.
const OF_SCYLLA: &str = "SELECT version FROM system.versions WHERE key = 'local'";
const OF_ALL: &str = "SELECT release_version FROM system.local";

/// Name and release of the store, such as `Cassandra 5.0.6`; of several releases, as while nodes are upgraded, each
/// once. The keyspace need not exist.
///
/// # Errors
/// If no node answers.
pub async fn product(options: &StoreOptions) -> Result<String, StoreOpenError> {
    let session = Connection::open(options).await?.session;
    let state = session.get_cluster_state();
    let mut found = BTreeSet::new();
    for node in state.get_nodes_info().iter().filter(|node| node.is_connected()) {
        let scylla = value(&session, node, OF_SCYLLA).await?;
        let release = value(&session, node, OF_ALL).await?;
        found.insert(named(scylla, node.sharder().is_some(), release));
    }
    Ok(found.into_iter().collect::<Vec<_>>().join(", "))
}

/// From the release that ScyllaDB says, whether the node is divided as ScyllaDB's are, and the release of Cassandra.
fn named(scylla: Option<String>, is_sharded: bool, release: Option<String>) -> String {
    match (scylla, is_sharded) {
        (Some(version), _) => format!("ScyllaDB {version}"),
        (None, true) => "ScyllaDB".to_owned(),
        (None, false) => format!("Cassandra {}", release.unwrap_or_default()).trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scylla_is_not_taken_for_the_cassandra_it_is_compatible_with() {
        let release = || Some("3.0.8".to_owned());
        let named = |scylla: Option<&str>, is_sharded, release| {
            named(scylla.map(str::to_owned), is_sharded, release)
        };
        assert_eq!(named(Some("6.2.3"), true, release()), "ScyllaDB 6.2.3");
        assert_eq!(named(Some("6.2.3"), false, release()), "ScyllaDB 6.2.3");
        assert_eq!(named(None, true, release()), "ScyllaDB");
        assert_eq!(named(None, false, release()), "Cassandra 3.0.8");
        assert_eq!(named(None, false, None), "Cassandra");
    }
}
