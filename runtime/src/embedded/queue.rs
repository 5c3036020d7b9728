//! What waits for the writer.

use super::groups::Claim;
use crate::{Append, Batch, EngineError, Fact, Lease, Step};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Bytes that may wait for the writer, and so the most that one transaction holds; callers wait for
/// room, in order. A batch above it goes alone.
const QUEUE_BYTES_MAX: u32 = 64 << 20;
/// What a request, a record or a fact costs beside its bytes.
const OVERHEAD_BYTES: usize = 64;

/// A request that becomes durable as a whole or not at all.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) steps: Vec<Step>,
    pub(super) lease: Option<Lease>,
    /// True if it may be refused to keep room for others.
    pub(super) refusable: bool,
    pub(super) done: oneshot::Sender<Result<(), EngineError>>,
    /// The room it takes in the queue, until it is answered.
    _room: OwnedSemaphorePermit,
}

impl Request {
    /// Answers the caller, if it still waits.
    pub(super) fn resolve(self, result: Result<(), EngineError>) {
        if self.done.send(result).is_err() {
            tracing::trace!("the caller of a batch is gone");
        }
    }
}

/// Work for the writer.
#[derive(Debug)]
pub(super) enum Work {
    Request(Request),
    Claim(Claim),
}

/// What [`Queue::take`] found.
pub(super) enum Taken {
    Works(Vec<Work>),
    /// Nothing came in time.
    Idle,
    /// Closed, and empty.
    Closed,
}

/// Requests in the order they came.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    room: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    works: VecDeque<Work>,
    closed: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        let room = usize::try_from(QUEUE_BYTES_MAX).unwrap_or(Semaphore::MAX_PERMITS);
        Self { state: Mutex::default(), wake: Condvar::new(), room: Arc::new(Semaphore::new(room)) }
    }

    /// Queues a batch and waits until it is durable or refused. Batches are queued in the order in
    /// which these futures are first polled.
    pub(super) async fn submit(
        &self,
        batch: Batch,
        lease: Option<Lease>,
        refusable: bool,
    ) -> Result<(), EngineError> {
        let steps = batch.steps();
        let room = Arc::clone(&self.room).acquire_many_owned(cost(&steps)).await;
        let room = room.map_err(|_| EngineError::Closed)?;
        let (done, durable) = oneshot::channel();
        self.push(Work::Request(Request { steps, lease, refusable, done, _room: room }));
        durable.await.unwrap_or(Err(EngineError::Closed))
    }

    /// Queues work without waiting for room; after the close it is dropped.
    pub(super) fn push(&self, work: Work) {
        let mut state = self.lock();
        if !state.closed {
            state.works.push_back(work);
            self.wake.notify_one();
        }
    }

    /// Everything queued, at once; waits for the first until `deadline`.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Taken {
        let mut state = self.lock();
        loop {
            if !state.works.is_empty() {
                return Taken::Works(state.works.drain(..).collect());
            }
            if state.closed {
                return Taken::Closed;
            }
            state = match deadline {
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let wait = deadline.saturating_duration_since(Instant::now());
                    if wait.is_zero() {
                        return Taken::Idle;
                    }
                    let waited = self.wake.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes no more work; what is queued is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(steps: &[Step]) -> u32 {
    let bytes: usize = steps
        .iter()
        .map(|step| match step {
            Step::Facts(facts) => facts.iter().map(cost_of_fact).sum(),
            Step::Records(records) => records.iter().map(cost_of_record).sum(),
            Step::Offsets(offsets) => offsets.len() * OVERHEAD_BYTES,
        })
        .sum();
    u32::try_from(OVERHEAD_BYTES + bytes).unwrap_or(QUEUE_BYTES_MAX).min(QUEUE_BYTES_MAX)
}

fn cost_of_fact(fact: &Fact) -> usize {
    let key = &fact.key;
    let texts = key.scope.group.len() + key.lane.len() + key.subject.len();
    OVERHEAD_BYTES + texts + fact.body.len()
}

fn cost_of_record(record: &Append) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    OVERHEAD_BYTES + record.key.len() + headers + record.value.len()
}
