//! An engine that can be told to fail or to wait, and counts what it is asked.

use crate::Catalogue;
use crate::embedded::{Embedded, Options};
use crate::{
    Append, Batch, Engine, EngineError, Fact, FactStore, Lease, RecordLog, Scope, Source,
    SystemClock, Topic,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::sync::Semaphore;

pub(super) const IN: Topic = Topic("in");
pub(super) const OUT: Topic = Topic("out");
pub(super) const KIND: &str = "seen";

#[derive(Clone)]
pub(super) struct Probe {
    pub(super) inner: Embedded,
    pub(super) state: Arc<State>,
    _directory: Arc<TempDir>,
}

pub(super) struct State {
    /// Errors for the next batches, in order; `None` lets one through.
    pub(super) errors: Mutex<Vec<Option<EngineError>>>,
    /// A batch waits for a permit when there are none.
    pub(super) gate: Semaphore,
    pub(super) appends: AtomicUsize,
    pub(super) applies: AtomicUsize,
    in_flight: AtomicUsize,
    pub(super) in_flight_max: AtomicUsize,
}

impl Probe {
    pub(super) fn new(partitions: u32) -> Self {
        let directory = TempDir::new().unwrap();
        let options = Options { reserve_bytes: 0, ..Options::new(directory.path()) };
        let catalogue = Catalogue::new([(IN, partitions), (OUT, partitions)], [KIND]);
        let inner = Embedded::open(&options, catalogue, SystemClock).unwrap();
        let state = State {
            errors: Mutex::default(),
            gate: Semaphore::new(1 << 20),
            appends: AtomicUsize::new(0),
            applies: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            in_flight_max: AtomicUsize::new(0),
        };
        Self { inner, state: Arc::new(state), _directory: Arc::new(directory) }
    }

    pub(super) fn fail_next(&self, errors: impl IntoIterator<Item = Option<EngineError>>) {
        self.state.errors.lock().unwrap().extend(errors);
    }

    async fn pass(&self) -> Result<(), EngineError> {
        let in_flight = self.state.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.state.in_flight_max.fetch_max(in_flight, Ordering::SeqCst);
        let error = {
            let mut errors = self.state.errors.lock().unwrap();
            if errors.is_empty() { None } else { errors.remove(0) }
        };
        self.state.gate.acquire().await.unwrap().forget();
        self.state.in_flight.fetch_sub(1, Ordering::SeqCst);
        error.map_or(Ok(()), Err)
    }
}

impl RecordLog for Probe {
    type Reader = <Embedded as RecordLog>::Reader;
    type Assignments = <Embedded as RecordLog>::Assignments;

    async fn append(&self, records: Vec<Append>) -> Result<(), EngineError> {
        self.state.appends.fetch_add(1, Ordering::SeqCst);
        self.pass().await?;
        self.inner.append(records).await
    }

    fn reader(&self, source: Source, from: u64) -> Self::Reader {
        self.inner.reader(source, from)
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

impl FactStore for Probe {
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

impl Engine for Probe {
    async fn apply(&self, lease: Option<&Lease>, batch: Batch) -> Result<(), EngineError> {
        self.state.applies.fetch_add(1, Ordering::SeqCst);
        self.pass().await?;
        self.inner.apply(lease, batch).await
    }
}
