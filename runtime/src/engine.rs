//! The two traits an engine implements, and the one operation that owns R3.

use crate::{Append, Batch, Fact, Record, Scope, Source, Topic};
use std::future::Future;
use thiserror::Error;

/// Why an engine could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineError {
    /// There is no room, or so little that new work is refused. Nothing of the request was written.
    #[error("storage is full: {0}")]
    Full(String),
    /// The engine cannot take it now; it may or may not have been written.
    #[error("storage is unavailable: {0}")]
    Unavailable(String),
    /// The caller no longer owns the partition whose offset it wanted to store. Facts and records of
    /// the batch may have been written; that is harmless.
    #[error("no longer the owner of {0}")]
    Fenced(Source),
    /// The offset asked for is not in the log any more, or not yet.
    #[error("{source_} has no offset {offset}")]
    OutOfRange {
        /// The partition.
        source_: Source,
        /// The offset.
        offset: u64,
    },
    /// The engine is shutting down.
    #[error("the engine is closed")]
    Closed,
}

/// The error of [`Engine::apply`].
pub type ApplyError = EngineError;

/// The right to store offsets of one partition for one group, until somebody else gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The group.
    pub group: &'static str,
    /// The partition owned. The owner also owns the partition of the same number of every other topic
    /// the group reads.
    pub source: Source,
    /// Rises with every change of owner; a lower one can store nothing.
    pub generation: u64,
}

/// A change of what a member owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The member owns this partition from now on.
    Assigned(Lease),
    /// The member must drop all it keeps for this partition (R4).
    Revoked(Lease),
    /// The member has taken part in a sharing out of its group: what it got was told before, which is
    /// nothing where there are more members than partitions. Told at least once, then at any time.
    Shared,
}

/// A member's view of its group.
pub trait Assignments: Send + 'static {
    /// The next change; pending while nothing changes. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Result<Change, EngineError>> + Send;
}

/// A position in one partition.
pub trait Reader: Send + 'static {
    /// The next records, at least one and at most `records_max`, in order, with the partition's end.
    ///
    /// Waits while there are none, and sees a record as soon as it is durable, never before (R21).
    /// Cancel-safe: records are taken only when they are returned.
    fn next(
        &mut self,
        records_max: usize,
    ) -> impl Future<Output = Result<(Vec<Record>, u64), EngineError>> + Send;
}

/// Topics, partitions, offsets, groups.
pub trait RecordLog: Clone + Send + Sync + 'static {
    /// The reader of this log.
    type Reader: Reader;
    /// The group view of this log.
    type Assignments: Assignments;

    /// Appends records; durable when it resolves, records of one partition in the order given.
    ///
    /// # Errors
    /// [`EngineError::Full`] if nothing was written; after any other error some may have been.
    fn append(&self, records: Vec<Append>) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Opens a reader at `from`, without a group.
    fn reader(&self, source: Source, from: u64) -> Self::Reader;

    /// The number of partitions of `topic`. Never changes (R9).
    fn partitions(&self, topic: Topic) -> u32;

    /// The lowest offset still kept, and the offset the next record will get.
    fn range(&self, source: Source)
    -> impl Future<Output = Result<(u64, u64), EngineError>> + Send;

    /// The offset stored for a group, if it ever stored one.
    fn stored(
        &self,
        group: &'static str,
        source: Source,
    ) -> impl Future<Output = Result<Option<u64>, EngineError>> + Send;

    /// Joins a group as a reader of `topic`. Partitions are shared evenly between the members; leaving
    /// is dropping what this returns.
    fn join(&self, group: &'static str, topic: Topic) -> Self::Assignments;
}

/// Keyed facts, read by scope.
pub trait FactStore: Clone + Send + Sync + 'static {
    /// All facts of a scope, ordered by key.
    fn scan(&self, scope: Scope) -> impl Future<Output = Result<Vec<Fact>, EngineError>> + Send;

    /// The facts of a scope about one subject of one lane, ordered by key.
    fn about(
        &self,
        scope: Scope,
        lane: String,
        subject: String,
    ) -> impl Future<Output = Result<Vec<Fact>, EngineError>> + Send;
}

/// A record log and a fact store that can make a batch durable in the order of R3.
pub trait Engine: RecordLog + FactStore {
    /// Makes `batch` durable: the order is [`Batch::steps`], step by step or in one atomic commit.
    ///
    /// A batch without offsets needs no lease. Offsets may be stored a little later than this resolves,
    /// the newest of each partition: a stored offset that trails behind costs reading again, no more.
    ///
    /// # Errors
    /// [`EngineError::Fenced`] if `lease` is not the newest; any other error leaves it open how much of
    /// the batch was written, and applying the same batch again is right.
    fn apply(
        &self,
        lease: Option<&Lease>,
        batch: Batch,
    ) -> impl Future<Output = Result<(), ApplyError>> + Send;
}
