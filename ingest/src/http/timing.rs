//! How long requests take, by route template and status.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use runtime::telemetry::Metrics;
use tokio::time::Instant;

/// Upper bounds in seconds: from an answer out of memory to a void that is held for its round.
const BUCKETS_S: [f64; 13] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 6.0, 30.0];

/// Labels of one request. All bounded: never a raw path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Labels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS_S)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Durations(Family<Labels, Histogram, Buckets>);

impl Durations {
    pub(super) fn registered(metrics: &Metrics) -> Self {
        let family = Family::new_with_constructor(Buckets);
        let help = "Time from a request's headers to the answer's";
        Self(metrics.register("http_server_request_duration_seconds", help, family))
    }
}

pub(super) async fn measure(
    State(durations): State<Durations>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let method = name(request.method());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unmatched", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let labels = Labels { method, route, status: response.status().as_u16() };
    durations.0.get_or_create(&labels).observe(begun.elapsed().as_secs_f64());
    response
}

/// A method of ours, or one word for all others: callers choose methods.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
