//! The HTTP API over the machines.

use super::admin::Checks;
use super::corrections::Previews;
use super::loops::Asks;
use super::{Opened, Role, Roles, simple};
use crate::config::Config;
use axum::Router;
use ingest::auth::InForce;
use ingest::http::{ApiState, router as api_router};
use runtime::telemetry::Metrics;
use runtime::{Clock, SystemClock};
use std::sync::Arc;

/// Ms between `closing` and `closed` where the caller names none: the partner's answers on their way.
const GRACE_MS: i64 = 1_500;

/// Everything that is served to the outside.
pub(super) fn router<E: Opened>(
    config: &Config,
    engine: &E,
    roles: &Roles,
    asks: &Asks,
    operators: InForce,
    metrics: &Metrics,
    checks: &Checks,
) -> anyhow::Result<Router> {
    let state = ApiState {
        engine: engine.clone(),
        line: asks.line.clone(),
        placing: asks.placing.clone(),
        histories: roles.has(Role::History),
        operators,
        corrections: Arc::new(Previews::new(engine.clone())),
        replays: Arc::new(Previews::new(engine.clone())),
        partners: asks.partners.clone(),
        partitions: E::PARTITIONS,
        rules_version: settlement::RULES_VERSION,
        grace_ms: GRACE_MS,
        now: Arc::new(|| SystemClock.now()),
        metrics: metrics.clone(),
        checks: Arc::clone(checks),
        version: env!("CARGO_PKG_VERSION"),
    };
    let further = simple::router(config, roles, asks, &state)?;
    let state = ApiState {
        line: state.line.filter(|_| roles.has(Role::Line)),
        placing: state.placing.filter(|_| roles.has(Role::Bets)),
        ..state
    };
    Ok(api_router(state, further))
}
