//! The driver of production: performs on tokio what machines want done.
//!
//! Reads are asked for only while the machine is ready for them, everything else runs at once:
//! facts are loaded, batches applied, calls made and timers awaited side by side, and each end of one
//! is an input. A machine sees one input at a time. What [`Effect::Apply`] promises about order is
//! kept in `applies`; what a failure means is decided here: a machine that does not survive failures
//! is given up with an error, and [`supervise()`] builds a new one from the stored offset (R4).

mod applies;
mod ask;
mod membership;
mod peeks;
mod supervise;
#[cfg(test)]
mod tests;
mod timers;

pub use ask::{Ask, Caller, Gone, Handle, NoCalls, REQUESTS_MAX};
pub use membership::Membership;
pub use supervise::{Handles, Job, keep, supervise};

use crate::{
    Clock, Effect, Engine, EngineError, Fact, Input, Lease, Machine, Reader, Record, Scope, Source,
    telemetry,
};
use applies::{Applies, Outcome};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use peeks::{Peeked, Peeks};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use timers::Timers;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Requests taken from the channel in one go.
const REQUESTS_TAKEN_MAX: usize = 256;
/// Longest wait for batches in flight at shutdown. What is cut off is as if the process had died.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(10);
/// First and longest wait before a read is tried again for a machine that survives failures.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(50);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(2);

/// How a driven machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Shut down; every batch issued was answered.
    Drained,
    /// Shut down while batches were still in flight: the wait for them is bounded.
    Cut,
}

/// Why a machine had to be given up. A new one from the stored offset goes on.
#[derive(Debug, Error)]
pub enum DriveError {
    /// A batch failed, and the machine does not survive that.
    #[error("a batch was not applied")]
    Apply(#[source] EngineError),
    /// Facts could not be read.
    #[error("facts of {} were not read", scope.group)]
    Load {
        /// What was asked for.
        scope: Scope,
        /// Why not.
        #[source]
        error: EngineError,
    },
    /// Records could not be read.
    #[error("{source_} was not read")]
    Read {
        /// The partition.
        source_: Source,
        /// Why not.
        #[source]
        error: EngineError,
    },
    /// A call panicked, so its answer will never come.
    #[error("a call panicked")]
    Call(#[source] tokio::task::JoinError),
}

/// Drives `machine` until `shutdown`, or until an error that a new machine should handle.
///
/// On shutdown it stops reading, taking requests, calling and timing; batches issued are finished, and
/// what the machine makes of them (replies, further batches) too.
///
/// # Errors
/// See [`DriveError`]. The machine and all it kept are dropped.
pub async fn drive<M: Machine, E: Engine, C: Caller<M>, K: Clock>(
    machine: M,
    engine: E,
    lease: Option<Lease>,
    caller: Arc<C>,
    mut requests: mpsc::Receiver<Ask<M>>,
    clock: K,
    shutdown: CancellationToken,
) -> Result<Exit, DriveError> {
    Driven::new(machine, engine, lease, caller, clock).run(&mut requests, &shutdown).await
}

type Reading<R> = Pin<Box<dyn Future<Output = (Source, R, ReadResult)> + Send>>;
type ReadResult = Result<(Vec<Record>, u64), EngineError>;
type Loading = Pin<Box<dyn Future<Output = (u64, Result<Vec<Fact>, DriveError>)> + Send>>;

/// A machine and everything it waits for.
struct Driven<M: Machine, E: Engine, C, K> {
    machine: M,
    survives: bool,
    engine: E,
    caller: Arc<C>,
    clock: K,
    /// Readers of sources for which the machine was not ready.
    resting: Vec<(Source, E::Reader)>,
    reads: FuturesUnordered<Reading<E::Reader>>,
    loads: FuturesUnordered<Loading>,
    peeks: Peeks<E>,
    applies: Applies<E>,
    calls: JoinSet<(u64, M::Answer)>,
    timers: Timers<K>,
    waiting: BTreeMap<u64, oneshot::Sender<M::Reply>>,
    requests_count: u64,
    stopping: bool,
}

impl<M: Machine, E: Engine, C: Caller<M>, K: Clock> Driven<M, E, C, K> {
    fn new(machine: M, engine: E, lease: Option<Lease>, caller: Arc<C>, clock: K) -> Self {
        let readers = machine.sources().into_iter();
        let resting = readers.map(|(source, from)| (source, engine.reader(source, from))).collect();
        Self {
            survives: machine.survives_failure(),
            machine,
            caller,
            resting,
            reads: FuturesUnordered::new(),
            loads: FuturesUnordered::new(),
            peeks: Peeks::new(engine.clone()),
            applies: Applies::new(engine.clone(), lease),
            calls: JoinSet::new(),
            timers: Timers::new(clock.clone()),
            waiting: BTreeMap::new(),
            requests_count: 0,
            stopping: false,
            engine,
            clock,
        }
    }

    async fn run(
        mut self,
        requests: &mut mpsc::Receiver<Ask<M>>,
        shutdown: &CancellationToken,
    ) -> Result<Exit, DriveError> {
        let effects = self.machine.start(self.clock.now());
        self.perform(effects);
        let mut asked = Vec::new();
        let mut open = true;
        loop {
            self.read_where_ready();
            // Every branch is cancel-safe. Not biased: no kind of input may starve another.
            tokio::select! {
                () = shutdown.cancelled() => return self.drain().await,
                Some(outcome) = self.applies.next() => self.applied(outcome)?,
                Some((token, facts)) = self.loads.next() => {
                    let facts = facts?;
                    self.handle(Input::Loaded { token, facts });
                }
                Some(Peeked { token, source, read }) = self.peeks.next() => {
                    let (records, end) =
                        read.map_err(|error| DriveError::Read { source_: source, error })?;
                    self.handle(Input::Peeked { token, records, end });
                }
                Some(answered) = self.calls.join_next() => {
                    let (token, answer) = answered.map_err(DriveError::Call)?;
                    self.handle(Input::Answered { token, answer });
                }
                due = self.timers.due() => {
                    for token in due {
                        self.handle(Input::Timer { token });
                    }
                }
                taken = requests.recv_many(&mut asked, REQUESTS_TAKEN_MAX), if open => {
                    open = 0 < taken;
                    for ask in asked.drain(..) {
                        self.ask(ask);
                    }
                }
                Some((source, reader, read)) = self.reads.next() => {
                    let (records, end) =
                        read.map_err(|error| DriveError::Read { source_: source, error })?;
                    self.resting.push((source, reader));
                    self.handle(Input::Records { source, records, end });
                }
            }
        }
    }

    /// Finishes the batches issued, with nothing else going on.
    async fn drain(mut self) -> Result<Exit, DriveError> {
        self.stopping = true;
        self.calls.abort_all();
        let drained = timeout(DRAIN_WAIT_MAX, async {
            while !self.applies.is_empty() {
                if let Some(outcome) = self.applies.next().await {
                    self.applied(outcome)?;
                }
            }
            Ok(Exit::Drained)
        });
        drained.await.unwrap_or(Ok(Exit::Cut))
    }

    fn read_where_ready(&mut self) {
        let (machine, reads, survives) = (&self.machine, &self.reads, self.survives);
        let records_max = machine.records_max();
        let ready = self.resting.extract_if(.., |(source, _)| machine.ready_for(*source));
        for (source, mut reader) in ready {
            reads.push(Box::pin(async move {
                let read = read(&mut reader, records_max, survives).await;
                (source, reader, read)
            }));
        }
    }

    fn ask(&mut self, ask: Ask<M>) {
        self.requests_count += 1;
        let token = self.requests_count;
        self.waiting.insert(token, ask.reply);
        self.handle(Input::Request { token, request: ask.request });
    }

    fn applied(&mut self, Outcome { tokens, result }: Outcome) -> Result<(), DriveError> {
        for token in tokens {
            match &result {
                Ok(()) => self.handle(Input::Applied { token }),
                Err(error) if self.survives => {
                    self.handle(Input::Failed { token, error: error.clone() });
                }
                Err(error) => return Err(DriveError::Apply(error.clone())),
            }
        }
        Ok(())
    }

    fn handle(&mut self, input: Input<M>) {
        let effects = self.machine.handle(self.clock.now(), input);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect<M>>) {
        for effect in effects {
            match effect {
                Effect::Apply { token, batch } => self.applies.push(token, batch),
                Effect::Reply { token, reply } => {
                    if let Some(waiter) = self.waiting.remove(&token)
                        && waiter.send(reply).is_err()
                    {
                        tracing::debug!("a reply came too late for its asker");
                    }
                }
                Effect::Alarm(alarm) => telemetry::alarm(&alarm),
                Effect::Load { .. }
                | Effect::Peek { .. }
                | Effect::Call { .. }
                | Effect::Timer { .. }
                    if self.stopping => {}
                Effect::Peek { token, source, from } => self.peeks.push(token, source, from),
                Effect::Load { token, scope } => self.load(token, scope),
                Effect::Call { token, call } => {
                    let caller = Arc::clone(&self.caller);
                    self.calls.spawn(async move { (token, caller.call(call).await) });
                }
                Effect::Timer { token, at } => self.timers.set(at, token),
            }
        }
    }

    fn load(&mut self, token: u64, scope: Scope) {
        let (engine, survives) = (self.engine.clone(), self.survives);
        self.loads.push(Box::pin(async move {
            let mut wait = RETRY_WAIT_MIN;
            loop {
                match engine.scan(scope.clone()).await {
                    Ok(facts) => return (token, Ok(facts)),
                    Err(EngineError::Unavailable(_)) if survives => wait = pause(wait).await,
                    Err(error) => return (token, Err(DriveError::Load { scope, error })),
                }
            }
        }));
    }
}

/// Reads on; for a machine that survives failures, until the engine is there again.
async fn read<R: Reader>(reader: &mut R, records_max: usize, survives: bool) -> ReadResult {
    let mut wait = RETRY_WAIT_MIN;
    loop {
        match reader.next(records_max).await {
            Err(EngineError::Unavailable(_)) if survives => wait = pause(wait).await,
            read => return read,
        }
    }
}

/// Waits, and says how long to wait the next time.
async fn pause(wait: Duration) -> Duration {
    sleep(wait).await;
    RETRY_WAIT_MAX.min(wait * 2)
}
