//! What partners may ask: `/partner/v1`, signed both ways with the keys that they and we know of each other.
//!
//! Nothing is changed by any of it; a `POST` asks to be told again what was told before. A partner sees its own bets and no others: what another
//! one has is answered in the words for what does not exist.

mod bets;
mod days;
mod events;
pub(super) mod open_api;
mod replay;
mod rounds;
mod signed;

use super::ApiState;
use axum::middleware;
use axum::routing::{get, post};
use axum::{Extension, Router};
use runtime::Engine;

/// The routes; the document is for everybody.
pub(super) fn routes<E: Engine>(api: &ApiState<E>) -> Router<ApiState<E>> {
    let gate = signed::Gate::new(api.clone());
    Router::new()
        .route("/partner/v1/bets/{bet}", get(bets::show::<E>))
        .route("/partner/v1/events", get(events::list::<E>))
        .route("/partner/v1/rounds/{round}/statement", get(rounds::statement::<E>))
        .route("/partner/v1/statements/{day}", get(days::statement::<E>))
        .route(
            signed::REPLAY_PATH,
            post(replay::ask::<E>).layer(Extension(replay::Pace::default())),
        )
        .route_layer(middleware::from_fn_with_state(gate, signed::signed::<E>))
        .route("/partner/v1/openapi.json", get(open_api::show))
}
