//! What passes between the machines and the engine, counted for `/metrics`.
//!
//! A machine does no IO, and the engine knows no machine; so it is counted between the two: an engine that
//! looks at what it hands on, and a caller of partners that does. Names follow OpenTelemetry's for
//! messaging (semantic conventions 1.44, in development), in the spelling of Prometheus.

mod calls;
mod flow;
mod settled;

pub(super) use calls::MeasuredCalls;
pub(super) use flow::Flow;

use flow::{Position, Tally};
use runtime::{
    Append, ApplyError, Batch, Engine, EngineError, Fact, FactStore, Lease, Reader, Record,
    RecordLog, Scope, Source, Topic,
};
use tokio::time::Instant;

/// An engine whose use by one kind of machine is counted. Cheap to clone.
#[derive(Clone)]
pub(super) struct Measured<E> {
    inner: E,
    machine: &'static str,
    flow: Flow,
}

impl<E> Measured<E> {
    pub(super) fn new(inner: E, machine: &'static str, flow: Flow) -> Self {
        Self { inner, machine, flow }
    }

    /// Counts a request to the engine, once it has ended.
    fn ended(&self, tally: &Tally, begun: Instant, result: &Result<(), EngineError>) {
        match result {
            Ok(()) => self.flow.applied(self.machine, tally, begun.elapsed()),
            Err(error) => self.flow.failed(self.machine, error),
        }
    }
}

/// A reader whose position is shown while it lives.
pub(super) struct MeasuredReader<R> {
    inner: R,
    position: Position,
    /// When the last records were handed on.
    handed: Option<Instant>,
}

impl<R: Reader> Reader for MeasuredReader<R> {
    async fn next(&mut self, records_max: usize) -> Result<(Vec<Record>, u64), EngineError> {
        if let Some(handed) = self.handed.take() {
            self.position.processed(handed.elapsed());
        }
        let read = self.inner.next(records_max).await;
        match &read {
            Ok((records, end)) => {
                self.position.read(records, *end);
                self.handed = (!records.is_empty()).then(Instant::now);
            }
            Err(error) => self.position.failed(error),
        }
        read
    }
}

impl<E: RecordLog> RecordLog for Measured<E> {
    type Reader = MeasuredReader<E::Reader>;
    type Assignments = E::Assignments;

    async fn append(&self, records: Vec<Append>) -> Result<(), EngineError> {
        let tally = Tally::of(self.machine, records.iter());
        let begun = Instant::now();
        let result = self.inner.append(records).await;
        self.ended(&tally, begun, &result);
        result
    }

    fn reader(&self, source: Source, from: u64) -> Self::Reader {
        let position = self.flow.position(self.machine, source);
        MeasuredReader { inner: self.inner.reader(source, from), position, handed: None }
    }

    fn partitions(&self, topic: Topic) -> u32 {
        self.inner.partitions(topic)
    }

    async fn range(&self, source: Source) -> Result<(u64, u64), EngineError> {
        self.inner.range(source).await
    }

    async fn stored(
        &self,
        group: &'static str,
        source: Source,
    ) -> Result<Option<u64>, EngineError> {
        self.inner.stored(group, source).await
    }

    fn join(&self, group: &'static str, topic: Topic) -> Self::Assignments {
        self.inner.join(group, topic)
    }
}

impl<E: FactStore> FactStore for Measured<E> {
    async fn scan(&self, scope: Scope) -> Result<Vec<Fact>, EngineError> {
        self.inner.scan(scope).await
    }

    async fn about(
        &self,
        scope: Scope,
        lane: String,
        subject: String,
    ) -> Result<Vec<Fact>, EngineError> {
        self.inner.about(scope, lane, subject).await
    }
}

impl<E: Engine> Engine for Measured<E> {
    async fn apply(&self, lease: Option<&Lease>, batch: Batch) -> Result<(), ApplyError> {
        let tally = Tally::of(self.machine, batch.records.iter().flatten());
        let begun = Instant::now();
        let result = self.inner.apply(lease, batch).await;
        self.ended(&tally, begun, &result);
        result
    }
}
