//! The machines and what drives them.

use super::partners;
use super::rules::RULES;
use crate::config::Config;
use crate::engine::{DISPATCHER, HERALD, SETTLER};
use anyhow::Context;
use ingest::authorize::{Authorize, AuthorizeOptions};
use ingest::herald::Herald;
use ingest::line::{Line, LineOptions};
use ingest::placing::{Limits, Placing, PlacingOptions};
use partner_dispatcher::{Dispatcher, DispatcherOptions, Metrics, Sender};
use runtime::drive::NoCalls;
use runtime::embedded::Embedded;
use runtime::http::{HttpClient, HttpOptions};
use runtime::{
    EngineError, Exit, Handle, Handles, Job, RecordLog, Source, SystemClock, Topic, keep,
    supervise, telemetry,
};
use schemas::catalogue::{BETS, DECISIONS, RETRY_5S, ROUNDS, SETTLEMENTS};
use schemas::outgoing::Partitions;
use settler::{Reconciler, ReconcilerOptions, Settler, SettlerOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const COUNTS: Partitions = Partitions::EMBEDDED;
/// Decisions of each partition that bet placing reads again at its start, so that repeats of recent
/// bets are answered without an intent.
const DECISIONS_READ_AGAIN: u64 = 10_000;
/// How often what is owed is counted for /metrics.
const WATCH_PERIOD: Duration = Duration::from_secs(1);
/// Connections for settlements; those for stakes have a pool of their own.
const SETTLEMENT_POOL: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(1),
    // Below the 5 s after which common servers close an idle connection.
    idle_max: Duration::from_secs(4),
    idle_connections_max: 16,
};
/// Ms between two looks of a reconciler at a round that still owes something.
const LOOK_MS: i64 = 1_000;

/// The machines that others ask.
#[derive(Clone)]
pub struct Asks {
    /// Rounds.
    pub line: Handle<Line>,
    /// Bets.
    pub placing: Handle<Placing>,
    /// What partners are owed, by partition.
    pub reconcilers: Vec<Handle<Reconciler>>,
    /// What is queued and in flight, by partition owned.
    pub dispatchers: Handles<Dispatcher>,
}

/// The tasks of all machines.
pub(super) struct Loops {
    tasks: JoinSet<Result<(), EngineError>>,
}

impl Loops {
    /// Waits until all have ended.
    pub(super) async fn ended(mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended =
                ended.map_err(anyhow::Error::from).and_then(|ended| ended.map_err(Into::into));
            first = first.and(ended);
        }
        first
    }
}

/// Starts every machine; they run until `stop`.
pub(super) async fn start(
    config: &Config,
    engine: &Embedded,
    metrics: &telemetry::Metrics,
    stop: &CancellationToken,
) -> anyhow::Result<(Loops, Asks)> {
    let mut loops = Loops { tasks: JoinSet::new() };
    let (line, placing) = tails(config, engine, stop, &mut loops).await?;
    heralds(engine, stop, &mut loops);
    settlers(config, engine, stop, &mut loops);
    let dispatchers = dispatchers(config, engine, metrics, stop, &mut loops)?;
    let reconcilers = reconcilers(config, engine, stop, &mut loops);
    Ok((loops, Asks { line, placing, reconcilers, dispatchers }))
}

fn heralds(engine: &Embedded, stop: &CancellationToken, loops: &mut Loops) {
    let job = Job { group: HERALD, topic: Topic(ROUNDS), also: Vec::new() };
    loops.tasks.spawn(supervise(
        engine.clone(),
        job,
        |lease, positions| Herald::new(lease.source.partition, COUNTS, RULES, first(&positions)),
        Arc::new(NoCalls),
        Handles::default(),
        SystemClock,
        stop.clone(),
    ));
}

fn settlers(config: &Config, engine: &Embedded, stop: &CancellationToken, loops: &mut Loops) {
    let job = Job { group: SETTLER, topic: Topic(BETS), also: Vec::new() };
    let rounds_kept = config.settler.rounds_kept;
    loops.tasks.spawn(supervise(
        engine.clone(),
        job,
        move |lease, positions| {
            let (partition, from) = (lease.source.partition, first(&positions));
            Settler::new(SettlerOptions { partition, from, rounds_kept })
        },
        Arc::new(NoCalls),
        Handles::default(),
        SystemClock,
        stop.clone(),
    ));
}

fn dispatchers(
    config: &Config,
    engine: &Embedded,
    metrics: &telemetry::Metrics,
    stop: &CancellationToken,
    loops: &mut Loops,
) -> anyhow::Result<Handles<Dispatcher>> {
    let limits = partner_dispatcher::Limits {
        chunk_items_max: config.dispatcher.chunk_items_max,
        chunks_in_flight_max: config.dispatcher.chunks_in_flight_max,
        ..partner_dispatcher::Limits::PRODUCTION
    };
    let metrics = Metrics::register(metrics);
    let call_wait_max = Duration::from_millis(config.dispatcher.call_ms_max);
    let wallets = partners::wallets(config)?;
    let client = HttpClient::new(SETTLEMENT_POOL);
    let sender = Sender::new(client, wallets, call_wait_max, metrics.clone(), SystemClock);
    let handles = Handles::default();
    let job = Job { group: DISPATCHER, topic: Topic(SETTLEMENTS), also: vec![Topic(RETRY_5S)] };
    loops.tasks.spawn(supervise(
        engine.clone(),
        job,
        move |lease, positions| {
            Dispatcher::new(DispatcherOptions {
                partition: lease.source.partition,
                from: first(&positions),
                from_tier: positions.get(1).map_or(0, |(_, from)| *from),
                partitions: COUNTS,
                limits,
                // Two owners after each other must not repeat in step with what they left behind.
                seed: lease.generation,
            })
        },
        Arc::new(sender),
        handles.clone(),
        SystemClock,
        stop.clone(),
    ));
    let (watched, stop) = (handles.clone(), stop.clone());
    loops.tasks.spawn(async move {
        metrics.watch(watched, COUNTS.lanes, WATCH_PERIOD, stop).await;
        Ok(())
    });
    Ok(handles)
}

/// One for each partition. They belong to no group: they store no offset, and a group without one would
/// keep its topic for ever.
fn reconcilers(
    config: &Config,
    engine: &Embedded,
    stop: &CancellationToken,
    loops: &mut Loops,
) -> Vec<Handle<Reconciler>> {
    let (stale_ms, repeat_ms) = (
        config.reconciler.stale_s.saturating_mul(1_000),
        config.reconciler.repeat_s.saturating_mul(1_000),
    );
    let mut handles = Vec::new();
    for partition in 0..COUNTS.lanes {
        let (handle, requests) = Handle::channel();
        handles.push(handle);
        let (log, engine, stop) = (engine.clone(), engine.clone(), stop.clone());
        let build = move || {
            let log = log.clone();
            async move {
                let rounds_from = begins(&log).await?;
                let look_ms = LOOK_MS;
                Ok(Reconciler::new(ReconcilerOptions {
                    partition,
                    rounds_from,
                    stale_ms,
                    repeat_ms,
                    look_ms,
                }))
            }
        };
        loops.tasks.spawn(async move {
            logged(keep(engine, build, Arc::new(NoCalls), requests, SystemClock, stop).await);
            Ok(())
        });
    }
    handles
}

/// The machines that every instance runs for itself: the line and bet placing.
async fn tails(
    config: &Config,
    engine: &Embedded,
    stop: &CancellationToken,
    loops: &mut Loops,
) -> anyhow::Result<(Handle<Line>, Handle<Placing>)> {
    let (line, requests) = Handle::channel();
    let (log, of_line, stop_line) = (engine.clone(), engine.clone(), stop.clone());
    let build = move || {
        let log = log.clone();
        async move { Ok(Line::new(LineOptions::read(&log, COUNTS).await?)) }
    };
    loops.tasks.spawn(async move {
        logged(keep(of_line, build, Arc::new(NoCalls), requests, SystemClock, stop_line).await);
        Ok(())
    });
    let (placing, requests) = Handle::channel();
    let wallets = partners::addresses(config)?;
    let caller = Authorize::new(wallets, AuthorizeOptions::STANDARD)
        .context("partners[].wallet_url: bets cannot be authorised")?;
    let options = PlacingOptions {
        partitions: COUNTS,
        rounds_from: Vec::new(),
        decisions_from: Vec::new(),
        partners: partners::limits(config)?,
        limits: Limits {
            answer_within_ms: config.placing.answer_within_ms,
            attempt_ms: config.placing.attempt_ms,
            attempts_max: config.placing.attempts_max,
            in_flight_max: config.placing.in_flight_max,
            partner_in_flight_max: config.placing.partner_in_flight_max,
            ..Limits::STANDARD
        },
    };
    let (log, of_placing, stop) = (engine.clone(), engine.clone(), stop.clone());
    let build = move || {
        let (log, options) = (log.clone(), options.clone());
        async move {
            let rounds_from = begins(&log).await?;
            let decisions_from = recent(&log).await?;
            Ok(Placing::new(PlacingOptions { rounds_from, decisions_from, ..options }))
        }
    };
    loops.tasks.spawn(async move {
        logged(keep(of_placing, build, Arc::new(caller), requests, SystemClock, stop).await);
        Ok(())
    });
    Ok((line, placing))
}

/// The lowest offset kept of each partition of `rounds`.
async fn begins(log: &Embedded) -> Result<Vec<u64>, EngineError> {
    let mut begins = Vec::new();
    for partition in 0..COUNTS.rounds {
        begins.push(log.range(Source { topic: Topic(ROUNDS), partition }).await?.0);
    }
    Ok(begins)
}

/// Some way before the end of each partition of `decisions`.
async fn recent(log: &Embedded) -> Result<Vec<u64>, EngineError> {
    let mut recent = Vec::new();
    for partition in 0..COUNTS.lanes {
        let (begin, end) = log.range(Source { topic: Topic(DECISIONS), partition }).await?;
        recent.push(end.saturating_sub(DECISIONS_READ_AGAIN).max(begin));
    }
    Ok(recent)
}

fn first(positions: &[(Source, u64)]) -> u64 {
    positions.first().map_or(0, |(_, from)| *from)
}

fn logged(exit: Exit) {
    match exit {
        Exit::Drained => {}
        Exit::Cut => {
            tracing::warn!("batches in flight were cut off; they are done again at the start")
        }
    }
}
