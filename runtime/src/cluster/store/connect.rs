//! A connection to the store: sessions, addresses, and reading and changing the schema.

use super::migrations::{Applied, Migration};
use super::schema::{Column, Found, Keyspace, Table};
use super::{StoreOpenError, StoreOptions};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::{
    DbError, ExecutionError, RequestAttemptError, TranslationError, UseKeyspaceError,
};
use scylla::policies::address_translator::{AddressTranslator, UntranslatedPeer};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::serialize::row::SerializeRow;
use scylla::statement::{Consistency, Statement};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long one try of a request may take.
const TRY: Duration = Duration::from_secs(3);
/// How long a change of the schema may take; Cassandra flushes and compares on the way.
const CHANGE: Duration = Duration::from_secs(60);
/// Pause before a keyspace that a node does not know yet is asked for again.
const USE_PAUSE: Duration = Duration::from_millis(50);
/// How long a silent connection lives: twice this until a hung node is left.
const KEEPALIVE: Duration = Duration::from_secs(4);

/// A session, and the keyspace it is for.
pub(super) struct Connection {
    pub(super) session: Session,
    keyspace: String,
}

impl Connection {
    /// Connects to the nodes given; the keyspace need not exist.
    pub(super) async fn open(options: &StoreOptions) -> Result<Self, StoreOpenError> {
        let keyspace = options.keyspace.clone();
        if !is_name(&keyspace) {
            return Err(StoreOpenError::KeyspaceName { keyspace });
        }
        if options.nodes.is_empty() {
            return Err(StoreOpenError::NoNodes);
        }
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::Quorum)
            .request_timeout(Some(TRY))
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&options.nodes)
            .default_execution_profile_handle(profile.into_handle())
            .keyspaces_to_fetch([&keyspace])
            .keepalive_interval(KEEPALIVE)
            .keepalive_timeout(KEEPALIVE);
        if options.given_addresses_only {
            let given = GivenAddresses { given: options.nodes.clone(), taken: Mutex::default() };
            // A shard's own port is not among the given addresses.
            builder = builder.address_translator(Arc::new(given)).disallow_shard_aware_port(true);
        }
        let session = builder.build().await.map_err(|error| StoreOpenError::Connect {
            nodes: options.nodes.join(", "),
            source: Box::new(error),
        })?;
        Ok(Self { session, keyspace })
    }

    /// The keyspace, if there is one.
    pub(super) async fn keyspace(&self) -> Result<Option<Keyspace>, StoreOpenError> {
        let query = "SELECT durable_writes, replication FROM system_schema.keyspaces \
                     WHERE keyspace_name = ?";
        let rows = self.rows::<(bool, BTreeMap<String, String>)>(query, (&self.keyspace,)).await?;
        let keyspace = |(durable_writes, replication)| Keyspace { durable_writes, replication };
        Ok(rows.into_iter().next().map(keyspace))
    }

    /// All that decides whether a service may start.
    pub(super) async fn found(&self) -> Result<Found, StoreOpenError> {
        let keyspace = self.keyspace().await?;
        let facts = self.facts().await?;
        let journal = self.table("schema_migrations").await?;
        let applied = if journal.is_some() { self.applied().await? } else { Vec::new() };
        let commit_logs = self.commit_logs().await?;
        Ok(Found { keyspace, applied, facts, commit_logs })
    }

    /// The time to live of a table, if the table exists.
    async fn table(&self, name: &str) -> Result<Option<i32>, StoreOpenError> {
        let query = "SELECT default_time_to_live FROM system_schema.tables \
                     WHERE keyspace_name = ? AND table_name = ?";
        let rows = self.rows::<(Option<i32>,)>(query, (&self.keyspace, name)).await?;
        Ok(rows.into_iter().next().map(|(seconds,)| seconds.unwrap_or(0)))
    }

    async fn facts(&self) -> Result<Option<Table>, StoreOpenError> {
        let Some(time_to_live) = self.table("facts").await? else {
            return Ok(None);
        };
        let query = "SELECT column_name, kind, position, clustering_order, type \
                     FROM system_schema.columns WHERE keyspace_name = ? AND table_name = 'facts'";
        let rows =
            self.rows::<(String, String, i32, String, String)>(query, (&self.keyspace,)).await?;
        let column = |(name, kind, place, order, of_type)| -> (String, Column) {
            (name, (kind, place, order, of_type))
        };
        Ok(Some(Table { time_to_live, columns: rows.into_iter().map(column).collect() }))
    }

    /// The migrations applied, by number.
    pub(super) async fn applied(&self) -> Result<Vec<Applied>, StoreOpenError> {
        let query =
            format!("SELECT number, name, checksum FROM {}.schema_migrations", self.keyspace);
        let rows = self.rows::<(i32, String, String)>(&query, ()).await?;
        let applied = |(number, name, checksum)| Applied { number, name, checksum };
        let mut all: Vec<_> = rows.into_iter().map(applied).collect();
        all.sort();
        Ok(all)
    }

    /// Writes down that a migration is applied.
    pub(super) async fn note(&self, migration: &Migration) -> Result<(), StoreOpenError> {
        let query = "INSERT INTO schema_migrations (number, checksum, name, applied_at) \
                     VALUES (?, ?, ?, toTimestamp(now()))";
        self.rows::<()>(query, (migration.number, migration.checksum(), migration.name)).await?;
        Ok(())
    }

    /// Makes the keyspace, which stands in the schema, the one of statements that name none.
    pub(super) async fn use_keyspace(&self) -> Result<(), StoreOpenError> {
        let until = Instant::now() + CHANGE;
        loop {
            let used = self.session.use_keyspace(&self.keyspace, false).await;
            match used {
                // Another runner has just made it: Cassandra shows a change before it follows it.
                Err(UseKeyspaceError::RequestError(RequestAttemptError::DbError(
                    DbError::Invalid,
                    _,
                ))) if Instant::now() < until => sleep(USE_PAUSE).await,
                used => return used.map_err(|error| request("USE", error)),
            }
        }
    }

    /// Changes the schema, and waits until all nodes have the change.
    ///
    /// Every runner sends its changes to the same node, the one with the lowest host id: Cassandra
    /// decides `IF NOT EXISTS` on the node that is asked, and two nodes at once would create two tables.
    pub(super) async fn change(&self, statement: &str) -> Result<(), StoreOpenError> {
        let state = self.session.get_cluster_state();
        let mut statement = Statement::new(statement);
        if let Some(node) = state.get_nodes_info().iter().min_by_key(|node| node.host_id) {
            let node = NodeIdentifier::HostId(node.host_id);
            let only = SingleTargetLoadBalancingPolicy::new(node, None);
            statement.set_load_balancing_policy(Some(only));
        }
        statement.set_request_timeout(Some(CHANGE));
        let what = statement.contents.clone();
        // The session waits for agreement after every change of the schema.
        let done = self.session.query_unpaged(statement, ()).await;
        done.map(drop).map_err(|error| request(&what, error))
    }

    async fn rows<Row>(
        &self,
        query: &str,
        values: impl SerializeRow,
    ) -> Result<Vec<Row>, StoreOpenError>
    where
        Row: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let failed = |error| request(query, error);
        let asked = self.session.query_unpaged(query, &values).await;
        // Prepared statements go when a schema changes, another service's too: this one goes at once again, prepared anew.
        let asked = match asked {
            Err(error) if is_unprepared(&error) => self.session.query_unpaged(query, &values).await,
            asked => asked,
        };
        let result = asked.map_err(failed)?;
        if !result.is_rows() {
            return Ok(Vec::new());
        }
        let result = result.into_rows_result().map_err(|error| request(query, error))?;
        let rows = result.rows::<Row>().map_err(|error| request(query, error))?;
        rows.collect::<Result<_, _>>().map_err(|error| request(query, error))
    }
}

fn is_unprepared(error: &ExecutionError) -> bool {
    let ExecutionError::LastAttemptError(RequestAttemptError::DbError(said, _)) = error else {
        return false;
    };
    matches!(said, DbError::Unprepared { .. })
}

/// That a request failed. Carries the first line of the statement.
pub(super) fn request(
    statement: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> StoreOpenError {
    let what = statement.lines().next().unwrap_or_default().to_owned();
    StoreOpenError::Request { what, source: Box::new(error) }
}

/// Whether this can be a keyspace's name everywhere without quotes.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 48
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Gives every node one of the given addresses, whatever it says of itself.
///
/// Nodes take the addresses in the order in which they are met, so that with as many addresses as nodes
/// each address is used. Which node is behind which is not known: a request may take one hop more.
struct GivenAddresses {
    given: Vec<String>,
    /// Host ids in the order met.
    taken: Mutex<Vec<[u8; 16]>>,
}

impl GivenAddresses {
    fn address_of(&self, host: [u8; 16]) -> Option<&str> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let place = taken.iter().position(|met| *met == host).unwrap_or_else(|| {
            taken.push(host);
            taken.len() - 1
        });
        let place = place.checked_rem(self.given.len())?;
        self.given.get(place).map(String::as_str)
    }
}

#[async_trait::async_trait]
impl AddressTranslator for GivenAddresses {
    async fn translate_address(
        &self,
        peer: &UntranslatedPeer,
    ) -> Result<SocketAddr, TranslationError> {
        // Resolved each time: a container that was started again may have another address.
        let given = self.address_of(*peer.host_id().as_bytes());
        let given = given.ok_or(TranslationError::NoRuleForAddress(peer.untranslated_address()))?;
        let failed = |error: io::Error| TranslationError::IoError(Arc::new(error));
        let mut found = tokio::net::lookup_host(given).await.map_err(failed)?;
        found.next().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keyspaces_need_no_quotes() {
        for good in ["roundhouse", "r_2", "a"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "2r", "Roundhouse", "a-b", "a; DROP", &"a".repeat(49)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn each_node_keeps_an_address_of_its_own() {
        let given = ["a:1", "b:1"].map(str::to_owned).to_vec();
        let given = GivenAddresses { given, taken: Mutex::default() };
        assert_eq!(given.address_of([7; 16]), Some("a:1"));
        assert_eq!(given.address_of([3; 16]), Some("b:1"));
        assert_eq!(given.address_of([7; 16]), Some("a:1"));
        assert_eq!(given.address_of([9; 16]), Some("a:1"));
    }
}
