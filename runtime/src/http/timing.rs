//! How long calls to others take, by route and how they ended; never by who was called, of whom there are many.

use super::{CallError, HttpAnswer, outcome};
use crate::telemetry::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Upper bounds in seconds: from a neighbour's answer to the longest wait.
const BUCKETS_S: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    route: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Copy, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS_S)
    }
}

type Durations = Family<Labels, Histogram, Buckets>;

/// Where times are counted, once that is known. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Timing(Arc<OnceLock<Durations>>);

impl Timing {
    /// Counts in these metrics from now on, unless it counts already.
    pub(super) fn register(&self, metrics: &Metrics) {
        self.0.get_or_init(|| {
            let help = "Time of a call to a partner's wallet, until its answer or the certainty that none will come";
            let family = Family::new_with_constructor(Buckets);
            metrics.register("http_client_request_duration_seconds", help, family)
        });
    }

    pub(super) fn ended(
        &self,
        route: &'static str,
        came: &Result<HttpAnswer, CallError>,
        took: Duration,
    ) {
        if let Some(family) = self.0.get() {
            let labels = Labels { route, outcome: outcome(came) };
            family.get_or_create(&labels).observe(took.as_secs_f64());
        }
    }
}
