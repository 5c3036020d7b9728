//! The fact store on ScyllaDB or Apache Cassandra.
//!
//! One table of immutable rows. A write is durable in a quorum when it resolves, a read asks a quorum,
//! so what was written is read (R5). Rows carry the offset of the record that caused them as their
//! timestamp, so that a replay writes the same cells. Never: conditional writes, updates, deletes, TTL.
//! A write that fails leaves some of its facts written; writing them again is right.

mod batches;
mod commit_log;
mod connect;
mod migrations;
mod product;
mod read;
mod retry;
mod schema;
#[cfg(test)]
mod tests;
mod write;

pub use migrations::{Applied, Migration, StoreStatus, carried, migrate, status};
pub use product::product;

use super::{Profile, StoreOptions};
use crate::{Catalogue, EngineError, Fact, FactStore, Millis, Scope};
use connect::Connection;
use scylla::client::session::Session;
use scylla::errors::NewSessionError;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use thiserror::Error;
use tokio::sync::Semaphore;

/// Requests of one process that are under way at once; more only wait in the server.
const IN_FLIGHT_MAX: usize = 256;

/// The facts in ScyllaDB or Cassandra.
#[derive(Clone)]
pub struct CqlStore {
    shared: Arc<Shared>,
}

struct Shared {
    session: Session,
    statements: Statements,
    catalogue: Catalogue,
    in_flight: Semaphore,
    /// The last write did.
    failed: AtomicBool,
}

struct Statements {
    insert: scylla::statement::prepared::PreparedStatement,
    scan: scylla::statement::prepared::PreparedStatement,
    about: scylla::statement::prepared::PreparedStatement,
    time: scylla::statement::prepared::PreparedStatement,
}

impl CqlStore {
    /// Connects, and refuses a store that is not migrated or could lose facts.
    ///
    /// # Errors
    /// What [`StoreOpenError`] says.
    pub async fn connect(
        options: &StoreOptions,
        profile: Profile,
        catalogue: Catalogue,
    ) -> Result<Self, StoreOpenError> {
        let connection = Connection::open(options).await?;
        let found = connection.found().await?;
        schema::judge(&found, &options.keyspace, profile, &migrations::MIGRATIONS)?;
        commit_log::note(&found.commit_logs);
        let session = connection.session;
        let insert = write::prepare(&session, &options.keyspace).await?;
        let (scan, about) = read::prepare(&session, &options.keyspace).await?;
        let time = read::prepare_time(&session).await?;
        let statements = Statements { insert, scan, about, time };
        let in_flight = Semaphore::new(IN_FLIGHT_MAX);
        let failed = AtomicBool::new(false);
        Ok(Self { shared: Arc::new(Shared { session, statements, catalogue, in_flight, failed }) })
    }

    /// What time a node has, in ms since the Unix epoch; each time another node.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if it does not answer.
    pub async fn time(&self) -> Result<Millis, EngineError> {
        self.shared.time().await
    }

    /// Writes facts; all are durable in a quorum when it resolves.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] after about 10 s of tries: any of them may be written.
    pub async fn write(&self, facts: Vec<Fact>) -> Result<(), EngineError> {
        let written = self.shared.write(facts).await;
        self.shared.failed.store(written.is_err(), Ordering::Relaxed);
        written
    }

    /// True if the last write failed.
    pub(super) fn is_failing(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }
}

impl FactStore for CqlStore {
    async fn scan(&self, scope: Scope) -> Result<Vec<Fact>, EngineError> {
        self.shared.scan(scope).await
    }

    async fn about(
        &self,
        scope: Scope,
        lane: String,
        subject: String,
    ) -> Result<Vec<Fact>, EngineError> {
        self.shared.about(scope, &lane, &subject).await
    }
}

/// Why a store cannot be used.
#[derive(Debug, Error)]
pub enum StoreOpenError {
    /// No node is given.
    #[error("no node of the store is given: name at least one as host:port")]
    NoNodes,
    /// The name would need quotes.
    #[error(
        "{keyspace:?} is no name for a keyspace: it begins with a-z, has only a-z, 0-9 and _, and at \
         most 48 of them"
    )]
    KeyspaceName {
        /// The name given.
        keyspace: String,
    },
    /// No node answered.
    #[error("none of the nodes {nodes} can be reached")]
    Connect {
        /// The nodes given.
        nodes: String,
        /// Why not.
        source: Box<NewSessionError>,
    },
    /// The keyspace is not there.
    #[error("the keyspace {keyspace} does not exist: run `roundhouse store migrate`")]
    KeyspaceMissing {
        /// Its name.
        keyspace: String,
    },
    /// Migrations are missing.
    #[error(
        "migrations {first} to {last} are not applied in keyspace {keyspace}: run `roundhouse store \
         migrate`"
    )]
    NotMigrated {
        /// The keyspace.
        keyspace: String,
        /// The first that is missing.
        first: i32,
        /// The last that is missing.
        last: i32,
    },
    /// The store was migrated by a newer binary.
    #[error(
        "migration {number} ({name}) is applied, and this binary knows only {known}: start a newer one"
    )]
    Newer {
        /// The migration that is not known.
        number: i32,
        /// Its name.
        name: String,
        /// The last number this binary has.
        known: i32,
    },
    /// What was applied is not what this binary has under that number.
    #[error(
        "migration {number} ({name}) was applied with other statements than this binary has: start \
         the binary that applied it, or compare the two"
    )]
    Altered {
        /// Its number.
        number: i32,
        /// Its name in the store.
        name: String,
    },
    /// Too few replicas.
    #[error(
        "keyspace {keyspace} keeps {factor} replica(s) of a row and this profile needs {wanted}: raise \
         its replication factor (ALTER KEYSPACE, then repair), or name the profile single if it is one"
    )]
    Replication {
        /// The keyspace.
        keyspace: String,
        /// Replicas in all data centres.
        factor: u32,
        /// The least this profile needs.
        wanted: u32,
    },
    /// The replicas cannot be counted.
    #[error(
        "the replicas of keyspace {keyspace} cannot be counted from {replication}: use \
         NetworkTopologyStrategy with a plain factor for each data centre"
    )]
    ReplicationUnknown {
        /// The keyspace.
        keyspace: String,
        /// What its description says.
        replication: String,
    },
    /// Writes bypass the commit log.
    #[error(
        "keyspace {keyspace} has durable_writes = false, so a crash loses facts: ALTER KEYSPACE \
         {keyspace} WITH durable_writes = true"
    )]
    NoCommitLog {
        /// The keyspace.
        keyspace: String,
    },
    /// A node answers before what it was given is on its disk.
    #[error(
        "node {node} has commitlog_sync = {found}, so it answers before a write is on its disk, and a \
         crash loses facts that were answered: {cure}, and start it again"
    )]
    CommitLog {
        /// Its address.
        node: String,
        /// The value of the setting.
        found: String,
        /// What to do.
        cure: &'static str,
    },
    /// Facts would vanish.
    #[error(
        "table {keyspace}.facts has a default_time_to_live of {seconds} s, and facts never expire: \
         ALTER TABLE {keyspace}.facts WITH default_time_to_live = 0, and find out what has vanished"
    )]
    TimeToLive {
        /// The keyspace.
        keyspace: String,
        /// Seconds until a row vanishes.
        seconds: i32,
    },
    /// The table is not as the migrations make it.
    #[error(
        "table {keyspace}.facts is not as the migrations make it: {why}; use another keyspace, or \
         move this table away"
    )]
    Shape {
        /// The keyspace.
        keyspace: String,
        /// The first difference.
        why: String,
    },
    /// A request failed.
    #[error("the store refused or did not answer `{what}`")]
    Request {
        /// The first line of the statement.
        what: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreOpenError {
    /// Whether the store was read and is not as a service needs it; else it could not be asked.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NoNodes
            | Self::KeyspaceName { .. }
            | Self::Connect { .. }
            | Self::Request { .. } => false,
            Self::KeyspaceMissing { .. }
            | Self::NotMigrated { .. }
            | Self::Newer { .. }
            | Self::Altered { .. }
            | Self::Replication { .. }
            | Self::ReplicationUnknown { .. }
            | Self::NoCommitLog { .. }
            | Self::CommitLog { .. }
            | Self::TimeToLive { .. }
            | Self::Shape { .. } => true,
        }
    }
}
