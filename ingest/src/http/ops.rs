//! Whether the process is there and may be sent work: what a load balancer asks of the port that it sends
//! to. The reasons, metrics and the build stand on a port of their own, for those who run the process.

use super::ApiState;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use runtime::Engine;
use serde::Serialize;

/// One thing that the process needs to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// What is wrong with it; `None` if nothing.
    pub wrong: Option<String>,
}

/// Whether nothing is wrong.
pub fn is_ready(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.wrong.is_none())
}

#[derive(Serialize)]
pub(super) struct Readiness {
    ready: bool,
}

/// Looks at nothing: the process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Says no reason: anybody may ask.
pub(super) async fn readyz<E: Engine>(
    State(api): State<ApiState<E>>,
) -> (StatusCode, Json<Readiness>) {
    let ready = is_ready(&(api.checks)());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready }))
}
