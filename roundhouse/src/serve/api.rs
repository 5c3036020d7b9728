//! The HTTP API over the machines.

use super::loops::Asks;
use super::{Opened, Role, Roles, partners};
use crate::config::Config;
use axum::Router;
use ingest::auth::Tokens;
use ingest::http::{ApiState, Check, router as api_router};
use ingest::line::{Ask, Line, NotTaken, Told};
use runtime::telemetry::Metrics;
use runtime::{Clock, Handle, SystemClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Ms between `closing` and `closed` where the caller names none: the partner's answers on their way.
const GRACE_MS: i64 = 1_500;
/// How often the line is asked whether it has read the log.
const LOOK_PERIOD: Duration = Duration::from_millis(10);

/// Everything that is served on the one port.
pub(super) fn router<E: Opened>(
    config: &Config,
    engine: &E,
    roles: &Roles,
    asks: &Asks,
    metrics: &Metrics,
    stopping: &CancellationToken,
) -> anyhow::Result<Router> {
    let read = Arc::new(AtomicBool::new(asks.line.is_none()));
    if let Some(line) = &asks.line {
        tokio::spawn(look(line.clone(), Arc::clone(&read), stopping.clone()));
    }
    let stopping = stopping.clone();
    let checks = move || {
        let stops = stopping.is_cancelled().then(|| "the process is stopping".to_owned());
        let reads =
            (!read.load(Ordering::Relaxed)).then(|| "the log is still being read".to_owned());
        vec![Check { name: "process", wrong: stops }, Check { name: "log", wrong: reads }]
    };
    Ok(api_router(ApiState {
        engine: engine.clone(),
        line: asks.line.clone().filter(|_| roles.has(Role::Line)),
        placing: asks.placing.clone(),
        operators: Arc::new(partners::operators(config)?),
        tokens: Arc::new(Tokens::new(partners::player_keys(config)?)),
        partitions: E::PARTITIONS,
        rules_version: settlement::RULES_VERSION,
        grace_ms: GRACE_MS,
        now: Arc::new(|| SystemClock.now()),
        metrics: metrics.clone(),
        checks: Arc::new(checks),
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// Sets `read` once the line has read what was said before it began.
async fn look(line: Handle<Line>, read: Arc<AtomicBool>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let asked = line.ask(Ask::List { after: None, limit: 1, open_only: true }).await;
        match asked {
            Ok(Told::NotTaken(NotTaken::Starting)) | Err(_) => {}
            Ok(_) => {
                read.store(true, Ordering::Relaxed);
                return;
            }
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}
