//! The embedded engine: record log and fact store in one redb file, for one process.
//!
//! *Writes.* One thread takes everything queued and writes it in one transaction with one sync; a
//! request is durable as a whole or not at all, and a caller is answered behind the sync. `apply` puts
//! facts, records and offsets into the same transaction.
//! *Reads.* A record is shown to readers when it is synced, never before (R21): from memory at the end
//! of a partition, from the file behind it. Nothing here blocks a worker of tokio: the file is touched
//! by the writer's thread and by blocking tasks alone.
//! *A crash* leaves the last transaction that was synced, or the one being synced, as a whole.
//! *After an I/O error* the callers of that transaction are told [`EngineError::Unavailable`], the file
//! is closed and opened again with growing waits, and what was acknowledged is checked to be there.
//! *When space runs short*, [`RecordLog::append`] is refused with [`EngineError::Full`] and
//! [`Engine::apply`] is not: what comes in from outside is appended, what is owed for it is applied.

mod fact_key;
#[cfg(test)]
mod fault;
mod groups;
mod open;
mod options;
mod plan;
mod queue;
mod reader;
mod retention;
mod segment;
mod space;
mod state;
mod store;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub use groups::EmbeddedAssignments;
pub use open::OpenError;
pub use options::Options;
pub use reader::EmbeddedReader;

use crate::{
    Append, Batch, Catalogue, Engine, EngineError, Fact, FactStore, Lease, Millis, RecordLog,
    Scope, Source, Topic,
};
use groups::Groups;
use queue::Queue;
use space::Space;
use state::Logs;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::{FACTS, Failure, Store};
use tail::Tail;
use tokio_util::sync::CancellationToken;

/// The embedded engine. Cheap to clone; when the last clone goes, what is queued is written and the
/// file is closed.
#[derive(Clone)]
pub struct Embedded {
    open: Arc<Open>,
}

/// Closes the queue when the last [`Embedded`] goes.
struct Open {
    shared: Arc<Shared>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

/// What the writer, the readers and the callers share.
struct Shared {
    catalogue: Catalogue,
    partitions: BTreeMap<Source, Partition>,
    store: Store,
    queue: Queue,
    groups: Mutex<Groups>,
    /// Stored offsets that are durable.
    stored: Mutex<BTreeMap<(String, Source), u64>>,
    space: Space,
    retention_ms: i64,
    now: Box<dyn Fn() -> Millis + Send + Sync>,
    /// Held while the file is open; `None` behind it.
    lock: Mutex<Option<open::DirectoryLock>>,
    /// Cancelled when the writer has closed the file.
    ended: CancellationToken,
}

struct Partition {
    /// Its number in the file.
    log: u32,
    tail: Tail,
}

impl Shared {
    fn log(&self, source: Source) -> Result<u32, Failure> {
        let missing = || Failure {
            full: false,
            in_doubt: false,
            text: format!("{source} is not catalogued"),
        };
        self.partitions.get(&source).map(|partition| partition.log).ok_or_else(missing)
    }

    fn logs(&self) -> Logs {
        self.partitions.iter().map(|(source, partition)| (*source, partition.log)).collect()
    }

    fn not_closed(&self) -> Result<(), EngineError> {
        if self.ended.is_cancelled() { Err(EngineError::Closed) } else { Ok(()) }
    }

    fn unlock(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Embedded {
    /// Writes what is queued, closes the file and gives the directory free. Every use afterwards, of any
    /// clone, is refused with [`EngineError::Closed`].
    pub async fn close(&self) {
        self.open.shared.queue.close();
        self.open.shared.ended.cancelled().await;
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.open.shared)
    }

    /// The facts whose keys begin with `prefix`.
    async fn facts(&self, scope: Scope, prefix: Vec<u8>) -> Result<Vec<Fact>, EngineError> {
        self.open.shared.not_closed()?;
        let shared = self.shared();
        let read = tokio::task::spawn_blocking(move || facts_in_file(&shared, &scope, &prefix));
        let facts = read.await.map_err(|error| EngineError::Unavailable(error.to_string()))?;
        facts.map_err(|failure| match self.open.shared.not_closed() {
            Ok(()) => EngineError::Unavailable(failure.text),
            Err(closed) => closed,
        })
    }
}

/// Blocks.
fn facts_in_file(shared: &Shared, scope: &Scope, prefix: &[u8]) -> Result<Vec<Fact>, Failure> {
    let table = shared.store.read()?.open_table(FACTS)?;
    let range = match fact_key::successor(prefix) {
        Some(end) => table.range(prefix..end.as_slice())?,
        None => table.range(prefix..)?,
    };
    let mut facts = Vec::new();
    for entry in range {
        let (key, body) = entry?;
        let key = fact_key::decode(scope, key.value(), &shared.catalogue)
            .map_err(|text| Failure { full: false, in_doubt: false, text })?;
        facts.push(Fact { key, body: bytes::Bytes::copy_from_slice(body.value()) });
    }
    Ok(facts)
}

impl RecordLog for Embedded {
    type Reader = EmbeddedReader;
    type Assignments = EmbeddedAssignments;

    /// All of `records` or none. Refused with [`EngineError::Full`] when space runs short.
    async fn append(&self, records: Vec<Append>) -> Result<(), EngineError> {
        self.open.shared.queue.submit(Batch::of_records(records), None, true).await
    }

    fn reader(&self, source: Source, from: u64) -> EmbeddedReader {
        EmbeddedReader::new(self.shared(), source, from)
    }

    fn partitions(&self, topic: Topic) -> u32 {
        self.open.shared.catalogue.partitions(topic)
    }

    async fn range(&self, source: Source) -> Result<(u64, u64), EngineError> {
        self.open.shared.not_closed()?;
        Ok(plan::partition_of(&self.open.shared, source)?.tail.range())
    }

    async fn stored(
        &self,
        group: &'static str,
        source: Source,
    ) -> Result<Option<u64>, EngineError> {
        self.open.shared.not_closed()?;
        let stored = self.open.shared.stored.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(stored.get(&(group.to_owned(), source)).copied())
    }

    fn join(&self, group: &'static str, topic: Topic) -> EmbeddedAssignments {
        EmbeddedAssignments::join(self.shared(), group, topic)
    }
}

impl FactStore for Embedded {
    async fn scan(&self, scope: Scope) -> Result<Vec<Fact>, EngineError> {
        let prefix = fact_key::of_scope(&scope);
        self.facts(scope, prefix).await
    }

    async fn about(
        &self,
        scope: Scope,
        lane: String,
        subject: String,
    ) -> Result<Vec<Fact>, EngineError> {
        let prefix = fact_key::of_subject(&scope, &lane, &subject);
        self.facts(scope, prefix).await
    }
}

impl Engine for Embedded {
    /// One atomic commit, never refused for want of reserve. Nothing is written if it is fenced.
    async fn apply(&self, lease: Option<&Lease>, batch: Batch) -> Result<(), EngineError> {
        self.open.shared.queue.submit(batch, lease.cloned(), false).await
    }
}
