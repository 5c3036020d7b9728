//! One reconciler for each partition, in one of the processes.

use super::{Opened, Role};
use super::loops::{Start, logged};
use super::tails::begins;
use crate::engine::RECONCILER;
use runtime::drive::NoCalls;
use runtime::{
    Assignments, Change, EngineError, Handle, Membership, Partitions, SystemClock, Topic, keep,
};
use schemas::catalogue::BETS;
use settler::{Reconciler, ReconcilerOptions};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Ms between two looks of a reconciler at a round that still owes something.
const LOOK_MS: i64 = 1_000;

#[derive(Clone, Copy)]
struct Times {
    stale_ms: i64,
    repeat_ms: i64,
}

/// Starts the reconcilers.
///
/// They store no offset, and the embedded engine keeps a topic for ever for a group without one: where
/// one process has everything, they belong to no group.
pub(super) fn start<E: Opened>(start: &mut Start<'_, E>) {
    let times = Times {
        stale_ms: start.config.reconciler.stale_s.saturating_mul(1_000),
        repeat_ms: start.config.reconciler.repeat_s.saturating_mul(1_000),
    };
    let (engine, stop) = (start.engine, start.stop);
    if E::SHARED {
        let membership = Membership::default();
        start.loops.memberships.push((Role::Reconciler, membership.clone()));
        start.loops.tasks.spawn(shared(engine.clone(), times, membership, stop.clone()));
        return;
    }
    for partition in 0..E::PARTITIONS.lanes {
        let one = one(engine.clone(), partition, times, stop.clone());
        start.loops.tasks.spawn(async move {
            one.await;
            Ok(())
        });
    }
}

/// Those of the partitions that the group gives to this process.
async fn shared<E: Opened>(
    engine: E,
    times: Times,
    membership: Membership,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    let mut assignments = engine.join(RECONCILER, Topic(BETS));
    let mut owned: Partitions<AbortOnDropHandle<()>> = Partitions::default();
    loop {
        let change = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            change = assignments.next() => change?,
        };
        match change {
            Change::Assigned(lease) => {
                let partition = lease.source.partition;
                tracing::info!(group = RECONCILER, source = %lease.source, "assigned");
                let one = one(engine.clone(), partition, times, stop.clone());
                owned.assign(partition, || AbortOnDropHandle::new(tokio::spawn(one)));
            }
            Change::Revoked(lease) => {
                tracing::info!(group = RECONCILER, source = %lease.source, "revoked");
                owned.revoke(lease.source.partition);
            }
            Change::Shared => membership.shared(),
        }
    }
    for (_, task) in owned.iter_mut() {
        if let Err(error) = task.await {
            tracing::error!(%error, "a reconciler panicked");
        }
    }
    Ok(())
}

/// The one of `partition`, until `stop`.
async fn one<E: Opened>(engine: E, partition: u32, times: Times, stop: CancellationToken) {
    let log = engine.clone();
    let build = move || {
        let log = log.clone();
        async move {
            let Times { stale_ms, repeat_ms } = times;
            let (rounds_from, look_ms) = (begins(&log).await?, LOOK_MS);
            let options =
                ReconcilerOptions { partition, rounds_from, stale_ms, repeat_ms, look_ms };
            Ok(Reconciler::new(options))
        }
    };
    let (_, requests) = Handle::channel();
    logged(keep(engine, build, Arc::new(NoCalls), requests, SystemClock, stop).await);
}
