//! Asks partners for stakes over HTTP: the caller of bet placing.
//!
//! A pool of its own for each partner, so that settlements, voids and other partners, also at the same host, never wait for
//! it nor it for them, and slots, fewer for one that answers few in time, so that it takes no connection from the others
//! and gets no more than it bears. What an answer means is judged in one place,
//! [`judge_hold`](crate::placing::judge_hold); whether it is the partner's, by its signature.

mod gate;
mod slots;

use crate::placing::{AuthorizeCall, HoldReply, Placing};
use gate::Gate;
use http::{HeaderName, HeaderValue, Method};
use runtime::http::{CallError, HttpAnswer, HttpOptions, Message, Peers, Pools, outcome};
use runtime::{Caller, Clock, Millis};
use schemas::PartnerId;
use schemas::contract::{
    API_VERSION, AUTHORIZE_PATH, HEALTH_PATH, HealthResponse, Problem, get_id,
};
use slots::{Slots, Told};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The longest wait for a wallet that is asked how it is.
const HEALTH_WAIT_MAX: Duration = Duration::from_millis(1_500);
/// Bytes an answer to authorize may have: a hundred times what the contract's fields need.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest rest that a wallet can ask for, in ms: half of the betting on a short round. A player does not wait for it, and
/// a wrong header must not stop a partner's betting.
pub(crate) const REST_MS_MAX: u64 = 10_000;
/// Header: the number of the attempt, 1, 2, ...; the body never changes.
const ATTEMPT: HeaderName = HeaderName::from_static("attempt");
/// Header: the date of the contract.
const VERSION: HeaderName = HeaderName::from_static("api-version");

/// Bounds of the calls to partners.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizeOptions {
    /// The pool of each partner. The wait for a connection counts within the attempt's budget.
    pub http: HttpOptions,
    /// Calls to one partner at once, and fewer to one that answers few in time. The rest wait for half of
    /// their budgets at most: what would have less than the other half left is not sent.
    pub partner_calls_max: usize,
}

impl AuthorizeOptions {
    /// As many at once to each partner, and room for their connections.
    pub const fn of_calls(partner_calls_max: usize) -> Self {
        let http = HttpOptions { idle_connections_max: partner_calls_max, ..Self::STANDARD.http };
        Self { http, partner_calls_max }
    }

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

/// What came of a call, and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What bet placing is told.
    pub reply: HoldReply,
    /// When it was sent, ms since the Unix epoch, or when it was clear that it would not be.
    pub at: Millis,
    /// From then to its end; the wait for a slot is not the wallet's. 0 where nothing was sent.
    pub took: Duration,
    /// The status; none where there was no answer.
    pub status: Option<u16>,
    /// How it ended, in the words of [`runtime::http::outcome`], or `not_sent`.
    pub outcome: &'static str,
}

impl Asked {
    fn unsent(at: Millis) -> Self {
        let (reply, took) = (HoldReply::Unsent, Duration::ZERO);
        Self { reply, at, took, status: None, outcome: "not_sent" }
    }
}

/// Asks the wallets of the partners.
pub struct Authorize<C> {
    pools: Pools<PartnerId>,
    wallets: Peers<PartnerId>,
    clock: C,
    calls_max: usize,
    gates: Mutex<BTreeMap<PartnerId, Arc<Gate>>>,
}

impl<C: Clock> Authorize<C> {
    /// A caller of `wallets`, each with what stands before `/wallet/v1`.
    pub fn new(wallets: Peers<PartnerId>, options: AuthorizeOptions, clock: C) -> Self {
        let (pools, calls_max) = (wallets.pools(options.http), options.partner_calls_max);
        Self { pools, wallets, clock, calls_max, gates: Mutex::default() }
    }

    /// Calls to `partner` that may be on their way now.
    pub fn calls_at_once_max(&self, partner: &PartnerId) -> usize {
        self.gate(partner).max()
    }

    fn gate(&self, partner: &PartnerId) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(partner) {
            return Arc::clone(gate);
        }
        let new = Arc::new(Gate::new(Slots::new(self.calls_max)));
        gates.insert(partner.clone(), Arc::clone(&new));
        new
    }

    /// Asks a wallet how it is; true if it says, signed and for this partner, that it is well.
    pub async fn is_well(&self, partner: &PartnerId) -> bool {
        let message = Message {
            id: &get_id(partner, HEALTH_PATH),
            method: Method::GET,
            path: HEALTH_PATH,
            route: HEALTH_PATH,
            headers: &[(VERSION, HeaderValue::from_static(API_VERSION))],
            body: None,
        };
        let (wallets, wait) = (&self.wallets, HEALTH_WAIT_MAX);
        let client = self.pools.client(partner.clone());
        let called = wallets.call(&client, partner, message, wait, ANSWER_BYTES_MAX, &self.clock);
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

    /// Asks for a stake, if there is a slot within half of the call's budget.
    pub async fn ask(&self, call: &AuthorizeCall) -> Asked {
        let (begun, budget) = (Instant::now(), Duration::from_millis(u64::from(call.budget_ms)));
        let gate = self.gate(&call.partner);
        let Ok(slot) = timeout_at(begun + budget / 2, gate.enter()).await else {
            return Asked::unsent(self.clock.now());
        };
        if gate.rests(Instant::now()) {
            return Asked::unsent(self.clock.now());
        }
        let (sent, at) = (Instant::now(), self.clock.now());
        let answer = self.send(call, (begun + budget).saturating_duration_since(sent)).await;
        let took = sent.elapsed();
        slot.end(told(&answer, took <= budget / 2));
        let (status, outcome) =
            (answer.as_ref().ok().map(|answer| answer.status), outcome(&answer));
        Asked { reply: Self::reply(call, &gate, answer), at, took, status, outcome }
    }

    fn reply(
        call: &AuthorizeCall,
        gate: &Gate,
        answer: Result<HttpAnswer, CallError>,
    ) -> HoldReply {
        match answer {
            Ok(answer) => {
                let reply = HoldReply::from(answer);
                match &reply {
                    HoldReply::Busy { rest_ms } => {
                        gate.rest(Instant::now() + Duration::from_millis(rest_ms.cast_unsigned()));
                    }
                    HoldReply::Http { status: 200, .. } => gate.rest_ends(),
                    HoldReply::Http { .. } | HoldReply::Nothing { .. } | HoldReply::Unsent => {}
                }
                reply
            }
            Err(error) => {
                if matches!(error, CallError::Signature(_)) {
                    // They hold stakes that we cannot count, and must be told.
                    tracing::warn!(partner.id = %call.partner, %error, "authorize");
                }
                HoldReply::Nothing { why: error.to_string() }
            }
        }
    }

    async fn send(&self, call: &AuthorizeCall, wait: Duration) -> Result<HttpAnswer, CallError> {
        let message = Message {
            id: &format!("{}:1", call.bet),
            method: Method::POST,
            path: AUTHORIZE_PATH,
            route: AUTHORIZE_PATH,
            headers: &[
                (VERSION, HeaderValue::from_static(API_VERSION)),
                (ATTEMPT, HeaderValue::from(call.attempt)),
            ],
            body: Some(call.body.clone()),
        };
        let (partner, wallets) = (&call.partner, &self.wallets);
        let client = self.pools.client(partner.clone());
        wallets.call(&client, partner, message, wait, ANSWER_BYTES_MAX, &self.clock).await
    }
}

/// What the end of a call tells of how many stakes the partner can be asked for at once. What is refused, and what never
/// reached it, tells nothing.
fn told(answer: &Result<HttpAnswer, CallError>, in_time: bool) -> Told {
    match answer {
        Ok(answer) => match answer.status {
            200 | 409 | 422 if in_time => Told::InTime,
            200 | 409 | 422 => Told::Late,
            429 | 503 => Told::Late,
            _ => Told::Nothing,
        },
        Err(CallError::Timeout | CallError::Connect | CallError::Tls | CallError::Broken) => {
            Told::Late
        }
        Err(
            CallError::Forbidden
            | CallError::TooLarge
            | CallError::Unknown
            | CallError::Signature(_),
        ) => Told::Nothing,
    }
}

impl From<HttpAnswer> for HoldReply {
    fn from(answer: HttpAnswer) -> Self {
        match rest_ms(&answer) {
            None => Self::Http { status: answer.status, body: answer.body },
            Some(rest_ms) => Self::Busy { rest_ms: rest_ms.cast_signed() },
        }
    }
}

/// How long a wallet that is busy asks to be left alone, in ms: the longer of what header and problem body say, within
/// bounds.
fn rest_ms(answer: &HttpAnswer) -> Option<u64> {
    if ![429, 503].contains(&answer.status) {
        return None;
    }
    let problem = || serde_json::from_slice::<Problem>(&answer.body).ok()?.retry_after_ms;
    let asked = answer.retry_after_ms.max(problem())?;
    (0 < asked).then_some(asked.min(REST_MS_MAX))
}

impl<C: Clock> Caller<Placing> for Authorize<C> {
    async fn call(&self, call: AuthorizeCall) -> HoldReply {
        let reply = self.ask(&call).await.reply;
        if let HoldReply::Nothing { .. } | HoldReply::Unsent = reply {
            tracing::debug!(partner.id = %call.partner, bet.id = %call.bet, ?reply, "authorize");
        }
        reply
    }
}

#[cfg(test)]
mod tests;
