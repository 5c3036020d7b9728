//! The way to a partner's wallet: performs the calls of the dispatcher on tokio.

use crate::chunk::StateCall;
use crate::dispatcher::Dispatcher;
use crate::judge::Answer;
use crate::metrics::Metrics;
use http::{HeaderName, HeaderValue};
use runtime::http::{Addresses, CallError, HttpClient};
use runtime::{Alarm, Caller, Clock, telemetry};
use schemas::PartnerId;
use schemas::contract::{ANSWER_BYTES_MAX, API_VERSION};
use std::time::{Duration, Instant};

/// Sends chunks over HTTP.
#[derive(Clone, Debug)]
pub struct Sender<K> {
    client: HttpClient,
    wallets: Addresses<PartnerId>,
    call_wait_max: Duration,
    metrics: Metrics,
    clock: K,
}

impl<K: Clock> Sender<K> {
    /// The longest wait for an answer, if nothing else is configured. A wallet answers in 20 ms; one
    /// that needs longer than this is down, and its chunks come again. Shorter would repeat what a slow
    /// wallet is still doing; longer keeps slots and offsets waiting for one that hangs.
    pub const CALL_WAIT_MAX: Duration = Duration::from_secs(10);

    /// A sender; each call ends within `call_wait_max`.
    pub fn new(
        client: HttpClient,
        wallets: Addresses<PartnerId>,
        call_wait_max: Duration,
        metrics: Metrics,
        clock: K,
    ) -> Self {
        Self { client, wallets, call_wait_max, metrics, clock }
    }

    async fn send(&self, call: &StateCall) -> Answer {
        let Some(url) = self.wallets.url(&call.partner, call.path) else {
            // Owed until somebody says where its wallet is.
            let text = format!("nobody said where the wallet of {} is", call.partner);
            telemetry::alarm(&Alarm { name: "wallet_unknown", text });
            return Err(CallError::Connect);
        };
        let bytes = call.bytes.clone();
        let wait = self.call_wait_max;
        self.client.post_json(&url, &headers(call), bytes, wait, ANSWER_BYTES_MAX).await
    }
}

/// The attempt stands in a header alone: the bytes of a chunk never change.
fn headers(call: &StateCall) -> [(HeaderName, HeaderValue); 3] {
    let chunk_id = HeaderValue::from_str(&call.request.chunk_id);
    [
        (HeaderName::from_static("api-version"), HeaderValue::from_static(API_VERSION)),
        // A chunk id is hexadecimal.
        (
            HeaderName::from_static("webhook-id"),
            chunk_id.unwrap_or(HeaderValue::from_static("invalid")),
        ),
        (HeaderName::from_static("attempt"), HeaderValue::from(call.attempt)),
    ]
}

impl<K: Clock> Caller<Dispatcher> for Sender<K> {
    async fn call(&self, call: StateCall) -> Answer {
        let begun = Instant::now();
        let answer = self.send(&call).await;
        let (partner, items) = (&call.partner, call.request.items.len());
        self.metrics.attempt(partner, &answer, begun.elapsed());
        match &answer {
            Ok(answer) if answer.status == 200 => {
                self.metrics.acknowledged(partner, self.clock.now(), call.caused_at_min);
                tracing::debug!(%partner, chunk = call.request.chunk_id, items, "answered");
            }
            Ok(other) => {
                let (status, attempt) = (other.status, call.attempt);
                tracing::warn!(%partner, chunk = call.request.chunk_id, items, attempt, status, "owed");
            }
            Err(error) => {
                let attempt = call.attempt;
                tracing::warn!(%partner, chunk = call.request.chunk_id, items, attempt, %error, "owed");
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests;
