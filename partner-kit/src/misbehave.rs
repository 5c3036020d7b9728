//! The faults, around the honest handlers: these know nothing of them.

mod act;
mod answers;
mod call;
mod money;

use crate::connection::Wire;
use crate::faults::{FaultCounts, FaultSettings, Faults, Loss, Plan};
use crate::misbehaviours::Misbehaviour;
use crate::problem::Problem;
use crate::signed::Missigned;
use crate::wallet::{Orders, Wallet};
use answers::{both, swapped};
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use call::Call;
use http::StatusCode;
use schemas::contract::{STATE_BYTES_MAX, STATE_PATH};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Request header: misbehave about this call.
const HEADER: &str = "x-misbehave";
/// Calls that wait to be applied later, and messages remembered, at most: behind it a wallet behaves.
const REMEMBERED_MAX: usize = 10_000;

/// How long an answer is held back for a later one to pass, at most. Below the shortest budget that a
/// caller has (contract section 5), so that a held answer still counts.
const HELD_BACK_MAX: Duration = Duration::from_millis(400);

/// On a request: decline the stake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decline;

/// On a request: answer every item `pending`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PutOff;

/// On a request: leave so many rows of a round out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsLost(pub(crate) usize);

/// On a response: say that this is the date of the contract.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtherVersion(pub(crate) &'static str);

/// What misbehaving needs to remember.
#[derive(Debug, Default)]
struct Memory {
    /// Bets whose stakes will be held later.
    late: BTreeSet<String>,
    /// When (bet, revision) was applied, and what that moved.
    applied: BTreeMap<(String, u32), (Instant, i64)>,
    /// Until when a maintenance lasts.
    maintenance: Option<Instant>,
}

/// The faults of one wallet, and the order of its answers.
#[derive(Debug)]
pub(crate) struct Mischief {
    wallet: Arc<Wallet>,
    orders: Orders,
    memory: Mutex<Memory>,
    /// Calls that are applied later.
    later: TaskTracker,
    faults: Mutex<Faults>,
    arrivals: AtomicU64,
    /// The latest arrival that was answered.
    answered: watch::Sender<u64>,
    shutdown: CancellationToken,
}

impl Mischief {
    pub(crate) fn new(
        wallet: Arc<Wallet>,
        orders: Orders,
        faults: Faults,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            wallet,
            orders,
            memory: Mutex::default(),
            later: TaskTracker::new(),
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

    /// Waits until no call is applied later any more; after the shutdown.
    pub(crate) async fn end(&self) {
        self.later.close();
        self.later.wait().await;
    }

    /// Changes the switches, unless `change` refuses. A maintenance is over.
    pub(crate) fn change<E>(
        &self,
        change: impl FnOnce(FaultSettings) -> Result<FaultSettings, E>,
    ) -> Result<FaultSettings, E> {
        let mut faults = self.faults();
        faults.settings = change(faults.settings)?;
        self.memory().maintenance = None;
        Ok(faults.settings)
    }

    /// What the call itself asks for.
    fn asked(&self, request: &Request) -> Result<Option<Misbehaviour>, Problem> {
        let asked = request.headers().get(HEADER).filter(|_| self.orders.header);
        let asked = asked.map(|name| {
            let name = name.to_str().unwrap_or_default();
            name.parse::<Misbehaviour>().map_err(|error| Problem::bad_request(error.to_string()))
        });
        asked.transpose()
    }

    /// What befalls the call; nothing if the wallet behaves.
    fn plan(&self, arrival: u64, request: &Request) -> Result<Option<Plan>, Problem> {
        let ordered = self.asked(request)?.or_else(|| self.orders.script.at(arrival));
        // One of the mix would leave no room for the others: it is for the one call.
        let mut settings = self.settings().misbehave;
        let lasts = settings.mix == 0 || 0 < *settings.only.of(Misbehaviour::Maintenance);
        let lasting = || {
            let until = self.memory().maintenance.filter(|until| Instant::now() < *until);
            until.filter(|_| lasts).map(|_| Misbehaviour::Maintenance)
        };
        let drawn = {
            let mut faults = self.faults();
            if faults.settings.is_quiet() { None } else { Some(faults.draw()) }
        };
        Ok(match ordered.or_else(lasting) {
            Some(which) => Some(drawn.unwrap_or_default().with(which)),
            None => drawn,
        })
    }

    fn count_misbehaved(&self, which: Misbehaviour) {
        let mut faults = self.faults();
        let count = faults.counts.misbehaved.of(which);
        *count = count.saturating_add(1);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
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
    let response = match mischief.plan(arrival, &request) {
        Ok(None) => next.run(request).await,
        Ok(Some(plan)) => suffer(&mischief, plan, arrival, request, next).await,
        Err(problem) => problem.into_response(),
    };
    mischief.answered.send_modify(|latest| *latest = arrival.max(*latest));
    response
}

/// The same for calls that always tell: only what they ask for befalls them, and they are not counted.
pub(crate) async fn misbehave_if_asked(
    State(mischief): State<Arc<Mischief>>,
    request: Request,
    next: Next,
) -> Response {
    match mischief.asked(&request) {
        Ok(None) => next.run(request).await,
        Ok(Some(which)) => suffer(&mischief, Plan::default().with(which), 0, request, next).await,
        Err(problem) => problem.into_response(),
    }
}

async fn suffer(
    mischief: &Arc<Mischief>,
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
        Some(Loss::Refused(status)) => {
            mischief.count(|counts| &mut counts.refused);
            return Problem::refused(status).into_response();
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
    let put_off = plan.pending && parts.uri.path() == STATE_PATH;
    if put_off {
        mischief.count(|counts| &mut counts.pending);
    }
    let call = Call { mischief, parts, body, next, decline: plan.decline, put_off };
    let mut response = call.misbehaved(plan.misbehaviour).await;
    if plan.repeat {
        mischief.count(|counts| &mut counts.repeated);
        response = both(response, call.honest().await).await;
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
        Some(Loss::ErrorBefore | Loss::Refused(_) | Loss::ResetBefore) | None => {}
    }
    if plan.forge {
        mischief.count(|counts| &mut counts.forged);
        response.extensions_mut().insert(Missigned::Forged);
    }
    if plan.swap {
        mischief.count(|counts| &mut counts.swapped);
        response = swapped(response).await;
        mischief.hold_back(arrival).await;
    }
    response
}

fn reset() -> Response {
    on_wire(StatusCode::INTERNAL_SERVER_ERROR.into_response(), Wire::Reset)
}

/// The response, treated so by the connection.
fn on_wire(mut response: Response, wire: Wire) -> Response {
    response.extensions_mut().insert(wire);
    response
}
