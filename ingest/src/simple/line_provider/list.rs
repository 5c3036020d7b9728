//! Events are shown.

use super::{Actor, LineProvider};
use crate::http::ApiState;
use crate::http::body::{Id, Params};
use crate::http::rounds::gone;
use crate::line::{Ask, LIST_ROUNDS_MAX, Told};
use crate::problem::Problem;
use crate::simple::bodies::{EventBody, Refusals};
use crate::simple::event::is_open;
use crate::simple::pages::{Page, array};
use crate::simple::values::EventId;
use axum::extract::State;
use axum::response::Response;
use runtime::Engine;
use schemas::RoundId;
use serde::Deserialize;
use utoipa::IntoParams;

/// `?all=`.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// Also the events on which betting has ended.
    #[serde(default)]
    all: bool,
}

/// Where a page ended: `opened_at` and id of its last round.
type Cursor = (i64, RoundId);

/// List events
///
/// Those that take bets, newest first. With `all=true` also those that are over, as far as they are among
/// the newest 10,000 rounds that are; an older one is shown by its id alone.
#[utoipa::path(
    get, path = "/events", tag = "events", params(ListParams),
    responses((status = 200, description = "The events", body = Vec<EventBody>), Refusals),
)]
pub(super) async fn list<E: Engine>(
    State(state): State<LineProvider<E>>,
    Actor(_): Actor,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    let first = page(&state.api, None, params).await?;
    Ok(array(first, move |after| {
        let api = state.api.clone();
        async move { page(&api, Some(after), params).await }
    }))
}

/// Show an event
#[utoipa::path(
    get, path = "/events/{event_id}", tag = "events",
    params(("event_id" = String, Path, description = "The event", example = "match-1")),
    responses(
        (status = 200, description = "The event", body = EventBody),
        (status = 404, description = "There is none", body = crate::simple::bodies::Problem,
         content_type = "application/problem+json"),
        Refusals,
    ),
)]
pub(super) async fn show<E: Engine>(
    State(state): State<LineProvider<E>>,
    Actor(_): Actor,
    Id(EventId(event)): Id<EventId>,
) -> Result<axum::Json<EventBody>, Problem> {
    let info = state.event(&event).await?;
    EventBody::of(&info).map(axum::Json).ok_or_else(gone)
}

async fn page<E: Engine>(
    api: &ApiState<E>,
    after: Option<Cursor>,
    params: ListParams,
) -> Result<Page<Cursor, EventBody>, Problem> {
    let now = (api.now)();
    let ask = Ask::List { after, limit: LIST_ROUNDS_MAX, open_only: !params.all };
    let Told::Rounds(rounds) = api.ask(ask).await? else { return Err(gone()) };
    let last = rounds.last().filter(|_| rounds.len() == LIST_ROUNDS_MAX);
    let next = last.map(|last| (last.opened_at, last.round.clone()));
    let shown = rounds.iter().filter(|info| params.all || is_open(info, now));
    Ok(Page { items: shown.filter_map(EventBody::of).collect(), next })
}
