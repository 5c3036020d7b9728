//! The way to a partner's wallet: performs the calls of the dispatcher on tokio.

use crate::chunk::StateCall;
use crate::dispatcher::Dispatcher;
use crate::judge::{Answer, Came, is_nonsense};
use crate::metrics::Metrics;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::CONTENT_ENCODING;
use http::{HeaderName, HeaderValue, Method};
use runtime::http::{CallError, Message, Peers, Pools, outcome};
use runtime::{Alarm, Caller, Clock, telemetry};
use schemas::PartnerId;
use schemas::contract::{ANSWER_BYTES_MAX, API_VERSION, STATE_PATH, Traffic};
use std::io::Write;
use std::time::{Duration, Instant};

/// How a call is counted whose 200 decides nothing of some item.
const NONSENSE: &str = "nonsense";

/// A pool for each partner and kind of traffic: no call waits for a connection of another's, or finds one that another's
/// calls broke, also where partners share a host.
pub type StatePools = Pools<(PartnerId, Traffic)>;

/// Sends chunks over HTTP.
#[derive(Clone, Debug)]
pub struct Sender<K> {
    pools: StatePools,
    wallets: Peers<PartnerId>,
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
        pools: StatePools,
        wallets: Peers<PartnerId>,
        call_wait_max: Duration,
        metrics: Metrics,
        clock: K,
    ) -> Self {
        Self { pools, wallets, call_wait_max, metrics, clock }
    }

    async fn send(&self, call: &StateCall) -> Came {
        // The attempt stands in a header alone: the bytes of a chunk never change.
        let mut headers = vec![
            (HeaderName::from_static("api-version"), HeaderValue::from_static(API_VERSION)),
            (HeaderName::from_static("attempt"), HeaderValue::from(call.attempt)),
        ];
        let packed = call.gzip.then(|| pack(&call.bytes)).transpose();
        let packed = packed.unwrap_or_else(|error| {
            tracing::warn!(partner = %call.partner, %error, "a chunk goes as it is");
            None
        });
        if packed.is_some() {
            headers.push((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
        }
        let message = Message {
            id: &call.request.chunk_id,
            method: Method::POST,
            path: call.path,
            route: STATE_PATH,
            headers: &headers,
            body: Some(packed.unwrap_or_else(|| call.bytes.clone())),
        };
        let (partner, wait) = (&call.partner, self.call_wait_max);
        let client = self.pools.client((partner.clone(), call.request.traffic));
        let called =
            self.wallets.call(&client, partner, message, wait, ANSWER_BYTES_MAX, &self.clock);
        let answer = called.await;
        if answer == Err(CallError::Unknown) {
            // Owed until somebody says where its wallet is.
            let text = format!("nobody said where the wallet of {partner} is");
            telemetry::alarm(&Alarm { name: "wallet_unknown", text });
        }
        answer
    }
}

/// The same bytes from the same: no time stands in the header.
fn pack(bytes: &[u8]) -> std::io::Result<Bytes> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes)?;
    packer.finish().map(Bytes::from)
}

impl<K: Clock> Caller<Dispatcher> for Sender<K> {
    async fn call(&self, call: StateCall) -> Answer {
        let begun = Instant::now();
        let came = self.send(&call).await;
        let (took, items) = (begun.elapsed(), call.request.items.len());
        let (partner, answer) = (&call.partner, Answer::from(&came).after(took));
        let nonsense = is_nonsense(&call.request, &answer);
        self.metrics.attempt(partner, if nonsense { NONSENSE } else { outcome(&came) }, took);
        match &came {
            Ok(_) if nonsense => {
                let attempt = call.attempt;
                tracing::warn!(%partner, chunk = call.request.chunk_id, items, attempt, "a 200 that says nothing of some items");
            }
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
