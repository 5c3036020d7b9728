//! The HTTP API, `/v1`: rounds for operators, bets for players, histories for both, and whether the process
//! may be sent work; and `/partner/v1` for partners.
//!
//! Handlers decide nothing: they read a request into the words of the contract, ask the line or bet
//! placing, and put the answer into JSON. What is said about money is said from decisions and facts
//! alone (R13). A request that is sent twice gets the same answer; the same id with other content is
//! refused. Every refusal is a [`Problem`].
//!
//! The server in front must bound the time for headers and the number of connections; bodies are bounded
//! here, in bytes and in time.

mod acts;
mod bet_bodies;
mod bets;
pub(crate) mod body;
mod corrections;
pub(crate) mod credentials;
mod csv;
mod histories;
mod history_bodies;
mod ops;
mod partner_api;
mod partner_bodies;
mod partner_docs;
mod partners;
mod round_bodies;
pub(crate) mod rounds;
#[cfg(test)]
pub(crate) mod tests;
mod timelines;
mod timing;

pub use body::{BODY_BYTES_MAX, Json};
pub use ops::{Check, is_ready};

use crate::auth::InForce;
use crate::corrections::Corrections;
use crate::line::Line;
use crate::partners::Partners;
use crate::placing::Placing;
use crate::problem::{Kind, Problem};
use crate::replays::Replays;
use axum::Router;
use axum::middleware;
use axum::routing::{any, get, post};
use http::{Method, Uri};
use runtime::telemetry::Metrics;
use runtime::{Engine, Handle, Millis};
use schemas::outgoing::Partitions;
use std::sync::Arc;

/// What the handlers need. Cheap to clone.
#[derive(Clone)]
pub struct ApiState<E> {
    /// Where facts are read.
    pub engine: E,
    /// The line of this instance; `None` if another process answers what concerns rounds.
    pub line: Option<Handle<Line>>,
    /// Bet placing of this instance; `None` if another process answers what concerns bets.
    pub placing: Option<Handle<Placing>>,
    /// Whether this process answers what concerns the histories of partners.
    pub histories: bool,
    /// Who may speak about rounds, and see what concerns any player.
    pub operators: InForce,
    /// Who says what a correction would change.
    pub corrections: Arc<dyn Corrections>,
    /// Who tells partners again what they confirmed.
    pub replays: Arc<dyn Replays>,
    /// The partners, and whether their players may bet.
    pub partners: Partners,
    /// Partition counts, by which facts are found.
    pub partitions: Partitions,
    /// The rules under which rounds are opened.
    pub rules_version: u32,
    /// Ms between `closing` and `closed` where the caller names none.
    pub grace_ms: i64,
    /// The time, ms since the Unix epoch, UTC.
    pub now: Arc<dyn Fn() -> Millis + Send + Sync>,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// What the process needs to be ready, looked at now.
    pub checks: Arc<dyn Fn() -> Vec<Check> + Send + Sync>,
    /// The build, for documents of the API.
    pub version: &'static str,
}

/// All routes, with `further` ones beside `/v1`; those of what is not here answer
/// [`Kind::NOT_SERVED_HERE`].
pub fn router<E: Engine>(state: ApiState<E>, further: Router) -> Router {
    let durations = timing::Durations::registered(&state.metrics);
    let rounds = match state.line {
        Some(_) => rounds_routes(),
        None => elsewhere("/v1/rounds", "/v1/rounds/{*rest}"),
    };
    let bets = match state.placing {
        Some(_) => bets_routes(),
        None => elsewhere("/v1/bets", "/v1/bets/{*rest}")
            .merge(elsewhere("/v1/partners", "/v1/partners/{partner}"))
            .route("/v1/partners/{partner}/check", any(not_served_here))
            .route("/v1/partners/{partner}/pause", any(not_served_here))
            .route("/v1/partners/{partner}/resume", any(not_served_here)),
    };
    let transactions = match state.histories {
        true => get(histories::transactions::<E>),
        false => any(not_served_here),
    };
    let partner_api = match state.histories {
        true => partner_api::routes(&state),
        false => elsewhere("/partner/v1", "/partner/v1/{*rest}"),
    };
    let ops =
        Router::new().route("/healthz", get(ops::healthz)).route("/readyz", get(ops::readyz::<E>));
    rounds
        .merge(bets)
        .route("/v1/partners/{partner}/transactions", transactions)
        .route("/v1/acts", get(acts::list::<E>))
        .merge(partner_api)
        .merge(ops)
        .merge(partner_docs::routes().with_state(()))
        .merge(further.with_state(()))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(durations, timing::measure))
        .with_state(state)
}

fn rounds_routes<E: Engine>() -> Router<ApiState<E>> {
    Router::new()
        .route("/v1/rounds", get(rounds::list::<E>).post(rounds::open::<E>))
        .route("/v1/rounds/{round}", get(rounds::show::<E>).patch(rounds::amend::<E>))
        .route("/v1/rounds/{round}/close", post(rounds::close::<E>))
        .route("/v1/rounds/{round}/result", post(rounds::result::<E>))
        .route("/v1/rounds/{round}/correct", post(rounds::correct::<E>))
        .route("/v1/rounds/{round}/withdraw", post(rounds::withdraw::<E>))
        .route("/v1/rounds/{round}/void", post(rounds::void::<E>))
        .route("/v1/rounds/{round}/corrections", post(corrections::propose::<E>))
        .route("/v1/rounds/{round}/corrections/{proposal}", get(corrections::show::<E>))
        .route("/v1/rounds/{round}/corrections/{proposal}/approve", post(corrections::approve::<E>))
        .route("/v1/rounds/{round}/corrections/{proposal}/reject", post(corrections::reject::<E>))
}

fn bets_routes<E: Engine>() -> Router<ApiState<E>> {
    Router::new()
        .route("/v1/bets", get(histories::bets::<E>).post(bets::place::<E>))
        .route("/v1/bets/{bet}", get(bets::show::<E>))
        .route("/v1/bets/{bet}/timeline", get(timelines::timeline::<E>))
        .route("/v1/bets/{bet}/cancel", post(bets::cancel::<E>))
        .route("/v1/partners", get(partners::list::<E>).post(partners::create::<E>))
        .route("/v1/partners/{partner}", get(partners::show::<E>).put(partners::set::<E>))
        .route("/v1/partners/{partner}/check", get(partners::check::<E>).post(partners::adopt::<E>))
        .route("/v1/partners/{partner}/pause", post(partners::pause::<E>))
        .route("/v1/partners/{partner}/resume", post(partners::resume::<E>))
}

/// What another process answers.
pub(crate) fn elsewhere<S: Clone + Send + Sync + 'static>(path: &str, below: &str) -> Router<S> {
    Router::new().route(path, any(not_served_here)).route(below, any(not_served_here))
}

async fn not_served_here(uri: Uri) -> Problem {
    let detail = format!("{} is answered by a process with another role", uri.path());
    Problem::new(Kind::NOT_SERVED_HERE, detail)
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(Kind::NOT_FOUND, format!("nothing is at {}", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}", uri.path());
    Problem::new(Kind::METHOD_NOT_ALLOWED, detail)
}
