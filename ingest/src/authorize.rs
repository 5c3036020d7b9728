//! Asks partners for stakes over HTTP: the caller of bet placing.
//!
//! A pool of its own, so that settlements and voids never wait for it nor it for them, and a bound per
//! partner, so that one that hangs takes no connection from the others. What an answer means is
//! judged in one place, [`judge_hold`](crate::placing::judge_hold); whether it is the partner's, by its signature.

use crate::placing::{AuthorizeCall, HoldReply, Placing};
use http::{HeaderName, HeaderValue, Method};
use runtime::http::{CallError, HttpOptions, Message, PeerClient, Peers};
use runtime::{Caller, Clock};
use schemas::PartnerId;
use schemas::contract::{API_VERSION, AUTHORIZE_PATH, HEALTH_PATH, HealthResponse, get_id};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// The longest wait for a wallet that is asked how it is.
const HEALTH_WAIT_MAX: Duration = Duration::from_millis(1_500);
/// Bytes an answer to authorize may have: a hundred times what the contract's fields need.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Header: the number of the attempt, 1, 2, ...; the body never changes.
const ATTEMPT: HeaderName = HeaderName::from_static("attempt");
/// Header: the date of the contract.
const VERSION: HeaderName = HeaderName::from_static("api-version");

/// Bounds of the calls to partners.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizeOptions {
    /// The pool. The wait for a connection counts within the attempt's budget.
    pub http: HttpOptions,
    /// Calls to one partner at once; the rest wait within their budgets.
    pub partner_calls_max: usize,
}

impl AuthorizeOptions {
    /// Fits partners that answer within 50 ms at 5,000 bets a second.
    pub const STANDARD: Self = Self {
        http: HttpOptions {
            connect_wait_max: Duration::from_secs(1),
            // Below the 5 s after which common servers close an idle connection.
            idle_max: Duration::from_secs(4),
            idle_connections_max: 256,
        },
        partner_calls_max: 256,
    };
}

/// Asks the wallets of the partners.
pub struct Authorize<C> {
    client: PeerClient,
    wallets: Peers<PartnerId>,
    clock: C,
    calls_max: usize,
    free: Mutex<BTreeMap<PartnerId, Arc<Semaphore>>>,
}

impl<C: Clock> Authorize<C> {
    /// A caller of `wallets`, each with what stands before `/wallet/v1`.
    pub fn new(wallets: Peers<PartnerId>, options: AuthorizeOptions, clock: C) -> Self {
        let (client, calls_max) = (wallets.client(options.http), options.partner_calls_max);
        Self { client, wallets, clock, calls_max, free: Mutex::default() }
    }

    fn free(&self, partner: &PartnerId) -> Arc<Semaphore> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(free) = free.get(partner) {
            return Arc::clone(free);
        }
        let new = Arc::new(Semaphore::new(self.calls_max));
        free.insert(partner.clone(), Arc::clone(&new));
        new
    }

    /// Asks a wallet how it is; true if it says, signed and for this partner, that it is well.
    pub async fn is_well(&self, partner: &PartnerId) -> bool {
        let message = Message {
            id: &get_id(partner, HEALTH_PATH),
            method: Method::GET,
            path: HEALTH_PATH,
            headers: &[(VERSION, HeaderValue::from_static(API_VERSION))],
            body: None,
        };
        let (wallets, client, wait) = (&self.wallets, &self.client, HEALTH_WAIT_MAX);
        let called = wallets.call(client, partner, message, wait, ANSWER_BYTES_MAX, &self.clock);
        let answer = match called.await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => {
                tracing::debug!(partner.id = %partner, answer.status, "health");
                return false;
            }
            Err(error) => {
                tracing::debug!(partner.id = %partner, %error, "health");
                return false;
            }
        };
        serde_json::from_slice::<HealthResponse>(&answer.body)
            .is_ok_and(|health| health.status == "ok" && health.partner_id == partner.as_str())
    }

    async fn post(&self, call: AuthorizeCall) -> Result<HoldReply, String> {
        let deadline = Instant::now() + Duration::from_millis(u64::from(call.budget_ms));
        let free = self.free(&call.partner);
        let permit = timeout_at(deadline, free.acquire()).await;
        let _permit = permit
            .map_err(|_| "the partner's calls in flight took the whole budget".to_owned())?
            .map_err(|error| error.to_string())?;
        let message = Message {
            id: &format!("{}:1", call.bet),
            method: Method::POST,
            path: AUTHORIZE_PATH,
            headers: &[
                (VERSION, HeaderValue::from_static(API_VERSION)),
                (ATTEMPT, HeaderValue::from(call.attempt)),
            ],
            body: Some(call.body),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let (wallets, client) = (&self.wallets, &self.client);
        let called =
            wallets.call(client, &call.partner, message, left, ANSWER_BYTES_MAX, &self.clock);
        let answer = called.await.map_err(|error| {
            if matches!(error, CallError::Signature(_)) {
                // They hold stakes that we cannot count, and must be told.
                tracing::warn!(partner.id = %call.partner, %error, "authorize");
            }
            error.to_string()
        })?;
        Ok(HoldReply::Http { status: answer.status, body: answer.body })
    }
}

impl<C: Clock> Caller<Placing> for Authorize<C> {
    async fn call(&self, call: AuthorizeCall) -> HoldReply {
        let (partner, bet) = (call.partner.clone(), call.bet.clone());
        self.post(call).await.unwrap_or_else(|why| {
            tracing::debug!(partner.id = %partner, bet.id = %bet, why, "authorize got no answer");
            HoldReply::Nothing { why }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::post;
    use bytes::Bytes;
    use http::HeaderMap;
    use runtime::SystemClock;
    use runtime::http::{Guard, Outbound, PeerKeys};
    use signing::{ID, SecretKey, TIMESTAMP, sign, verify};
    use tokio::net::TcpListener;

    fn ours() -> SecretKey {
        SecretKey::of_seed(&[1; 32])
    }

    fn theirs() -> SecretKey {
        SecretKey::of_seed(&[2; 32])
    }

    /// A wallet that says back what it was sent, signed, unless it is told to hang or not to sign.
    async fn wallet() -> String {
        let echo = async |headers: HeaderMap, body: String| {
            if body == "hang" {
                std::future::pending::<()>().await;
            }
            let header = |name: HeaderName| headers[name].to_str().unwrap().to_owned();
            let now_s = header(TIMESTAMP).parse().unwrap();
            verify(&[ours().verifying()], &headers, now_s, body.as_bytes()).unwrap();
            let named = [ID, ATTEMPT, VERSION].map(header).join(" ");
            let reply = format!("{named} {body}");
            let key = if body == "forge" { ours() } else { theirs() };
            let signed: HeaderMap =
                sign(&[key], &header(ID), now_s, reply.as_bytes()).unwrap().into_iter().collect();
            (signed, reply)
        };
        let router = Router::new().route(AUTHORIZE_PATH, post(echo));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        base
    }

    fn call(partner: &str, body: &'static str, budget_ms: u32) -> AuthorizeCall {
        AuthorizeCall {
            partner: partner.parse().unwrap(),
            bet: "r_1:abc".parse().unwrap(),
            body: Bytes::from_static(body.as_bytes()),
            attempt: 2,
            budget_ms,
        }
    }

    async fn authorize() -> Authorize<SystemClock> {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()], true, Vec::new());
        let wallets = Peers::new(Outbound { guard, tls: None });
        for partner in ["acme", "bolt"] {
            let keys = PeerKeys { ours: vec![ours()], theirs: vec![theirs().verifying()] };
            wallets.set(partner.parse().unwrap(), &wallet().await, keys).unwrap();
        }
        let options = AuthorizeOptions { partner_calls_max: 1, ..AuthorizeOptions::STANDARD };
        Authorize::new(wallets, options, SystemClock)
    }

    #[tokio::test]
    async fn the_bytes_and_the_attempt_reach_the_wallet() {
        let body = Bytes::from(format!("r_1:abc:1 2 {API_VERSION} {{\"a\":1}}"));
        let reply = authorize().await.call(call("acme", "{\"a\":1}", 5_000)).await;
        assert_eq!(reply, HoldReply::Http { status: 200, body });
    }

    #[tokio::test]
    async fn no_wallet_no_time_and_no_signature_are_no_answer() {
        let authorize = authorize().await;
        for call in
            [call("nobody", "{}", 5_000), call("acme", "hang", 50), call("acme", "forge", 5_000)]
        {
            assert!(matches!(authorize.call(call).await, HoldReply::Nothing { .. }));
        }
    }

    #[tokio::test]
    async fn a_partner_that_hangs_takes_its_own_calls_alone() {
        let authorize = std::sync::Arc::new(authorize().await);
        let hanging = std::sync::Arc::clone(&authorize);
        let hanging = tokio::spawn(async move { hanging.call(call("acme", "hang", 60_000)).await });
        while authorize.free(&"acme".parse().unwrap()).available_permits() == 1 {
            tokio::task::yield_now().await;
        }
        let reply = authorize.call(call("acme", "{}", 50)).await;
        assert!(matches!(reply, HoldReply::Nothing { .. }));
        let reply = authorize.call(call("bolt", "{}", 5_000)).await;
        assert!(matches!(reply, HoldReply::Http { status: 200, .. }));
        hanging.abort();
    }
}
