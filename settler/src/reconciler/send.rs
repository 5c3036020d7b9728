//! The way to a partner's wallet: performs the calls of closes on tokio.

use super::desk::{CloseAnswer, CloseAsk, CloseCall};
use super::{Metrics, Reconciler};
use http::{HeaderName, HeaderValue, Method};
use runtime::http::{CallError, Message, PeerClient, Peers};
use runtime::{Alarm, Caller, Clock, telemetry};
use schemas::PartnerId;
use schemas::contract::{
    ANSWER_BYTES_MAX, API_VERSION, CLOSE_PATH, QUERY_PATH, ROUND_BETS_MAX, ROUND_BETS_PATH, get_id,
};
use std::time::Duration;

/// Asks partners over HTTP.
#[derive(Clone, Debug)]
pub struct Closer<K> {
    client: PeerClient,
    wallets: Peers<PartnerId>,
    clock: K,
    call_wait_max: Duration,
    metrics: Metrics,
}

impl<K: Clock> Closer<K> {
    /// A closer for these wallets, each with what stands before `/wallet/v1`; each call ends within
    /// `call_wait_max`.
    pub fn new(
        client: PeerClient,
        wallets: Peers<PartnerId>,
        call_wait_max: Duration,
        metrics: Metrics,
        clock: K,
    ) -> Self {
        Self { client, wallets, clock, call_wait_max, metrics }
    }

    async fn ask(&self, call: &CloseCall) -> CloseAnswer {
        let (method, body) = match &call.ask {
            CloseAsk::Close(body) | CloseAsk::Query(body) => {
                (Method::POST, Some(body.clone().into()))
            }
            CloseAsk::Rows { .. } => (Method::GET, None),
        };
        let version =
            (HeaderName::from_static("api-version"), HeaderValue::from_static(API_VERSION));
        let path = &path(&call.ask);
        let id = match &call.ask {
            CloseAsk::Close(_) | CloseAsk::Query(_) => call.close_id.clone(),
            CloseAsk::Rows { .. } => get_id(&call.partner, path),
        };
        let route = match &call.ask {
            CloseAsk::Close(_) => CLOSE_PATH,
            CloseAsk::Query(_) => QUERY_PATH,
            CloseAsk::Rows { .. } => ROUND_BETS_PATH,
        };
        let message = Message { id: &id, method, path, route, headers: &[version], body };
        let (client, partner, wait) = (&self.client, &call.partner, self.call_wait_max);
        let called =
            self.wallets.call(client, partner, message, wait, ANSWER_BYTES_MAX, &self.clock);
        let answer = called.await;
        if answer == Err(CallError::Unknown) {
            let text = format!("nobody said where the wallet of {partner} is");
            telemetry::alarm(&Alarm { name: "wallet_unknown", text });
        }
        answer
    }
}

/// Rounds and bets are letters, digits, `_`, `:` and `-`: they stand in a URL as they are.
fn path(ask: &CloseAsk) -> String {
    match ask {
        CloseAsk::Close(_) => CLOSE_PATH.to_owned(),
        CloseAsk::Query(_) => QUERY_PATH.to_owned(),
        CloseAsk::Rows { round, after } => {
            let path = ROUND_BETS_PATH.replace("{id}", round.as_str());
            format!("{path}?after={after}&limit={ROUND_BETS_MAX}")
        }
    }
}

impl<K: Clock> Caller<Reconciler> for Closer<K> {
    async fn call(&self, call: CloseCall) -> CloseAnswer {
        let answer = self.ask(&call).await;
        self.metrics.attempt(&call.partner, &answer);
        let (partner, close) = (&call.partner, &call.close_id);
        match &answer {
            Ok(answer) if answer.status == 200 => tracing::debug!(%partner, close, "answered"),
            Ok(other) => tracing::warn!(%partner, close, status = other.status, "not closed"),
            Err(error) => tracing::warn!(%partner, close, %error, "not closed"),
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_behind_a_bet() {
        let ask = CloseAsk::Rows { round: "r_7".parse().unwrap(), after: "r_7:a-b".to_owned() };
        assert_eq!(path(&ask), "/wallet/v1/rounds/r_7/bets?after=r_7:a-b&limit=1000");
        assert_eq!(path(&CloseAsk::Close(Vec::new())), "/wallet/v1/rounds/close");
    }
}
