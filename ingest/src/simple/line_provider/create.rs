//! An event is offered.

use super::{Actor, GRACE_MS, LineProvider};
use crate::http::body::{Json, invalid};
use crate::http::rounds::{derived, fresh_round, gone};
use crate::problem::{Kind, Problem};
use crate::rounds_view::RoundInfo;
use crate::simple::bodies::{EventBody, Refusals};
use crate::simple::event::{GAME, drawing, offer};
use crate::simple::values::{Coefficient, Deadline, EventId, State as EventState};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, LOCATION};
use runtime::Engine;
use schemas::rounds::{Opened, RoundEvent, RoundSaid};
use schemas::{IdError, Odds, RoundId};
use serde::Deserialize;
use utoipa::ToSchema;

/// Addresses beside the events: an event of such a name could be neither shown nor changed.
const ADDRESSES: [&str; 2] = ["create", "update"];

/// `POST /events`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEvent, example = json!({
    "event_id": "match-1", "coefficient": "1.50", "deadline": "2026-11-21T18:00:00Z",
}))]
pub(super) struct CreateBody {
    /// One is made up where none is given.
    event_id: Option<EventId>,
    /// Odds of the first team. At or below 1.00 a bet can win nothing beyond its stake.
    coefficient: Coefficient,
    /// When betting ends, at most 30 days ahead.
    deadline: Deadline,
    /// 1, or left out: an event begins unfinished.
    state: Option<EventState>,
    /// Draw the result once betting has ended. Only in a sandbox.
    auto_result: Option<bool>,
}

/// What is to be offered.
pub(super) struct New {
    pub(super) event: Option<RoundId>,
    pub(super) odds: Odds,
    /// Ms since the Unix epoch, UTC.
    pub(super) deadline: i64,
    pub(super) state: Option<EventState>,
    pub(super) drawn: bool,
}

/// Offer an event
///
/// The same call again gets the same answer; another content under the same id is refused.
#[utoipa::path(
    post, path = "/events", tag = "events", request_body = CreateBody,
    responses(
        (status = 201, description = "The event takes bets", body = EventBody,
         headers(("Location" = String, description = "Where the event is"))),
        Refusals,
    ),
)]
pub(super) async fn create<E: Engine>(
    State(state): State<LineProvider<E>>,
    Actor(actor): Actor,
    Json(body): Json<CreateBody>,
) -> Result<Response, Problem> {
    let new = New {
        event: body.event_id.map(|EventId(event)| event),
        odds: body.coefficient.0,
        deadline: body.deadline.0,
        state: body.state,
        drawn: body.auto_result.unwrap_or(false),
    };
    let info = state.create(actor, new).await?;
    let body = EventBody::of(&info).ok_or_else(gone)?;
    let mut headers = HeaderMap::new();
    let location = HeaderValue::try_from(format!("{}/events/{}", super::PREFIX, info.round));
    headers.extend(location.ok().map(|location| (LOCATION, location)));
    Ok((StatusCode::CREATED, headers, axum::Json(body)).into_response())
}

/// Offer an event, under its older address
#[utoipa::path(
    post, path = "/events/create/", tag = "events", request_body = CreateBody,
    responses(
        (status = 201, description = "The event takes bets", body = EventBody),
        Refusals,
    ),
)]
pub(super) async fn create_at_alias<E: Engine>(
    state: State<LineProvider<E>>,
    actor: Actor,
    body: Json<CreateBody>,
) -> Result<Response, Problem> {
    create(state, actor, body).await
}

impl<E: Engine> LineProvider<E> {
    /// Offers an event, and shows it as it was admitted.
    pub(super) async fn create(&self, actor: String, new: New) -> Result<RoundInfo, Problem> {
        if new.state.is_some_and(|state| state != EventState::Unfinished) {
            let why = "an event begins in state 1; say its result when betting has ended";
            return Err(invalid("state", why));
        }
        if new.drawn && !self.open {
            return Err(invalid("auto_result", "results are drawn in a sandbox alone"));
        }
        if new.event.as_ref().is_some_and(|event| ADDRESSES.contains(&event.as_str())) {
            return Err(invalid("event_id", "it is an address of this API; take another name"));
        }
        let said_at = (self.api.now)();
        let round = match new.event {
            Some(event) => event,
            None => fresh_round(),
        };
        // A repeat of a call that was admitted in time is no new event with a deadline in the past.
        if new.deadline <= said_at && self.api.round(&round).await?.is_none() {
            return Err(invalid("deadline", "it has passed; give a time that is still to come"));
        }
        let opened = Opened {
            game: GAME.to_owned(),
            rules_version: self.api.rules_version,
            offers: offer(new.odds).map_err(unnameable)?,
            closes_at: new.deadline,
            grace_ms: GRACE_MS,
        };
        let said = RoundSaid::Opened(opened);
        let (more, actor) = match new.drawn {
            true => (["drawn"].as_slice(), drawing(&actor)),
            false => ([].as_slice(), actor),
        };
        let request = derived(&round, said.clone(), more)?;
        let event = RoundEvent { round: round.clone(), request, actor, said_at, said };
        self.api.say(event, false).await.map_err(named_event)?;
        self.api.any_round(&round).await?.ok_or_else(gone)
    }
}

/// A name of ours that has not the shape of one.
pub(super) fn unnameable(error: IdError) -> Problem {
    Problem::new(Kind::UNENCODABLE, error.to_string())
}

/// The refusal in the words of this API.
fn named_event(problem: Problem) -> Problem {
    match problem.kind() {
        kind if kind == Kind::ROUND_EXISTS || kind == Kind::REQUEST_REUSED => {
            let detail = "the event exists with another content; change it with PATCH";
            Problem::new(Kind::ROUND_EXISTS, detail)
        }
        _ => problem,
    }
}
