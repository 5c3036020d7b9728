//! An engine that counts who reads what, can keep a group from being shared out, and a topic from being read.

use roundhouse::serve::Opened;
use runtime::{
    Append, ApplyError, Assignments, Batch, Change, Clock, Engine, EngineError, Fact, FactStore,
    Lease, Millis, Reader, Record, RecordLog, Scope, Source, SystemClock, Topic,
};
use schemas::outgoing::Partitions;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Another engine, watched. Clones are watched together.
#[derive(Clone)]
pub(crate) struct Watched<E> {
    pub(crate) inner: E,
    readers: Arc<Mutex<BTreeMap<Source, usize>>>,
    /// The group whose members hear nothing yet.
    held: Arc<watch::Sender<Option<&'static str>>>,
    /// The topic that stands still.
    stalled: Arc<watch::Sender<Option<Topic>>>,
    /// How far the store's clock is behind this machine's, in ms.
    behind_ms: Arc<AtomicI64>,
}

impl<E> Watched<E> {
    pub(crate) fn new(inner: E) -> Self {
        Self {
            inner,
            readers: Arc::default(),
            held: Arc::default(),
            stalled: Arc::default(),
            behind_ms: Arc::default(),
        }
    }

    /// No record of `topic` comes, and its ends are not told, until another is named.
    pub(crate) fn stall(&self, topic: Option<Topic>) {
        self.stalled.send_replace(topic);
    }

    /// The store's clock is so far behind this machine's from now on.
    pub(crate) fn set_behind(&self, ms: i64) {
        self.behind_ms.store(ms, Ordering::SeqCst);
    }

    /// Members of `group` hear nothing until another is named.
    pub(crate) fn hold(&self, group: Option<&'static str>) {
        self.held.send_replace(group);
    }

    /// Readers of a partition at this moment.
    pub(crate) fn readers(&self, source: Source) -> usize {
        self.readers.lock().unwrap().get(&source).copied().unwrap_or_default()
    }
}

/// A reader that is counted while it lives.
pub(crate) struct Counted<R> {
    inner: R,
    source: Source,
    readers: Arc<Mutex<BTreeMap<Source, usize>>>,
    stalled: watch::Receiver<Option<Topic>>,
}

impl<R> Drop for Counted<R> {
    fn drop(&mut self) {
        *self.readers.lock().unwrap().entry(self.source).or_default() -= 1;
    }
}

impl<R: Reader> Reader for Counted<R> {
    async fn next(&mut self, records_max: usize) -> Result<(Vec<Record>, u64), EngineError> {
        let topic = self.source.topic;
        loop {
            if self.stalled.wait_for(|stalled| *stalled != Some(topic)).await.is_err() {
                return Err(EngineError::Closed);
            }
            // What was asked for before the topic stood still would come all the same.
            let mut stalled = self.stalled.clone();
            tokio::select! {
                biased;
                () = async { drop(stalled.wait_for(|stalled| *stalled == Some(topic)).await) } => {}
                read = self.inner.next(records_max) => return read,
            }
        }
    }
}

/// A membership that may be held.
pub(crate) struct Held<A> {
    inner: A,
    group: &'static str,
    held: watch::Receiver<Option<&'static str>>,
}

impl<A: Assignments> Assignments for Held<A> {
    async fn next(&mut self) -> Result<Change, EngineError> {
        let group = self.group;
        if self.held.wait_for(|held| *held != Some(group)).await.is_err() {
            return Err(EngineError::Closed);
        }
        self.inner.next().await
    }
}

impl<E: RecordLog> RecordLog for Watched<E> {
    type Reader = Counted<E::Reader>;
    type Assignments = Held<E::Assignments>;

    async fn append(&self, records: Vec<Append>) -> Result<(), EngineError> {
        self.inner.append(records).await
    }

    fn reader(&self, source: Source, from: u64) -> Self::Reader {
        *self.readers.lock().unwrap().entry(source).or_default() += 1;
        let (inner, readers) = (self.inner.reader(source, from), Arc::clone(&self.readers));
        Counted { inner, source, readers, stalled: self.stalled.subscribe() }
    }

    fn partitions(&self, topic: Topic) -> u32 {
        self.inner.partitions(topic)
    }

    async fn range(&self, source: Source) -> Result<(u64, u64), EngineError> {
        if *self.stalled.borrow() == Some(source.topic) {
            return Err(EngineError::Unavailable("the topic stands still".to_owned()));
        }
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
        Held { inner: self.inner.join(group, topic), group, held: self.held.subscribe() }
    }
}

impl<E: FactStore> FactStore for Watched<E> {
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

impl<E: Engine> Engine for Watched<E> {
    async fn apply(&self, lease: Option<&Lease>, batch: Batch) -> Result<(), ApplyError> {
        self.inner.apply(lease, batch).await
    }
}

impl<E: Opened> Opened for Watched<E> {
    const PARTITIONS: Partitions = E::PARTITIONS;
    const SHARED: bool = E::SHARED;

    async fn close(&self) {
        self.inner.close().await;
    }

    async fn failed(&self) -> String {
        self.inner.failed().await
    }

    async fn time(&self) -> Result<Option<Millis>, EngineError> {
        let time = self.inner.time().await?.unwrap_or_else(|| SystemClock.now());
        Ok(Some(time - self.behind_ms.load(Ordering::SeqCst)))
    }
}
