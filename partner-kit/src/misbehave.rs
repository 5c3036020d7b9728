//! The faults, around the honest handlers: these know nothing of them.

use crate::faults::{FaultCounts, FaultSettings, Faults, Loss, Plan};
use crate::problem::Problem;
use crate::signed::Forge;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{StatusCode, header};
use schemas::contract::{ANSWER_BYTES_MAX, STATE_BYTES_MAX};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long an answer is held back for a later one to pass, at most. Below the shortest budget that a
/// caller has (contract section 5), so that a held answer still counts.
const HELD_BACK_MAX: Duration = Duration::from_millis(400);

/// On a request: decline the stake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decline;

/// On a response: reset the connection instead of sending it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reset;

/// The faults of one wallet, and the order of its answers.
#[derive(Debug)]
pub(crate) struct Mischief {
    faults: Mutex<Faults>,
    arrivals: AtomicU64,
    /// The latest arrival that was answered.
    answered: watch::Sender<u64>,
    shutdown: CancellationToken,
}

impl Mischief {
    pub(crate) fn new(faults: Faults, shutdown: CancellationToken) -> Self {
        Self {
            faults: Mutex::new(faults),
            arrivals: AtomicU64::new(0),
            answered: watch::Sender::new(0),
            shutdown,
        }
    }

    pub(crate) fn settings(&self) -> FaultSettings {
        self.faults().settings
    }

    pub(crate) fn counts(&self) -> FaultCounts {
        self.faults().counts
    }

    /// Changes the switches, unless `change` refuses.
    pub(crate) fn change<E>(
        &self,
        change: impl FnOnce(FaultSettings) -> Result<FaultSettings, E>,
    ) -> Result<FaultSettings, E> {
        let mut faults = self.faults();
        faults.settings = change(faults.settings)?;
        Ok(faults.settings)
    }

    /// Nothing if the wallet behaves.
    fn draw(&self) -> Option<Plan> {
        let mut faults = self.faults();
        if faults.settings.is_quiet() { None } else { Some(faults.draw()) }
    }

    fn count(&self, which: fn(&mut FaultCounts) -> &mut u64) {
        let mut faults = self.faults();
        let count = which(&mut faults.counts);
        *count = count.saturating_add(1);
    }

    /// Sleeps, but not through a shutdown.
    async fn sleep(&self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    /// Waits until a later call was answered, or for so long that none seems to come.
    async fn hold_back(&self, arrival: u64) {
        let mut answered = self.answered.subscribe();
        tokio::select! {
            _ = answered.wait_for(|latest| arrival < *latest) => self.count(|c| &mut c.overtaken),
            () = self.sleep(HELD_BACK_MAX) => {}
        }
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Draws what befalls the call, and lets it befall.
pub(crate) async fn misbehave(
    State(mischief): State<Arc<Mischief>>,
    request: Request,
    next: Next,
) -> Response {
    let arrival = mischief.arrivals.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    let response = match mischief.draw() {
        None => next.run(request).await,
        Some(plan) => suffer(&mischief, plan, arrival, request, next).await,
    };
    mischief.answered.send_modify(|latest| *latest = arrival.max(*latest));
    response
}

async fn suffer(
    mischief: &Mischief,
    plan: Plan,
    arrival: u64,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, STATE_BYTES_MAX).await else {
        return Problem::too_large().into_response();
    };
    if 0 < plan.delay_ms {
        mischief.count(|counts| &mut counts.delayed);
        mischief.sleep(Duration::from_millis(plan.delay_ms)).await;
    }
    match plan.lost {
        Some(Loss::ErrorBefore) => {
            mischief.count(|counts| &mut counts.error_500);
            return Problem::internal("a fault, before the call was applied").into_response();
        }
        Some(Loss::ResetBefore) => {
            mischief.count(|counts| &mut counts.reset_before_apply);
            return reset();
        }
        Some(Loss::ErrorAfter | Loss::ResetAfter | Loss::Silence(_)) | None => {}
    }
    if plan.decline {
        mischief.count(|counts| &mut counts.declined);
    }
    let mut response = next.clone().run(again(&parts, &body, plan)).await;
    if plan.repeat {
        mischief.count(|counts| &mut counts.repeated);
        let second = next.run(again(&parts, &body, plan)).await;
        response = both(response, second).await;
    }
    match plan.lost {
        Some(Loss::ErrorAfter) => {
            mischief.count(|counts| &mut counts.error_500_after_apply);
            return Problem::internal("a fault, after the call was applied").into_response();
        }
        Some(Loss::ResetAfter) => {
            mischief.count(|counts| &mut counts.reset_after_apply);
            return reset();
        }
        Some(Loss::Silence(ms)) => {
            mischief.count(|counts| &mut counts.timeout_after_apply);
            mischief.sleep(Duration::from_millis(ms)).await;
            return reset();
        }
        Some(Loss::ErrorBefore | Loss::ResetBefore) | None => {}
    }
    if plan.forge {
        mischief.count(|counts| &mut counts.forged);
        response.extensions_mut().insert(Forge);
    }
    if plan.swap {
        mischief.count(|counts| &mut counts.swapped);
        response = swapped(response).await;
        mischief.hold_back(arrival).await;
    }
    response
}

/// The same request anew.
fn again(parts: &Parts, body: &Bytes, plan: Plan) -> Request {
    let mut parts = parts.clone();
    if plan.decline {
        parts.extensions.insert(Decline);
    }
    Request::from_parts(parts, Body::from(body.clone()))
}

fn reset() -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(Reset);
    response
}

/// The second answer; of a chunk, the results of the first come before those of the second.
async fn both(first: Response, second: Response) -> Response {
    let Some(mut first) = results_of(first).await else { return second };
    rewritten(second, |results| {
        first.append(results);
        *results = first;
    })
    .await
}

/// The same answer with the results of a chunk in reverse.
async fn swapped(response: Response) -> Response {
    rewritten(response, |results| results.reverse()).await
}

async fn results_of(response: Response) -> Option<Vec<Value>> {
    let body = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.ok()?;
    let mut answer: Value = serde_json::from_slice(&body).ok()?;
    match answer.get_mut("results").map(Value::take) {
        Some(Value::Array(results)) => Some(results),
        Some(_) | None => None,
    }
}

/// The same answer with other results; an answer that has none stays as it is.
async fn rewritten(response: Response, rewrite: impl FnOnce(&mut Vec<Value>)) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, ANSWER_BYTES_MAX).await else { return reset() };
    let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else {
        return Response::from_parts(parts, Body::from(body));
    };
    if let Some(Value::Array(results)) = answer.get_mut("results") {
        rewrite(results);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::from(answer.to_string()));
    }
    Response::from_parts(parts, Body::from(body))
}
