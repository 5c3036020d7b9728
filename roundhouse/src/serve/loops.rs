//! The machines of each role and what drives them.

use super::measured::{Flow, Measured};
use super::partners::Directory;
use super::pausing::known;
use super::rules::RULES;
use super::{Opened, Role, Roles, cases, clock, pausing, reconcilers, simple, tails};
use crate::config::Config;
use crate::engine::{DISPATCHER, HERALD, HISTORY, SETTLER};
use ingest::herald::Herald;
use ingest::history::{self, History};
use ingest::line::Line;
use ingest::partners::Partners;
use ingest::placing::Placing;
use ingest::simple::bet_maker::book::Book;
use partner_dispatcher::{Dispatcher, DispatcherOptions, Metrics, Sender};
use runtime::drive::NoCalls;
use runtime::http::HttpOptions;
use runtime::{
    EngineError, Exit, Handle, Handles, Job, Membership, Source, SystemClock, Topic, supervise,
    telemetry,
};
use schemas::catalogue::{BETS, ROUNDS, RetryTier, SETTLEMENTS};
use settler::{Settler, SettlerOptions};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Connections for settlements of one partner and kind of traffic; those for stakes have pools of their own.
const fn settlement_pool(calls_max: usize) -> HttpOptions {
    HttpOptions {
        connect_wait_max: Duration::from_secs(1),
        // Below the 5 s after which common servers close an idle connection.
        idle_max: Duration::from_secs(4),
        idle_connections_max: calls_max,
    }
}

/// The machines that the API asks.
pub(super) struct Asks {
    /// Rounds: for the roles `line` and `line-provider`, and where role `bets` learns that the log has been
    /// read.
    pub(super) line: Option<Handle<Line>>,
    /// Bets: for the roles `bets` and `bet-maker`.
    pub(super) placing: Option<Handle<Placing>>,
    /// The partners, and whether their players may bet.
    pub(super) partners: Partners,
    /// What bet-maker lists, where somebody's bets are placed here.
    pub(super) book: Option<Handle<Book>>,
}

/// The tasks of all machines.
pub(super) struct Loops {
    pub(super) tasks: JoinSet<Result<(), EngineError>>,
    /// The memberships of groups, by the role that needs them.
    pub(super) memberships: Vec<(Role, Membership)>,
}

impl Loops {
    /// Waits until all have ended.
    pub(super) async fn ended(mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            first = first.and(flat(ended));
        }
        first
    }

    /// Waits until one ends that nobody asked to end.
    pub(super) async fn broken(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(ended) => match flat(ended) {
                Ok(()) => anyhow::anyhow!("nobody asked it to"),
                Err(why) => why,
            },
            None => std::future::pending().await,
        }
    }
}

fn flat(ended: Result<Result<(), EngineError>, JoinError>) -> anyhow::Result<()> {
    ended.map_err(anyhow::Error::from).and_then(|ended| ended.map_err(Into::into))
}

/// What a role needs to start its machines.
pub(super) struct Start<'a, E> {
    pub(super) config: &'a Config,
    pub(super) engine: &'a E,
    pub(super) partners: Partners,
    pub(super) metrics: &'a telemetry::Metrics,
    pub(super) flow: Flow,
    pub(super) stop: &'a CancellationToken,
    pub(super) loops: &'a mut Loops,
}

impl<E: Opened> Start<'_, E> {
    /// The engine for machines of this name, whose use of it is counted.
    pub(super) fn measured(&self, machine: &'static str) -> Measured<E> {
        Measured::new(self.engine.clone(), machine, self.flow.clone())
    }
}

/// Starts the machines of every role; they run until `stop`.
///
/// # Errors
/// If a partner of the configuration cannot be.
pub(super) fn start<E: Opened>(
    config: &Config,
    engine: &E,
    directory: Directory<E::Reader>,
    roles: &Roles,
    metrics: &telemetry::Metrics,
    stop: &CancellationToken,
) -> anyhow::Result<(Loops, Asks)> {
    let mut loops = Loops { tasks: JoinSet::new(), memberships: Vec::new() };
    let flow = Flow::register(metrics);
    let partners = directory.partners.clone();
    let mut start = Start {
        config,
        engine,
        partners: partners.clone(),
        metrics,
        flow,
        stop,
        loops: &mut loops,
    };
    let with_line =
        [Role::Line, Role::Bets, Role::LineProvider].iter().any(|role| roles.has(*role));
    let better = simple::better(config)?.filter(|_| roles.has(Role::BetMaker));
    let with_placing = roles.has(Role::Bets) || better.is_some();
    let asks = Asks {
        line: with_line.then(|| tails::line(&mut start)),
        placing: with_placing.then(|| tails::placing(&mut start)),
        partners,
        book: better.map(|better| simple::book(&mut start, better)),
    };
    start.loops.tasks.spawn(directory.follow(asks.placing.clone(), stop.clone()));
    let watch =
        clock::watch(engine.clone(), asks.placing.clone(), clock::gauge(metrics), stop.clone());
    start.loops.tasks.spawn(async {
        watch.await;
        Ok(())
    });
    // Results are drawn in a sandbox alone.
    if roles.has(Role::LineProvider) && config.simple.open {
        simple::drawer(&mut start);
    }
    if roles.has(Role::Herald) {
        heralds(&mut start);
    }
    if roles.has(Role::Settler) {
        settlers(&mut start);
    }
    if roles.has(Role::Dispatcher) {
        dispatchers(&mut start);
    }
    if roles.has(Role::Reconciler) {
        reconcilers::start(&mut start);
    }
    if roles.has(Role::History) {
        histories(&mut start);
    }
    if roles.has(Role::Cases) {
        cases::start(&mut start)?;
    }
    Ok((loops, asks))
}

fn heralds<E: Opened>(start: &mut Start<'_, E>) {
    let job = Job { group: HERALD, topic: Topic(ROUNDS), also: Vec::new() };
    let handles = Handles::default();
    start.loops.memberships.push((Role::Herald, handles.membership()));
    start.loops.tasks.spawn(supervise(
        start.measured(Role::Herald.name()),
        job,
        |lease, positions| {
            Herald::new(lease.source.partition, E::PARTITIONS, RULES, first(&positions))
        },
        Arc::new(NoCalls),
        handles,
        SystemClock,
        start.stop.clone(),
    ));
}

fn settlers<E: Opened>(start: &mut Start<'_, E>) {
    let job = Job { group: SETTLER, topic: Topic(BETS), also: Vec::new() };
    let rounds_kept = start.config.settler.rounds_kept;
    let handles = Handles::default();
    start.loops.memberships.push((Role::Settler, handles.membership()));
    start.loops.tasks.spawn(supervise(
        start.measured(Role::Settler.name()),
        job,
        move |lease, positions| {
            let (partition, from) = (lease.source.partition, first(&positions));
            Settler::new(SettlerOptions { partition, from, rounds_kept })
        },
        Arc::new(NoCalls),
        handles,
        SystemClock,
        start.stop.clone(),
    ));
}

fn dispatchers<E: Opened>(start: &mut Start<'_, E>) {
    let config = start.config;
    let mut limits = partner_dispatcher::Limits {
        chunk_items_max: config.dispatcher.chunk_items_max,
        chunks_in_flight_max: config.dispatcher.chunks_in_flight_max,
        calls_per_s_max: NonZeroU32::new(config.dispatcher.calls_per_s_max),
        corrections_per_s_max: NonZeroU32::new(config.dispatcher.corrections_per_s_max),
        ..partner_dispatcher::Limits::PRODUCTION
    };
    if let Some(retries) = config.dispatcher.retries {
        limits.tier_wait_ms = retries.tier_wait_ms;
        limits.last_tier_after_ms = retries.last_tier_after_ms;
        limits.park_after_ms = retries.park_after_ms;
    }
    let metrics = Metrics::register(start.metrics);
    let call_wait_max = Duration::from_millis(config.dispatcher.call_ms_max);
    let (wallets, partners) = (start.partners.wallets(), start.partners.clone());
    let pools = wallets.pools(settlement_pool(config.dispatcher.chunks_in_flight_max));
    let sender = Sender::new(pools, wallets, call_wait_max, metrics.clone(), SystemClock);
    let handles = Handles::default();
    start.loops.memberships.push((Role::Dispatcher, handles.membership()));
    let also = RetryTier::ALL.map(|tier| Topic(tier.topic())).to_vec();
    let job = Job { group: DISPATCHER, topic: Topic(SETTLEMENTS), also };
    start.loops.tasks.spawn(supervise(
        start.measured(Role::Dispatcher.name()),
        job,
        move |lease, positions| {
            Dispatcher::new(DispatcherOptions {
                partition: lease.source.partition,
                from: first(&positions),
                from_tiers: RetryTier::ALL
                    .map(|tier| positions.get(1 + tier.index()).map_or(0, |(_, from)| *from)),
                partitions: E::PARTITIONS,
                limits,
                // Two owners after each other must not repeat in step with what they left behind.
                seed: lease.generation,
                known: known(&partners.all()),
            })
        },
        Arc::new(sender),
        handles.clone(),
        SystemClock,
        start.stop.clone(),
    ));
    pausing::deliveries(start, handles, metrics);
}

fn histories<E: Opened>(start: &mut Start<'_, E>) {
    let [topic, also @ ..] = history::TOPICS.map(Topic);
    let job = Job { group: HISTORY, topic, also: also.to_vec() };
    let handles = Handles::default();
    start.loops.memberships.push((Role::History, handles.membership()));
    start.loops.tasks.spawn(supervise(
        start.measured(Role::History.name()),
        job,
        |_, positions| History::new(positions, E::PARTITIONS),
        Arc::new(NoCalls),
        handles,
        SystemClock,
        start.stop.clone(),
    ));
}

pub(super) fn first(positions: &[(Source, u64)]) -> u64 {
    positions.first().map_or(0, |(_, from)| *from)
}

pub(super) fn logged(exit: Exit) {
    match exit {
        Exit::Drained => {}
        Exit::Cut => {
            tracing::warn!("batches in flight were cut off; they are done again at the start")
        }
    }
}
