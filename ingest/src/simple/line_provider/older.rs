//! The older form: one call that creates or changes, and events of four fields.

use super::change::Change;
use super::create::New;
use super::{Actor, LineProvider};
use crate::http::body::{Id, Json, invalid};
use crate::http::rounds::gone;
use crate::problem::Problem;
use crate::rounds_view::RoundInfo;
use crate::simple::bodies::{Refusals, ShortEventBody};
use crate::simple::event::odds_of;
use crate::simple::values::{Coefficient, Deadline, EventId, State as EventState};
use axum::extract::State;
use runtime::Engine;
use serde::Deserialize;
use utoipa::ToSchema;

type Answer = Result<axum::Json<ShortEventBody>, Problem>;

/// `PUT /event`. What is left out, or null, stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutEvent, example = json!({
    "event_id": "match-1", "coefficient": "1.50", "deadline": "2026-11-21T18:00:00Z",
}))]
pub(super) struct PutBody {
    /// The event.
    event_id: EventId,
    /// Odds of the first team; needed for a new event.
    coefficient: Option<Coefficient>,
    /// When betting ends; needed for a new event.
    deadline: Option<Deadline>,
    /// 1 unfinished, 2 the first team won, 3 the second team won.
    state: Option<EventState>,
}

/// Create or change an event
///
/// Creates the event if it is not there, else changes it as PATCH does; fields that are equal to what stands
/// change nothing. Both are answered with 200.
#[utoipa::path(
    put, path = "/event", tag = "older form", request_body = PutBody,
    responses(
        (status = 200, description = "The event as it is now", body = ShortEventBody),
        Refusals,
    ),
)]
pub(super) async fn put<E: Engine>(
    State(state): State<LineProvider<E>>,
    Actor(actor): Actor,
    Json(body): Json<PutBody>,
) -> Answer {
    let EventId(event) = body.event_id;
    let odds = body.coefficient.map(|odds| odds.0);
    let deadline = body.deadline.map(|deadline| deadline.0);
    let known = state.api.any_round(&event).await?.filter(|info| odds_of(info).is_some());
    let info = if let Some(info) = known {
        let change = Change { odds, deadline, state: body.state };
        state.change(actor, info, change).await?
    } else {
        let need = |field| move || invalid(field, "a new event needs it");
        let new = New {
            event: Some(event),
            odds: odds.ok_or_else(need("coefficient"))?,
            deadline: deadline.ok_or_else(need("deadline"))?,
            state: body.state,
            drawn: false,
        };
        state.create(actor, new).await?
    };
    shown(&info)
}

/// Show an event in the older form
#[utoipa::path(
    get, path = "/event/{event_id}", tag = "older form",
    params(("event_id" = String, Path, description = "The event", example = "match-1")),
    responses(
        (status = 200, description = "The event", body = ShortEventBody),
        (status = 404, description = "There is none", body = crate::simple::bodies::Problem,
         content_type = "application/problem+json"),
        Refusals,
    ),
)]
pub(super) async fn show<E: Engine>(
    State(state): State<LineProvider<E>>,
    Actor(_): Actor,
    Id(EventId(event)): Id<EventId>,
) -> Answer {
    shown(&state.event(&event).await?)
}

fn shown(info: &RoundInfo) -> Answer {
    ShortEventBody::of(info).map(axum::Json).ok_or_else(gone)
}
