//! What those who run the process ask it, on a port of its own: whether it lives and is ready, and if not
//! why; metrics; the build; and what is logged, which can be changed.
//!
//! Nobody has to say who they are here: the port belongs into a network that only they reach.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode, Uri};
use ingest::http::{Check, Json as Body, is_ready};
use ingest::problem::{Kind, Problem};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::telemetry::{self, Exposition, LogFilter, Metrics, TelemetryError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the process needs to be ready, looked at now.
pub(super) type Checks = Arc<dyn Fn() -> Vec<Check> + Send + Sync>;

/// The build.
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
    rules_version: u32,
}

const BUILD: Build = Build { version: VERSION, rules_version: settlement::RULES_VERSION };

#[derive(Clone)]
struct Admin {
    checks: Checks,
    metrics: Metrics,
    ready: Gauge,
    /// Was ready once.
    started: Arc<AtomicBool>,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// `ok`, or what is wrong.
    checks: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
    rules_version: u32,
}

/// What is logged.
#[derive(Serialize)]
struct Log {
    /// In force.
    filter: String,
    /// What the process was started with.
    configured: &'static str,
}

/// A change of what is logged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeLog {
    /// A level or directives; null for what the process was started with. Must be there.
    #[serde(deserialize_with = "Option::deserialize")]
    filter: Option<String>,
}

/// Every route of the admin port.
pub(super) fn router(metrics: &Metrics, checks: Checks) -> Router {
    let build = Family::<Build, Gauge>::default();
    build.get_or_create(&BUILD).set(1);
    metrics.register("build_info", "The build that runs; always 1", build);
    let help = "Whether the process is ready, as /readyz says";
    let admin = Admin {
        checks,
        metrics: metrics.clone(),
        ready: metrics.register("ready", help, Gauge::default()),
        started: Arc::default(),
    };
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/metrics", get(show_metrics))
        .route("/version", get(version))
        .route("/admin/log", get(show_log).put(change_log))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(admin)
}

impl Admin {
    fn look(&self) -> (bool, Vec<Check>) {
        let checks = (self.checks)();
        let ready = is_ready(&checks);
        if ready {
            self.started.store(true, Ordering::Relaxed);
        }
        self.ready.set(i64::from(ready));
        (ready, checks)
    }
}

fn status(good: bool) -> StatusCode {
    if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Looks at nothing: the process answers.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let (ready, checks) = admin.look();
    let ok = || "ok".to_owned();
    let checks = checks.into_iter().map(|check| (check.name, check.wrong.unwrap_or_else(ok)));
    (status(ready), Json(Readiness { ready, checks: checks.collect() })).into_response()
}

/// Whether it was ready once: what goes wrong later is no reason to call its start a failure.
async fn startupz(State(admin): State<Admin>) -> Response {
    let (ready, _) = admin.look();
    let started = ready || admin.started.load(Ordering::Relaxed);
    (status(started), if started { "started\n" } else { "starting\n" }).into_response()
}

async fn show_metrics(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    // Looked at for each scrape: nobody is told when it changes.
    admin.look();
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let exposition = Exposition::accepted(accept);
    match admin.metrics.text_as(exposition) {
        Ok(text) => ([(CONTENT_TYPE, exposition.content_type())], text).into_response(),
        Err(error) => Problem::new(Kind::UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn version() -> Json<Version> {
    let rules_version = settlement::RULES_VERSION;
    Json(Version { name: "roundhouse", version: VERSION, rules_version })
}

async fn show_log() -> Result<Json<Log>, Problem> {
    filter().map(said)
}

async fn change_log(Body(change): Body<ChangeLog>) -> Result<Json<Log>, Problem> {
    let filter = filter()?;
    let before = filter.current();
    let changed = match &change.filter {
        Some(wanted) => filter.set(wanted),
        None => filter.reset(),
    };
    changed.map_err(refused)?;
    // At a level that nearly every filter lets through: whoever reads the log learns why it changed.
    tracing::warn!(before, now = filter.current(), "what is logged was changed");
    Ok(said(filter))
}

fn filter() -> Result<&'static LogFilter, Problem> {
    let missing = || Problem::new(Kind::UNAVAILABLE, "this process did not set its logs up itself");
    telemetry::log_filter().ok_or_else(missing)
}

fn said(filter: &'static LogFilter) -> Json<Log> {
    Json(Log { filter: filter.current(), configured: filter.configured() })
}

fn refused(error: TelemetryError) -> Problem {
    let kind = match error {
        TelemetryError::Filter { .. } | TelemetryError::FilterTooLong { .. } => Kind::INVALID_FIELD,
        TelemetryError::AlreadySet(_) | TelemetryError::Gone(_) => Kind::UNAVAILABLE,
    };
    Problem::new(kind, format!("`filter`: {:#}", anyhow::Error::from(error)))
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(Kind::NOT_FOUND, format!("nothing is at {}", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(Kind::METHOD_NOT_ALLOWED, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    async fn call(router: &Router, line: &str, body: &str) -> (u16, Value) {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path);
        let request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
        let answer = router.clone().oneshot(request.unwrap().map(axum::body::Body::from)).await;
        let (head, body) = answer.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (head.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::String(text)))
    }

    fn house() -> (Router, Arc<AtomicBool>) {
        let reads = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&reads);
        let checks = move || {
            let wrong = seen.load(Ordering::Relaxed).then(|| "is being read".to_owned());
            vec![Check { name: "log", wrong }, Check { name: "process", wrong: None }]
        };
        (router(&Metrics::default(), Arc::new(checks)), reads)
    }

    #[tokio::test]
    async fn what_is_missing_is_named_and_a_start_is_a_start() {
        let (router, reads) = house();
        assert_eq!(call(&router, "GET /healthz", "").await.0, 200);
        let (status, said) = call(&router, "GET /readyz", "").await;
        let checks = json!({"log": "is being read", "process": "ok"});
        assert_eq!((status, said), (503, json!({"ready": false, "checks": checks})));
        assert_eq!(call(&router, "GET /startupz", "").await.0, 503);
        let scraped = |text: Value, wanted: &str| text.as_str().unwrap().contains(wanted);
        assert!(scraped(call(&router, "GET /metrics", "").await.1, "\nroundhouse_ready 0\n"));
        reads.store(false, Ordering::Relaxed);
        assert!(scraped(call(&router, "GET /metrics", "").await.1, "\nroundhouse_ready 1\n"));
        reads.store(true, Ordering::Relaxed);
        assert_eq!(call(&router, "GET /startupz", "").await.0, 200);
        assert_eq!(call(&router, "GET /readyz", "").await.0, 503);
    }

    #[tokio::test]
    async fn refusals_are_problems() {
        let (router, _) = house();
        for (line, body, status, code) in [
            ("GET /v1/rounds", "", 404, "not_found"),
            ("POST /metrics", "", 405, "method_not_allowed"),
            ("PUT /admin/log", "", 400, "malformed_json"),
            ("PUT /admin/log", "{}", 422, "invalid_field"),
            ("PUT /admin/log", r#"{"filter": 7}"#, 422, "invalid_field"),
            ("PUT /admin/log", r#"{"filter": "info", "for": 1}"#, 422, "invalid_field"),
            // Nothing set this process' logs up.
            ("GET /admin/log", "", 503, "unavailable"),
        ] {
            let (told, said) = call(&router, line, body).await;
            assert_eq!((told, said["code"].as_str()), (status, Some(code)), "{line} {body}");
        }
    }
}
