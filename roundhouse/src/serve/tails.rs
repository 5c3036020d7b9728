//! The machines that every instance runs for itself, without a group: the line and bet placing.

use super::loops::{Start, logged};
use super::measured::MeasuredCalls;
use super::{Opened, Role};
use ingest::authorize::{Authorize, AuthorizeOptions};
use ingest::line::{Line, LineOptions};
use ingest::placing::{Limits, PartnerBook, Placing, PlacingOptions};
use runtime::drive::NoCalls;
use runtime::{EngineError, Handle, Source, SystemClock, Topic, keep};
use schemas::catalogue::{DECISIONS, ROUNDS};
use std::sync::Arc;

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
    let caller = Authorize::new(start.partners.wallets(), AuthorizeOptions::STANDARD);
    let caller = MeasuredCalls::register(caller, start.metrics);
    let options = PlacingOptions {
        partitions: E::PARTITIONS,
        rounds_from: Vec::new(),
        decisions_from: Vec::new(),
        partners: PartnerBook::new(),
        limits: Limits {
            answer_within_ms: config.placing.answer_within_ms,
            attempt_ms: config.placing.attempt_ms,
            attempts_max: config.placing.attempts_max,
            in_flight_max: config.placing.in_flight_max,
            partner_in_flight_max: config.placing.partner_in_flight_max,
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
            let rounds_from = begins(&log).await?;
            let decisions_from = recent(&log).await?;
            Ok(Placing::new(PlacingOptions { rounds_from, decisions_from, partners, ..options }))
        }
    };
    start.loops.tasks.spawn(async move {
        logged(keep(engine, build, Arc::new(caller), requests, SystemClock, stop).await);
        Ok(())
    });
    handle
}

/// The lowest offset kept of each partition of `rounds`.
pub(super) async fn begins<E: Opened>(log: &E) -> Result<Vec<u64>, EngineError> {
    let mut begins = Vec::new();
    for partition in 0..E::PARTITIONS.rounds {
        begins.push(log.range(Source { topic: Topic(ROUNDS), partition }).await?.0);
    }
    Ok(begins)
}

/// Some way before the end of each partition of `decisions`.
async fn recent<E: Opened>(log: &E) -> Result<Vec<u64>, EngineError> {
    let mut recent = Vec::new();
    for partition in 0..E::PARTITIONS.lanes {
        let (begin, end) = log.range(Source { topic: Topic(DECISIONS), partition }).await?;
        recent.push(end.saturating_sub(DECISIONS_READ_AGAIN).max(begin));
    }
    Ok(recent)
}
