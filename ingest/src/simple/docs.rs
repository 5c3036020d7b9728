//! `openapi.json`, and the page that shows it.

use super::routes::Slashed;
use crate::docs::page;
use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use runtime::Millis;
use schemas::contract::timestamp;
use serde_json::Value;
use std::sync::Arc;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

/// How far ahead the deadlines of examples are, in ms.
const EXAMPLE_AHEAD_MS: i64 = 24 * 60 * 60 * 1_000;

/// The time, ms since the Unix epoch, UTC.
type Now = Arc<dyn Fn() -> Millis + Send + Sync>;

/// `/openapi.json` and `/docs/` for `document`.
pub(super) fn routes(document: OpenApi, now: Now) -> Router {
    let json = serde_json::to_value(document).unwrap_or_default();
    let document = get(move || {
        let mut json = json.clone();
        date(&mut json, now().saturating_add(EXAMPLE_AHEAD_MS));
        async move { ([(CONTENT_TYPE, "application/json")], json.to_string()) }
    });
    let config = Config::from("../openapi.json").try_it_out_enabled(true);
    Router::new().slashed("/openapi.json", document).merge(page(config))
}

/// Sets the deadlines of examples: one that stands in the source has passed, and could not be tried out.
fn date(document: &mut Value, deadline: Millis) {
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for schema in schemas.into_iter().flatten().map(|(_, schema)| schema) {
        for place in ["/example/deadline", "/properties/deadline/example"] {
            if let Some(example) = schema.pointer_mut(place) {
                *example = Value::String(timestamp(deadline));
            }
        }
    }
}
