//! When a node says that a write is done: behind the fsync of its commit log, or before it.
//!
//! A node that answers before forgets answered facts when it is killed (ScyllaDB) or its machine stops
//! (both). So every node that the driver is connected to is asked, and a service starts on none that
//! does. Apache Cassandra has said it in `system_views.settings` since 4.0, ScyllaDB in `system.config`
//! since 4.6. A node that has neither table, shows it to nobody, or is down at that moment is not
//! checked, and the log says so.

use super::StoreOpenError;
use super::connect::{Connection, request};
use scylla::client::session::Session;
use scylla::cluster::Node;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::statement::{Consistency, Statement};
use std::sync::Arc;

/// What one node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommitLog {
    /// Its address.
    pub(super) node: String,
    pub(super) mode: Mode,
}

/// How a node syncs its commit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `commitlog_sync` of Apache Cassandra.
    Cassandra(String),
    /// `commitlog_sync` of ScyllaDB.
    Scylla(String),
    /// Not known, and why.
    Unknown(&'static str),
}

const OF_CASSANDRA: &str = "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'";
const OF_SCYLLA: &str = "SELECT value FROM system.config WHERE name = 'commitlog_sync'";

/// Whether facts are on a disk when these nodes say so. What is not known is not judged.
///
/// # Errors
/// The first node that answers too early.
pub(super) fn judge(nodes: &[CommitLog]) -> Result<(), StoreOpenError> {
    for CommitLog { node, mode } in nodes {
        let (found, is_durable, cure) = match mode {
            Mode::Cassandra(found) => (
                found,
                matches!(found.as_str(), "group" | "batch"),
                "set commitlog_sync: group and commitlog_sync_group_window in its cassandra.yaml",
            ),
            Mode::Scylla(found) => {
                (found, found == "batch", "start it with --commitlog-sync batch")
            }
            Mode::Unknown(_) => continue,
        };
        if !is_durable {
            let (node, found) = (node.clone(), found.clone());
            return Err(StoreOpenError::CommitLog { node, found, cure });
        }
    }
    Ok(())
}

/// Says in the log which nodes are not checked.
pub(super) fn note(nodes: &[CommitLog]) {
    for CommitLog { node, mode } in nodes {
        if let Mode::Unknown(why) = mode {
            tracing::warn!(node, why, "it is not known when this node syncs its commit log");
        }
    }
}

impl Connection {
    /// What every node says.
    pub(super) async fn commit_logs(&self) -> Result<Vec<CommitLog>, StoreOpenError> {
        let state = self.session.get_cluster_state();
        let mut found = Vec::new();
        for node in state.get_nodes_info() {
            let mode = match node.is_connected() {
                true => ask(&self.session, node).await?,
                false => Mode::Unknown("it is not connected"),
            };
            found.push(CommitLog { node: node.address.to_string(), mode });
        }
        Ok(found)
    }
}

async fn ask(session: &Session, node: &Arc<Node>) -> Result<Mode, StoreOpenError> {
    if let Some(found) = value(session, node, OF_CASSANDRA).await? {
        return Ok(Mode::Cassandra(found));
    }
    // Shown as in a JSON file, so with its quotes.
    let found = value(session, node, OF_SCYLLA).await?;
    Ok(match found {
        Some(found) => Mode::Scylla(found.trim_matches('"').to_owned()),
        None => Mode::Unknown("it has no table that says it"),
    })
}

/// The one value of a query to this node alone; `None` if it has no such table, row or permission.
pub(super) async fn value(
    session: &Session,
    node: &Arc<Node>,
    query: &str,
) -> Result<Option<String>, StoreOpenError> {
    let mut statement = Statement::new(query);
    // Each node knows of itself alone.
    let only = SingleTargetLoadBalancingPolicy::new(NodeIdentifier::Node(Arc::clone(node)), None);
    statement.set_load_balancing_policy(Some(only));
    statement.set_consistency(Consistency::One);
    let rows = match session.query_unpaged(statement, ()).await {
        Ok(rows) => rows.into_rows_result().map_err(|error| request(query, error))?,
        Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(
            DbError::Invalid | DbError::Unauthorized,
            _,
        ))) => return Ok(None),
        Err(error) => return Err(request(query, error)),
    };
    let row = rows.maybe_first_row::<(Option<String>,)>().map_err(|error| request(query, error))?;
    Ok(row.and_then(|(value,)| value).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(modes: &[Mode]) -> String {
        let node = |mode: &Mode| CommitLog { node: "n:9042".to_owned(), mode: mode.clone() };
        match judge(&modes.iter().map(node).collect::<Vec<_>>()) {
            Ok(()) => "starts".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn cassandra(mode: &str) -> Mode {
        Mode::Cassandra(mode.to_owned())
    }

    fn scylla(mode: &str) -> Mode {
        Mode::Scylla(mode.to_owned())
    }

    #[test]
    fn a_node_that_syncs_before_it_answers_is_taken() {
        assert_eq!(said(&[]), "starts");
        assert_eq!(said(&[cassandra("group"), cassandra("batch"), scylla("batch")]), "starts");
        assert_eq!(said(&[Mode::Unknown("it is not connected")]), "starts", "but the log says so");
    }

    #[test]
    fn any_other_is_refused_with_the_setting_and_the_cure() {
        for mode in [cassandra("periodic"), cassandra("later")] {
            let refused = said(&[cassandra("group"), mode]);
            for word in ["n:9042", "commitlog_sync", "commitlog_sync: group"] {
                assert!(refused.contains(word), "`{word}` is not in: {refused}");
            }
        }
        // ScyllaDB has no group mode.
        for mode in ["periodic", "group"] {
            let refused = said(&[scylla(mode)]);
            assert!(refused.contains("--commitlog-sync batch"), "{refused}");
        }
    }
}
