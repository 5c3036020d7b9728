//! The events on which bets may be placed.

use super::book::{Ask, Told};
use super::{BetMaker, gone};
use crate::http::body::Id;
use crate::problem::{Kind, Problem};
use crate::simple::bodies::{EventBody, Refusals};
use crate::simple::values::EventId;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{AGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use runtime::Millis;

/// The age of an answer in ms; `Age` tells it in whole seconds.
const AGE_MS: HeaderName = HeaderName::from_static("age-ms");

/// List the events that take bets
///
/// Newest first: those whose deadline is ahead; one that is over is shown by its id. The list is kept in
/// memory and follows line-provider; its age is in the headers `Age` (s) and `Age-Ms` (ms). While the topic
/// behind it stands still the list is served as it is, the age grows, and above 5 s the process is not ready
/// (`/readyz`).
#[utoipa::path(
    get, path = "/events", tag = "events",
    responses(
        (status = 200, description = "The events", body = Vec<EventBody>, headers(
            ("Age" = u64, description = "Age of the list in s"),
            ("Age-Ms" = u64, description = "Age of the list in ms"),
        )),
        Refusals,
    ),
)]
pub(super) async fn list(State(state): State<BetMaker>) -> Result<Response, Problem> {
    let Told::Json(Some(json), fresh_at) = state.ask(Ask::Events).await? else {
        return Err(gone());
    };
    Ok(shown(json, &state, fresh_at))
}

/// Show an event, also one that is over
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
pub(super) async fn show(
    State(state): State<BetMaker>,
    Id(event): Id<EventId>,
) -> Result<Response, Problem> {
    let Told::Json(json, fresh_at) = state.ask(Ask::Event(event.0.clone())).await? else {
        return Err(gone());
    };
    json.map(|json| shown(json, &state, fresh_at)).ok_or_else(|| unknown(&event))
}

pub(super) fn unknown(event: &EventId) -> Problem {
    Problem::new(Kind::EVENT_UNKNOWN, format!("there is no event {event}"))
}

/// JSON that is complete up to `fresh_at`; 0 while that is not known, and then nothing is said of its age.
fn shown(json: bytes::Bytes, state: &BetMaker, fresh_at: Millis) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if 0 < fresh_at {
        let age_ms = (state.now)().saturating_sub(fresh_at).max(0);
        headers.insert(AGE, HeaderValue::from(age_ms / 1_000));
        headers.insert(AGE_MS, HeaderValue::from(age_ms));
    }
    (headers, json).into_response()
}
