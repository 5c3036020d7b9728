//! Calls for stakes, counted by partner and how they end, which is also what pauses a partner that does not answer.

use crate::serve::pausing::Seen;
use ingest::authorize::Authorize;
use ingest::placing::{AuthorizeCall, HoldReply, Placing};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use runtime::telemetry::Metrics;
use runtime::{Caller, Clock, SystemClock};
use tokio::time::Instant;

/// Upper bounds in seconds: a wallet's 20 ms in the middle, the budget of an attempt near the end.
const SECONDS: [f64; 11] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 5.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    partner: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    partner: String,
}

/// The caller of bet placing, counted.
pub(in crate::serve) struct MeasuredCalls {
    inner: Authorize<SystemClock>,
    seen: Seen,
    attempts: Family<Attempt, Counter>,
    durations: Family<Of, Histogram, fn() -> Histogram>,
}

impl MeasuredCalls {
    /// Registers its metrics in those of the process.
    pub(in crate::serve) fn register(
        inner: Authorize<SystemClock>,
        seen: Seen,
        metrics: &Metrics,
    ) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        Self {
            inner,
            seen,
            attempts: metrics.register(
                "partner_authorize_attempts",
                "Calls for a stake, by partner and how the call ended",
                Family::default(),
            ),
            durations: metrics.register(
                "partner_authorize_duration_seconds",
                "Time of a call for a stake, until its answer or the certainty that none will come",
                Family::new_with_constructor(histogram),
            ),
        }
    }
}

impl Caller<Placing> for MeasuredCalls {
    async fn call(&self, call: AuthorizeCall) -> HoldReply {
        let id = call.partner.clone();
        let partner = id.to_string();
        let begun = Instant::now();
        let reply = self.inner.call(call).await;
        let took = begun.elapsed().as_secs_f64();
        self.durations.get_or_create(&Of { partner: partner.clone() }).observe(took);
        if let Some(answered) = answered(&reply) {
            self.seen.lock().called(SystemClock.now(), &id, answered);
        }
        let outcome = outcome(&reply);
        self.attempts.get_or_create(&Attempt { partner, outcome }).inc();
        reply
    }
}

/// Whether somebody answered for the stake; nothing if it was refused for what it is.
fn answered(reply: &HoldReply) -> Option<bool> {
    match reply {
        HoldReply::Http { status: 200, .. } => Some(true),
        HoldReply::Http { status: 409 | 422, .. } => None,
        HoldReply::Http { .. } | HoldReply::Nothing { .. } => Some(false),
    }
}

/// How a call ended, in the words of settlements' calls. A 200 says nothing of the stake: that is for the
/// judge.
fn outcome(reply: &HoldReply) -> &'static str {
    match reply {
        HoldReply::Http { status: 200, .. } => "answered",
        HoldReply::Http { status: 429 | 503, .. } => "busy",
        HoldReply::Http { status: 500..=599, .. } => "server_error",
        HoldReply::Http { status: 400..=499, .. } => "refused",
        HoldReply::Http { .. } | HoldReply::Nothing { .. } => "no_answer",
    }
}
