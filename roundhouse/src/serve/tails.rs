//! The machines that every instance runs for itself, without a group: the line and bet placing.

use super::loops::{Start, logged};
use super::measured::MeasuredCalls;
use super::{Opened, Role, pausing};
use ingest::authorize::{Authorize, AuthorizeOptions};
use ingest::history::stakes::StakeAttempts;
use ingest::line::{Line, LineOptions};
use ingest::placing::{Limits, PartnerBook, Placing, PlacingOptions};
use ingest::tail::{Tail, decisions, rounds};
use runtime::drive::NoCalls;
use runtime::{Handle, SystemClock, keep};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Decisions of each partition that bet placing reads again at its start, so that repeats of recent
/// bets are answered without an intent.
const DECISIONS_READ_AGAIN: u64 = 10_000;

pub(super) fn line<E: Opened>(start: &mut Start<'_, E>) -> Handle<Line> {
    let (handle, requests) = Handle::channel();
    let log = start.engine.clone();
    let (engine, stop) = (start.measured(Role::Line.name()), start.stop.clone());
    let build = move || {
        let log = log.clone();
        async move { Ok(Line::new(LineOptions::read(&log, E::PARTITIONS).await?)) }
    };
    start.loops.tasks.spawn(async move {
        logged(keep(engine, build, Arc::new(NoCalls), requests, SystemClock, stop).await);
        Ok(())
    });
    handle
}

pub(super) fn placing<E: Opened>(start: &mut Start<'_, E>) -> Handle<Placing> {
    let (handle, requests) = Handle::channel();
    let config = start.config;
    let calls = AuthorizeOptions::of_calls(config.placing.partner_calls_max);
    let caller = Authorize::new(start.partners.wallets(), calls, SystemClock);
    let seen = pausing::stakes(start);
    let stakes = Arc::new(StakeAttempts::default());
    let caller = MeasuredCalls::register(caller, seen, Arc::clone(&stakes), start.metrics);
    let options = PlacingOptions {
        partitions: E::PARTITIONS,
        tails: Vec::new(),
        partners: PartnerBook::new(),
        limits: Limits {
            answer_within_ms: config.placing.answer_within_ms,
            attempt_ms: config.placing.attempt_ms,
            attempts_max: config.placing.attempts_max,
            in_flight_max: config.placing.in_flight_max,
            partner_in_flight_max: config.placing.partner_in_flight_max,
            stakes_per_s_max: NonZeroU32::new(config.placing.stakes_per_s_max),
            ..Limits::STANDARD
        },
    };
    let log = start.engine.clone();
    let (engine, stop) = (start.measured(Role::Bets.name()), start.stop.clone());
    let partners = start.partners.clone();
    let build = move || {
        let (log, options, partners) = (log.clone(), options.clone(), partners.clone());
        async move {
            let partners = partners.book();
            let mut tails = Tail::all(&log, rounds(E::PARTITIONS)).await?;
            let decided = Tail::all(&log, decisions(E::PARTITIONS)).await?;
            tails.extend(decided.into_iter().map(|tail| tail.last(DECISIONS_READ_AGAIN)));
            Ok(Placing::new(PlacingOptions { tails, partners, ..options }))
        }
    };
    let (placed, histories) = (CancellationToken::new(), start.measured(Role::History.name()));
    let over = placed.clone();
    // A task of its own: no bet waits while rows are made.
    start.loops.tasks.spawn(async move {
        tokio::select! {
            () = placed.cancelled() => {}
            never = stakes.keep(&histories, E::PARTITIONS) => match never {},
        }
        stakes.flush(&histories, E::PARTITIONS).await;
        Ok(())
    });
    start.loops.tasks.spawn(async move {
        let _over = over.drop_guard();
        logged(keep(engine, build, Arc::new(caller), requests, SystemClock, stop).await);
        Ok(())
    });
    handle
}
