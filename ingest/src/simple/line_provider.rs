//! line-provider: events are offered, changed and finished.
//!
//! A feed adapter: it appends to `rounds.v1` through the line and answers with the herald's verdict, so any
//! number of instances may run, and a repeated call gets the same answer. A result is held until the round
//! is sealed. The deadline closes betting without it: that is the herald's.
//!
//! What a crash leaves: at most a record without an answer. The same call again gets its verdict.

mod change;
mod create;
mod draw;
mod list;
mod older;
mod open_api;

pub use draw::{Coin, DrawOptions, Drawer};

use super::docs;
use super::routes::{Slashed, below};
use crate::auth::Duty;
use crate::http::credentials::Operator;
use crate::http::{ApiState, elsewhere};
use crate::problem::Problem;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::routing::{get, patch, post, put};
use http::Method;
use http::request::Parts;
use runtime::Engine;
use std::sync::Arc;

/// Where the API is.
pub const PREFIX: &str = "/line-provider";
/// Who says what is said without a key.
const ANYBODY: &str = "line-provider";
/// Ms between `closing` and `closed` of an event: what a partner's answer may take that is on its way.
const GRACE_MS: i64 = 200;

/// What the handlers need. Cheap to clone.
#[derive(Clone)]
pub struct LineProvider<E> {
    /// The line, and the rest of the process.
    pub api: ApiState<E>,
    /// Whether anybody may call, and results may be drawn: for a sandbox. Otherwise an operator's key is
    /// needed.
    pub open: bool,
}

/// Who calls, by name.
struct Actor(String);

impl<E: Engine> FromRequestParts<LineProvider<E>> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &LineProvider<E>,
    ) -> Result<Self, Problem> {
        if state.open {
            return Ok(Self(ANYBODY.to_owned()));
        }
        let operator = Operator::from_request_parts(parts, &state.api).await?;
        if parts.method == Method::GET {
            return operator.on(Duty::Read).map(Self);
        }
        // One call opens an event, finishes it, or changes its end: whoever may do one may do all.
        operator.may(&[Duty::Rounds])?;
        operator.on(Duty::Correct).map(Self)
    }
}

/// All routes below [`PREFIX`]; of a process that serves nothing else (`alone`) without it too.
pub fn router<E: Engine>(state: LineProvider<E>, alone: bool) -> Router {
    let (version, now) = (state.api.version, Arc::clone(&state.api.now));
    let routes = Router::new()
        .slashed("/events", get(list::list::<E>).post(create::create::<E>))
        .slashed("/events/create", post(create::create_at_alias::<E>))
        .slashed("/events/update", patch(change::update::<E>))
        .slashed("/events/{event_id}", get(list::show::<E>).patch(change::patch::<E>))
        .slashed("/event", put(older::put::<E>))
        .slashed("/event/{event_id}", get(older::show::<E>))
        .with_state(state);
    below(PREFIX, routes.merge(docs::routes(open_api::document(version), now)), alone)
}

/// The routes where no process of this installation's role answers here.
pub fn absent() -> Router {
    elsewhere(PREFIX, &format!("{PREFIX}/{{*rest}}"))
}
