//! Calls for stakes, counted by partner and how they end, which is also what pauses a partner that does not answer; and
//! noted, each, for the history of its bet.

use crate::serve::pausing::Seen;
use ingest::authorize::{Asked, Authorize};
use ingest::history::stakes::StakeAttempts;
use ingest::placing::{AuthorizeCall, HoldReply, Judged, Placing, judge_hold};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use runtime::telemetry::Metrics;
use runtime::{Caller, Clock, SystemClock};
use schemas::BetId;
use schemas::attempts::Attempt as Tried;
use schemas::bets::HoldAnswer;
use std::sync::Arc;
use tokio::time::Instant;

/// Upper bounds in seconds: a wallet's 20 ms in the middle, the budget of an attempt near the end.
const SECONDS: [f64; 11] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 5.0];

/// The outcome of a call that somebody answered.
const ANSWERED: &str = "answered";
/// That of a 200 that says nothing of the stake.
const NONSENSE: &str = "nonsense";

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
    stakes: Arc<StakeAttempts>,
    attempts: Family<Attempt, Counter>,
    durations: Family<Of, Histogram, fn() -> Histogram>,
    at_once: Family<Of, Gauge>,
}

impl MeasuredCalls {
    /// Registers its metrics in those of the process.
    pub(in crate::serve) fn register(
        inner: Authorize<SystemClock>,
        seen: Seen,
        stakes: Arc<StakeAttempts>,
        metrics: &Metrics,
    ) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        Self {
            inner,
            seen,
            stakes,
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
            at_once: metrics.register(
                "partner_authorize_calls_at_once_max",
                "Calls for stakes that may be on their way to the partner; fewer if it answers few in time",
                Family::default(),
            ),
        }
    }
}

impl Caller<Placing> for MeasuredCalls {
    async fn call(&self, call: AuthorizeCall) -> HoldReply {
        let (id, bet) = (call.partner.clone(), call.bet.clone());
        let partner = id.to_string();
        let begun = Instant::now();
        let number = call.attempt;
        let Asked { reply, at, took: called, status, outcome: ended } = self.inner.ask(&call).await;
        let took = begun.elapsed().as_secs_f64();
        let of = Of { partner: partner.clone() };
        self.durations.get_or_create(&of).observe(took);
        let at_once = i64::try_from(self.inner.calls_at_once_max(&id)).unwrap_or(i64::MAX);
        self.at_once.get_or_create(&of).set(at_once);
        let judged = judged(&reply, &bet);
        let outcome = outcome(&reply, judged.as_ref());
        if tells_of_partner(&reply) {
            self.seen.lock().called(SystemClock.now(), &id, outcome == ANSWERED);
        }
        self.attempts.get_or_create(&Attempt { partner, outcome }).inc();
        let latency_ms = u32::try_from(called.as_millis()).unwrap_or(u32::MAX);
        let outcome = judged.map_or(ended, word).into();
        self.stakes.note(bet, Tried { at, number, latency_ms, status, outcome });
        reply
    }
}

/// What a 200 says.
fn judged(reply: &HoldReply, bet: &BetId) -> Option<Judged> {
    matches!(reply, HoldReply::Http { status: 200, .. }).then(|| judge_hold(reply, bet))
}

/// What the partner said of the stake, for people.
fn word(judged: Judged) -> &'static str {
    match judged {
        Judged::Answer(HoldAnswer::Approved) => "approved",
        Judged::Answer(HoldAnswer::Declined(_)) => "declined",
        Judged::Standing => "superseded",
        Judged::Unknown => NONSENSE,
    }
}

/// Whether the partner answered, or failed to: not if the stake was refused for what it is, nor if nobody was asked.
fn tells_of_partner(reply: &HoldReply) -> bool {
    !matches!(reply, HoldReply::Http { status: 409 | 422, .. } | HoldReply::Unsent)
}

/// How a call ended, in the words of settlements' calls: `nonsense` is a 200 from which nobody learns whether
/// the stake is held.
fn outcome(reply: &HoldReply, judged: Option<&Judged>) -> &'static str {
    match reply {
        HoldReply::Http { status: 200, .. } => match judged {
            Some(Judged::Answer(_) | Judged::Standing) => ANSWERED,
            Some(Judged::Unknown) | None => NONSENSE,
        },
        HoldReply::Http { status: 429 | 503, .. } | HoldReply::Busy { .. } => "busy",
        HoldReply::Http { status: 500..=599, .. } => "server_error",
        HoldReply::Http { status: 400..=499, .. } => "refused",
        HoldReply::Http { .. } | HoldReply::Nothing { .. } => "no_answer",
        HoldReply::Unsent => "not_sent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_call_ended_and_whether_it_counts_against_the_partner() {
        let bet: BetId = "r_1:a".parse().unwrap();
        let approved = r#"{"bet_id":"r_1:a","revision":1,"decision":"approved","status":"held"}"#;
        let http = |status, body: &'static str| HoldReply::Http { status, body: body.into() };
        for (reply, wanted, of_partner) in [
            (http(200, approved), ANSWERED, true),
            (http(200, "<html>"), "nonsense", true),
            (
                http(
                    200,
                    r#"{"bet_id":"r_1:b","revision":1,"decision":"approved","status":"held"}"#,
                ),
                "nonsense",
                true,
            ),
            (http(409, ""), "refused", false),
            (http(422, ""), "refused", false),
            (http(403, ""), "refused", true),
            (http(429, ""), "busy", true),
            (http(503, ""), "busy", true),
            (HoldReply::Busy { rest_ms: 1_000 }, "busy", true),
            (http(500, ""), "server_error", true),
            (http(302, ""), "no_answer", true),
            (HoldReply::Nothing { why: "a timeout".to_owned() }, "no_answer", true),
            (HoldReply::Unsent, "not_sent", false),
        ] {
            assert_eq!(outcome(&reply, judged(&reply, &bet).as_ref()), wanted, "{reply:?}");
            assert_eq!(tells_of_partner(&reply), of_partner, "{reply:?}");
        }
    }
}
