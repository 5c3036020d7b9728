//! The reconciler of this process: one machine for all partitions that it has.
//!
//! It reads `rounds` once. Where several processes share the work, the group says which partitions are
//! reconciled here; a machine that is built again begins with those that stand at that moment.

use super::loops::{Start, logged};
use super::{Opened, Role};
use crate::engine::RECONCILER;
use ingest::partners::Partners;
use ingest::tail::{Tail, rounds};
use runtime::http::HttpOptions;
use runtime::{Assignments, Change, EngineError, Handle, Membership, SystemClock, Topic, keep};
use schemas::PartnerId;
use schemas::catalogue::BETS;
use schemas::partners::Pauser;
use settler::{Closer, Metrics, Reconciler, ReconcilerAsk, ReconcilerOptions};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Ms between two looks of a reconciler at a round that still owes something.
const LOOK_MS: i64 = 1_000;

/// How often how partners stand is asked for /metrics.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// Connections for closes: a partner is asked one thing at a time.
const CLOSE_POOL: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(1),
    // Below the 5 s after which common servers close an idle connection.
    idle_max: Duration::from_secs(4),
    idle_connections_max: 1,
};

/// The partitions reconciled here.
type Owned = Arc<Mutex<BTreeSet<u32>>>;

/// Starts the reconciler.
///
/// It stores no offset, and the embedded engine keeps a topic for ever for a group without one: where
/// one process has everything, it belongs to no group.
pub(super) fn start<E: Opened>(start: &mut Start<'_, E>) {
    let metrics = Metrics::register(start.metrics);
    let wallets = start.partners.wallets();
    let call_wait_max = Duration::from_millis(start.config.dispatcher.call_ms_max);
    let client = wallets.client(CLOSE_POOL);
    let closer =
        Arc::new(Closer::new(client, wallets, call_wait_max, metrics.clone(), SystemClock));
    let options = ReconcilerOptions {
        partitions: BTreeSet::new(),
        rounds_from: Vec::new(),
        counts: E::PARTITIONS,
        close_after_ms: start.config.reconciler.close_after_s.saturating_mul(1_000),
        stale_ms: start.config.reconciler.stale_s.saturating_mul(1_000),
        repeat_ms: start.config.reconciler.repeat_s.saturating_mul(1_000),
        look_ms: LOOK_MS,
        cycle_ms: start.config.reconciler.cycle_s.saturating_mul(1_000),
        away: BTreeSet::new(),
    };
    let (handle, requests) = Handle::channel();
    let (asked, stop) = (handle.clone(), start.stop.clone());
    start.loops.tasks.spawn(async move {
        metrics.watch(asked, WATCH_PERIOD, stop).await;
        Ok(())
    });
    let (partners, stop) = (start.partners.clone(), start.stop.clone());
    start.loops.tasks.spawn(heed(handle.clone(), partners.clone(), stop));
    let owned = Owned::default();
    if E::SHARED {
        let membership = Membership::default();
        start.loops.memberships.push((Role::Reconciler, membership.clone()));
        let follow = Follow { handle, owned: Arc::clone(&owned), membership };
        start.loops.tasks.spawn(follow.run(start.engine.clone(), start.stop.clone()));
    } else {
        lock(&owned).extend(0..E::PARTITIONS.lanes);
    }
    let log = start.engine.clone();
    let (engine, stop) = (start.measured(Role::Reconciler.name()), start.stop.clone());
    let build = move || {
        let (log, owned, options) = (log.clone(), Arc::clone(&owned), options.clone());
        let away = away(&partners);
        async move {
            let tails = Tail::all(&log, rounds(E::PARTITIONS)).await?;
            let rounds_from = tails.iter().map(|tail| tail.from).collect();
            // What comes from now on is asked for, too; asking for it twice changes nothing.
            let partitions = lock(&owned).clone();
            Ok(Reconciler::new(ReconcilerOptions { partitions, rounds_from, away, ..options }))
        }
    };
    start.loops.tasks.spawn(async move {
        logged(keep(engine, build, closer, requests, SystemClock, stop).await);
        Ok(())
    });
}

/// The partners that their dispatchers cannot tell what they are owed: to say it once more to them would only be more
/// to wait.
fn away(partners: &Partners) -> BTreeSet<PartnerId> {
    let all = partners.all().into_iter();
    all.filter(|it| it.betting.is_paused_by(Pauser::Deliveries)).map(|it| it.id).collect()
}

/// Tells the machine which partners are away, until `stop`.
async fn heed(
    handle: Handle<Reconciler>,
    partners: Partners,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    let mut told = None;
    loop {
        let away = away(&partners);
        if told.as_ref() != Some(&away)
            && handle.ask(ReconcilerAsk::Away(away.clone())).await.is_ok()
        {
            told = Some(away);
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(WATCH_PERIOD) => {}
        }
    }
}

fn lock(owned: &Owned) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
    owned.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows the group and tells the machine.
struct Follow {
    handle: Handle<Reconciler>,
    owned: Owned,
    membership: Membership,
}

impl Follow {
    async fn run<E: Opened>(self, engine: E, stop: CancellationToken) -> Result<(), EngineError> {
        let mut assignments = engine.join(RECONCILER, Topic(BETS));
        loop {
            let change = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                change = assignments.next() => change?,
            };
            match change {
                Change::Assigned(lease) => {
                    let partition = lease.source.partition;
                    tracing::info!(group = RECONCILER, source = %lease.source, "assigned");
                    self.membership.assigned(partition);
                    lock(&self.owned).insert(partition);
                    self.tell(ReconcilerAsk::Take(partition)).await;
                    self.membership.works_on(partition);
                }
                Change::Revoked(lease) => {
                    let partition = lease.source.partition;
                    tracing::info!(group = RECONCILER, source = %lease.source, "revoked");
                    lock(&self.owned).remove(&partition);
                    self.tell(ReconcilerAsk::Drop(partition)).await;
                    self.membership.revoked(partition);
                }
                Change::Shared => self.membership.shared(),
            }
        }
    }

    /// A machine that goes meanwhile is built again with what is owned by then.
    async fn tell(&self, request: ReconcilerAsk) {
        if self.handle.ask(request.clone()).await.is_err() {
            tracing::debug!(?request, "the reconciler is being built again");
        }
    }
}
