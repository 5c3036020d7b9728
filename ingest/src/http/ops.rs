//! What runs the process: liveness, readiness, metrics, version.

use super::ApiState;
use crate::problem::{Kind, Problem};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use runtime::Engine;
use runtime::telemetry::Metrics;
use serde::Serialize;
use std::collections::BTreeMap;

/// One thing that the process needs to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// What is wrong with it; `None` if nothing.
    pub wrong: Option<String>,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// `ok`, or what is wrong.
    checks: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
pub(super) struct Version {
    name: &'static str,
    version: &'static str,
}

/// What `/readyz` says, for alerts.
const READY: &str = "\
# HELP roundhouse_ready Whether the process is ready, as /readyz says.
# TYPE roundhouse_ready gauge
";

/// Looks at nothing: the process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz<E: Engine>(State(api): State<ApiState<E>>) -> Response {
    let checks = (api.checks)();
    let ready = is_ready(&checks);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let ok = || "ok".to_owned();
    let checks = checks.into_iter().map(|check| (check.name, check.wrong.unwrap_or_else(ok)));
    (status, Json(Readiness { ready, checks: checks.collect() })).into_response()
}

pub(super) async fn metrics<E: Engine>(State(api): State<ApiState<E>>) -> Response {
    // Asked for at each scrape: nobody is told when it changes.
    let ready = u8::from(is_ready(&(api.checks)()));
    match api.metrics.text().map(|text| format!("{READY}roundhouse_ready {ready}\n{text}")) {
        Ok(text) => ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => Problem::new(Kind::UNAVAILABLE, error.to_string()).into_response(),
    }
}

fn is_ready(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.wrong.is_none())
}

pub(super) async fn version<E: Engine>(State(api): State<ApiState<E>>) -> Json<Version> {
    Json(Version { name: "roundhouse", version: api.version })
}
