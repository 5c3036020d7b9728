//! The batches of one machine on their way to the engine.

use crate::{Batch, Engine, EngineError, Lease};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

/// Records put into one append. More means fewer requests and a larger loss if it fails.
const COALESCED_RECORDS_MAX: usize = 1_000;
/// Requests at the engine at once for a machine without a lease: one being synced, one waiting for
/// the writer, and slack for the way back.
const UNLEASED_IN_FLIGHT_MAX: usize = 4;

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// How a request to the engine ended, and the tokens of the batches it held.
pub(super) struct Outcome {
    pub(super) tokens: Vec<u64>,
    pub(super) result: Result<(), EngineError>,
}

/// Batches become durable in the order they were issued.
///
/// With a lease one batch is at the engine at a time: a batch behind a failed one must not become
/// durable, or its offset would pass effects that are not (R3). Without a lease no offset is stored.
/// Then consecutive batches of records alone become one request, and a few requests are at the engine
/// at once, started in order: records of one partition keep their order, and one that fails leaves
/// those behind it alone.
pub(super) struct Applies<E> {
    engine: E,
    lease: Option<Lease>,
    queued: VecDeque<(u64, Batch)>,
    running: FuturesUnordered<Running>,
}

impl<E: Engine> Applies<E> {
    pub(super) fn new(engine: E, lease: Option<Lease>) -> Self {
        Self { engine, lease, queued: VecDeque::new(), running: FuturesUnordered::new() }
    }

    pub(super) fn push(&mut self, token: u64, batch: Batch) {
        self.queued.push_back((token, batch));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.running.is_empty()
    }

    /// The end of the next request; `None` if there is none. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Outcome> {
        self.start();
        self.running.next().await
    }

    fn start(&mut self) {
        let in_flight_max = if self.lease.is_some() { 1 } else { UNLEASED_IN_FLIGHT_MAX };
        while self.running.len() < in_flight_max {
            let Some((token, batch)) = self.queued.pop_front() else { return };
            let running = if self.lease.is_none() && batch.is_of_records_alone() {
                self.join(token, batch)
            } else {
                self.apply(vec![token], batch)
            };
            self.running.push(running);
        }
    }

    fn apply(&self, tokens: Vec<u64>, batch: Batch) -> Running {
        let (engine, lease) = (self.engine.clone(), self.lease.clone());
        Box::pin(async move {
            let result = engine.apply(lease.as_ref(), batch).await;
            Outcome { tokens, result }
        })
    }

    /// One request of this batch and those right behind it; an append, which may be refused for want of
    /// room, if they begin new work.
    fn join(&mut self, token: u64, batch: Batch) -> Running {
        let begins_work = batch.begins_work;
        let mut tokens = vec![token];
        let mut records: Vec<_> = batch.records.into_iter().flatten().collect();
        while let Some((_, next)) = self.queued.front() {
            let more: usize = next.records.iter().map(Vec::len).sum();
            let alike = next.is_of_records_alone() && next.begins_work == begins_work;
            if !alike || COALESCED_RECORDS_MAX < records.len() + more {
                break;
            }
            let Some((token, next)) = self.queued.pop_front() else { break };
            tokens.push(token);
            records.extend(next.records.into_iter().flatten());
        }
        if !begins_work {
            return self.apply(tokens, Batch::of_records(records));
        }
        let engine = self.engine.clone();
        Box::pin(async move { Outcome { tokens, result: engine.append(records).await } })
    }
}
