//! The way to a partner's wallet: performs the calls of closes on tokio.

use super::desk::{CloseAnswer, CloseAsk, CloseCall};
use super::{Metrics, Reconciler};
use http::{HeaderName, HeaderValue, Method};
use runtime::http::{Addresses, CallError, HttpClient};
use runtime::{Alarm, Caller, telemetry};
use schemas::PartnerId;
use schemas::contract::{
    ANSWER_BYTES_MAX, API_VERSION, CLOSE_PATH, ROUND_BETS_MAX, ROUND_BETS_PATH,
};
use std::time::Duration;

/// Asks partners over HTTP.
#[derive(Clone, Debug)]
pub struct Closer {
    client: HttpClient,
    wallets: Addresses<PartnerId>,
    call_wait_max: Duration,
    metrics: Metrics,
}

impl Closer {
    /// A closer for these wallets, each with what stands before `/wallet/v1`; each call ends within
    /// `call_wait_max`.
    pub fn new(
        client: HttpClient,
        wallets: Addresses<PartnerId>,
        call_wait_max: Duration,
        metrics: Metrics,
    ) -> Self {
        Self { client, wallets, call_wait_max, metrics }
    }

    async fn ask(&self, call: &CloseCall) -> CloseAnswer {
        let Some(url) = self.wallets.url(&call.partner, &path(&call.ask)) else {
            let text = format!("nobody said where the wallet of {} is", call.partner);
            telemetry::alarm(&Alarm { name: "wallet_unknown", text });
            return Err(CallError::Connect);
        };
        let (method, body) = match &call.ask {
            CloseAsk::Close(body) => (Method::POST, Some(body.clone().into())),
            CloseAsk::Rows { .. } => (Method::GET, None),
        };
        let headers = headers(&call.close_id);
        self.client.call(method, &url, &headers, body, self.call_wait_max, ANSWER_BYTES_MAX).await
    }
}

/// Rounds and bets are letters, digits, `_`, `:` and `-`: they stand in a URL as they are.
fn path(ask: &CloseAsk) -> String {
    match ask {
        CloseAsk::Close(_) => CLOSE_PATH.to_owned(),
        CloseAsk::Rows { round, after } => {
            let path = ROUND_BETS_PATH.replace("{id}", round.as_str());
            format!("{path}?after={after}&limit={ROUND_BETS_MAX}")
        }
    }
}

fn headers(close_id: &str) -> [(HeaderName, HeaderValue); 2] {
    let close_id = HeaderValue::from_str(close_id);
    [
        (HeaderName::from_static("api-version"), HeaderValue::from_static(API_VERSION)),
        // Its id is hexadecimal.
        (
            HeaderName::from_static("webhook-id"),
            close_id.unwrap_or(HeaderValue::from_static("invalid")),
        ),
    ]
}

impl Caller<Reconciler> for Closer {
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
