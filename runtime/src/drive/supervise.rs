//! Keeps machines running: one for each partition owned, or one without a group.

use super::{Ask, Caller, DriveError, Driven, Exit, Handle, Membership};
use crate::{
    Assignments, Change, Clock, Engine, EngineError, Lease, Machine, Partitions, Source, Topic,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// First and longest wait before a machine is built again after an error.
const REBUILD_WAIT_MIN: Duration = Duration::from_millis(50);
const REBUILD_WAIT_MAX: Duration = Duration::from_secs(5);
/// A machine that ran this long starts again at the shortest wait.
const RUN_CALM: Duration = Duration::from_secs(30);

/// Which partitions a member of a group works on.
#[derive(Clone, Debug)]
pub struct Job {
    /// The group.
    pub group: &'static str,
    /// The topic whose partitions are shared out.
    pub topic: Topic,
    /// Topics of equal partition count; the owner of a partition also reads theirs of that number.
    pub also: Vec<Topic>,
}

/// The handles of the machines that [`supervise()`] runs at the moment, by partition, and whether they
/// are all that this process is to run.
#[derive(Debug)]
pub struct Handles<M: Machine> {
    running: Arc<Mutex<BTreeMap<u32, Handle<M>>>>,
    membership: Membership,
}

impl<M: Machine> Default for Handles<M> {
    fn default() -> Self {
        Self { running: Arc::default(), membership: Membership::default() }
    }
}

impl<M: Machine> Clone for Handles<M> {
    fn clone(&self) -> Self {
        Self { running: Arc::clone(&self.running), membership: self.membership.clone() }
    }
}

impl<M: Machine> Handles<M> {
    /// The machine of `partition`, if this process runs it now.
    pub fn get(&self, partition: u32) -> Option<Handle<M>> {
        self.lock().get(&partition).cloned()
    }

    /// Whether the membership carries its share yet.
    pub fn membership(&self) -> Membership {
        self.membership.clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Handle<M>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, partition: u32, handle: Handle<M>) {
        self.lock().insert(partition, handle);
        self.membership.works_on(partition);
    }

    fn remove(&self, partition: u32) {
        self.lock().remove(&partition);
        self.membership.revoked(partition);
    }
}

/// A running machine; dropping it drops the machine and all it keeps (R4).
struct Owned {
    task: JoinHandle<()>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Joins the group and runs one machine for each partition assigned, until `shutdown`.
///
/// `build` gets the lease and where to start in each topic of the job, in their order: at the offset
/// the group stored, or at the lowest one kept. A machine that fails is dropped and built again after a
/// wait; on a revoke it is dropped at once. On shutdown every machine finishes its batches.
///
/// # Errors
/// The error of the group itself; then nothing is owned any more.
pub async fn supervise<M, E, C, K>(
    engine: E,
    job: Job,
    build: impl Fn(Lease, Vec<(Source, u64)>) -> M + Send + Sync + 'static,
    caller: Arc<C>,
    handles: Handles<M>,
    clock: K,
    shutdown: CancellationToken,
) -> Result<(), EngineError>
where
    M: Machine + Send + 'static,
    E: Engine,
    C: Caller<M>,
    K: Clock,
{
    let build = Arc::new(build);
    let mut assignments = engine.join(job.group, job.topic);
    let mut owned: Partitions<Owned> = Partitions::default();
    loop {
        let change = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            change = assignments.next() => change?,
        };
        match change {
            Change::Assigned(lease) => {
                let partition = lease.source.partition;
                tracing::info!(group = job.group, source = %lease.source, lease.generation, "assigned");
                handles.membership.assigned(partition);
                let make =
                    Make { engine: engine.clone(), job: job.clone(), build: Arc::clone(&build) };
                let (caller, handles) = (Arc::clone(&caller), handles.clone());
                let (clock, shutdown) = (clock.clone(), shutdown.clone());
                owned.assign(partition, || Owned {
                    task: tokio::spawn(make.run(lease, caller, handles, clock, shutdown)),
                });
            }
            Change::Revoked(lease) => {
                tracing::info!(group = job.group, source = %lease.source, lease.generation, "revoked");
                owned.revoke(lease.source.partition);
                handles.remove(lease.source.partition);
            }
            Change::Shared => handles.membership.shared(),
        }
    }
    for (_, owned) in owned.iter_mut() {
        if let Err(error) = (&mut owned.task).await {
            tracing::error!(%error, "a machine panicked");
        }
    }
    Ok(())
}

/// Runs one machine without a group until `shutdown`; builds it again after an error.
pub async fn keep<M, E, C, K, F>(
    engine: E,
    build: impl Fn() -> F,
    caller: Arc<C>,
    mut requests: mpsc::Receiver<Ask<M>>,
    clock: K,
    shutdown: CancellationToken,
) -> Exit
where
    M: Machine,
    E: Engine,
    C: Caller<M>,
    K: Clock,
    F: Future<Output = Result<M, EngineError>>,
{
    let mut wait = REBUILD_WAIT_MIN;
    loop {
        let begun = Instant::now();
        let ended = match build().await {
            Ok(machine) => {
                Driven::new(machine, engine.clone(), None, Arc::clone(&caller), clock.clone())
                    .run(&mut requests, &shutdown)
                    .await
            }
            Err(error) => Err(DriveError::Apply(error)),
        };
        match ended {
            Ok(exit) => return exit,
            Err(error) => log(&error, "a machine is built again"),
        }
        wait = if RUN_CALM < begun.elapsed() { REBUILD_WAIT_MIN } else { wait };
        tokio::select! {
            () = shutdown.cancelled() => return Exit::Drained,
            () = sleep(wait) => wait = REBUILD_WAIT_MAX.min(wait * 2),
        }
    }
}

/// Makes the machines of one partition.
struct Make<E, B> {
    engine: E,
    job: Job,
    build: Arc<B>,
}

impl<E: Engine, B> Make<E, B> {
    async fn run<M, C, K>(
        self,
        lease: Lease,
        caller: Arc<C>,
        handles: Handles<M>,
        clock: K,
        shutdown: CancellationToken,
    ) where
        M: Machine,
        C: Caller<M>,
        K: Clock,
        B: Fn(Lease, Vec<(Source, u64)>) -> M,
    {
        let mut wait = REBUILD_WAIT_MIN;
        loop {
            let begun = Instant::now();
            let ended = match self.positions(&lease).await {
                Ok(positions) => {
                    let machine = (self.build)(lease.clone(), positions);
                    let (handle, mut requests) = Handle::channel();
                    handles.set(lease.source.partition, handle);
                    let (engine, caller) = (self.engine.clone(), Arc::clone(&caller));
                    Driven::new(machine, engine, Some(lease.clone()), caller, clock.clone())
                        .run(&mut requests, &shutdown)
                        .await
                }
                Err(error) => Err(DriveError::Apply(error)),
            };
            match ended {
                Ok(_) => return,
                Err(error) => log(&error, "a machine is built again"),
            }
            wait = if RUN_CALM < begun.elapsed() { REBUILD_WAIT_MIN } else { wait };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(wait) => wait = REBUILD_WAIT_MAX.min(wait * 2),
            }
        }
    }

    async fn positions(&self, lease: &Lease) -> Result<Vec<(Source, u64)>, EngineError> {
        let mut positions = Vec::with_capacity(1 + self.job.also.len());
        for topic in std::iter::once(self.job.topic).chain(self.job.also.iter().copied()) {
            let source = Source { topic, partition: lease.source.partition };
            let from = match self.engine.stored(self.job.group, source).await? {
                Some(offset) => offset,
                None => self.engine.range(source).await?.0,
            };
            positions.push((source, from));
        }
        Ok(positions)
    }
}

/// Logs an error with its whole chain, once, where it is handled. That a partition is somebody else's is
/// how a machine that is in the middle of a batch hears of it, and nobody's mistake.
fn log(error: &DriveError, what: &str) {
    let mut chain = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        chain.push_str(": ");
        chain.push_str(&error.to_string());
        cause = error.source();
    }
    if matches!(error, DriveError::Apply(EngineError::Fenced(_))) {
        tracing::info!(error = chain, "{what}");
    } else {
        tracing::error!(error = chain, "{what}");
    }
}
